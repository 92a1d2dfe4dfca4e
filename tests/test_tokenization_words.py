"""The merges of a word by itself are those of the word in a sequence, and `joined` says when each border goes."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import read_fasta, wrap
from biollm_widgets.tokenization import KmerTokenizer, merge_history, tokenize, word_merges


@pytest.fixture(scope="module")
def dnabert2(shared_data):
    return AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer")


@pytest.fixture(scope="module")
def genome(shared_data):
    return read_fasta(shared_data / "genome/GCF_000005845.2_ASM584v2_genomic.fna.gz")[0].sequence


def test_a_token_is_made_by_the_same_merges_alone_and_in_a_real_sequence(dnabert2, genome, shared_data):
    protgpt2 = AutoTokenizer.from_pretrained(shared_data / "protgpt2_tokenizer")
    protein = read_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz", "protein")[7].sequence
    for text, tokenizer in ((genome[20_000:26_000], dnabert2), ("<|endoftext|>\n" + wrap(protein), protgpt2)):
        result = tokenize(text, tokenizer)
        assert len(result.merge_history) > 50
        for token, steps in zip(result, result.merge_history.by_token, strict=True):
            alone = word_merges(token, tokenizer)
            assert alone == tuple((step.left, step.right, step.merged, step.rank) for step in steps)
            assert alone is word_merges(token.id, tokenizer) or token.special


def test_letters_special_and_unknown_tokens_have_no_merges(dnabert2):
    for token in ("A", "[UNK]", 0, 1, *tokenize("N", dnabert2)):
        assert word_merges(token, dnabert2) == ()
    assert [f"{step.left}+{step.right}" for step in word_merges("TCGGA", dnabert2)] == ["G+G", "T+C", "GG+A", "TC+GGA"]


def test_words_that_are_no_words_and_tokenizers_without_merges_are_refused(dnabert2):
    for token in ("ACGTX", 4096, -1):
        with pytest.raises(InputError, match="no token"):
            word_merges(token, dnabert2)
    with pytest.raises(InputError, match="not made by a BPE"):
        word_merges("ACG", KmerTokenizer(3))
    with pytest.raises(InputError, match="WordPiece, not BPE"):
        word_merges("ACGT", Tokenizer(models.WordPiece({"[UNK]": 0, "ACGT": 1}, unk_token="[UNK]")))


def test_pieces_inside_a_word_keep_the_mark_that_the_vocabulary_gives_them():
    vocab = {"A": 0, "##A": 1, "##C": 2, "A##": 3, "##AC": 4, "AAC": 5}
    marked = Tokenizer(models.BPE(vocab, [("##A", "##C"), ("A", "##AC")], continuing_subword_prefix="##"))
    assert [step.merged for step in word_merges("AAC", marked)] == ["##AC", "AAC"]
    assert [step.merged for step in word_merges("##AC", marked)] == ["##AC"]


def test_joined_gives_the_pieces_after_any_number_of_steps(dnabert2, genome):
    history = merge_history(genome[4_000:4_120] + "N" + genome[4_121:4_150], dnabert2)
    joined = history.joined
    assert (joined.dtype, joined.shape, joined[0]) == (np.int32, (150,), 0)
    for step, state in enumerate(history.states()):
        begins = np.flatnonzero((joined == 0) | (joined > step))
        assert [piece.start for piece in state] == begins.tolist()
        assert history.pieces(step) == state
