"""TrainingProgress from Python's side: what it says, compares, saves, and what the page is sent."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="The widgets need anywidget (make test installs it).")

from told import CHAPTER, ended, evaluated, logged, phase, printed, saved, start, stepped

from biollm_widgets import news
from biollm_widgets.errors import InputError
from biollm_widgets.runs.events import encode
from biollm_widgets.widgets.live import GAP
from biollm_widgets.widgets.training_progress import TrainingProgress

HOSTILE = "<script>alert(1)</script></style><blink onload=x>\"'&"


def telling(progress: TrainingProgress, *events: dict[str, Any]) -> TrainingProgress:
    progress._waiting.extend(events)
    progress._now()
    return progress


def told_of(*events: dict[str, Any], **options: Any) -> TrainingProgress:
    return telling(TrainingProgress(**options), start(labels=["no", "yes"], settings={"learning_rate": 3e-5}), *events)


def progress_file(path: Path, *events: dict[str, Any]) -> Path:
    path.write_text("".join(encode(event) + "\n" for event in events))
    return path


def run_folder(folder: Path, step: int = 20) -> Path:
    """As a Trainer leaves it."""
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    history = [
        {"loss": 0.6, "learning_rate": 1e-5, "epoch": 0.5, "step": 10},
        {"eval_loss": 0.5, "eval_accuracy": 0.7, "eval_runtime": 1.0, "epoch": 1.0, "step": step},
    ]
    state = {"global_step": step, "max_steps": 40, "epoch": 1.0, "log_history": history, "num_train_epochs": 2}
    (place / "trainer_state.json").write_text(json.dumps(state))
    return folder


class Page:
    """Asks a progress as its page does, and keeps what it is sent."""

    def __init__(self, progress: TrainingProgress) -> None:
        self.progress, self.heard = progress, []
        progress.send = lambda content, buffers=None: self.heard.append((content, buffers))  # type: ignore[method-assign]

    def ask(self, verb: str, **given: Any) -> tuple[dict, Any]:
        self.progress._hear(self.progress, {"ask": verb, "number": 1, **given}, [])
        return next((content, buffers) for content, buffers in reversed(self.heard) if "answer" in content)


# What it says.


def test_before_anything_is_trained_it_says_so_everywhere() -> None:
    progress = TrainingProgress()
    assert progress.title == "Nothing has been trained yet" and progress.state == "idle" and progress.hints == []
    assert repr(progress) == "<TrainingProgress: Nothing has been trained yet.>"
    assert progress.to_frame().empty and progress.to_frame("training").empty and progress.printed == []
    assert "Nothing has been trained yet" in progress._make_twin() and progress.to_svg().startswith("<svg")
    with pytest.raises(InputError, match=r"There is no confusion matrix; evaluations of a classifier in progress\.fit"):
        progress.confusion()


def test_an_option_that_there_is_not_is_named() -> None:
    with pytest.raises(TypeError, match=r"TrainingProgress has no option 'label'; did you mean labels\?"):
        TrainingProgress(label=["a"])


def test_evaluations_and_lines_are_tables(tmp_path: Path) -> None:
    progress = told_of(
        logged(10, 0.6, learning_rate=1e-5), logged(20, float("nan")), evaluated(20, 0.5, confusion=CHAPTER),
        evaluated(40, 0.6, accuracy=0.7), ended("finished", 100), evaluated(100, 0.4, during=False, accuracy=0.8),
    )  # fmt: skip
    frame = progress.to_frame()
    assert list(frame["step"]) == [20, 40, 100] and list(frame["best"]) == [True, False, False]
    assert list(frame["test"]) == [False, False, True] and frame["accuracy"].iloc[0] == 174 / 250
    lines = progress.to_frame("training")
    assert list(lines["step"]) == [10, 20] and lines["loss"].isna().tolist() == [False, True]
    with pytest.raises(InputError, match='to_frame takes "evaluations" or "training", not \'loss\''):
        progress.to_frame("loss")
    matrix = progress.confusion()
    assert matrix.loc["yes", "no"] == 52 and (matrix.index.name, matrix.columns.name) == ("is", "said")
    with pytest.raises(InputError, match="no confusion matrix at step 40"):
        progress.confusion(40)


def test_what_stands_out_is_a_list_of_sentences() -> None:
    assert "1 more than by always saying no" in told_of(evaluated(20, 0.5, confusion=CHAPTER)).hints[0]


def test_names_of_classes_that_a_person_gives_go_before_the_runs_own(tmp_path: Path) -> None:
    path = progress_file(tmp_path / "run.jsonl", start(labels=["0", "1"]), evaluated(20, confusion=CHAPTER))
    shown = TrainingProgress.from_run(path, labels=["non-coding", "coding"], name="mine")
    assert list(shown.confusion().columns) == ["non-coding", "coding"]
    assert shown._now()["runs"][0]["name"] == "mine"
    three = TrainingProgress.from_run(path, labels=["a", "b", "c"])
    assert list(three.confusion().columns) == ["a", "b"]


# Runs that are over, and runs beside each other.


def test_a_run_is_replayed_from_its_folder_one_of_its_checkpoints_or_its_file(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "out")
    for place in (folder, folder / "checkpoint-20", str(folder), folder / "checkpoint-20" / "trainer_state.json"):
        progress = TrainingProgress.from_run(place)
        assert progress.state == "stopped" and list(progress.to_frame()["accuracy"]) == [0.7]
    file = progress_file(tmp_path / "run.jsonl", start(), logged(10, 0.5))
    assert TrainingProgress.from_run(file).title == "Learning: loss 0.50"


def test_what_is_no_run_is_refused_in_a_sentence(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello\n")
    (tmp_path / "empty").mkdir()
    for wrong, words in (
        (tmp_path / "nowhere", "There is no folder"),
        (tmp_path / "empty", "holds no run"),
        (text, "holds no training; biollm finetune --progress FILE writes such files"),
        (None, "A run is a folder, a progress file or a TrainingProgress, not None"),
        (7, "not 7"),
        ([tmp_path], "A run is a folder"),
    ):
        for door in (TrainingProgress.from_run, TrainingProgress.compare):
            with pytest.raises(InputError, match=re.escape(words)) as problem:
                door(wrong)
            assert "\n" not in str(problem.value)


def test_comparing_takes_folders_files_and_what_shows_a_run(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "out")
    file = progress_file(tmp_path / "run.jsonl", start(settings={"seed": 2}), evaluated(30, 0.3, accuracy=0.9))
    other = told_of(evaluated(20, 0.5, accuracy=0.6))
    shown = TrainingProgress.compare(folder, file, other)
    shot = shown._now()
    assert shot["kind"] == "compare" and [run["name"] for run in shot["runs"]] == ["out", "coding", "coding (2)"]
    assert shown.title == "Best of 3 runs is coding: evaluation accuracy 0.90 at step 30"
    assert shot["settings"]["header"] == ["setting", "out", "coding", "coding (2)"]
    named = TrainingProgress.compare(folder, file, names=["a", "b"])
    assert [run["name"] for run in named._now()["runs"]] == ["a", "b"] and set(named.to_frame()["run"]) == {"a", "b"}
    telling(other, evaluated(40, 0.1, accuracy=1.0))  # goes on elsewhere
    assert len(shown._now()["runs"][2]["evaluations"]) == 1 and other._sheet.log.name == "coding"
    for picture in (shown.to_svg(), shown._make_twin()):
        assert "coding (2)" in picture


def test_comparing_refuses_no_run_seven_and_names_that_do_not_fit(tmp_path: Path) -> None:
    run = told_of()
    with pytest.raises(InputError, match=r"compare takes one to six runs .*, not 0"):
        TrainingProgress.compare()
    with pytest.raises(InputError, match="not 7"):
        TrainingProgress.compare(*[run] * 7)
    with pytest.raises(InputError, match="There are 2 runs and 1 names; give each run one name"):
        TrainingProgress.compare(run, run, names=["a"])
    assert len(TrainingProgress.compare(*[run] * 6)._now()["runs"]) == 6


# Taking away.


@pytest.fixture
def whole() -> TrainingProgress:
    return told_of(
        *(logged(n, 1 / n, learning_rate=1e-5) for n in range(1, 41)), evaluated(20, 0.5, confusion=CHAPTER),
        saved(20), printed("a word"), ended("stopped", 40, "Stopped.", resume="await progress.fit(trainer)"),
    )  # fmt: skip


def test_it_is_saved_whole_in_each_way(whole: TrainingProgress, tmp_path: Path) -> None:
    for kind in ("svg", "png", "html", "csv", "json"):
        whole.save(tmp_path / f"run.{kind}")
        whole.save(str(tmp_path / f"again.{kind.upper()}"))
    assert (tmp_path / "run.svg").read_text().rstrip().endswith("</svg>")
    assert (tmp_path / "run.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" == whole.to_png()[:8]
    page = (tmp_path / "run.html").read_text()
    assert page.lower().startswith("<!doctype html>") and not re.search(r"(src|href)=\"http|@import", page)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "run.csv").read_text())))
    assert [row["kind"] for row in rows].count("training") == 40
    (evaluation,) = [row for row in rows if row["kind"] == "evaluation"]
    assert evaluation["step"] == "20" and float(evaluation["accuracy"]) == 174 / 250
    shot = json.loads((tmp_path / "run.json").read_text())
    assert shot["title"] == whole.title and len(shot["runs"][0]["points"]) == 40
    assert sorted(place.name for place in tmp_path.iterdir() if place.name.startswith(".")) == []


def test_another_ending_and_a_place_that_is_none_are_refused_and_leave_what_is_there(
    whole: TrainingProgress, tmp_path: Path
) -> None:
    for wrong in ("run.pdf", "run"):
        with pytest.raises(InputError, match=r"the ending is one of \.svg, \.png, \.html, \.csv, \.json"):
            whole.save(tmp_path / wrong)
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        whole.save(tmp_path / "folder.svg")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError):
        whole.save(tmp_path / "file" / "run.svg")
    assert (tmp_path / "file").read_text() == "kept"


class Tags(HTMLParser):
    """The elements of a page and what they do."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.deeds: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.deeds += [name for name, _ in attrs if name.startswith("on")]


