"""One display list, two pictures of it: the SVG carries nothing but words and shapes, the PNG shows the same."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from PIL import Image

from biollm_widgets.errors import InputError
from biollm_widgets.widgets import picture_png
from biollm_widgets.widgets.colours import Shade, rgb
from biollm_widgets.widgets.picture import Picture

HOSTILE = "</style></title><script>alert(1)</script>\"'&\x00\x1b\ud800]]>"
SVG = "{http://www.w3.org/2000/svg}"


def drawn() -> Picture:
    picture = Picture(100, 60, "A title", "A description", ground=Shade("#FFFFFF", "#111111"))
    picture.rectangle(10, 10, 30, 20, fill="#FF0000", radius=3)
    picture.rectangle(50, 10, 30, 20, stroke="#0000FF", hatch="#00FF00", radius=3, round_right=False)
    picture.line(10, 50, 90, 50, colour=Shade("#000000", "#FFFFFF"), thick=2, dashed=True)
    picture.letters([15, 25, 35], 25, "ACG")
    picture.text(90, 45, "59 bases", anchor="end")
    return picture


def test_what_people_write_stays_words() -> None:
    picture = Picture(50, 50, HOSTILE, HOSTILE)
    picture.text(1, 1, HOSTILE)
    picture.letters([float(i) for i in range(len(HOSTILE))], 1, HOSTILE)
    root = ElementTree.fromstring(picture.to_svg().encode("utf-8"))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "desc", "style", "rect", "text",
    }  # fmt: skip
    safe = HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").replace("\ud800", "\ufffd")
    assert [element.text for element in root.iter(f"{SVG}text")] == [safe, safe]
    assert picture.to_png(1)


def test_an_svg_refers_to_nothing_outside_and_runs_nothing() -> None:
    svg = drawn().to_svg()
    assert not re.search(r"<script|foreignObject|href|url\(|@import|\bon\w+=|\bid=", svg)
    assert svg.count("http") == 1  # the name of the format
    root = ElementTree.fromstring(svg)
    assert root.find(f"{SVG}title").text == "A title"
    assert root.find(f"{SVG}desc").text == "A description"


def test_a_colour_that_is_none_is_refused() -> None:
    picture = Picture(10, 10)
    picture.rectangle(0, 0, 5, 5, fill="red}</style>")
    with pytest.raises(InputError, match="RRGGBB"):
        picture.to_svg()
    with pytest.raises(InputError, match="RRGGBB"):
        picture.to_png()


def test_an_svg_follows_the_page_or_is_light_or_dark() -> None:
    picture = drawn()
    assert "prefers-color-scheme:dark" in picture.to_svg()
    assert "prefers-color-scheme" not in picture.to_svg(dark=True)
    assert "#111111" not in picture.to_svg(dark=False)
    assert "#FFFFFF" in picture.to_svg(dark=False)
    assert picture.to_svg(dark=True).count("#111111") == 1
    start, _, data = picture.to_data_uri().partition(",")
    assert start == "data:image/svg+xml;base64"
    assert base64.b64decode(data).decode() == picture.to_svg()


def test_each_letter_of_a_sequence_has_a_place_of_its_own() -> None:
    root = ElementTree.fromstring(drawn().to_svg())
    first = next(root.iter(f"{SVG}text"))
    assert first.text == "ACG"
    assert first.get("x") == "15 25 35"


@pytest.mark.parametrize("dark", [False, True])
def test_a_png_shows_the_same_shapes(dark: bool) -> None:
    image = Image.open(BytesIO(drawn().to_png(2, dark))).convert("RGB")
    assert image.size == (200, 120)
    at = {name: image.getpixel(place) for name, place in {"ground": (4, 4), "filled": (24, 24)}.items()}
    assert at["ground"] == rgb("#111111" if dark else "#FFFFFF")
    assert at["filled"] == (255, 0, 0)
    edge = image.getpixel((130, 20))
    assert edge[2] > max(edge[:2]) + 100  # the blue outline
    inside = image.crop((110, 26, 154, 54)).getcolors(9999)
    assert any(green > red + 100 and green > blue + 100 for _, (red, green, blue) in inside)  # the green hatch
    dashes = [image.getpixel((x, 100))[0] > 127 for x in range(20, 180)]
    assert sum(a != b for a, b in pairwise(dashes)) > 20
    letters = image.crop((24, 30, 76, 52)).getcolors(9999)
    assert any(max(colour) < 60 for _, colour in letters) or dark  # ink on the red piece


def test_hatches_stay_inside_their_rectangle() -> None:
    picture = Picture(100, 100)
    picture.rectangle(7.5, 3.25, 41, 11, hatch="#000000")
    lines = picture.items[0].hatching()
    assert len(lines) == 10
    for x1, y1, x2, y2 in lines:
        assert 7.5 <= x1 < x2 <= 48.5
        assert 3.25 <= y2 < y1 <= 14.25
        assert x1 + y1 == pytest.approx(x2 + y2)


def test_a_very_long_picture_is_made_smaller_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_png, "MOST_PIXELS", 400_000)
    image = Image.open(BytesIO(Picture(100, 60_000).to_png(4)))
    assert image.width * image.height == pytest.approx(400_000, rel=0.05)


def test_a_picture_loads_neither_matplotlib_nor_pillow_before_it_is_asked_for_a_png() -> None:
    code = """
import sys
from biollm_widgets.widgets.picture import Picture
picture = Picture(9, 9)
picture.text(1, 8, "A")
picture.to_svg()
print("PIL" in sys.modules, "matplotlib" in sys.modules)
picture.to_png()
from biollm_widgets.widgets.picture_png import font_for
print("matplotlib" in sys.modules, font_for(True, True, 9).getname())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False", "False ('DejaVu Sans Mono', 'Bold')"]
