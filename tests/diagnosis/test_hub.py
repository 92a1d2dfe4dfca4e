"""A hub behind faults of all kinds: each is named, none is needed for the lessons, and the printed line ends it."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from biollm_widgets.diagnosis import findings
from biollm_widgets.diagnosis import hub as room
from biollm_widgets.diagnosis.hub import without_password
from biollm_widgets.models.catalog import EMBEDDED
from biollm_widgets.models.hub import HubError
from tests.hub import Hub, Proxy, Server, _HubHandler

from .rooms import look, surroundings

DNA = "zhihan1996/DNABERT-2-117M"
pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="The commands are for a POSIX shell."),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def hub():
    with Hub({DNA: EMBEDDED / "dna"}) as made:
        yield made


class _Refuses(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(407)

    do_CONNECT = do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


class Refusing(Server):
    handler = _Refuses


class _WantsGoodTokens(_HubHandler):
    def answer(self) -> None:
        if self.headers.get("Authorization") not in (None, "Bearer hf_good"):
            return self.refuse(401, "")
        super().answer()


class Guarded(Hub):
    """As huggingface.co, which lets nobody in who shows a token that it does not know."""

    handler = _WantsGoodTokens


def free_port() -> int:
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        return end.getsockname()[1]


def test_a_hub_that_answers_is_fine(home, hub):
    found = look("hub", surroundings(home, HF_ENDPOINT=hub.url))
    assert {key: one["state"] for key, one in found.items()} == {"hub": "fine"}


def test_no_network_is_a_note_and_goes_when_there_is_one(home, hub):
    nobody = f"http://127.0.0.1:{free_port()}"
    found = look("hub", surroundings(home, HF_ENDPOINT=nobody))["hub"]
    assert found["state"] == "note"
    assert "cannot be asked: the hub does not answer. The lessons run on the small stand-ins" in found["sentence"]
    assert (
        look("hub", surroundings(home, HF_ENDPOINT=nobody), f"export HF_ENDPOINT={hub.url}")["hub"]["state"] == "fine"
    )


def test_a_silent_hub_costs_a_few_seconds_at_most(home, hub):
    hub.fail("/api/models", "stall")
    began = time.monotonic()
    found = look("hub", surroundings(home, HF_ENDPOINT=hub.url))["hub"]
    assert time.monotonic() - began < 8  # three of them, and Python's start
    assert found["state"] == "note" and "does not answer" in found["sentence"]


def test_a_silent_hub_is_asked_once_with_a_token_too(monkeypatch):
    def silent(*_, **__):
        raise HubError("x", "the hub does not answer", "wait", passing=True, unreached="silent")

    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    monkeypatch.setattr(room.hub, "listing", silent)
    monkeypatch.setattr(room, "_answers_without_token", lambda: pytest.fail("It was asked again."))
    found = room.ask_hub("http://hub.example")
    assert found.id == "hub" and "the hub does not answer" in found.sentence


def test_a_proxy_where_nothing_listens_is_named_without_its_password(home, hub):
    proxy = f"http://ann:secret@127.0.0.1:{free_port()}"
    environ = surroundings(home, HF_ENDPOINT=hub.url, HTTP_PROXY=proxy)
    found = look("hub", environ)["hub-proxy"]
    assert found["state"] == "note" and "connection refused" in found["sentence"]
    assert "HTTP_PROXY" in found["sentence"] and "secret" not in str(found)
    assert look("hub", environ, found["command"])["hub"]["state"] == "fine"


def test_a_proxy_that_refuses_is_told_from_a_hub_that_does(home, hub):
    with Refusing() as proxy:
        environ = surroundings(home, HF_ENDPOINT=hub.url, http_proxy=proxy.url)
        found = look("hub", environ)["hub-proxy"]
        assert "does not let the request through" in found["sentence"] and "407" in found["sentence"]
        assert found["command"] == "unset http_proxy"
        assert look("hub", environ, found["command"])["hub"]["state"] == "fine"


def test_a_proxy_that_refuses_a_tunnel_is_named(home):
    with Refusing() as proxy:
        environ = surroundings(home, HF_ENDPOINT="https://hub.example", HTTPS_PROXY=proxy.url)
        found = look("hub", environ)["hub-proxy"]
        assert f"127.0.0.1:{proxy.port} (HTTPS_PROXY) does not let the request through" in found["sentence"]


def test_a_proxy_that_works_is_said(home, hub):
    with Proxy(hub.port) as proxy:
        environ = surroundings(home, HF_ENDPOINT="http://hub.example", HTTP_PROXY=proxy.url)
        found = look("hub", environ)["hub"]
        assert found["sentence"] == f"hub.example answers through the proxy 127.0.0.1:{proxy.port}"
        # One that is not used for this address is not spoken of.
        own = surroundings(home, HF_ENDPOINT=hub.url, HTTP_PROXY="http://127.0.0.1:1", NO_PROXY="127.0.0.1")
        assert look("hub", own)["hub"]["sentence"] == "127.0.0.1 answers"


def test_a_bad_token_is_told_from_an_unknown_model_and_the_line_forgets_it(home):
    with Guarded({DNA: EMBEDDED / "dna"}) as hub:
        environ = surroundings(home, HF_ENDPOINT=hub.url, HF_TOKEN="hf_old")
        found = look("hub", environ)["hub-token"]
        assert found["state"] == "note" and "does not accept your token (HF_TOKEN)" in found["sentence"]
        assert "hf_old" not in str(found)
        assert look("hub", environ, found["command"])["hub"]["state"] == "fine"
        good = look("hub", environ, "export HF_TOKEN=hf_good")["hub"]
        assert good["sentence"] == "127.0.0.1 answers, with a token that it accepts"


def test_a_bad_token_in_the_older_variable_is_blamed_on_that_one(home):
    with Guarded({DNA: EMBEDDED / "dna"}) as hub:
        environ = surroundings(home, HF_ENDPOINT=hub.url, HUGGING_FACE_HUB_TOKEN="hf_old")
        found = look("hub", environ)["hub-token"]
        assert "does not accept your token (HUGGING_FACE_HUB_TOKEN)" in found["sentence"]
        assert found["command"] == "unset HUGGING_FACE_HUB_TOKEN"
        assert look("hub", environ, found["command"])["hub"]["state"] == "fine"


@pytest.mark.parametrize("blank", [{}, {"HF_TOKEN": " "}])
def test_a_token_kept_in_a_file_is_forgotten_by_its_own_line(home, blank):
    with Guarded({DNA: EMBEDDED / "dna"}) as hub:
        environ = surroundings(home, HF_ENDPOINT=hub.url, **blank)
        kept = home / ".cache" / "huggingface" / "token"
        kept.parent.mkdir(parents=True)
        kept.write_text("hf_old")
        found = look("hub", environ)["hub-token"]
        assert "does not accept your token (the one kept in ~/.cache/huggingface/token)" in found["sentence"]
        assert "bashrc" not in found["remedy"]  # it is typed once
        assert look("hub", environ, found["command"])["hub"]["state"] == "fine"
        assert not kept.exists()


def test_in_a_cell_a_kept_token_is_forgotten_by_a_line_of_python(home, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(findings, "_in_notebook", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    called = []
    monkeypatch.setattr(huggingface_hub, "logout", lambda: called.append(1), raising=False)
    exec(room._refused_token("http://hub.example", "").command)
    assert called == [1]


def test_a_certificate_that_is_not_trusted_is_told_and_trusted_when_it_is_named(home, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(made, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl makes no certificate here.")
    with Hub({DNA: EMBEDDED / "dna"}) as hub:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        hub.server.socket = context.wrap_socket(hub.server.socket, server_side=True)
        environ = surroundings(home, HF_ENDPOINT=f"https://localhost:{hub.port}")
        found = look("hub", environ)["hub-certificate"]
        assert found["state"] == "note" and "does not trust" in found["sentence"]
        line = found["command"].replace("/path/to/certificate.pem", str(certificate))
        assert line != found["command"]
        assert look("hub", environ, line)["hub"]["state"] == "fine"


def test_a_hub_that_is_switched_off_is_not_asked(home, hub):
    environ = surroundings(home, HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="1")
    found = look("hub", environ)["hub-offline"]
    assert found["state"] == "note" and hub.requests == []
    assert look("hub", environ, found["command"])["hub"]["state"] == "fine"


def test_models_that_are_set_to_the_stand_ins_are_a_note_and_a_setting_that_is_none_is_broken(home, hub):
    environ = surroundings(home, HF_ENDPOINT=hub.url, BIOLLM_MODELS="embedded")
    found = look("hub", environ)
    assert found["models-source"]["state"] == "note" and hub.requests == []
    assert set(look("hub", environ, found["models-source"]["command"])) == {"hub"}
    environ["BIOLLM_MODELS"] = "tiny"
    found = look("hub", environ)
    assert found["models-source"]["state"] == "broken" and "'tiny'" in found["models-source"]["sentence"]
    assert set(look("hub", environ, found["models-source"]["command"])) == {"hub"}


def test_the_address_of_a_proxy_is_shown_without_what_is_secret():
    assert without_password("http://ann:secret@proxy.example:3128/") == "proxy.example:3128"
    assert without_password("proxy.example:3128") == "proxy.example:3128"
    assert without_password("http://proxy.example:port") == "proxy.example"


def test_in_a_kernel_the_lines_are_for_a_cell(monkeypatch):
    monkeypatch.setenv("SCRATCH", "/scratch/ann")
    monkeypatch.setattr(findings, "_in_notebook", True)
    line = findings.variable("HF_HOME", "$SCRATCH/cache")
    assert line == "%env HF_HOME=/scratch/ann/cache"
    monkeypatch.setenv("HF_TOKEN", "x")
    exec(findings.unset("HF_TOKEN"))
    assert "HF_TOKEN" not in os.environ
    assert findings.terminal("rm", "a b") == "!rm 'a b'"
    assert "restart the kernel" in findings.how_set()
