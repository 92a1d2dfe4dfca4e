"""FASTA in and out: files, gzip or pasted text to records, and records to lines of 60."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Optional, Union

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.sequences.cleaning import Cleaned, Repair, clean, letters_of

LINE = 60  # the width of UniProt's FASTA and of ProtGPT2's training text
DUPLICATES = ("refuse", "rename", "keep")
_GZIP = b"\x1f\x8b"
_PACKED = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstandard"}
_SUFFIX = re.compile(r"\.(fa|fna|ffn|faa|fas|fasta|mfa|frn|txt|seq|csv|gb|gbk)(\.gz)?$|\.gz$", re.IGNORECASE)


@dataclass(frozen=True)
class Record:
    """One sequence of a FASTA file, checked.

    Attributes
    ----------
    name : str
        The first word after `>`; "sequence_1" and so on where there is none.
    description : str
        The rest of that line.
    sequence : str
    repairs : tuple of Repair
        What was changed or is worth knowing, empty when the text was clean.
    alphabet : str
        "dna" or "protein".
    line : int
        The line of the input at which the record begins, from 1.
    """

    name: str
    description: str
    sequence: str = field(repr=False)
    repairs: tuple[Repair, ...] = ()
    alphabet: str = "dna"
    line: int = 1

    def __len__(self) -> int:
        return len(self.sequence)

    def __str__(self) -> str:
        return self.sequence


def read_fasta(
    source: Union[str, os.PathLike, IO],
    alphabet: str = "dna",
    *,
    ambiguity: str = "keep",
    gaps: str = "remove",
    duplicates: str = "refuse",
) -> list[Record]:
    """Read all sequences of a FASTA file or of a text.

    Any line ends, gzip, a byte order mark, blank lines, `;` comments and trailing blanks are fine. Without any `>`
    the whole text is one sequence.

    Parameters
    ----------
    source : path, text or open file
        A `str` that has line breaks, starts with `>`, or is made of letters and names no file, is the text itself.
    alphabet : {"dna", "protein"}
    ambiguity, gaps
        As in `clean_dna`.
    duplicates : {"refuse", "rename", "keep"}
        What to do when two records have one name: raise, call the later ones `name_2`, `name_3` and report it, or
        leave it.

    Returns
    -------
    list of Record

    Raises
    ------
    InputError
        For a missing, unreadable, binary or empty file, a header without letters, a repeated name, and a letter that
        is neither base nor residue (with record, position, line and letter).
    """
    letters_of(alphabet)
    if duplicates not in DUPLICATES:
        raise InputError(f"duplicates is one of {', '.join(DUPLICATES)}, not {duplicates!r}.")
    text, called = _text(source)
    if not text.strip():
        raise InputError(f"{_capital(called)} is empty; give FASTA or plain letters.")
    _refuse_other_formats(text, called)

    records: list[Record] = []
    lines_of: dict[str, int] = {}
    for number, (header, body, line) in enumerate(_split(text), start=1):
        name, description = _name(header, number)
        known_as = f"record {name}" if header is not None else "the sequence"
        if called != "the text":
            known_as += f" of {called}"
        if not body.strip():
            raise InputError(f"{_capital(known_as)} (line {line}) has a header but no letters; add them or drop it.")
        first = line if header is None else line + 1
        cleaned = clean(body, alphabet, name=known_as, ambiguity=ambiguity, gaps=gaps, first_line=first)
        repairs = [*_look(cleaned, body, header, alphabet), *cleaned.repairs]
        if name in lines_of and duplicates != "keep":
            if duplicates == "refuse":
                raise InputError(
                    f"Two records of {called} have the name {name} (lines {lines_of[name]} and {line}); "
                    "rename one, or read with duplicates='rename'."
                )
            again, name = name, _free(name, lines_of)
            repairs.append(
                Repair("renamed", 1, np.empty(0, np.int64), f"renamed, {again} is taken (line {lines_of[again]})")
            )
        lines_of.setdefault(name, line)
        records.append(Record(name, description, cleaned.sequence, tuple(repairs), alphabet, line))
    return records


def format_fasta(records: Union[Record, Iterable, Mapping[str, str]], width: int = LINE) -> str:
    """FASTA text of records, of `(name, sequence)` pairs, of a mapping name to sequence, or of bare sequences.

    Raises
    ------
    InputError
        For an empty sequence, or a name with a line break.
    """
    if isinstance(records, (Record, str)):
        records = [records]
    elif isinstance(records, Mapping):
        records = records.items()
    parts = []
    for number, record in enumerate(records, start=1):
        if isinstance(record, Record):
            header, sequence = f"{record.name} {record.description}".rstrip(), record.sequence
        elif isinstance(record, str):
            header, sequence = f"sequence_{number}", record
        else:
            header, sequence = map(str, record)
        if not sequence:
            raise InputError(f"Sequence {number} ({header}) has no letters; a FASTA record needs some.")
        if "\n" in header or "\r" in header:
            raise InputError(f"The name of sequence {number} has a line break in it; a FASTA header is one line.")
        parts.append(f">{header}\n{wrap(sequence, width)}\n")
    return "".join(parts)


def write_fasta(
    records: Union[Record, Iterable, Mapping[str, str]], path: Union[str, os.PathLike], width: int = LINE
) -> None:
    """Write FASTA, gzipped when the name ends in `.gz`; the file appears only when whole. Raises as `format_fasta`."""
    data = format_fasta(records, width).encode()
    with whole_file(path) as temporary:
        # mtime 0: the same records give the same bytes.
        temporary.write_bytes(gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data)


def wrap(sequence: str, width: int = LINE) -> str:
    """Break a sequence into lines of `width` letters; no line break at the end. A width of 0 leaves it one line."""
    if width < 0:
        raise InputError(f"A line cannot have {width} letters; give a width of 1 or more, or 0 for one line.")
    return "\n".join(sequence[i : i + width] for i in range(0, len(sequence), width)) if width else sequence


def unwrap(text: str) -> str:
    """Take out all white space: the inverse of `wrap` at any width."""
    return "".join(text.split())


def _text(source: Union[str, os.PathLike, IO]) -> tuple[str, str]:
    """The text, and what to call where it came from."""
    if hasattr(source, "read"):
        data = source.read()
        called = getattr(source, "name", None)
        called = called if isinstance(called, str) else "the text"
        return (data.lstrip("\ufeff"), called) if isinstance(data, str) else (_decode(data, called), called)
    if isinstance(source, bytes):
        return _decode(source, "the text"), "the text"
    if isinstance(source, str) and ("\n" in source or "\r" in source or source.lstrip("\ufeff \t")[:1] in (">", "")):
        return source.lstrip("\ufeff"), "the text"
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"FASTA comes from a path, a text or an open file, not from {type(source).__name__}.")
    path = Path(source).expanduser()
    try:
        there = path.exists()
    except OSError:  # a sequence longer than any file name
        there = False
    if not there and isinstance(source, str):
        if re.match(r"(https?|ftp)://", source):
            raise InputError(f"{source} is an address; download the file first and give its path.")
        if not ("/" in source or "\\" in source or _SUFFIX.search(source)):
            return source, "the text"
    if not there:
        raise InputError(f"There is no file {path}; check the name and the folder.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a FASTA file in it.")
    try:
        return _decode(path.read_bytes(), str(path)), str(path)
    except OSError as problem:
        raise InputError(f"Cannot read {path} ({problem.strerror or problem}); check its permissions.") from problem


def _decode(data: bytes, called: str) -> str:
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as problem:
            raise InputError(f"{_capital(called)} is a damaged gzip file ({problem}); fetch it again.") from problem
    for magic, kind in _PACKED.items():
        if data.startswith(magic):
            raise InputError(f"{_capital(called)} is packed with {kind}; unpack it first (gzip is read as it is).")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # what a Windows shell writes
        return data.decode("utf-16", errors="replace")
    head = data[:100_000]
    if b"\0" in head or sum(code < 32 and code not in b"\t\n\r\x0b\x0c\x1a" for code in head) > len(head) // 100:
        raise InputError(f"{_capital(called)} is no readable text; give a FASTA file.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # an old header with an accent; in a sequence it is refused with its place


def _refuse_other_formats(text: str, called: str) -> None:
    start = text.lstrip()[:2000]
    if start.startswith("@") and re.search(r"^\+", start, re.MULTILINE):
        raise InputError(f"{_capital(called)} looks like FASTQ (reads with qualities); turn it into FASTA first.")
    if re.match(r"LOCUS\s", start):
        raise InputError(
            f"{_capital(called)} is a GenBank record; save it as FASTA, or give only the letters after ORIGIN."
        )


def _split(text: str) -> Iterable[tuple[Optional[str], str, int]]:
    """Header line without `>` (None before the first), the lines under it, and the line number of the record."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.startswith(";") or "\n;" in text:
        text = re.sub(r"^;.*$", "", text, flags=re.MULTILINE)  # comments of the first FASTA program; the lines stay
    parts = re.split(r"^[ \t]*>", text, flags=re.MULTILINE) if ">" in text else [text]
    line = 1 + parts[0].count("\n")
    if parts[0].strip():
        before = len(parts[0]) - len(parts[0].lstrip())
        skipped = parts[0][:before].count("\n")
        yield None, parts[0][parts[0].rfind("\n", 0, before) + 1 :], 1 + skipped
    for part in parts[1:]:
        header, _, body = part.partition("\n")
        yield header.strip(), body, line
        line += part.count("\n")


