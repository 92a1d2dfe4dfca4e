"""What a run found: the numbers of DNABERT-2's trainer, which weights they belong to, and what to hold them against."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
)

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file

# The keys of eval_results.json, in the order of DNABERT-2's trainer.
KEYS = (
    *("eval_loss", "eval_accuracy", "eval_f1", "eval_matthews_correlation", "eval_precision", "eval_recall"),
    *("eval_runtime", "eval_samples_per_second", "eval_steps_per_second", "epoch"),
)


def scores(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, macro F1, MCC, macro precision and macro recall, as DNABERT-2's trainer has them."""
    macro: dict[str, Any] = {"average": "macro", "zero_division": 0}
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "f1": float(f1_score(labels, predicted, **macro)),
        "matthews_correlation": float(matthews_corrcoef(labels, predicted)),
        "precision": float(precision_score(labels, predicted, **macro)),
        "recall": float(recall_score(labels, predicted, **macro)),
    }


def metrics_of(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Mean cross-entropy in nats, and `scores`, from logits (n, labels)."""
    rows = logits.astype(np.float64)
    rows = rows - rows.max(axis=1, keepdims=True)
    log_probability = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    loss = -float(log_probability[np.arange(len(labels)), labels].mean())
    return {"loss": loss, **scores(logits.argmax(axis=1), labels)}


def majority(train_labels: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """What always saying the commonest label of train scores on `labels`."""
    values, counts = np.unique(train_labels, return_counts=True)
    commonest = int(values[counts.argmax()])
    return {"label": commonest, **scores(np.full_like(labels, commonest), labels)}


@dataclass
class FinetuneResult:
    """The outcome of `finetune`.

    Attributes
    ----------
    metrics
        What eval_results.json holds: test.csv, with the keys of DNABERT-2's trainer; empty without a test.
    finished
        False when a callback's or a button's stop left the run to be gone on with.
    step, epoch
        Of the weights that were tested. `metrics["epoch"]` is how long the run was instead.
    planned_steps, planned_epochs
        What the command asked for.
    last_step
        Where training ended.
    checkpoint
        The checkpoint that was tested.
    model
        A folder that `DNABert2ForSequenceClassification.from_pretrained` loads; with LoRA the merged model.
    best_of
        Whether the tested weights are the best of the evaluations on dev.csv, and not the last.
    chosen_by
        The number the best was chosen by.
    evaluations
        One dictionary an evaluation on dev.csv: step, epoch and the metrics.
    planned_evaluations
        How many the plan had.
    majority
        What always saying the commonest label of train scores.
    confusion
        Test rows by true label (first index) and predicted label.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    finished: bool = True
    rung: str = "full"
    step: int = 0
    epoch: float = 0.0
    planned_steps: int = 0
    planned_epochs: float = 0.0
    last_step: int = 0
    steps_an_epoch: int = 0
    checkpoint: Optional[str] = None
    model: Optional[str] = None
    best_of: bool = False
    chosen_by: str = "eval_loss"
    evaluations: list[dict[str, float]] = field(default_factory=list)
    planned_evaluations: int = 0
    majority: dict[str, Any] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    train_seconds: float = 0.0
    results: Optional[str] = None
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self)

    def load(self) -> tuple[Any, Any]:
        """The tokenizer and the classifier whose weights were tested, on the processor and not training.

        Raises
        ------
        InputError
            When the run was stopped before it had a model, or its folder is gone.
        """
        from biollm_widgets.dna.finetuning.flags import Flags
        from biollm_widgets.dna.finetuning.rungs import load_model, load_tokenizer

        if not self.model or not Path(self.model).is_dir():
            raise InputError("This run has left no model; run the same finetune(...) to its end.")
        flags = Flags(model_name_or_path=self.model)
        labels = json.loads((Path(self.model) / "config.json").read_text(encoding="utf-8")).get("id2label", (0, 1))
        return load_tokenizer(self.model, flags), load_model(self.model, flags, len(labels)).model.eval()

    def which_weights(self) -> str:
        """Which weights were tested, in a sentence or two, and the trap where there is one."""
        where = f"step {self.step} of {self.planned_steps} (epoch {self.epoch:.2f} of {self.planned_epochs:.3g})"
        held = f"{len(self.evaluations)} of {self.planned_evaluations} planned evaluations on dev.csv took place"
        if len(self.evaluations) == 1 and self.planned_evaluations == 1:
            held = f"the only evaluation on dev.csv, at step {self.evaluations[0]['step']:.0f}"
        name = Path(self.checkpoint).name if self.checkpoint else "the weights"
        if self.best_of:
            extreme = "lowest" if self.chosen_by.endswith("loss") else "highest"
            text = f"Tested: {name}, {where}, the {extreme} {self.chosen_by} on dev.csv; {held}."
        else:
            text = f"Tested: {name}, the last weights, {where}; {held}."
        if self.metrics and self.step < self.last_step:
            text += (
                f" These weights saw {self.epoch:.1f} epochs; the epoch in eval_results.json, "
                f"{self.metrics.get('epoch', 0):g}, is the length of the run."
            )
        return text

    def summary(self) -> str:
        """The result for a person, beside always saying the commonest label."""
        if not self.finished and not self.last_step:
            return "Stopped before the first step; the same command begins again."
        if not self.finished:
            return f"Stopped at step {self.last_step} of {self.planned_steps}; the same command goes on from there."
        lines = []
        if self.metrics:
            label = self.majority["label"]
            lines.append(f"{'test.csv, ' + str(self.rows['test']) + ' sequences':30s} fine-tuned  always {label}")
            for name, words in (
                ("accuracy", "accuracy"),
                ("f1", "F1, macro"),
                ("matthews_correlation", "Matthews correlation (MCC)"),
                ("precision", "precision, macro"),
                ("recall", "recall, macro"),
            ):
                lines.append(f"  {words:28s} {self.metrics['eval_' + name]:10.3f}  {self.majority[name]:8.3f}")
            lines.append(f"  {'loss':28s} {self.metrics['eval_loss']:10.3f}")
            gained = self.metrics["eval_accuracy"] - self.majority["accuracy"]
            rows = round(gained * self.rows["test"])
            than = f"{abs(rows)} sequence{'s' * (abs(rows) != 1)} {'better' if rows > 0 else 'worse'} than"
            lines.append(f"Accuracy is {than if rows else 'just that of'} always saying {label}.")
        lines.append(self.which_weights())
        if self.model:
            lines.append(f"Model: {self.model}")
        if self.results:
            lines.append(f"Results: {self.results}/eval_results.json, run.json, predictions.csv")
        return "\n".join(lines)


