"""TrainingProgress at work with a real Trainer where there is no page: the same training, stopped, resumed, failed."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="The widgets need anywidget (make test installs it).")

import warm
from small_trainer import At, Witness, checkpoints, same, small_trainer, weights
from transformers import TrainerCallback
from transformers.trainer_utils import TrainOutput

from biollm_widgets import news
from biollm_widgets.errors import InputError
from biollm_widgets.widgets import live
from biollm_widgets.widgets.training_progress import TrainingProgress

SLOW = pytest.mark.slow
EVERY = {"eval_strategy": "steps", "eval_steps": 3, "save_strategy": "steps", "save_steps": 3}


@pytest.fixture
def make_trainer(shared_data: Path, tmp_path: Path) -> Callable[..., Any]:
    return lambda name="out", **given: small_trainer(tmp_path / name, **{"disable_tqdm": True, **given})


@pytest.fixture(autouse=True)
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages follow each other without a gap, for which the end of each training would wait."""
    if "four_times_a_second" not in request.node.name:
        monkeypatch.setattr(live, "GAP", 0.0)


def state_of(trainer: Any) -> tuple[Any, ...]:
    return list(trainer.callback_handler.callbacks), trainer.compute_metrics, trainer.__dict__.get("training_step")


def test_it_trains_as_the_trainer_does_and_leaves_it_as_it_was(make_trainer: Any) -> None:
    plain = make_trainer("plain", **EVERY)
    plain.train()
    trainer = make_trainer(**EVERY)
    before = state_of(trainer)
    progress = TrainingProgress(name="coding", labels=["non-coding", "coding"])
    output = progress.fit_sync(trainer)
    assert isinstance(output, TrainOutput) and output.global_step == 12
    assert same(weights(trainer.model), weights(plain.model)) and state_of(trainer) == before
    assert progress.state == "finished" and progress.title.startswith("Finished at step 12 of 12: evaluation MCC")
    assert list(progress.to_frame()["step"]) == [3, 6, 9, 12] and progress.to_frame()["best"].sum() == 1
    assert list(progress.to_frame("training")["step"]) == list(range(1, 13))
    matrix = progress.confusion(6)
    assert matrix.to_numpy().sum() == 16 and list(matrix.columns) == ["non-coding", "coding"]
    assert trainer.is_in_train is False


def test_what_training_raises_comes_out_as_itself_and_the_card_says_what_happened(make_trainer: Any) -> None:
    error = RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    def fail() -> None:
        raise error

    trainer = make_trainer(callbacks=[At(4, fail)], **EVERY)
    before = state_of(trainer)
    progress = TrainingProgress()
    with pytest.raises(RuntimeError) as caught:
        progress.fit_sync(trainer)
    assert caught.value is error and state_of(trainer) == before
    assert progress.state == "failed"
    said = progress._now()["notice"]
    assert said["kind"] == "failed" and "smaller per_device_train_batch_size (now 4)" in said["words"][1]
    assert said["words"][-1].endswith("checkpoint-3.")
    assert progress._control is None


def test_a_label_that_there_is_not_is_called_that(make_trainer: Any) -> None:
    from small_trainer import Rows, encoded

    inputs, labels = encoded()
    progress = TrainingProgress()
    with pytest.raises(Exception, match="out of bounds"):
        progress.fit_sync(make_trainer(train=Rows(inputs, labels + 1)))
    assert "A label is not one of the model's classes" in progress._now()["notice"]["words"][0]


def test_a_second_training_while_one_runs_is_refused(make_trainer: Any) -> None:
    progress = TrainingProgress()
    said: list[str] = []

    def again() -> None:
        with pytest.raises(InputError, match="watches a training already"):
            progress.fit_sync(make_trainer("second"))
        said.append("refused")

    progress.fit_sync(make_trainer(callbacks=[At(2, again)]))
    assert said == ["refused"] and progress.state == "finished"
    assert progress._sheet.log.step == 12


