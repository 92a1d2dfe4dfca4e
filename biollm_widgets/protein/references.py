"""A set of known proteins, indexed once, so that a design is compared with all of them in a fraction of a second.

Two indexes, each made when first needed:

- all words of three residues, to find the few proteins that are worth aligning. As in BLASTP (Altschul et al. 1990,
  J Mol Biol 215:403; 1997, Nucleic Acids Res 25:3389), a word of the query meets all words that score at least 11
  with it by BLOSUM62, and a protein is worth as much as the best-scoring band of its diagonals.
- all words of five letters, sorted, to find the longest stretch in common letter by letter.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from typing import NamedTuple, Union

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.protein.residues import CODES, as_bytes, checked, encode
from biollm_widgets.sequences import AMINO_ACIDS, Record, read_fasta

WORD = 3
# BLASTP's threshold for neighbouring words of three (Altschul et al. 1997).
THRESHOLD = 11
# Diagonals counted together, so that a few insertions and deletions do not split what belongs together.
BAND = 16
# By how much the best band of an unrelated protein grows with the logarithm of its length (tried: 0, 12, 20, 30).
LENGTH_COST = 30
# Letters that must be equal before a shared stretch is followed; shorter ones are looked for letter by letter.
SEED = 5
# "Any residue" and "one of two" are not shared letter by letter with anything.
_VAGUE = "XBZJ"
_BASE = 27  # 26 letters and one for what no stretch may contain


class Shared(NamedTuple):
    """The longest stretch that a sequence has in common, letter by letter, with any reference.

    Attributes
    ----------
    length : int
        Residues; 0 when not one is shared.
    start : int
        0-based, in the sequence.
    name : str
        The reference it is found in (the first, where several hold it); "" when there is none.
    start_there : int
        0-based, in that reference.
    """

    length: int
    start: int
    name: str
    start_there: int


Source = Union["References", str, os.PathLike, Iterable, Mapping[str, str]]


class References:
    """Known proteins to compare designs with.

    Parameters
    ----------
    records : iterable of Record, of `(name, sequence)` or of str, or a mapping of name to sequence
        Bare sequences are called reference_1 and so on. Duplicates are fine.

    Attributes
    ----------
    names, sequences : tuple of str
    residues : int
        In all sequences together.

    Raises
    ------
    InputError
        When there is none, one is empty, or one has a letter that is no residue.
    """

    def __init__(self, records: Union[Iterable, Mapping[str, str]]) -> None:
        if isinstance(records, Mapping):
            records = records.items()
        names, sequences = [], []
        for number, record in enumerate(records, start=1):
            if isinstance(record, Record):
                name, sequence = record.name, record.sequence
            elif isinstance(record, str):
                name, sequence = f"reference_{number}", record
            else:
                name, sequence = record
            sequence = checked(sequence, f"reference {name}")
            if not sequence:
                raise InputError(f"Reference {name} has no residues; leave it out.")
            names.append(str(name))
            sequences.append(sequence)
        if not names:
            raise InputError("There are no references to compare with; give at least one protein.")
        self.names, self.sequences = tuple(names), tuple(sequences)
        self.residues = sum(map(len, sequences))

    @classmethod
    def from_fasta(cls, *sources: Union[str, os.PathLike]) -> References:
        """Read one FASTA file or several, gzipped or not; repeated names are kept. Raises as `read_fasta`."""
        return cls(record for source in sources for record in read_fasta(source, "protein", duplicates="keep"))

    @classmethod
    def of(cls, source: Source) -> References:
        """References as they are, from a FASTA file or text, or from records as the constructor takes them."""
        if isinstance(source, References):
            return source
        if isinstance(source, (str, os.PathLike)):
            return cls.from_fasta(source)
        return cls(source)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"References({len(self):,} proteins, {self.residues:,} residues)"

    def candidates(self, sequence: str, limit: int = 100) -> np.ndarray:
        """The references worth aligning with a sequence, the most promising first.

        Measured on the E. coli and yeast proteomes (10,461 proteins), with natural proteins of which residues were
        exchanged at random and 4 % deleted or followed by an insertion: down to 40 % identity 59 of 60 were among the
        first 100, down to 30 % 46 of 60, and those that were missed had alignments of a score below 140.

        Returns
        -------
        (k,) int64
            Numbers of references, at most `limit`; only those that share a neighbouring word, so possibly none.
        """
        letters, n = encode(sequence).astype(np.int64), len(sequence)
        if n < WORD:
            return np.empty(0, dtype=np.int64)
        known = letters >= 0
        places = np.flatnonzero(known[:-2] & known[1:-1] & known[2:])
        words = letters[places] * 400 + letters[places + 1] * 20 + letters[places + 2]

        first, neighbours, scores = _neighbours()
        at, owner = _slices(first[words], first[words + 1])
        word, gain, place = neighbours[at], scores[at], places[owner]
        first, positions, owners = self._words
        at, owner = _slices(first[word], first[word + 1])
        if not at.size:
            return np.empty(0, dtype=np.int64)
        there, protein = positions[at], owners[at].astype(np.int64)
        # One number a diagonal: the proteins are set so far apart that no two share one, nor a band.
        apart = n + BAND
        diagonal = there - place[owner] + protein * apart + n
        weight = gain[owner].astype(np.float32)
        best = np.zeros(len(self), dtype=np.float64)
        start = self._offsets + np.arange(len(self)) * apart  # each protein's first diagonal
        size = int((self._offsets[-1] + self._lengths[-1] + len(self) * apart) // BAND + 3)
        for shift in (0, BAND // 2):  # a second set of bands that overlap the first, so that none cuts a match in two
            sums = np.bincount((diagonal + shift) // BAND, weights=weight, minlength=size)
            np.maximum(best, np.maximum.reduceat(sums, (start + shift) // BAND), out=best)
        met = np.flatnonzero(best)
        # The best band of an unrelated protein grows with the logarithm of its length, as best scores do.
        worth = best[met] - LENGTH_COST * np.log(self._lengths[met])
        return met[np.argsort(-worth, kind="stable")[:limit]]

    def longest_shared(self, sequence: str) -> Shared:
        """The longest stretch of a sequence that stands, letter by letter, in any reference.

        A vague letter (X, B, Z, J) is shared with nothing. Of several stretches of one length, the first in the
        sequence is given. A design of 250 residues against 4.3 million takes about half a millisecond, after the
        index is made (once, about a second).

        Returns
        -------
        Shared
            `(length, start, name, start_there)`.
        """
        codes, positions = self._seeds
        wanted, valid = _seed_codes(as_bytes(sequence))
        places = np.flatnonzero(valid)
        low, high = (np.searchsorted(codes, wanted[places], side=side) for side in ("left", "right"))
        at, owner = _slices(low, high)
        if not at.size:
            return self._short_shared(sequence)
        # Seeds on one diagonal, one after the other, are one stretch: number them so that neighbours differ by 1.
        here, there = places[owner], positions[at].astype(np.int64)
        stride = len(sequence) + 1
        line = np.sort((there - here + stride) * stride + here)
        begins = np.flatnonzero(np.diff(line, prepend=-2) != 1)
        lengths = np.diff(np.append(begins, len(line)))
        longest = int(lengths.max())
        heads = line[begins[lengths == longest]]
        head = min(heads.tolist(), key=lambda number: (number % stride, number))
        start = head % stride
        return self._shared(longest + SEED - 1, start, head // stride - stride + start)

    def _short_shared(self, sequence: str) -> Shared:
        for length in range(min(SEED - 1, len(sequence)), 0, -1):
            for start in range(len(sequence) - length + 1):
                stretch = sequence[start : start + length]
                if not set(stretch) & set(_VAGUE):
                    there = self._text.find(stretch)
                    if there >= 0:
                        return self._shared(length, start, there)
        return Shared(0, 0, "", 0)

    def _shared(self, length: int, start: int, there: int) -> Shared:
        protein = int(np.searchsorted(self._offsets, there, side="right")) - 1
        return Shared(length, start, self.names[protein], there - int(self._offsets[protein]))

    @cached_property
    def _text(self) -> str:
        """All sequences, a line each."""
        return "\n".join(self.sequences) + "\n"

    @cached_property
    def _offsets(self) -> np.ndarray:
        """(proteins,) int64: where each begins in the text."""
        return np.cumsum(self._lengths + 1) - self._lengths - 1

    @cached_property
    def _lengths(self) -> np.ndarray:
        return np.array([len(sequence) for sequence in self.sequences], dtype=np.int64)

    @cached_property
    def _words(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where each word's places begin (8001,), the places in the text sorted by word, and whose each is."""
        codes = CODES[as_bytes(self._text)].astype(np.int16)
        known = codes >= 0
        places = np.flatnonzero(known[:-2] & known[1:-1] & known[2:])
        words = codes[places] * 400 + codes[places + 1] * 20 + codes[places + 2]
        order = np.argsort(words, kind="stable")  # of int16: numpy sorts by counting
        places = places[order]
        first = np.searchsorted(words[order], np.arange(20**WORD + 1))
        owners = np.searchsorted(self._offsets, places, side="right") - 1
        return first, places.astype(np.int32), owners.astype(np.int32)

    @cached_property
    def _seeds(self) -> tuple[np.ndarray, np.ndarray]:
        """Words of five letters, sorted, and where each stands in the text."""
        codes, valid = _seed_codes(as_bytes(self._text))
        places = np.flatnonzero(valid).astype(np.int32)
        order = np.argsort(codes[places], kind="stable")
        places = places[order]
        return codes[places], places


