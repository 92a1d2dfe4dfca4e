"""A course: nbgrader's folders as its configuration names them, the lessons in them, and what was handed in."""

from __future__ import annotations

import ast
import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Optional, Union

from biollm_widgets.errors import InputError
from biollm_widgets.grading import verdicts
from biollm_widgets.grading.verdicts import Task, Verdict

PRIVATE = ".biollm"  # in the course: verdicts and what the grader keeps for itself
NEEDED = "Grading takes nbgrader; install it with: pip install nbgrader bleach ipykernel"


@dataclass(frozen=True)
class Graded:
    """A cell of the lesson that has points.

    Attributes
    ----------
    id : str
        Its `grade_id`.
    points : float
    check : str
        The check that its one line calls; empty for one that a person marks.
    answers : tuple of str
        The Python expressions that the line hands to the check.
    """

    id: str
    points: float
    check: str
    answers: tuple[str, ...]


class Course:
    """The course in a folder.

    Parameters
    ----------
    folder : path
        Where `nbgrader_config.py` is, or would be.

    Raises
    ------
    InputError
        Without nbgrader, without the folder, or with a configuration that cannot be read.
    """

    def __init__(self, folder: Union[str, Path] = ".") -> None:
        try:
            from nbgrader.coursedir import CourseDirectory
        except ImportError:
            raise InputError(NEEDED) from None
        from traitlets.config import Config
        from traitlets.config.loader import PyFileConfigLoader

        self.folder = Path(folder).resolve()
        if not self.folder.is_dir():
            raise InputError(f"There is no folder {folder}; name the course with --course.")
        if self.private.exists() and not os.access(self.private, os.R_OK | os.W_OK | os.X_OK):
            raise InputError(
                f"{self.private} is closed to you: whoever graded this course before keeps marks and a secret in it. "
                "Grade as that person, or ask them for the rights to this folder."
            )
        config = Config()
        path = self.folder / "nbgrader_config.py"
        if path.exists():
            try:
                config = PyFileConfigLoader(path.name, path=str(self.folder)).load_config()
            except Exception as error:
                said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
                raise InputError(f"{path} cannot be read ({said}); mend it.") from None
        self.config = config
        # The root has to be told: nbgrader takes the folder it was started in.
        self.nbgrader = CourseDirectory(config=config, root=str(self.folder))

    def _path(self, step: str, learner: str, lesson: str) -> Path:
        return Path(self.nbgrader.format_path(step, learner, lesson))

    # Places.

    def source(self, lesson: str) -> Path:
        """The instructor's notebook, with solutions."""
        return self._path(self.nbgrader.source_directory, ".", lesson) / f"{lesson}.ipynb"

    def released(self, lesson: str) -> Path:
        """The lesson as it was handed out."""
        return self._path(self.nbgrader.release_directory, ".", lesson) / f"{lesson}.ipynb"

    def submitted(self, lesson: str, learner: str) -> Path:
        """The folder with what a learner handed in."""
        return self._path(self.nbgrader.submitted_directory, learner, lesson)

    def autograded(self, lesson: str, learner: str) -> Path:
        """The folder with what was graded, which the formgrader shows."""
        return self._path(self.nbgrader.autograded_directory, learner, lesson)

    def feedback(self, lesson: str, learner: str) -> Path:
        """The folder with what a learner gets back."""
        return self._path(self.nbgrader.feedback_directory, learner, lesson)

    @property
    def private(self) -> Path:
        """What the grader keeps for itself, out of nbgrader's folders."""
        return self.folder / PRIVATE

    def record(self, lesson: str, learner: str) -> Path:
        """The file with what became of a submission."""
        return self.private / "verdicts" / lesson / f"{learner}.json"

    # What is there.

    @cached_property
    def lessons(self) -> list[str]:
        """Those that the instructor has a notebook of."""
        root = self._path(self.nbgrader.source_directory, ".", "x").parent
        return sorted(path.parent.name for path in root.glob("*/*.ipynb") if path.stem == path.parent.name)

    def need(self, lesson: str) -> None:
        """Raise InputError for a lesson that there is not."""
        if lesson not in self.lessons:
            there = f"there are {', '.join(self.lessons)}" if self.lessons else "there is none"
            raise InputError(
                f"There is no {self.source(lesson)}; {there}. Is {self.folder} the course? Name it with --course."
            )

    def learners(self, lesson: str) -> list[str]:
        """Those who handed something in, sorted."""
        root = self._path(self.nbgrader.submitted_directory, "x", lesson).parent.parent
        return sorted(path.parent.name for path in root.glob(f"*/{lesson}") if path.is_dir())

    def verdict(self, lesson: str, learner: str) -> Optional[Verdict]:
        """What became of a submission; None when it was not graded yet."""
        return verdicts.load(self.record(lesson, learner))

    def verdicts(self, lesson: str) -> list[Verdict]:
        """What became of all that were graded, sorted by learner."""
        paths = sorted((self.private / "verdicts" / lesson).glob("[!.]*.json"))  # one that is being written has a dot
        return [verdict for verdict in map(verdicts.load, paths) if verdict is not None]

    def notebook(self, lesson: str) -> Any:
        """The instructor's notebook.

        Raises
        ------
        InputError
            When it is not there, or is no notebook.
        """
        import nbformat

        self.need(lesson)
        path = self.source(lesson)
        try:
            return nbformat.read(path, as_version=4)
        except Exception as error:
            said = " ".join(str(error).split())[:120]
            raise InputError(f"{path} is no notebook that can be read ({said}); save it again in JupyterLab.") from None

    def graded(self, lesson: str) -> list[Graded]:
        """The cells that have points, in the lesson's order."""
        return graded_cells(self.notebook(lesson))

    def blank_tasks(self, lesson: str) -> list[Task]:
        """All tasks without a score."""
        return [Task(cell.id, cell.check, cell.points) for cell in self.graded(lesson)]


def graded_cells(notebook: Any) -> list[Graded]:
    """The cells of a notebook that have points.

    Raises
    ------
    InputError
        For one that is neither marked by a person nor a single call of `bio.check`.
    """
    found = []
    for cell in notebook.cells:
        mark = cell.metadata.get("nbgrader", {})
        if not mark.get("grade"):
            continue
        name, answers = ("", ()) if mark.get("solution") else _called(cell, mark["grade_id"])
        found.append(Graded(mark["grade_id"], float(mark["points"]), name, answers))
    return found


def _called(cell: Any, grade_id: str) -> tuple[str, tuple[str, ...]]:
    """The check of a cell, and the expressions that it is given."""
    try:
        (line,) = ast.parse(cell.source).body
        call = line.value  # type: ignore[attr-defined]
        assert isinstance(call, ast.Call) and not call.keywords
        assert isinstance(call.func, ast.Attribute) and call.func.attr == "check"
        name = call.args[0].value  # type: ignore[attr-defined]
        assert isinstance(name, str)
    except (SyntaxError, ValueError, AttributeError, AssertionError, IndexError):
        raise InputError(
            f'The graded cell {grade_id} is no single line like bio.check("dna.pooling", pool); '
            "the grader judges by such lines. Use plain `nbgrader autograde` for other tests."
        ) from None
    return name, tuple(ast.unparse(argument) for argument in call.args[1:])


def sha(*parts: Union[bytes, str]) -> str:
    """SHA-256 of texts and bytes one after the other, each with its length."""
    made = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        made.update(len(data).to_bytes(8, "big"))
        made.update(data)
    return made.hexdigest()
