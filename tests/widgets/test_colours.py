"""Letters stand out on every colour they can have, in both themes, and the scale is viridis."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.widgets import colours

GROUNDS = [*colours.LIGHT, *colours.VIRIDIS]


@pytest.mark.parametrize("page", ["light", "dark"])
def test_letters_on_every_tint_have_a_contrast_of_4_5(page: str) -> None:
    surface, ink, text = (getattr(shade, page) for shade in (colours.SURFACE, colours.INK, colours.TEXT))
    full = {"light": "#000000", "dark": "#FFFFFF"}[page]
    for hue in GROUNDS:
        ground = getattr(colours.tint(hue), page)
        assert ground == colours.mix(hue, 0.38, surface)
        assert colours.contrast(ink, ground) >= 5
        # --jp-ui-font-color1 is 87 % of black or white over what lies under it; viridis' last stop is its worst case.
        assert colours.contrast(colours.mix(full, 0.87, ground), ground) >= 4.49
    for quiet in (colours.TEXT, colours.QUIET):
        assert colours.contrast(getattr(quiet, page), surface) >= 4.5
    assert colours.contrast(text, surface) >= 7


@pytest.mark.parametrize("page", ["light", "dark"])
def test_surfaces_and_texts_are_those_of_the_installed_jupyterlab(page: str) -> None:
    themes = Path(sys.prefix) / "share" / "jupyter" / "lab" / "themes" / "@jupyterlab"
    style = themes / f"theme-{page}-extension" / "index.css"
    if not style.is_file():
        pytest.skip("JupyterLab is not installed here.")
    said = dict(re.findall(r"--jp-([a-z]+-[a-z-]*color\d):([^;}]+)", style.read_text()))
    names = {"white": "#FFFFFF", "black": "#000000"}

    def colour(name: str) -> str:
        value = said[name].rpartition("#")[2].rstrip(")") if "#" in said[name] else said[name]
        value = "".join(2 * letter for letter in value) if len(value) == 3 else value
        return names.get(value, f"#{value.upper()}")

    assert colour("layout-color1") == getattr(colours.SURFACE, page)
    assert colour("layout-color2") == getattr(colours.SURFACE_LOW, page)
    assert colour("ui-font-color0") == getattr(colours.INK, page)
    assert colour("border-color2") == getattr(colours.HAIRLINE, page)
    ink, surface = getattr(colours.INK, page), getattr(colours.SURFACE, page)
    assert said["ui-font-color1"].replace(" ", "").endswith(",.87)")
    assert colours.mix(ink, 0.87, surface) == getattr(colours.TEXT, page)


def test_contrast_is_wcags() -> None:
    assert colours.contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert colours.contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)  # the well-known near miss
    assert colours.contrast("#FFFFFF", "#777777") == colours.contrast("#777777", "#FFFFFF")


def test_viridis_is_matplotlibs() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    theirs = matplotlib.colormaps["viridis"]
    for value in np.linspace(0, 1, 256):
        expected = np.array(theirs(value)[:3]) * 255
        assert np.abs(np.array(colours.rgb(colours.viridis(value))) - expected).max() < 2.5
    assert colours.viridis(-3) == colours.VIRIDIS[0]
    assert colours.viridis(3) == colours.VIRIDIS[-1]
    with pytest.raises(InputError, match="no colour"):
        colours.viridis(float("nan"))


def test_neighbouring_ids_differ_in_hue_and_all_hues_are_used() -> None:
    hues = colours.hue_of(np.arange(5000))
    assert (hues[1:] != hues[:-1]).all()
    assert np.bincount(hues, minlength=8).min() > 600
    assert [colours.hue_of(n) for n in range(5000)] == hues.tolist()
    assert len({colours.hue_of(n) for n in range(5, 9)}) == 4  # A, C, G and T of single letters
    # 6-mers that end alike are 16 ids apart.
    assert len(set(colours.hue_of(np.arange(5, 4101, 16)).tolist())) == 8


@pytest.mark.parametrize("wrong", ["red", "#12345", "#12345G", "url(x)", "#1234567"])
def test_a_colour_is_six_hex_digits(wrong: str) -> None:
    with pytest.raises(InputError, match="RRGGBB"):
        colours.rgb(wrong)
