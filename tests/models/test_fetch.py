"""Choosing what to fetch, and a cache on a disk that knows no links: in this process, against a server of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub import Hub

from biollm_widgets.models import cache, fetch
from biollm_widgets.models.hub import HubError

CONFIG = {"config.json": b"{}", "tokenizer.json": b"{}", "modeling.py": b"", "training_args.bin": b"pickle"}
pytestmark = pytest.mark.network


@pytest.fixture
def hub_of(monkeypatch, tmp_path):
    """A hub that has one model, a/b, made of the given files; the cache is empty."""
    from huggingface_hub import constants, file_download

    open_hubs = []

    def make(**files: bytes) -> Hub:
        named = {name.replace("__", "."): content for name, content in files.items()}
        hub = Hub({"a/b": {**CONFIG, **named}}).__enter__()
        open_hubs.append(hub)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        for module in (constants, file_download):  # the client of transformers 4 has a copy of its own
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        return hub

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield make
    for hub in open_hubs:
        hub.__exit__()


def names(plan: fetch.Plan) -> list[str]:
    return sorted(file.name for file in plan.files)


SMALL = ["config.json", "tokenizer.json"]
CHOICES = {
    "both formats": (
        {"pytorch_model__bin": b"b", "model__safetensors": b"s", "tf_model__h5": b"t"},
        "safetensors",
        [*SMALL[:1], "model.safetensors", *SMALL[1:]],
    ),
    "bin alone": ({"pytorch_model__bin": b"b"}, "bin", [*SMALL[:1], "pytorch_model.bin", *SMALL[1:]]),
    "in parts": (
        {
            "model-00001-of-00002__safetensors": b"1",
            "model-00002-of-00002__safetensors": b"2",
            "model__safetensors__index__json": b"{}",
            "pytorch_model__bin": b"b",
        },
        "safetensors",
        [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
        ],
    ),
    "whole and in parts": (
        {
            "model__safetensors": b"s",
            "model-00001-of-00001__safetensors": b"1",
            "model__safetensors__index__json": b"{}",
            "flax_model__msgpack__index__json": b"{}",
        },
        "safetensors",
        ["config.json", "model.safetensors", "tokenizer.json"],
    ),
}


@pytest.mark.parametrize("case", CHOICES)
def test_one_weight_format_is_chosen_and_no_code(hub_of, case):
    files, weights, wanted = CHOICES[case]
    hub_of(**files)
    plan = fetch.plan("a/b")
    assert (plan.weights, names(plan)) == (weights, wanted)
    assert plan.size == plan.missing == sum(file.size for file in plan.files)
    assert names(fetch.plan("a/b", weights=False)) == SMALL


def test_a_model_without_weights_that_load_is_a_sentence(hub_of):
    hub_of(weights__ckpt=b"c", model__onnx=b"o")
    with pytest.raises(HubError, match=r"the hub has no weights of it that transformers could load"):
        fetch.plan("a/b")


@pytest.mark.parametrize("etag", ["../../../evil", "", "abc"])
def test_a_hash_that_is_none_never_becomes_a_file(hub_of, etag, monkeypatch, tmp_path):
    hub = hub_of(model__safetensors=b"s")
    hub.models["a/b"]["config.json"].blob_id = etag
    with pytest.raises(HubError, match="does not answer as the hub does"):
        fetch.fetch("a/b", progress=False)
    assert not (tmp_path / "cache").exists()


def test_where_links_cannot_be_made_the_files_themselves_stand_in_the_snapshot(hub_of, monkeypatch):
    hub = hub_of(model__safetensors=b"s" * 1000)

    def no_links(self: Path, *_: object) -> None:
        raise OSError("links are not known here")

    monkeypatch.setattr(Path, "symlink_to", no_links)
    got = fetch.fetch("a/b", progress=False)
    assert not any(file.is_symlink() for file in got.path.iterdir())
    assert (got.path / "model.safetensors").read_bytes() == b"s" * 1000
    assert cache.snapshot("a/b") == got.path
    again = fetch.fetch("a/b", progress=False)
    assert again.downloaded == 0 and fetch.plan("a/b").missing == 0
    (got.path / "model.safetensors").write_bytes(b"t" * 1000)
    mended = fetch.fetch("a/b", progress=False)
    assert mended.replaced == ("model.safetensors",)
    assert (got.path / "model.safetensors").read_bytes() == b"s" * 1000
    assert len(hub.sent("a/b", "model.safetensors")) == 2


def test_a_part_of_another_content_does_not_spoil_the_download(hub_of):
    hub = hub_of(model__safetensors=b"s" * 1000)
    file = hub.models["a/b"]["model.safetensors"]
    part = cache.model_folder("a/b") / "blobs" / f"{file.etag}{cache.PART}"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 400)
    got = fetch.fetch("a/b", progress=False)
    assert (got.path / "model.safetensors").read_bytes() == b"s" * 1000
    assert not part.exists()


def test_the_line_before_the_first_byte(hub_of, capsys, monkeypatch):
    monkeypatch.setattr(cache, "free_bytes", lambda folder: 24_000_000_000)
    hub_of(model__safetensors=b"s" * 3_000_000)
    fetch.fetch("a/b")
    assert capsys.readouterr().err.startswith(f"a/b: 3.0 MB needed, 24.00 GB free in {cache.root()}.\n")
    fetch.fetch("a/b")
    assert capsys.readouterr().err == ""


def test_a_little_room_is_left_to_spare(hub_of, monkeypatch):
    monkeypatch.setattr(cache, "free_bytes", lambda folder: 3_500_000)
    hub = hub_of(model__safetensors=b"s" * 3_000_000)
    with pytest.raises(HubError, match=r"it needs 3.0 MB, and 64 MB to spare, where 3.5 MB are free, in .*set HF_HOME"):
        fetch.fetch("a/b")
    assert hub.sent("a/b", "model.safetensors") == hub.sent("a/b", "config.json") == []
