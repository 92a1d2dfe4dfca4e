"""A Trainer for the time of one run: watched, and able to stop; afterwards it is as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional

import torch.distributed as dist
from transformers import TrainerCallback, TrainerState, TrainingArguments

from biollm_widgets.runs.pausing import Pause
from biollm_widgets.runs.quiet import without_bars
from biollm_widgets.runs.recorder import Recorder
from biollm_widgets.runs.stopping import StopAtStepEnd, StopRequest
from biollm_widgets.runs.words import end_of


class Watch:
    """The two callbacks that make events of a run and stop it.

    Parameters
    ----------
    hear
        Called with each event, in the thread that trains.
    stop
        Who asks to stop.
    pause
        Where a pause is asked for.
    resume_line
        The line that goes on from a checkpoint, given its path.
    each_turn
        Called again and again while a pause lasts.
    """

    def __init__(
        self,
        hear: Callable[[dict[str, Any]], None],
        stop: StopRequest,
        pause: Pause,
        resume_line: Callable[[str], str],
        name: str = "",
        labels: Optional[Sequence[str]] = None,
        group: Any = None,
        each_turn: Optional[Callable[[], None]] = None,
    ) -> None:
        self.stop, self.resume_line = stop, resume_line
        self.guard = StopAtStepEnd(stop, group=group)
        self.recorder = Recorder(
            hear,
            pause=pause,
            stop=stop,
            name=name,
            labels=labels,
            describe_end=self.describe_end,
            each_turn=each_turn,
        )
        self.callbacks: list[TrainerCallback] = [self.recorder, self.guard]

    def agree(self, args: TrainingArguments) -> None:
        """Where several processes train: let them ask each other at which step to stop. All of them call this."""
        if args.world_size > 1 and self.guard.group is None:
            # Of its own, on the CPU: asking at every step must not wait for a GPU.
            self.guard.group = dist.new_group(backend="gloo")

    def describe_end(self, args: TrainingArguments, state: TrainerState) -> dict[str, Any]:
        """What the "end" event says: how it ended, which weights the model holds, and how to go on."""
        stopped, step = self.guard.stopped_at is not None, state.global_step
        place = Path(str(args.output_dir)) / f"checkpoint-{step}"
        checkpoint = str(place) if place.is_dir() else None
        holds = None
        if args.load_best_model_at_end and state.best_model_checkpoint:
            number = state.best_model_checkpoint.rpartition("checkpoint-")[2]
            holds = int(number) if number.isdecimal() else None
        metric = (args.metric_for_best_model or "loss").removeprefix("eval_")
        found = end_of(step, state.max_steps, stopped, checkpoint, holds, metric)
        resume = self.resume_line(checkpoint) if found["state"] == "stopped" and checkpoint else None
        return {**found, "holds": step if holds is None else holds, "resume": resume}


class Session:
    """`with Session(trainer, watch): trainer.train()`.

    Its bars are silent meanwhile, and samples, tokens and confusion matrices are counted.
    """

    def __init__(self, trainer: Any, watch: Watch) -> None:
        self.trainer, self.watch = trainer, watch
        self._undo = ExitStack()

    def __enter__(self) -> Session:
        handler, watch = self.trainer.callback_handler, self.watch
        before = list(handler.callbacks)
        watch.agree(self.trainer.args)
        with ExitStack() as undo:  # also when the next lines fail
            undo.callback(setattr, handler, "callbacks", before)
            handler.callbacks = [*without_bars(before), *watch.callbacks]
            undo.callback(watch.guard.give_back)
            undo.callback(watch.recorder.detach)
            watch.recorder.attach(self.trainer)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()
