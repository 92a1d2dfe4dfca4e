"""The notebook that is run: the learner's answers in the lesson's own cells, each check behind what it checks."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any, Optional

from biollm_widgets.grading import markdown
from biollm_widgets.grading.outline import CHECK, LOCKED, PLAIN, SOLUTION, Spot, bare, bound, outline, untouched, used
from biollm_widgets.grading.reading import Cell
from biollm_widgets.grading.recognising import Known, recognise
from biollm_widgets.grading.repairs import Words, quoted

_TAGS = {"raises-exception", "skip-execution"}  # that change what happens when a notebook is run
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass
class Rebuilt:
    """A notebook, ready to run.

    Attributes
    ----------
    notebook : NotebookNode
    repairs : list of str
    tasks : int
        Marked cells of the lesson that were found in what was handed in.
    foreign : int
        Marks and checks of another lesson.
    answered : int
        Tasks into which the learner wrote something.
    """

    notebook: Any
    repairs: list[str]
    tasks: int
    foreign: int
    answered: int


def rebuild(cells: list[Cell], source: Any) -> Rebuilt:
    """Put a learner's cells into the lesson's.

    Check cells are the instructor's. Solution cells have the learner's text and the instructor's marks. The learner's
    own     order stays, except that no check stands before its solution. What is missing is put back where the
    lesson has it.
    """
    return _Builder(cells, source).go()


class _Builder:
    def __init__(self, cells: list[Cell], source: Any) -> None:
        self.source = source
        self.spots = outline(source)
        self.known: Known = recognise(cells, self.spots)
        self.order: list[tuple[Optional[int], Optional[int]]] = []  # the lesson's cell, the learner's
        self.merged: dict[int, Optional[int]] = {}  # solutions that stand in another cell: which of the learner's
        self.words = Words()
        self.plain = {bare(spot.blank) for spot in self.spots if not spot.code}
        self.owner = {n: self._solution_of(n) for n, spot in enumerate(self.spots) if spot.kind == CHECK}

    def go(self) -> Rebuilt:
        known = self.known
        answered = sum(
            not untouched(known.cells[place].text, self.spots[number])
            for number, place in known.at.items()
            if self.spots[number].kind == SOLUTION
        )
        self._say_marks()
        self._in_their_order()
        self._put_back()
        self._behind()
        notebook = self._made()
        return Rebuilt(notebook, self.words.all(), known.tasks(self.spots), known.foreign, answered)

    def _solution_of(self, number: int) -> Optional[int]:
        """The solution that a check is of: the last one before it that defines what it asks for."""
        before = [n for n in range(number) if self.spots[n].kind == SOLUTION]
        asked = used(self.spots[number].cell.source)
        return next((n for n in reversed(before) if self.spots[n].binds & asked), before[-1] if before else None)

    # What is said of marks.

    def _say_marks(self) -> None:
        known, words = self.known, self.words
        words.add("by text", known.by_text)
        words.add("renamed", known.renamed)
        words.add("moved out", known.moved_out)
        words.add("changed", known.changed)
        told = {*known.by_text, *known.renamed}
        for number, place in sorted(known.at.items()):
            spot, cell = self.spots[number], known.cells[place]
            mark = spot.cell.metadata.get("nbgrader", {})
            if not spot.name:
                continue
            if cell.kind != spot.cell.cell_type:
                words.add("kind", [spot.name])
            if spot.name not in told:
                if "points" in mark and not _same(cell.mark.get("points"), mark["points"]):
                    words.add("points", [spot.name])
                # Early versions of nbgrader wrote no `locked`.
                elif any(bool(cell.mark.get(key, mark.get(key))) != bool(mark.get(key)) for key in _FLAGS):
                    words.add("settings", [spot.name])

    # Order.

    def _in_their_order(self) -> None:
        number_of = {place: number for number, place in self.known.at.items()}
        blanks = {place for n, copies in self.known.copies.items() for place in copies if self._says_nothing(n, place)}
        for number, copies in sorted(self.known.copies.items()):
            kind = "dropped" if all(place in blanks for place in copies) else "copies"
            self.words.add(kind, [self.spots[number].name])
        for place in range(len(self.known.cells)):
            if place not in blanks:
                self.order.append((number_of.get(place), place))

    def _says_nothing(self, number: int, place: int) -> bool:
        """Whether a copy can go: a blank one would undo the answer when run after it, and a check is there once."""
        spot = self.spots[number]
        return spot.kind != SOLUTION or untouched(self.known.cells[place].text, spot)

    def _put_back(self) -> None:
        """What the lesson has and the learner has not."""
        there = {number for number, _ in self.order if number is not None}
        lost_names = self._needed(there)
        for number, spot in enumerate(self.spots):
            if number in there or (spot.kind == PLAIN and number not in lost_names):
                continue
            owner = self.owner.get(number)
            merged = self._merged(spot)
            if merged is not None:  # put back in front of it: a blank one behind would undo the answer
                at, self.merged[number] = merged, self.order[merged][1]
            elif owner is not None:  # solutions come before their checks, so it is there by now
                at = self._answer(owner) + 1
            else:
                before = [n for n in range(number) if n in there]
                at = self._where(before[-1]) + 1 if before else 0
            self.order.insert(at, (number, None))
            there.add(number)
            if spot.kind == PLAIN:
                self.words.add("needed", [spot.cell.get("id") or "without a name"])
            elif spot.kind == SOLUTION:
                self.words.add("no solution" if merged is None else "merged", [spot.name])
            else:
                self.words.add("no check" if spot.kind == CHECK else "no text", [spot.name])

    def _needed(self, there: set[int]) -> set[int]:
        """Cells of the lesson that are gone though what is left reads names that they alone define, imports for one."""
        left = [cell for cell in self.known.cells if cell.kind == "code"]
        missing: set[int] = set()
        lost = [n for n, one in enumerate(self.spots) if one.kind == PLAIN and one.code and n not in there]
        if not lost:
            return missing
        defined = frozenset().union(*(bound(cell.text) for cell in left)) if left else frozenset()
        read = frozenset().union(*(used(cell.text) for cell in left)) if left else frozenset()
        read |= frozenset().union(*(used(one.cell.source) for one in self.spots if one.kind == CHECK))
        for number in reversed(lost):  # what a later one reads, an earlier one may define
            spot = self.spots[number]
            if (spot.binds & read) - defined:
                missing.add(number)
                read |= used(spot.cell.source)
        return missing

    def _merged(self, spot: Spot) -> Optional[int]:
        """Where the learner wrote a missing solution into another cell, by the names that it is to define."""
        if spot.kind != SOLUTION or not spot.code or not spot.binds:
            return None
        for at, (_, place) in enumerate(self.order):
            cell = self.known.cells[place] if place is not None else None
            if cell is not None and cell.kind == "code" and spot.binds <= bound(cell.text):
                return at
        return None

    def _where(self, number: int) -> int:
        return next(at for at, (one, _) in enumerate(self.order) if one == number)

    def _answer(self, number: int) -> int:
        """Where the answer to a solution stands: in its own cell, or in the one that it was merged into."""
        at = self._where(number)
        if number not in self.merged:
            return at
        return max(at, next(i for i, (_, place) in enumerate(self.order) if place == self.merged[number]))

    def _behind(self) -> None:
        """No check before its solution."""
        for number, owner in self.owner.items():
            if owner is None:
                continue
            check, solution = self._where(number), self._answer(owner)
            if check < solution:
                item = self.order.pop(check)
                self.order.insert(solution, item)
                self.words.add("order", [self.spots[number].name])

    # Cells.

    def _made(self) -> Any:
        import nbformat

        made = nbformat.v4.new_notebook()
        made.metadata = copy.deepcopy(self.source.metadata)
        made.nbformat, made.nbformat_minor = 4, max(5, self.source.get("nbformat_minor", 5))
        made.cells = []
        ids = _Ids(spot.cell.get("id", "") for spot in self.spots if spot.name)
        for number, place in self.order:
            spot = self.spots[number] if number is not None else None
            cell = self.known.cells[place] if place is not None else None
            made.cells.append(self._cell(spot, cell, ids, len(made.cells) + 1))
        if ids.twice:
            self.words.say("Several cells had the same internal name; they were given new ones.")
        return made

    def _cell(self, spot: Optional[Spot], cell: Optional[Cell], ids: _Ids, number: int) -> Any:
        from nbformat.notebooknode import NotebookNode

        named = spot is not None and bool(spot.name)
        where = f"the cell {quoted(spot.name)}" if spot is not None and named else f"cell {number}"
        kind = spot.cell.cell_type if spot is not None and named else cell.kind if cell is not None else "code"
        if spot is not None and (cell is None or spot.kind in (CHECK, LOCKED)):
            text = spot.cell.source if spot.kind != SOLUTION else spot.blank
            kind = spot.cell.cell_type
        else:
            assert cell is not None
            text = cell.text
        made = NotebookNode(cell_type=kind, metadata=NotebookNode(), source=text)
        if spot is not None and named:
            ids.see(cell)
            made.id = spot.cell.get("id") or ids.new()
        else:
            made.id = ids.of(cell, spot)
        if spot is not None and named:
            made.metadata = copy.deepcopy(spot.cell.metadata)
            for key in ("tags", "checksum"):
                made.metadata.pop(key, None)
        if cell is not None:
            tags = sorted(_TAGS & set(cell.tags))
            if tags:
                self.words.say(f"The tag {' and '.join(tags)} was taken off {where}: it changes how a notebook runs.")
        if kind == "code":
            made.outputs, made.execution_count = [], None
        elif cell is not None and bare(text) not in self.plain:
            self._prose(made, cell, where)
        elif cell is not None and cell.attachments and kind == "markdown":
            made.attachments = _node(cell.attachments)
        return made

    def _prose(self, made: Any, cell: Cell, where: str) -> None:
        """A cell of words, without what would act in the browser of whoever reads it."""
        if made.cell_type == "raw":
            # nbconvert puts such a cell into a page as it stands.
            made.cell_type = "markdown"
            if made.source.strip():
                if re.search(r"<[!/?A-Za-z]", made.source):
                    self.words.say(f"{where[0].upper()}{where[1:]} holds HTML and is shown as plain text.")
                made.source = markdown.as_text(made.source)
            return
        text, changed = markdown.harmless(made.source, cell.attachments)
        if changed:
            self.words.say(
                f"What would have acted in the reader's browser, or could not be shown there, in {where} "
                "is shown as plain text."
            )
        made.source = text
        if cell.attachments:
            made.attachments = _node(cell.attachments)


_FLAGS = ("grade", "solution", "locked")


def _same(one: Any, other: Any) -> bool:
    return type(one) in (int, float) and one == other


def _node(attachments: dict[str, dict[str, str]]) -> Any:
    from nbformat import from_dict

    return from_dict(attachments)


class _Ids:
    """Ids of cells: valid, and each once."""

    def __init__(self, kept: Any) -> None:
        self._gone = {one for one in kept if one}
        self._next = 0
        self._had: set[str] = set()
        self.twice = False

    def new(self) -> str:
        while True:
            self._next += 1
            made = f"cell-{self._next}"
            if made not in self._gone:
                self._gone.add(made)
                return made

    def see(self, cell: Optional[Cell]) -> None:
        """Note the id that a learner's cell had."""
        if cell is not None and cell.id:
            self.twice = self.twice or cell.id in self._had
            self._had.add(cell.id)

    def of(self, cell: Optional[Cell], spot: Optional[Spot]) -> str:
        wanted = cell.id if cell is not None else spot.cell.get("id", "") if spot is not None else ""
        self.see(cell)
        if _ID.fullmatch(wanted) and wanted not in self._gone:
            self._gone.add(wanted)
            return wanted
        return self.new()
