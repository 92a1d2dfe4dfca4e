"""Programs that keep a kernel apart where a process may not do so itself: bubblewrap, and Apptainer on a cluster.

Both execute Python anew for each submission, so each imports torch anew: slower than namespaces, and as safe.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from biollm_widgets.grading import sandbox
from biollm_widgets.grading.limits import Limits

PROGRAMS = {"bubblewrap": "bwrap", "apptainer": "apptainer"}
IMAGE = "BIOLLM_IMAGE"  # the environment variable that names the container's file
WORK = "/run/work"
_CODE = (
    "from biollm_widgets.grading import sandbox; sandbox.own_mounts(); "
    "from biollm_widgets.grading.cold import main; main()"
)


def argv(isolation: str, asked: dict[str, Any], limits: Limits) -> list[str]:
    """The command that starts a kernel apart.

    Parameters
    ----------
    asked : dict
        "work", "sockets": folders; "hidden": folders not to be seen; "keep", "recall": as for `sandbox.enter`.
    """
    return _bubblewrap(asked, limits) if isolation == "bubblewrap" else _apptainer(asked, limits)


def _variables(asked: dict[str, Any]) -> dict[str, str]:
    made = sandbox.environment()
    if asked["keep"] or asked["recall"]:
        made |= sandbox.recall_variables(asked, sandbox.RECALL)
    return made


def _places(asked: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Outside, inside, and whether it may be written to."""
    places = [(asked["work"], WORK, False), (asked["sockets"], sandbox.SOCKETS, True)]
    if asked["recall"] or asked["keep"]:
        places.append((asked["recall"] or asked["keep"], sandbox.RECALL, not asked["recall"]))
    return places


def _bubblewrap(asked: dict[str, Any], limits: Limits) -> list[str]:
    made = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    made += ["--uid", str(sandbox.LEARNER), "--gid", str(sandbox.LEARNER), "--hostname", "grading", "--cap-drop", "ALL"]
    # Mapped, /dev/zero is memory that outlives what it is charged to; bound as a file it cannot be opened.
    made += ["--proc", "/proc", "--dev", "/dev", "--ro-bind", "/dev/null", "/dev/zero"]
    for folder in ("/tmp", sandbox.HOME, "/dev/shm"):  # before what is shown: Python may lie in one of them
        made += ["--size", str(limits.disk), "--tmpfs", folder]
    for place in sandbox.seen():
        made += ["--symlink", os.readlink(place), place] if os.path.islink(place) else ["--ro-bind", place, place]
    for place, real in sandbox.links().items():
        made += ["--symlink", real, place]
    for name in sandbox.ETC:
        made += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in ("sys", "sysrq-trigger", "irq", "bus"):  # where root grades, the user inside is root to them
        made += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    for outside, inside, writes in _places(asked):
        made += ["--bind" if writes else "--ro-bind", outside, inside]
    for place in sandbox.to_hide(asked["hidden"]):
        if Path(place).is_dir():
            made += ["--tmpfs", place]
    variables = _variables(asked)
    if package := sandbox.checkout():
        variables["PYTHONPATH"] = str(package)
    for name, value in variables.items():
        made += ["--setenv", name, value]
    return [*made, "--chdir", sandbox.HOME, "--", sys.executable, "-c", _CODE, *_numbers(limits)]


def _apptainer(asked: dict[str, Any], limits: Limits) -> list[str]:
    made = ["apptainer", "exec", "--containall", "--cleanenv", "--no-home", "--net", "--network", "none"]
    made += ["--no-privs", "--home", sandbox.HOME]
    package = str(Path(sandbox.__file__).parents[2])
    binds = [f"{package}:{package}:ro"]
    binds += [f"{outside}:{inside}{'' if writes else ':ro'}" for outside, inside, writes in _places(asked)]
    for one in binds:
        made += ["--bind", one]
    variables = {**_variables(asked), "PYTHONPATH": package}
    for name, value in variables.items():
        if name != "PATH":  # that of the image knows where its Python is
            made += ["--env", f"{name}={value}"]
    return [*made, os.environ.get(IMAGE, ""), "python3", "-c", _CODE, *_numbers(limits)]


def _numbers(limits: Limits) -> list[str]:
    return [str(value) for value in (limits.cell, limits.call, limits.whole, limits.memory, limits.disk,
                                     limits.processes, limits.output)]  # fmt: skip


def why_not(isolation: str) -> str:
    """Why a program cannot keep a kernel apart here, as the end of a sentence; empty when it can."""
    program = PROGRAMS[isolation]
    if shutil.which(program) is None:
        return f"{program} is not installed"
    if isolation == "apptainer":
        image = os.environ.get(IMAGE, "")
        if not Path(image).is_file():
            return f"{IMAGE} names no container's file"
        command = ["apptainer", "exec", "--containall", "--net", "--network", "none", image, "true"]
    else:
        command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=120, text=True)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"{program} does not start ({problem})"
    said = " ".join(done.stderr.split())[-160:]
    return f"{program} says: {said}" if done.returncode else ""
