"""The kernel that the lessons name, and what an instructor's machine needs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from biollm_widgets.cli import VERBS
from biollm_widgets.diagnosis import grading
from biollm_widgets.kernels import vista

from .rooms import look, shell, surroundings
from .test_front_end import lent_environment

pytestmark = pytest.mark.skipif(os.name == "nt", reason="The commands are for a POSIX shell.")


def spec(home: Path, *argv: str) -> Path:
    folder = home / ".local" / "share" / "jupyter" / "kernels" / "Day4-pt-251"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    return folder


def test_a_missing_kernel_is_a_note_and_a_spec_of_that_name_ends_it(tmp_path):
    environ = surroundings(tmp_path)
    found = look("lesson_kernel", environ)["lesson-kernel"]
    assert (found["state"], found["command"]) == ("note", "biollm kernel install")
    if "kernel" in VERBS:
        shell(found["command"], environ)
    else:
        spec(tmp_path, sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
    found = look("lesson_kernel", environ)["lesson-kernel"]
    assert found["state"] == "fine" and "Day4-pt-251 in ~/.local/share/jupyter/kernels" in found["sentence"]


def test_a_kernel_whose_program_or_image_is_gone_is_broken(tmp_path):
    environ = surroundings(tmp_path)
    spec(tmp_path, "/no/such/python", "-m", "ipykernel_launcher")
    found = look("lesson_kernel", environ)["lesson-kernel"]
    assert found["state"] == "broken" and "starts /no/such/python, which is not here" in found["sentence"]
    spec(tmp_path, "sh", "exec", "$SCRATCH/pytorch-ml-container_0.4.sif", "python3")
    found = look("lesson_kernel", environ)["lesson-kernel"]
    assert found["state"] == "broken" and "SCRATCH is not set" in found["sentence"]
    (tmp_path / "pytorch-ml-container_0.4.sif").write_text("")
    assert look("lesson_kernel", environ | {"SCRATCH": str(tmp_path)})["lesson-kernel"]["state"] == "fine"


def test_a_slow_import_is_not_taken_for_a_computer_that_cannot_grade(monkeypatch):
    monkeypatch.setattr(grading, "_SECONDS", 0.2)
    monkeypatch.setattr(grading, "_ISOLATION", "import time; time.sleep(20)")
    found = grading.isolation()
    assert found.state == "note" and "was not found out within 0.2 seconds" in found.sentence
    assert "refuses" not in found.sentence and "Run biollm doctor again" in found.remedy


def test_a_broken_kernel_is_mended_by_the_line_that_is_printed(tmp_path):
    environ = surroundings(tmp_path)
    spec(tmp_path, "/no/such/python", "-m", "ipykernel_launcher", "-f", "{connection_file}")
    found = look("lesson_kernel", environ)["lesson-kernel"]
    assert (found["state"], found["command"]) == ("broken", "biollm kernel install --replace")
    shell(found["command"], environ)
    assert look("lesson_kernel", environ)["lesson-kernel"]["state"] == "fine"


def test_inside_a_container_a_program_that_only_the_host_has_is_not_called_broken(tmp_path):
    spec(tmp_path, "apptainer", "exec", "/some/image.sif", "python3")
    for name in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"):
        found = look("lesson_kernel", surroundings(tmp_path, **{name: "/some/image.sif"}))["lesson-kernel"]
        assert found["state"] == "note" and "cannot be seen from inside the container" in found["sentence"]
        assert "Open a notebook with it" in found["remedy"] and found["command"] is None
    found = look("lesson_kernel", surroundings(tmp_path))["lesson-kernel"]
    assert found["state"] == "broken" and "starts apptainer, which is not here" in found["sentence"]


@pytest.mark.parametrize("own", [True, False])
def test_the_image_of_the_kernel_that_biollm_writes_is_read_from_its_script(tmp_path, own):
    environ = surroundings(tmp_path, SCRATCH=tmp_path)
    folder = spec(tmp_path, *vista.kernel_argv())
    image = tmp_path / ("it's my $own.sif" if own else vista.IMAGE)
    (folder / vista.SCRIPT).write_text(vista.start_script("Day4-pt-251", image if own else None))
    image.write_text("")
    assert look("lesson_kernel", environ)["lesson-kernel"]["state"] == "fine"
    image.unlink()
    found = look("lesson_kernel", environ)["lesson-kernel"]
    assert found["state"] == "broken" and f"{image.name}, and it is not there" in found["sentence"]
    found = look("lesson_kernel", environ | {"APPTAINER_CONTAINER": "/another.sif"})["lesson-kernel"]
    assert found["state"] == "note" and "cannot be seen from inside the container" in found["sentence"]


def test_the_kernel_that_biollm_writes_is_broken_without_its_script_or_without_scratch(tmp_path):
    folder = spec(tmp_path, *vista.kernel_argv())
    found = look("lesson_kernel", surroundings(tmp_path))["lesson-kernel"]
    assert found["state"] == "broken" and "/Day4-pt-251/start.sh, which cannot be read" in found["sentence"]
    (folder / vista.SCRIPT).write_text(vista.start_script("Day4-pt-251", None))
    found = look("lesson_kernel", surroundings(tmp_path))["lesson-kernel"]
    assert found["state"] == "broken" and "SCRATCH is not set" in found["sentence"]


def test_a_kernel_json_that_is_none_is_broken(tmp_path):
    (spec(tmp_path) / "kernel.json").write_text("{")
    found = look("lesson_kernel", surroundings(tmp_path)).get("lesson-kernel")
    assert found is not None and found["state"] == "broken" and "cannot be read" in found["sentence"]


def test_without_nbgrader_grading_is_not_looked_at(monkeypatch):
    def missing(name):
        raise grading.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(grading.metadata, "version", missing)
    assert [(one.id, one.state) for one in grading.look()] == [("nbgrader", "fine")]


@pytest.mark.slow
def test_a_formgrader_that_is_switched_off_is_switched_on_by_the_line(tmp_path):
    pytest.importorskip("nbgrader")
    pytest.importorskip("jupyterlab")
    off = json.dumps({"ServerApp": {"jpserver_extensions": {grading.FORMGRADER: False}}})
    python = lent_environment(tmp_path / "env")
    site = next((tmp_path / "env").glob("lib/python3*/site-packages"))
    (site / "jupyterlab-4.4.1.dist-info").mkdir()  # so that it is an environment with JupyterLab
    (site / "jupyterlab-4.4.1.dist-info" / "METADATA").write_text("Name: jupyterlab\nVersion: 4.4.1\n")
    for folder, level in ((tmp_path / "env" / "etc" / "jupyter", "--sys-prefix"), (tmp_path / ".jupyter", "--user")):
        environ = surroundings(tmp_path, JUPYTER_PREFER_ENV_PATH="0")
        file = folder / "jupyter_server_config.d" / "nbgrader.json"
        file.parent.mkdir(parents=True)
        file.write_text(off)

        def found(environ=environ) -> dict:
            return look("grading", environ, python=python)["formgrader"]

        assert found()["state"] == "note" and level in found()["command"]
        shell(found()["command"], environ)
        assert found()["state"] == "fine"


def test_a_setting_against_the_formgrader_that_no_command_undoes_is_named_with_its_file(tmp_path):
    pytest.importorskip("nbgrader")
    pytest.importorskip("jupyterlab")
    environ = surroundings(tmp_path)
    file = tmp_path / ".jupyter" / "jupyter_server_config.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"ServerApp": {"jpserver_extensions": {grading.FORMGRADER: False}}}))
    found = look("grading", environ)["formgrader"]
    assert found["state"] == "note" and "~/.jupyter/jupyter_server_config.json says so" in found["sentence"]
    file.write_text(json.dumps({"ServerApp": {"jpserver_extensions": {}}}))
    assert look("grading", environ)["formgrader"]["state"] == "fine"


def test_a_server_without_nbgraders_half_in_the_page_is_told(tmp_path):
    from biollm_widgets.diagnosis.servers import Server

    here = Server(tmp_path, "x", {"HOME": str(tmp_path), "PYTHONNOUSERSITE": "1"})
    found = {one.id: one for one in grading.pages(here)}
    assert set(found) == {"nbgrader-front-end", "formgrader"}
    folder = tmp_path / "share" / "jupyter" / "labextensions" / "@jupyter" / "nbgrader"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"name": "@jupyter/nbgrader", "version": "0.9.6"}')
    assert "nbgrader-front-end" not in {one.id for one in grading.pages(here)}


def test_isolation_is_what_grade_would_choose_and_a_reason_where_there_is_none(monkeypatch):
    from biollm_widgets.errors import InputError
    from biollm_widgets.grading.setting import choose_isolation

    try:
        wanted = ("fine", choose_isolation("auto"))
    except InputError:
        wanted = ("note", "cannot be kept apart")
    found = grading.isolation()
    assert found.state == wanted[0] and wanted[1] in found.sentence
    code = "print('cannot', 'Notebooks cannot be kept apart here (namespaces: no; bubblewrap: bwrap (it) no): x.')"
    monkeypatch.setattr(grading, "_ISOLATION", code)
    found = grading.isolation()
    assert found.state == "note" and "bwrap" in found.remedy
    assert "(namespaces: no; bubblewrap: bwrap (it) no)" in found.sentence
    monkeypatch.setattr(grading, "_ISOLATION", "raise ImportError('no fcntl')")
    assert "ImportError: no fcntl" in grading.isolation().sentence
