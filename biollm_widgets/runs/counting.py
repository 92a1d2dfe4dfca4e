"""What passes through a Trainer and no callback is told: samples, tokens, and which class was taken for which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional

import numpy as np
import torch

from biollm_widgets.runs.events import MOST_CLASSES


class Counter:
    """Listens to a Trainer's steps and evaluations until it is removed.

    A classifier without `compute_metrics` gets one that adds no metric: without any, the Trainer keeps no predictions.
    Of its predictions it keeps the logits alone then.

    Parameters
    ----------
    complain
        Told what went wrong with the counting, which never stops a training.
    """

    def __init__(self, trainer: Any, complain: Callable[[Exception], None] = lambda problem: None) -> None:
        self.trainer, self.complain = trainer, complain
        self._samples = 0
        self._tokens: Any = 0  # a number, or a tensor on the GPU, which is not waited for at each step
        self._matrix: Optional[np.ndarray] = None
        self._whole = True  # the matrix is that of a whole evaluation: the next one is another
        self._size = int(getattr(getattr(trainer.model, "config", None), "num_labels", 0) or 0)
        self._own_step = trainer.__dict__.get("training_step")
        self._step = trainer.training_step
        self._metrics = trainer.compute_metrics
        trainer.training_step = self._count_step
        if self._metrics is not None or (is_classifier(trainer.model) and not trainer.args.prediction_loss_only):
            trainer.compute_metrics = self._count_predictions
        # Hidden states beside the logits would be kept for all rows, where without us nothing is kept.
        self._narrowed = trainer.compute_metrics is not None and self._metrics is None
        self._narrowed = self._narrowed and trainer.preprocess_logits_for_metrics is None
        if self._narrowed:
            trainer.preprocess_logits_for_metrics = logits_alone

    def remove(self) -> None:
        """Put back what was there."""
        self.trainer.compute_metrics = self._metrics
        if self._narrowed:
            self.trainer.preprocess_logits_for_metrics = None
        if self._own_step is None:
            del self.trainer.training_step
        else:
            self.trainer.training_step = self._own_step

    def clear(self) -> None:
        """Count from here."""
        self._samples, self._tokens = 0, 0
        self.take_confusion()

    @property
    def samples(self) -> int:
        return self._samples

    @property
    def tokens(self) -> Optional[int]:
        """Without padding, where the batches say what is padding; None where there are no tokens."""
        return int(self._tokens) or None

    def take_confusion(self) -> Optional[list[list[int]]]:
        """The matrix of the last evaluation, once: rows of each true class by predicted class."""
        matrix, self._matrix, self._whole = self._matrix, None, True
        return None if matrix is None else matrix.tolist()

    def _count_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if isinstance(inputs, Mapping):  # a collator of somebody's own may make tuples
                self._count(inputs)
        except Exception as problem:
            self.complain(problem)
        return self._step(model, inputs, *args, **kwargs)

    def _count(self, inputs: Mapping[str, Any]) -> None:
        mask, ids = inputs.get("attention_mask"), inputs.get("input_ids")
        hidden = inputs.get("hidden")  # stored states of a lower layer: (B, L, C)
        first = next((one for one in (ids, hidden, mask, *inputs.values()) if torch.is_tensor(one) and one.dim()), None)
        if first is not None:
            self._samples += len(first)
        if mask is not None and mask.dim() == 2:
            self._tokens = self._tokens + mask.sum()
        elif ids is not None:
            self._tokens = self._tokens + ids.numel()
        elif hidden is not None:
            self._tokens = self._tokens + hidden.shape[0] * hidden.shape[1]

    def _count_predictions(self, found: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            self._add(confusion_of(found.predictions, found.label_ids, self._size), kwargs.get("compute_result"))
        except Exception as problem:
            self.complain(problem)
        return {} if self._metrics is None else self._metrics(found, *args, **kwargs)

    def _add(self, matrix: Optional[np.ndarray], last: Optional[bool]) -> None:
        """One call: of a whole evaluation (`last` is None), or of a batch (`batch_eval_metrics`), perhaps the last."""
        before = None if self._whole else self._matrix
        self._whole = last is None or bool(last)
        if matrix is None or before is None:
            self._matrix = matrix if matrix is not None else before
            return
        size = max(len(matrix), len(before))
        self._matrix = np.zeros((size, size), dtype=np.int64)
        for part in (before, matrix):
            self._matrix[: len(part), : len(part)] += part


def logits_alone(predictions: Any, labels: Any) -> Any:
    """The first of a model's predictions that is (rows, classes); all of them where there is none."""
    parts = predictions if isinstance(predictions, (tuple, list)) else (predictions,)
    return next((one for one in parts if torch.is_tensor(one) and one.dim() == 2 and one.shape[1] > 1), predictions)


def is_classifier(model: Any) -> bool:
    """Whether a model puts a sequence into one of several classes."""
    config = getattr(model, "config", None)
    kind = str(getattr(config, "problem_type", None) or "single_label_classification")
    inner = getattr(model, "get_base_model", lambda: model)()  # a model of peft wraps another
    named = "SequenceClassification" in type(inner).__name__ or "Classifier" in type(inner).__name__
    return named and kind == "single_label_classification" and int(getattr(config, "num_labels", 0) or 0) > 1


def confusion_of(predictions: Any, labels: Any, classes: int = 0) -> Optional[np.ndarray]:
    """Rows of each true class (down) by predicted class (across), (classes, classes); None where these are none.

    Parameters
    ----------
    predictions
        Logits (n, classes), or predicted classes (n,); the first such array of a tuple.
    labels
        True classes (n,).
    """
    labels = labels[0] if isinstance(labels, tuple) and len(labels) == 1 else labels
    parts = predictions if isinstance(predictions, (tuple, list)) else (predictions,)
    try:
        true = np.asarray(torch.as_tensor(labels).cpu() if torch.is_tensor(labels) else labels)
    except (TypeError, ValueError):
        return None
    if true.ndim != 1 or not len(true) or not np.issubdtype(true.dtype, np.integer) or true.min() < 0:
        return None
    for part in parts:
        said = part.detach().float().cpu().numpy() if torch.is_tensor(part) else np.asarray(part)
        if said.ndim == 2 and len(said) == len(true) and said.shape[1] > 1:
            size, said = said.shape[1], said.argmax(axis=1)
        elif said.ndim == 1 and len(said) == len(true) and np.issubdtype(said.dtype, np.integer):
            size = max(classes, int(said.max()) + 1)
        else:
            continue
        size = max(size, int(true.max()) + 1)
        if size > MOST_CLASSES or said.min() < 0:
            return None
        return np.bincount(true.astype(np.int64) * size + said, minlength=size * size).reshape(size, size)
    return None
