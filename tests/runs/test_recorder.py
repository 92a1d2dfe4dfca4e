"""The recorder: what a real Trainer does, as events in their order, on the process that speaks; and what it keeps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_trainer import At, Rows, checkpoints, encoded, rows
from transformers import TrainerCallback

from biollm_widgets.runs.events import check, encode
from biollm_widgets.runs.log import RunLog
from biollm_widgets.runs.pausing import Pause
from biollm_widgets.runs.recorder import MOST_NUMBERS, Recorder, newest
from biollm_widgets.runs.stopping import LeaveTraining
from biollm_widgets.runs.trainer_state import read_kept

EVERY = {"eval_strategy": "steps", "eval_steps": 3, "save_strategy": "steps", "save_steps": 3, "max_steps": 6}


class Greedy(TrainerCallback):
    """Takes keys out of the metrics that all callbacks share, as transformers' own for notebooks does."""

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        metrics.pop("eval_runtime", None)
        metrics.pop("epoch", None)


def told(trainer: Any, recorder: Recorder, attach: bool = True, resume: Any = None) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    recorder.hear = events.append
    trainer.add_callback(recorder)
    if attach:
        recorder.attach(trainer)
    trainer.train(resume_from_checkpoint=resume)
    recorder.detach()
    return events


def kinds(events: list[dict[str, Any]], *which: str) -> list[tuple[str, int]]:
    return [(event["event"], event["step"]) for event in events if event["event"] in which]


def test_a_run_is_told_in_the_order_in_which_it_happens(make_trainer: Any) -> None:
    events = told(make_trainer(**EVERY, logging_steps=2), Recorder(print, every=0.0))
    marks = kinds(events, "start", "step", "log", "evaluation", "checkpoint", "end")
    assert marks == [
        ("start", 0), ("step", 1), ("step", 2), ("log", 2), ("step", 3), ("evaluation", 3), ("checkpoint", 3),
        ("step", 4), ("log", 4), ("step", 5), ("step", 6), ("log", 6), ("evaluation", 6), ("checkpoint", 6),
        ("step", 6), ("end", 6),
    ]  # fmt: skip
    for event in events:
        check(json.loads(encode(event)))
    phases = [(event["phase"], event.get("done")) for event in events if event["event"] == "phase"]
    assert phases[:6] == [("evaluating", 0), *(("evaluating", n) for n in range(1, 5)), ("training", None)]
    times = [event["time"] for event in events]
    assert times == sorted(times)


