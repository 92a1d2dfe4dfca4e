"""What an instructor's machine needs: nbgrader, its pages on the server, and a way to keep submissions apart."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Optional

from biollm_widgets.diagnosis.findings import FINE, NOTE, Finding, inside, shown
from biollm_widgets.diagnosis.front_end import copies_of
from biollm_widgets.diagnosis.servers import Server

GROUP = "grading"
FORMGRADER = "nbgrader.server_extensions.formgrader"
_WHOLE, _PARTS = "jupyter_server_config.json", "jupyter_server_config.d"
_SECONDS = 3.5
# In a process of its own: it forks, and a notebook's process has threads.
_ISOLATION = """
from biollm_widgets.errors import InputError
from biollm_widgets.grading.setting import choose_isolation
try:
    print("can", choose_isolation("auto"))
except InputError as problem:
    print("cannot", problem)
"""


def look() -> Iterator[Finding]:
    """Nothing where nbgrader is not installed: `packages` notes that, and learners have no use for it."""
    try:
        version = metadata.version("nbgrader")
    except metadata.PackageNotFoundError:
        yield Finding("nbgrader", GROUP, FINE, "not looked at, since nbgrader is not installed")
        return
    yield Finding("nbgrader", GROUP, FINE, f"nbgrader {version}")
    here = Server(Path(sys.prefix), "the JupyterLab of this environment")
    if here.version_of("jupyterlab"):
        yield from pages(here)
    yield isolation()


def pages(server: Server) -> Iterator[Finding]:
    """The half of nbgrader in the page, and the formgrader of the server."""
    if not any(copies_of(server, "@jupyter/nbgrader")):
        yield Finding(
            "nbgrader-front-end",
            GROUP,
            NOTE,
            "JupyterLab here has no front end of nbgrader, so there is no 'Create Assignment' beside a notebook.",
            "Install nbgrader again into the environment of JupyterLab:",
            reinstall(),
        )
    on, file = enabled(server, FORMGRADER)
    if on:
        yield Finding("formgrader", GROUP, FINE, "formgrader on")
        return
    sentence = "The formgrader of nbgrader is not switched on in the Jupyter server here"
    if file is not None and file.parent.name != _PARTS:
        yield Finding(
            "formgrader",
            GROUP,
            NOTE,
            f"{sentence}: {shown(file)} says so.",
            f"Take {FORMGRADER} out of jpserver_extensions in that file, then start JupyterLab again.",
        )
        return
    if file is None:
        yield Finding(
            "formgrader",
            GROUP,
            NOTE,
            f"{sentence}: its settings are missing.",
            "Install nbgrader again into the environment of JupyterLab, then start it again:",
            reinstall(),
        )
        return
    # The command switches on only what is listed in the folder of settings that it writes to.
    own = server.prefix in file.parents
    yield Finding(
        "formgrader",
        GROUP,
        NOTE,
        f"{sentence}: {shown(file)} says so.",
        "Switch it on, then start JupyterLab again:",
        inside(
            *(sys.executable, "-m", "jupyter_server.extension.serverextension", "enable"),
            *("--sys-prefix" if own else "--user", FORMGRADER),
        ),
    )


def reinstall() -> str:
    """The line that brings what belongs to nbgrader outside its package."""
    return inside(sys.executable, "-m", "pip", "install", "--force-reinstall", "--no-deps", "nbgrader")


def enabled(server: Server, extension: str) -> tuple[bool, Optional[Path]]:
    """Whether the server's settings switch an extension on, and the file that decides it.

    As jupyter_server does it (`find_server_extensions`): what `jupyter_server_config.json` says counts; where it says
    nothing, what the files in the folder `.d` beside it say. Of both, the strongest folder of settings first.
    """
    for parts in (False, True):
        for folder in server.config_paths:
            files = sorted((folder / _PARTS).glob("*.json"), reverse=True) if parts else [folder / _WHOLE]
            for file in files:
                try:
                    told = json.loads(file.read_text(encoding="utf-8"))["ServerApp"]["jpserver_extensions"]
                    return bool(told[extension]), file
                except (OSError, ValueError, KeyError, TypeError):
                    continue
    return False, None


def isolation() -> Finding:
    """Whether what learners wrote can be run apart from everything."""
    command = [sys.executable, "-c", _ISOLATION]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, errors="replace"
        )
    except subprocess.TimeoutExpired:
        # Most of that is the import, slow on a disk that is asked for the first time: it tells nothing of grading.
        return Finding(
            "isolation-unseen",
            GROUP,
            NOTE,
            f"Whether submissions can be kept apart here was not found out within {_SECONDS:g} seconds; "
            "biollm grade looks for itself and says so where they cannot.",
            "Run biollm doctor again: what took its time to load the first time is faster then.",
        )
    verdict, _, rest = done.stdout.strip().partition(" ")
    if verdict == "can":
        return Finding("isolation", GROUP, FINE, f"notebooks kept apart by {rest}")
    if verdict == "cannot":
        reasons = re.search(r"\((.*?)\): ", rest)  # of its sentence, the part that is about this computer
        return _apart(reasons[1] if reasons else rest)
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return _apart(last[:200])


def _apart(because: str) -> Finding:
    return Finding(
        "isolation",
        GROUP,
        NOTE,
        f"Submissions cannot be kept apart here ({because}), so biollm grade refuses.",
        "Grade on a Linux machine that allows user namespaces, install bubblewrap (bwrap) there, or name a container "
        "in BIOLLM_IMAGE.",
    )
