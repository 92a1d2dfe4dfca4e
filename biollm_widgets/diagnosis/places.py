"""Folders that have to be written to, variables that name them, and how much room there is."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from biollm_widgets.diagnosis.findings import (
    BROKEN,
    FINE,
    NOTE,
    Finding,
    how_set,
    in_notebook,
    shown,
    terminal,
    unset,
    variable,
)
from biollm_widgets.diagnosis.person import home, user
from biollm_widgets.diagnosis.probing import ask_all
from biollm_widgets.models import cache
from biollm_widgets.models.cache import in_words
from biollm_widgets.models.room import HEADROOM

GROUP = "places"
MOUNTS = Path("/proc/self/mounts")
SCRATCHES = Path("/scratch")
_BLOCK = 65536  # bytes written to find out whether a quota lets anything be written
_NUMBER = re.compile(r"\d+\*?")
_NEARLY = 0.95  # of a quota
_QUOTA_SECONDS = 2.0  # for all programs that are asked for quotas; a file server that is gone answers none of them


def look() -> Iterator[Finding]:
    """Variables, folders, room, quota."""
    yield scratch()
    yield hf_home()
    yield from writable()
    yield from room()
    yield from quota()


def on_tacc() -> bool:
    """Whether this is one of TACC's machines, where `$SCRATCH` is part of how everything is set up."""
    return "TACC_SYSTEM" in os.environ or "TACC_DOMAIN" in os.environ


def scratch_there() -> bool:
    """Whether `$SCRATCH` names a folder."""
    value = os.environ.get("SCRATCH")
    return bool(value) and Path(value or "").is_dir()


def scratch() -> Finding:
    """`$SCRATCH`: large, where the cluster's kernel has its image and its models."""
    value = os.environ.get("SCRATCH")
    if scratch_there():
        return Finding("scratch", GROUP, FINE, f"SCRATCH is {value}")
    if not value and not on_tacc():
        return Finding("scratch", GROUP, FINE, "SCRATCH is not set (only a cluster has it)")
    what = f"names {value}, which is not there" if value else "is not set"
    sentence = f"SCRATCH {what}: paths made of it, as HF_HOME=$SCRATCH/cache, lead to nowhere."
    if not on_tacc():
        remedy = f"Only a cluster has it, so do without; {how_set()}:"
        return Finding("scratch", GROUP, NOTE, sentence, remedy, unset("SCRATCH"))
    likely = _likely_scratch()
    if likely:
        remedy, command = f"Name your folder there; {how_set()}:", variable("SCRATCH", likely)
    else:
        remedy, command = "Log in anew, so that TACC sets it; 'cds' goes there. If it is not set then, ask TACC.", ""
    return Finding("scratch", GROUP, BROKEN, sentence, remedy, command)


def _likely_scratch() -> Optional[str]:
    """The user's folder below /scratch, which TACC lays out as /scratch/<group>/<user>."""
    try:
        places = [SCRATCHES / user(), *sorted(SCRATCHES.glob(f"*/{user()}"))]
    except OSError:
        return None
    return next((str(one) for one in places if one.is_dir()), None)


def hf_home() -> Finding:
    """HF_HOME: a full path, made of variables that are set."""
    value = os.environ.get("HF_HOME")
    good = "$SCRATCH/cache" if scratch_there() else home() / ".cache" / "huggingface"
    if not value:
        if on_tacc() and scratch_there():
            return Finding(
                "hf-home",
                GROUP,
                NOTE,
                f"HF_HOME is not set, so models go to {shown(cache.root())}, where the quota is small.",
                f"Put them where there is room; {how_set()}:",
                variable("HF_HOME", good),
            )
        return Finding("hf-home", GROUP, FINE, f"models in {shown(cache.root())}")
    wrong = ""
    if "$" in value:
        wrong = "holds a variable that nobody has filled in"
    elif "None" in Path(value).parts:
        wrong = "was made of a variable that was not set (str(None) is 'None')"
    elif not _is_full(value):
        wrong = "is no full path, so it means another folder in each folder"
    elif value.rstrip("/") == "/cache" and not Path(value).is_dir():
        wrong = "was made of SCRATCH while that was not set"
    if not wrong:
        return Finding("hf-home", GROUP, FINE, f"models in {shown(cache.root())} (HF_HOME)")
    return Finding(
        "hf-home",
        GROUP,
        BROKEN,
        f"HF_HOME is {value!r}; it {wrong}.",
        f"Name one folder for good; {how_set()}:",
        variable("HF_HOME", good),
    )


