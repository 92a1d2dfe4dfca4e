"""Bits per base on held-out DNA: the embedded model against a uniform and an order-3 Markov model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from biollm_widgets.models.dnabert2 import DNABert2ForMaskedLM

HIDDEN_AT_ONCE = 7  # one token in seven is hidden at a time, about BERT's 15 %; after seven rounds each was hidden once


def markov_bits(train: list[str], test: list[str], order: int) -> float:
    """Bits per base of a Markov model of this order, with one pseudocount, fitted on both strands of `train`.

    The first `order` bases of each test sequence have no full context and are not counted.
    """
    size = 4**order
    counts = np.ones((size, 4))
    for strand in train:
        for codes in (_codes(strand), 3 - _codes(strand)[::-1]):
            contexts, bases = _contexts(codes, order)
            np.add.at(counts, (contexts, bases), 1.0)
    surprise = -np.log2(counts / counts.sum(1, keepdims=True))
    total, bases_seen = 0.0, 0
    for sequence in test:
        contexts, bases = _contexts(_codes(sequence), order)
        total += float(surprise[contexts, bases].sum())
        bases_seen += len(bases)
    return total / bases_seen


def _codes(sequence: str) -> np.ndarray:
    """A, C, G, T as 0 to 3, so that 3 minus a code is the complement."""
    table = np.full(256, 255, dtype=np.uint8)
    table[list(b"ACGT")] = range(4)
    codes = table[np.frombuffer(sequence.encode(), dtype=np.uint8)]
    if (codes == 255).any():
        raise ValueError("the genome has letters other than A, C, G and T; cut those stretches out first.")
    return codes.astype(np.int64)


def _contexts(codes: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    contexts = np.zeros(len(codes) - order, dtype=np.int64)
    for place in range(order):
        contexts = contexts * 4 + codes[place : place + len(contexts)]
    return contexts, codes[order:]


def token_unigram_bits(tokenizer: Any, train: list[str], test: list[str]) -> float:
    """Bits per base of guessing each token by its frequency alone: what the tokens' boundaries give away."""
    counts = np.ones(len(tokenizer))
    for ids in tokenizer(train, add_special_tokens=False)["input_ids"]:
        np.add.at(counts, ids, 1.0)
    surprise = -np.log2(counts / counts.sum())
    ids = tokenizer(test, add_special_tokens=False)["input_ids"]
    return float(sum(surprise[row].sum() for row in ids)) / sum(map(len, test))


@torch.inference_mode()
def masked_bits(model: DNABert2ForMaskedLM, tokenizer: Any, test: list[str]) -> float:
    """Bits per base of the masked-LM: every token of `test` is hidden once, one in seven at a time.

    It sees both sides and where tokens begin and end, and a Markov model sees neither; so this is a pseudo-likelihood
    and no length of a code.
    """
    model.eval()
    rows = sorted(tokenizer(test)["input_ids"], key=len)
    nats = 0.0
    for start in range(0, len(rows), 64):
        part = rows[start : start + 64]
        longest = max(map(len, part))
        ids = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in part])
        mask = (ids != tokenizer.pad_token_id).long()
        inside = (ids > tokenizer.mask_token_id) & mask.bool()
        place = torch.arange(longest)
        for offset in range(HIDDEN_AT_ONCE):
            hidden = inside & (place % HIDDEN_AT_ONCE == offset)
            shown = ids.masked_fill(hidden, tokenizer.mask_token_id)
            logits = model.cls.predictions(model.bert(shown, mask)[0][hidden])
            nats += F.cross_entropy(logits, ids[hidden], reduction="sum").item()
    return nats / math.log(2) / sum(map(len, test))
