"""Splits share no sequence, keep the share of labels, and come back from their files; bad files are refused."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest

from biollm_widgets.dna.audit import audit
from biollm_widgets.dna.splits import read_splits, split_dataset, write_splits
from biollm_widgets.errors import InputError
from biollm_widgets.sequences import reverse_complement


@pytest.fixture(scope="module")
def ecoli(shared_data):
    return pd.read_csv(shared_data / "ecoli_coding_noncoding.csv")


def random_table(rows=60, seed=0):
    rng = np.random.default_rng(seed)
    sequences = ["".join(rng.choice(list("ACGT"), size=20)) for _ in range(rows)]
    return pd.DataFrame({"sequence": sequences, "label": np.arange(rows) % 3})


def write_folder(folder, train, dev=None, test=None):
    for name, text in (("train", train), ("dev", dev or train), ("test", test or train)):
        (folder / f"{name}.csv").write_text(text)
    return folder


ROWS = "ACGTACGTAA,0\nTTGCAATTGC,1\nGGGTTTAACC,0\nCATCATCATG,1\n"
GOOD = "sequence,label\n" + ROWS


def test_the_chapters_sizes_give_exactly_those_parts_stratified_and_disjoint(ecoli):
    splits = split_dataset(ecoli, (600, 150, 250), seed=1)
    assert [len(frame) for _, frame in splits.items()] == [600, 150, 250]
    seen = [set(frame["sequence"]) for _, frame in splits.items()]
    assert [len(part) for part in seen] == [600, 150, 250]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
    for _, frame in splits.items():
        assert frame["label"].mean() == pytest.approx(ecoli["Target"].mean(), abs=0.005)
        # the index leads back to the row of the table
        assert (ecoli.loc[frame.index, "DNA_sequence"] == frame["sequence"]).all()
        assert (ecoli.loc[frame.index, "Target"] == frame["label"]).all()
    assert audit(splits) == []


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(ecoli):
    one, same, other = (split_dataset(ecoli, (600, 150, 250), seed=seed) for seed in (1, 1, 2))
    for (_, a), (_, b), (_, c) in zip(one.items(), same.items(), other.items(), strict=True):
        assert a.equals(b)
        assert set(a.index) != set(c.index)


def test_fractions_use_every_row(ecoli):
    splits = split_dataset(ecoli, (0.7, 0.1, 0.2))
    assert sum(len(frame) for _, frame in splits.items()) == len(ecoli)
    assert splits.report["rows_not_used"] == 0
    assert len(splits.test) == round(0.2 * len(ecoli))


def test_duplicates_are_kept_once_and_contradictions_not_at_all():
    table = random_table()
    again = table.iloc[[0, 1, 1]].assign(sequence=lambda frame: frame["sequence"].str.lower())  # same after cleaning
    against = table.iloc[[5]].assign(label=lambda frame: (frame["label"] + 1) % 3)
    splits = split_dataset(pd.concat([table, again, against], ignore_index=True), (0.6, 0.2, 0.2))
    everything = pd.concat([frame for _, frame in splits.items()])["sequence"]
    assert everything.is_unique
    assert set(everything) == set(table["sequence"]) - {table["sequence"][5]}
    assert splits.report["duplicate_rows_dropped"] == 3
    assert splits.report["contradictory_rows_dropped"] == 2
    assert splits.report["contradictory_sequences"] == 1
    assert "Left out: 3 duplicate rows, 2 rows" in splits.summary()


def test_reverse_complements_are_duplicates_only_on_request():
    table = random_table()
    turned = table.assign(sequence=[reverse_complement(sequence) for sequence in table["sequence"]])
    both = pd.concat([table, turned], ignore_index=True)
    assert split_dataset(both).report["duplicate_rows_dropped"] == 0
    splits = split_dataset(both, reverse_complements=True)
    assert splits.report["duplicate_rows_dropped"] == len(table)
    assert [finding.kind for finding in audit(splits)] == []
    assert "strand leak" in [finding.kind for finding in audit(split_dataset(both))]


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((600, 150, 250), "the table has 60 different sequences"),
        ((0.7, 0.2, 0.2), "add up to 1.1"),
        ((40, 0.1, 10), "not a mix"),
        ((40, 10), "three numbers"),
        ((40, 10, 0), "above 0"),
        ((40, 10, 2), "cannot each show all 3 labels"),
        ("many", "three numbers"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, words):
    with pytest.raises(InputError, match=words):
        split_dataset(random_table(), sizes)


def test_bad_tables_are_refused_by_row_and_column():
    table = random_table()
    with pytest.raises(InputError, match="row 7 of the table, position 1, 'Z' is no base"):
        split_dataset(table.assign(sequence=[*table["sequence"][:7], "ZACGT", *table["sequence"][8:]]))
    with pytest.raises(InputError, match="no label column 'klass'"):
        split_dataset(table, label_column="klass")
    with pytest.raises(InputError, match="Which columns"):
        split_dataset(table.rename(columns={"label": "x"}).assign(y=1))
    with pytest.raises(InputError, match="0 to 2 without a gap"):
        split_dataset(table.assign(label=table["label"] * 2))
    with pytest.raises(InputError, match="at least two labels"):
        split_dataset(table.assign(label=0))
    with pytest.raises(InputError, match="whole numbers"):
        split_dataset(table.assign(label=table["label"].replace({2: np.nan})))
    with pytest.raises(InputError, match="no rows"):
        split_dataset(table.iloc[:0])


def test_written_files_are_what_the_trainer_reads_and_come_back_the_same(ecoli, tmp_path):
    splits = write_splits(ecoli, tmp_path / "deep" / "data", (600, 150, 250), seed=3)
    lines = (tmp_path / "deep" / "data" / "train.csv").read_text().splitlines()
    assert lines[0] == "sequence,label" and len(lines) == 601
    assert lines[1] == f"{splits.train['sequence'].iloc[0]},{splits.train['label'].iloc[0]}"
    again = read_splits(tmp_path / "deep" / "data")
    for (_, a), (_, b) in zip(splits.items(), again.items(), strict=True):
        assert a.reset_index(drop=True).equals(b)
    assert again.num_labels == 2 and not again.paired
    assert again.report == splits.report
    assert sorted(path.name for path in (tmp_path / "deep" / "data").iterdir()) == [
        "dev.csv",
        "splits.json",
        "test.csv",
        "train.csv",
    ]


def test_a_second_run_replaces_the_first(ecoli, tmp_path):
    write_splits(ecoli, tmp_path, (600, 150, 250), seed=1)
    first = (tmp_path / "test.csv").read_text()
    write_splits(ecoli, tmp_path, (600, 150, 250), seed=2)
    assert (tmp_path / "test.csv").read_text() != first
    assert read_splits(tmp_path).report["seed"] == 2


def test_all_files_appear_or_none(tmp_path, monkeypatch):
    real, written = pd.DataFrame.to_csv, []

    def fails_on_the_third(self, path, **options):
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        return real(self, path, **options)

    monkeypatch.setattr(pd.DataFrame, "to_csv", fails_on_the_third)
    with pytest.raises(OSError):
        write_splits(random_table(), tmp_path / "data")
    assert len(written) == 3
    assert list((tmp_path / "data").iterdir()) == []


def test_the_report_is_not_believed_after_a_file_was_changed(tmp_path):
    write_splits(random_table(), tmp_path)
    text = (tmp_path / "dev.csv").read_text()
    (tmp_path / "dev.csv").write_text(text + "ACGTACGT,1\n")
    report = read_splits(tmp_path).report
    assert "seed" not in report and report["parts"]["dev"]["rows"] == text.count("\n")


def test_simulated_stays_simulated_through_the_files(tmp_path):
    table = random_table()
    table.attrs.update(simulated=True, source="simulated by a test")
    write_splits(table, tmp_path)
    again = read_splits(tmp_path)
    assert again.simulated and "SIMULATED" in again.summary()
    assert "SIMULATED" in audit(again)[0]
    assert json.loads((tmp_path / "splits.json").read_text())["source"] == "simulated by a test"


def test_an_unset_variable_in_the_folder_name_is_found(monkeypatch):
    monkeypatch.delenv("SCRATCH", raising=False)
    with pytest.raises(InputError, match="environment variable that is not set"):
        write_splits(random_table(), f"{os.environ.get('SCRATCH')}/sample_data")
    with pytest.raises(InputError, match="environment variable that is not set"):
        write_splits(random_table(), "$SCRATCH/sample_data")


def test_splitting_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="split already"):
        write_splits(split_dataset(random_table()), tmp_path, sizes=(0.5, 0.2, 0.3))


def test_column_names_do_not_matter_and_pairs_are_legal(tmp_path):
    splits = read_splits(write_folder(tmp_path, "foo,bar\n" + ROWS))
    assert list(splits.train.columns) == ["sequence", "label"] and splits.train["label"].tolist() == [0, 1, 0, 1]
    pairs = "a,b,c\nACGTAC,TTGCAA,0\nGGGTTT,CATCAT,1\nACGTAA,TTGCAC,1\n"
    splits = read_splits(write_folder(tmp_path, pairs))
    assert splits.paired and list(splits.train.columns) == ["sequence1", "sequence2", "label"]
    assert splits.train["sequence2"].tolist() == ["TTGCAA", "CATCAT", "TTGCAC"]


def test_an_index_column_is_not_taken_for_a_pair(ecoli, tmp_path):
    data = ecoli.rename(columns={"DNA_sequence": "sequence", "Target": "label"}).sample(50, random_state=0)
    for name in ("train", "dev", "test"):
        data.to_csv(tmp_path / f"{name}.csv")  # index=False forgotten
    with pytest.raises(InputError, match=r"3 columns and the first \(''\) only counts the rows.*index=False"):
        read_splits(tmp_path)
    data.rename_axis("number").to_csv(tmp_path / "train.csv")  # a name of its own does not hide it
    with pytest.raises(InputError, match=r"\('number'\) only counts the rows"):
        read_splits(tmp_path)


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ("label,sequence\n0,ACGTACGTAA\n1,TTGCAATTGC\n", "swapped"),
        ("a,b\n1,0\n2,1\n", "no column of sequences"),
        ("sequence\nACGTACGTAA\nACGTACGTAC\n", "has 1 column"),
        ("sequence,label,note\nACGTACGTAA,0,x\nACGTACGTAC,1,y\n", "has 3 columns"),
        ("sequence,label,score\nACGTACGTAA,0,3\nACGTACGTAC,1,5\n", "has 3 columns"),
        (GOOD.replace("GC,1", "GC,2"), "0 to 2"),
        ("sequence,label\nACGTACGTAA,1\nACGTACGTAC,2\n", "0 to 1 without a gap"),
        ("sequence,label\nACGTACGTAA,0\nACGTACGTAC,0\n", "at least two labels"),
        ("sequence,label\nACGTACGTAA,coding\nACGTACGTAC,non\n", "line 2 of .*train.csv .*'coding'"),
        ("sequence,label\nACGTACGTAA,0\nACGTACEFLQ,1\n", "line 3 of .*train.csv, position 7, 'E' is no base"),
        ("sequence,label\nACGTACGTAA,0\n,1\n", "line 3 of .* is empty"),
    ],
)
def test_what_the_trainer_would_misread_is_refused(tmp_path, train, words):
    if "0 to 2" in words:
        train = train.replace("TG,1", "TG,3")
        words = "0 to 2 without a gap"
    with pytest.raises(InputError, match=words):
        read_splits(write_folder(tmp_path, train))


def test_a_label_that_train_never_shows_is_refused_with_its_rows(tmp_path):
    with pytest.raises(InputError, match=r"test.csv has label 2 in 1 row, and train.csv never shows it"):
        read_splits(write_folder(tmp_path, GOOD, test=GOOD + "ACGTTTTTTT,2\n"))


def test_parts_of_different_layout_are_refused(tmp_path):
    with pytest.raises(InputError, match="do not fit together"):
        read_splits(write_folder(tmp_path, GOOD, dev="a,b,c\nACGTAC,TTGCAA,0\nGGGTTT,CATCAT,1\n"))


def test_a_missing_file_or_folder_is_named(tmp_path):
    (tmp_path / "train.csv").write_text(GOOD)
    (tmp_path / "valid.csv").write_text(GOOD)
    with pytest.raises(InputError, match=r"dev.csv and test.csv are missing: .* has only train.csv, valid.csv"):
        read_splits(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_splits(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a file"):
        read_splits(tmp_path / "train.csv")


def test_repairs_are_noted_by_file(tmp_path):
    splits = read_splits(write_folder(tmp_path, GOOD, dev=GOOD.lower()))
    assert splits.dev["sequence"].tolist() == splits.train["sequence"].tolist()
    assert splits.notes == ("dev.csv: 4 of 4 sequences turned to upper case.",)
