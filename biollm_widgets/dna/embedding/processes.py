"""Several processes on one embedding, as `torchrun` or `accelerate launch` start them: one a GPU, or a few on a CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

import numpy as np
import torch
from torch import distributed as dist


class Processes:
    """The processes that share a work, seen from one of them; alone, it is number 0 of 1 and nothing is sent.

    What is sent are small notes and vectors that are already on the CPU, so gloo carries it on every machine.
    """

    def __init__(self, group: Optional[Any] = None) -> None:
        self._group = group
        self.rank = 0 if group is None else dist.get_rank(group)
        self.count = 1 if group is None else dist.get_world_size(group)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def tell(self, note: Any) -> Any:
        """What the first process says, for all. The others' own `note` is not looked at."""
        if self._group is None:
            return note
        notes = [note]
        dist.broadcast_object_list(notes, src=dist.get_global_rank(self._group, 0), group=self._group)
        return notes[0]

    def add(self, array: np.ndarray) -> None:
        """Sum an array over all processes, in place. Rows that only one process filled come out exact."""
        if self._group is not None:
            dist.all_reduce(torch.from_numpy(array), group=self._group)


def launched() -> bool:
    """Whether `torchrun` or `accelerate launch` started this process together with others."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1 and "RANK" in os.environ


@contextmanager
def processes(together: bool) -> Iterator[Processes]:
    """The processes that share this work: all that were launched, if `together` and there are several.

    Opens the line between them unless it is open already, and then closes it.
    """
    if not together or not (launched() or dist.is_initialized()):
        yield Processes()
        return
    opened = not dist.is_initialized()
    if opened:
        dist.init_process_group("gloo")
    group = dist.new_group(backend="gloo")  # the line may have been opened by others for NCCL
    try:
        yield Processes(group)
    finally:
        if opened:
            dist.destroy_process_group()


def own_device() -> torch.device:
    """The GPU of this process, by its number on the machine, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK") or 0) % torch.cuda.device_count())
    return torch.device("cpu")
