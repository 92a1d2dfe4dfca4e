"""The shot of training runs and its news: what a page has drawn is at every moment what a whole shot would draw."""

from __future__ import annotations

import copy
import json
import math
import random
import time
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="The widgets need anywidget (make test installs it).")

from told import CHAPTER, ended, evaluated, logged, phase, printed, saved, start, stepped

from biollm_widgets.runs.log import RunLog
from biollm_widgets.widgets import training_sheet
from biollm_widgets.widgets.training_sheet import EVALUATIONS, POINTS, RANGE, TrainingSheet


def strict(message: Any) -> Any:
    """As it arrives in a page; a number that is none would not get through."""
    return json.loads(json.dumps(message, allow_nan=False))


class Page:
    """What a page that hears every message has."""

    def __init__(self, sheet: TrainingSheet) -> None:
        self.sheet, self.shot, self.messages = sheet, strict(sheet.shot()), []

    def hear(self) -> Any:
        message = self.sheet.news()
        if message is None:
            return None
        message = strict(message)
        self.messages.append(message)
        assert set(message) in ({"news"}, {"fresh"})
        if "fresh" in message:
            self.shot = copy.deepcopy(message["fresh"])
            return message
        news = dict(message["news"])
        assert news["serial"] == self.shot["serial"] + 1
        for name in ("points", "evaluations"):
            if name in news:
                run, first, items = news.pop(name)
                assert first <= len(self.shot["runs"][run][name])
                self.shot["runs"][run][name][first:] = items
        for name in ("checkpoints", "test", "every"):
            if name in news:
                run, value = news.pop(name)
                self.shot["runs"][run][name] = value
        if "said" in news:
            first, items = news.pop("said")
            self.shot["said"][first:] = items
        assert not set(news) & {"runs", "settings", "kind"}
        self.shot.update(news)
        return message

    def check(self) -> None:
        assert self.shot == strict(self.sheet.shot())


def sheet_of(*events: dict[str, Any], **given: Any) -> TrainingSheet:
    return TrainingSheet([RunLog().take_all([start(**given), *events])])


def run_of(name: str, *events: dict[str, Any], **given: Any) -> RunLog:
    return RunLog(name).take_all([start(**given), *events])


def test_news_hold_what_changed_and_nothing_else() -> None:
    sheet = sheet_of(logged(1, 0.5), labels=["no", "yes"])
    page = Page(sheet)
    assert set(page.hear()) == {"fresh"} and page.hear() is None
    sheet.log.take(logged(2, 0.25, learning_rate=1e-5))
    news = page.hear()["news"]
    assert news.pop("points") == [0, 0, [[1, 1, 0.5, 0.5, 0.5, None, None], [2, 2, 0.25, 0.25, 0.25, 1e-5, None]]]
    assert set(news) == {"serial", "title", "line", "share"}
    sheet.log.take(evaluated(2, 0.4, confusion=CHAPTER))
    news = page.hear()["news"]
    assert news["evaluations"][:2] == [0, 0] and len(news["evaluations"][2]) == 1 and "points" not in news
    sheet.log.take(saved(2))
    assert page.hear()["news"]["checkpoints"] == [0, [2]]
    sheet.log.take(printed("a word"))
    assert page.hear()["news"] == {"serial": 5, "said": [0, ["a word"]]}
    sheet.log.take(printed("another"))
    assert page.hear()["news"] == {"serial": 6, "said": [1, ["another"]]}
    sheet.log.take(phase("evaluating", 2, done=3, of=9))
    assert set(page.hear()["news"]) == {"serial", "phase", "doing"}
    page.check()
    assert page.hear() is None


def test_of_ten_thousand_lines_a_message_holds_a_few_points() -> None:
    sheet = sheet_of(*(logged(n, 0.5) for n in range(1, 10_001)), steps=20_000)
    page = Page(sheet)
    page.hear()
    sizes = []
    for n in range(10_001, 10_201):
        sheet.log.take(logged(n, 0.4))
        sizes.append(len(json.dumps(page.hear())))
    page.check()
    assert max(sizes) < 500


