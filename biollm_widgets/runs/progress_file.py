"""A run's events in a file, one line each: appended while it trains, followed from another process or machine.

Whoever writes may be killed at any byte, whoever reads may look at any moment, and both may sit on different machines
that see one folder (NFS, Lustre). So a line is one write to a file opened for appending, and the file is closed after
it: NFS shows other machines what was written when it is closed. Opening costs 20 µs on a disk of one's own; a run
tells a few events a second.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.runs.events import KEYS, encode, settle

A_CALL = 8_000_000  # bytes that one `read` takes at most
TOGETHER = 1_000  # lines that are written or parsed together, where there are many
SEEN = 256  # bytes at the beginning, and before the place that was reached, by which a file is known again
APART = 1.0  # seconds between two step events in the file
OURS = re.compile(rf'\{{"event":"({"|".join(KEYS)})"'.encode())


def check_place(path: str | os.PathLike) -> Path:
    """Look whether a progress file may be written here; nothing is made or changed.

    Returns
    -------
    Path
        Where links lead to.

    Raises
    ------
    InputError
        When it is a folder or a device, when it is there and no progress file, or when it cannot be written to.
    """
    place = Path(os.path.realpath(Path(path).expanduser()))
    if place.is_dir():
        raise InputError(f"The progress file {path} is a folder; name a file in it.")
    try:
        if place.exists():
            if not place.is_file():
                raise InputError(f"The progress file {path} is a device; name a file.")
            with place.open("rb") as file:
                head = file.read(SEEN)
            if head and not OURS.match(head) and not b'{"event":"'.startswith(head):
                raise InputError(
                    f"{path} is there and is no progress file of a run; name another file for --progress, or remove it."
                )
        above = place
        while not above.exists():
            above = above.parent
        if above != place and not above.is_dir():
            raise InputError(f"Cannot write the progress file {path}: {above} is no folder; name another place.")
        if not os.access(above, os.W_OK if above == place else os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as problem:
        raise InputError(
            f"Cannot write the progress file {path} ({problem.strerror or problem}); choose a place you may write to."
        ) from problem
    return place


class ProgressWriter:
    """Appends each event that it hears to a file.

    Step events come to at most one a second, and the last one before the end; phases that only count on, too. What a
    run that goes on had found before ("history") is written where the file does not hold it already.

    Parameters
    ----------
    path
        Missing folders are made.
    resume
        Go on in a file that is there; otherwise a former progress file is replaced.

    Raises
    ------
    InputError
        When the file cannot be written, or is there and is no progress file. Later, while it trains, a full disk or
        the like is said once on stderr, and the training goes on.
    """

    def __init__(self, path: str | os.PathLike, resume: bool) -> None:
        self.path = check_place(path)
        self._lock = threading.Lock()
        self._torn = False  # the file ends inside a line: the next one begins with a newline
        self._said = False
        self._has_past = False
        self._held: Optional[dict[str, Any]] = None  # the step event that came too soon
        self._stepped = self._phased = -APART  # when the last step and the last phase were written
        self._phase: Any = None
        if resume and self.path.exists():
            self._torn = not ends_whole(self.path)
            self._has_past = self.path.stat().st_size > 0
            self._try_to_open()
        else:
            # A new file under the old name, not the old one emptied: who follows it can tell them apart.
            with whole_file(self.path):
                pass

    def _try_to_open(self) -> None:
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_APPEND))
        except OSError as problem:
            raise InputError(
                f"Cannot write the progress file {self.path} ({problem.strerror}); choose a place you may write to."
            ) from problem

    def __call__(self, event: dict[str, Any]) -> None:
        """Hear one event. Never raises: progress is not worth a training."""
        try:
            with self._lock:
                kind, now = event.get("event"), time.monotonic()
                if kind == "step":
                    if now - self._stepped < APART:
                        self._held = event
                        return
                    self._held, self._stepped = None, now
                elif kind == "phase":
                    phase = event.get("phase"), event.get("step")
                    if phase == self._phase and now - self._phased < APART:
                        return
                    self._phase, self._phased = phase, now
                elif kind == "history":
                    # Lines of their own, for there may be a hundred thousand; a file that has a past needs none.
                    past = [] if self._has_past else [{"time": event.get("time"), **one} for one in event["events"]]
                    for start in range(0, len(past), TOGETHER):
                        self._append(*past[start : start + TOGETHER])
                    return
                elif kind == "end" and self._held is not None:
                    self._append(self._held)
                    self._held = None
                self._append(event)
        except Exception as problem:
            self._complain(problem)

    def _append(self, *events: dict[str, Any]) -> None:
        line = b"".join(encode(event).encode("ascii") + b"\n" for event in events)
        if self._torn:
            line = b"\n" + line
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            written = os.write(handle, line)
            if written < len(line):  # the disk was full in the middle of the line
                self._torn = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._torn = False
        finally:
            os.close(handle)

    def _complain(self, problem: Exception) -> None:
        if not self._said:
            self._said = True
            reason = getattr(problem, "strerror", None) or problem
            print(
                f"Warning: progress cannot be written to {self.path} ({reason}); the training goes on, and what "
                "happens meanwhile is missing there.",
                file=sys.stderr,
            )


def ends_whole(path: Path) -> bool:
    """Whether a file is empty or ends with a newline.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError as problem:
        raise InputError(f"Cannot read {path} ({problem.strerror}); choose a file you may read and write.") from problem


