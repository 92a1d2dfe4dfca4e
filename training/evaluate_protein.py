"""Measure the embedded protein model and put the tables into its README.

    python -m training.evaluate_protein --proteins ECOLI.fasta.gz YEAST.fasta.gz

Bits a residue on the families that were held out; and what it writes: how proteins begin and end, what they are made
of, and the longest stretch that each shares with a protein it was trained on. Beside them stand natural proteins of the
held-out families and the same residues shuffled.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from biollm_widgets.models.catalog import EMBEDDED
from biollm_widgets.protein.composition import Composition, compare, composition
from biollm_widgets.protein.control import shuffled_set
from biollm_widgets.protein.generation import generate
from biollm_widgets.protein.references import References
from training.proteomes import load_proteins
from training.residue_bits import markov_bits, model_bits, that_fit, uniform_bits
from training.tables import put_table

COMMAND = "python -m training.evaluate_protein"
FOLDER = EMBEDDED / "protein"
WAYS: dict[str, dict[str, Any]] = {
    "the authors' settings, up to 1,024 tokens": {"max_length": 1024},
    "the same, up to 100 tokens (the chapter)": {"max_length": 100},
    "no penalty, nothing cut off, up to 1,024 tokens": {"max_length": 1024, "repetition_penalty": 1.0, "top_k": 0},
}


def bits(train: list[str], test: list[str]) -> list[str]:
    """The rows of the first table."""
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = GPT2LMHeadModel.from_pretrained(FOLDER).eval()
    torch.manual_seed(1)
    untrained = GPT2LMHeadModel(GPT2Config.from_pretrained(FOLDER)).eval()
    fits = that_fit(model, tokenizer, test)
    rows = {
        "uniform": uniform_bits(),
        "composition (order-0 Markov)": markov_bits(train, fits, 0),
        "order-1 Markov": markov_bits(train, fits, 1),
        "order-2 Markov": markov_bits(train, fits, 2),
        "order-3 Markov": markov_bits(train, fits, 3),
        "the same network, untrained": model_bits(untrained, tokenizer, fits),
        "embedded model": model_bits(model, tokenizer, fits),
    }
    note = f" ({len(fits)} proteins; {len(test) - len(fits)} too long for 1,024 tokens left out)"
    return [
        f"| held-out families{note} | bits a residue |",
        "|---|---|",
        *(f"| {name} | {value:.3f} |" for name, value in rows.items()),
    ]


def described(name: str, sequences: Iterable[str], ended: str, known: References, natural: Composition) -> str:
    """A row of the second table."""
    written = [sequence for sequence in sequences if sequence]
    shared = np.array([known.longest_shared(sequence).length for sequence in written])
    starts = sum(sequence.startswith("M") for sequence in written) / len(written)
    made_of = compare(written, natural)
    return (
        f"| {name} | {len(written)} | {starts:.0%} | {ended} | {np.median([len(s) for s in written]):.0f} "
        f"| {made_of.distance:.4f} | {np.median(shared):.0f} | {shared.max()} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proteins", required=True, nargs="+", help="the proteomes that it was trained on")
    parser.add_argument("--count", type=int, default=200, help="proteins to write in each way")
    args = parser.parse_args()

    proteins = load_proteins(args.proteins)
    lines = bits(proteins.train, proteins.test)
    natural = composition(proteins.train)
    known = References({f"protein_{i}": sequence for i, sequence in enumerate(proteins.train)})
    lines += [
        "",
        "| proteins | how many | start with M | ended by themselves | median residues | composition, bits from the "
        "training set's | longest stretch shared with a training protein: median | longest of all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    junk = 0
    first: list[str] = []
    for name, settings in WAYS.items():
        made = generate(None, args.count, seed=1, model=FOLDER, with_perplexity=False, **settings)
        junk += sum(design.left_out for design in made)
        ended = f"{sum(design.finished for design in made) / len(made):.0%}"
        lines.append(described(name, made.sequences, ended, known, natural))
        first = first or made.sequences
    lines.append(described("the first row's, shuffled", shuffled_set(first), "", known, natural))
    held_out = [sequence for sequence in proteins.test if len(sequence) < 1000][: args.count]
    lines.append(described("natural proteins of the held-out families", held_out, "", known, natural))
    lines += ["", f"Written in all of these and standing for no amino acid: {junk} characters."]
    put_table(FOLDER / "README.md", COMMAND, lines)
    print(json.dumps({"left out": proteins.left_out, "train": len(proteins.train), "test": len(proteins.test)}))


if __name__ == "__main__":
    main()
