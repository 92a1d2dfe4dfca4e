"""What `--progress FILE` holds: the run as events, for whoever follows it from another window or machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Optional

from biollm_widgets.runs.progress_file import ProgressWriter, check_place
from biollm_widgets.runs.recorder import Recorder

LONGEST = 500  # letters of a failure's message


class Progress:
    """Tells a run's events into a file; on a process that is not the first, or without a file, it does nothing.

    Parameters
    ----------
    path
        The file, or None.
    first : bool
        Whether this process writes.

    Raises
    ------
    InputError
        When there may not be such a file; nothing is written yet. Every process looks, so that all end alike.
    """

    def __init__(self, path: Optional[str], first: bool) -> None:
        self.path, self.first = path, first
        self.recorder: Optional[Recorder] = None
        self._write: Optional[ProgressWriter] = None
        self._held: list[dict[str, Any]] = []  # said before the start: below it they belong to this run
        if path is not None:
            check_place(path)

    def begin(self, resume: bool) -> None:
        """Go on in the file or replace it; before this a former run's file is as it was.

        Raises
        ------
        InputError
            When it cannot be written.
        """
        if self.path is not None and self.first:
            self._write = ProgressWriter(self.path, resume)

    def record(self, trainer: Any, name: str, settings: dict[str, Any]) -> None:
        """Listen to a Trainer from now on."""
        if self._write is None:
            return
        self.recorder = Recorder(self.hear, name=name, ends=False)
        self.recorder.settings = settings
        self.recorder.attach(trainer)
        trainer.add_callback(self.recorder)

    def hear(self, event: dict[str, Any]) -> None:
        if self._write is None:
            return
        if event["event"] == "history":
            self._write(event)
            return
        held, self._held = self._held, []
        for one in [event, *held] if event["event"] == "start" else [*held, event]:
            self._write(one)

    def say(self, words: str) -> None:
        event = {"event": "say", "time": time.time(), "words": words}
        if self.recorder is None or not self.recorder.start:
            self._held.append(event)
        else:
            self.hear(event)

    def end(self, state: str, words: Sequence[str], step: int, **given: Any) -> None:
        """The run is over; `given` is what else an end event holds."""
        self.hear({"event": "end", "time": time.time(), "state": state, "step": step, "words": list(words), **given})


def in_a_sentence(problem: BaseException) -> str:
    """A failure for people: its kind, unless it is a sentence of ours, and its message on one line."""
    text = " ".join(str(problem).split())
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    if type(problem).__module__.startswith("biollm_widgets"):
        return text
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__