def test_hostile_names_are_text_wherever_they_come_from() -> None:
    progress = telling(
        TrainingProgress(name=HOSTILE),
        start(labels=[HOSTILE, "b"], settings={HOSTILE: HOSTILE}, folder=HOSTILE, metric=HOSTILE),
        logged(10, 0.5), evaluated(10, 0.4, **{HOSTILE: 0.5}, confusion=CHAPTER), saved(10, HOSTILE), printed(HOSTILE),
        ended("stopped", 10, HOSTILE, resume=HOSTILE),
    )  # fmt: skip
    other = TrainingProgress.compare(progress, progress)
    for one in (progress, other):
        read = Tags()
        read.feed(one._make_twin())
        assert not {"script", "blink", "style"} & set(read.tags) and read.deeds == []
        assert "alert(1)" in one._make_twin()
        page = one.to_html()
        read = Tags()
        read.feed(page)
        assert "alert(1)</script>" not in page and "blink" not in read.tags and read.deeds == []
        assert "<script>" not in one.to_svg()


def test_the_twin_holds_the_finding_the_numbers_the_line_that_goes_on_and_what_was_printed(
    whole: TrainingProgress,
) -> None:
    text = whole._make_twin()
    for part in (whole.title, "await progress.fit(trainer)", "a word", "learning_rate", "Stopped.", "1 more than"):
        assert part.replace("<", "&lt;") in text, part


