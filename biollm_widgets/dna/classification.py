"""Frozen embeddings and labels in, classifiers and an honest comparison out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

import numpy as np
import pandas as pd

from biollm_widgets.dna.baselines import kmer_frequencies
from biollm_widgets.dna.metrics import SCORES, bootstrap, confusion, interval, per_class
from biollm_widgets.errors import InputError

NAIVE_BAYES, LOGISTIC, MAJORITY = "naive Bayes", "logistic regression", "majority class"
EMBEDDING, CONTROL, NOTHING = "embedding", "random weights", "nothing"
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # C of the logistic regression, smaller is smoother; chosen by cross-validation
TUNING_ROWS = 5_000  # enough to choose C by; more only costs time


@dataclass(frozen=True, eq=False)
class Score:
    """One classifier on one kind of features, scored on the test rows.

    Attributes
    ----------
    features, classifier
        Such as "embedding" and "naive Bayes".
    accuracy, mcc, macro_f1
        Scores on the test rows; `train_accuracy` on the rows it learned from.
    intervals
        For each score the 95 % bootstrap interval: how far it would move with another test set as large. It does not
        hold what another training set would change.
    confusion
        True label down, predicted label across, (classes, classes).
    predicted
        The label given to each test row.
    """

    features: str
    classifier: str
    accuracy: float
    mcc: float
    macro_f1: float
    train_accuracy: float
    intervals: dict[str, tuple[float, float]]
    confusion: np.ndarray
    predicted: np.ndarray
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Features and classifier in a few words."""
        return self.classifier if self.features == NOTHING else f"{self.features}, {self.classifier}"

    def report(self) -> str:
        """Precision, recall, F1 and support of each label, and the confusion matrix, as text."""
        table = per_class(self.confusion)
        lines = [f"{self.name}", f"{'label':>12s} precision  recall      F1  support     predicted as"]
        for label in range(len(self.confusion)):
            counts = "  ".join(f"{count:6d}" for count in self.confusion[label])
            lines.append(
                f"{label:12d} {table['precision'][label]:9.2f} {table['recall'][label]:7.2f} {table['f1'][label]:7.2f} "
                f"{int(table['support'][label]):8d}     {counts}"
            )
        lines.append(f"{'accuracy':>12s} {self.accuracy:9.3f}   macro F1 {self.macro_f1:.3f}   MCC {self.mcc:.3f}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers and lists, for JSON."""
        table = per_class(self.confusion)
        labels = {
            str(label): {key: float(value[label]) for key, value in table.items()}
            for label in range(len(self.confusion))
        }
        return {
            "features": self.features,
            "classifier": self.classifier,
            **{score: getattr(self, score) for score in SCORES},
            "train_accuracy": self.train_accuracy,
            "intervals_95": {score: list(ends) for score, ends in self.intervals.items()},
            "labels": labels,
            "confusion": self.confusion.tolist(),
            **self.details,
        }


@dataclass(frozen=True, eq=False)
class Classification:
    """What `classify` found: all scores on the same test rows, and the fitted classifiers.

    Attributes
    ----------
    scores
        The embedding's first, then the control's, the k-mers' and the majority class.
    differences
        MCC of the embedding's better classifier minus that of each other row, with its paired 95 % interval.
    train_rows, test_rows
        Which rows of the input were learned from and scored, as positions from 0.
    notes
        What a careful reader should know, a sentence each.
    """

    scores: list[Score]
    differences: dict[str, tuple[float, float, float]]
    train_rows: np.ndarray
    test_rows: np.ndarray
    seed: int
    notes: list[str]
    models: dict[str, Any] = field(repr=False, default_factory=dict)

    def __getitem__(self, key: tuple[str, str]) -> Score:
        """The score of `(features, classifier)`, such as `result["embedding", "naive Bayes"]`."""
        for score in self.scores:
            if (score.features, score.classifier) == key:
                return score
        raise KeyError(f"{key}; there are {[(score.features, score.classifier) for score in self.scores]}")

    @property
    def best(self) -> Score:
        """The better of the embedding's classifiers, by MCC."""
        return max((score for score in self.scores if score.features == EMBEDDING), key=lambda score: score.mcc)

    def predict(self, embeddings: np.ndarray) -> pd.DataFrame:
        """Labels of further sequences, given their embeddings, by the classifiers fitted on the training rows.

        Parameters
        ----------
        embeddings
            (n, hidden), or (hidden,) for one sequence, made with the same model and pooling.

        Returns
        -------
        DataFrame, n rows
            For each classifier the label (its name) and how sure it is (its name and " probability"). Naive Bayes
            takes the embedding's columns for independent and is far too sure of itself.
        """
        width = self.models[NAIVE_BAYES].n_features_in_
        found = np.atleast_2d(np.asarray(embeddings, dtype=np.float64))
        if found.ndim != 2 or found.shape[1] != width:
            raise InputError(
                f"The embeddings are of shape {np.shape(embeddings)}; the classifiers learned from {width} columns, so "
                "embed the sequences with the same model."
            )
        if not np.isfinite(found).all():
            raise InputError("The embeddings hold values that are not finite numbers; embed the sequences anew.")
        columns = {}
        for name, model in self.models.items():
            shares = model.predict_proba(found)
            columns[name] = model.classes_[shares.argmax(axis=1)]
            columns[f"{name} probability"] = shares.max(axis=1)
        return pd.DataFrame(columns)

    def to_frame(self) -> pd.DataFrame:
        """One row a classifier: features, classifier, scores with the ends of their 95 % intervals."""
        rows = []
        for score in self.scores:
            row: dict[str, Any] = {"features": score.features, "classifier": score.classifier}
            for key in SCORES:
                row[key] = getattr(score, key)
                row[f"{key}_low"], row[f"{key}_high"] = score.intervals[key]
            rows.append({**row, "train_accuracy": score.train_accuracy})
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the fitted classifiers and the row numbers, for JSON."""
        return {
            "train_rows": len(self.train_rows),
            "test_rows": len(self.test_rows),
            "seed": self.seed,
            "scores": [score.to_dict() for score in self.scores],
            "mcc_differences": {
                name: {"difference": values[0], "interval_95": list(values[1:])}
                for name, values in self.differences.items()
            },
            "best": self.best.name,
            "finding": self.finding(),
            "notes": self.notes,
        }

    def finding(self) -> str:
        """What the numbers say, in sentences."""
        best, majority = self.best, self[NOTHING, MAJORITY]
        low, high = best.intervals["mcc"]
        sentences = [
            f"The embedding does best with {best.classifier}: MCC {best.mcc:.2f} (95 % interval {low:.2f} to {high:.2f}), "
            f"accuracy {best.accuracy:.3f}."
        ]
        for name, (difference, low, high) in self.differences.items():
            if low > 0:
                verdict = "better than"
            elif high < 0:
                verdict = "worse than"
            else:
                verdict = "not told apart from"
            sentences.append(
                f"That is {verdict} {name} (MCC difference {difference:+.2f}, {low:+.2f} to {high:+.2f} on the same "
                f"{len(self.test_rows):,} test rows)."
            )
        for score in self.scores:
            if score.features == EMBEDDING and score.accuracy <= majority.accuracy:
                sentences.append(
                    f"The accuracy of {score.classifier}, {score.accuracy:.3f}, is no more than always saying "
                    f"{majority.predicted[0]} gives, {majority.accuracy:.3f}."
                )
        return " ".join(sentences)

    def summary(self) -> str:
        """A table of all scores, the finding, and the notes, as text."""
        width = max(len(score.name) for score in self.scores)
        lines = [
            f"{len(self.train_rows):,} rows to learn from, {len(self.test_rows):,} to test on "
            f"(stratified, seed {self.seed}); in brackets 95 % bootstrap intervals.",
            "",
            f"{'':{width}s}  accuracy               MCC                    macro F1",
        ]
        for score in self.scores:
            cells = []
            for key in ("accuracy", "mcc", "macro_f1"):
                low, high = score.intervals[key]
                cells.append(f"{getattr(score, key):5.3f} [{low:6.3f}, {high:5.3f}]")
            lines.append(f"{score.name:{width}s}  {'  '.join(cells)}")
        return "\n".join([*lines, "", self.finding(), *self.notes])


def classify(
    embeddings: np.ndarray,
    labels: Sequence[int],
    sequences: Optional[Sequence[str]] = None,
    *,
    control: Optional[np.ndarray] = None,
    test_size: Union[float, int] = 0.3,
    seed: int = 1,
    kmers: Sequence[int] = (3,),
    resamples: int = 2_000,
) -> Classification:
    """Learn labels from frozen embeddings, and say whether that beats what needs no language model.

    Gaussian naive Bayes takes the embedding as it is, as the chapter does. Logistic regression scales each column to
    mean 0 and variance 1 on the training rows and chooses its strength C among 0.001, 0.01, 0.1 and 1 by five-fold
    cross-validated log-loss on (at most 5,000 of) the training rows. Beside them, on the same split: always saying
    the commonest label, both classifiers on k-mer frequencies, and both on the control.

    Parameters
    ----------
    embeddings
        One row a sequence, (n, hidden).
    labels
        n whole numbers, 0 to classes - 1.
    sequences
        The n sequences, for the k-mer baselines and to count test sequences that were learned from.
    control
        Embeddings of the same sequences by the same network with random weights, (n, any width): what pretraining
        adds is the difference to these.
    test_size
        Share of the rows (0 to 1), or their number, that is kept for testing; 0.3 in the chapter.
    seed
        Of the split (`random_state`, 1 in the chapter), of the cross-validation and of the bootstrap.
    kmers
        Which k to count; `(3, 4)` for both 3-mers and 4-mers. Needs `sequences`.
    resamples
        Bootstrap draws.

    Raises
    ------
    InputError
        When the numbers of rows differ, a value is not finite, labels are not 0, 1, ..., or a part of the split
        cannot hold every label.
    """
    from sklearn.model_selection import train_test_split

    features = {EMBEDDING: _matrix(embeddings, "embeddings")}
    n = len(features[EMBEDDING])
    targets = _labels(labels, n)
    classes = int(targets.max()) + 1
    if control is not None:
        features[CONTROL] = _matrix(control, "control embeddings")
    if sequences is not None:
        sequences = list(sequences)
        if len(sequences) == n:
            for k in kmers:
                features[f"{k}-mer frequencies"] = kmer_frequencies(sequences, k)
        features["sequences"] = np.empty((len(sequences), 0))  # for the check of lengths below
    for name, matrix in features.items():
        if len(matrix) != n:
            raise InputError(
                f"There are {n:,} embeddings and {len(matrix):,} rows of {name}; give one for each sequence."
            )
    features.pop("sequences", None)

    tested = _test_rows(test_size, n, classes)
    train, test = train_test_split(np.arange(n), test_size=tested, stratify=targets, random_state=seed)

    fitted: dict[tuple[str, str], tuple[Any, dict[str, Any]]] = {}
    predictions: dict[tuple[str, str], np.ndarray] = {}
    train_accuracy: dict[tuple[str, str], float] = {}
    for name, matrix in features.items():
        for kind in (NAIVE_BAYES, LOGISTIC):
            model, details = _fit(kind, matrix[train], targets[train], seed)
            fitted[name, kind] = model, details
            predictions[name, kind] = model.predict(matrix[test])
            train_accuracy[name, kind] = float((model.predict(matrix[train]) == targets[train]).mean())
    commonest = int(np.bincount(targets[train]).argmax())
    predictions[NOTHING, MAJORITY] = np.full(len(test), commonest)
    train_accuracy[NOTHING, MAJORITY] = float((targets[train] == commonest).mean())

    draws = bootstrap(targets[test], predictions, classes, resamples, seed)
    scores = []
    for key, predicted in predictions.items():
        matrix = confusion(targets[test], predicted, classes)
        scores.append(
            Score(
                *key,
                **{score: float(of(matrix)) for score, of in SCORES.items()},
                train_accuracy=train_accuracy[key],
                intervals={score: interval(of(draws[key])) for score, of in SCORES.items()},
                confusion=matrix,
                predicted=predicted,
                details=fitted[key][1] if key in fitted else {},
            )
        )
    result = Classification(
        scores=scores,
        differences={},
        train_rows=train,
        test_rows=test,
        seed=seed,
        notes=_notes(sequences, train, test, len(features)),
        models={kind: fitted[EMBEDDING, kind][0] for kind in (NAIVE_BAYES, LOGISTIC)},
    )
    mine = SCORES["mcc"](draws[EMBEDDING, result.best.classifier])
    for name in features:
        if name != EMBEDDING:
            other = max((score for score in scores if score.features == name), key=lambda score: score.mcc)
            theirs = SCORES["mcc"](draws[name, other.classifier])
            result.differences[other.name] = (result.best.mcc - other.mcc, *interval(mine - theirs))
    return result


def _fit(kind: str, features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[Any, dict[str, Any]]:
    """A fitted classifier, and what was chosen on the way."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if kind == NAIVE_BAYES:
        return GaussianNB().fit(features, labels), {}
    model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTHS[1], max_iter=2_000))
    folds = min(5, int(np.bincount(labels).min()))
    if folds >= 2:
        rows = np.arange(len(labels))
        if len(rows) > TUNING_ROWS:
            rows, _ = train_test_split(rows, train_size=TUNING_ROWS, stratify=labels, random_state=seed)
        search = GridSearchCV(
            model,
            {"logisticregression__C": list(STRENGTHS)},
            scoring="neg_log_loss",
            cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
            refit=False,
        ).fit(features[rows], labels[rows])
        model.set_params(**search.best_params_)
    strength = model.get_params()["logisticregression__C"]
    return model.fit(features, labels), {"C": strength}


