"""A TrainingProgress beside a training that somebody else started, by `trainer.train()`."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Optional

from transformers import TrainerCallback

from biollm_widgets import news
from biollm_widgets.errors import InputError
from biollm_widgets.runs.resuming import line_that_resumes
from biollm_widgets.runs.session import Watch
from biollm_widgets.runs.stopping import trainers_under_way
from biollm_widgets.widgets import beside
from biollm_widgets.widgets.busy import busy_with
from biollm_widgets.widgets.training_busy import Control, TrainingBusy
from biollm_widgets.widgets.training_run import tell_failure

POLL = 0.1  # seconds between two looks for clicks where training has the main thread


class Together(TrainerCallback):
    """What a `Watch` needs of callbacks, as one, and the view beside it."""

    def __init__(self, progress: Any) -> None:
        self.progress = progress
        self.watch: Optional[Watch] = None  # of the training that goes on
        self.thread: Optional[threading.Thread] = None  # that trains
        self.poll: Optional[Callable[[int], Any]] = None
        self.polled = 0.0
        self.kept = ExitStack()

    def begin(self, args: Any) -> None:
        progress = self.progress
        on_main = threading.current_thread() is threading.main_thread()
        control = Control(trainer=next(trainers_under_way(sys._getframe()), None))
        with ExitStack() as kept:  # also when the next lines fail
            kept.enter_context(TrainingBusy(progress, control, pumped=False))
            watch = Watch(
                progress._hear_event,
                control.request,
                control.pause,
                lambda path: line_that_resumes("trainer.train", path),
                progress._name,
                progress._labels,
                each_turn=self.turn,
            )
            watch.agree(args)
            if news.in_kernel():
                progress._show()
                kept.enter_context(beside.heard_beside(progress))
            if on_main:
                kept.enter_context(control.request)  # an interrupt stops after the step at hand
            if on_main and news.in_kernel():
                kept.enter_context(_until_the_cell_ends(self.broke_off))
                events = beside.pump()
                self.poll = None if events is None else kept.enter_context(events)
            self.kept = kept.pop_all()
        self.watch, self.thread = watch, threading.current_thread()

    def look(self) -> None:
        """Let clicks through, where training holds the thread that hears them."""
        now = time.monotonic()
        if self.poll is not None and now - self.polled >= POLL:
            self.polled = now
            self.poll(5)

    def turn(self) -> None:
        """Of a pause: hear who ends it, and let the page know of it."""
        self.look()
        self.progress._tick()

    def leave_behind(self) -> None:
        """A run that broke off where nobody said so: the thread that trained begins something else, or is gone."""
        if self.thread is not None and (self.thread is threading.current_thread() or not self.thread.is_alive()):
            self.broke_off(None)

    def broke_off(self, error: Optional[BaseException]) -> None:
        """The cell ended, and the Trainer never said that training did."""
        if self.watch is not None:
            tell_failure(self.progress, self.watch.recorder, error or RuntimeError("it broke off, and nobody said why"))
            self.end()

    def end(self) -> None:
        if self.watch is not None:
            self.watch.guard.give_back()
        self.watch = self.thread = self.poll = None
        self.kept.close()


def _relayed(name: str) -> Callable[..., Any]:
    def relay(self: Together, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if name == "on_train_begin":
            self.leave_behind()
            busy = busy_with(self.progress)
            if busy is None:  # otherwise `fit` watches it already
                self.begin(args)
            elif busy.left and busy.work is not None and busy.work.thread is not threading.current_thread():
                raise InputError(busy.refusal(self.progress))
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
    setattr(Together, _name, _relayed(_name))


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
        progress._callback = Together(progress)
    return progress._callback
