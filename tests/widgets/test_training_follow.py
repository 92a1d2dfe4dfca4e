"""A progress file that somebody else writes, followed as it grows, is replaced, is killed and goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="The widgets need anywidget (make test installs it).")

from told import CHAPTER, ended, evaluated, logged, phase, saved, start, stepped

from biollm_widgets.errors import InputError
from biollm_widgets.runs.events import encode
from biollm_widgets.runs.progress_file import ProgressWriter
from biollm_widgets.widgets import training_follow
from biollm_widgets.widgets.training_progress import TrainingProgress


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TrainingProgress]]:
    """Follow a file with quick looks, for as long as the test lasts."""
    monkeypatch.setattr(training_follow, "LOOK", 0.02)
    made: list[TrainingProgress] = []

    def begin(path: Any, **options: Any) -> TrainingProgress:
        made.append(TrainingProgress.follow(path, **options))
        return made[-1]

    yield begin
    for progress in made:
        progress.close()
        progress._follower.thread.join(5)
        assert not progress._follower.thread.is_alive()


def until(true: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "It did not come to that."
        time.sleep(0.01)


def write(path: Path, *events: dict[str, Any]) -> None:
    with path.open("a") as file:
        for event in events:
            file.write(encode(event) + "\n")


def test_what_is_there_is_shown_at_once_and_what_comes_later_too(follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, start(labels=["no", "yes"]), logged(10, 0.5))
    progress = follow(path)
    assert progress.state == "training" and progress.title == "Learning: loss 0.50"
    write(path, evaluated(10, 0.4, confusion=CHAPTER))
    until(lambda: len(progress.to_frame()))
    assert progress.confusion().loc["yes", "no"] == 52
    write(path, ended("finished", 100, "All 100 steps are done."))
    until(lambda: progress.state == "finished")
    assert progress._now()["notice"]["kind"] == "finished" and progress._now()["buttons"] == []


def test_a_file_that_is_not_there_yet_is_waited_for_and_that_is_said(follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "later" / "run.jsonl"
    progress = follow(path)
    assert progress.state == "idle"
    (words,) = progress._now()["notice"]["words"]
    assert words == f"{path} is not there yet, or empty; this view begins when the training does."
    path.parent.mkdir()
    write(path, start(), logged(10, 0.5))
    until(lambda: progress.state == "training")
    until(lambda: progress._now()["notice"] is None)


def test_a_line_that_is_half_written_is_waited_for(follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, start())
    whole = encode(logged(10, 0.5)) + "\n"
    with path.open("a") as file:
        file.write(whole[:20])
    progress = follow(path)
    time.sleep(0.1)
    assert progress.to_frame("training").empty
    with path.open("a") as file:
        file.write(whole[20:])
    until(lambda: len(progress.to_frame("training")) == 1)


def test_a_file_that_is_replaced_is_another_run(follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, start(), logged(10, 0.5), logged(20, 0.4), evaluated(20, 0.5))
    progress = follow(path, name="mine", labels=["no", "yes"])
    writer = ProgressWriter(path, resume=False)
    writer(start(name="other"))
    writer(logged(5, 0.9))
    until(lambda: list(progress.to_frame("training")["step"]) == [5])
    run = progress._now()["runs"][0]
    assert run["evaluations"] == [] and run["name"] == "mine" and run["labels"] == ["no", "yes"]
    writer = ProgressWriter(path, resume=False)  # of a run that goes on, in a file that knows nothing of before
    writer(start(name="third", step=20))
    writer(logged(25, 0.9))
    until(lambda: list(progress.to_frame("training")["step"]) == [25])


def test_a_run_that_was_killed_in_the_middle_of_a_line_and_went_on_is_one_curve(follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, start(), *(logged(step, 1 / step) for step in (10, 20, 30, 40)), evaluated(20, 0.5), saved(20))
    with path.open("a") as file:
        file.write(encode(logged(50, 0.1))[:25])
    progress = follow(path)
    assert len(progress.to_frame("training")) == 4
    writer = ProgressWriter(path, resume=True)
    for event in (start(step=20), logged(30, 0.7), evaluated(40, 0.4)):
        writer(event)
    until(lambda: list(progress.to_frame()["step"]) == [20, 40])
    assert list(progress.to_frame("training")["step"]) == [10, 20, 30]
    assert progress.to_frame("training")["loss"].iloc[-1] == 0.7 and progress._follower.reader.broken == 1


def test_silence_is_said_and_no_longer_when_it_grows_again(
    follow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_follow, "SILENT", 0.3)
    path = tmp_path / "run.jsonl"
    write(path, start(), logged(10, 0.5))
    progress = follow(path)
    assert progress._now()["notice"] is None
    until(lambda: progress._now()["notice"])
    notice = progress._now()["notice"]
    assert (
        notice["kind"] == "silent" and f"Nothing new in {path}" in notice["words"][0] and "squeue" in notice["words"][0]
    )
    assert progress.state == "training" and "for 0:00 minutes" in notice["words"][0]
    progress._follower.grown -= 7200
    until(lambda: "for 2:00:00 hours" in progress._now()["notice"]["words"][0])
    monkeypatch.setattr(training_follow, "SILENT", 60)
    write(path, logged(20, 0.5))
    until(lambda: progress._now()["notice"] is None)


def test_a_run_that_is_over_may_be_silent(follow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_follow, "SILENT", 0.05)
    path = tmp_path / "run.jsonl"
    write(path, start(), ended("finished", 100))
    progress = follow(path)
    time.sleep(0.2)
    assert progress._now()["notice"] is None


def test_following_ends_when_one_says_so(follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, start(), logged(10, 0.5))
    progress = follow(path)
    progress.unfollow()
    progress._follower.thread.join(5)
    write(path, logged(20, 0.4))
    time.sleep(0.1)
    assert len(progress.to_frame("training")) == 1 and progress.state == "training"


def test_wrong_things_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; name the file that biollm finetune --progress FILE writes"):
        TrainingProgress.follow(tmp_path)
    with pytest.raises(TypeError, match="no option 'colour'"):
        TrainingProgress.follow(tmp_path / "run.jsonl", colour="red")


def test_messages_are_the_news_alone_and_not_many(follow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.jsonl"
    write(path, start(steps=10_000), *(logged(n, 0.5) for n in range(1, 501)))
    sent: list[tuple[float, Any]] = []
    monkeypatch.setattr(
        TrainingProgress, "send", lambda self, content, buffers=None: sent.append((time.monotonic(), content))
    )
    progress = follow(path)
    began = time.monotonic()
    step = 501
    while time.monotonic() - began < 2.4:
        write(path, logged(step, 0.4), stepped(step, step / 10), phase("training", step))
        step += 1
        time.sleep(0.01)
    progress.unfollow()
    assert 2 <= len(sent) <= 4 and "fresh" in sent[0][1]
    assert all(len(content["news"]["points"][2]) < 200 for _, content in sent[1:])


@pytest.mark.slow
def test_a_file_of_a_hundred_thousand_steps_opens_while_it_is_read(follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, start(steps=100_000), *(logged(n, 0.5, learning_rate=1e-5, grad_norm=1.0) for n in range(1, 100_001)))
    began = time.monotonic()
    progress = follow(path)
    progress._now()
    assert time.monotonic() - began < 8  # at most 0.8 s of reading on a machine of its own
    until(lambda: progress._sheet.log.step == 100_000, 60)
    assert progress._now()["runs"][0]["every"] == 256


def test_a_file_of_something_else_is_not_waited_for_as_if_it_were_empty(follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "slurm.out"
    path.write_text("Loading modules ...\nsrun: job 12 queued\n")
    assert "holds no training" in follow(path)._now()["notice"]["words"][0]


def test_a_job_that_died_long_ago_does_not_open_as_if_it_were_learning(follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, start(), logged(10, 0.5))
    os.utime(path, (1000.0, time.time() - 3 * 3600))
    assert "Nothing new in" in follow(path)._now()["notice"]["words"][0]
    write(path, logged(11, 0.4))  # it was only slow


def test_the_page_waits_for_a_word_as_long_as_the_file_is_followed(follow: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, start(), logged(10, 0.5))
    progress = follow(path)
    assert progress._now()["live"] is True
    progress.unfollow()
    assert progress._now()["live"] is False
