"""Scores of a classifier from its confusion matrix, and how far they would move with another test set as large."""

from __future__ import annotations

from typing import Any

import numpy as np

_CELLS_AT_ONCE = 1 << 23  # weights drawn in one go; bounds the memory for a large test set


def confusion(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Rows of each true label (down) by predicted label (across), (classes, classes) int64."""
    cells = np.asarray(true, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def accuracy(matrix: np.ndarray) -> np.ndarray:
    """The share on the diagonal; `matrix` is (..., classes, classes), as for all scores here."""
    return np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum(axis=(-2, -1))


def mcc(matrix: np.ndarray) -> np.ndarray:
    """Matthews' correlation coefficient for any number of classes; 0 where all predictions, or all labels, are one.

    The multi-class form is Gorodkin's R_K (2004, doi:10.1016/j.compbiolchem.2004.09.006); scikit-learn gives the same.
    """
    matrix = np.asarray(matrix, dtype=float)
    true, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)  # (..., classes)
    total = matrix.sum(axis=(-2, -1))
    together = np.trace(matrix, axis1=-2, axis2=-1) * total - (true * predicted).sum(axis=-1)
    spread = (total**2 - (true**2).sum(axis=-1)) * (total**2 - (predicted**2).sum(axis=-1))
    return np.where(spread > 0, together / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)


def macro_f1(matrix: np.ndarray) -> np.ndarray:
    """The plain mean of each class's F1; a class that is neither there nor predicted counts 0."""
    return per_class(matrix)["f1"].mean(axis=-1)


def per_class(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall, F1 (0 where undefined) and support of each class, (..., classes) each."""
    matrix = np.asarray(matrix, dtype=float)
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    support, said = matrix.sum(axis=-1), matrix.sum(axis=-2)
    return {
        "precision": hits / np.maximum(said, 1),
        "recall": hits / np.maximum(support, 1),
        "f1": 2 * hits / np.maximum(support + said, 1),
        "support": support,
    }


SCORES = {"accuracy": accuracy, "mcc": mcc, "macro_f1": macro_f1}


def bootstrap(
    true: np.ndarray, predictions: dict[Any, np.ndarray], classes: int, resamples: int, seed: int
) -> dict[Any, np.ndarray]:
    """Confusion matrices of `resamples` test sets drawn with replacement from the one there is.

    All classifiers see the same draws, so differences between two of them are paired.

    Parameters
    ----------
    true
        Labels of the test rows, (n,).
    predictions
        The predicted labels of each classifier, (n,).

    Returns
    -------
    dict
        For each key of `predictions` an array (resamples, classes, classes).
    """
    n = len(true)
    # Which cell of the confusion matrix each row falls into, as 0 and 1: (n, classes ** 2). A resampled matrix is then
    # one matrix product with how often each row was drawn.
    cells = {
        name: np.eye(classes * classes, dtype=np.float32)[np.asarray(true) * classes + np.asarray(predicted)]
        for name, predicted in predictions.items()
    }
    found: dict[Any, list[np.ndarray]] = {name: [] for name in predictions}
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS_AT_ONCE // n)
    for first in range(0, resamples, step):
        count = min(step, resamples - first)
        drawn = rng.integers(n, size=(count, n)) + np.arange(count)[:, None] * n
        weights = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n).astype(np.float32)
        for name, cell in cells.items():
            found[name].append(weights @ cell)
    return {name: np.concatenate(parts).reshape(-1, classes, classes) for name, parts in found.items()}


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of the values (percentile bootstrap, Efron 1979)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
