"""What a thread prints, caught; what all others print goes where it always went."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_lines: dict[int, _Lines] = {}  # by the thread that is listened to
_turn = threading.Lock()


class _Lines:
    """Pieces of text as whole lines; what a carriage return begins anew replaces what stood there."""

    def __init__(self, said: Callable[[str], None]) -> None:
        self.said, self.rest = said, ""

    def write(self, text: str) -> None:
        *whole, rest = (self.rest + text).split("\n")
        for line in whole:
            self.say(line)
        # A bar says thousands of states and no end of a line. A last "\r" may still be one half of "\r\n".
        self.rest = _last_state(rest) + "\r" * rest.endswith("\r")

    def say(self, line: str) -> None:
        shown = _last_state(line).rstrip()
        if shown:
            self.said(shown)

    def close(self) -> None:
        self.say(self.rest)
        self.rest = ""


def _last_state(line: str) -> str:
    """What stands there once all carriage returns are done."""
    return line.rstrip("\r").rpartition("\r")[2]


class _Split:
    """A stream that a caught thread does not write to.

    What others set on it stays with it: around each cell IPython puts a `write` of its own in the place of the one it
    finds, and calls that one. On the stream beneath, the two would call each other for ever.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        lines = _lines.get(threading.get_ident())
        if lines is None:
            return self.stream.write(text)
        lines.write(text)
        return len(text)

    def isatty(self) -> bool:
        return threading.get_ident() not in _lines and self.stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["stream"], name)


class _Caught(logging.Filter):
    """Keeps a caught thread's records from a handler, which holds on to the stream that it was made with."""

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__()
        self.handler = handler

    def filter(self, record: logging.LogRecord) -> bool:
        lines = _lines.get(threading.get_ident())
        if lines is None:
            return True
        lines.write(self.handler.format(record) + "\n")
        return False


@contextmanager
def prints_to(said: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, lines that this thread prints or logs are given to `said`."""
    me = threading.get_ident()
    lines = _Lines(said)
    filters: list[tuple[logging.Handler, _Caught]] = []
    with _turn:
        _lines[me] = lines
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if not isinstance(stream, _Split):
                setattr(sys, name, _Split(stream))
        for logger in (logging.getLogger(), logging.getLogger("transformers"), logging.getLogger("accelerate")):
            for handler in logger.handlers:
                if type(handler) is logging.StreamHandler:
                    caught = _Caught(handler)
                    handler.addFilter(caught)
                    filters.append((handler, caught))
    try:
        yield
    finally:
        with _turn:
            lines.close()
            del _lines[me]
            for handler, caught in filters:
                handler.removeFilter(caught)
            for name in ("stdout", "stderr"):
                # Another thread may be listened to, and somebody may have put a stream of their own there meanwhile.
                split = getattr(sys, name)
                if not _lines and isinstance(split, _Split):
                    setattr(sys, name, split.stream)
