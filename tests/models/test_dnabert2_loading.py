"""Checkpoints of DNABERT-2: the published layout, our own, and what must not be loaded."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import warm
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
)

from biollm_widgets.errors import InputError
from biollm_widgets.models import dnabert2
from biollm_widgets.models.dnabert2 import (
    DNABert2Config,
    DNABert2ForMaskedLM,
    DNABert2ForSequenceClassification,
    DNABert2Model,
)

ALL = [DNABert2Model, DNABert2ForMaskedLM, DNABert2ForSequenceClassification]


@pytest.fixture
def folder(published_layout: Path, tmp_path: Path) -> Path:
    """A copy of the published layout that a test may change."""
    (tmp_path / "copy").mkdir()
    for file in published_layout.iterdir():
        shutil.copyfile(file, tmp_path / "copy" / file.name)
    return tmp_path / "copy"


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "pytorch_model.bin", weights_only=True)


def without(folder: Path, *beginnings: str) -> dict[str, torch.Tensor]:
    """Take the weights with such names out of the folder's checkpoint and give what is left."""
    left = {name: value for name, value in weights_of(folder).items() if not name.startswith(beginnings)}
    torch.save(left, folder / "pytorch_model.bin")
    return left


# The published layout


@pytest.mark.parametrize("kind", ALL)
def test_the_published_layout_loads_every_weight_and_says_nothing(
    kind: Any, published_layout: Path, complaints: list[str], recwarn: pytest.WarningsRecorder
) -> None:
    model, info = kind.from_pretrained(published_layout, output_loading_info=True)
    assert type(model.config) is DNABert2Config
    state = {name if name.startswith(("bert.", "cls.", "classifier.")) else f"bert.{name}": value
             for name, value in model.state_dict().items()}  # fmt: skip
    published = weights_of(published_layout)
    for name, value in state.items():
        if not name.startswith(("classifier.", "cls.predictions.decoder.weight")):
            assert torch.equal(value, published[name]), name
    new = {"classifier.weight", "classifier.bias"} if kind is DNABert2ForSequenceClassification else set()
    assert set(info["missing_keys"]) == new
    if not new:  # a new head is announced, as for any model of transformers
        assert complaints == []
    assert not any("instantiate" in line or "cls." in line or "pooler" in line for line in complaints)
    assert not recwarn.list


def test_loading_needs_no_remote_code_and_runs_none(folder: Path) -> None:
    # The published folder has its own Python files; were they run, this one would end the test.
    for name in ("configuration_bert.py", "bert_layers.py"):
        (folder / name).write_text("raise SystemExit('remote code ran')")
    config = DNABert2Config.from_pretrained(folder)
    assert not hasattr(config, "auto_map")
    assert type(AutoModel.from_pretrained(folder, config=config)) is DNABert2Model
    for auto in (AutoModelForMaskedLM, AutoModelForSequenceClassification):
        assert type(auto.from_pretrained(folder, config=config)).__module__ == dnabert2.__name__


