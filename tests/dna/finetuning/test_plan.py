"""The plan: how many steps and evaluations, with its traps said before the run."""

from __future__ import annotations

import pytest

from biollm_widgets.dna.finetuning.arguments import settle
from biollm_widgets.dna.finetuning.plan import make_plan


def planned(steps_an_epoch: int, **flags):
    _, training, _ = settle({"data_path": "x", **flags})
    return make_plan(training, steps_an_epoch)


def test_the_chapters_run_has_one_evaluation_and_the_plan_says_what_that_means():
    plan = planned(75, num_train_epochs=5, eval_steps=200)
    assert (plan.steps, plan.evaluations) == (375, [200])
    (warning,) = plan.warnings
    assert "Only one evaluation" in warning and "checkpoint-200" in warning and "epoch 2.7 of 5" in warning
    assert len(planned(75, num_train_epochs=5, eval_steps=75).evaluations) == 5


@pytest.mark.parametrize(
    ("flags", "steps", "evaluations"),
    [
        ({"max_steps": 23, "eval_steps": 10}, 23, [10, 20]),
        ({"num_train_epochs": 2.5, "eval_strategy": "epoch"}, 25, [10, 20, 25]),
        ({"num_train_epochs": 2, "eval_strategy": "no"}, 20, []),
        ({"num_train_epochs": 2, "eval_steps": 0.25}, 20, [5, 10, 15, 20]),
        ({"num_train_epochs": 2, "eval_steps": 5, "eval_delay": 8}, 20, [10, 15, 20]),
    ],
)
def test_steps_and_evaluations_follow_the_flags(flags, steps, evaluations):
    plan = planned(10, warmup_steps=1, **flags)
    assert (plan.steps, plan.evaluations) == (steps, evaluations)


def test_a_run_too_short_for_its_warm_up_or_an_evaluation_is_told_so():
    plan = planned(10, eval_steps=100, warmup_steps=50)
    assert "never gets to" in plan.warnings[0]
    assert "No evaluation takes place" in plan.warnings[1]
