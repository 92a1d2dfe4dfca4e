"""The report in a terminal, in a page and for a script; the command and its exit status."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from html.parser import HTMLParser

import pytest

import biollm_widgets as bio
from biollm_widgets import cli
from biollm_widgets.diagnosis import Finding, doctor
from biollm_widgets.diagnosis.findings import BROKEN, FINE, GROUPS, NOTE
from biollm_widgets.diagnosis.report import report

from .rooms import surroundings

EVIL = "<img src=x onerror=alert(1)> & <script>"
LONG = "cp -rL " + "/a/very/long/folder" * 10
SOME = [
    Finding("c", "hub", NOTE, "No network. " * 12, "Connect."),
    Finding("b", "places", BROKEN, "The disk is full.", "Delete:", LONG),
    Finding("a", "packages", FINE, "Python 3.12"),
    Finding("d", "packages", FINE, "torch"),
]


def test_the_first_line_is_the_verdict_and_what_is_broken_comes_before_notes_and_what_is_fine():
    lines = report(SOME).text().splitlines()
    assert lines[0] == "✗ 1 thing that is needed does not work; 1 note besides."
    text = "\n".join(lines)
    assert text.index("The disk is full") < text.index("No network") < text.index("Python 3.12; torch")
    assert text == repr(report(SOME)) and "\x1b" not in text


def test_lines_fit_the_terminal_but_a_command_is_never_broken():
    for width in (60, 80, 100):
        for line in report(SOME).text(width=width).splitlines():
            assert len(line) <= width or line.strip() == LONG
    assert f"      {LONG}" in report(SOME).text().splitlines()


def test_colour_takes_no_room_and_letters_take_the_place_of_marks():
    import re

    plain, coloured = report(SOME).text(), report(SOME).text(colour=True)
    assert "\x1b[31m✗\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain
    report(SOME).text(marks=False).encode("ascii")


def test_a_number_stays_beside_its_unit():
    for width in range(60, 80):
        text = report([Finding("a", "hub", NOTE, "word " * 9 + "3.60 GB needed, 76.88 GB free.", "x")]).text(
            width=width
        )
        assert "3.60 GB needed" in " ".join(text.split()) and "\u00a0" not in text
        assert not any(line.endswith(("3.60", "76.88")) for line in text.splitlines())


def test_what_is_fine_has_a_line_a_group_unless_all_is_asked_for():
    assert "Python 3.12; torch" in report(SOME).text()
    verbose = report(SOME).text(verbose=True)
    assert "  ✓ Python 3.12 [a]" in verbose and "  ✓ torch [d]" in verbose


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ([FINE], "Everything works."),
        ([NOTE], "Everything needed works; 1 note."),
        ([NOTE, NOTE], "Everything needed works; 2 notes."),
        ([BROKEN, BROKEN], "2 things that are needed do not work."),
    ],
)
def test_the_verdict_in_words(states, verdict):
    made = report([Finding(str(number), "hub", state, "x") for number, state in enumerate(states)])
    assert made.verdict == verdict
    assert made.healthy == (BROKEN not in states)


def test_nothing_that_was_found_becomes_markup():
    made = report([Finding("a", group, state, EVIL, EVIL, EVIL) for group in GROUPS for state in (FINE, NOTE, BROKEN)])
    seen = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append(tag)
            assert {name for name, _ in attrs} <= {"style", "open"}

    html = made._repr_html_()
    Reader().feed(html)
    assert set(seen) == {"div", "b", "pre", "details", "summary"}
    assert "&lt;script&gt;" in html


def test_the_json_has_every_finding_with_the_same_names():
    told = json.loads(report(SOME).json())
    assert told["healthy"] is False and len(told["findings"]) == 4
    assert told["findings"][0] == {
        "id": "a",
        "group": "packages",
        "state": "fine",
        "sentence": "Python 3.12",
        "remedy": None,
        "command": None,
    }


def test_whatever_asks_for_something_has_a_remedy(monkeypatch):
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    found = doctor()
    assert len({one.id for one in found.findings}) == len(found.findings)
    assert all(one.remedy for one in found.findings if one.state != FINE)
    assert all(one.group in GROUPS for one in found.findings)


def test_the_public_name_is_the_function_whatever_was_imported_first(monkeypatch):
    import biollm_widgets.commands.doctor  # noqa: F401

    assert bio.doctor is doctor


@pytest.mark.parametrize(("broken", "status"), [(False, 0), (True, 1)])
def test_the_command_exits_with_1_when_something_needed_is_broken(broken, status, monkeypatch, capsys):
    from biollm_widgets.commands import doctor as command

    monkeypatch.setattr(command, "doctor", lambda: report(SOME if broken else SOME[2:]))
    for arguments in (["doctor"], ["doctor", "--json"], ["doctor", "--verbose"]):
        with pytest.raises(SystemExit) as end:
            cli.run(arguments)
        assert end.value.code == status
    out = capsys.readouterr().out
    assert "\x1b" not in out and '"healthy"' in out


def test_it_takes_a_few_seconds_without_a_network_loads_no_torch_and_leaves_nothing(tmp_path):
    home = tmp_path / "home"
    environ = surroundings(home, HF_ENDPOINT="http://127.0.0.1:9")
    before = sorted(home.rglob("*"))
    code = "import sys\nfrom biollm_widgets import doctor\nfound = doctor()\n"
    code += "print(found.json())\nheavy = {'torch', 'transformers', 'pandas', 'ipywidgets'} & set(sys.modules)\n"
    code += "assert not heavy, heavy"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert took < 15  # 5 on a machine that nobody else uses
    told = json.loads(done.stdout)
    assert [one["sentence"] for one in told["findings"] if one["id"].startswith("unseen")] == []
    # IPython, which the hub's client imports for its progress bar, makes an empty folder wherever it is imported.
    assert sorted(one for one in home.rglob("*") if one.name != ".ipython") == before
    assert done.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="The command of a kernel is POSIX here.")
def test_in_a_kernel_it_knows_that_it_is_in_one_and_shows_itself(tmp_path):
    from jupyter_client.manager import KernelManager

    from biollm_widgets.kernels import own_kernel

    environ = surroundings(tmp_path / "home", HF_ENDPOINT="http://127.0.0.1:9", OMP_NUM_THREADS="4096")
    sockets = tmp_path / "s"
    sockets.mkdir()
    manager = own_kernel(KernelManager(), sockets)
    manager.start_kernel(env=environ)
    try:
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(60)
        shown: list[dict] = []
        client.execute_interactive(
            "import biollm_widgets as bio\nfound = bio.doctor()\nfound",
            timeout=60,
            output_hook=lambda message: shown.append(message["content"]),
        )
        data = next(one["data"] for one in shown if "data" in one)
        assert data["text/html"].startswith("<div") and "%env OMP_NUM_THREADS=" in data["text/plain"]
        line = shlex.join([sys.executable, "-m", "biollm_widgets.cli", "fetch", "DNABERT-2", "ProtGPT2"])
        assert f"!{line}" in data["text/plain"]  # no activated environment: biollm need not be on the PATH
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
