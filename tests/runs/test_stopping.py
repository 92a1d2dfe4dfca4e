"""Stop by the Trainer's own way out: one checkpoint of the stopped step, nothing twice, and the run goes on from it."""

from __future__ import annotations

import copy
import json
import signal
import threading
from pathlib import Path
from typing import Any, Optional

import pytest
from small_trainer import At, Witness, checkpoints, same, small_trainer, weights
from transformers import TrainerCallback

from biollm_widgets.runs.stopping import StopAtStepEnd, StopRequest

SLOW = pytest.mark.slow

BY_STEPS = {"eval_strategy": "steps", "eval_steps": 5, "save_strategy": "steps", "save_steps": 5}
BY_THREES = {**BY_STEPS, "eval_steps": 3, "save_steps": 3}
BY_EPOCHS = {"eval_strategy": "epoch", "save_strategy": "epoch"}
BEST = {"save_strategy": "best", "metric_for_best_model": "score", "greater_is_better": True}
AT_END = {"load_best_model_at_end": True, "metric_for_best_model": "score", "greater_is_better": True}
TWICE = {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2}

# name: (settings, the step at which a stop is asked for, whether that is within its evaluation)
CASES: dict[str, tuple[dict[str, Any], int, bool]] = {
    "within-an-epoch": (BY_STEPS, 4, False),
    "first-step": (BY_STEPS, 1, False),
    "evaluation-due": (BY_STEPS, 5, False),
    "last-of-epoch-nothing-due": (BY_STEPS, 6, False),
    "last-of-epoch-due-by-steps": (BY_THREES, 6, False),
    "last-of-epoch-due-by-epoch": (BY_EPOCHS, 6, False),
    "within-an-epoch-by-epoch": (BY_EPOCHS, 4, False),
    "saves-by-epoch-evaluates-by-steps": ({**BY_EPOCHS, **BY_THREES, "save_strategy": "epoch"}, 6, False),
    "saves-by-steps-evaluates-by-epoch": ({**BY_THREES, "eval_strategy": "epoch"}, 6, False),
    "last-step-of-all": (BY_STEPS, 12, False),
    "last-step-of-all-by-epoch": (BY_EPOCHS, 12, False),
    "evaluating-within-an-epoch": (BY_STEPS, 5, True),
    "evaluating-at-an-epochs-end-by-steps": (BY_THREES, 6, True),
    "evaluating-at-an-epochs-end-by-epoch": (BY_EPOCHS, 6, True),
    "evaluating-without-a-save-due": ({**BY_THREES, "save_steps": 100}, 3, True),
    "evaluating-at-an-epochs-end-without-a-save-due": ({**BY_EPOCHS, "save_strategy": "no"}, 6, True),
    "saves-nothing": ({"save_strategy": "no"}, 4, False),
    "saves-nothing-evaluation-due": ({**BY_THREES, "save_strategy": "no"}, 3, False),
    "saves-nothing-last-of-epoch": ({**BY_EPOCHS, "save_strategy": "no"}, 6, False),
    "saves-weights-alone": ({**BY_STEPS, "save_only_model": True}, 4, False),
    "saves-weights-alone-when-due": ({**BY_THREES, "save_only_model": True}, 6, False),
    "saves-weights-alone-evaluating": ({**BY_STEPS, "save_only_model": True}, 5, True),
    "keeps-one-and-loads-the-best": ({**BY_THREES, **AT_END, "save_total_limit": 1}, 5, False),
    "keeps-one-when-due": ({**BY_THREES, **AT_END, "save_total_limit": 1}, 6, False),
    "keeps-one-evaluating": ({**BY_EPOCHS, **AT_END, "save_total_limit": 1, "num_train_epochs": 3}, 12, True),
    "keeps-two-and-loads-the-best": ({**BY_THREES, **AT_END, "save_total_limit": 2}, 8, False),
    "accumulates": ({**BY_STEPS, **TWICE}, 4, False),
    "accumulates-last-of-epoch": ({**BY_EPOCHS, **TWICE}, 6, False),
    "max-steps-within": ({**BY_STEPS, "max_steps": 9}, 7, False),
    "max-steps-reached": ({**BY_STEPS, "max_steps": 9}, 9, False),
    "max-steps-reached-by-epoch": ({**BY_EPOCHS, "max_steps": 9}, 9, False),
    "half-an-epoch-more": ({**BY_EPOCHS, "num_train_epochs": 1.5}, 6, False),
    "half-an-epoch-more-reached": ({**BY_EPOCHS, "num_train_epochs": 1.5}, 9, False),
    "best-within-an-epoch": ({**BY_THREES, **BEST}, 4, False),
    "best-is-new": ({**BY_THREES, **BEST}, 3, False),
    "best-is-older": ({**BY_STEPS, **BEST}, 10, False),
    "best-is-older-last-of-epoch": ({**BY_THREES, **BEST}, 6, False),
    "best-is-older-by-epoch": ({"eval_strategy": "epoch", **BEST, "num_train_epochs": 3}, 12, False),
    "best-is-older-evaluating": ({**BY_STEPS, **BEST}, 10, True),
    "best-is-older-evaluating-by-epoch": ({"eval_strategy": "epoch", **BEST, "num_train_epochs": 3}, 12, True),
    "best-is-loaded-and-kept": ({**BY_THREES, **BEST, **AT_END, "save_total_limit": 1}, 8, False),
    "best-is-new-and-loaded": ({**BY_THREES, **BEST, **AT_END}, 3, True),
}
QUICK = (
    *("within-an-epoch", "last-of-epoch-due-by-epoch", "evaluating-within-an-epoch", "keeps-one-and-loads-the-best"),
    *(
        "within-an-epoch-by-epoch",
        "last-of-epoch-due-by-steps",
        "saves-weights-alone",
        "max-steps-reached-by-epoch",
        "best-is-older",
    ),
)


