"""Points for where they are kept: a table a class, Canvas's gradebook, and what became of each submission.

A submission that could not be graded, or is not there, has empty cells: a zero would say that somebody looked.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.page import number, plain, plural
from biollm_widgets.grading.standing import NOT_GRADED, NOT_SUBMITTED, Standing, names, standings
from biollm_widgets.grading.verdicts import REFUSED

# Canvas's own columns, in its order (Canvas Instructor Guide, “How do I import grades in the Gradebook?”).
IDENTITY = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
_MORE_IDENTITY = ("Integration ID", "Root Account")  # that some Canvas exports have
_POSSIBLE = "    Points Possible"  # with the spaces that Canvas writes
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


@dataclass
class Sheet:
    """A table, and what has to be said about it.

    Attributes
    ----------
    rows : list of list of str
        The header first; cells as they are, not yet made safe for a spreadsheet.
    sentences : list of str
    delimiter : str
    """

    rows: list[list[str]]
    sentences: list[str] = field(default_factory=list)
    delimiter: str = ","

    def text(self) -> str:
        """As CSV, in which no cell is a formula."""
        file = io.StringIO()
        writer = csv.writer(file, delimiter=self.delimiter, lineterminator="\n")
        writer.writerows([[harmless(cell) for cell in row] for row in self.rows])
        return file.getvalue()


def harmless(cell: Any) -> str:
    """A cell that no spreadsheet takes for a formula: names and ids come from strangers. Numbers stay numbers."""
    said = str(cell).replace("\r", " ")
    if _FORMULA.match(said.lstrip()) and not _NUMBER.fullmatch(said):
        return f"'{said}"
    return said


def points_table(course: Course, lessons: Sequence[str], only_finished: bool = False) -> Sheet:
    """A row a learner and a column a task, with sums, lateness and state.

    Parameters
    ----------
    course : Course
    lessons : sequence of str
    only_finished : bool
        Leave the total of a learner empty while tasks of his wait for a person.

    Raises
    ------
    InputError
        No such lesson, or no gradebook.
    """
    by_lesson = {lesson: standings(course, lesson) for lesson in lessons}
    rows: dict[str, list[str]] = {}
    header = ["learner", "last name", "first name", "email"]
    for every in by_lesson.values():
        for one in every:
            rows.setdefault(one.learner, [one.learner, one.last, one.first, one.email])
    for lesson, every in by_lesson.items():
        prefix = f"{lesson} " if len(by_lesson) > 1 else ""
        tasks = _tasks(course, lesson, every)
        header += [f"{prefix}{name}" for name in ("state", "repairs", *tasks, *_SUMS)]
        known = {one.learner: one for one in every}
        for learner, row in rows.items():
            row += _cells(known.get(learner, Standing(learner, lesson)), tasks, only_finished)
    table = [header, *(rows[learner] for learner in sorted(rows))]
    return Sheet(table, _told(by_lesson, only_finished))


_SUMS = (
    "by checks", "by hand", "waiting for a person", "penalty", "days late", "submitted at (UTC)", "total", "points",
)  # fmt: skip


def _tasks(course: Course, lesson: str, every: Iterable[Standing]) -> list[str]:
    in_book = {task: None for one in every for task in one.marks}
    order = list(names(course.notebook(lesson)))
    return [task for task in order if task in in_book] + [task for task in in_book if task not in order]


def _cells(one: Standing, tasks: Sequence[str], only_finished: bool) -> list[str]:
    repairs = plain(" ".join(one.verdict.repairs)) if one.verdict is not None else ""
    submitted = f"{one.submitted:%Y-%m-%d %H:%M:%S}" if one.submitted else ""
    if not one.counts:
        days = number(one.days_late) if one.submitted else ""
        return [one.state, repairs, *("" for _ in tasks), "", "", "", "", days, submitted, "", ""]
    scores = [_score(one, task) for task in tasks]
    sums = [number(one.auto), number(one.by_hand), str(len(one.waiting)), number(one.penalty), number(one.days_late)]
    return [one.state, repairs, *scores, *sums, submitted, _total(one, only_finished), number(one.points)]


def _score(one: Standing, task: str) -> str:
    mark = one.marks.get(task)
    return "" if mark is None or mark.score is None else number(mark.score)


def _total(one: Standing, only_finished: bool) -> str:
    if not one.counts or (only_finished and one.waiting):
        return ""
    return number(one.total)


def _told(by_lesson: Mapping[str, Sequence[Standing]], only_finished: bool) -> list[str]:
    """What an empty cell means, and what is not final yet."""
    said = []
    for lesson, every in by_lesson.items():
        for state, words in (
            (REFUSED, "could not be graded"),
            (NOT_GRADED, "is not graded yet"),
            (NOT_SUBMITTED, "has handed in nothing"),
        ):  # fmt: skip
            found = [one.learner for one in every if one.state == state]
            if found:
                said.append(f"{lesson}: {_listed(found, words)}; no points are written, not zero.")
        waiting = [one.learner for one in every if one.waiting]
        if waiting:
            left = "is left empty (--only-finished)" if only_finished else "is the sum so far"
            said.append(f"{lesson}: {_listed(waiting, 'waits for marks by a person')}; what is written {left}.")
        late = [one for one in every if one.counts and one.penalty]
        if late:
            taken = number(sum(one.penalty for one in late))
            said.append(f"{lesson}: {plural(len(late), 'submission')} late, {taken} points taken off in all.")
    return said


def _listed(learners: Sequence[str], words: str) -> str:
    """`2 learners have handed in nothing (ada, bert)`."""
    verb, _, rest = words.partition(" ")
    if len(learners) != 1:
        verb = {"is": "are", "has": "have", "waits": "wait", "fits": "fit"}.get(verb, verb)
    more = "" if len(learners) <= 8 else f" and {len(learners) - 8} more"
    return f"{plural(len(learners), 'learner')} {verb} {rest} ({', '.join(map(plain, learners[:8]))}{more})"


def states(course: Course, lessons: Sequence[str]) -> Sheet:
    """A row a submission: its state, why, what to ask for, what was mended, what waits."""
    by_lesson = {lesson: standings(course, lesson) for lesson in lessons}
    rows = [["learner", "lesson", "state", "why", "ask", "repairs", "notes", "waiting for a person"]]
    for lesson, every in by_lesson.items():
        for one in every:
            verdict = one.verdict
            told = ["", "", "", ""]
            if verdict is not None:
                told = [verdict.why, verdict.ask, " ".join(verdict.repairs), " ".join(verdict.notes)]
            rows.append([one.learner, lesson, one.state, *map(plain, told), " ".join(one.waiting)])
    return Sheet(rows, _told(by_lesson, False))


# Canvas.


def canvas(
    course: Course,
    lessons: Sequence[str],
    students: Optional[Path] = None,
    only_finished: bool = False,
    assignments: Mapping[str, str] = {},
) -> Sheet:
    """What Canvas's gradebook imports: its own columns of identity, and a column a lesson.

    Parameters
    ----------
    course : Course
    lessons : sequence of str
    students : path, optional
        A gradebook exported from Canvas: its rows, ids and the names of its assignments are taken over.
    only_finished : bool
        Leave the cell of a learner empty while tasks of his wait for a person.
    assignments : mapping of str to str
        What Canvas calls a lesson, where it is neither the lesson's name nor its title.

    Raises
    ------
    InputError
        No such lesson, no gradebook, or a file that is no export of Canvas's gradebook.
    """
    for lesson in assignments:
        if lesson not in lessons:
            raise InputError(f"--assignment names {lesson}, which is not exported; there are {', '.join(lessons)}.")
    by_lesson = {lesson: standings(course, lesson) for lesson in lessons}
    totals = {lesson: {one.learner: _total(one, only_finished) for one in every} for lesson, every in by_lesson.items()}
    said = _told(by_lesson, only_finished)
    possible = {lesson: _possible(course, lesson, every) for lesson, every in by_lesson.items()}
    learners = {one.learner: one for every in by_lesson.values() for one in every}
    if students is None:
        named = {lesson: assignments.get(lesson, lesson) for lesson in lessons}
        rows = [[*IDENTITY, *named.values()], [_POSSIBLE, "", "", "", "", *(number(possible[one]) for one in lessons)]]
        for learner, one in sorted(learners.items()):
            name = f"{one.last}, {one.first}" if one.last and one.first else one.last or one.first or learner
            rows.append([name, "", "", learner, "", *(totals[lesson].get(learner, "") for lesson in lessons)])
        said.append(
            "Canvas matches these rows by SIS Login ID alone; with --students EXPORT.csv they carry Canvas's own ids."
        )
        return Sheet(rows, said)
    export = _Export(students)
    columns = {lesson: export.column(lesson, _titles(course, lesson), assignments.get(lesson)) for lesson in lessons}
    heads, of_canvas = [], []
    for lesson, column in columns.items():
        if column is None:
            heads.append(assignments.get(lesson, lesson))
            of_canvas.append(number(possible[lesson]))
            known = ", ".join(export.assignments[:8]) or "none"
            said.append(
                f"{students} has no assignment {heads[-1]!r}: Canvas will offer to make a new one. It has {known}; "
                f"say which is meant with --assignment {lesson}=NAME."
            )
            continue
        heads.append(export.header[column])
        of_canvas.append(export.possible(column) or number(possible[lesson]))
        if _NUMBER.fullmatch(of_canvas[-1]) and float(of_canvas[-1].replace(",", ".")) != possible[lesson]:
            said.append(
                f"{lesson}: Canvas has {of_canvas[-1]} points possible, the lesson {number(possible[lesson])}; points "
                "are written as they are. Change the points in Canvas's assignment."
            )
    matched = export.match(learners.values(), said)
    header = [*export.identity, *heads]
    rows = [header, [_POSSIBLE, *("" for _ in export.identity[1:]), *of_canvas]]
    emptied = 0
    for place, row in enumerate(export.rows):
        learner = matched.get(place, "")
        cells = [totals[lesson].get(learner, "") for lesson in lessons]
        before = [row[column] if column is not None and column < len(row) else "" for column in columns.values()]
        emptied += any(old.strip() and not new for old, new in zip(before, cells, strict=True))
        rows.append([*export.identity_of(row), *cells])
    if emptied:
        said.append(
            f"{plural(emptied, 'learner')} with a score in Canvas {'has' if emptied == 1 else 'have'} an empty cell: "
            "look at Canvas's preview before you save, which may clear it."
        )
    return Sheet(rows, said, export.delimiter)


def _possible(course: Course, lesson: str, every: Iterable[Standing]) -> float:
    found = next((one.points for one in every if one.marks), None)
    if found is not None:
        return found
    return sum(float(cell.metadata.nbgrader.points) for cell in _graded(course.notebook(lesson)))


def _graded(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if "points" in cell.metadata.get("nbgrader", {})]


def _titles(course: Course, lesson: str) -> list[str]:
    found = [lesson]
    for cell in course.notebook(lesson).cells:
        title = re.search(r"^#\s+(.+)$", cell.source, re.M) if cell.cell_type == "markdown" else None
        if title:
            return [*found, title[1]]
    return found


class _Export:
    """A gradebook as Canvas exports it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise InputError(f"There is no file {path}; export the gradebook from Canvas (Grades, Export).") from None
        except (OSError, UnicodeDecodeError) as problem:
            said = " ".join(str(problem).split())
            raise InputError(f"{path} cannot be read ({said}); export the gradebook from Canvas again.") from None
        first = text.partition("\n")[0]
        # Canvas writes semicolons where a user's language has the comma in numbers.
        self.delimiter = max(",;\t", key=first.count)
        try:
            rows = [row for row in csv.reader(io.StringIO(text), delimiter=self.delimiter) if any(map(str.strip, row))]
        except csv.Error as problem:
            raise InputError(f"{path} is no CSV ({problem}); export the gradebook from Canvas again.") from None
        self.header = [name.strip() for name in rows[0]] if rows else []
        if "Student" not in self.header or "ID" not in self.header:
            raise InputError(
                f"{path} is no gradebook of Canvas: its first line has no columns Student and ID. "
                "Export it in Canvas with Grades, Export."
            )
        wanted = {*IDENTITY, *_MORE_IDENTITY}
        own = [name for name in self.header if name in wanted]
        self.identity = [name for name in own if name in _MORE_IDENTITY or name in IDENTITY]
        self._places = {name: self.header.index(name) for name in self.identity}
        place, of_id = self._places["Student"], self._places["ID"]
        body = [[*row, *[""] * (len(self.header) - len(row))] for row in rows[1:]]
        self._possible = next((row for row in body if row[place].strip() == "Points Possible"), [""] * len(self.header))
        # Canvas's own rows are of posting, of the points possible, and of its test student.
        self.rows = [
            row
            for row in body
            if row[place].strip() not in ("Points Possible", "", "Student, Test")
            and (row[of_id].strip() or self._named(row))
        ]
        self.assignments = [
            name
            for column, name in enumerate(self.header)
            if name not in wanted and self._possible[column].strip() != "(read only)" and re.search(r"\(\d+\)$", name)
        ]

    def _named(self, row: list[str]) -> bool:
        return any(row[place].strip() for name, place in self._places.items() if name.startswith("SIS"))

    def identity_of(self, row: list[str]) -> list[str]:
        return [row[place] for place in self._places.values()]

    def possible(self, column: int) -> str:
        return self._possible[column].strip()

    def column(self, lesson: str, titles: Sequence[str], given: Optional[str]) -> Optional[int]:
        """The column of a lesson; None where Canvas has none.

        Raises
        ------
        InputError
            For a name that was given and is not there, or that is there twice.
        """
        wanted = {_bare(given)} if given else {_bare(title) for title in titles}
        found = [
            column
            for column, name in enumerate(self.header)
            if name in self.assignments and (name == given or _bare(re.sub(r"\s*\(\d+\)$", "", name)) in wanted)
        ]
        if len(found) > 1:
            several = ", ".join(self.header[column] for column in found)
            raise InputError(f"{self.path} has more than one assignment for {lesson}: {several}. Say which with "
                             f"--assignment '{lesson}=NAME (ID)'.")  # fmt: skip
        if given and not found:
            known = ", ".join(self.assignments) or "none"
            raise InputError(f"{self.path} has no assignment {given!r}; it has {known}.")
        return found[0] if found else None

    def match(self, learners: Iterable[Standing], said: list[str]) -> dict[int, str]:
        """Whose row is whose, by the place of the row; what does not match is told."""
        claims: dict[int, list[tuple[int, str]]] = {}
        unknown, unsure = [], []
        for one in learners:
            way, places = self._of(one)
            if not places:
                unknown.append(one.learner)
            elif len(places) > 1:
                unsure.append(one.learner)
            else:
                claims.setdefault(places[0], []).append((way, one.learner))
        found: dict[int, str] = {}
        for place, those in claims.items():
            (way, learner), *others = sorted(those)
            if any(other == way for other, _ in others):
                unsure += [learner for _, learner in those]
            else:  # an id is surer than a name
                found[place] = learner
                unsure += [learner for _, learner in others]
        if unknown:
            said.append(f"{_listed(unknown, f'is not in {self.path}')}: no row is written for them.")
        if unsure:
            said.append(f"{_listed(unsure, 'fits more than one row, or one of another')}: their cells are left empty.")
        nobody = len(self.rows) - len(found)
        if nobody:
            said.append(f"{plural(nobody, 'row')} of {self.path} without a learner of this course: left empty.")
        return found

    def _of(self, one: Standing) -> tuple[int, list[int]]:
        """The rows that could be a learner's, by the surest way that finds any, and which way that was."""
        learner, email = one.learner.casefold(), one.email.casefold()
        full = _bare(f"{one.first} {one.last}") if one.first and one.last else ""
        ways: tuple[Callable[[Any], bool], ...] = (
            lambda cell: cell("SIS Login ID") in (learner, email or learner) or cell("SIS User ID") == learner,
            lambda cell: cell("ID") == learner,
            lambda cell: "@" in cell("SIS Login ID") and cell("SIS Login ID").partition("@")[0] == learner,
            lambda cell: bool(full) and _bare(_turned(cell("Student"))) == full,
            lambda cell: _bare(_turned(cell("Student"))) == _bare(learner) or _bare(cell("Student")) == _bare(learner),
        )
        for way, fits in enumerate(ways):
            places = [place for place, row in enumerate(self.rows) if fits(self._cell(row))]
            if places:
                return way, places
        return len(ways), []

    def _cell(self, row: list[str]) -> Any:
        return lambda name: row[self._places[name]].strip().casefold() if name in self._places else ""


def _turned(name: str) -> str:
    """`Lovelace, Ada` as `Ada Lovelace`."""
    last, comma, first = name.partition(",")
    return f"{first} {last}" if comma else name


def _bare(text: str) -> str:
    """Letters and digits alone, accents and case aside: how people compare names."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in apart if letter.isalnum())
