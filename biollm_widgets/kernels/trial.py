"""Whether a kernel works: start it where nobody else can reach it, run a cell, and end it."""

from __future__ import annotations

import ast
import json
import logging
import os
import queue
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.kernels import container
from biollm_widgets.kernels.own import private_kernel

# What the lessons import, by the name that pip knows; biollm-widgets may also be a checkout on the path.
PACKAGES = {
    "torch": "torch",
    "transformers": "transformers",
    "ipykernel": "ipykernel",
    "anywidget": "anywidget",
    "biollm-widgets": "biollm_widgets",
}

# The cell. It gets its names from a function, so that even a kernel with a startup file of its own keeps them apart.
_LOOK = """
def _biollm_look(packages):
    import importlib.metadata, importlib.util, json, os, platform, sys
    found = {"python": platform.python_version(), "executable": sys.executable, "prefix": sys.prefix,
             "hf_home": os.environ.get("HF_HOME", ""),
             "image": os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER") or "",
             "packages": {}, "gpu": "", "torch_problem": ""}
    for name, module in packages.items():
        try:
            found["packages"][name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            there = importlib.util.find_spec(module) is not None
            found["packages"][name] = "a checkout" if there else ""
    if found["packages"].get("torch"):
        try:
            import torch
            if torch.cuda.is_available():
                found["gpu"] = torch.cuda.get_device_name(0)
        except Exception as error:
            found["torch_problem"] = f"{type(error).__name__}: {error}"[:300]
    return json.dumps(found)
"""
_LAST = 6  # lines of what a kernel said before it ended


@dataclass
class Trial:
    """What came of one start.

    Attributes
    ----------
    works : bool
        Whether it started and ran a cell.
    seconds : float
        From the start until the kernel answered.
    problem : str
        What went wrong, as a clause; empty when it works.
    said : list of str
        The last lines that the kernel wrote to stderr.
    found : dict
        What the cell found: "python", "executable", "packages" (name to version, "" where not installed), "gpu",
        "hf_home", "image" (the container's file). Empty when it does not work, or was not asked.
    """

    works: bool
    seconds: float = 0.0
    problem: str = ""
    said: list[str] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """The problem and what the kernel said last, in one clause."""
        return self.problem + (f"; it said last: {self.said[-1]}" if self.said else "")


def needs_jupyter_client() -> None:
    """Raise InputError where jupyter_client is not installed: the widgets alone do not bring it."""
    try:
        import jupyter_client  # noqa: F401
    except ImportError:
        raise InputError(
            "Kernels need jupyter_client and ipykernel, which are not installed here; install them with: "
            "pip install jupyter_client ipykernel"
        ) from None


def spec_of(name: str) -> Optional[Any]:
    """The KernelSpec that Jupyter finds under a name (capitals do not count); None where there is none.

    Raises
    ------
    InputError
        When its kernel.json is there and cannot be read.
    """
    needs_jupyter_client()
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager = KernelSpecManager()
    try:
        return manager.get_kernel_spec(name)
    except NoSuchKernel:
        return None
    except Exception as error:
        # Not JSON, not a dictionary, no rights: jupyter_client hands on whatever happened.
        said = " ".join(str(error).split())[:150]
        where = manager._find_spec_directory(name.lower())
        raise BrokenSpec(f"its kernel.json cannot be read ({said})", Path(str(where))) from None


class BrokenSpec(InputError):
    """A kernel.json that cannot be read; `folder` is where it lies."""

    def __init__(self, why: str, folder: Path) -> None:
        super().__init__(why)
        self.folder = folder


def names() -> list[str]:
    """The names of all kernels that Jupyter finds."""
    needs_jupyter_client()
    from jupyter_client.kernelspec import KernelSpecManager

    return sorted(KernelSpecManager().find_kernel_specs())


