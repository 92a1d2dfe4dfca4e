"""Where a training runs: beside a notebook that waits for it, or in the foreground with a bar."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Optional

from biollm_widgets.runs.terminal import TerminalBar
from biollm_widgets.widgets import beside
from biollm_widgets.widgets.training_busy import Busy, Control


class Fitting(Coroutine):
    """A training that begins when it is awaited; until then, a sentence that says so."""

    def __init__(self, progress: Any, run: Any) -> None:
        self._progress, self._run = progress, run
        self._inner: Optional[Coroutine[Any, Any, Any]] = None

    def _started(self) -> Coroutine[Any, Any, Any]:
        if self._inner is None:
            self._inner = _fit(self._progress, self._run)
        return self._inner

    def send(self, value: Any) -> Any:
        return self._started().send(value)

    def throw(self, *error: Any) -> Any:
        return self._started().throw(*error)

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._started().__await__()

    def __repr__(self) -> str:
        call = self._run.call.removeprefix("await ")
        return f"Nothing has begun yet: write await in front, as in `await {call}(...)`."


async def _fit(progress: Any, run: Any) -> Any:
    if not _has_a_page(run):
        return _run_in_foreground(progress, run)
    with Busy(progress, Control(run.stop), run.marks) as busy:
        progress._show()
        busy.work = _work(progress, run, busy.control)
        return await beside.wait(busy.work, progress._tick, progress._ask_to_stop)


def run_here(progress: Any, run: Any) -> Any:
    """Train, and come back when it is done."""
    if not _has_a_page(run):
        return _run_in_foreground(progress, run)
    with Busy(progress, Control(run.stop), run.marks) as busy:
        progress._show()
        busy.work = _work(progress, run, busy.control)
        with beside.heard_beside(progress):
            return beside.wait_here(busy.work, progress._tick, progress._ask_to_stop)


def _has_a_page(run: Any) -> bool:
    """Whether somebody may look on and click: not in a script, not while a notebook is graded, not in one of many."""
    return beside.in_kernel() and not os.environ.get("NBGRADER_EXECUTION") and run.alone


def _work(progress: Any, run: Any, control: Control) -> beside.Work:
    hear = _heard(progress, control)
    return beside.Work(
        lambda: run.go(progress, control, hear),
        lambda line: hear({"event": "say", "time": time.time(), "words": line}),
    )


def _heard(progress: Any, control: Control) -> Callable[[dict[str, Any]], None]:
    """Hears what this training tells and prints, and nothing that comes when the progress has another one."""

    def hear(event: dict[str, Any]) -> None:
        if progress._control is control:
            progress._hear_event(event)

    return hear


def _run_in_foreground(progress: Any, run: Any) -> Any:
    with Busy(progress, Control(run.stop), run.marks, pumped=False) as busy:
        # A graded notebook shows what goes to stderr as if it were an error.
        bar = TerminalBar(progress._sheet.log, sys.stdout if beside.in_kernel() else sys.stderr)

        def hear(event: dict[str, Any]) -> None:
            progress._hear_event(event)
            with progress._turn:
                progress._drain()
            bar.log = progress._sheet.log
            bar(event)

        try:
            with busy.control.request:  # Ctrl-C and SIGTERM end it after the step at hand
                return run.go(progress, busy.control, hear)
        finally:
            bar.close()
