"""A run in words: title, line and doing for each phase, how it ended, what a failure means."""

from __future__ import annotations

import math
from typing import Any

import pytest
from told import CHAPTER, ended, evaluated, logged, phase, saved, start, stepped

from biollm_widgets.runs import words
from biollm_widgets.runs.log import RunLog


def run_of(*events: dict[str, Any], **given: Any) -> RunLog:
    return RunLog().take_all([start(**given), *events])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "not known"), (math.nan, "not a number"), (-math.inf, "not a number"), (0.0, "0.00"), (0.4142, "0.41"),
        (-0.5, "−0.50"), (12.345, "12.35"), (123.4, "123"), (0.01234, "0.0123"), (3e-5, "3e−05"), (-2e-5, "−2e−05"),
    ],
)  # fmt: skip
def test_numbers_are_as_long_as_they_say_something(value: float | None, said: str) -> None:
    assert words.number(value) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0:00"), (21.4, "0:21"), (59.7, "1:00"), (725, "12:05"), (12000, "3:20:00")]
)
def test_a_time_is_that_of_a_clock(seconds: float, said: str) -> None:
    assert words.clock(seconds) == said


def test_scores_are_called_what_people_call_them() -> None:
    assert words.name_of("matthews_correlation") == words.name_of("mcc") == "MCC"
    assert words.name_of("macro_f1") == "F1" and words.name_of("top_5_accuracy") == "top 5 accuracy"


BEST = (evaluated(20, 0.5, mcc=0.6), evaluated(40, 0.4, mcc=0.7))
WORSE = (evaluated(20, 0.4, mcc=0.7), evaluated(40, 0.5, mcc=0.6))


