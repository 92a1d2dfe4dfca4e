"""A confusion matrix as part of a picture: a row for each true class, a column for each class that was said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Optional

from biollm_widgets.widgets import colours
from biollm_widgets.widgets.axes import fitted, number, wide
from biollm_widgets.widgets.colours import Shade, tint
from biollm_widgets.widgets.picture import Picture

HUE = colours.BRIGHT[0]
CELLS = {1: 72, 2: 72, 3: 56, 4: 48, 5: 40, 6: 36, 7: 32, 8: 32}  # the side of a cell, by the number of classes
NUMBERED = 8  # classes, up to which numbers stand in the cells
MOST = 50  # classes: above, a cell would be less than four pixels
LABELS, LEAST = 88, 56  # pixels for the names of the rows, at most and at least
LINE = 12  # pixels that a row needs for its name


class Confusion:
    """Counts by true class and by the class that was said.

    Parameters
    ----------
    rows : sequence of sequences of numbers, (n, n)
    labels : sequence of str, optional
        The names of the classes; they are numbered from 0 where there are not n.
    title : str
        What the counts are from.
    room : float
        CSS pixels that it may be wide; cells are smaller where it has less than they would like.
    """

    def __init__(
        self, rows: Sequence[Sequence[Any]], labels: Optional[Sequence[Any]], title: str, room: float = 480
    ) -> None:
        self.rows = [[max(0.0, number(value) or 0.0) for value in row] for row in rows]
        self.title = title
        self.room = room
        n = len(self.rows)
        self.labels = [str(label) for label in labels] if labels and len(labels) == n else [str(i) for i in range(n)]
        columns = [fitted(label, self.cell() - 4, 11) for label in self.labels]
        # Columns whose cut names would be the same are told apart by numbers, which then stand at the rows too.
        self.columns = columns
        if any(len(column) < 3 for column in columns if "…" in column) or len(set(columns)) < n or n > NUMBERED:
            self.columns = [str(i + 1) for i in range(n)]
            self.labels = [f"{i + 1} {label}" for i, label in enumerate(self.labels)]

    def cell(self) -> float:
        """The side of a cell."""
        n = len(self.rows)
        return max(1, min(CELLS.get(n, 200 // n), (self.room - LEAST) // n))

    def names(self) -> float:
        """The width of the names of the rows, with the gap beside them."""
        if self.cell() < LINE:
            return 0
        room = min(LABELS, self.room - self.cell() * len(self.rows) - 8)
        return min(room, max(wide(label, 11) for label in self.labels)) + 8

    def width(self) -> float:
        """How wide the drawing is."""
        across = self.names() + self.cell() * len(self.rows) if len(self.rows) <= MOST else 0
        return max(across, wide(self.title, 13, True), wide(self.reading(), 11), wide(self.finding(), 11))

    def finding(self) -> str:
        """How many were right, in words."""
        right, total = sum(row[i] for i, row in enumerate(self.rows)), sum(map(sum, self.rows))
        return f"{right:,.0f} of {total:,.0f} right ({100 * right / total:.0f} %)" if total else "nothing was counted"

    def reading(self) -> str:
        if len(self.rows) > MOST:
            return f"{len(self.rows):,} classes are too many to draw"
        if self.cell() < LINE:
            return f"rows: the {len(self.rows)} true classes; columns: said"
        return "rows: the true class; columns: said"

    def draw(self, picture: Picture, x: float, y: float) -> float:
        """Draw it with its upper left corner at `x, y`; returns where it ends below."""
        picture.text(x, y + 12, self.title, weight=600)
        picture.text(x, y + 28, self.reading(), size=11, colour=colours.QUIET)
        y += 36
        n, cell, left = len(self.rows), self.cell(), x + self.names()
        if n <= MOST:
            high = min(cell, 56)
            if cell >= LINE:
                each = math.ceil((wide(self.columns[-1], 11) + 4) / cell) if n > NUMBERED else 1
                for i, label in list(enumerate(self.columns))[::each]:
                    picture.text(left + (i + 0.5) * cell, y + 12, label, size=11, anchor="middle")
                y += 16
            self.tint(picture, left, y, cell, high)
            for i, row in enumerate(self.rows):
                self.draw_row(picture, i, row, left, y + i * high, cell, high)
            picture.rectangle(left, y, cell * n, high * n, stroke=colours.EDGE)
            y += high * n
        picture.text(x, y + 20, self.finding(), size=11, colour=colours.QUIET)
        if n <= MOST:
            picture.text(x, y + 36, "tint: share of its row", size=11, colour=colours.QUIET)
            y += 16
        return y + 24

    def tint(self, picture: Picture, left: float, y: float, cell: float, high: float) -> None:
        """Tint the cells; those of one shade are strokes of one path, so that hundreds of them stay small."""
        strokes: dict[Shade, list[list[tuple[float, float]]]] = {}
        for i, row in enumerate(self.rows):
            total = sum(row)
            for k, count in enumerate(row):
                if count:
                    x, middle = left + k * cell, y + (i + 0.5) * high
                    strokes.setdefault(shade_of(count / total), []).append([(x, middle), (x + cell, middle)])
        for shade, cells in strokes.items():
            picture.path(cells, colour=shade, thick=high)

    def draw_row(
        self, picture: Picture, i: int, row: Sequence[float], left: float, y: float, cell: float, high: float
    ) -> None:
        total = sum(row)
        if self.names():
            label = fitted(self.labels[i], self.names() - 8, 11)
            picture.text(left - 8, y + high / 2 + 4, label, size=11, anchor="end")
        for k, count in enumerate(row):
            share = count / total if total else 0.0
            x = left + k * cell
            if len(row) > NUMBERED:
                continue
            shares = cell >= 48 and total > 0
            words, size = _count(count, cell - 4)
            place = y + high / 2 + (0 if shares else 5)
            bold = 600 if i == k else 400
            picture.text(x + cell / 2, place, words, colour=colours.INK, size=size, weight=bold, anchor="middle")
            if shares:
                picture.text(
                    x + cell / 2, place + 16, f"{100 * share:.0f} %", colour=colours.INK, size=11, anchor="middle"
                )


def shade_of(share: float) -> Shade:
    """The ground of a cell, by its share of the row: ink stands out on the strongest of them."""
    return tint(HUE, 0.08 + 0.64 * round(share * 25) / 25)


def _count(count: float, room: float) -> tuple[str, int]:
    """A count as large as it has room: 149, or 12k."""
    words = f"{count:,.0f}"
    for size in (13, 11):
        if wide(words, size, True) <= room:
            return words, size
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            short = f"{count / unit:.3g}{name}"
            return short if wide(short, 11, True) <= room else f"{count / unit:.0f}{name}", 11
    return words, 11
