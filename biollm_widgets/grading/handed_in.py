"""The files that somebody handed in: what there is, its fingerprint, its bytes; no link is followed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LARGEST = 100 * 2**20  # bytes of a notebook that is read
MOST_FILES = 5_000  # that are looked at
STAMP = "timestamp.txt"  # nbgrader's, with when it was handed in
_DEEPEST = 8  # folders inside each other


def fingerprint(folder: Path) -> str:
    """SHA-256 over the names and bytes of everything in a folder; links and devices count by what they are."""
    made = hashlib.sha256()
    for number, entry in enumerate(walk(Path(folder))):
        name = os.fsencode(str(entry.path.relative_to(folder)))
        made.update(len(name).to_bytes(8, "big") + name + entry.kind.encode() + entry.size.to_bytes(8, "big"))
        if number >= MOST_FILES:
            break
        if entry.kind == "link":
            made.update(os.fsencode(entry.path.readlink()))
        elif entry.kind == "file":
            with opened(entry.path) as file:
                left = 2 * LARGEST  # further bytes count by their number
                while left > 0 and (piece := file.read(2**20)):
                    made.update(piece)
                    left -= len(piece)
    return made.hexdigest()


@dataclass(frozen=True)
class Entry:
    """Something in a folder that is no folder."""

    path: Path
    kind: str  # "file", "link" or "other"
    size: int
    when: float


def walk(folder: Path) -> Iterator[Entry]:
    """All that is in a folder, sorted; no link is followed."""
    if folder.is_symlink() or not folder.is_dir():
        return
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        inner = []
        with os.scandir(place) as found:
            entries = sorted(found, key=lambda one: one.name)
        for one in entries:
            about = one.stat(follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode):
                if depth < _DEEPEST:
                    inner.append((Path(one.path), depth + 1))
                continue
            kind = "file" if stat.S_ISREG(about.st_mode) else "link" if stat.S_ISLNK(about.st_mode) else "other"
            yield Entry(Path(one.path), kind, about.st_size if kind == "file" else 0, about.st_mtime)
        waiting += reversed(inner)


def opened(path: Path) -> BinaryIO:
    """A plain file, opened; not what a link was put in its place for since it was found."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path} is no plain file.")
    return os.fdopen(handle, "rb")


def content(path: Path) -> bytes:
    """A file's bytes, one more than `LARGEST` at most."""
    with opened(path) as file:
        return file.read(LARGEST + 1)


def unseen(path: Path, folder: Path) -> bool:
    """Whether a file is none that a learner handed in on purpose."""
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") or part in ("__MACOSX", "__pycache__") for part in parts) or path.suffix == ".pyc"


def shown(name: str) -> str:
    """A name that somebody else gave, safe to print: on one line, without what moves a terminal's cursor."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in name)
    return clean if len(clean) <= 70 else f"{clean[:45]}…{clean[-20:]}"
