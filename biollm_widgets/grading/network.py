"""A network that a learner trains here and that is computed at the grader's, so that nobody can forge its training."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from biollm_widgets.grading.wire import Wire

SECONDS = 60  # for a pass of the other end


class Network(nn.Module):
    """What a learner's function is given for a `Watched`: the same parts, computed at the other end of the wire.

    Parameters
    ----------
    number : int
        How the grader calls it.
    width : int
        Numbers in a row.
    values : ndarray
        All parameters, one after the other.
    """

    def __init__(self, wire: Wire, number: int, width: int, values: np.ndarray) -> None:
        super().__init__()
        self.first = nn.Linear(width, 16)
        self.second = nn.Sequential(nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))
        self.width = width
        self._wire, self._number, self._whole = wire, number, True
        nn.utils.vector_to_parameters(torch.from_numpy(values.copy()), self.parameters())

    def __deepcopy__(self, memo: dict) -> Network:
        # A copy is another network: what is done to it is not done to this one.
        made = Network(self._wire, self._number, self.width, self.flat())
        made._whole = False
        return made.train(self.training)

    def flat(self) -> np.ndarray:
        """All parameters, one after the other, float32."""
        return torch.cat([value.detach().cpu().float().reshape(-1) for value in self._all()]).numpy()

    def _all(self) -> list[Tensor]:
        """The parameters, in their order; torch's own walk through all modules takes as long as a pass."""
        first, last = self.first, cast(nn.Linear, self.second[2])
        return [first.weight, first.bias, last.weight, last.bias]

    def forward(self, rows: Tensor) -> Tensor:
        """Scores, shape (rows, 2), of rows of shape (rows, width); of one row alone, shape (width,), its two."""
        if not self._whole:
            return self.second(self.first(rows))
        return _There.apply(self, rows, *self._all())

    def ask(self, verb: str, *given: Any) -> Any:
        """What the other end answers."""
        self._wire.send([verb, self._number, *given])
        return self._wire.receive(SECONDS)


class _There(torch.autograd.Function):
    """A pass at the other end, and the way back through it."""

    @staticmethod
    def forward(context: Any, network: Network, rows: Tensor, *values: Tensor) -> Tensor:
        learns = any(value.requires_grad for value in values)
        plain = rows.detach().cpu().float()
        context.network, context.shapes = network, [value.shape for value in values]
        context.number, scores = network.ask("pass", plain, network.flat(), network.training, learns)
        return scores.to(rows.device)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        network = context.network
        kept = any(value.grad is not None and bool(value.grad.any()) for value in network._all())
        found = network.ask("back", context.number, gradients[0].detach().cpu().float(), network.flat(), kept)
        sizes = [shape.numel() for shape in context.shapes]
        parts = torch.as_tensor(found).to(gradients[0].device).split(sizes)
        return (None, None, *(part.reshape(shape) for part, shape in zip(parts, context.shapes, strict=True)))
