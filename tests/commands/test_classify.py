"""`biollm classify` from a person's side: tables, JSON, stored vectors, one sequence, and sentences for mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from biollm_widgets import cli
from biollm_widgets.dna.embedding import embed
from biollm_widgets.dna.encoders import load_encoder, random_twin
from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2Model

QUERY = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny DNABERT-2 with random weights that reads single letters."""
    folder = tmp_path_factory.mktemp("model")
    special = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    words = [*special.values(), "[MASK]", *"ACGT"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = DNABert2Config(
        vocab_size=9,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        initializer_range=0.3,
    )
    DNABert2Model(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory, shared_data):
    """120 of the real windows, cut to 90 bases."""
    frame = pd.read_csv(shared_data / "ecoli_coding_noncoding.csv").iloc[:120]
    path = tmp_path_factory.mktemp("data") / "windows.csv"
    frame.assign(DNA_sequence=frame["DNA_sequence"].str[:90]).to_csv(path, index=False)
    return str(path)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory, data, model):
    frame = pd.read_csv(data)
    path = tmp_path_factory.mktemp("vectors") / "vectors.npz"
    embed(frame["DNA_sequence"].tolist(), *load_encoder(model), progress=False, file=path, labels=frame["Target"])
    return str(path)


@pytest.fixture
def biollm(capsys):
    """Run the command in this process: status, stdout, stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ending:
            cli.run(["classify", *map(str, arguments)])
        said = capsys.readouterr()
        return ending.value.code, said.out, said.err

    return run


def test_a_csv_gives_a_table_a_finding_and_the_chapters_reports(biollm, data, model):
    status, out, err = biollm(data, "--model", model)
    assert status == 0, err
    assert out.startswith("84 rows to learn from, 36 to test on (stratified, seed 1)")
    for name in ("embedding, naive Bayes", "3-mer frequencies, logistic regression", "majority class"):
        assert name in out
    assert "The embedding does best with" in out
    assert out.count("predicted as") == 2 and "Traceback" not in err


def test_json_has_the_same_numbers_as_the_function(biollm, data, model):
    from biollm_widgets.dna.classification import classify

    status, out, _ = biollm(data, "--model", model, "--pooling", "max", "--seed", 3, "--kmer", 2, "--json")
    assert status == 0
    found = json.loads(out)
    frame = pd.read_csv(data)
    vectors = embed(frame["DNA_sequence"].tolist(), *load_encoder(model), pooling="max", progress=False)
    expected = classify(vectors, frame["Target"], frame["DNA_sequence"], seed=3, kmers=(2,)).to_dict()
    assert found["scores"] == json.loads(json.dumps(expected))["scores"]
    assert found["data"] == data and found["simulated"] is False
    assert found["embeddings"] == {"model": model, "pooling": "max"}


def test_stored_vectors_give_the_same_as_embedding_now(biollm, data, model, vectors):
    now, stored, alone = (
        json.loads(biollm(*arguments, "--json")[1])
        for arguments in ((data, "--model", model), (data, "--embeddings", vectors), ("--embeddings", vectors))
    )
    assert now["scores"] == stored["scores"]
    assert alone["scores"] == [score for score in now["scores"] if "mer" not in score["features"]]
    assert "no k-mer baseline" in alone["notes"][0]


def test_a_sample_of_rows_takes_their_vectors(biollm, data, model, vectors):
    now, stored = (
        json.loads(biollm(data, "--rows", 60, "--json", *arguments)[1])
        for arguments in (("--model", model), ("--embeddings", vectors))
    )
    assert now["train_rows"] + now["test_rows"] == 60
    assert now["scores"] == stored["scores"]


def test_the_control_is_the_same_network_with_other_weights(biollm, data, model):
    found = json.loads(biollm(data, "--model", model, "--control", "--json")[1])
    rows = {(row["features"], row["classifier"]): row for row in found["scores"]}
    assert ("random weights", "naive Bayes") in rows
    assert any("random weights" in name for name in found["mcc_differences"])

    network = load_encoder(model)[1]
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    twin = random_twin(network, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert sum(weight.numel() for weight in twin.parameters()) == sum(w.numel() for w in network.parameters())
    one, two, again = (random_twin(network, seed).state_dict() for seed in (1, 2, 1))
    name = "encoder.layer.0.mlp.wo.weight"
    assert torch.equal(one[name], again[name]) and torch.equal(one[name], twin.state_dict()[name])
    assert not torch.equal(one[name], two[name]) and not torch.equal(one[name], network.state_dict()[name])
    assert not twin.training


def test_one_sequence_is_classified_whatever_its_case(biollm, data, model, vectors):
    status, out, err = biollm(data, "--model", model, "--predict", QUERY, "--predict", QUERY.lower(), "--json")
    assert status == 0, err
    one, same = json.loads(out)["predictions"]
    assert one["sequence"] == QUERY and one["naive_Bayes"] in (0, 1)
    assert one["logistic_regression_probability"] == same["logistic_regression_probability"]
    assert "--predict number 2" in err
    stored = biollm(data, "--model", model, "--embeddings", vectors, "--predict", QUERY, "--json")[1]
    assert json.loads(stored)["predictions"][0] == pytest.approx(one)
    assert "(59 bases)" in biollm(data, "--model", model, "--predict", QUERY)[1]


def test_out_writes_the_file_and_says_the_finding(biollm, data, model, tmp_path):
    status, out, err = biollm(data, "--model", model, "--json", "--out", tmp_path / "deep" / "found.json")
    assert (status, out) == (0, "")
    assert "The embedding does best" in err
    assert json.loads((tmp_path / "deep" / "found.json").read_text())["best"].startswith("embedding")


def test_without_a_connection_the_data_are_simulated_and_called_so(biollm, model, monkeypatch, tmp_path):
    monkeypatch.setenv("BIOLLM_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    status, out, err = biollm("--model", model, "--rows", 100)
    assert status == 0
    assert "100 SIMULATED sequences" in err and "SIMULATED" in out
    found = json.loads(biollm("simulated", "--model", model, "--rows", 100, "--json")[1])
    assert found["simulated"] is True and found["data"].startswith("simulated")


def test_what_is_wrong_is_a_sentence_and_2_and_nothing_is_written(biollm, data, model, vectors, tmp_path):
    lines = Path(data).read_text().splitlines()
    (tmp_path / "letter.csv").write_text("\n".join([*lines[:5], "ACGTJ,1", *lines[5:]]))
    (tmp_path / "one.csv").write_text("\n".join([lines[0], *(line for line in lines[1:] if line.endswith(",0"))]))
    (tmp_path / "other.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]))
    (tmp_path / "short.csv").write_text("\n".join(lines[:50]))
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "names.npz", something=np.zeros(3))
    np.savez(tmp_path / "bare.npz", embeddings=np.zeros((120, 16), np.float32))
    np.savez(tmp_path / "strange.npz", embeddings=np.random.default_rng(0).normal(size=(120, 16)))
    out = tmp_path / "out.txt"
    for arguments, words in (
        (["nothing.csv"], "no file nothing.csv"),
        ([tmp_path / "letter.csv"], "line 6 of"),
        ([tmp_path / "one.csv", "--model", model], "labels are 0; a classifier needs at least two"),
        ([data, "--model", tmp_path / "nowhere"], "nowhere"),
        ([data, "--model", model, "--test-size", 2000], "test_size"),
        ([data, "--model", model, "--seed", -1], "seed"),
        ([data, "--rows", 500], "has 120 rows"),
        ([data, "--model", model, "--kmer", 12], "k is 12"),
        ([data, "--pooling", "sum"], "sum"),
        ([data, "--predict", "ACGTJ"], "--predict number 1, position 5, 'J' is no base"),
        (["--embeddings", tmp_path / "nothing.npz"], "There is no file"),
        (["--embeddings", tmp_path / "text.npz"], "no .npz file of vectors"),
        (["--embeddings", tmp_path / "names.npz"], "no array `embeddings`"),
        (["--embeddings", tmp_path / "bare.npz"], "has no labels"),
        (["--embeddings", vectors, "--control"], "give the CSV"),
        (["--embeddings", vectors, "--pooling", "max"], "made with mean pooling"),
        ([tmp_path / "other.csv", "--embeddings", vectors], "The labels in"),
        ([tmp_path / "short.csv", "--embeddings", vectors], "120 vectors and"),
        ([data, "--model", model, "--embeddings", tmp_path / "strange.npz", "--predict", QUERY], "were not made by"),
    ):
        status, printed, err = biollm(*arguments, "--out", out)
        assert (status, printed) == (2, ""), (arguments, err)
        assert words in err and "Traceback" not in err, (arguments, err)
        assert not out.exists()
