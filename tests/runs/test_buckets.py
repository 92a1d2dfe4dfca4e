"""Points of a training log: no line is lost, no peak, and no loss that is no number."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from biollm_widgets.runs.buckets import TrainingLines, lines_a_point


def lines_of(losses: list, **columns: list) -> TrainingLines:
    made = TrainingLines()
    for number, loss in enumerate(losses):
        rate, grad = (columns[name][number] if name in columns else None for name in ("rate", "grad"))
        made.add(10 * (number + 1), loss, rate, grad)
    return made


def test_while_there_are_few_lines_each_is_a_point() -> None:
    made = lines_of([0.7, 0.5], rate=[1e-5, 2e-5], grad=[3.0, None])
    assert made.points(1) == [[10, 10, 0.7, 0.7, 0.7, 1e-5, 3.0], [20, 20, 0.5, 0.5, 0.5, 2e-5, None]]


def test_a_point_of_many_lines_is_their_mean_with_the_lowest_the_highest_the_last_rate_and_the_largest_gradient() -> (
    None
):
    made = lines_of([0.5, 0.25, 9.0, 0.25, 0.5], rate=[5.0, 4.0, 3.0, 2.0, 1.0], grad=[1.0, 8.0, 2.0, None, 7.0])
    assert made.points(4) == [[10, 40, 2.5, 0.25, 9.0, 2.0, 8.0], [50, 50, 0.5, 0.5, 0.5, 1.0, 7.0]]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None], ids=["nan", "inf", "minus-inf", "none"])
def test_a_loss_that_is_no_number_is_never_averaged_away(bad: float | None) -> None:
    made = lines_of([0.5, bad, 0.25, 0.5])
    whole, broken = made.points(1), made.points(2)
    assert [point[2] for point in whole] == [0.5, None, 0.25, 0.5]
    assert broken[0] == [10, 20, None, 0.5, 0.5, None, None] and broken[1][2] == 0.375
    assert made.points(1)[1][2:5] == [None, None, None]


def test_a_gradient_that_is_no_number_is_no_number_on_the_page_and_still_known_here() -> None:
    made = lines_of([0.5, 0.5], grad=[math.nan, math.inf])
    assert [point[6] for point in made.points(1)] == [None, None]
    assert np.isinf(np.array(made.grad)).all()


def test_no_peak_is_lost_however_many_lines_make_a_point() -> None:
    rng = np.random.default_rng(0)
    losses = rng.random(5000)
    losses[[777, 4321]] = 50, -3
    made = lines_of(losses.tolist())
    for every in (1, 2, 16, 1024, 8192):
        points = made.points(every)
        assert max(point[4] for point in points) == 50 and min(point[3] for point in points) == -3
        assert points[0][0] == 10 and points[-1][1] == 50_000
        assert all(before[1] < after[0] for before, after in pairwise(points))
    assert made.points(8192)[0][2] == pytest.approx(losses.mean())


def test_so_many_lines_go_into_a_point_that_there_are_at_most_so_many_and_it_only_doubles() -> None:
    before = 1
    for lines in range(0, 5000):
        every = lines_a_point(lines, 66)
        assert every & (every - 1) == 0 and -(-lines // every) <= 66
        assert every == before or (every == 2 * before and lines == 66 * before + 1)
        before = every


def test_points_from_a_line_on_are_those_of_the_whole() -> None:
    made = lines_of(np.linspace(1, 0, 37).tolist())
    assert made.points(4)[5:] == made.points(4, 20)
    assert made.points(4, 0, 8) == made.points(4)[:2]
    assert made.points(4, 400) == [] and TrainingLines().points(2) == []


def test_a_run_that_goes_back_forgets_what_came_after() -> None:
    made = lines_of([0.5, 0.4, 0.3])
    made.cut_after(25)
    assert len(made) == 2 and [point[0] for point in made.points(1)] == [10, 20]
    made.add(30, 0.1, None, None)
    assert made.points(1)[-1][2] == 0.1
    made.cut_after(0)
    assert len(made) == 0
    made.cut_after(5)


def test_a_stretch_comes_with_its_neighbours_so_that_its_curve_reaches_the_edges() -> None:
    made = lines_of([0.5] * 10)
    assert made.place(35, 65) == (2, 7)
    assert made.place(30, 60) == (1, 7)
    assert made.place(-100, 1e9) == (0, 10)
    assert made.place(41, 42) == (3, 5)
    assert TrainingLines().place(0, 10) == (0, 0)
