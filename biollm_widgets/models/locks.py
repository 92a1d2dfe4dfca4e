"""One process at a time: locks on what is being fetched, in the way of the hub's client and compatible with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 2.0  # seconds of silence before it is said that somebody else is fetching


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold the lock at `path` while the block runs; whoever has to wait for it is told, once, what for.

    The hub client's own function does the same, but makes locks in its older versions that another member of the group
    cannot take, and waits without a word. The lock is the system's (flock) and goes with the process that holds it,
    however that ends; on a disk that has no locks it is the file itself, as the client has it.

    Raises
    ------
    OSError
        When the lock cannot be made.
    """
    from filelock import FileLock, SoftFileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, mode=0o664)
    patience, told = PATIENCE, False
    while True:
        try:
            lock.acquire(timeout=patience)
            break
        except Timeout:
            patience = 10.0
            if not told:
                told = True
                gone = f" (or has died: then remove {path})" if isinstance(lock, SoftFileLock) else ""
                print(f"Another process is fetching {what}{gone}; this one waits for it.", file=sys.stderr)
        except NotImplementedError:  # the client's way on disks without flock
            if isinstance(lock, SoftFileLock):
                raise
            lock = SoftFileLock(path, mode=0o664)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.release()
