"""Bits a residue on held-out proteins: a language model against Markov models.

All of them write down whole proteins, so each also pays for where a protein ends, and ProtGPT2's layout pays for its
line breaks too. The sum is divided by the residues. A tokenizer's text can be cut in other ways than its own, which a
language model gives some probability to as well; so its bits are an upper bound.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biollm_widgets.protein.layout import layout_of
from biollm_widgets.protein.scoring import mean_nats, positions_of
from biollm_widgets.sequences import AMINO_ACIDS

LETTERS = AMINO_ACIDS + "*"  # * ends a protein
START = len(LETTERS)  # stands before it, as often as the order of the model needs


def uniform_bits() -> float:
    """Bits of a residue where all twenty are as likely; nothing is paid for the end."""
    return math.log2(len(AMINO_ACIDS))


def markov_bits(train: list[str], test: list[str], order: int) -> float:
    """Bits a residue of a Markov model of this order over residues and the end, with one pseudocount."""
    size = len(LETTERS)
    counts = np.ones(((size + 1) ** order, size))
    for sequence in train:
        np.add.at(counts, _contexts(sequence, order), 1.0)
    surprise = -np.log2(counts / counts.sum(1, keepdims=True))
    return sum(float(surprise[_contexts(sequence, order)].sum()) for sequence in test) / sum(map(len, test))


def _contexts(sequence: str, order: int) -> tuple[np.ndarray, np.ndarray]:
    """For each residue and the end: the number of the letters before it, and its own."""
    codes = np.array([START] * order + [LETTERS.index(letter) for letter in sequence] + [LETTERS.index("*")])
    count = len(codes) - order
    contexts = np.zeros(count, dtype=np.int64)
    for place in range(order):
        contexts = contexts * (len(LETTERS) + 1) + codes[place : place + count]
    return contexts, codes[order:]


def that_fit(model: Any, tokenizer: Any, proteins: list[str]) -> list[str]:
    """The proteins that have no more tokens than the model has positions."""
    layout, positions = layout_of(tokenizer), positions_of(model)
    return [
        sequence
        for sequence in proteins
        if positions is None or len(layout.ids(tokenizer, layout.whole(sequence))) <= positions
    ]


def model_bits(model: Any, tokenizer: Any, test: list[str]) -> float:
    """Bits a residue of a causal language model, on proteins that fit it."""
    layout = layout_of(tokenizer)
    rows = [layout.ids(tokenizer, layout.whole(sequence)) for sequence in test]
    nats = float((mean_nats(rows, model) * np.array([len(row) - 1 for row in rows])).sum())
    return nats / math.log(2) / sum(map(len, test))
