"""`biollm models`: readable, honest, and without a network."""

from __future__ import annotations

import json

import pytest

from biollm_widgets import cli
from biollm_widgets.models.catalog import CATALOG


@pytest.fixture
def biollm(capsys, monkeypatch, tmp_path):
    """Run the command with an empty cache; gives what it prints."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as end:
            cli.run(["models", *arguments])
        out, err = capsys.readouterr()
        assert (end.value.code, err) == (0, "")
        return out

    return run


def snapshot(tmp_path, name, **files):
    base = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    folder = base / "snapshots" / "c0ffee"
    folder.mkdir(parents=True)
    (base / "blobs").mkdir()
    for file, content in files.items():
        (folder / file.replace("__", ".")).write_bytes(content)
    return base


def test_the_table_fits_a_screen_and_says_what_is_not_known(biollm):
    out = biollm()
    assert max(map(len, out.splitlines())) <= 120
    for model in CATALOG:
        assert any(line.startswith(model.name) for line in out.splitlines())
        assert model.paper in out
    (hyena,) = [line for line in out.splitlines() if line.startswith("HyenaDNA ")]
    assert "not known" in hyena and "no command" in hyena
    (protgpt2,) = [line for line in out.splitlines() if line.startswith("ProtGPT2 ")]
    assert "774 M" in protgpt2 and "3.13 GB" in protgpt2 and "stand-in" in protgpt2
    closed = out.partition("Not loaded here:")[2]
    assert "HyenaDNA: it needs code from its own repository" in closed and "Instead, take DNABERT-2" in closed


def test_what_the_cache_has_is_told_apart(biollm, tmp_path):
    weights = {"config__json": b"{}", "pytorch_model__bin": b"\0" * 5_000_000}
    snapshot(tmp_path, "zhihan1996/DNA_bert_6", **weights, vocab__txt=b"A")
    snapshot(tmp_path, "zhihan1996/DNABERT-2-117M", **weights)  # as transformers leaves it without a tokenizer
    snapshot(tmp_path, "zhihan1996/DNABERT-S", config__json=b"{}", model__safetensors=b"\0" * 100)
    snapshot(tmp_path, "PoetschLab/GROVER", config__json=b"{}", tokenizer__json=b"{}")
    begun = snapshot(tmp_path, "nferruz/ProtGPT2")
    (begun / "blobs" / f"{'a' * 64}.incomplete").write_bytes(b"\0" * 1_500_000)
    rows = {line.split()[0]: line for line in biollm().splitlines() if line.strip()}
    assert rows["DNABERT"].endswith("in the cache, 5.0 MB")
    assert rows["DNABERT-2"].endswith("stand-in, 1.6 M (its tokenizer is not in the cache: biollm fetch gets it)")
    assert rows["DNABERT-S"].endswith("damaged in the cache: biollm fetch mends it")
    assert rows["GROVER"].endswith("its tokenizer alone")
    assert rows["ProtGPT2"].endswith("(begun, 1.5 MB)")
    states = {entry["name"]: entry["local"]["state"] for entry in json.loads(biollm("--json"))["models"]}
    assert [states[name] for name in ("DNABERT", "DNABERT-2", "DNABERT-S", "GROVER", "ProtGPT2", "HyenaDNA")] == [
        "whole", "weights", "damaged", "tokenizer", "begun", "not here",
    ]  # fmt: skip


def test_the_json_has_all_that_is_known(biollm, tmp_path):
    content = json.loads(biollm("--json"))
    assert content["cache"] == str(tmp_path / "hub")
    by_name = {entry["name"]: entry for entry in content["models"]}
    assert len(by_name) == len(CATALOG)
    assert by_name["DNABERT-2"]["stand_in"]["parameters"] == pytest.approx(1.6e6, rel=0.05)
    assert by_name["GROVER"]["licence"] is None and by_name["GROVER"]["loadable"]
    assert not by_name["ProGen"]["loadable"] and by_name["ProGen"]["on_hub"] is False