def write_results(
    folder: Path, result: FinetuneResult, sequences: list[list[str]], labels: np.ndarray, logits: np.ndarray
) -> None:
    """Write `predictions.csv`, `run.json` and, last, `eval_results.json`, each when it is whole.

    eval_results.json holds the ten keys of DNABERT-2's trainer and nothing else; run.json holds the rest.
    """
    predicted = logits.argmax(axis=1)
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probability = shifted / shifted.sum(axis=1, keepdims=True)
    columns = ["sequence"] if len(sequences[0]) == 1 else ["sequence1", "sequence2"]
    with whole_file(folder / "predictions.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*columns, "label", "predicted", *(f"probability_{k}" for k in range(logits.shape[1]))])
        for texts, label, guess, row in zip(sequences, labels, predicted, probability, strict=True):
            table.writerow([*texts, int(label), int(guess), *(f"{value:.6f}" for value in row)])
    with whole_file(folder / "run.json") as path:
        path.write_text(json.dumps(result.to_dict(), indent=2) + "\n", encoding="utf-8")
    with whole_file(folder / "eval_results.json") as path:
        path.write_text(json.dumps({key: result.metrics[key] for key in KEYS}) + "\n", encoding="utf-8")


def confusion(predicted: np.ndarray, labels: np.ndarray, num_labels: int) -> list[list[int]]:
    """Counts by true label (first index) and predicted label."""
    return confusion_matrix(labels, predicted, labels=list(range(num_labels))).tolist()
