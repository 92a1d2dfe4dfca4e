"""A small course with a gradebook, whose submissions are written by hand: what comes after grading is tested on it."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from biollm_widgets.grading import verdicts
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.verdicts import Task, Verdict

# nbgrader calls `alembic` by its name, which is beside this Python and not always on the path.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"

LESSON = "small"
DUE = datetime.datetime(2026, 3, 1, 12, 0)
HIDDEN = "assert clean('secret-probe-917') == 'hidden-value-4431'"
SOLUTION = 'return "".join(text.split()).upper().replace("U", "T")'
STUB = "...  # your answer"
SCHEME = "Mark scheme: one point for the words seventeen-llamas."
# The tasks: id, the check, points, whether a person marks it.
TASKS = (
    ("clean-check", "dna.clean", 2.0, False),
    ("observations-check", "dna.q.observations", 1.0, False),
    ("pool-check", "dna.pooling", 3.0, False),
    ("report", "", 4.0, True),
)


def marked(cell: Any, name: str, points: Optional[float] = None, solution: bool = False, locked: bool = False) -> Any:
    about = {"grade": points is not None, "grade_id": name, "solution": solution, "locked": locked, "task": False}
    if points is not None:
        about["points"] = points
    cell.metadata["nbgrader"] = {**about, "schema_version": 3}
    cell.id = name
    return cell


def notebook(answers: Optional[dict[str, str]] = None, source: bool = False) -> Any:
    """The lesson: with these answers, or as it was handed out; or the instructor's own, with what nobody may see."""
    given = answers or {}
    stub = {
        "clean": f"def clean(text):\n    {STUB}",
        "observations": f"observations = {STUB}",
        "pool": f"def pool(hidden, mask):\n    {STUB}",
        "report": "*Your answer, in two or three sentences.*",
    }
    if source:
        begin, end = "### BEGIN SOLUTION", "### END SOLUTION"
        given = {
            "clean": f"def clean(text):\n    {begin}\n    {SOLUTION}\n    {end}",
            "observations": f'observations = ...\n{begin}\nobservations = "B"\n{end}',
            "pool": f"def pool(hidden, mask):\n    {begin}\n    weights = mask[:, :, None]\n"
            f"    return (hidden * weights).sum(1) / weights.sum(1)\n    {end}",
            "report": f"{begin}\nThe whole truth.\n\n{SCHEME}\n{end}",
        }
    probe = "print(clean('ACGU'))"
    if source:
        probe += f"\n### BEGIN HIDDEN TESTS\n{HIDDEN}\n### END HIDDEN TESTS"

    def answer(name: str) -> Any:
        return marked(new_code_cell(given.get(name, stub[name])), name, solution=True)

    def check(name: str, line: str, points: float) -> Any:
        return marked(new_code_cell(line), name, points, locked=True)

    cells = [
        new_markdown_cell("# DNA in small\n\nOne unit, four tasks.", id="title"),
        new_code_cell("import biollm_widgets as bio", id="setup"),
        new_markdown_cell("## 1 · Letters (10 minutes)\n\n**Task 1.1** `clean(text)`: *T* for U.", id="t1"),
        answer("clean"),
        check("clean-check", 'bio.check("dna.clean", clean)', 2),
        marked(new_code_cell(probe), "probe", locked=True),
        new_markdown_cell("**Question 1.2** Which of these holds?\n\n- **A** one\n- **B** another", id="t2"),
        answer("observations"),
        check("observations-check", 'bio.check("dna.q.observations", observations)', 1),
        new_markdown_cell("## 2 · Vectors (15 minutes)\n\n**Task 2.1** Write `pool(hidden, mask)`.", id="t3"),
        answer("pool"),
        check("pool-check", 'bio.check("dna.pooling", pool)', 3),
        new_markdown_cell("**Question 2.2** (graded by a person, 4 points) What would you print?", id="t4"),
        marked(new_markdown_cell(given.get("report", stub["report"])), "report", 4, solution=True),
    ]
    made = new_notebook(cells=cells)
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


_BOOKS: dict[str, bytes] = {}