def test_the_start_says_what_the_run_is(make_trainer: Any, tmp_path: Path) -> None:
    trainer = make_trainer(
        **{**EVERY, "load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False}
    )
    start = told(trainer, Recorder(print, name="coding", labels=["no", 1]))[0]
    assert (start["name"], start["labels"], start["folder"]) == ("coding", ["no", "1"], str(tmp_path / "out"))
    assert (start["steps"], start["metric"], start["greater"], start["best_at_end"]) == (6, "loss", False, True)
    assert (start["eval_strategy"], start["eval_steps"], start["processes"]) == ("steps", 3, 1)
    assert start["resumed_from"] is None and start["settings"]["training rows"] == 24
    assert start["settings"]["learning_rate"] == 3e-3 and start["settings"]["parameters"] > 0
    assert all(value is None or isinstance(value, (str, int, float, bool)) for value in start["settings"].values())


def test_the_name_is_the_folders_and_the_labels_the_models_where_nobody_gives_them(make_trainer: Any) -> None:
    start = told(make_trainer("run-7", max_steps=1), Recorder(print))[0]
    assert (start["name"], start["labels"]) == ("run-7", ["0", "1"])
    trainer = make_trainer("named", max_steps=1)
    trainer.model.config.id2label = {0: "non-coding", 1: "coding"}
    assert told(trainer, Recorder(print))[0]["labels"] == ["non-coding", "coding"]


def test_steps_are_told_at_most_so_often_and_the_last_in_any_case(make_trainer: Any) -> None:
    events = told(make_trainer(), Recorder(print, every=100.0))
    assert kinds(events, "step") == [("step", 1), ("step", 12), ("step", 12)]
    assert not kinds(events, "phase")


def test_samples_and_tokens_are_counted_and_without_a_counter_samples_still_are(make_trainer: Any) -> None:
    counted = told(make_trainer("counted", gradient_accumulation_steps=2), Recorder(print))
    plain = told(make_trainer("plain", gradient_accumulation_steps=2), Recorder(print), attach=False)
    (one,), (two,) = ([e for e in events if e["event"] == "step"][-1:] for events in (counted, plain))
    assert (one["samples"], two["samples"]) == (48, 48) and one["tokens"] > 300 and two["tokens"] is None
    assert one["active"] > 0 and one["memory"] > 1e7 and one["memory_of"] == "CPU"


def test_an_evaluation_has_its_matrix_and_what_others_take_out_of_the_metrics_is_still_there(make_trainer: Any) -> None:
    greedy = Greedy()
    events = told(make_trainer(**EVERY, callbacks=[greedy]), Recorder(print))
    found = [event for event in events if event["event"] == "evaluation"]
    assert [sum(map(sum, event["confusion"])) for event in found] == [16, 16]
    assert all({"loss", "runtime"} <= event["values"].keys() and event["epoch"] for event in found)
    assert all(event["during"] for event in found)


def test_the_metrics_that_others_get_are_whole(make_trainer: Any) -> None:
    seen = []

    class Reader(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
            seen.append(set(metrics))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            seen.append(set(logs))

    trainer, events = make_trainer(**EVERY), []
    recorder = Recorder(events.append)
    trainer.callback_handler.callbacks.insert(0, recorder)
    trainer.add_callback(Reader())
    trainer.train()
    evaluations = [one for one in seen if "eval_loss" in one]
    assert len(evaluations) == 4 and all({"eval_runtime", "epoch"} <= one for one in evaluations)
    assert any({"loss", "epoch"} <= one for one in seen)


def test_several_sets_of_rows_are_told_one_by_one_and_are_one_evaluation(make_trainer: Any) -> None:
    several = {"coding": rows(24, 32), "other": rows(32, 40)}
    events = told(make_trainer(evaluate=several, **EVERY), Recorder(print))
    found = [event for event in events if event["event"] == "evaluation"]
    assert [set(one["values"]) & {"coding_loss", "other_loss"} for one in found[:2]] == [
        {"coding_loss"},
        {"other_loss"},
    ]
    log = RunLog().take_all(events)
    assert [one.step for one in log.evaluations] == [3, 6]
    first = log.evaluations[0]
    assert first.confusion == found[0]["confusion"] and first.values["loss"] == first.values["coding_loss"]
    assert "other_loss" in first.values and "coding_runtime" not in first.values


def test_an_evaluation_after_training_is_a_test(make_trainer: Any) -> None:
    trainer, events = make_trainer(**EVERY), []
    recorder = Recorder(events.append, ends=False)
    trainer.add_callback(recorder)
    recorder.attach(trainer)
    trainer.train()
    trainer.evaluate(rows(0, 12), metric_key_prefix="test")
    recorder.end("finished", ["Done."], checkpoint="x")
    last = [event for event in events if event["event"] == "evaluation"][-1]
    assert not last["during"] and sum(map(sum, last["confusion"])) == 12 and "loss" in last["values"]
    assert events[-1]["state"] == "finished" and events[-1]["step"] == 6 and events[-1]["words"] == ["Done."]


def test_on_a_process_that_is_not_the_first_nothing_is_told(make_trainer: Any, tmp_path: Path) -> None:
    class Second(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            state.is_world_process_zero = False

    trainer, events = make_trainer(**EVERY, callbacks=[Second()]), []
    recorder = Recorder(events.append)
    trainer.add_callback(recorder)
    trainer.train()
    recorder.say("no")
    assert events == [] and not list(tmp_path.rglob("progress.json"))


def test_beside_trainer_state_stands_what_that_has_no_place_for(make_trainer: Any, tmp_path: Path) -> None:
    events = told(make_trainer(**EVERY), Recorder(print, name="coding"))
    for step, evaluations in ((3, 1), (6, 2)):
        folder = tmp_path / "out" / f"checkpoint-{step}"
        assert (folder / "trainer_state.json").is_file()
        kept = read_kept(folder)
        assert kept["start"]["name"] == "coding" and kept["start"]["settings"]["learning_rate"] == 3e-3
        assert [one["step"] for one in kept["evaluations"]] == [3, 6][:evaluations]
    found = [event for event in events if event["event"] == "evaluation"]
    assert [one["confusion"] for one in kept["evaluations"]] == [event["confusion"] for event in found]
    assert (tmp_path / "out" / "checkpoint-3" / "progress.json").stat().st_mode & 0o044


def test_a_run_that_goes_on_tells_first_what_it_had_found(make_trainer: Any, tmp_path: Path) -> None:
    whole = told(make_trainer(**{**EVERY, "max_steps": 12}), Recorder(print))
    before = RunLog().take_all(whole)
    events = told(
        make_trainer(**{**EVERY, "max_steps": 12}), Recorder(print), resume=str(tmp_path / "out" / "checkpoint-6")
    )
    assert [event["event"] for event in events[:2]] == ["history", "start"]
    assert events[1]["step"] == 6 and events[1]["resumed_from"].endswith("out/checkpoint-6")
    log = RunLog().take_all(events)
    assert list(log.lines.step) == list(range(1, 13)) and list(log.lines.loss) == list(before.lines.loss)
    assert [one.step for one in log.evaluations] == [3, 6, 9, 12]
    assert [one.confusion for one in log.evaluations] == [one.confusion for one in before.evaluations]
    assert log.path_of(3) and log.path_of(6) and log.path_of(12)  # of which the first two are of the run before
    assert read_kept(tmp_path / "out" / "checkpoint-12")["evaluations"][0]["step"] == 3
    plain = told(make_trainer(**{**EVERY, "max_steps": 12}), Recorder(print, history=False), resume=True)
    assert plain[0]["event"] == "start"


def test_a_recorder_that_hears_a_second_run_starts_anew(make_trainer: Any) -> None:
    recorder = Recorder(print, every=0.0)
    told(make_trainer("one", **EVERY), recorder)
    again = told(make_trainer("two", **EVERY), recorder)
    assert kinds(again, "start", "evaluation") == [("start", 0), ("evaluation", 3), ("evaluation", 6)]
    assert [event for event in again if event["event"] == "step"][-1]["samples"] == 24
    assert len(recorder.evaluations) == 2


def test_a_pause_is_waited_for_and_not_counted(make_trainer: Any) -> None:
    import threading

    pause, events = Pause(), []
    recorder = Recorder(events.append, pause=pause, every=0.0)
    trainer = make_trainer(callbacks=[At(2, lambda: (pause.pause(), threading.Timer(0.5, pause.go_on).start()))])
    trainer.add_callback(recorder)
    trainer.train()
    phases = [(event["phase"], event["step"]) for event in events if event["event"] == "phase"]
    assert phases == [("paused", 2), ("training", 2)]
    at = {event["event"] + str(event.get("phase")): event["time"] for event in events if event["event"] == "phase"}
    assert at["phasetraining"] - at["phasepaused"] > 0.4
    steps = [event for event in events if event["event"] == "step"]
    assert steps[-1]["time"] - events[0]["time"] - steps[-1]["active"] > 0.4


def test_a_full_disk_for_our_own_file_ends_no_training(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def full(path: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("biollm_widgets.runs.recorder.whole_file", full)
    events = told(make_trainer(**EVERY), Recorder(print))
    assert events[-1]["state"] == "finished"
    assert "progress.json could not be written" in capsys.readouterr().err


def test_a_loss_that_is_no_number_is_told_as_it_is(make_trainer: Any) -> None:
    trainer = make_trainer(max_steps=3, logging_nan_inf_filter=False)
    with __import__("torch").no_grad():
        trainer.model.classifier.bias.fill_(float("nan"))
    events = told(trainer, Recorder(print))
    losses = [event["values"]["loss"] for event in events if event["event"] == "log"]
    assert len(losses) == 3 and all(loss != loss for loss in losses)
    assert '"loss":"NaN"' in encode(next(event for event in events if event["event"] == "log"))


# What fails in here, or is odd, ends no training.


@pytest.mark.parametrize(
    "odd",
    [np.array([0.1, 0.2]), torch.ones(2), 10**400, "a word", [1, 2]],
    ids=["array", "tensor", "huge", "text", "list"],
)
def test_a_metric_that_is_no_number_is_left_out(odd: Any, make_trainer: Any) -> None:
    given = {**EVERY, "save_strategy": "no"}
    trainer = make_trainer(compute_metrics=lambda found: {"each": odd, "fine": np.float32(0.5)}, **given)
    found = [event for event in told(trainer, Recorder(print)) if event["event"] == "evaluation"]
    assert trainer.state.global_step == 6
    assert all(event["values"]["fine"] == 0.5 and "each" not in event["values"] for event in found)


def test_whoever_hears_badly_is_said_once_and_the_training_goes_on(make_trainer: Any, capsys: Any) -> None:
    def deaf(event: dict[str, Any]) -> None:
        raise KeyError("deaf")

    trainer = make_trainer(**EVERY)
    trainer.add_callback(Recorder(deaf))
    trainer.train()
    said = [line for line in capsys.readouterr().err.splitlines() if "not told in full" in line]
    assert trainer.state.global_step == 6 and len(said) == 1 and "KeyError: 'deaf'" in said[0]


@pytest.mark.parametrize(
    "name", ["settings_of", "_labels_of", "_steps_in", "event_of", "_checkpoints_of", "_Memory.read", "read_kept"]
)
def test_whatever_breaks_in_here_the_training_and_its_end_are_told(
    name: str, make_trainer: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    make_trainer(**EVERY).train()

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(f"biollm_widgets.runs.recorder.{name}", broken)
    trainer = make_trainer(**{**EVERY, "max_steps": 9})
    events = told(trainer, Recorder(print, every=0.0), resume=str(tmp_path / "out" / "checkpoint-6"))
    assert trainer.state.global_step == 9 and events[-1]["state"] == "finished"
    assert ("start", 6) in kinds(events, "start") and ("checkpoint", 9) in kinds(events, "checkpoint")


def test_an_end_that_cannot_be_described_is_an_end(make_trainer: Any) -> None:
    events = told(make_trainer(max_steps=1), Recorder(print, describe_end=lambda args, state: {}["nothing"]))
    assert events[-1]["event"] == "end" and events[-1]["state"] == "finished"


@pytest.mark.parametrize("leave", [KeyboardInterrupt, LeaveTraining])
def test_what_others_leave_by_goes_through(leave: type[BaseException], make_trainer: Any) -> None:
    def hear(event: dict[str, Any]) -> None:
        if event["event"] == "log":
            raise leave

    trainer = make_trainer(max_steps=2)
    trainer.add_callback(Recorder(hear))
    with pytest.raises(leave):
        trainer.train()


@pytest.mark.parametrize(
    "text",
    [
        *('{"start":{"settings":{}},"evaluations":[3]}', '{"start":{"settings":{}},"evaluations":null}', "[" * 100_000),
        *('{"start":{"settings":{}},"evaluations":[{"step":"x"},{"step":6,"values":[1]},null]}', "{}", "\udcff", "[]"),
    ],
)
def test_an_odd_file_in_a_checkpoint_stops_no_run_that_goes_on(text: str, make_trainer: Any, tmp_path: Path) -> None:
    make_trainer(**EVERY).train()
    place = tmp_path / "out" / "checkpoint-6"
    (place / "progress.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_kept(place).get("evaluations", []) == []
    events = told(make_trainer(**{**EVERY, "max_steps": 9}), Recorder(print), resume=str(place))
    assert events[0]["event"] == "history" and events[-1]["step"] == 9


def test_before_the_trainer_says_which_process_this_is_the_environment_does(monkeypatch: Any) -> None:
    monkeypatch.setenv("RANK", "1")
    events: list[dict[str, Any]] = []
    Recorder(events.append).end("failed", ["no"])
    assert events == []
    for rank in ("0", ""):
        monkeypatch.setenv("RANK", rank)
        Recorder(events.append).end("failed", ["no"])
    assert len(events) == 2


# Evaluations of other rows while it trains.


class Looks(TrainerCallback):
    """Somebody evaluates on their own, in each step."""

    def __init__(self, look: Callable[[Any], Any]) -> None:
        self.look, self.trainer = look, None

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.look(self.trainer)


@pytest.mark.parametrize(
    "look",
    [
        lambda trainer: trainer.evaluate(rows(0, 24), metric_key_prefix="train"),
        lambda trainer: trainer.evaluate(rows(0, 24), metric_key_prefix="test"),
        lambda trainer: trainer.predict(rows(0, 24)),
    ],
    ids=["train", "test", "predict"],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_somebody_looks_at_besides_is_not_in_the_evaluation(look: Any, first: bool, make_trainer: Any) -> None:
    looks, events = Looks(look), []
    looks.trainer = trainer = make_trainer(**EVERY)
    recorder = Recorder(events.append, every=0.0)
    recorder.attach(trainer)
    for callback in (looks, recorder) if first else (recorder, looks):
        trainer.add_callback(callback)
    trainer.train()
    found = [event for event in events if event["event"] == "evaluation"]
    assert [(event["step"], sum(map(sum, event["confusion"]))) for event in found] == [(3, 16), (6, 16)]
    logged = {one["step"]: one["eval_loss"] for one in trainer.state.log_history if "eval_loss" in one}
    log = RunLog().take_all(events)
    assert {one.step: one.values["loss"] for one in log.evaluations} == logged and log.tests == []
    assert log.best.step == min(logged, key=logged.get)
    counts = [event["done"] for event in events if event["event"] == "phase" and event["phase"] == "evaluating"]
    assert max(counts) == 6  # of 24 rows in batches of 4: it begins to count anew each time


def test_what_a_folder_tells_of_other_rows_is_left_out_too() -> None:
    from biollm_widgets.runs.trainer_state import events_of

    history = [
        {"eval_loss": 0.5, "eval_runtime": 1.0, "step": 3, "epoch": 1.0},
        {"test_loss": 0.1, "test_runtime": 1.0, "step": 3, "epoch": 1.0},
        {"eval_a_loss": 0.4, "eval_a_my_runtime": 2.0, "eval_a_runtime": 1.0, "step": 6, "epoch": 2.0},
    ]
    assert [event["values"] for event in events_of(history)] == [
        {"loss": 0.5, "runtime": 1.0},
        {"a_loss": 0.4, "a_my_runtime": 2.0, "a_runtime": 1.0},
    ]
    assert [event["values"]["loss"] for event in events_of(history[1:2], during=False)] == [0.1]


# What is kept.


def test_after_each_save_it_is_told_which_checkpoints_are_left(make_trainer: Any, tmp_path: Path) -> None:
    events = told(make_trainer(**{**EVERY, "max_steps": 9, "save_total_limit": 1}), Recorder(print))
    assert [event["kept"] for event in events if event["event"] == "checkpoint"] == [[3], [6], [9]]
    log = RunLog().take_all(events)
    assert [one.step for one in log.checkpoints] == checkpoints(tmp_path / "out") == [9] and log.path_of(3) is None


def test_of_many_checkpoints_the_list_is_told_when_one_is_gone(
    make_trainer: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr("biollm_widgets.runs.recorder.ALL_KEPT", 1)
    trainer = make_trainer(**{**EVERY, "save_steps": 1}, callbacks=[
        At(5, lambda: (tmp_path / "out" / "checkpoint-2").rename(tmp_path / "away"))
    ])  # fmt: skip
    events = told(trainer, Recorder(print))
    kept = [event["kept"] for event in events if event["event"] == "checkpoint"]
    assert kept == [[1], None, None, None, [1, 3, 4, 5], None]
    assert [one.step for one in RunLog().take_all(events).checkpoints] == [1, 3, 4, 5, 6]


def test_what_is_kept_beside_a_checkpoint_is_bounded() -> None:
    few = [{"step": step, "confusion": [[1, 2], [3, 4]]} for step in range(12_000)]
    many = [{"step": step, "confusion": [[0] * 100] * 100} for step in range(200)]
    bare = [{"step": step, "confusion": None} for step in range(20_000)]
    assert newest(few[:5000]) == few[:5000] and newest([]) == []
    for kept, all_of_them in ((newest(few), few), (newest(many), many), (newest(bare), bare)):
        assert kept == all_of_them[-len(kept) :] and 90 < len(kept) < len(all_of_them)
        numbers = sum(100 + len(one["confusion"] or []) ** 2 for one in kept)
        assert numbers <= MOST_NUMBERS
    assert newest([{"step": 1, "confusion": [[0] * 2000] * 2000}])  # the last in any case


# Time.


def test_evaluations_and_saves_are_no_training(make_trainer: Any) -> None:
    class Slow(TrainerCallback):
        def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            time.sleep(0.1)

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            time.sleep(0.2)

    trainer, events = make_trainer(**EVERY), []
    for callback in (Slow(), Recorder(events.append, every=0.0)):
        trainer.add_callback(callback)
    trainer.train()
    last = [event for event in events if event["event"] == "step"][-1]
    assert last["active"] - last["training"] > 2 * (4 * 0.1 + 0.2)
    assert 0 < last["training"] < last["active"]


def test_an_evaluation_of_ones_own_within_a_step_is_no_training_and_the_step_is(make_trainer: Any) -> None:
    class Slow(Looks):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 1:
                self.trainer.evaluate(metric_key_prefix="mine")
                time.sleep(0.3)  # this is the step's

        def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            time.sleep(0.1)

    slow, events = Slow(lambda trainer: None), []
    slow.trainer = trainer = make_trainer(max_steps=3)
    for callback in (Recorder(events.append, every=0.0), slow):
        trainer.add_callback(callback)
    trainer.train()
    last = [event for event in events if event["event"] == "step"][-1]
    assert last["active"] - last["training"] > 0.25 and last["training"] > 0.3


def test_rows_without_an_end_have_steps_and_no_epochs(make_trainer: Any) -> None:
    class Endless(torch.utils.data.IterableDataset):
        def __iter__(self) -> Any:
            while True:
                yield from (Rows(*encoded())[place] for place in range(40))

    start = told(make_trainer(train=Endless(), max_steps=2), Recorder(print))[0]
    assert start["epochs"] is None and start["steps"] == 2
