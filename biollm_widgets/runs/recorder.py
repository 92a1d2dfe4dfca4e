"""A callback that turns what a Hugging Face Trainer does into events (`events.py` lists them)."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from biollm_widgets.files import whole_file
from biollm_widgets.runs.counting import Counter, is_classifier
from biollm_widgets.runs.events import MOST_EPOCHS, VERSION
from biollm_widgets.runs.pausing import Pause
from biollm_widgets.runs.settings import settings_of
from biollm_widgets.runs.stopping import LeaveTraining
from biollm_widgets.runs.trainer_state import KEPT, event_of, events_of, prefix_of, read_kept

A_MATRIX = 100  # numbers: how large an evaluation is in progress.json beside its matrix
MOST_NUMBERS = 1_000_000  # of all evaluations in it, about 4 MB: those of the last ten thousand with two classes
ALL_KEPT = 100  # checkpoints that are named after each save; of more, only after one was deleted


def careful(hook: Callable[..., None]) -> Callable[..., None]:
    """A hook whose failure is said once and ends no training; what others leave by goes through."""

    @functools.wraps(hook)
    def called(self: Recorder, *args: Any, **kwargs: Any) -> None:
        try:
            hook(self, *args, **kwargs)
        except LeaveTraining:
            raise
        except Exception as problem:
            self.complain(problem)

    return called


class Recorder(TrainerCallback):
    """Tells what a Trainer does, event by event, on the process of rank 0.

    A watched training goes as one that nobody watches: whatever fails in here is said once on stderr, and it trains on.

    Parameters
    ----------
    hear
        Called with each event, in the thread that trains: it should be quick.
    pause
        Where a pause is asked for; the recorder waits at the end of a step.
    stop
        Truthy when the run is to stop: a pause ends then.
    name : str
        What the run is called; its folder's name where not given.
    labels : sequence of str
        Names of the classes; the model's where not given.
    every : float
        Seconds between two "step" events at the least.
    history : bool
        Whether a run that goes on tells first what came before it, as a "history" event.
    ends : bool
        Whether the end of training is the end of the run; otherwise someone calls `end`.
    describe_end
        Given args, state: the words, the checkpoint and more for the "end" event.
    each_turn
        Called again and again while a pause lasts.
    """

    def __init__(
        self,
        hear: Callable[[dict[str, Any]], None],
        *,
        pause: Optional[Pause] = None,
        stop: Any = None,
        name: str = "",
        labels: Optional[Sequence[str]] = None,
        every: float = 0.25,
        history: bool = True,
        ends: bool = True,
        describe_end: Optional[Callable[[TrainingArguments, TrainerState], dict[str, Any]]] = None,
        each_turn: Optional[Callable[[], None]] = None,
    ) -> None:
        self.hear, self.stop, self.each_turn = hear, stop, each_turn
        self.pause = Pause() if pause is None else pause  # one that nobody asked for yet is falsy
        self.name, self.labels = name, None if labels is None else [str(one) for one in labels]
        self.every, self.history, self.ends, self.describe_end = every, history, ends, describe_end
        self.settings: dict[str, Any] = {}  # more of them, from whoever made the run
        # Whether this process is the one that tells; until the Trainer says so, by what torchrun says.
        self.speaks = os.environ.get("RANK", "0").strip() in ("", "0")
        self.counter: Optional[Counter] = None
        self.start: dict[str, Any] = {}
        self.evaluations: list[dict[str, Any]] = []
        self.training = False
        self.step = 0
        self._complained = False
        self._began = self._paused = 0.0
        self._aside = 0.0  # seconds of evaluations and saves
        self._aside_since: Optional[float] = None
        self._due = False  # the Trainer evaluates or saves between this step and the next
        self._folder: Optional[Path] = None
        self._kept: Optional[set[int]] = None  # the checkpoints at the last save
        self._told = self._told_phase = 0.0
        self._predicted = 0
        self._memory = _Memory()

    # The trainer itself, for what callbacks are not told.

    def attach(self, trainer: Any) -> None:
        """Count samples and tokens of each step, and the confusion matrix of each evaluation."""
        if self.counter is None:
            self.counter = Counter(trainer, self.complain)

    def detach(self) -> None:
        """Leave the trainer as it was."""
        if self.counter is not None:
            self.counter.remove()
            self.counter = None

    # Events.

    def tell(self, kind: str, **given: Any) -> None:
        """Hand out an event, unless this is not the process that speaks."""
        if not self.speaks:
            return
        try:
            self.hear({"event": kind, "time": time.time(), **given})
        except LeaveTraining:
            raise
        except Exception as problem:
            self.complain(problem)

    def complain(self, problem: Exception) -> None:
        """Say once that not all is told."""
        if self._complained or not self.speaks:
            return
        self._complained = True
        said = " ".join(f"{type(problem).__name__}: {problem}".split())
        print(f"Warning: the progress of this training is not told in full ({said}); it trains on.", file=sys.stderr)

    def say(self, words: str) -> None:
        self.tell("say", words=words)

    def end(self, state: str, words: Sequence[str] = (), **given: Any) -> None:
        """The run is over: "finished", "stopped" or "failed"."""
        self.training = False
        # The Trainer may have deleted one after the last save.
        given = {"step": self.step, "kept": self._tried(_steps_in, self._folder), **given}
        self.tell("end", state=state, words=list(words), **given)

    # What the Trainer calls.

    @careful
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.speaks = state.is_world_process_zero
        self.training, self.step = True, state.global_step
        self._paused, self._began = 0.0, time.monotonic()
        self._aside, self._aside_since, self._due = 0.0, None, False
        self._told = self._told_phase = self._predicted = 0
        self._folder, self._kept = Path(str(args.output_dir)) if args.output_dir else None, None
        if self.counter is not None:
            self.counter.clear()
        model = kwargs.get("model")
        self.start = self._describe(args, state, model, kwargs.get("train_dataloader"))
        self.evaluations = [one for one in self.evaluations if one["step"] <= state.global_step]
        if state.global_step and self.speaks:
            self._look_back(args, state)
        self.tell("start", **self.start)

    @careful
    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._due = False
        self._come_back()

    @careful
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.step = state.global_step
        now = time.monotonic()
        if now - self._told >= self.every or state.global_step >= state.max_steps:
            self._told = now
            self._tell_step(args, state, now)
        if self.pause and not self.stop:
            self.tell("phase", phase="paused", step=state.global_step)
            self._paused += self.pause.wait(lambda: bool(self.stop), self.each_turn)
            self.tell("phase", phase="training", step=state.global_step)
        self._step_aside(control)
        if control.should_evaluate:
            self._tell_evaluating(kwargs.get("eval_dataloader"))
        elif control.should_save:
            self.tell("phase", phase="saving", step=state.global_step)

    @careful
    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._step_aside(control)
        if control.should_evaluate:
            self._tell_evaluating(kwargs.get("eval_dataloader"))

    @careful
    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._predicted += 1
        if self._aside_since is None:  # somebody evaluates on their own
            self._aside_since = time.monotonic()
        if time.monotonic() - self._told_phase >= self.every:
            self._tell_evaluating(kwargs.get("eval_dataloader"))

    @careful
    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._predicted_all()

    @careful
    def on_predict(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **kwargs: Any
    ) -> None:
        self._ignore_evaluation()
        self._predicted_all()

    @careful
    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        event = event_of(logs or {}, state.global_step, self.training)
        if event is None:
            if prefix_of(logs or {}) is not None:
                self._ignore_evaluation()
            return
        best = _step_in(state.best_model_checkpoint) if args.load_best_model_at_end else None
        if not event.get("during", True) and best is not None:
            event["step"] = best  # the weights that are tested, which are not the last
        if event.pop("event") == "log":
            self.tell("log", **event)
        else:
            self._tell_evaluation(event)

    @careful
    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        place = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        there = kept = self._tried(_steps_in, place.parent)
        if there is not None and self._kept is not None and len(there) > ALL_KEPT and self._kept <= set(there):
            kept = None
        self._kept = None if there is None else set(there)
        self.tell(
            "checkpoint",
            step=state.global_step,
            path=str(place),
            best_step=_step_in(state.best_model_checkpoint),
            best_value=state.best_metric,
            kept=kept,
        )
        if self.speaks:
            self._keep(place)
        self.tell("phase", phase="training", step=state.global_step)

    @careful
    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.training, self.step, self._due = False, state.global_step, False
        self._come_back()
        self._tell_step(args, state, time.monotonic())
        if self.ends:
            finished = {"state": "finished"}
            told = self._tried(self.describe_end, args, state, otherwise=finished) if self.describe_end else finished
            self.end(**told)

    # In detail.

    def _tried(self, call: Callable[..., Any], *args: Any, otherwise: Any = None) -> Any:
        """A part of an event, whose failure must not take the rest along."""
        try:
            return call(*args)
        except Exception as problem:
            self.complain(problem)
            return otherwise

    @careful
    def _look_back(self, args: Any, state: TrainerState) -> None:
        """Tell what a run that goes on had found before."""
        kept = read_kept(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")
        self.evaluations = self.evaluations or kept.get("evaluations", [])
        if self.history:
            found = events_of(state.log_history, self.evaluations)
            self.tell("history", events=[*found, *_checkpoints_of(args, state)])

    def _step_aside(self, control: TrainerControl) -> None:
        """What comes now is no training, if something is due, until the next step begins."""
        if control.should_evaluate or control.should_save:
            self._due = True
            if self._aside_since is None:
                self._aside_since = time.monotonic()

    def _come_back(self) -> None:
        if self._aside_since is not None:
            self._aside += time.monotonic() - self._aside_since
            self._aside_since = None

    def _predicted_all(self) -> None:
        """An evaluation is over; a save may follow it."""
        self._predicted = 0
        if not self._due:
            self._come_back()

    def _ignore_evaluation(self) -> None:
        """Somebody looked at other rows than those that the run is chosen by: nothing of it belongs to the next."""
        if self.counter is not None:
            self.counter.take_confusion()
        if self._predicted and self.training:
            self.tell("phase", phase="training", step=self.step)
        self._predicted = 0

    def _describe(self, args: Any, state: TrainerState, model: Any, rows: Any) -> dict[str, Any]:
        folder = str(args.output_dir) if args.output_dir else None
        strategy = str(getattr(args.eval_strategy, "value", args.eval_strategy))
        metric = (args.metric_for_best_model or "").removeprefix("eval_") or None
        return {
            "version": VERSION,
            "name": self.name or (Path(folder).name if folder else "run"),
            "step": state.global_step,
            "steps": state.max_steps,
            # For rows without an end the Trainer plans sys.maxsize of them, and steps.
            "epochs": float(state.num_train_epochs) if state.num_train_epochs <= MOST_EPOCHS else None,
            "settings": {**self._tried(settings_of, args, model, rows, otherwise={}), **self.settings},
            "labels": self.labels or self._tried(_labels_of, model),
            "folder": folder,
            "metric": metric,
            "greater": bool(args.greater_is_better),
            "best_at_end": bool(args.load_best_model_at_end),
            "eval_strategy": strategy,
            "eval_steps": state.eval_steps if strategy == "steps" else None,
            "resumed_from": f"{folder}/checkpoint-{state.global_step}" if state.global_step else None,
            "processes": args.world_size,
        }

    @careful
    def _tell_step(self, args: Any, state: TrainerState, now: float) -> None:
        if not self.speaks:
            return
        done = state.global_step - self.start.get("step", 0)
        samples: float = done * args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        tokens = None
        if self.counter is not None and self.counter.samples:
            samples, tokens = self.counter.samples * args.world_size, self.counter.tokens
            tokens = tokens and tokens * args.world_size
        used, of, whole = self._memory.read(args.device)
        active = now - self._began - self._paused
        self.tell(
            "step",
            step=state.global_step,
            epoch=state.epoch,
            samples=samples,
            tokens=tokens,
            active=active,
            training=active - self._aside,
            memory=used,
            memory_of=of,
            memory_all=whole,
        )

    def _tell_evaluating(self, batches: Any) -> None:
        self._told_phase = time.monotonic()
        try:
            of = len(batches)
        except TypeError:  # there is none yet, or it does not know
            of = None
        if of is not None and self._predicted > of:
            of = None  # another set of rows than the one that training evaluates
        self.tell("phase", phase="evaluating", step=self.step, done=self._predicted, of=of)

    def _tell_evaluation(self, event: dict[str, Any]) -> None:
        if self.counter is not None:
            event["confusion"] = self.counter.take_confusion()
        self._predicted = 0
        if self.training:
            self.evaluations.append(event)
            self.evaluations = newest(self.evaluations)
        self.tell("evaluation", **event)
        if self.training:
            self.tell("phase", phase="training", step=self.step)

    def _keep(self, checkpoint: Path) -> None:
        """Beside trainer_state.json, what it has no place for: the settings and the confusion matrices."""
        held = {"version": VERSION, "start": self.start, "evaluations": self.evaluations}
        try:
            if checkpoint.is_dir():
                with whole_file(checkpoint / KEPT) as path:
                    path.write_text(json.dumps(held, default=str) + "\n", encoding="utf-8")
        except (OSError, ValueError) as problem:  # a full disk must not end a run that trains on
            print(
                f"{checkpoint / KEPT} could not be written ({problem}); the checkpoint itself is whole.",
                file=sys.stderr,
            )


class _Memory:
    """How much is in use, and how much there is."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.whole = psutil.virtual_memory().total

    def read(self, device: Any) -> tuple[float, str, float]:
        if getattr(device, "type", "") == "cuda":
            return torch.cuda.memory_reserved(device), "GPU", torch.cuda.get_device_properties(device).total_memory
        if getattr(device, "type", "") == "mps":
            return torch.mps.driver_allocated_memory(), "GPU", self.whole
        return self.process.memory_info().rss, "CPU", self.whole