def _matrix(values: Any, what: str) -> np.ndarray:
    """A table of finite numbers as float64, (n, width)."""
    try:
        matrix = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise InputError(
            f"The {what} are no table of numbers ({problem}); give an array (sequences, hidden)."
        ) from problem
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(f"The {what} have shape {matrix.shape}; give an array (sequences, hidden).")
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(bad):
        raise InputError(
            f"Row {bad[0]} of the {what} holds a value that is no finite number ({len(bad):,} rows do); embed the "
            "sequences anew, in float32."
        )
    return matrix


def _labels(labels: Sequence[int], n: int) -> np.ndarray:
    """The labels as int64 0 to classes - 1, each at least twice."""
    try:
        numbers = np.asarray(labels, dtype=float)
    except (TypeError, ValueError) as problem:
        raise InputError(f"The labels are no numbers ({problem}); give whole numbers from 0.") from problem
    if numbers.ndim != 1 or len(numbers) != n:
        raise InputError(f"There are {n:,} embeddings and labels of shape {numbers.shape}; give one for each sequence.")
    wrong = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.round(numbers)) | (numbers < 0))
    if len(wrong):
        raise InputError(f"Label {wrong[0]} (from 0) is {labels[wrong[0]]!r}; labels are whole numbers from 0.")
    found, counts = np.unique(numbers.astype(np.int64), return_counts=True)
    if len(found) < 2:
        raise InputError(f"All {n:,} labels are {found[0]}; a classifier needs at least two different ones.")
    if found[-1] != len(found) - 1:
        raise InputError(f"The labels are {found[:8].tolist()}; number them 0 to {len(found) - 1} without a gap.")
    if counts.min() < 2:
        raise InputError(
            f"Label {found[counts.argmin()]} is there once only; it cannot be in both parts: give more rows."
        )
    return numbers.astype(np.int64)