def test_a_bin_file_cannot_run_code(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple:
            return (Path.touch, (mark,))

    torch.save({**weights_of(folder), "extra": Payload()}, folder / "pytorch_model.bin")
    with pytest.raises((OSError, pickle.UnpicklingError)):
        DNABert2Model.from_pretrained(folder)
    assert not mark.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert mark.exists()  # so the file would have run code, had it been read the old way


def test_safetensors_are_preferred_to_a_bin_file(folder: Path) -> None:
    other = {name: value.clone() for name, value in weights_of(folder).items()}
    other["bert.embeddings.LayerNorm.bias"] += 1
    save_file(other, folder / "model.safetensors", metadata={"format": "pt"})
    bias = DNABert2Model.from_pretrained(folder).embeddings.LayerNorm.bias
    assert torch.equal(bias, other["bert.embeddings.LayerNorm.bias"])
    assert not torch.equal(bias, weights_of(folder)["bert.embeddings.LayerNorm.bias"])


def test_a_checkpoint_without_a_pooler_gets_a_fresh_one_and_keeps_the_rest(folder: Path) -> None:
    left = without(folder, "bert.pooler", "cls")
    model, info = DNABert2Model.from_pretrained(folder, output_loading_info=True)
    assert set(info["missing_keys"]) == {"pooler.dense.weight", "pooler.dense.bias"}
    assert model.pooler.dense.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.pooler.dense.bias.eq(0).all()
    for name, value in left.items():
        assert torch.equal(model.state_dict()[name.removeprefix("bert.")], value), name


def test_without_the_pooling_layer_nothing_is_missing_and_nothing_is_said(folder: Path, complaints: list[str]) -> None:
    without(folder, "bert.pooler", "cls")
    model = DNABert2Model.from_pretrained(folder, add_pooling_layer=False).eval()
    out = model(torch.tensor([[1, 5, 2]]))
    assert out.pooler_output is None
    assert len(model(torch.tensor([[1, 5, 2]]), return_dict=False)) == 1
    assert complaints == []


def test_a_checkpoint_without_a_masked_lm_head_keeps_its_embeddings_tied(folder: Path) -> None:
    left = without(folder, "cls", "bert.pooler")
    model = DNABert2ForMaskedLM.from_pretrained(folder)
    words = model.bert.embeddings.word_embeddings.weight
    assert torch.equal(words, left["bert.embeddings.word_embeddings.weight"])
    assert model.cls.predictions.decoder.weight is words
    assert model.cls.predictions.decoder.bias.eq(0).all()
    assert model.cls.predictions.transform.dense.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.cls.predictions.transform.LayerNorm.weight.eq(1).all()


def test_a_bare_encoder_checkpoint_loads_into_every_model(published_layout: Path, tmp_path: Path) -> None:
    encoder = DNABert2Model.from_pretrained(published_layout)
    encoder.save_pretrained(tmp_path)
    for kind in (DNABert2ForMaskedLM, DNABert2ForSequenceClassification):
        loaded = kind.from_pretrained(tmp_path).bert.state_dict()
        assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in loaded.items())


# What is no DNABERT-2


def test_a_stock_bert_is_refused_in_a_sentence(tmp_path: Path) -> None:
    small = BertConfig(vocab_size=64, hidden_size=24, num_hidden_layers=1, num_attention_heads=3, intermediate_size=40)
    BertForMaskedLM(small).save_pretrained(tmp_path)
    for kind in [DNABert2Config, *ALL]:
        with pytest.raises(InputError, match=r"stock BERT.*not a DNABERT-2; name a DNABERT-2 checkpoint") as refusal:
            kind.from_pretrained(tmp_path)
        assert str(tmp_path) in str(refusal.value)


def test_another_kind_of_model_is_refused_by_its_name(tmp_path: Path) -> None:
    GPT2Config(n_layer=1, n_head=1, n_embd=8).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="holds a gpt2, not a DNABERT-2"):
        DNABert2Model.from_pretrained(tmp_path)


def test_a_hidden_size_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden_size 25 does not divide into 3 attention heads"):
        DNABert2Config(hidden_size=25, num_attention_heads=3)


# Our own checkpoints


@pytest.mark.parametrize("kind", ALL)
def test_a_saved_model_comes_back_the_same(
    kind: Any, tiny: DNABert2Config, batch: Any, tmp_path: Path, complaints: list[str]
) -> None:
    tiny.classifier_dropout, tiny.layer_norm_eps = 0.3, 1e-6
    model = kind(tiny).eval()
    model.save_pretrained(tmp_path)
    again = kind.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        assert torch.equal(model(**batch)[0], again(**batch)[0])
    for name in ("classifier_dropout", "layer_norm_eps", "hidden_size", "vocab_size", "initializer_range"):
        assert getattr(again.config, name) == getattr(tiny, name)
    assert not list(tmp_path.glob("*.bin"))
    assert complaints == []


def test_the_saved_config_says_what_it_is_and_points_at_no_code(published_layout: Path, tmp_path: Path) -> None:
    DNABert2ForMaskedLM.from_pretrained(published_layout).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["model_type"] == "dnabert2"
    assert saved["architectures"] == ["DNABert2ForMaskedLM"]
    assert "auto_map" not in saved
    assert saved["alibi_starting_size"] == 512


