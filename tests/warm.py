"""Processes that need not load torch and transformers each for itself.

Loading them takes a processor ten seconds, which is most of what a short run in a process of its own costs. One server
has loaded them and is forked for each process. What comes out is a process like any other: with its own environment,
signals, exit status and output, and its own import of this package.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Optional

import pytest

# One thread: a server that has several cannot be forked safely.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
# Nothing of this package: that each process loads for itself, so what depends on the order of its imports shows.
LOADED = ["torch", "transformers.trainer", "transformers.modeling_utils", "peft", "sklearn.metrics", "pandas"]


class Process:
    """`python` with these words (`-m module ...` or `-c code ...`), or several such, as torchrun starts them.

    Parameters
    ----------
    words
        What would stand after `python` on a command line.
    folder : path
        Where it runs; what it prints goes into files there, whose names begin with a dot.
    count
        So many processes, which are one group of torch.distributed.
    environment
        What is otherwise than here.
    """

    def __init__(self, *words: object, folder: Path, count: int = 1, **environment: str) -> None:
        self.ranks: list[Any] = []
        # The store in which a group meets is ours, as it is torchrun's own when that starts them: there is no port
        # that one finds free and another takes before it is used.
        self.store, group = group_of(count) if count > 1 else (None, [{}])
        with server() as context:
            number = len(list(folder.glob(".*.out")))
            self.logs = [(folder / f".{number + rank}.out", folder / f".{number + rank}.err") for rank in range(count)]
            for paths, place in zip(self.logs, group, strict=True):
                for path in paths:
                    path.touch()
                whole = {**os.environ, **environment, **place}
                arguments = [str(word) for word in words]
                process = context.Process(target=python, args=(arguments, whole, str(folder), *map(str, paths)))
                process.start()
                self.ranks.append(process)

    def poll(self) -> Optional[int]:
        """The exit status of the first that has one, a failure before a success; None while all are at work."""
        ended = [rank.exitcode for rank in self.ranks if rank.exitcode is not None]
        return max(ended, key=abs, default=None)

    def send_signal(self, number: signal.Signals) -> None:
        for rank in self.ranks:
            with suppress(ProcessLookupError):
                os.kill(rank.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """Wait for the end; give what was written to stdout and to stderr."""
        for rank in self.ranks:
            rank.join(timeout)
            if rank.exitcode is None:
                self.kill()
                pytest.fail(f"A process did not end in {timeout} seconds: {self.said()}")
        return self.said()

    def said(self) -> tuple[str, str]:
        out, err = ("".join(path.read_text() for path in paths) for paths in zip(*self.logs, strict=True))
        return out, err

    @property
    def returncode(self) -> Optional[int]:
        return self.poll()


@contextmanager
def server() -> Iterator[Any]:
    """The server, started when it is first needed; within, the environment is what it and its processes get."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LOADED)
        forkserver.ensure_running()
        yield context


def group_of(count: int) -> tuple[Any, list[dict[str, str]]]:
    """A store for so many processes to meet in, and what torchrun would tell each."""
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    told = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    return store, [{**told, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def python(words: list[str], environment: dict[str, str], folder: str, out: str, err: str) -> None:
    """What a forked process does."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    kind, what, *rest = words
    sys.argv = [kind, *rest]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
