"""Where each learner stands in a lesson: points of checks and of people, what waits, lateness, read from the gradebook.

The gradebook is only read, so that nothing here can spoil a mark, nor wait for whoever writes to it longer than SQLite
asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote

from biollm_widgets.errors import InputError
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.verdicts import REFUSED, Task, Verdict

WAIT = 30  # seconds for a gradebook that somebody writes to
NOT_GRADED, NOT_SUBMITTED, PLAIN = "not graded yet", "not submitted", "graded by nbgrader"
_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Mark:
    """The points of one task.

    Attributes
    ----------
    id : str
        nbgrader's `grade_id`.
    points : float
        At most.
    score : float or None
        With extra credit; None while nobody and nothing has given points.
    by_hand : bool
        Whether a person gave them, or has to: also where somebody overruled a check.
    waits : bool
        For a person.
    """

    id: str
    points: float
    score: Optional[float]
    by_hand: bool
    waits: bool


@dataclass
class Standing:
    """One learner in one lesson.

    Attributes
    ----------
    learner, lesson, first, last, email : str
    verdict : Verdict or None
        What became of the submission; None for one that plain nbgrader graded, or nobody.
    state : str
        The verdict's, or `NOT_GRADED`, `NOT_SUBMITTED`, `PLAIN`.
    marks : dict of str to Mark
        By task, in the lesson's order; empty for one without points.
    comments : dict of str to str
        What a person wrote, by the cell.
    submitted : datetime or None
        In UTC, as nbgrader keeps it.
    seconds_late, penalty : float
        As nbgrader has them.
    """

    learner: str
    lesson: str
    first: str = ""
    last: str = ""
    email: str = ""
    verdict: Optional[Verdict] = None
    state: str = NOT_SUBMITTED
    marks: dict[str, Mark] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    submitted: Optional[datetime] = None
    seconds_late: float = 0.0
    penalty: float = 0.0

    @property
    def counts(self) -> bool:
        """Whether there are points: not for a submission that could not be graded, nor for none."""
        return self.state not in (REFUSED, NOT_GRADED, NOT_SUBMITTED)

    @property
    def auto(self) -> float:
        """Points that checks gave and that nobody overruled."""
        return _sum(mark for mark in self.marks.values() if not mark.by_hand)

    @property
    def by_hand(self) -> float:
        """Points that people gave."""
        return _sum(mark for mark in self.marks.values() if mark.by_hand)

    @property
    def waiting(self) -> list[str]:
        """Tasks that wait for a person."""
        return [mark.id for mark in self.marks.values() if mark.waits] if self.counts else []

    @property
    def total(self) -> float:
        """All points less the penalty, never below 0: what nbgrader's own export calls the score."""
        return round(max(0.0, self.auto + self.by_hand - self.penalty), 2)

    @property
    def points(self) -> float:
        """What can be had."""
        return sum(mark.points for mark in self.marks.values())

    @property
    def days_late(self) -> float:
        """Days after the due date, with the learner's own extension; 0 for one in time."""
        return round(self.seconds_late / 86400, 2)

    def task(self, grade_id: str) -> Optional[Task]:
        """What the check found."""
        tasks = self.verdict.tasks if self.verdict is not None else []
        return next((task for task in tasks if task.id == grade_id), None)


def _sum(marks: Any) -> float:
    return round(sum(mark.score or 0.0 for mark in marks), 2)


def standings(course: Course, lesson: str) -> list[Standing]:
    """All learners whom the gradebook or the course's folders know, sorted by learner.

    Raises
    ------
    InputError
        No such lesson, no gradebook, or one that cannot be read.
    """
    course.need(lesson)
    found = {one.learner: one for one in _of_gradebook(course, lesson)}
    graded = {verdict.learner: verdict for verdict in course.verdicts(lesson)}
    handed_in = set(course.learners(lesson))
    for learner in handed_in | set(graded):
        one = found.setdefault(learner, Standing(learner, lesson))
        one.verdict = graded.get(learner)
        if one.verdict is not None and (one.marks or one.verdict.why):
            one.state = one.verdict.state
        elif not one.marks:
            one.state = NOT_GRADED
    return sorted(found.values(), key=lambda one: one.learner)


@contextmanager
def reading(course: Course) -> Iterator[Any]:
    """The gradebook of nbgrader, opened to be read, and closed at the end.

    Raises
    ------
    InputError
        There is none, or it cannot be read.
    """
    from nbgrader.api import Gradebook
    from sqlalchemy.exc import DatabaseError

    url = course.nbgrader.db_url
    path = Path(url[len(_SQLITE) :]) if url.startswith(_SQLITE) else None
    if path is not None:
        if not path.is_file():
            raise InputError(f"There is no gradebook {path} yet; run `biollm grade` first.")
        url = f"{_SQLITE}file:{quote(str(path.resolve()))}?mode=ro&uri=true&timeout={WAIT}"
    book = None
    try:
        book = Gradebook(url, course.nbgrader.course_id)
        yield book
    except DatabaseError as problem:
        said = str(problem.orig)
        if "locked" in said or "busy" in said:
            raise InputError(f"The gradebook {path or url} is being written to; try again in a moment.") from None
        raise InputError(
            f"{path or 'The gradebook'} cannot be read ({said}); `nbgrader db upgrade` mends one of an older nbgrader."
        ) from None
    finally:
        if book is not None:
            book.close()


