"""Sequences that say little, or say it again: low complexity, runs, tandem repeats and copied stretches.

A language model that gets into a loop writes text that is likely (its perplexity is low) and no protein. Natural
proteins have some of all this too, yeast's more than E. coli's: with `THRESHOLDS`, 2.2 % of E. coli's proteins and
9.7 % of yeast's get a flag, 0.9 % and 8.2 % one for repeating themselves; of shuffled proteins 0.8 % and 0.02 %.

References
----------
SEG: Wootton and Federhen 1993, Computers and Chemistry 17:149; the constants are those of the program seg
(12, 2.2, 2.5) and of NCBI's segmasker.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from biollm_widgets.protein.residues import as_bytes, checked, encode
from biollm_widgets.sequences import AMINO_ACIDS

# SEG: windows of 12 residues; a window of at most 2.2 bits begins a segment, which goes on while windows have at most
# 2.5; then the least likely part of it is kept, at most 100 residues shorter.
WINDOW, TRIGGER, EXTENSION, MOST_TRIMMED = 12, 2.2, 2.5, 100

LONGEST_PERIOD = 20  # residues; longer repeats are found as copied stretches
# A residue that agrees with the one a period before it counts 1, one that does not -1: two unrelated residues agree
# once in 17 times, so a chance repeat does not grow, and a repeat that agrees in most places does.
MISMATCH = -1
# The letters that may stand for anything agree with nothing.
_VAGUE = "XBZJ"


class Thresholds(NamedTuple):
    """From where on something is worth a flag.

    Attributes
    ----------
    run : int
        Residues of one kind in a row.
    tandem : int
        Agreements with the residue a period before, less disagreements, in a tandem repeat (of any period).
    copies : float
        How often the unit of a tandem repeat is there at least.
    stretch : int
        Residues of a stretch that stands twice in the sequence, letter by letter, without overlap.
    low_complexity : float
        Share of the residues that lie in SEG's segments.
    """

    run: int
    tandem: int
    copies: float
    stretch: int
    low_complexity: float


# So many of all natural proteins of E. coli (4,402), of yeast (6,059), and of E. coli's with their residues shuffled
# get each flag, in percent:
#     run               0.1   4.4   0.02
#     tandem repeat     0.4   3.7   0
#     copied stretch    0.5   1.7   0      (of 8 residues or more, outside of tandem repeats)
#     low complexity    1.5   3.0   0.8
#     any               2.2   9.7   0.8
# (SEG finds some segment in 49, 70 and 43 percent: that alone is nothing to tell.)
THRESHOLDS = Thresholds(run=7, tandem=8, copies=2.5, stretch=8, low_complexity=0.3)


class Segment(NamedTuple):
    """A part of a sequence, 0-based half-open: residues `start + 1` to `end` for people."""

    start: int
    end: int


class Repeat(NamedTuple):
    """A tandem repeat: a unit that stands several times, one right after the other.

    Attributes
    ----------
    start, end : int
        0-based half-open.
    unit : str
        The commonest residue at each of its places.
    score : int
        Residues that agree with the one a period before, less those that do not.
    """

    start: int
    end: int
    unit: str
    score: int

    @property
    def copies(self) -> float:
        """How often the unit is there."""
        return (self.end - self.start) / len(self.unit)


class Copied(NamedTuple):
    """The longest stretch that stands twice, letter by letter, without overlap; length 0 when there is none.

    Attributes
    ----------
    length, start, again : int
        Residues, and where (0-based) it begins first and where again.
    """

    length: int
    start: int
    again: int


class Flag(NamedTuple):
    """Something in a sequence that a careful person would look at.

    Attributes
    ----------
    kind : str
        "run", "tandem repeat", "copied stretch" or "low complexity".
    start, end : int
        0-based half-open; of low complexity, of the longest segment.
    words : str
        What it is and where, for people.
    """

    kind: str
    start: int
    end: int
    words: str


@dataclass(frozen=True)
class Complexity:
    """What was found in one sequence.

    Attributes
    ----------
    residues : int
    segments : tuple of Segment
        SEG's segments of low complexity.
    runs, repeats : tuple of Repeat
        Runs of one residue, and tandem repeats of periods from 2 to 20, that reach their thresholds.
    copied : Copied
    flags : tuple of Flag
        What is worth telling, in the order run, tandem repeat, copied stretch, low complexity.
    """

    residues: int
    segments: tuple[Segment, ...]
    runs: tuple[Repeat, ...]
    repeats: tuple[Repeat, ...]
    copied: Copied
    flags: tuple[Flag, ...]

    @property
    def low_complexity(self) -> float:
        """The share of residues in SEG's segments, 0 to 1."""
        return sum(end - start for start, end in self.segments) / self.residues if self.residues else 0.0

    @property
    def repeated(self) -> float:
        """The share of residues in flagged runs, tandem repeats and both places of a flagged copied stretch."""
        inside = np.zeros(self.residues, dtype=bool)
        for repeat in (*self.runs, *self.repeats):
            inside[repeat.start : repeat.end] = True
        if any(flag.kind == "copied stretch" for flag in self.flags):
            for start in (self.copied.start, self.copied.again):
                inside[start : start + self.copied.length] = True
        return float(inside.mean()) if self.residues else 0.0

    @property
    def repeats_itself(self) -> bool:
        """Whether any flag but that of low complexity is there."""
        return any(flag.kind != "low complexity" for flag in self.flags)


