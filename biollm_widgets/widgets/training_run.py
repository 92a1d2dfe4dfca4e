"""One training under a TrainingProgress: what runs, where it runs, and how it ends."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import ExitStack
from typing import Any, Optional

from transformers import TrainerCallback

from biollm_widgets.errors import InputError
from biollm_widgets.runs.pausing import Pause
from biollm_widgets.runs.quiet import no_bars_of_loading
from biollm_widgets.runs.recorder import Recorder
from biollm_widgets.runs.session import Session, Watch
from biollm_widgets.runs.stopping import StopRequest
from biollm_widgets.runs.terminal import TerminalBar
from biollm_widgets.runs.words import failure
from biollm_widgets.widgets import beside

POLL = 0.1  # seconds between two looks for clicks where training has the main thread


class Control:
    """What Stop and Pause of one training reach."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.request = StopRequest(self.event)
        self.pause = Pause()

    def stop(self) -> None:
        self.event.set()


class TrainerRun:
    """`trainer.train(...)`."""

    def __init__(self, trainer: Any, resume: Any, given: dict[str, Any], call: str) -> None:
        self.trainer, self.resume, self.given, self.call = trainer, resume, given, call

    @property
    def alone(self) -> bool:
        """Whether this process is the only one that trains."""
        return self.trainer.args.world_size == 1

    def go(self, progress: Any, control: Control, hear: Callable[[dict[str, Any]], None]) -> Any:
        """Train here, and tell what happens."""
        watch = Watch(
            hear,
            control.request,
            control.pause,
            lambda path: f'{self.call}(trainer, resume_from_checkpoint="{path}")',
            progress._name,
            progress._labels,
        )
        try:
            with Session(self.trainer, watch), no_bars_of_loading():
                return self.trainer.train(resume_from_checkpoint=self.resume, **self.given)
        except BaseException as error:
            tell_failure(progress, watch.recorder, error)
            raise


class FinetuneRun:
    """`bio.finetune(...)`."""

    alone = True

    def __init__(self, data_path: Any, flags: dict[str, Any], call: str) -> None:
        self.data_path, self.flags, self.call = data_path, flags, call

    def go(self, progress: Any, control: Control, hear: Callable[[dict[str, Any]], None]) -> Any:
        from biollm_widgets.dna.finetuning import finetune

        recorder = Recorder(
            hear,
            pause=control.pause,
            stop=control.request,
            name=progress._name or str(self.flags.get("run_name") or ""),
            labels=progress._labels,
            ends=False,
        )
        flags = {"disable_tqdm": True, **self.flags}
        callbacks = [*(flags.pop("callbacks", None) or []), recorder]
        given = flags.pop("stop", None)
        control.request.event = control.event = given or control.event
        try:
            result = finetune(self.data_path, callbacks=callbacks, stop=control.event, **flags)
        except BaseException as error:
            tell_failure(progress, recorder, error)
            raise
        finally:
            recorder.detach()
        if result.finished:
            recorder.end(
                "finished", [result.which_weights()], step=result.last_step, holds=result.step,
                checkpoint=result.checkpoint,
            )  # fmt: skip
        else:
            kept = f"Everything to go on with is in {result.checkpoint}." if result.checkpoint else ""
            words = f"Stopped at step {result.last_step:,} of {result.planned_steps:,}. {kept}".strip()
            recorder.end(
                "stopped",
                [words, "The same call goes on from there."],
                step=result.last_step,
                checkpoint=result.checkpoint,
                resume=self.line(),
            )
        return result

    def line(self) -> str:
        """The call, as it was written."""
        said = [repr(str(self.data_path) if isinstance(self.data_path, os.PathLike) else self.data_path)]
        for name, value in self.flags.items():
            if name not in ("callbacks", "stop"):
                said.append(f"{name}={str(value) if isinstance(value, os.PathLike) else value!r}")
        return f"{self.call}({', '.join(said)})"


