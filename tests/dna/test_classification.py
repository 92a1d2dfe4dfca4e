"""Classifiers on frozen embeddings: known numbers on real windows, honest intervals, and sentences that are true."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
)
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from biollm_widgets import scores as metrics
from biollm_widgets.dna.baselines import kmer_counts, kmer_frequencies, kmer_names
from biollm_widgets.dna.classification import classify
from biollm_widgets.errors import InputError


@pytest.fixture(scope="module")
def ecoli(shared_data):
    return pd.read_csv(shared_data / "ecoli_coding_noncoding.csv")


@pytest.fixture(scope="module")
def projected(ecoli):
    """Something shaped like an embedding that knows about the labels: 4-mer shares seen through a random matrix."""
    shares = kmer_frequencies(ecoli["DNA_sequence"].tolist(), 4)
    return (shares @ np.random.default_rng(0).normal(size=(256, 24))).astype(np.float32)


@pytest.fixture(scope="module")
def result(ecoli, projected):
    noise = np.random.default_rng(1).normal(size=(len(ecoli), 8))
    return classify(projected, ecoli["Target"], ecoli["DNA_sequence"], control=noise, kmers=(3,))


def toy(rows=200, classes=2, width=4, apart=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    return rng.normal(size=(rows, width)) + apart * labels[:, None], labels


# k-mers


def test_kmers_are_counted_as_by_hand():
    sequences = ["ACGTACG", "acgu", "ACNGT", "AC", "", "NNNN", "A"]
    names = kmer_names(2)
    counts = kmer_counts(sequences, 2)
    assert counts.shape == (7, 16)
    for sequence, row in zip(sequences, counts, strict=True):
        text = sequence.upper().replace("U", "T")
        words = [text[i : i + 2] for i in range(len(text) - 1)]
        assert row.tolist() == [words.count(name) for name in names]


@pytest.mark.parametrize("k", [1, 3, 4, 6])
def test_counting_in_pieces_gives_the_same_as_one_by_one(k, monkeypatch):
    from biollm_widgets.dna import baselines

    rng = np.random.default_rng(k)
    sequences = ["".join(rng.choice(list("ACGTN"), size=size)) for size in rng.integers(0, 60, size=40)]
    one_by_one = np.concatenate([kmer_counts([sequence], k) for sequence in sequences])
    monkeypatch.setattr(baselines, "_AT_ONCE", 500)
    assert (kmer_counts(sequences, k) == one_by_one).all()
    assert kmer_counts([], k).shape == (0, 4**k)


def test_shares_of_kmers_sum_to_one_and_to_zero_where_there_is_no_kmer():
    assert kmer_frequencies(["ACGTTG", "AC", "NNNNN"], 3).sum(axis=1).tolist() == pytest.approx([1, 0, 0])


@pytest.mark.parametrize("k", [0, 9, 2.5, True])
def test_a_k_that_cannot_be_counted_is_refused(k):
    with pytest.raises(InputError, match="k is"):
        kmer_counts(["ACGT"], k)


def test_one_sequence_that_is_not_in_a_list_is_refused():
    with pytest.raises(InputError, match="list"):
        kmer_counts("ACGT")


# metrics


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_scores_are_those_of_scikit_learn(classes):
    rng = np.random.default_rng(classes)
    true, guess = rng.integers(classes, size=(2, 90))
    guess[:40] = true[:40]
    matrix = metrics.confusion(true, guess, classes)
    assert (matrix == confusion_matrix(true, guess)).all()
    assert metrics.accuracy(matrix) == pytest.approx(accuracy_score(true, guess))
    assert metrics.mcc(matrix) == pytest.approx(matthews_corrcoef(true, guess))
    assert metrics.macro_f1(matrix) == pytest.approx(f1_score(true, guess, average="macro"))
    ours = metrics.per_class(matrix)
    for name, theirs in zip(ours, precision_recall_fscore_support(true, guess), strict=True):
        assert ours[name] == pytest.approx(theirs)


def test_always_saying_one_label_has_no_correlation():
    assert metrics.mcc(np.array([[7, 0], [3, 0]])) == 0
    assert metrics.mcc(np.array([[10, 0], [0, 0]])) == 0


def test_the_bootstrap_is_that_of_a_loop_over_resampled_rows():
    rng = np.random.default_rng(0)
    true, guess = rng.integers(2, size=(2, 300))
    guess[:200] = true[:200]
    draws = metrics.mcc(metrics.bootstrap(true, {"x": guess}, 2, 3_000, seed=1)["x"])
    again = []
    for _ in range(3_000):
        rows = rng.integers(300, size=300)
        again.append(metrics.mcc(metrics.confusion(true[rows], guess[rows], 2)))
    assert metrics.interval(draws) == pytest.approx(metrics.interval(np.array(again)), abs=0.02)
    assert draws.mean() == pytest.approx(np.mean(again), abs=0.01)


def test_the_bootstrap_in_pieces_pairs_classifiers_and_keeps_the_size(monkeypatch):
    true = np.arange(50) % 2
    monkeypatch.setattr(metrics, "_CELLS_AT_ONCE", 50 * 7)
    draws = metrics.bootstrap(true, {"right": true, "wrong": 1 - true, "right again": true}, 2, 100, seed=3)
    assert draws["right"].shape == (100, 2, 2) and (draws["right"].sum(axis=(1, 2)) == 50).all()
    assert (draws["right"] == draws["right again"]).all()
    assert (draws["right"][:, 0, 0] == draws["wrong"][:, 0, 1]).all()
    assert len(np.unique(draws["right"][:, 0, 0])) > 5


# classify


@pytest.mark.parametrize(("k", "bayes", "logistic"), [(3, 0.72, 0.81), (4, 0.77, 0.86)])
def test_kmer_baselines_have_the_known_scores_on_the_real_windows(ecoli, k, bayes, logistic):
    """k-mer frequencies (counts over the sequence's sum); logistic regression on columns scaled to variance 1."""
    found = classify(np.zeros((len(ecoli), 1)) + ecoli[["Target"]], ecoli["Target"], ecoli["DNA_sequence"], kmers=(k,))
    assert len(found.test_rows) == 963
    assert found[f"{k}-mer frequencies", "naive Bayes"].mcc == pytest.approx(bayes, abs=0.01)
    assert found[f"{k}-mer frequencies", "logistic regression"].mcc == pytest.approx(logistic, abs=0.02)
    majority = found["nothing", "majority class"]
    assert (majority.accuracy, majority.mcc) == (pytest.approx(0.70, abs=0.001), 0)


def test_naive_bayes_and_the_split_are_those_of_the_chapter(ecoli, projected, result):
    features = projected.astype(np.float64)
    parts = train_test_split(features, ecoli["Target"], test_size=0.3, stratify=ecoli["Target"], random_state=1)
    expected = GaussianNB().fit(parts[0], parts[2]).predict(parts[1])
    score = result["embedding", "naive Bayes"]
    assert (score.predicted == expected).all()
    assert (ecoli["Target"].to_numpy()[result.test_rows] == parts[3].to_numpy()).all()
    assert not set(result.test_rows) & set(result.train_rows)
    assert len(result.train_rows) + len(result.test_rows) == len(ecoli)


def test_the_logistic_regression_is_scaled_and_its_strength_was_the_best_of_four(ecoli, projected, result):
    score = result["embedding", "logistic regression"]
    strength = score.details["C"]
    assert strength in (0.001, 0.01, 0.1, 1.0)
    rows, labels = result.train_rows, ecoli["Target"].to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2_000))
    model.fit(projected[rows].astype(float), labels[rows])
    assert (model.predict(projected[result.test_rows].astype(float)) == score.predicted).all()


