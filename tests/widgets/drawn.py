"""What is drawn in a picture: its words, and whether all of it is in its place."""

from __future__ import annotations

import math
from itertools import combinations

from biollm_widgets.widgets.axes import wide
from biollm_widgets.widgets.picture import Area, Circle, Line, Path, Picture, Rectangle, Text


def texts(picture: Picture) -> list[Text]:
    return [item for item in picture.items if isinstance(item, Text)]


def words(picture: Picture) -> list[str]:
    return [item.words for item in texts(picture)]


def box(item: Text) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of words, as wide as fonts make them at most."""
    across = wide(item.words, item.size, item.weight >= 600) * 0.92
    left = {"start": item.x, "middle": item.x - across / 2, "end": item.x - across}[item.anchor]
    return left, item.y - item.size * 0.74, left + across, item.y + item.size * 0.2


def sound(picture: Picture) -> None:
    """All is inside the picture, finite, and no words lie over others."""
    for item in picture.items:
        places: list[tuple[float, float]] = []
        if isinstance(item, (Rectangle,)):
            places = [(item.x, item.y), (item.x + item.width, item.y + item.height)]
            assert item.width >= 0 and item.height >= 0
        elif isinstance(item, Line):
            places = [(item.x1, item.y1), (item.x2, item.y2)]
        elif isinstance(item, Path):
            places = [place for piece in item.pieces for place in piece]
        elif isinstance(item, Area):
            places = list(item.points)
        elif isinstance(item, Circle):
            places = [(item.x - item.radius, item.y - item.radius), (item.x + item.radius, item.y + item.radius)]
        elif isinstance(item, Text):
            left, top, right, bottom = box(item)
            places = [(left, top), (right, bottom)]
            assert item.size in (11, 13, 16)
        for x, y in places:
            assert math.isfinite(x) and 0 <= x <= picture.width, item
            assert math.isfinite(y) and 0 <= y <= picture.height, item
    for one, other in combinations(texts(picture), 2):
        a, b = box(one), box(other)
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (one.words, other.words)
