"""The catalog: complete, honest about what it does not know, and of help when a verb cannot take a model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from biollm_widgets.cli import VERBS
from biollm_widgets.errors import InputError
from biollm_widgets.models import cache
from biollm_widgets.models.catalog import CATALOG, find, require

DNABERT2 = "zhihan1996/DNABERT-2-117M"


def test_every_model_of_the_chapter_is_there_and_complete():
    assert [model.name for model in CATALOG] == [
        "DNABERT", "DNABERT-2", "DNABERT-S", "DNAGPT", "HyenaDNA", "GROVER", "ProtGPT2", "ProteinBERT", "ESMFold",
        "ProGen",
    ]  # fmt: skip
    for model in CATALOG:
        assert model.architecture and model.task and model.tokenizer and model.alphabet in ("dna", "protein")
        assert re.fullmatch(r"doi:10\.\d{4,}/\S+|arXiv:\d{4}\.\d{5}", model.paper), model.name
        assert model.published.startswith("https://")
        assert model.on_hub == ("/" in model.id)
        # Either it loads and verbs take it, or there is a reason and something to take instead.
        assert bool(model.verbs) == model.loadable
        assert model.loadable or model.instead
        assert set(model.verbs) <= {*VERBS, "generate"}
    assert len({model.id.lower() for model in CATALOG} | {model.name.lower() for model in CATALOG}) == 17


def test_the_stand_ins_are_there_and_much_smaller():
    for model in CATALOG:
        if model.stand_in is not None:
            assert cache.holds(model.stand_in) and model.stand_in_words
            assert cache.size_of(model.stand_in) < 8_000_000 < model.size_bytes


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("DNABERT", {"vocab_size": 4101}),
        ("DNABERT-2", {}),
        ("DNABERT-S", {}),
        ("ProtGPT2", {"n_layer": 36, "n_embd": 1280, "n_head": 20}),
    ],
)
def test_parameters_are_those_of_the_class(name, config):
    """Counted on torch's meta device: no memory is taken."""
    import torch
    from transformers import BertConfig, BertForPreTraining, GPT2Config, GPT2LMHeadModel

    from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2Model

    with torch.device("meta"):
        if name == "DNABERT":
            model = BertForPreTraining(BertConfig(**config))
            model.cls.seq_relationship = torch.nn.Identity()  # its checkpoint has the pooler, but not this head
        elif name == "ProtGPT2":
            model = GPT2LMHeadModel(GPT2Config(**config))
        else:
            model = DNABert2Model(DNABert2Config(**config))
    entry = find(name)
    assert entry.parameters == sum(weights.numel() for weights in model.parameters())
    # Four bytes each, and nothing to speak of beside (GPT-2 of old keeps its causal masks: 36 x 1,024^2 bytes).
    beside = 36 * 1024**2 if name == "ProtGPT2" else 0
    assert entry.size_bytes == pytest.approx(4 * entry.parameters + beside, rel=0.002)


def test_esmfold_has_as_many_parameters_as_the_class_and_its_size_is_that_of_a_half_precision_stem():
    import torch
    from transformers import EsmConfig, EsmForProteinFolding

    config = EsmConfig(
        vocab_size=33, hidden_size=2560, num_hidden_layers=36, num_attention_heads=40, intermediate_size=10240,
        position_embedding_type="rotary", pad_token_id=1, mask_token_id=32, is_folding_model=True, esmfold_config={},
    )  # fmt: skip
    with torch.device("meta"):
        model = EsmForProteinFolding(config)
    whole, stem = (sum(weights.numel() for weights in part.parameters()) for part in (model, model.esm))
    entry = find("ESMFold")
    assert entry.parameters == pytest.approx(whole, rel=0.001)  # transformers 4 adds a table of positions, unused
    assert entry.size_bytes == pytest.approx(2 * stem + 4 * (whole - stem), rel=0.002)


@pytest.mark.parametrize("name", ["dnabert-2", DNABERT2, DNABERT2.upper(), " DNABERT-2 "])
def test_a_model_is_found_by_its_name_and_by_its_id(name):
    assert find(name).id == DNABERT2


@pytest.mark.parametrize("name", ["bert-base-uncased", "", "DNABERT-22"])
def test_others_are_not_found_and_pass(name):
    assert find(name) is None
    assert require(name, "embed") is None


REFUSED = [
    ("HyenaDNA", "embed", "needs code from its own repository, which this package never runs. Instead, take DNABERT-2"),
    ("LongSafari/hyenadna-large-1m-seqlen-hf", "fetch", "HyenaDNA cannot be loaded here: it needs code"),
    ("DNAGPT", "generate", "DNAGPT cannot be loaded here: its weights are on a shared drive"),
    ("ProteinBERT", "tokenize", "it is a Keras model"),
    ("ProGen", "generate", "take ProtGPT2 for new proteins"),
    ("nferruz/ProtGPT2", "embed", "ProtGPT2 (next token of natural proteins) is for tokenize and generate here, not"),
    (
        "DNABERT-2",
        "generate",
        "for tokenize, embed, classify and finetune here, not for generate. Instead, take nferruz",
    ),
    ("ESMFold", "generate", "is for tokenize here, not for generate. Instead, fold with transformers' own"),
]


@pytest.mark.parametrize(("name", "verb", "words"), REFUSED)
def test_a_verb_that_cannot_take_a_model_says_why_and_what_to_take(name, verb, words):
    with pytest.raises(InputError, match=re.escape(words)):
        require(name, verb)


@pytest.mark.parametrize("model", [model for model in CATALOG if model.loadable], ids=lambda model: model.name)
def test_what_the_catalog_promises_is_let_through(model):
    for verb in (*model.verbs, "fetch"):
        assert require(model.id, verb) is model


def test_a_folder_is_not_judged_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("HyenaDNA").mkdir()
    assert require("HyenaDNA", "embed") is None


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (999, "999 bytes"),
        (854_321, "854 kB"),
        (3_234_567, "3.2 MB"),
        (9_960_000, "10 MB"),
        (468_000_000, "468 MB"),
        (999_600_000, "1.00 GB"),
        (3_130_000_000, "3.13 GB"),
    ],
)
def test_sizes_in_words(size, words):
    assert cache.in_words(size) == words


@pytest.mark.parametrize(
    ("count", "words"), [(1_594_368, "1.6 M"), (774_030_080, "774 M"), (16_000_000, "16 M"), (3_525_038_915, "3.5 B")]
)
def test_parameters_in_words(count, words):
    assert cache.count_in_words(count) == words