def _test_rows(test_size: Union[float, int], n: int, classes: int) -> int:
    """How many rows are tested on; a share is rounded up, as scikit-learn does."""
    if isinstance(test_size, bool) or not np.isfinite(test_size) or test_size <= 0:
        raise InputError(f"test_size is {test_size!r}; give a share between 0 and 1 or a number of rows.")
    rows = int(np.ceil(test_size * n)) if test_size < 1 else int(test_size)
    if rows != test_size and test_size >= 1:
        raise InputError(f"test_size is {test_size!r}; above 1 it has to be a whole number of rows.")
    if rows < classes or n - rows < classes:
        raise InputError(
            f"test_size {test_size!r} leaves {max(n - rows, 0):,} rows to learn from and {min(rows, n):,} to test on, of "
            f"{n:,}; both need every one of the {classes} labels."
        )
    return rows


def _notes(sequences: Optional[list[str]], train: np.ndarray, test: np.ndarray, kinds: int) -> list[str]:
    notes = []
    if sequences is None:
        notes.append("No sequences were given, so there is no k-mer baseline: a score alone says little.")
    else:
        known = {sequences[i] for i in train}
        leaked = sum(1 for i in test if sequences[i] in known)
        if leaked:
            notes.append(
                f"{leaked:,} of {len(test):,} test rows have a sequence that was learned from too: scores are too good."
            )
    return notes
