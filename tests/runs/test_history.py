"""A run read from its folder: the numbers that its Trainer logged, from whatever the folder holds, and no pickle."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from small_trainer import small_trainer

from biollm_widgets.errors import InputError
from biollm_widgets.runs import words
from biollm_widgets.runs.events import KEYS, check, decode, encode
from biollm_widgets.runs.hints import hints
from biollm_widgets.runs.history import STATE, read_run
from biollm_widgets.runs.log import RunLog
from biollm_widgets.runs.recorder import Recorder
from biollm_widgets.runs.settings import settings_beside

EVERY = {"eval_strategy": "steps", "eval_steps": 4, "save_strategy": "steps", "save_steps": 4}


def of(kind: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == kind]


@pytest.fixture(scope="module")
def trained(shared_data, tmp_path_factory):
    """A run of twelve steps with an evaluation and a checkpoint after each four."""
    folder = tmp_path_factory.mktemp("trained")
    trainer = small_trainer(folder, **EVERY, load_best_model_at_end=True, disable_tqdm=True)
    trainer.train()
    return trainer, folder


@pytest.fixture
def run(trained, tmp_path):
    """Its Trainer, and a copy of its folder."""
    trainer, folder = trained
    return trainer, Path(shutil.copytree(folder, tmp_path / "out"))


def rewrite(place: Path, **changes: Any) -> None:
    state = json.loads((place / STATE).read_text())
    (place / STATE).write_text(json.dumps({**state, **changes}))


def test_a_folder_of_any_trainer_tells_what_it_logged_and_where_its_checkpoints_are(run):
    trainer, folder = run
    events = read_run(folder)
    for event in events:
        assert set(event) >= set(KEYS[event["event"]]) - {"tokens", "samples"} or event["event"] in ("step", "end")
        assert {**event, **decode(encode(event))} == decode(encode(event)) or event["event"] == "step"
    start = events[0]
    assert (start["event"], start["name"], start["steps"], start["epochs"]) == ("start", "out", 12, 2)
    assert (start["labels"], start["eval_strategy"], start["eval_steps"]) == (["0", "1"], "steps", 4)
    assert (start["metric"], start["greater"], start["folder"]) == ("loss", False, str(folder))
    assert start["settings"]["num_train_epochs"] == 2 and start["settings"]["per_device_train_batch_size"] == 4
    history = trainer.state.log_history
    assert [(e["step"], e["values"]["loss"], e["values"]["learning_rate"]) for e in of("log", events)] == [
        (one["step"], one["loss"], one["learning_rate"]) for one in history if "loss" in one
    ]
    assert [(e["step"], e["values"]["loss"], e["during"]) for e in of("evaluation", events)] == [
        (one["step"], one["eval_loss"], True) for one in history if "eval_loss" in one
    ]
    assert [(e["step"], e["path"]) for e in of("checkpoint", events)] == [
        (step, str(folder / f"checkpoint-{step}")) for step in (4, 8, 12)
    ]
    assert {e["best_step"] for e in of("checkpoint", events)} == {trainer.state.best_global_step}
    assert (events[-1]["event"], events[-1]["state"], events[-1]["step"]) == ("end", "finished", 12)
    log = RunLog().take_all(events)
    assert log.phase == "finished" and log.best.step == trainer.state.best_global_step and len(log.lines) == 12


def test_what_a_recorder_heard_is_read_back_with_settings_and_matrices(make_trainer, tmp_path):
    heard: list[dict[str, Any]] = []
    trainer = make_trainer(**EVERY, metric_for_best_model="loss", load_best_model_at_end=True)
    recorder = Recorder(heard.append, name="coding", labels=["non-coding", "coding"])
    recorder.attach(trainer)
    trainer.add_callback(recorder)
    trainer.train()
    live, read = RunLog().take_all(heard), RunLog().take_all(read_run(tmp_path / "out"))
    assert [vars(one) for one in read.evaluations] == [vars(one) for one in live.evaluations]
    assert all(sum(map(sum, one.confusion)) == 16 for one in read.evaluations)
    assert list(read.lines.loss) == list(live.lines.loss) and list(read.lines.step) == list(live.lines.step)
    assert (read.labels, read.steps, read.best.step) == (live.labels, live.steps, live.best.step)
    assert read.start["settings"] == live.start["settings"] and read.start["settings"]["learning_rate"] == 3e-3
    assert read.name == "out" and [vars(one) for one in read.checkpoints] == [vars(one) for one in live.checkpoints]
    (tmp_path / "out" / "checkpoint-12" / "progress.json").write_text('{"start": {"settings": 3}, "evaluations": [4]}')
    assert RunLog().take_all(read_run(tmp_path / "out")).start["labels"] == ["0", "1"]  # as if it were not there


def test_one_checkpoint_is_the_run_up_to_it(run):
    _, folder = run
    events = read_run(folder / "checkpoint-8")
    assert events[0]["name"] == "out/checkpoint-8" and events[0]["steps"] == 12
    assert max(event["step"] for event in of("log", events)) == 8
    assert [event["step"] for event in of("checkpoint", events)] == [4, 8]
    end = events[-1]
    assert (end["state"], end["step"], end["checkpoint"]) == ("stopped", 8, str(folder / "checkpoint-8"))
    assert end["resume"] == f'await progress.fit(trainer, resume_from_checkpoint="{folder / "checkpoint-8"}")'
    assert "Stopped at step 8 of 12." in end["words"]
    assert read_run(folder / "checkpoint-8" / STATE) == events
    (folder / "checkpoint-12").rename(folder.parent / "moved-12")
    assert read_run(folder)[-1]["state"] == "stopped" and read_run(folder)[0]["name"] == "out"
    assert read_run(folder.parent / "moved-12")[-1]["state"] == "finished"


def test_a_state_in_the_folder_itself_and_an_evaluation_after_training(make_trainer, tmp_path):
    trainer, folder = make_trainer(**EVERY), tmp_path / "out"
    trainer.train()
    trainer.evaluate(trainer.train_dataset)
    trainer.save_state()
    events = read_run(folder)
    assert [(e["step"], e["during"]) for e in of("evaluation", events)] == [
        *((step, True) for step in (4, 8, 12)),
        (12, False),
    ]
    assert of("evaluation", events)[-1]["values"]["loss"] == trainer.state.log_history[-1]["eval_loss"]
    assert of("step", events)[-1]["active"] > 0  # the Trainer's summary says how long it took
    for checkpoint in folder.glob("checkpoint-*"):
        (checkpoint / STATE).unlink()
    alone = read_run(folder)
    assert len(of("log", alone)) == 12 and not of("checkpoint", alone) and alone[-1]["checkpoint"] is None


def test_a_state_that_was_being_written_is_passed_over_and_said(run):
    _, folder = run
    whole = (folder / "checkpoint-12" / STATE).read_text()
    for text in (whole[: len(whole) // 2], "", "[]", '{"global_step": "12", "log_history": []}', "[" * 100_000):
        (folder / "checkpoint-12" / STATE).write_text(text)
        events = read_run(folder)
        assert events[-1]["step"] == 8 and [event["step"] for event in of("checkpoint", events)] == [4, 8]
        (said,) = of("say", events)
        assert f"checkpoint-12/{STATE}" in said["words"] and "passed over" in said["words"]
    for step in (4, 8):
        (folder / f"checkpoint-{step}" / STATE).write_text("{")
    with pytest.raises(InputError, match="holds no run that can be read") as problem:
        read_run(folder)
    assert all(f"checkpoint-{step}/{STATE} is no" in str(problem.value) for step in (4, 8, 12))
    with pytest.raises(InputError, match="is no whole JSON"):
        read_run(folder / "checkpoint-4")


def test_losses_that_are_no_numbers_and_entries_that_are_odd_are_read(run):
    _, folder = run
    state = json.loads((folder / "checkpoint-12" / STATE).read_text())
    history = [
        *state["log_history"],
        {"loss": math.nan, "step": 13, "epoch": math.inf},
        {"step": "x"},
        3,
        {"loss": 1.0},
    ]
    history += [{"loss": 2.0, "step": math.nan}, {"loss": None, "step": 13}, {"loss": 0.5, "step": 14, "note": "odd"}]
    rewrite(folder / "checkpoint-12", log_history=history, best_metric=math.nan, eval_steps=0, max_steps=None)
    assert "NaN" in (folder / "checkpoint-12" / STATE).read_text()
    logs = of("log", read_run(folder))
    assert math.isnan(logs[12]["values"]["loss"]) and (logs[13]["step"], logs[13]["values"]) == (14, {"loss": 0.5})
    assert len(logs) == 14


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_what_the_best_was_chosen_by_is_found_out_from_its_value(metric, run):
    _, folder = run
    values = [(4, 0.9, 0.25), (8, 0.5, 0.75), (12, 0.7, 0.5)]
    history = [{"step": s, "eval_loss": loss, "eval_accuracy": a, "eval_runtime": 1.0} for s, loss, a in values]
    best = {"accuracy": 0.75, "loss": 0.5}[metric]
    rewrite(folder / "checkpoint-12", log_history=history, best_metric=best, best_global_step=8, eval_steps=500)
    start = read_run(folder)[0]
    assert (start["metric"], start["greater"]) == (metric, metric == "accuracy")
    assert (start["eval_strategy"], start["eval_steps"]) == ("epoch", None)


def test_a_pickle_beside_it_is_never_opened(run, tmp_path):
    _, folder = run

    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "went off",)

    for name in ("training_args.bin", "rng_state.pth", "optimizer.pt", "scheduler.pt"):
        (folder / "checkpoint-12" / name).write_bytes(pickle.dumps(Bomb()))
    (folder / "checkpoint-12" / "config.json").write_bytes(pickle.dumps(Bomb()))
    assert read_run(folder)[-1]["state"] == "finished"
    assert not (tmp_path / "went off").exists()


def test_a_folder_without_a_run_is_a_sentence_that_says_what_was_looked_for(tmp_path):
    with pytest.raises(InputError, match=r"There is no folder .*nowhere; name the output_dir"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no trainer_state.json in it, and no checkpoint-<step> with one"):
        read_run(tmp_path)
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-best").mkdir()
    with pytest.raises(InputError, match=r"no trainer_state.json in it, and no checkpoint-<step> with one"):
        read_run(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file and no run"):
        read_run(tmp_path / "file")


def test_reading_a_long_run_takes_no_more_than_eight_times_what_plain_json_takes(tmp_path):
    history = [
        {"epoch": n / 1e3, "grad_norm": 1.2345 + n / 1e6, "learning_rate": 1e-5, "loss": 0.6 + n / 1e6, "step": n}
        for n in range(1, 20_001)
    ]
    place = tmp_path / "checkpoint-20000"
    place.mkdir()
    state = {"global_step": 20_000, "max_steps": 20_000, "num_train_epochs": 20, "log_history": history}
    (place / STATE).write_text(json.dumps(state, indent=2))

    def seconds(work: Any) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    plain = min(seconds(lambda: json.loads((place / STATE).read_text())) for _ in range(3))
    assert min(seconds(lambda: read_run(tmp_path)) for _ in range(3)) < 8 * plain
    assert len(of("log", read_run(tmp_path))) == 20_000


HUGE = 10**400
ODD_STATES = {
    "max_steps": [HUGE, "x", -3, None, math.nan, [1]],
    "num_train_epochs": [HUGE, math.inf, 9223372036854775807, "x", {}],
    "eval_steps": [HUGE, {"a": 1}, 5e-324, -1, math.nan],
    "best_metric": [HUGE, "x", math.nan, []],
    "best_global_step": [HUGE, [1], -1, "x"],
    "best_model_checkpoint": [[1, 2], "checkpoint-" + "9" * 5000, 3, ""],
    "num_input_tokens_seen": [HUGE, math.nan, "x"],
    "epoch": [HUGE, math.nan, "x"],
    "log_history": [
        [{"loss": 0.5, "step": 10**30}],
        [{"loss": HUGE, "step": 2}],
        [{"loss": 0.5, "step": HUGE}, 3, None, [], {"step": "x"}],
        [{"eval_loss": HUGE, "eval_runtime": HUGE, "step": 2, "epoch": math.nan}],
        [{"loss": s * 1.7e308, "step": n} for n, s in enumerate((1, -1, 1))],
        [{"train_runtime": HUGE, "step": 12}, {"eval_loss": 0.5, "eval_runtime": 1.0, "step": 12, "epoch": "x"}],
    ],
}


@pytest.mark.parametrize(("name", "odd"), [(name, odd) for name, all_of in ODD_STATES.items() for odd in all_of])
def test_an_odd_state_is_read_as_far_as_it_makes_sense(name, odd, run):
    _, folder = run
    for step in (4, 8, 12):
        rewrite(folder / f"checkpoint-{step}", **{name: odd})
    events = read_run(folder)
    for event in events:
        assert check(event) == event or event["event"] == "log"
        decode(encode(event))
    log = RunLog().take_all(events)
    assert log.phase in ("finished", "stopped") and log.step == 12
    words.title(log), words.line(log), hints(log), log.lines.points(1)


@pytest.mark.parametrize("odd", [HUGE, "x", -1, None, math.nan])
def test_a_state_without_a_step_is_none(odd, run):
    _, folder = run
    rewrite(folder / "checkpoint-12", global_step=odd)
    events = read_run(folder)
    assert RunLog().take_all(events).step == 8 and "It was passed over." in of("say", events)[0]["words"]


@pytest.mark.parametrize("name", ["progress.json", "config.json"])
@pytest.mark.parametrize(
    "text",
    [
        *("[" * 200_000, "[]", '{"start":{"settings":{"a":' + "[" * 900 + "]" * 900 + "}}}", '{"id2label":{"1":[2]}}'),
        *('{"start":{"settings":{}},"evaluations":3}', '{"start":{"settings":[]}}', '{"id2label":{"a":1}}'),
        '{"id2label":{"' + "9" * 5000 + '":1,"0":2}}',
        '{"start":{"settings":{"learning_rate":1' + "0" * 400 + "}}}",
    ],
)  # fmt: skip
def test_an_odd_file_beside_a_state_is_passed_over(name, text, run):
    _, folder = run
    for step in (4, 8, 12):
        (folder / f"checkpoint-{step}" / name).write_text(text)
    log = RunLog().take_all(read_run(folder))
    assert log.step == 12 and len(log.evaluations) == 3
    words.title(log), hints(log), settings_beside([("a", log.start["settings"])])


def test_a_pipe_in_place_of_a_file_is_not_waited_for(run):
    _, folder = run
    for step in (8, 12):
        for name in ("progress.json", "config.json", STATE):
            (folder / f"checkpoint-{step}" / name).unlink(missing_ok=True)
            os.mkfifo(folder / f"checkpoint-{step}" / name)
    os.mkfifo(folder / STATE)
    os.mkfifo(folder / "finetune_run.json")
    assert RunLog().take_all(read_run(folder)).step == 4


def test_the_training_rows_evaluated_at_the_last_step_do_not_end_the_run_before_its_evaluation(run):
    _, folder = run
    state = json.loads((folder / "checkpoint-12" / STATE).read_text())
    besides = {"train_loss": 0.1, "train_runtime": 1.0, "step": 12, "epoch": 2.0}
    last = state["log_history"].pop()
    assert last["eval_loss"] and last["step"] == 12
    rewrite(folder / "checkpoint-12", log_history=[*state["log_history"], besides, last])
    log = RunLog().take_all(read_run(folder))
    assert [one.step for one in log.evaluations] == [4, 8, 12] and log.tests == []
    assert log.evaluations[-1].values["loss"] == last["eval_loss"]
