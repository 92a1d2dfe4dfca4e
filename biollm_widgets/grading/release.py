"""Lessons for learners: made by nbgrader of the instructor's notebooks, and looked at before they are handed out."""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from biollm_widgets.errors import InputError
from biollm_widgets.grading.course import Course

_SECRETS = re.compile(r"###\s*(BEGIN|END)\s+(SOLUTION|HIDDEN TESTS)|Mark scheme", re.I)


class Released(NamedTuple):
    """A lesson as it was made: its file, its tasks, their points, and those of them that a person gives."""

    path: Path
    tasks: int
    points: float
    by_hand: float


def release(course: Course, lesson: str, force: bool = False) -> Released:
    """Make a lesson for learners, with its entry in the gradebook.

    Raises
    ------
    InputError
        It was made before and `force` is not given, a graded cell cannot be judged, nbgrader refuses, or something of
        the solution would be handed out.
    """
    from nbgrader.apps.api import NbGraderAPI

    graded = course.graded(lesson)  # whatever is wrong with it is said before anything is written
    path = course.released(lesson)
    if path.exists() and not force:
        raise InputError(f"{path} was made before; make it again with --force.")
    for cell in graded:
        if cell.check:
            _known(course, lesson, cell.id, cell.check)
    logger = logging.getLogger("traitlets")
    before, path_before = logger.level, os.environ.get("PATH", "")
    # nbgrader calls `alembic` by its name, which is beside this Python and not always on the path.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{path_before}"
    logger.setLevel(logging.CRITICAL)
    try:
        config: Any = course.config.copy()
        config.CourseDirectory.root = str(course.folder)
        said: dict[str, Any] = NbGraderAPI(config=config).generate_assignment(lesson, force=True)
    finally:
        logger.setLevel(before)
        os.environ["PATH"] = path_before
    if not said["success"]:
        lines = [line.strip() for line in str(said.get("error") or said.get("log") or "").splitlines() if line.strip()]
        raise InputError(f"nbgrader could not make {lesson} ({(lines or ['no word'])[-1][:200]}).")
    _leaks_nothing(path)
    by_hand = sum(cell.points for cell in graded if not cell.check)
    return Released(path, len(graded), sum(cell.points for cell in graded), by_hand)


def _known(course: Course, lesson: str, grade_id: str, name: str) -> None:
    from biollm_widgets.checks import find

    try:
        find(name)
    except InputError as problem:
        raise InputError(f"{course.source(lesson)}, cell {grade_id}: {problem}") from None


def _leaks_nothing(path: Path) -> None:
    """Raise InputError, and take the lesson away, when a mark of a solution or a hidden test is still in it."""
    import nbformat

    for cell in nbformat.read(path, as_version=4).cells:
        if _SECRETS.search(cell.source):
            name = cell.metadata.get("nbgrader", {}).get("grade_id", cell.get("id", "?"))
            path.unlink()
            raise InputError(
                f"The cell {name} of {path} would have handed out a solution or a hidden test; the lesson was taken "
                "away again. Look at its BEGIN and END lines."
            )
