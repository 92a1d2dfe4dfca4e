"""The coding and non-coding data set of the lesson: downloaded once and checked, a file of one's own, or simulated."""

from __future__ import annotations

import os
from typing import Optional, Union

import numpy as np
import pandas as pd

from biollm_widgets import news
from biollm_widgets.dna.datasets_chapter import load_chapter
from biollm_widgets.dna.datasets_file import CHAPTER_ROWS
from biollm_widgets.dna.labelled import clean_sequences, looks_like_index, parse_labels, read_table
from biollm_widgets.dna.seeds import checked_seed
from biollm_widgets.dna.simulate import simulate_coding_dataset
from biollm_widgets.errors import InputError


def load_coding_dataset(
    source: Union[str, os.PathLike] = "auto", *, size: Optional[int] = None, seed: int = 1, progress: bool = True
) -> pd.DataFrame:
    """Sequences that are coding (1) or not (0): the chapter's data set, or what stands in for it.

    One line on stderr says which it is.

    Parameters
    ----------
    source
        - `"auto"`: the chapter's data set from the class's cache (BIOLLM_SHARED_CACHE), one's own or the web; when
          it cannot be had, a simulated one.
          With `HF_HUB_OFFLINE=1` or `BIOLLM_MODELS=embedded` the web is not asked.
        - `"chapter"`: the chapter's data set or an error, never a simulated one.
        - `"simulated"`: made up, see `simulate_coding_dataset`. Scores on it are no finding about an organism.
        - a path: a CSV file of one's own, see `read_labelled_csv`, with labels 0 and 1.
    size
        Rows wanted: a seeded sample that keeps the share of each label, in random order with the old index, as the
        chapter's `sample(1000)` (which has no seed) means to; or the size of the simulated set. None is every row
        (65,321 when simulated, as in the chapter).
    seed
        Of the sample, or of the simulation.
    progress
        Show a bar while downloading.

    Returns
    -------
    DataFrame, shape (n, 2)
        Columns `DNA_sequence` (text in upper case) and `Target` (0 or 1). `attrs["source"]` says where it comes from
        and `attrs["simulated"]` whether it is made up.

    Raises
    ------
    InputError
        On a file that is missing or has wrong columns, labels or letters; on a size larger than the data set; and,
        with `"chapter"`, when the data set cannot be downloaded or is not what the chapter describes.

    Notes
    -----
    `biollm fetch coding-data` downloads it ahead. It is kept in `$BIOLLM_CACHE`, else in `biollm_widgets` under
    `$HF_HOME`, else in `~/.cache/biollm_widgets`, and only after it was checked: 65,321 rows, the two columns, 45,603
    rows of label 0 and 19,718 of label 1. Its SHA-256 is noted beside it then, and compared each time it is read.
    """
    seed = checked_seed(seed)
    if source == "simulated":
        frame = simulate_coding_dataset(CHAPTER_ROWS if size is None else size, seed)
        news.say(f"Data: {len(frame):,} SIMULATED sequences, {frame.attrs['source'].removeprefix('simulated ')}.")
        return frame
    if source not in ("auto", "chapter"):
        frame = read_labelled_csv(source)
        strange = sorted(set(frame["Target"]) - {0, 1})
        if strange:
            raise InputError(
                f"The labels of {source} hold {', '.join(map(str, strange[:5]))}; this data set has 1 for coding and 0 "
                "for non-coding."
            )
        news.say(f"Data: {len(frame):,} sequences of {source}.")
        return _sample(frame, size, seed)
    try:
        frame = load_chapter(progress=progress, offline=source == "auto" and _offline())
    except InputError as problem:
        if source == "chapter":
            raise
        frame = simulate_coding_dataset(CHAPTER_ROWS if size is None else size, seed)
        how = frame.attrs["source"].removeprefix("simulated ")
        news.say(f"Data: {len(frame):,} SIMULATED sequences, {how}, as the chapter's data set cannot be had. {problem}")
        return frame
    words = frame.attrs.pop("words", None)
    where = f", {words}" if words else f" ({frame.attrs['source']})"
    news.say(f"Data: the chapter's {len(frame):,} sequences{where}.")
    return _sample(frame, size, seed)


