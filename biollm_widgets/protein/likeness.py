"""What a design is like: another design, its prompt, or a known protein; and whether that is more than chance.

Alignments are Biopython's (Smith and Waterman 1981, J Mol Biol 147:195; Gotoh 1982, J Mol Biol 162:705), with
BLASTP's costs: BLOSUM62, 11 for a gap and 1 for each residue in it.

Identity has many denominators; here it is BLAST's, everywhere: identical residues in percent of the aligned columns,
gaps included. It means nothing without the number of columns: five of five are 100 %.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from biollm_widgets.protein.control import shuffled
from biollm_widgets.protein.references import References, Shared, Source, longest_shared
from biollm_widgets.protein.residues import checked

__all__ = [
    "Alignment",
    "Nearest",
    "PromptLikeness",
    "References",
    "Shared",
    "align",
    "duplicates",
    "e_value",
    "longest_shared",
    "nearest",
    "prompt_likeness",
    "twilight",
]

GAP_OPEN, GAP_EXTEND = 11, 1  # BLASTP's defaults: a gap of k residues costs 11 + k
# For these costs, gapped (Altschul and Gish 1996, Methods Enzymol 266:460; NCBI BLAST's own table for BLOSUM62 11/1).
LAMBDA, K = 0.267, 0.041
# So unlikely by chance that a relationship is the better explanation: the bound that is usual in protein searches.
MOST_BY_CHANCE = 1e-3
EULER = 0.5772156649  # the mean of an extreme value distribution lies this many scales above its place
CANDIDATES = 100
# Letters that BLOSUM62 lacks, as what they are nearest to: selenocysteine, pyrrolysine, isoleucine or leucine.
_STAND_INS = str.maketrans({"U": "C", "O": "K", "J": "L"})


class Alignment(NamedTuple):
    """A local alignment of a sequence with another.

    Attributes
    ----------
    score : float
        By BLOSUM62 and the gap costs; 0 when no two residues are worth aligning, and then all else is 0 too.
    identities, columns : int
        Identical residues (the same letter; X with X is none), and all columns with those of gaps.
    start, end, start_there, end_there : int
        0-based half-open, in the sequence and in the other.
    """

    score: float
    identities: int
    columns: int
    start: int
    end: int
    start_there: int
    end_there: int

    @property
    def identity(self) -> float:
        """Percent of the columns; NaN without an alignment."""
        return 100 * self.identities / self.columns if self.columns else math.nan


@dataclass(frozen=True)
class Nearest:
    """The reference that aligns best with a sequence.

    Attributes
    ----------
    name : str
        Of the reference; "" when none shares as much as one word of three residues.
    number : int
        Its place in the references, from 0; -1 when there is none.
    alignment : Alignment
    residues, residues_there : int
        How long the sequence (without a prompt that it begins with) and the reference are.
    e_value : float
        How many alignments of this score one expects by chance in a search of this size (Karlin and Altschul 1990,
        PNAS 87:2264); NaN when there is none. Without BLAST's correction for ends, so a little larger than BLAST's.
    aligned, references : int
        How many references were aligned, and of how many; all of them in an exhaustive search.
    shuffled : tuple of Alignment
        The best alignments of shuffled copies of the sequence, found in the same way.
    """

    name: str
    number: int
    alignment: Alignment
    residues: int
    residues_there: int
    e_value: float
    aligned: int
    references: int
    shuffled: tuple[Alignment, ...] = ()

    @property
    def identity(self) -> float:
        """Identical residues in percent of the aligned columns, gaps included."""
        return self.alignment.identity

    @property
    def coverage(self) -> float:
        """The share of the residues that lie within the alignment, in percent."""
        return 100 * (self.alignment.end - self.alignment.start) / self.residues if self.residues else math.nan

    @property
    def coverage_there(self) -> float:
        """The same of the reference."""
        span = self.alignment.end_there - self.alignment.start_there
        return 100 * span / self.residues_there if self.residues_there else math.nan

    @property
    def shuffled_score(self) -> float:
        """The best score of a shuffled copy; NaN when none was made."""
        return max((found.score for found in self.shuffled), default=math.nan)

    @property
    def chance(self) -> float:
        """How often a shuffled copy of the sequence would reach the score, 0 to 1; NaN when none was made.

        The best scores of shuffled copies follow an extreme value distribution of scale 1 / lambda (Karlin and Altschul
        1990); its place is taken from the mean of those that were made.
        """
        if not self.shuffled:
            return math.nan
        place = sum(found.score for found in self.shuffled) / len(self.shuffled) - EULER / LAMBDA
        return -math.expm1(-math.exp(min(700.0, -LAMBDA * (self.alignment.score - place))))

    @property
    def more_than_chance(self) -> bool:
        """Whether the E-value is at most 0.001, and so is the chance of a shuffled copy where some were made.

        Both are needed: the E-value takes residues for equally distributed everywhere, and a sequence of two kinds of
        residues aligns well with everything that is rich in them; its shuffled copies do just as well.
        """
        return self.e_value <= MOST_BY_CHANCE and not self.chance > MOST_BY_CHANCE

    def sentence(self) -> str:
        """What was found and what it is worth, for people."""
        of = f"{self.references:,} reference{'s' * (self.references != 1)}"
        if not self.alignment.columns:
            return f"Nothing in the {of} resembles it at all."
        found = (
            f"{self.name} is {self.identity:.0f} % identical over {self.alignment.columns} columns "
            f"({self.coverage:.0f} % of the residues, score {self.alignment.score:.0f}, E = {self.e_value:.1g})"
        )
        control = ""
        if self.shuffled:
            copies = f"{len(self.shuffled)} shuffled cop{'ies' if len(self.shuffled) > 1 else 'y'}"
            control = f"; {copies} reach a score of {self.shuffled_score:.0f}"
        if self.more_than_chance:
            return f"Nearest of {of}: {found}. That is more than chance{control}."
        columns, bound = self.alignment.columns, twilight(self.alignment.columns)
        if self.shuffled and self.e_value <= MOST_BY_CHANCE:
            why = "that comes of its composition more than of its order"
        elif self.identity < bound:
            why = f"less than {bound:.0f} % over {columns} columns says nothing (twilight zone, Rost 1999)"
        else:
            why = "such a score is found by chance"
        return f"Nothing in the {of} is more like it than chance: {found} is the best, and {why}{control}."


@dataclass(frozen=True)
class PromptLikeness:
    """What became of the prompt, and whether the model says it again.

    A generated sequence begins with its prompt, so the identity of the whole sequence to the prompt is bound to be
    100 % over the prompt's length and tells nothing. What can be told is whether the prompt is there whole, and how
    much of what the model wrote after it is like the prompt: a model that repeats what it was given has not designed.

    Attributes
    ----------
    kept : bool
        Whether the sequence begins with the whole prompt, letter by letter.
    kept_residues, prompt_residues : int
        How many letters agree from the beginning on, and how many there are.
    written : int
        Residues after the prompt; all of them when it was not kept.
    alignment : Alignment
        Of what was written with the prompt; places count from the beginning of the whole sequence.
    e_value : float
        As in `Nearest`, for this one pair; NaN without an alignment.
    """

    kept: bool
    kept_residues: int
    prompt_residues: int
    written: int
    alignment: Alignment
    e_value: float

    @property
    def identity(self) -> float:
        """Of what was written to the prompt: identical residues in percent of the aligned columns."""
        return self.alignment.identity

    @property
    def repeated(self) -> bool:
        """Whether what was written is more like the prompt than chance (E at most 0.001)."""
        return self.e_value <= MOST_BY_CHANCE

    def sentence(self) -> str:
        """The same in words."""
        found = self.alignment
        like = f"{self.identity:.0f} % identical over {found.columns} columns"
        if not self.kept:
            start = "The prompt does not stand at the start"
            if self.kept_residues:
                start = f"Only {self.kept_residues} of the prompt's {self.prompt_residues} residues stand at the start"
            if not self.repeated:
                return f"{start}; the sequence is not like the prompt."
            return f"{start}; residues {found.start + 1} to {found.end} are like it ({like})."
        if not self.written:
            return "The prompt stands whole at the start, and nothing was written after it."
        if not self.repeated:
            return "The prompt stands whole at the start; what was written after it is not like it."
        return f"The prompt stands whole at the start; residues {found.start + 1} to {found.end} say it again ({like})."


def duplicates(sequences: Iterable[str]) -> list[tuple[int, ...]]:
    """Which sequences are the same, letter by letter.

    Returns
    -------
    list of tuple of int
        The places, from 0, of each group of two or more; empty sequences are no group. By first place.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, sequence in enumerate(sequences):
        if sequence:
            places[str(sequence)].append(place)
    return [tuple(group) for group in places.values() if len(group) > 1]