def test_the_decoder_is_tied_after_loading_and_saved_once(tiny: DNABert2Config, tmp_path: Path) -> None:
    model = DNABert2ForMaskedLM(tiny)
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as saved:
        names = set(saved.keys())
    assert len({"bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"} & names) == 1
    assert "cls.predictions.decoder.bias" in names
    again, info = DNABert2ForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert again.cls.predictions.decoder.weight is again.bert.embeddings.word_embeddings.weight
    assert not info["missing_keys"]


def test_weights_can_stay_untied(tiny: DNABert2Config, tmp_path: Path) -> None:
    tiny.tie_word_embeddings = False
    model = DNABert2ForMaskedLM(tiny)
    assert not torch.equal(model.cls.predictions.decoder.weight, model.bert.embeddings.word_embeddings.weight)
    model.save_pretrained(tmp_path)
    again = DNABert2ForMaskedLM.from_pretrained(tmp_path)
    assert torch.equal(again.cls.predictions.decoder.weight, model.cls.predictions.decoder.weight)
    assert torch.equal(again.bert.embeddings.word_embeddings.weight, model.bert.embeddings.word_embeddings.weight)


def test_auto_classes_know_a_saved_folder(tiny: DNABert2Config, tmp_path: Path, complaints: list[str]) -> None:
    DNABert2ForMaskedLM(tiny).save_pretrained(tmp_path / "lm")
    DNABert2ForSequenceClassification(tiny).save_pretrained(tmp_path / "classes")
    assert type(AutoConfig.from_pretrained(tmp_path / "lm")) is DNABert2Config
    assert type(AutoModelForMaskedLM.from_pretrained(tmp_path / "lm")) is DNABert2ForMaskedLM
    assert type(AutoModel.from_pretrained(tmp_path / "classes")) is DNABert2Model
    auto = AutoModelForSequenceClassification
    assert type(auto.from_pretrained(tmp_path / "classes")) is DNABert2ForSequenceClassification
    assert complaints == []


def test_labels_and_their_names_survive(tiny: DNABert2Config, tmp_path: Path) -> None:
    names = {0: "non-coding", 1: "coding", 2: "tRNA"}
    tiny.id2label, tiny.label2id = names, {name: i for i, name in names.items()}
    model = DNABert2ForSequenceClassification(tiny)
    assert model.classifier.out_features == 3
    model.save_pretrained(tmp_path)
    again = DNABert2ForSequenceClassification.from_pretrained(tmp_path)
    assert again.num_labels == 3
    assert again.config.id2label == names
    assert again.config.label2id["tRNA"] == 2


def test_the_number_of_labels_can_be_asked_for_when_loading(published_layout: Path) -> None:
    model = DNABert2ForSequenceClassification.from_pretrained(published_layout, num_labels=5)
    assert model.classifier.weight.shape == (5, 96)
    assert model.classifier.weight.std().item() == pytest.approx(0.02, rel=0.2)


# Fresh weights


def test_fresh_weights_start_as_berts_do() -> None:
    config = DNABert2Config(vocab_size=64, hidden_size=96, num_hidden_layers=2, intermediate_size=192)
    for kind in ALL:
        for name, module in kind(config).named_modules():
            if isinstance(module, (nn.Linear, nn.Embedding)) and module.weight.numel() > 1000:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.05), name
                assert abs(module.weight.mean().item()) < 1e-3, name
            if isinstance(module, nn.LayerNorm):
                assert module.weight.eq(1).all(), name
            if isinstance(getattr(module, "bias", None), torch.Tensor):
                assert module.bias.eq(0).all(), name


