"""What a Trainer tells no callback: samples, tokens and the confusion matrix; and the trainer left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_trainer import Rows, encoded, rows, same, tiny_model, weights
from transformers import BertConfig, BertForSequenceClassification

from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2ForMaskedLM
from biollm_widgets.runs.counting import Counter, confusion_of, is_classifier, logits_alone

EVERY = {"eval_strategy": "steps", "eval_steps": 6, "max_steps": 6}


def truth(trainer: Any, classes: int = 2) -> list[list[int]]:
    """The matrix worked out by hand, from the logits of the model as it is now."""
    found = [[0] * classes for _ in range(classes)]
    model = trainer.model.eval()
    for row in trainer.eval_dataset:
        with torch.no_grad():
            logits = model(row["input_ids"][None], attention_mask=row["attention_mask"][None]).logits[0]
        found[int(row["labels"])][int(logits.argmax())] += 1
    return found


def trained(trainer: Any) -> Counter:
    counter = Counter(trainer)
    trainer.train()
    return counter


def test_without_metrics_a_classifier_is_counted_all_the_same(make_trainer: Any) -> None:
    trainer = make_trainer(**EVERY)
    counter = trained(trainer)
    assert counter.take_confusion() == truth(trainer) and counter.take_confusion() is None
    (logged,) = [one for one in trainer.state.log_history if "eval_loss" in one]
    assert {name for name in logged if not name.endswith(("runtime", "second"))} == {"eval_loss", "epoch", "step"}
    counter.remove()
    assert trainer.compute_metrics is None and "training_step" not in trainer.__dict__


def test_a_persons_own_metrics_stay_what_they_are(make_trainer: Any) -> None:
    def compute(found: Any) -> dict[str, float]:
        assert found.predictions.shape == (16, 2) and found.label_ids.shape == (16,)
        return {"share": float((found.predictions.argmax(1) == found.label_ids).mean())}

    trainer = make_trainer(compute_metrics=compute, **EVERY)
    counter = trained(trainer)
    matrix = np.array(counter.take_confusion())
    (logged,) = [one for one in trainer.state.log_history if "eval_share" in one]
    assert matrix.tolist() == truth(trainer) and logged["eval_share"] == np.trace(matrix) / 16
    counter.remove()
    assert trainer.compute_metrics is compute


def test_predictions_that_were_made_classes_on_the_way_are_counted(make_trainer: Any) -> None:
    trainer = make_trainer(preprocess=lambda logits, labels: logits.argmax(-1), **EVERY)
    assert trained(trainer).take_confusion() == truth(trainer)


def test_metrics_batch_by_batch_add_up(make_trainer: Any) -> None:
    seen = []

    def compute(found: Any, compute_result: bool = False) -> dict[str, float]:
        seen.append(compute_result)
        return {"batches": float(len(seen))} if compute_result else {}

    trainer = make_trainer(compute_metrics=compute, batch_eval_metrics=True, **EVERY)
    assert trained(trainer).take_confusion() == truth(trainer)
    assert seen == [False, False, False, True]


def test_batch_by_batch_without_metrics_of_ones_own_is_counted_too(make_trainer: Any) -> None:
    trainer = make_trainer(batch_eval_metrics=True, **EVERY)
    assert trained(trainer).take_confusion() == truth(trainer)


def test_hidden_states_beside_the_logits_do_not_disturb(make_trainer: Any) -> None:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=4096, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        output_hidden_states=True,
    )  # fmt: skip
    trainer = make_trainer(model=BertForSequenceClassification(config), **EVERY)
    assert trained(trainer).take_confusion() == truth(trainer)


def test_classes_that_are_neither_there_nor_said_have_rows_of_their_own(make_trainer: Any) -> None:
    trainer = make_trainer(
        model=tiny_model(num_labels=4), preprocess=lambda logits, labels: logits[:, :2].argmax(-1), **EVERY
    )
    matrix = trained(trainer).take_confusion()
    assert np.shape(matrix) == (4, 4) and np.sum(matrix) == 16 and np.sum(matrix, axis=0)[2:].sum() == 0


@pytest.mark.parametrize("kind", ["regression", "multi_label_classification"])
def test_regression_and_multi_label_have_no_matrix_and_no_metrics_put_upon_them(kind: str, make_trainer: Any) -> None:
    config = BertConfig(
        vocab_size=4096, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        problem_type=kind, num_labels=1 if kind == "regression" else 3,
    )  # fmt: skip
    inputs, labels = encoded()
    labels = labels.float() if kind == "regression" else torch.nn.functional.one_hot(labels, 3).float()
    part = Rows({name: value[:16] for name, value in inputs.items()}, labels[:16])
    seen = []
    trainer = make_trainer(
        model=BertForSequenceClassification(config), train=part, evaluate=part,
        compute_metrics=lambda found: seen.append(found.predictions.shape) or {}, **EVERY,
    )  # fmt: skip
    assert trained(trainer).take_confusion() is None and len(seen) == 1
    bare = make_trainer("bare", model=BertForSequenceClassification(config), train=part, evaluate=part, **EVERY)
    Counter(bare)
    assert bare.compute_metrics is None


def masked(places: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    batch = {name: torch.stack([place[name] for place in places]) for name in ("input_ids", "attention_mask")}
    labels = torch.where(torch.arange(16) % 4 == 1, batch["input_ids"], -100)
    return {**batch, "labels": labels}


def test_a_masked_language_model_keeps_no_predictions_for_us(make_trainer: Any) -> None:
    config = DNABert2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    trainer = make_trainer(model=DNABert2ForMaskedLM(config), collator=masked, **EVERY)
    kept = []
    step = trainer.prediction_step
    trainer.prediction_step = lambda model, inputs, only, **k: kept.append(only) or step(model, inputs, only, **k)
    counter = trained(trainer)
    assert trainer.compute_metrics is None and kept and all(kept)  # the loss alone
    assert counter.take_confusion() is None and counter.tokens > 0


def test_a_masked_language_models_own_metrics_make_no_matrix(make_trainer: Any) -> None:
    config = DNABert2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    trainer = make_trainer(
        model=DNABert2ForMaskedLM(config), collator=masked, compute_metrics=lambda _: {"seen": 1.0}, **EVERY
    )
    assert trained(trainer).take_confusion() is None
    assert any(one.get("eval_seen") == 1.0 for one in trainer.state.log_history)


def test_who_wants_the_loss_only_gets_the_loss_only(make_trainer: Any) -> None:
    trainer = make_trainer(prediction_loss_only=True, **EVERY)
    assert trained(trainer).take_confusion() is None and trainer.compute_metrics is None


def test_samples_and_tokens_are_those_of_the_batches_without_padding(make_trainer: Any) -> None:
    trainer = make_trainer(gradient_accumulation_steps=2)
    counter = trained(trainer)
    mask = encoded()[0]["attention_mask"][:24]
    assert counter.samples == 48 and counter.tokens == 2 * int(mask.sum()) < 2 * mask.numel()
    counter.clear()
    assert counter.samples == 0 and counter.tokens is None


def test_counting_changes_no_weight(make_trainer: Any) -> None:
    plain = make_trainer("plain", **EVERY)
    plain.train()
    counted = make_trainer("counted", **EVERY)
    trained(counted)
    assert same(weights(plain.model), weights(counted.model))


def test_a_step_of_a_persons_own_is_still_called_and_put_back(make_trainer: Any) -> None:
    trainer = make_trainer(max_steps=2)
    calls = []
    own = trainer.training_step

    def step(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return own(*args, **kwargs)

    trainer.training_step = step
    counter = trained(trainer)
    counter.remove()
    assert len(calls) == 2 and trainer.training_step is step


def with_hidden_states() -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=4096, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        output_hidden_states=True,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def test_where_nobody_asked_for_predictions_the_logits_alone_are_kept(make_trainer: Any) -> None:
    kept = []
    trainer = make_trainer(model=with_hidden_states(), **EVERY)
    loop = trainer.evaluation_loop
    trainer.evaluation_loop = lambda *a, **k: kept.append(loop(*a, **k)) or kept[-1]
    counter = trained(trainer)
    assert [np.shape(one.predictions) for one in kept] == [(16, 2)]
    counter.remove()
    assert trainer.preprocess_logits_for_metrics is None and trainer.compute_metrics is None


def test_who_asks_for_predictions_gets_all_of_them(make_trainer: Any) -> None:
    seen = []
    trainer = make_trainer(
        model=with_hidden_states(), compute_metrics=lambda found: seen.append(len(found.predictions)) or {}, **EVERY
    )
    trained(trainer).remove()
    assert seen == [2] and trainer.preprocess_logits_for_metrics is None
    own = make_trainer("own", preprocess=lambda logits, labels: logits.argmax(-1), **EVERY)
    before = own.preprocess_logits_for_metrics
    counter = Counter(own)
    assert own.preprocess_logits_for_metrics is before
    counter.remove()
    assert own.preprocess_logits_for_metrics is before


def test_the_logits_are_the_first_that_have_a_column_for_each_class() -> None:
    hidden, logits, column = torch.zeros(3, 5, 4), torch.zeros(3, 2), torch.zeros(3, 1)
    assert logits_alone((hidden, column, logits), None) is logits and logits_alone(logits, None) is logits
    assert logits_alone((hidden, column), None) == (hidden, column) and logits_alone(hidden, None) is hidden


@pytest.mark.parametrize("by_batch", [False, True])
def test_other_rows_that_were_evaluated_before_are_not_in_the_matrix(by_batch: bool, make_trainer: Any) -> None:
    def compute(found: Any, compute_result: bool = True) -> dict[str, float]:
        return {"seen": 1.0}

    trainer = make_trainer(compute_metrics=compute, batch_eval_metrics=by_batch, max_steps=2)
    counter = trained(trainer)
    trainer.predict(rows(0, 24))
    trainer.evaluate()
    assert counter.take_confusion() == truth(trainer)


def test_batches_whose_classes_grow_add_up(make_trainer: Any) -> None:
    trainer = make_trainer(
        model=tiny_model(num_labels=1, problem_type="regression"), compute_metrics=lambda found, compute_result: {},
        preprocess=lambda logits, labels: labels, batch_eval_metrics=True, max_steps=1,
    )  # fmt: skip
    counter = Counter(trainer)
    for labels, last in (([0, 0], False), ([1, 2], False), ([0, 1], True)):
        found = type("Found", (), {"predictions": np.array(labels), "label_ids": np.array(labels)})
        trainer.compute_metrics(found, compute_result=last)
    assert counter.take_confusion() == [[3, 0, 0], [0, 2, 0], [0, 0, 1]]


def test_batches_that_are_no_dictionaries_are_trained_on_and_not_counted(make_trainer: Any) -> None:
    def tuples(places: list[dict[str, torch.Tensor]]) -> tuple[torch.Tensor, ...]:
        return tuple(
            torch.stack([place[name] for place in places]) for name in ("input_ids", "attention_mask", "labels")
        )

    trainer = make_trainer(collator=tuples, max_steps=2)
    trainer.compute_loss = lambda model, inputs, *a, **k: model(
        input_ids=inputs[0], attention_mask=inputs[1], labels=inputs[2]
    )["loss"]
    trainer.floating_point_ops = lambda inputs: 0
    assert trained(trainer).samples == 0 and trainer.state.global_step == 2


def test_counting_that_fails_is_told_and_the_training_goes_on(make_trainer: Any, monkeypatch: Any) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("biollm_widgets.runs.counting.confusion_of", broken)
    monkeypatch.setattr(Counter, "_count", broken)
    told: list[Exception] = []
    trainer = make_trainer(**EVERY)
    counter = Counter(trainer, told.append)
    trainer.train()
    assert trainer.state.global_step == 6 and len(told) == 7 and counter.take_confusion() is None


class TestConfusionOf:
    """The matrix from what an evaluation found."""

    def test_logits_and_classes(self) -> None:
        logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
        assert confusion_of(logits, np.array([0, 1, 1])).tolist() == [[1, 0], [1, 1]]
        assert confusion_of(np.array([0, 1, 0]), np.array([0, 1, 1]), 3).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]

    def test_tensors_of_any_precision(self) -> None:
        logits = torch.tensor([[2.0, 1.0], [0.0, 1.0]], dtype=torch.bfloat16)
        assert confusion_of(logits, torch.tensor([0, 1])).tolist() == [[1, 0], [0, 1]]

    @pytest.mark.parametrize(
        ("predictions", "labels"),
        [
            (np.zeros((3, 2)), np.array([0.5, 1.0, 2.0])),
            (np.zeros((3, 2)), np.array([0, -100, 1])),
            (np.zeros((3, 2)), np.zeros((3, 2), dtype=int)),
            (np.zeros((3, 1)), np.array([0, 1, 0])),
            (np.zeros((2, 2)), np.array([0, 1, 0])),
            (np.zeros(3), np.array([0, 1, 0])),
            (np.zeros((3, 2)), np.array([], dtype=int)),
            (np.zeros((3, 2)), (np.array([0, 1, 0]), np.array([0, 1, 0]))),
            (np.zeros((3, 2)), None),
            (np.zeros((3, 4, 2)), np.array([0, 1, 0])),
            (np.zeros((3, 101)), np.array([0, 1, 0])),
        ],
        ids=[
            *("fractions", "ignored", "many", "one-column", "other-length", "fractions-said", "none"),
            *("two-kinds", "no-labels", "tokens", "a-vocabulary"),
        ],
    )
    def test_what_is_no_classification_has_none(self, predictions: Any, labels: Any) -> None:
        assert confusion_of(predictions, labels) is None


def test_which_models_are_classifiers(shared_data: Path) -> None:
    assert is_classifier(tiny_model()) and not is_classifier(tiny_model(num_labels=1))
    config = DNABert2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    assert not is_classifier(DNABert2ForMaskedLM(config)) and not is_classifier(torch.nn.Linear(2, 2))
    assert rows(0, 4)[0]["labels"].ndim == 0
