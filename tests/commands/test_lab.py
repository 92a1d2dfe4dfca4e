"""`biollm lab`: lessons arrive, and a learner's work is never touched."""

from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner

from biollm_widgets.commands import lab
from biollm_widgets.errors import InputError


@pytest.fixture
def no_server(monkeypatch):
    """Stands where JupyterLab would start; holds the command line that would have been run."""
    calls: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: calls.append(arguments))
    return calls


def put_lessons(folder, *options):
    return CliRunner().invoke(lab.command, [str(folder), *options], catch_exceptions=False)


def test_the_lessons_arrive_and_jupyterlab_opens_on_the_first(tmp_path, no_server):
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed in this environment.")
    folder = tmp_path / "mine"
    result = put_lessons(folder, "--no-browser", "--port", "8899", "--allow-root")
    assert "start_here.ipynb: new." in result.output
    (command,) = no_server
    assert command[1:] == [
        "-m",
        "jupyterlab",
        str(folder / "start_here.ipynb"),
        "--no-browser",
        "--port",
        "8899",
        "--allow-root",
    ]


def test_a_second_time_keeps_what_is_there_outputs_included(tmp_path, no_server):
    put_lessons(tmp_path, "--no-open")
    notebook = tmp_path / "start_here.ipynb"
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["metadata"]["mine"] = True
    notebook.write_text(json.dumps(content), encoding="utf-8")
    before = notebook.read_bytes()
    result = put_lessons(tmp_path, "--no-open")
    assert "yours, kept." in result.output
    assert notebook.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(p.name for p in lab.shipped_lessons())


@pytest.mark.parametrize("work", ['{"cells": [{"cell_type": "code", "source": ["mine"]}]}', "not a notebook at all"])
def test_a_learners_work_is_kept_and_the_lesson_put_beside(tmp_path, no_server, work):
    notebook = tmp_path / "start_here.ipynb"
    notebook.write_text(work)
    result = put_lessons(tmp_path, "--no-open")
    assert notebook.read_text() == work
    assert "beside it as start_here.new.ipynb" in result.output
    assert json.loads((tmp_path / "start_here.new.ipynb").read_text(encoding="utf-8"))["cells"]


def test_an_option_in_place_of_the_folder_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="name the folder first, as in: biollm lab biollm-lessons --allow-root"):
        CliRunner().invoke(lab.command, ["--allow-root"], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder"):
        put_lessons(tmp_path / "file")
