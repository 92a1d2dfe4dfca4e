"""Ctrl-C, Slurm's SIGTERM, a button: finish the step at hand, save, and say how to go on; a second Ctrl-C quits."""

from __future__ import annotations

import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any, Optional

import torch
import torch.distributed as dist
import transformers
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import SaveStrategy

# With save_strategy "best" the Trainer takes back whatever a callback asked to be saved. This one leaves that alone and
# keeps the same book of the best checkpoint: from 5.4 on that is kept as with "steps", before it was not kept at all,
# as with "no" (Trainer._determine_best_metric).
_VERSION = tuple(int(part) for part in transformers.__version__.split(".")[:2])
LIKE_BEST = SaveStrategy.STEPS if _VERSION >= (5, 4) else SaveStrategy.NO


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
    result : FinetuneResult or None
        What `finetune` gives where a button stopped it, for whoever catches this.
    """

    result: Any = None

    def __init__(self, message: str, step: int, planned: int, checkpoint: Optional[str], signal_number: int) -> None:
        super().__init__(message)
        self.step, self.planned, self.checkpoint, self.signal = step, planned, checkpoint, signal_number


class StopRequest:
    """Remembers that someone asked to stop; as a context it listens to SIGINT and SIGTERM.

    Parameters
    ----------
    event
        Another way to ask, for a button: set it from any thread.
    trainer
        Whose training this is about, where nobody says that it broke off: a signal that comes when it is not under way
        does what it did before.
    """

    def __init__(
        self, event: Optional[threading.Event] = None, quiet: bool = False, trainer: Optional[Trainer] = None
    ) -> None:
        self.event = event
        self.quiet = quiet
        # Weak: who asked for a stop once must not keep a model in memory.
        self._trainer = None if trainer is None else weakref.ref(trainer)
        self.signal: Optional[int] = None
        self._before: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self.signal is not None or (self.event is not None and self.event.is_set())

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                if before is not None:  # a handler that was not set in Python could not be put back
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            if signal.getsignal(number) == self._hear:  # and not somebody else's by now
                signal.signal(number, handler)
        self._before = {}

    def _hear(self, number: int, frame: Optional[FrameType]) -> None:
        if self._trainer is not None and not any(one is self._trainer() for one in trainers_under_way(frame)):
            before = self._before.get(number)
            if signal.getsignal(number) == self._hear:
                self.__exit__()
                signal.raise_signal(number)
            elif callable(before):  # somebody's own handler hands it on to this one
                before(number, frame)
            return
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


def trainers_under_way(frame: Optional[FrameType]) -> Iterator[Trainer]:
    """The Trainers that train in a thread, given its frame; the innermost first."""
    while frame is not None:
        if frame.f_code.co_name in ("train", "_inner_training_loop"):
            owner = frame.f_locals.get("self")
            if isinstance(owner, Trainer):
                yield owner
        frame = frame.f_back


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
        self._borrowed: dict[str, Any] = {}
        self._lender: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        self.give_back()
        self.stopping, self.epoch_is_over, self.saved_at, self.stopped_at = False, False, -1, None
        return control

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        if not self.stopping and self._asked():
            self._begin(args)
        self.epoch_is_over = False
        if self.stopping and not self._last_of_epoch(state):
            self._leave(state, control)
        elif self.stopping and not self.by_exception and not control.should_evaluate:
            control.should_save = False  # at the end of the epoch instead, with what is evaluated there
        return control

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        # Asked for while the evaluation ran: what it found belongs into the checkpoint of this very step.
        if not self.by_exception and not self.stopping and self._asked():
            self._begin(args)
            if self.epoch_is_over or not self._last_of_epoch(state):
                self._leave(state, control)
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
            self._leave(state, control)
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
        self.give_back()
        return control

    def give_back(self) -> None:
        """Make the arguments what they were before the stop; of use where training broke off over it."""
        for name, value in self._borrowed.items():
            setattr(self._lender, name, value)
        self._borrowed, self._lender = {}, None

    def _asked(self) -> bool:
        return self.request.agreed(self.group)

    def _begin(self, args: TrainingArguments) -> None:
        """From here on it stops, and the checkpoint of the stop is whole and stays, whatever the arguments say."""
        self.stopping = True
        if self.by_exception:
            return
        change: dict[str, Any] = {}
        if args.save_total_limit == 1:
            # On its way out the Trainer deletes the last checkpoint when another one is the best and one alone is kept.
            change["save_total_limit"] = 2
        if args.save_only_model:
            change["save_only_model"] = False
        if args.save_strategy == SaveStrategy.BEST:
            change["save_strategy"] = LIKE_BEST
        self._lender, self._borrowed = args, {name: getattr(args, name) for name in change}
        for name, value in change.items():
            setattr(args, name, value)

    def _last_of_epoch(self, state: TrainerState) -> bool:
        if not self.by_exception and state.global_step >= state.max_steps:
            return True  # of a last epoch that is cut short
        if self.steps_an_epoch is not None:
            return state.global_step % self.steps_an_epoch == 0
        return state.epoch is not None and abs(state.epoch - round(state.epoch)) < 1e-9

    def _leave(self, state: TrainerState, control: TrainerControl) -> None:
        control.should_save = True
        if not self.by_exception:
            control.should_training_stop = True
            self.stopped_at = state.global_step


class LeaveTraining(Exception):
    """The checkpoint of a stopped run is written; leave `Trainer.train`."""
