"""The look at what was handed in before any of it runs: which file it is, what is mended, or why it is not gradable."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.grading.archives import Archive, BadArchive, is_archive
from biollm_widgets.grading.reading import Read, read
from biollm_widgets.grading.rebuilding import Rebuilt, rebuild

LARGEST = 100 * 2**20  # bytes of a notebook that is read at all
BESIDE = 50 * 2**20  # bytes of all files that may lie beside it when it runs
FILES = 500  # that are looked at
_ASK = "Ask for the notebook of this lesson, saved in JupyterLab (File, Save Notebook)."


@dataclass
class Looked:
    """What was found.

    Attributes
    ----------
    notebook : NotebookNode or None
        Ready to run; None when there is none that can be graded.
    repairs : list of str
        What was mended, as sentences that a learner can read.
    why, ask : str
        When it is not gradable: why, and what to ask the learner for.
    path : path or None
        The file that was taken.
    files : list of path
        Plain files to lie beside the notebook when it runs.
    sha : str
        SHA-256 over names and bytes of all that was handed in.
    """

    notebook: Optional[Any] = None
    repairs: list[str] = field(default_factory=list)
    why: str = ""
    ask: str = ""
    path: Optional[Path] = None
    files: list[Path] = field(default_factory=list)
    sha: str = ""


@dataclass
class _Candidate:
    """A file that may be the notebook, and what came of reading it."""

    name: str
    path: Path
    data: bytes
    when: float
    read: Read = field(default_factory=Read)
    rebuilt: Optional[Rebuilt] = None

    @property
    def worth(self) -> tuple[int, int, float]:
        """More of the lesson first, then more answers, then the newer."""
        made = self.rebuilt
        return (made.tasks, made.answered, self.when) if made else (0, 0, self.when)


def _plain_files(folder: Path) -> Iterator[Path]:
    """Plain files in a folder and below, no link followed, in a fixed order."""
    left = FILES
    for place, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in (".ipynb_checkpoints", "__MACOSX", ".git"))
        for name in sorted(names):
            path = Path(place) / name
            try:
                if stat.S_ISREG(path.lstat().st_mode) and left > 0:
                    left -= 1
                    yield path
            except OSError:
                continue


def _bytes(path: Path, most: int) -> bytes:
    """The bytes of a plain file; empty for one that is too large or has become something else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        return file.read(most + 1) if stat.S_ISREG(about.st_mode) and about.st_size <= most else b""


def fingerprint(folder: Path) -> str:
    """SHA-256 over names and bytes of all that was handed in."""
    made = hashlib.sha256()
    for path in _plain_files(folder):
        made.update(f"\0{path.relative_to(folder)}\0".encode("utf-8", "replace"))
        try:
            with path.open("rb") as file:
                while part := file.read(2**20):
                    made.update(part)
        except OSError:
            continue
    return made.hexdigest()


def look(folder: Path, lesson: str, source: Any) -> Looked:
    """Look at what a learner handed in. Runs nothing of it, and raises nothing for anything in it.

    Parameters
    ----------
    folder : path
        The learner's folder of this lesson in submitted/.
    lesson : str
    source : NotebookNode
        The instructor's notebook.
    """
    found = Looked(sha=fingerprint(folder))
    links = sorted(path.name for path in folder.iterdir() if path.is_symlink()) if folder.is_dir() else []
    candidates, large = [], []
    for path in _plain_files(folder):
        if path.suffix.lower() not in (".ipynb", ".zip", ".json", ".txt", ".html", ".htm", ".pdf", ".docx", ".py", ""):
            continue
        if path.lstat().st_size > LARGEST:
            large.append(path.name)
            continue
        if path.suffix.lower() == ".ipynb":
            data = _bytes(path, LARGEST)
            if is_archive(data):
                candidates += _in_archive(data, path, found)
            else:
                candidates.append(_Candidate(str(path.relative_to(folder)), path, data, path.lstat().st_mtime))
        elif path.suffix.lower() == ".zip":
            candidates += _in_archive(_bytes(path, LARGEST), path, found)
    for one in candidates:
        _try(one, source)
    chosen = _choose(candidates, lesson)
    if chosen is None or chosen.rebuilt is None or not chosen.rebuilt.tasks:
        found.why, found.ask = _why_not(chosen, candidates, large, links, folder, lesson)
        return found
    found.notebook, found.path = chosen.rebuilt.notebook, chosen.path
    named = Path(chosen.name).name
    if named != f"{lesson}.ipynb":
        found.repairs.append(f"The file is called {_short(named)} and was taken for {lesson}.ipynb.")
    elif chosen.name != named:
        found.repairs.append(f"The notebook lay in {_short(str(Path(chosen.name).parent))} and was taken from there.")
    others = [one for one in candidates if one is not chosen and one.rebuilt is not None and one.rebuilt.tasks]
    if others:
        names = ", ".join(_short(one.name) for one in others[:3])
        found.repairs.append(f"Other copies of the lesson lay beside it ({names}); they were not graded.")
    found.repairs += [*chosen.read.repairs, *chosen.rebuilt.repairs]
    found.files = _beside(chosen.path, folder)
    return found


