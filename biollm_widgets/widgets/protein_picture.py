"""The static picture of a generation: what the proteins are made of, and how long and how surprising each is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from biollm_widgets.widgets import colours
from biollm_widgets.widgets.axes import Axis, axis_of, number, wide, wrapped
from biollm_widgets.widgets.picture import Picture
from biollm_widgets.widgets.training_marks import LINES, ring

Shot = Mapping[str, Any]
Row = Mapping[str, Any]
Box = tuple[float, float, float, float]  # left, top, right, bottom

# CSS pixels, on a grid of 4.
MARGIN = 12
LEAST = 280  # twenty letters side by side need as much
BESIDE = 680  # from here on the two charts stand side by side
GAP = 24
HEIGHT = 160  # of a chart
LINE = 16
NAMED = 24  # designs, up to which each has its number in the chart
DESIGNS = LINES[0]
ERRORS = 2  # standard errors on each side of a bar, 95 % of what chance does


def draw_proteins(shot: Shot, width: float = 760) -> Picture:
    """Draw the composition of all designs beside the background, and each design by length and perplexity.

    Parameters
    ----------
    shot : mapping
        What a page draws of a panel. Of it the rows of `table`, `composition`, `title` and `phase` are used.
    width : float
        CSS pixels, at least 280. Below 680 one chart lies under the other.

    Returns
    -------
    Picture
        As high as it needs to be. Its title is the shot's, which is not drawn; its description tells it in words.
    """
    return _Drawing(shot, max(float(width), LEAST)).picture


def describe(shot: Shot) -> str:
    """The picture in words: lengths, perplexities, what ended, what deceives, and what stands out of the background."""
    rows = _rows(shot)
    if not rows:
        return " ".join(_nothing(shot))
    many = len(rows)
    made = (shot.get("composition") or {}).get("all") or {}
    of = int(made.get("n_sequences") or many)
    which = f"The first {many:,} of {of:,}" if of > many else f"{many:,}"
    told = [f"{which} {'protein' if of == 1 else 'proteins'}, {_span([_length(row) for row in rows], 0)} residues long"]
    surprise = [value for row in rows if (value := number(row.get("perplexity"))) is not None]
    if surprise:
        told.append(f"perplexity {_span(surprise, 1)}")
    ended = sum(bool(row.get("finished")) for row in rows)
    sentences = [f"{', '.join(told)}; {ended:,} ended, {many - ended:,} cut off."]
    sentences += [f"{row.get('name', '')}: {row.get('why', '')}" for row in rows if row.get("deceives")][:5]
    if made.get("words"):
        sentences.append(str(made["words"]))
    return " ".join(sentences)


def _rows(shot: Shot) -> Sequence[Row]:
    return (shot.get("table") or {}).get("rows") or []


def _length(row: Row) -> float:
    return number(row.get("residues")) or 0.0


def _span(values: Sequence[float], digits: int) -> str:
    low, high = (f"{value:,.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _nothing(shot: Shot) -> list[str]:
    """What to say where there is nothing to draw, line by line; code is the last of two."""
    phase = shot.get("phase", "idle")
    if phase == "idle":
        return ["No proteins have been made yet. Start with", "await panel.generate()"]
    if phase in ("loading", "growing", "judging"):
        return ["Proteins are growing; what they are made of is drawn when they have ended."]
    return ["This ended before anything was written."]


class _Place(NamedTuple):
    """Left and right edge of a chart, the numbers on its axis included."""

    left: float
    right: float


class _Drawing:
    """One call of `draw_proteins`."""

    def __init__(self, shot: Shot, width: float) -> None:
        self.shot = shot
        self.rows = _rows(shot)
        self.picture = Picture(math.ceil(width), 0, str(shot.get("title") or ""), describe(shot))
        self.composition = shot.get("composition") or {}
        self.scored = [row for row in self.rows if number(row.get("perplexity")) is not None]
        left, right = float(MARGIN), self.picture.width - MARGIN
        charts = [(self.head_of_bars, self.bars)] if self.rows and _known(self.composition) else []
        charts += [(self.head_of_marks, self.marks)] if self.scored else []
        places = [_Place(left, right)] * len(charts)
        beside = len(charts) == 2 and width >= BESIDE
        if beside:
            middle = left + math.ceil((right - left) * 0.15) * 4
            places = [_Place(left, middle - GAP / 2), _Place(middle + GAP / 2, right)]
        end = 8.0 if charts else self.say_nothing(8.0)
        if beside:  # on one line
            top = max(head(place, end) for (head, _), place in zip(charts, places, strict=True))
            end = max(chart(place, top) for (_, chart), place in zip(charts, places, strict=True))
        else:
            for (head, chart), place in zip(charts, places, strict=True):
                end = chart(place, head(place, end + (GAP if end > 8 else 0)))
        self.picture.height = math.ceil(end + 8)

    def say_nothing(self, y: float) -> float:
        words, *code = _nothing(self.shot)
        for line in wrapped(words, self.picture.width - 2 * MARGIN, 13):
            self.picture.text(MARGIN, y + 16, line, colour=colours.QUIET)
            y += 20
        for line in code:
            self.picture.text(MARGIN, y + 16, line, code=True)
            y += 20
        return y

    def head(self, place: _Place, y: float, title: str, notes: str) -> float:
        """Title and explanation of a chart; returns where they end."""
        for line in wrapped(title, (place.right - place.left) / 1.1, 13):
            self.picture.text(place.left, y + 12, line, weight=600)
            y += LINE + 2
        for line in wrapped(notes, place.right - place.left, 11):
            self.picture.text(place.left, y + 12, line, size=11, colour=colours.QUIET)
            y += LINE
        return y

    def upright(self, place: _Place, axis: Axis, unit: str = "") -> float:
        """An upright axis: lines at its ticks with their numbers, of which the last has the unit; returns its left."""
        said = [words for _, words in axis.ticks]
        said[-1:] = [words + unit for words in said[-1:]]
        gutter = max([0.0, *(wide(words, 11) for words in said)]) + 8
        left = place.left + math.ceil(gutter / 4) * 4
        for (value, _), words in zip(axis.ticks, said, strict=True):
            y = axis(value)
            self.picture.line(left, y, place.right, y, colour=colours.HAIRLINE)
            self.picture.text(left - 8, y + 4, words, size=11, colour=colours.QUIET, anchor="end")
        self.picture.line(left, axis.start, place.right, axis.start, colour=colours.EDGE)
        return left

    # Composition

    def head_of_bars(self, place: _Place, y: float) -> float:
        made = self.composition["all"]
        many = int(made.get("n_sequences") or 0)
        what = f"{int(made['n_residues']):,} residues in {many:,} {'protein' if many == 1 else 'proteins'}"
        y = self.head(place, y, f"Composition of {what}", str(made.get("words") or "")) + 4
        return self.legend(place, y, many)

    def bars(self, place: _Place, y: float) -> float:
        """Two bars a residue, the designs' with its error, and the background's; returns where they end below."""
        composition, made = self.composition, self.composition["all"]
        letters = str(composition.get("letters") or "")
        shares = [100 * (number(value) or 0) for value in made["shares"]]
        errors = [100 * (number(value) or 0) for value in made.get("errors") or [0] * len(shares)]
        natural = [100 * (number(value) or 0) for value in composition["background"]]
        highest = [*natural, *(share + ERRORS * error for share, error in zip(shares, errors, strict=False)), 0.0]
        axis = axis_of([0.0, *highest], y + HEIGHT, y, 5)
        left = self.upright(place, axis, " %")
        each = (place.right - left) / max(1, len(letters))
        broad, narrow = round(0.5 * each, 1), round(0.3 * each, 1)
        for i, (letter, share, error, nature) in enumerate(zip(letters, shares, errors, natural, strict=False)):
            x = round(left + i * each + 0.1 * each, 1)
            self.bar(axis, x + broad, narrow, nature, False)
            self.bar(axis, x, broad, share, True)
            low, high = axis(max(0.0, share - ERRORS * error)), axis(share + ERRORS * error)
            middle = round(x + broad / 2, 1)
            self.picture.line(middle, low, middle, high, colour=colours.TEXT)
            self.picture.text(x + (broad + narrow) / 2, axis.start + 16, letter, size=11, code=True, anchor="middle")
        return axis.start + 20

    def bar(self, axis: Axis, x: float, width: float, value: float, designs: bool) -> None:
        """Filled for the designs, hatched for the background."""
        top = axis(value)
        if designs:
            self.picture.rectangle(x, top, width, axis.start - top, fill=DESIGNS)
        else:
            self.picture.rectangle(x, top, width, axis.start - top, stroke=colours.QUIET, hatch=colours.QUIET)

    def legend(self, place: _Place, y: float, many: int) -> float:
        """What filled and hatched bars are, in one line or two."""
        entries = [
            (True, "this protein" if many == 1 else f"all {many:,}"),
            (False, "natural proteins (Swiss-Prot)"),
            (None, f"± {ERRORS} standard errors"),
        ]
        x = place.left
        for designs, words in entries:
            across = 20 + wide(words, 11)
            if x > place.left and x + across > place.right:
                x, y = place.left, y + LINE
            if designs is None:
                self.picture.line(x + 6, y + 2, x + 6, y + 14, colour=colours.TEXT)
            elif designs:
                self.picture.rectangle(x, y + 4, 12, 9, fill=DESIGNS)
            else:
                self.picture.rectangle(x, y + 4, 12, 9, stroke=colours.QUIET, hatch=colours.QUIET)
            self.picture.text(x + 20, y + 12, words, size=11, colour=colours.QUIET)
            x += across + 16
        return y + LINE + 8

    # Length and perplexity

    def head_of_marks(self, place: _Place, y: float) -> float:
        known, unknown = self.scored, len(self.rows) - len(self.scored)
        notes = "Lower is less surprising. Each is one design" + (", with its number." if self.numbered() else ".")
        if unknown:
            notes += f" {unknown:,} without a perplexity {'is' if unknown == 1 else 'are'} left out."
        y = self.head(place, y, "Perplexity by length", notes) + 4
        ended = {bool(row.get("finished")) for row in known}
        parts = [words for kind, words in ((True, "ended"), (False, "cut off")) if kind in ended]
        return self.marks_legend(place, y, parts, any(row.get("deceives") for row in known))

    def numbered(self) -> bool:
        return len(self.scored) <= NAMED

    def marks(self, place: _Place, y: float) -> float:
        """A mark a design: filled where it ended, hollow where it was cut off, ringed where it deceives."""
        known = self.scored
        lengths, surprise = [_length(row) for row in known], [float(row["perplexity"]) for row in known]
        upright = axis_of(surprise, y + HEIGHT, y, 5, may_log=True)
        left = self.upright(place, upright)
        across = axis_of(lengths, left + 8, place.right - 12, max(1, int((place.right - left) // 64)))
        for value, words in across.ticks:
            x = across(value)
            self.picture.line(x, upright.start, x, upright.start + 4, colour=colours.EDGE)
            self.picture.text(x, upright.start + 16, words, size=11, colour=colours.QUIET, anchor="middle")
        places = [(across(length), upright(value)) for length, value in zip(lengths, surprise, strict=True)]
        for row, (x, high) in zip(known, places, strict=True):
            self.mark(x, high, bool(row.get("finished")))
            if row.get("deceives"):
                ring(self.picture, x, high)
        if self.numbered():
            self.names(known, places, (left, y - 8, place.right, upright.start))
        self.picture.text(place.right, upright.start + 32, "residues", size=11, colour=colours.QUIET, anchor="end")
        return upright.start + 36

    def mark(self, x: float, y: float, finished: bool) -> None:
        if finished:
            self.picture.circle(x, y, 4, fill=DESIGNS)
        else:
            self.picture.circle(x, y, 3.5, fill=colours.SURFACE, stroke=DESIGNS, thick=1.5)

    def marks_legend(self, place: _Place, y: float, parts: Sequence[str], deceives: bool) -> float:
        x = place.left
        for words in [*parts, *(["low perplexity, but look at why"] if deceives else [])]:
            across = 16 + wide(words, 11)
            if x > place.left and x + across > place.right:
                x, y = place.left, y + LINE
            if words in ("ended", "cut off"):
                self.mark(x + 5, y + 8, words == "ended")
            else:
                ring(self.picture, x + 5, y + 8, 5)
            self.picture.text(x + 16, y + 12, words, size=11, colour=colours.QUIET)
            x += across + 16
        return y + LINE + 8

    def names(self, rows: Sequence[Row], places: Sequence[tuple[float, float]], room: Box) -> None:
        """The number of each design beside its mark, where it meets no other mark and no other number."""
        taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in places]
        for row, (x, y) in zip(rows, places, strict=True):
            words = str(row.get("name") or "").rpartition("_")[2] or str((number(row.get("index")) or 0) + 1)
            across = wide(words, 11)
            for left, base in (
                (x + 9, y + 4),
                (x - 9 - across, y + 4),
                (x - across / 2, y - 9),
                (x - across / 2, y + 17),
            ):
                box = (left, base - 9, left + across, base + 1)
                inside = room[0] <= box[0] and box[2] <= room[2] and room[1] <= box[1] and box[3] <= room[3]
                if inside and not any(_meet(box, other) for other in taken):
                    taken.append(box)
                    self.picture.text(left, base, words, size=11)
                    break


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _known(composition: Mapping[str, Any]) -> bool:
    made: Optional[Mapping[str, Any]] = composition.get("all")
    return bool(made and made.get("n_residues") and composition.get("letters"))
