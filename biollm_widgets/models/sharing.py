"""Filling the cache that a class shares: a folder that all may read, whatever the umask of whoever fills it.

Only what this package put there is opened. A folder that holds anything else (a whole HF_HOME has a token in it) is
not taken.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Optional

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.models import cache
from biollm_widgets.models.cache import in_words
from biollm_widgets.models.catalog import find
from biollm_widgets.models.places import DATA, VARIABLE, Shared
from biollm_widgets.models.room import unwritable

README = "README.txt"
_FIRST = "Models and data of a class, for biollm_widgets."
_OURS = {"hub", DATA, README}
_NOBODYS = {".DS_Store", ".snapshot", "lost+found"}  # of the disk or the system; neither opened nor in the way
_READ, _ENTER = 0o444, 0o555  # what all need of a file, and of a folder


def checked(folder: Path) -> Shared:
    """The class's cache in a folder that is new, empty, or was made here before (its README.txt says so).

    Nothing is made yet. A cache of one's own is not taken, as it may hold models that are not for all.

    Raises
    ------
    InputError
        When it holds other things, is no folder, or cannot be read or written.
    """
    folder = folder.expanduser().absolute()
    try:
        found = sorted(entry.name for entry in os.scandir(folder))
    except FileNotFoundError:
        found = []
    except NotADirectoryError:
        raise InputError(f"{folder} is no folder; name a new or an empty one for the class.") from None
    except OSError as problem:
        raise InputError(
            f"{folder} cannot be read ({problem.strerror or problem}); name a folder of your own for the class."
        ) from problem
    names = [name for name in found if name not in _NOBODYS and not name.startswith(".nfs")]
    mine = _OURS if README in names and _made_here(folder / README) else set()
    strange = [name for name in names if name not in mine]
    if strange:
        few = ", ".join(strange[:3]) + (f" and {len(strange) - 3} more" if len(strange) > 3 else "")
        raise InputError(
            f"{folder} holds other things ({few}), and a class's cache is opened for all to read; name a new or an "
            f"empty folder, such as {folder / 'class'}."
        )
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"You may not write in {there}; name a folder of your own for the class.")
    return Shared(folder)


@contextmanager
def readable() -> Iterator[None]:
    """What is written while the block runs can be read by all; of the umask, only what keeps from writing stays."""
    before = os.umask(0o077)
    os.umask(before & ~_ENTER)
    try:
        yield
    finally:
        os.umask(before)


def open_up(shared: Shared) -> list[Path]:
    """Let all read what is in the cache, also what was closed before; gives what could not be opened."""
    closed = []
    for top, folders, files in os.walk(shared.folder):
        if Path(top) == shared.folder:
            folders[:] = [name for name in folders if name in _OURS]
            files = [name for name in files if name in _OURS]
        for path, needed in [(Path(top), _ENTER), *((Path(top, name), _READ) for name in files)]:
            try:
                mode = stat.S_IMODE(path.lstat().st_mode)
                if not path.is_symlink() and mode & needed != needed:
                    path.chmod(mode | needed)
            except OSError:  # of a second instructor's, perhaps
                closed.append(path)
    return closed


def readers(shared: Shared) -> tuple[str, Optional[str]]:
    """Who gets there, by the modes of the folders on the way: "everyone", "the group ..." or "nobody else".

    Returns
    -------
    Who, and a sentence with the remedy where it is not everyone.
    """
    way = [folder for folder in (shared.folder, *shared.folder.parents) if folder.exists()]
    closed = [folder for folder in way if not folder.stat().st_mode & stat.S_IXOTH]
    if not closed or os.name == "nt":
        return "everyone", None
    remedy = f"chmod o+x {' '.join(map(str, reversed(closed)))} lets all through, and shows nothing else in there"
    shut = [folder for folder in closed if not folder.stat().st_mode & stat.S_IXGRP]
    if shut:
        return "nobody else", f"Learners cannot get there yet, as {shut[-1]} is closed to others; {remedy}."
    groups = sorted({_group(folder) for folder in closed})
    who = f"the group {' and '.join(groups)}"
    return who, f"Only {who} can get there, as {closed[-1]} is closed to others; {remedy}."


def describe(shared: Shared, command: Sequence[str], version: str) -> Path:
    """Write the text file that says what the folder is, what it holds and which command made it.

    Raises
    ------
    InputError
        When it cannot be written: the folder is another's, or the disk is full.
    """
    try:
        return _written(shared, command, version)
    except (OSError, InputError) as problem:
        cause = problem if isinstance(problem, OSError) else problem.__cause__
        if not isinstance(cause, OSError):
            raise
        place = shared.place(shared.folder)
        raise unwritable(cause, README, place, state=f"could not be written into {place.words}") from problem


def _written(shared: Shared, command: Sequence[str], version: str) -> Path:
    lines = [
        _FIRST,
        "",
        f"Made with:  biollm {' '.join(command)}",
        f"            on {date.today():%Y-%m-%d}, with biollm-widgets {version}",
        "Mend it or add to it with the same command; what is whole stays.",
        "",
        "It holds:",
        *(f"  {line}" for line in contents(shared) or ["nothing whole yet; the same command goes on"]),
        "",
        "Learners read from it, and need no right to write here:",
        f"  export {VARIABLE}={shared.folder}",
        f"or, in a notebook, in the first cell:  %env {VARIABLE}={shared.folder}",
        "",
        "It is laid out as an HF_HOME: hub/ is a cache of the Hugging Face client. Links in it are relative, so the",
        "whole folder can be moved or copied (with its links: cp -a, rsync -a).",
    ]
    path = shared.folder / README
    with whole_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def contents(shared: Shared) -> list[str]:
    """What the cache holds whole, a line each."""
    lines = []
    for folder in sorted(shared.hub.glob("models--*")):
        name = folder.name.removeprefix("models--").replace("--", "/")
        snapshot = cache.snapshot(name, at=shared.hub)
        if snapshot is not None:
            entry = find(name)
            licence = f", {entry.licence}" if entry is not None and entry.licence else ""
            lines.append(f"{name}, commit {snapshot.name[:12]}, {in_words(cache.size_of(snapshot))}{licence}")
    if shared.data.is_dir():
        shown = (file for file in sorted(shared.data.iterdir()) if not file.name.startswith("."))
        files = (file for file in shown if file.is_file() and file.suffix != ".sha256")
        lines += [f"{DATA}/{file.name}, {in_words(file.stat().st_size)}" for file in files]
    return lines


def _made_here(readme: Path) -> bool:
    try:
        return readme.read_text(encoding="utf-8", errors="replace").startswith(_FIRST)
    except OSError:
        return False


def _group(folder: Path) -> str:
    try:
        return folder.group()
    except (KeyError, NotImplementedError, OSError):
        return str(folder.stat().st_gid)
