"""Axes have round numbers on them, room for every value, and break at none."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from biollm_widgets.widgets.axes import MOST, axis_of, fitted, number, said, step_axis, ticks, wide, wrapped


@pytest.mark.parametrize(
    "low, high, most, words",
    [
        (0, 1, 5, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.55, 0.81, 4, ["0.6", "0.7", "0.8"]),
        (0.9, 1.0001, 4, ["0.90", "0.95", "1.00"]),
        (-1, 1, 4, ["−1.0", "−0.5", "0", "0.5", "1.0"]),
        (0, 3e-5, 2, ["0", "2e−5"]),
        (1e-7, 1.4e-7, 3, ["1e−7", "1.2e−7", "1.4e−7"]),
        (0, 99_999, 6, ["0", "20,000", "40,000", "60,000", "80,000"]),
        (0, 1e30, 2, ["0", "5e29", "1e30"]),
        (1, 1, 4, []),
        (2, 1, 4, []),
        (0, 5e-324, 4, []),
        (0, math.inf, 4, []),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, most: int, words: list[str]) -> None:
    assert [word for _, word in ticks(low, high, most)] == words


@pytest.mark.parametrize("power", range(-280, 290, 7))
@pytest.mark.parametrize("most", [1, 2, 5, 9])
def test_ticks_are_even_within_the_axis_and_not_too_many(power: int, most: int) -> None:
    for low, high in ((-0.37, 0.81), (0, 9.99), (3.01, 3.99)):
        found = ticks(low * 10.0**power, high * 10.0**power, most)
        assert len(found) <= most + 1
        values = [value for value, _ in found]
        assert all(low * 10.0**power * 1.0001 <= v <= high * 10.0**power * 1.0001 or v == 0 for v in values)
        gaps = [b - a for a, b in pairwise(values)]
        assert all(gap == pytest.approx(gaps[0], rel=1e-6) for gap in gaps)
        assert len({word for _, word in found}) == len(found)


def test_a_tick_says_its_value() -> None:
    for low, high in ((0, 0.37), (-4, 17), (1234, 98765), (1e-9, 5e-9), (3e7, 9e8)):
        for value, word in ticks(low, high, 5):
            assert float(word.replace(",", "").replace("−", "-")) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    "values",
    [[0.5], [0.0], [-2.0, -2.0], [1e300, -1e300], [0.1, 0.7], [5.0, 5.1, None], [1e-200], [-0.3, -0.7], [1, 1 + 1e-15]],
)
def test_every_value_has_its_place_on_the_axis(values: list) -> None:
    axis = axis_of(values, 200, 40, 5)
    known = [value for value in values if value is not None]
    assert all(40 <= axis(value) <= 200 for value in known)
    assert axis.low <= min(known) <= max(known) <= axis.high and axis.low < axis.high
    lowest, highest = axis(min(known)), axis(max(known))
    assert lowest > highest or max(known) - min(known) < 1e-9
    assert all(axis.low <= value <= axis.high for value, _ in axis.ticks)


def test_an_axis_begins_at_nought_where_the_values_reach_down_that_far() -> None:
    assert axis_of([0.1, 0.7], 100, 0, 5).low == 0
    assert axis_of([0.6, 0.7], 100, 0, 5).low > 0.5
    assert axis_of([-0.1, 0.7], 100, 0, 5).low < -0.1


def test_an_explosion_does_not_flatten_what_came_before() -> None:
    values = [0.7, 0.6, 0.5, 0.4, 1e30]
    axis = axis_of(values, 160, 0, 5, may_log=True)
    assert axis.log and axis(0.5) > axis(0.6) > axis(1e30) == 0
    assert all(
        word.startswith("1") and math.log10(value) == pytest.approx(round(math.log10(value)))
        for value, word in axis.ticks
    )
    assert 2 <= len(axis.ticks) <= 6
    assert not axis_of([-1, *values], 160, 0, 5, may_log=True).log
    assert not axis_of([0.7, 0.5, 0.001], 160, 0, 5, may_log=True).log
    assert not axis_of(values, 160, 0, 5).log


def test_an_axis_without_values_has_no_numbers() -> None:
    axis = axis_of([None, None], 100, 0, 5)
    assert axis.ticks == () and axis(0) == 100


def test_steps_are_whole_and_begin_at_nought_unless_most_would_be_empty() -> None:
    assert [word for _, word in step_axis(1, 4, 0, 800).ticks] == ["0", "1", "2", "3", "4"]
    assert [word for _, word in step_axis(1, 1, 0, 800).ticks] == ["0", "1"]
    assert step_axis(400, 1000, 0, 800).low == 0 and step_axis(900, 1000, 0, 800).low == 900
    for across in (60, 200, 700):
        many = step_axis(0, 100_000, 0, across)
        places = [many(value) for value, _ in many.ticks]
        assert all(b - a > wide("100,000", 11) + 8 for a, b in pairwise(places))


@pytest.mark.parametrize(
    "value, words",
    [
        (0.4123, "0.412"), (12_345.6, "12,346"), (3e-5, "3e−5"), (1e30, "1e30"), (0, "0"), (-0.21, "−0.21"), (2.0, "2"),
        (1_234_567, "1.23e6"), (0.001, "0.001"), (999.96, "1,000"), (None, "not a number"),
    ],
)  # fmt: skip
def test_numbers_are_said_in_three_digits(value: float, words: str) -> None:
    assert said(value) == words


def test_what_is_no_number_is_none_and_what_is_too_large_is_held() -> None:
    assert [number(value) for value in (None, math.nan, math.inf, -math.inf, "NaN", True, [1])] == [None] * 7
    assert number(10**400) == number(1.7e308) == MOST and number(-1.7e308) == -MOST
    assert number(1e-310) == 0 and number(3) == 3.0


def test_words_take_no_less_room_than_is_said() -> None:
    from biollm_widgets.widgets.picture_png import font_for

    for words in (
        "non-coding",
        "evaluation",
        "best 0.724 at step 300",
        "1 promoter_human",
        "100,000",
        "−3.2e−5",
        "MCC",
    ):
        for bold in (False, True):
            assert font_for(False, bold, 110).getlength(words) / 10 <= wide(words, 11, bold) * 1.03


def test_words_are_cut_to_their_room() -> None:
    assert fitted("coding", 100, 11) == "coding"
    cut = fitted("a class with a very long name", 60, 11)
    assert cut.endswith("…") and wide(cut, 11) <= 60 and len(cut) > 5
    assert fitted("abc", 0, 11) == "a…"
    assert fitted("two\nlines", 100, 11) == "two lines"


def test_words_are_wrapped_where_there_is_no_more_room_and_a_percent_sign_stays_with_its_number() -> None:
    lines = wrapped("more A (30.0 % instead of 8.3 %), less  of\neverything", 90, 11)
    assert " ".join(lines).replace("\u00a0", " ") == "more A (30.0 % instead of 8.3 %), less of everything"
    assert len(lines) > 3 and all(wide(line, 11) <= 90 for line in lines)
    assert not any(line.startswith("%") for line in lines)
    assert wrapped("unbreakable", 5, 11) == ["unbreakable"] and wrapped("", 5, 11) == [""]
