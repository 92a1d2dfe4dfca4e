"""Train, dev and test sets: made from one table without overlap, written and read as DNABERT-2's trainer has them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import pandas as pd

from biollm_widgets.dna.labelled import Table, clean_sequences, looks_like_index, parse_labels, read_table
from biollm_widgets.dna.seeds import checked_seed
from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.sequences import reverse_complement

PARTS = ("train", "dev", "test")
REPORT_FILE = "splits.json"  # how the three files were made; DNABERT-2's trainer does not look at it


@dataclass(frozen=True, eq=False)
class Splits:
    """Three tables that share no sequence when `split_dataset` made them; `audit` says what they share otherwise.

    Attributes
    ----------
    train, dev, test
        Columns `sequence` (text in upper case) and `label` (whole number from 0); for a task on pairs
        `sequence1`, `sequence2`, `label`. The index is the row in the table they come from.
    report
        How they were made: source, seed, what was dropped, rows and labels of each part.
    notes
        What was repaired while reading, a sentence each.
    """

    train: pd.DataFrame
    dev: pd.DataFrame
    test: pd.DataFrame
    report: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def num_labels(self) -> int:
        """How many labels `train` has; they are 0 to `num_labels - 1`."""
        return int(self.train["label"].nunique())

    @property
    def paired(self) -> bool:
        """Whether each row holds two sequences."""
        return "sequence2" in self.train.columns

    @property
    def simulated(self) -> bool:
        """Whether the sequences were made up by a model instead of read from an organism."""
        return bool(self.report.get("simulated", False))

    def items(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """The name and the table of each part: train, dev, test."""
        return ((name, getattr(self, name)) for name in PARTS)

    def summary(self) -> str:
        """A few lines for a person: rows and label shares of each part, and what was left out."""
        lines = []
        if self.simulated:
            lines.append("SIMULATED sequences: good for trying things out, no finding about an organism.")
        for name, frame in self.items():
            counts = frame["label"].value_counts().sort_index()
            shares = (f"{count:,} of label {label} ({count / len(frame):.1%})" for label, count in counts.items())
            lines.append(f"{name:5s} {len(frame):6,} rows: {', '.join(shares)}")
        repeated = self.report.get("duplicate_rows_dropped", 0)
        several = self.report.get("contradictory_rows_dropped", 0)
        if repeated or several:
            lines.append(f"Left out: {repeated:,} duplicate rows, {several:,} rows whose sequence has several labels.")
        return "\n".join(lines)


def split_dataset(
    frame: pd.DataFrame,
    sizes: Sequence[float] = (0.6, 0.15, 0.25),
    seed: int = 1,
    *,
    reverse_complements: bool = False,
    sequence_column: Optional[str] = None,
    label_column: Optional[str] = None,
) -> Splits:
    """Cut a table into train, dev and test: stratified, seeded, without duplicates, and with no sequence in two parts.

    The chapter's `iloc` slices of an unseeded sample do none of the four.

    Parameters
    ----------
    frame
        One row a sequence. Columns are found by the names of the chapter (`DNA_sequence`, `Target`) or of GUE
        (`sequence`, `label`), else by their order when there are two; or say which.
    sizes
        Train, dev and test, all as counts of rows, `(600, 150, 250)`, or all as fractions of what is left after
        duplicates are gone, `(0.6, 0.15, 0.25)`. They need not use every row.
    seed
        The same seed and table give the same parts, in the same order.
    reverse_complements
        Take a sequence and its reverse complement for the same one. Right where the task does not depend on the
        strand (a promoter's two strands); wrong where one strand is coding and the other is not.

    Returns
    -------
    Splits
        With `report` counting duplicates and contradictory rows (one sequence under several labels: all its rows are
        dropped, since no one knows which is right).

    Raises
    ------
    InputError
        On a column that is missing, letters that are no bases, labels that are not 0, 1, ..., or sizes that do not
        fit.
    """
    from sklearn.model_selection import train_test_split

    seed = checked_seed(seed)
    sequence_column, label_column = find_columns(frame, sequence_column, label_column)
    if frame.empty:
        raise InputError("The table has no rows; give one with sequences and labels.")
    texts = frame[sequence_column].tolist()
    sequences, notes = clean_sequences(texts, lambda i: f"row {frame.index[i]!r} of the table")
    labels = _whole_labels(frame[label_column])

    keys = pd.Series([min(s, reverse_complement(s)) for s in sequences] if reverse_complements else sequences)
    kinds = pd.Series(labels).groupby(keys).transform("nunique")
    contradictory = (kinds > 1).to_numpy()
    duplicate = keys.duplicated().to_numpy() & ~contradictory
    kept = np.flatnonzero(~contradictory & ~duplicate)
    if len(kept) == 0:
        raise InputError("Every sequence of the table has several labels, so no row can be used; check the labels.")
    kept_labels = labels[kept]
    _check_labels(kept_labels, "the table")

    counts = _part_sizes(sizes, kept_labels)
    parts, rest, wanted = [], kept, sum(counts)
    for count in counts[:-1]:
        chosen, rest = train_test_split(
            rest, train_size=count, test_size=wanted - count, stratify=labels[rest], random_state=seed
        )
        parts.append(chosen)
        wanted -= count
    parts.append(rest)

    tables = [
        pd.DataFrame({"sequence": [sequences[i] for i in rows], "label": labels[rows]}, index=frame.index[rows])
        for rows in parts
    ]
    report = {
        "source": frame.attrs.get("source", "a table"),
        "simulated": bool(frame.attrs.get("simulated", False)),
        "seed": seed,
        "rows_given": len(frame),
        "duplicate_rows_dropped": int(duplicate.sum()),
        "contradictory_rows_dropped": int(contradictory.sum()),
        "contradictory_sequences": int(keys[contradictory].nunique()),
        "reverse_complements_are_duplicates": bool(reverse_complements),
        "rows_not_used": len(kept) - sum(counts),
        "parts": {name: _counts(table) for name, table in zip(PARTS, tables, strict=True)},
    }
    train, dev, test = tables
    return Splits(train, dev, test, report=report, notes=tuple(notes))


def write_splits(
    data: Union[Splits, pd.DataFrame],
    folder: Union[str, os.PathLike],
    sizes: Optional[Sequence[float]] = None,
    seed: int = 1,
    **options: Any,
) -> Splits:
    """Write `train.csv`, `dev.csv` and `test.csv` as DNABERT-2's trainer reads them: `sequence,label`, no index.

    All three appear, or none; files of an earlier run are replaced. Beside them `splits.json` says how they were made.

    Parameters
    ----------
    data
        What `split_dataset` gave, or a table, which is then split (`sizes`, `seed` and `options` go to
        `split_dataset`).
    folder
        Made when it is not there.

    Raises
    ------
    InputError
        When the folder cannot be written to, or its name comes from an environment variable that is not set.
    """
    if isinstance(data, Splits):
        if sizes is not None or options:
            raise InputError("The data is split already; give sizes and options to split_dataset, or a table here.")
        splits = data
    else:
        splits = split_dataset(data, (0.6, 0.15, 0.25) if sizes is None else sizes, seed, **options)
    place = Path(folder).expanduser()
    if place.parts and (place.parts[0] == "None" or "$" in str(place)):
        raise InputError(
            f"The folder {place} is named after an environment variable that is not set; set it or name a folder."
        )
    if place.exists() and not place.is_dir():
        raise InputError(f"{place} is a file; name a folder to write train.csv, dev.csv and test.csv to.")
    sums = {}
    with ExitStack() as stack:
        # Each file is renamed into place when the stack unwinds, after all four are written out.
        for name, frame in splits.items():
            path = stack.enter_context(whole_file(place / f"{name}.csv"))
            frame.to_csv(path, index=False)
            sums[f"{name}.csv"] = hashlib.sha256(path.read_bytes()).hexdigest()
        report = stack.enter_context(whole_file(place / REPORT_FILE))
        report.write_text(json.dumps({**splits.report, "sha256": sums}, indent=2) + "\n", encoding="utf-8")
    return splits


def read_splits(folder: Union[str, os.PathLike]) -> Splits:
    """Read `train.csv`, `dev.csv` and `test.csv` of a folder, refusing what DNABERT-2's trainer would misread.

    As for that trainer, the first line of a file holds names that do not matter, and the order is `sequence,label` or
    `sequence1,sequence2,label`. It reads the first column of any three as a sequence, even one that only counts the
    rows; here that is an error.

    Raises
    ------
    InputError
        On a file that is missing or empty, an index column, swapped columns, letters that are no bases, labels that
        are not 0 to n - 1, or a label in dev or test that train does not have.
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        what = "is a file" if place.exists() else "does not exist"
        raise InputError(f"The data folder {place} {what}; name a folder with train.csv, dev.csv and test.csv.")
    missing = [f"{name}.csv" for name in PARTS if not (place / f"{name}.csv").is_file()]
    if missing:
        there = sorted(path.name for path in place.iterdir() if path.suffix in {".csv", ".tsv", ".gz"})
        found = f"has only {', '.join(there)}" if there else "has no CSV file"
        raise InputError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing: the folder {place} {found}; "
            "write_splits makes train.csv, dev.csv and test.csv from one table."
        )
    tables, notes = {}, []
    for name in PARTS:
        tables[name], repairs = _read_part(place / f"{name}.csv")
        notes += [f"{name}.csv: {repair}." for repair in repairs]
    columns = {name: len(frame.columns) for name, frame in tables.items()}
    if len(set(columns.values())) > 1:
        found = ", ".join(f"{name}.csv has {number} columns" for name, number in columns.items())
        raise InputError(f"The files of {place} do not fit together ({found}); write all three alike.")
    _check_labels(tables["train"]["label"].to_numpy(), str(place / "train.csv"))
    known = set(tables["train"]["label"])
    for name in ("dev", "test"):
        strange = sorted(set(tables[name]["label"]) - known)
        if strange:
            rows = int(tables[name]["label"].isin(strange).sum())
            raise InputError(
                f"{place / name}.csv has label {', '.join(map(str, strange))} in {rows} row{'s' * (rows != 1)}, and "
                "train.csv never shows it, so no model can learn it; split the data anew, stratified (split_dataset)."
            )
    return Splits(**tables, report=_read_report(place, tables), notes=tuple(notes))