def nearest(
    sequence: str,
    references: Source,
    *,
    exhaustive: bool = False,
    candidates: int = CANDIDATES,
    shuffles: int = 2,
    seed: int = 0,
    prompt: str = "",
) -> Nearest:
    """The reference that aligns best with a sequence, and whether that is more than chance.

    Parameters
    ----------
    sequence : str
        Residues; may be empty.
    references : References, or what `References.of` takes
        Give `References` where there are many sequences: its index is made once.
    exhaustive : bool
        Align every reference, whatever its words: about 12 s for 250 residues against both proteomes, 0.3 s without.
    candidates : int
        How many references to align otherwise (see `References.candidates`, which says what they miss).
    shuffles : int
        How many shuffled copies to search with for comparison, each as long as the search itself.
    seed : int
        Of the shuffling.
    prompt : str
        Where the sequence begins with it, only what was written after it is searched with: that a natural prompt is
        natural is no news.

    Returns
    -------
    Nearest
        Of several references with the best score, the most promising or (exhaustive) the first.

    Raises
    ------
    InputError
        For a letter that is no residue, and references that cannot be read.
    """
    known = References.of(references)
    sequence, prompt = checked(sequence), checked(prompt, "the prompt")
    before = len(prompt) if prompt and sequence.startswith(prompt) else 0
    written = sequence[before:]
    number, found, aligned = _best(written, known, exhaustive, candidates)
    copies = shuffled(written, shuffles if found.columns else 0, seed=seed, keep_start=not before)
    control = tuple(_best(copy, known, exhaustive, candidates)[1] for copy in copies)
    return Nearest(
        known.names[number] if number >= 0 else "",
        number,
        found._replace(start=found.start + before, end=found.end + before) if found.columns else found,
        len(written),
        len(known.sequences[number]) if number >= 0 else 0,
        e_value(found.score, len(written), known.residues) if found.columns else math.nan,
        aligned,
        len(known),
        control,
    )


