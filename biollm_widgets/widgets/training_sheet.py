"""What a page and a picture show of one run or of several: the shot, and what has changed since the last one.

A shot is plain JSON: words (`title`, `line`, `doing`, `notice`, `hints`), the `phase`, the `buttons` that make sense,
and for each run its training points, evaluations, checkpoints and labels. It holds at most `POINTS` training points
and `EVALUATIONS` evaluations over all runs, however long they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Optional

from biollm_widgets.runs import hints, words
from biollm_widgets.runs.buckets import lines_a_point
from biollm_widgets.runs.log import Evaluation, RunLog
from biollm_widgets.runs.settings import settings_beside

POINTS, EVALUATIONS = 400, 100
CELLS = 20_000  # of all confusion matrices together; the older ones of many classes are left out
RANGE = 800  # points of a stretch that somebody looks at closely; these are not kept
BUTTONS = {
    "training": ["pause", "stop"],
    "evaluating": ["pause", "stop"],
    "saving": ["pause", "stop"],
    "paused": ["go_on", "stop"],
}


class TrainingSheet:
    """The runs that are shown together; the first one may still be going on.

    Attributes
    ----------
    runs : list of RunLog
    steered : bool
        Whether there is a training here that buttons can reach.
    followed : bool
        Whether somebody reads a file in which there may be more.
    stopping : bool
        Whether it was asked to stop.
    notice : dict or None
        A word beside the run's own, as a shot has it.
    """

    def __init__(self, runs: Sequence[RunLog]) -> None:
        self.runs = list(runs)
        self.steered = self.stopping = self.pausing = self.followed = False
        self.notice: Optional[dict[str, Any]] = None
        self.serial = 0
        self._sent: dict[str, Any] = {}

    def begin(self) -> None:
        """Make room for a run that begins: what stood here before it is gone, what was laid over stays."""
        self.runs[0] = RunLog(self.log.given, self.log.given_labels)
        self.notice = None

    def rest(self) -> None:
        """The run has ended, however it did: nothing can be stopped any more."""
        self.steered = self.stopping = self.pausing = False

    @property
    def log(self) -> RunLog:
        """The run that all others are compared with."""
        return self.runs[0]

    @property
    def running(self) -> bool:
        """Whether the first run goes on."""
        return self.log.running

    @property
    def title(self) -> str:
        if len(self.runs) == 1:
            return words.title(self.log)
        lead = self.lead
        best = [(run, _best_of(run, lead)) for run in self.runs]
        scored = [(run, found) for run, found in best if found is not None]
        if not scored:
            return f"{len(self.runs)} runs beside each other, none of them evaluated"
        less = lead.endswith("loss")
        order = sorted(scored, key=lambda one: one[1].values[lead], reverse=not less)
        (run, found), name = order[0], words.name_of(lead)
        top = f"{run.name}: evaluation {name} {words.number(found.values[lead])} at step {found.step:,}"
        if len(order) == 1:
            return f"{top}; the other{'s have' if len(self.runs) > 2 else ' has'} no evaluation"
        if order[1][1].values[lead] == found.values[lead]:
            return f"{run.name} and {order[1][0].name} are level: evaluation {name} {words.number(found.values[lead])}"
        return f"Best of {len(self.runs)} runs is {top}"

    @property
    def lead(self) -> str:
        """The score that titles and the second chart show first."""
        return next(iter(self.metrics), "loss")

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(name for run in self.runs for name in run.metrics))

    def shot(self) -> dict[str, Any]:
        """All of it."""
        share = POINTS // len(self.runs)
        header, rows, different = settings_beside(
            [(run.name or f"run {n + 1}", run.start.get("settings") or {}) for n, run in enumerate(self.runs)]
        )
        return {
            "serial": self.serial,
            "kind": "run" if len(self.runs) == 1 else "compare",
            **self._words(),
            "runs": [self._run(run, share) for run in self.runs],
            "settings": {"header": header, "rows": rows, "different": different},
            "said": list(self.log.said),
        }

    def news(self) -> Optional[dict[str, Any]]:
        """What is new since the last call, as a message for the page: None, {"news": ...} or {"fresh": shot}."""
        before, log = self._sent, self.log
        # The very objects: every start event is another one, and so is every run, and what it had found before.
        known_by = [part for run in self.runs for part in (run, run.start, run.lines)]
        if (
            not before
            or len(known_by) != len(before["by"])
            or any(a is not b for a, b in zip(known_by, before["by"], strict=True))
            or log.labels != before["run"]["labels"]
        ):
            self.serial += 1
            shot = self.shot()
            self._sent = {"by": known_by, "words": self._words(), "said": log.said_count, "run": shot["runs"][0]}
            return {"fresh": shot}
        now = self._words()
        news: dict[str, Any] = {name: value for name, value in now.items() if before["words"].get(name) != value}
        before["words"] = now
        known, share = before["run"], POINTS // len(self.runs)
        every = lines_a_point(len(log.lines), share)
        if every != known["every"]:
            known["every"], known["points"] = every, log.lines.points(every)
            news["every"], news["points"] = [0, every], [0, 0, known["points"]]
        else:
            # Lines join the last point until it has all of its own: nothing before that changes.
            first = max(0, len(known["points"]) - 1)
            points = log.lines.points(every, first * every)
            if points != known["points"][first:]:
                known["points"][first:] = points
                news["points"] = [0, first, points]
        for name, found in (("evaluations", _evaluations(log, len(self.runs))), ("checkpoints", _checkpoints(log))):
            if found != known[name]:
                same = next((n for n, (a, b) in enumerate(zip(found, known[name], strict=False)) if a != b), None)
                first = min(len(found), len(known[name])) if same is None else same
                known[name] = found
                news[name] = [0, found] if name == "checkpoints" else [0, first, found[first:]]
        test = _test(log)
        if test != known["test"]:
            known["test"] = test
            news["test"] = [0, test]
        if log.said_count != before["said"]:
            new = min(log.said_count - before["said"], len(log.said))
            before["said"] = log.said_count
            said = list(log.said)
            # The page keeps as many as the log does, so once that is full the places shift.
            news["said"] = [len(said) - new, said[-new:]] if log.said_count <= len(said) else [0, said]
        if not news:
            return None
        self.serial += 1
        return {"news": {"serial": self.serial, **news}}

    def forget_what_was_sent(self) -> None:
        """The next news are the whole: some may not have arrived."""
        self._sent = {}

    def pulse(self) -> dict[str, Any]:
        """A message that says no more than that Python is there."""
        self.serial += 1
        return {"news": {"serial": self.serial}}

    def stretch(self, run: int, start: float, end: float) -> dict[str, Any]:
        """The training points of the steps [start, end], as fine as `RANGE` points can show them."""
        lines = self.runs[run].lines
        first, last = lines.place(start, end)
        every = lines_a_point(last - first, RANGE)
        return {"every": every, "points": lines.points(every, first, last)}

    def _words(self) -> dict[str, Any]:
        log, alone = self.log, len(self.runs) == 1
        preparing = self.steered and not log.start
        share = min(1.0, log.step / log.steps) if log.steps and log.phase != "idle" else None
        buttons = list(BUTTONS.get(log.phase, [])) if self.steered and not self.stopping and log.running else []
        if preparing and not self.stopping:
            buttons = ["stop"]
        if self.pausing and "pause" in buttons:  # asked for, and the step at hand is not over yet
            buttons[buttons.index("pause")] = "go_on"
        return {
            "title": "Getting ready to train" if preparing and alone else self.title,
            "line": words.line(log) if alone or log.running else "",
            "share": share if alone or log.running else None,
            "phase": "stopping" if self.stopping and log.running else log.phase,
            "doing": (log.said[-1] if log.said else "") if preparing else self._doing(),
            "notice": _notice(log) or self.notice,
            "hints": hints.hints(log) if alone else [],
            "buttons": buttons,
            # Somebody sends at least every few seconds, so silence means something.
            "live": log.running and (self.steered or self.followed),
            "steps": max((run.steps or run.step or 0 for run in self.runs), default=0) or None,
            "metrics": self.metrics,
            "names": {name: words.name_of(name) for name in ("loss", *self.metrics)},
        }

    def _doing(self) -> str:
        log = self.log
        if self.pausing and not self.stopping and log.phase == "training":
            return "Pausing after the step at hand."
        return words.doing(log, self.stopping) if len(self.runs) == 1 or log.running else ""

    def _run(self, run: RunLog, share: int) -> dict[str, Any]:
        every = lines_a_point(len(run.lines), share)
        return {
            "name": run.name,
            "every": every,
            "points": run.lines.points(every),
            "evaluations": _evaluations(run, len(self.runs)),
            "test": _test(run),
            "checkpoints": _checkpoints(run),
            "labels": run.labels,
        }


def _notice(log: RunLog) -> Optional[dict[str, Any]]:
    if log.end is None:
        return None
    said = [str(one) for one in log.end.get("words") or []]
    code = log.end.get("resume") or ""
    return {"kind": log.end["state"], "words": said, "code": code} if said or code else None


def _evaluations(run: RunLog, runs: int) -> list[dict[str, Any]]:
    """All of them, or so many spread over the run, the best and the newest among them."""
    most, best = EVALUATIONS // runs, run.best
    found = run.evaluations
    if len(found) > most:
        every = math.ceil(len(found) / (most - 2))
        found = [one for n, one in enumerate(found) if n % every == 0 or one is best or n == len(found) - 1]
    matrices = [one for one in found if one.confusion]
    size = len(matrices[-1].confusion or []) if matrices else 1
    shown = matrices[-max(1, CELLS // (runs * size * size)) :] + [one for one in matrices if one is best]
    return [_evaluation(one, one is best, any(one is other for other in shown)) for one in found]


def _evaluation(one: Evaluation, best: bool, whole: bool = True) -> dict[str, Any]:
    values = {name: value if math.isfinite(value) else None for name, value in one.values.items()}
    return {
        "step": one.step,
        "epoch": one.epoch,
        "values": values,
        "confusion": one.confusion if whole else None,
        "best": best,
    }


def _test(run: RunLog) -> Optional[dict[str, Any]]:
    return _evaluation(run.tests[-1], False) if run.tests else None


def _checkpoints(run: RunLog) -> list[int]:
    steps = sorted({one.step for one in run.checkpoints})
    return steps[-EVALUATIONS:]


def _best_of(run: RunLog, metric: str) -> Optional[Evaluation]:
    """A run's best evaluation by a score that all runs are held against."""
    found = [one for one in run.evaluations if math.isfinite(one.values.get(metric, math.nan))]
    if not found:
        return None
    pick = min if metric.endswith("loss") else max
    return pick(found, key=lambda one: one.values[metric])
