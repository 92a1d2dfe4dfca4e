"""Proteomes as training text: which proteins are learned from, and which families are held out.

Proteins of one genome are related: a held-out protein with a near copy among those learned from measures memory. So
whole families are held out, a family being all proteins that are joined by stretches of ten residues in common.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from biollm_widgets.sequences import AMINO_ACIDS, read_fasta

STRETCH = 10  # residues in common; by chance, two proteins of 400 share one about once in 10^8 pairs (20^-10 * 400^2)
LARGEST = 20  # proteins: one family of transposons must not become the whole held-out text
SHARE = 0.05  # of the residues in each of the two held-out parts


@dataclass(frozen=True)
class Proteins:
    """Sequences of the twenty amino acids, each once.

    Attributes
    ----------
    train : list of str
        Learned from.
    dev : list of str
        Looked at while training.
    test : list of str
        Looked at once, for the table in the model's README.
    left_out : dict
        How many of the given proteins were duplicates, and how many had other letters than the twenty.
    """

    train: list[str]
    dev: list[str]
    test: list[str]
    left_out: dict[str, int]


def load_proteins(paths: Sequence[str | Path]) -> Proteins:
    """Read FASTA files (gzip or not), drop duplicates and other letters, hold families out; the same every time."""
    known: dict[str, None] = {}
    left_out = {"duplicates": 0, "other letters": 0}
    for path in paths:
        for record in read_fasta(path, alphabet="protein", duplicates="keep"):
            if set(record.sequence) - set(AMINO_ACIDS):
                left_out["other letters"] += 1
            elif record.sequence in known:
                left_out["duplicates"] += 1
            else:
                known[record.sequence] = None
    sequences = list(known)

    # An order that has nothing to do with the files' own, in which related proteins stand together.
    def draw(family: list[str]) -> bytes:
        return hashlib.blake2b(min(family).encode()).digest()

    wanted = SHARE * sum(map(len, sequences))
    train: list[str] = []
    dev: list[str] = []
    test: list[str] = []
    for family in sorted(families(sequences), key=draw):
        side = train
        if len(family) <= LARGEST:
            side = next((part for part in (test, dev) if sum(map(len, part)) < wanted), train)
        side.extend(family)
    return Proteins(train, dev, test, left_out)


def families(sequences: list[str], stretch: int = STRETCH) -> list[list[str]]:
    """Group sequences that are joined, directly or by way of others, by `stretch` letters in a row in common."""
    parent = list(range(len(sequences)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, sequence in enumerate(sequences):
        for start in range(len(sequence) - stretch + 1):
            other = first.setdefault(sequence[start : start + stretch], i)
            if other != i:
                parent[root(i)] = root(other)
    groups: dict[int, list[str]] = defaultdict(list)
    for i, sequence in enumerate(sequences):
        groups[root(i)].append(sequence)
    return list(groups.values())
