"""Every submission is looked at before it runs: the notebook is found and mended on a copy, and that is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from biollm_widgets.grading.archives import Archive, BadArchive, is_archive
from biollm_widgets.grading.handed_in import (
    LARGEST,
    MOST_FILES,
    STAMP,
    Entry,
    content,
    fingerprint,
    opened,
    shown,
    unseen,
    walk,
)
from biollm_widgets.grading.reading import Read, read
from biollm_widgets.grading.rebuilding import Rebuilt, rebuild

if TYPE_CHECKING:
    from nbformat import NotebookNode

BESIDE_ONE, BESIDE_ALL, BESIDE_FILES = 50 * 2**20, 200 * 2**20, 200  # of files that lie beside it when it runs
_CANDIDATES = 12  # notebooks that are compared
_ASK = "Ask for the .ipynb file itself, saved in JupyterLab (File, Save Notebook)."


@dataclass
class Looked:
    """What came of looking at a submission.

    Attributes
    ----------
    notebook : NotebookNode or None
        Ready to run; None when it is not gradable.
    repairs : list of str
        What was mended, as sentences that the learner can read too.
    why, ask : str
        For one that is not gradable: why, and what to ask the learner for, a sentence each.
    path : path or None
        The notebook that was taken, or the archive that it was in.
    files : list of path
        Real files that were handed in with it, to lie beside the notebook when it runs. Of two with the same name, the
        one nearer to the notebook comes later, so that copying them into one folder leaves that one.
    sha : str
        `fingerprint` of the folder.
    """

    notebook: Optional[NotebookNode]
    repairs: list[str] = field(default_factory=list)
    why: str = ""
    ask: str = ""
    path: Optional[Path] = None
    files: list[Path] = field(default_factory=list)
    sha: str = ""


def look(folder: Path, lesson: str, source: NotebookNode) -> Looked:
    """Look at what a learner handed in, and put it into the lesson's own notebook.

    Nothing of it is run, no link is followed, and nothing is written.

    Parameters
    ----------
    folder : path
        submitted/LEARNER/LESSON.
    lesson : str
    source : NotebookNode
        The instructor's notebook, with solutions.

    Returns
    -------
    Looked
        Whatever the bytes are: not gradable, or a notebook with the repairs that it took.
    """
    folder = Path(folder)
    sha = fingerprint(folder)
    try:
        looked = _look(folder, lesson, source)
    except (RecursionError, MemoryError):
        looked = Looked(None, why="The notebook is too large or too deeply nested to be read.", ask=_ASK)
    looked.sha = sha
    return looked


# Which of it is the notebook.


@dataclass
class _Candidate:
    """A file that may be the notebook, or a file in an archive."""

    path: Path
    name: str
    depth: int
    when: float
    packed: str = ""
    read: Optional[Read] = None
    built: Optional[Rebuilt] = None

    @property
    def fits(self) -> bool:
        """Whether it is a notebook of the lesson."""
        return self.built is not None and self.built.tasks > 0 and self.built.tasks >= self.built.foreign


def _look(folder: Path, lesson: str, source: NotebookNode) -> Looked:
    if folder.is_symlink():
        return Looked(None, why="The folder is a link to another place, and links are not followed.", ask=_ASK)
    entries = []
    for entry in walk(folder):
        entries.append(entry)
        if len(entries) > MOST_FILES:
            why = f"More than {MOST_FILES:,} files were handed in."
            return Looked(None, why=why, ask="Ask for the notebook alone.")
    notes: list[str] = []
    links = [entry for entry in entries if entry.kind != "file" and not unseen(entry.path, folder)]
    for entry in links[:5]:
        what = "a link to another place" if entry.kind == "link" else "no ordinary file"
        notes.append(f"{shown(entry.path.name)} is {what} and was left out.")
    real = [entry for entry in entries if entry.kind == "file" and not unseen(entry.path, folder)]
    candidates, problems = _candidates(folder, real)
    if not candidates:
        return _nothing(folder, real, links, problems)
    wanted = f"{lesson}.ipynb"
    # The likeliest first, for no more than a few are compared.
    candidates.sort(
        key=lambda one: (one.name != wanted, lesson not in one.name.lower(), one.depth, -one.when, one.name)
    )
    compared = candidates[:_CANDIDATES]
    for one in compared:
        _try(one, source)
    fitting = [one for one in compared if one.fits]
    if not fitting:
        return _refused(compared[0], compared, lesson)
    taken = _taken(fitting, wanted)
    assert taken.built is not None and taken.read is not None
    notes += _how(taken, fitting, candidates, wanted)
    notes += problems
    files, left_out = _beside(folder, taken, real)
    repairs = [*notes, *taken.read.repairs, *taken.built.repairs, *left_out]
    return Looked(taken.built.notebook, repairs, path=taken.path, files=files)


def _candidates(folder: Path, real: list[Entry]) -> tuple[list[_Candidate], list[str]]:
    """The files that may be the notebook, and what is wrong with archives in which it may be."""
    found, problems = [], []
    for entry in real:
        depth = len(entry.path.relative_to(folder).parts) - 1
        low = entry.path.name.lower()
        if low.endswith(".zip") or (low.endswith(".ipynb") and entry.size < LARGEST and _begins_packed(entry.path)):
            inside, problem = _packed(entry, depth)
            found += inside
            problems += [problem] if problem else []
            if inside or low.endswith(".zip"):
                continue
        if low.endswith(".ipynb"):
            found.append(_Candidate(entry.path, entry.path.name, depth, entry.when))
    if not found:  # a browser adds to the name what it thinks that the file is
        for entry in real:
            low = entry.path.name.lower()
            if low.endswith((".ipynb.txt", ".ipynb.json", ".json", ".txt")) and entry.path.name != STAMP:
                with opened(entry.path) as file:
                    begins = file.read(200).lstrip(b"\xef\xbb\xbf \t\r\n")
                if begins.startswith(b"{"):
                    depth = len(entry.path.relative_to(folder).parts) - 1
                    found.append(_Candidate(entry.path, entry.path.name, depth, entry.when))
    return found, problems


def _begins_packed(path: Path) -> bool:
    with opened(path) as file:
        return is_archive(file.read(4))


def _packed(entry: Entry, depth: int) -> tuple[list[_Candidate], str]:
    """The notebooks in an archive."""
    found: list[_Candidate] = []
    name = shown(entry.path.name)
    if entry.size > LARGEST:
        return [], f"The archive {name} is larger than {LARGEST // 2**20} MB and was not opened."
    try:
        with Archive(content(entry.path)) as archive:
            for member in archive.members:
                parts = member.name.split("/")
                if parts[-1].lower().endswith(".ipynb") and not any(p.startswith((".", "__MACOSX")) for p in parts):
                    when = member.when.timestamp() if member.when else entry.when
                    one = _Candidate(entry.path, parts[-1], depth + len(parts), when, member.name)
                    if len(found) < _CANDIDATES:
                        one.read = read(archive.read(member))
                    found.append(one)
    except BadArchive as problem:
        return found, f"The archive {name} was not read to its end: {problem}."
    return found, ""


def _try(one: _Candidate, source: NotebookNode) -> None:
    if one.read is None:
        if one.packed:
            one.read = Read(why="The archive holds more notebooks than are looked at.", ask=_ASK)
            return
        data = b""
        try:
            data = content(one.path)
        except PermissionError:
            one.read = Read(
                why="The file cannot be read: its rights do not allow it.", ask="Look at the file's rights."
            )
            return
        if len(data) > LARGEST:
            one.read = Read(
                why=f"The file is larger than {LARGEST // 2**20} MB.",
                ask="Ask for the notebook without outputs (in JupyterLab: Edit, Clear Outputs of All Cells).",
            )
            return
        one.read = read(data)
    if not one.read.why:
        one.built = rebuild(one.read.cells, source)


def _taken(fitting: list[_Candidate], wanted: str) -> _Candidate:
    """The one with the lesson's name; another only when that one has no answer in it and the other has."""

    def answered(one: _Candidate) -> int:
        return one.built.answered if one.built else 0

    best = max(fitting, key=lambda one: (answered(one), one.built.tasks if one.built else 0, one.when, -one.depth))
    exact = [one for one in fitting if one.name == wanted]
    if exact and (answered(exact[0]) or not answered(best)):
        return exact[0]
    return best