def newest(evaluations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """So many of the last evaluations that a checkpoint bears them beside it, the last in any case."""
    numbers, first = 0, len(evaluations)
    while first > 0:
        numbers += A_MATRIX + len(evaluations[first - 1].get("confusion") or ()) ** 2
        if numbers > MOST_NUMBERS and first < len(evaluations):
            break
        first -= 1
    return evaluations[first:]


def _labels_of(model: Any) -> Optional[list[str]]:
    """The names of a classifier's classes; None where they are numbers or there are none."""
    if not is_classifier(model):
        return None
    named = getattr(model.config, "id2label", None) or {}
    labels = [str(named[key]) for key in sorted(named)]
    return [label.removeprefix("LABEL_") for label in labels] or None


def _checkpoints_of(args: TrainingArguments, state: TrainerState) -> list[dict[str, Any]]:
    """Those that a run which goes on has left in its folder, as events."""
    folder = Path(str(args.output_dir))
    best = {"best_step": _step_in(state.best_model_checkpoint), "best_value": state.best_metric}
    return [
        {"event": "checkpoint", "step": step, "path": str(folder / f"checkpoint-{step}"), **best}
        for step in _steps_in(folder)
        if step <= state.global_step
    ]


def _steps_in(folder: Optional[Path]) -> list[int]:
    """The steps of the checkpoints in a folder."""
    steps = {_step_in(place.name) for place in folder.glob("checkpoint-*")} if folder is not None else set()
    return sorted(step for step in steps if step is not None)


def _step_in(path: Optional[str]) -> Optional[int]:
    number = (path or "").rpartition("checkpoint-")[2]
    return int(number) if number.isdecimal() else None
