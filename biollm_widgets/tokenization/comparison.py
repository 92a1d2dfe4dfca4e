"""Several tokenizers on one sequence: how finely each cuts, and whether they cut in the same places.

That two tokenizers share cuts means little by itself: a tokenizer that cuts every third base shares a third of the
cuts of any other. Each count of shared cuts therefore has beside it the number to expect of as many cuts put at random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Optional

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.tokenization.tokens import Tokenization

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class ComparedLane:
    """One tokenizer's reading of the sequence, in numbers.

    Attributes
    ----------
    label : str
    tokens : int
        Special ones left out.
    letters_per_token : float
        nan without tokens.
    unknown : int
    distinct : int
        How many different words are used, special and unknown tokens left out.
    words : int or None
        How many words the vocabulary has, special ones left out; None where it was not said.
    overlapping : bool
        Whether tokens overlap, as k-mers do; such a lane has no borders.
    borders : int
    single : bool
        Whether each token is one letter, so that there is a border everywhere and agreement says nothing.
    """

    label: str
    tokens: int
    letters_per_token: float
    unknown: int
    distinct: int
    words: Optional[int]
    overlapping: bool
    borders: int
    single: bool


@dataclass(frozen=True)
class SharedBorders:
    """How far two tokenizers cut in the same places.

    Attributes
    ----------
    first, second : str
        Their labels.
    shared : int
        Borders that both have.
    of : int
        Borders of the one that has fewer.
    expected : float
        How many would be shared if both put their borders at random: b1 * b2 / (n - 1), the mean of the hypergeometric
        distribution, for b1 and b2 borders at the n - 1 places between n letters.
    """

    first: str
    second: str
    shared: int
    of: int
    expected: float

    @property
    def share(self) -> float:
        """The part of the shorter list of borders that the other has too; nan where one has none."""
        return self.shared / self.of if self.of else math.nan


@dataclass(frozen=True)
class Comparison:
    """Several tokenizations of one sequence beside each other.

    Attributes
    ----------
    lanes : tuple of ComparedLane
    pairs : tuple of SharedBorders
        Every two of the lanes in `compared`.
    compared : tuple of str
        Labels of the lanes whose borders are compared: those that neither overlap nor are single letters all through.
    agreed : ndarray of int32, shape (m,)
        Borders (see `boundaries`) that all lanes in `compared` have; empty for fewer than two lanes.
    expected : float
        How many borders all of them would share if each put its own at random.
    length : int
        Letters of the sequence.
    unit : str
        "base" or "residue".
    """

    lanes: tuple[ComparedLane, ...]
    pairs: tuple[SharedBorders, ...]
    compared: tuple[str, ...]
    agreed: np.ndarray = field(repr=False, compare=False)
    expected: float
    length: int
    unit: str

    @cached_property
    def finding(self) -> str:
        """One sentence on what the lanes have in common; with its chance level."""
        if len(self.compared) < 2:
            few = ", ".join(f"{lane.label} {lane.tokens:,}" for lane in self.lanes)
            only = f"no second tokenizer here has cuts to compare with those of {', '.join(self.compared)}"
            return f"Tokens: {few}; {only if self.compared else 'none of these has cuts to compare'}"
        fewest = min((lane for lane in self.lanes if lane.label in self.compared), key=lambda lane: lane.borders)
        if not fewest.borders:
            return f"{fewest.label} makes no cut, so there is none to share"
        who = " and ".join(self.compared) if len(self.compared) == 2 else f"All {len(self.compared)} tokenizers"
        shared = f"{who} share {len(self.agreed):,} of the {fewest.borders:,} cuts of {fewest.label}"
        if fewest.borders == 1:
            shared = f"{who} {'share' if len(self.agreed) else 'do not share'} the one cut of {fewest.label}"
        return f"{shared}; cuts at random would share {_about(self.expected)}"

    @cached_property
    def notes(self) -> list[str]:
        """Which lanes are left out of the comparison of cuts, and why."""
        notes = [
            f"{lane.label}: tokens overlap, so there are no cuts to compare" for lane in self.lanes if lane.overlapping
        ]
        return notes + [
            f"{lane.label}: a cut everywhere, which agrees with anything" for lane in self.lanes if lane.single
        ]

    def to_frame(self) -> pandas.DataFrame:
        """One row a lane: tokenizer, tokens, letters_per_token, unknown, distinct, words, overlapping, cuts."""
        import pandas

        rows = [
            {
                "tokenizer": lane.label,
                "tokens": lane.tokens,
                "letters_per_token": lane.letters_per_token,
                "unknown": lane.unknown,
                "distinct": lane.distinct,
                "words": lane.words,
                "overlapping": lane.overlapping,
                "cuts": None if lane.overlapping else lane.borders,
            }
            for lane in self.lanes
        ]
        frame = pandas.DataFrame(rows)
        return frame.astype({"words": "Int64", "cuts": "Int64"})  # whole numbers where some are missing

    def pairs_frame(self) -> pandas.DataFrame:
        """One row a pair: first, second, shared, of, share, expected."""
        import pandas

        columns = ["first", "second", "shared", "of", "share", "expected"]
        return pandas.DataFrame([[getattr(pair, name) for name in columns] for pair in self.pairs], columns=columns)


def boundaries(tokenization: Tokenization) -> np.ndarray:
    """Where a tokenization cuts its sequence.

    Returns
    -------
    ndarray of int32, shape (b,)
        Positions p, 0 < p < n, ascending, such that one token ends before letter p and another begins with it. Special
        tokens and white space cut nothing by themselves. Empty where tokens overlap (k-mers): they have no borders.
    """
    if tokenization.overlapping:
        return np.empty(0, dtype=np.int32)
    columns = tokenization.columns
    wide = columns.ends > columns.starts
    ends, starts = columns.ends[wide][:-1], columns.starts[wide][1:]
    # A token of several bytes of one letter begins where the one before it begins, not where it ends: no border.
    cuts = starts[ends <= starts]
    return cuts[np.diff(cuts, prepend=0) > 0]  # ascending as they are, each once


def compare_tokenizations(tokenizations: Sequence[Tokenization], labels: Optional[Sequence[str]] = None) -> Comparison:
    """Set tokenizations of one sequence by several tokenizers beside each other.

    Parameters
    ----------
    tokenizations : sequence of Tokenization
        Of the same letters; white space and special tokens in the text may differ (a protein in lines of 60).
    labels : sequence of str, optional
        What to call them, one each; "tokenizer 1" and so on without.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        When there is none, when they are of different sequences, or when the labels do not fit.
    """
    read = list(tokenizations)
    if not read:
        raise InputError("There is nothing to compare; give the tokenizations of one sequence.")
    named = [f"tokenizer {number}" for number in range(1, len(read) + 1)] if labels is None else list(labels)
    if len(named) != len(read):
        raise InputError(f"There are {len(read)} tokenizations and {len(named)} labels; give one label each.")
    if len(set(named)) != len(named):
        twice = next(label for label in named if named.count(label) > 1)
        raise InputError(f"The label {twice!r} is given twice; give each tokenizer a name of its own.")
    sequence = read[0].sequence
    for label, one in zip(named, read, strict=True):
        if one.sequence != sequence:
            raise InputError(f"{named[0]} and {label} read different sequences; compare tokenizers on the same one.")

    length = len(sequence)
    cuts = {label: boundaries(one) for label, one in zip(named, read, strict=True)}
    lanes = tuple(_lane(label, one, cuts[label]) for label, one in zip(named, read, strict=True))
    compared = tuple(lane.label for lane in lanes if not lane.overlapping and not lane.single)
    pairs = tuple(_shared(a, b, cuts[a], cuts[b], length) for a, b in combinations(compared, 2))
    agreed, expected = np.empty(0, dtype=np.int32), math.nan
    if len(compared) > 1:
        agreed = cuts[compared[0]]
        for label in compared[1:]:
            agreed = agreed[_marked(cuts[label], length)[agreed]]
        places = max(length - 1, 1)
        expected = places * math.prod(len(cuts[label]) / places for label in compared)
    return Comparison(lanes, pairs, compared, agreed, expected, length, read[0].unit)


def _lane(label: str, read: Tokenization, cuts: np.ndarray) -> ComparedLane:
    columns = read.columns
    used = ~columns.special & ~columns.unknown
    single = not read.overlapping and len(read.sequence) > 1 and len(cuts) == len(read.sequence) - 1
    return ComparedLane(
        label,
        read.ordinary,
        read.bases_per_token,
        int(np.count_nonzero(columns.unknown)),
        len(np.unique(columns.ids[used])),
        read.vocabulary_words,
        read.overlapping,
        len(cuts),
        single,
    )


def _shared(first: str, second: str, one: np.ndarray, other: np.ndarray, length: int) -> SharedBorders:
    shared = int(np.count_nonzero(_marked(one, length)[other]))
    expected = len(one) * len(other) / max(length - 1, 1)
    return SharedBorders(first, second, shared, min(len(one), len(other)), expected)


def _marked(cuts: np.ndarray, length: int) -> np.ndarray:
    """The cuts as a bool for each place from 0 to the length: looked up in no time, where sets of a million sort."""
    marked = np.zeros(length + 1, dtype=bool)
    marked[cuts] = True
    return marked


def _about(number: float) -> str:
    """A number to expect: "about 5", "about 0.4"."""
    return f"about {number:,.0f}" if number >= 9.5 else f"about {number:.1f}"
