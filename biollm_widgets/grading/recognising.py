"""Which cell of a learner's notebook is which cell of the lesson: by nbgrader's marks, by id, and by what is in it."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

from biollm_widgets.grading.reading import Cell

# What nbgrader_config.py has ClearSolutions put in the place of a solution, for cells that are put back.
CODE_STUB = "...  # your answer"
TEXT_STUB = "*Your answer, in two or three sentences.*"
# Of ClearSolutions itself, for courses that leave it as it is.
_STUBS = (CODE_STUB, TEXT_STUB, "# YOUR CODE HERE", "raise NotImplementedError()", "YOUR ANSWER HERE", "...", "pass")
_LONGEST = 20_000  # letters of code that are parsed; beyond that, names are looked for line by line

SOLUTION, CHECK, LOCKED, PLAIN = "solution", "check", "locked", "plain"
_CALL = re.compile(r"""^[ \t]*(?:bio\.|biollm_widgets\.)?check\(\s*["']([\w.]+)["'].*$""", re.M)


@dataclass
class Spot:
    """A cell of the lesson.

    Attributes
    ----------
    kind : str
        `SOLUTION` (also one that a person marks), `CHECK`, `LOCKED` (to be read only) or `PLAIN`.
    cell : NotebookNode
    name : str
        Its `grade_id`; empty for a plain one.
    blank : str
        Its text as the learner got it.
    binds : frozenset of str
        The names that it gives a value to, as the learner got it.
    checks : tuple of str
        The names of the checks that it calls.
    """

    kind: str
    cell: Any
    name: str
    blank: str
    binds: frozenset[str]
    checks: tuple[str, ...] = ()

    @property
    def code(self) -> bool:
        """Whether it is a cell of code."""
        return self.cell.cell_type == "code"


def outline(source: Any) -> list[Spot]:
    """The cells of the instructor's notebook."""
    made = []
    for cell in source.cells:
        mark = cell.metadata.get("nbgrader", {})
        text = cell.source
        if mark.get("solution"):
            kind, text = SOLUTION, blank(cell)
        elif mark.get("grade"):
            kind = CHECK
        else:
            kind = LOCKED if mark.get("locked") or mark.get("task") else PLAIN
        code = cell.cell_type == "code"
        name = mark.get("grade_id", "") if kind != PLAIN else ""
        checks = tuple(_CALL.findall(text)) if code else ()
        made.append(Spot(kind, cell, name, text, bound(text) if code else frozenset(), checks))
    for number, spot in enumerate(made):
        if spot.kind == SOLUTION and spot.code and not spot.binds:
            # Cleared as a whole: what it has to define is what its check asks for.
            check = next((one for one in made[number + 1 :] if one.kind in (CHECK, SOLUTION)), None)
            if check is not None and check.kind == CHECK:
                made[number].binds = bound(spot.cell.source) & used(check.cell.source)
    return made


def blank(cell: Any) -> str:
    """The text of a solution cell without its solution, as nbgrader's ClearSolutions makes it."""
    stub = CODE_STUB if cell.cell_type == "code" else TEXT_STUB
    lines, inside, cleared = [], False, False
    for line in cell.source.split("\n"):
        if "BEGIN SOLUTION" in line:
            inside = cleared = True
            lines.append(line[: len(line) - len(line.lstrip())] + stub)
        elif "END SOLUTION" in line:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines) if cleared else stub


def untouched(text: str, spot: Spot) -> bool:
    """Whether a learner wrote nothing into a solution cell."""
    if bare(text) in ("", bare(spot.blank)):
        return True
    # Another stub than ours, in a course with another configuration, or none any more.
    kept = [line.strip() for line in spot.blank.split("\n")]
    kept += _STUBS
    return all(line.strip() in kept or not line.strip() for line in text.split("\n"))


def bare(text: str) -> str:
    """A text without the blanks that editors add and take away."""
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


# Names in code. Nothing of it is run.


def _tree(text: str) -> Optional[ast.Module]:
    if len(text) > _LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def bound(text: str) -> frozenset[str]:
    """The names that code gives a value to at its top."""
    tree = _tree(text)
    if tree is None:  # unfinished, or with commands of IPython
        lines = re.findall(r"^(?:async +def|def|class) +(\w+)|^(\w+) *(?::[^=\n]+)?=(?!=)", text, re.M)
        return frozenset(one or other for one, other in lines)
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(one.asname or one.name).partition(".")[0] for one in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if not isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            waiting += ast.iter_child_nodes(node)
    return frozenset(found)


def used(text: str) -> frozenset[str]:
    """The names that code reads."""
    tree = _tree(text)
    if tree is None:
        return frozenset(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text))
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))


