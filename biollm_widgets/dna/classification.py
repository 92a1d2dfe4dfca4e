"""Frozen embeddings and labels in, classifiers and an honest comparison out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import numpy as np

from biollm_widgets import recall
from biollm_widgets.dna.baselines import kmer_frequencies
from biollm_widgets.dna.comparison import (
    CONTROL,
    EMBEDDING,
    LOGISTIC,
    MAJORITY,
    NAIVE_BAYES,
    NOTHING,
    Classification,
    Score,
)
from biollm_widgets.dna.seeds import checked_seed
from biollm_widgets.errors import InputError
from biollm_widgets.scores import SCORES, accuracy, bootstrap, confusion, interval, macro_f1, mcc

STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # C of the logistic regression, smaller is smoother; chosen by cross-validation
TUNING_ROWS = 5_000  # enough to choose C by; more only costs time


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

    seed = checked_seed(seed)
    features = {EMBEDDING: _matrix(embeddings, "embeddings")}
    n = len(features[EMBEDDING])
    targets = _labels(labels, n)
    classes = int(targets.max()) + 1
    if control is not None:
        features[CONTROL] = _matrix(control, "control embeddings")
        _same_number(n, len(features[CONTROL]), "control embeddings")
    if sequences is not None:
        sequences = list(sequences)
        _same_number(n, len(sequences), "sequences")
        for k in kmers:
            features[f"{k}-mer frequencies"] = kmer_frequencies(sequences, k)

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
                features=key[0],
                classifier=key[1],
                accuracy=float(accuracy(matrix)),
                mcc=float(mcc(matrix)),
                macro_f1=float(macro_f1(matrix)),
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
        notes=_notes(sequences, train, test),
        models={kind: fitted[EMBEDDING, kind][0] for kind in (NAIVE_BAYES, LOGISTIC)},
    )
    mine = mcc(draws[EMBEDDING, result.best.classifier])
    for name in features:
        if name != EMBEDDING:
            other = max((score for score in scores if score.features == name), key=lambda score: score.mcc)
            theirs = mcc(draws[name, other.classifier])
            result.differences[other.name] = (result.best.mcc - other.mcc, *interval(mine - theirs))
    return result


def _fit(kind: str, features: np.ndarray, labels: np.ndarray, seed: int) -> tuple[Any, dict[str, Any]]:
    """A fitted classifier, and what was chosen on the way."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
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
        model.set_params(**_strength(model, features[rows], labels[rows], folds, seed))
    strength = model.get_params()["logisticregression__C"]
    return model.fit(features, labels), {"C": strength}


def _strength(model: Any, features: np.ndarray, labels: np.ndarray, folds: int, seed: int) -> dict[str, float]:
    """The parameters that cross-validation finds best; from where they are kept, for a class that asks the same."""
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    name = ""
    if recall.place() is not None:
        name = recall.key("strength", list(STRENGTHS), folds, seed, features, labels)
        known = recall.value(name)
        if known is not None:
            return known
    search = GridSearchCV(
        model,
        {"logisticregression__C": list(STRENGTHS)},
        scoring="neg_log_loss",
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
        refit=False,
    ).fit(features, labels)
    if name:
        recall.keep_value(name, search.best_params_)
    return search.best_params_


def _same_number(n: int, found: int, what: str) -> None:
    if found != n:
        raise InputError(f"There are {n:,} embeddings and {found:,} {what}; give one for each sequence.")


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
    if (matrix == matrix[0]).all():
        raise InputError(f"All {len(matrix):,} rows of the {what} are the same; embed the sequences anew.")
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
            f"test_size {test_size!r} of {n:,} rows leaves {max(n - rows, 0):,} to learn from and {min(rows, n):,} to "
            f"test on; both need every one of the {classes} labels."
        )
    return rows


def _notes(sequences: Optional[list[str]], train: np.ndarray, test: np.ndarray) -> list[str]:
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
