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
        When the model cannot be loaded: for want of remote code, a damaged file, weights of another shape.
    """
    from pickle import UnpicklingError

    from safetensors import SafetensorError
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except InputError:
        raise
    except (SafetensorError, UnpicklingError) as problem:
        raise InputError(f"The weights of {name} are damaged ({_first_line(problem)}); fetch them again.") from problem
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, AttributeError, TypeError) as problem:
        if "ignore_mismatched_sizes" in str(problem):
            raise InputError(
                f"The weights of {name} do not fit its config.json (their shapes differ); fetch the model again, or "
                "name another."
            ) from problem
        how = " without remote code" if "remote_code" in str(problem) or "custom code" in str(problem) else ""
        raise InputError(f"{name} cannot be loaded{how} ({_first_line(problem)}); name another model.") from problem
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _first_line(problem: BaseException) -> str:
    text = str(problem).strip()
    return text.splitlines()[0][:200] if text else type(problem).__name__
