"""Small models of the real architecture, and the published tokenizer and known answer they are tried with."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from biollm_widgets.models.dnabert2 import DNABert2Config

PARTS = {"vocab_size": 64, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40}


@pytest.fixture
def tiny() -> DNABert2Config:
    """A config whose models are made in milliseconds. Three heads: the slopes are no plain geometric series.

    Weights start ten times wider than usual, so that every part of the network shows in its output.
    """
    torch.manual_seed(0)
    return DNABert2Config(**PARTS, initializer_range=0.2)


@pytest.fixture(scope="session")
def published_layout(shared_data: Path) -> Path:
    """A small checkpoint with random weights, laid out on disk as the published one is."""
    return shared_data / "dnabert2_reference" / "model"


@pytest.fixture(scope="session")
def tokenizer(shared_data: Path) -> PreTrainedTokenizerBase:
    """DNABERT-2's published tokenizer."""
    return AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer")


class Collect(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if not line.startswith("Device set to use"):  # transformers 4.50 warns of it in every pipeline
            self.lines.append(line)


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What transformers logs at the level of a warning or above while the test runs."""
    handler = Collect()
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)


@pytest.fixture
def batch() -> dict[str, Any]:
    """Three rows of random tokens, nine, five and one real ones, padded on the right."""
    ids = torch.randint(5, 64, (3, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1] * 9, [1] * 5 + [0] * 4, [1] + [0] * 8])
    return {"input_ids": ids.masked_fill(mask == 0, 3), "attention_mask": mask}