class Samples:
    """The course, and a pen to write submissions into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nbgrader_config.py").write_text(
            "c = get_config()\nc.CourseDirectory.source_directory = 'solutions'\n"
            "c.CourseDirectory.release_directory = 'lessons'\n"
        )
        for place, one in (("solutions", notebook(source=True)), ("lessons", notebook())):
            path = folder / place / LESSON / f"{LESSON}.ipynb"
            path.parent.mkdir(parents=True)
            nbformat.write(one, path)
        self.course = Course(folder)
        book = folder / "gradebook.db"
        if LESSON in _BOOKS:  # nbgrader takes a second to make one
            book.write_bytes(_BOOKS[LESSON])
        else:
            self._begin()
            _BOOKS[LESSON] = book.read_bytes()

    def _begin(self) -> None:
        with self.book() as book:
            book.add_assignment(LESSON, duedate=DUE)
            book.add_notebook(LESSON, LESSON)
            for name, _, points, hand in TASKS:
                kind = "markdown" if hand else "code"
                book.add_grade_cell(name, LESSON, LESSON, max_score=points, cell_type=kind)
            for name in ("clean", "observations", "pool", "report"):
                book.add_solution_cell(name, LESSON, LESSON)

    def book(self) -> Any:
        from nbgrader.api import Gradebook

        return Gradebook(self.course.nbgrader.db_url, self.course.nbgrader.course_id)

    def enrol(self, learner: str, first: str = "", last: str = "") -> None:
        with self.book() as book:
            book.update_or_create_student(learner, first_name=first, last_name=last)

    def hand_in(
        self,
        learner: str,
        scores: Sequence[Optional[float]] = (2.0, 1.0, 3.0),
        answers: Optional[dict[str, str]] = None,
        outputs: Optional[dict[str, list[Any]]] = None,
        extra: Sequence[Any] = (),
        late: Optional[datetime.timedelta] = None,
        penalty: Optional[float] = None,
        mistakes: Sequence[str] = ("", "", ""),
        **about: Any,
    ) -> Verdict:
        """A submission as the grader leaves it: its verdict, its notebook, its points."""
        (self.folder / "submitted" / learner / LESSON).mkdir(parents=True, exist_ok=True)
        tasks = [
            _task(name, check, points, score, mistake)
            for (name, check, points, _), score, mistake in zip(TASKS, [*scores, None], [*mistakes, ""], strict=True)
        ]
        submitted = DUE + (late or -datetime.timedelta(hours=1))
        verdict = Verdict(learner, LESSON, tasks=tasks, submitted=f"{submitted:%Y-%m-%d %H:%M:%S} UTC", **about)
        if verdict.why:
            verdict.tasks = [Task(task.id, task.check, task.points) for task in tasks]
        made = notebook(answers)
        made.cells += list(extra)
        for cell in made.cells:
            if cell.id in (outputs or {}):
                cell.outputs = (outputs or {})[cell.id]
        path = self.course.autograded(LESSON, learner) / f"{LESSON}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made), encoding="utf-8")
        with self.book() as book:
            book.update_or_create_student(learner)
            submission = book.update_or_create_submission(LESSON, learner, timestamp=submitted)
            (own,) = submission.notebooks
            own.late_submission_penalty = penalty
            for grade in own.grades:
                task = next(task for task in verdict.tasks if task.id == grade.name)
                grade.auto_score = task.score
                grade.needs_manual_grade = bool(verdict.why) or not task.check
            book.db.commit()
        verdicts.save(verdict, self.course.record(LESSON, learner))
        return verdict

    def mark(self, learner: str, score: float, comment: str = "", task: str = "report", extra: float = 0.0) -> None:
        """What a person does in the formgrader."""
        with self.book() as book:
            grade = book.find_grade(task, LESSON, LESSON, learner)
            grade.manual_score, grade.needs_manual_grade = score, False
            grade.extra_credit = extra or None
            if comment:
                book.find_comment("report", LESSON, LESSON, learner).manual_comment = comment
            book.db.commit()


def _task(name: str, check: str, points: float, score: Optional[float], mistake: str) -> Task:
    task = Task(name, check, points, score)
    if not check:
        return task
    if score == points:
        task.saw = ["12 inputs, all right."]
    else:
        task.saw = ["'acgu' became 'ACGU'; 'ACGT' was asked for."]
        task.mistake = mistake or "uracil"
        task.belief = f"The belief behind {task.mistake}."
        task.hint, task.look = "RNA's U stands where DNA has T.", "unit 1, “Letters”"
    return task


def stream(text: str, name: str = "stdout") -> Any:
    return new_output("stream", name=name, text=text)


def shown(**data: str) -> Any:
    """An output; `text_html="<b>"` is what a mime type is called here."""
    return new_output("display_data", data={name.replace("_", "/"): text for name, text in data.items()})


def error(name: str, said: str, trace: Sequence[str] = ()) -> Any:
    return new_output("error", ename=name, evalue=said, traceback=list(trace))
