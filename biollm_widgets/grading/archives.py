"""Zip archives from strangers, read in memory: plain files alone, under names that lead nowhere else, within limits."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Optional, Union

FILES = 2_000  # in an archive that somebody handed in
TOTAL = 400 * 2**20  # bytes, unpacked
ONE = 100 * 2**20  # bytes of one file, unpacked
RATIO = 200  # unpacked to packed; notebooks with pictures come to 3, text to 20, a bomb to a thousand
_SMALL = 2**20  # bytes below which nobody asks how well they were packed


class BadArchive(Exception):
    """An archive that is not read; the text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes
    ----------
    name : str
        Relative, with "/" between folders, and without "..".
    size : int
        Bytes, as the archive says.
    when : datetime or None
        In the archive's own clock, which knows no time zone.
    """

    name: str
    size: int
    when: Optional[datetime]
    _info: zipfile.ZipInfo


def is_archive(data: bytes) -> bool:
    """Whether bytes begin as a zip archive does."""
    return data[:4] in (b"PK\x03\x04", b"PK\x05\x06")


class Archive:
    """A zip archive that is open to be read.

    Parameters
    ----------
    place : path or bytes
    files, total, one : int
        The most that is read: files, bytes of all of them, bytes of one.

    Raises
    ------
    BadArchive
        For what is no archive, or is one of those made to fill a disk.
    """

    def __init__(self, place: Union[Path, bytes], files: int = FILES, total: int = TOTAL, one: int = ONE) -> None:
        self._one, self._left = one, total
        self.odd: list[str] = []  # names that lead out of the archive, and links
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(place) if isinstance(place, bytes) else place)
            infos = self._zip.infolist()
        # Damaged archives raise a good many kinds of errors, deep in the library.
        except Exception as problem:
            raise BadArchive(f"it cannot be opened ({_said(problem)})") from None
        if len(infos) > files:
            raise BadArchive(f"it holds {len(infos):,} files, more than {files:,}")
        self.members: list[Member] = []
        for info in infos:
            if info.is_dir():
                continue
            name = _inside(info.filename)
            if name is None or not _plain(info):
                self.odd.append(info.filename)
                continue
            self.members.append(Member(name, info.file_size, _when(info), info))
        whole = sum(member.size for member in self.members)
        if whole > total:
            raise BadArchive(f"it holds {whole / 2**20:,.0f} MB when unpacked, more than {total / 2**20:,.0f}")

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def read(self, member: Member) -> bytes:
        """A file of it.

        Raises
        ------
        BadArchive
            The file is damaged, locked with a password, or larger than may be.
        """
        return b"".join(self.pieces(member))

    def pieces(self, member: Member) -> Iterator[bytes]:
        """A file of it, a part at a time. Raises as `read` does."""
        most = min(self._one, self._left)
        if member.size > _SMALL and member.size > RATIO * max(1, member._info.compress_size):
            raise BadArchive(f"{_short(member.name)} in it is packed like a bomb")
        got = 0
        try:
            with self._zip.open(member._info) as file:
                while piece := file.read(2**20):
                    got += len(piece)
                    if got > most:  # whatever the archive said its size was
                        raise BadArchive(f"{_short(member.name)} in it is larger than {most / 2**20:,.0f} MB")
                    yield piece
        except BadArchive:
            raise
        except RuntimeError as problem:
            why = "locked with a password" if "password" in str(problem) else "damaged"
            raise BadArchive(f"{_short(member.name)} in it is {why}") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as problem:
            raise BadArchive(f"{_short(member.name)} in it is damaged ({_said(problem)})") from None
        except Exception as problem:  # of lzma or bz2, each with a kind of its own
            raise BadArchive(f"{_short(member.name)} in it is damaged ({_said(problem)})") from None
        finally:
            self._left -= got


def _inside(name: str) -> Optional[str]:
    """The name as one that stays inside a folder; None for one that does not."""
    name = name.replace("\\", "/")
    path = PurePosixPath(name)
    if "\0" in name or path.is_absolute() or ".." in path.parts or (len(name) > 1 and name[1] == ":"):
        return None
    parts = [part for part in path.parts if part not in ("", ".")]
    if not parts or any(len(part.encode("utf-8", "replace")) > 255 for part in parts) or len(parts) > 20:
        return None
    return "/".join(parts)


def _plain(info: zipfile.ZipInfo) -> bool:
    """Whether it is a plain file: no link, no device."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind in (0, stat.S_IFREG)


def _when(info: zipfile.ZipInfo) -> Optional[datetime]:
    # 1980 is what writes nothing, and a few tools write months of 0.
    try:
        when = datetime(*info.date_time)
    except (TypeError, ValueError):
        return None
    return when if when.year > 1980 else None


def _said(problem: Exception) -> str:
    return " ".join(f"{problem}".split())[:80] or type(problem).__name__


def _short(name: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return shown if len(shown) <= 60 else f"{shown[:40]}…{shown[-15:]}"
