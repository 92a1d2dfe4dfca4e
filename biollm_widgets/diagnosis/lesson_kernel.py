"""The kernel that the lessons ask for by name: whether there is one of that name, and what it would start."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from biollm_widgets.diagnosis import packages
from biollm_widgets.diagnosis.findings import BROKEN, FINE, NOTE, Finding, biollm, shown
from biollm_widgets.kernels import container, vista

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
            biollm("kernel", "install"),
        )
        return
    yield about(Path(folder))


def about(folder: Path) -> Finding:
    """Whether what a spec names is there: its program and, for Apptainer, the image."""
    try:
        argv = [str(word) for word in json.loads((folder / "kernel.json").read_text(encoding="utf-8"))["argv"]]
        program = argv[0]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return _broken(f"The kernel {NAME} in {shown(folder)} has a kernel.json that cannot be read.")
    words = [os.path.expandvars(word.replace("{resource_dir}", str(folder))) for word in argv]
    if shutil.which(words[0]) is None:
        if container.image():  # the server, which starts it, has another PATH and other disks
            return _unseen(f"The kernel {NAME} in {shown(folder)} starts {program}, which")
        return _broken(f"The kernel {NAME} in {shown(folder)} starts {program}, which is not here.")
    images = []
    for written, word in zip(argv[1:], words[1:], strict=True):
        if word == str(folder / vista.SCRIPT):  # the kernel of `biollm kernel install`
            try:
                images.append(vista.image_of(Path(word).read_text(encoding="utf-8")))
            except (OSError, ValueError):
                return _broken(f"The kernel {NAME} starts {shown(word)}, which cannot be read.")
            if not os.environ.get("SCRATCH"):
                return _broken(f"The kernel {NAME} runs the container {images[-1][0]}, and SCRATCH is not set.")
        elif word.endswith(".sif"):
            images.append((written, word))
            if not Path(word).is_file() and (unset := re.search(r"\$\{?(\w+)", word)):
                return _broken(f"The kernel {NAME} runs the container {written}, and {unset[1]} is not set.")
    for written, image in images:
        if not image or Path(image).is_file():
            continue
        if container.image():
            return _unseen(f"The kernel {NAME} runs the container {written}, which")
        return _broken(f"The kernel {NAME} runs the container {written}, and it is not there.")
    return Finding("lesson-kernel", GROUP, FINE, f"{NAME} in {shown(folder)}")


def _unseen(which: str) -> Finding:
    return Finding(
        "lesson-kernel",
        GROUP,
        NOTE,
        f"{which} cannot be seen from inside the container that biollm runs in.",
        "Open a notebook with it: if it starts, nothing is to be done. If not, look for that file outside of the "
        "container.",
    )


def _broken(sentence: str) -> Finding:
    return Finding(
        "lesson-kernel",
        GROUP,
        BROKEN,
        sentence,
        "Look at what it would start, and make it anew (the old one is kept beside it):",
        biollm("kernel", "install", "--replace"),  # without it, what is there is left as it is
    )
