"""Leaks and contradictions are found and counted, in published benchmark files too."""

from __future__ import annotations

import pandas as pd
import pytest

from biollm_widgets.dna.audit import audit
from biollm_widgets.dna.splits import Splits, read_splits


def part(*rows):
    return pd.DataFrame(rows, columns=["sequence", "label"])


TRAIN = [("AAAACCCC", 0), ("GGGGACTT", 1), ("ATATATCC", 0)]
DEV = [("CCCCCCAA", 0), ("TTTTGAGA", 1)]
TEST = [("CATTTTTA", 0), ("GATGATGA", 1)]


def found(train=TRAIN, dev=DEV, test=TEST, **options):
    return {(f.kind, f.part): f for f in audit(Splits(part(*train), part(*dev), part(*test), **options))}


def test_clean_parts_have_no_findings():
    assert found() == {}


def test_a_published_benchmark_leaks_as_counted_by_hand(shared_data):
    folder = shared_data / "gue" / "prom_core_tata"
    findings = {(f.kind, f.part): f for f in audit(read_splits(folder))}
    train, test = (pd.read_csv(folder / f"{name}.csv") for name in ("train", "test"))
    shared = set(train["sequence"]) & set(test["sequence"])
    assert findings["leak", "test"].cases == len(shared) == 16
    assert (train.groupby("sequence")["label"].nunique() > 1).sum() == 12
    assert findings["contradiction", "train"].cases == 12
    assert "16 test sequences" in findings["leak", "test"] and "train.csv" in findings["leak", "test"]
    assert "12 train sequences (24 rows)" in findings["contradiction", "train"]


def test_a_clean_benchmark_has_no_findings(shared_data):
    assert audit(read_splits(shared_data / "gue" / "mouse_0")) == []


def test_each_kind_of_leak_is_told_apart():
    leaks = found(test=[*TEST, ("AAAACCCC", 0), ("CCCCCCAA", 0), ("AAGTCCCC", 1)])
    assert "1 test sequence (1 of 5 rows) is also in train.csv" in leaks["leak", "test"]
    assert "1 test sequence (1 of 5 rows) is also in dev.csv" in leaks["overlap", "test"]
    assert leaks["strand leak", "test"].cases == 1  # AAGTCCCC is GGGGACTT turned round


def test_contradictions_within_and_between_parts():
    within = found(train=[*TRAIN, ("AAAACCCC", 1)])
    assert within["contradiction", "train"].cases == 1 and "2 rows" in within["contradiction", "train"]
    assert ("contradiction", "all") not in within
    between = found(test=[*TEST, ("AAAACCCC", 1)])
    assert between["contradiction", "all"].cases == 1


def test_repeated_rows_and_labels_never_asked_for():
    findings = found(train=[*TRAIN, TRAIN[0]], test=TEST[:1])
    assert findings["duplicate", "train"].cases == 1
    assert "no row of label 1" in findings["missing label", "test"]


def test_pairs_leak_only_as_pairs():
    def pairs(*rows):
        return pd.DataFrame(rows, columns=["sequence1", "sequence2", "label"])

    train = pairs(("AAAA", "CCCC", 0), ("GGGG", "TTTA", 1))
    assert audit(Splits(train, pairs(("AAAA", "TTTA", 0), ("G", "C", 1)), pairs(("T", "A", 0), ("A", "T", 1)))) == []
    findings = audit(Splits(train, pairs(("AAAA", "CCCC", 0), ("G", "C", 1)), pairs(("T", "A", 0), ("A", "T", 1))))
    assert [f.kind for f in findings] == ["leak"]


def test_repairs_are_repeated_as_findings():
    assert found(notes=("dev.csv: 4 of 4 sequences turned to upper case.",))["repair", "dev"].endswith("upper case.")


def test_findings_are_plain_sentences():
    for finding in audit(Splits(part(*TRAIN, TRAIN[0]), part(*DEV, TRAIN[1]), part(*TEST, DEV[0]))):
        assert isinstance(finding, str) and finding.endswith(".") and finding.cases > 0


@pytest.mark.parametrize("name", ["dev", "test"])
def test_a_leak_is_counted_in_sequences_and_in_rows(name):
    rows = {"dev": DEV, "test": TEST}
    rows[name] = [*rows[name], TRAIN[0], TRAIN[0]]
    finding = next(f for f in audit(Splits(part(*TRAIN), part(*rows["dev"]), part(*rows["test"]))) if f.kind == "leak")
    assert finding.cases == 1 and "(2 of 4 rows)" in finding and finding.part == name