@pytest.mark.parametrize("points", [4, 16, pytest.param(POINTS, marks=pytest.mark.slow)])
def test_a_page_that_hears_the_news_has_the_whole_at_every_step_also_when_points_join(
    points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_sheet, "POINTS", points)
    sheet = sheet_of(steps=2000)
    page = Page(sheet)
    rng = random.Random(7)
    joined = set()
    for step in range(1, 3 * points + 60):
        loss = rng.choice([0.5, 0.4, math.nan, math.inf, None, 3.0])
        sheet.log.take(
            logged(step, loss, learning_rate=rng.choice([1e-5, math.nan]), grad_norm=rng.choice([1, math.inf]))
        )
        if rng.random() < 0.7:
            page.hear()
            page.check()
            joined.add(page.shot["runs"][0]["every"])
    page.hear()
    page.check()
    assert len(page.shot["runs"][0]["points"]) <= points and {1, 2, 4} <= joined


class Tale:
    """A run as real ones go: evaluations, saves, prints, pauses, a kill and going on, a test, a second run."""

    def __init__(self, seed: int) -> None:
        self.rng, self.step, self.time = random.Random(seed), 0, 0.0

    def event(self) -> dict[str, Any]:
        rng = self.rng
        self.time += 0.3
        kind = rng.random()
        if kind < 0.02:
            self.step = 0 if rng.random() < 0.3 else self.step // 2
            return start(step=self.step, steps=rng.choice([None, 400, 1000]), labels=rng.choice([None, ["a", "b"]]))
        if kind < 0.03:
            past = [logged(n, 0.5) for n in range(1, rng.randrange(2, 40))]
            return {"event": "history", "time": 0.0, "events": [*past, evaluated(1, 0.5), saved(1)]}
        if kind < 0.04:
            return ended(
                rng.choice(["stopped", "finished", "failed"]), self.step, "A word.", resume=rng.choice(["x()", None])
            )
        if kind < 0.12:
            matrix = rng.choice([None, CHAPTER, [[0, 0], [0, 0]], [[1, 2, 0], [0, 4, 0], [1, 1, 1]]])
            value = rng.choice([0.5, 0.4, math.nan, math.inf])
            return evaluated(self.step, value, rng.random() < 0.8, accuracy=rng.random(), confusion=matrix)
        if kind < 0.16:
            return saved(self.step, best_step=rng.choice([None, 5]))
        if kind < 0.22:
            return printed(rng.choice(["a word", "two\nlines", "", "<b>"]))
        if kind < 0.27:
            return phase(
                rng.choice(["training", "evaluating", "saving", "paused"]), self.step, done=3, of=rng.choice([None, 9])
            )
        self.step += rng.randrange(1, 4)
        if kind < 0.4:
            memory = {"memory": 2e9, "memory_of": "GPU", "memory_all": 8e10}
            return stepped(self.step, self.time, self.step * 8, tokens=rng.choice([None, 9]), **memory)
        return logged(self.step, rng.choice([0.5, 0.4, 1.2, math.nan]), learning_rate=1e-5, grad_norm=2.0)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_the_page_has_what_the_whole_shot_has(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_sheet, "POINTS", 24)
    monkeypatch.setattr(training_sheet, "EVALUATIONS", 12)
    tale = Tale(seed)
    sheet = TrainingSheet([RunLog("coding")])
    page = Page(sheet)
    for number in range(500):
        sheet.log.take(tale.event())
        if number in (200, 300):
            other = Tale(number)
            sheet.runs = [*sheet.runs, RunLog(f"other {number}").take_all(other.event() for _ in range(100))]
        if number == 400:
            del sheet.runs[1]
        if number == 350:
            sheet.begin()
        if tale.rng.random() < 0.05:
            sheet.steered, sheet.stopping, sheet.pausing = (tale.rng.random() < 0.5 for _ in range(3))
        if tale.rng.random() < 0.5:
            page.hear()
            page.check()
            runs = page.shot["runs"]
            assert sum(len(run["points"]) for run in runs) <= 24
            assert sum(len(run["evaluations"]) for run in runs) <= 12
    assert sum("news" in message for message in page.messages) > 150