class Run:
    """A trainer whose evaluations score ever less, so that the first is the best."""

    def __init__(self, folder: Path, settings: dict[str, Any], *callbacks: TrainerCallback) -> None:
        self.witness = Witness()
        scored = lambda _: {"score": -self.trainer.state.global_step}  # noqa: E731
        self.trainer = small_trainer(
            folder, disable_tqdm=True, callbacks=[self.witness, *callbacks], compute_metrics=scored, **settings
        )

    @property
    def found(self) -> list[tuple[int, float]]:
        """Step and loss of each evaluation, from the Trainer's own log."""
        return [(one["step"], one["eval_loss"]) for one in self.trainer.state.log_history if "eval_loss" in one]


@pytest.fixture(scope="module")
def never_stopped(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same run without a stop, once for each settings."""
    done: dict[str, Run] = {}

    def run(settings: dict[str, Any]) -> Run:
        key = json.dumps(settings, sort_keys=True)
        if key not in done:
            done[key] = Run(tmp_path_factory.mktemp("whole"), settings)
            done[key].trainer.train()
        return done[key]

    return run


@pytest.mark.parametrize("name", [one if one in QUICK else pytest.param(one, marks=SLOW) for one in CASES])
def test_a_stop_leaves_one_checkpoint_of_its_step_and_the_run_goes_on_as_if_nothing_had_been(
    name: str, never_stopped: Any, tmp_path: Path
) -> None:
    settings, step, evaluating = CASES[name]
    whole = never_stopped(settings)
    planned = whole.trainer.state.max_steps
    stop = threading.Event()
    guard = StopAtStepEnd(StopRequest(stop))
    stopped = Run(tmp_path, settings, At(step, stop.set, evaluating), guard)
    before = copy.copy(stopped.trainer.args)
    stopped.trainer.train()

    assert stopped.trainer.state.global_step == step
    # Each evaluation that was due by then, once; each save that was due, and the one of the stop.
    assert stopped.witness.evaluated == [one for one in whole.witness.evaluated if one <= step]
    assert stopped.witness.saved == sorted({*(one for one in whole.witness.saved if one <= step), step})
    assert guard.stopped_at == step
    left = tmp_path / f"checkpoint-{step}"
    for file in ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"):
        assert (left / file).is_file(), file
    assert json.loads((left / "trainer_state.json").read_text())["global_step"] == step
    if settings.get("load_best_model_at_end"):
        assert 3 in checkpoints(tmp_path) or 6 in checkpoints(tmp_path)  # the best by its score
    for setting in ("save_total_limit", "save_strategy", "save_only_model"):
        assert getattr(stopped.trainer.args, setting) == getattr(before, setting), setting

    if step == planned:
        assert same(stopped.witness.last, whole.witness.last)
        return
    again = Run(tmp_path, settings, StopAtStepEnd(StopRequest()))
    again.trainer.train(resume_from_checkpoint=str(left))
    assert again.trainer.state.global_step == planned
    assert same(again.witness.last, whole.witness.last)
    assert same(weights(again.trainer.model), weights(whole.trainer.model))
    assert again.found == whole.found
    assert again.witness.evaluated == [one for one in whole.witness.evaluated if one > step]


def test_a_stop_before_the_first_step_ends_after_it(make_trainer: Any, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    trainer = make_trainer(callbacks=[StopAtStepEnd(StopRequest(stop))], eval_on_start=True)
    trainer.train()
    assert trainer.state.global_step == 1 and checkpoints(tmp_path / "out") == [1]


def test_nothing_is_changed_where_nobody_asks(make_trainer: Any, tmp_path: Path) -> None:
    plain = make_trainer("plain")
    plain.train()
    guarded = make_trainer("guarded", callbacks=[StopAtStepEnd(StopRequest())])
    guarded.train()
    assert same(weights(plain.model), weights(guarded.model))
    assert checkpoints(tmp_path / "guarded") == []


def test_what_a_stop_borrowed_of_the_arguments_is_given_back_when_its_checkpoint_cannot_be_written(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    guard = StopAtStepEnd(StopRequest(stop))
    trainer = make_trainer(callbacks=[At(2, stop.set), guard], save_total_limit=1, save_only_model=True)
    monkeypatch.setattr(type(trainer), "_save_checkpoint", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        trainer.train()
    assert not trainer.args.save_only_model
    guard.give_back()
    assert trainer.args.save_total_limit == 1 and trainer.args.save_only_model


def test_a_signal_asks_once_and_a_second_one_quits(capsys: pytest.CaptureFixture) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopRequest() as request:
        assert not request
        signal.raise_signal(signal.SIGTERM)
        assert request and request.signal == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert capsys.readouterr().err.count("Stopping after this step") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_when_that_training_is_not_under_way_does_what_it_did_before(
    number: signal.Signals, make_trainer: Any
) -> None:
    heard: list[int] = []
    first = signal.getsignal(number)
    signal.signal(number, lambda number, frame: heard.append(number))
    before = signal.getsignal(number)
    try:
        trainer = make_trainer()
        request = StopRequest(trainer=trainer)
        trainer.add_callback(At(2, lambda: signal.raise_signal(number)))
        trainer.add_callback(StopAtStepEnd(request))
        request.__enter__()  # and nobody leaves it
        trainer.train()
        assert trainer.state.global_step == 2 and request.signal == number and heard == []
        make_trainer("other", callbacks=[At(2, lambda: signal.raise_signal(number))]).train()
        assert heard == [number] and signal.getsignal(number) is before
    finally:
        request.__exit__()
        signal.signal(number, first)


def test_a_handler_that_hands_on_to_a_request_which_is_over_is_not_asked_in_a_circle(make_trainer: Any) -> None:
    heard: list[int] = []
    first = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    request = StopRequest(trainer=make_trainer())
    request.__enter__()
    try:
        ours: Any = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, lambda number, frame: ours(number, frame))
        signal.raise_signal(signal.SIGINT)
        assert heard == [signal.SIGINT]
    finally:
        request.__exit__()
        signal.signal(signal.SIGINT, first)


def test_a_handler_that_could_not_be_put_back_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[int] = []
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGINT else signal.SIG_DFL)
    monkeypatch.setattr(signal, "signal", lambda number, handler: changed.append(number))
    with StopRequest():
        assert changed == [signal.SIGTERM]


def test_away_from_the_main_thread_signals_are_left_alone_and_a_button_still_asks() -> None:
    seen: list[Optional[bool]] = []

    def listen() -> None:
        event = threading.Event()
        with StopRequest(event) as request:
            seen.append(bool(request))
            event.set()
            seen.append(bool(request))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [False, True] and signal.getsignal(signal.SIGINT) is before
