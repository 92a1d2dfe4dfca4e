"""Several tokenizers on one sequence: their cuts, what they share, and what chance would share."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import read_fasta, wrap
from biollm_widgets.tokenization import (
    CharTokenizer,
    KmerTokenizer,
    boundaries,
    compare_tokenizations,
    tokenize,
)

EXAMPLE = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"


@pytest.fixture(scope="module")
def dnabert2(shared_data):
    return AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer")


def pairs_of(letters: str = "ACGT") -> Tokenizer:
    """A BPE that knows two words, AC and GT."""
    vocab = {letter: i for i, letter in enumerate(letters)} | {"AC": 4, "GT": 5}
    return Tokenizer(models.BPE(vocab, [("A", "C"), ("G", "T")]))


def test_lanes_cuts_and_agreement_of_a_case_worked_by_hand(dnabert2):
    text = "ACGTTACGT"  # AC GT T AC GT, cut at 2 4 5 7
    read = [tokenize(text, one) for one in (pairs_of(), pairs_of(), CharTokenizer("dna"), KmerTokenizer(3))]
    found = compare_tokenizations(read, ["a", "b", "letters", "3-mer"])
    assert boundaries(read[0]).tolist() == [2, 4, 5, 7]
    assert boundaries(read[0]).dtype == found.agreed.dtype == np.int32
    assert boundaries(read[3]).size == 0
    assert found.compared == ("a", "b")
    assert found.agreed.tolist() == [2, 4, 5, 7]
    [pair] = found.pairs
    assert (pair.shared, pair.of, pair.share, pair.expected) == (4, 4, 1.0, 2.0)
    a, _, letters, kmers = found.lanes
    assert (a.tokens, a.letters_per_token, a.unknown, a.distinct, a.words) == (5, 9 / 5, 0, 3, 6)
    assert (letters.tokens, letters.single, letters.words, letters.distinct) == (9, True, 4, 4)
    assert (kmers.tokens, kmers.overlapping, kmers.words, kmers.distinct) == (7, True, 64, 5)
    assert found.finding == "a and b share 4 of the 4 cuts of a; cuts at random would share about 2.0"
    assert [note.split(":")[0] for note in found.notes] == ["3-mer", "letters"]
    frame = found.to_frame()
    assert frame["tokens"].tolist() == [5, 5, 9, 7]
    assert frame["cuts"].isna().tolist() == [False, False, False, True]
    assert found.pairs_frame()["expected"].tolist() == [2.0]


def test_the_chance_level_is_what_shuffled_cuts_share(dnabert2, shared_data):
    genome = read_fasta(shared_data / "genome/GCF_000005845.2_ASM584v2_genomic.fna.gz")[0].sequence[:3000]
    found = compare_tokenizations([tokenize(genome, dnabert2), tokenize(genome, pairs_of())], ["BPE", "pairs"])
    one, other = (lane.borders for lane in found.lanes)
    rng = random.Random(1)
    places = range(1, len(genome))
    drawn = [len(set(rng.sample(places, one)) & set(rng.sample(places, other))) for _ in range(200)]
    assert found.expected == found.pairs[0].expected == pytest.approx(np.mean(drawn), rel=0.02)
    assert found.agreed.tolist() == sorted(
        {t.start for t in tokenize(genome, dnabert2).tokens[2:-1]} & {t.start for t in tokenize(genome, pairs_of())[1:]}
    )


def test_line_breaks_and_special_tokens_cut_nothing_by_themselves(shared_data):
    protgpt2 = AutoTokenizer.from_pretrained(shared_data / "protgpt2_tokenizer")
    protein = read_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz", "protein")[3].sequence
    whole, lines = tokenize(protein, protgpt2), tokenize(f"<|endoftext|>\n{wrap(protein)}", protgpt2)
    cuts = boundaries(lines)
    assert cuts.tolist() == sorted({token.start for token in lines if token.end > token.start} - {0})
    found = compare_tokenizations([whole, lines, tokenize(protein, CharTokenizer("protein"))])
    assert found.compared == ("tokenizer 1", "tokenizer 2")
    assert set(found.agreed) == set(boundaries(whole)) & set(cuts)


def test_one_lane_alone_shares_nothing_and_says_so(dnabert2):
    found = compare_tokenizations([tokenize(EXAMPLE, dnabert2), tokenize(EXAMPLE, KmerTokenizer(6))], ["BPE", "6-mer"])
    assert found.finding == "Tokens: BPE 15, 6-mer 54; no second tokenizer here has cuts to compare with those of BPE"
    assert found.agreed.size == 0 and math.isnan(found.expected)
    assert found.lanes[0].words == 4091
    empty = compare_tokenizations([tokenize("", dnabert2), tokenize("", pairs_of())])
    assert empty.finding.endswith("makes no cut, so there is none to share")


def test_what_cannot_be_compared_is_refused(dnabert2):
    one, other = tokenize("ACGT", dnabert2), tokenize("ACGA", dnabert2)
    for read, labels, words in (
        ([], None, "nothing to compare"),
        ([one, other], ["a", "b"], "a and b read different sequences"),
        ([one], ["a", "b"], "1 tokenizations and 2 labels"),
        ([one, one], ["a", "a"], "given twice"),
    ):
        with pytest.raises(InputError, match=words):
            compare_tokenizations(read, labels)
