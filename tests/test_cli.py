"""The command itself: quick help, sentences instead of tracebacks, and the exit status."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from biollm_widgets import cli
from biollm_widgets.errors import InputError


def biollm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "biollm_widgets.cli", *arguments], capture_output=True, text=True, timeout=120
    )


def test_help_names_every_verb_and_loads_no_torch():
    code = (
        "import sys; from biollm_widgets.cli import main\n"
        "try: main(['--help'], prog_name='biollm')\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'pandas'} & set(sys.modules), 'help is slow'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for verb in cli.VERBS:
        assert verb in done.stdout


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_every_verb_explains_itself(verb):
    assert isinstance(cli.Verbs().get_command(click.Context(cli.main), verb), click.Command)
    done = biollm(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: biollm " + verb in done.stdout


def test_an_unknown_verb_is_a_sentence_and_2():
    done = biollm("tokenise")
    assert done.returncode == 2
    assert "No such command 'tokenise'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("trouble", "status", "said"),
    [
        (InputError("x.csv is missing; name another."), 2, "biollm: x.csv is missing; name another.\n"),
        (KeyboardInterrupt(), 130, "Stopped.\n"),
    ],
)
def test_what_goes_wrong_inside_a_verb_is_said_in_words(monkeypatch, capsys, trouble, status, said):
    @click.command()
    def command():
        raise trouble

    monkeypatch.setattr(cli.Verbs, "get_command", lambda self, ctx, name: command)
    with pytest.raises(SystemExit) as stop:
        cli.run(["embed"])
    assert stop.value.code == status
    assert capsys.readouterr().err.endswith(said)
