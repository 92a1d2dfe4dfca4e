"""DNABERT-2 in the pipelines of transformers, by model object and by folder name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase, pipeline

from biollm_widgets.models.dnabert2 import DNABert2ForMaskedLM, DNABert2ForSequenceClassification, DNABert2Model

SEQUENCES = ["ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC", "GATTACAGATTACA"]


def saved(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> str:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_fill_mask_gives_the_models_own_scores(
    published_layout: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, complaints: list[str]
) -> None:
    model = DNABert2ForMaskedLM.from_pretrained(published_layout).eval()
    text = "ACGTAGCATCGG[MASK]TATCTATCGACACTT"
    fill = pipeline("fill-mask", model=saved(model, tokenizer, tmp_path), device="cpu")
    assert type(fill.model) is DNABert2ForMaskedLM
    found = fill(text, top_k=3)
    batch = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        scores = model(**batch).logits[batch["input_ids"] == tokenizer.mask_token_id][0].softmax(-1)
    best = scores.topk(3)
    assert [one["token"] for one in found] == best.indices.tolist()
    assert [one["score"] for one in found] == pytest.approx(best.values.tolist(), rel=1e-4)
    assert complaints == []


def test_text_classification_names_the_labels_and_pads_safely(
    published_layout: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, complaints: list[str]
) -> None:
    names = {0: "non-coding", 1: "coding"}
    model = DNABert2ForSequenceClassification.from_pretrained(published_layout, id2label=names).eval()
    complaints.clear()  # that the new head is new
    torch.nn.init.normal_(model.classifier.weight)
    classify = pipeline("text-classification", model=saved(model, tokenizer, tmp_path), device="cpu", top_k=None)
    alone = [classify(sequence) for sequence in SEQUENCES]
    together = classify(SEQUENCES, batch_size=2)
    for sequence, one, other in zip(SEQUENCES, alone, together, strict=True):
        with torch.inference_mode():
            chance = model(**tokenizer(sequence, return_tensors="pt")).logits[0].softmax(-1)
        one = one[0] if isinstance(one[0], list) else one
        for given in (one, other):
            assert {names[i]: chance[i].item() for i in names} == pytest.approx(
                {label["label"]: label["score"] for label in given}, abs=1e-5
            )
    assert complaints == []


def test_feature_extraction_gives_the_hidden_states(
    published_layout: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, complaints: list[str]
) -> None:
    model = DNABert2Model.from_pretrained(published_layout).eval()
    extract = pipeline("feature-extraction", model=saved(model, tokenizer, tmp_path), device="cpu")
    for sequence in SEQUENCES:
        with torch.inference_mode():
            known = model(**tokenizer(sequence, return_tensors="pt"))[0]
        assert np.abs(np.array(extract(sequence)) - known.numpy()).max() < 1e-5
    assert complaints == []


def test_a_model_object_with_its_tokenizer_works_too(
    published_layout: Path, tokenizer: PreTrainedTokenizerBase, complaints: list[str]
) -> None:
    model = DNABert2ForMaskedLM.from_pretrained(published_layout)
    found = pipeline("fill-mask", model=model, tokenizer=tokenizer, device="cpu")("ACGT[MASK]ACGT", top_k=1)
    assert set(found[0]) == {"score", "token", "token_str", "sequence"}
    assert complaints == []


def test_the_tokenizer_beside_a_saved_model_is_found_and_the_same(
    published_layout: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    folder = saved(DNABert2Model.from_pretrained(published_layout), tokenizer, tmp_path / "with")
    again = AutoTokenizer.from_pretrained(folder)
    assert again(SEQUENCES)["input_ids"] == tokenizer(SEQUENCES)["input_ids"]
    # Without its settings the tokenizer has to be guessed from the config's model type.
    shutil.copytree(folder, tmp_path / "bare")
    (tmp_path / "bare" / "tokenizer_config.json").unlink()
    assert AutoTokenizer.from_pretrained(tmp_path / "bare")(SEQUENCES)["input_ids"] == tokenizer(SEQUENCES)["input_ids"]
