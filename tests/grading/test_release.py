"""What `biollm release` looks at before a lesson is handed out, and what grading has of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader", reason="Grading is nbgrader's (make test installs it).")

from biollm_widgets.commands.release import command
from biollm_widgets.errors import InputError
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.grade import Batch
from biollm_widgets.grading.limits import Limits
from tests.grading.kernels import why_not
from tests.grading.submissions import FULL, LESSON, ROOT, grade_id, lean_source, solved

RUNNING = f"Running your own notebook of {LESSON} first"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course with the short form of a lesson, not released."""
    (tmp_path / "solutions" / LESSON).mkdir(parents=True)
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    course = Course(tmp_path)
    nbformat.write(lean_source(), course.source(LESSON))
    return course


def release(course: Course, *words: str) -> None:
    command.main([LESSON, "--course", str(course.folder), *words], standalone_mode=False)


@pytest.mark.slow
def test_what_ran_before_the_release_runs_neither_when_it_is_made_again_nor_when_it_is_graded(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    release(course)
    said = capsys.readouterr()
    assert said.err.count(RUNNING) == 1 and said.out.startswith(f"{LESSON}: ") and course.released(LESSON).exists()
    release(course, "--force")
    assert RUNNING not in capsys.readouterr().err
    course.submitted(LESSON, "alice").mkdir(parents=True)
    nbformat.write(solved(), course.submitted(LESSON, "alice") / f"{LESSON}.ipynb")
    words: list[str] = []
    way = "none" if why_not("namespaces") else "namespaces"
    (done,) = Batch(course, [LESSON]).go(1, way, Limits(), words.append)
    assert done.verdict is not None and done.verdict.score == FULL
    assert words == []


@pytest.mark.slow
def test_a_lesson_whose_own_solution_is_wrong_is_not_released(course: Course) -> None:
    notebook = lean_source()
    cell = next(cell for cell in notebook.cells if grade_id(cell) == "decoder")
    cell.source = cell.source.replace('"B"', '"A"')
    nbformat.write(notebook, course.source(LESSON))
    with pytest.raises(InputError, match=f"decoder-check gets 0 of 1 .* {LESSON} was not released; look at it with"):
        release(course)
    assert not course.released(LESSON).exists()
    assert list((course.private / "recall").iterdir()) == []


@pytest.mark.slow
def test_a_release_in_a_hurry_runs_nothing(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    release(course, "--unchecked")
    assert RUNNING not in capsys.readouterr().err and course.released(LESSON).exists()
    assert not (course.private / "recall").exists()
