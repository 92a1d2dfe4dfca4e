"""What the events of a run add up to, in any order that real files have."""

from __future__ import annotations

import math
from typing import Any

import pytest
from told import CHAPTER, ended, evaluated, logged, phase, printed, saved, start, stepped

from biollm_widgets.runs.log import RunLog
from biollm_widgets.scores import macro_f1


def log_of(*events: dict[str, Any]) -> RunLog:
    return RunLog().take_all(events)


def losses(log: RunLog) -> list[tuple[int, float]]:
    return list(zip(log.lines.step, log.lines.loss, strict=True))


def test_before_its_first_event_a_run_is_idle_and_knows_nothing() -> None:
    log = RunLog()
    assert log.phase == "idle" and not log.running
    assert (log.name, log.steps, log.loss, log.labels, log.metrics, log.lead) == ("", None, None, [], [], "loss")
    assert (log.best, log.speed, log.seconds_left, log.active) == (None, (None, None), None, None)


def test_a_kind_of_event_of_a_newer_version_changes_nothing() -> None:
    log = log_of(start(), {"event": "weather", "time": 9.0, "step": 50}, {"no": "event"})
    assert log.step == 0 and log.time == 0.0


def test_a_run_that_was_killed_and_goes_on_from_a_checkpoint_tells_the_steps_after_it_once() -> None:
    log = log_of(
        start(),
        *(logged(step, 1 / step) for step in (10, 20, 30, 40)),
        evaluated(20, 0.6),
        evaluated(40, 0.5),
        saved(20, best_step=20),
        saved(40, best_step=40),
        start(step=20, resumed_from="out/checkpoint-20"),
        logged(30, 0.9),
    )
    assert losses(log) == [(10, 0.1), (20, 0.05), (30, 0.9)]
    assert [one.step for one in log.evaluations] == [20] and [one.step for one in log.checkpoints] == [20]
    assert log.best.step == 20
    assert log.phase == "training" and log.running


def test_a_run_that_begins_anew_in_the_same_file_leaves_nothing_of_the_one_before() -> None:
    log = log_of(
        start(), logged(10, 0.5), evaluated(10, 0.5), saved(10), printed("old"), evaluated(10, 0.4, during=False),
        ended("finished", 10), start(), logged(10, 0.7),
    )  # fmt: skip
    assert losses(log) == [(10, 0.7)]
    assert (log.evaluations, log.tests, log.checkpoints, list(log.said), log.end) == ([], [], [], [], None)


def test_what_was_found_before_a_run_went_on_stands_in_place_of_all_that_was_told() -> None:
    log = log_of(
        start(), logged(10, 0.5), evaluated(10, 0.5), ended("stopped", 10),
        {"event": "history", "time": 0.0, "events": [logged(5, 0.8), evaluated(5, 0.7), saved(5)]},
        start(step=5), logged(10, 0.6),
    )  # fmt: skip
    assert losses(log) == [(5, 0.8), (10, 0.6)]
    assert [one.step for one in log.evaluations] == [5] and log.path_of(5) == "out/checkpoint-5"


def test_the_same_evaluation_told_twice_is_one() -> None:
    log = log_of(start(), evaluated(20, 0.5, accuracy=0.7), evaluated(20, 0.4, accuracy=0.8, confusion=CHAPTER))
    (only,) = log.evaluations
    assert only.values["loss"] == 0.4 and only.values["accuracy"] == 0.8 and only.confusion == CHAPTER


def test_several_sets_of_rows_at_one_step_are_one_evaluation_led_by_the_first() -> None:
    other = [[3, 1], [1, 3]]
    log = log_of(
        start(),
        evaluated(20, None, coding_loss=0.5, coding_runtime=3.0, coding_samples_per_second=2.0, confusion=CHAPTER),
        evaluated(20, None, other_loss=0.7, other_runtime=3.0, confusion=other),
    )
    (only,) = log.evaluations
    assert only.values["loss"] == 0.5 and only.values["coding_loss"] == 0.5 and only.values["other_loss"] == 0.7
    assert only.confusion == CHAPTER and only.values["accuracy"] == 174 / 250
    assert not any(name.endswith(("runtime", "second")) for name in only.values)