def _best(sequence: str, known: References, exhaustive: bool, candidates: int) -> tuple[int, Alignment, int]:
    """Number of the best reference (-1 for none), the alignment with it, and how many were aligned."""
    numbers = np.arange(len(known)) if exhaustive and sequence else known.candidates(sequence, candidates)
    if not numbers.size:
        return -1, _NOTHING, 0
    query = sequence.translate(_STAND_INS)
    scores = [_aligner().score(query, known.sequences[number].translate(_STAND_INS)) for number in numbers]
    number = int(numbers[int(np.argmax(scores))])
    found = align(sequence, known.sequences[number])
    return (number if found.columns else -1), found, len(numbers)


def prompt_likeness(sequence: str, prompt: str) -> PromptLikeness:
    """What became of the prompt in a generated sequence, and whether what follows repeats it.

    Parameters
    ----------
    sequence, prompt : str
        Residues; the whole sequence, the prompt included.

    Raises
    ------
    InputError
        For a letter that is no residue.
    """
    sequence, prompt = checked(sequence), checked(prompt, "the prompt")
    same = next(
        (i for i, (a, b) in enumerate(zip(sequence, prompt, strict=False)) if a != b), min(len(sequence), len(prompt))
    )
    kept = same == len(prompt)
    before = len(prompt) if kept else 0
    written = sequence[before:]
    found = align(written, prompt)
    if found.columns:
        found = found._replace(start=found.start + before, end=found.end + before)
    chance = e_value(found.score, len(written), len(prompt)) if found.columns else math.nan
    return PromptLikeness(kept, same, len(prompt), len(written), found, chance)


def align(sequence: str, other: str) -> Alignment:
    """The best local alignment of two sequences of residues in capitals; of several equal ones, Biopython's first."""
    if not sequence or not other:
        return _NOTHING
    alignments = _aligner().align(sequence.translate(_STAND_INS), other.translate(_STAND_INS))
    if alignments.score <= 0:
        return _NOTHING
    best = alignments[0]
    here, there = best.aligned
    identities = gaps = 0
    for block, ((start, end), (start_there, end_there)) in enumerate(zip(here, there, strict=True)):
        same = zip(sequence[start:end], other[start_there:end_there], strict=True)
        identities += sum(a == b != "X" for a, b in same)
        if block:
            gaps += int(start - here[block - 1][1] + start_there - there[block - 1][1])
    columns = int((here[:, 1] - here[:, 0]).sum()) + gaps
    return Alignment(
        float(best.score),
        identities,
        columns,
        int(here[0][0]),
        int(here[-1][1]),
        int(there[0][0]),
        int(there[-1][1]),
    )


def e_value(score: float, residues: int, residues_there: int) -> float:
    """How many local alignments of at least this score are expected by chance between texts of these lengths.

    `K m n exp(-lambda score)` (Karlin and Altschul 1990, PNAS 87:2264) with lambda 0.267 and K 0.041, which hold for
    BLOSUM62 with gap costs 11 and 1 and sequences of ordinary composition.
    """
    return K * residues * residues_there * math.exp(-LAMBDA * score)


def twilight(columns: int) -> float:
    """The identity, in percent, above which an alignment of this many columns means a common fold.

    `480 n^(-0.32 (1 + exp(-n / 1000)))` between 12 and 450 columns, 100 below and 19.5 above (Rost 1999, Protein
    Engineering 12:85, the curve for zero distance): about 30 % for 100 columns, 20 % from 300 on.
    """
    if columns <= 11:
        return 100.0
    if columns > 450:
        return 19.5
    return float(min(100.0, 480 * columns ** (-0.32 * (1 + math.exp(-columns / 1000)))))


_NOTHING = Alignment(0.0, 0, 0, 0, 0, 0, 0)


@cache
def _aligner() -> Any:
    from Bio.Align import PairwiseAligner, substitution_matrices

    aligner = PairwiseAligner(mode="local")
    aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
    # Biopython's cost of opening is that of the gap's first residue.
    aligner.open_gap_score = -(GAP_OPEN + GAP_EXTEND)
    aligner.extend_gap_score = -GAP_EXTEND
    return aligner
