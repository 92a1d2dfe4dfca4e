"""The kernel that the lessons ask for by name: whether there is one of that name, and what it would start."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from biollm_widgets.diagnosis import packages
from biollm_widgets.diagnosis.findings import BROKEN, FINE, NOTE, Finding, shown, terminal

GROUP = "kernel"
NAME = "Day4-pt-251"


def look() -> Iterator[Finding]:
    """Look for the spec; nothing is started."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager
    except ImportError:
        yield Finding(
            "lesson-kernel",
            GROUP,
            NOTE,
            "This Python cannot run notebooks itself: jupyter_client and ipykernel are not installed.",
            "Only if its notebooks are to run here, install them:",
            packages.pip("ipykernel"),
        )
        return
    # Names of kernels are in lower case there, whatever their folders are called.
    found = KernelSpecManager().find_kernel_specs()
    folder = next((place for name, place in found.items() if name.lower() == NAME.lower()), None)
    if folder is None:
        yield Finding(
            "lesson-kernel",
            GROUP,
            NOTE,
            f"There is no kernel named {NAME}, which the lessons ask for: JupyterLab will ask you to choose one.",
            "Choose any Python that has this package, or make the kernel once:",
            terminal("biollm", "kernel", "install"),
        )
        return
    yield about(Path(folder))


def about(folder: Path) -> Finding:
    """Whether what a spec names is there: its program and, for Apptainer, the image."""
    import json
    import os
    import re

    try:
        argv = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))["argv"]
        words = [str(word) for word in argv]
        program = words[0]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return _broken(f"The kernel {NAME} in {shown(folder)} has a kernel.json that cannot be read.")
    words = [os.path.expandvars(word) for word in words]
    if shutil.which(words[0]) is None:
        return _broken(f"The kernel {NAME} in {shown(folder)} starts {program}, which is not here.")
    for word, written in zip(words[1:], argv[1:], strict=True):
        if word.endswith(".sif") and not Path(word).is_file():
            unset = re.search(r"\$\{?(\w+)", word)
            why = f"{unset[1]} is not set" if unset else "it is not there"
            return _broken(f"The kernel {NAME} runs the container {written}, and {why}.")
    return Finding("lesson-kernel", GROUP, FINE, f"{NAME} in {shown(folder)}")


def _broken(sentence: str) -> Finding:
    return Finding(
        "lesson-kernel",
        GROUP,
        BROKEN,
        sentence,
        "Look at what it would start, and make it anew:",
        terminal("biollm", "kernel", "install"),
    )
