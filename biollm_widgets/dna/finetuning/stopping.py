"""Ctrl-C and Slurm's SIGTERM: finish the step at hand, save, and say how to go on; a second one quits at once."""

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
    """Save at the end of the step in which a stop was asked for, and leave.

    On the last step of an epoch it waits for the end of the epoch, where an evaluation may be due: the checkpoint
    then holds it, as in a run that was never stopped.
    """

    def __init__(self, request: StopRequest, steps_an_epoch: int, group: Any) -> None:
        self.request, self.steps_an_epoch, self.group = request, steps_an_epoch, group
        self.stopping = False
        self.epoch_is_over = False
        self.saved_at = -1

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        self.stopping = self.stopping or self.request.agreed(self.group)
        self.epoch_is_over = False
        if self.stopping and state.global_step % self.steps_an_epoch:
            control.should_save = True
        return control

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        self.epoch_is_over = True
        if self.stopping:
            if self.saved_at == state.global_step and not control.should_evaluate:
                raise LeaveTraining
            control.should_save = True
        return control

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        self.saved_at = state.global_step
        # Leaving by an exception: the Trainer's own way out goes on to the end of the epoch and loads the best weights.
        if self.stopping and (self.epoch_is_over or state.global_step % self.steps_an_epoch):
            raise LeaveTraining
        return control


class LeaveTraining(Exception):
    """The checkpoint of a stopped run is written; leave `Trainer.train`."""
