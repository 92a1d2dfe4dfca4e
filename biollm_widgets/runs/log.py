"""What the events of a run add up to."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np

from biollm_widgets.runs.buckets import TrainingLines
from biollm_widgets.scores import accuracy, macro_f1, mcc

SAID = 200  # printed lines that are kept
WINDOW = 20.0  # seconds that a speed is the mean of
# Under which names people log the same score; the first is ours.
SAME = {
    "matthews_correlation": ("mcc", "MCC", "matthews_corrcoef"),
    "accuracy": ("acc",),
    "f1": ("macro_f1", "f1_macro"),
}
# Which score leads where the run does not say by which it chooses.
LEADING = ("matthews_correlation", "mcc", "MCC", "matthews_corrcoef", "f1", "macro_f1", "f1_macro", "accuracy", "acc")
NOT_SCORES = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time", "jit_compilation_time")


@dataclass
class Evaluation:
    """One evaluation: `values` without "eval_", and the matrix of true (down) and predicted (across) classes."""

    step: int
    epoch: float
    values: dict[str, float]
    confusion: Optional[list[list[int]]] = None


@dataclass
class Checkpoint:
    """One that was written."""

    step: int
    path: str


@dataclass
class RunLog:
    """A run as far as it is known; `take` its events one after the other.

    Attributes
    ----------
    given, given_labels
        A name that a person gave it, and names of its classes.
    lines
        What was logged while training.
    evaluations, tests
        On the rows to choose by, and after training.
    phase
        "idle" before the start, then training, evaluating, saving, paused or stopping; at last finished, stopped or
        failed.
    end
        The end event, None as long as it runs.
    """

    given: str = ""
    given_labels: Optional[list[str]] = None
    start: dict[str, Any] = field(default_factory=dict)
    lines: TrainingLines = field(default_factory=TrainingLines)
    evaluations: list[Evaluation] = field(default_factory=list)
    tests: list[Evaluation] = field(default_factory=list)
    said: deque[str] = field(default_factory=lambda: deque(maxlen=SAID))
    said_count: int = 0
    phase: str = "idle"
    done: Optional[int] = None
    of: Optional[int] = None
    step: int = 0
    epoch: float = 0.0
    end: Optional[dict[str, Any]] = None
    time: float = 0.0  # of the last event
    # What is asked for again and again is kept as the events come: with ten thousand evaluations and checkpoints a
    # look through all of them would take longer than a page waits for the next message.
    _places: dict[int, Checkpoint] = field(default_factory=dict)  # by their step, in the order in which they were saved
    _seen: dict[str, None] = field(default_factory=dict)  # the names of all values of evaluations
    _classes: int = 0  # of the largest matrix of an evaluation
    _best: Optional[Evaluation] = None
    _best_by: Optional[tuple[str, bool]] = None  # what that one is the best by; None where it is to be looked for anew
    # Seconds of training, samples and tokens.
    _steps: deque[tuple[float, float, Optional[float]]] = field(default_factory=deque)
    _first: Optional[tuple[int, float]] = None  # step and active seconds at the end of the first step
    _last: dict[str, Any] = field(default_factory=dict)

    # Taking events.

    def take(self, event: dict[str, Any]) -> None:
        """Add one event; a kind that is not known (of a newer version) changes nothing."""
        hear = getattr(self, f"_take_{event.get('event')}", None)
        if hear is None:
            return
        self.time = max(self.time, float(event.get("time") or 0.0))
        hear(event)

    def take_all(self, events: Iterable[dict[str, Any]]) -> RunLog:
        for event in events:
            # A long log has a hundred thousand of these.
            if event.get("event") == "log":
                self._take_log(event)
                self.time = event.get("time") or self.time
            else:
                self.take(event)
        return self

    def _take_start(self, event: dict[str, Any]) -> None:
        at = int(event.get("step") or 0)
        # The run goes on from a checkpoint: what came after that will come again.
        self.lines.cut_after(at)
        self.evaluations = [one for one in self.evaluations if one.step <= at]
        self._places = {step: one for step, one in self._places.items() if step <= at}
        self.tests = []
        if at == 0:
            self.said.clear()
        self.start = event
        self._look_through()
        self.step, self.epoch, self.phase, self.end = at, 0.0, "training", None
        if event.get("epochs") and event.get("steps"):
            self.epoch = at / event["steps"] * event["epochs"]
        self.done = self.of = None
        self._steps.clear()
        self._first, self._last = None, {}

    def _take_history(self, event: dict[str, Any]) -> None:
        """What a run that goes on from a checkpoint had found before."""
        self.lines, self.evaluations, self.tests, self._places = TrainingLines(), [], [], {}
        self._look_through()
        self.take_all(event["events"])

    def _take_step(self, event: dict[str, Any]) -> None:
        self._at(event)
        self._last = event
        active = event.get("active")
        if active is None:
            return
        if self._first is None:
            self._first = (self.step, active)
        training = event.get("training")
        training = active if training is None else training
        self._steps.append((training, event.get("samples") or 0, event.get("tokens")))
        while len(self._steps) > 2 and training - self._steps[0][0] > WINDOW:
            self._steps.popleft()

    def _take_log(self, event: dict[str, Any]) -> None:
        self.step = step = int(event.get("step") or 0)
        self.epoch = event.get("epoch") or self.epoch
        value = (event.get("values") or {}).get
        self.lines.add(step, value("loss"), value("learning_rate"), value("grad_norm"))

    def _take_phase(self, event: dict[str, Any]) -> None:
        if self.end is not None:
            return  # an evaluation of somebody's own, after training
        self.phase = event["phase"]
        self.step = int(event.get("step") or self.step)  # of step events some are left out
        self.done, self.of = event.get("done"), event.get("of")

    def _take_evaluation(self, event: dict[str, Any]) -> None:
        during = event.get("during", True)
        if during:
            self._at(event)
        said = event.get("values") or {}
        values = {name: value for name, value in said.items() if not name.endswith(NOT_SCORES)}
        matrix = event.get("confusion")
        step, epoch = int(event.get("step") or 0), float(event.get("epoch") or 0.0)
        place = self.evaluations if during else self.tests
        last = place.pop() if during and place and place[-1].step == step else None
        if last is not None and last.values.keys().isdisjoint(values):
            # Another set of rows: the first is the one to choose by, and the matrix is of that.
            found = Evaluation(step, epoch, {**values, **last.values}, last.confusion)
        else:
            if matrix is not None:
                _add_scores(values, np.asarray(matrix))
            # Perhaps the same again, in the file of a run that was stopped and went on.
            before = {} if last is None else last.values
            found = Evaluation(step, epoch, {**before, **values}, matrix or (last.confusion if last else None))
        losses = [name for name in found.values if name.endswith("_loss")]
        if "loss" not in found.values and losses:
            found.values["loss"] = found.values[losses[0]]  # the first of several sets of rows
        place.append(found)
        if during:
            self._notice(found, last)

    def _notice(self, found: Evaluation, instead: Optional[Evaluation]) -> None:
        """Keep up what is known of all evaluations; this one came last, perhaps `instead` of another."""
        self._seen.update(dict.fromkeys(found.values))
        self._classes = max(self._classes, len(found.confusion or ()))
        if instead is not None and len(instead.confusion or ()) > len(found.confusion or ()):
            self._look_through()
        if self._best_by != self.chosen_by or (instead is not None and instead is self._best):
            self._best_by = None
        elif self._is_better(found):
            self._best = found

    def _look_through(self) -> None:
        """The same from all evaluations, where some were taken away."""
        self._seen = dict.fromkeys(name for one in self.evaluations for name in one.values)
        self._classes = max((len(one.confusion) for one in self.evaluations if one.confusion), default=0)
        self._best_by = None

    def _is_better(self, one: Evaluation) -> bool:
        """Than the best so far; an equal one is not, as the Trainer has it."""
        name, greater = self.chosen_by
        value = one.values.get(name)
        if value is None or not math.isfinite(value):
            return False
        if self._best is None:
            return True
        return value > self._best.values[name] if greater else value < self._best.values[name]

    def _take_checkpoint(self, event: dict[str, Any]) -> None:
        step = int(event.get("step") or 0)
        self._places.pop(step, None)
        self._places[step] = Checkpoint(step, event["path"])
        self._forget_all_but(event.get("kept"))

    def _forget_all_but(self, kept: Optional[list[int]]) -> None:
        """The Trainer deletes checkpoints (save_total_limit): nobody must be sent to one that is gone."""
        if kept is not None and not self._places.keys() <= set(kept):
            there = set(kept)
            self._places = {step: one for step, one in self._places.items() if step in there}

    def _take_say(self, event: dict[str, Any]) -> None:
        for line in str(event.get("words") or "").splitlines():
            self.said.append(line)
            self.said_count += 1

    def _take_end(self, event: dict[str, Any]) -> None:
        self.end = event
        self.phase = event["state"]
        self.step = int(event.get("step") or self.step)
        self.done = self.of = None
        self._forget_all_but(event.get("kept"))

    def _at(self, event: dict[str, Any]) -> None:
        self.step = int(event.get("step") or 0)
        self.epoch = float(event.get("epoch") or self.epoch)
        if self.phase in ("idle", "evaluating", "saving") and event["event"] == "step":
            self.phase, self.done, self.of = "training", None, None

    # What it says.

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """Those that are there, as far as is known; the last one that was written comes last."""
        return list(self._places.values())

    @property
    def name(self) -> str:
        """What it is called: by a person, or by the run itself."""
        return self.given or str(self.start.get("name") or "")

    @property
    def steps(self) -> Optional[int]:
        """How many steps are planned."""
        return self.start.get("steps") or None

    @property
    def running(self) -> bool:
        return bool(self.start) and self.end is None

    @property
    def loss(self) -> Optional[float]:
        """The training loss that was logged last."""
        return self.lines.loss[-1] if len(self.lines) else None

    @property
    def labels(self) -> list[str]:
        """Names of the classes: a person's, the run's, or numbers."""
        classes = max([self._classes, *(len(one.confusion) for one in self.tests if one.confusion)])
        named = [str(one) for one in self.given_labels or self.start.get("labels") or []]
        return named + [str(k) for k in range(len(named), classes)]

    @property
    def metrics(self) -> list[str]:
        """The scores that evaluations gave, without loss, the leading one first."""
        seen = dict(self._seen)
        for one in self.tests:
            seen.update(dict.fromkeys(one.values))
        seen.pop("loss", None)
        chosen = self.start.get("metric")
        order = [chosen, *LEADING] if chosen and chosen != "loss" else list(LEADING)
        first = [name for name in order if name in seen]
        return list(dict.fromkeys([*first, *seen]))

    @property
    def lead(self) -> str:
        """The score by which people look at this run; "loss" where there is no other."""
        return next(iter(self.metrics), "loss")

    @property
    def chosen_by(self) -> tuple[str, bool]:
        """The value by which the run calls an evaluation the best, and whether more of it is better."""
        metric = self.start.get("metric")
        if metric and metric in self._seen:
            return metric, bool(self.start.get("greater", not str(metric).endswith("loss")))
        return "loss", False

    @property
    def best(self) -> Optional[Evaluation]:
        """The best evaluation so far, by `chosen_by`; the first of equals, as the Trainer has it."""
        if self._best_by != self.chosen_by:
            self._best, self._best_by = None, self.chosen_by
            for one in self.evaluations:
                if self._is_better(one):
                    self._best = one
        return self._best

    def path_of(self, step: int) -> Optional[str]:
        """Where the checkpoint of a step was written."""
        found = self._places.get(step)
        return None if found is None else found.path

    @property
    def speed(self) -> tuple[Optional[float], Optional[float]]:
        """Samples and tokens a second, over the last 20 seconds of training; None where not known.

        Evaluations and saves are left out, where the run tells how long they took.
        """
        if len(self._steps) < 2:
            return None, None
        (began, samples, tokens), (now, more, most) = self._steps[0], self._steps[-1]
        if now <= began:
            return None, None
        a_token = (most - tokens) / (now - began) if tokens is not None and most else None
        return (more - samples) / (now - began) or None, a_token

    @property
    def seconds_left(self) -> Optional[float]:
        """At the pace so far, evaluations and checkpoints included; the first step, which prepares much, left out."""
        if not self.steps or self._first is None or self.active is None:
            return None
        step, active = self._first
        now, at = self.active, int(self._last.get("step") or 0)
        if at <= step:
            return None
        return max(0.0, (now - active) / (at - step) * (self.steps - at))

    @property
    def active(self) -> Optional[float]:
        """Seconds of training since the start event, without pauses."""
        return self._last.get("active")

    @property
    def memory(self) -> tuple[Optional[float], str, Optional[float]]:
        """Bytes in use, of "GPU" or "CPU", and how many there are."""
        return self._last.get("memory"), self._last.get("memory_of") or "CPU", self._last.get("memory_all")


def _add_scores(values: dict[str, float], matrix: np.ndarray) -> None:
    """MCC, accuracy and macro F1 from the matrix, where the run did not log them itself."""
    if matrix.ndim != 2 or matrix.sum() == 0:
        return
    for name, score in (("matthews_correlation", mcc), ("accuracy", accuracy), ("f1", macro_f1)):
        if not any(known in values for known in (name, *SAME[name])):
            values[name] = float(score(matrix))
