"""Tables of labelled DNA: what a person may hand in as CSV, and the exact sentence when it is something else."""

from __future__ import annotations

import csv
import gzip
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import BASES, DNA_AMBIGUITY, clean_dna

AMBIGUOUS = "".join(DNA_AMBIGUITY)  # real DNA notation, and kept, but DNABERT-2 reads each such letter as [UNK]

_NOT_BASES = re.compile(f"[^{BASES}\n]")
IS_DNA = re.compile(f"[{BASES}{AMBIGUOUS}]+")
_DONE = {  # kind of repair -> what was done to the sequences
    "case": "turned to upper case",
    "uracil": "with U written as T",
    "gap": "freed of gaps",
    "space": "freed of spaces",
    "number": "freed of column numbers",
    "typography": "freed of typographic signs",
    "ambiguous": "with IUPAC letters for several bases, N and others, which DNABERT-2 reads as [UNK]",
}
_WHOLE_NUMBER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+[eE][+-]?\d+|nan|NaN)")
_DNA_LIKE = re.compile(f"[{BASES}{AMBIGUOUS}U.*\\-]+", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A CSV file as text: the header, the rows and the line of the file where each row ends (1 is the header)."""

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def column(self, number: int) -> list[str]:
        return [row[number] for row in self.rows]

    def kind(self, number: int) -> str:
        """What most values of a column are: "number", "decimal", "sequence", "empty" or "text".

        Most, not all: one bad value shall be refused by its line, not make its column look like something else.
        """
        values = [value.strip() for value in self.column(number)]
        for name, fits in (
            ("empty", lambda value: value == ""),
            ("number", _WHOLE_NUMBER.fullmatch),
            ("decimal", _DECIMAL.fullmatch),
            ("sequence", _DNA_LIKE.fullmatch),
        ):
            if sum(1 for value in values if fits(value)) * 2 > len(values):
                return name
        return "text"


def looks_like_index(table: Table, number: int = 0) -> bool:
    """Whether a column only counts the rows, as `DataFrame.to_csv` writes it without `index=False`.

    A name that pandas gives to an index is enough; whole numbers that are all different are enough too (a shuffled
    or sampled frame keeps its old row numbers).
    """
    name = table.header[number].strip().lower()
    if table.kind(number) != "number":
        return False
    if name in {"", "index", "unnamed: 0", "id", "row"}:
        return True
    values = table.column(number)
    return len(values) > 2 and len(set(values)) == len(values)


def read_table(path: str | os.PathLike) -> Table:
    """Read a comma-separated file (gzip or not, with or without a byte-order mark), every value as text.

    Raises
    ------
    InputError
        When there is no such file, it is no text, it is empty, it has a header only, its first line is already data,
        its fields are not separated by commas, or a line has more or fewer fields than the header.
    """
    path = Path(path).expanduser()
    header, rows, lines = _read_rows(path)
    if len(header) == 1 and rows:
        for separator, word in (("\t", "tabs"), (";", "semicolons")):
            if separator in header[0]:
                raise InputError(f"{path} is separated by {word}, not by commas; write it with DataFrame.to_csv(path).")
    if not rows:
        raise InputError(f"{path} has a header line and no rows; fill it with sequences and labels.")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise InputError(
                f"Line {line} of {path} has {len(row)} field{'s' * (len(row) != 1)} where the header has "
                f"{len(header)}; mend that line."
            )
    if _is_data(header):
        raise InputError(
            f"The first line of {path} is already a row of data ({_short(header[0])},{header[-1]}), and readers would "
            "take it for column names and drop it; put the line `sequence,label` above it."
        )
    return Table(path, header, rows, lines)


def _read_rows(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """The header, the rows that are not blank and their line numbers."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        opener: Callable = gzip.open if zipped else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text)
            header = next(reader, None)
            if header is None or not any(header):
                raise InputError(f"{path} is empty; fill it with a header line, sequences and labels.")
            rows, lines = [], []
            for row in reader:
                if row:
                    rows.append(row)
                    lines.append(reader.line_num)
            return header, rows, lines
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; check the name.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; name a CSV file in it.") from None
    except UnicodeDecodeError as problem:
        raise InputError(f"{path} is no text file ({problem.reason}); it has to be CSV in UTF-8.") from problem
    except (csv.Error, EOFError, gzip.BadGzipFile) as problem:
        raise InputError(f"{path} cannot be read as CSV ({problem}); write it anew.") from problem
    except OSError as problem:
        raise InputError(f"{path} cannot be read ({problem.strerror or problem}).") from problem


def _is_data(header: list[str]) -> bool:
    """A header that holds a long stretch of bases and a whole number is a row whose header was forgotten."""
    values = [value.strip() for value in header]
    long_dna = any(len(value) >= 8 and not _NOT_BASES.search(value.upper()) for value in values)
    return long_dna and any(_WHOLE_NUMBER.fullmatch(value) for value in values)


def parse_labels(table: Table, number: int) -> list[int]:
    """The labels of a column as whole numbers from 0.

    Raises
    ------
    InputError
        Naming the first line whose label is missing, a decimal, a word or negative.
    """
    labels = []
    for line, value in zip(table.lines, table.column(number), strict=True):
        text = value.strip()
        if not _WHOLE_NUMBER.fullmatch(text) or int(text) < 0:
            name = table.header[number]
            if text == "":
                found = "is empty"
            elif _DECIMAL.fullmatch(text):
                found = f"is {text}, a decimal number (a column with missing values becomes decimal in pandas)"
            else:
                found = f"is {_short(text)!r}"
            raise InputError(
                f"The label in line {line} of {table.path} (column {name!r}) {found}; "
                "labels are whole numbers from 0: 0, 1 and so on."
            )
        labels.append(int(text))
    return labels


def clean_sequences(sequences: Sequence[str], place: Callable[[int], str]) -> tuple[list[str], list[str]]:
    """Sequences in the letters that a DNA model knows, and one sentence for each kind of repair.

    What `clean_dna` repairs is repaired: case, U, gaps, spaces. IUPAC letters for several bases are kept and counted.

    Parameters
    ----------
    sequences
        The texts, one a row.
    place
        Says where row `i` (from 0) is, for a person: `"line 7 of train.csv"`.

    Raises
    ------
    InputError
        Naming the place, the position (from 1) and the letter of the first sequence that is empty, is no text, or
        holds a letter that is no base.
    """
    for i, sequence in enumerate(sequences):
        if not isinstance(sequence, str):
            raise InputError(f"The sequence in {place(i)} is {sequence!r}, not text; give letters A, C, G and T.")
        if not sequence.strip():
            raise InputError(f"The sequence in {place(i)} is empty; take that row out.")
    if not _NOT_BASES.search("\n".join(sequences)) and not any("\n" in sequence for sequence in sequences):
        return list(sequences), []  # the usual case, one search over everything

    cleaned: list[str] = []
    rows: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    for i, sequence in enumerate(sequences):
        text = sequence.strip()
        upper = text.upper()
        rows["space"] += text != sequence  # at an end; it would change the tokens
        if IS_DNA.fullmatch(upper):  # what a whole file in lower case is: quick, without looking at each letter
            cleaned.append(upper)
            rows["case"] += upper != text
            unknown = len(upper) - sum(map(upper.count, BASES))
            rows["ambiguous"] += unknown > 0
            letters["ambiguous"] += unknown
            continue
        done = clean_dna(text, name=place(i))
        cleaned.append(done.sequence)
        for repair in done.repairs:
            rows[repair.kind] += 1
            letters[repair.kind] += repair.count
    return cleaned, [
        f"{count} of {len(sequences)} sequences {_DONE.get(kind, f'changed ({kind})')}"
        + f" ({letters[kind]} letters)" * (kind == "ambiguous")
        for kind, count in rows.items()
        if count
    ]


def _short(text: str, width: int = 24) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
