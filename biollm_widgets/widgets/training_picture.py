"""The static picture of a training run, or of several that are compared: small charts on one axis of steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from biollm_widgets.widgets import colours, training_marks
from biollm_widgets.widgets.axes import Axis, axis_of, fitted, number, said, step_axis, wide, wrapped
from biollm_widgets.widgets.colours import Colour
from biollm_widgets.widgets.confusion_picture import Confusion
from biollm_widgets.widgets.picture import Picture
from biollm_widgets.widgets.training_marks import BAND, DASH, LINE, LINES, SHAPES, WORDS, Entry, Legend
from biollm_widgets.widgets.training_words import (
    Run,
    Shot,
    best_of,
    called,
    describe,
    evaluations,
    last_step,
    leading,
    losses,
    newest_confusion,
    progress_tables,
    value_of,
)

__all__ = ["describe", "draw_progress", "progress_tables"]

# CSS pixels, on a grid of 4.
MARGIN = 12
LEAST = 280  # a narrower picture has no room for a curve
NARROW = 560
HEAD = 20  # the title of a chart
GAP = 16  # between charts; checkpoints lie in it
HEIGHTS = {"loss": 168, "metric": 96, "rate": 40}
BEYOND = 16  # right of the axis, for half of its last number
ENDS = 76  # for words at the ends of curves
BESIDE = 24  # between the charts and the confusion matrix
FEW = 12  # pixels from evaluation to evaluation that full markers need

Place = tuple[float, float]


def draw_progress(shot: Shot, width: float = 760) -> Picture:
    """Draw loss, leading metric and learning rate by step, and the newest confusion matrix of a single run.

    Parameters
    ----------
    shot : mapping
        What a page draws of a run, see `training_words`. Of the runs in it each has its own hue and marker.
    width : float
        CSS pixels, at least 280. Below 560 the matrix lies under the charts.

    Returns
    -------
    Picture
        As high as it needs to be. Its title is the shot's, which is not drawn; its description tells it in words.
    """
    return _Drawing(shot, max(float(width), LEAST)).picture


@dataclass
class _Chart:
    """One of the small charts; the axis is there once it is known where the chart lies."""

    kind: str
    title: str
    axis: Axis


class _Drawing:
    """One call of `draw_progress`; `y` is where the next thing goes."""

    def __init__(self, shot: Shot, width: float) -> None:
        self.shot = shot
        self.runs: Sequence[Run] = shot.get("runs") or []
        self.compared = len(self.runs) > 1
        self.metric = leading(shot)
        self.picture = Picture(math.ceil(width), 0, str(shot.get("title") or ""), describe(shot))
        self.right = self.picture.width - MARGIN
        self.y = 8.0
        drawn = [run for run in self.runs if run.get("points") or evaluations(run)]
        if drawn:
            self.draw()
        else:
            self.say_empty()
        self.picture.height = math.ceil(self.y + 8)

    def say_empty(self) -> None:
        phase = self.shot.get("phase", "idle")
        words = "No loss has been logged yet; the curves begin with the first line."
        if phase == "idle":
            words = "Nothing has been trained yet. Start with"
        elif phase in ("stopped", "finished", "failed"):
            words = "This run ended before it logged a loss."
        for line in wrapped(words, self.right - MARGIN, 13):
            self.picture.text(MARGIN, self.y + 16, line, colour=colours.QUIET)
            self.y += 20
        if phase == "idle":
            self.picture.text(MARGIN, self.y + 16, "await progress.fit(trainer)", code=True, anchor="start")
            self.y += 20

    def draw(self) -> None:
        top = self.y
        matrix = self.confusion()
        across = matrix.width() if matrix else 0
        beside = matrix is not None and self.right - MARGIN - across - BESIDE >= 340
        if beside:
            self.right -= across + BESIDE
        # Words at the ends of the curves, where there is room; else a legend tells them.
        self.direct = not self.compared and self.right - MARGIN >= 340
        first = MARGIN + math.ceil(wide("loss", 13, True) / 4) * 4 + 16
        legend = Legend(self.entries(self.charts(top)[0].axis.log), MARGIN, first, self.right)
        self.picture.text(MARGIN, top + 12, "loss", weight=600)
        legend.draw(self.picture, top + 12)
        charts = self.charts(top + HEAD + (legend.lines - 1) * LINE)
        ticks = [words for chart in charts for _, words in chart.axis.ticks]
        gutter = max([wide("step", 11), *(wide(words, 11) for words in ticks)]) + 8
        self.left = MARGIN + math.ceil(gutter / 4) * 4
        self.x = self.steps()
        self.mark_best_step(charts)
        for chart in charts:
            self.frame(chart)
            for index, run in enumerate(self.runs):
                self.curves(chart, index, run)
            if chart.kind == "loss":
                self.marks(chart)
            if self.direct:
                self.labels(chart)
        self.y = charts[-1].axis.start
        self.step_ticks()
        if matrix and beside:
            self.y = max(self.y, matrix.draw(self.picture, self.right + BESIDE, top))
        elif matrix:
            self.y = matrix.draw(self.picture, MARGIN, self.y + GAP)

    def confusion(self) -> Optional[Confusion]:
        found = newest_confusion(self.runs[0]) if len(self.runs) == 1 else None
        if found is None:
            return None
        return Confusion(found[0], self.runs[0].get("labels"), found[1], self.right - MARGIN)

    # Charts and their axes

    def charts(self, y: float) -> list[_Chart]:
        """The charts that have something to show, from `y` downwards."""
        points = [point for run in self.runs for point in run.get("points") or []]
        done = [evaluation for run in self.runs for evaluation in evaluations(run)]
        loss = [number(point[2]) for point in points] + [value_of(e, "loss") for e in done]
        loss += [number(value) for run in self.runs if _thinned(run) for point in run["points"] for value in point[3:5]]
        rate = [number(point[5]) for point in points]
        wanted = [("loss", "loss", loss, 5)]
        metric = [value_of(e, self.metric) for e in done]
        if self.metric != "loss" and any(value is not None for value in metric):
            wanted.append(("metric", called(self.shot, self.metric), metric, 4))
        if any(value is not None for value in rate):
            wanted.append(("rate", "learning rate", rate, 2))
        charts: list[_Chart] = []
        for kind, title, values, most in wanted:
            y += (HEAD + GAP) if charts else 0
            bottom = y + HEIGHTS[kind]
            axis = axis_of(values, bottom, y, most, may_log=kind == "loss")
            charts.append(_Chart(kind, title, axis))
            y = bottom
        return charts

    def steps(self) -> Axis:
        firsts = [number(point[0]) or 0 for run in self.runs for point in (run.get("points") or [])[:1]]
        firsts += [e["step"] for run in self.runs for e in evaluations(run)[:1]]
        last = max(last_step(run) for run in self.runs)
        planned = max(number(self.shot.get("steps")) or 0, last, 1)
        self.end = self.right - BEYOND
        if self.direct:
            # Words stand behind the last step; what is still to be trained is room for them.
            low = step_axis(min(firsts), planned, 0, 1).low
            done = (last - low) / max(1, planned - low)
            self.end = min(self.end, self.left + (self.right - ENDS - self.left) / max(done, 0.1))
        return step_axis(min(firsts), planned, self.left, self.end)

    def frame(self, chart: _Chart) -> None:
        picture, axis = self.picture, chart.axis
        if chart.kind != "loss":
            self.title(chart)
        for value, words in axis.ticks:
            y = axis(value)
            picture.line(self.left, y, self.end, y, colour=colours.HAIRLINE)
            picture.text(self.left - 8, y + 4, words, size=11, colour=colours.QUIET, anchor="end")
        picture.line(self.left, axis.start, self.end, axis.start, colour=colours.EDGE)

    def title(self, chart: _Chart) -> None:
        y = chart.axis.end - 8
        room = self.right - MARGIN
        title = fitted(chart.title, room * 0.6, 13, True)
        self.picture.text(MARGIN, y, title, weight=600)
        if chart.kind != "metric":
            return
        x = MARGIN + wide(title, 13, True) + 16
        best = best_of(self.runs[0])
        words = ""
        if self.compared and any(best_of(run) for run in self.runs):
            words = "best of each run"
        elif best is not None:
            value = value_of(best, self.metric)
            words = f"best{'' if value is None else ' ' + said(value)} at step {best['step']:,}"
        tested = None if self.compared else value_of(self.runs[0].get("test") or {}, self.metric)
        if tested is not None:
            words += f"{' · ' if words else ''}test {said(tested)}"
        if words.startswith("best"):
            training_marks.ring(self.picture, x + 5, y - 4, 5)
            x += 16
        self.picture.text(x, y, fitted(words, self.right - x, 11), size=11, colour=colours.QUIET)

    def step_ticks(self) -> None:
        y = self.y + 20
        self.picture.text(self.left - 8, y, "step", size=11, colour=colours.QUIET, anchor="end")
        for value, words in self.x.ticks:
            self.picture.line(self.x(value), self.y, self.x(value), self.y + 4, colour=colours.EDGE)
            # A wide number under the very left would meet the word.
            if self.x(value) - wide(words, 11) / 2 >= self.left - 4:
                self.picture.text(self.x(value), y, words, size=11, colour=colours.QUIET, anchor="middle")
        self.y = y

    # Curves

    def curves(self, chart: _Chart, index: int, run: Run) -> None:
        hue = index % len(LINES)
        if chart.kind == "rate":
            rates = [((point[0] + point[1]) / 2, number(point[5])) for point in run.get("points") or []]
            self.curve(chart, rates, LINES[hue] if self.compared else colours.QUIET, 1.5)
            return
        told = [(e["step"], value_of(e, chart.kind if chart.kind == "loss" else self.metric)) for e in evaluations(run)]
        if chart.kind == "loss":
            self.band(chart, run, hue)
            points = losses(run)
            self.curve(chart, points, LINES[hue], 2 if len(points) <= 150 else 1.5)
        evaluation = hue if self.compared else 1
        self.curve(chart, told, LINES[evaluation], 2, DASH)
        shown = [(step, value) for step, value in told if value is not None]
        self.markers(chart, shown, evaluation, SHAPES[index % len(SHAPES)] if self.compared else SHAPES[0])
        self.ring(chart, run)

    def curve(
        self, chart: _Chart, points: Iterable[tuple[float, Optional[float]]], colour: Colour, thick: float,
        dash: Optional[Place] = None,
    ) -> None:  # fmt: skip
        """A line that is broken where there is no value; what stands alone is a dot."""
        pieces: list[list[Place]] = [[]]
        for step, value in points:
            if value is None:
                pieces.append([])
            else:
                pieces[-1].append((self.x(step), chart.axis(value)))
        self.picture.path(pieces, colour=colour, thick=thick, dash=dash)
        for piece in pieces:
            if len(piece) == 1:
                self.picture.circle(*piece[0], 2.5, fill=colour)

    def band(self, chart: _Chart, run: Run, hue: int) -> None:
        """From the lowest to the highest loss behind each point, where a point is the mean of several."""
        if not _thinned(run):
            return
        stretch: list[tuple[float, float, float]] = []
        for point in [*(run.get("points") or []), None]:
            low, high = (number(point[3]), number(point[4])) if point else (None, None)
            if point and low is not None and high is not None and number(point[2]) is not None:
                stretch.append((self.x((point[0] + point[1]) / 2), chart.axis(low), chart.axis(high)))
                continue
            upper, lower = [(x, high) for x, _, high in stretch], [(x, low) for x, low, _ in reversed(stretch)]
            self.picture.area([*upper, *lower], fill=LINES[hue], opacity=BAND)
            stretch = []

    def markers(self, chart: _Chart, points: Sequence[tuple[float, float]], hue: int, shape: str) -> None:
        if not points:
            return
        apart = (self.x(points[-1][0]) - self.x(points[0][0])) / max(1, len(points) - 1)
        size = 4.0 if apart >= FEW or len(points) == 1 else 2.5
        if apart < 5 and len(points) > 1:
            points = points[-1:]  # more would hide the line
        for step, value in points:
            training_marks.marker(self.picture, self.x(step), chart.axis(value), size, LINES[hue], shape)

    def ring(self, chart: _Chart, run: Run) -> None:
        best = best_of(run)
        value = value_of(best, "loss" if chart.kind == "loss" else self.metric) if best else None
        if best is not None and value is not None and (chart.kind == "metric" or not self.compared or self.lone()):
            training_marks.ring(self.picture, self.x(best["step"]), chart.axis(value))

    def lone(self) -> bool:
        """Whether evaluations have nothing but a loss."""
        return self.metric == "loss"

    def mark_best_step(self, charts: Sequence[_Chart]) -> None:
        """A line through all charts of a single run, at the step of its best evaluation."""
        best = None if self.compared else best_of(self.runs[0])
        if best is None:
            return
        x = self.x(best["step"])
        for chart in charts:
            self.picture.line(x, chart.axis.end, x, chart.axis.start, colour=colours.EDGE, dashed=True)

    def marks(self, chart: _Chart) -> None:
        """Checkpoints under the axis of the loss; a cross on it where the loss is not a number."""
        y = chart.axis.start
        saved = {self.x(number(step) or 0) for run in self.runs for step in run.get("checkpoints") or []}
        for x in _apart(sorted(saved), 8):
            training_marks.checkpoint(self.picture, x, y + 1)
        for index, run in enumerate(self.runs):
            hue = index % len(WORDS)
            lost = [self.x(step) for step, loss in losses(run) if loss is None]
            wrong = [self.x(e["step"]) for e in evaluations(run) if _lost(e)]
            for places, colour in ((lost, WORDS[hue]), (wrong, WORDS[hue if self.compared else 1])):
                for x in _apart(places, 8):
                    training_marks.cross(self.picture, x, y - 4, colour)

    # Words

    def labels(self, chart: _Chart) -> None:
        """The newest value at the end of each curve, one clear of the other."""
        run = self.runs[0]
        metric = self.metric if chart.kind == "metric" else "loss"
        curves = [("evaluation", WORDS[1], [(e["step"], value_of(e, metric)) for e in evaluations(run)])]
        if chart.kind == "loss":
            curves.append(("training", WORDS[0], losses(run)))
        if chart.kind == "rate":
            curves = [("", colours.QUIET, [(point[1], number(point[5])) for point in run.get("points") or []])]
        ends = [(name, colour, end) for name, colour, points in curves for end in [_last(points)] if end]
        if not ends:
            return
        tall = 28 if chart.kind == "loss" else 16
        top, bottom = chart.axis.end, chart.axis.start
        x = 12 + max(self.x(step) for _, _, (step, _) in ends)
        places = _spread([chart.axis(value) for _, _, (_, value) in ends], tall, top, bottom)
        for (name, colour, (_, value)), y in zip(ends, places, strict=True):
            # No line of the grid goes through the words; the axis stays whole.
            across = min(max(wide(said(value), 13, True), wide(name, 11)), self.end - x)
            if across > 0:
                above = y - tall / 2
                deep = min(above + tall, bottom - 1) - above
                self.picture.rectangle(x - 4, above, across + 4, deep, fill=colours.SURFACE)
            if chart.kind == "loss":
                self.picture.text(x, y - 4, name, size=11, colour=colour)
                self.picture.text(x, y + 11, said(value), colour=colour, weight=600)
            else:
                size, weight = (13, 600) if chart.kind == "metric" else (11, 400)
                self.picture.text(x, y + 4, said(value), size=size, colour=colour, weight=weight)

    def entries(self, log: bool) -> list[Entry]:
        """What the legend tells: nothing that the drawing does not have."""
        runs = self.runs
        found = [Entry("log", "logarithmic scale")] if log else []
        if self.compared:
            found += [Entry("run", str(run.get("name", "")), i) for i, run in enumerate(runs)]
        if not self.direct:
            if any(run.get("points") for run in runs):
                found.append(Entry("training", "training", -1 if self.compared else 0))
            if any(evaluations(run) for run in runs):
                found.append(Entry("evaluation", "evaluation", -1 if self.compared else 1))
        every = {run["every"] for run in runs if _thinned(run)}
        if every:
            many = f"{min(every):,.0f}" if len(every) == 1 else "several"
            found.append(Entry("band", f"lowest to highest of {many} log lines"))
        if any(run.get("checkpoints") for run in runs):
            found.append(Entry("checkpoint", "checkpoint"))
        lost = any(loss is None for run in runs for _, loss in losses(run))
        if lost or any(_lost(e) for run in runs for e in evaluations(run)):
            found.append(Entry("cross", "not a number"))
        return found


def _thinned(run: Run) -> bool:
    """Whether a point is the mean of several, and so has a lowest and a highest one behind it."""
    return bool(run.get("points")) and (number(run.get("every")) or 1) > 1


def _lost(evaluation: Mapping[str, Any]) -> bool:
    """Whether there is a loss that is not a number."""
    return "loss" in (evaluation.get("values") or {}) and value_of(evaluation, "loss") is None


def _last(points: Sequence[tuple[float, Optional[float]]]) -> Optional[tuple[float, float]]:
    """The last point that has a value."""
    return next(((step, value) for step, value in reversed(points) if value is not None), None)


def _apart(places: Iterable[float], gap: float) -> list[float]:
    """Those of the rising places that are at least a gap from the one before."""
    kept: list[float] = []
    for place in places:
        if not kept or place - kept[-1] >= gap:
            kept.append(place)
    return kept


def _spread(places: Sequence[float], tall: float, low: float, high: float) -> list[float]:
    """The places (at most two), moved apart until things of this height round them do not meet, inside low to high."""
    low, high = low + tall / 2, high - tall / 2
    held = [min(max(place, low), high) for place in places]
    if len(held) == 2 and abs(held[0] - held[1]) < tall:
        first = 0 if places[0] <= places[1] else 1
        middle = min(max(sum(held) / 2, low + tall / 2), high - tall / 2)
        held[first], held[1 - first] = middle - tall / 2, middle + tall / 2
    return held
