"""One tokenizer's reading of a sequence as a lane of a picture: its rows, its quantities, and their common scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Optional

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.tokenization import Tokenization

QUANTITIES = ("length", "gc", "frequency", "scores")
_STRONG, _KNOWN = (np.isin(np.arange(256), list(kind)) for kind in (b"GCgc", b"ACGTacgt"))


@dataclass(frozen=True, eq=False)
class Lane:
    """A labelled tokenization.

    Attributes
    ----------
    label : str
        What the tokenizer is called beside its tokens.
    tokenization : Tokenization
    values : ndarray (n,), optional
        One number a token, special ones counted; nan where there is none.

    Raises
    ------
    InputError
        When there is not one value a token.
    """

    label: str
    tokenization: Tokenization
    values: Optional[np.ndarray] = None
    _known: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.values is None:
            return
        values = np.asarray(self.values, dtype=np.float64)
        if values.shape != (len(self.tokenization),):
            raise InputError(
                f"{self.label}: {values.size:,} values for {len(self.tokenization):,} tokens; "
                "give one a token, special ones counted (nan for none)."
            )
        object.__setattr__(self, "values", values)

    @cached_property
    def stack(self) -> tuple[int, np.ndarray]:
        """How many rows the tokens need, and the row of each: see `stack`."""
        return stack(self.tokenization)

    def quantity(self, color: str) -> np.ndarray:
        """One number a token, float64 of shape (n,); nan for special tokens and where there is none.

        Parameters
        ----------
        color : {"length", "gc", "frequency", "scores"}
            Letters of the token (nan for white space); the share of G and C among its A, C, G and T in either case
            (nan without any); how often its id occurs in this sequence; `values`.

        Raises
        ------
        InputError
            For another name.
        """
        if color not in QUANTITIES:
            raise InputError(f"A quantity is one of {', '.join(QUANTITIES)}, not {color!r}.")
        if color not in self._known:
            numbers = getattr(self, f"_{color}")()
            numbers[self.tokenization.columns.special] = np.nan
            numbers.flags.writeable = False
            self._known[color] = numbers
        return self._known[color]

    def _length(self) -> np.ndarray:
        columns = self.tokenization.columns
        lengths = (columns.ends - columns.starts).astype(np.float64)
        lengths[lengths == 0] = np.nan
        return lengths

    def _gc(self) -> np.ndarray:
        # Sums from the start of the sequence: a token's count is a difference of two of them, whatever its length.
        columns = self.tokenization.columns
        letters = np.frombuffer(self.tokenization.sequence.encode("ascii", "replace"), dtype=np.uint8)
        strong, known = (np.concatenate(([0], np.cumsum(kind[letters], dtype=np.int64))) for kind in (_STRONG, _KNOWN))
        bases = known[columns.ends] - known[columns.starts]
        found = (strong[columns.ends] - strong[columns.starts]).astype(np.float64)
        return np.divide(found, bases, out=np.full(len(bases), np.nan), where=bases > 0)

    def _frequency(self) -> np.ndarray:
        return self.tokenization.counts.astype(np.float64)

    def _scores(self) -> np.ndarray:
        return np.full(len(self.tokenization), np.nan) if self.values is None else self.values.copy()


def stack(tokenization: Tokenization) -> tuple[int, np.ndarray]:
    """Rows in which no two tokens of one row overlap.

    Returns
    -------
    int
        1 where no tokens overlap, else as many as lie over one letter: k for k-mers.
    ndarray of int32, shape (n,)
        The row of each token, from 0: its number among the tokens that have letters, modulo the rows.
    """
    columns = tokenization.columns
    row_of = np.zeros(len(tokenization), dtype=np.int32)
    if not tokenization.overlapping:
        return 1, row_of
    wide = np.flatnonzero(columns.ends > columns.starts)
    # Starts and ends both rise, so those over a token's first letter are it and the ones before that have not ended.
    ended = np.searchsorted(columns.ends[wide], columns.starts[wide], side="right")
    rows = int((np.arange(len(wide)) + 1 - ended).max(initial=1))
    row_of[wide] = np.arange(len(wide)) % rows
    return rows, row_of


@dataclass(frozen=True)
class Scale:
    """The range of a quantity over all lanes.

    Attributes
    ----------
    low, high : float
        The values of the scale's first and last colour.
    label, unit : str
        What the numbers are, and what they count (empty for scores).
    low_said, high_said : str
        Both ends for people: "0", "8 bases".
    """

    low: float
    high: float
    label: str
    unit: str
    low_said: str
    high_said: str

    def share(self, value: float) -> float:
        """Where a value stands, 0 to 1; in the middle when the scale has one value only; nan for nan."""
        if value != value or self.high <= self.low:
            return 0.5 if value == value else math.nan
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def to_dict(self) -> dict:
        """For the page."""
        return asdict(self)


def scale_of(lanes: Sequence[Lane], color: str, scores_name: str = "score") -> Scale:
    """The scale on which all lanes can be compared.

    Length and frequency begin at 0 and GC runs from 0 to 100 %, so that the bar under a token is as long as its
    number says; scores, which may be negative, run from the lowest to the highest.

    Raises
    ------
    InputError
        For an unknown quantity.
    """
    if color not in QUANTITIES:
        raise InputError(f"A quantity is one of {', '.join(QUANTITIES)}, not {color!r}.")
    if color == "gc":
        return Scale(0.0, 1.0, "GC share", "%", "0 %", "100 %")
    finite = [numbers[np.isfinite(numbers)] for lane in lanes for numbers in [lane.quantity(color)]]
    low = min((float(numbers.min()) for numbers in finite if numbers.size), default=0.0)
    high = max((float(numbers.max()) for numbers in finite if numbers.size), default=0.0)
    if color == "scores":
        low_said, high_said = (f"{end:.4g}".replace("-", "−") for end in (low, high))
        return Scale(low, high, scores_name, "", low_said, high_said)
    unit = lanes[0].tokenization.unit if lanes else "base"
    one = {"length": unit, "frequency": "time"}[color]
    many = one if high == 1 else f"{one}s"
    label = {"length": "token length", "frequency": "times in this sequence"}[color]
    return Scale(0.0, high, label, many, "0", f"{high:,.0f} {many}")
