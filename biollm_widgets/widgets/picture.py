"""A picture as a list of shapes and texts, which `picture_svg` and `picture_png` draw alike.

Lengths are CSS pixels, y grows downwards. A colour is one `#RRGGBB` or a `Shade`: the SVG then follows the page it
stands on, light or dark. What a text says is never markup, and nothing refers to anything outside.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Union

from biollm_widgets.widgets.colours import SURFACE, TEXT, Colour

DASH = (3.0, 2.0)  # a stroke and a gap
HATCH = 5.0  # from one line of a hatch to the next


@dataclass(frozen=True)
class Rectangle:
    """See `Picture.rectangle`."""

    x: float
    y: float
    width: float
    height: float
    fill: Optional[Colour]
    stroke: Optional[Colour]
    thick: float
    dashed: bool
    hatch: Optional[Colour]
    radius: float
    round_left: bool
    round_right: bool

    def hatching(self) -> list[tuple[float, float, float, float]]:
        """The diagonal lines of the hatch, each `x1, y1, x2, y2`, rising to the right and cut at the edges.

        They lie on one grid over the whole picture, so that hatches side by side go on through each other.
        """
        left, top, right, bottom = self.x, self.y, self.x + self.width, self.y + self.height
        lines = []
        for step in range(math.floor((left + top) / HATCH) + 1, math.ceil((right + bottom) / HATCH)):
            total = step * HATCH  # x + y is the same all along a line
            low = max(left, total - bottom)
            high = min(right, total - top)
            if high > low:
                lines.append((low, total - low, high, total - high))
        return lines


@dataclass(frozen=True)
class Line:
    """See `Picture.line`."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: Colour
    thick: float
    dashed: bool


@dataclass(frozen=True)
class Text:
    """See `Picture.text` and `Picture.letters`; with `xs` each character stands centred on a place of its own."""

    x: float
    y: float
    words: str
    colour: Colour
    size: float
    weight: int
    code: bool
    anchor: str
    xs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Path:
    """See `Picture.path`."""

    pieces: tuple[tuple[tuple[float, float], ...], ...]
    colour: Colour
    thick: float
    dash: Optional[tuple[float, float]]


@dataclass(frozen=True)
class Area:
    """See `Picture.area`."""

    points: tuple[tuple[float, float], ...]
    fill: Optional[Colour]
    opacity: float
    stroke: Optional[Colour]
    thick: float


@dataclass(frozen=True)
class Circle:
    """See `Picture.circle`."""

    x: float
    y: float
    radius: float
    fill: Optional[Colour]
    stroke: Optional[Colour]
    thick: float


Item = Union[Rectangle, Line, Path, Area, Circle, Text]


class Picture:
    """A display list: what is added later lies on top.

    Parameters
    ----------
    width, height : float
        CSS pixels.
    title, description : str
        What a screen reader says: the finding, and what is drawn.
    ground : Colour, optional
        The background. None leaves it to the page, whose colours then have to be known.
    """

    def __init__(
        self,
        width: float,
        height: float,
        title: str = "",
        description: str = "",
        ground: Optional[Colour] = SURFACE,
    ) -> None:
        self.width = width
        self.height = height
        self.title = title
        self.description = description
        self.ground = ground
        self.items: list[Item] = []

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: Optional[Colour] = None,
        stroke: Optional[Colour] = None,
        thick: float = 1,
        dashed: bool = False,
        hatch: Optional[Colour] = None,
        radius: float = 0,
        round_left: bool = True,
        round_right: bool = True,
    ) -> None:
        """A rectangle; `radius` rounds the corners, of one side only where `round_left` or `round_right` is off.

        The outline lies over the hatch, and the hatch over the fill.
        """
        radius = min(radius, width / 2, height / 2)
        inks: list[tuple[Optional[Colour], Optional[Colour], Optional[Colour]]] = [(fill, stroke, hatch)]
        if hatch is not None and stroke is not None:
            inks = [(fill, None, hatch), (None, stroke, None)]
        for filled, stroked, hatched in inks:
            self.items.append(
                Rectangle(x, y, width, height, filled, stroked, thick, dashed, hatched, radius, round_left, round_right)
            )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, *, colour: Colour = TEXT, thick: float = 1,
        dashed: bool = False,
    ) -> None:  # fmt: skip
        """A straight line."""
        self.items.append(Line(x1, y1, x2, y2, colour, thick, dashed))

    def path(
        self,
        pieces: Sequence[Sequence[tuple[float, float]]],
        *,
        colour: Colour = TEXT,
        thick: float = 1,
        dash: Optional[tuple[float, float]] = None,
    ) -> None:
        """A curve of straight strokes through the points `(x, y)` of each piece; pieces are not joined to each other.

        `dash` is the length of a stroke and of a gap. A piece of fewer than two points has no stroke and is left out.
        """
        kept = tuple(tuple(piece) for piece in pieces if len(piece) > 1)
        if kept:
            self.items.append(Path(kept, colour, thick, dash))

    def area(
        self,
        points: Sequence[tuple[float, float]],
        *,
        fill: Optional[Colour] = None,
        opacity: float = 1,
        stroke: Optional[Colour] = None,
        thick: float = 1,
    ) -> None:
        """A polygon with corners at `points`, of which fewer than three draw nothing; `opacity` is that of the fill."""
        if len(points) > 2:
            self.items.append(Area(tuple(points), fill, opacity, stroke, thick))

    def circle(
        self,
        x: float,
        y: float,
        radius: float,
        *,
        fill: Optional[Colour] = None,
        stroke: Optional[Colour] = None,
        thick: float = 1,
    ) -> None:
        """A circle round `x, y`; the outline lies half inside and half outside of `radius`."""
        self.items.append(Circle(x, y, radius, fill, stroke, thick))

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        colour: Colour = TEXT,
        size: float = 13,
        weight: int = 400,
        code: bool = False,
        anchor: str = "start",
    ) -> None:
        """Words on one line. `x, y` is the start, the middle or the end (`anchor`) of the baseline."""
        self.items.append(Text(x, y, words, colour, size, weight, code, anchor))

    def letters(
        self,
        xs: list[float],
        y: float,
        letters: str,
        *,
        colour: Colour = TEXT,
        size: float = 13,
        weight: int = 400,
    ) -> None:
        """Letters of a sequence in the code font, each centred on its own x, whatever the font's widths are."""
        self.items.append(Text(xs[0] if xs else 0, y, letters, colour, size, weight, True, "middle", tuple(xs)))

    def to_svg(self, dark: Optional[bool] = None) -> str:
        """The picture as an SVG document.

        Parameters
        ----------
        dark : bool, optional
            Draw it for a dark or a light page; where not given it follows the page (`prefers-color-scheme`).
        """
        from biollm_widgets.widgets.picture_svg import Svg

        return Svg(self, dark).document()

    def to_data_uri(self, dark: Optional[bool] = None) -> str:
        """The SVG for `<img src=...>`."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.to_svg(dark).encode("utf-8")).decode("ascii")

    def to_png(self, scale: float = 2, dark: bool = False) -> bytes:
        """The picture as a PNG file, with `scale` pixels a CSS pixel.

        Above 40 million pixels the scale is lowered, so that a very long picture still fits into memory.
        """
        from biollm_widgets.widgets.picture_png import to_png

        return to_png(self, scale, dark)
