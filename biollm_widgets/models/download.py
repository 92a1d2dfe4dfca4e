"""Bytes from a server into a file, from where an earlier try broke off; tried again as long as something comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Optional

PAUSES = (1.0, 3.0)  # seconds before trying again when nothing came; after that the download is given up
_CHUNK = 1 << 20

# Opens the source at a byte; gives the byte at which the answer really begins, and what comes.
Opened = Callable[[int], AbstractContextManager[tuple[int, Iterable[bytes]]]]


class Count:
    """What a download did, over all its files.

    Attributes
    ----------
    downloaded, resumed : int
        Bytes that came over the network, and that an earlier, broken download had left.
    copied : int
        Bytes that came from another cache on this computer.
    replaced : list of str
        Files that were there, but damaged.
    """

    def __init__(self) -> None:
        self.downloaded = 0
        self.resumed = 0
        self.copied = 0
        self.replaced: list[str] = []


def receive(
    out: BinaryIO,
    size: Optional[int],
    hasher: Callable[[], Any],
    opened: Opened,
    problems: tuple[type[BaseException], ...],
    failed: Callable[[Optional[BaseException], int, bool], None],
    bar: Any,
    count: Count,
) -> str:
    """Download what `out` lacks and return the hash of the whole.

    Parameters
    ----------
    out
        Open for reading and appending, with what an earlier try left in it.
    size
        Bytes of the whole, None where the server does not tell; then what was left is of no use, and the end is where
        the answer ends.
    hasher
        Makes an empty hash, as those of hashlib.
    opened
        Opens the source at a byte.
    problems
        The exceptions that are the network's; all others, such as those of a full disk, go through.
    failed
        Is called with what went wrong (None: the answer ended too early), the bytes there are and whether it is time
        to give up. It raises what is to be raised, in any case when giving up.
    bar
        A tqdm bar of bytes.
    count
        Is added to.
    """
    out.seek(0)
    hashed = hasher()
    if size is None:
        out.truncate()
    while chunk := out.read(_CHUNK):
        hashed.update(chunk)
    have = out.tell()
    bar.update(have)
    count.resumed += have
    fruitless = 0
    while size is None or have < size:
        before = have
        problem: Optional[BaseException] = None
        try:
            with opened(have) as (start, chunks):
                if start != have:  # a server that cannot begin in the middle: all over again
                    bar.update(-have)
                    out.seek(0)
                    out.truncate()
                    have, hashed = 0, hasher()
                for chunk in chunks:
                    if size is not None:
                        chunk = chunk[: size - have]
                    out.write(chunk)
                    hashed.update(chunk)
                    have += len(chunk)
                    count.downloaded += len(chunk)
                    bar.update(len(chunk))
        except problems as one:
            problem = one
        if have == size or (size is None and problem is None):
            break
        fruitless = 0 if have > before else fruitless + 1
        failed(problem, have, fruitless == len(PAUSES))
        out.flush()
        time.sleep(PAUSES[fruitless])
    return str(hashed.hexdigest())