def test_the_report_has_the_numbers_of_the_chapters_report(ecoli, result):
    score = result["embedding", "naive Bayes"]
    true = ecoli["Target"].to_numpy()[result.test_rows]
    theirs = classification_report(true, score.predicted, output_dict=True)
    ours = score.to_dict()
    for label in ("0", "1"):
        for key in ("precision", "recall", "support"):
            assert ours["labels"][label][key] == pytest.approx(theirs[label][key])
    assert score.accuracy == pytest.approx(theirs["accuracy"])
    text = score.report()
    assert f"{theirs['0']['precision']:.2f}" in text and f"MCC {score.mcc:.3f}" in text
    assert all(str(count) in text for count in score.confusion.ravel())


def test_intervals_hold_the_score_and_shrink_with_more_test_rows():
    embeddings, labels = toy(rows=2_000, apart=0.7)
    small, large = (classify(embeddings, labels, test_size=size) for size in (100, 1_600))
    widths = []
    for found in (small, large):
        for score in found.scores:
            for name, (low, high) in score.intervals.items():
                assert low <= getattr(score, name) <= high
        low, high = found["embedding", "naive Bayes"].intervals["mcc"]
        widths.append(high - low)
    assert 2.5 < widths[0] / widths[1] < 6.5  # the root of 16 is 4


def test_the_same_seed_gives_the_same_result(ecoli, projected):
    few = slice(0, 300)
    one, same, other = (classify(projected[few], ecoli["Target"][few], seed=seed).to_dict() for seed in (1, 1, 2))
    assert one == same
    assert one["scores"] != other["scores"]


