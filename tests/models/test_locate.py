"""Where a model comes from, and that it says so: folder, cache, hub, stand-in."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.models import locate as module
from biollm_widgets.models.locate import locate

DNABERT2 = "zhihan1996/DNABERT-2-117M"


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
        (snapshot / name).write_bytes(b"{}" if name.endswith(".json") else b"\0" * 2_000_000)
    return snapshot


def test_offline_the_stand_in_is_taken_and_never_passed_off_as_the_real_one(capsys):
    path = locate(DNABERT2)
    said = capsys.readouterr().err
    assert path.source == "embedded"
    assert said.startswith("Stand-in for zhihan1996/DNABERT-2-117M (the hub is switched off here")
    assert "M parameters" in said and "MB" in said


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


def test_a_tokenizer_of_ours_loads_without_a_warning_of_another_type():
    import subprocess
    import sys

    code = (
        "import biollm_widgets as bio; from transformers import AutoTokenizer\n"
        "AutoTokenizer.from_pretrained(bio.locate('zhihan1996/DNABERT-2-117M'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "You are using a model of type" not in done.stderr


def test_a_whole_snapshot_in_the_cache_is_taken(tmp_path):
    snapshot = put_in_cache(tmp_path, "config.json", "pytorch_model.bin")
    path = locate(DNABERT2)
    assert (path.source, str(path)) == ("cache", str(snapshot))
    assert "117 M parameters" in path.said


def test_a_tokenizer_alone_in_the_cache_is_no_model(tmp_path):
    put_in_cache(tmp_path, "config.json", "tokenizer.json")
    assert locate(DNABERT2).source == "embedded"


def test_the_environment_and_the_argument_override(monkeypatch, tmp_path):
    put_in_cache(tmp_path, "config.json", "model.safetensors")
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    assert locate(DNABERT2).source == "embedded"
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
    ],
)
def test_what_cannot_be_found_is_one_sentence(name, sentence):
    with pytest.raises(InputError, match=sentence):
        locate(name)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no model \(no config.json\)"):
        locate(tmp_path)


@pytest.mark.network
def test_a_hub_that_does_not_answer_is_given_up_quickly_and_quietly(monkeypatch, capsys):
    import time

    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # A port that nobody listens on: refused at once, as without a network.
    monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda name, file: f"http://127.0.0.1:9/{name}/{file}")
    began = time.monotonic()
    assert locate(DNABERT2).source == "embedded"
    assert time.monotonic() - began < 2 * module.HUB_TIMEOUT
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "the hub does not answer" in said


@pytest.mark.network
@pytest.mark.parametrize(
    ("status", "header", "source", "said"),
    [
        (200, {}, "hub", "from the hub"),
        (404, {"X-Error-Code": "RepoNotFound"}, "embedded", "the hub does not know it"),
        (403, {"X-Error-Code": "GatedRepo"}, "embedded", "accept its licence"),
        (500, {}, "embedded", "the hub answers with error 500"),
    ],
)
def test_what_the_hub_answers_decides(monkeypatch, status, header, source, said):
    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            for key, value in {"ETag": '"e"', "X-Repo-Commit": "c" * 40, "Content-Length": "2", **header}.items():
                self.send_header(key, value)
            self.end_headers()

        def log_message(self, *args):
            pass

    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        here = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda name, file: f"{here}/{name}/{file}")
        monkeypatch.setattr(module, "HUB_TIMEOUT", 2.0)
        path = locate(DNABERT2)
    finally:
        server.shutdown()
        server.server_close()
    assert path.source == source
    assert said in path.said
