"""The E. coli genome as training text: which stretches are learned from, which are held out, and windows of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biollm_widgets.sequences import read_fasta, reverse_complement

BLOCK = 10_000  # bases; long against a window, short against the genome, so that both sides see every kind of region
EVERY = 20  # one block in twenty is held out: 5 % of the genome, on both strands


@dataclass(frozen=True)
class Corpus:
    """Stretches of DNA, forward strand only; `windows` adds the other strand."""

    train: list[str]
    held_out: list[str]


def load_corpus(path: str | Path) -> Corpus:
    """Cut the genome in `path` (FASTA, gzip or not) into learned-from and held-out stretches, the same every time."""
    genome = "".join(record.sequence for record in read_fasta(path, alphabet="dna"))
    blocks = [genome[start : start + BLOCK] for start in range(0, len(genome), BLOCK)]
    train: list[str] = []
    run: list[str] = []
    for number, block in enumerate(blocks):
        if number % EVERY == EVERY - 1:
            train.append("".join(run))
            run = []
        else:
            run.append(block)
    train.append("".join(run))
    return Corpus([stretch for stretch in train if stretch], blocks[EVERY - 1 :: EVERY])


def windows(stretches: list[str], length: int, count: int, rng: np.random.Generator) -> list[str]:
    """`count` windows of `length` bases from anywhere in the stretches, each on either strand."""
    room = np.array([max(0, len(stretch) - length + 1) for stretch in stretches], dtype=float)
    if room.sum() == 0:
        raise ValueError(f"no stretch is as long as a window of {length} bases; use a longer genome.")
    where = rng.choice(len(stretches), size=count, p=room / room.sum())
    found = []
    for i in where:
        start = int(rng.integers(len(stretches[i]) - length + 1))
        window = stretches[i][start : start + length]
        found.append(reverse_complement(window) if rng.random() < 0.5 else window)
    return found
