"""What a comparison of classifiers found: scores on the same test rows, as a table, as text and as sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from biollm_widgets.errors import InputError
from biollm_widgets.scores import SCORES, per_class

NAIVE_BAYES, LOGISTIC, MAJORITY = "naive Bayes", "logistic regression", "majority class"
EMBEDDING, CONTROL, NOTHING = "embedding", "random weights", "nothing"


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
            f"The embedding does best with {best.classifier}: accuracy {best.accuracy:.3f}, MCC {best.mcc:.2f} "
            f"(95 % interval {low:.2f} to {high:.2f})."
        ]
        for name, (difference, low, high) in self.differences.items():
            if low > 0:
                verdict = "is better than"
            elif high < 0:
                verdict = "is worse than"
            else:
                verdict = "cannot be told apart from"
            sentences.append(
                f"On these {len(self.test_rows):,} test rows it {verdict} {name}: MCC {difference:+.2f} "
                f"({low:+.2f} to {high:+.2f})."
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
