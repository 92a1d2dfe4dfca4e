"""What an instructor's machine needs: nbgrader, its pages on the server, and a way to keep submissions apart."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from biollm_widgets.diagnosis.findings import FINE, NOTE, Finding, terminal
from biollm_widgets.diagnosis.front_end import copies_of
from biollm_widgets.diagnosis.servers import Server

GROUP = "grading"
FORMGRADER = "nbgrader.server_extensions.formgrader"
_SECONDS = 3.5
# In a process of its own: it forks, and a notebook's process has threads.
_ISOLATION = """
from biollm_widgets.errors import InputError
from biollm_widgets.grading.grade import choose_isolation
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
            terminal(sys.executable, "-m", "pip", "install", "--force-reinstall", "--no-deps", "nbgrader"),
        )
    if not enabled(server, FORMGRADER):
        yield Finding(
            "formgrader",
            GROUP,
            NOTE,
            "The formgrader of nbgrader is not switched on in the Jupyter server here.",
            "Switch it on, then start JupyterLab again:",
            terminal(sys.executable, "-m", "jupyter", "server", "extension", "enable", "--user", FORMGRADER),
        )
    else:
        yield Finding("formgrader", GROUP, FINE, "formgrader on")


def enabled(server: Server, extension: str) -> bool:
    """Whether the server's settings switch an extension on: `jupyter_server_config.json`, and the folder `.d` of it."""
    state = False
    for folder in reversed(server.config_paths):  # the strongest last
        parts = sorted((folder / "jupyter_server_config.d").glob("*.json"))
        for file in [*parts, folder / "jupyter_server_config.json"]:
            try:
                told = json.loads(file.read_text(encoding="utf-8"))["ServerApp"]["jpserver_extensions"]
                state = bool(told.get(extension, state))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
    return state


def isolation() -> Finding:
    """Whether what learners wrote can be run apart from everything."""
    command = [sys.executable, "-c", _ISOLATION]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return _apart(f"no answer within {_SECONDS:g} seconds")
    verdict, _, rest = done.stdout.strip().partition(" ")
    if verdict == "can":
        return Finding("isolation", GROUP, FINE, f"notebooks kept apart by {rest}")
    if verdict == "cannot":
        return _apart(rest.partition("(")[2].partition(")")[0] or rest)
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return _apart(last[:200])


def _apart(because: str) -> Finding:
    return Finding(
        "isolation",
        GROUP,
        NOTE,
        f"Submissions cannot be kept apart here ({because}), so biollm grade refuses.",
        "Grade on a Linux machine that allows user namespaces, install bubblewrap (bwrap) there, or name a container "
        "in BIOLLM_APPTAINER_IMAGE.",
    )