def tell_failure(progress: Any, recorder: Recorder, error: BaseException) -> None:
    """The last event of a training that broke off; the exception itself goes on to whoever called."""
    with progress._turn:
        progress._drain()
    log = progress._sheet.log
    left = log.checkpoints[-1].path if log.checkpoints else None
    recorder.end("failed", failure(error, log), step=log.step, checkpoint=left)


class Fitting(Coroutine):
    """A training that begins when it is awaited; until then, a sentence that says so."""

    def __init__(self, progress: Any, run: Any) -> None:
        self._progress, self._run = progress, run
        self._inner: Optional[Coroutine[Any, Any, Any]] = None

    def _started(self) -> Coroutine[Any, Any, Any]:
        if self._inner is None:
            self._inner = _fit(self._progress, self._run)
        return self._inner

    def send(self, value: Any) -> Any:
        return self._started().send(value)

    def throw(self, *error: Any) -> Any:
        return self._started().throw(*error)

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._started().__await__()

    def __repr__(self) -> str:
        call = self._run.call.removeprefix("await ")
        return f"Nothing has begun yet: write await in front, as in `await {call}(...)`."


async def _fit(progress: Any, run: Any) -> Any:
    if not _has_a_page(run):
        return _run_in_foreground(progress, run)
    with _Busy(progress) as control:
        progress._show()
        work = beside.Work(lambda: run.go(progress, control, _heard(progress, control)), _said(progress))
        return await beside.wait(work, progress._tick, progress._ask_to_stop)


def run_here(progress: Any, run: Any) -> Any:
    """Train, and come back when it is done."""
    if not _has_a_page(run):
        return _run_in_foreground(progress, run)
    with _Busy(progress) as control:
        progress._show()
        work = beside.Work(lambda: run.go(progress, control, _heard(progress, control)), _said(progress))
        with beside.heard_beside(progress):
            return beside.wait_here(work, progress._tick, progress._ask_to_stop)


def _has_a_page(run: Any) -> bool:
    """Whether somebody may look on and click: not in a script, not while a notebook is graded, not in one of many."""
    return beside.in_kernel() and not os.environ.get("NBGRADER_EXECUTION") and run.alone


def _heard(progress: Any, control: Control) -> Callable[[dict[str, Any]], None]:
    """Hears this training's events; no more when its cell was left and another training has begun meanwhile."""

    def hear(event: dict[str, Any]) -> None:
        if progress._control is control or progress._control is None:
            progress._hear_event(event)

    return hear


def _said(progress: Any) -> Callable[[str], None]:
    return lambda line: progress._hear_event({"event": "say", "time": time.time(), "words": line})


def _run_in_foreground(progress: Any, run: Any) -> Any:
    with _Busy(progress, pumped=False) as control:
        # A graded notebook shows what goes to stderr as if it were an error.
        bar = TerminalBar(progress._sheet.log, sys.stdout if beside.in_kernel() else sys.stderr)

        def hear(event: dict[str, Any]) -> None:
            progress._hear_event(event)
            with progress._turn:
                progress._drain()
            bar.log = progress._sheet.log
            bar(event)

        try:
            with control.request:  # Ctrl-C and SIGTERM end it after the step at hand
                return run.go(progress, control, hear)
        finally:
            bar.close()


class _Busy:
    """A progress while it is at work: its buttons reach this training, and there can be no second one."""

    def __init__(self, progress: Any, pumped: bool = True) -> None:
        self.progress, self.pumped = progress, pumped
        self.control = Control()

    def __enter__(self) -> Control:
        progress = self.progress
        if progress._callback is not None:
            progress._callback.leave_behind()
        if progress._control is not None:
            raise InputError("This progress watches a training already; make another TrainingProgress() for a second.")
        progress._control = self.control
        progress._sheet.begin()
        progress._pumped = self.pumped
        progress._sheet.steered = True
        return self.control

    def __exit__(self, kind: Any, *_: object) -> None:
        progress = self.progress
        progress._pumped = False
        progress._control = None
        progress._sheet.steered = progress._sheet.stopping = progress._sheet.pausing = False
        progress._last_words()


