"""How long a fine-tuning step takes at DNABERT-2's real size, by its own recipe and on each rung of `biollm finetune`.

    python -m benchmarks.finetune                    # about three minutes on two cores
    python -m benchmarks.finetune --json finetune.json

The network has the size of DNABERT-2-117M and random weights; the sequences are real windows of E. coli, cut by the
published tokenizer at 100 tokens, and a step takes 8 of them, as in the chapter. All ways run in one process, one after
the other on the same cores, on the same rows. The first step of each is not counted (memory is got for the optimizer).
Where a short probe finds the CPU faster in bf16, the last row has full fine-tuning with it.

The recipe is that of DNABERT-2's train.py: the plain `Trainer`, every row padded to the longest of its file, rows in
random order, AdamW as that script asks for it, gradients clipped at 1. The published model code does not load on
transformers 5, so this package's model class stands in for it; with the published code on transformers 4.50 the same
recipe was slower still (5.2 s a step on two cores).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import platform
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import torch
import transformers
from torch.utils.data import Dataset
from transformers import AutoTokenizer, Trainer, TrainerCallback

from biollm_widgets.dna.finetuning import rungs
from biollm_widgets.dna.finetuning.arguments import bf16_gain, settle
from biollm_widgets.dna.finetuning.batches import StepBatches
from biollm_widgets.dna.finetuning.data import Encoded, Rows, encode
from biollm_widgets.dna.finetuning.flags import RUNGS
from biollm_widgets.dna.finetuning.stored import store
from biollm_widgets.dna.finetuning.trainer import FineTuner
from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2ForSequenceClassification

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
BATCH, TOKENS = 8, 100  # the chapter's
TARGETS = {"full": 1.2, "top": 5.0}  # times the recipe


class Clock(TrainerCallback):
    """When each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.ends.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """Mean over all steps but the first, what lies between steps included."""
        return float(np.diff(self.ends).mean())


class PaddedRows(Dataset):
    """As train.py has them: all rows padded to the longest."""

    def __init__(self, part: Encoded, pad_id: int) -> None:
        self.ids = torch.full((len(part), int(part.lengths.max())), pad_id)
        for row, ids in enumerate(part.ids):
            self.ids[row, : len(ids)] = torch.tensor(ids)
        self.mask = self.ids.ne(pad_id)
        self.labels = torch.tensor(part.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.ids[row], "attention_mask": self.mask[row], "labels": self.labels[row]}


def arguments(out: str, **flags: Any) -> Any:
    quiet = {"disable_tqdm": True, "save_strategy": "no", "logging_strategy": "no", "log_level": "error"}
    flags = {"data_path": ".", "output_dir": out, "eval_strategy": "no", "warmup_steps": 1, **quiet, **flags}
    return settle({"per_device_train_batch_size": BATCH, "model_max_length": TOKENS, **flags})[:2]


def recipe(model: str, part: Encoded, pad_id: int, out: str) -> dict[str, Any]:
    """DNABERT-2's own: the plain Trainer with what train.py hands it."""
    _, training = arguments(out, optim="adamw_torch", remove_unused_columns=False)
    clock = Clock()
    rows = PaddedRows(part, pad_id)
    network = DNABert2ForSequenceClassification.from_pretrained(model)
    Trainer(model=network, args=training, train_dataset=rows, callbacks=[clock]).train()
    used = int(part.lengths.sum())
    return {"seconds": clock.seconds, "padding": 1 - used / rows.ids.numel(), "trained": network.num_parameters()}


def rung(name: str, model: str, part: Encoded, pad_id: int, out: str, **flags: Any) -> dict[str, Any]:
    """One rung of `biollm finetune`, with its own loading, storing and Trainer."""
    own, training = arguments(out, rung=name, **flags)
    ready = rungs.climb(model, own, 2)
    began = time.perf_counter()
    rows = Rows(part.ids, part.labels, part.lengths)
    if ready.stored:
        stored, _ = store(ready.model, {"train": part}, Path(out) / "stored", pad_id, torch.device("cpu"), quiet=True)
        rows = stored["train"]
    once = time.perf_counter() - began
    clock = Clock()
    FineTuner(
        model=ready.model,
        args=training,
        train_dataset=rows,
        callbacks=[clock],
        settings={},
        grouped=True,
        pad_id=pad_id,
    ).train()
    batches = [[row for row, _ in batch] for batch in StepBatches(rows.lengths, BATCH, seed=training.seed)]
    computed = sum(rows.lengths[batch].max() * len(batch) for batch in batches)
    return {
        "seconds": clock.seconds,
        "padding": float(1 - rows.lengths.sum() / computed),
        "trained": ready.trained,
        "once": once if ready.stored else 0.0,
    }