def _name(header: Optional[str], number: int) -> tuple[str, str]:
    words = (header or "").split(maxsplit=1)
    return (words[0] if words else f"sequence_{number}"), (words[1] if len(words) > 1 else "")


def _free(name: str, taken: Mapping[str, int]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _look(cleaned: Cleaned, body: str, header: Optional[str], alphabet: str) -> list[Repair]:
    """What is allowed and yet is probably not what was meant."""
    noted = []
    if alphabet == "protein" and len(cleaned) >= 20 and not cleaned.translate(dict.fromkeys(map(ord, "ACGTUN"))):
        words = "all letters are bases, so this looks like DNA; read it as DNA or translate it first"
        noted.append(Repair("looks like DNA", len(cleaned), np.empty(0, np.int64), words))
    columns = any(repair.kind == "number" for repair in cleaned.repairs)
    if header is None and not columns and len(body) < 1_000_000:
        lengths = [len(line) for line in map(str.strip, body.split("\n")) if line]
        if len(lengths) > 1 and (len(set(lengths[:-1])) > 1 or lengths[-1] > lengths[0]):
            words = (
                f"{len(lengths)} lines of different lengths were joined into one sequence; "
                "put a line that starts with > before each if they are several"
            )
            noted.append(Repair("joined", len(lengths), np.empty(0, np.int64), words))
    return noted


def _capital(words: str) -> str:
    """A sentence starts with a capital, a path stays as it is."""
    return words[:1].upper() + words[1:] if words.startswith(("the ", "record ")) else words
