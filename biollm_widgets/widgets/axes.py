"""What a drawn axis needs: round numbers to stand on it, where a value lies, and how wide words are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

# Larger numbers are drawn there, smaller ones as 0: differences of two, and shares of those, are still numbers.
MOST, LEAST = 1e300, 1e-290
# Type is not measured: what letters take at most in the fonts of a page, as a share of their size (DejaVu Sans is the
# widest of them).
NARROW_LETTERS = frozenset("iljtfrI.,:;'|!()[]/ ")
WIDE_LETTERS = frozenset("mwMW@%−+=…")


@dataclass(frozen=True)
class Axis:
    """Values `low` to `high` and the places (CSS pixels) `start` to `end` they lie at.

    Attributes
    ----------
    ticks : tuple of (value, words)
        Round numbers within the axis; none of them where nothing is known of the values.
    log : bool
        Powers of ten are evenly spaced.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value, to a tenth of a pixel; beyond the axis it is the nearer end."""
        low, high, value = (math.log10(max(v, LEAST)) if self.log else v for v in (self.low, self.high, value))
        share = (min(max(value, low), high) - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)


def axis_of(values: Iterable[Optional[float]], start: float, end: float, most: int, may_log: bool = False) -> Axis:
    """An axis on which all values have room, with about `most` ticks at the most.

    It begins at 0 where the values reach down that far anyhow. With `may_log`, positive values of which the largest is
    more than a hundred times the one in the middle have a logarithmic axis: one explosion would flatten all others.

    Parameters
    ----------
    values : iterable of float or None
        None is left out; without any value the axis is 0 to 1 and has no ticks.
    """
    known = [value for value in values if value is not None]
    if not known:
        return Axis(0, 1, start, end, ())
    low, high = min(known), max(known)
    if may_log and low > 0 and high > 100 * statistics.median(known):
        low = max(low, statistics.median(known) / 1000)
        return Axis(low, high, start, end, tuple(_decades(low, high, most)), True)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # one value: in the upper part of an axis from 0
        low, high = min(0.0, low * 4 / 3), max(0.0, high * 4 / 3)
        high = high if high > low else 1.0
    elif 0 <= low < 0.4 * high:
        low, high = 0.0, high + 0.04 * high
    else:
        spare = 0.06 * (high - low)
        low, high = low - spare, high + spare
    return Axis(low, high, start, end, tuple(ticks(low, high, most)))


def step_axis(low: float, high: float, start: float, end: float) -> Axis:
    """An axis of steps of training, which are whole: from 0 where that does not leave most of it empty."""
    low = 0.0 if low < high / 2 or low >= high else low
    high = max(high, low + 1)
    # A number of n digits and the gap to the next one.
    most = max(1, int(abs(end - start) // (wide(f"{high:,.0f}", 11) + 36)))
    # Of a few steps each has its number, and there is no half one.
    return Axis(low, high, start, end, tuple(ticks(low, high, max(1, min(most, int(high - low))))))


def ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Round numbers from `low` to `high` and how they are written: multiples of 1, 2 or 5 times a power of ten.

    At most `most` of them, and one more; all have the same number of decimals. Empty where `high` is not above `low`.
    """
    if not LEAST < high - low < math.inf:
        return []
    least = (high - low) / max(1, most)
    power = math.floor(math.log10(least))
    factor = next(f for f in (1, 2, 5, 10) if f * 10.0**power >= least * (1 - 1e-9))
    step = factor * 10.0**power
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    decimals = -power - (factor == 10)
    largest = max(abs(first), abs(last)) * step
    plain = decimals <= 4 and largest < 1e6
    # "6e−5", "4e−5": a digit for each power of ten between the largest number and the step.
    digits = 0 if not largest else max(0, math.floor(math.log10(largest) + 1e-9) + decimals)
    values = [round(k * step, max(0, decimals)) if decimals < 300 else k * step for k in range(first, last + 1)]
    return [(v, _written(v, max(0, decimals)) if plain else _power(v, digits)) for v in values]


def _decades(low: float, high: float, most: int) -> list[tuple[float, str]]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    each = max(1, math.ceil((last - first) / max(1, most)))
    return [(10.0**k, said(10.0**k)) for k in range(first, last + 1, each)]


def said(value: Optional[float]) -> str:
    """A number in three digits, as it is written in pictures and sentences: "0.412", "12,300", "3e−5", "1e30"."""
    if value is None:
        return "not a number"
    if value and not 1e-3 <= abs(value) < 1e6:
        return _power(value, 2)
    whole = abs(value) >= 999.5 or value == int(value)
    return (f"{value:,.0f}" if whole else f"{value:.3g}").replace("-", "−")


def _written(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}".replace("-", "−") if value else "0"


def _power(value: float, digits: int) -> str:
    if not value:
        return "0"
    number, power = f"{value:.{digits}e}".split("e")
    number = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{number}e{int(power)}".replace("-", "−")


def number(value: Any) -> Optional[float]:
    """A number that can be drawn, or None: for None, nan, infinity, and what is no number at all."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(max(-MOST, min(MOST, value))) if abs(value) > LEAST else 0.0


def wide(words: str, size: float, bold: bool = False) -> float:
    """CSS pixels that words take at most."""
    shares = (
        0.37 if c in NARROW_LETTERS else 0.97 if c in WIDE_LETTERS else 1.0 if ord(c) > 0x2E7F
        else 0.7 if c.isupper() else 0.63 for c in words
    )  # fmt: skip
    return sum(shares) * size * (1.1 if bold else 1)


def fitted(words: str, room: float, size: float, bold: bool = False) -> str:
    """The words, cut with "…" where they are wider than `room`; at least one letter is left."""
    words = " ".join(words.split())
    if wide(words, size, bold) <= room:
        return words
    while len(words) > 1 and wide(words + "…", size, bold) > room:
        words = words[:-1]
    return words.rstrip() + "…"


def wrapped(words: str, room: float, size: float) -> list[str]:
    """The words in lines that are no wider than `room`, where no single word is; a number keeps its percent sign."""
    lines = [""]
    for word in " ".join(words.split()).replace(" %", "\u00a0%").split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and wide(longer, size) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
