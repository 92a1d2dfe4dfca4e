"""DNABERT-2 here gives the numbers that the published code gives."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from biollm_widgets.models.dnabert2 import (
    DNABert2Config,
    DNABert2ForMaskedLM,
    DNABert2ForSequenceClassification,
    DNABert2Model,
    alibi_bias,
    alibi_slopes,
)

TOLERANCE = 1e-5
# Written out once more, by hand, from the paper: the test must not borrow the rule it tests.
SLOPES_12 = [2.0**-p for p in (1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5)]


@pytest.fixture(scope="module")
def expected(shared_data: Path) -> Any:
    folder = shared_data / "dnabert2_reference"
    with np.load(folder / "expected.npz") as arrays:
        known = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    known["sequences"] = json.loads((folder / "sequences.json").read_text())["sequences"]
    return SimpleNamespace(**known)


@pytest.fixture(scope="module")
def encoder(published_layout: Path) -> DNABert2Model:
    return DNABert2Model.from_pretrained(published_layout).eval()


def largest(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


@torch.inference_mode()
def test_hidden_states_pooled_and_mean_are_the_published_ones(encoder: DNABert2Model, expected: Any) -> None:
    mask = expected.attention_mask
    out = encoder(expected.input_ids, mask)
    assert largest(out.last_hidden_state, expected.hidden) < TOLERANCE
    assert largest(out.pooler_output, expected.pooled) < TOLERANCE
    mean = (out.last_hidden_state * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    assert largest(mean, expected.mean) < TOLERANCE


@torch.inference_mode()
def test_the_published_tokenizer_and_model_together_give_the_known_answer(
    encoder: DNABert2Model, tokenizer: PreTrainedTokenizerBase, expected: Any
) -> None:
    batch = tokenizer(expected.sequences, return_tensors="pt", padding=True)
    assert torch.equal(batch["input_ids"], expected.input_ids)
    assert largest(encoder(**batch).last_hidden_state, expected.hidden) < TOLERANCE


@torch.inference_mode()
def test_attention_written_out_gives_the_published_numbers_too(published_layout: Path, expected: Any) -> None:
    eager = DNABert2Model.from_pretrained(published_layout, attn_implementation="eager").eval()
    assert largest(eager(expected.input_ids, expected.attention_mask)[0], expected.hidden) < TOLERANCE


@torch.inference_mode()
def test_masked_lm_logits_and_loss_are_the_published_ones(published_layout: Path, expected: Any) -> None:
    model = DNABert2ForMaskedLM.from_pretrained(published_layout).eval()
    real = expected.attention_mask == 1
    labels = expected.input_ids.masked_fill(~real, -100)
    out = model(expected.input_ids, expected.attention_mask, labels=labels)
    assert largest(out.logits[..., :64][real], expected.mlm_logits[real]) < TOLERANCE
    assert largest(out.loss, expected.mlm_loss) < TOLERANCE


@torch.inference_mode()
def test_class_logits_are_the_published_ones(published_layout: Path, expected: Any) -> None:
    model = DNABert2ForSequenceClassification.from_pretrained(published_layout).eval()
    model.classifier.weight.copy_(expected.classifier_weight)
    model.classifier.bias.copy_(expected.classifier_bias)
    out = model(expected.input_ids, expected.attention_mask)
    assert largest(out.logits, expected.class_logits) < TOLERANCE


@torch.inference_mode()
def test_the_packed_path_gives_the_published_numbers(encoder: DNABert2Model, expected: Any) -> None:
    real = expected.attention_mask == 1
    packed = encoder.forward_packed(expected.input_ids[real], real.sum(1).tolist())
    assert largest(packed, expected.hidden[real]) < TOLERANCE


def plain_dnabert2(state: dict[str, Tensor], ids: Tensor, heads: int, layers: int) -> Tensor:
    """The architecture as the paper and the published code describe it, one sequence, head by head, in float64."""
    w = {name: value.double() for name, value in state.items()}
    far = (torch.arange(len(ids))[:, None] - torch.arange(len(ids))[None, :]).abs().double()

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scale = (centred.square().mean(-1, keepdim=True) + 1e-12).sqrt()
        return centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = norm(
        w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][0],
        "embeddings.LayerNorm",
    )
    width = x.shape[1] // heads
    for n in range(layers):
        at = f"encoder.layer.{n}"
        qkv = x @ w[f"{at}.attention.self.Wqkv.weight"].T + w[f"{at}.attention.self.Wqkv.bias"]
        mixed = []
        for h in range(heads):
            q, k, v = (qkv[:, (part * heads + h) * width :][:, :width] for part in range(3))
            weights = (q @ k.T / math.sqrt(width) - SLOPES_12[h] * far).softmax(-1)
            mixed.append(weights @ v)
        dense = f"{at}.attention.output"
        x = norm(
            torch.cat(mixed, 1) @ w[f"{dense}.dense.weight"].T + w[f"{dense}.dense.bias"] + x, f"{dense}.LayerNorm"
        )
        both = x @ w[f"{at}.mlp.gated_layers.weight"].T
        half = both.shape[1] // 2
        gate = both[:, :half] * 0.5 * (1 + torch.erf(both[:, :half] / math.sqrt(2)))
        x = norm(
            (gate * both[:, half:]) @ w[f"{at}.mlp.wo.weight"].T + w[f"{at}.mlp.wo.bias"] + x, f"{at}.mlp.layernorm"
        )
    return x


@torch.inference_mode()
def test_more_than_512_tokens_of_genome_agree_with_the_formulas_in_float64(
    published_layout: Path, tokenizer: PreTrainedTokenizerBase, shared_data: Path
) -> None:
    [genome] = (shared_data / "genome").glob("*.fna.gz")
    with gzip.open(genome, "rt") as lines:
        next(lines)
        sequence = "".join(next(lines).strip() for _ in range(50))
    batch = tokenizer([sequence, sequence[:90]], return_tensors="pt", padding=True)
    assert batch["input_ids"].shape[1] > 700
    model = DNABert2Model.from_pretrained(published_layout).eval()
    known = plain_dnabert2(model.state_dict(), batch["input_ids"][0], heads=12, layers=3)
    assert largest(model(**batch).last_hidden_state[0].double(), known) < TOLERANCE
    # In float64 what is left is the slopes, which are kept in float32 as in the published code.
    assert largest(model.double()(**batch).last_hidden_state[0], known) < 1e-7


def test_slopes_follow_the_rule_for_powers_of_two_and_in_between() -> None:
    assert alibi_slopes(12) == pytest.approx(SLOPES_12, rel=1e-12)
    assert alibi_slopes(8) == [2.0**-p for p in range(1, 9)]
    assert alibi_slopes(6) == [2.0**-p for p in (2, 4, 6, 8, 1, 3)]
    assert alibi_slopes(1) == [2.0**-8]


def test_the_alibi_bias_falls_off_linearly_on_both_sides() -> None:
    bias = alibi_bias(12, 5, torch.device("cpu"), torch.float32)
    assert bias.shape == (12, 5, 5)
    assert bias[0, 2].tolist() == [-1.0, -0.5, 0.0, -0.5, -1.0]
    assert bias[8, 0, 4].item() == pytest.approx(-4 * 2**-0.5)


def test_the_default_config_has_as_many_parameters_as_the_published_model() -> None:
    with torch.device("meta"):
        model = DNABert2ForSequenceClassification(DNABert2Config())
    assert sum(p.numel() for p in model.parameters()) == 117_070_082


def test_parameter_names_and_shapes_are_those_of_the_published_file(published_layout: Path) -> None:
    published = torch.load(published_layout / "pytorch_model.bin", weights_only=True)
    config = DNABert2Config.from_pretrained(published_layout)
    with torch.device("meta"):
        ours = {**DNABert2ForMaskedLM(config).state_dict(), **DNABert2ForSequenceClassification(config).state_dict()}
    ours = {name: tuple(value.shape) for name, value in ours.items() if not name.startswith("classifier.")}
    assert ours == {name: tuple(value.shape) for name, value in published.items()}
