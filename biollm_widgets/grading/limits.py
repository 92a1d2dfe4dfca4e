"""How much a submission may use while it runs."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Attributes
    ----------
    cell, call, whole : float
        Seconds: for a cell, for one call of a learner's function by a check, for the whole notebook.
    memory, disk : int
        Bytes: of all its processes beyond what a kernel has from the start; of files that it writes.
    processes : int
        At once.
    output : int
        Bytes of text and pictures that one cell may show; what is beyond is cut.
    """

    cell: float = 180
    call: float = 60
    whole: float = 900
    memory: int = 4 * GIB
    disk: int = GIB
    processes: int = 128
    output: int = 2 * 2**20


# Exit statuses of the first process in a sandbox, for what it ended a kernel for.
TOO_MANY, TOO_LARGE, NO_SANDBOX = 97, 98, 99
