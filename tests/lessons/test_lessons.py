"""The lessons are what nbgrader makes of `solutions/`, leak nothing, and are graded: solved full, blank zero."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest.importorskip("nbgrader", reason="The lessons are made by nbgrader (make test installs it).")

from biollm_widgets.checks import checks_of

ROOT = Path(__file__).resolve().parents[2]
LESSONS = {"dna_classification": "dna", "protein_design": "protein"}  # the folder, and the name of its checks


def nbgrader(course: Path, *words: str, timeout: float = 900) -> str:
    """Run a command of nbgrader in a course; what it said."""
    env = {**os.environ, "BIOLLM_MODELS": "embedded", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    env |= {"JUPYTER_CONFIG_DIR": str(course / ".jupyter"), "JUPYTER_DATA_DIR": str(course / ".data")}
    # It calls `alembic` by its name, which is beside this Python and not always on the path.
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
    with tempfile.TemporaryDirectory() as sockets:
        # Kernels over files: of those over ports, one in dozens dies while others start, and its learner has no points.
        over = ["--KernelManager.transport=ipc", f"--KernelManager.ip={sockets}/kernel"]
        command = [sys.executable, "-m", "nbgrader", *words, *over]
        done = subprocess.run(command, cwd=course, env=env, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course of its own, with the lessons released in it."""
    place = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", place)
    for lesson in LESSONS:
        shutil.copytree(ROOT / "solutions" / lesson, place / "solutions" / lesson)
        nbgrader(place, "generate_assignment", lesson)
    return place


def read(folder: str, lesson: str, root: Path = ROOT) -> Any:
    return nbformat.read(root / folder / lesson / f"{lesson}.ipynb", as_version=4)


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS)
def test_what_ships_is_what_nbgrader_makes_of_the_source(lesson: str, course: Path) -> None:
    made, ships = read("lessons", lesson, course), read("lessons", lesson)
    assert [(cell.id, cell.source, cell.metadata) for cell in ships.cells] == [
        (cell.id, cell.source, cell.metadata) for cell in made.cells
    ], f"lessons/{lesson} is stale: nbgrader generate_assignment {lesson} --force --no-db"
    assert ships.metadata == made.metadata


