"""The first process in a container: connects to the grader, becomes the parent of a kernel, and watches it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

from biollm_widgets.grading import sandbox, warm
from biollm_widgets.grading.containers import WORK
from biollm_widgets.grading.limits import Limits

WIRE = "wire"  # in the folder of the sockets: where the grader waits to be connected to


def main() -> None:
    """Start what the limits on the command line are for, and end with it."""
    numbers = [float(word) for word in sys.argv[1:]]
    limits = Limits(*numbers[:3], *(int(number) for number in numbers[3:]))  # type: ignore[arg-type]
    end = socket.socket(socket.AF_UNIX)
    end.connect(f"{sandbox.SOCKETS}/{WIRE}")
    folder = Path(sandbox.HOME) / "lesson"
    shutil.copytree(WORK, folder)
    os.chdir(folder)
    sys.path[:] = [one for one in sys.path if one]
    warm.load()
    ready, is_ready = os.pipe()
    may_go, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            sandbox.restrict(limits)
            from biollm_widgets.grading.inside import kernel

            kernel(f"{sandbox.SOCKETS}/{warm.CONNECTION}", end, is_ready, may_go, str(folder))
        finally:
            os._exit(1)
    end.close()
    os.close(is_ready)
    os.read(ready, 1)
    sandbox.be_untouchable()
    os.write(go, b"!")
    sandbox.watch(pid, limits)
