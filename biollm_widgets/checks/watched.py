"""A small network that watches its own training, for checks of what a training loop does."""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, relu

DROPPED = 0.3  # share of the hidden values


class Pass(NamedTuple):
    """One pass of rows through the network: which rows, and whether dropout was on."""

    rows: list[str]
    dropping: bool


class Watched(nn.Module):
    """A small classifier that notes which rows go through it, which are learned from, and from which gradients.

    A row that is none of those that have a name is called "".

    Parameters
    ----------
    width : int
        Numbers in a row.
    names : dict of bytes to str
        What each row is called, "train" or "test" with its number, by its bytes.

    Attributes
    ----------
    passes : list of Pass
    learned : list of str
        Rows of the batches that a gradient came back to, in the order in which it did, as often as it did.
    felt : dict of str to float
        Rows whose own gradient was once not zero, with how hard the first such drew them: above 0 towards label 1.
    dropping : list of bool
        For each gradient whether dropout had been on.
    since : int
        Passes that there were when the last gradient came back.
    stale : bool
        Whether a gradient that a step had used was added to the next.
    """

    def __init__(self, width: int, names: dict[bytes, str]) -> None:
        super().__init__()
        self.first = nn.Linear(width, 16)
        self.second = nn.Sequential(nn.ReLU(), nn.Dropout(DROPPED), nn.Linear(16, 2))
        self.width, self.names = width, names
        self.passes: list[Pass] = []
        self.learned: list[str] = []
        self.felt: dict[str, float] = {}
        self.dropping: list[bool] = []
        self.since = 0
        self.stale = False
        self._used: Optional[Tensor] = None

    def forward(self, rows: Tensor, values: Optional[list[Tensor]] = None) -> Tensor:
        """Scores, shape (rows, 2), of rows of shape (rows, width); of one row alone, shape (width,), its two.

        With `values`, in the order of the parameters, it is computed with these in their place.
        """
        if values is None:
            scores = self.second(self.first(rows))
        else:
            hidden = relu(linear(rows, *values[:2]))
            scores = linear(dropout(hidden, DROPPED, self.training), *values[2:])
        plain = rows.detach().cpu().float().numpy().reshape(-1, self.width)
        called = [self.names.get(row.tobytes(), "") for row in plain]
        training = self.training
        self.passes.append(Pass(called, training))
        if scores.requires_grad:
            scores.register_hook(lambda gradient: self._back(called, gradient, training))
        return scores

    def _back(self, called: list[str], gradient: Tensor, training: bool) -> None:
        pulls = gradient.detach().cpu().numpy().reshape(-1, 2)
        for name, pull in zip(called, pulls, strict=True):
            if name not in self.felt and pull.any() and np.isfinite(pull).all():
                self.felt[name] = float(pull[0] - pull[1])  # a step goes against the gradient
        values = torch.cat([value.detach().reshape(-1) for value in self.parameters()])
        kept = any(value.grad is not None and bool(value.grad.any()) for value in self.parameters())
        # Gradients may be gathered over several batches; those that a step has used may not come again.
        self.stale = self.stale or (kept and self._used is not None and not values.equal(self._used))
        self._used = values
        self.learned += called
        self.dropping.append(training)
        self.since = len(self.passes)

    def quietly(self, rows: Tensor) -> Tensor:
        """Scores without dropout and without a note."""
        with torch.no_grad():
            scores = self.first(rows)
            for part in self.second:
                scores = scores if isinstance(part, nn.Dropout) else part(scores)
        return scores