def test_the_finding_follows_the_numbers(result):
    best = result.best
    assert best.features == "embedding"
    assert best.mcc == max(score.mcc for score in result.scores if score.features == "embedding")
    words = result.finding()
    difference, low, _ = (
        result.differences["random weights, naive Bayes"]
        if ("random weights, naive Bayes" in result.differences)
        else result.differences["random weights, logistic regression"]
    )
    assert low > 0 and difference == pytest.approx(best.mcc, abs=0.1)  # noise knows nothing
    assert "is better than random weights" in words
    name = next(name for name in result.differences if "3-mer" in name)
    difference, low, high = result.differences[name]
    assert low <= difference <= high
    expected = "better" if low > 0 else "worse" if high < 0 else "cannot be told apart"
    assert expected in words.split("random weights")[-1]
    assert result.notes == []


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        ((0.05, 0.02, 0.08), "it is better than x: MCC +0.05 (+0.02 to +0.08)"),
        ((0.05, -0.02, 0.12), "it cannot be told apart from x: MCC +0.05 (-0.02 to +0.12)"),
        ((-0.05, -0.12, 0.02), "it cannot be told apart from x"),
        ((-0.05, -0.08, -0.02), "it is worse than x"),
    ],
)
def test_better_and_worse_are_said_only_when_the_interval_leaves_zero_out(result, difference, words):
    assert words in replace(result, differences={"x": difference}).finding()


def test_an_embedding_that_knows_less_than_kmers_is_said_to_be_worse(ecoli):
    noise = np.random.default_rng(0).normal(size=(len(ecoli), 4))
    found = classify(noise, ecoli["Target"], ecoli["DNA_sequence"])
    assert "is worse than 3-mer frequencies" in found.finding()
    assert "is no more than always saying 0" in found.finding()


def test_without_sequences_there_is_a_note_and_no_kmer_row():
    found = classify(*toy())
    assert [score.features for score in found.scores] == ["embedding", "embedding", "nothing"]
    assert "no k-mer baseline" in found.notes[0] and found.notes[0] in found.summary()


def test_sequences_learned_from_are_counted(ecoli, projected):
    rows = list(range(200)) * 2
    found = classify(projected[rows], ecoli["Target"].to_numpy()[rows], ecoli["DNA_sequence"].to_numpy()[rows])
    sequences = ecoli["DNA_sequence"].to_numpy()[rows]
    leaked = np.isin(sequences[found.test_rows], sequences[found.train_rows]).sum()
    assert leaked > 50 and found.notes[0].startswith(f"{leaked} of 120 test rows")


def test_frame_and_json_hold_every_score(result):
    frame = result.to_frame()
    assert len(frame) == len(result.scores) == 7
    assert {"features", "classifier", "mcc", "mcc_low", "mcc_high", "accuracy", "macro_f1"} <= set(frame.columns)
    again = json.loads(json.dumps(result.to_dict()))
    assert [row["mcc"] for row in again["scores"]] == pytest.approx(frame["mcc"].tolist())
    for score in result.scores:
        assert f"{score.mcc:5.3f}" in result.summary()
    with pytest.raises(KeyError, match="naive Bayes"):
        result["embedding", "oracle"]


def test_one_sequence_is_classified_as_by_the_fitted_models(ecoli, projected, result):
    row = result.test_rows[5]
    one = result.predict(projected[row])
    assert len(one) == 1
    for name in ("naive Bayes", "logistic regression"):
        assert one[name][0] == result["embedding", name].predicted[5]
        assert 0.5 <= one[f"{name} probability"][0] <= 1
    many = result.predict(projected[result.test_rows])
    assert (many["naive Bayes"].to_numpy() == result["embedding", "naive Bayes"].predicted).all()
    with pytest.raises(InputError, match="learned from 24 columns"):
        result.predict(np.zeros(23))
    with pytest.raises(InputError, match="finite"):
        result.predict(np.full(24, np.nan))


def test_three_labels_work():
    embeddings, labels = toy(rows=300, classes=3, apart=3.0)
    found = classify(embeddings, labels)
    assert found.best.confusion.shape == (3, 3) and found.best.mcc > 0.8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"embeddings": np.zeros((200, 0))}, "have shape"),
        ({"embeddings": np.zeros(200)}, "have shape"),
        ({"embeddings": np.ones((200, 3))}, "All 200 rows of the embeddings are the same"),
        ({"embeddings": [["a"] * 3] * 200}, "no table of numbers"),
        ({"embeddings": np.full((200, 2), np.inf)}, "Row 0 of the embeddings"),
        ({"labels": [0, 1] * 99}, "labels of shape"),
        ({"labels": [0] * 200}, "All 200 labels are 0"),
        ({"labels": [0.5] + [1] * 199}, "Label 0"),
        ({"labels": ["coding"] * 200}, "no numbers"),
        ({"labels": [0, 2] * 100}, "without a gap"),
        ({"labels": [0] + [1] * 199}, "there once only"),
        ({"sequences": ["ACGT"] * 3}, "200 embeddings and 3 sequences"),
        ({"control": np.eye(3)}, "200 embeddings and 3 control"),
        ({"test_size": 0}, "test_size"),
        ({"test_size": 1.5}, "whole number"),
        ({"test_size": 200}, "leaves 0 to learn"),
        ({"test_size": 0.999}, "leaves 0 to learn"),
    ],
)
def test_what_cannot_be_classified_is_refused(change, words):
    embeddings, labels = toy()
    with pytest.raises(InputError, match=words):
        classify(**{"embeddings": embeddings, "labels": labels, **change})
