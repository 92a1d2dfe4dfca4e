"""Where a model comes from, and that it says so: folder, cache, hub, stand-in."""

from __future__ import annotations

import json
import struct

import pytest
import warm

from biollm_widgets.errors import InputError
from biollm_widgets.models import locate as module
from biollm_widgets.models.locate import locate

DNABERT2, PROTGPT2 = "zhihan1996/DNABERT-2-117M", "nferruz/ProtGPT2"


def safetensors(*shape: int) -> bytes:
    """A whole file of one tensor of zeros."""
    count = 1
    for size in shape:
        count *= size
    header = json.dumps({"x": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * count]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * (4 * count)


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Each test hears every line again, and meets an empty cache and no hub unless it makes them."""
    monkeypatch.setattr(module, "_said", set())
    monkeypatch.delenv("BIOLLM_MODELS", raising=False)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def put_in_cache(tmp_path, *names: str):
    """A snapshot as the hub's client lays it out."""
    base = tmp_path / "cache" / f"models--{DNABERT2.replace('/', '--')}"
    snapshot = base / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (base / "refs").mkdir()
    (base / "refs" / "main").write_text("abc123")
    for name in names:
        content = safetensors(500, 1000) if name.endswith(".safetensors") else b"\0" * 2_000_000
        (snapshot / name).write_bytes(b"{}" if name.endswith(".json") else content)
    return snapshot


def test_offline_the_stand_in_is_taken_and_never_passed_off_as_the_real_one(capsys):
    path = locate(DNABERT2)
    said = capsys.readouterr().err
    assert path.source == "embedded"
    assert said.startswith("Stand-in for zhihan1996/DNABERT-2-117M (the hub is switched off here")
    assert "M parameters" in said and "MB" in said


def test_proteins_have_their_stand_in_too_whatever_the_model_is_called(capsys):
    path = locate("protgpt2")
    assert path.source == "embedded" and path.endswith("protein")
    assert capsys.readouterr().err.startswith("Stand-in for nferruz/ProtGPT2 (the hub is switched off here")
    assert locate(PROTGPT2).said == path.said


def test_the_line_is_said_once_for_tokenizer_and_model(capsys):
    locate(DNABERT2)
    locate(DNABERT2)
    assert capsys.readouterr().err.count("Stand-in") == 1


def test_a_folder_goes_before_everything(tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    path = locate(tmp_path, source="embedded")
    assert (path, path.source) == (str(tmp_path), "folder")
    assert "no weights yet, from this folder" in capsys.readouterr().err


def test_the_stand_in_is_called_so_even_by_its_folder():
    path = locate(DNABERT2)
    assert locate(path) is path
    by_folder = locate(str(path))
    assert by_folder.source == "embedded" and by_folder.said.startswith("Stand-in for zhihan1996/DNABERT-2-117M")


@pytest.mark.slow  # a process that has not met DNABERT-2 yet; transformers 4.50.3 never warned
def test_a_tokenizer_of_ours_loads_without_a_warning_of_another_type(tmp_path):
    code = (
        "import biollm_widgets as bio; from transformers import AutoTokenizer\n"
        "AutoTokenizer.from_pretrained(bio.locate('zhihan1996/DNABERT-2-117M'))"
    )
    process = warm.Process("-c", code, folder=tmp_path)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert "You are using a model of type" not in err


def test_a_whole_snapshot_in_the_cache_is_taken(tmp_path):
    snapshot = put_in_cache(tmp_path, "config.json", "pytorch_model.bin")
    path = locate(DNABERT2)
    assert (path.source, str(path)) == ("cache", str(snapshot))
    assert "117 M parameters" in path.said


def test_a_tokenizer_alone_in_the_cache_is_no_model_but_a_tokenizer(tmp_path):
    snapshot = put_in_cache(tmp_path, "config.json", "tokenizer.json")
    assert locate(DNABERT2).source == "embedded"
    path = locate(DNABERT2, weights=False)
    assert (str(path), path.said) == (str(snapshot), f"{DNABERT2}: the tokenizer, from the local cache.")


def test_an_older_snapshot_that_is_whole_goes_before_a_newer_one_that_is_not(tmp_path):
    whole = put_in_cache(tmp_path, "config.json", "model.safetensors")
    newer = whole.with_name("def456")
    newer.mkdir()
    (newer / "config.json").write_text("{}")
    (whole.parents[1] / "refs" / "main").write_text("def456")
    path = locate(DNABERT2)
    assert (path.source, str(path)) == ("cache", str(whole))
    assert "0.5 M parameters, 2.0 MB, from the local cache" in path.said


def test_weights_in_parts_are_whole_only_with_all_of_them(tmp_path):
    snapshot = put_in_cache(tmp_path, "config.json", "model-00001-of-00002.safetensors")
    parts = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {"weight_map": {"a": parts[0], "b": parts[1]}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert locate(DNABERT2).source == "embedded"
    (snapshot / parts[1]).write_bytes(safetensors(7))
    assert locate(DNABERT2).source == "cache"


def test_weights_whose_end_is_missing_are_never_taken(tmp_path):
    snapshot = put_in_cache(tmp_path, "config.json", "model.safetensors")
    file = snapshot / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    path = locate(DNABERT2)
    assert path.source == "embedded"
    assert "(model.safetensors in the local cache is damaged, the hub is switched off here" in path.said
    with pytest.raises(
        InputError, match=r"is damaged in the local cache \(model.safetensors\) and the hub is switched"
    ):
        locate(DNABERT2, source="hub")


def test_the_environment_and_the_argument_override(monkeypatch, tmp_path):
    put_in_cache(tmp_path, "config.json", "model.safetensors")
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    assert locate(DNABERT2).source == "embedded"
    with pytest.raises(InputError, match=r"no embedded model for PoetschLab/GROVER; ask for zhihan1996.* or nferruz"):
        locate("PoetschLab/GROVER")
    with pytest.raises(InputError, match="auto, hub or embedded, not 'elsewhere'"):
        locate(DNABERT2, source="elsewhere")


def test_hub_means_hub():
    with pytest.raises(InputError, match="not in the local cache and the hub is switched off"):
        locate(DNABERT2, source="hub")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("./nowhere", "There is no folder ./nowhere"),
        ("~/nowhere/at/all", "There is no folder"),
        ("some/model", "some/model is not in the local cache"),
        ("", "No model was named"),
        ("DNAGPT", "DNAGPT is not on the hub: its weights are on a shared drive"),
        ("ProGen", "take ProtGPT2 for new proteins"),
    ],
)
def test_what_cannot_be_found_is_one_sentence(name, sentence):
    with pytest.raises(InputError, match=sentence):
        locate(name)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no model \(no config.json\)"):
        locate(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_whose_weights_are_empty_is_a_sentence(tmp_path, name):
    """As a disk leaves it that filled up during `save_pretrained`."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).touch()
    with pytest.raises(
        InputError, match=rf"^{name} in the folder .* is damaged \(0 bytes; .*; save the model again, or"
    ):
        locate(tmp_path)
    assert locate(tmp_path, weights=False).source == "folder"  # its tokenizer may be whole


def test_a_folder_whose_weights_are_cut_off_is_a_sentence(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(safetensors(7)[:-1])
    with pytest.raises(InputError, match=r"^model.safetensors in the folder .* is damaged"):
        locate(tmp_path)


def test_offline_a_model_without_its_tokenizer_is_taken_and_the_line_says_what_is_missing(tmp_path):
    """As transformers leaves it for whoever loaded only the model. It is the model that was asked for, no stand-in."""
    snapshot = put_in_cache(tmp_path, "config.json", "model.safetensors")
    for source in ("auto", "hub"):
        path = locate(DNABERT2, source)
        assert (path.source, str(path)) == ("cache", str(snapshot))
        assert path.said == (
            f"{DNABERT2}: 0.5 M parameters, 2.0 MB, from the local cache, without its tokenizer: the hub is switched "
            f"off here (HF_HUB_OFFLINE); biollm fetch {DNABERT2} gets it when the hub answers."
        )
    (snapshot / "tokenizer.json").write_text("{}")
    assert locate(DNABERT2).said == f"{DNABERT2}: 0.5 M parameters, 2.0 MB, from the local cache."


def test_an_older_snapshot_with_a_tokenizer_goes_before_a_newer_one_without(tmp_path):
    whole = put_in_cache(tmp_path, "config.json", "model.safetensors", "tokenizer.json")
    newer = whole.with_name("def456")
    newer.mkdir()
    for name in ("config.json", "model.safetensors"):
        (newer / name).write_bytes((whole / name).read_bytes())
    (whole.parents[1] / "refs" / "main").write_text("def456")
    assert str(locate(DNABERT2)) == str(whole)
    (whole / "tokenizer.json").unlink()
    assert str(locate(DNABERT2)) == str(newer)
