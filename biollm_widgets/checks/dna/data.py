"""Checks of the units on the data: a fair sample, and the files that a trainer reads."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from biollm_widgets.checks import inputs
from biollm_widgets.checks.ground import Case, Mistake, check_of, told

SAMPLE = "unit 4, “The data”"
FILES = "unit 7, “Splits and files”"


@check_of(
    "dna.sample",
    3,
    "a function take_sample(frame, n, seed)",
    SAMPLE,
    {
        "size": Mistake("Another number of rows is taken than asked for.", "The sample has exactly n rows."),
        "columns": Mistake(
            "The table has other columns than before; an index that became a column, or a helper that stayed.",
            "Give back the columns DNA_sequence and Target.",
            0.5,
        ),
        "unseeded": Mistake(
            "Each call takes other rows, so that nobody can take the same again.",
            "Hand the seed on: random_state=seed.",
            0.25,
        ),
        "one_seed": Mistake(
            "The seed is written into the function: each seed takes the same rows.", "Use the parameter `seed`.", 0.5
        ),
        "head": Mistake(
            "The first rows are taken; a file is often sorted, and this one is.", "Draw rows from all of the table."
        ),
        "unstratified": Mistake(
            "The classes have other shares than in the table; whether they agree is left to luck.",
            "Draw from each class as many rows as its share asks for (stratify=, or groupby and sample).",
            0.25,
        ),
        "balanced": Mistake(
            "Both classes get the same number of rows; that is another question than the one the table asks.",
            "Keep the table's own shares.",
            0.25,
        ),
        "replacement": Mistake(
            "Rows are put back after they are drawn, so that some come twice.", "Draw without replacement.", 0.25
        ),
        "copies": Mistake(
            "Sequences that stand in the table twice can be drawn twice.",
            "Drop the duplicates before you draw.",
            0.5,
        ),
        "changes": Mistake(
            "The table that was handed in is changed, and who calls the function has another one afterwards.",
            "Work on a copy.",
            0.5,
        ),
        "invented": Mistake(
            "There are rows that the table does not have.", "Take whole rows: sequence and label stay together."
        ),
    },
)
def take_sample(case: Case, answer: Any) -> None:
    """Of sorted tables with copies in them."""
    import pandas as pd

    for _ in range(case.rounds):
        rows, share = int(case.rng.integers(260, 400)), float(case.rng.uniform(0.2, 0.4))
        frame = inputs.labelled(case.rng, rows, share, copies=rows // 3)
        n, seed = int(case.rng.integers(60, 90)), int(case.rng.integers(1, 1000))
        before = frame.copy()
        if not callable(answer):
            case.call(answer)
        got = case.call(answer, frame, n, seed)
        if not isinstance(got, pd.DataFrame):
            case.mistake("kind", f"It gives {told(got)}, not a DataFrame.")
        case.need(len(got) == n, "size", f"Asked for {n} rows it gives {len(got)}.")
        case.need(
            set(got.columns) == set(before.columns), "columns", f"Its columns are {', '.join(map(str, got.columns))}."
        )
        pairs = list(zip(got["DNA_sequence"], got["Target"], strict=True))
        known = set(zip(before["DNA_sequence"], before["Target"], strict=True))
        case.need(set(pairs) <= known, "invented", "Some rows are none of the table's.")
        first = list(zip(before["DNA_sequence"], before["Target"], strict=True))[:n]
        distinct = list(dict.fromkeys(zip(before["DNA_sequence"], before["Target"], strict=True)))
        case.need(
            set(pairs) not in (set(first), set(distinct[:n])), "head", f"These are the first {n} rows of the table."
        )
        again = case.call(answer, frame, n, seed)
        case.need(
            list(again["DNA_sequence"]) == list(got["DNA_sequence"]),
            "unseeded",
            "Two calls with the same seed give different rows.",
        )
        others = [case.call(answer, frame, n, seed + step) for step in (1, 2)]
        case.need(
            any(list(other["DNA_sequence"]) != list(got["DNA_sequence"]) for other in others),
            "one_seed",
            "Three seeds give the same rows.",
        )
        drawn = [got, *others]
        labels = np.array([int((one["Target"] == 1).sum()) for one in drawn])
        if (np.abs(labels - n / 2) <= 1).all():
            case.mistake("balanced", f"Of {n} rows {labels[0]} are coding; in the table {share:.0%} are.")
        twice = max(len(one) - one["DNA_sequence"].nunique() for one in drawn)
        expected = {n * (part["Target"] == 1).mean() for part in (before, before.drop_duplicates())}
        off = min(np.abs(labels - one).max() for one in expected)
        if off > 1.01:
            case.mistake(
                "unstratified", f"In three samples of {n} there are {', '.join(map(str, labels))} coding rows."
            )
        if twice:
            most = max(int(one["DNA_sequence"].value_counts().max()) for one in drawn)
            key = "replacement" if most > 2 else "copies"
            case.mistake(key, f"{twice} of {n} rows have a sequence that is in the sample already.")
        # A copy is handed to the function each time, so what it did to it shows only here.
        mine = before.copy()
        answer(mine, n, seed)
        case.need(mine.equals(before), "changes", "After the call the table that was handed in is another one.")
    case.say(
        "As many rows as asked for, no sequence twice, the table's own shares, and the same rows for the same seed."
    )


@check_of(
    "dna.files",
    4,
    "a function write_files(frame, folder, seed) that writes train.csv, dev.csv and test.csv",
    FILES,
    {
        "missing": Mistake("A file that the trainer reads is not there.", "It reads train.csv, dev.csv and test.csv."),
        "index": Mistake(
            "The table's index is written as a column; the trainer reads three columns as pairs of sequences, and says "
            "nothing.",
            "to_csv has an option for the index.",
            0.25,
        ),
        "header": Mistake(
            "The first line is no header, or the columns stand in another order: sequence first, label second.",
            "Write the columns DNA_sequence and Target, in this order, with their names.",
            0.25,
        ),
        "overlap": Mistake(
            "A sequence is in two of the files; a model that has seen it cannot be tested with it.",
            "Sequences that stand in the table twice have to be dropped before the table is cut.",
            0.25,
        ),
        "unstratified": Mistake(
            "The files have other shares of the classes; cut off at row numbers, the files are as the table is sorted.",
            "Draw each file from both classes (stratify=).",
            0.25,
        ),
        "sizes": Mistake(
            "The files have other sizes than six, one and a half, and two and a half tenths of the sequences.",
            "Of 1,000 sequences 600 are for training, 150 to choose by and 250 for the test.",
            0.5,
        ),
        "lost": Mistake("Sequences of the table are in none of the files.", "Every sequence goes into one file.", 0.5),
        "unseeded": Mistake(
            "Each call cuts the table in another way, so that nobody can do it again.", "Hand the seed on.", 0.5
        ),
        "labels": Mistake("A sequence has another label than in the table.", "Cut whole rows."),
    },
    rounds=(4, 6),
)
def write_files(case: Case, answer: Any) -> None:
    """Files of sorted tables with copies in them, read as the trainer reads them."""
    for _ in range(case.rounds):
        rows = 40 * int(case.rng.integers(5, 9))
        frame = inputs.labelled(case.rng, rows, 0.3, copies=rows // 8)
        distinct = frame.drop_duplicates()
        seed = int(case.rng.integers(1, 1000))
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "data"
            parts = _written(case, answer, frame, folder, seed)
            again = _written(case, answer, frame, Path(place) / "again", seed)
        label = dict(zip(distinct["DNA_sequence"], distinct["Target"].astype(str), strict=True))
        for name, part in parts.items():
            case.need(
                all(label.get(one) == value for one, value in zip(part.iloc[:, 0], part.iloc[:, 1], strict=True)),
                "labels",
                f"{name}: some rows are not in the table with this label.",
            )
        texts = {name: set(part.iloc[:, 0]) for name, part in parts.items()}
        for one, other in (("train.csv", "test.csv"), ("train.csv", "dev.csv"), ("dev.csv", "test.csv")):
            both = texts[one] & texts[other]
            case.need(not both, "overlap", f"{len(both)} sequences are in {one} and in {other}.")
        found = set().union(*texts.values())
        case.need(found == set(label), "lost", f"{len(label) - len(found)} of {len(label)} sequences are in no file.")
        for (name, part), share in zip(parts.items(), (0.6, 0.15, 0.25), strict=True):
            lengths = {share * len(distinct), share * len(frame)}
            case.need(
                min(abs(len(part) - one) for one in lengths) <= max(3, 0.02 * len(frame)),
                "sizes",
                f"{name} has {len(part)} rows of {len(distinct)} different ones.",
            )
            coding = float((part.iloc[:, 1].astype(str) == "1").mean())
            mean = float((distinct["Target"] == 1).mean())
            case.need(
                abs(coding - mean) <= 1.6 / len(part) + 0.01,
                "unstratified",
                f"Of {name} {coding:.0%} are coding, of the table {mean:.0%}.",
            )
        case.need(all(parts[name].equals(again[name]) for name in parts), "unseeded", "Two calls with one seed differ.")
    case.say("Three files with two columns, no sequence in two of them, the same shares, and the same cut again.")


def _written(case: Case, answer: Any, frame: Any, folder: Path, seed: int) -> dict[str, Any]:
    """The three files as tables of texts, or the mistake that they are."""
    import pandas as pd

    folder.mkdir(parents=True)
    if not callable(answer):
        case.call(answer)
    try:
        case.call(lambda *given: answer(*given) or True, frame, folder, seed)
    finally:
        names = sorted(path.name for path in folder.iterdir())
    parts: dict[str, Any] = {}
    for name in ("train.csv", "dev.csv", "test.csv"):
        if name not in names:
            case.mistake(
                "nothing" if not names else "missing", f"In the folder there is {', '.join(names) or 'nothing'}."
            )
        part = pd.read_csv(folder / name, dtype=str)
        case.need(
            len(part.columns) <= 2,
            "index",
            f"{name} has {len(part.columns)} columns: {', '.join(map(repr, part.columns))}.",
        )
        # The trainer reads by place, whatever the names are; it takes the first line for a header in any case.
        first, second = (str(one) for one in part.columns) if len(part.columns) == 2 else ("", "")
        stands = first and set(first.upper()) - set("ACGTN") and bool(part.iloc[:, 1].isin(["0", "1"]).all())
        case.need(stands, "header", f"{name} begins with {first[:20]},{second[:20]}.")
        parts[name] = part
    return parts


CHECKS = [take_sample, write_files]
