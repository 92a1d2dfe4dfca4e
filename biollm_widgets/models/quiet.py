"""Loading a model without transformers' remarks, for where they would only worry a learner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quietly() -> Iterator[None]:
    """Without transformers' bar over milliseconds, and its table of weights that a checkpoint lacks or has too many of.

    For loading where such gaps are known and meant: an encoder without its pooler, or without the head.
    """
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
