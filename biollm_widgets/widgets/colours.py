"""The one place for colour: the hues, the scale of quantities, the surfaces, and how well a text stands out on them.

A colour is written `#RRGGBB`. A `Shade` is two of them, for a light page and for a dark one.

References
----------
Paul Tol, Colour schemes. SRON/EPS/TN/09-002, issue 3.2, 2021: the sets "light" and "bright", safe for the colour-blind.
WCAG 2.2, W3C 2023: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance and #dfn-contrast-ratio.
CSS Color 5, W3C: https://www.w3.org/TR/css-color-5/#color-mix.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Union

import numpy as np

from biollm_widgets.errors import InputError


class Shade(NamedTuple):
    """One colour as it is on a light page and on a dark one, both `#RRGGBB`."""

    light: str
    dark: str


Colour = Union[str, Shade]

# Tol's light set: it tints the background of a token, with dark or light letters on it.
LIGHT = ("#77AADD", "#99DDFF", "#44BB99", "#BBCC33", "#EEDD88", "#EE8866", "#FFAABB", "#DDDDDD")
# Tol's bright set: lines. Training, evaluation, then runs that are compared.
BRIGHT = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377")
# How much of a hue goes into the surface under letters.
SHARE = 0.38

# matplotlib's viridis (CC0; Smith and van der Walt 2015, https://bids.github.io/colormap/) at i / 31, i = 0 ... 31.
VIRIDIS = (
    "#440154", "#470D60", "#48186A", "#482374", "#472E7C", "#453882", "#424186", "#3E4A89",
    "#3A548C", "#365D8D", "#32658E", "#2E6D8E", "#2B758E", "#287D8E", "#25848E", "#228C8D",
    "#1F948C", "#1E9C89", "#20A386", "#25AB82", "#2EB37C", "#3ABA76", "#48C16E", "#58C765",
    "#6CCD5A", "#7FD34E", "#93D741", "#A8DB34", "#C0DF25", "#D5E21A", "#EAE51A", "#FDE725",
)  # fmt: skip

# JupyterLab 4's two themes: --jp-layout-color1 and 2, --jp-ui-font-color0 and 1 (87 % of black or white), and
# --jp-border-color2 and 1. Letters on a tint take INK, which has more to spare than --jp-ui-font-color1.
SURFACE = Shade("#FFFFFF", "#212121")
SURFACE_LOW = Shade("#EEEEEE", "#424242")
INK = Shade("#000000", "#FFFFFF")
TEXT = Shade("#212121", "#E2E2E2")
# The themes' second text (54 %) is 4.3 : 1 on a light page; this is the quietest grey that stays legible.
QUIET = Shade("#616161", "#B0B0B0")
HAIRLINE = Shade("#E0E0E0", "#424242")
EDGE = Shade("#9E9E9E", "#757575")
# What is selected or in focus.
ACCENT = Shade("#1565C0", "#82B1FF")


def hue_of(token_id: Any) -> Any:
    """Which of the eight `LIGHT` a token has, by its id: int for an int, an array of the same shape for an array.

    The same id has the same hue everywhere, and ids n and n + 1 differ: steps of the golden ratio round a circle of
    eight (Knuth, The Art of Computer Programming 3, 6.4). Plain n modulo 8 would give all 6-mers with one ending one
    hue. In JavaScript: `Math.imul(id, 0x9E3779B1) >>> 29`.
    """
    ids = np.asarray(token_id, dtype=np.int64)
    hues = ((ids * 0x9E3779B1) & 0xFFFFFFFF) >> 29
    return int(hues) if hues.ndim == 0 else hues


def tint(hue: str, share: float = SHARE) -> Shade:
    """A hue mixed into both surfaces, as `color-mix(in srgb, hue 38%, var(--jp-layout-color1))` does it."""
    return Shade(mix(hue, share, SURFACE.light), mix(hue, share, SURFACE.dark))


def viridis(value: float) -> str:
    """The colour of a quantity: 0 is dark violet, 1 yellow; linear between 32 stops, held at both ends.

    Raises
    ------
    InputError
        For nan: what has no value has no colour.
    """
    if value != value:
        raise InputError("nan has no colour on a scale; leave its piece without one.")
    place = min(max(float(value), 0.0), 1.0) * (len(VIRIDIS) - 1)
    lower = min(int(place), len(VIRIDIS) - 2)
    return mix(VIRIDIS[lower + 1], place - lower, VIRIDIS[lower])


def mix(hue: str, share: float, surface: str) -> str:
    """`share` (0 to 1) of a hue and the rest of the surface, in sRGB: what CSS `color-mix(in srgb, ...)` gives."""
    parts = zip(rgb(hue), rgb(surface), strict=True)
    return "#" + "".join(f"{round(share * top + (1 - share) * under):02X}" for top, under in parts)


def contrast(a: str, b: str) -> float:
    """WCAG 2's contrast ratio of two colours, 1 to 21, whichever is the lighter; small text needs 4.5."""
    darker, lighter = sorted((luminance(a), luminance(b)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """WCAG 2's relative luminance, 0 (black) to 1 (white)."""
    shares = (part / 255 for part in rgb(colour))
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255 each. Raises InputError for anything but `#RRGGBB`."""
    try:
        if len(colour) != 7 or colour[0] != "#":
            raise ValueError
        red, green, blue = bytes.fromhex(colour[1:])
    except (ValueError, TypeError):
        raise InputError(f"A colour is written #RRGGBB, not {colour!r}.") from None
    return red, green, blue


def on_page(colour: Colour, dark: bool) -> str:
    """The one colour that a page shows."""
    return colour if isinstance(colour, str) else colour.dark if dark else colour.light
