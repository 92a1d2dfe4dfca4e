"""Where a motif stands in a sequence, on both strands, and where a token stands in a tokenization."""

from __future__ import annotations

import re
from typing import NamedTuple, Union

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import AMINO_ACIDS, BASES, reverse_complement
from biollm_widgets.tokenization.tokens import Tokenization

# The letters that each letter of a motif may meet: IUPAC (Cornish-Bowden 1985, Nucleic Acids Research 13:3021).
_BASES = {
    **{base: base for base in BASES},
    "U": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
_RESIDUES = {
    **{residue: residue for residue in AMINO_ACIDS},
    "U": "U", "O": "O", "B": "BDN", "Z": "ZEQ", "J": "JIL", "X": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
}  # fmt: skip


class Match(NamedTuple):
    """A place: letters `sequence[start:end]`, 0-based half-open on the strand as given; `strand` is 1 or -1."""

    start: int
    end: int
    strand: int


def find_motif(sequence: str, motif: str, alphabet: str = "dna", both_strands: bool = True) -> list[Match]:
    """Every place of a motif, overlapping ones included.

    Parameters
    ----------
    sequence : str
        Letters alone, in any case; U is read as T in DNA. An ambiguous letter of a DNA sequence meets no motif.
    motif : str
        In DNA, IUPAC letters stand for their bases: TATAAT, GGNCC, YNRAG. In proteins X stands for any residue, B for
        D or N, Z for E or Q, J for I or L.
    alphabet : {"dna", "protein"}
    both_strands : bool
        Whether to look on the other strand of DNA too. A motif that reads the same there is given once, strand 1.

    Returns
    -------
    list of Match
        By start, strand 1 before -1.

    Raises
    ------
    InputError
        When the motif is empty, has a letter that stands for nothing, or the alphabet is none.
    """
    if alphabet not in ("dna", "protein"):
        raise InputError(f"The alphabet of a sequence is dna or protein, not {alphabet!r}.")
    dna = alphabet == "dna"
    meaning = _BASES if dna else _RESIDUES
    wanted = "".join(str(motif).split()).upper()
    if not wanted:
        raise InputError("There is no motif to look for; give at least one letter, for instance TATAAT.")
    for place, letter in enumerate(wanted, start=1):
        if letter not in meaning:
            advice = "A, C, G, T or an IUPAC letter such as N" if dna else "amino acids, or X for any"
            raise InputError(
                f"{letter!r}, letter {place} of the motif, is no {'base' if dna else 'residue'}; use {advice}."
            )
    # Without `upper`, a letter such as ß would become two and shift what follows.
    text = sequence.upper() if sequence.isascii() else "".join(c.upper() if c.isascii() else c for c in sequence)
    if dna:
        text, wanted = text.replace("U", "T"), wanted.replace("U", "T")
    length = len(wanted)
    found = [2 * start for start in _places(text, wanted, meaning)]  # place and strand in one number sort fast
    if dna and both_strands and (other := reverse_complement(wanted)) != wanted:
        found += [2 * start + 1 for start in _places(text, other, meaning)]
        found.sort()
    return [Match(at >> 1, (at >> 1) + length, -1 if at & 1 else 1) for at in found]


def _places(text: str, motif: str, meaning: dict[str, str]) -> list[int]:
    """Where a motif begins: looked for ahead of each place, so that a match hides none that begins within it."""
    first, rest = (f"[{meaning[motif[0]]}]", "".join(f"[{meaning[letter]}]" for letter in motif[1:]))
    return [match.start() for match in re.finditer(f"{first}(?={rest})" if rest else first, text)]


def find_token(tokenization: Tokenization, what: Union[str, int]) -> np.ndarray:
    """Every place of one token.

    Parameters
    ----------
    tokenization : Tokenization
    what : str or int
        Its text or name ("TCTA", "[UNK]", "[CLS]"), or its id, as a number or in digits. Digits are an id unless a
        token is called so.

    Returns
    -------
    ndarray of int32, shape (m,)
        Indices into the tokens, ascending; empty when the sequence has none of them.

    Raises
    ------
    InputError
        When `what` is empty or neither text nor number.
    """
    columns = tokenization.columns
    if isinstance(what, (int, np.integer)) and not isinstance(what, bool):
        return np.flatnonzero(columns.ids == int(what)).astype(np.int32)
    if not isinstance(what, str) or not what:
        raise InputError(f"A token is looked for by its text, name or id, not {what!r}; give one of them.")
    found = np.flatnonzero(_called(tokenization, what))
    if not found.size and what.strip().isdecimal():
        found = np.flatnonzero(columns.ids == min(int(what), 2**31 - 1))
    return found.astype(np.int32)


def _called(tokenization: Tokenization, what: str) -> np.ndarray:
    """Which tokens have this text or this name, bool (n,)."""
    columns, words = tokenization.columns, tokenization.words
    named = [number for number, name in words.by_id.items() if name == what]
    found = np.isin(columns.ids, np.array(named, dtype=np.int32))
    if words.by_index:  # some are not called by their id
        for index, name in words.by_index.items():
            found[index] = name == what
    # By text: one id has several texts only where it is [UNK] or where the name is spelled otherwise, so look where
    # the length fits and at the first letter before the others.
    fits = np.flatnonzero((columns.text_ends - columns.text_starts == len(what)) & ~columns.special & ~found)
    codes = np.frombuffer(tokenization.text.encode("utf-32-le"), dtype=np.uint32)
    for step, letter in enumerate(what):
        fits = fits[codes[columns.text_starts[fits] + step] == ord(letter)]
    found[fits] = True
    return found
