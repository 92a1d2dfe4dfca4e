"""OpenMP's threads of the thread that waits, given back to the one that trains."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

MAPS = Path("/proc/self/maps")  # Linux: what is loaded into this process
SOFT = 1  # omp_pause_soft: https://www.openmp.org/spec-html/5.0/openmpsu152.html


def let_go_of_threads() -> None:
    """End the OpenMP worker threads that this thread has kept; they come back when it computes again.

    Each thread that computes keeps workers of its own. Once there are more of them than cores, GNU's OpenMP lets
    workers sleep between two pieces of work instead of looking out for the next, and a training in a second thread was
    20 % slower than in the first, on two cores. Without GNU's OpenMP this does nothing.
    """
    with suppress(OSError):
        loaded = {line.split()[-1] for line in MAPS.read_text().splitlines() if "libgomp" in line}
        for path in loaded:
            with suppress(OSError, AttributeError):  # OpenMP before 5.0 has no such call
                ctypes.CDLL(path).omp_pause_resource_all(SOFT)
