"""Ctrl-C, Slurm's SIGTERM, a button: finish the step at hand, save, and say how to go on; a second Ctrl-C quits."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any, Optional

import torch
import torch.distributed as dist
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class Stopped(KeyboardInterrupt):
    """The run was stopped and can go on: the same command resumes it.

    Attributes
    ----------
    step, planned : int
        How far it came.
    checkpoint : str or None
        What it will go on from; None when the first step was not done yet.
    signal : int
        What stopped it.
    """

    def __init__(self, message: str, step: int, planned: int, checkpoint: Optional[str], signal_number: int) -> None:
        super().__init__(message)
        self.step, self.planned, self.checkpoint, self.signal = step, planned, checkpoint, signal_number


class StopRequest:
    """Remembers that someone asked to stop; as a context it listens to SIGINT and SIGTERM.

    Parameters
    ----------
    event
        Another way to ask, for a button: set it from any thread.
    """

    def __init__(self, event: Optional[threading.Event] = None, quiet: bool = False) -> None:
        self.event = event
        self.quiet = quiet
        self.signal: Optional[int] = None
        self._before: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None or (self.event is not None and self.event.is_set())

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _hear(self, number: int, frame: Optional[FrameType]) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        if not self.quiet:
            sys.stderr.write("\nStopping after this step, with a checkpoint. Once more quits at once.\n")
            sys.stderr.flush()

    def agreed(self, group: Any) -> bool:
        """Whether any process was asked to stop; all of them get the same answer at the same step."""
        if group is None:
            return bool(self)
        asked = torch.tensor([int(bool(self))])
        dist.all_reduce(asked, op=dist.ReduceOp.MAX, group=group)
        return bool(asked.item())


class StopAtStepEnd(TrainerCallback):
    """Save at the end of the step in which a stop was asked for, and leave; nothing is evaluated or saved twice.

    On the last step of an epoch it waits for the end of the epoch, where an evaluation may be due: the checkpoint
    then holds it, as in a run that was never stopped. A stop that comes while an evaluation runs waits for its end and
    leaves at the same step. It has to come after the Trainer's own callback that decides what is due.

    Parameters
    ----------
    request
        What is asked at each step; truthy to stop.
    steps_an_epoch : int, optional
        Where not given, an epoch is over when `state.epoch` is a whole number.
    group
        A torch.distributed group in which all processes agree on the step.
    by_exception : bool
        Leave `Trainer.train` by `LeaveTraining`, as it stands. Otherwise by the Trainer's own way out, which keeps its
        books and, with `load_best_model_at_end`, loads the best weights.

    Attributes
    ----------
    stopped_at : int or None
        The step whose checkpoint a stop left behind.
    """

    def __init__(
        self, request: Any, steps_an_epoch: Optional[int] = None, group: Any = None, by_exception: bool = False
    ) -> None:
        self.request, self.steps_an_epoch, self.group = request, steps_an_epoch, group
        self.by_exception = by_exception
        self.stopping = False
        self.epoch_is_over = False
        self.saved_at = -1
        self.stopped_at: Optional[int] = None
        self._limit: Optional[int] = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        self.stopping, self.saved_at, self.stopped_at, self._limit = False, -1, None, None
        return control

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        self.stopping = self.stopping or self._asked()
        self.epoch_is_over = False
        if self.stopping and not self._last_of_epoch(state):
            self._leave(args, state, control)
        return control

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        # Asked for while the evaluation ran: what it found belongs into the checkpoint of this very step.
        if not self.by_exception and not self.stopping and self._asked():
            self.stopping = True
            if self.epoch_is_over or not self._last_of_epoch(state):
                self._leave(args, state, control)
        return control

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        self.epoch_is_over = True
        if not self.stopping:
            return control
        if self.by_exception:
            if self.saved_at == state.global_step and not control.should_evaluate:
                raise LeaveTraining
            control.should_save = True
        elif self.stopped_at is not None:
            # The Trainer comes by here although the epoch is not over, and would evaluate and save once more.
            control.should_evaluate = control.should_save = False
        else:
            again = self.saved_at == state.global_step and not control.should_evaluate
            self._leave(args, state, control)
            control.should_save = not again
        return control

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        self.saved_at = state.global_step
        # Leaving by an exception: the Trainer's own way out goes on to the end of the epoch and loads the best weights.
        if self.by_exception and self.stopping and (self.epoch_is_over or not self._last_of_epoch(state)):
            raise LeaveTraining
        return control

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        if self._limit is not None:
            args.save_total_limit, self._limit = self._limit, None
        return control

    def _asked(self) -> bool:
        return self.request.agreed(self.group)

    def _last_of_epoch(self, state: TrainerState) -> bool:
        if self.steps_an_epoch is not None:
            return state.global_step % self.steps_an_epoch == 0
        return state.epoch is not None and abs(state.epoch - round(state.epoch)) < 1e-9

    def _leave(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        control.should_save = True
        if self.by_exception:
            return
        control.should_training_stop = True
        self.stopped_at = state.global_step
        if args.save_total_limit == 1:
            # On its way out the Trainer deletes the last checkpoint when another one is the best and one alone is kept.
            args.save_total_limit, self._limit = 2, 1


class LeaveTraining(Exception):
    """The checkpoint of a stopped run is written; leave `Trainer.train`."""
