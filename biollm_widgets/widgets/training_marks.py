"""The marks of training curves: the hues of runs, what stands for an evaluation or a checkpoint, and their legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from biollm_widgets.widgets import colours
from biollm_widgets.widgets.axes import fitted, wide
from biollm_widgets.widgets.colours import Colour, Shade, contrast, mix
from biollm_widgets.widgets.picture import Picture

DASH = (5.0, 3.0)  # evaluation
SHAPES = ("circle", "square", "diamond", "triangle", "hollow")  # of the evaluations of run 0, 1, ...
LINE = 16  # pixels from one line of a legend to the next
SAMPLE = 28  # pixels that the sample of a line takes
BAND = 0.25  # opacity


def _until(hue: str, ink: str, ground: str, least: float) -> str:
    """The hue with as little ink in it as it takes to stand out on the ground."""
    mixed = (mix(hue, share / 20, ink) for share in range(20, -1, -1))
    return next(colour for colour in mixed if contrast(colour, ground) >= least)


# On a dark page lines are light enough to follow; words in the hue of a line are legible on both.
LINES = tuple(Shade(hue, _until(hue, "#FFFFFF", colours.SURFACE.dark, 3.0)) for hue in colours.BRIGHT)
WORDS = tuple(
    Shade(_until(hue, "#000000", colours.SURFACE.light, 4.5), _until(hue, "#FFFFFF", colours.SURFACE.dark, 4.5))
    for hue in colours.BRIGHT
)


def marker(picture: Picture, x: float, y: float, size: float, colour: Colour, shape: str) -> None:
    """An evaluation: one of `SHAPES`, about as large as the others of this size."""
    if shape == "square":
        picture.rectangle(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8, fill=colour)
    elif shape == "diamond":
        reach = size * 1.3
        picture.area([(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)], fill=colour)
    elif shape == "triangle":
        reach = size * 1.2
        picture.area([(x, y - reach), (x + reach, y + size), (x - reach, y + size)], fill=colour)
    elif shape == "hollow":
        picture.circle(x, y, size - 0.5, fill=colours.SURFACE, stroke=colour, thick=1.5)
    else:
        picture.circle(x, y, size, fill=colour)


def checkpoint(picture: Picture, x: float, y: float) -> None:
    """A small triangle that points up to `x, y`."""
    picture.area([(x, y), (x + 4, y + 7), (x - 4, y + 7)], fill=colours.TEXT)


def cross(picture: Picture, x: float, y: float, colour: Colour) -> None:
    """What is not a number."""
    pieces = [[(x - 4, y - 4), (x + 4, y + 4)], [(x - 4, y + 4), (x + 4, y - 4)]]
    picture.path(pieces, colour=colour, thick=2)


def ring(picture: Picture, x: float, y: float, radius: float = 7) -> None:
    """The best evaluation."""
    picture.circle(x, y, radius, stroke=colours.TEXT, thick=1.5)


class Entry(NamedTuple):
    """One entry of a legend: what is drawn, its words, and the number of its run."""

    kind: str
    words: str
    run: int = 0


class Legend:
    """Entries that flow into lines: the first one from `first` to `right`, the others from `left`.

    Attributes
    ----------
    lines : int
        How many lines there are.
    """

    def __init__(self, entries: Sequence[Entry], left: float, first: float, right: float) -> None:
        self.places: list[tuple[Entry, str, float, int]] = []
        x, line = first, 0
        for entry in entries:
            sample = {"band": 24, "checkpoint": 14, "cross": 16, "log": 0}.get(entry.kind, SAMPLE + 6)
            words = fitted(entry.words, min(200, right - left - sample), 11)
            across = sample + wide(words, 11)
            if x > left and x + across > right:
                x, line = left, line + 1
            self.places.append((entry, words, x, line))
            x += across + 16
        self.lines = line + 1

    def draw(self, picture: Picture, y: float) -> None:
        """Draw it with the baseline of its first line at `y`."""
        for entry, words, x, line in self.places:
            base = y + line * LINE
            sample = self.sample(picture, entry, x, base - 4)
            picture.text(x + sample, base, words, size=11, colour=colours.QUIET)

    @staticmethod
    def sample(picture: Picture, entry: Entry, x: float, y: float) -> float:
        """Draw what the words are about, its middle at the height `y`; returns the pixels it takes."""
        hue = LINES[entry.run % len(LINES)]
        if entry.kind == "checkpoint":
            checkpoint(picture, x + 4, y - 3)
            return 14
        if entry.kind == "cross":
            cross(picture, x + 5, y, colours.TEXT)
            return 16
        if entry.kind == "band":
            picture.area([(x, y - 5), (x + 18, y - 5), (x + 18, y + 5), (x, y + 5)], fill=hue, opacity=BAND)
            return 24
        if entry.kind == "run":
            picture.path([[(x, y), (x + SAMPLE, y)]], colour=hue, thick=2)
            marker(picture, x + SAMPLE / 2, y, 4, hue, SHAPES[entry.run % len(SHAPES)])
            return SAMPLE + 6
        if entry.kind in ("training", "evaluation"):
            plain = colours.QUIET if entry.run < 0 else hue  # the dash of all runs has the hue of none
            dash = DASH if entry.kind == "evaluation" else None
            picture.path([[(x, y), (x + SAMPLE, y)]], colour=plain, thick=2, dash=dash)
            if entry.kind == "evaluation" and entry.run >= 0:
                marker(picture, x + SAMPLE / 2, y, 4, hue, SHAPES[0])
            return SAMPLE + 6
        return 0