# The page.


def test_the_state_is_the_whole_shot_at_the_moment_when_it_is_asked_for(whole: TrainingProgress) -> None:
    first = whole.get_state()["_shot"]
    assert first["title"] == whole.title and len(first["runs"][0]["points"]) == 40
    whole._sheet.log.take(printed("more"))
    assert whole.get_state()["_shot"]["said"] == ["a word", "more"]
    json.dumps(whole.get_state("_shot"), allow_nan=False)


def test_a_page_may_ask_for_the_shot_a_stretch_and_files(whole: TrainingProgress) -> None:
    page = Page(whole)
    assert page.ask("shot")[0]["shot"] == whole._now()
    near = page.ask("range", run=0, start=10, end=12)[0]
    assert near["every"] == 1 and [point[0] for point in near["points"]] == [9, 10, 11, 12, 13]
    content, buffers = page.ask("file", kind="png")
    assert content["name"] == "training.png" and content["kind"] == "image/png" and buffers[0][:4] == b"\x89PNG"
    for kind, mime in (("csv", "text/csv"), ("json", "application/json"), ("svg", "image/svg+xml")):
        content, _ = page.ask("file", kind=kind)
        assert content["kind"] == mime and content["text"] == whole._file(kind)
    assert "no file of the kind 'exe'" in page.ask("file", kind="exe")[0]["error"]
    assert "nothing to stop" in page.ask("stop")[0]["error"]


def test_a_page_may_lay_runs_over_and_take_them_away(whole: TrainingProgress, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "out")
    page = Page(whole)
    assert "error" not in page.ask("compare", folder=f"  {folder} ")[0]
    assert [run["name"] for run in whole._now()["runs"]] == ["coding", "out"]
    assert any("fresh" in content and content["fresh"]["kind"] == "compare" for content, _ in page.heard)
    assert "There is no folder" in page.ask("compare", folder=str(tmp_path / "nowhere"))[0]["error"]
    assert "Name the folder of a run" in page.ask("compare", folder=" ")[0]["error"]
    assert "The first run stays" in page.ask("forget", run=0)[0]["error"]
    assert "error" not in page.ask("forget", run=1)[0] and whole._now()["kind"] == "run"
    for _ in range(5):
        page.ask("compare", folder=str(folder))
    assert "Six runs are laid over each other already" in page.ask("compare", folder=str(folder))[0]["error"]
    assert [run["name"] for run in whole._now()["runs"]][1:] == ["out", *(f"out ({n})" for n in range(2, 6))]


