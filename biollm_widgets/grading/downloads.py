"""Downloads of a learning platform: whose each file is and what it is called, from the names it was packed under."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Optional

from biollm_widgets.errors import InputError
from biollm_widgets.grading.archives import Archive, BadArchive, Member
from biollm_widgets.grading.handed_in import opened, shown, walk

# Of a whole class; what one learner may have packed is limited where it is looked at.
FILES, TOTAL, ONE = 20_000, 8 * 2**30, 200 * 2**20

# lovelaceada_LATE_12345_67890_lesson-1.ipynb
_CANVAS = re.compile(r"(?P<name>[^_/]+)_(?P<late>LATE_)?(?P<number>\d+)_\d+_(?P<rest>[^/]+)")
# Ada Lovelace_1234567_assignsubmission_file_/lesson.ipynb, or without the folder
_MOODLE = re.compile(r"(?P<name>[^/]+?)_(?P<number>\d+)_assignsubmission_[a-z]+_?/?(?P<rest>.*)")


@dataclass(frozen=True)
class Who:
    """Whom a platform says that a file is of.

    Attributes
    ----------
    name, number : str
        As the platform has them; `number` may be empty.
    platform : str
        "Canvas", "Moodle", or empty for a folder.
    """

    name: str
    number: str
    platform: str

    def __str__(self) -> str:
        return f"{shown(self.name)}{f' ({self.platform} {self.number})' if self.number else ''}"


@dataclass(frozen=True)
class Piece:
    """A file of somebody.

    Attributes
    ----------
    who : Who
    name : str
        Relative to what was handed in.
    write : callable
        Writes it to a path. Raises BadArchive for what is damaged, OSError for a disk.
    when : datetime or None
        When it was handed in, where the download tells.
    late : bool
        The platform marks it as late.
    """

    who: Who
    name: str
    write: Callable[[Path], None]
    when: Optional[datetime] = None
    late: bool = False


@dataclass
class _File:
    name: str
    write: Callable[[Path], None]
    when: Optional[datetime]


class Download:
    """A download, open to be read.

    Attributes
    ----------
    pieces : list of Piece
    unknown : list of str
        Sentences on what is nobody's.
    own : bool
        It is of nbgrader's own folders, whose time stamps are not the learners' to write.

    Raises
    ------
    InputError
        It is not there, is no archive, or holds nothing that is anybody's.
    """

    def __init__(self, place: Path, lesson: str) -> None:
        self._stack = ExitStack()
        self.unknown: list[str] = []
        self.own = False
        files = self._files(place)
        self.pieces = self._whose(files, lesson)
        if not self.pieces:
            self.close()
            raise InputError(
                f"{place} holds no submission that can be told apart ({len(files)} files). It takes what Canvas and "
                f"Moodle give as a download of all submissions, or a folder for each learner."
            )

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the archive."""
        self._stack.close()

    def _files(self, place: Path) -> list[_File]:
        if place.is_dir():
            return self._folder(place)
        if not place.exists():
            raise InputError(f"There is no {place}; name the download of all submissions.")
        try:
            archive = self._stack.enter_context(Archive(place, FILES, TOTAL, ONE))
        except BadArchive as problem:
            raise InputError(
                f"{place} cannot be used: {problem}. Download all submissions again, or unpack them into a folder."
            ) from None
        for name in archive.odd[:10]:
            self.unknown.append(f"{shown(name)} in the archive leads out of it or is no plain file, and was left out.")

        def writer(member: Member) -> Callable[[Path], None]:
            def write(path: Path) -> None:
                with path.open("wb") as file:
                    for piece in archive.pieces(member):
                        file.write(piece)

            return write

        return [_File(one.name, writer(one), one.when) for one in archive.members if not _rubbish(one.name)]

    def _folder(self, place: Path) -> list[_File]:
        def writer(path: Path) -> Callable[[Path], None]:
            def write(to: Path) -> None:
                with opened(path) as source, to.open("wb") as file:
                    shutil.copyfileobj(source, file)

            return write

        found = []
        for entry in walk(place.resolve()):
            name = entry.path.relative_to(place.resolve()).as_posix()
            if entry.kind != "file":
                self.unknown.append(f"{shown(name)} is a link or no plain file, and was left out.")
            elif not _rubbish(name):
                found.append(_File(name, writer(entry.path), None))
            if len(found) > FILES:
                raise InputError(f"{place} holds more than {FILES:,} files; name the folder of the submissions alone.")
        return found

    def _whose(self, files: list[_File], lesson: str) -> list[Piece]:
        tops = {file.name.partition("/")[0] for file in files}
        if len(tops) == 1 and self._is_wrapped(files, lesson):
            files = [replace(file, name=file.name.partition("/")[2]) for file in files]
        self.own = any(file.name.split("/")[1:2] == [lesson] and file.name.count("/") > 1 for file in files)
        pieces, other, loose = [], 0, []
        for file in files:
            top, _, rest = file.name.partition("/")
            moodle, canvas = _MOODLE.fullmatch(file.name), _CANVAS.fullmatch(file.name)
            if moodle:
                who = Who(moodle["name"].strip(), moodle["number"], "Moodle")
                if moodle["rest"]:
                    pieces.append(Piece(who, moodle["rest"], file.write, file.when))
            elif canvas:
                who = Who(canvas["name"], canvas["number"], "Canvas")
                pieces.append(Piece(who, canvas["rest"], file.write, late=bool(canvas["late"])))
            elif self.own and rest:
                folder, _, inner = rest.partition("/")
                if folder == lesson and inner:
                    pieces.append(Piece(Who(top, "", ""), inner, file.write))
                else:
                    other += 1
            elif rest:
                pieces.append(Piece(Who(top, "", ""), rest, file.write))
            else:
                loose.append(file.name)
        for name in loose[:20]:
            self.unknown.append(f"{shown(name)} lies in nobody's folder and its name tells nobody's; it was left out.")
        if other:
            self.unknown.append(f"{other} files are of other lessons than {lesson} and were left out.")
        return pieces

    def _is_wrapped(self, files: list[_File], lesson: str) -> bool:
        """Whether the only folder at the top is the download's own and not a learner's."""
        inner = [file.name.partition("/")[2] for file in files]
        if not all(inner) or all(_MOODLE.fullmatch(file.name) for file in files):
            return False
        if any(_MOODLE.fullmatch(name) or _CANVAS.fullmatch(name) for name in inner):
            return True
        if any(name.partition("/")[0] == lesson for name in inner):
            return False
        return all("/" in name for name in inner)


def _rubbish(name: str) -> bool:
    """What computers add to folders and archives by themselves."""
    parts = name.split("/")
    return (
        "__MACOSX" in parts or any(part.startswith(".") for part in parts) or parts[-1] in ("Thumbs.db", "desktop.ini")
    )
