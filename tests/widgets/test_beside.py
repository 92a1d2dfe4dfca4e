"""Work in a thread of its own: its result, its exception and its context; waiting for it, and the interrupt."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
import time
from typing import Any

import pytest

from biollm_widgets import news
from biollm_widgets.widgets import beside

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


def silent(line: str) -> None:
    """Nobody listens."""


def ticking() -> None:
    """Nothing to do."""


def waited(function: Any, tick: Any = ticking, stop: Any = ticking) -> Any:
    return beside.wait_here(beside.Work(function, silent), tick, stop)


def awaited(function: Any, tick: Any = ticking, stop: Any = ticking) -> Any:
    async def go() -> Any:
        return await beside.wait(beside.Work(function, silent), tick, stop)

    return asyncio.run(go())


BOTH = pytest.mark.parametrize("wait", [waited, awaited], ids=["blocking", "awaiting"])


@BOTH
def test_the_result_comes_back_from_another_thread(wait: Any) -> None:
    me = threading.get_ident()
    assert wait(lambda: (threading.get_ident() != me, threading.current_thread().daemon, 42)) == (True, True, 42)


@BOTH
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_it_raises_comes_back_as_itself(wait: Any, kind: type[BaseException]) -> None:
    error = kind("a bad label")

    def work() -> None:
        raise error

    with pytest.raises(kind) as caught:
        wait(work)
    assert caught.value is error and "work" in [entry.name for entry in caught.traceback]


@BOTH
def test_context_variables_are_those_of_the_cell(wait: Any) -> None:
    token = colour.set("red")
    try:

        def work() -> str:
            seen = colour.get()
            colour.set("blue")
            return seen

        assert wait(work) == "red" and colour.get() == "red"
    finally:
        colour.reset(token)


@BOTH
def test_meanwhile_somebody_looks_for_news_about_twenty_times_a_second(wait: Any) -> None:
    ticks = []
    wait(lambda: time.sleep(0.3), lambda: ticks.append(time.monotonic()))
    assert 2 <= len(ticks) <= 8


@BOTH
def test_the_first_interrupt_asks_to_stop_and_the_work_ends_in_its_own_time(wait: Any) -> None:
    asked = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def work() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "ended well" if asked.wait(5) else "was never asked"

    assert wait(work, stop=asked.set) == "ended well"
    assert signal.getsignal(signal.SIGINT) is before


@BOTH
def test_a_second_interrupt_leaves_the_cell_and_the_work_goes_on_to_its_end(wait: Any) -> None:
    stops, over, ended = [], threading.Event(), threading.Event()

    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)
        over.wait(5)
        ended.set()

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="training ends by itself after the step at hand"):
        wait(work, stop=lambda: stops.append(1))
    assert stops == [1] and signal.getsignal(signal.SIGINT) is before and not ended.is_set()
    over.set()
    assert ended.wait(5)


def test_what_is_to_follow_is_called_once_when_the_work_has_ended_also_after_that() -> None:
    go_on, followed = threading.Event(), list[str]()
    work = beside.Work(lambda: go_on.wait(5), silent)
    work.begin()
    work.then(lambda: followed.append(threading.current_thread().name))
    assert followed == []
    go_on.set()
    work.result()
    assert followed == ["training"]
    work.then(lambda: followed.append("at once"))
    assert followed == ["training", "at once"]


def test_an_interrupt_handler_that_could_not_be_put_back_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[Any] = []
    monkeypatch.setattr(signal, "getsignal", lambda number: None)  # one of C's
    monkeypatch.setattr(signal, "signal", lambda *given: changed.append(given))
    assert waited(lambda: 42) == 42 and changed == []


def test_a_host_that_interrupts_by_cancelling_does_the_same() -> None:
    asked = threading.Event()

    async def go() -> Any:
        work = beside.Work(lambda: "ended well" if asked.wait(5) else "was never asked", silent)
        task = asyncio.create_task(beside.wait(work, ticking, asked.set))
        await asyncio.sleep(0.1)
        task.cancel()
        return await task

    assert asyncio.run(go()) == "ended well"


def test_away_from_the_main_thread_signals_are_left_alone() -> None:
    before, found = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=lambda: found.append(waited(lambda: signal.getsignal(signal.SIGINT))))
    thread.start()
    thread.join()
    assert found == [before]


def test_what_it_prints_is_said() -> None:
    said: list[str] = []
    beside.Work(lambda: print("step 1\nstep 2"), said.append).result()
    assert said == ["step 1", "step 2"]


def test_outside_a_notebook_there_is_no_page_and_no_pump() -> None:
    assert not news.in_kernel() and beside.pump() is None
