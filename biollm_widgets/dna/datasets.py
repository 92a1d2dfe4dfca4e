"""The coding and non-coding data set of the lesson: downloaded once and checked, a file of one's own, or simulated."""

from __future__ import annotations

import csv
import io
import os
from http.client import HTTPException
from pathlib import Path
from typing import Optional, Union
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd

from biollm_widgets import news
from biollm_widgets.dna.labelled import IS_DNA, clean_sequences, looks_like_index, parse_labels, read_table
from biollm_widgets.dna.seeds import checked_seed
from biollm_widgets.dna.simulate import simulate_coding_dataset
from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file

# Adapted by TACC from https://www.kaggle.com/datasets/adnanyaramis/coding-noncoding-dna-sequences.
CHAPTER_URL = (
    "https://raw.githubusercontent.com/TACC/life_sciences_ml_at_tacc/refs/heads/main/docs/section5/files/"
    "Coding_NonCoding_DNA_Sequences.csv"
)
CHAPTER_ROWS = 65_321
CHAPTER_LABELS = {0: 45_603, 1: 19_718}  # as the chapter prints them
COLUMNS = ["DNA_sequence", "Target"]

TIMEOUT = 20.0  # seconds without a byte from the server
LARGEST = 500_000_000  # bytes; the real file is far below, and an endless answer must not fill the memory


def load_coding_dataset(
    source: Union[str, os.PathLike] = "auto", *, size: Optional[int] = None, seed: int = 1, progress: bool = True
) -> pd.DataFrame:
    """Sequences that are coding (1) or not (0): the chapter's data set, or what stands in for it.

    One line on stderr says which it is.

    Parameters
    ----------
    source
        - `"auto"`: the chapter's data set from the cache or the web; when neither can be had, a simulated one.
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
    The download is kept in `$BIOLLM_CACHE`, else in `biollm_widgets` under `$HF_HOME`, else in
    `~/.cache/biollm_widgets`, and only after it was checked: 65,321 rows, the two columns, 45,603 rows of label 0
    and 19,718 of label 1.
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
    news.say(f"Data: the chapter's {len(frame):,} sequences ({frame.attrs['source']}).")
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


def load_chapter(
    url: Optional[str] = None, timeout: float = TIMEOUT, progress: bool = True, offline: bool = False
) -> pd.DataFrame:
    """The chapter's data set from the cache, else from `url`, and then into the cache.

    Raises
    ------
    InputError
        When it is not in the cache and cannot be downloaded whole, or is not the data set that the chapter describes.
    """
    url = url or CHAPTER_URL
    cached = cache_folder() / url.rsplit("/", 1)[-1]
    if cached.is_file():
        try:
            frame = check_chapter(cached.read_bytes(), str(cached))
            frame.attrs["source"] = str(cached)
            return frame
        except (InputError, OSError) as problem:
            news.say(f"The copy {cached} is no good ({problem}) and is downloaded anew.")
    if offline:
        raise InputError(
            "It is not in the cache, and HF_HUB_OFFLINE or BIOLLM_MODELS keeps off the web; unset that to download it."
        )
    content = download(url, timeout, progress)
    frame = check_chapter(content, url)
    frame.attrs["source"] = url
    try:
        with whole_file(cached) as path:
            path.write_bytes(content)
    except (InputError, OSError) as problem:
        news.say(f"The download is not kept for the next time: {problem} BIOLLM_CACHE names another folder.")
    return frame


def cache_folder() -> Path:
    """Where downloads are kept: `$BIOLLM_CACHE`, `$HF_HOME/biollm_widgets` or `~/.cache/biollm_widgets`.

    On a cluster HF_HOME is already where large files belong, away from a home with a small quota.
    """
    if os.environ.get("BIOLLM_CACHE"):
        return Path(os.environ["BIOLLM_CACHE"]).expanduser()
    if os.environ.get("HF_HOME"):
        return Path(os.environ["HF_HOME"]).expanduser() / "biollm_widgets"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "biollm_widgets"


def download(url: str, timeout: float = TIMEOUT, progress: bool = True) -> bytes:
    """The whole content of `url`.

    Raises
    ------
    InputError
        When the server cannot be reached, refuses, stops in the middle or sends nothing for `timeout` seconds.
    """
    from tqdm.auto import tqdm

    remedy = "check the connection, or give the path of a CSV file, or 'simulated'."
    try:
        with urlopen(Request(url, headers={"User-Agent": "biollm-widgets"}), timeout=timeout) as answer:
            announced = answer.headers.get("Content-Length")
            total = int(announced) if announced and announced.isdigit() else None
            content = io.BytesIO()
            with tqdm(
                total=total, unit="B", unit_scale=True, desc="Downloading", disable=not progress, leave=False
            ) as bar:
                while chunk := answer.read(1 << 16):
                    content.write(chunk)
                    bar.update(len(chunk))
                    if content.tell() > LARGEST:
                        raise InputError(f"{url} sends more than {LARGEST:,} bytes; that is not the data set.")
    except HTTPError as problem:
        raise InputError(f"{url} answers {problem.code} ({problem.reason}); {remedy}") from problem
    except TimeoutError as problem:
        raise InputError(f"{url} sent nothing for {timeout:g} seconds; {remedy}") from problem
    except URLError as problem:
        if isinstance(problem.reason, TimeoutError):
            raise InputError(f"{url} sent nothing for {timeout:g} seconds; {remedy}") from problem
        raise InputError(f"{url} cannot be reached ({problem.reason}); {remedy}") from problem
    except (OSError, ValueError, HTTPException) as problem:
        if isinstance(problem, InputError):
            raise
        raise InputError(f"{url} cannot be downloaded ({problem}); {remedy}") from problem
    if total is not None and content.tell() != total:
        raise InputError(f"{url} stopped after {content.tell():,} of {total:,} bytes; try again.")
    return content.getvalue()


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
