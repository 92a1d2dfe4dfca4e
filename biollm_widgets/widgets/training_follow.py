"""A progress file that somebody else writes, read as it grows."""

from __future__ import annotations

import os
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Union

from biollm_widgets.errors import InputError
from biollm_widgets.runs.progress_file import ProgressReader
from biollm_widgets.runs.words import clock

LOOK = 0.5  # seconds between two looks at the file
SILENT = 60.0  # seconds without a word after which that is said
OPENING = 0.8  # seconds that the first reading may take before the view opens


class Follower:
    """Reads a file in a thread of its own and gives what it finds to a TrainingProgress.

    Raises
    ------
    InputError
        When the path is a folder, or a file that may not be read.
    """

    def __init__(self, progress: Any, path: Union[str, os.PathLike]) -> None:
        self.progress, self.path = progress, Path(path).expanduser()
        if self.path.is_dir():
            raise InputError(f"{self.path} is a folder; name the file that biollm finetune --progress FILE writes.")
        self.reader = ProgressReader(self.path)
        self.over = threading.Event()
        self.grown = time.monotonic()  # when it last grew

    def begin(self) -> None:
        """Read what is there, then go on in the background."""
        began = time.monotonic()
        with suppress(OSError):  # it is not there yet
            # How long nobody has written, by the clock of the disk, which may differ from ours a little.
            self.grown = began - max(0.0, time.time() - self.path.stat().st_mtime)
        first = self.grown
        while self._look() and self.reader.behind and time.monotonic() - began < OPENING:
            pass
        self.grown = first
        self.go_on()

    def go_on(self) -> None:
        """Read on from where it was."""
        self.over = threading.Event()
        self.progress._sheet.followed = True
        self._judge()
        self.thread = threading.Thread(target=self._go, args=(self.over,), name="follow", daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.over.set()
        self.progress._sheet.followed = False

    def _go(self, over: threading.Event) -> None:
        while not over.wait(0 if self.reader.behind else LOOK):
            try:
                self._look()
                self._judge()
                self.progress._tick()
            except InputError as problem:
                self._notice(str(problem))
                self.progress._tick()
            except Exception as problem:
                self.progress._keep_trouble(traceback.format_exc())
                self._notice(f"{self.path} is followed no longer ({type(problem).__name__}: {problem}).")
                self.end()
                self.progress._tick()

    def _look(self) -> bool:
        events = self.reader.read()
        progress = self.progress
        with progress._turn:
            if self.reader.started_over and progress._sheet.log.start:
                progress._sheet.begin()
            if events:
                self.grown = time.monotonic()
                progress._sheet.log.take_all(events)
                progress._redraw = progress._redraw or any(one["event"] in ("evaluation", "end") for one in events)
        return bool(events)

    def _judge(self) -> None:
        """Say what a file that does not grow may mean."""
        log, quiet = self.progress._sheet.log, time.monotonic() - self.grown
        if not log.start and self.reader.broken:
            self._notice(f"{self.path} holds no training; name the file that biollm finetune --progress FILE writes.")
        elif not log.start:
            self._notice(f"{self.path} is not there yet, or empty; this view begins when the training does.")
        elif log.running and quiet > SILENT:
            unit = "minutes" if quiet < 3600 else "hours"
            self._notice(
                f"Nothing new in {self.path} for {clock(quiet // 10 * 10)} {unit}: the job is at a long step, waits, "
                "or was ended. Its log file, or squeue, tells which."
            )
        else:
            self.progress._sheet.notice = None

    def _notice(self, words: str) -> None:
        self.progress._sheet.notice = {"kind": "silent", "words": [words], "code": ""}


def read_whole(path: Path) -> list[dict[str, Any]]:
    """All events of a progress file.

    Raises
    ------
    InputError
        When it may not be read, or holds no events.
    """
    reader = ProgressReader(path)
    events = reader.read()
    while reader.behind:
        events += reader.read()
    if not events:
        raise InputError(f"{path} holds no training; biollm finetune --progress FILE writes such files.")
    return events
