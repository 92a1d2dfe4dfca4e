"""A pause between two steps: asked for from any thread, kept by the thread that trains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Optional

_LOOK = 0.1  # seconds between two looks for a stop


class Pause:
    """Whether training is to wait, and the waiting."""

    def __init__(self) -> None:
        self._going = threading.Event()
        self._going.set()

    def __bool__(self) -> bool:
        return not self._going.is_set()

    def pause(self) -> None:
        self._going.clear()

    def go_on(self) -> None:
        self._going.set()

    def wait(self, unless: Callable[[], bool], each_turn: Optional[Callable[[], None]] = None) -> float:
        """Wait until it goes on, or until `unless` says so; the seconds that took.

        `each_turn` is called ten times a second meanwhile: where this thread is the one that hears clicks, it listens.
        """
        began = time.monotonic()
        while self and not unless():
            if each_turn is not None:
                each_turn()
            self._going.wait(_LOOK)
        return time.monotonic() - began
