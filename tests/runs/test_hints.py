"""Hints: each comes with the run it is made for, with its numbers, and is silent on a healthy one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from told import CHAPTER, ended, evaluated, logged, saved, start

from biollm_widgets.runs.hints import RULES, hints, hints_by_rule
from biollm_widgets.runs.log import RunLog


def run_of(*events: dict[str, Any], **given: Any) -> RunLog:
    return RunLog().take_all([start(labels=["non-coding", "coding"], **given), *events])


def falling(end: int = 40, first: float = 0.7, last: float = 0.4) -> list[dict[str, Any]]:
    losses = np.linspace(first, last, end // 2)
    return [logged(2 * n + 2, float(loss), grad_norm=1.0) for n, loss in enumerate(losses)]


GOOD = [[150, 23], [20, 57]]


def test_a_healthy_run_gets_none() -> None:
    log = run_of(
        *falling(), evaluated(10, 0.65, confusion=[[140, 33], [20, 57]]), evaluated(20, 0.55, confusion=GOOD),
        evaluated(30, 0.56, confusion=GOOD), evaluated(40, 0.5, confusion=GOOD), saved(40),
        eval_strategy="steps", eval_steps=10,
    )  # fmt: skip
    assert hints(log) == []
    assert hints(RunLog()) == [] and hints(run_of()) == []


def test_each_rule_has_a_name_by_which_its_hint_stays_the_same_one() -> None:
    assert len({rule.__name__ for rule in RULES}) == len(RULES)
    assert list(hints_by_rule(run_of(logged(5, math.nan)))) == ["not_a_number"]


def test_a_loss_that_is_no_number_says_since_when_and_where_to_go_back_to() -> None:
    events = [logged(5, 0.6), logged(10, 0.5), logged(15, math.nan), logged(20, math.inf), saved(10), saved(18)]
    (said,) = hints(run_of(*events, settings={"learning_rate": 0.1}))
    assert "not a number since step 15" in said and "go back to out/checkpoint-10" in said and "(now 0.1)" in said
    (said,) = hints(run_of(logged(5, math.nan), settings={"fp16": True}))
    assert "since step 5" in said and "start again" in said and "bf16 instead of fp16" in said
    assert hints(run_of(*events, logged(25, 0.5))) == []  # it came back


def test_gradients_that_are_none_are_seen_behind_a_loss_that_the_trainer_mends() -> None:
    bad = [logged(5 * n, 0.6, grad_norm=math.nan) for n in range(1, 4)]
    (said,) = hints(run_of(*bad))
    assert "gradient is not a number" in said and "logging_nan_inf_filter" in said
    assert hints(run_of(*bad[:2], logged(15, 0.6, grad_norm=1.0))) == []
    assert hints(run_of(*bad[:2])) == []


def test_evaluation_loss_that_rises_twice_while_training_loss_falls_is_memorising() -> None:
    events = [*falling(), evaluated(10, 0.5), evaluated(20, 0.55), evaluated(30, 0.6)]
    (said,) = hints(run_of(*events))
    assert "risen for two evaluations (0.50, 0.55, 0.60)" in said and "best so far is step 10" in said
    assert hints(run_of(*events[:-1])) == []
    assert hints(run_of(*events, evaluated(40, 0.58))) == []


def test_evaluation_loss_that_rises_with_training_loss_is_no_memorising() -> None:
    events = [*falling(first=0.5, last=0.55), evaluated(10, 0.5), evaluated(20, 0.55), evaluated(30, 0.6)]
    assert hints(run_of(*events)) == []


def test_one_more_than_by_always_saying_the_commonest_class_is_no_gain() -> None:
    (said,) = hints(run_of(evaluated(20, 0.5, confusion=CHAPTER)))
    assert "174 of 250 rows are right, 1 more than by always saying non-coding (173)" in said
    assert "MCC 0.22" in said and "would move that by about 7" in said


def test_fewer_or_exactly_as_many_right_are_called_that() -> None:
    (fewer,) = hints(run_of(evaluated(20, 0.5, confusion=[[100, 73], [40, 37]])))
    assert "137 of 250 rows are right, 36 fewer than" in fewer and "would move" not in fewer
    (level,) = hints(run_of(evaluated(20, 0.5, confusion=[[150, 23], [54, 23]])))
    assert "173 of 250 rows are right, exactly as many as" in level


def test_one_answer_for_every_row_is_named() -> None:
    (said,) = hints(run_of(evaluated(20, 0.5, confusion=[[173, 0], [77, 0]])))
    assert "every row was called non-coding, which is right for 69% of them: MCC is 0" in said
    (said,) = hints(run_of(evaluated(20, 0.5, confusion=[[0, 173], [0, 77]])))
    assert "every row was called coding, which is right for 31%" in said


def test_the_newest_matrix_counts_and_a_clear_gain_is_no_hint() -> None:
    assert hints(run_of(evaluated(20, 0.5, confusion=CHAPTER), evaluated(40, 0.4, confusion=GOOD))) == []
    assert hints(run_of(evaluated(20, 0.5, confusion=[[0, 0], [0, 0]]))) == []
    assert hints(run_of(evaluated(20, 0.5, confusion=[[7]]))) == []


def test_training_loss_that_climbs_is_said() -> None:
    (said,) = hints(run_of(*falling(first=0.5, last=1.5)))
    assert "climbed from 0.55 to 1.45" in said
    assert hints(run_of(*falling(first=0.5, last=0.6))) == []
    assert hints(run_of(*falling(end=10, first=0.5, last=1.5))) == []  # too few lines for a trend


def test_evaluations_rarer_than_the_run_is_long_are_said_while_something_can_be_done() -> None:
    log = run_of(steps=100, eval_strategy="steps", eval_steps=200)
    assert "eval_steps (200) is more than the 100 steps" in hints(log)[0]
    assert hints(run_of(steps=300, eval_strategy="steps", eval_steps=200)) == []
    assert hints(run_of(steps=100, eval_strategy="epoch")) == []


def test_the_best_of_one_evaluation_is_the_best_by_being_the_only_one() -> None:
    events = [*falling(), evaluated(30, 0.5, confusion=GOOD), ended("finished", 40)]
    (said,) = hints(run_of(*events, steps=40, best_at_end=True))
    assert "one evaluation, at step 30 of 40" in said
    assert hints(run_of(*events, steps=40)) == []
    assert hints(run_of(*events[:-1], evaluated(40, 0.4, confusion=GOOD), events[-1], best_at_end=True)) == []


@pytest.mark.parametrize("lines", [1, 2, 9, 10, 11])
def test_any_number_of_lines_is_enough_for_the_rules_to_hold(lines: int) -> None:
    losses = [0.5, math.nan, math.inf, None, -1.0, 0.0]
    events = [logged(n + 1, losses[n % len(losses)], grad_norm=math.nan) for n in range(lines)]
    hints(run_of(*events, evaluated(1), evaluated(2, math.nan), evaluated(3, confusion=CHAPTER)))


def test_nobody_is_sent_back_to_a_checkpoint_that_is_gone() -> None:
    events = [logged(5, 0.6), saved(5), logged(10, 0.5), saved(10, kept=[10]), logged(15, math.nan)]
    (said,) = hints(run_of(*events))
    assert "go back to out/checkpoint-10" in said
    (said,) = hints(run_of(*events, saved(20, kept=[20])))
    assert "start again" in said and "go back" not in said