def read_labelled_csv(path: Union[str, os.PathLike]) -> pd.DataFrame:
    """Any CSV file with a column of sequences and a column of labels, as the two columns of the chapter.

    Columns are found by name (`DNA_sequence` or `sequence`, `Target` or `label`), in any order and among others; else
    the file has two columns, sequence first. A column that only counts the rows is left out, and a line on stderr
    says so, as it does for every repair.

    Returns
    -------
    DataFrame, shape (n, 2)
        `DNA_sequence` and `Target`, whose labels are whole numbers from 0.

    Raises
    ------
    InputError
        Naming the file and the line: missing columns, swapped columns, labels that are no whole numbers, letters that
        are no bases.
    """
    table = read_table(path)
    names = [name.strip() for name in table.header]
    sequence, label = _find(names, ("dna_sequence", "sequence")), _find(names, ("target", "label"))
    if sequence is None or label is None:
        unnamed = [number for number in range(len(names)) if not looks_like_index(table, number)]
        if sequence is not None or label is not None or len(unnamed) != 2:
            listed = ", ".join(repr(name) for name in names)
            raise InputError(
                f"{table.path} has the column{'s' * (len(names) != 1)} {listed}; it needs DNA_sequence and Target (or "
                "sequence and label)."
            )
        sequence, label = unnamed
        if table.kind(sequence) in ("number", "decimal") and table.kind(label) in ("sequence", "text"):
            raise InputError(f"The columns of {table.path} are swapped: the label comes first; put the sequence first.")
    others = [number for number in range(len(names)) if number not in (sequence, label)]
    left = [
        f"column {number + 1} ({names[number]!r}){', which only counts the rows' * looks_like_index(table, number)}"
        for number in others
    ]
    if left:
        news.say(f"Left out of {table.path}: {'; '.join(left)}.")
    labels = parse_labels(table, label)
    sequences, repairs = clean_sequences(table.column(sequence), lambda i: f"line {table.lines[i]} of {table.path}")
    for repair in repairs:
        news.say(f"In {table.path}: {repair}.")
    frame = pd.DataFrame({"DNA_sequence": sequences, "Target": np.asarray(labels, dtype=np.int64)})
    frame.attrs.update(source=str(path), simulated=False)
    return frame


def sample_rows(frame: pd.DataFrame, size: int, seed: int = 1, label_column: str = "Target") -> pd.DataFrame:
    """`size` rows in random order that keep the share of each label; the index says which rows they were.

    Raises
    ------
    InputError
        When there are fewer rows, or too few to show every label.
    """
    from sklearn.model_selection import train_test_split

    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 2 or size > len(frame):
        raise InputError(
            f"size is {size!r}; the data set has {len(frame):,} rows, so give a whole number from 2 to that."
        )
    seed = checked_seed(seed)
    labels = frame[label_column]
    classes = labels.nunique()
    if size > len(frame) - classes:
        chosen = np.random.default_rng(seed).permutation(len(frame))[:size]  # nearly all: nothing to stratify
    elif size < classes or labels.value_counts().min() < 2:
        raise InputError(f"A sample of {size} rows cannot keep the share of each of {classes} labels; take more rows.")
    else:
        chosen, _ = train_test_split(np.arange(len(frame)), train_size=size, stratify=labels, random_state=seed)
    sample = frame.iloc[chosen]
    sample.attrs = dict(frame.attrs)
    return sample


def _sample(frame: pd.DataFrame, size: Optional[int], seed: int) -> pd.DataFrame:
    return frame if size is None else sample_rows(frame, size, seed)


def _find(names: list[str], wanted: tuple[str, ...]) -> Optional[int]:
    lower = [name.lower() for name in names]
    return next((lower.index(name) for name in wanted if name in lower), None)


def _offline() -> bool:
    """Whether the person, or grading, said to stay off the web."""
    switches = os.environ.get("HF_HUB_OFFLINE", ""), os.environ.get("BIOLLM_MODELS", "")
    return switches[0].lower() in {"1", "true", "yes", "on"} or switches[1].lower() == "embedded"
