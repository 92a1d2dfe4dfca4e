"""A training log as at most so many points: each the mean of equally many lines, with the lowest and the highest."""

from __future__ import annotations

import math
from array import array
from typing import Any, Optional

import numpy as np

# A point: first and last step, loss (their mean), lowest and highest loss, the last learning rate, the largest
# gradient norm. What is not known, or no number, is None.
Point = list[Any]


class TrainingLines:
    """The lines that a Trainer logs while it trains, as columns."""

    def __init__(self) -> None:
        self.step = array("q")
        self.loss = array("d")
        self.rate = array("d")
        self.grad = array("d")

    def __len__(self) -> int:
        return len(self.step)

    def add(self, step: int, loss: Optional[float], rate: Optional[float], grad: Optional[float]) -> None:
        """One more line; None for what it does not hold."""
        self.step.append(step)
        self.loss.append(math.nan if loss is None else loss)
        self.rate.append(math.nan if rate is None else rate)
        # nan stands for a line without one; one that is no number is infinite here.
        self.grad.append(math.nan if grad is None else grad if math.isfinite(grad) else math.inf)

    def cut_after(self, step: int) -> None:
        """Forget what came after a step: a run goes on from there."""
        keep = int(np.searchsorted(np.frombuffer(self.step, dtype=np.int64), step, side="right")) if self.step else 0
        for column in (self.step, self.loss, self.rate, self.grad):
            del column[keep:]

    def place(self, start: float, end: float) -> tuple[int, int]:
        """The lines whose steps lie within [start, end], as a slice; with the neighbour on each side."""
        if not self.step:
            return 0, 0
        steps = np.array(self.step)
        low, high = np.searchsorted(steps, start, side="left"), np.searchsorted(steps, end, side="right")
        return max(0, int(low) - 1), min(len(steps), int(high) + 1)

    def points(self, every: int, first: int = 0, last: Optional[int] = None) -> list[Point]:
        """The lines from `first` up to `last`, `every` of them to a point; the last point may have fewer.

        A point's loss is None where one of its lines' is no finite number: such a line must never be averaged away.

        Returns
        -------
        list of [first step, last step, loss, lowest, highest, learning rate, gradient norm]
        """
        # Copies: an array that somebody looks into cannot grow, and training goes on meanwhile.
        step, loss, rate, grad = (
            np.array(column[first:last]) for column in (self.step, self.loss, self.rate, self.grad)
        )  # fmt: skip
        n = len(step)
        if n == 0:
            return []
        starts = np.arange(0, n, every)
        ends = np.minimum(starts + every, n) - 1
        finite = np.isfinite(loss)
        counts = np.add.reduceat(finite, starts, dtype=np.int64)
        whole = counts == ends - starts + 1
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            sums = np.add.reduceat(np.where(finite, loss, 0.0), starts)
            mean = np.where(whole, sums / counts, np.nan)
        low = np.minimum.reduceat(np.where(finite, loss, np.inf), starts)
        high = np.maximum.reduceat(np.where(finite, loss, -np.inf), starts)
        largest = np.maximum.reduceat(np.where(np.isfinite(grad), grad, -np.inf), starts)
        columns = (mean, low, high, rate[ends], largest)
        rows = zip(step[starts].tolist(), step[ends].tolist(), *(column.tolist() for column in columns), strict=True)
        return [[a, b, *(value if math.isfinite(value) else None for value in rest)] for a, b, *rest in rows]


def lines_a_point(lines: int, most: int) -> int:
    """How many lines go into a point so that there are `most` points at the most: a power of two.

    So while a run grows, points only join in pairs, and between two such moments none but the last changes.
    """
    every = 1
    while lines > every * most:
        every *= 2
    return every
