"""The rows of train, dev and test as token ids, ready to be put into batches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerBase

from biollm_widgets.dna.splits import Splits
from biollm_widgets.errors import InputError


@dataclass(frozen=True, eq=False)
class Encoded:
    """One of the three parts.

    Attributes
    ----------
    ids
        n lists of token ids, special tokens included, not padded.
    labels
        int64 array (n,).
    cut
        How many rows had more tokens than `model_max_length` and lost their end.
    unknown
        Share of tokens that are `[UNK]`.
    """

    ids: list[list[int]]
    labels: np.ndarray
    cut: int
    unknown: float

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, (n,)."""
        return np.fromiter((len(row) for row in self.ids), dtype=np.int64, count=len(self.ids))

    def __len__(self) -> int:
        return len(self.ids)


def kmer_text(sequence: str, k: int) -> str:
    """Overlapping k-mers with spaces between them, as DNABERT (Ji et al. 2021) reads a sequence.

    >>> kmer_text("ACGTA", 3)
    'ACG CGT GTA'
    """
    return " ".join(sequence[i : i + k] for i in range(len(sequence) - k + 1))


def encode(frame: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, max_length: int, kmer: int = -1) -> Encoded:
    """Tokenize one part.

    Parameters
    ----------
    frame
        Columns `sequence, label`, or `sequence1, sequence2, label` for pairs.
    max_length
        In tokens. Longer rows lose their end; of a pair, the longer one does first.
    kmer
        3 to 6: give the tokenizer overlapping k-mers instead of the sequence.
    """
    texts = []
    for name in [column for column in frame.columns if column != "label"]:
        column = frame[name].tolist()
        if kmer != -1:
            short = next((i for i, text in enumerate(column) if len(text) < kmer), None)
            if short is not None:
                raise InputError(
                    f"Row {short + 1} has the sequence {column[short]!r}, shorter than one {kmer}-mer; "
                    "take the row out or give a smaller --kmer."
                )
            column = [kmer_text(text, kmer) for text in column]
        texts.append(column)
    # The token types of a pair are not used: neither does DNABERT-2's trainer.
    found = tokenizer(*texts, truncation=True, max_length=max_length, return_attention_mask=False)
    ids: list[list[int]] = found["input_ids"]
    if found.encodings:
        cut = sum(bool(encoding.overflowing) for encoding in found.encodings)
    else:  # a tokenizer written in Python does not say what it cut
        cut = sum(len(row) == max_length for row in ids)
    tokens = sum(map(len, ids))
    unknown = sum(row.count(tokenizer.unk_token_id) for row in ids) if tokenizer.unk_token_id is not None else 0
    return Encoded(ids, frame["label"].to_numpy(dtype=np.int64), cut, unknown / max(tokens, 1))


def encode_splits(
    splits: Splits, tokenizer: PreTrainedTokenizerBase, max_length: int, kmer: int
) -> tuple[dict[str, Encoded], list[str]]:
    """All three parts, and what a person should know about their tokens, a sentence each."""
    parts = {name: encode(frame, tokenizer, max_length, kmer) for name, frame in splits.items()}
    notes = []
    cut = {name: part.cut for name, part in parts.items() if part.cut}
    if cut:
        counts = ", ".join(f"{number} of {len(parts[name])} in {name}" for name, number in cut.items())
        notes.append(
            f"Sequences with more than {max_length} tokens lose their end: {counts} "
            "(--model_max_length counts tokens, not bases)."
        )
    unknown = max(part.unknown for part in parts.values())
    if unknown > 0.05:
        why = f" --kmer {kmer} is for DNABERT-1's tokenizers, not for BPE." if kmer != -1 else ""
        notes.append(
            f"Warning: {unknown:.0%} of the tokens are {tokenizer.unk_token}, which the model cannot read.{why}"
        )
    elif kmer != -1 and not set(map("".join, product("ACGT", repeat=kmer))) <= tokenizer.get_vocab().keys():
        notes.append(f"Warning: the tokenizer does not know every {kmer}-mer; --kmer {kmer} is for DNABERT-1 models.")
    return parts, notes


def fingerprint(parts: dict[str, Encoded]) -> str:
    """A short text that changes when any token or label of the three parts does."""
    digest = hashlib.sha256()
    for name, part in parts.items():
        digest.update(f"{name} {len(part)}".encode())
        digest.update(part.lengths.tobytes())
        digest.update(np.concatenate([np.asarray(row, dtype=np.int32) for row in part.ids]).tobytes())
        digest.update(part.labels.tobytes())
    return digest.hexdigest()[:16]


class Rows:
    """A dataset for the Trainer: row i, or row i with its weight in the step (`batches.py`), as a dictionary."""

    def __init__(self, inputs: Any, labels: np.ndarray, lengths: np.ndarray) -> None:
        self.inputs, self.labels, self.lengths = inputs, labels, lengths

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: Any) -> dict[str, Any]:
        row, weight = key if isinstance(key, tuple) else (key, 1.0)
        return {"row": row, "input": self.inputs[row], "label": int(self.labels[row]), "weight": weight}
