"""The picture of training shows every loss, evaluation and checkpoint where it belongs, and is told in words."""

from __future__ import annotations

import math
from typing import Any, Optional
from xml.etree import ElementTree

import pytest

from biollm_widgets.widgets import colours
from biollm_widgets.widgets.colours import Shade, contrast
from biollm_widgets.widgets.confusion_picture import Confusion, shade_of
from biollm_widgets.widgets.picture import Area, Circle, Line, Path, Picture, Rectangle, Text
from biollm_widgets.widgets.training_marks import DASH, LINES, WORDS
from biollm_widgets.widgets.training_picture import describe, draw_progress, progress_tables
from biollm_widgets.widgets.twin import twin
from tests.widgets.drawn import sound, texts, words

TRAINING, EVALUATION = LINES[0], LINES[1]


def a_point(step: int, loss: Optional[float], rate: Optional[float] = 3e-5, behind: int = 1) -> list[Any]:
    low, high = (loss - 0.05, loss + 0.08) if loss is not None else (None, None)
    return [step - behind + 1, step, loss, low, high, rate, 1.0]


def an_evaluation(step: int, loss: Optional[float], mcc: Optional[float] = None, **more: Any) -> dict[str, Any]:
    values = {"loss": loss, "matthews_correlation": mcc, "accuracy": 0.7}
    return {"step": step, "epoch": step / 75, "values": values, "confusion": None, "best": False, **more}


def a_run(**changes: Any) -> dict[str, Any]:
    points = [a_point(step, 0.7 - step / 1000, 3e-5 * (1 - step / 375)) for step in range(10, 311, 10)]
    run = {
        "name": "coding", "every": 1, "points": points, "test": None, "checkpoints": [100, 200, 300],
        "labels": ["non-coding", "coding"],
        "evaluations": [
            an_evaluation(100, 0.61, 0.3),
            an_evaluation(200, 0.55, 0.72, best=True, confusion=[[150, 23], [40, 37]]),
            an_evaluation(300, 0.58, 0.66, confusion=[[149, 24], [52, 25]]),
        ],
    }  # fmt: skip
    return {**run, **changes}


