"""The columns say what the tokens say, for every kind of tokenizer, and a million of them cost no objects."""

from __future__ import annotations

import pickle
import random
import time
from collections import Counter

import numpy as np
import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import read_fasta, wrap
from biollm_widgets.tokenization import CharTokenizer, KmerTokenizer, tokenize, vocabulary_rank

TEXTS = ["", "A", "ACGT", "ACGnTTAC GTN\nACG ", "[CLS]ACG[MASK]", "  \n", "NNACGTACGTATT" * 5]


@pytest.fixture(scope="module")
def tokenizers(shared_data):
    return {
        "DNABERT-2": AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer"),
        "DNABERT-2, raw": Tokenizer.from_file(str(shared_data / "dnabert2_tokenizer" / "tokenizer.json")),
        "ProtGPT2": AutoTokenizer.from_pretrained(shared_data / "protgpt2_tokenizer"),
        "3-mers": KmerTokenizer(3),
        "letters": CharTokenizer("dna"),
    }


@pytest.fixture(scope="module")
def megabase(shared_data):
    return read_fasta(shared_data / "genome/GCF_000005845.2_ASM584v2_genomic.fna.gz")[0].sequence[:1_000_000]


def test_columns_tokens_and_single_tokens_are_one(tokenizers):
    for tokenizer in tokenizers.values():
        for text in TEXTS:
            result = tokenize(text, tokenizer)
            single = [result.token_at(index) for index in range(len(result))]
            assert "tokens" not in result.__dict__  # none of this makes them all
            assert tuple(single) == result.tokens
            for name in ("starts", "ends", "text_starts", "text_ends", "ids"):
                column = getattr(result.columns, name)
                assert column.dtype == np.int32
                assert column.tolist() == [getattr(token, name.removesuffix("s")) for token in result]
            assert result.columns.special.tolist() == [token.special for token in result]
            assert result.columns.unknown.tolist() == [token.unknown for token in result]
            assert result[1:-1] == result.tokens[1:-1]
            assert result.to_frame()["text"].tolist() == [token.text for token in result]
            times = Counter(result.ids)
            assert result.counts.tolist() == [times[number] for number in result.ids]


def test_equality_and_pickling_look_at_what_the_tokens_say(tokenizers):
    one, two = tokenize("ACGTNA", tokenizers["DNABERT-2"]), tokenize("ACGTNA", tokenizers["DNABERT-2"])
    assert one == two and hash(one) == hash(two)
    assert one != tokenize("ACGTAN", tokenizers["DNABERT-2"])
    assert tokenize("ACG", KmerTokenizer(1)) != tokenize("ACG", CharTokenizer("dna"))
    _ = one.tokens
    copy = pickle.loads(pickle.dumps(one))
    assert copy == one
    assert "tokens" not in copy.__dict__
    assert copy.tokens == one.tokens
    with pytest.raises(ValueError, match="read-only"):
        one.columns.ids[0] = 5
    with pytest.raises(IndexError):
        one[99]


def test_a_stretch_finds_its_tokens_in_every_way_of_cutting(tokenizers):
    """Against the definition, token by token."""
    rng = random.Random(3)
    texts = [*TEXTS, wrap("".join(rng.choices("ACGTN", k=150)))]
    for tokenizer in tokenizers.values():
        for text in texts:
            result = tokenize(text, tokenizer)
            n = len(result.sequence)
            for _ in range(25):
                start, end = sorted(rng.choices(range(n + 1), k=2))
                if start == end and n:
                    continue
                inside = [
                    token.index
                    for token in result
                    if (token.start < end and token.end > start)
                    or (token.start == token.end and (start <= token.start < end or token.start == end == n))
                ]
                first, last = result.covering(start, end)
                assert list(range(first, last)) == inside, (text, start, end)
    with pytest.raises(InputError, match="choose from 0 to 4"):
        tokenize("ACGT", KmerTokenizer(2)).covering(2, 5)


def test_only_windows_overlap(tokenizers):
    assert tokenize("ACGTA", KmerTokenizer(3)).overlapping
    assert not tokenize("ACG", KmerTokenizer(3)).overlapping
    assert not tokenize("ACGTA", CharTokenizer("dna")).overlapping
    assert not tokenize("ACGTACGTTATAT", tokenizers["DNABERT-2"]).overlapping
    assert not tokenize("MA\u00e9\nQW", tokenizers["ProtGPT2"]).overlapping  # two tokens for the bytes of one letter


def test_the_rank_of_a_word_leaves_special_ones_out(tokenizers):
    for name in ("DNABERT-2", "DNABERT-2, raw"):
        assert vocabulary_rank(tokenizers[name], 1239) == (1235, 4091)  # 4,096 less [UNK] [CLS] [SEP] [PAD] [MASK]
        assert vocabulary_rank(tokenizers[name], 0) == (None, 4091)
        assert vocabulary_rank(tokenizers[name], 4095) == (4091, 4091)
    assert vocabulary_rank(KmerTokenizer(6), 5) == (1, 4096)
    assert vocabulary_rank(CharTokenizer("protein"), 24) == (20, 20)
    assert vocabulary_rank(tokenizers["ProtGPT2"], 1) == (1, 50_256)  # all but <|endoftext|>
    with pytest.raises(InputError, match="no token 4096"):
        vocabulary_rank(tokenizers["DNABERT-2"], 4096)


def test_a_million_bases_as_columns_in_a_moment(megabase):
    for tokenizer in (KmerTokenizer(6), CharTokenizer("dna")):
        start = time.process_time()
        result = tokenize(megabase, tokenizer)
        assert result.finding.startswith("1,000,000 bases became ")
        assert result.notes == [] and not result.columns.unknown.any()
        assert time.process_time() - start < 2  # 0.2 s on a free core; 10 s with an object a token
        assert "tokens" not in result.__dict__


def test_tokens_put_behind_the_text_stand_behind_its_white_space(tokenizers):
    last = tokenize("ACGT \n", tokenizers["DNABERT-2"])[-1]
    assert (last.text_start, last.text_end, last.start) == (6, 6, 4)
