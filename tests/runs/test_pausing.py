"""A pause between two steps."""

from __future__ import annotations

import threading
import time

from biollm_widgets.runs.pausing import Pause


def test_it_waits_until_somebody_goes_on_and_says_how_long_that_took() -> None:
    pause = Pause()
    assert not pause and pause.wait(lambda: False) < 1
    pause.pause()
    assert pause
    threading.Timer(0.15, pause.go_on).start()
    began = time.monotonic()
    waited = pause.wait(lambda: False)
    assert 0.1 < waited <= time.monotonic() - began and not pause


def test_somebody_can_look_for_the_click_that_ends_it() -> None:
    pause = Pause()
    pause.pause()
    turns: list[int] = []

    def look() -> None:
        turns.append(1)
        if len(turns) == 3:
            pause.go_on()

    assert pause.wait(lambda: False, look) < 5 and len(turns) == 3


def test_a_stop_ends_a_pause() -> None:
    pause = Pause()
    pause.pause()
    stop = threading.Event()
    threading.Timer(0.15, stop.set).start()
    assert pause.wait(stop.is_set) < 5 and pause
