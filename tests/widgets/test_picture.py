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


def test_a_curve_with_gaps_is_one_path_and_a_lone_point_is_no_stroke() -> None:
    picture = Picture(100, 60)
    picture.path([[(0, 0), (10, 5), (20, 0.25)], [(50, 50)], [], [(30, 1), (40, 2)]], colour="#FF0000", thick=2)
    picture.path([[(5, 5)]])
    picture.path([[(0, 9), (90, 9)]], dash=(5, 3))
    first, second = ElementTree.fromstring(picture.to_svg()).iter(f"{SVG}path")
    assert first.get("d") == "M0 0L10 5 20 0.25M30 1L40 2"
    assert (first.get("fill"), first.get("stroke-width"), first.get("stroke-dasharray")) == ("none", "2", None)
    assert second.get("stroke-dasharray") == "5 3"


def test_areas_and_circles_are_filled_or_drawn_round() -> None:
    picture = Picture(100, 60)
    picture.area([(0, 0), (10, 0), (5, 8)], fill="#FF0000", opacity=0.25)
    picture.area([(0, 0), (10, 0)], fill="#FF0000")
    picture.circle(50, 30, 4, fill="#00FF00", stroke="#0000FF", thick=1.5)
    picture.circle(70, 30, 4, stroke="#0000FF")
    root = ElementTree.fromstring(picture.to_svg())
    [area] = root.iter(f"{SVG}path")
    assert (area.get("d"), area.get("fill-opacity")) == ("M0 0L10 0 5 8Z", "0.25")
    filled, empty = root.iter(f"{SVG}circle")
    assert (filled.get("cx"), filled.get("cy"), filled.get("r"), filled.get("stroke-width")) == ("50", "30", "4", "1.5")
    assert filled.get("fill") is None and empty.get("fill") == "none"
    assert len(filled.get("class").split()) == 2


@pytest.mark.parametrize("shape", ["path", "area", "circle"])
def test_shapes_take_nothing_but_colours(shape: str) -> None:
    picture = Picture(20, 20)
    if shape == "path":
        picture.path([[(0, 0), (9, 9)]], colour="red}</style>")
    elif shape == "area":
        picture.area([(0, 0), (9, 9), (0, 9)], fill="red}</style>")
    else:
        picture.circle(5, 5, 3, stroke="red}</style>")
    for draw in (picture.to_svg, picture.to_png):
        with pytest.raises(InputError, match="RRGGBB"):
            draw()


def test_a_png_has_the_curves_areas_and_circles_too() -> None:
    picture = Picture(100, 60, ground="#FFFFFF")
    picture.path([[(10, 10), (40, 10), (40, 40)], [(60, 10), (90, 10)]], colour="#FF0000", thick=4)
    picture.area([(60, 20), (90, 20), (90, 50), (60, 50)], fill="#0000FF", opacity=0.25, stroke="#00FF00", thick=2)
    picture.circle(20, 40, 8, fill="#00FF00", stroke="#000000", thick=2)
    image = Image.open(BytesIO(picture.to_png(2))).convert("RGB")
    at = {
        "curve": (40, 20), "turned": (80, 60), "gap": (100, 20), "area": (150, 70), "edge": (120, 70),
        "beside": (100, 70), "disc": (40, 80), "rim": (40, 64), "outside": (40, 58),
    }  # fmt: skip
    white, red, green = (255, 255, 255), (255, 0, 0), (0, 255, 0)
    found = {name: image.getpixel(place) for name, place in at.items()}
    assert found == {
        "curve": red, "turned": red, "gap": white, "area": (191, 191, 255), "edge": green, "beside": white,
        "disc": green, "rim": (0, 0, 0), "outside": white,
    }  # fmt: skip


def test_an_area_on_no_ground_is_as_faint_as_on_one() -> None:
    picture = Picture(20, 20, ground=None)
    picture.area([(0, 0), (20, 0), (20, 20), (0, 20)], fill="#0000FF", opacity=0.25)
    picture.area([(-9, -9), (-5, -9), (-5, -5)], fill="#0000FF", opacity=0.25)  # outside
    red, green, blue, alpha = Image.open(BytesIO(picture.to_png(1))).getpixel((10, 10))
    assert (red, green, blue) == (0, 0, 255) and alpha == pytest.approx(64, abs=1)


def test_dashes_go_on_round_corners() -> None:
    corner = [(0.0, 0.0), (7.0, 0.0), (7.0, 20.0)]
    strokes = list(picture_png._dashes(corner, (5, 3)))
    assert strokes[0] == [(0, 0), (5, 0)]
    assert strokes[1] == [(7, 1), (7, 6)]  # the gap went 2 to the right and 1 down
    assert strokes[-1] == [(7, 17), (7, 20)]
    assert list(picture_png._dashes(corner[:2], (50, 3))) == [[(0, 0), (7, 0)]]


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