def test_scores_come_from_the_matrix_where_the_run_logged_none() -> None:
    (one,) = log_of(start(), evaluated(20, 0.5, confusion=CHAPTER)).evaluations
    assert one.values["accuracy"] == 174 / 250
    assert one.values["matthews_correlation"] == pytest.approx((25 * 149 - 24 * 52) / math.sqrt(49 * 77 * 173 * 201))
    assert one.values["f1"] == pytest.approx(float(macro_f1(CHAPTER)))
    (own,) = log_of(start(), evaluated(20, 0.5, mcc=0.9, acc=0.8, f1=0.7, confusion=CHAPTER)).evaluations
    assert own.values == {"loss": 0.5, "mcc": 0.9, "acc": 0.8, "f1": 0.7}


def test_a_matrix_without_any_row_breaks_nothing() -> None:
    (one,) = log_of(start(), evaluated(20, 0.5, confusion=[[0, 0], [0, 0]])).evaluations
    assert one.values == {"loss": 0.5}


def test_how_fast_and_how_long_it_went_is_no_score() -> None:
    log = log_of(start(), evaluated(20, 0.5, accuracy=0.7, runtime=3.0, samples_per_second=5.0, steps_per_second=1.0))
    assert log.metrics == ["accuracy"]


def test_a_test_after_training_is_no_evaluation_to_choose_by() -> None:
    log = log_of(start(), evaluated(20, 0.5), ended("finished", 100), evaluated(100, 0.1, during=False))
    assert [one.step for one in log.evaluations] == [20] and [one.step for one in log.tests] == [100]
    assert log.best.step == 20 and log.phase == "finished"


def test_an_evaluation_after_the_end_leaves_it_ended() -> None:
    log = log_of(start(), ended("stopped", 40), phase("evaluating", 40), evaluated(40, 0.4, during=False))
    assert log.phase == "stopped" and not log.running and log.step == 40


@pytest.mark.parametrize(
    ("metric", "greater", "best"),
    [(None, True, 20), ("loss", False, 20), ("accuracy", True, 30), ("accuracy", False, 10), ("unknown", True, 20)],
)
def test_the_best_evaluation_is_chosen_as_the_trainer_chooses_the_first_of_equals(
    metric: str | None, greater: bool, best: int
) -> None:
    log = log_of(
        start(metric=metric, greater=greater),
        evaluated(10, 0.6, accuracy=0.5),
        evaluated(20, 0.5, accuracy=0.6),
        evaluated(30, 0.5, accuracy=0.8),
        evaluated(40, 0.7, accuracy=0.8),
        evaluated(50, math.nan, accuracy=math.nan),
    )
    assert log.best.step == best


def test_the_score_that_leads_is_the_one_that_the_run_chooses_by_else_mcc() -> None:
    found = evaluated(10, 0.6, speed=3.0, accuracy=0.5, f1=0.4, mcc=0.3)
    assert log_of(start(metric="accuracy"), found).metrics == ["accuracy", "mcc", "f1", "speed"]
    assert log_of(start(), found).lead == "mcc"
    assert log_of(start(metric="loss"), found).lead == "mcc"
    assert log_of(start(), evaluated(10, 0.6)).lead == "loss"


def test_a_loss_that_is_no_number_is_kept_as_such() -> None:
    log = log_of(start(), logged(10, math.nan), logged(20, math.inf, grad_norm=math.nan), logged(30, None))
    assert math.isnan(log.lines.loss[0]) and math.isinf(log.lines.loss[1]) and math.isnan(log.lines.loss[2])


def test_speed_is_that_of_the_last_twenty_seconds_and_time_left_that_of_the_whole_run_but_its_first_step() -> None:
    log = log_of(start(steps=100))
    log.take(stepped(1, 30.0, 8, tokens=100))  # the first step prepares much
    assert log.speed == (None, None) and log.seconds_left is None
    for step in range(2, 42):
        log.take(stepped(step, 30.0 + step - 1, 8 * step, tokens=100 * step))
    assert log.speed == (pytest.approx(8.0), pytest.approx(100.0))
    assert log.seconds_left == pytest.approx(59.0)
    for step in range(42, 82):  # twice as fast from here
        log.take(stepped(step, 70 + (step - 41) / 2, 8 * step))
    assert log.speed[0] == pytest.approx(16.0) and log.speed[1] is None


def test_a_run_without_a_planned_end_has_no_time_left() -> None:
    log = log_of(start(steps=None), stepped(1, 1.0, 8), stepped(2, 2.0, 16))
    assert log.seconds_left is None and log.steps is None and log.speed[0] == 8


