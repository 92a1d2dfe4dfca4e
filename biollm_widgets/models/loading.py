"""Loading what `locate` found: in silence, and with one sentence where transformers would give a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from biollm_widgets.errors import InputError


@contextmanager
def loading(name: Any) -> Iterator[None]:
    """What fails inside becomes a sentence about the model `name`; transformers says nothing of its own.

    Its bar over milliseconds and its table of missing weights would only worry a learner. So whoever loads here has to
    know which gaps are meant (an encoder without its pooler), and look for the others.

    Raises
    ------
    InputError
        When the model cannot be loaded without remote code.
    """
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as problem:
        reason = str(problem).strip().splitlines()[0][:200] if str(problem).strip() else type(problem).__name__
        raise InputError(f"{name} cannot be loaded without remote code ({reason}); name another model.") from problem
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