def _is_full(path: str) -> bool:
    try:
        return Path(path).expanduser().is_absolute()
    except RuntimeError:  # nobody knows whose home is meant
        return False


@dataclass(frozen=True)
class Folder:
    """A folder that some program writes to, and the variable that moves it elsewhere."""

    id: str
    path: Path
    what: str
    variable: str
    state: str
    below: str  # where it goes below the folder that is proposed


def folders() -> list[Folder]:
    """What Jupyter, the models and matplotlib write to."""
    made = [
        Folder("cache", cache.root(), "the cache of models", "HF_HOME", NOTE, "huggingface"),
        Folder(
            "matplotlib",
            Path(
                os.environ.get("MPLCONFIGDIR")
                or Path(os.environ.get("XDG_CONFIG_HOME") or home() / ".config") / "matplotlib"
            ),
            "matplotlib's settings",
            "MPLCONFIGDIR",
            NOTE,
            "matplotlib",
        ),
        Folder(
            "ipython",
            Path(os.environ.get("IPYTHONDIR") or home() / ".ipython"),
            "IPython's",
            "IPYTHONDIR",
            NOTE,
            "ipython",
        ),
    ]
    try:
        from jupyter_core.paths import jupyter_data_dir

        made.insert(
            0, Folder("jupyter", Path(jupyter_data_dir()), "Jupyter's data", "JUPYTER_DATA_DIR", BROKEN, "jupyter")
        )
    except (ImportError, RuntimeError):  # not installed, or it finds no home folder to begin with
        pass
    return made


def writable() -> Iterator[Finding]:
    """Whether each of the folders can be written to; by writing, since only that meets a quota."""
    fine = []
    for one in folders():
        problem = why_not_writable(one.path)
        if problem is None:
            fine.append(one)
            continue
        remedy, command = _elsewhere(one)
        yield Finding(
            f"unwritable-{one.id}",
            GROUP,
            one.state,
            f"{shown(one.path)} cannot be written ({problem}); {one.what} go{'es' if one.id == 'cache' else ''} there.",
            remedy,
            command,
        )
    if fine:
        yield Finding("writable", GROUP, FINE, f"{len(fine)} folders can be written")


def _elsewhere(folder: Folder) -> tuple[str, str]:
    """The remedy for a folder that cannot be written: words, and the line that names one on $SCRATCH or a new one."""
    if scratch_there() and os.access(os.environ["SCRATCH"], os.W_OK):
        place = Path(os.environ["SCRATCH"]) / folder.below
        return f"Name a folder that can be written; {how_set()}:", variable(folder.variable, place)
    # Jupyter and IPython run what lies there. In the temporary folder, where everybody may write, whoever guesses a
    # name can make it first; so it is made, for this person alone, when the line is run.
    if in_notebook():
        line = f"import os, tempfile; os.environ[{folder.variable!r}] = tempfile.mkdtemp()"
        return f"Name a new folder, which lasts until the computer is started again; {how_set()}:", line
    words = "Name a new folder, which lasts until the computer is started again; type this before Jupyter starts:"
    return words, f'export {folder.variable}="$(mktemp -d)"'