def longest_shared(sequence: str, references: Source) -> Shared:
    """`References.longest_shared`, also for references that are not indexed yet.

    Parameters
    ----------
    sequence : str
    references : References, or what `References.of` takes
        Give `References` where there are many sequences: its index is made once.

    Returns
    -------
    Shared
        `(length, start, name, start_there)`.
    """
    return References.of(references).longest_shared(checked(sequence))


def _seed_codes(letters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of the word that begins at each place, and whether it has no vague letter and no line break in it."""
    if len(letters) < SEED:
        return np.empty(0, dtype=np.int32), np.empty(0, dtype=bool)
    table = np.zeros(256, dtype=np.int32)
    table[ord("A") : ord("Z") + 1] = np.arange(1, _BASE)
    table[[ord(letter) for letter in _VAGUE]] = 0
    numbers = table[letters]
    windows = len(letters) - SEED + 1
    codes = np.zeros(windows, dtype=np.int32)
    valid = np.ones(windows, dtype=bool)
    for step in range(SEED):
        part = numbers[step : step + windows]
        codes = codes * _BASE + part
        valid &= part > 0
    return codes, valid


def _slices(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All places of the slices `low[i]:high[i]`, one after the other, and the `i` of each."""
    sizes = high - low
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return np.arange(int(sizes.sum())) + np.repeat(low - np.cumsum(sizes) + sizes, sizes), owner


@cache
def _neighbours() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each word of three, those that score at least THRESHOLD with it: first (8001,), words, and scores."""
    from Bio.Align import substitution_matrices

    matrix = substitution_matrices.load("BLOSUM62")
    scores = np.array([[matrix[a, b] for b in AMINO_ACIDS] for a in AMINO_ACIDS], dtype=np.int8)
    pairs = (scores[:, None, :, None] + scores[None, :, None, :]).reshape(400, 400)
    words, others, gains = [], [], []
    for letter in range(20):  # a twentieth at a time: the whole table would be 64 MB
        table = (scores[letter][None, :, None] + pairs[:, None, :]).reshape(400, 8000)
        word, other = np.nonzero(table >= THRESHOLD)
        words.append(word + 400 * letter)
        others.append(other)
        gains.append(table[word, other])
    first = np.searchsorted(np.concatenate(words), np.arange(20**WORD + 1))
    return first, np.concatenate(others), np.concatenate(gains)
