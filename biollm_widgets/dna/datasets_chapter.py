"""The chapter's data set: what it is, where it is kept, and getting it there whole and checked.

Its publisher gives no checksum, so the content is checked against what the chapter says of it (rows, columns, labels,
letters) when it is downloaded, and its SHA-256 is written down beside it, in the way of `sha256sum`. From then on a
changed byte shows.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd

from biollm_widgets import news
from biollm_widgets.dna import datasets_file
from biollm_widgets.dna.datasets_download import DownloadError, Remote, ask, download
from biollm_widgets.dna.datasets_file import (
    CHAPTER_LABELS,
    CHAPTER_ROWS,
    COLUMNS,
    NAME,
    RECORD,
    cache_folder,
    file_name,
    own_place,
    part_of,
    recorded,
)
from biollm_widgets.dna.labelled import IS_DNA
from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.models import places
from biollm_widgets.models.cache import shown
from biollm_widgets.models.download import Count
from biollm_widgets.models.hub import HubError
from biollm_widgets.models.locks import alone
from biollm_widgets.models.places import Place, Shared
from biollm_widgets.models.room import room, unwritable

TIMEOUT = 20.0  # seconds without a byte from the server


@dataclass(frozen=True)
class DataPlan:
    """What fetching the data set would take; `size` is None where its server does not say."""

    remote: Remote
    place: Place
    name: str = NAME
    copy_of: Optional[Path] = None  # a whole one on this computer, which is taken in place of the server's

    @property
    def file(self) -> Path:
        return self.place.folder / file_name(self.remote.url)

    @property
    def size(self) -> Optional[int]:
        return self.remote.size

    @property
    def missing(self) -> int:
        return max(0, (self.size or 0) - datasets_file.begun(self.file, self.remote.key))


@dataclass(frozen=True)
class Found:
    """A whole copy of the data set.

    Attributes
    ----------
    frame : DataFrame
    path : Path
    sha256 : str
    recorded : bool
        Whether that was compared with what was written down when the file was downloaded.
    shared : Shared or None
        The class's cache that it lies in.
    count : Count or None
        What was downloaded for it just now.
    """

    frame: pd.DataFrame
    path: Path
    sha256: str
    recorded: bool
    shared: Optional[Shared] = None
    count: Optional[Count] = None


def load_chapter(
    url: Optional[str] = None, timeout: float = TIMEOUT, progress: bool = True, offline: bool = False
) -> pd.DataFrame:
    """The chapter's data set from the class's cache or one's own, else from `url`, and then into one's own.

    Raises
    ------
    InputError
        When it is in no cache and cannot be downloaded whole, or is not the data set that the chapter describes.
    """
    url = url or datasets_file.CHAPTER_URL
    found, damaged = find(url)
    if found is not None:
        found.frame.attrs["source"] = str(found.path)
        if found.shared is not None:
            found.frame.attrs["words"] = f"from {found.shared.words}"
        return found.frame
    if offline:
        here = f"The copy {damaged}" if damaged else "It is not in the cache"
        raise InputError(f"{here}, and HF_HUB_OFFLINE or BIOLLM_MODELS keeps off the web; unset that to download it.")
    if damaged:
        news.say(f"The copy {damaged} and is downloaded anew.")
    frame = _kept(url, timeout, progress)
    if frame is None:  # nowhere to keep it is no reason to do without it
        content = io.BytesIO()
        remote = ask(url, timeout)
        with _bar(progress, remote.size) as bar:
            download(remote, content, timeout, bar, Count())
        frame = check_chapter(content.getvalue(), url)
    frame.attrs["source"] = url
    return frame


def find(url: Optional[str] = None, at: Optional[Path] = None) -> tuple[Optional[Found], str]:
    """The first whole copy: the class's, then one's own; or the one in the folder `at` alone.

    Returns
    -------
    The copy or None, and what is wrong with one's own (or that at `at`), as the end of a sentence; empty where nothing
    is. What is wrong with the class's is told.
    """
    name = file_name(url or datasets_file.CHAPTER_URL)
    if at is not None:
        return _read(at / name)
    shared = places.shared()
    if shared is not None and (shared.data / name) != (cache_folder() / name):
        found, damaged = _read(shared.data / name, shared)
        if found is not None:
            return found, ""
        if damaged:
            places.tell(
                f"The copy {damaged}, so it is passed over; whoever made {shared.words} mends it with "
                f"biollm fetch --shared {shared.folder}."
            )
    return _read(cache_folder() / name)


def plan(place: Optional[Place] = None, url: Optional[str] = None, timeout: float = TIMEOUT) -> DataPlan:
    """Ask the server how large the data set is.

    Raises
    ------
    DownloadError
        When it cannot be asked.
    """
    return DataPlan(ask(url or datasets_file.CHAPTER_URL, timeout), place or own_place())


def plan_copy(found: Found, place: Place) -> DataPlan:
    """To take it from a copy on this computer; nothing is asked of the network."""
    size = found.path.stat().st_size
    return DataPlan(Remote(datasets_file.CHAPTER_URL, size, found.sha256), place, copy_of=found.path)


def carry_out(planned: DataPlan, *, timeout: float = TIMEOUT, progress: bool = True) -> Found:
    """Download what is missing, check it, write its checksum down, and only then let it appear under its name.

    Ctrl-C and a broken connection leave what has arrived; the next time goes on from there. Whoever else is fetching
    it into the same folder is waited for, and what he got is taken.

    Raises
    ------
    InputError
        When the download does not end well, is not the data set of the chapter, or cannot be kept.
    """
    file, count = planned.file, Count()
    try:
        with alone(file.parent / ".locks" / f"{file.name}.lock", planned.name):
            already, damaged = _read(file)
            if already is not None:
                return already
            if damaged:
                count.replaced.append(file.name)
            part = part_of(file, planned.remote.key)
            with part.open("a+b") as out, _bar(progress, planned.size) as bar:
                if planned.size is not None and part.stat().st_size > planned.size:
                    out.truncate(0)
                if planned.copy_of is None:
                    sha256 = download(planned.remote, out, timeout, bar, count)
                else:
                    out.truncate(0)
                    content = planned.copy_of.read_bytes()
                    sha256, count.copied = hashlib.sha256(content).hexdigest(), out.write(content)
            frame = _checked_part(part, planned.remote.url)
            _record(file, sha256)
            part.replace(file)
            for other in file.parent.glob(part_of(file, "*").name):  # of another content than there is now
                other.unlink(missing_ok=True)
    except OSError as problem:
        raise unwritable(problem, planned.name, planned.place) from problem
    return Found(frame, file, sha256, False, count=count)


def record(found: Found) -> None:
    """Write the checksum down of a copy that has none, as one that was put there by hand; where that is possible."""
    with suppress(OSError):
        _record(found.path, found.sha256)


def check_chapter(content: bytes, where: str) -> pd.DataFrame:
    """The chapter's table from the bytes of its file.

    Raises
    ------
    InputError
        When the columns, the number of rows, the labels or the letters are not those of the chapter's data set.
    """
    wrong = f"{where} is not the data set of the chapter"
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"{wrong}: it is no CSV text ({problem}).") from problem
    header, rows = (rows[0] if rows else []), [row for row in rows[1:] if row]
    if header != COLUMNS:
        found = ",".join(header)[:60] or "nothing"
        raise InputError(f"{wrong}: its first line has to be DNA_sequence,Target and is {found!r}.")
    if len(rows) != CHAPTER_ROWS:
        raise InputError(f"{wrong}: it has {len(rows):,} rows instead of {CHAPTER_ROWS:,}.")
    if any(len(row) != 2 for row in rows):
        raise InputError(f"{wrong}: some rows do not have two fields.")
    targets = [row[1].strip() for row in rows]
    counts = {label: targets.count(str(label)) for label in CHAPTER_LABELS}
    if counts != CHAPTER_LABELS:
        raise InputError(
            f"{wrong}: label 0 is there {counts[0]:,} times and label 1 {counts[1]:,} times, instead of "
            f"{CHAPTER_LABELS[0]:,} and {CHAPTER_LABELS[1]:,}."
        )
    sequences = [row[0].strip().upper() for row in rows]
    strange = sum(1 for sequence in sequences if not IS_DNA.fullmatch(sequence))
    if strange * 100 > CHAPTER_ROWS:  # a stray row is the data set's own; more than one in a hundred is another file
        raise InputError(f"{wrong}: {strange:,} of its sequences are not DNA.")
    frame = pd.DataFrame({"DNA_sequence": sequences, "Target": np.array([int(target) for target in targets])})
    frame.attrs["simulated"] = False
    return frame


def _read(file: Path, shared: Optional[Shared] = None) -> tuple[Optional[Found], str]:
    """A copy if it is whole; else None and what is wrong with it, as the end of a sentence."""
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except OSError as problem:
        return None, f"{shown(file)} cannot be read ({problem.strerror or problem})"
    sha256, record = hashlib.sha256(content).hexdigest(), recorded(file)
    if record and record != sha256:
        return None, f"{shown(file)} is no good (its SHA-256 is not the one written down at its download)"
    try:
        frame = check_chapter(content, str(file))
    except InputError as problem:
        return None, f"{shown(file)} is no good ({str(problem).removeprefix(f'{file} ').rstrip('.')})"
    return Found(frame, file, sha256, bool(record), shared), ""


def _kept(url: str, timeout: float, progress: bool) -> Optional[pd.DataFrame]:
    """Download it into one's own cache; None, with a line that says why, where it cannot be kept there."""
    planned = plan(url=url, timeout=timeout)
    try:
        room([planned])
        return carry_out(planned, timeout=timeout, progress=progress).frame
    except DownloadError:
        raise
    except HubError as problem:  # the disk, not the network
        with suppress(OSError):
            part_of(planned.file, planned.remote.key).unlink()  # of no use where the rest cannot follow
        news.say(f"The download is not kept for the next time: {problem} BIOLLM_CACHE names another folder.")
        return None


def _checked_part(part: Path, url: str) -> pd.DataFrame:
    try:
        return check_chapter(part.read_bytes(), url)
    except InputError:
        part.unlink()  # whole, and another file: nothing to go on with
        raise


def _record(file: Path, sha256: str) -> None:
    try:
        with whole_file(file.with_name(file.name + RECORD)) as path:
            path.write_text(f"{sha256}  {file.name}\n")
    except InputError as problem:
        raise problem.__cause__ if isinstance(problem.__cause__, OSError) else problem from None


@contextmanager
def _bar(progress: bool, total: Optional[int]) -> Iterator[Any]:
    from tqdm.auto import tqdm

    with tqdm(total=total, unit="B", unit_scale=True, desc=NAME, delay=0.5, disable=not progress, leave=False) as bar:
        yield bar
