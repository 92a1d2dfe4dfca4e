"""nbgrader's gradebook and folders, written by one process: a submission's points, its notebook, its state in words."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional, TypeVar

from biollm_widgets.errors import InputError
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.verdicts import GRADED, Verdict

WAIT = 60  # seconds for a gradebook that somebody else writes to
T = TypeVar("T")


def _path(course: Course) -> Optional[Path]:
    url = course.nbgrader.db_url
    return Path(url[len("sqlite:///") :]) if url.startswith("sqlite:///") else None


@contextmanager
def opened(course: Course) -> Iterator[Any]:
    """The gradebook, closed at the end."""
    from nbgrader.api import Gradebook

    book = Gradebook(course.nbgrader.db_url, course.nbgrader.course_id)
    try:
        yield book
    finally:
        book.close()


def patiently(course: Course, act: Callable[[], T], say: Callable[[str], None] = lambda words: None) -> T:
    """Do something with the gradebook; while somebody else has it locked, wait.

    Raises
    ------
    InputError
        It stays locked (who holds it is said), the disk is full, or it is no gradebook.
    """
    from nbgrader.api import InvalidEntry
    from sqlalchemy.exc import DatabaseError

    until, told = time.monotonic() + WAIT, False
    while True:
        try:
            return act()
        except (DatabaseError, InvalidEntry) as problem:  # nbgrader wraps what happens while something is added
            said = str(getattr(problem, "orig", problem)).splitlines()[0]
            if "locked" not in said and "busy" not in said:
                raise InputError(_meaning(course, said)) from None
            if time.monotonic() > until:
                who = holders(_path(course))
                held = f"; it is open in {who}" if who else ""
                raise InputError(
                    f"The gradebook {_path(course)} has been locked for {WAIT} s{held}. "
                    "Close what has it open and grade again; what is graded already is kept."
                ) from None
            if not told:
                say("The gradebook is locked by another program; waiting for it.")
                told = True
            time.sleep(0.5)


def _meaning(course: Course, said: str) -> str:
    if "full" in said:
        return "The disk is full: the gradebook cannot be written. Make room and grade again; what is graded is kept."
    if "readonly" in said or "read-only" in said or "unable to open" in said:
        return f"The gradebook {_path(course)} cannot be written ({said}); look at who may write there."
    return f"{_path(course)} is no gradebook that can be read ({said}); restore it from a copy."


def holders(path: Optional[Path]) -> str:
    """Which other processes have a file open, in words; empty where that cannot be seen."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            open_ones = {str(one.readlink()) for one in (process / "fd").iterdir()}
            if path is not None and str(path) in {one.removesuffix("-journal") for one in open_ones}:
                found.append(f"{(process / 'comm').read_text().strip()} (process {process.name})")
        except OSError:
            continue
    return ", ".join(found[:5])


def agrees(course: Course, lesson: str) -> None:
    """Raise InputError unless the gradebook knows the lesson with the tasks and points that its notebook has."""
    from nbgrader.api import MissingEntry

    path = _path(course)
    if path is not None and not path.exists():
        raise InputError(f"There is no gradebook {path}; run `biollm release {lesson}` first.")

    def known() -> dict[str, float]:
        with opened(course) as book:
            return {cell.name: cell.max_score for cell in book.find_notebook(lesson, lesson).grade_cells}

    try:
        there = patiently(course, known)
    except MissingEntry:
        raise InputError(f"The gradebook does not know {lesson}; run `biollm release {lesson}` first.") from None
    wanted = {cell.id: cell.points for cell in course.graded(lesson)}
    if there != wanted:
        other = sorted(set(there.items()) ^ set(wanted.items()))[0][0]
        raise InputError(
            f"The gradebook and {course.source(lesson)} differ (for one, in {other}): the notebook was changed after "
            f"the release. Run `biollm release {lesson} --force`."
        )


def knows(course: Course, lesson: str) -> set[str]:
    """Who has a submission of the lesson in the gradebook."""

    def read() -> set[str]:
        with opened(course) as book:
            return {one.student.id for one in book.assignment_submissions(lesson)}

    return patiently(course, read)


