"""Put the kernel of the course into the user's Jupyter folder: tried first, and never over one that works.

On Vista the command itself runs in the container, from where no kernel in a container can be started. There one that
is there is kept, and a new one is written as it is; both are told.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.kernels import vista
from biollm_widgets.kernels.own import OWN_ARGV
from biollm_widgets.kernels.trial import BrokenSpec, needs_jupyter_client, spec_of, trial

NAME = "Day4-pt-251"
_NAME = re.compile(r"[A-Za-z0-9._-]+")  # what jupyter_client takes


@dataclass
class Installed:
    """What was done.

    Attributes
    ----------
    name, folder : str
        The kernel, and where its kernel.json lies.
    kind : {"kept", "container", "python"}
        "kept" when one that works, or that cannot be tried from here, was there already.
    seconds : float
        How long it took to start; 0 when it was not tried.
    old : str
        Where a kernel that did not work was put; empty when there was none.
    tried : bool
        Whether it was started; not where it starts a container and this runs inside one.
    """

    name: str
    folder: str
    kind: str
    seconds: float
    old: str = ""
    tried: bool = True


def install(name: str = NAME, image: Optional[Path] = None, replace: bool = False, timeout: float = 120) -> Installed:
    """Install the kernel: on Vista, or where an image is named, TACC's container; elsewhere this Python.

    Parameters
    ----------
    name
        What Jupyter calls it and shows.
    image
        An Apptainer image. None is TACC's, in $SCRATCH, on Vista, and no container elsewhere.
    replace
        Whether a kernel of this name that does not work may be put aside. One that works, or that cannot be tried
        from inside a container, is kept in any case.
    timeout
        Seconds that a kernel may take to start.

    Raises
    ------
    InputError
        When the name is not one for a kernel, one is there and does not work (without `replace`), what the kernel
        needs is missing, it does not start, or the folder cannot be written.
    """
    if not _NAME.fullmatch(name) or not name.strip("."):
        raise InputError(f"{name!r} is no name for a kernel; use letters, digits, dots, - and _.")
    needs_jupyter_client()
    from jupyter_core.paths import jupyter_data_dir

    there, why, seconds, tried = _there(name, timeout)
    if there is not None and not why:
        return Installed(name, str(there), "kept", seconds, tried=tried)
    if there is not None and not replace:
        raise InputError(
            f"The kernel {name} in {there} does not work: {why}. Mend that, or put a new one in its place with: "
            f"biollm kernel install --name {name} --replace"
        )
    container = image is not None or vista.on_vista()
    if container:
        vista.container_image(image)
    elif importlib.util.find_spec("ipykernel") is None:
        raise InputError(f"This Python ({sys.executable}) has no ipykernel; install it with: pip install ipykernel")
    data = Path(jupyter_data_dir())
    target = data / "kernels" / name
    with _written(data, name, image, container) as new:
        tried = not vista.cannot_be_tried(_argv(container))
        seconds = _tried(new, name, timeout) if tried else 0.0
        old = _put_aside(there, data) if there is not None else None
        if target.exists():  # a folder without a kernel.json, which is no kernel to Jupyter
            old = _put_aside(target, data)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            new.rename(target)
        except OSError as problem:
            if old is not None and there is not None:
                old.rename(there)
            raise _cannot_write(target, problem) from problem
    return Installed(name, str(target), "container" if container else "python", seconds, str(old or ""), tried)


def _there(name: str, timeout: float) -> tuple[Optional[Path], str, float, bool]:
    """The kernel of this name: its folder, why it does not work ("" if it does), seconds, whether it was tried."""
    try:
        spec = spec_of(name)
    except BrokenSpec as problem:
        return problem.folder, str(problem), 0.0, True
    if spec is None:
        return None, "", 0.0, True
    if vista.cannot_be_tried(spec.argv):
        return Path(spec.resource_dir), "", 0.0, False
    result = trial(spec, timeout, look=False)
    return Path(spec.resource_dir), "" if result.works else result.why, result.seconds, True


def _argv(container: bool) -> list[str]:
    return vista.kernel_argv() if container else OWN_ARGV


def _tried(folder: Path, name: str, timeout: float) -> float:
    from jupyter_client.kernelspec import KernelSpec

    result = trial(KernelSpec.from_resource_dir(str(folder)), timeout, look=False)
    if not result.works:
        raise InputError(f"The kernel {name} was not installed, for it does not work here: {result.why}")
    return result.seconds


@contextlib.contextmanager
def _written(data: Path, name: str, image: Optional[Path], container: bool) -> Iterator[Path]:
    """The new kernel in a folder beside its place, where Jupyter does not look; gone afterwards unless moved."""
    spec: dict[str, Any] = {
        "argv": _argv(container),
        "display_name": name,
        "language": "python",
        "metadata": {"debugger": True},
    }
    try:
        data.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".kernel-", dir=data))
    except OSError as problem:
        raise _cannot_write(data, problem) from problem
    try:
        try:
            if container:
                (new / vista.SCRIPT).write_text(vista.start_script(name, image), encoding="utf-8")
                (new / vista.SCRIPT).chmod(0o755)
            (new / "kernel.json").write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
            new.chmod(0o755)
        except OSError as problem:
            raise _cannot_write(data, problem) from problem
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _put_aside(folder: Path, data: Path) -> Path:
    """Move a kernel out of Jupyter's sight, into `kernels_old` of the user's Jupyter folder."""
    number = 1
    while os.path.lexists(kept := data / "kernels_old" / f"{folder.name}-{number}"):
        number += 1
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, kept)
    except (OSError, shutil.Error) as problem:
        raise InputError(
            f"The old kernel in {folder} cannot be moved ({_reason(problem)}); ask whoever may, or take another name: "
            "biollm kernel install --name NAME"
        ) from problem
    return kept


def _cannot_write(place: Path, problem: OSError) -> InputError:
    return InputError(
        f"Cannot write the kernel into {place} ({_reason(problem)}); make room or rights there, or set "
        "JUPYTER_DATA_DIR to a folder you may write to."
    )


def _reason(problem: BaseException) -> str:
    return str(getattr(problem, "strerror", None) or problem)
