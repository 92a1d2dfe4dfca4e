"""Small GPT-2s with random weights: one with the stand-in's tokenizer, one with ProtGPT2's published one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from biollm_widgets.models.catalog import EMBEDDED

STAND_IN = EMBEDDED / "protein"


def random_gpt2(vocabulary: int, **shape: Any) -> GPT2LMHeadModel:
    """A network whose guesses differ from token to token: weights start wide."""
    torch.manual_seed(0)
    config = {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 1024, "initializer_range": 0.3, **shape}
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, bos_token_id=0, eos_token_id=0, **config)).eval()


@pytest.fixture(scope="session")
def stand_in() -> tuple[Any, Any]:
    """The embedded model and its tokenizer."""
    return AutoTokenizer.from_pretrained(STAND_IN), GPT2LMHeadModel.from_pretrained(STAND_IN).eval()


@pytest.fixture(scope="session")
def published_tokenizer(shared_data: Path) -> Any:
    """ProtGPT2's own tokenizer."""
    return AutoTokenizer.from_pretrained(shared_data / "protgpt2_tokenizer")


@pytest.fixture(scope="session")
def real_vocabulary(published_tokenizer: Any) -> tuple[Any, Any]:
    """ProtGPT2's tokenizer and a small network with its 50,257 tokens and random weights."""
    return published_tokenizer, random_gpt2(50257)
