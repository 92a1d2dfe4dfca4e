"""A Trainer for the time of one run: the same weights as ever, and afterwards it is as it was."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import warm
from small_trainer import At, checkpoints, same, weights
from transformers import PrinterCallback, ProgressCallback
from transformers.utils.notebook import NotebookProgressCallback

from biollm_widgets.runs.pausing import Pause
from biollm_widgets.runs.quiet import no_bars_of_loading, without_bars
from biollm_widgets.runs.session import Session, Watch
from biollm_widgets.runs.stopping import StopRequest

EVERY = {"eval_strategy": "steps", "eval_steps": 3, "save_strategy": "steps", "save_steps": 3}
BEST = {"load_best_model_at_end": True, "metric_for_best_model": "loss", "greater_is_better": True}


@pytest.fixture
def watched() -> Callable[..., tuple[list[dict[str, Any]], Watch]]:
    """Train under a session; what was told."""

    def train(trainer: Any, stop_at: int = 0, pause: Any = None) -> tuple[list[dict[str, Any]], Watch]:
        events: list[dict[str, Any]] = []
        asked = threading.Event()
        watch = Watch(events.append, StopRequest(asked), pause or Pause(), lambda path: f"go on from {path}")
        trainer.add_callback(At(stop_at, asked.set))
        with Session(trainer, watch):
            trainer.train()
        return events, watch

    return train


def state_of(trainer: Any) -> tuple[Any, ...]:
    handler = trainer.callback_handler
    return list(handler.callbacks), trainer.compute_metrics, dict(trainer.__dict__).get("training_step")


@pytest.mark.parametrize("bars", [True, False], ids=["bar", "no-bar"])
def test_afterwards_the_trainer_is_as_it_was(bars: bool, make_trainer: Any, watched: Any) -> None:
    trainer = make_trainer(disable_tqdm=not bars, **EVERY)
    at = At(0, lambda: None)
    trainer.add_callback(at)
    before = state_of(trainer)
    watch = Watch(lambda event: None, StopRequest(), Pause(), str)
    with Session(trainer, watch):
        inside = trainer.callback_handler.callbacks
        assert not any(isinstance(one, (PrinterCallback, ProgressCallback)) for one in inside)
        assert inside[-2:] == watch.callbacks and at in inside
        trainer.train()
    assert state_of(trainer) == before


def test_it_is_also_as_it_was_when_training_breaks_off(make_trainer: Any) -> None:
    trainer = make_trainer(callbacks=[At(2, lambda: 1 / 0)], save_total_limit=1)
    before = state_of(trainer)
    with pytest.raises(ZeroDivisionError), Session(trainer, Watch(lambda event: None, StopRequest(), Pause(), str)):
        trainer.train()
    assert state_of(trainer) == before


@pytest.mark.parametrize("name", ["agree", "attach"])
def test_it_is_also_as_it_was_when_it_could_not_be_watched(
    name: str, make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer()
    before = state_of(trainer)
    watch = Watch(lambda event: None, StopRequest(), Pause(), str)
    monkeypatch.setattr(watch if name == "agree" else watch.recorder, name, lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError), Session(trainer, watch):
        raise AssertionError("not reached")
    assert state_of(trainer) == before


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_what_a_stop_borrowed_is_given_back_however_training_is_left(
    error: type[BaseException], make_trainer: Any
) -> None:
    asked = threading.Event()

    def leave() -> None:
        raise error

    # In the evaluation of the step of the stop: when it has borrowed, and nothing is saved yet.
    trainer = make_trainer(
        callbacks=[At(3, asked.set), At(3, leave, evaluating=True)],
        **{**EVERY, **BEST, "save_strategy": "best", "save_total_limit": 1, "save_only_model": True},
    )
    with pytest.raises(error), Session(trainer, Watch(lambda event: None, StopRequest(asked), Pause(), str)):
        trainer.train()
    args = trainer.args
    assert (args.save_total_limit, args.save_only_model, args.save_strategy) == (1, True, "best")


def test_what_a_stop_borrowed_is_given_back_when_training_breaks_off(
    make_trainer: Any, watched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(save_total_limit=1, **EVERY)
    monkeypatch.setattr(type(trainer), "_save_checkpoint", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        watched(trainer, stop_at=2)
    assert trainer.args.save_total_limit == 1


def test_the_weights_are_those_of_a_training_that_nobody_watches(make_trainer: Any, watched: Any) -> None:
    plain = make_trainer("plain", **EVERY)
    plain.train()
    seen = make_trainer("seen", **EVERY)
    watched(seen)
    assert same(weights(plain.model), weights(seen.model))
    losses = [[e for e in one.state.log_history if "eval_loss" in e] for one in (plain, seen)]
    assert [e["eval_loss"] for e in losses[0]] == [e["eval_loss"] for e in losses[1]]


def test_a_finished_run_says_so_and_what_the_model_holds(make_trainer: Any, watched: Any, tmp_path: Path) -> None:
    events, _ = watched(make_trainer(**EVERY))
    end = events[-1]
    assert end["event"] == "end" and end["state"] == "finished" and end["holds"] == 12 and end["resume"] is None
    assert end["words"] == [f"All 12 steps are done. The last weights are in {tmp_path / 'out' / 'checkpoint-12'}."]
    events, _ = watched(make_trainer("none"))
    assert events[-1]["words"] == ["All 12 steps are done."] and events[-1]["checkpoint"] is None


def test_a_stopped_run_says_where_everything_is_and_the_line_that_goes_on(
    make_trainer: Any, watched: Any, tmp_path: Path
) -> None:
    events, watch = watched(make_trainer(**EVERY), stop_at=4)
    place = str(tmp_path / "out" / "checkpoint-4")
    end = events[-1]
    assert (end["state"], end["step"], end["checkpoint"], end["holds"]) == ("stopped", 4, place, 4)
    assert end["resume"] == f"go on from {place}" and f"Everything to go on with is in {place}." in end["words"][0]
    assert watch.guard.stopped_at == 4
    saved = [event["step"] for event in events if event["event"] == "checkpoint"]
    assert saved == [3, 4]


def test_a_stop_at_the_last_step_is_a_finished_run(make_trainer: Any, watched: Any) -> None:
    events, _ = watched(make_trainer(**EVERY), stop_at=12)
    assert events[-1]["state"] == "finished" and events[-1]["resume"] is None


def test_the_best_weights_in_the_place_of_the_stopped_ones_are_explained(
    make_trainer: Any, watched: Any, tmp_path: Path
) -> None:
    trainer = make_trainer(**{**EVERY, **BEST, "save_total_limit": 1})
    scores = iter([3.0, 2.0, 1.0])
    trainer.compute_metrics = lambda _: {"loss": next(scores)}
    events, _ = watched(trainer, stop_at=8)
    end = events[-1]
    assert end["holds"] == 3 and "load_best_model_at_end" in end["words"][1] and "step 3" in end["words"][1]
    assert f"those are in {tmp_path / 'out' / 'checkpoint-8'} alone" in end["words"][1]
    assert checkpoints(tmp_path / "out") == [3, 8] and trainer.args.save_total_limit == 1
    from safetensors.torch import load_file

    held, three = weights(trainer.model), load_file(tmp_path / "out" / "checkpoint-3" / "model.safetensors")
    assert all((held[name] == three[name]).all() for name in three)


def test_early_stopping_is_no_stop_of_ours(make_trainer: Any, watched: Any) -> None:
    from transformers import EarlyStoppingCallback

    trainer = make_trainer(**{**EVERY, **BEST}, callbacks=[EarlyStoppingCallback(1)])
    scores = iter([3.0, 2.0, 1.0, 0.5])
    trainer.compute_metrics = lambda _: {"loss": next(scores)}
    events, watch = watched(trainer)
    assert events[-1]["state"] == "finished" and events[-1]["step"] == 6 and watch.guard.stopped_at is None
    assert "a callback asked for it" in events[-1]["words"][0]


def test_a_pause_holds_the_steps_and_a_stop_ends_it(make_trainer: Any) -> None:
    pause, asked, events = Pause(), threading.Event(), []
    watch = Watch(events.append, StopRequest(asked), pause, str)
    trainer = make_trainer(callbacks=[At(2, lambda: (pause.pause(), threading.Timer(0.4, asked.set).start()))])
    with Session(trainer, watch):
        trainer.train()
    assert trainer.state.global_step == 2 and events[-1]["state"] == "stopped"
    assert ("paused", 2) in [(event.get("phase"), event.get("step")) for event in events]


def test_bars_are_told_from_other_callbacks() -> None:
    at = At(0, lambda: None)
    assert without_bars([PrinterCallback(), at, ProgressCallback(), NotebookProgressCallback()]) == [at]


@pytest.mark.parametrize("shown", [True, False])
def test_transformers_own_bars_are_silent_meanwhile_and_as_before_afterwards(shown: bool) -> None:
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled()
    (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
    try:
        with no_bars_of_loading():
            assert not logging.is_progress_bar_enabled()
        assert logging.is_progress_bar_enabled() is shown
    finally:
        (logging.enable_progress_bar if before else logging.disable_progress_bar)()


TWO = """
import sys
sys.path.insert(0, {tests!r})
from small_trainer import At, small_trainer
from biollm_widgets.widgets.training_progress import TrainingProgress
progress = TrainingProgress()
given = dict(num_train_epochs=60, eval_strategy="steps", eval_steps=10, logging_steps=5)
if {callback}:
    trainer = small_trainer({out!r}, callbacks=[progress.callback], disable_tqdm=True, **given)
    if trainer.args.process_index == 0:
        trainer.callback_handler.callbacks.insert(0, At(25, progress.stop))
    trainer.train()
