"""`biollm lab`: lessons arrive, and a learner's work is never touched."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from biollm_widgets import lessons
from biollm_widgets.commands import lab
from biollm_widgets.errors import InputError
from biollm_widgets.kernels.install import install
from biollm_widgets.kernels.trial import cannot_start, names


@pytest.fixture(autouse=True)
def own_jupyter(tmp_path_factory, monkeypatch):
    """Jupyter's folder of this test, so that no kernel comes into that of the person who runs it."""
    data = tmp_path_factory.mktemp("jupyter")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(data))
    for name in ("TACC_SYSTEM", "JUPYTER_PATH", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", lab.TILES):
        monkeypatch.setenv(name, "")  # so that what the command sets is taken back
        monkeypatch.delenv(name)
    return data


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
    lessons_here = sorted(path.name for path in tmp_path.glob("*.ipynb"))
    assert lessons_here == sorted(path.name for path in lab.shipped_lessons())


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


def test_without_jupyterlab_the_line_names_no_package_that_no_registry_has(tmp_path, monkeypatch):
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install jupyterlab jupyter-app-launcher$"):
        put_lessons(tmp_path)


def test_copies_that_jupyter_makes_of_open_lessons_are_no_lessons(tmp_path, monkeypatch):
    lesson = tmp_path / "lessons" / "start_here.ipynb"
    copy = tmp_path / "lessons" / ".ipynb_checkpoints" / "start_here-checkpoint.ipynb"
    copy.parent.mkdir(parents=True)
    lesson.write_text("{}")
    copy.write_text("{}")
    monkeypatch.setattr(lessons, "__file__", str(tmp_path / "biollm_widgets" / "lessons.py"))
    assert lessons.shipped_lessons() == [lesson]


def notebook_of(*cells):
    """Cells as (id, source)."""
    made = [{"cell_type": "code", "id": name, "metadata": {}, "source": text, "outputs": []} for name, text in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def ships(tmp_path, monkeypatch):
    """`ships(*cells)`: from now on the package has this lesson, start_here, and no other."""
    lesson = tmp_path / "package" / "start_here.ipynb"
    lesson.parent.mkdir()
    monkeypatch.setattr(lab, "shipped_lessons", lambda: [lesson])
    return lambda *cells: lesson.write_text(notebook_of(*cells))


OLD = (("a", "# One\nx = 1"), ("b", "y = 2"), ("c", "z = 3"))
NEWER = (("a", "# One\nx = 11"), ("d", "## Four"), ("b", "y = 2"))


def test_a_newer_lesson_is_told_by_what_its_authors_changed_not_by_what_the_learner_did(tmp_path, ships):
    folder = tmp_path / "mine"
    ships(*OLD)
    put_lessons(folder, "--no-open")
    work = notebook_of(("a", "# One\nx = 1"), ("b", "y = 'my answer'"), ("c", "z = 3"))
    (folder / "start_here.ipynb").write_text(work)
    # Work alone is nothing newer.
    assert put_lessons(folder, "--no-open").output.endswith("yours, kept.\n")
    assert not (folder / "start_here.new.ipynb").exists()

    ships(*NEWER)
    for _ in range(2):  # the second time says the same and makes no other file
        said = put_lessons(folder, "--no-open").output.splitlines()
        assert said[0].endswith("yours, kept; the lesson as it ships lies beside it as start_here.new.ipynb.")
        assert said[1:4] == ['  1 cell changed: "One"', '  1 cell new: "Four"', '  1 cell gone: "z = 3"']
        assert said[4].endswith(f"biollm lab {folder} --take start_here")
        assert sorted(path.name for path in folder.glob("*.ipynb")) == ["start_here.ipynb", "start_here.new.ipynb"]
    assert (folder / "start_here.ipynb").read_text() == work
    full = put_lessons(folder, "--no-open", "--diff").output
    assert "\n-x = 1\n+x = 11\n" in full and "\n+## Four\n" in full and "my answer" not in full


def test_a_newer_lesson_is_taken_only_when_asked_and_ones_own_is_kept(tmp_path, ships):
    folder = tmp_path / "mine"
    ships(*OLD)
    put_lessons(folder, "--no-open")
    (folder / "start_here.ipynb").write_text("my work")
    (folder / "start_here.mine.ipynb").write_text("older work of mine")
    ships(*NEWER)
    said = put_lessons(folder, "--no-open", "--take", "start_here").output
    assert "the newer lesson; yours is kept beside it as start_here.mine-2.ipynb." in said
    assert (folder / "start_here.mine-2.ipynb").read_text() == "my work"
    assert (folder / "start_here.mine.ipynb").read_text() == "older work of mine"
    assert (folder / "start_here.ipynb").read_text() == notebook_of(*NEWER)
    # From here on this one is what the learner works from.
    (folder / "start_here.ipynb").write_text(notebook_of(("a", "mine again")))
    assert put_lessons(folder, "--no-open").output.endswith("yours, kept.\n")
    with pytest.raises(InputError, match="no lesson nothing; there are: start_here"):
        put_lessons(folder, "--take", "nothing")


@pytest.fixture
def disk(monkeypatch):
    """`disk(n)`: from now on n bytes at most fit into a file of their own; more is a disk quota exceeded."""
    real = Path.write_bytes

    def fits(most):
        def write(path, content):
            if len(content) > most:
                real(path, content[:most])
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(path))
            return real(path, content)

        monkeypatch.setattr(Path, "write_bytes", write)

    return fits


def test_a_full_disk_is_a_sentence_and_no_part_of_a_lesson_is_left(tmp_path, ships, disk):
    ships(*OLD)
    disk(10)
    with pytest.raises(InputError, match=r"^Cannot write .*start_here.ipynb \(.*quota.*\); make room there, or name"):
        put_lessons(tmp_path / "mine", "--no-open")
    assert not list((tmp_path / "mine").iterdir())


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("fails", ["the lesson", "its record", "the rename", "Ctrl-C"])
def test_where_a_newer_lesson_cannot_be_taken_ones_own_stays_under_its_name(fails, tmp_path, ships, disk, monkeypatch):
    folder = tmp_path / "mine"
    ships(*OLD)
    put_lessons(folder, "--no-open")
    (folder / "start_here.ipynb").write_text("my work")
    before = contents(folder)
    ships(*NEWER)
    with monkeypatch.context() as broken:
        if fails == "the lesson":
            disk(10)
        elif fails == "its record":
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            broken.setattr(Path, "write_bytes", fail_for(".json", Path.write_bytes, full))
        elif fails == "the rename":
            broken.setattr(
                Path, "rename", fail_for("", Path.rename, PermissionError(errno.EACCES, "Permission denied"))
            )
        else:
            broken.setattr(Path, "write_bytes", fail_for(".json", Path.write_bytes, KeyboardInterrupt()))
        with pytest.raises((InputError, KeyboardInterrupt)) as told:
            lessons.put(lab.shipped_lessons()[0], folder, take=True)
    assert isinstance(told.value, KeyboardInterrupt if fails == "Ctrl-C" else InputError)
    assert contents(folder) == before


def fail_for(ending, real, failure):
    def instead(path, *words):
        if path.name.endswith(ending):
            raise failure
        return real(path, *words)

    return instead


def test_work_in_the_lesson_that_lies_beside_is_kept_too(tmp_path, ships):
    folder = tmp_path / "mine"
    ships(*OLD)
    put_lessons(folder, "--no-open")
    (folder / "start_here.ipynb").write_text("my work")
    ships(*NEWER)
    put_lessons(folder, "--no-open")
    beside = folder / "start_here.new.ipynb"
    ships(*NEWER, ("e", "five"))
    put_lessons(folder, "--no-open")
    assert "five" in beside.read_text()  # nobody touched the one before
    beside.write_text("work in the wrong file")
    ships(*NEWER, ("e", "six"))
    assert "beside it as start_here.new-2.ipynb" in put_lessons(folder, "--no-open").output
    assert beside.read_text() == "work in the wrong file"
    assert "six" in (folder / "start_here.new-2.ipynb").read_text()


CHANGES = {
    "many": (
        [("", "code", str(n)) for n in range(5)],
        [("", "code", f"n{n}") for n in range(5)],
        ['5 cells changed: "n0", "n1", "n2" and 2 more'],
    ),
    "order": ([("a", "code", "x"), ("b", "code", "y")], [("b", "code", "y"), ("a", "code", "x")],
              ["the order of the cells is another"]),
    "without ids": ([("", "code", "x"), ("", "code", "z")], [("", "code", "x"), ("", "code", "y"), ("", "code", "z")],
                    ['1 cell new: "y"']),
    "doubled ids": ([("a", "code", "x"), ("a", "code", "y")], [("a", "code", "x")], ['1 cell gone: "y"']),
    "a kind": ([("a", "code", "x")], [("a", "markdown", "x")], ['1 cell changed: "x"']),
    "long": ([], [("a", "code", "\n" + "w" * 60)], [f'1 cell new: "{"w" * 47}..."']),
    "empty": ([("a", "code", "")], [], ['1 cell gone: "an empty cell"']),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_what_differs_is_said_in_words(case):
    old, new, words = CHANGES[case]
    assert lessons.in_words(old, new) == words


def test_a_kernel_of_the_course_is_made_once_and_the_models_are_told_once(tmp_path, no_server, own_jupyter):
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed in this environment.")
    said = put_lessons(tmp_path / "mine").output
    assert "The kernel Day4-pt-251 runs this Python" in said and "day4-pt-251" in names()
    assert said.count("need neither internet nor a GPU") == 1
    spec = own_jupyter / "kernels" / "Day4-pt-251" / "kernel.json"
    before = spec.stat().st_mtime_ns
    assert "The kernel" not in put_lessons(tmp_path / "mine").output and spec.stat().st_mtime_ns == before


def test_jupyterlab_opens_also_where_no_kernel_can_be_made(tmp_path, no_server, monkeypatch):
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed in this environment.")
    monkeypatch.setenv("TACC_SYSTEM", "vista")
    monkeypatch.delenv("SCRATCH", raising=False)
    said = put_lessons(tmp_path / "mine").output
    assert "No kernel Day4-pt-251 could be made. SCRATCH is not set" in said
    assert "JupyterLab opens all the same" in said and len(no_server) == 1


def write_kernel(own_jupyter, argv):
    folder = own_jupyter / "kernels" / "Day4-pt-251"
    folder.mkdir(parents=True)
    text = argv if isinstance(argv, str) else json.dumps({"argv": argv, "display_name": "d", "language": "python"})
    (folder / "kernel.json").write_text(text)
    return folder / "kernel.json"


GONE = {
    "its Python": (["/old/env/bin/python", "-m", "ipykernel_launcher"], "its program /old/env/bin/python is not there"),
    "its container's": (["no-such-apptainer", "exec", "x.sif"], "its program no-such-apptainer is not there"),
    "its kernel.json": ("{", "its kernel.json cannot be read"),
}


@pytest.mark.parametrize("what", GONE)
def test_a_kernel_that_cannot_start_is_told_and_one_that_works_takes_its_place(what, tmp_path, no_server, own_jupyter):
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed in this environment.")
    argv, why = GONE[what]
    spec = write_kernel(own_jupyter, argv)
    before = spec.read_bytes()
    said = put_lessons(tmp_path / "mine").output
    old = own_jupyter / "kernels_old" / "Day4-pt-251-1"
    assert f"The kernel Day4-pt-251 cannot start: {why}" in said and f"The old one is kept in {old}" in said
    assert (old / "kernel.json").read_bytes() == before
    assert json.loads(spec.read_text())["argv"][0] == sys.executable
    assert "cannot start" not in put_lessons(tmp_path / "mine").output


def test_where_none_can_take_the_place_of_a_dead_kernel_the_line_that_mends_it_is_told(
    tmp_path, no_server, own_jupyter, monkeypatch
):
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed in this environment.")
    spec = write_kernel(own_jupyter, ["no-such-apptainer", "exec", "x.sif"])
    before = spec.read_bytes()
    monkeypatch.setenv("TACC_SYSTEM", "vista")
    monkeypatch.delenv("SCRATCH", raising=False)
    said = put_lessons(tmp_path / "mine").output
    assert "SCRATCH is not set" in said and "give: biollm kernel install --name Day4-pt-251 --replace\n" in said
    assert "choose another kernel" in said and len(no_server) == 1
    assert spec.read_bytes() == before


LEFT = {
    "inside a container": (["apptainer", "exec", "x.sif"], {}),
    "the server's own Python": (["python3", "-m", "ipykernel_launcher"], {}),
    "on a path of its own": (["own-python"], {"env": {"PATH": "${OWN}:/usr/bin"}}),
    "on another computer": (["far-python"], {"metadata": {"kernel_provisioner": {"provisioner_name": "far"}}}),
}


@pytest.mark.parametrize("where", LEFT)
def test_a_kernel_whose_program_may_be_there_is_left_as_it_is(where, tmp_path, own_jupyter, monkeypatch):
    argv, more = LEFT[where]
    (tmp_path / "own-python").write_text("#!/bin/sh\n")
    (tmp_path / "own-python").chmod(0o755)
    monkeypatch.setenv("OWN", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    if where == "inside a container":
        monkeypatch.setenv("APPTAINER_CONTAINER", "/x.sif")
    write_kernel(own_jupyter, json.dumps({"argv": argv, "display_name": "d", "language": "python", **more}))
    assert cannot_start("Day4-pt-251") == ""


def test_on_vista_all_lessons_ask_for_the_container_and_elsewhere_each_for_its_own(tmp_path, monkeypatch):
    install()
    put_lessons(tmp_path / "laptop", "--no-open")
    monkeypatch.setenv("TACC_SYSTEM", "vista")
    put_lessons(tmp_path / "vista", "--no-open")

    def asked(place: str, lesson: str) -> str:
        notebook = json.loads((tmp_path / place / f"{lesson}.ipynb").read_text(encoding="utf-8"))
        return notebook["metadata"]["kernelspec"]["name"]

    # Jupyter lists all names in small letters, and JupyterLab opens the kernel of no other name without asking.
    assert asked("laptop", "start_here") == "python3" and asked("laptop", "protein_design") == "day4-pt-251"
    assert asked("vista", "start_here") == asked("vista", "protein_design") == "day4-pt-251"
    assert "yours, kept." in put_lessons(tmp_path / "vista", "--no-open").output


def test_each_tile_names_an_icon_and_a_lesson_that_the_folder_has(tmp_path, no_server, monkeypatch):
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed in this environment.")
    put_lessons(tmp_path, "--no-open")
    (file,) = lessons.shipped("launcher", ".yaml")
    assert file.name.startswith("jp_app_launcher")  # the only names that the extension reads
    tiles = yaml.safe_load(file.read_text())
    assert tiles[0]["source"][0]["args"]["path"] == lessons.FIRST
    for tile in tiles:
        assert (tile["type"], tile["source"][0]["id"]) == ("jupyterlab-commands", "docmanager:open")
        assert (tmp_path / tile["source"][0]["args"]["path"]).is_file()
        assert "jp-icon3" in (file.parent / tile["icon"]).read_text()  # JupyterLab's themes colour it


@pytest.mark.parametrize("theirs", ["", "/their/own/tiles"])
def test_the_server_is_told_of_the_tiles_unless_the_learner_has_their_own(theirs, tmp_path, no_server, monkeypatch):
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed in this environment.")
    real = lab.importlib.util.find_spec
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: real("json" if "launcher" in name else name))
    monkeypatch.setattr(lab, "_make_kernel_available", lambda: None)
    monkeypatch.setenv(lab.TILES, theirs)
    if not theirs:
        monkeypatch.delenv(lab.TILES)
    put_lessons(tmp_path)
    (file,) = lessons.shipped("launcher", ".yaml")
    assert os.environ[lab.TILES] == (theirs or str(file.parent))