def same_numbers(model: str, part: Encoded, pad_id: int) -> float:
    """Largest difference between the logits of the two classes on the first rows, padded as in the recipe."""
    from biollm_widgets.dna.finetuning.classifier import FineTunedClassifier

    rows = PaddedRows(part, pad_id)
    loader: Any = FineTunedClassifier
    with torch.inference_mode():
        one = DNABert2ForSequenceClassification.from_pretrained(model).eval()(rows.ids[:BATCH], rows.mask[:BATCH])
        two = loader.from_pretrained(model).eval()(rows.ids[:BATCH], rows.mask[:BATCH])
    return float((one.logits - two.logits).abs().max())


def main(words: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with the windows and the tokenizer")
    parser.add_argument("--steps", type=int, default=9, help="steps a way, the first one not counted")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--width", type=int, default=768, help=argparse.SUPPRESS)  # a small one to try the script
    args = parser.parse_args(words)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.disable(logging.WARNING)

    tokenizer = AutoTokenizer.from_pretrained(args.data / "dnabert2_tokenizer")
    frame = pd.read_csv(args.data / "ecoli_coding_noncoding.csv").sample(BATCH * args.steps, random_state=1)
    part = encode(frame.set_axis(["sequence", "label"], axis=1), tokenizer, TOKENS)
    pad_id = tokenizer.pad_token_id
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/model"
        torch.manual_seed(0)
        config = DNABert2Config(hidden_size=args.width, intermediate_size=4 * args.width, num_labels=2)
        network = DNABert2ForSequenceClassification(config)
        size = network.num_parameters()
        network.save_pretrained(model)
        del network
        tokenizer.save_pretrained(model)
        difference = same_numbers(model, part, pad_id)
        ways: dict[str, Any] = {"recipe": recipe, **{name: partial(rung, name) for name in reversed(RUNGS)}}
        if bf16_gain() > 1:
            ways["bf16"] = partial(rung, "full", bf16=True)
        for name, way in ways.items():
            print(f"{name} ...", file=sys.stderr)
            with contextlib.redirect_stdout(io.StringIO()):  # the Trainer's own lines
                figures[name] = way(model, part, pad_id, f"{folder}/{name}")
    slow = figures["recipe"]["seconds"]
    print(
        f"{size:,} parameters, random weights; {len(part)} windows of E. coli, {part.lengths.mean():.0f} tokens on "
        f"average, {part.lengths.max()} at most; {args.steps - 1} steps of {BATCH} sequences\n"
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, transformers {transformers.__version__}, "
        f"{platform.machine()}; logits of the two classes differ by {difference:.1e}\n"
    )
    titles = {
        "recipe": "DNABERT-2's recipe (plain Trainer)",
        "full": "--rung full",
        "lora": "--rung lora (Wqkv)",
        "top": "--rung top (two layers)",
        "head": "--rung head",
        "bf16": "--rung full --bf16",
    }
    print(f"{'':36s} {'s a step':>9s} {'times':>8s} {'padding':>8s} {'trained':>12s} {'once, s':>8s}")
    for name, figure in figures.items():
        figure["times"] = slow / figure["seconds"]
        once = f"{figure['once']:8.1f}" if figure.get("once") else ""
        print(
            f"{titles[name]:36s} {figure['seconds']:9.3f} {figure['times']:8.2f} {figure['padding']:8.1%} "
            f"{figure['trained']:12,} {once}"
        )
    for name, target in TARGETS.items():
        met = "met" if figures[name]["times"] >= target else "NOT met"
        print(f"Aim for {titles[name]}: at least {target:g} times: {met}.")
    if args.json:
        args.json.write_text(json.dumps({"ways": figures, "difference": difference}, indent=2) + "\n")


if __name__ == "__main__":
    main()
