"""The lines to copy work where they are typed: in a terminal, in a cell, and on the host of a container."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from biollm_widgets.diagnosis import findings, front_end, grading, lesson_kernel, packages
from biollm_widgets.models.catalog import EMBEDDED
from tests.hub import Hub

from .rooms import look, shell, surroundings

IMAGE = "/scratch/my image.sif"
HOST = f"apptainer exec '{IMAGE}' "
HERE = shlex.quote(sys.executable)


@pytest.fixture
def in_a_container(monkeypatch):
    for name in ("APPTAINER_COMMAND", "SINGULARITY_CONTAINER", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("APPTAINER_CONTAINER", IMAGE)
    monkeypatch.setattr(findings, "_in_notebook", False)


def test_in_a_cell_biollm_is_called_by_the_kernels_own_python(monkeypatch):
    monkeypatch.setattr(findings, "_in_notebook", True)
    monkeypatch.setattr(sys, "executable", "/my env/bin/python")
    assert findings.biollm("fetch", "a b") == "!'/my env/bin/python' -m biollm_widgets.cli fetch 'a b'"
    monkeypatch.setenv("APPTAINER_CONTAINER", IMAGE)
    assert findings.biollm("fetch") == "!'/my env/bin/python' -m biollm_widgets.cli fetch"
    broken = lesson_kernel.about(Path("/no/such/kernel"))
    assert broken.command == "!'/my env/bin/python' -m biollm_widgets.cli kernel install --replace"


def test_on_the_host_of_a_container_a_line_leads_into_it_first(in_a_container, monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "_may_write_here", lambda: False)
    assert packages.pip("peft>=0.15") == f"{HOST}{HERE} -m pip install --user 'peft>=0.15'"
    assert packages.pip("peft", python="/host/bin/python") == "/host/bin/python -m pip install peft"
    assert findings.biollm("fetch") == f"{HOST}{HERE} -m biollm_widgets.cli fetch"
    assert grading.reinstall().startswith(f"{HOST}{HERE} -m pip install")
    # What is copied may lie in the image; where it goes is the home, which both have.
    copied = front_end._copy(Path("/opt/share/x"), tmp_path / "y" / "x")
    assert copied == f"mkdir -p {tmp_path}/y && {HOST}cp -rL /opt/share/x {tmp_path}/y/x"
    monkeypatch.setenv("HF_HOME", "/scratch/cache")
    assert findings.biollm("fetch").startswith(f"apptainer exec --env HF_HOME=/scratch/cache '{IMAGE}' ")


def test_in_a_shell_of_the_container_there_is_no_apptainer_to_call(in_a_container, monkeypatch):
    monkeypatch.setenv("APPTAINER_COMMAND", "shell")
    assert findings.biollm("fetch") == f"{HERE} -m biollm_widgets.cli fetch"


@pytest.mark.network
@pytest.mark.skipif(os.name == "nt", reason="The commands are for a POSIX shell.")
def test_the_line_for_a_containers_host_fetches_into_the_cache_of_the_container(tmp_path):
    home = tmp_path / "home"
    environ = surroundings(home)
    inside = environ | {"APPTAINER_CONTAINER": IMAGE, "HF_HOME": str(tmp_path / "scratch" / "cache")}
    (home / "bin" / "biollm").unlink()
    program = home / "bin" / "apptainer"
    program.write_text(f'#!/bin/sh\n[ "$1 $2 $4" = "exec --env {IMAGE}" ] || exit 3\nexport "$3"\nshift 4\nexec "$@"\n')
    program.chmod(0o755)
    models = {"zhihan1996/DNABERT-2-117M": EMBEDDED / "dna", "nferruz/ProtGPT2": EMBEDDED / "protein"}
    with Hub(models) as hub:
        shell(look("models", inside)["models-room"]["command"], environ | {"HF_ENDPOINT": hub.url})
    assert look("models", inside)["model-protgpt2"]["state"] == "fine"
