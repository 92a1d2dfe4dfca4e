"""Where a work runs: beside a notebook that waits for it, or in the foreground."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Optional, Protocol

from biollm_widgets import news
from biollm_widgets.widgets import beside
from biollm_widgets.widgets.busy import Busy


class Run(Protocol):
    """Something to do, once.

    Attributes
    ----------
    call : str
        How it was called, for sentences: "await progress.fit".
    alone : bool
        Whether this process is the only one that does it.
    """

    call: str

    @property
    def alone(self) -> bool: ...

    def busy(self, view: Any, pumped: bool) -> Busy:
        """What a view is while it works on this."""

    def work(self, view: Any, control: Any) -> beside.Work:
        """It, in a thread of its own."""

    def in_foreground(self, view: Any) -> Any:
        """Do it here, where nobody can click."""


class Awaited(Coroutine):
    """A work that begins when it is awaited; until then, a sentence that says so."""

    def __init__(self, view: Any, run: Run) -> None:
        self._view, self._run = view, run
        self._inner: Optional[Coroutine[Any, Any, Any]] = None

    def _started(self) -> Coroutine[Any, Any, Any]:
        if self._inner is None:
            self._inner = _run_beside(self._view, self._run)
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


async def _run_beside(view: Any, run: Run) -> Any:
    if not _has_a_page(run):
        return run.in_foreground(view)
    with run.busy(view, pumped=True) as busy:
        view._show()
        busy.work = run.work(view, busy.control)
        return await beside.wait(busy.work, view._tick, view._ask_to_stop)


def run_here(view: Any, run: Run) -> Any:
    """Do it, and come back when it is done."""
    if not _has_a_page(run):
        return run.in_foreground(view)
    with run.busy(view, pumped=True) as busy:
        view._show()
        busy.work = run.work(view, busy.control)
        with beside.heard_beside(view):
            return beside.wait_here(busy.work, view._tick, view._ask_to_stop)


def run_alone(view: Any, run: Run) -> None:
    """Begin it in a thread that nobody waits for, as a button does."""
    busy = run.busy(view, pumped=False).__enter__()
    work = run.work(view, busy.control)
    busy.let_go(work)
    work.begin()


def _has_a_page(run: Run) -> bool:
    """Whether somebody may look on and click, at the one process that does this."""
    return news.has_a_page() and run.alone
