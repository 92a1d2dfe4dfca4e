"""A shell in which a fault is, and what a room of the doctor finds there, before and after its own remedy is typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_CODE = """
import json, sys
from importlib import import_module
room = import_module("biollm_widgets.diagnosis." + sys.argv[1])
print(json.dumps([one.as_dict() for one in room.look()]))
"""


def surroundings(home: Path, **more: Any) -> dict[str, str]:
    """Environment variables in which nothing of the person who runs the tests is found."""
    names = ("JUPYTER", "IPYTHON", "HF_", "HUGGING", "SCRATCH", "TACC", "BIOLLM", "TRANSFORMERS", "XDG", "MPL", "OMP")
    names += ("APPTAINER", "SINGULARITY")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(names) and not name.lower().endswith("_proxy") and not name.startswith("CONDA")
    }
    bin_folder = home / "bin"
    bin_folder.mkdir(parents=True, exist_ok=True)
    biollm = bin_folder / "biollm"
    biollm.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m biollm_widgets.cli "$@"\n')
    biollm.chmod(0o755)
    made = kept | {
        "HOME": str(home),
        "PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}",
        "LC_ALL": "C.UTF-8",
    }
    return made | {name: str(value) for name, value in more.items()}


def look(
    room: str,
    environ: dict[str, str],
    *typed: str,
    wrapped_in: tuple[str, ...] = (),
    first: str = ":",
    python: Any = sys.executable,
) -> dict[str, dict[str, Any]]:
    """What a room finds after the lines `typed` into the same shell, by id; `first` prepares the place."""
    lines = [first, *typed]
    script = "\n".join(f"{line} || exit 90" for line in lines) + '\nexec "$0" "$@"'
    done = subprocess.run(
        [*wrapped_in, "bash", "-c", script, str(python), "-c", _CODE, room],
        env=environ,
        cwd=environ["HOME"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {one["id"]: one for one in json.loads(done.stdout.splitlines()[-1])}


def shell(command: str, environ: dict[str, str]) -> None:
    """Type a line into a shell; it has to work."""
    done = subprocess.run(["bash", "-c", command], env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
