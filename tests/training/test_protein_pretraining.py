"""The commands that make the embedded protein model: families are held out whole, and a stopped run goes on."""

from __future__ import annotations

import gzip
import json
import math
import sys

import numpy as np
import pytest
import torch

from biollm_widgets.sequences import AMINO_ACIDS, wrap
from training import loop, pack_protein, pretrain_protein
from training.proteomes import families, load_proteins
from training.residue_bits import markov_bits, model_bits, uniform_bits


def made_up(count: int, seed: int, length: int = 80) -> list[str]:
    """Proteins that begin with M and in which each residue leans on the one before."""
    rng = np.random.default_rng(seed)
    table = np.random.default_rng(7).dirichlet([0.2] * 20, size=20).cumsum(1)
    proteins = []
    for _ in range(count):
        letters = ["M"]
        for draw in rng.random(length):
            letters.append(AMINO_ACIDS[min(int(np.searchsorted(table[AMINO_ACIDS.index(letters[-1])], draw)), 19)])
        proteins.append("".join(letters))
    return proteins


def write(path, proteins: list[str]):
    text = "".join(f">p{i}\n{wrap(protein)}\n" for i, protein in enumerate(proteins))
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_families_are_joined_by_ten_residues_in_common_also_by_way_of_a_third():
    a, b, c = made_up(3, 1)
    bridge = a[20:30] + b[20:30]
    found = families([a, b, c, bridge])
    assert sorted(map(sorted, found)) == sorted([sorted([a, b, bridge]), [c]])
    assert len(families([a[:29], a[20:]])) == 2  # nine in common


@pytest.mark.slow
def test_no_held_out_protein_shares_ten_residues_with_one_that_is_learned_from(shared_data):
    folder = shared_data / "proteins"
    proteins = load_proteins([folder / "UP000000625_ecoli.fasta.gz", folder / "UP000002311_yeast.fasta.gz"])
    assert proteins.left_out == {"duplicates": 108, "other letters": 10}
    learned = {protein[i : i + 10] for protein in proteins.train for i in range(len(protein) - 9)}
    for part in (proteins.dev, proteins.test):
        assert not any(protein[i : i + 10] in learned for protein in part for i in range(len(protein) - 9))
    residues = [sum(map(len, part)) for part in (proteins.train, proteins.dev, proteins.test)]
    assert all(0.045 < held / sum(residues) < 0.06 for held in residues[1:])
    everything = [*proteins.train, *proteins.dev, *proteins.test]
    assert len(set(everything)) == len(everything) == 10_461 - 118
    assert not set("".join(everything)) - set(AMINO_ACIDS)


def test_a_markov_model_knows_what_it_should():
    assert uniform_bits() == pytest.approx(4.3219, abs=1e-4)
    noise = ["".join(np.random.default_rng(i).choice(list(AMINO_ACIDS), 400)) for i in range(500)]
    end = (math.log2(401) + 400 * math.log2(401 / 400)) / 400  # what it costs to say where 400 residues end
    assert markov_bits(noise, noise, 0) == pytest.approx(uniform_bits() + end, abs=0.01)
    assert markov_bits(["MKL" * 100] * 400, ["MKL" * 100], 1) == pytest.approx(0.0, abs=0.1)
    held = made_up(60, 2)
    assert markov_bits(made_up(800, 3), held, 1) < markov_bits(made_up(800, 3), held, 0) - 0.5


def test_batches_hold_every_protein_once_a_round_with_little_padding():
    rows = [list(range(length)) for length in np.random.default_rng(0).integers(20, 900, 1500)]
    stream = pretrain_protein.batches(rows, 4096, np.random.default_rng(1))
    seen, counted, padded = [], 0, 0
    while sum(map(len, seen)) < sum(map(len, rows)):
        count, batch = next(stream)
        assert count == int((batch >= 0).sum()) <= 4096
        padded += batch.numel()
        seen += [row[row >= 0].tolist() for row in batch]
        counted += count
    assert sorted(map(len, seen)) == sorted(map(len, rows)) and counted == sum(map(len, rows))
    assert counted > 0.85 * padded


@pytest.mark.slow
def test_a_run_learns_goes_on_where_it_stopped_and_packs_into_a_loadable_folder(tmp_path, monkeypatch, capsys):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from biollm_widgets.protein.generation import generate

    paths = [write(tmp_path / "a.fasta.gz", made_up(1500, 4)), write(tmp_path / "b.fasta.gz", made_up(1500, 5))]
    out = tmp_path / "run"

    monkeypatch.setattr(loop, "EVERY", 120_000)

    def run(tokens: float) -> list[dict]:
        command = f"x --proteins {paths[0]} {paths[1]} --out {out} --vocabulary 290 --width 32 --layers 1 --heads 2"
        command += f" --batch 2048 --threads 1 --peak 1.2e-2 --tokens {tokens}"
        monkeypatch.setattr(sys, "argv", command.split())
        torch.manual_seed(0)
        pretrain_protein.main()
        return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]

    first = run(0.3e6)
    second = run(0.6e6)
    assert second[: len(first)] == first
    assert second[-1]["tokens"] >= 0.6e6 > second[len(first)]["tokens"] > first[-1]["tokens"]
    # With the weights that were there: from new ones, the mean of the first steps would be above it.
    assert second[len(first)]["train_loss"] < first[-1]["held_out_loss"]

    monkeypatch.setattr(sys, "argv", ["x", str(out), str(tmp_path / "packed")])
    pack_protein.main()
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path / "packed", output_loading_info=True)
    assert set(info["missing_keys"]) <= {"lm_head.weight"} and not info["unexpected_keys"]
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.transformer.wte.weight
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "packed")
    ids = tokenizer("<|endoftext|>\nMKV\n<|endoftext|>")["input_ids"]
    assert ids[:2] == [0, 199] and ids[-2:] == [199, 0]

    held = made_up(40, 6)
    assert model_bits(model.eval(), tokenizer, held) < markov_bits(made_up(1000, 4), held, 0)
    made = generate(None, 20, seed=1, model=model, tokenizer=tokenizer, max_length=120, repetition_penalty=1.0)
    assert sum(sequence.startswith("M") for sequence in made.sequences) > 15
