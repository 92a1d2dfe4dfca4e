"""Ending a network's computation from another thread, in the middle of a pass.

A pass over a long prompt takes half a minute at ProtGPT2's size on a CPU: too long to wait for its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, get_ident
from typing import Any, Optional


class Interrupted(Exception):
    """A pass was ended before it was through."""


class Over:
    """Whether to end by now: `grace` seconds after `stop` was first seen to be set."""

    def __init__(self, stop: Event, grace: float = 0.0) -> None:
        self._stop, self._grace = stop, grace
        self._since: Optional[float] = None

    def __call__(self) -> bool:
        if not self._stop.is_set():
            return False
        if self._since is None:
            self._since = time.monotonic()
        return time.monotonic() - self._since >= self._grace


@contextmanager
def interruptible(model: Any, over: Optional[Callable[[], bool]]) -> Iterator[None]:
    """Inside, a pass of this thread through the model asks `over` at each of its layers, and ends where that is true.

    Raises
    ------
    Interrupted
        In the pass that was ended. The model is left as it was.
    """
    if over is None:
        yield
        return
    here = get_ident()

    def ask(*_: Any) -> None:
        if get_ident() == here and over():  # passes of other threads through the same model go on
            raise Interrupted

    hooks = [module.register_forward_pre_hook(ask) for module in model.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
