"""Which cell of a learner's notebook is which cell of the lesson: by nbgrader's marks, by id, and by what is in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from biollm_widgets.grading.outline import (
    CHECK,
    LOCKED,
    PLAIN,
    SOLUTION,
    Spot,
    bare,
    bound,
    calls,
    is_python,
    untouched,
    without_checks,
)
from biollm_widgets.grading.reading import Cell


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
    by_text, renamed, moved_out, changed : list of str
        Names of tasks: recognised without a mark, or with another one; with something else in their check's cell, or
        with a check that had been changed.
    foreign : int
        Marks and checks that are of another lesson.
    """

    cells: list[Cell]
    at: dict[int, int] = field(default_factory=dict)
    copies: dict[int, list[int]] = field(default_factory=dict)
    by_text: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    moved_out: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
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
        for told in (self.known.by_text, self.known.renamed):
            told.sort(key=[spot.name for spot in self.spots].index)
        names = {spot.name for spot in self.spots} | {name for spot in self.spots for name in spot.checks}
        for number, cell in enumerate(self.known.cells):
            if number not in self.taken:
                there = [cell.grade_id] if cell.grade_id else []
                there += calls(cell.text) if cell.kind == "code" else []
                self.known.foreign += any(name not in names for name in there)
        return self.known

    def _apart(self, cells: list[Cell]) -> list[Cell]:
        """The cells, with what a learner wrote into a check's cell in a cell of its own: cells get merged by a slip."""
        checks = {spot.name: spot for spot in self.spots if spot.kind in (CHECK, LOCKED)}
        ids = {spot.cell.get("id", ""): spot for spot in checks.values()}
        self._moved: list[str] = []
        self._changed: list[str] = []
        made = []
        for cell in cells:
            spot = checks.get(cell.grade_id) if cell.grade_id else ids.get(cell.id) if cell.id else None
            if spot is not None and bare(cell.text) != bare(spot.blank):
                rest = without_checks(cell.text) if cell.kind == "code" else cell.text.strip()
                if rest and spot.kind == CHECK:
                    made.append(Cell(cell.kind, rest))
                    self._moved.append(spot.name)
                else:
                    self._changed.append(spot.name)
                cell = Cell(cell.kind, spot.blank, cell.id, cell.mark, cell.tags)
            made.append(cell)
        return made

    def _take(self, number: int, cell: int) -> None:
        self.known.at[number] = cell
        self.taken.add(cell)

    def _left(self) -> Iterable[tuple[int, Cell]]:
        return [(n, cell) for n, cell in enumerate(self.known.cells) if n not in self.taken]

    def _plain(self) -> None:
        """Cells that are no task, by id and then by text: so that nothing is taken for them, nor they for a task."""
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
        self.known.moved_out, self.known.changed = self._moved, self._changed

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
                or (cell.kind == "code" and spot.checks and calls(cell.text) == list(spot.checks)
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
            if cell.kind != "code" and re.search(r"^(def |\w+ *=)", cell.text, re.M) and is_python(cell.text):
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