def test_a_page_that_missed_a_message_can_tell_by_the_serial() -> None:
    sheet = sheet_of()
    page = Page(sheet)
    page.hear()
    sheet.log.take(logged(1, 0.5))
    sheet.news()  # lost
    sheet.log.take(logged(2, 0.5))
    assert strict(sheet.news())["news"]["serial"] == page.shot["serial"] + 2
    assert strict(sheet.pulse())["news"] == {"serial": page.shot["serial"] + 3}
    assert sheet.shot()["serial"] == page.shot["serial"] + 3


def test_a_hundred_thousand_lines_are_a_shot_in_well_under_a_second() -> None:
    events = [logged(n, 1 / n, learning_rate=1e-5, grad_norm=1.0) for n in range(1, 100_001)]
    evaluations = [evaluated(n, 0.5, confusion=CHAPTER) for n in range(50, 100_001, 50)]
    sheet = sheet_of(*events, *evaluations, steps=100_000, labels=["no", "yes"])
    began = time.process_time()
    shot = sheet.shot()
    taken = time.process_time() - began
    assert taken < 0.7
    (run,) = shot["runs"]
    assert POINTS // 2 < len(run["points"]) <= POINTS and len(run["evaluations"]) <= EVALUATIONS
    assert run["points"][0][0] == 1 and run["points"][-1][1] == 100_000 and run["every"] == 256
    assert run["points"][0][4] == 1.0 and run["points"][-1][3] == 1e-5
    assert run["evaluations"][-1]["step"] == 100_000 and sum(one["best"] for one in run["evaluations"]) == 1
    assert len(json.dumps(strict(shot))) < 100_000
    sheet.news()
    sheet.log.take(logged(100_001, 0.5))
    began = time.process_time()
    sheet.news()
    assert time.process_time() - began < 0.2


def test_of_many_evaluations_the_best_and_the_newest_are_kept() -> None:
    events = [evaluated(n, 0.5 if n != 777 else 0.1) for n in range(1, 1001)]
    shown = sheet_of(*events).shot()["runs"][0]["evaluations"]
    assert len(shown) <= EVALUATIONS and shown[0]["step"] == 1 and shown[-1]["step"] == 1000
    assert [one["step"] for one in shown if one["best"]] == [777]
    assert [one["step"] for one in shown] == sorted(one["step"] for one in shown)


def test_a_stretch_is_as_fine_as_there_is_room_for() -> None:
    sheet = sheet_of(*(logged(n, 0.5) for n in range(1, 10_001)))
    near = sheet.stretch(0, 100, 200)
    assert near["every"] == 1 and [point[0] for point in near["points"]] == list(range(99, 202))
    far = sheet.stretch(0, 0, 1e9)
    assert len(far["points"]) <= RANGE and far["every"] == 16
    assert sheet.stretch(0, 20_000, 30_000)["points"][-1][1] == 10_000
    assert TrainingSheet([RunLog()]).stretch(0, 0, 10) == {"every": 1, "points": []}


@pytest.mark.parametrize(
    ("state", "buttons"),
    [
        ("training", ["pause", "stop"]),
        ("evaluating", ["pause", "stop"]),
        ("saving", ["pause", "stop"]),
        ("paused", ["go_on", "stop"]),
    ],
)
def test_buttons_are_those_that_do_something(state: str, buttons: list[str]) -> None:
    sheet = sheet_of(phase(state, 1))
    assert sheet.shot()["buttons"] == []  # nobody here trains
    sheet.steered = True
    assert sheet.shot()["buttons"] == buttons
    sheet.pausing = True
    assert sheet.shot()["buttons"] == ["go_on", "stop"]
    sheet.stopping = True
    assert sheet.shot()["buttons"] == [] and sheet.shot()["phase"] == "stopping"
    sheet.log.take(ended("stopped", 1))
    sheet.stopping = sheet.pausing = False
    assert sheet.shot()["buttons"] == [] and sheet.shot()["phase"] == "stopped"