def test_training_goes_on_after_an_evaluation_at_its_next_step() -> None:
    log = log_of(start(), phase("evaluating", 10, done=3, of=8))
    assert (log.phase, log.done, log.of) == ("evaluating", 3, 8)
    log.take(stepped(11, 2.0))
    assert (log.phase, log.done, log.of) == ("training", None, None)


def test_a_pause_is_no_longer_one_when_it_says_so() -> None:
    log = log_of(start(), phase("paused", 10))
    assert log.phase == "paused"
    assert log_of(start(), phase("paused", 10), phase("training", 10)).phase == "training"


def test_of_what_was_printed_the_last_two_hundred_lines_are_kept() -> None:
    log = log_of(start(), *(printed(f"line {n}\nand more") for n in range(300)))
    assert len(log.said) == 200 and log.said_count == 600
    assert list(log.said)[-2:] == ["line 299", "and more"]


def test_classes_without_names_are_numbers() -> None:
    assert log_of(start(labels=None), evaluated(1, confusion=CHAPTER)).labels == ["0", "1"]
    assert log_of(start(labels=["no"]), evaluated(1, confusion=CHAPTER)).labels == ["no", "1"]
    assert log_of(start(labels=["no", "yes", "both"]), evaluated(1, confusion=CHAPTER)).labels == ["no", "yes", "both"]


def test_a_name_that_a_person_gave_goes_before_the_runs_own() -> None:
    assert RunLog("mine").take_all([start()]).name == "mine" and log_of(start()).name == "coding"


def test_a_hundred_thousand_lines_are_taken_in_seconds() -> None:
    import time

    log = log_of(start(steps=100_000))
    began = time.process_time()
    for step in range(1, 100_001):
        log.take(logged(step, 0.5, learning_rate=1e-5, grad_norm=1.0))
    assert time.process_time() - began < 3 and len(log.lines) == 100_000


def test_a_checkpoint_that_the_trainer_deleted_is_forgotten() -> None:
    log = log_of(start(), saved(10), saved(20), saved(30, kept=[20, 30]))
    assert [one.step for one in log.checkpoints] == [20, 30] and log.path_of(10) is None
    log.take(saved(40))  # in an older file nobody says which are left
    assert [one.step for one in log.checkpoints] == [20, 30, 40]
    log.take(ended("finished", 40, kept=[20]))
    assert [one.step for one in log.checkpoints] == [20]


def test_a_checkpoint_that_is_written_again_is_the_last_one() -> None:
    log = log_of(start(), saved(10, "a"), saved(20), saved(10, "b"))
    assert [one.path for one in log.checkpoints] == ["out/checkpoint-20", "b"] and log.path_of(10) == "b"


def test_speed_leaves_out_what_is_no_training_and_the_time_left_does_not() -> None:
    log = log_of(start(steps=100), stepped(1, 1.0, 8, tokens=10, training=1.0))
    log.take(stepped(11, 31.0, 88, tokens=110, training=11.0))  # twenty seconds of evaluating among them
    assert log.speed == (pytest.approx(8.0), pytest.approx(10.0))
    assert log.seconds_left == pytest.approx(3.0 * 89) and log.active == 31.0


def test_what_is_kept_as_events_come_is_what_a_look_through_all_of_them_finds() -> None:
    import random

    for seed in range(30):
        draw, log = random.Random(seed), RunLog()
        for _ in range(60):
            step = draw.randrange(1, 12)
            values = {
                name: draw.choice([0.1, 0.2, 0.3, math.nan]) for name in ("accuracy", "f1") if draw.random() < 0.6
            }
            matrix = draw.choice([None, CHAPTER, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]])
            found = evaluated(step, draw.choice([None, 0.5, 0.4]), draw.random() < 0.9, confusion=matrix, **values)
            past = {"event": "history", "time": 0.0, "events": [evaluated(1, 0.3, accuracy=0.2)]}
            metric = draw.choice([None, "accuracy", "f1", "loss"])
            again = start(step=draw.choice([0, 6]), metric=metric, greater=draw.random() < 0.5)
            log.take(draw.choices([found, again, past], [20, 2, 1])[0])
            fresh = RunLog(start=log.start, evaluations=log.evaluations, tests=log.tests)
            fresh._look_through()
            if draw.random() < 0.5:  # somebody looks now and then
                assert log.best is fresh.best
                assert log.chosen_by == fresh.chosen_by and set(log.metrics) == set(fresh.metrics)
                assert log.lead == fresh.lead
            if seed % 2:
                assert len(log.labels) == len(fresh.labels)
