"""A learner's hand: what a submission begins with, and how it is put into the folder that is handed in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Optional

import nbformat

from biollm_widgets.grading.verdicts import GRADED, REFUSED, REPAIRED

ROOT = Path(__file__).resolve().parents[3]
DNA, PROTEIN = "dna_classification", "protein_design"
ZERO = 0.0

# Texts of a submission that stand for what is known only when it is written.
COURSE, CANARY, PORT, HOME, LESSON = "@COURSE@", "@CANARY@", "@PORT@", "@HOME@", "@LESSON@"
# What a cell prints when it got at something that no submission may get at. No graded notebook may show it.
REACHED = "REACHED"
# What would harm the machine happens only in a sandbox, which gives itself this name.
GUARD = "os.uname().nodename == 'grading'"

# Tasks with short answers, none of which needs another cell than the first.
SOME = {
    DNA: ("observations", "clean", "reverse-complement", "schedule", "comparable"),
    PROTEIN: ("decoder", "residues", "temperature", "entropy", "identity"),
}
# Before this one come all of `SOME` but those in `AFTER`.
MIDDLE = {DNA: "schedule", PROTEIN: "perplexity"}
AFTER = {DNA: ("schedule", "comparable"), PROTEIN: ("identity",)}
_NOT_ALONE = {"own", "own-check"}  # they read what another cell of the lesson has trained


def grade_id(cell: Any) -> str:
    """The name that nbgrader gave a cell; empty for none."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def _lean(folder: str, lesson: str) -> Any:
    notebook = nbformat.read(ROOT / folder / lesson / f"{lesson}.ipynb", as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    kept = [cell for cell in notebook.cells if grade_id(cell) or cell is first]
    notebook.cells = [cell for cell in kept if grade_id(cell) not in _NOT_ALONE]
    return notebook


@cache
def _source(lesson: str) -> Any:
    return _lean("solutions", lesson)


@cache
def _blank(lesson: str) -> Any:
    return _lean("lessons", lesson)


def source(lesson: str) -> Any:
    """The instructor's notebook that the corpus is for: the lesson's imports, its tasks and their checks, no more."""
    return copy.deepcopy(_source(lesson))


@cache
def points_of(lesson: str) -> Mapping[str, float]:
    """Of each task that a check judges, by the name of its solution's cell, its points."""
    found, task = {}, ""
    for cell in _source(lesson).cells:
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("grade") and not mark.get("solution"):
            found[task] = float(mark["points"])
        elif mark.get("solution"):
            task = mark["grade_id"]
    return MappingProxyType(found)


def points(lesson: str, *tasks: str) -> float:
    """Points of these tasks together."""
    return sum(points_of(lesson)[task] for task in tasks)


def full(lesson: str) -> float:
    """All points that checks give."""
    return points(lesson, *points_of(lesson))


class Hand:
    """What a learner has in hand.

    Parameters
    ----------
    folder : path
        submitted/LEARNER/LESSON, to write into.
    lesson : str
    course : path
        The course's folder. The worst case: the learner knows it.
    canary : path
        A folder outside of the course that nobody may change.
    port : int
        On 127.0.0.1, where the test may listen.
    """

    def __init__(self, folder: Path, lesson: str, course: Path, canary: Path, port: int = 9) -> None:
        self.folder, self.lesson, self.course = folder, lesson, course
        self._known = {COURSE: course, CANARY: canary, PORT: port, HOME: Path.home(), LESSON: lesson}
        self.notebook: Any = None

    @property
    def blank(self) -> Any:
        """The lesson as it was handed out."""
        return copy.deepcopy(_blank(self.lesson))

    @property
    def solved(self) -> Any:
        """The lesson with all tasks solved."""
        notebook = source(self.lesson)
        for cell in notebook.cells:
            cell.source = "\n".join(line for line in cell.source.splitlines() if "### " not in line)
        return notebook

    @property
    def some(self) -> Any:
        """The lesson with the tasks of `SOME` solved."""
        notebook, answers = self.blank, {grade_id(cell): cell.source for cell in self.solved.cells}
        for cell in notebook.cells:
            if grade_id(cell) in SOME[self.lesson]:
                cell.source = answers[grade_id(cell)]
        return notebook

    def begin(self, base: str) -> None:
        """Take "blank", "some" or "solved" in hand."""
        self.notebook = getattr(self, base)

    def text(self, code: str) -> str:
        """A text with what its marks stand for."""
        for mark, value in self._known.items():
            code = code.replace(mark, str(value))
        return code

    def place(self, name: str) -> int:
        """Where a cell is, by nbgrader's name."""
        return next(i for i, cell in enumerate(self.notebook.cells) if grade_id(cell) == name)

    def cell(self, name: str) -> Any:
        return self.notebook.cells[self.place(name)]

    def answer(self, name: str, code: str) -> None:
        """Write a solution."""
        self.cell(name).source = self.text(code)

    def insert(self, place: int, text: str, kind: str = "code") -> None:
        """A cell of one's own."""
        made = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        self.notebook.cells.insert(place, made(self.text(text)))

    def before(self, name: str, text: str) -> None:
        self.insert(self.place(name), text)

    def after(self, name: str, text: str) -> None:
        self.insert(self.place(name) + 1, text)

    def data(self) -> str:
        """The notebook as a file holds it; not looked at whether it is valid."""
        return json.dumps(self.notebook, indent=1)

    def save(self, name: str = "", data: Any = None) -> Path:
        """Hand it in, as a notebook of the lesson's name unless said."""
        given = self.data() if data is None else data
        path = self.folder / (name or f"{self.lesson}.ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(given if isinstance(given, bytes) else given.encode())
        return path


NONE: Mapping[str, str] = MappingProxyType({})


class Entry(NamedTuple):
    """One submission.

    Attributes
    ----------
    name : str
        For what it tries.
    tries : str
        What it tries, as a sentence.
    lesson : str
    make : callable
        Writes the folder that is handed in.
    state : str
        That it has to end in.
    score : float or None
        Points that checks have to give; None when it is refused.
    mistakes : mapping of str to str
        Of some checks, by the name of their cell, the mistake that they have to name.
    """

    name: str
    tries: str
    lesson: str
    make: Callable[[Hand], None]
    state: str
    score: Optional[float]
    mistakes: Mapping[str, str] = NONE


# The usual shapes of an entry. Where the cell that attacks is put: "first" (behind the imports), "middle", "last".


def cell(
    name: str, tries: str, code: str, where: str = "first", base: str = "some", state: str = GRADED,
    lost: tuple[str, ...] = (), lesson: str = PROTEIN,
) -> Entry:  # fmt: skip
    """A cell of the learner's own; `lost` are tasks that are solved and get no points."""

    def make(hand: Hand) -> None:
        hand.begin(base)
        end = len(hand.notebook.cells)
        hand.insert({"first": 1, "middle": hand.place(MIDDLE[lesson]), "last": end}[where], code)
        hand.save()

    return Entry(name, tries, lesson, make, state, worth(base, lesson) - points(lesson, *lost))


def answers(
    name: str, tries: str, given: Mapping[str, str], state: str = GRADED, lost: tuple[str, ...] = (),
    won: tuple[str, ...] = (), base: str = "some", lesson: str = PROTEIN, mistakes: Mapping[str, str] = NONE,
) -> Entry:  # fmt: skip
    """Solutions of the learner's own; `lost` are tasks that the base has solved, `won` those that it had not."""

    def make(hand: Hand) -> None:
        hand.begin(base)
        for task, code in given.items():
            hand.answer(task, code)
        hand.save()

    score = worth(base, lesson) - points(lesson, *lost) + points(lesson, *won)
    return Entry(name, tries, lesson, make, state, score, mistakes)


def made(
    name: str, tries: str, act: Callable[[Hand], object], state: str = REPAIRED, base: str = "some",
    lost: tuple[str, ...] = (), lesson: str = PROTEIN,
) -> Entry:  # fmt: skip
    """Whatever `act` does with the base in hand; it saves what is handed in itself."""

    def make(hand: Hand) -> None:
        hand.begin(base)
        act(hand)

    score = None if state == REFUSED else worth(base, lesson) - points(lesson, *lost)
    return Entry(name, tries, lesson, make, state, score)


def worth(base: str, lesson: str) -> float:
    """Points of what an entry begins with."""
    return {"blank": ZERO, "some": points(lesson, *SOME[lesson]), "solved": full(lesson)}[base]