def _how(taken: _Candidate, fitting: list[_Candidate], every: list[_Candidate], wanted: str) -> list[str]:
    """Sentences on how the notebook was come by."""
    said = []
    inside = f" in the archive {shown(taken.path.name)}" if taken.packed else ""
    if len(fitting) > 1:
        others = [shown(one.name) for one in fitting if one is not taken]
        most = "is the one with the lesson's name" if taken.name == wanted else "has the most answers or is the newest"
        if taken.name == wanted and taken is not fitting[0]:
            most = "has the most answers or is the newest"
        said.append(
            f"{len(fitting)} notebooks of this lesson were handed in; {shown(taken.name)}{inside} was taken, for it "
            f"{most} (not {', '.join(others[:3])}{' and others' if len(others) > 3 else ''})."
        )
    elif taken.name != wanted:
        said.append(f"The notebook is called {shown(taken.name)}{inside} and was taken as {wanted}.")
    elif taken.packed:
        said.append(f"The notebook was taken out of the archive {shown(taken.path.name)}.")
    exact = [one for one in every if one.name == wanted and not one.fits and one.read is not None]
    if exact and taken.name != wanted and exact[0].read is not None:
        said.append(f"{wanted} itself could not be used: {exact[0].read.why or 'it is of another lesson.'}")
    elif taken.depth and not taken.packed and len(fitting) == 1:
        said.append("The notebook lay in a folder inside the one that was handed in and was taken from there.")
    return said