else:
    trainer = small_trainer({out!r}, **given)
    progress.fit_sync(trainer)
print(f"rank {{trainer.args.process_index}} of {{trainer.args.world_size}} ended at {{trainer.state.global_step}}",
      flush=True)
print("state", progress.state, "evaluations", len(progress.to_frame()), flush=True)
"""


def two_processes(folder: Path, callback: bool) -> warm.Process:
    code = TWO.format(tests=str(Path(warm.__file__).parent), out=str(folder / "out"), callback=callback)
    return warm.Process("-c", code, folder=folder, count=2)


def one_whole_checkpoint(run: warm.Process, out: Path) -> tuple[int, str]:
    """After the end: the step at which both stopped, and what was written to stderr."""
    said, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors
    ended = dict(re.findall(r"rank (\d) of 2 ended at (\d+)", said))
    assert set(ended) == {"0", "1"} and len(set(ended.values())) == 1
    step = int(ended["0"])
    assert checkpoints(out) == [step] and 20 <= step < 180
    names = {place.name for place in (out / f"checkpoint-{step}").iterdir()}
    assert {"model.safetensors", "optimizer.pt", "rng_state_0.pth", "rng_state_1.pth", "progress.json"} <= names
    assert sorted(re.findall(r"state (\w+) evaluations", said)) == ["idle", "stopped"]  # the first one alone is told
    return step, errors


@pytest.mark.slow
def test_two_processes_have_one_bar_and_stop_at_one_step_with_one_whole_checkpoint(
    shared_data: Path, tmp_path: Path
) -> None:
    run = two_processes(tmp_path, callback=False)
    deadline = time.monotonic() + 200
    while "Step 20: evaluation" not in run.said()[1]:
        assert run.poll() is None and time.monotonic() < deadline, run.said()
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    step, errors = one_whole_checkpoint(run, tmp_path / "out")
    assert errors.count("Step 10: evaluation") == 1 and errors.count(f"Stopped at step {step} of ") == 1
    assert errors.count("To go on: progress.fit_sync(") == 1


@pytest.mark.slow
def test_a_stop_that_reaches_one_of_two_processes_stops_both_with_the_callback_too(
    shared_data: Path, tmp_path: Path
) -> None:
    step, _ = one_whole_checkpoint(two_processes(tmp_path, callback=True), tmp_path / "out")
    assert step == 25
