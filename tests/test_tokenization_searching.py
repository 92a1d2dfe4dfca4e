"""Motifs on both strands with IUPAC letters, and tokens by text, name and id."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from transformers import AutoTokenizer

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import read_fasta, reverse_complement
from biollm_widgets.tokenization import KmerTokenizer, find_motif, find_token, tokenize

IUPAC = dict(zip("RYSWKMBDHVN", ["AG", "CT", "CG", "AT", "GT", "AC", "CGT", "AGT", "ACT", "ACG", "ACGT"], strict=True))


@pytest.fixture(scope="module")
def genome(shared_data):
    return read_fasta(shared_data / "genome/GCF_000005845.2_ASM584v2_genomic.fna.gz")[0].sequence[:1_000_000]


def test_motifs_against_the_definition_on_real_dna(genome):
    rng = random.Random(5)
    window = genome[70_000:70_600]
    for motif in (
        "TATAAT",
        "GGNCC",
        "YNRAG",
        "AA",
        "A",
        "N",
        *("".join(rng.choices("ACGTRYN", k=4)) for _ in range(9)),
    ):

        def here(stretch, motif=motif):
            return all(base in IUPAC.get(letter, letter) for letter, base in zip(motif, stretch, strict=True))

        expected = []
        for start in range(len(window) - len(motif) + 1):
            stretch = window[start : start + len(motif)]
            expected += [(start, start + len(motif), 1)] if here(stretch) else []
            if reverse_complement(motif) != motif and here(reverse_complement(stretch)):
                expected.append((start, start + len(motif), -1))
        assert find_motif(window, motif) == expected
        assert find_motif(window.lower(), motif.lower(), both_strands=False) == [m for m in expected if m[2] == 1]


def test_overlapping_places_palindromes_and_residues():
    assert [match.start for match in find_motif("AAAA", "AA", both_strands=False)] == [0, 1, 2]
    assert find_motif("GAATTC", "GAATTC") == [(0, 6, 1)]
    assert find_motif("ACGUN", "GT", both_strands=False) == [(2, 4, 1)]
    assert find_motif("NNN", "N") == []  # an N in the sequence is no known base
    assert [match.start for match in find_motif("MNGTDXSE", "BX", "protein")] == [1, 4]
    assert find_motif("MEQLI", "ZZJJ", "protein") == [(1, 5, 1)]


@pytest.mark.parametrize(
    ("motif", "alphabet", "words"),
    [
        ("", "dna", "no motif"),
        (" ", "dna", "no motif"),
        ("AXC", "dna", "letter 2 of the motif"),
        ("A.", "protein", "no residue"),
        ("A", "rna", "dna or protein"),
    ],
)
def test_a_motif_that_says_nothing_is_refused(motif, alphabet, words):
    with pytest.raises(InputError, match=words):
        find_motif("ACGT", motif, alphabet)


def test_tokens_by_text_name_and_id(shared_data):
    dnabert2 = AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer")
    result = tokenize("TCTATCTATCGACANTCTAN", dnabert2)
    for what in ("TCTA", "[UNK]", "[CLS]", "N", result.tokens[1].id, str(result.tokens[1].id)):
        expected = [t.index for t in result if what in (t.text, t.token, t.id, str(t.id))]
        found = find_token(result, what)
        assert found.dtype == np.int32 and found.tolist() == expected and expected
    assert find_token(result, "GGGG").size == find_token(result, 4000).size == find_token(result, "9" * 30).size == 0
    kmers = tokenize("ACGTACGNACG", KmerTokenizer(3))
    assert find_token(kmers, "ACG").tolist() == [t.index for t in kmers if t.text == "ACG"]
    assert find_token(kmers, "CGN").tolist() == [6]
    for nothing in ("", None, 1.5, True):
        with pytest.raises(InputError, match="by its text, name or id"):
            find_token(kmers, nothing)


def test_a_million_bases_are_searched_in_a_moment(genome):
    read = tokenize(genome, KmerTokenizer(6))
    start = time.process_time()
    assert len(find_motif(genome, "GGNCC")) > 1000
    assert len(find_token(read, "TATAAT")) == len(find_motif(genome, "TATAAT", both_strands=False))
    assert time.process_time() - start < 2  # 0.2 s on a free core
