"""A Hugging Face Trainer small enough for a test: a tiny DNABERT-2 of two layers on real windows of E. coli."""

from __future__ import annotations

import functools
import gc
from pathlib import Path
from typing import Any, Optional

import pandas as pd
import torch
from tokenizers import Tokenizer
from transformers import Trainer, TrainerCallback, TrainingArguments

from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2ForSequenceClassification

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


class Rows(torch.utils.data.Dataset):
    """Tokenised sequences with their labels."""

    def __init__(self, inputs: dict[str, torch.Tensor], labels: torch.Tensor) -> None:
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        return {**{name: value[place] for name, value in self.inputs.items()}, "labels": self.labels[place]}


@functools.cache
def encoded() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Forty windows, cut to sixteen tokens of DNABERT-2's published tokenizer, padded."""
    # Each training begins with a collection of garbage, which takes twice as long as twelve steps of so small a model
    # as long as it looks through all that was imported.
    gc.freeze()
    frame = pd.read_csv(SHARED / "ecoli_coding_noncoding.csv").sample(40, random_state=5)
    tokenizer = Tokenizer.from_file(str(SHARED / "dnabert2_tokenizer" / "tokenizer.json"))
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(pad_id=3, pad_token="[PAD]")
    read = tokenizer.encode_batch([text[: 30 + 2 * n] for n, text in enumerate(frame["DNA_sequence"])])
    inputs = {
        "input_ids": torch.tensor([one.ids for one in read]),
        "attention_mask": torch.tensor([one.attention_mask for one in read]),
    }
    return inputs, torch.tensor(frame["Target"].to_numpy())


def rows(start: int, end: int) -> Rows:
    inputs, labels = encoded()
    return Rows({name: value[start:end] for name, value in inputs.items()}, labels[start:end])


def tiny_model(**settings: Any) -> DNABert2ForSequenceClassification:
    """The same weights each time; with dropout, so that the state of the random numbers matters."""
    torch.manual_seed(0)
    config = DNABert2Config(
        **{
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "hidden_dropout_prob": 0.1,
            "num_labels": 2,
            **settings,
        }
    )
    return DNABert2ForSequenceClassification(config)


def small_trainer(
    folder: Any,
    *,
    model: Any = None,
    train: Any = None,
    evaluate: Any = None,
    callbacks: Any = None,
    kind: type[Trainer] = Trainer,
    compute_metrics: Any = None,
    preprocess: Any = None,
    collator: Any = None,
    **settings: Any,
) -> Trainer:
    """Twelve steps in two epochs, without evaluation and checkpoints unless `settings` (TrainingArguments) say so."""
    given = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 4,
        "num_train_epochs": 2,
        "learning_rate": 3e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "seed": 3,
        "use_cpu": True,
        "dataloader_pin_memory": False,
    }
    return kind(
        model=tiny_model() if model is None else model,
        args=TrainingArguments(**{**given, **settings}),
        train_dataset=rows(0, 24) if train is None else train,
        eval_dataset=rows(24, 40) if evaluate is None else evaluate,
        callbacks=callbacks,
        compute_metrics=compute_metrics,
        preprocess_logits_for_metrics=preprocess,
        data_collator=collator,
    )


class Witness(TrainerCallback):
    """What happened: evaluations, saves, and the weights after the last step, before any others are loaded."""

    def __init__(self) -> None:
        self.evaluated: list[int] = []
        self.saved: list[int] = []
        self.last: Optional[dict[str, torch.Tensor]] = None

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.global_step == state.max_steps:
            self.last = weights(model)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.evaluated.append(state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.saved.append(state.global_step)


class At(TrainerCallback):
    """Do something at the end of a step, or within the evaluation of one."""

    def __init__(self, step: int, deed: Any, evaluating: bool = False) -> None:
        self.step, self.deed, self.evaluating = step, deed, evaluating

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step and not self.evaluating:
            self.deed()

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step and self.evaluating:
            self.deed()


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def checkpoints(folder: Any) -> list[int]:
    return sorted(int(place.name.rpartition("-")[2]) for place in Path(folder).glob("checkpoint-*"))