def why_not_writable(folder: Path) -> Optional[str]:
    """Why nothing can be written into a folder (or where it would be made), in words; None when it can.

    A file of 64 kB is written and taken away again: rights may be right where the disk is read-only or the quota full.
    """
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            return f"{folder} is a file"
        with tempfile.NamedTemporaryFile(prefix=".biollm-doctor-", dir=folder) as file:
            file.write(b"\0" * _BLOCK)
            file.flush()
    except OSError as problem:
        if cache.no_room(problem):
            return "the disk or your quota is full"
        return (problem.strerror or str(problem)).lower()
    return None


def room() -> Iterator[Finding]:
    """Whether the folder of work and the home folder have room for a notebook that is saved."""
    seen = set()
    for folder in (home(), Path.cwd()):
        try:
            device = folder.stat().st_dev
            free = cache.free_bytes(folder)
        except OSError:
            continue  # unwritable or gone: `writable` says so
        if device in seen:
            continue
        seen.add(device)
        if free < HEADROOM:
            yield Finding(
                "disk-full",
                GROUP,
                BROKEN,
                f"The disk of {shown(folder)} is full ({in_words(free)} free), so notebooks cannot be saved.",
                "Delete what is not needed any more; this lists what is largest:",
                largest(folder),
            )
        else:
            yield Finding("disk", GROUP, FINE, f"{in_words(free)} free in {shown(folder)}")


def largest(folder: Path) -> str:
    """The line that lists the largest folders."""
    return terminal("du", "-xk", "-d", "2", folder) + " | sort -n | tail -15"


@dataclass(frozen=True)
class Quota:
    """A row of `quota` or `lfs quota`: bytes used and allowed, and the disk in its words."""

    disk: str
    used: int
    limit: int

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


def quotas(*folders: Path) -> list[Quota]:
    """What `lfs quota` says of the disks of folders (Lustre), and `quota` of all disks that it knows."""
    if sys.platform == "win32":
        return []
    places: dict[int, Path] = {}  # by their disks, each of which is asked for once
    for folder in folders:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        places.setdefault(folder.stat().st_dev, folder)
    # Both count in blocks of 1,024 bytes (their manual pages).
    commands = [["lfs", "quota", "-u", user(), str(folder)] for folder in places.values()]
    said = ask_all([*commands, ["quota", "-w", "-u", user()]], _QUOTA_SECONDS)
    return [row for text in said for row in parse_quota(text or "")]


def parse_quota(text: str) -> list[Quota]:
    """Rows: disk, kilobytes used (a star where too many), soft and hard limit; a long name has a line of its own."""
    made, name = [], ""
    for line in text.splitlines():
        words = line.split()
        if words and not _NUMBER.fullmatch(words[0]):
            name, words = words[0], words[1:]
        numbers = [int(word.rstrip("*")) for word in words[:3] if _NUMBER.fullmatch(word)]
        limit = min((one for one in numbers[1:] if one), default=0)
        if name and len(numbers) == 3 and limit:
            made.append(Quota(name, numbers[0] * 1024, limit * 1024))
    return made


def quota() -> Iterator[Finding]:
    """Quotas that are nearly used up."""
    seen = {one.disk: one for one in quotas(home(), cache.root())}
    for one in seen.values():
        words = f"{in_words(one.used)} of your {in_words(one.limit)} on {one.disk} are used"
        if one.used < _NEARLY * one.limit:
            yield Finding(f"quota-{one.disk}", GROUP, FINE, words)
            continue
        yield Finding(
            f"quota-{one.disk}",
            GROUP,
            BROKEN if one.left < HEADROOM else NOTE,
            f"{words}: your quota is {'used up' if one.left < HEADROOM else 'nearly used up'}.",
            "Delete what is not needed any more, or move it to $SCRATCH; this lists what is largest:",
            largest(mount_of(one.disk)),
        )


def mount_of(disk: str) -> Path:
    """The folder at which a disk is, as /proc/self/mounts tells; the home folder where it does not."""
    if disk.startswith("/") and Path(disk).is_dir():
        return Path(disk)
    try:
        rows = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        rows = []
    return next((Path(row[1]) for row in rows if len(row) > 1 and row[0] == disk), home())
