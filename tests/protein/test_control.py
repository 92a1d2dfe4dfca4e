"""A shuffled copy keeps what it says it keeps, and nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.protein.control import shuffled, shuffled_set
from biollm_widgets.sequences import read_fasta

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNYYLEHLNFMLQDLHPGSSL"


def test_the_same_residues_stand_in_another_order_behind_the_m():
    copies = shuffled(SEQUENCE, 50, seed=3)
    assert len(set(copies)) == 50 and SEQUENCE not in copies
    for copy in copies:
        assert copy[0] == "M" and Counter(copy) == Counter(SEQUENCE)
    assert {copy[1] for copy in copies} > {"A"}
    assert any(copy[0] != "M" for copy in shuffled(SEQUENCE, 50, keep_start=False))
    assert any(copy[0] != "A" for copy in shuffled("A" + SEQUENCE, 50))  # only an M is a start


def test_the_prompt_stays_where_it_stands():
    prompt = SEQUENCE[:20]
    for copy in shuffled(SEQUENCE, 20, prompt=prompt):
        assert copy.startswith(prompt) and Counter(copy) == Counter(SEQUENCE) and copy != SEQUENCE
    assert not any(copy.startswith("KTAY") for copy in shuffled(SEQUENCE, 20, prompt="KTAY"))


def test_every_order_is_about_as_likely_as_every_other():
    seen = Counter(shuffled("ACDE", 24_000, seed=1))
    assert len(seen) == 24
    assert all(850 < count < 1150 for count in seen.values())  # 1000, and five standard deviations of 31


def test_the_seed_decides():
    assert shuffled(SEQUENCE, 3, seed=5) == shuffled(SEQUENCE, 3, seed=5)
    assert shuffled(SEQUENCE, 3, seed=5) != shuffled(SEQUENCE, 3, seed=6)
    assert shuffled(SEQUENCE, 2, seed=5) == shuffled(SEQUENCE, 3, seed=5)[:2]
    both = shuffled_set([SEQUENCE, SEQUENCE], seed=5)
    assert both[0] != both[1] and shuffled_set([SEQUENCE, "MKV"], seed=5)[0] == both[0]


def test_many_real_proteins_at_once_keep_their_composition(shared_data):
    proteins = [r.sequence for r in read_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz", "protein")]
    copies = shuffled_set(proteins, seed=1)
    assert all(Counter(copy) == Counter(protein) for copy, protein in zip(copies, proteins, strict=True))
    assert sum(copy == protein for copy, protein in zip(copies, proteins, strict=True)) == 0


def test_nothing_to_shuffle_and_bad_arguments():
    assert shuffled("", 2) == ["", ""]
    assert shuffled("M") == ["M"]
    assert shuffled(SEQUENCE, 0) == []
    assert shuffled_set([]) == []
    for seed in (-1, 1.5, True, "1"):
        with pytest.raises(InputError, match="seed"):
            shuffled(SEQUENCE, seed=seed)
    with pytest.raises(InputError, match="copies"):
        shuffled(SEQUENCE, -1)
