"""A small network that watches its own training, for checks of what a training loop does."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn, no_grad


class Pass(NamedTuple):
    """One pass of rows through the network: which rows, and whether dropout was on."""

    rows: list[str]
    dropping: bool


class Watched(nn.Module):
    """A small classifier that notes which rows go through it, which are learned from, and from which gradients.

    It is its own deep copy, so that what is handed to the learner's function is what is looked at afterwards.

    Parameters
    ----------
    width : int
        Numbers in a row.
    names : dict of bytes to str
        What each row is called, "train" or "test" with its number, by its bytes.
    """

    def __init__(self, width: int, names: dict[bytes, str]) -> None:
        super().__init__()
        self.first = nn.Linear(width, 16)
        self.second = nn.Sequential(nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))
        self.names = names
        self.passes: list[Pass] = []
        self.learned: dict[str, int] = {}  # how many times a gradient came back for a row
        self.since = 0  # passes after the last gradient
        self.stale = False  # a gradient that a step had used was added to the next
        self.dropping: set[bool] = set()  # while learning
        self._used: list[Tensor] = []

    def __deepcopy__(self, memo: Any) -> Watched:
        return self

    def forward(self, rows: Tensor) -> Tensor:
        scores = self.second(self.first(rows))
        called = [self.names.get(row.tobytes(), "") for row in rows.detach().cpu().numpy()]
        self.passes.append(Pass(called, self.training))
        if scores.requires_grad:
            training = self.training
            scores.register_hook(lambda gradient: self._back(called, gradient, training))
        return scores

    def _back(self, called: list[str], gradient: Tensor, training: bool) -> None:
        for name, moved in zip(called, gradient.abs().sum(-1) > 0, strict=True):
            if moved:
                self.learned[name] = self.learned.get(name, 0) + 1
        values = [value.detach().clone() for value in self.parameters()]
        kept = any(value.grad is not None and bool((value.grad != 0).any()) for value in self.parameters())
        stepped = bool(self._used) and any(not one.equal(old) for one, old in zip(values, self._used, strict=True))
        # Gradients may be gathered over several batches; those that a step has used may not come again.
        self.stale = self.stale or (kept and stepped)
        self._used = values
        self.dropping.add(training)
        self.since = len(self.passes)

    def quietly(self, rows: Tensor) -> Tensor:
        """Scores without dropout and without a note."""
        on, training = len(self.passes), self.training
        self.eval()
        with no_grad():
            scores = self(rows)
        self.train(training)
        del self.passes[on:]
        return scores