@pytest.mark.parametrize(
    ("events", "given", "title"),
    [
        ((), {"steps": 1375}, "Starting: 1,375 steps planned"),
        ((), {"steps": None}, "Starting"),
        ((logged(10, 0.666),), {}, "Learning: loss 0.67"),
        ((logged(10, 0.666), BEST[0]), {}, "Learning: loss 0.67, evaluation MCC 0.60 (step 20)"),
        (BEST, {"metric": "mcc"}, "Learning: evaluation MCC 0.70 (best so far, step 40)"),
        (BEST, {}, "Learning: evaluation MCC 0.70 (step 40, best so far by loss)"),
        (WORSE, {"metric": "mcc"}, "Learning: evaluation MCC 0.60 (step 40; 0.70 at step 20, best so far)"),
        (WORSE, {}, "Learning: evaluation MCC 0.60 (step 40; 0.70 at step 20, best so far by loss)"),
        ((evaluated(20, 0.5),), {}, "Learning: evaluation loss 0.50 (step 20)"),
        ((logged(10, math.nan),), {}, "Learning: loss not a number"),
        ((logged(30, 0.5), phase("paused", 30)), {}, "Paused at step 30 of 100: loss 0.50"),
        ((logged(30, 0.5), ended("stopped", 31)), {}, "Stopped at step 31 of 100: loss 0.50"),
        ((ended("failed", 31),), {}, "Training broke off at step 31 of 100"),
        (
            (*BEST, evaluated(100, 0.4, during=False, mcc=0.55), ended("finished", 100)), {"metric": "mcc"},
            "Finished at step 100 of 100: evaluation MCC 0.70 at step 40, the best, test MCC 0.55",
        ),
        (
            (BEST[0], ended("finished", 100)), {},
            "Finished at step 100 of 100: evaluation MCC 0.60 at step 20, the only one",
        ),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)  # fmt: skip
def test_the_title_is_the_finding(events: tuple, given: dict, title: str) -> None:
    assert words.title(run_of(*events, **given)) == title


def test_before_anything_is_trained_the_title_says_so() -> None:
    assert words.title(RunLog()) == "Nothing has been trained yet" and words.line(RunLog()) == ""
    assert words.doing(RunLog()) == ""


def test_the_line_says_where_it_is_how_fast_how_long_and_how_much_memory() -> None:
    log = run_of(epochs=4.0)
    assert words.line(log) == "step 0 of 100"
    log.take(stepped(20, 10.0, 160, tokens=20_000, epoch=0.8, memory=2.1e9, memory_of="CPU", memory_all=8e9))
    log.take(stepped(25, 12.0, 200, tokens=25_000, epoch=1.0, memory=2.1e9, memory_of="CPU", memory_all=8e9))
    assert words.line(log) == ("step 25 of 100 · epoch 1.0 of 4 · 20 samples/s · 2,500 tokens/s · 0:30 left · 2.1 GB")
    log.take(stepped(26, 12.4, 203, epoch=1.0, memory=3e9, memory_of="GPU", memory_all=80e9))
    assert words.line(log).endswith("3.0 of 80 GB on the GPU") and "tokens" not in words.line(log)
    log.take(ended("stopped", 26))
    assert "left" not in words.line(log) and " · in 0:12 · " in words.line(log)


def test_what_goes_on_is_said_where_that_is_not_simply_training() -> None:
    assert words.doing(run_of()) == ""
    evaluating = run_of(stepped(20, 1.0), phase("evaluating", 20, done=12, of=40))
    assert words.doing(evaluating) == "Evaluating at step 20: 12 of 40 batches."
    assert words.doing(evaluating, stopping=True).endswith(
        "Training stops when this evaluation is done, with a checkpoint."
    )
    assert words.doing(run_of(stepped(20, 1.0), phase("evaluating", 20, done=3))) == "Evaluating at step 20."
    assert words.doing(run_of(stepped(20, 1.0), phase("saving", 20))) == "Saving a checkpoint at step 20."
    assert words.doing(run_of(phase("paused", 20))).startswith("Paused. The model waits in memory")
    assert words.doing(run_of(), stopping=True) == "Stopping after the step at hand, with a checkpoint."
    best = run_of(evaluated(20, 0.5), saved(20))
    assert words.doing(best) == "Best so far by evaluation loss: step 20 (0.50), kept in out/checkpoint-20."
    assert words.doing(run_of(evaluated(20, 0.5))).endswith("of which no checkpoint is kept.")
    assert words.doing(run_of(evaluated(20, 0.5), ended("finished", 100))) == ""


def test_a_stop_says_where_everything_is_and_which_weights_the_model_holds() -> None:
    plain = words.end_of(312, 1375, True, "out/checkpoint-312", None)
    assert plain["state"] == "stopped" and plain["checkpoint"] == "out/checkpoint-312"
    assert plain["words"] == ["Stopped at step 312 of 1,375. Everything to go on with is in out/checkpoint-312."]
    replaced = words.end_of(312, 1375, True, "out/checkpoint-312", 300, "mcc")["words"]
    assert replaced[1] == (
        "load_best_model_at_end: the model in memory now has the weights of step 300, the best by MCC, not those of "
        "step 312; those are in out/checkpoint-312 alone."
    )
    assert words.end_of(312, 1375, True, "out/checkpoint-312", 312)["words"] == plain["words"]


def test_an_end_that_nobody_here_asked_for_is_no_stop() -> None:
    early = words.end_of(312, 1375, False, None, 300)
    assert early["state"] == "finished" and "early stopping" in early["words"][0]
    assert early["words"][1].endswith("not those of step 312, which are gone.")
    done = words.end_of(1375, 1375, True, None, None)  # asked for at the last step
    assert done["state"] == "finished" and done["words"] == ["All 1,375 steps are done."]
    assert "The last weights are in out/checkpoint-9" in words.end_of(9, 9, False, "out/checkpoint-9", None)["words"][0]


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            "smaller per_device_train_batch_size (now 8)",
        ),
        (MemoryError(), "Memory ran out at step 30."),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: out of memory"), "restart the kernel"),
        (IndexError("Target 2 is out of bounds."), "A label is not one of the model's classes (IndexError: Target 2"),
        (RuntimeError("CUDA error: device-side assert triggered"), "whole numbers from 0 up to num_labels - 1"),
        (OSError(28, "No space left on device"), "The disk is full. Free some space"),
        (KeyboardInterrupt(), "Interrupted before the step at hand was done"),
        (ValueError("a\n  strange   thing"), "ValueError: a strange thing"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
    ids=["cuda", "memory", "cpu", "label", "assert", "disk", "interrupt", "other", "bare"],
)
def test_a_failure_is_said_in_words_with_what_to_do_and_what_is_left(error: BaseException, said: str) -> None:
    log = run_of(stepped(30, 1.0), settings={"per_device_train_batch_size": 8})
    told = words.failure(error, log)
    assert said in " ".join(told) and told[-1] == "No checkpoint had been written."
    log.take(saved(20))
    assert words.failure(error, log)[-1] == "The last checkpoint is out/checkpoint-20."
    assert words.failure(error, RunLog())  # before the run began


def test_the_chapters_matrix_leads_the_title_by_its_mcc() -> None:
    log = run_of(logged(10, 0.6), evaluated(20, 0.5, confusion=CHAPTER))
    assert words.title(log) == "Learning: loss 0.60, evaluation MCC 0.22 (step 20)"


def test_a_stop_without_a_checkpoint_says_where_it_was_looked_for() -> None:
    (said,) = words.end_of(20, 100, True, None, None)["words"]
    assert said == (
        "Stopped at step 20 of 100. No checkpoint of step 20 was found: it was looked for as checkpoint-20 in the "
        "run's folder (output_dir)."
    )
    (said,) = words.end_of(20, 100, True, None, None, looked_for="out/checkpoint-20")["words"]
    assert said.endswith("it was looked for as out/checkpoint-20.")


def test_batches_of_which_the_first_is_not_counted_yet_are_no_batches() -> None:
    assert words.doing(run_of(phase("evaluating", 20, done=None, of=5))) == "Evaluating at step 20."


def test_epochs_without_an_end_are_not_written_out() -> None:
    assert words.line(run_of(logged(10, 0.5), epochs=None)) == "step 10 of 100 · epoch 0.4"
