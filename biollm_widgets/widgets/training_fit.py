"""How a training is watched: in a thread of its own whose events a page hears of, or in the foreground with a bar."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Optional

from biollm_widgets import news
from biollm_widgets.runs.terminal import TerminalBar
from biollm_widgets.widgets import beside
from biollm_widgets.widgets.busy import Busy
from biollm_widgets.widgets.training_busy import Control, TrainingBusy


class TrainingRun:
    """A training, once; its kinds give `go`.

    Attributes
    ----------
    call : str
        How it was called, for sentences.
    stop : threading.Event or None
        Another way to ask for a stop.
    marks : list
        What nobody else may train meanwhile.
    """

    call: str
    stop: Optional[threading.Event] = None

    @property
    def alone(self) -> bool:
        """Whether this process is the only one that trains."""
        return True

    @property
    def marks(self) -> list[Hashable]:
        raise NotImplementedError

    def go(self, progress: Any, control: Control, hear: Callable[[dict[str, Any]], None]) -> Any:
        """Train here, and tell what happens."""
        raise NotImplementedError

    def busy(self, progress: Any, pumped: bool) -> Busy:
        return TrainingBusy(progress, Control(self.stop), self.marks, pumped)

    def work(self, progress: Any, control: Control) -> beside.Work:
        hear = _heard(progress, control)
        return beside.Work(
            lambda: self.go(progress, control, hear),
            lambda line: hear({"event": "say", "time": time.time(), "words": line}),
            "training",
        )

    def in_foreground(self, progress: Any) -> Any:
        with self.busy(progress, pumped=False) as busy:
            # A graded notebook shows what goes to stderr as if it were an error.
            bar = TerminalBar(progress._sheet.log, news.stream())

            def hear(event: dict[str, Any]) -> None:
                progress._hear_event(event)
                with progress._turn:
                    progress._drain()
                bar.log = progress._sheet.log
                bar(event)

            try:
                with busy.control.request:  # Ctrl-C and SIGTERM end it after the step at hand
                    return self.go(progress, busy.control, hear)
            finally:
                bar.close()


def _heard(progress: Any, control: Control) -> Callable[[dict[str, Any]], None]:
    """Hears what this training tells and prints, and nothing that comes when the progress has another one."""

    def hear(event: dict[str, Any]) -> None:
        if progress._control is control:
            progress._hear_event(event)

    return hear
