"""Whose session this is, also where the system's list of users does not know: a container, a batch job."""

from __future__ import annotations

import getpass
import os
from pathlib import Path


def user() -> str:
    """The name under which a person is known; the number where the system has no name for it, "" without either."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # without an entry in the list of users: KeyError, from 3.13 on OSError
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def home() -> Path:
    """The home folder; where neither HOME nor the list of users names one, what programs take for it: a folder "~"."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("~").absolute()