def test_what_one_progress_trains_is_not_trained_by_another(make_trainer: Any, tmp_path: Path) -> None:
    said: list[str] = []
    trainer = make_trainer()

    def again() -> None:
        for other in (trainer, make_trainer()):  # of the same folder
            with pytest.raises(InputError, match="is being trained already"):
                TrainingProgress().fit_sync(other)
        said.append("refused")

    trainer.add_callback(At(2, again))
    TrainingProgress().fit_sync(trainer)
    assert said == ["refused"] and trainer.state.global_step == 12
    assert TrainingProgress().fit_sync(trainer).global_step == 12  # afterwards it may be


def test_what_is_no_trainer_is_called_that() -> None:
    with pytest.raises(InputError, match=r"^fit takes a Hugging Face Trainer, not NoneType\.$"):
        TrainingProgress().fit(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^fit_sync takes a Hugging Face Trainer, not str\.$"):
        TrainingProgress().fit_sync("trainer")  # type: ignore[arg-type]


def in_a_kernel(monkeypatch: pytest.MonkeyPatch, progress: TrainingProgress) -> None:
    """As if there were a page, of which nobody takes notice."""
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(news, "in_kernel", lambda: True)
    monkeypatch.setattr(progress, "send", lambda content, buffers=None: None)
    monkeypatch.setattr(progress, "_show", lambda: None)


def test_a_training_that_was_left_is_heard_and_reached_until_it_ends(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from biollm_widgets.widgets import beside

    progress = TrainingProgress()
    in_a_kernel(monkeypatch, progress)
    go_on, began = threading.Event(), threading.Event()

    def leave(work: Any, *_: Any) -> None:
        work.begin()
        assert began.wait(60)
        raise KeyboardInterrupt

    monkeypatch.setattr(beside, "wait_here", leave)
    trainer = make_trainer(callbacks=[At(4, lambda: (began.set(), go_on.wait(60)))], **EVERY)
    before = state_of(trainer)
    with pytest.raises(KeyboardInterrupt):
        progress.fit_sync(trainer)
    thread = next(one for one in threading.enumerate() if one.name == "training")
    progress._drain()
    assert progress.state == "training" and progress._control is not None and progress._sheet.stopping
    with pytest.raises(InputError, match="still at step 3; Stop was asked, so it ends with a checkpoint"):
        TrainingProgress().fit_sync(trainer)
    with pytest.raises(InputError, match="Run this cell again in a moment"):
        make_trainer("other", callbacks=[progress.callback]).train()
    go_on.set()
    thread.join(60)
    assert progress.state == "stopped" and progress._control is None and checkpoints(tmp_path / "out") == [3, 4]
    assert state_of(trainer) == before
    monkeypatch.undo()
    assert progress.fit_sync(trainer, resume_from_checkpoint=True).global_step == 12


def test_without_await_nothing_begins_and_a_sentence_says_so(make_trainer: Any) -> None:
    trainer = make_trainer()
    waiting = TrainingProgress().fit(trainer)
    assert repr(waiting) == "Nothing has begun yet: write await in front, as in `await progress.fit(...)`."
    assert trainer.state.global_step == 0 and inspect.isawaitable(waiting) and asyncio.iscoroutine(waiting)
    waiting.close()


def test_it_can_be_awaited_where_there_is_an_event_loop(make_trainer: Any) -> None:
    progress = TrainingProgress()
    assert asyncio.run(progress.fit(make_trainer("one", max_steps=2))).global_step == 2

    async def both() -> Any:
        return await progress.fit(make_trainer("two", max_steps=3))

    assert asyncio.run(both()).global_step == 3 and progress.state == "finished"


@pytest.mark.parametrize("how", ["stop()", "button"])
def test_stop_leaves_a_checkpoint_and_the_line_that_goes_on(how: str, make_trainer: Any, tmp_path: Path) -> None:
    progress = TrainingProgress()
    button = lambda: progress._hear(progress, {"ask": "stop", "number": 1}, [])  # noqa: E731
    trainer = make_trainer(callbacks=[At(4, progress.stop if how == "stop()" else button)], **EVERY)
    assert progress.fit_sync(trainer).global_step == 4
    assert checkpoints(tmp_path / "out") == [3, 4] and progress.state == "stopped"
    code = progress._now()["notice"]["code"]
    assert code == f'progress.fit_sync(trainer, resume_from_checkpoint="{tmp_path / "out" / "checkpoint-4"}")'
    again = make_trainer(**EVERY)
    witness = Witness()
    again.add_callback(witness)
    exec(code, {"progress": progress, "trainer": again})
    whole = make_trainer("whole", **EVERY)
    kept = Witness()
    whole.add_callback(kept)
    whole.train()
    assert same(witness.last, kept.last) and progress.state == "finished"


def test_going_on_builds_the_curve_and_the_matrices_of_before_anew(make_trainer: Any, tmp_path: Path) -> None:
    whole = TrainingProgress()
    whole.fit_sync(make_trainer(**EVERY))
    fresh = TrainingProgress()
    fresh.fit_sync(make_trainer(**EVERY), resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-6"))
    assert fresh.to_frame("training").equals(whole.to_frame("training"))
    for step in (3, 6, 9, 12):
        assert fresh.confusion(step).equals(whole.confusion(step))
    shot = fresh._now()["runs"][0]
    assert shot["checkpoints"] == [3, 6, 9, 12] and len(shot["points"]) == 12
    last = TrainingProgress()
    last.fit_sync(make_trainer(**EVERY), resume_from_checkpoint=True)  # from the last one: nothing is left to do
    assert last.state == "finished" and len(last.to_frame()) == 4


def test_a_progress_that_is_used_again_starts_anew(make_trainer: Any) -> None:
    progress = TrainingProgress()
    progress.fit_sync(make_trainer("one", callbacks=[At(4, lambda: progress.stop())], **EVERY))
    progress.fit_sync(make_trainer("two", max_steps=2))
    assert progress.state == "finished" and len(progress.to_frame("training")) == 2 and progress.to_frame().empty
    shot = progress._now()
    assert shot["runs"][0]["name"] == "two" and shot["runs"][0]["checkpoints"] == [] and shot["buttons"] == []


def test_pause_holds_the_training_until_it_goes_on(make_trainer: Any) -> None:
    progress = TrainingProgress()
    seen: list[str] = []

    def go_on() -> None:
        progress._drain()
        seen.append(progress.state)
        progress.go_on()

    trainer = make_trainer(callbacks=[At(3, lambda: (progress.pause(), threading.Timer(0.4, go_on).start()))])
    assert progress.fit_sync(trainer).global_step == 12
    assert seen == ["paused"] and progress.state == "finished"


def test_buttons_that_reach_nothing_say_so() -> None:
    progress = TrainingProgress()
    for verb in (progress.stop, progress.pause, progress.go_on):
        with pytest.raises(InputError, match="Nothing is being trained here"):
            verb()


def test_the_callback_watches_a_training_that_somebody_else_starts(make_trainer: Any, tmp_path: Path) -> None:
    progress = TrainingProgress()
    trainer = make_trainer(callbacks=[At(7, lambda: progress.stop()), progress.callback], **EVERY)
    assert progress.callback is progress.callback
    trainer.train()
    assert progress.state == "stopped" and checkpoints(tmp_path / "out") == [3, 6, 7]
    assert list(progress.to_frame()["step"]) == [3, 6]
    assert 'trainer.train(resume_from_checkpoint="' in progress._now()["notice"]["code"]
    resumed = make_trainer(callbacks=[progress.callback], **EVERY)
    resumed.train(resume_from_checkpoint=True)
    assert progress.state == "finished" and list(progress.to_frame()["step"]) == [3, 6, 9, 12]
    resumed.evaluate()
    assert progress.state == "finished"


def test_a_callback_of_a_progress_that_fits_already_keeps_quiet(make_trainer: Any) -> None:
    progress = TrainingProgress()
    progress.fit_sync(make_trainer(callbacks=[progress.callback], **EVERY))
    assert progress.state == "finished" and len(progress.to_frame()) == 4
    assert list(progress.to_frame("training")["step"]) == list(range(1, 13))


def test_a_second_interrupt_quits_at_once_and_that_is_said(make_trainer: Any, tmp_path: Path) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    progress = TrainingProgress()
    with pytest.raises(KeyboardInterrupt):
        progress.fit_sync(make_trainer(callbacks=[At(4, twice)], **EVERY))
    assert progress.state == "failed" and checkpoints(tmp_path / "out") == [3]
    words = progress._now()["notice"]["words"]
    assert words[0].startswith("Interrupted before the step at hand was done") and words[-1].endswith("checkpoint-3.")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_the_callback_can_be_used_for_the_next_run_after_one_that_failed(make_trainer: Any) -> None:
    progress = TrainingProgress()

    def fail() -> None:
        progress.stop()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_trainer("one", callbacks=[progress.callback, At(2, fail)]).train()
    make_trainer("two", callbacks=[progress.callback], max_steps=3).train()
    assert progress.state == "finished" and progress._sheet.log.step == 3


def test_under_nbgrader_it_runs_in_the_foreground_and_writes_nothing_to_stderr(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    monkeypatch.setattr(news, "in_kernel", lambda: True)
    threads = []
    trainer = make_trainer(callbacks=[At(1, lambda: threads.append(threading.current_thread()))], **EVERY)
    progress = TrainingProgress()
    assert asyncio.run(progress.fit(trainer)).global_step == 12
    assert threads == [threading.main_thread()]
    captured = capsys.readouterr()
    assert "Step 3: evaluation loss" in captured.out and captured.err == ""


@SLOW
def test_in_a_kernel_it_trains_in_a_thread_and_messages_go_out_at_most_four_times_a_second(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(news, "in_kernel", lambda: True)
    progress = TrainingProgress()
    sent: list[tuple[float, Any]] = []
    monkeypatch.setattr(progress, "send", lambda content, buffers=None: sent.append((time.monotonic(), content)))
    monkeypatch.setattr(progress, "_show", lambda: None)
    threads = []
    slow = At(1, lambda: threads.append(threading.current_thread().name))
    slow.on_step_begin = lambda *a, **k: time.sleep(0.1)  # type: ignore[attr-defined]
    trainer = make_trainer(callbacks=[slow], **EVERY)
    progress.fit_sync(trainer)
    assert threads == ["training"] and progress.state == "finished"
    gaps = [after[0] - before[0] for before, after in pairwise(sent)]
    assert len(sent) >= 4 and min(gaps) >= 0.24
    assert "fresh" in sent[0][1] and any("news" in content for _, content in sent)
    for _, content in sent:
        json.dumps(content, allow_nan=False)
    assert sent[-1][1].get("news", sent[-1][1].get("fresh"))["phase"] == "finished"


def test_other_callbacks_hear_everything_and_a_bar_of_the_trainers_own_is_left_out(
    make_trainer: Any, capsys: pytest.CaptureFixture
) -> None:
    heard = []

    class Ear(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            heard.append(state.global_step)

    TrainingProgress().fit_sync(make_trainer(callbacks=[Ear()], disable_tqdm=False, **EVERY))
    assert {1, 3, 12} <= set(heard)
    captured = capsys.readouterr()
    assert "{'loss'" not in captured.out and "12/12" in captured.err and captured.err.count("Training: ") > 0


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from small_trainer import small_trainer
from biollm_widgets.widgets.training_progress import TrainingProgress
trainer = small_trainer({out!r}, num_train_epochs=200, eval_strategy="steps", eval_steps=20, logging_steps=5)
progress = TrainingProgress()
print(progress.fit_sync(trainer).global_step, progress.state, flush=True)
"""


@SLOW
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_ctrl_c_in_a_script_stops_with_a_checkpoint_and_the_script_goes_on_to_its_end(
    number: signal.Signals, shared_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code = SCRIPT.format(tests=str(Path(warm.__file__).parent), out=str(out))
    run = warm.Process("-c", code, folder=tmp_path)
    deadline = time.monotonic() + 200
    while "Step 20: evaluation" not in run.said()[1]:
        assert run.poll() is None and time.monotonic() < deadline, run.said()
        time.sleep(0.05)
    run.send_signal(number)
    said, errors = run.communicate(timeout=120)
    assert run.returncode == 0 and "Traceback" not in errors, errors
    step, state = said.split()
    assert state == "stopped" and checkpoints(out) == [int(step)] and 20 <= int(step) < 1200
    assert f'To go on: progress.fit_sync(trainer, resume_from_checkpoint="{out}/checkpoint-{step}")' in errors
    assert re.search(rf"Stopped at step {int(step):,} of 1,200\.", errors)


def test_after_a_run_with_the_callback_that_broke_off_signals_do_what_they_did(make_trainer: Any) -> None:
    heard: list[int] = []
    first = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        before = signal.getsignal(signal.SIGINT)
        progress = TrainingProgress()
        with pytest.raises(ZeroDivisionError):
            make_trainer(callbacks=[progress.callback, At(2, lambda: 1 / 0)]).train()
        signal.raise_signal(signal.SIGINT)
        assert heard == [signal.SIGINT] and signal.getsignal(signal.SIGINT) is before
        # The next one hears it again.
        trainer = make_trainer("two", callbacks=[progress.callback, At(3, lambda: signal.raise_signal(signal.SIGINT))])
        trainer.train()
        assert trainer.state.global_step in (3, 4) and progress.state == "stopped" and heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, first)


def test_a_pause_with_the_callback_looks_for_clicks_and_tells_the_page(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = TrainingProgress()
    callback: Any = progress.callback
    seen: list[str] = []

    def poll(count: int) -> None:  # as if a click came through
        seen.append(progress._sheet.log.phase)
        if seen[-1] == "paused":
            progress.go_on()

    def pause() -> None:
        callback.poll = poll
        progress.pause()

    monkeypatch.setattr(live, "GAP", 0.2)
    make_trainer(callbacks=[At(3, pause), callback]).train()
    assert "paused" in seen and progress.state == "finished"


def test_a_watch_that_cannot_begin_leaves_the_progress_at_rest(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from biollm_widgets.runs.session import Watch

    progress = TrainingProgress()
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as broken:
        broken.setattr(Watch, "agree", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make_trainer(callbacks=[progress.callback]).train()
    assert progress._control is None and signal.getsignal(signal.SIGINT) is before
    make_trainer(callbacks=[progress.callback], max_steps=2).train()
    assert progress.state == "finished"


def test_a_run_with_the_callback_whose_thread_is_gone_does_not_keep_the_next_one_out(make_trainer: Any) -> None:
    progress = TrainingProgress()

    def train() -> None:
        with pytest.raises(ZeroDivisionError):
            make_trainer(callbacks=[progress.callback, At(2, lambda: 1 / 0)]).train()

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    make_trainer("two", callbacks=[progress.callback], max_steps=3).train()
    assert progress.state == "finished" and progress._sheet.log.step == 3


@pytest.fixture(scope="module")
def tuning(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Data and flags of a fine-tuning of 22 steps."""
    import pandas as pd
    from transformers import AutoTokenizer

    from biollm_widgets.dna.splits import Splits, write_splits
    from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2ForMaskedLM

    folder = tmp_path_factory.mktemp("tuning")
    model, data = folder / "model", folder / "data"
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    DNABert2ForMaskedLM(DNABert2Config(**shape)).save_pretrained(model)
    AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer").save_pretrained(model)
    frame = pd.read_csv(shared_data / "ecoli_coding_noncoding.csv").sample(80, random_state=5)
    frame = pd.DataFrame({"sequence": frame["DNA_sequence"].str[:120], "label": frame["Target"]})
    data.mkdir()
    write_splits(Splits(frame[:44], frame[44:60], frame[60:]), data)
    return data, {
        "model_name_or_path": str(model), "model_max_length": 40, "per_device_train_batch_size": 4,
        "num_train_epochs": 2, "eval_steps": 8, "logging_steps": 2, "rung": "full",
    }  # fmt: skip


@SLOW
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_ctrl_c_in_a_fine_tuning_is_a_stop_and_no_failure(
    number: signal.Signals, tuning: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    data, flags = tuning
    flags = {**flags, "output_dir": str(tmp_path)}
    before = signal.getsignal(number)
    progress = TrainingProgress()
    result = progress.finetune_sync(data, **flags, callbacks=[At(5, lambda: signal.raise_signal(number))])
    assert (result.finished, result.last_step, result.planned_steps) == (False, 5, 22)
    assert result.checkpoint == str(tmp_path / "checkpoint-5") and checkpoints(tmp_path) == [5]
    notice = progress._now()["notice"]
    assert progress.state == "stopped" and progress.title.startswith("Stopped at step 5 of 22")
    assert notice["words"][-1] == "The same call goes on from there." and notice["code"].startswith("progress.finetune")
    assert "failed" not in capsys.readouterr().err and signal.getsignal(number) is before
    assert progress.finetune_sync(data, **flags).finished and progress.state == "finished"


@SLOW
def test_a_stop_before_the_first_step_of_a_fine_tuning_says_that_the_call_begins_again(
    tuning: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    data, flags = tuning
    stop = threading.Event()
    stop.set()  # pressed before anything was read: it is not lost
    progress = TrainingProgress()
    result = progress.finetune_sync(data, **flags, output_dir=str(tmp_path), stop=stop)
    assert (result.finished, result.last_step, result.checkpoint) == (False, 0, None)
    assert "begins again" in result.summary() and "goes on" not in result.summary()
    assert progress.state == "stopped"
    assert progress._now()["notice"]["words"] == ["Stopped before the first step.", "The same call begins again."]


def test_the_stop_button_reaches_an_event_of_the_callers_from_the_first_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from biollm_widgets.dna import finetuning

    progress, stop = TrainingProgress(), threading.Event()
    seen: list[Any] = []

    def finetune(data: Any, **flags: Any) -> Any:
        seen.extend([flags["stop"] is stop, stop.is_set()])
        raise ValueError("enough")

    monkeypatch.setattr(finetuning, "finetune", finetune)
    monkeypatch.setattr(progress._sheet, "begin", lambda: seen.append("begun"))
    from biollm_widgets.widgets import training_fit

    pressed = training_fit.TerminalBar
    monkeypatch.setattr(training_fit, "TerminalBar", lambda *given: (progress.stop(), pressed(*given))[1])
    with pytest.raises(ValueError, match="enough"):
        progress.finetune_sync("data", stop=stop)
    assert seen == ["begun", True, True]


@SLOW
def test_a_fine_tuning_is_watched_stopped_and_gone_on_with_by_the_same_call(
    tuning: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    data, flags = tuning
    flags = {**flags, "output_dir": str(tmp_path / "out")}
    progress = TrainingProgress()
    result = progress.finetune_sync(data, **flags, callbacks=[At(5, progress.stop)])
    assert not result.finished and result.last_step == 5 and progress.state == "stopped"
    code = progress._now()["notice"]["code"]
    assert code.startswith(f"progress.finetune_sync('{data}', model_name_or_path=") and "callbacks" not in code
    result = eval(code, {"progress": progress})
    assert result.finished and progress.state == "finished" and progress.title.startswith("Finished at step 22 of 22")
    frame = progress.to_frame()
    assert list(frame["step"]) == [8, 16, 16] or list(frame["step"])[:2] == [8, 16]
    assert frame["test"].sum() == 1 and progress.confusion().to_numpy().sum() == 16
    assert progress._now()["runs"][0]["test"]["confusion"] is not None
    with pytest.raises(InputError, match="does not exist"):
        progress.finetune_sync(tmp_path / "nowhere", **{**flags, "output_dir": str(tmp_path / "other")})
    assert progress.state == "failed" and "does not exist" in progress._now()["notice"]["words"][0]
