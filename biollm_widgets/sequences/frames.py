"""The other strand and the six reading frames of a DNA sequence."""

from __future__ import annotations

from dataclasses import dataclass

from biollm_widgets.errors import InputError
from biollm_widgets.sequences.cleaning import BASES, DNA_AMBIGUITY

FRAMES = (1, 2, 3, -1, -2, -3)
# Each IUPAC letter with the letter for the opposite bases (R = A or G faces Y = C or T); U faces A, as T does.
_OPPOSITE = dict(zip("ACGTURYSWKMBDHVN", "TGCAAYRSWMKVHDBN", strict=True))
_COMPLEMENT = str.maketrans({**_OPPOSITE, **{a.lower(): b.lower() for a, b in _OPPOSITE.items()}})
_KNOWN = dict.fromkeys(map(ord, "".join(_OPPOSITE) + "".join(_OPPOSITE).lower()))


def complement(sequence: str) -> str:
    """The base opposite each base, IUPAC letters included, case kept; read it backwards for the other strand.

    Raises
    ------
    InputError
        At the first letter that is no base.
    """
    strange = sequence.translate(_KNOWN)
    if strange:
        raise InputError(
            f"'{strange[0]}' at position {sequence.index(strange[0]) + 1} has no complement; clean the sequence first."
        )
    return sequence.translate(_COMPLEMENT)


def reverse_complement(sequence: str) -> str:
    """The other strand, read in its own direction: `reverse_complement("ATGN") == "NCAT"`. Raises as `complement`."""
    return complement(sequence)[::-1]


@dataclass(frozen=True)
class ReadingFrame:
    """One of the six ways to read a double strand in threes.

    Attributes
    ----------
    frame : int
        1, 2, 3 on the strand as given (starting at its first, second, third base), -1, -2, -3 on the other strand.
    start, end : int
        0-based half-open, on the strand as given, of the bases that whole codons cover.
    codons : tuple of str
        In reading direction; one or two bases left over at the end are not part of it.
    protein : str
        One letter a codon, `*` for a stop.
    """

    frame: int
    start: int
    end: int
    codons: tuple[str, ...]
    protein: str


def codons(sequence: str, frame: int = 1) -> list[str]:
    """Cut DNA into threes from the first, second or third base of either strand; a rest of one or two is left out."""
    strand = _strand(sequence, frame)
    return [strand[i : i + 3] for i in range(0, len(strand) - 2, 3)]


def translate(sequence: str, frame: int = 1, table: int = 1, to_stop: bool = False) -> str:
    """Translate one reading frame.

    Parameters
    ----------
    sequence : str
        Cleaned DNA. A codon with ambiguous bases gives the residue if all its readings agree, else X (or B, Z, J).
    frame : {1, 2, 3, -1, -2, -3}
    table : int
        NCBI's number of a genetic code: 1 standard, 11 bacteria. (11 differs from 1 in start codons only, and a
        start is translated like any other codon here.)
    to_stop : bool
        End before the first stop instead of writing `*` and going on.

    Raises
    ------
    InputError
        For a frame or table that there is not, or a letter that is no base.
    """
    from Bio.Data import CodonTable
    from Bio.Seq import translate as biopython_translate

    strand = _strand(sequence, frame)
    whole = strand[: len(strand) // 3 * 3]
    if table not in CodonTable.ambiguous_dna_by_id:
        known = ", ".join(map(str, sorted(CodonTable.ambiguous_dna_by_id)))
        raise InputError(f"There is no genetic code {table}; the numbers at NCBI are {known}.")
    return str(biopython_translate(whole, table=table, to_stop=to_stop))


def reading_frames(sequence: str, table: int = 1) -> list[ReadingFrame]:
    """All six reading frames, in the order 1, 2, 3, -1, -2, -3. Raises as `translate`."""
    found = []
    for frame in FRAMES:
        cut = codons(sequence, frame)
        left, covered = abs(frame) - 1, 3 * len(cut)
        start = left if frame > 0 else len(sequence) - left - covered
        start = max(start, 0) if covered else min(left, len(sequence))
        found.append(ReadingFrame(frame, start, start + covered, tuple(cut), translate(sequence, frame, table)))
    return found


def _strand(sequence: str, frame: int) -> str:
    if frame not in FRAMES:
        raise InputError(f"A reading frame is 1, 2, 3, -1, -2 or -3, not {frame!r}.")
    known = dict.fromkeys(map(ord, BASES + "U" + "".join(DNA_AMBIGUITY)))
    strange = sequence.translate(known)
    if strange:
        raise InputError(
            f"'{strange[0]}' at position {sequence.index(strange[0]) + 1} is no base; clean the sequence first."
        )
    strand = sequence if frame > 0 else reverse_complement(sequence)
    return strand[abs(frame) - 1 :]
