"""What the doctor finds: one sentence a finding, how bad it is, and what to do about it."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from biollm_widgets import news
from biollm_widgets.kernels import container
from biollm_widgets.models.cache import shown as _with_home

FINE, NOTE, BROKEN = "fine", "note", "broken"
STATES = (BROKEN, NOTE, FINE)  # the worst first
# What the findings are about, in the order in which a person meets it.
GROUPS = {
    "packages": "Python and packages",
    "front end": "Widgets in the page",
    "kernel": "Kernel of the lessons",
    "hardware": "Computer",
    "places": "Folders and disk",
    "models": "Models",
    "hub": "Model hub",
    "grading": "Grading",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    id : str
        The same from day to day, such as "front-end-anywidget", for scripts.
    group : str
        One of `GROUPS`.
    state : {"fine", "note", "broken"}
        A note is worth knowing, and all works without it; what is broken is needed.
    sentence : str
        What was found.
    remedy : str
        What to do about it, in words; empty for what is fine.
    command : str
        The remedy as a line to copy, for a terminal or, in a kernel, for a cell; empty where it is none.
    """

    id: str
    group: str
    state: str
    sentence: str
    remedy: str = ""
    command: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the same names; what is empty is None."""
        return {
            "id": self.id,
            "group": self.group,
            "state": self.state,
            "sentence": self.sentence,
            "remedy": self.remedy or None,
            "command": self.command or None,
        }


# A command is written for where the person is: a terminal, or a cell of a notebook. That is settled once, before the
# probes run side by side: one of them may be just importing IPython when another asks.
_in_notebook = False


def settle() -> None:
    """Find out whether this is a cell of a notebook; for the thread that a person waits for."""
    global _in_notebook
    _in_notebook = news.in_kernel()


def in_notebook() -> bool:
    """Whether the findings are for a cell of a notebook."""
    return _in_notebook


def terminal(*words: Union[str, Path]) -> str:
    """A command line, quoted for a POSIX shell."""
    line = shlex.join(str(word) for word in words)
    return f"!{line}" if in_notebook() else line


def inside(*words: Union[str, Path]) -> str:
    """A command line for a program or a file that may be in this container alone: for its host, it leads there first.

    Who types it has given `apptainer exec` once already; in a shell of the container, and in a cell, they are inside.
    """
    return _inside([str(word) for word in words])


def biollm(*words: Union[str, Path]) -> str:
    """The line that gives a command of `biollm`.

    That word is known only where its environment is on the PATH, which a kernel's seldom is; a container's never is.
    """
    if not in_notebook() and not container.image():
        return terminal("biollm", *words)
    # The cache that was named with --env when this one was started is to be found by the next one, too.
    return _inside([sys.executable, "-m", "biollm_widgets.cli", *map(str, words)], keep=("HF_HOME",))


def _inside(words: list[str], keep: tuple[str, ...] = ()) -> str:
    image = container.image()
    if image and not in_notebook() and os.environ.get("APPTAINER_COMMAND") != "shell":
        words = container.into(image, *words, keep=keep)
    return terminal(*words)


def variable(name: str, value: Union[str, Path]) -> str:
    """The line that sets an environment variable; `$NAME` in the value stays open for the shell in a terminal."""
    if in_notebook():
        return f"%env {name}={os.path.expandvars(value)}"
    quoted = f'"{value}"' if "$" in str(value) else shlex.quote(str(value))
    return f"export {name}={quoted}"


def unset(name: str) -> str:
    """The line that forgets an environment variable."""
    return f"import os; os.environ.pop({name!r}, None)" if in_notebook() else f"unset {name}"


def how_set() -> str:
    """What is to be said beside `variable` and `unset`: when they take effect."""
    if in_notebook():
        return "restart the kernel and run this as its first cell"
    return "type this before Jupyter starts (for good: put it into ~/.bashrc)"


def shown(path: Union[str, Path]) -> str:
    """A path as people write it, with ~ for the home folder."""
    said = _with_home(Path(path))
    return "~" if said == "~/." else said