def _of_gradebook(course: Course, lesson: str) -> list[Standing]:
    from nbgrader.api import (
        BaseCell,
        Comment,
        Grade,
        MissingEntry,
        SubmittedAssignment,
        SubmittedNotebook,
    )

    with reading(course) as book:
        try:
            notebook = book.find_notebook(lesson, lesson)
        except MissingEntry:
            raise InputError(
                f"The gradebook does not know {lesson}; run `biollm release` and `biollm grade` first."
            ) from None
        # A person marks a cell that is answer and points in one, and nbgrader's task cells.
        solutions = {cell.name for cell in notebook.solution_cells}
        cells = {cell.name: (cell.max_score, cell.name in solutions) for cell in notebook.grade_cells}
        cells |= {cell.name: (cell.max_score, True) for cell in notebook.task_cells}
        found = {
            student.id: Standing(
                student.id, lesson, student.first_name or "", student.last_name or "", student.email or ""
            )
            for student in book.students
        }
        # A row a cell in one query: a class of 300 has ten thousand, too many to be asked for one by one.
        of_lesson = SubmittedNotebook.notebook_id == notebook.id
        rows = book.db.query(SubmittedAssignment, SubmittedNotebook.late_submission_penalty)
        rows = rows.join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        owners = {}
        for submission, penalty in rows.filter(of_lesson):
            one = found[submission.student_id]
            one.state, one.submitted = PLAIN, submission.timestamp
            if submission.assignment.duedate is not None:  # nbgrader fails on an extension of no due date
                one.seconds_late = float(submission.total_seconds_late)
            one.penalty = float(penalty or 0.0)
            owners[submission.id] = one
        grades = book.db.query(
            SubmittedNotebook.assignment_id, BaseCell.name, Grade.auto_score, Grade.manual_score, Grade.extra_credit,
            Grade.needs_manual_grade,
        )  # fmt: skip
        grades = grades.join(Grade, Grade.notebook_id == SubmittedNotebook.id)
        grades = grades.join(BaseCell, BaseCell.id == Grade.cell_id)
        marks: dict[str, dict[str, Mark]] = {}
        for owner, name, auto, manual, extra, needs in grades.filter(of_lesson):
            if name in cells:
                points, hand = cells[name]
                given = manual if manual is not None else auto
                score = None if given is None and not extra else float((given or 0.0) + (extra or 0.0))
                mark = Mark(name, float(points), score, hand or manual is not None, bool(needs))
                marks.setdefault(owner, {})[name] = mark
        order = {name: number for number, name in enumerate(names(course.notebook(lesson)))}
        for owner, theirs in marks.items():
            ordered = sorted(theirs, key=lambda name: (order.get(name, len(order)), name))
            owners[owner].marks = {name: theirs[name] for name in ordered}
        words = book.db.query(SubmittedNotebook.assignment_id, BaseCell.name, Comment.manual_comment)
        words = words.join(Comment, Comment.notebook_id == SubmittedNotebook.id)
        words = words.join(BaseCell, BaseCell.id == Comment.cell_id).filter(of_lesson)
        for owner, name, said in words:
            if said and said.strip():
                owners[owner].comments[name] = said.strip()
        return list(found.values())


@dataclass(frozen=True)
class Named:
    """A task as the lesson's text calls it: "Task 1.1", what is to be written, the unit it stands in."""

    label: str
    about: str
    unit: str

    def __str__(self) -> str:
        return f"{self.label} · {self.about}" if self.label else self.about


_LABEL = re.compile(r"\*\*((?:Task|Question|Exercise|Problem)\s+[\w.]+)\*\*")
_UNIT = re.compile(r"^##?\s+(.+?)\s*#*\s*$", re.M)


def names(notebook: Any) -> dict[str, Named]:
    """How the tasks of a notebook are called, by `grade_id`."""
    found, label, unit, used = {}, "", "", set()
    for cell in notebook.cells:
        mark = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "markdown" and not mark.get("solution"):
            units, labels = _UNIT.findall(cell.source), _LABEL.findall(cell.source)
            unit = re.sub(r"\s*\(\d+ minutes?\)$", "", units[-1]) if units else unit
            label = labels[-1] if labels else label
        if mark.get("grade") or mark.get("task"):
            name = mark.get("grade_id", "")
            about = re.sub(r"[-_](check|test|tests)$", "", name).replace("-", " ").replace("_", " ")
            found[name] = Named("" if label in used else label, about, unit)
            used.add(label)
    return found