def complexity(sequence: str, thresholds: Thresholds = THRESHOLDS) -> Complexity:
    """Look for low complexity and repeats.

    Parameters
    ----------
    sequence : str
        Residues; may be empty. 300 of them take about 4 ms, and the time grows with their number.
    thresholds : Thresholds

    Returns
    -------
    Complexity

    Raises
    ------
    InputError
        For a letter that is no residue.
    """
    sequence = checked(sequence)
    segments = tuple(low_complexity(sequence))
    runs = tuple(run for run in _repeats_of(sequence, 1, thresholds.run - 1) if run.end - run.start >= thresholds.run)
    repeats = tuple(tandem_repeats(sequence, thresholds))
    copied = longest_copied(sequence)
    flags = [
        Flag("run", run.start, run.end, f"{_place(run)} are all {run.unit}")
        for run in runs
        if not any(_covers(repeat, run) for repeat in repeats)
    ]
    flags += [
        Flag("tandem repeat", repeat.start, repeat.end, f"{_place(repeat)} repeat {repeat.unit} {_times(repeat)}")
        for repeat in repeats
    ]
    if copied.length >= thresholds.stretch and not any(
        repeat.start <= copied.start and copied.again + copied.length <= repeat.end for repeat in (*runs, *repeats)
    ):
        again = Segment(copied.again, copied.again + copied.length)
        flags.append(
            Flag(
                "copied stretch",
                *again,
                f"{_place(again)} are the same as {_place(Segment(copied.start, copied.start + copied.length))}",
            )
        )
    share = sum(end - start for start, end in segments) / len(sequence) if sequence else 0.0
    if share >= thresholds.low_complexity and segments:
        longest = max(segments, key=lambda segment: segment.end - segment.start)
        flags.append(
            Flag(
                "low complexity",
                *longest,
                f"{100 * share:.0f} % of the residues are of low complexity, mostly {_common(sequence, segments)}",
            )
        )
    return Complexity(len(sequence), segments, runs, repeats, copied, tuple(flags))


# --- repeats


def tandem_repeats(sequence: str, thresholds: Thresholds = THRESHOLDS) -> list[Repeat]:
    """Tandem repeats of periods from 2 to 20, in the order of the sequence, none within another.

    For each period, the places that agree with the one a period before are scored 1 and the others -1, and the
    stretches that score best are taken, so that a few exchanges do not end a repeat; the work is 20 times the length.
    Where the stretches of two periods overlap, the one that scores better is kept, of equals the shorter period.
    Insertions and deletions end a repeat.
    """
    found = [
        repeat
        for period in range(2, LONGEST_PERIOD + 1)
        for repeat in _repeats_of(sequence, period, thresholds.tandem)
        if repeat.score >= thresholds.tandem and repeat.copies >= thresholds.copies and len(set(repeat.unit)) > 1
    ]
    kept: list[Repeat] = []
    for repeat in sorted(found, key=lambda repeat: (-repeat.score, len(repeat.unit), repeat.start)):
        shared = (min(repeat.end, other.end) - max(repeat.start, other.start) for other in kept)
        if max(shared, default=0) * 2 <= repeat.end - repeat.start:
            kept.append(repeat)
    return sorted(kept)


