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
    checkpoints: list[Checkpoint] = field(default_factory=list)
    said: deque[str] = field(default_factory=lambda: deque(maxlen=SAID))
    said_count: int = 0
    phase: str = "idle"
    done: Optional[int] = None
    of: Optional[int] = None
    step: int = 0
    epoch: float = 0.0
    chosen_step: Optional[int] = None  # the best checkpoint by the Trainer's own book
    end: Optional[dict[str, Any]] = None
    time: float = 0.0  # of the last event
    _steps: deque[tuple[float, float, float, Optional[float]]] = field(default_factory=deque)
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
        self.checkpoints = [one for one in self.checkpoints if one.step <= at]
        self.tests = []
        if at == 0:
            self.said.clear()
        if self.chosen_step is not None and self.chosen_step > at:
            self.chosen_step = None
        self.start = event
        self.step, self.epoch, self.phase, self.end = at, 0.0, "training", None
        if event.get("epochs") and event.get("steps"):
            self.epoch = at / event["steps"] * event["epochs"]
        self.done = self.of = None
        self._steps.clear()
        self._first, self._last = None, {}

    def _take_history(self, event: dict[str, Any]) -> None:
        """What a run that goes on from a checkpoint had found before."""
        self.lines, self.evaluations, self.tests, self.checkpoints = TrainingLines(), [], [], []
        self.chosen_step = None
        self.take_all(event["events"])

    def _take_step(self, event: dict[str, Any]) -> None:
        self._at(event)
        self._last = event
        active = event.get("active")
        if active is None:
            return
        if self._first is None:
            self._first = (self.step, active)
        self._steps.append((active, self.step, event.get("samples") or 0, event.get("tokens")))
        while len(self._steps) > 2 and active - self._steps[0][0] > WINDOW:
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

    def _take_checkpoint(self, event: dict[str, Any]) -> None:
        step = int(event.get("step") or 0)
        self.checkpoints = [one for one in self.checkpoints if one.step != step] + [Checkpoint(step, event["path"])]
        if event.get("best_step"):
            self.chosen_step = event["best_step"]

    def _take_say(self, event: dict[str, Any]) -> None:
        for line in str(event.get("words") or "").splitlines():
            self.said.append(line)
            self.said_count += 1

    def _take_end(self, event: dict[str, Any]) -> None:
        self.end = event
        self.phase = event["state"]
        self.step = int(event.get("step") or self.step)
        self.done = self.of = None

    def _at(self, event: dict[str, Any]) -> None:
        self.step = int(event.get("step") or 0)
        self.epoch = float(event.get("epoch") or self.epoch)
        if self.phase in ("idle", "evaluating", "saving") and event["event"] == "step":
            self.phase, self.done, self.of = "training", None, None

    # What it says.

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
        seen = [len(one.confusion) for one in (*self.evaluations, *self.tests) if one.confusion]
        named = [str(one) for one in self.given_labels or self.start.get("labels") or []]
        return named + [str(k) for k in range(len(named), max(seen, default=0))]

    @property
    def metrics(self) -> list[str]:
        """The scores that evaluations gave, without loss, the leading one first."""
        seen: dict[str, None] = {}
        for one in (*self.evaluations, *self.tests):
            seen.update(dict.fromkeys(name for name in one.values if name != "loss"))
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
        seen = {name for one in self.evaluations for name in one.values}
        if metric and metric in seen:
            return metric, bool(self.start.get("greater", not str(metric).endswith("loss")))
        return "loss", False

    @property
    def best(self) -> Optional[Evaluation]:
        """The best evaluation so far, by `chosen_by`; the first of equals, as the Trainer has it."""
        name, greater = self.chosen_by
        found = None
        for one in self.evaluations:
            value = one.values.get(name)
            if value is None or not math.isfinite(value):
                continue
            if found is None or (value > found.values[name] if greater else value < found.values[name]):
                found = one
        return found

    def path_of(self, step: int) -> Optional[str]:
        """Where the checkpoint of a step was written."""
        return next((one.path for one in self.checkpoints if one.step == step), None)

    @property
    def speed(self) -> tuple[Optional[float], Optional[float]]:
        """Samples and tokens a second, over the last 20 seconds of training; None where not known."""
        if len(self._steps) < 2:
            return None, None
        (began, _, samples, tokens), (now, _, more, most) = self._steps[0], self._steps[-1]
        if now <= began:
            return None, None
        a_token = (most - tokens) / (now - began) if tokens is not None and most else None
        return (more - samples) / (now - began) or None, a_token

    @property
    def seconds_left(self) -> Optional[float]:
        """At the pace so far, evaluations and checkpoints included; the first step, which prepares much, left out."""
        if not self.steps or self._first is None or not self._steps:
            return None
        step, active = self._first
        now, at = self._steps[-1][0], self._steps[-1][1]
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