def without_checks(text: str) -> str:
    """What stands in a check's cell besides the calls of checks and remarks; empty for nothing."""
    left = text
    tree = _tree(text)
    if tree is not None:
        lines = text.split("\n")
        for node in reversed(tree.body):
            if isinstance(node, ast.Expr) and _CALL.match(ast.unparse(node)):
                lines[node.lineno - 1 : node.end_lineno] = []
        left = "\n".join(lines)
    else:
        left = _CALL.sub("", text)
    return left.strip("\n") if any(line.strip() and not line.lstrip().startswith("#") for line in left.split("\n")) else ""


# Which is which.


@dataclass
class Known:
    """Which cell of a learner is which of the lesson.

    Attributes
    ----------
    cells : list of Cell
        The learner's, in their order; what else stood in a check's cell is a cell of its own before it.
    at : dict of int to int
        Of a cell of the lesson, by number, the learner's cell.
    copies : dict of int to list of int
        Further cells with the same mark.
    by_text, moved_out, other_kind : list of str
        Names of tasks: recognised without their mark; with something else in their check's cell; of another type.
    foreign : int
        Marks and checks that are of another lesson.
    """

    cells: list[Cell]
    at: dict[int, int] = field(default_factory=dict)
    copies: dict[int, list[int]] = field(default_factory=dict)
    by_text: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    moved_out: list[str] = field(default_factory=list)
    foreign: int = 0

    def tasks(self, spots: list[Spot]) -> int:
        """Marked cells of the lesson that were found."""
        return sum(spots[number].name != "" for number in self.at)


def recognise(cells: list[Cell], spots: list[Spot]) -> Known:
    """Find the lesson's cells in a learner's notebook."""
    return _Recogniser(cells, spots).go()