class _Together(TrainerCallback):
    """Several callbacks as one, and the view beside a training that somebody else started."""

    def __init__(self, progress: Any) -> None:
        self.progress = progress
        self.control = Control()
        self.watch: Optional[Watch] = None
        self.kept = ExitStack()
        self.polled = 0.0
        self.events: Any = None
        self.thread = 0  # that trains

    def begin(self, args: Any) -> None:
        progress = self.progress
        self.thread = threading.get_ident()
        busy = _Busy(progress, pumped=False)
        self.control = busy.__enter__()
        self.kept = ExitStack()
        self.kept.push(busy)
        self.watch = Watch(
            progress._hear_event,
            self.control.request,
            self.control.pause,
            lambda path: f'trainer.train(resume_from_checkpoint="{path}")',
            progress._name,
            progress._labels,
        )
        self.watch.agree(args)
        if beside.in_kernel():
            progress._show()
            self.kept.enter_context(beside.heard_beside(progress))
            self.kept.enter_context(_until_the_cell_ends(self.broke_off))
        if threading.current_thread() is threading.main_thread():
            self.kept.enter_context(self.control.request)  # an interrupt stops after the step at hand
            self.events = beside.pump() if beside.in_kernel() else None
            self.poll = self.kept.enter_context(self.events) if self.events is not None else None

    poll: Any = None

    def look(self) -> None:
        """Let clicks through, where training holds the thread that hears them."""
        now = time.monotonic()
        if self.poll is not None and now - self.polled >= POLL:
            self.polled = now
            self.poll(5)

    def leave_behind(self) -> None:
        """A run that broke off in a script, where nobody said so: the thread that trained begins something else."""
        if self.watch is not None and self.thread == threading.get_ident():
            self.broke_off(None)

    def broke_off(self, error: Optional[BaseException]) -> None:
        """The cell ended, and the Trainer never said that training did."""
        if self.watch is not None:
            tell_failure(self.progress, self.watch.recorder, error or RuntimeError("it broke off, and nobody said why"))
            self.end()

    def end(self) -> None:
        if self.watch is not None:
            self.watch.guard.give_back()
        self.watch = None
        self.kept.close()


def _relayed(name: str) -> Callable[..., Any]:
    def relay(self: _Together, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if name == "on_train_begin":
            self.leave_behind()
            if self.progress._control is None:  # otherwise `fit` watches it already
                self.begin(args)
        if self.watch is None:
            return control
        if name in ("on_step_end", "on_prediction_step"):
            self.look()
        for callback in self.watch.callbacks:
            control = getattr(callback, name)(args, state, control, **kwargs) or control
        if name == "on_train_end":
            self.end()
        return control

    relay.__name__ = name
    return relay


for _name in [name for name in dir(TrainerCallback) if name.startswith("on_")]:
    setattr(_Together, _name, _relayed(_name))


class _until_the_cell_ends:
    """Calls a function once when the cell that runs is over, unless the block ended before."""

    def __init__(self, ended: Callable[[Optional[BaseException]], None]) -> None:
        self.ended = ended

    def __enter__(self) -> None:
        from IPython import get_ipython

        self.events = get_ipython().events
        self.events.register("post_run_cell", self._hear)

    def __exit__(self, *_: object) -> None:
        self.events.unregister("post_run_cell", self._hear)

    def _hear(self, result: Any = None) -> None:
        self.ended(getattr(result, "error_in_exec", None))


def callback_for(progress: Any) -> TrainerCallback:
    """See `TrainingProgress.callback`."""
    if progress._callback is None:
        progress._callback = _Together(progress)
    return progress._callback