def test_an_end_is_a_notice_with_the_line_to_run() -> None:
    sheet = sheet_of(ended("stopped", 40, "Stopped at step 40.", resume="await progress.fit(trainer)"))
    assert sheet.shot()["notice"] == {
        "kind": "stopped", "words": ["Stopped at step 40."], "code": "await progress.fit(trainer)"
    }  # fmt: skip
    silent = sheet_of()
    silent.notice = {"kind": "silent", "words": ["Nothing new."], "code": ""}
    assert silent.shot()["notice"] == silent.notice
    silent.log.take(ended("finished", 100))
    assert silent.shot()["notice"] == silent.notice  # an end without words says nothing of its own


def test_compared_runs_are_named_by_the_best_of_them() -> None:
    a = run_of("a", evaluated(20, 0.5, mcc=0.6), settings={"learning_rate": 3e-5, "seed": 1})
    b = run_of("b", evaluated(40, 0.4, mcc=0.7), settings={"learning_rate": 1e-4, "seed": 1})
    shot = TrainingSheet([a, b]).shot()
    assert shot["kind"] == "compare" and shot["title"] == "Best of 2 runs is b: evaluation MCC 0.70 at step 40"
    assert shot["settings"]["header"] == ["setting", "a", "b"] and shot["settings"]["different"] == [0]
    assert shot["settings"]["rows"] == [["learning_rate", "3e-05", "0.0001"], ["seed", "1", "1"]]
    assert shot["hints"] == [] and shot["buttons"] == []
    level = run_of("c", evaluated(30, 0.4, mcc=0.7))
    assert TrainingSheet([b, level]).title == "b and c are level: evaluation MCC 0.70"
    none = run_of("d")
    assert TrainingSheet([a, none]).title.endswith("; the other has no evaluation")
    assert TrainingSheet([a, none, none]).title.endswith("; the others have no evaluation")
    assert TrainingSheet([none, none]).title == "2 runs beside each other, none of them evaluated"


def test_losses_are_compared_the_other_way_round() -> None:
    a, b = run_of("a", evaluated(20, 0.5)), run_of("b", evaluated(40, 0.4), evaluated(60, math.nan))
    assert TrainingSheet([a, b]).title == "Best of 2 runs is b: evaluation loss 0.40 at step 40"


def test_a_test_after_training_stands_by_itself() -> None:
    sheet = sheet_of(evaluated(20, 0.5), ended("finished", 100), labels=["no", "yes"])
    page = Page(sheet)
    page.hear()
    sheet.log.take(evaluated(100, 0.3, during=False, confusion=CHAPTER))
    news = page.hear()["news"]
    assert news["test"][1]["confusion"] == CHAPTER and news["test"][1]["best"] is False and "evaluations" not in news
    page.check()


def test_of_what_was_printed_a_page_keeps_the_same_last_lines() -> None:
    sheet = sheet_of()
    page = Page(sheet)
    page.hear()
    for n in range(450):
        sheet.log.take(printed(f"line {n}"))
        if n % 70 == 0 or n in (199, 200, 201):
            page.hear()
            page.check()
    page.hear()
    page.check()
    assert len(page.shot["said"]) == 200 and page.shot["said"][-1] == "line 449"


def test_the_page_waits_for_a_word_only_of_a_run_that_somebody_speaks_for() -> None:
    sheet = TrainingSheet([RunLog().take_all([start(), logged(1, 0.5)])])
    assert sheet.shot()["live"] is False  # laid over or replayed: nobody sends anything
    sheet.steered = True
    assert sheet.shot()["live"] is True
    sheet.log.take(ended("finished", 1))
    assert sheet.shot()["live"] is False


def test_matrices_of_many_classes_do_not_make_a_message_of_megabytes() -> None:
    log = RunLog().take_all([start()])
    matrix = [[1] * 100 for _ in range(100)]
    for step in range(1, 101):
        log.take(evaluated(step, confusion=matrix, loss=0.5 if step > 3 else 0.1))
    evaluations = TrainingSheet([log]).shot()["runs"][0]["evaluations"]
    shown = [one["step"] for one in evaluations if one["confusion"]]
    assert shown == [1, 99, 100]  # the best, and the newest two
    assert len(json.dumps(evaluations)) < 200_000
