"""The picture of a generation shows each residue's share beside nature's, and each design where it belongs."""

from __future__ import annotations

from typing import Any, Optional
from xml.etree import ElementTree

import pytest

from biollm_widgets.sequences import AMINO_ACIDS
from biollm_widgets.widgets import colours
from biollm_widgets.widgets.colours import Shade, contrast
from biollm_widgets.widgets.picture import Circle, Line, Picture, Rectangle, Text
from biollm_widgets.widgets.protein_picture import DESIGNS, describe, draw_proteins
from tests.widgets.drawn import sound, texts, words

NATURE = [0.0825 if letter == "A" else 0.9175 / 19 for letter in AMINO_ACIDS]


def a_row(index: int, perplexity: Optional[float], residues: int, finished: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "index": index, "name": f"design_{index + 1}", "perplexity": perplexity, "residues": residues,
        "finished": finished, "flags": "", "why": "", "deceives": False, **more,
    }  # fmt: skip


REPEATS = {"deceives": True, "why": "Low perplexity, but it repeats itself: residues 4 to 80 are all A."}
ROWS = [a_row(2, 8.5, 80, **REPEATS), a_row(0, 41.2, 254, False), a_row(1, 97.0, 120)]


def a_shot(rows: Any = ROWS, **made: Any) -> dict[str, Any]:
    shares = [0.3 if letter == "A" else 0.7 / 19 for letter in AMINO_ACIDS]
    everything = {
        "shares": shares, "errors": [0.01] * 20, "n_residues": 454, "n_sequences": 3,
        "words": "Of 454 residues in 3 sequences, more A (30.0 % instead of 8.3 %); 0.080 bits from the background.",
    }  # fmt: skip
    return {
        "title": "3 proteins, one cut off", "phase": "done", "table": {"rows": rows},
        "composition": {"letters": AMINO_ACIDS, "background": NATURE, "all": {**everything, **made}},
    }  # fmt: skip


def bars(picture: Picture, filled: bool) -> list[Rectangle]:
    """The bars of the chart, from left to right; the sample in the legend is 9 high."""
    found = [item for item in picture.items if isinstance(item, Rectangle) and item.height != 9]
    if filled:
        return [item for item in found if item.fill == DESIGNS]
    return [item for item in found if item.hatch is not None]


def marks(picture: Picture) -> list[tuple[float, float, str]]:
    """Marks of designs, those of the legend included."""
    kinds = {4.0: "ended", 3.5: "cut off", 7.0: "ring", 5.0: "ring of the legend"}
    circles = [item for item in picture.items if isinstance(item, Circle)]
    return [(circle.x, circle.y, kinds[circle.radius]) for circle in circles]


@pytest.mark.parametrize("width", [100, 280, 400, 760, 1200])
@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        ROWS[:1],
        [a_row(i, 40 + 7 * i % 90, 100 + 13 * i % 170, bool(i % 3)) for i in range(24)],
        [a_row(i, 40 + 7 * i % 90, 100, bool(i % 3)) for i in range(200)],
        [a_row(i, 50.0, 100) for i in range(5)],
        [a_row(0, None, 30), a_row(1, 20.0, 30)],
        [a_row(0, None, 30)],
        [a_row(0, 12.0, 0), a_row(1, 1e9, 4000)],
    ],
)  # fmt: skip
def test_everything_is_in_its_place_at_any_width(rows: list[dict[str, Any]], width: int) -> None:
    sound(draw_proteins(a_shot(rows), width))


def test_each_residue_has_a_bar_of_its_share_beside_the_backgrounds() -> None:
    picture = draw_proteins(a_shot())
    ours, nature = bars(picture, True), bars(picture, False)
    assert len(ours) == len(nature) == 20
    assert all(a.x < b.x and a.x + a.width == pytest.approx(b.x) for a, b in zip(ours, nature, strict=True))
    # All stand on one line, and are as high as their shares are large.
    bottom = ours[0].y + ours[0].height
    assert all(bar.y + bar.height == pytest.approx(bottom, abs=0.1) for bar in (*ours, *nature))
    scale = ours[0].height / 0.3
    assert ours[1].height / scale == pytest.approx(0.7 / 19, abs=0.001)
    assert nature[0].height / scale == pytest.approx(0.0825, abs=0.001)
    letters = [item for item in texts(picture) if item.code]
    assert "".join(item.words for item in letters) == AMINO_ACIDS
    for letter, bar in zip(letters, ours, strict=True):
        assert bar.x <= letter.x <= bar.x + 2 * bar.width
    # The tick's number is the share that is drawn there.
    tick = next(item for item in texts(picture) if item.words == "10")
    assert (bottom - (tick.y - 4)) / scale == pytest.approx(0.10, abs=0.002)
    assert "30 %" in words(picture)


def test_errors_reach_two_standard_errors_to_each_side_and_none_below_nothing() -> None:
    picture = draw_proteins(a_shot(errors=[0.01] + [0.05] * 19))
    ours = bars(picture, True)
    scale, bottom = ours[0].height / 0.3, ours[0].y + ours[0].height
    whiskers = [i for i in picture.items if isinstance(i, Line) and i.x1 == i.x2 and i.colour == colours.TEXT][1:]
    assert len(whiskers) == 20
    for whisker, bar, error in zip(whiskers, ours, [0.01] + [0.05] * 19, strict=True):
        share = bar.height / scale
        ends = sorted([(bottom - whisker.y1) / scale, (bottom - whisker.y2) / scale])
        assert ends == pytest.approx([max(0.0, share - 2 * error), share + 2 * error], abs=0.003)
        assert bar.x < whisker.x1 < bar.x + bar.width
    assert "± 2 standard errors" in words(picture)