def test_a_run_that_begins_keeps_what_was_laid_over_it_and_takes_its_own_name(
    whole: TrainingProgress, tmp_path: Path
) -> None:
    page = Page(whole)
    page.ask("compare", folder=str(run_folder(tmp_path / "out")))
    whole._sheet.begin()
    telling(whole, start(name="next"))
    assert [run["name"] for run in whole._now()["runs"]] == ["next", "out"]


def test_at_most_four_messages_a_second_however_much_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "has_a_page", lambda: True)  # where nobody looks on the last words need not wait
    progress = TrainingProgress()
    sent: list[tuple[float, Any]] = []
    progress.send = lambda content, buffers=None: sent.append((time.monotonic(), content))  # type: ignore[method-assign]
    progress._hear_event(start(steps=100_000))
    began, step = time.monotonic(), 0
    while time.monotonic() - began < 0.9:
        step += 1
        progress._hear_event(logged(step, 0.5))
        progress._hear_event(stepped(step, step / 100, step * 8))
        progress._hear_event(evaluated(step, 0.5))  # of which the page hears as soon as may be
        time.sleep(0.001)
    progress._last_words()
    times = [at for at, _ in sent]
    assert 3 <= len(sent) <= 6 and all(b - a >= GAP - 0.01 for a, b in pairwise(times))
    assert progress._sheet.log.step == step
    for _, content in sent:
        json.dumps(content, allow_nan=False)


def test_a_page_hears_now_and_then_that_python_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = told_of(phase("paused", 3))
    page = Page(progress)
    progress._flush()
    progress._flush()
    assert len(page.heard) == 1
    monkeypatch.setattr(progress, "_sent_at", time.monotonic() - 6)
    progress._tick()
    assert len(page.heard) == 2 and set(page.heard[1][0]["news"]) == {"serial"}
    telling(progress, ended("stopped", 3))
    progress._flush()
    monkeypatch.setattr(progress, "_sent_at", time.monotonic() - 6)
    progress._tick()
    assert len(page.heard) == 3


def test_a_page_of_its_own_has_no_buttons(whole: TrainingProgress) -> None:
    running = told_of(logged(10, 0.5))
    running._sheet.steered = True
    assert running._now()["buttons"] and running._alone()["_shot"]["buttons"] == []


def test_a_view_that_cannot_be_drawn_or_reached_ends_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = TrainingProgress()
    heard = Page(progress).heard

    def broken(*_: Any) -> Any:
        raise ValueError("no picture")

    monkeypatch.setattr(progress._sheet, "news", broken)
    progress._hear_event(start())
    progress._hear_event(logged(1, 0.5))
    assert "no picture" in progress.troubles[-1] and heard == []
    monkeypatch.undo()
    progress._sent_at = 0.0
    progress._hear_event(logged(2, 0.4))
    assert [point[1] for point in heard[-1][0]["fresh"]["runs"][0]["points"]] == [1, 2]


def test_the_text_of_the_live_view_says_nothing_that_will_not_hold() -> None:
    progress = TrainingProgress()
    assert "Nothing has been trained" not in progress._live_plain() and "picture" in progress._live_plain()


def test_a_saved_picture_of_a_training_does_not_send_anyone_to_train_again(tmp_path: Path) -> None:
    progress = TrainingProgress()
    progress._hear_event(start(folder="out"))
    progress._hear_event(logged(1, 0.5))
    said = progress._make_twin()
    assert "TrainingProgress.from_run(&#x27;out&#x27;)" in said and "Run the cell" not in said
    assert "Run the cell" in TrainingProgress.from_run(run_folder(tmp_path / "run"))._make_twin()


def test_while_no_more_than_steps_go_by_the_page_hears_of_them_once_a_second() -> None:
    progress = TrainingProgress()
    sent: list[Any] = []
    progress.send = lambda content, buffers=None: sent.append(content)  # type: ignore[method-assign]
    progress._hear_event(start(steps=100_000))
    began = time.monotonic()
    while time.monotonic() - began < 0.8:
        progress._hear_event(logged(len(sent), 0.5))
        time.sleep(0.01)
    assert len(sent) == 1
    progress._hear_event(evaluated(1, 0.5))
    assert len(sent) == 2