def _repeats_of(sequence: str, period: int, least: int = 1) -> list[Repeat]:
    """The stretches of one period that score best, from the first on; runs, for a period of 1, agree everywhere.

    Nothing is looked for where no stretch can reach the score `least`.
    """
    letters = as_bytes(sequence)
    if len(letters) <= period:
        return []
    agree = (letters[period:] == letters[:-period]) & ~np.isin(letters[period:], as_bytes(_VAGUE))
    walk = np.cumsum(np.where(agree, 1, MISMATCH))
    lowest = np.minimum.accumulate(np.concatenate([[0], walk[:-1]]))
    if (walk - lowest).max() < least:
        return []
    mismatch = MISMATCH if period > 1 else -len(letters)
    found, start, score, best, best_end = [], 0, 0, 0, 0
    # Jumps from one agreement to the next: between them the score falls by a known amount.
    places = np.flatnonzero(agree)
    last = -1
    for place in places.tolist():
        fall = mismatch * (place - last - 1)
        # The stretch ends where falling on would lose all it has, or more than a unit has won.
        if best and (score + fall <= 0 or best - (score + fall) > max(period, 2)):
            found.append(_repeat(sequence, start, best_end + period, period, best))
            score, best = 0, 0
        elif best:
            score += fall
        if not best:
            start, score = place, 0
        score += 1
        if score >= best:
            best, best_end = score, place + 1
        last = place
    found.append(_repeat(sequence, start, best_end + period, period, best))
    return found


def _repeat(sequence: str, start: int, end: int, period: int, score: int) -> Repeat:
    columns = (sequence[start + phase : end : period] for phase in range(period))
    return Repeat(start, end, "".join(max(sorted(set(column)), key=column.count) for column in columns), score)


def longest_copied(sequence: str) -> Copied:
    """The longest stretch that stands twice, letter by letter, without overlap; of several, one that begins first.

    By halving: if a stretch of some length is there twice, one of each smaller length is as well.
    """
    best, low, high = Copied(0, 0, 0), 1, len(sequence) // 2
    while low <= high:
        length = (low + high) // 2
        found = _copied_of(sequence, length)
        if found is None:
            high = length - 1
        else:
            best, low = found, length + 1
    return best


def _copied_of(sequence: str, length: int) -> Copied | None:
    first: dict[str, int] = {}
    best: Copied | None = None
    for place in range(len(sequence) - length + 1):
        stretch = sequence[place : place + length]
        start = first.setdefault(stretch, place)
        if place - start >= length and (best is None or start < best.start):
            best = Copied(length, start, place)
    return best


# --- SEG


def low_complexity(
    sequence: str, window: int = WINDOW, trigger: float = TRIGGER, extension: float = EXTENSION
) -> list[Segment]:
    """Segments of low complexity as the program SEG finds them.

    Complexity is the Shannon entropy of the composition of `window` residues, in bits (log2 12 = 3.58 when all 12
    differ, 0 for a run). Letters beyond the twenty are not counted. `trigger` and `extension` are K2(1) and K2(2).

    Returns
    -------
    list of Segment
        In the order of the sequence, without overlap.
    """
    found: list[Segment] = []
    _seg(encode(sequence), 0, found, window, trigger, extension)
    merged: list[Segment] = []
    for segment in sorted(found):
        if merged and segment.start <= merged[-1].end:
            merged[-1] = Segment(merged[-1].start, max(merged[-1].end, segment.end))
        else:
            merged.append(segment)
    return merged