# Why not.


def _refused(first: _Candidate, every: list[_Candidate], lesson: str) -> Looked:
    """Why none of the notebooks can be graded, by the likeliest of them."""
    readable = [one for one in every if one.built is not None]
    one = first if first.built is None or not readable else readable[0]
    if one.built is None:
        assert one.read is not None
        name = shown(one.name)
        return Looked(None, why=f"{name}: {one.read.why}", ask=one.read.ask, path=one.path)
    assert one.read is not None
    title = _title(one.read)
    called = f" (“{title}”)" if title else ""
    if one.built.foreign:
        why = f"{shown(one.name)} is the notebook of another lesson{called}."
    elif not any(cell.text.strip() for cell in one.read.cells):
        why = f"{shown(one.name)} is a notebook without anything in it."
    else:
        why = f"{shown(one.name)} has none of the lesson's tasks in it{called}."
    return Looked(None, why=why, ask=f"Ask for the notebook {lesson}.ipynb with the answers.", path=one.path)


def _title(found: Read) -> str:
    for cell in found.cells:
        heading = re.search(r"^# +(.{1,80})", cell.text, re.M) if cell.kind == "markdown" else None
        if heading:
            return shown(heading[1].strip())
    return ""


_KINDS = {
    ".html": "a web page", ".htm": "a web page", ".pdf": "a PDF", ".py": "a Python file", ".docx": "a Word document",
    ".doc": "a Word document", ".odt": "a text document", ".txt": "a text file", ".md": "a text file",
    ".png": "a picture", ".jpg": "a picture", ".jpeg": "a picture", ".rar": "an archive of a kind that is not opened",
    ".7z": "an archive of a kind that is not opened", ".gz": "an archive of a kind that is not opened",
    ".tar": "an archive of a kind that is not opened",
}  # fmt: skip


def _nothing(folder: Path, real: list[Entry], links: list[Entry], problems: list[str]) -> Looked:
    """Why there is no notebook."""
    real = [entry for entry in real if entry.path.name != STAMP]
    if problems:
        return Looked(None, why=problems[0], ask=_ASK)
    if not real and any(entry.path.suffix == ".ipynb" for entry in links):
        return Looked(None, why="The notebook is a link to another place, and links are not followed.", ask=_ASK)
    if not real:
        why = "Nothing was handed in: the folder is empty." if folder.is_dir() else "Nothing was handed in."
        return Looked(None, why=why, ask=_ASK)
    known = [entry for entry in real if entry.path.suffix.lower() in _KINDS]
    if any(entry.path.suffix.lower() == ".zip" for entry in real):
        return Looked(None, why="There is an archive without a notebook in it.", ask=_ASK)
    entry = (known or real)[0]
    kind = _KINDS.get(entry.path.suffix.lower(), "another file")
    why = f"There is no notebook: {shown(entry.path.name)} is {kind}."
    return Looked(None, why=why, ask=_ASK)


# What lies beside it.


def _beside(folder: Path, taken: _Candidate, real: list[Entry]) -> tuple[list[Path], list[str]]:
    """Files for the notebook to find when it runs, and sentences on those that are left out."""
    home = taken.path.parent
    chosen = [
        entry for entry in real
        if entry.path.suffix.lower() != ".ipynb" and entry.path != taken.path and entry.path.name != STAMP
    ]  # fmt: skip
    # Nearest first while room is counted, and last in the list.
    chosen.sort(key=lambda entry: (entry.path.parent != home, len(entry.path.parts), str(entry.path)))
    files: list[Path] = []
    left, out = BESIDE_ALL, []
    for entry in chosen:
        if entry.size > BESIDE_ONE or entry.size > left or len(files) >= BESIDE_FILES:
            out.append(entry)
            continue
        left -= entry.size
        files.append(entry.path)
    said = []
    if out:
        named = ", ".join(f"{shown(entry.path.name)} ({entry.size / 2**20:.0f} MB)" for entry in out[:3])
        more = f" and {len(out) - 3} more files" if len(out) > 3 else ""
        said.append(f"{named}{more} did not lie beside the notebook when it ran: files there are limited in size.")
    return files[::-1], said