@pytest.mark.parametrize("folder", ["solutions", "lessons"])
@pytest.mark.parametrize("lesson", LESSONS)
def test_it_is_a_valid_notebook_for_the_kernel_of_the_cluster_without_outputs(lesson: str, folder: str) -> None:
    notebook = read(folder, lesson)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "Day4-pt-251"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            compile(cell.source, cell.id, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_line_of_a_solution_is_in_the_lesson(lesson: str) -> None:
    shipped = "\n".join(cell.source for cell in read("lessons", lesson).cells)
    assert "SOLUTION" not in shipped and "Mark scheme" not in shipped and "HIDDEN" not in shipped
    lines = []
    for cell in read("solutions", lesson).cells:
        for part in re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", cell.source, re.S):
            lines += [line.strip() for line in part.splitlines() if len(line.strip()) > 24]
    assert len(lines) > 30
    assert [line for line in lines if line in shipped] == []


# How the libraries are called, which is no step of a task.
CALLS = {
    "_.tokenize(_, add_special_tokens=False)",
    "_(input_ids=_['input_ids'], attention_mask=_['attention_mask'])",
}


def shapes(source: str, least: int = 9) -> set[str]:
    """Expressions of code, names of variables left out: the same step under other names is the same shape."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        whole = isinstance(node, ast.expr) and not isinstance(node, (ast.Starred, ast.FormattedValue))
        if whole and sum(1 for _ in ast.walk(node)) >= least:
            plain = ast.parse(ast.unparse(node), mode="eval")
            for name in ast.walk(plain):
                if isinstance(name, ast.Name):
                    name.id = "_"
            found.add(ast.unparse(plain))
    return found


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_other_cell_takes_the_step_that_a_task_asks_for(lesson: str) -> None:
    asked: set[str] = set()
    for cell in read("solutions", lesson).cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution"):
            asked |= shapes(cell.source) - CALLS
    assert len(asked) > 20
    shown = [cell for cell in read("lessons", lesson).cells if cell.cell_type == "code"]
    assert [(cell.id, sorted(shapes(cell.source) & asked)) for cell in shown if shapes(cell.source) & asked] == []


@pytest.mark.parametrize(("lesson", "name"), LESSONS.items())
def test_every_check_stands_in_the_lesson_once_with_its_points(lesson: str, name: str) -> None:
    found = {}
    for cell in read("lessons", lesson).cells:
        about = cell.metadata.get("nbgrader", {})
        if about.get("grade") and cell.cell_type == "code":
            [(check, _)] = re.findall(r'^bio\.check\("([\w.]+)", (\w+)\)$', cell.source)
            assert check not in found and about["locked"]
            found[check] = about["points"]
    assert found == {check: one.points for check, one in checks_of(name).items()}


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_unit_has_all_that_a_unit_is_made_of(lesson: str) -> None:
    text = "\n".join(cell.source for cell in read("lessons", lesson).cells)
    units = re.split(r"^## (?=\d+ · )", text, flags=re.M)[1:]
    assert len(units) == 10
    for unit in units:
        unit = re.split(r"^## ", unit, flags=re.M)[0]
        title = unit.splitlines()[0]
        minutes = re.search(r"\((\d+) minutes\)", title)
        assert minutes and 10 <= int(minutes[1]) <= 15, title
        for part in ("itself: ", "**You will be able to**", "bio.predict(", "bio.check(", "<summary>Worked answer",
                     "Break it on purpose", "**Keep:**"):  # fmt: skip
            assert part in unit, (title, part)


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_picture_has_words_and_every_open_question_a_choice_before_it(lesson: str) -> None:
    cells = read("solutions", lesson).cells
    drawn = [cell for cell in cells if cell.cell_type == "code" and "plt." in cell.source.replace("import", "")]
    drawn = [cell for cell in drawn if cell.id != "setup"]
    assert drawn and all("bio.picture(plt.gcf()" in cell.source and "plt.show" not in cell.source for cell in drawn)
    by_hand = [k for k, cell in enumerate(cells) if cell.cell_type == "markdown" and cell.metadata.get("nbgrader")]
    assert len(by_hand) == 2
    for k in by_hand:  # the answer, before it the question, before that the check of the choice
        assert cells[k - 2].source.startswith(f'bio.check("{LESSONS[lesson]}.q.'), cells[k].id


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS)
def test_nbgrader_gives_the_solution_all_points_and_a_blank_lesson_none(lesson: str, course: Path) -> None:
    for learner, folder in (("solved", "solutions"), ("blank", "lessons")):
        shutil.copytree(course / folder / lesson, course / "submitted" / learner / lesson)
    nbgrader(course, "autograde", lesson, "--Execute.kernel_name=python3", "--Execute.timeout=300", timeout=1200)
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        scores = {one: book.find_submission(lesson, one) for one in ("solved", "blank")}
        solved, blank = scores["solved"], scores["blank"]
        assert [
            (g.name, g.score, g.max_score) for n in solved.notebooks for g in n.grades if g.score != g.max_score
        ] == [(g.name, 0.0, g.max_score) for n in solved.notebooks for g in n.grades if g.cell.cell_type == "markdown"]
        assert blank.score == 0 and all(g.auto_score in (0, None) for n in blank.notebooks for g in n.grades)
        assert solved.code_score == solved.max_code_score > 40
    graded = read("autograded/blank", lesson, course)
    wrong = [out for cell in graded.cells for out in cell.get("outputs", []) if out.output_type == "error"]
    assert wrong == []  # it runs to its end before anything is answered
    nbgrader(course, "generate_feedback", lesson)
    page = (course / "feedback" / "blank" / lesson / f"{lesson}.html").read_text(encoding="utf-8")
    assert "Hint" in page and "BEGIN SOLUTION" not in page and "Mark scheme" not in page and "HIDDEN" not in page