class _Recogniser:
    def __init__(self, cells: list[Cell], spots: list[Spot]) -> None:
        self.spots = spots
        self.known = Known(self._apart(cells))
        self.taken: set[int] = set()

    def go(self) -> Known:
        self._plain()
        self._marks()
        self._ids()
        self._checks()
        self._solutions()
        self._prose()
        names = {spot.name for spot in self.spots} | {name for spot in self.spots for name in spot.checks}
        for number, cell in enumerate(self.known.cells):
            if number not in self.taken:
                there = [cell.grade_id] if cell.grade_id else []
                there += _CALL.findall(cell.text) if cell.kind == "code" else []
                self.known.foreign += any(name not in names for name in there)
        return self.known

    def _apart(self, cells: list[Cell]) -> list[Cell]:
        """The cells, with what a learner wrote into a check's cell in a cell of its own: cells can be merged by a slip."""
        checks = {spot.name: spot for spot in self.spots if spot.kind == CHECK}
        self._moved: list[str] = []
        made = []
        for cell in cells:
            spot = checks.get(cell.grade_id)
            if spot is not None and bare(cell.text) != bare(spot.blank):
                rest = without_checks(cell.text) if cell.kind == "code" else cell.text.strip()
                if rest:
                    made.append(Cell(cell.kind, rest))
                    self._moved.append(spot.name)
                cell = Cell(cell.kind, spot.blank, cell.id, cell.mark, cell.tags)
            made.append(cell)
        return made

    def _take(self, number: int, cell: int) -> None:
        self.known.at[number] = cell
        self.taken.add(cell)

    def _left(self) -> Iterable[tuple[int, Cell]]:
        return [(n, cell) for n, cell in enumerate(self.known.cells) if n not in self.taken]

    def _plain(self) -> None:
        """Cells that are no task, by id and then by text: so that nothing else is taken for them, nor they for a task."""
        plain = {n: spot for n, spot in enumerate(self.spots) if spot.kind == PLAIN}
        ids = {spot.cell.get("id", ""): n for n, spot in plain.items()}
        for place, cell in self._left():
            number = ids.get(cell.id, -1) if cell.id and not cell.grade_id else -1
            if number >= 0 and number not in self.known.at:
                self._take(number, place)
        texts: dict[str, list[int]] = {}
        for n, spot in plain.items():
            if n not in self.known.at and bare(spot.blank):
                texts.setdefault(bare(spot.blank), []).append(n)
        for place, cell in self._left():
            numbers = texts.get(bare(cell.text), []) if not cell.grade_id else []
            if numbers:
                self._take(numbers.pop(0), place)

    def _marks(self) -> None:
        names = {spot.name: n for n, spot in enumerate(self.spots) if spot.name}
        claims: dict[int, list[int]] = {}
        for place, cell in self._left():
            number = names.get(cell.grade_id, -1)
            if number >= 0 and not self._is_another(cell, number):
                claims.setdefault(number, []).append(place)
        for number, places in claims.items():
            self._choose(number, places)
        self.known.moved_out = self._moved

    def _ids(self) -> None:
        claims: dict[int, list[int]] = {}
        ids = {spot.cell.get("id", ""): n for n, spot in enumerate(self.spots) if spot.name and n not in self.known.at}
        for place, cell in self._left():
            number = ids.get(cell.id, -1) if cell.id else -1
            if number >= 0 and not self._is_another(cell, number):
                claims.setdefault(number, []).append(place)
        for number, places in claims.items():
            self._choose(number, places)
            self._without_mark(number)

    def _without_mark(self, number: int) -> None:
        cell = self.known.cells[self.known.at[number]]
        name = self.spots[number].name
        (self.known.renamed if cell.grade_id else self.known.by_text).append(name)

    def _checks(self) -> None:
        for number, spot in enumerate(self.spots):
            if spot.kind not in (CHECK, LOCKED) or number in self.known.at:
                continue
            same = [
                place for place, cell in self._left()
                if bare(cell.text) == bare(spot.blank)
                or (cell.kind == "code" and spot.checks and _CALL.findall(cell.text) == list(spot.checks)
                    and not without_checks(cell.text))
            ]  # fmt: skip
            if same:
                self._choose(number, same)
                self._without_mark(number)

    def _solutions(self) -> None:
        """Cells of code, by the names that they define."""
        binds = {place: bound(cell.text) for place, cell in self._left() if cell.kind == "code"}
        # A text that is no cell of code any more is taken when it is whole Python, for which words are not.
        for place, cell in self._left():
            if cell.kind != "code" and re.search(r"^(def |\w+ *=)", cell.text, re.M) and _tree(cell.text) is not None:
                binds[place] = bound(cell.text)
        for number, spot in enumerate(self.spots):
            if spot.kind != SOLUTION or not spot.code or number in self.known.at or not spot.binds:
                continue
            places = [place for place, names in binds.items() if place not in self.taken and spot.binds <= names]
            if places:
                self._choose(number, places, marked=False)
                self._without_mark(number)

    def _prose(self) -> None:
        """Answers in words, by their place between what was recognised."""
        for number, spot in enumerate(self.spots):
            if spot.kind != SOLUTION or spot.code or number in self.known.at:
                continue
            before = [self.known.at[n] for n in range(number) if n in self.known.at][-1:]
            after = [self.known.at[n] for n in range(number + 1, len(self.spots)) if n in self.known.at][:1]
            if not before and not after:
                continue
            low = before[0] if before else -1
            high = after[0] if after else len(self.known.cells)
            places = [p for p, cell in self._left() if low < p < high and cell.kind != "code" and cell.text.strip()]
            if places:
                # The longest: who writes an answer and a remark makes the answer the longer one.
                best = max(places, key=lambda p: (not untouched(self.known.cells[p].text, spot), len(self._text(p))))
                self._take(number, best)
                self._without_mark(number)

    def _text(self, place: int) -> str:
        return self.known.cells[place].text

    def _is_another(self, cell: Cell, number: int) -> bool:
        """Whether a cell has one task's mark and another task's answer in it: marks can be changed, and swapped."""
        spot = self.spots[number]
        if spot.kind != SOLUTION or not spot.code or not spot.binds or untouched(cell.text, spot):
            return False
        names = bound(cell.text)
        if spot.binds & names:
            return False
        others = [one for one in self.spots if one.kind == SOLUTION and one.code and one is not spot and one.binds]
        return any(one.binds <= names for one in others)

    def _choose(self, number: int, places: list[int], marked: bool = True) -> None:
        """Take the one in which there is an answer; of several the last, which is the one that counts when all run."""
        spot = self.spots[number]

        def key(place: int) -> tuple:
            cell = self.known.cells[place]
            if spot.kind != SOLUTION:
                return (-place,)
            defines = not spot.binds or spot.binds <= bound(cell.text)
            return (not untouched(cell.text, spot), defines, cell.kind == spot.cell.cell_type, place)

        best = max(places, key=key)
        self._take(number, best)
        others = [place for place in places if place != best]
        if not marked:  # cells of their own that happen to define the same name, but for blank ones
            others = [place for place in others if bare(self._text(place)) == bare(spot.blank)]
        if others:
            self.known.copies.setdefault(number, []).extend(others)
            self.taken.update(others)