def a_shot(*runs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    shot = {
        "serial": 1, "kind": "run" if len(runs) == 1 else "compare", "title": "Learning: loss 0.41",
        "phase": "training", "steps": 375, "metrics": ["matthews_correlation", "accuracy"],
        "names": {"loss": "loss", "matthews_correlation": "MCC", "accuracy": "accuracy"}, "runs": list(runs),
        "settings": {"header": ["setting", *(run["name"] for run in runs)], "rows": [], "different": []},
    }  # fmt: skip
    return {**shot, **changes}


def paths(picture: Picture, colour: Any, dash: Any = None) -> list[Path]:
    """Curves of this colour; the samples of a legend are one stroke 28 wide."""
    found = [i for i in picture.items if isinstance(i, Path) and i.colour == colour and i.dash == dash]
    return [i for i in found if [b[0] - a[0] for a, b in (i.pieces[0][:2],)] != [28]]


def circles(picture: Picture, colour: Any) -> list[Circle]:
    return [item for item in picture.items if isinstance(item, Circle) and item.fill == colour]


def test_losses_evaluations_and_learning_rate_lie_over_one_axis_of_steps() -> None:
    picture = draw_progress(a_shot(a_run()))
    sound(picture)
    [training] = paths(picture, TRAINING)
    loss, metric = paths(picture, EVALUATION, DASH)
    [rate] = [path for path in paths(picture, colours.QUIET) if path.thick == 1.5]
    assert [len(path.pieces[0]) for path in (training, loss, metric, rate)] == [31, 3, 3, 31]
    at = dict(zip(range(10, 311, 10), training.pieces[0], strict=True))
    for path in (loss, metric):
        assert [x for x, _ in path.pieces[0]] == [at[step][0] for step in (100, 200, 300)]
    assert [x for x, _ in rate.pieces[0]] == [x for x, _ in training.pieces[0]]
    # A lower loss is drawn lower, a better metric higher; each chart is above the next.
    assert training.pieces[0][0][1] < training.pieces[0][-1][1]
    assert metric.pieces[0][1][1] < metric.pieces[0][2][1] < metric.pieces[0][0][1]
    tops = [min(y for _, y in path.pieces[0]) for path in (loss, metric, rate)]
    assert tops == sorted(tops)
    assert at[200][1] == pytest.approx((at[100][1] + at[300][1]) / 2, abs=0.11)
    # Every evaluation has a round marker.
    assert [(c.x, c.y) for c in circles(picture, EVALUATION)] == [*loss.pieces[0], *metric.pieces[0]]
    assert {"loss", "MCC", "learning rate", "step", "training", "evaluation", "0.66", "0.39"} <= set(words(picture))


def test_the_number_at_a_tick_is_the_value_that_is_drawn_there() -> None:
    picture = draw_progress(a_shot(a_run(points=[a_point(100, 0.6), a_point(200, 0.5)], evaluations=[])))
    [line] = paths(picture, TRAINING)
    ticks = {t.words: t.y - 4 for t in texts(picture) if t.anchor == "end" and t.words.startswith("0.")}
    for words_of_tick, (_, y) in (("0.60", line.pieces[0][0]), ("0.50", line.pieces[0][1])):
        assert ticks[words_of_tick] == pytest.approx(y, abs=0.11)
    steps = {t.words: t.x for t in texts(picture) if t.anchor == "middle"}
    assert (steps["100"], steps["200"]) == (line.pieces[0][0][0], line.pieces[0][1][0])


def test_the_best_evaluation_is_ringed_and_named() -> None:
    picture = draw_progress(a_shot(a_run()))
    loss, metric = paths(picture, EVALUATION, DASH)
    rings = [item for item in picture.items if isinstance(item, Circle) and item.fill is None]
    assert {(ring.x, ring.y) for ring in rings if ring.radius == 7} == {loss.pieces[0][1], metric.pieces[0][1]}
    assert "best 0.72 at step 200" in words(picture)
    through = [i for i in picture.items if isinstance(i, Line) and i.dashed]
    assert {line.x1 for line in through} == {loss.pieces[0][1][0]} and len(through) == 3
    nothing = draw_progress(a_shot(a_run(evaluations=[an_evaluation(100, 0.5, 0.5)])))
    assert not [item for item in nothing.items if isinstance(item, Circle) and item.fill is None]


def test_a_test_after_training_is_told() -> None:
    picture = draw_progress(a_shot(a_run(test=an_evaluation(375, 0.5, 0.61))))
    assert "best 0.72 at step 200 · test 0.61" in words(picture)
    assert "The test after training has MCC 0.61." in picture.description


def test_a_loss_that_is_not_a_number_breaks_the_line_and_is_crossed_on_the_axis() -> None:
    run = a_run()
    for index in (5, 6, 20, 22):
        run["points"][index][2:5] = [None, None, None]
    run["evaluations"][1]["values"]["loss"] = None
    picture = draw_progress(a_shot(run))
    sound(picture)
    [training] = paths(picture, TRAINING)
    assert [len(piece) for piece in training.pieces] == [5, 13, 8]
    alone = [c for c in circles(picture, TRAINING)]  # between two gaps
    assert len(alone) == 1 and training.pieces[1][-1][0] < alone[0].x < training.pieces[2][0][0]
    assert len(paths(picture, EVALUATION, DASH)) == 1  # of the loss two points are left, alone
    crosses = [path for path in paths(picture, WORDS[0]) if len(path.pieces) == 2]
    assert len(crosses) == 4 and all(len(piece) == 2 for cross in crosses for piece in cross.pieces)
    [wrong] = [path for path in paths(picture, WORDS[1]) if len(path.pieces) == 2]
    axis = max(i.y1 for i in picture.items if isinstance(i, Line) and i.colour == colours.EDGE and i.y1 < 220)
    assert max(y for cross in [*crosses, wrong] for piece in cross.pieces for _, y in piece) == axis
    assert "not a number" in words(picture)
    assert "Training loss was not a number at 4 points, first at step 60." in picture.description
    assert "not a number" not in words(draw_progress(a_shot(a_run())))


def test_a_band_shows_the_losses_behind_a_mean_and_stops_at_gaps() -> None:
    points = [a_point(step, 0.7 - step / 1000, behind=20) for step in range(20, 301, 20)]
    points[5][2:5] = [None, None, None]
    picture = draw_progress(a_shot(a_run(points=points, every=20)))
    sound(picture)
    bands = [i for i in picture.items if isinstance(i, Area) and i.fill == TRAINING and len(i.points) > 4]
    assert [len(band.points) for band in bands] == [10, 18]
    [training] = paths(picture, TRAINING)
    for piece, band in zip(training.pieces, bands, strict=True):
        for (x, y), (above, below) in zip(piece, zip(band.points, reversed(band.points), strict=False), strict=False):
            assert above[0] == below[0] == x and above[1] < y < below[1]
            # The axis has room for all of it: nothing is cut off at its ends.
            assert (y - above[1]) / (below[1] - y) == pytest.approx(8 / 5, abs=0.03)
    assert picture.items.index(bands[0]) < picture.items.index(training)
    assert "lowest to highest of 20 log lines" in words(picture)
    # A point of several steps lies in their middle.
    first = draw_progress(a_shot(a_run(points=[a_point(100, 0.5, behind=100)], steps=100))).items
    [dot] = [i for i in first if isinstance(i, Circle) and i.fill == TRAINING]
    [middle] = [i.x for i in first if isinstance(i, Text) and i.words == "50"] or [dot.x]
    assert dot.x == pytest.approx(middle, abs=1.5)
    assert not [i for i in draw_progress(a_shot(a_run())).items if isinstance(i, Area) and i.fill == TRAINING]


def test_checkpoints_are_marks_under_the_axis_of_the_loss() -> None:
    picture = draw_progress(a_shot(a_run()))
    marks = [i for i in picture.items if isinstance(i, Area) and i.fill == colours.TEXT]
    [training] = paths(picture, TRAINING)
    at = dict(zip(range(10, 311, 10), training.pieces[0], strict=True))
    assert [mark.points[0][0] for mark in marks[1:]] == [at[step][0] for step in (100, 200, 300)]  # 0 is the legend's
    axis = marks[1].points[0][1] - 1
    assert any(isinstance(i, Line) and i.y1 == i.y2 == axis and i.colour == colours.EDGE for i in picture.items)
    assert "checkpoint" in words(picture)
    assert "checkpoint" not in words(draw_progress(a_shot(a_run(checkpoints=[]))))
    many = draw_progress(a_shot(a_run(checkpoints=list(range(1, 311)))))
    sound(many)
    assert sum(isinstance(i, Area) and i.fill == colours.TEXT for i in many.items) < 60


def test_the_confusion_matrix_of_the_newest_evaluation_stands_beside_and_below_where_it_is_narrow() -> None:
    for width in (360, 760):
        picture = draw_progress(a_shot(a_run()), width)
        sound(picture)
        found = {t.words: (t.x, t.y) for t in texts(picture)}
        assert "Evaluation at step 300" in found and "174 of 250 right (70 %)" in found
        assert found["149"][1] == found["24"][1] < found["52"][1] == found["25"][1]
        assert found["149"][0] == found["52"][0] < found["24"][0] == found["25"][0]
        assert found["86 %"][0] == found["149"][0] and found["68 %"][0] == found["52"][0]
        steps = next(t for t in texts(picture) if t.words == "step")
        assert (found["149"][1] < steps.y) == (width == 760)
        [right] = [t for t in texts(picture) if t.words == "149"]
        assert right.weight == 600
    names = [t for t in texts(draw_progress(a_shot(a_run()))) if t.words in ("non-coding", "coding")]
    assert sorted(t.anchor for t in names) == ["end", "end", "middle", "middle"]


def test_the_tint_of_a_cell_is_its_share_of_the_row() -> None:
    picture = Picture(300, 300)
    Confusion([[90, 10], [0, 5]], ["a", "b"], "x").draw(picture, 0, 0)
    strokes = {i.colour: i.pieces for i in picture.items if isinstance(i, Path)}
    assert set(strokes) == {shade_of(0.9), shade_of(0.1), shade_of(1.0)}
    assert len({shade_of(share / 25) for share in range(26)}) == 26
    [[(left, y), (right, _)]] = strokes[shade_of(0.9)]
    assert (right - left, y) == (72, 52 + 28)


@pytest.mark.parametrize("many", [1, 2, 3, 4, 5, 8, 9, 12, 20, 40, 50, 51, 300])
@pytest.mark.parametrize("width", [280, 760])
def test_any_number_of_classes_is_drawn_or_said(many: int, width: int) -> None:
    rows = [[1_234_567 if i == j else (i * j) % 1700 for j in range(many)] for i in range(many)]
    names = [f"class with a very long name {i}" for i in range(many)]
    run = a_run(labels=names, evaluations=[an_evaluation(300, 0.5, 0.5, confusion=rows)])
    picture = draw_progress(a_shot(run), width)
    sound(picture)
    cells = [piece for i in picture.items if isinstance(i, Path) and i.thick > 3.5 for piece in i.pieces]
    assert len(cells) == (sum(value > 0 for row in rows for value in row) if many <= 50 else 0)
    assert sum(word in ("1,234,567", "1.23M", "1M") for word in words(picture)) == (many if many <= 8 else 0)
    assert any("too many" in word for word in words(picture)) == (many > 50)
    if 1 < many <= 12:
        assert sum(word.endswith("…") and word[0].isdigit() for word in words(picture)) == many
    assert len(picture.to_svg()) < 80_000


def test_a_matrix_that_is_none_is_not_drawn() -> None:
    for rows in ([[1, 2]], [[1], [2, 3]], [1, 2], [], None):
        run = a_run(evaluations=[an_evaluation(300, 0.5, 0.5, confusion=rows)])
        assert not any("right (" in word for word in words(draw_progress(a_shot(run))))
    run = a_run(labels=None, evaluations=[an_evaluation(300, 0.5, 0.5, confusion=[[None, math.nan], [0, 0]])])
    picture = draw_progress(a_shot(run))
    sound(picture)
    assert "nothing was counted" in words(picture)


def test_compared_runs_have_hues_markers_and_names_of_their_own() -> None:
    runs = [a_run(name=f"run {i}") for i in range(7)]
    for i, run in enumerate(runs):
        for point in run["points"]:
            point[2] += i / 10
        for evaluation in run["evaluations"]:
            evaluation["values"]["loss"] += i / 10
    picture = draw_progress(a_shot(*runs))
    sound(picture)
    for i in range(6):
        assert LINES[i].light == colours.BRIGHT[i]
        assert len(paths(picture, LINES[i], DASH)) == (4 if i == 0 else 2)  # the seventh has the first hue again
    assert {f"run {i}" for i in range(7)} | {"training", "evaluation", "best of each run"} <= set(words(picture))
    assert not any("right (" in word for word in words(picture))
    # The first and the seventh have one hue, and markers of different shapes.
    marks = [type(i) for i in picture.items if getattr(i, "fill", None) == LINES[0]]
    assert (marks.count(Circle), marks.count(Rectangle), len(marks)) == (7, 7, 14)  # one each in the legend
    rings = [i for i in picture.items if isinstance(i, Circle) and i.radius == 7]
    assert len(rings) == 7
    # With a single run its hues are those of training and evaluation.
    assert not paths(draw_progress(a_shot(a_run())), LINES[0], DASH)


@pytest.mark.parametrize("width", [280, 420, 760, 1200])
def test_a_long_name_is_cut_and_is_only_words(width: int) -> None:
    hostile = "</style></title><script>alert(1)</script> and much more that does not fit on a line"
    shot = a_shot(a_run(name=hostile), a_run(name="b"), title=hostile)
    shot["names"]["matthews_correlation"] = hostile
    picture = draw_progress(shot, width)
    sound(picture)
    assert any(word.startswith("</style>") and word.endswith("…") for word in words(picture))
    root = ElementTree.fromstring(picture.to_svg())
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert root[0].text == hostile and picture.to_png(1)
    run = a_run(labels=[hostile, "b"], name=hostile)
    sound(draw_progress(a_shot(run, title=hostile), width))


@pytest.mark.parametrize(
    "phase, said", [("idle", "await progress.fit(trainer)"), ("training", "logged"), ("failed", "ended")]
)
@pytest.mark.parametrize("runs", [[], [a_run(points=[], evaluations=[], checkpoints=[])]])
def test_nothing_to_draw_is_said(runs: list, phase: str, said: str) -> None:
    for width in (280, 760):
        picture = draw_progress(a_shot(*runs, phase=phase), width)
        sound(picture)
        assert said in " ".join(words(picture)) and picture.height > 30


def changed(**changes: Any) -> dict[str, Any]:
    return a_shot(a_run(**changes))


ODD = {
    "one point": a_shot(a_run(points=[a_point(10, 0.7)], evaluations=[], checkpoints=[]), steps=None),
    "one evaluation": changed(points=[], checkpoints=[]),
    "one step": a_shot(
        a_run(points=[a_point(1, 0.7)], evaluations=[an_evaluation(1, 1.0, 1.0)], checkpoints=[1]), steps=1
    ),
    "constant": changed(points=[a_point(step, 0.6931) for step in range(10, 311, 10)]),
    "nought": changed(
        points=[a_point(step, 0.0, 0.0) for step in range(10, 311, 10)], evaluations=[an_evaluation(5, 0, 0)]
    ),
    "no number": changed(
        points=[[s, s, None, None, None, None, None] for s in range(400)],
        evaluations=[{"step": s, "epoch": None, "values": {"loss": None}, "confusion": None} for s in range(0, 400, 4)],
    ),
    "nan": changed(points=[a_point(s, math.nan, math.nan) for s in range(10, 311, 10)], every=9),
    "huge": changed(points=[a_point(s, 1e30 if s > 200 else 0.5, 1e30) for s in range(10, 311, 10)], every=5),
    "all huge": changed(points=[a_point(s, 1e300 * (s - 150), -1e308) for s in range(10, 311, 10)], every=5),
    "tiny": changed(points=[a_point(s, 1e-300 * s, 1e-310) for s in range(10, 311, 10)]),
    "negative": changed(points=[a_point(s, -0.2 - s / 200) for s in range(10, 311, 10)]),
    "resumed": changed(points=[a_point(s, 0.5) for s in range(300, 376)], evaluations=[], checkpoints=[]),
    "beyond the plan": changed(points=[a_point(s, 0.5) for s in range(1, 900)]),
    "400 points": a_shot(
        a_run(
            points=[a_point(s, 0.7 - s / 4e5 + 0.03 * math.sin(s), behind=250) for s in range(250, 100_001, 250)],
            evaluations=[an_evaluation(s, 0.6, s / 1e5, best=s == 99_000) for s in range(1000, 100_001, 1000)],
            every=25,
            checkpoints=list(range(1000, 100_001, 1000)),
        ),
        steps=100_000,
    ),
    "a million steps": a_shot(a_run(points=[a_point(s, 0.5) for s in range(1, 1_000_001, 50_000)]), steps=1_000_000),
    "compared for long": a_shot(*[a_run(checkpoints=[10_000_000])] * 2, steps=10_000_000),
    "nothing but loss": a_shot(a_run(), metrics=[], names={}),
    "unknown metric": a_shot(a_run(), metrics=["cohen_kappa"], names={}),
    "compared and empty": a_shot(a_run(), a_run(points=[], evaluations=[], checkpoints=[])),
    "less than it should have": {"runs": [{"points": [[1, 1, 0.5, None, None, None, None]]}, {}]},
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("width", [280, 560, 760, 1400])
def test_odd_runs_are_drawn_soundly_and_told(name: str, width: int) -> None:
    picture = draw_progress(ODD[name], width)
    sound(picture)
    assert picture.width == width
    assert len(picture.to_svg()) < 60_000
    assert picture.description == describe(ODD[name]) and picture.description.endswith(".")
    assert "nan" not in picture.description and "inf" not in picture.description.replace("information", "")
    assert twin("x", picture, describe(ODD[name]), tables=progress_tables(ODD[name]))


def test_one_point_is_a_dot_and_the_axis_knows_no_half_steps() -> None:
    picture = draw_progress(ODD["one step"])
    assert len(circles(picture, TRAINING)) == 1 and len(circles(picture, EVALUATION)) == 4
    assert {t.words for t in texts(picture) if t.anchor == "middle"} == {"0", "1"}


def test_an_explosion_has_a_logarithmic_scale_that_is_said() -> None:
    assert "logarithmic scale" in words(draw_progress(ODD["huge"]))
    assert "logarithmic scale" not in words(draw_progress(a_shot(a_run())))


def test_words_are_legible_on_both_pages() -> None:
    for page in (0, 1):
        for shade in (*WORDS, colours.QUIET, colours.TEXT):
            assert contrast(shade[page], colours.SURFACE[page]) >= 4.5
        for share in range(26):
            assert contrast(colours.INK[page], shade_of(share / 25)[page]) >= 4.5
    assert all(contrast(line.dark, colours.SURFACE.dark) >= 3 for line in LINES)
    for shot in (a_shot(a_run()), a_shot(a_run(), a_run())):
        for item in texts(draw_progress(shot)):
            shade = item.colour
            assert isinstance(shade, Shade) and all(contrast(shade[p], colours.SURFACE[p]) >= 4.5 for p in (0, 1))


def test_the_picture_is_told_in_words() -> None:
    told = describe(a_shot(a_run()))
    assert told == (
        "Training loss fell from 0.69 at step 10 to 0.39 at step 310. "
        "Evaluation loss fell from 0.61 at step 100 to 0.58 at step 300. "
        "Evaluation MCC rose from 0.3 at step 100 to 0.66 at step 300. "
        "The best evaluation is at step 200, with MCC 0.72. "
        "Evaluation at step 300: of 173 that are non-coding these were said: 149 non-coding, 24 coding; "
        "of 77 that are coding these were said: 52 non-coding, 25 coding. "
        "3 checkpoints, the last at step 300."
    )
    assert draw_progress(a_shot(a_run())).title == "Learning: loss 0.41"
    compared = describe(a_shot(a_run(name="a"), a_run(name="b", points=[], evaluations=[], checkpoints=[])))
    assert compared.startswith("2 runs are compared. a: Training loss fell") and compared.endswith("b: no numbers yet.")
    assert describe(a_shot()) == "No loss and no evaluation yet."


def test_the_table_has_every_evaluation_and_marks_the_best() -> None:
    run = a_run(test=an_evaluation(375, 0.5, 0.61, epoch=5.0))
    run["evaluations"][0]["values"]["loss"] = None
    del run["evaluations"][0]["values"]["accuracy"]
    [table] = progress_tables(a_shot(run))
    assert list(table.header) == ["step", "epoch", "loss", "MCC", "accuracy", ""]
    assert [list(row) for row in table.rows] == [
        [100, 100 / 75, "nan", 0.3, None, ""],
        [200, 200 / 75, 0.55, 0.72, 0.7, "best"],
        [300, 4.0, 0.58, 0.66, 0.7, ""],
        [375, 5.0, 0.5, 0.61, 0.7, "test after training"],
    ]
    assert progress_tables(a_shot()) == progress_tables(a_shot(a_run(evaluations=[]))) == []


@pytest.mark.parametrize("best", [3, 25])
def test_of_many_evaluations_the_last_thirty_are_listed_and_the_best(best: int) -> None:
    done = [an_evaluation(step, 0.5, 0.5, best=step == best) for step in range(1, 41)]
    [table] = progress_tables(a_shot(a_run(evaluations=done)))
    rows = [list(row) for row in table.rows]
    assert [row[0] for row in rows] == ([3] if best == 3 else []) + [None, *range(11, 41)]
    left_out = rows[1 if best == 3 else 0]
    assert left_out[-1] == f"{9 if best == 3 else 10} earlier evaluations are left out"
    assert [row[0] for row in rows if row[-1] == "best"] == [best]
    [short] = progress_tables(a_shot(a_run(evaluations=done[:30])))
    assert len(short.rows) == 30


def test_compared_runs_are_rows_and_their_different_settings_stand_side_by_side() -> None:
    shot = a_shot(a_run(name="a"), a_run(name="b", evaluations=[]))
    shot["settings"].update(
        rows=[["rate", "3e-05", "1e-4"], ["seed", "1", "1"], ["epochs", "5", "3"]], different=[0, 2]
    )
    runs, settings = progress_tables(shot)
    assert list(runs.header) == [
        "run", "steps", "last training loss", "best evaluation MCC", "at step", "evaluation loss there",
    ]  # fmt: skip
    assert [list(row) for row in runs.rows] == [
        ["a", 310, pytest.approx(0.39), 0.72, 200, 0.55],
        ["b", 310, pytest.approx(0.39), None, None, None],
    ]
    assert [row[0] for row in settings.rows] == ["rate", "epochs"] and list(settings.header) == ["setting", "a", "b"]
    shot["settings"]["different"] = []
    assert progress_tables(shot)[1].rows == [["All settings are the same."]]
    shot["metrics"] = []
    header, row = progress_tables(shot)[0].header, progress_tables(shot)[0].rows[0]
    assert list(header)[3:] == ["best evaluation loss", "at step"] and list(row)[3:] == [0.55, 200]
