"""A reading frame of any text as a lane: one amino acid for each three letters, whatever the letters are."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.sequences.frames import FRAMES, codons, reverse_complement, translate

# IUPAC's letters for bases with U, in the order of their codes here; code 0 is every other character.
_LETTERS = "ACGTRYSWKMBDHVNU"


class ReadingLane(NamedTuple):
    """A translated reading frame, laid along the strand as it was given.

    Attributes
    ----------
    frame : int
        1, 2, 3 as given, -1, -2, -3 on the other strand.
    start : int
        0-based place, on the strand as given, of the first letter of the leftmost codon.
    protein : str
        One letter a codon from left to right (for the other strand: against its reading direction); `*` for a stop,
        X for a codon that says nothing.
    """

    frame: int
    start: int
    protein: str

    @property
    def label(self) -> str:
        """For people, with a real minus sign: "frame +1", "frame −2"."""
        return f"frame {'+' if self.frame > 0 else '−'}{abs(self.frame)}"


def reading_lane(sequence: str, frame: int, table: int = 1) -> ReadingLane:
    """Translate a frame of text that nobody has cleaned.

    Parameters
    ----------
    sequence : str
        Any characters: lower case and U are read as bases, IUPAC codes as `translate` reads them, everything else
        makes its codon X.
    frame : {1, 2, 3, -1, -2, -3}
    table : int
        NCBI's number of a genetic code.

    Raises
    ------
    InputError
        For a frame or a genetic code that there is not.
    """
    if frame not in FRAMES:
        raise InputError(f"A reading frame is 1, 2, 3, -1, -2 or -3, not {frame!r}.")
    amino = _amino_acids(table)[0 if frame > 0 else 1]
    left = abs(frame) - 1
    count = max(0, (len(sequence) - left) // 3)
    # The other strand's frame is counted from the right end.
    start = left if frame > 0 else len(sequence) - left - 3 * count
    if not count:
        return ReadingLane(frame, min(left, len(sequence)), "")
    # One "?" for each character beyond ASCII, so that places stay.
    letters = np.frombuffer(sequence[start : start + 3 * count].encode("ascii", "replace"), dtype=np.uint8)
    codes = _codes()[letters].reshape(count, 3).astype(np.int32)  # (codons, 3)
    width = len(_LETTERS) + 1
    return ReadingLane(
        frame, start, amino[(codes[:, 0] * width + codes[:, 1]) * width + codes[:, 2]].tobytes().decode()
    )


@cache
def _codes() -> np.ndarray:
    """The code of each ASCII character, uint8 (256,): 1 ... 16 for a letter of a base in either case, else 0."""
    table = np.zeros(256, dtype=np.uint8)
    for code, letter in enumerate(_LETTERS, start=1):
        table[[ord(letter), ord(letter.lower())]] = code
    return table


@cache
def _amino_acids(table: int) -> np.ndarray:
    """The amino acid of each three codes, uint8 (2, 17 * 17 * 17): read as given, and as the other strand.

    All 4,096 codons of IUPAC letters are translated at once, joined to one text: the answers are `translate`'s own.
    """
    width = len(_LETTERS) + 1
    grid = np.indices((len(_LETTERS),) * 3).reshape(3, -1)  # (3, 4096)
    text = "".join(_LETTERS[i] + _LETTERS[j] + _LETTERS[k] for i, j, k in grid.T.tolist())
    places = ((grid[0] + 1) * width + grid[1] + 1) * width + grid[2] + 1
    found = np.full((2, width**3), ord("X"), dtype=np.uint8)
    found[0, places] = np.frombuffer(translate(text, 1, table).encode(), dtype=np.uint8)
    turned = "".join(reverse_complement(codon) for codon in codons(text))
    found[1, places] = np.frombuffer(translate(turned, 1, table).encode(), dtype=np.uint8)
    return found
