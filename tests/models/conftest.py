"""Small models of the real architecture, and the published tokenizer and known answer they are tried with."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from chapter import chapter_like
from hub import Hub, Stored
from learner import CODE, DNABERT2, PROTGPT2, Learner
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


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> dict[str, dict[str, bytes]]:
    """DNABERT-2 and ProtGPT2 as the hub has them, small and with random weights, and what must never be asked for."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    def read(folder: Path) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in folder.iterdir()}

    code = dict.fromkeys(CODE, b"raise SystemExit('remote code was run')\n")
    dnabert2 = {
        **read(shared_data / "dnabert2_tokenizer"),
        **read(shared_data / "dnabert2_reference" / "model"),
        **code,
        ".gitattributes": b"*.bin filter=lfs\n",
        "README.md": b"# DNABERT-2\n",
        "LICENSE": b"Apache License\n",
        "generation_config.json": b'{"_from_model_config": true}',
    }
    folder = tmp_path_factory.mktemp("protgpt2")
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0))
    model.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    tokenizer = read(shared_data / "protgpt2_tokenizer")
    tokenizer.pop("config.json")
    protgpt2 = {
        **read(folder),
        **tokenizer,
        "tf_model.h5": b"tf",
        "flax_model.msgpack": b"flax",
        "onnx/model.onnx": b"onnx",
        "README.md": b"# ProtGPT2\n",
    }
    return {DNABERT2: dnabert2, PROTGPT2: protgpt2}


@pytest.fixture
def hub(repositories):
    with Hub(repositories) as hub:
        hub.files["data.csv"] = Stored(chapter_like(), large=False)
        yield hub


@pytest.fixture
def learner(tmp_path, hub):
    return Learner(tmp_path / "hf", hub.url)
