"""One bar is enough: the Trainer's own, and transformers' for reading and writing files, while another one shows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from transformers import PrinterCallback, ProgressCallback
from transformers.utils import logging as transformers_logging

BARS = (PrinterCallback, ProgressCallback)
IN_NOTEBOOKS = "NotebookProgressCallback"  # by name: its module can be loaded only where IPython is


@contextlib.contextmanager
def no_bars_of_loading() -> Iterator[None]:
    """Without transformers' bars for reading and writing files: they would tear the one for training apart."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def without_bars(callbacks: list[Any]) -> list[Any]:
    """A Trainer's callbacks less those that draw or print its progress."""
    return [one for one in callbacks if not isinstance(one, BARS) and type(one).__name__ != IN_NOTEBOOKS]
