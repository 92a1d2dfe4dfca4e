"""Measure the embedded DNA model and put the table into its README.

    python -m training.evaluate_dna --genome GENOME.fna.gz --coding ecoli_coding_noncoding.csv

Bits per base on the held-out blocks of the genome, and MCC on the coding data: frozen embeddings and fine-tuning, each
beside the same network with random weights, the majority class and 3-mer logistic regression, on the same splits.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer

from biollm_widgets.dna.classification import classify
from biollm_widgets.dna.datasets import load_coding_dataset
from biollm_widgets.dna.embedding import embed
from biollm_widgets.dna.finetuning import finetune
from biollm_widgets.dna.splits import Splits, write_splits
from biollm_widgets.models.catalog import EMBEDDED
from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2ForMaskedLM, DNABert2Model
from training.bits import markov_bits, masked_bits, token_unigram_bits
from training.genome import load_corpus, windows
from training.tables import put_table

COMMAND = "python -m training.evaluate_dna"
FOLDER = EMBEDDED / "dna"
SEEDS = (1, 2, 3, 4, 5)
# Chosen on a quarter of the training rows of split 1, among rates of 1e-4 to 1e-3; the same for both kinds of weights.
FINETUNING: dict[str, Any] = {
    "num_train_epochs": 6,
    "learning_rate": 2e-4,
    "per_device_train_batch_size": 16,
    "warmup_ratio": 0.1,
    "model_max_length": 256,
    # The last weights, with the rate run down to nothing: choosing the best of six by 225 rows was a lottery.
    "load_best_model_at_end": False,
}


def bits_per_base(genome: str) -> dict[str, float]:
    corpus = load_corpus(genome)
    rng = np.random.default_rng(0)
    test = windows(corpus.held_out, 400, 600, rng)
    train = windows(corpus.train, 400, 6_000, rng)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = DNABert2ForMaskedLM.from_pretrained(FOLDER)
    return {
        "uniform": 2.0,
        "tokens by their frequency": token_unigram_bits(tokenizer, train, test),
        "order-3 Markov": markov_bits(corpus.train, test, 3),
        "order-5 Markov": markov_bits(corpus.train, test, 5),
        "embedded model": masked_bits(model, tokenizer, test),
    }


def random_weights(folder: Path, seed: int) -> Path:
    """The same network, never trained, as a folder: the control."""
    torch.manual_seed(seed)
    config = DNABert2Config.from_pretrained(FOLDER)
    model = DNABert2Model(config)
    # The pooler of the packed model is the identity, not trained: the control gets the same.
    assert model.pooler is not None
    torch.nn.init.eye_(model.pooler.dense.weight)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(FOLDER).save_pretrained(folder)
    return folder


def frozen(sequences: list[str], labels: np.ndarray) -> dict[str, list[float]]:
    """MCC by row of the table, one number a split."""
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    vectors = embed(sequences, tokenizer, DNABert2Model.from_pretrained(FOLDER), progress=False)
    scores: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            untrained = DNABert2Model.from_pretrained(random_weights(Path(folder), seed))
            control = embed(sequences, tokenizer, untrained, progress=False)
            for score in classify(vectors, labels.tolist(), sequences, control=control, seed=seed).scores:
                scores[score.name].append(score.mcc)
    return scores


def finetuned(sequences: list[str], labels: np.ndarray, seeds: int) -> dict[str, list[float]]:
    """MCC of full fine-tuning on the test rows of the same splits; a tenth of the training rows is left to dev.csv."""
    import pandas as pd
    from sklearn.model_selection import train_test_split

    frame = pd.DataFrame({"sequence": sequences, "label": labels})
    scores: dict[str, list[float]] = defaultdict(list)
    for seed in SEEDS[:seeds]:
        train, test = train_test_split(frame, test_size=0.3, stratify=labels, random_state=seed)
        train, dev = train_test_split(train, test_size=0.1, stratify=train["label"], random_state=seed)
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder)
            write_splits(Splits(train, dev, test), base / "data")
            for name, model in (("pretrained", FOLDER), ("random weights", random_weights(base / "random", seed))):
                result = finetune(
                    base / "data",
                    model_name_or_path=str(model),
                    output_dir=str(base / name.split()[0]),
                    run_name="table",
                    eval_strategy="epoch",
                    save_strategy="epoch",
                    save_total_limit=1,
                    seed=seed,
                    **FINETUNING,
                )
                scores[f"fine-tuned, {name}"].append(result.metrics["eval_matthews_correlation"])
                print(name, seed, result.metrics["eval_matthews_correlation"], flush=True)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genome", required=True)
    parser.add_argument("--coding", required=True, help="a CSV with DNA_sequence and Target")
    parser.add_argument("--finetune-splits", type=int, default=3, help="how many of the five splits to fine-tune on")
    args = parser.parse_args()

    bits = bits_per_base(args.genome)
    data = load_coding_dataset(args.coding)
    sequences, labels = data["DNA_sequence"].tolist(), data["Target"].to_numpy()
    scores = frozen(sequences, labels)
    scores.update(finetuned(sequences, labels, args.finetune_splits))

    lines = [
        "| held-out DNA | bits per base |",
        "|---|---|",
        *(f"| {name} | {value:.3f} |" for name, value in bits.items()),
        "",
        "| coding or not, MCC on the test rows | split 1 | mean of splits | standard deviation | splits |",
        "|---|---|---|---|---|",
    ]
    for name, values in scores.items():
        spread = f"{np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
        lines.append(f"| {name} | {values[0]:.3f} | {np.mean(values):.3f} | {spread} | {len(values)} |")
    put_table(FOLDER / "README.md", COMMAND, lines)
    print(json.dumps({"bits": bits, "mcc": scores}))


if __name__ == "__main__":
    main()
