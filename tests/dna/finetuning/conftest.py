"""A DNABERT-2 small enough to be trained in a test, and real sequences to train it on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer

from biollm_widgets.dna.splits import Splits, write_splits
from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2ForMaskedLM


@pytest.fixture(scope="session")
def tiny_model(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A three-layer DNABERT-2 without a pooler, as masked-LM training leaves it, with the published tokenizer."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = DNABert2Config(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, hidden_dropout_prob=0.0
    )
    DNABert2ForMaskedLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def noisy_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with dropout."""
    folder = tmp_path_factory.mktemp("noisy") / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.2}))
    return folder


@pytest.fixture(scope="session")
def tiny_data(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train.csv, dev.csv and test.csv with 44, 16 and 20 windows of E. coli, coding or not."""
    frame = pd.read_csv(shared_data / "ecoli_coding_noncoding.csv").sample(80, random_state=5)
    frame = pd.DataFrame({"sequence": frame["DNA_sequence"].str[:120], "label": frame["Target"]})
    folder = tmp_path_factory.mktemp("data")
    write_splits(Splits(frame[:44], frame[44:60], frame[60:]), folder)
    return folder


@pytest.fixture
def flags(tiny_model: Path, tiny_data: Path, tmp_path: Path) -> dict[str, Any]:
    """A run of 22 steps in two epochs with evaluations after steps 8 and 16, as arguments of `finetune`."""
    return {
        "model_name_or_path": str(tiny_model),
        "data_path": str(tiny_data),
        "output_dir": str(tmp_path / "out"),
        "run_name": "tiny",
        "model_max_length": 40,
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 8,
        "num_train_epochs": 2,
        "learning_rate": 3e-3,
        "warmup_steps": 2,
        "eval_steps": 8,
        "logging_steps": 50,
        "save_total_limit": 10,
        "disable_tqdm": True,
        "seed": 3,
    }


@pytest.fixture
def words() -> Callable[[dict[str, Any]], list[str]]:
    """Arguments of `finetune` as words of a command line."""
    return lambda flags: [word for name, value in flags.items() for word in (f"--{name}", str(value))]
