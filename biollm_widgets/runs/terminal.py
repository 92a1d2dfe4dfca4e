"""A run in a terminal, in a log file, or where a notebook has nobody who looks: one bar, and a line an evaluation."""

from __future__ import annotations

import sys
from typing import Any, Optional, TextIO

from tqdm import tqdm

from biollm_widgets.runs.hints import hints_by_rule
from biollm_widgets.runs.log import RunLog
from biollm_widgets.runs.words import name_of, number

_SLOW = 30.0  # seconds between two states of the bar where each is a line of its own


class TerminalBar:
    """Hears events and draws them with tqdm.

    Parameters
    ----------
    log : RunLog
        What the events add up to; whoever makes this feeds it before.
    file : TextIO, optional
        Where to; standard error where not given.
    """

    def __init__(self, log: RunLog, file: Optional[TextIO] = None) -> None:
        self.log = log
        self.file = file if file is not None else sys.stderr
        self.bar: Optional[tqdm] = None
        self.told: set[str] = set()

    def __call__(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "start":
            tty = bool(getattr(self.file, "isatty", lambda: False)())
            if self.bar is not None:
                self.bar.close()  # where it was: the log is of the new run already
            self.bar = tqdm(
                total=self.log.steps,
                initial=self.log.step,
                unit="step",
                desc="Training",
                file=self.file,
                mininterval=0.25 if tty else _SLOW,
                dynamic_ncols=tty,
            )
        elif kind == "step" and self.bar is not None:
            self.bar.update(self.log.step - self.bar.n)
        elif kind == "log" and self.bar is not None:
            self.bar.set_postfix_str(f"loss {number(self.log.loss)}", refresh=False)
        elif kind == "phase" and self.bar is not None:
            self.bar.set_description({"evaluating": "Evaluating", "saving": "Saving"}.get(event["phase"], "Training"))
        elif kind == "evaluation":
            self.write(self.evaluated(event))
            self.advise()
        elif kind == "say":
            self.write(event["words"])
        elif kind == "end":
            self.close()
            for sentence in event.get("words") or []:
                self.write(sentence)
            if event.get("resume"):
                self.write(f"To go on: {event['resume']}")

    def evaluated(self, event: dict[str, Any]) -> str:
        """One line about an evaluation: loss and scores, and whether it is the best so far."""
        log = self.log
        one = next((e for e in reversed((*log.evaluations, *log.tests)) if e.step == event["step"]), None)
        values = one.values if one is not None else event["values"]
        shown = [name for name in ("loss", *log.metrics) if name in values]
        scores = ", ".join(f"{name_of(name)} {number(values[name])}" for name in shown)
        if not event.get("during", True):
            return f"After training: {scores}."
        best = " (best so far)" if log.best is one and len(log.evaluations) > 1 else ""
        return f"Step {event['step']:,}: evaluation {scores}{best}."

    def advise(self) -> None:
        """Each hint once: the next evaluation would only change its numbers."""
        for rule, hint in hints_by_rule(self.log).items():
            if rule not in self.told:
                self.told.add(rule)
                self.write(f"Hint: {hint}")

    def write(self, words: str) -> None:
        tqdm.write(words, file=self.file)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.update(self.log.step - self.bar.n)
            self.bar.close()
            self.bar = None
