"""The checks judge understanding, not the model: right answers get all points with weights that nobody trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

import biollm_widgets as bio
from biollm_widgets.checks import judge

from .dna_answers import DNA
from .protein_answers import PROTEIN


@pytest.fixture
def published(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published tokenizers in the place of the embedded ones."""
    from biollm_widgets.checks import inputs

    folders = {"zhihan1996/DNABERT-2-117M": "dnabert2_tokenizer", "nferruz/ProtGPT2": "protgpt2_tokenizer"}
    loaded = {name: AutoTokenizer.from_pretrained(shared_data / folder) for name, folder in folders.items()}
    monkeypatch.setattr(inputs, "embedded_tokenizer", loaded.__getitem__)
    return shared_data


@pytest.mark.parametrize(
    "name", ["dna.bases_per_token", "dna.changed_tokens", "protein.residues_per_token", "protein.prompt_cost"]
)
def test_right_and_wrong_are_told_apart_with_the_published_tokenizers(name: str, published: Path) -> None:
    answers = {**DNA, **PROTEIN}[name]
    for answer in answers.right:
        assert judge(name, answer, at_grading=True).credit == 1.0
    for kind, (_, answer) in answers.wrong.items():
        if kind != "the notebook's tokenizer":  # the wrong answer itself has the embedded one
            assert judge(name, answer).credit < 1, kind


def test_an_embedding_is_right_or_wrong_with_random_weights_of_the_real_architecture(shared_data: Path) -> None:
    torch.manual_seed(1)
    config = bio.DNABert2Config(
        hidden_size=96, num_hidden_layers=3, num_attention_heads=12, intermediate_size=192, pad_token_id=3
    )
    model = bio.DNABert2Model(config).eval()
    tokenizer = AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer")
    assert judge("dna.embedding", lambda sequences: bio.embed(sequences, tokenizer, model)).credit == 1.0

    def without_mask(sequences: list[str]) -> torch.Tensor:
        rows = tokenizer(sequences, return_tensors="pt", padding=True)
        with torch.no_grad():
            return model(rows["input_ids"])[0].mean(1)

    assert judge("dna.embedding", without_mask).mistake == "batch"