def find_columns(
    frame: pd.DataFrame, sequence_column: Optional[str] = None, label_column: Optional[str] = None
) -> tuple[Any, Any]:
    """The columns of the sequences and of the labels: as told, by the usual names, or the only two in this order."""
    names = list(frame.columns)
    for told, what in ((sequence_column, "sequence"), (label_column, "label")):
        if told is not None and told not in names:
            listed = ", ".join(map(str, names))
            raise InputError(f"The table has no {what} column {told!r}; its columns are {listed}.")
    usual = (("DNA_sequence", "sequence"), ("Target", "label"))
    found: list[Any] = [sequence_column, label_column]
    for i in (0, 1):
        if found[i] is None:
            found[i] = next((name for name in usual[i] if name in names), None)
    if found == [None, None] and len(names) == 2:
        found = names
    if None in found:
        listed = ", ".join(map(str, names)) or "none"
        raise InputError(
            f"Which columns hold the sequences and the labels? The table has {listed}; name them DNA_sequence and "
            "Target, or say sequence_column=... and label_column=...."
        )
    return found[0], found[1]


def _read_part(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """One of the three files as a table, with its repairs."""
    table = read_table(path)
    columns = _sequence_columns(table)
    labels = parse_labels(table, len(table.header) - 1)
    data, repairs = {}, []
    for name, number in columns.items():
        data[name], found = clean_sequences(table.column(number), lambda i: f"line {table.lines[i]} of {path}")
        repairs += found
    return pd.DataFrame({**data, "label": np.asarray(labels, dtype=np.int64)}), repairs


def _sequence_columns(table: Table) -> dict[str, int]:
    """Which columns are sequences: the first of two, or the first two of three; refuse what only looks like that."""
    path, width = table.path, len(table.header)
    kinds = [table.kind(number) for number in range(width)]
    layout = "the columns have to be sequence,label (or sequence1,sequence2,label for a task on pairs), in this order"
    if width > 2 and looks_like_index(table):
        misread = (
            "DNABERT-2's trainer ignores the names and would read it as pairs of sequences"
            if width == 3
            else "DNABERT-2's trainer takes two columns, or three for pairs"
        )
        raise InputError(
            f"{path} has {width} columns and the first ({table.header[0]!r}) only counts the rows; {misread}: "
            "write the file with DataFrame.to_csv(path, index=False)."
        )
    if width == 2 and kinds[0] in {"number", "decimal"}:
        if kinds[1] in {"sequence", "text"}:
            raise InputError(f"The columns of {path} are swapped: the label comes first; {layout}.")
        raise InputError(f"{path} has no column of sequences, only numbers; {layout}.")
    if width == 2:
        return {"sequence": 0}
    if width == 3 and kinds[2] == "number" and kinds[0] == "sequence" and kinds[1] == "sequence":
        return {"sequence1": 0, "sequence2": 1}
    names = ", ".join(f"{name!r} ({kind})" for name, kind in zip(table.header, kinds, strict=True))
    raise InputError(f"{path} has {width} column{'s' * (width != 1)}, {names}; {layout}.")


def _whole_labels(column: pd.Series) -> np.ndarray:
    """The labels of a table as int64; a missing, decimal or worded label is refused by its row."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.round(numbers)) | (numbers < 0))
    if len(wrong):
        row = wrong[0]
        raise InputError(
            f"The label in row {column.index[row]!r} of the table (column {column.name!r}) is {column.iloc[row]!r}; "
            "labels are whole numbers from 0: 0, 1 and so on."
        )
    return numbers.astype(np.int64)


def _check_labels(labels: np.ndarray, where: str) -> None:
    """Refuse labels that are not 0 to n - 1 with n at least 2: a classifier has one output for each."""
    found = np.unique(labels)
    if len(found) == 1:
        raise InputError(f"Every row of {where} has label {found[0]}; a classifier needs at least two labels.")
    if found[0] != 0 or found[-1] != len(found) - 1:
        listed = ", ".join(str(label) for label in found[:8]) + (", …" if len(found) > 8 else "")
        raise InputError(
            f"The labels of {where} are {listed}; they have to be 0 to {len(found) - 1} without a gap: number them so."
        )


def _part_sizes(sizes: Sequence[float], labels: np.ndarray) -> list[int]:
    """Rows of train, dev and test from counts or fractions, checked against what there is."""
    rows, classes = len(labels), len(np.unique(labels))
    if isinstance(sizes, (str, int, float)) or len(sizes) != 3:
        raise InputError(f"sizes is {sizes!r}; give three numbers: train, dev and test, such as (600, 150, 250).")
    numbers = [float(size) for size in sizes]
    if any(not np.isfinite(number) or number <= 0 for number in numbers):
        raise InputError(f"sizes is {tuple(sizes)!r}; each of train, dev and test has to be above 0.")
    if all(number < 1 for number in numbers):
        if sum(numbers) > 1 + 1e-9:
            raise InputError(f"The fractions {tuple(sizes)!r} add up to {sum(numbers):.3g}; make that 1 or less.")
        counts = [round(number * rows) for number in numbers]
        if abs(sum(numbers) - 1) < 1e-9:
            counts[0] = rows - counts[1] - counts[2]  # what rounding leaves over goes to train
    elif all(number == round(number) for number in numbers):
        counts = [int(number) for number in numbers]
    else:
        raise InputError(f"sizes is {tuple(sizes)!r}; give three counts of rows or three fractions below 1, not a mix.")
    if sum(counts) > rows:
        raise InputError(
            f"{' + '.join(map(str, counts))} rows are wanted and the table has {rows:,} different sequences "
            "(duplicates and contradictory rows are left out); ask for fewer."
        )
    smallest = np.bincount(labels)[np.unique(labels)].min()
    if min(counts) < classes or smallest < 3:
        raise InputError(
            f"Parts of {', '.join(map(str, counts))} rows cannot each show all {classes} labels "
            f"(the rarest has {smallest} rows); use more data or larger parts."
        )
    return counts


def _counts(frame: pd.DataFrame) -> dict[str, Any]:
    labels = frame["label"].value_counts().sort_index()
    return {"rows": len(frame), "labels": {str(label): int(count) for label, count in labels.items()}}


def _read_report(place: Path, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """What `write_splits` noted, if the files are still those it wrote; else what can be counted."""
    try:
        report = json.loads((place / REPORT_FILE).read_text(encoding="utf-8"))
        sums = report.pop("sha256")
        if all(hashlib.sha256((place / name).read_bytes()).hexdigest() == sums[name] for name in sums) and sums:
            return report
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # no note, or not ours: the files alone say what they are
    return {"source": str(place), "parts": {name: _counts(table) for name, table in tables.items()}}
