"""`--progress FILE`: whatever happens to a run stands in its file, and a run that goes on writes below."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import warm
from deeds import SAME, At

from biollm_widgets.dna.finetuning import Stopped, finetune
from biollm_widgets.errors import InputError
from biollm_widgets.runs.history import read_run
from biollm_widgets.runs.log import RunLog
from biollm_widgets.runs.progress_file import ProgressReader

SLOW = pytest.mark.slow


@pytest.fixture
def told(flags, tmp_path) -> Path:
    """The progress file of `flags`, which log often enough to be looked at."""
    flags.update(progress=tmp_path / "progress" / "run.jsonl", logging_steps=2)
    return flags["progress"]


def read(path: Path) -> list[dict[str, Any]]:
    reader = ProgressReader(path)
    found = reader.read()
    assert reader.broken == 0 and path.read_bytes().endswith(b"\n")
    return found


def of(kind: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == kind]


def test_the_file_tells_the_whole_run_and_changes_none_of_its_numbers(flags, told, tmp_path):
    result = finetune(**flags)
    events = read(told)
    start = events[0]
    assert (start["event"], start["name"], start["steps"], start["labels"]) == ("start", "tiny", 22, ["0", "1"])
    assert start["settings"]["rung"] == "full" and start["settings"]["sequences_a_step"] == 4
    assert start["settings"]["model"] == flags["model_name_or_path"] and start["settings"]["learning_rate"] == 3e-3
    said = [event["words"] for event in of("say", events)]
    assert said == result.notes and any(words.startswith("Plan: 22 steps") for words in said)
    assert [event["step"] for event in of("log", events)] == list(range(2, 23, 2))
    assert [event["step"] for event in of("checkpoint", events)] == [8, 16, 22]
    during = [event for event in of("evaluation", events) if event["during"]]
    assert [(e["step"], e["values"]["loss"]) for e in during] == [
        (e["step"], e["eval_loss"]) for e in result.evaluations
    ]
    for event in during:
        assert np.sum(event["confusion"]) == 16
        assert np.trace(event["confusion"]) / 16 == event["values"]["accuracy"]
    (test,) = [event for event in of("evaluation", events) if not event["during"]]
    assert test["confusion"] == result.confusion
    assert test["values"]["accuracy"] == result.metrics["eval_accuracy"]
    (end,) = of("end", events)
    assert end is events[-1] and (end["state"], end["step"], end["holds"]) == ("finished", 22, result.step)
    assert end["words"][0] == result.which_weights() and end["checkpoint"] == result.checkpoint
    assert of("step", events)[-1]["step"] == 22
    flags.pop("progress")
    plain = finetune(**{**flags, "output_dir": str(tmp_path / "plain")})
    assert {key: plain.metrics[key] for key in SAME} == {key: result.metrics[key] for key in SAME}


def test_a_stopped_run_that_goes_on_writes_below_and_reads_like_one_that_was_not_stopped(flags, told, tmp_path):
    stop = threading.Event()
    finetune(**flags, callbacks=[At(11, stop.set)], stop=stop)
    first = read(told)
    end = first[-1]
    assert (end["event"], end["state"], end["step"], end["holds"]) == ("end", "stopped", 11, 11)
    assert end["checkpoint"].endswith("checkpoint-11") and "Stopped at step 11 of 22" in end["words"][0]
    assert end["resume"].startswith("biollm finetune --data_path ") and f"--progress {told}" in end["resume"]
    finetune(**flags)
    events = read(told)
    assert events[: len(first)] == first
    (_, again) = of("start", events)
    assert (again["step"], again["resumed_from"]) == (11, f"{flags['output_dir']}/checkpoint-11")
    whole = {**flags, "output_dir": str(tmp_path / "whole"), "progress": tmp_path / "whole.jsonl"}
    finetune(**whole)
    one, two = (RunLog().take_all(read(path)) for path in (told, tmp_path / "whole.jsonl"))
    assert [(e.step, e.values["loss"], e.confusion) for e in one.evaluations] == [
        (e.step, e.values["loss"], e.confusion) for e in two.evaluations
    ]
    assert [e.confusion for e in one.tests] == [e.confusion for e in two.tests]
    assert one.phase == two.phase == "finished" and one.step == two.step == 22
    assert list(one.said)[-1] != list(two.said)[-1]  # one says what it goes on from


def test_a_run_that_is_asked_for_a_file_only_when_it_goes_on_tells_what_was_before(flags, told):
    stop = threading.Event()
    finetune(**{**flags, "progress": None}, callbacks=[At(11, stop.set)], stop=stop)
    assert not told.exists()
    finetune(**flags)  # the file does not make it another run
    events = read(told)
    assert [event["step"] for event in of("log", events)] == list(range(2, 23, 2))
    assert [event["step"] for event in of("evaluation", events) if event["during"]] == [8, 16]


def test_a_run_that_starts_over_replaces_the_file_and_one_that_is_refused_leaves_it(flags, told):
    flags["max_steps"] = 2
    finetune(**flags)
    before = told.read_bytes()
    with pytest.raises(InputError, match="this run, finished"):
        finetune(**flags)
    with pytest.raises(InputError, match="does not exist"):
        finetune(**{**flags, "data_path": "nowhere", "overwrite_output_dir": True})
    assert told.read_bytes() == before
    finetune(**flags, overwrite_output_dir=True)
    events = read(told)
    assert len(of("start", events)) == 1 and events[0]["time"] > json.loads(before.splitlines()[-1])["time"]


def test_a_failure_reaches_the_caller_as_itself_and_the_file_says_what_happened(flags, told):
    class OutOfMemory(RuntimeError):
        pass

    def fail():
        raise OutOfMemory("no room for 3 GB\n  in a tensor")

    with pytest.raises(OutOfMemory, match="no room for 3 GB\n"):
        finetune(**flags, callbacks=[At(10, fail)])
    (end,) = of("end", read(told))
    checkpoint = f"{flags['output_dir']}/checkpoint-8"
    assert (end["state"], end["step"], end["checkpoint"]) == ("failed", 9, checkpoint)
    assert end["words"] == ["OutOfMemory: no room for 3 GB in a tensor", f"The same command goes on from {checkpoint}."]


def test_a_second_ctrl_c_is_told_as_well(flags, told):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as quit_:
        finetune(**flags, callbacks=[At(9, twice)])
    assert not isinstance(quit_.value, Stopped)
    (end,) = of("end", read(told))
    assert end["state"] == "stopped" and end["checkpoint"].endswith("checkpoint-8") and end["holds"] is None
    assert "Interrupted at step 8, without a checkpoint of it. The same command goes on from" in end["words"][0]


@SLOW
def test_a_run_of_which_only_the_test_is_missing_ends_its_file(flags, told, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("biollm_widgets.dna.finetuning.train.Run.test", lambda *_: (_ for _ in ()).throw(SystemExit(3)))
        with pytest.raises(SystemExit):
            finetune(**flags)
    assert of("end", read(told))[-1]["words"][0] == "SystemExit: 3"
    result = finetune(**flags)
    log = RunLog().take_all(read(told))
    assert log.phase == "finished" and [test.confusion for test in log.tests] == [result.confusion]


@pytest.mark.parametrize("rung", ["head", "top", pytest.param("lora", marks=SLOW)])
def test_every_rung_tells_its_evaluations_with_their_matrices(rung, flags, told):
    if rung == "lora":
        pytest.importorskip("peft")
    finetune(**{**flags, "num_train_epochs": 1}, rung=rung, top_layers=1)
    evaluations = of("evaluation", read(told))
    assert [(np.sum(event["confusion"]), event["during"]) for event in evaluations] == [(16, True), (20, False)]
    assert of("step", read(told))[-1]["samples"] == 44


@pytest.mark.parametrize(
    ("change", "needle"),
    [
        ({"progress": __file__}, "is there and is no progress file of a run"),
        ({"progress": "/dev/null"}, "is a device"),
        ({"progress": "/"}, "is a folder"),
        ({"progress": f"{__file__}/run.jsonl"}, "is no folder"),
        ({"progress": True}, "takes the name of a file"),
        ({"progress": " "}, "takes the name of a file"),
    ],
)
def test_a_place_for_the_file_that_will_not_do_is_refused_before_anything_is_made(change, needle, flags):
    with pytest.raises(InputError) as problem:
        finetune(**{**flags, **change})
    assert needle in str(problem.value)
    assert not Path(flags["output_dir"]).exists()


# In processes of their own.


@pytest.fixture
def run(tmp_path, words):
    def begin(flags: dict[str, Any], processes: int = 1) -> warm.Process:
        return warm.Process("-m", "biollm_widgets.cli", "finetune", *words(flags), folder=tmp_path, count=processes)

    return begin


def until(path: Path, step: int, process: warm.Process) -> None:
    """Follow a file until a step was logged."""
    reader, deadline = ProgressReader(path), time.monotonic() + 240
    while not any(event.get("step", 0) >= step for event in reader.read() if event["event"] == "log"):
        assert process.poll() is None and time.monotonic() < deadline, process.said()
        time.sleep(0.01)


@SLOW
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_leaves_a_readable_file_that_it_goes_on_in(processes, flags, told, run):
    flags.update(num_train_epochs=20, eval_steps=20, save_steps=20, logging_steps=1)
    process = run(flags, processes)
    until(told, 50, process)
    process.kill()
    process.communicate()
    reader = ProgressReader(told)
    left = reader.read()
    assert reader.broken == 0 and max(event["step"] for event in of("log", left)) >= 50 and not of("end", left)
    again = run(flags, processes)
    _, said = again.communicate()
    assert again.returncode == 0, said
    reader = ProgressReader(told)
    log = RunLog().take_all(reader.read())
    assert reader.broken <= 1 and log.phase == "finished" and log.start["processes"] == processes
    assert log.start["step"] >= 40 and log.start["resumed_from"] is not None
    last = log.steps
    assert last == (220 if processes == 1 else 120) and log.step == last
    assert [one.step for one in log.evaluations] == list(range(20, last + 1, 20))
    assert {int(np.sum(one.confusion)) for one in log.evaluations} == {16}
    assert list(log.lines.step) == list(range(1, last + 1))
    assert told.read_text().count("Plan: ") == 2  # each run said its plan once: one process writes


@SLOW
@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_is_told_in_the_words_that_are_printed(processes, flags, told, run):
    flags.update(num_train_epochs=20, eval_steps=20, save_steps=20, logging_steps=1)
    process = run(flags, processes)
    until(told, 25, process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    (end,) = of("end", read(told))
    assert end["state"] == "stopped" and end["words"][0] in said
    assert Path(end["checkpoint"]).name == f"checkpoint-{end['step']}" and Path(end["checkpoint"]).is_dir()
    if processes == 1:
        assert set(end["resume"].split()) == set(said.splitlines()[-1].split())
    else:
        assert end["resume"] is None


# Read back from the folder it wrote.


def test_a_finished_run_is_read_from_its_folder_with_its_test(flags, told):
    result = finetune(**flags)
    live, read_ = RunLog().take_all(read(told)), RunLog().take_all(read_run(flags["output_dir"]))
    assert [vars(one) for one in read_.evaluations] == [vars(one) for one in live.evaluations]
    assert [vars(one) for one in read_.tests] == [vars(one) for one in live.tests]
    assert read_.tests[0].confusion == result.confusion and read_.phase == "finished"
    assert (read_.best.step, read_.labels, read_.start["settings"]) == (
        live.best.step,
        live.labels,
        live.start["settings"],
    )
    assert read_.tests[0].step == result.step and read_.active == result.train_seconds
    assert not RunLog().take_all(read_run(f"{flags['output_dir']}/checkpoint-22")).tests


def test_a_run_without_a_progress_file_is_read_with_its_settings(flags):
    stop = threading.Event()
    finetune(**flags, callbacks=[At(11, stop.set)], stop=stop)
    events = read_run(flags["output_dir"])
    start, end = events[0], events[-1]
    assert (start["labels"], start["steps"], start["metric"], start["best_at_end"]) == (["0", "1"], 22, "loss", True)
    known = {"learning_rate": 3e-3, "rung": "full", "model_max_length": 40, "eval_steps": 8, "sequences_a_step": 4}
    assert known.items() <= start["settings"].items() and not {"data", "model", "max_steps"} & set(start["settings"])
    assert (end["state"], end["step"], end["resume"]) == ("stopped", 11, None)
    assert end["words"][-1] == "The command that began it, given again, does so."
    result = finetune(**flags)
    events = read_run(flags["output_dir"])
    assert events[-1]["state"] == "finished" and of("evaluation", events)[-1]["confusion"] == result.confusion
    assert events[0]["settings"]["model"] == flags["model_name_or_path"]
    shutil.copytree(result.results, Path(result.results).with_name("another"))
    assert all(event["during"] for event in of("evaluation", read_run(flags["output_dir"])))  # which of the two?
