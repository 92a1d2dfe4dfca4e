"""Sentences for whoever is at the keyboard, beside the results.

In a terminal they go to stderr, so that a pipe has the results alone. In a notebook what goes to stderr is painted red
like an error, and nbgrader takes it for one; there they go to stdout.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO


def in_kernel() -> bool:
    """Whether this is a cell of a notebook with a front end that can send clicks."""
    ipython = sys.modules.get("IPython")  # where there is a notebook it is imported
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def has_a_page() -> bool:
    """Whether somebody may look on and click: not in a script, and not while a notebook is graded."""
    return in_kernel() and not os.environ.get("NBGRADER_EXECUTION")


def stream() -> TextIO:
    """Where news go."""
    return sys.stdout if in_kernel() else sys.stderr


def say(sentence: object) -> None:
    """Tell one."""
    print(sentence, file=stream())
