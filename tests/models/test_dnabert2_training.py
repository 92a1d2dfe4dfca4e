"""DNABERT-2 learns: losses, dropout, gradient checkpointing, the Trainer and LoRA."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import (
    DataCollatorForLanguageModeling,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from biollm_widgets.models.dnabert2 import (
    AttentionOutput,
    DNABert2Config,
    DNABert2ForMaskedLM,
    DNABert2ForSequenceClassification,
    DNABert2Model,
    Embeddings,
    GatedMLP,
    SelfAttention,
)


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


# Losses


def test_several_classes_give_cross_entropy(tiny: DNABert2Config, batch: Any) -> None:
    tiny.num_labels = 3
    model = DNABert2ForSequenceClassification(tiny).eval()
    labels = torch.tensor([2, 0, 1])
    out = model(**batch, labels=labels)
    assert out.logits.shape == (3, 3)
    assert out.loss.item() == pytest.approx(-out.logits.log_softmax(-1)[range(3), labels].mean().item(), rel=1e-5)
    assert model.config.problem_type == "single_label_classification"


@pytest.mark.filterwarnings("error:Using a target size")  # torch warns when shapes meet by accident
@pytest.mark.parametrize("rows", [3, 1])
@pytest.mark.parametrize("column", [False, True])
def test_one_number_gives_the_mean_square(tiny: DNABert2Config, batch: Any, rows: int, column: bool) -> None:
    tiny.num_labels = 1
    model = DNABert2ForSequenceClassification(tiny).eval()
    values = torch.tensor([0.5, -1.0, 3.0])[:rows]
    out = model(**{name: x[:rows] for name, x in batch.items()}, labels=values[:, None] if column else values)
    assert out.loss.item() == pytest.approx((out.logits[:, 0] - values).square().mean().item(), rel=1e-5)
    assert model.config.problem_type == "regression"


def test_several_numbers_give_the_mean_square(tiny: DNABert2Config, batch: Any) -> None:
    tiny.num_labels, tiny.problem_type = 2, "regression"
    out = (model := DNABert2ForSequenceClassification(tiny).eval())(**batch, labels=(values := torch.randn(3, 2)))
    assert out.loss.item() == pytest.approx((out.logits - values).square().mean().item(), rel=1e-5)
    assert model.config.problem_type == "regression"


def test_several_labels_at_once_give_binary_cross_entropy(tiny: DNABert2Config, batch: Any) -> None:
    tiny.num_labels = 4
    model = DNABert2ForSequenceClassification(tiny).eval()
    labels = torch.randint(0, 2, (3, 4)).float()
    out = model(**batch, labels=labels)
    chance = torch.where(labels == 1, out.logits.sigmoid(), 1 - out.logits.sigmoid())
    assert out.loss.item() == pytest.approx(-chance.log().mean().item(), rel=1e-5)
    assert model.config.problem_type == "multi_label_classification"


def test_masked_lm_loss_counts_only_what_is_asked(tiny: DNABert2Config, batch: Any) -> None:
    model = DNABert2ForMaskedLM(tiny).eval()
    labels = torch.full((3, 9), -100)
    labels[0, 2], labels[1, 4] = 7, 30
    out = model(**batch, labels=labels)
    chance = out.logits.log_softmax(-1)
    assert out.loss.item() == pytest.approx(-(chance[0, 2, 7] + chance[1, 4, 30]).item() / 2, rel=1e-5)
    plain = model(**batch, labels=labels, return_dict=False)
    assert torch.equal(plain[0], out.loss) and torch.equal(plain[1], out.logits)


def test_the_loss_is_computed_in_full_precision(tiny: DNABert2Config, batch: Any) -> None:
    model = DNABert2ForSequenceClassification(tiny).eval().bfloat16()
    assert model(**batch, labels=torch.tensor([0, 1, 1])).loss.dtype == torch.float32


# Dropout: with everything dropped, only what goes around the dropout is left


def test_dropout_stands_where_the_published_code_has_it(tiny: DNABert2Config) -> None:
    tiny.hidden_dropout_prob = 1.0
    x = torch.randn(2, 5, 24)
    assert Embeddings(tiny).train()(x).eq(0).all()
    attention = AttentionOutput(tiny).train()
    assert torch.allclose(attention(torch.randn(2, 5, 24), x), attention.LayerNorm(x))
    mlp = GatedMLP(tiny).train()
    assert torch.allclose(mlp(x), mlp.layernorm(x + mlp.wo.bias))  # before wo, and none after it


def test_attention_dropout_works_in_training_alone(tiny: DNABert2Config) -> None:
    tiny.attention_probs_dropout_prob = 0.5
    attention, x, bias = SelfAttention(tiny), torch.randn(2, 5, 24), torch.zeros(1, 3, 5, 5)
    for with_weights in (False, True):
        attention.train()
        assert not torch.equal(attention(x, bias, with_weights)[0], attention(x, bias, with_weights)[0])
        attention.eval()
        assert torch.equal(attention(x, bias, with_weights)[0], attention(x, bias, with_weights)[0])


@pytest.mark.parametrize("given, used", [(None, 0.1), (0.4, 0.4), (0.0, 0.0)])
def test_the_classifier_drops_what_its_config_says(tiny: DNABert2Config, given: Any, used: float) -> None:
    tiny.classifier_dropout = given
    assert DNABert2ForSequenceClassification(tiny).dropout.p == used


# Gradient checkpointing


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_gradient_checkpointing_changes_neither_loss_nor_gradients(
    tiny: DNABert2Config, batch: Any, reentrant: bool, dropout: float
) -> None:
    tiny.hidden_dropout_prob = dropout
    model = DNABert2ForSequenceClassification(tiny).train()
    found = []
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    model.bert.encoder.layer[0].register_forward_pre_hook(count)
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
            assert model.is_gradient_checkpointing
        torch.manual_seed(3)
        model.zero_grad()
        out = model(**batch, labels=torch.tensor([0, 1, 1]))
        out.loss.backward()
        found.append((out.loss.item(), gradients(model)))
    assert calls == 3  # once without, twice with: the layer was computed again on the way back
    assert found[0][0] == found[1][0]
    assert found[0][1].keys() == found[1][1].keys()
    for name, gradient in found[0][1].items():
        assert torch.allclose(gradient, found[1][1][name], atol=1e-6), name
    model.gradient_checkpointing_disable()
    assert not model.is_gradient_checkpointing


def test_every_weight_gets_a_gradient(tiny: DNABert2Config, batch: Any) -> None:
    model = DNABert2ForSequenceClassification(tiny).train()
    model(**batch, labels=torch.tensor([0, 1, 1])).loss.backward()
    assert gradients(model).keys() == dict(model.named_parameters()).keys()
    assert all(gradient.abs().sum() > 0 for gradient in gradients(model).values())


def test_it_learns_a_pattern_by_heart(tiny: DNABert2Config, batch: Any) -> None:
    tiny.initializer_range = 0.02
    model = DNABert2ForMaskedLM(tiny).train()
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = model(**batch, labels=labels).loss
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3 < math.log(64)


# Trainer


def rows(tokenizer: PreTrainedTokenizerBase, shared_data: Path, n: int) -> list[dict[str, Any]]:
    """The first n real sequences, cut to 12 tokens; every other one coding."""
    lines = (shared_data / "ecoli_coding_noncoding.csv").read_text().splitlines()[1:]
    found = []
    for i, line in enumerate(lines[:n]):
        sequence = line.split(",")[0].strip('"')
        found.append({**tokenizer(sequence, truncation=True, max_length=12), "labels": i % 2})
    return found


def arguments(folder: Path, **more: Any) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=4, max_steps=2, report_to=[], use_cpu=True,
        logging_steps=1, disable_tqdm=True, **more,
    )  # fmt: skip


@pytest.fixture
def small() -> DNABert2Config:
    """Few and narrow layers over the published vocabulary."""
    torch.manual_seed(0)
    return DNABert2Config(hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=16)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_trainer_trains_evaluates_and_brings_the_best_back(
    small: DNABert2Config, tokenizer: PreTrainedTokenizerBase, shared_data: Path, tmp_path: Path, smoothing: float
) -> None:
    model = DNABert2ForSequenceClassification(small)
    before = model.bert.encoder.layer[0].attention.self.Wqkv.weight.detach().clone()
    losses = []

    class Record(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any, **_: Any) -> None:
            losses.append(metrics["eval_loss"])

    data = rows(tokenizer, shared_data, 16)
    trainer = Trainer(
        model,
        arguments(
            tmp_path, label_smoothing_factor=smoothing, eval_strategy="steps", save_strategy="steps", eval_steps=1,
            save_steps=1, load_best_model_at_end=True, metric_for_best_model="loss", learning_rate=1e-2,
        ),
        data_collator=DataCollatorWithPadding(tokenizer), train_dataset=data[:8], eval_dataset=data[8:],
        callbacks=[Record()],
    )  # fmt: skip
    trainer.train()
    assert not torch.equal(model.bert.encoder.layer[0].attention.self.Wqkv.weight, before)
    assert len(losses) == 2 and all(math.isfinite(loss) for loss in losses)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(losses), rel=1e-5)
    predicted = trainer.predict(data[8:])
    assert predicted.predictions.shape == (8, 2)
    if not smoothing:
        logits, labels = torch.from_numpy(predicted.predictions), torch.from_numpy(predicted.label_ids)
        assert F.cross_entropy(logits, labels).item() == pytest.approx(predicted.metrics["test_loss"], rel=1e-4)


def test_trainer_trains_the_masked_lm_and_its_checkpoint_is_tied(
    small: DNABert2Config, tokenizer: PreTrainedTokenizerBase, shared_data: Path, tmp_path: Path
) -> None:
    data = [{name: x for name, x in row.items() if name != "labels"} for row in rows(tokenizer, shared_data, 8)]
    model = DNABert2ForMaskedLM(small)
    args = arguments(tmp_path, save_strategy="steps", save_steps=2, gradient_checkpointing=True,
                     gradient_accumulation_steps=2, eval_strategy="steps", eval_steps=2,
                     load_best_model_at_end=True)  # fmt: skip
    collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.3)
    Trainer(model, args, data_collator=collate, train_dataset=data, eval_dataset=data).train()
    weights = model.cls.predictions.decoder.weight
    assert weights is model.bert.embeddings.word_embeddings.weight
    again = DNABert2ForMaskedLM.from_pretrained(tmp_path / "checkpoint-2")
    assert torch.equal(again.cls.predictions.decoder.weight, weights)
    assert json.loads((tmp_path / "checkpoint-2" / "config.json").read_text())["model_type"] == "dnabert2"


def test_trainer_goes_on_from_a_checkpoint(
    small: DNABert2Config, tokenizer: PreTrainedTokenizerBase, shared_data: Path, tmp_path: Path
) -> None:
    data, collate = rows(tokenizer, shared_data, 8), DataCollatorWithPadding(tokenizer)

    def trained(folder: Path, **more: Any) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = DNABert2ForSequenceClassification(small)
        args = arguments(folder, save_strategy="steps", save_steps=1)
        Trainer(model, args, data_collator=collate, train_dataset=data).train(**more)
        return model.state_dict()

    whole = trained(tmp_path)
    stopped = trained(tmp_path, resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    for name, value in whole.items():
        assert torch.allclose(value, stopped[name], atol=1e-6), name


# LoRA


@pytest.mark.parametrize("checkpointing", [False, True])
def test_lora_on_wqkv_trains_saves_loads_and_merges(
    small: DNABert2Config, tmp_path: Path, batch: Any, checkpointing: bool
) -> None:
    peft = pytest.importorskip("peft", reason="LoRA needs peft: pip install peft")
    base = DNABert2ForSequenceClassification(small)
    base.save_pretrained(tmp_path / "base")
    lora = peft.LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=16, lora_dropout=0.0, target_modules=["Wqkv"])
    model = peft.get_peft_model(base, lora)
    if checkpointing:
        # With the lower weights frozen, re-entrant checkpointing has a gradient only if the embeddings ask for one.
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable({"use_reentrant": True})
    model.train()
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert len([name for name in learning if "lora_" in name]) == 4  # A and B in each of the two layers
    assert all("Wqkv.lora_" in name or "classifier" in name for name in learning)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        model(**batch, labels=torch.tensor([0, 1, 1])).loss.backward()
        optimizer.step()
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) != (name in learning), name

    model.eval()
    with torch.inference_mode():
        known = model(**batch).logits
        model.save_pretrained(tmp_path / "adapter")
        fresh = DNABert2ForSequenceClassification.from_pretrained(tmp_path / "base")
        loaded = peft.PeftModel.from_pretrained(fresh, tmp_path / "adapter").eval()
        assert torch.allclose(loaded(**batch).logits, known, atol=1e-6)
        merged = loaded.merge_and_unload()
        assert type(merged) is DNABert2ForSequenceClassification
        assert torch.allclose(merged(**batch).logits, known, atol=1e-5)
        merged.save_pretrained(tmp_path / "merged")
        again = DNABert2ForSequenceClassification.from_pretrained(tmp_path / "merged").eval()
        assert torch.allclose(again(**batch).logits, known, atol=1e-5)


def test_frozen_lower_layers_still_let_the_upper_ones_learn(tiny: DNABert2Config, batch: Any) -> None:
    model = DNABert2Model(tiny).train()
    for part in (model.embeddings, model.encoder.layer[0]):
        part.requires_grad_(False)
    model(**batch).pooler_output.sum().backward()
    assert all(not name.startswith(("embeddings", "encoder.layer.0")) for name in gradients(model))
    assert gradients(model)["encoder.layer.1.attention.self.Wqkv.weight"].abs().sum() > 0
