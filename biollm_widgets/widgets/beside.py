"""Work in a thread beside a notebook: the cell waits for it, and the page's clicks come through meanwhile.

Tried on ipykernel 6.29 and 7 (who can press a button while a cell works, also after the page was loaded again, and
whether the next cell waits): only a thread of its own with a cell that awaits a pump of front-end events does all of
it on both. Where there is no such pump (a kernel that is not ipykernel, an ipykernel that the pump does not know), the
cell awaits the thread alone: the order of cells holds, and clicks come through on ipykernel 7, or else when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Optional

from biollm_widgets.runs.openmp import let_go_of_threads
from biollm_widgets.widgets.printing import prints_to

TICK = 0.05  # seconds between two looks at what the page has sent


class Work:
    """A function in a thread of its own, which begins when somebody waits for it.

    Parameters
    ----------
    function
        Its result or its exception is what `result` gives.
    said
        Called with each line that the thread prints: elsewhere it would land in whatever cell is the newest.
    name
        What it does, for sentences: "training".
    """

    def __init__(self, function: Callable[[], Any], said: Callable[[str], None], name: str = "training") -> None:
        self.function, self.said, self.name = function, said, name
        self.value: Any = None
        self.error: Optional[BaseException] = None
        self._over = False
        self._after: Optional[Callable[[], None]] = None
        self._turn = threading.Lock()
        context = contextvars.copy_context()
        self.thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)

    def begin(self) -> None:
        if self.thread.ident is None:
            let_go_of_threads()
            self.thread.start()

    @property
    def done(self) -> bool:
        return not self.thread.is_alive()

    def then(self, after: Callable[[], None]) -> None:
        """Call something when the function has ended, in its thread; at once where it has."""
        with self._turn:
            if not self._over:
                self._after = after
                return
        after()

    def result(self) -> Any:
        self.begin()
        self.thread.join()
        if self.error is not None:
            raise self.error
        return self.value

    def _run(self) -> None:
        try:
            with prints_to(self.said):
                self.value = self.function()
        except BaseException as error:
            self.error = error
        finally:
            with self._turn:
                self._over = True
            if self._after is not None:
                self._after()


class Interrupts:
    """The notebook's own interrupt, while a cell waits: the first asks to stop, the second leaves the cell."""

    def __init__(self, stop: Callable[[], None], name: str) -> None:
        self.stop, self.name, self.count = stop, name, 0
        self._before: Any = None
        self._held = False

    def __enter__(self) -> Interrupts:
        self._before = signal.getsignal(signal.SIGINT)
        # Python allows handlers on the main thread alone, and one that was not set in Python could not be put back.
        self._held = threading.current_thread() is threading.main_thread() and self._before is not None
        if self._held:
            signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if self._held:
            signal.signal(signal.SIGINT, self._before)

    def _hear(self, *_: Any) -> None:
        self.count += 1
        if self.count == 1:
            self.stop()

    def leave(self) -> None:
        """Raise what a second interrupt asks for."""
        if self.count > 1:
            raise KeyboardInterrupt(f"The cell was left; {self.name} ends by itself after the step at hand.")


def pump() -> Any:
    """What lets front-end events through while a cell runs; None where there is none."""
    try:
        from IPython import get_ipython
        from jupyter_ui_poll import ui_events

        events = ui_events()
        kernel = get_ipython().kernel
        # jupyter_ui_poll 1.1 takes away the lock that keeps messages waiting, and ipykernel 7.4 asks it a question.
        if isinstance(getattr(kernel, "_main_asyncio_lock", None), contextlib.nullcontext):
            kernel._main_asyncio_lock = _OpenLock(kernel)
        return events
    except Exception:  # another kernel, or one whose insides have changed
        return None


@contextlib.contextmanager
def heard_beside(widget: Any) -> Iterator[None]:
    """While the main thread is taken, let what the page sends to a widget be heard in a thread of its own.

    That is where JupyterLab sends it, but ipykernel 7.4 hands it to the thread that last spoke to the page: ours.
    """
    comm: Any = getattr(widget, "comm", None)
    if not hasattr(comm, "_reply_subshell_for"):
        yield
        return
    comm._biollm_heard = getattr(comm, "_biollm_heard", 0) + 1  # one within another
    comm._reply_subshell_for = lambda data, asked: asked
    try:
        yield
    finally:
        comm._biollm_heard -= 1
        if not comm._biollm_heard:
            del comm._reply_subshell_for


class _OpenLock(contextlib.nullcontext):
    """A lock that is never held; after each message that came through, the kernel answers the cell again.

    It says that a cell is over by naming what it answered last, so otherwise the cell would seem to run for ever.
    """

    def __init__(self, kernel: Any) -> None:
        super().__init__()
        self.kernel, self.cell = kernel, (kernel._shell_parent_ident.get(), kernel.get_parent("shell"))

    def locked(self) -> bool:
        return False

    async def __aexit__(self, *_: object) -> None:
        self.kernel.set_parent(*self.cell)


async def wait(work: Work, tick: Callable[[], None], stop: Callable[[], None]) -> Any:
    """Await the work; `tick` is called about twenty times a second, `stop` at an interrupt.

    Raises
    ------
    KeyboardInterrupt
        At the second interrupt.
    """
    events = pump()
    with Interrupts(stop, work.name) as interrupts:
        work.begin()  # not before: an interrupt would leave it alone
        if events is None:
            await _loop(work, tick, stop, interrupts, None)
        else:
            async with events as poll:
                await _loop(work, tick, stop, interrupts, poll)
    return work.result()


async def _loop(
    work: Work, tick: Callable[[], None], stop: Callable[[], None], interrupts: Interrupts, poll: Any
) -> None:
    while not work.done:
        try:
            if poll is not None:
                await poll(10)
            tick()
            await asyncio.sleep(TICK)
        except asyncio.CancelledError:
            # How a host without signals says "interrupt".
            interrupts.count += 1
            stop()
        interrupts.leave()


def wait_here(work: Work, tick: Callable[[], None], stop: Callable[[], None]) -> Any:
    """The same for a cell that does not await: it blocks, and lets events through by itself."""
    events = pump()
    with Interrupts(stop, work.name) as interrupts:
        work.begin()
        if events is None:
            _turn(work, tick, interrupts, lambda _: None)
        else:
            with events as poll:
                _turn(work, tick, interrupts, poll)
    return work.result()


def _turn(work: Work, tick: Callable[[], None], interrupts: Interrupts, poll: Callable[[int], Any]) -> None:
    while not work.done:
        poll(10)
        tick()
        interrupts.leave()
        time.sleep(TICK)
    sys.stdout.flush()
