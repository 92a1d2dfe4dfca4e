"""A lane's rows never overlap, its quantities are what a loop over the letters gives, and its scale holds all lanes."""

from __future__ import annotations

import time

import numpy as np
import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.tokenization import CharTokenizer, KmerTokenizer, tokenize
from biollm_widgets.widgets.lanes import Lane, scale_of, stack

BASES = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"


@pytest.mark.parametrize("k", [1, 3, 6])
def test_kmers_are_stacked_in_k_rows_and_none_lies_over_another(k: int) -> None:
    read = tokenize(BASES, KmerTokenizer(k))
    rows, row_of = stack(read)
    assert rows == k
    assert row_of[1] == 0
    ordinary = ~read.columns.special
    for row in range(rows):
        mine = ordinary & (row_of == row)
        assert (read.columns.starts[mine][1:] >= read.columns.ends[mine][:-1]).all()


def test_tokens_that_do_not_overlap_have_one_row(dnabert2, protgpt2) -> None:
    assert Lane("BPE", tokenize(BASES, dnabert2)).stack[0] == 1
    # Three tokens for the bytes of one letter: one place, no overlap.
    protein = tokenize("MKT\n\u20acAYI", protgpt2, alphabet="protein")
    assert Lane("BPE", protein).stack == (1, pytest.approx(np.zeros(len(protein))))


@pytest.mark.parametrize("text", [BASES, "acgtNNacGGTTRYn", "NNNN", ""])
def test_quantities_are_what_a_loop_over_the_letters_gives(text: str, dnabert2) -> None:
    for tokenizer in (dnabert2, KmerTokenizer(3)):
        read = tokenize(text, tokenizer)
        lane = Lane("x", read)
        ids = read.ids
        for index, token in enumerate(read.tokens):
            letters = [letter for letter in read.sequence[token.start : token.end].upper() if letter in "ACGT"]
            share = sum(letter in "GC" for letter in letters) / len(letters) if letters else np.nan
            expected = {"length": token.end - token.start or np.nan, "gc": share, "frequency": ids.count(token.id)}
            for color, number in expected.items():
                number = np.nan if token.special else number
                assert lane.quantity(color)[index] == pytest.approx(number, nan_ok=True), (color, token)
        assert np.isnan(lane.quantity("scores")).all()


def test_a_line_break_has_no_length_but_a_score(protgpt2) -> None:
    read = tokenize("MKTAYI\nAKQRQ", protgpt2, alphabet="protein")
    [broken] = [token.index for token in read.tokens if token.text == "\n"]
    lane = Lane("BPE", read, np.arange(len(read)))
    assert np.isnan(lane.quantity("length")[broken])
    assert lane.quantity("scores")[broken] == broken


def test_one_scale_holds_all_lanes(dnabert2) -> None:
    lanes = [Lane("BPE", tokenize(BASES, dnabert2)), Lane("letters", tokenize(BASES, CharTokenizer("dna")))]
    scale = scale_of(lanes, "length")
    assert (scale.low, scale.high, scale.low_said, scale.high_said) == (0, 8, "0", "8 bases")
    assert scale.share(4) == 0.5
    assert scale.share(99) == 1
    assert np.isnan(scale.share(np.nan))
    assert scale_of(lanes, "frequency").high == max(BASES.count(base) for base in "ACGT")
    assert scale_of(lanes, "gc").high_said == "100 %"
    values = np.full(len(lanes[0].tokenization), np.nan)
    assert scale_of([Lane("BPE", lanes[0].tokenization, values)], "scores").share(0.3) == 0.5  # no value at all
    values[3:5] = -2.5, 7
    scored = scale_of([Lane("BPE", lanes[0].tokenization, values), lanes[1]], "scores", "log-likelihood")
    assert (scored.low, scored.high, scored.label) == (-2.5, 7, "log-likelihood")
    assert scored.to_dict()["low_said"] == "−2.5"


def test_what_does_not_fit_is_said(dnabert2) -> None:
    read = tokenize(BASES, dnabert2)
    with pytest.raises(InputError, match="BPE: 3 values for 17 tokens"):
        Lane("BPE", read, np.zeros(3))
    with pytest.raises(InputError, match="length, gc, frequency, scores"):
        Lane("BPE", read).quantity("colour")
    with pytest.raises(InputError, match="length, gc, frequency, scores"):
        scale_of([], "token")


def test_a_megabase_takes_a_moment() -> None:
    letters = np.frombuffer(b"ACGTacgtN", dtype=np.uint8)
    text = letters[np.random.default_rng(1).integers(0, 9, 1_000_000)].tobytes().decode()
    lane = Lane("6-mer", tokenize(text, KmerTokenizer(6)))
    start = time.perf_counter()
    lane.quantity("gc")
    assert lane.stack[0] == 6
    assert time.perf_counter() - start < 1  # some 0.05 s here; a loop takes seconds