def _seg(codes: np.ndarray, offset: int, found: list[Segment], window: int, trigger: float, extension: float) -> None:
    """SEG on one part of a sequence; it is called again for what trimming leaves on the left of a segment."""
    entropy = _entropies(codes, window)
    if not entropy.size:
        return
    low = entropy <= trigger
    ends_here = entropy > extension
    place, limit = 0, 0
    while place < len(entropy):
        if not low[place]:
            place += 1
            continue
        first = place
        while first > limit and not ends_here[first - 1]:
            first -= 1
        last = place
        while last + 1 < len(entropy) and not ends_here[last + 1]:
            last += 1
        start, end = _least_likely(codes[first : last + window])
        start, end = start + first, end + first
        if place + window <= start:  # the window that began it was trimmed away: look there again
            _seg(codes[first:start], offset + first, found, window, trigger, extension)
        found.append(Segment(start + offset, end + offset))
        place = min(last, end - 1)  # as the program does: on from the end of the kept part
        limit = place = place + 1


def _entropies(codes: np.ndarray, window: int) -> np.ndarray:
    """Of each window, in bits; (n - window + 1,)."""
    if len(codes) < window:
        return np.empty(0)
    counts = _counts(codes, window)
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    share = counts / total
    return -(share * np.log2(share, where=counts > 0, out=np.zeros_like(share))).sum(axis=1)


def _counts(codes: np.ndarray, window: int) -> np.ndarray:
    """How often each of the twenty is in each window; (n - window + 1, 20)."""
    ones = (codes[:, None] == np.arange(len(AMINO_ACIDS))[None, :]).astype(np.int32)
    sums = np.concatenate([np.zeros((1, len(AMINO_ACIDS)), dtype=np.int32), np.cumsum(ones, axis=0, dtype=np.int32)])
    return sums[window:] - sums[:-window]


def _least_likely(codes: np.ndarray) -> tuple[int, int]:
    """The part, at most 100 shorter, of whose compositions there are the fewest: SEG's second step (P0)."""
    logs = _log_factorials(max(len(codes), 20) + 1)
    steps = np.log(np.arange(1, 21))
    best, kept = np.inf, (0, len(codes))
    ones = (codes[:, None] == np.arange(len(AMINO_ACIDS))[None, :]).astype(np.int32)
    sums = np.concatenate([np.zeros((1, len(AMINO_ACIDS)), dtype=np.int32), np.cumsum(ones, axis=0, dtype=np.int32)])
    for length in range(len(codes), max(1, len(codes) - MOST_TRIMMED), -1):
        counts = np.sort(sums[length:] - sums[:-length], axis=1)  # (windows, 20)
        arrangements = logs[length] - logs[counts].sum(axis=1)
        run = np.zeros(len(counts), dtype=np.intp)
        equal = np.zeros(len(counts))  # log of the product of the factorials of how often each count is there
        for column in range(1, counts.shape[1]):
            run = np.where(counts[:, column] == counts[:, column - 1], run + 1, 0)
            equal += steps[run]
        likely = arrangements + logs[20] - equal - length * np.log(20)
        place = int(np.argmin(likely))
        if likely[place] < best - 1e-12:
            best, kept = float(likely[place]), (place, place + length)
    return kept


@cache
def _log_factorials(size: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, size)))])


# --- words


def _place(part: Segment | Repeat) -> str:
    return f"residues {part.start + 1} to {part.end}"


def _times(repeat: Repeat) -> str:
    return f"{repeat.copies:.0f} times" if repeat.copies % 1 < 0.05 else f"{repeat.copies:.1f} times"


def _covers(whole: Repeat, part: Repeat) -> bool:
    return whole.start <= part.start and part.end <= whole.end


def _common(sequence: str, segments: tuple[Segment, ...]) -> str:
    """The residues that make up at least 60 % of some segments, the commonest first."""
    text = "".join(sequence[start:end] for start, end in segments)
    letters = sorted(set(text), key=lambda letter: (-text.count(letter), letter))
    named = ""
    for letter in letters:
        named += letter
        if sum(map(text.count, named)) >= 0.6 * len(text):
            break
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named
