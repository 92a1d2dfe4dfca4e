"""Each way of a benchmark in a process of its own: its peak of memory is its own, and nothing is warm from before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run_child(module: str, what: str, arguments: Sequence[str]) -> Any:
    """Run a module of this folder with these arguments and read the JSON in its last line.

    Raises
    ------
    SystemExit
        Naming `what`, when it does not end well.
    """
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[1],
    )
    if child.returncode:
        sys.exit(f"The process for {what!r} ended with {child.returncode}.")
    return json.loads(child.stdout.splitlines()[-1])