def _try(one: _Candidate, source: Any) -> None:
    try:
        one.read = read(one.data)
        if not one.read.why:
            one.rebuilt = rebuild(one.read.cells, source)
    except (Exception, RecursionError) as problem:  # nobody's submission may stop the grading of the others
        one.read = Read(why=f"The notebook cannot be read ({type(problem).__name__}).", ask=_ASK)
        one.rebuilt = None


def _in_archive(data: bytes, path: Path, found: Looked) -> list[_Candidate]:
    made = []
    try:
        with Archive(data) as archive:
            for member in archive.members:
                if member.name.lower().endswith(".ipynb") and "__MACOSX" not in member.name:
                    when = member.when.timestamp() if member.when else 0.0
                    made.append(_Candidate(f"{path.name}/{member.name}", path, archive.read(member), when))
    except (BadArchive, OSError, ValueError) as problem:
        made.append(_Candidate(path.name, path, b"", 0.0, Read(why=f"{problem}", ask=_ASK)))
    return made


def _choose(candidates: list[_Candidate], lesson: str) -> Optional[_Candidate]:
    """The exact name if it is this lesson, else what is most of it, most worked on, newest."""
    exact = [one for one in candidates if one.name == f"{lesson}.ipynb"]
    if exact and exact[0].rebuilt is not None and exact[0].rebuilt.tasks:
        return exact[0]
    good = [one for one in candidates if one.rebuilt is not None and one.rebuilt.tasks]
    if good:
        return max(good, key=lambda one: one.worth)
    return exact[0] if exact else max(candidates, key=lambda one: one.worth, default=None)


def _why_not(
    chosen: Optional[_Candidate], candidates: list[_Candidate], large: list[str], links: list[str], folder: Path,
    lesson: str,
) -> tuple[str, str]:  # fmt: skip
    """Why there is nothing to grade, and what to ask for."""
    if chosen is not None and chosen.read.why:
        return f"{_short(chosen.name)}: {chosen.read.why}", chosen.read.ask
    if chosen is not None and chosen.rebuilt is not None and chosen.rebuilt.foreign:
        return f"{_short(chosen.name)} is the notebook of another lesson.", f"Ask for {lesson}.ipynb."
    if chosen is not None:
        return f"{_short(chosen.name)} has no task of this lesson in it.", _ASK
    if large:
        return f"{_short(large[0])} is larger than {LARGEST // 2**20} MB.", "Ask for it with its outputs cleared."
    if links:
        return f"{_short(links[0])} is a link to another file, which is not followed.", _ASK
    others = sorted({path.name for path in _plain_files(folder)} - {"timestamp.txt"})
    if others:
        return f"There is no notebook, only {', '.join(_short(name) for name in others[:3])}.", _ASK
    return "Nothing was handed in: the folder is empty.", _ASK


def _beside(path: Path, folder: Path) -> list[Path]:
    """Files in the notebook's own folder that are no notebooks."""
    kept, left = [], BESIDE
    place = path.parent if path.suffix.lower() == ".ipynb" else folder
    for one in sorted(place.iterdir()):
        try:
            about = one.lstat()
        except OSError:
            continue
        good = stat.S_ISREG(about.st_mode) and about.st_size <= left and one.name != "timestamp.txt"
        if good and one.suffix.lower() not in (".ipynb", ".zip"):
            left -= about.st_size
            kept.append(one)
    return kept


def _short(name: str) -> str:
    shown = re.sub(r"[^\w .()\-/+,]", "?", name)
    return shown if len(shown) <= 60 else f"{shown[:40]}…{shown[-15:]}"