def write(course: Course, verdict: Verdict, notebook: str, say: Callable[[str], None] = lambda words: None) -> None:
    """Write a submission's notebook where nbgrader has it, and its points into the gradebook, all of them or none.

    Marks and comments that a person gave stay as they are.

    Raises
    ------
    InputError
        The gradebook stays locked, or there is no room.
    """
    course.autograded(verdict.lesson, verdict.learner)
    _put(course, verdict, notebook or _in_place_of(course, verdict))
    patiently(course, lambda: _points(course, verdict, notebook), say)


def _put(course: Course, verdict: Verdict, notebook: str) -> None:
    """The folder in autograded/, in place of an older one."""
    folder = course.autograded(verdict.lesson, verdict.learner)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as place:
        new = Path(place) / "new"
        new.mkdir()
        (new / f"{verdict.lesson}.ipynb").write_text(notebook, encoding="utf-8")
        stamp = course.submitted(verdict.lesson, verdict.learner) / "timestamp.txt"
        if stamp.is_file() and not stamp.is_symlink():
            shutil.copyfile(stamp, new / "timestamp.txt")
        if folder.exists():
            folder.rename(Path(place) / "old")
        new.rename(folder)


def _in_place_of(course: Course, verdict: Verdict) -> str:
    """A notebook for the formgrader in place of one that could not be graded: the lesson, with what is wrong on top."""
    import nbformat

    notebook = nbformat.read(course.released(verdict.lesson), as_version=4)
    words = f"**This submission could not be graded.** {verdict.why}\n\n{verdict.ask}"
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(words))
    return json.dumps(notebook)


def _points(course: Course, verdict: Verdict, notebook: str) -> None:
    from nbgrader.utils import parse_utc
    from sqlalchemy.exc import SAWarning

    lesson = verdict.lesson
    # nbgrader adds a submission's parts in an order that SQLAlchemy warns of and that does no harm.
    with opened(course) as book, warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        book.update_or_create_student(verdict.learner)
        stamp = {"timestamp": parse_utc(verdict.submitted)} if verdict.submitted else {}
        submission = book.update_or_create_submission(lesson, verdict.learner, **stamp)
        (own,) = [one for one in submission.notebooks if one.name == lesson]
        tasks = {task.id: task for task in verdict.tasks}
        for grade in own.grades:
            task = tasks[grade.name]
            before = grade.auto_score
            grade.auto_score = task.score if task.check and not verdict.why else None
            marked = grade.manual_score is not None
            # A mark that was given for another answer wants another look.
            grade.needs_manual_grade = bool(verdict.why) or (not task.check and not marked)
            if marked and task.check and before is not None and before != grade.auto_score:
                grade.needs_manual_grade = True
        blank, first = _untouched(course, lesson, notebook), True
        for comment in own.comments:
            words = "No response." if comment.name in blank else None
            if first and (verdict.state != GRADED or verdict.notes):
                said = " ".join([verdict.summary, *verdict.notes])
                words, first = f"{said[0].upper()}{said[1:]}", False
            first = False
            comment.auto_comment = words
        book.db.commit()
    _late(course, verdict)


def _untouched(course: Course, lesson: str, notebook: str) -> set[str]:
    """The solution cells that are as they were handed out."""
    import nbformat

    try:
        released = nbformat.read(course.released(lesson), as_version=4)
        handed_in = nbformat.reads(notebook, as_version=4) if notebook else released
    except Exception:
        return set()
    given = {_id(cell): cell.source.strip() for cell in released.cells if _id(cell)}
    return {_id(cell) for cell in handed_in.cells if _id(cell) and given.get(_id(cell)) == cell.source.strip()}


def _id(cell: Any) -> str:
    mark = cell.metadata.get("nbgrader", {})
    return mark.get("grade_id", "") if mark.get("solution") else ""


def _late(course: Course, verdict: Verdict) -> None:
    """The penalty for lateness, by nbgrader's own plugin as the course has set it."""
    from nbgrader.preprocessors import AssignLatePenalties

    of = {"notebook": verdict.lesson, "assignment": verdict.lesson, "student": verdict.learner}
    import nbformat

    AssignLatePenalties(config=course.config).preprocess(
        nbformat.v4.new_notebook(), {"nbgrader": {**of, "db_url": course.nbgrader.db_url}}
    )