class ProgressReader:
    """Follows a progress file, also while it is written, replaced, or not there yet.

    Parameters
    ----------
    path
        It is opened anew at each look: on NFS an open file may never show what another machine appended.

    Attributes
    ----------
    started_over : bool
        The last `read` met another file than the one before it, and its events are that one's from the beginning.
    broken : int
        Lines so far that were no events (a run was killed while it wrote one); they are passed over.
    behind : bool
        There is more in the file than one `read` takes.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path).expanduser()
        self.started_over = False
        self.behind = False
        self._forget()

    def _forget(self) -> None:
        self.broken = 0
        self._reached = 0
        self._head = self._tail = b""
        self._inside = False  # of a line so long that it was given up

    def read(self) -> list[dict[str, Any]]:
        """The events since the last call, at most 8 MB of them.

        A line at the end that is not whole yet waits. Kinds of event that a newer version added are left out. The file
        is another one when it became shorter, or when what was read before is not in it any more; the inode would not
        do: where a folder is mounted over SSH, one file has many.

        Raises
        ------
        InputError
            When the file is there and may not be read, or is a folder, a pipe or the like.
        """
        self.started_over = False
        self.behind = False
        try:
            mode = self.path.stat().st_mode
            if not stat.S_ISREG(mode):  # a pipe would wait for whoever writes into it
                what = "a folder" if stat.S_ISDIR(mode) else "a device"
                raise InputError(f"The progress file {self.path} is {what}; name the file that --progress was given.")
            with self.path.open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if not self._is_known(file, size):
                    self._forget()
                    self.started_over = True
                file.seek(self._reached)
                data = _read(file, A_CALL)
                found = self._take(data, size)
                if self._reached:
                    file.seek(0)
                    self._head = _read(file, min(SEEN, self._reached))
                    file.seek(max(0, self._reached - SEEN))
                    self._tail = _read(file, min(SEEN, self._reached))
        except OSError as problem:
            # Of a file that is being replaced on another machine, NFS says that it is stale.
            if problem.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
                return []
            reason = problem.strerror or problem
            raise InputError(f"Cannot read the progress file {self.path} ({reason}); name one you may read.") from None
        return found

    def _is_known(self, file: Any, size: int) -> bool:
        if size < self._reached:
            return False
        if _read(file, len(self._head)) != self._head:
            return False
        file.seek(self._reached - len(self._tail))
        return _read(file, len(self._tail)) == self._tail

    def _take(self, data: bytes, size: int) -> list[dict[str, Any]]:
        end = data.rfind(b"\n") + 1
        if not end and len(data) == A_CALL:
            self._reached += len(data)
            self._inside = True
            self.behind = True
            return []
        self.behind = len(data) == A_CALL and self._reached + end < size
        self._reached += end
        lines = data[:end].split(b"\n")
        if self._inside and end:
            self._inside = False
            self.broken += 1
            del lines[0]
        lines = [line for line in lines if line.strip()]
        found = []
        for start in range(0, len(lines), TOGETHER):
            for event in self._parse(lines[start : start + TOGETHER]):
                try:
                    event = settle(event)
                except InputError:
                    self.broken += 1
                else:
                    if event["event"] in KEYS:
                        found.append(event)
        return found

    def _parse(self, lines: list[bytes]) -> list[Any]:
        """All at once, which takes half the time of one by one; where one is broken, one by one after all."""
        try:
            together = json.loads(b"[" + b",".join(lines) + b"]")
            if len(together) == len(lines):
                return together
        except (ValueError, RecursionError):
            pass
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError):
                self.broken += 1
        return found


def _read(file: Any, size: int) -> bytes:
    """So many bytes, or all that there are: one call may give fewer."""
    data = b""
    while len(data) < size:
        more = file.read(size - len(data))
        if not more:
            break
        data += more
    return data