# Types, devices, copies


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_loaded_kept_and_finite(published_layout: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    word = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
    model = DNABert2Model.from_pretrained(published_layout, **{word: dtype}).eval()
    assert {p.dtype for p in model.parameters()} == {dtype}
    ids = torch.arange(5, 105)[None]
    full = DNABert2Model.from_pretrained(published_layout, **{word: torch.float32}).eval()
    with torch.inference_mode():
        half, known = model(ids)[0].float(), full(ids)[0]
    assert torch.nn.functional.cosine_similarity(half, known, dim=-1).min() > 0.998
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as saved:
        assert saved.get_tensor("embeddings.word_embeddings.weight").dtype == dtype


def test_loading_through_the_meta_device_leaves_no_garbage(published_layout: Path) -> None:
    plain = DNABert2Model.from_pretrained(published_layout).eval()
    model = DNABert2Model.from_pretrained(published_layout, low_cpu_mem_usage=True).eval()
    assert not list(model.buffers())  # what is no weight is computed anew: nothing there to fill with garbage
    ids = torch.arange(5, 105)[None]
    assert torch.equal(model(ids)[0], plain(ids)[0])


def test_blocks_that_stay_together_are_named_as_in_the_file(tiny: DNABert2Config) -> None:
    kinds = {type(module).__name__ for module in DNABert2ForSequenceClassification(tiny).modules()}
    assert set(DNABert2Model._no_split_modules) <= kinds


@pytest.mark.parametrize("away", ["bert.embeddings", "bert.encoder.layer.1", "bert.pooler"])
def test_weights_may_be_left_on_disk_until_they_are_needed(published_layout: Path, tmp_path: Path, away: str) -> None:
    parts = ["bert.embeddings", *(f"bert.encoder.layer.{n}" for n in range(3)), "bert.pooler", "dropout", "classifier"]
    torch.manual_seed(0)
    plain = DNABert2ForSequenceClassification.from_pretrained(published_layout).eval()
    plain.save_pretrained(tmp_path / "model")
    model = DNABert2ForSequenceClassification.from_pretrained(
        tmp_path / "model",
        device_map={part: "disk" if part == away else "cpu" for part in parts},
        offload_folder=tmp_path / "offload",
    ).eval()
    assert any(p.device.type == "meta" for p in model.parameters())
    ids = torch.arange(5, 105)[None]
    with torch.inference_mode():
        assert torch.equal(model(ids).logits, plain(ids).logits)


def test_a_deep_copy_is_a_model_of_its_own(tiny: DNABert2Config, batch: Any) -> None:
    model = DNABert2ForMaskedLM(tiny).eval()
    other = copy.deepcopy(model)
    assert other.cls.predictions.decoder.weight is other.bert.embeddings.word_embeddings.weight
    known = model(**batch)[0]
    with torch.no_grad():
        other.bert.embeddings.word_embeddings.weight.zero_()
    assert torch.equal(model(**batch)[0], known)


@pytest.mark.parametrize("size", [80, 50])
def test_resizing_the_vocabulary_keeps_the_tie(tiny: DNABert2Config, tmp_path: Path, size: int) -> None:
    model = DNABert2ForMaskedLM(tiny).eval()
    before = model.bert.embeddings.word_embeddings.weight.detach().clone()
    model.resize_token_embeddings(size)
    decoder = model.cls.predictions.decoder
    assert decoder.weight is model.bert.embeddings.word_embeddings.weight
    assert decoder.weight.shape == (size, 24) and decoder.bias.shape == (size,)
    assert torch.equal(decoder.weight[:50], before[:50])
    assert model.config.vocab_size == size
    assert model(torch.tensor([[1, 5, 2]])).logits.shape == (1, 3, size)
    model.save_pretrained(tmp_path)
    assert DNABert2ForMaskedLM.from_pretrained(tmp_path).config.vocab_size == size


@pytest.mark.slow
def test_saved_models_load_in_a_process_of_their_own_without_a_word(tiny: DNABert2Config, tmp_path: Path) -> None:
    DNABert2ForMaskedLM(tiny).save_pretrained(tmp_path)
    code = (
        "import sys; import biollm_widgets.models.dnabert2; from transformers import AutoModelForMaskedLM as A; "
        "from transformers.utils import logging; logging.disable_progress_bar(); "
        "print(type(A.from_pretrained(sys.argv[1])).__name__)"
    )
    process = warm.Process("-c", code, tmp_path, folder=tmp_path)
    assert process.communicate() == ("DNABert2ForMaskedLM\n", "") and process.returncode == 0
