"""The static picture of a stretch of one sequence: what each tokenizer makes of it, under a ruler."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Optional

import numpy as np

from biollm_widgets.widgets import colours
from biollm_widgets.widgets.colours import Colour, Shade, mix, tint, viridis
from biollm_widgets.widgets.lanes import Lane, Scale, scale_of
from biollm_widgets.widgets.picture import Picture
from biollm_widgets.widgets.reading_lanes import ReadingLane

# CSS pixels, on a grid of 4 where nothing else decides.
CELL = 10  # a letter: 13 px type is 8 wide, and the pieces have 1 px of air at both ends
PIECE = 20
RULER = 24
CHIP = (40, 96)  # a special token, at least and at most: room for [CLS] and for <|endoftext|>
MARGIN = 12
BESIDE = 8  # between the labels and the letters
FRAME = 40
LINE = 18  # of the legend
NARROW = 560
LINE_LETTERS = 60  # what FASTA and GenBank put on a line: rows then begin at 1, 61, 121
# Type is not measured here: what a letter of the page's fonts takes at most, as a share of its size.
WIDE = 0.58
CODE_WIDE = 6.7  # a letter of the code font at 11 px
BLANKS = {"\n": "↵", "\r": "↵", "\r\n": "↵", "\t": "⇥", " ": "␣"}
# The foot of a piece, a stronger hue: where one ends and the next of the same hue begins.
EDGES = tuple(Shade(mix(hue, 0.8, colours.TEXT.light), mix(hue, 0.6, colours.SURFACE.dark)) for hue in colours.LIGHT)
HATCHED = Shade("#BDBDBD", "#616161")  # quiet enough to read letters on
STOP = tint(colours.LIGHT[5])


def draw_tokens(
    lanes: Sequence[Lane],
    start: int,
    end: int,
    *,
    offset: int = 1,
    width: float = 920,
    color: str = "token",
    scale: Optional[Scale] = None,
    frames: Sequence[tuple[int, int, str]] = (),
    selection: Optional[tuple[int, int]] = None,
    changed: Optional[Mapping[str, np.ndarray]] = None,
    title: str = "",
) -> Picture:
    """Draw the letters `start:end` of a sequence and their tokens, a lane for each tokenizer, in rows.

    All of the stretch is drawn, whatever it costs (some 100 bytes a token): choose about 600 letters for a picture
    that is looked at.

    Parameters
    ----------
    lanes : sequence of Lane
        Readings of one and the same sequence. Overlapping tokens are stacked.
    start, end : int
        0-based half-open; cut to the sequence.
    offset : int
        The number of the sequence's first letter.
    width : float
        CSS pixels that the picture may be wide. It is never narrower than ten letters need.
    color : {"token", "length", "gc", "frequency", "scores"}
        "token" gives the same token the same hue; a quantity gives each its colour on a scale, and a bar under it.
    scale : Scale, optional
        Of the quantity; over these lanes where not given.
    frames : sequence of (frame, first, protein)
        `ReadingLane`s to draw under the tokens; codons from left to right, the first at the 0-based place `first`.
    selection : (start, end), optional
        Letters to frame.
    changed : mapping of label to ndarray of bool (n,), optional
        Which tokens of a lane an edit has changed; they are underlined.
    title : str
        For those who do not see the picture.

    Raises
    ------
    InputError
        For an unknown `color`.
    """
    if color != "token" and scale is None:
        scale = scale_of(lanes, color)
    return _Drawing(lanes, start, end, offset, width, color, scale, frames, selection, changed or {}, title).picture


class _Drawing:
    """One call of `draw_tokens`: goes down the picture row by row; `y` is where the next thing goes."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        start: int,
        end: int,
        offset: int,
        width: float,
        color: str,
        scale: Optional[Scale],
        frames: Sequence[tuple[int, int, str]],
        selection: Optional[tuple[int, int]],
        changed: Mapping[str, np.ndarray],
        title: str,
    ) -> None:
        self.sequence = lanes[0].tokenization.sequence if lanes else ""
        self.start = min(max(0, start), len(self.sequence))
        self.end = max(self.start, min(end, len(self.sequence)))
        self.offset = offset
        self.color, self.scale = color, scale
        self.frames = [ReadingLane(*frame) for frame in frames]
        self.selection, self.changed = selection, changed
        self.seen: set[str] = set()  # which marks occur: the legend explains no others
        self.lanes = [_Tokens(lane, self.start, self.end) for lane in lanes]
        # With a bar under each piece, stacked ones need more room.
        self.step = PIECE + (2 if scale is None else 8)

        names = [len(lane.label) * 13 * WIDE + 2 for lane in lanes] + [len(f.label) * 13 * WIDE for f in self.frames]
        facts = [len(tokens.fact) * 11 * WIDE for tokens in self.lanes]
        # A narrow picture has its labels above the lanes.
        self.above = width < NARROW
        self.label = min(152.0, max(56.0, *names, *facts)) + BESIDE if names and not self.above else 0.0
        self.lead = max((sum(map(_chip_width, tokens.lead)) for tokens in self.lanes), default=0)
        self.tail = max((sum(map(_chip_width, tokens.tail)) for tokens in self.lanes), default=0)
        self.left = math.ceil(MARGIN + self.label + self.lead)
        room = width - self.left - MARGIN
        self.letters = _letters_a_row(room)
        shown = self.end - self.start
        # What follows the last letter has room beside a last row that is short; else all rows are made shorter.
        if shown and ((shown - 1) % self.letters + 1) * CELL + self.tail > max(room, 10 * CELL):
            self.letters = _letters_a_row(room - self.tail)
        across: float = min(self.letters, shown) * CELL
        if shown:
            across = max(across, ((shown - 1) % self.letters + 1) * CELL + self.tail)
        whole = self.left + across + MARGIN if shown else min(width, 600)
        self.picture = Picture(math.ceil(max(whole, min(width, 480))), 0, title, self.description())
        self.y = 4.0
        self.draw()
        self.picture.height = math.ceil(self.y + 4)

    def description(self) -> str:
        if self.start == self.end:
            return "No letters."
        where = f"Letters {self.start + self.offset:,} to {self.end - 1 + self.offset:,}."
        many = (f"{tokens.lane.label}: {tokens.spoken()}." for tokens in self.lanes)
        read = (f"{frame.label}: {self.amino_acids(frame)}." for frame in self.frames)
        return " ".join([where, *many, *read])

    def amino_acids(self, frame: ReadingLane) -> str:
        first = max(0, -(-(self.start - frame.start) // 3))
        return frame.protein[first : max(first, (self.end - frame.start) // 3)]

    def draw(self) -> None:
        if self.start == self.end:
            words = "There is no letter to show; give a sequence, or choose a stretch of it."
            self.picture.text(MARGIN, self.y + 16, words, colour=colours.QUIET)
            self.y += 20
        for first in range(self.start, self.end, self.letters):
            self.row(first, min(first + self.letters, self.end))
        if self.start < self.end:
            self.legend()

    def row(self, first: int, last: int) -> None:
        top = self.y
        under = len(self.picture.items)
        self.ruler(first, last)
        for tokens in self.lanes:
            self.lane(tokens, first, last)
        for frame in self.frames:
            self.codons(frame, first, last)
        self.select(first, last, top + RULER - 4, self.y - 2, under)
        self.y += 8

    def x(self, letter: int, first: int) -> float:
        """The left edge of a letter in the row that begins with `first`."""
        return self.left + (letter - first) * CELL

    def ruler(self, first: int, last: int) -> None:
        for letter in range(first - first % 10, last, 10):
            if letter < first:
                # A row that begins between two tens: its first letter has a number if the next one leaves room.
                if letter + 10 - first < 5:
                    continue
                letter = first
            middle = self.x(letter, first) + CELL / 2
            words = f"{letter + self.offset:,}".replace("-", "−")
            self.picture.text(middle, self.y + 12, words, colour=colours.QUIET, size=11, anchor="middle")
            self.picture.line(middle, self.y + 15, middle, self.y + 18, colour=colours.EDGE)
        self.y += RULER - 2

    def lane(self, tokens: _Tokens, first: int, last: int) -> None:
        self.name(tokens.lane.label, tokens.fact if first == self.start else "")
        places: list[set[int]] = [set() for _ in range(tokens.rows)]
        bare = set(range(first, last))  # letters that are in no token
        for index in tokens.wide_in(first, last):
            row = int(tokens.row_of[index])
            low, high = max(first, tokens.starts[index]), min(last, tokens.ends[index])
            self.piece(tokens, index, first, last, self.y + row * self.step)
            places[row].update(range(low, high))
            bare.difference_update(range(low, high))
        for row, covered in enumerate(places):
            self.write(sorted(covered), first, self.y + row * self.step, colours.INK)
        self.write(sorted(bare), first, self.y, colours.QUIET)
        if bare:
            self.seen.add("bare")
        for place, words, special in tokens.marks:
            # What follows a row's last letter stands there, not in front of the next row's first.
            if first < place <= last or place == first == self.start:
                self.mark(self.x(place, first), words, special, tokens.rows)
        if first == self.start:
            self.chips(self.left - sum(map(_chip_width, tokens.lead)), tokens.lead)
        if last == self.end:
            self.chips(self.x(last, first) + 4, tokens.tail)
        self.y += (tokens.rows - 1) * self.step + PIECE + 20

    def name(self, label: str, fact: str = "") -> None:
        """Say what the next lane is: beside it, or above it in a narrow picture."""
        room = (self.picture.width - 2 * MARGIN) if self.above else self.label - BESIDE
        words = _shortened(label, room / (13 * WIDE))
        self.picture.text(MARGIN, self.y + 14, words, weight=600)
        if fact and not self.above:
            self.picture.text(MARGIN, self.y + 28, _shortened(fact, room / (11 * WIDE)), colour=colours.QUIET, size=11)
        elif fact and (len(words) + len(fact) + 2) * 13 * WIDE < room:
            x = MARGIN + (len(words) + 2) * 13 * WIDE
            self.picture.text(x, self.y + 14, fact, colour=colours.QUIET, size=11)
        if self.above:
            self.y += 20

    def write(self, letters: list[int], first: int, top: float, colour: Colour) -> None:
        if letters:
            xs = [self.x(letter, first) + CELL / 2 for letter in letters]
            self.picture.letters(xs, top + 14.5, "".join(self.sequence[letter] for letter in letters), colour=colour)

    def piece(self, tokens: _Tokens, index: int, first: int, last: int, top: float) -> None:
        start, end = tokens.starts[index], tokens.ends[index]
        opens, closes = start >= first, end <= last
        left = self.x(start, first) + 1 if opens else self.x(first, first)
        right = self.x(end, first) - 1 if closes else self.x(last, first)
        fill, share = self.ground(tokens, index)
        unknown = tokens.unknown[index]
        self.picture.rectangle(
            left, top, right - left, PIECE, fill=fill, radius=3, round_left=opens, round_right=closes,
            stroke=colours.EDGE if unknown or fill is None else None, hatch=HATCHED if unknown else None,
        )  # fmt: skip
        if self.scale is None and not unknown:
            self.picture.rectangle(left, top + PIECE - 2, right - left, 2, fill=EDGES[tokens.hues[index]])
        if unknown:
            self.seen.add("unknown")
            if tokens.rows == 1:
                middle = (left + right) / 2
                self.picture.text(middle, top + PIECE + 11, "?", size=11, weight=600, anchor="middle")
        if share == share:
            self.picture.rectangle(left, top + PIECE + 2, right - left, 3, fill=colours.HAIRLINE)
            self.picture.rectangle(left, top + PIECE + 2, (right - left) * share, 3, fill=colours.TEXT)
        marked = self.changed.get(tokens.lane.label)
        if marked is not None and marked[tokens.first + index]:
            self.seen.add("changed")
            self.picture.rectangle(left, top + PIECE - 3, right - left, 3, fill=colours.INK)

    def ground(self, tokens: _Tokens, index: int) -> tuple[Optional[Colour], float]:
        """The colour of a piece, and where its number stands on the scale (nan without one)."""
        if self.scale is None:
            return None if tokens.unknown[index] else tint(colours.LIGHT[tokens.hues[index]]), np.nan
        share = self.scale.share(float(tokens.quantity(self.color)[index]))
        return (tint(viridis(share)), share) if share == share else (None, np.nan)

    def mark(self, x: float, words: str, special: bool, rows: int) -> None:
        """A token without letters, between two of them."""
        bottom = self.y + (rows - 1) * self.step + PIECE + 1
        self.picture.line(x, self.y - 1, x, bottom, colour=colours.TEXT, thick=1 if special else 2, dashed=special)
        self.picture.text(x, bottom + 11, words, size=11, anchor="middle", colour=colours.TEXT, code=special)
        self.seen.add("special" if special else "blank")

    def chips(self, x: float, names: list[str]) -> None:
        """Special tokens beside each other, from `x` on."""
        for name in names:
            wide = _chip_width(name) - 4
            self.picture.rectangle(x, self.y + 0.5, wide, PIECE - 1, stroke=colours.QUIET, dashed=True, radius=3)
            words = _shortened(name, (wide - 6) / CODE_WIDE)
            self.picture.text(x + wide / 2, self.y + 14, words, size=11, code=True, anchor="middle")
            x += wide + 4
            self.seen.add("special")

    def codons(self, frame: ReadingLane, first: int, last: int) -> None:
        self.name(frame.label)
        top = self.y
        quiet: list[int] = []
        loud: list[int] = []  # the letters of stops: grey on their ground is hard to read
        begin = max(0, (first - frame.start) // 3)
        for number in range(begin, len(frame.protein)):
            start = frame.start + 3 * number
            if start >= last:
                break
            low, high = max(first, start), min(last, start + 3)
            if high <= low:
                continue
            opens, closes = start >= first, start + 3 <= last
            left = self.x(low, first) + (1 if opens else 0)
            right = self.x(high, first) - (1 if closes else 0)
            stop = frame.protein[number] == "*"
            self.picture.rectangle(
                left, top, right - left, FRAME - 8, radius=3, round_left=opens, round_right=closes,
                stroke=colours.EDGE if stop else colours.HAIRLINE, fill=STOP if stop else None,
            )  # fmt: skip
            (loud if stop else quiet).extend(range(low, high))
            if first <= start + 1 < last:
                self.picture.letters(
                    [self.x(start + 1, first) + CELL / 2],
                    top + 27,
                    frame.protein[number],
                    colour=colours.INK,
                    weight=600,
                )
        for inside, colour in ((quiet, colours.QUIET), (loud, colours.INK)):
            if inside:
                xs = [self.x(letter, first) + CELL / 2 for letter in inside]
                letters = "".join(self.sequence[letter] for letter in inside)
                self.picture.letters(xs, top + 12, letters, colour=colour, size=11)
        self.y += FRAME

    def select(self, first: int, last: int, top: float, bottom: float, under: int) -> None:
        """Frame the selected letters of a row: a ground under all that is drawn since `under`, a line over it."""
        low, high = (max(first, self.selection[0]), min(last, self.selection[1])) if self.selection else (0, 0)
        if high <= low:
            return
        x, width = self.x(low, first), (high - low) * CELL
        ground = Picture(0, 0)
        ground.rectangle(x, top, width, bottom - top, fill=tint(colours.ACCENT.light, 0.1), radius=4)
        self.picture.items[under:under] = ground.items
        self.picture.rectangle(x, top, width, bottom - top, stroke=colours.ACCENT, thick=2, radius=4)

    def legend(self) -> None:
        """What colours and marks mean, flowing into lines."""
        x = float(MARGIN)
        right = self.picture.width - MARGIN
        picture = self.picture

        def room(wide: float) -> float:
            """Where something of this width goes: on this line, or the next."""
            nonlocal x
            if x > MARGIN and x + wide > right:
                x = float(MARGIN)
                self.y += LINE
            place = x
            x += wide
            return place

        def say(words: str, gap: float = 16) -> None:
            wide = len(words) * 11 * WIDE
            picture.text(room(wide + gap), self.y + 12, words, colour=colours.QUIET, size=11)

        if self.scale is not None:
            words = f"{self.scale.label}, {self.scale.low_said} to {self.scale.high_said}"
            place = room(136 + len(words) * 11 * WIDE + 16)
            for number, stop in enumerate(colours.VIRIDIS):
                # Each reaches a little under the next, so that no seam shows between them.
                wide = 4.5 if number < len(colours.VIRIDIS) - 1 else 4
                picture.rectangle(place + 4 * number, self.y + 3, wide, 11, fill=tint(stop))
            picture.text(place + 136, self.y + 12, words, colour=colours.QUIET, size=11)
            say("the bar under a token says the same")
        else:
            say("same token, same colour (eight colours are shared)")
        for mark, words in LEGEND.items():
            if mark not in self.seen:
                continue
            place = room(24 + len(words) * 11 * WIDE + 16)
            if mark == "special":
                picture.rectangle(place, self.y + 2.5, 18, 12, stroke=colours.QUIET, dashed=True, radius=3)
            elif mark == "unknown":
                picture.rectangle(
                    place, self.y + 2.5, 18, 12, stroke=colours.EDGE, hatch=HATCHED, radius=3
                )  # fmt: skip
            elif mark == "changed":
                picture.rectangle(place, self.y + 2, 18, 13, fill=colours.SURFACE_LOW, radius=3)
                picture.rectangle(place, self.y + 12, 18, 3, fill=colours.INK)
            elif mark == "blank":
                picture.line(place + 4, self.y + 2, place + 4, self.y + 15, thick=2)
                picture.text(place + 14, self.y + 12, "↵", size=11, anchor="middle")
            else:
                picture.letters([place + 4, place + 14], self.y + 12, "AC", colour=colours.QUIET, size=11)
            picture.text(place + 24, self.y + 12, words, colour=colours.QUIET, size=11)
        self.y += LINE


LEGEND = {
    "special": "special token",
    "unknown": "unknown to the tokenizer",
    "changed": "changed",
    "blank": "white space that is a token",
    "bare": "in no token",
}


class _Tokens:
    """The tokens of a lane within a stretch, as plain lists: `first` is the number of the first one in the lane."""

    def __init__(self, lane: Lane, start: int, end: int) -> None:
        self.lane = lane
        read = lane.tokenization
        columns = read.columns
        self.first, last = read.covering(start, end) if read.sequence else (0, len(read))
        cut = slice(self.first, last)
        self.rows, row_of = lane.stack
        self.row_of = row_of[cut]
        self.starts, self.ends = columns.starts[cut].tolist(), columns.ends[cut].tolist()
        self.unknown = columns.unknown[cut].tolist()
        self.special = columns.special[cut].tolist()
        self.hues = np.atleast_1d(colours.hue_of(columns.ids[cut])).tolist()
        self.wide = [i for i, (a, z) in enumerate(zip(self.starts, self.ends, strict=True)) if z > a]
        self.cut = cut
        self.fact = f"{read.ordinary:,} token{'s'[: read.ordinary != 1]}"
        if read.ordinary:
            self.fact += f" · {read.bases_per_token:.1f} each"
        # Special tokens before the first letter and behind the last one of the whole sequence, and all others.
        self.lead: list[str] = []
        self.tail: list[str] = []
        self.marks: list[tuple[int, str, bool]] = []
        for i, (place, z) in enumerate(zip(self.starts, self.ends, strict=True)):
            if z > place:
                continue
            token = read.token_at(self.first + i)
            if self.special[i] and place == 0 and not any(w < i for w in self.wide[:1]):
                self.lead.append(token.text)
            elif self.special[i] and place == len(read.sequence) and not any(w > i for w in self.wide[-1:]):
                self.tail.append(token.text)
            elif self.special[i]:
                self.marks.append((place, _shortened(token.text, 7), True))
            else:
                self.marks.append((place, "".join(BLANKS.get(c, "·") for c in token.text[:3]) or "·", False))

    def wide_in(self, first: int, last: int) -> list[int]:
        """The tokens with letters in a row."""
        return [i for i in self.wide if self.starts[i] < last and self.ends[i] > first]

    def quantity(self, color: str) -> np.ndarray:
        return self.lane.quantity(color)[self.cut]

    def spoken(self, most: int = 24) -> str:
        read = self.lane.tokenization
        said = [read.token_at(self.first + i).text.strip() for i in self.wide[:most]]
        return ", ".join(said) + (f" and {len(self.wide) - most:,} more tokens" if len(self.wide) > most else "")


def _chip_width(name: str) -> float:
    """With the gap beside it."""
    return min(max(CHIP[0], len(name) * CODE_WIDE + 8), CHIP[1]) + 4


def _letters_a_row(room: float) -> int:
    """Tens of letters, and sixties where they fit."""
    tens = max(10, int(room // CELL) // 10 * 10)
    return tens if tens < LINE_LETTERS else tens // LINE_LETTERS * LINE_LETTERS


def _shortened(words: str, most: float) -> str:
    return words if len(words) <= most + 0.01 else words[: max(1, int(most) - 1)] + "…"
