"""A picture's display list as a PNG file, drawn with Pillow and the fonts that matplotlib brings along."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from biollm_widgets.widgets.colours import Colour, on_page, rgb
from biollm_widgets.widgets.picture import DASH, Area, Circle, Item, Line, Path, Picture, Rectangle, Text

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 40_000_000  # of a PNG: 120 MB while it is drawn


def to_png(picture: Picture, scale: float, dark: bool) -> bytes:
    """See `Picture.to_png`."""
    from PIL import Image

    area = max(1.0, picture.width * picture.height)
    scale = min(scale, math.sqrt(MOST_PIXELS / area))
    # Pillow has no smooth edges: everything is drawn larger, and made small again.
    finer = 2 if area * (2 * scale) ** 2 <= MOST_PIXELS else 1
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    kind, ground = ("RGBA", (0, 0, 0, 0)) if picture.ground is None else ("RGB", rgb(on_page(picture.ground, dark)))
    image = Image.new(kind, (size[0] * finer, size[1] * finer), ground)
    pen = _Pen(image, scale * finer, dark)
    for item in picture.items:
        pen.draw(item)
    if finer > 1:
        image = image.reduce(finer)
    file = BytesIO()
    image.save(file, "PNG", dpi=(96 * scale, 96 * scale))
    return file.getvalue()


class _Pen:
    """Draws items of a picture on an image with Pillow, `zoom` pixels a CSS pixel."""

    def __init__(self, image: Image, zoom: float, dark: bool) -> None:
        from PIL import ImageDraw

        self.image = image
        self.on = ImageDraw.Draw(image)
        self.zoom = zoom
        self.dark = dark

    def draw(self, item: Item) -> None:
        if isinstance(item, Rectangle):
            self.rectangle(item)
        elif isinstance(item, Line):
            self.line((item.x1, item.y1, item.x2, item.y2), item.colour, item.thick, item.dashed)
        elif isinstance(item, Path):
            for piece in item.pieces:
                self.curve(piece, item.colour, item.thick, item.dash)
        elif isinstance(item, Area):
            self.area(item)
        elif isinstance(item, Circle):
            self.circle(item)
        else:
            self.text(item)

    def colour(self, colour: Colour) -> tuple[int, int, int]:
        return rgb(on_page(colour, self.dark))

    def rectangle(self, item: Rectangle) -> None:
        zoom = self.zoom
        # SVG strokes lie half inside and half outside of the edge, Pillow's inside.
        out = item.thick / 2 if item.stroke is not None and not item.dashed else 0
        box = [
            round((item.x - out) * zoom),
            round((item.y - out) * zoom),
            round((item.x + item.width + out) * zoom) - 1,
            round((item.y + item.height + out) * zoom) - 1,
        ]
        box[2], box[3] = max(box[0], box[2]), max(box[1], box[3])
        solid = item.stroke is not None and not item.dashed
        if item.fill is not None or solid:
            self.on.rounded_rectangle(
                box,
                radius=(item.radius + out) * zoom if item.radius else 0,
                fill=None if item.fill is None else self.colour(item.fill),
                outline=self.colour(item.stroke) if solid and item.stroke is not None else None,
                width=max(1, round(item.thick * zoom)) if solid else 0,
                corners=(item.round_left, item.round_right, item.round_right, item.round_left),
            )
        if item.hatch is not None:
            for ends in item.hatching():
                self.line(ends, item.hatch, 1, False)
        if item.stroke is not None and item.dashed:
            left, top, right, bottom = item.x, item.y, item.x + item.width, item.y + item.height
            r = item.radius / 3  # dashes cut the corners
            for ends in (
                (left + r, top, right - r, top),
                (left + r, bottom, right - r, bottom),
                (left, top + r, left, bottom - r),
                (right, top + r, right, bottom - r),
            ):
                self.line(ends, item.stroke, item.thick, True)

    def line(self, ends: tuple[float, float, float, float], colour: Colour, thick: float, dashed: bool) -> None:
        x1, y1, x2, y2 = ends
        length = math.hypot(x2 - x1, y2 - y1)
        if not length:
            return
        ink, width = self.colour(colour), max(1, round(thick * self.zoom))
        pieces = [(0.0, length)]
        if dashed:
            period = sum(DASH)
            pieces = [(k * period, min(k * period + DASH[0], length)) for k in range(math.ceil(length / period))]
        for start, end in pieces:
            at = [
                ((x1 + (x2 - x1) * t / length) * self.zoom, (y1 + (y2 - y1) * t / length) * self.zoom)
                for t in (start, end)
            ]
            self.on.line(at, fill=ink, width=width)

    def curve(
        self, points: Sequence[tuple[float, float]], colour: Colour, thick: float, dash: tuple[float, float] | None
    ) -> None:
        ink, width = self.colour(colour), max(1, round(thick * self.zoom))
        for piece in [points] if dash is None else _dashes(points, dash):
            self.on.line([(x * self.zoom, y * self.zoom) for x, y in piece], fill=ink, width=width, joint="curve")

    def area(self, item: Area) -> None:
        corners = [(x * self.zoom, y * self.zoom) for x, y in item.points]
        if item.fill is not None and item.opacity < 1:
            self.veil(corners, self.colour(item.fill), item.opacity)
        elif item.fill is not None:
            self.on.polygon(corners, fill=self.colour(item.fill))
        if item.stroke is not None:
            # From the middle of a side round to it, so that every corner is a joint.
            (x1, y1), (x2, y2) = item.points[:2]
            middle = ((x1 + x2) / 2, (y1 + y2) / 2)
            self.curve([middle, *item.points[1:], item.points[0], middle], item.stroke, item.thick, None)

    def veil(self, corners: Sequence[tuple[float, float]], ink: tuple[int, int, int], opacity: float) -> None:
        """Fill a polygon so that what lies under it is seen through it."""
        from PIL import Image, ImageDraw

        left = max(0, math.floor(min(x for x, _ in corners)))
        top = max(0, math.floor(min(y for _, y in corners)))
        right = min(self.image.width, math.ceil(max(x for x, _ in corners)) + 1)
        bottom = min(self.image.height, math.ceil(max(y for _, y in corners)) + 1)
        if right <= left or bottom <= top:
            return
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in corners], fill=round(255 * opacity))
        if self.image.mode == "RGBA":
            layer = Image.new("RGBA", mask.size, (*ink, 0))
            layer.putalpha(mask)
            self.image.alpha_composite(layer, (left, top))
        else:
            self.image.paste(ink, (left, top, right, bottom), mask)

    def circle(self, item: Circle) -> None:
        out = item.thick / 2 if item.stroke is not None else 0  # as with rectangles
        reach = (item.radius + out) * self.zoom
        x, y = item.x * self.zoom, item.y * self.zoom
        self.on.ellipse(
            (x - reach, y - reach, x + reach, y + reach),
            fill=None if item.fill is None else self.colour(item.fill),
            outline=None if item.stroke is None else self.colour(item.stroke),
            width=0 if item.stroke is None else max(1, round(item.thick * self.zoom)),
        )

    def text(self, item: Text) -> None:
        font = font_for(item.code, item.weight >= 600, round(item.size * self.zoom))
        ink, words = self.colour(item.colour), item.words
        if item.xs:
            for x, letter in zip(item.xs, words, strict=False):
                self.on.text((x * self.zoom, item.y * self.zoom), letter, fill=ink, font=font, anchor="ms")
            return
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[item.anchor]
        words = words.replace("\n", " ")
        self.on.text((item.x * self.zoom, item.y * self.zoom), words, fill=ink, font=font, anchor=anchor)


def _dashes(points: Sequence[tuple[float, float]], dash: tuple[float, float]) -> Iterator[list[tuple[float, float]]]:
    """The strokes of a dashed curve: the pattern goes on round corners, as it does in SVG."""
    left, drawing = dash[0], True  # what is left of this stroke or gap
    stroke = [points[0]]
    for (x1, y1), (x2, y2) in pairwise(points):
        length = math.hypot(x2 - x1, y2 - y1)
        at = 0.0
        while length - at > left:
            at += left
            place = (x1 + (x2 - x1) * at / length, y1 + (y2 - y1) * at / length)
            if drawing:
                yield [*stroke, place]
            drawing = not drawing
            stroke, left = [place], dash[0] if drawing else dash[1]
        left -= length - at
        if drawing:
            stroke.append((x2, y2))
    if drawing and len(stroke) > 1:
        yield stroke


@lru_cache(maxsize=32)
def font_for(code: bool, bold: bool, size: int) -> Any:
    """DejaVu Sans or DejaVu Sans Mono, which matplotlib brings along; found without loading matplotlib."""
    from PIL import ImageFont

    spec = find_spec("matplotlib")
    name = f"DejaVuSans{'Mono' if code else ''}{'-Bold' if bold else ''}.ttf"
    if spec is not None and spec.origin is not None:
        file = pathlib.Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name
        if file.is_file():
            return ImageFont.truetype(str(file), size)
    return ImageFont.load_default(size)
