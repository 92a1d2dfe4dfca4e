"""Inputs that checks make on the spot: sequences, a tokenizer, a labelled table."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def dna(rng: np.random.Generator, length: int) -> str:
    """Random bases."""
    return _letters(rng, b"ACGT", length)


def protein(rng: np.random.Generator, length: int) -> str:
    """Random residues that begin with M."""
    return "M" + _letters(rng, b"ACDEFGHIKLMNPQRSTVWY", length - 1)


def _letters(rng: np.random.Generator, alphabet: bytes, length: int) -> str:
    return np.frombuffer(alphabet, np.uint8)[rng.integers(0, len(alphabet), length)].tobytes().decode()


@cache
def small_tokenizer() -> Any:
    """A BPE tokenizer of DNA with DNABERT-2's special tokens and hardly a merge: no other one cuts as it does."""
    from tokenizers import Tokenizer, models, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "A", "C", "G", "T", "AC", "GT", "ACGT", "TA"]
    vocabulary = {word: number for number, word in enumerate(words)}
    raw = Tokenizer(models.BPE(vocabulary, [("A", "C"), ("G", "T"), ("AC", "GT"), ("T", "A")], unk_token="[UNK]"))
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        mask_token="[MASK]",
    )  # fmt: skip


@cache
def embedded_tokenizer(name: str) -> Any:
    """That of an embedded model: it is there without a network, and the same everywhere. Nobody is told of it."""
    from transformers import AutoTokenizer

    from biollm_widgets.models import dnabert2  # noqa: F401 (its folder says "dnabert2", which is known from here on)
    from biollm_widgets.models.catalog import find

    entry = find(name)
    assert entry is not None and entry.stand_in is not None, name
    return AutoTokenizer.from_pretrained(entry.stand_in)


def labelled(rng: np.random.Generator, rows: int, share: float, copies: int, length: int = 24) -> pd.DataFrame:
    """A table as the data set's, the coding ones first, with rows that stand in it twice.

    Parameters
    ----------
    share : float
        Of the rows before copies are added that have the label 1.
    copies : int
        Rows to add that are there already, with the same label.
    """
    import pandas as pd

    ones = round(rows * share)
    frame = pd.DataFrame(
        {"DNA_sequence": [dna(rng, length) for _ in range(rows)], "Target": [1] * ones + [0] * (rows - ones)}
    )
    twice = frame.iloc[np.sort(rng.choice(rows, copies, replace=False))]
    frame = pd.concat([frame, twice]).sort_values("Target", ascending=False, kind="stable")
    return frame.reset_index(drop=True)
