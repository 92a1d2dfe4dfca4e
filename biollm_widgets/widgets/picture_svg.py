"""A picture's display list as an SVG document: hand-written, compact, referring to nothing outside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Optional, Union

from biollm_widgets.widgets.colours import Colour, on_page, rgb
from biollm_widgets.widgets.picture import DASH, Area, Circle, Item, Line, Path, Picture, Rectangle, Text

# JupyterLab's own stacks, without its variables: a picture in an <img> does not see the page's.
UI_FONT = 'system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif'
CODE_FONT = 'Menlo,Consolas,"DejaVu Sans Mono",ui-monospace,monospace'
# Characters that XML 1.0 has no way to write (https://www.w3.org/TR/xml/#charsets).
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Svg:
    """One SVG document: colours become classes, so that each is written once, with its dark twin beside it."""

    def __init__(self, picture: Picture, dark: Optional[bool]) -> None:
        self.picture = picture
        self.dark = dark
        self.classes: dict[tuple[str, Colour], str] = {}

    def document(self) -> str:
        picture = self.picture
        width, height = _number(picture.width), _number(picture.height)
        body = []
        if picture.ground is not None:
            body.append(f'<rect class="{self.named("fill", picture.ground)}" width="{width}" height="{height}"/>')
        body += [self.drawn(item) for item in picture.items]
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        head += f'viewBox="0 0 {width} {height}" role="img">'
        words = f"<title>{_escaped(picture.title)}</title><desc>{_escaped(picture.description)}</desc>"
        return f"{head}{words}<style>{self.style()}</style>{''.join(body)}</svg>"

    def style(self) -> str:
        rules = f"text{{font-family:{UI_FONT}}}.code{{font-family:{CODE_FONT};text-anchor:middle}}"
        rules += "".join(self.rule(name, kind, on_page(c, bool(self.dark))) for (kind, c), name in self.classes.items())
        if self.dark is None:
            dark = "".join(
                self.rule(name, kind, colour.dark)
                for (kind, colour), name in self.classes.items()
                if not isinstance(colour, str) and colour.dark != colour.light
            )
            rules += f"@media (prefers-color-scheme:dark){{{dark}}}"
        return rules

    def rule(self, name: str, kind: str, colour: str) -> str:
        rgb(colour)  # refuses what is no colour, and so could be anything
        return f".{name}{{{kind}:{colour}}}"

    def named(self, kind: str, colour: Colour) -> str:
        return self.classes.setdefault((kind, colour), f"{kind[0]}{len(self.classes)}")

    def drawn(self, item: Item) -> str:
        if isinstance(item, Rectangle):
            return self.rectangle(item)
        if isinstance(item, Line):
            stroke = self.stroke(item.colour, item.thick, item.dashed)
            return f'<path{stroke} d="M{_number(item.x1)} {_number(item.y1)}L{_number(item.x2)} {_number(item.y2)}"/>'
        if isinstance(item, Path):
            return self.path(item)
        if isinstance(item, Area):
            faint = f' fill-opacity="{_number(item.opacity)}"' if item.opacity < 1 else ""
            return f'<path{self.ink(item)}{faint} d="{_through(item.points)}Z"/>'
        if isinstance(item, Circle):
            place = f'cx="{_number(item.x)}" cy="{_number(item.y)}" r="{_number(item.radius)}"'
            return f"<circle{self.ink(item)} {place}/>"
        return self.text(item)

    def path(self, item: Path) -> str:
        # One element for all pieces: a curve with gaps stays as small as one without.
        dash = f' stroke-dasharray="{" ".join(map(_number, item.dash))}"' if item.dash else ""
        look = f'{self.stroke(item.colour, item.thick, False)}{dash} fill="none" stroke-linejoin="round"'
        return f'<path{look} d="{"".join(map(_through, item.pieces))}"/>'

    def ink(self, item: Union[Area, Circle]) -> str:
        """Fill and outline of a shape."""
        if item.stroke is not None:
            return self.stroke(item.stroke, item.thick, False, item.fill) + (' fill="none"' if not item.fill else "")
        return f' class="{self.named("fill", item.fill)}"' if item.fill is not None else ' fill="none"'

    def rectangle(self, item: Rectangle) -> str:
        filled = f' class="{self.named("fill", item.fill)}"' if item.fill is not None else ' fill="none"'
        stroked = ""
        if item.stroke is not None:
            stroked = self.stroke(item.stroke, item.thick, item.dashed, item.fill)
            filled = "" if item.fill is not None else ' fill="none"'
        if item.radius and not (item.round_left and item.round_right):
            place = f'd="{_outline(item)}"'
            found = f"<path{filled}{stroked} {place}/>"
        else:
            place = f'x="{_number(item.x)}" y="{_number(item.y)}" '
            place += f'width="{_number(item.width)}" height="{_number(item.height)}"'
            place += f' rx="{_number(item.radius)}"' if item.radius else ""
            found = f"<rect{filled}{stroked} {place}/>" if item.fill or item.stroke else ""
        if item.hatch is not None:
            lines = "".join(
                f"M{_number(a)} {_number(b)}L{_number(c)} {_number(d)}" for a, b, c, d in item.hatching()
            )  # fmt: skip
            found += f'<path{self.stroke(item.hatch, 1, False)} d="{lines}"/>'
        return found

    def stroke(self, colour: Colour, thick: float, dashed: bool, fill: Optional[Colour] = None) -> str:
        names = self.named("stroke", colour) + (f" {self.named('fill', fill)}" if fill is not None else "")
        found = f' class="{names}"'
        if thick != 1:
            found += f' stroke-width="{_number(thick)}"'
        if dashed:
            found += f' stroke-dasharray="{" ".join(map(_number, DASH))}"'
        return found

    def text(self, item: Text) -> str:
        names = self.named("fill", item.colour) + (" code" if item.code else "")
        words = _escaped(item.words)
        places = " ".join(map(_number, item.xs)) if item.xs else _number(item.x)
        found = f'<text class="{names}" x="{places}" y="{_number(item.y)}" font-size="{_number(item.size)}"'
        if item.weight != 400:
            found += f' font-weight="{item.weight}"'
        if item.code and item.anchor != "middle":
            found += f' style="text-anchor:{item.anchor}"'
        elif not item.code and item.anchor != "start":
            found += f' text-anchor="{item.anchor}"'
        return f"{found}>{words}</text>"


def _outline(item: Rectangle) -> str:
    """A path round a rectangle of which only one side has round corners."""
    n, r = _number, item.radius
    left, top, right, bottom = item.x, item.y, item.x + item.width, item.y + item.height
    near, far = (r if item.round_left else 0), (r if item.round_right else 0)
    path = f"M{n(left + near)} {n(top)}H{n(right - far)}"
    path += f"a{n(r)} {n(r)} 0 0 1 {n(r)} {n(r)}V{n(bottom - r)}a{n(r)} {n(r)} 0 0 1 {n(-r)} {n(r)}" if far else ""
    path += f"V{n(bottom)}" if not far else ""
    path += f"H{n(left + near)}"
    path += f"a{n(r)} {n(r)} 0 0 1 {n(-r)} {n(-r)}V{n(top + r)}a{n(r)} {n(r)} 0 0 1 {n(r)} {n(-r)}" if near else ""
    return f"{path}Z"


def _through(points: Sequence[tuple[float, float]]) -> str:
    """A stroke from point to point; after the first `L` each pair goes on."""
    (x, y), *rest = points
    return f"M{_number(x)} {_number(y)}L" + " ".join(f"{_number(x)} {_number(y)}" for x, y in rest)


def _number(value: float) -> str:
    """At most two decimals, no trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def _escaped(words: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", str(words)))