def cannot_start(name: str) -> str:
    """Why the kernel of this name cannot be started, as a clause; "" where its kernel.json does not show that.

    Nothing is started. Inside a container the program is not looked for: the server may run outside, where others are.
    """
    try:
        spec = spec_of(name)
    except BrokenSpec as problem:
        return str(problem)
    if spec is None or container.image() or "kernel_provisioner" in spec.metadata:  # or on another computer
        return ""
    program = str(spec.argv[0]).replace("{resource_dir}", spec.resource_dir) if spec.argv else ""
    if re.fullmatch(r"python(3(\.\d+)?)?", program):  # Jupyter takes the server's own Python for these
        return ""
    path = spec.env.get("PATH")
    if shutil.which(program, path=os.path.expandvars(path) if path else None):
        return ""
    return f"its program {program} is not there" if program else "its kernel.json names no program"


def trial(spec: Any, timeout: float = 120, look: bool = True) -> Trial:
    """Start the kernel of a KernelSpec, run a cell in it, end it.

    Parameters
    ----------
    spec
        A KernelSpec of jupyter_client, with its `resource_dir`.
    timeout
        Seconds after which it is given up.
    look
        Whether the cell looks for packages and a GPU, which imports torch; else it adds two numbers.
    """
    needs_jupyter_client()
    from jupyter_client.manager import KernelManager

    # A container sees /tmp, but not always what TMPDIR names; and a socket's path has to be short.
    shared = "/tmp" if os.access("/tmp", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="bio-", dir=shared, ignore_cleanup_errors=True) as place:
        manager = private_kernel(KernelManager(connection_file=f"{place}/kernel.json"), spec, place)
        log = Path(place) / "said"
        start = time.monotonic()
        quiet = logging.getLogger("traitlets")
        level = quiet.level
        quiet.setLevel(logging.CRITICAL)  # jupyter_client logs what the sentence here says
        try:
            with log.open("wb") as stream:
                # Python imports from the folder it runs in. In the one that this was called from there may be a
                # checkout, or a torch.py, that no notebook would see.
                manager.start_kernel(stdout=subprocess.DEVNULL, stderr=stream, stdin=subprocess.DEVNULL, cwd=place)
        except Exception as error:
            return Trial(False, problem=f"it cannot be started ({' '.join(str(error).split())[:200]})")
        finally:
            quiet.setLevel(level)
        try:
            result = _ask(manager, start, timeout, look)
        finally:
            manager.shutdown_kernel(now=True)
        if not result.works:
            result.said = _last_lines(log)
        return result


def _ask(manager: Any, start: float, timeout: float, look: bool) -> Trial:
    client = manager.client()
    client.start_channels()
    try:
        try:
            client.wait_for_ready(timeout=timeout)
        except RuntimeError:
            if not manager.is_alive():
                return Trial(False, problem="it ended before it was ready")
            return Trial(False, problem=f"it did not answer within {timeout:.0f} s")
        seconds = time.monotonic() - start
        code = _LOOK if look else ""
        wanted = f"_biollm_look({PACKAGES!r})" if look else "str(1 + 1)"
        request = client.execute(code, store_history=False, user_expressions={"found": wanted})
        while True:
            left = timeout - (time.monotonic() - start)
            if left <= 0:
                return Trial(False, seconds, f"it started, but a cell took longer than {timeout:.0f} s in all")
            try:
                # The answer to the request itself, not an output: an output can be sent before anyone listens.
                reply = client.get_shell_msg(timeout=min(1.0, left))
            except queue.Empty:
                if not manager.is_alive():
                    return Trial(False, seconds, "it started and ended while it ran a cell")
                continue
            if reply["parent_header"].get("msg_id") == request:
                break
        answer = reply["content"].get("user_expressions", {}).get("found", {})
        if answer.get("status") != "ok":
            problem = answer or reply["content"]
            said = f"{problem.get('ename', 'error')}: {problem.get('evalue', '')}"[:200]
            return Trial(False, seconds, f"it started, but a cell ended with {said}")
        text = ast.literal_eval(answer["data"]["text/plain"])
        return Trial(True, seconds, found=json.loads(text) if look else {})
    finally:
        client.stop_channels()


def _last_lines(log: Path) -> list[str]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.strip()[:300] for line in lines if line.strip()][-_LAST:]
