"""The commands that make the embedded model: nothing held out is learned from, and a stopped run goes on."""

from __future__ import annotations

import json
import math
import sys
from itertools import islice

import numpy as np
import pytest
import torch

from biollm_widgets.sequences import reverse_complement
from training import loop, pack_dna, pretrain_dna
from training.bits import markov_bits
from training.genome import BLOCK, load_corpus, windows
from training.loop import learning_rate


@pytest.fixture(scope="module")
def genome_file(tmp_path_factory):
    """Half a megabase of DNA that is no plain noise: each base leans on the one before."""
    rng = np.random.default_rng(3)
    table = rng.dirichlet([0.6] * 4, size=4).cumsum(1)
    draws, base, letters = rng.random(500_000), 0, []
    for draw in draws:
        base = min(int(np.searchsorted(table[base], draw)), 3)
        letters.append("ACGT"[base])
    path = tmp_path_factory.mktemp("genome") / "genome.fna"
    path.write_text(">made up\n" + "".join(letters) + "\n")
    return path


def test_held_out_blocks_are_never_learned_from(genome_file):
    corpus = load_corpus(genome_file)
    whole = genome_file.read_text().split("\n")[1]
    assert sum(map(len, corpus.train)) + sum(map(len, corpus.held_out)) == len(whole)
    assert len(corpus.held_out) == 2 and {len(block) for block in corpus.held_out} == {BLOCK}
    rng = np.random.default_rng(0)
    for window in windows(corpus.train, 300, 200, rng):
        forward = window if window in whole else reverse_complement(window)
        assert forward in whole
        assert not any(forward in block for block in corpus.held_out)


def test_windows_come_from_both_strands(genome_file):
    corpus = load_corpus(genome_file)
    found = windows(corpus.held_out, 100, 60, np.random.default_rng(1))
    forward = sum(any(window in block for block in corpus.held_out) for window in found)
    assert 10 < forward < 50


def test_masking_hides_shares_between_the_bounds_and_never_special_tokens():
    ids = torch.randint(5, 60, (400, 100))
    ids[:, 0], ids[:, -1] = 1, 2
    shown, chosen = pretrain_dna.masked(ids, 60, torch.Generator().manual_seed(0))
    assert not chosen[:, [0, -1]].any()
    shares = chosen[:, 1:-1].float().mean(1)
    assert 0.0 < shares.min() < 0.25 and 0.6 < shares.max() < 0.95
    assert shares.mean() == pytest.approx(0.45, abs=0.03)
    assert torch.equal(shown[~chosen], ids[~chosen])
    assert (shown[chosen] == 4).float().mean() == pytest.approx(0.7, abs=0.02)
    assert (shown[chosen] == ids[chosen]).float().mean() == pytest.approx(0.1, abs=0.02)


def test_the_learning_rate_warms_up_stays_and_ends_at_nothing():
    rate = [learning_rate(done, 30_000_000, 1.0) for done in (0, 500_000, 5_000_000, 25_000_000, 30_000_000)]
    assert rate == [0.0, 0.5, 1.0, 0.5, 0.0]


def test_a_markov_model_on_both_strands_knows_what_it_should():
    rng = np.random.default_rng(0)
    noise = "".join(rng.choice(list("ACGT"), 200_000))
    assert markov_bits([noise], [noise[:5000]], 3) == pytest.approx(2.0, abs=0.02)
    assert markov_bits(["ACGT" * 5000], ["ACGT" * 100], 3) == pytest.approx(0.0, abs=0.01)  # ACGT is its own complement
    lean = ["A" * 3000 + "C" * 1000]
    entropy = -(0.375 * math.log2(0.375) * 2 + 0.125 * math.log2(0.125) * 2)  # A, T: 3/8 each; C, G: 1/8 each
    assert markov_bits(lean, ["AAACTTTG" * 50], 0) == pytest.approx(entropy, abs=0.01)


@pytest.mark.slow
def test_a_run_learns_goes_on_where_it_stopped_and_packs_into_a_loadable_folder(genome_file, tmp_path, monkeypatch):
    out = tmp_path / "run"

    # A genome in little: most of the work would be in reading as much text, for the tokenizer and for each look at what
    # is held out. The training itself is in bfloat16, which many processors do slowly.
    monkeypatch.setattr(loop, "EVERY", 40_000)
    monkeypatch.setattr(pretrain_dna, "islice", lambda batches, count: islice(batches, 2))
    monkeypatch.setattr(
        pretrain_dna, "windows", lambda blocks, bases, count, rng: windows(blocks, bases, min(count, 1000), rng)
    )

    def run(tokens: float) -> list[dict]:
        command = f"x --genome {genome_file} --out {out} --vocabulary 24 --width 32 --layers 1 --heads 2"
        command += f" --intermediate 32 --batch 2048 --threads 1 --peak 3e-2 --tokens {tokens}"
        monkeypatch.setattr(sys, "argv", command.split())
        torch.manual_seed(0)
        pretrain_dna.main()
        return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]

    first = run(0.1e6)
    second = run(0.2e6)
    assert second[: len(first)] == first
    assert second[-1]["tokens"] >= 0.2e6 > second[len(first)]["tokens"] > first[-1]["tokens"]
    # With the weights that were there: from new ones, the mean of the first steps would be above it.
    assert second[len(first)]["train_loss"] < first[-1]["held_out_loss"]
    assert second[-1]["held_out_loss"] < math.log(24 - 5)  # better than guessing among the tokens

    monkeypatch.setattr(sys, "argv", ["x", str(out), str(tmp_path / "packed")])
    pack_dna.main()
    from transformers import AutoTokenizer

    from biollm_widgets.models.dnabert2 import DNABert2ForMaskedLM

    model, info = DNABert2ForMaskedLM.from_pretrained(tmp_path / "packed", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert model.dtype == torch.float32
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "packed")
    assert tokenizer.convert_tokens_to_ids(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]) == [0, 1, 2, 3, 4]
