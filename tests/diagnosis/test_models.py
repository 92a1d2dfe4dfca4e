"""A cache that holds a model twice, in part, or damaged, and a disk that is too small for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from biollm_widgets.models.catalog import EMBEDDED
from tests.hub import Hub

from .rooms import look, shell, surroundings

DNA = "zhihan1996/DNABERT-2-117M"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="The commands are for a POSIX shell.")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def cached(home: Path, files: dict[str, bytes], commit: str = "c" * 40, hub: str = ".cache/huggingface/hub") -> Path:
    """A snapshot as the hub's client lays it out."""
    base = home / hub / f"models--{DNA.replace('/', '--')}"
    for folder in ("blobs", "refs", f"snapshots/{commit}"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    (base / "refs" / "main").write_text(commit)
    for name, content in files.items():
        blob = base / "blobs" / f"{abs(hash(content)):064x}"
        blob.write_bytes(content)
        (base / "snapshots" / commit / name).symlink_to(Path("..", "..", "blobs", blob.name))
    return base


def whole() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (EMBEDDED / "dna").iterdir() if file.suffix != ".md"}


def test_an_empty_cache_is_a_note_with_sizes_and_the_line_that_fetches(home):
    found = look("models", surroundings(home))
    assert found["stand-ins"]["state"] == "fine"
    note = found["models-room"]
    assert note["state"] == "note" and "3.60 GB needed" in note["sentence"]
    assert note["command"] == "biollm fetch DNABERT-2 ProtGPT2"


def test_the_line_that_fetches_fetches(home):
    environ = surroundings(home)
    with Hub({DNA: EMBEDDED / "dna", "nferruz/ProtGPT2": EMBEDDED / "protein"}) as hub:
        environ["HF_ENDPOINT"] = hub.url
        shell(look("models", environ)["models-room"]["command"], environ)
    found = look("models", environ)
    assert found["model-dnabert-2"]["state"] == found["model-protgpt2"]["state"] == "fine"
    assert "models-room" not in found


def test_what_the_class_has_is_not_missing_and_its_damage_is_told(home):
    base = cached(home, whole(), hub="class/hub")
    environ = surroundings(home, BIOLLM_SHARED_CACHE=home / "class")
    found = look("models", environ)
    assert found["class-dnabert-2"]["state"] == "fine" and "~/class" in found["class-dnabert-2"]["sentence"]
    assert found["models-room"]["command"] == "biollm fetch ProtGPT2"
    weights = next(file for file in base.glob("snapshots/*/model.safetensors"))
    weights.resolve().write_bytes(weights.read_bytes()[:1000])
    damaged = look("models", environ)["class-dnabert-2"]
    assert damaged["state"] == "note" and "is damaged" in damaged["sentence"]


def test_two_weight_formats_are_told_and_what_is_not_read_is_deleted_by_the_line(home):
    files = whole() | {"pytorch_model.bin": b"PK" + b"x" * 3_000_000, "tf_model.h5": b"y" * 1_000_000}
    base = cached(home, files)
    cached(home, {"pytorch_model.bin": files["pytorch_model.bin"]}, "d" * 40)  # the same content in another commit
    (base / "refs" / "main").write_text("c" * 40)
    environ = surroundings(home)
    found = look("models", environ)["twice-dnabert-2"]
    assert found["state"] == "note" and "4.0 MB are never read" in found["sentence"]
    before = len(list((base / "blobs").iterdir()))
    shell(found["command"], environ)
    after = look("models", environ)
    assert after["model-dnabert-2"]["state"] == "fine" and "twice-dnabert-2" not in after
    assert len(list((base / "blobs").iterdir())) == before - 2
    assert all(link.exists() for link in base.glob("snapshots/*/*"))


def test_another_commits_weights_in_the_format_that_is_read_are_left_alone(home):
    files = whole()
    base = cached(home, files)
    cached(home, files | {"model.safetensors": files["model.safetensors"] + b" "}, "d" * 40)
    (base / "refs" / "main").write_text("c" * 40)
    assert "twice-dnabert-2" not in look("models", surroundings(home))


def test_a_damaged_model_is_broken_until_it_is_fetched_again(home):
    files = whole()
    environ = surroundings(home)
    cached(home, files | {"model.safetensors": files["model.safetensors"][:-100]})
    found = look("models", environ)["model-dnabert-2"]
    assert found["state"] == "broken" and "model.safetensors is not whole" in found["sentence"]
    with Hub({DNA: EMBEDDED / "dna"}) as hub:
        shell(found["command"], environ | {"HF_ENDPOINT": hub.url})
    assert look("models", environ)["model-dnabert-2"]["state"] == "fine"


def test_a_download_that_broke_off_is_gone_on_with(home):
    files = whole()
    environ = surroundings(home)
    base = cached(home, {})
    with Hub({DNA: EMBEDDED / "dna"}) as hub:
        blob = hub.models[DNA]["model.safetensors"].etag
        (base / "blobs" / f"{blob}.incomplete").write_bytes(files["model.safetensors"][:100_000])
        found = look("models", environ)["model-dnabert-2"]
        assert found["state"] == "note" and "broke off at 100 kB" in found["sentence"]
        shell(found["command"], environ | {"HF_ENDPOINT": hub.url})
    assert look("models", environ)["model-dnabert-2"]["state"] == "fine"


def test_too_small_a_disk_is_told_with_both_sizes_and_a_larger_one_ends_it(home, tmp_path, may_mount):
    environ = surroundings(home, SCRATCH=tmp_path)
    shut = {"wrapped_in": ("unshare", "-m"), "first": f"mount -t tmpfs -o size=200m tmpfs {home}"}
    found = look("models", environ, **shut)["models-room"]
    assert "do not fit: 3.60 GB needed, 210 MB free in ~/.cache/huggingface/hub" in found["sentence"]
    assert found["command"] == 'export HF_HOME="$SCRATCH/cache"'
    after = look("models", environ, found["command"], **shut)["models-room"]
    assert after["command"] == "biollm fetch DNABERT-2 ProtGPT2"


def test_what_is_left_of_a_quota_counts_and_not_what_the_disk_has(home):
    environ = surroundings(home)
    program = home / "bin" / "lfs"
    rows = f"   Filesystem kbytes quota limit grace files quota limit grace\n   {home} 10 1000000 0 - 1 0 0 -\n"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{rows}END\n")
    program.chmod(0o755)
    found = look("models", environ)["models-room"]
    assert "1.02 GB left of your quota" in found["sentence"]


def test_a_broken_stand_in_is_broken(monkeypatch, tmp_path):
    from dataclasses import replace

    from biollm_widgets.diagnosis import models
    from biollm_widgets.models.catalog import require

    model = require("DNABERT-2", "tokenize")
    assert model is not None
    found = models.stand_ins([replace(model, stand_in=tmp_path)])
    assert found.state == "broken" and "Install biollm-widgets again" in found.remedy