def test_n_is_given_and_what_stands_out_is_said() -> None:
    said = words(draw_proteins(a_shot(), 1200))
    assert "Composition of 454 residues in 3 proteins" in said
    assert any("more A (30.0\u00a0% instead of 8.3\u00a0%)" in line for line in said)
    one = words(draw_proteins(a_shot(ROWS[:1], n_sequences=1), 1200))
    assert "Composition of 454 residues in 1 protein" in one and "this protein" in one


def test_each_design_lies_at_its_length_and_perplexity_and_its_mark_tells_how_it_is() -> None:
    picture = draw_proteins(a_shot())
    found = [mark for mark in marks(picture) if mark[2] != "ring of the legend"]
    drawn = found[-4:]  # after those of the legend: 3, 3's ring, 1, 2
    assert [kind for _, _, kind in drawn] == ["ended", "ring", "cut off", "ended"]
    three, ring, one, two = drawn
    assert three[:2] == ring[:2]
    assert three[0] < two[0] < one[0]  # 80, 120, 254 residues
    assert two[1] < one[1] < three[1]  # 97, 41.2, 8.5: what surprises less lies lower
    assert (two[0] - three[0]) / (one[0] - three[0]) == pytest.approx((120 - 80) / (254 - 80), abs=0.01)
    assert {"ended", "cut off", "low perplexity, but look at why", "residues"} <= set(words(picture))
    numbers = {item.words: item for item in texts(picture) if item.words in ("1", "2", "3")}
    for name, (x, y, _) in (("3", three), ("1", one), ("2", two)):
        assert abs(numbers[name].x - x) < 20 and abs(numbers[name].y - y) < 20
    plain = words(draw_proteins(a_shot([ROWS[2]])))
    assert "cut off" not in plain and "low perplexity, but look at why" not in plain


def test_a_number_keeps_inside_the_chart() -> None:
    picture = draw_proteins(a_shot([a_row(0, 8.0, 80), a_row(1233, 97.0, 254)]))
    place = {item.words: item for item in texts(picture)}
    *_, (first, _, _), (last, _, _) = marks(picture)
    assert place["1"].x > first and place["1234"].x < last  # there is no room for it at the right edge


def test_of_many_designs_none_has_a_number() -> None:
    rows = [a_row(i, 50.0 + i, 100 + i) for i in range(25)]
    few, many = (words(draw_proteins(a_shot(rows[:count]), 1200)) for count in (24, 25))
    assert "24" in few and any("with its number" in line for line in few)
    assert "25" not in many and not any("with its number" in line for line in many)


def test_what_has_no_perplexity_is_counted() -> None:
    said = " ".join(words(draw_proteins(a_shot([*ROWS, a_row(3, None, 50)]), 1200)))
    assert "1 without a perplexity is left out" in said


@pytest.mark.parametrize(
    ("phase", "sentence"),
    [
        ("idle", "No proteins have been made yet. Start with await panel.generate()"),
        ("growing", "Proteins are growing; what they are made of is drawn when they have ended."),
        ("failed", "This ended before anything was written."),
    ],
)
def test_where_there_is_nothing_to_draw_it_says_what_to_do(phase: str, sentence: str) -> None:
    shot = {"title": "No proteins yet", "phase": phase, "table": {"rows": []}, "composition": None}
    picture = draw_proteins(shot)
    sound(picture)
    assert " ".join(words(picture)) == sentence == describe(shot)


def test_a_shot_without_composition_has_the_designs_alone() -> None:
    for made in ({"n_residues": 0, "shares": [None] * 20, "errors": [None] * 20}, {}):
        shot = a_shot(**made) if made else {**a_shot(), "composition": None}
        picture = draw_proteins(shot)
        sound(picture)
        assert not bars(picture, True) and "Perplexity by length" in words(picture)


def test_the_picture_is_told_in_words() -> None:
    assert describe(a_shot()) == (
        "3 proteins, 80 to 254 residues long, perplexity 8.5 to 97.0; 2 ended, 1 cut off. "
        "design_3: Low perplexity, but it repeats itself: residues 4 to 80 are all A. "
        "Of 454 residues in 3 sequences, more A (30.0 % instead of 8.3 %); 0.080 bits from the background."
    )
    assert describe(a_shot(n_sequences=1000)).startswith("The first 3 of 1,000 proteins, 80 to 254")
    picture = draw_proteins(a_shot())
    assert (picture.title, picture.description) == ("3 proteins, one cut off", describe(a_shot()))


def test_words_are_legible_and_are_never_markup() -> None:
    evil = "<script>alert(1)</script> & <b>"
    picture = draw_proteins(a_shot([a_row(0, 8.0, 30, name=evil)], words=evil))
    ElementTree.fromstring(picture.to_svg())
    assert "<script" not in picture.to_svg() and picture.to_png()[:4] == b"\x89PNG"
    for item in picture.items:
        if isinstance(item, Text):
            shade = item.colour
            assert isinstance(shade, Shade)
            assert all(contrast(shade[page], colours.SURFACE[page]) >= 4.5 for page in (0, 1))
