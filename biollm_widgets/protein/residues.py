"""Letters of proteins as whole arrays, for the rooms of this folder that count and compare them."""

from __future__ import annotations

import numpy as np

from biollm_widgets.sequences import AMINO_ACIDS, clean_protein

# Number of each of the twenty, in the order of AMINO_ACIDS; -1 for any other letter.
CODES = np.full(256, -1, dtype=np.int8)
CODES[np.frombuffer(AMINO_ACIDS.encode(), dtype=np.uint8)] = np.arange(len(AMINO_ACIDS))


def checked(sequence: str, name: str = "the sequence") -> str:
    """The residues as plain capitals; empty stays empty.

    Raises
    ------
    InputError
        At the first letter that is no residue, with name, position and letter.
    """
    return clean_protein(sequence, name=name).sequence if sequence else ""


def as_bytes(sequence: str) -> np.ndarray:
    """The letters as (n,) uint8."""
    return np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)


def encode(sequence: str) -> np.ndarray:
    """Each residue's number from 0 to 19, -1 for a letter beyond the twenty; (n,) int8."""
    return CODES[as_bytes(sequence)]


def counts(sequence: str) -> np.ndarray:
    """How often each of the twenty is there; (20,) int64."""
    codes = encode(sequence)
    return np.bincount(codes[codes >= 0], minlength=len(AMINO_ACIDS))
