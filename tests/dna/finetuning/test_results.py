"""The metrics are DNABERT-2's trainer's, and the report says what they are worth."""

from __future__ import annotations

import numpy as np
import pytest

from biollm_widgets.dna.finetuning.results import FinetuneResult, majority, metrics_of, scores


def test_the_chapters_confusion_matrix_gives_the_chapters_numbers():
    labels = np.array([0] * 173 + [1] * 77)
    predicted = np.array([0] * 149 + [1] * 24 + [0] * 52 + [1] * 25)
    found = scores(predicted, labels)
    assert found["accuracy"] == 0.696
    assert found["f1"] == pytest.approx(0.5968084203378321, abs=1e-15)
    assert found["matthews_correlation"] == pytest.approx(0.2162526926317811, abs=1e-15)
    assert found["precision"] == pytest.approx(0.6257488069854807, abs=1e-15)
    assert found["recall"] == pytest.approx(0.5929735004879513, abs=1e-15)
    always = majority(np.array([0, 0, 1]), labels)
    assert (always["label"], always["accuracy"], always["matthews_correlation"]) == (0, 0.692, 0.0)


def test_the_loss_is_the_mean_cross_entropy():
    logits = np.array([[2.0, 0.0], [0.0, 1000.0]], dtype=np.float32)
    assert metrics_of(logits, np.array([0, 1]))["loss"] == pytest.approx(np.log(1 + np.exp(-2)) / 2)


def test_the_summary_says_that_the_tested_weights_are_younger_than_the_run():
    metrics = dict.fromkeys(
        ["eval_accuracy", "eval_f1", "eval_matthews_correlation", "eval_precision", "eval_recall", "eval_loss"], 0.696
    )
    result = FinetuneResult(
        metrics={**metrics, "epoch": 5.0},
        step=200,
        epoch=200 / 75,
        planned_steps=375,
        planned_epochs=5.0,
        last_step=375,
        checkpoint="output/checkpoint-200",
        best_of=True,
        evaluations=[{"step": 200, "eval_loss": 0.5}],
        planned_evaluations=1,
        majority=majority(np.array([0, 0, 1]), np.array([0] * 173 + [1] * 77)),
        rows={"test": 250},
    )
    text = result.summary()
    assert "Accuracy is 1 sequence better than always saying 0." in text
    assert "checkpoint-200, step 200 of 375 (epoch 2.67 of 5)" in text
    assert "the only evaluation on dev.csv" in text
    assert "saw 2.7 epochs; the epoch in eval_results.json, 5," in text
