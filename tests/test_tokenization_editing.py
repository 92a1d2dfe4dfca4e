"""Edits that remember where each letter stood, and what they do to tokens, checked token by token."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from transformers import AutoTokenizer

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import read_fasta, reverse_complement, wrap
from biollm_widgets.tokenization import (
    CharTokenizer,
    EditedSequence,
    KmerTokenizer,
    boundaries,
    difference,
    summary_sentence,
    tokenize,
)

EXAMPLE = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"


@pytest.fixture(scope="module")
def lanes(shared_data):
    return {
        "BPE": AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer"),
        "6-mer": KmerTokenizer(6),
        "letters": CharTokenizer("dna"),
    }


@pytest.fixture(scope="module")
def genome(shared_data):
    return read_fasta(shared_data / "genome/GCF_000005845.2_ASM584v2_genomic.fna.gz")[0].sequence[:1_000_000]


def differences(edited, lanes):
    return {
        label: difference(tokenize(edited.original, one), tokenize(edited.text, one), edited)
        for label, one in lanes.items()
    }


def some_edits(text, rng, count):
    """Random edits of every kind, and beside them a list of (letter, origin, turned) that is edited the plain way."""
    edited, plain = EditedSequence(text), [(letter, i, False) for i, letter in enumerate(text)]
    states = [edited]
    for _ in range(count):
        a, b = sorted(rng.sample(range(len(plain) + 1), 2))
        kind = rng.choice(["change", "insert", "delete", "turn", "lower", "upper"])
        if kind == "change" and plain[a][0] != "G":
            edited = edited.change(a, "G")
            plain[a] = ("G", *plain[a][1:])
        elif kind == "insert":
            edited = edited.insert(a, "TTN")
            plain[a:a] = [(letter, -1, False) for letter in "TTN"]
        elif kind == "delete" and b - a < 9:
            edited = edited.delete(a, b)
            del plain[a:b]
        elif kind == "turn":
            edited = edited.reverse_complement(a, b)
            plain[a:b] = [(reverse_complement(c), i, not turned) for c, i, turned in reversed(plain[a:b])]
        elif kind in ("lower", "upper"):
            edited = getattr(edited, f"{kind}_case")(a, b)
            plain[a:b] = [(getattr(c, kind)(), i, turned) for c, i, turned in plain[a:b]]
        states.append(edited)
    return states, plain


def test_every_letter_remembers_where_it_stood(genome):
    rng = random.Random(2)
    for _ in range(30):
        states, plain = some_edits(genome[500:560], rng, 12)
        last = states[-1]
        assert last.text == "".join(c for c, _, _ in plain)
        assert last.origin.tolist() == [i for _, i, _ in plain]
        assert last.turned.tolist() == [turned for _, _, turned in plain]
        assert last.origin.dtype == np.int32
        while last.edits:
            before = next(state for state in reversed(states) if len(state.edits) == len(last.edits) - 1)
            last = last.undo()
            assert (last.text, last.edits) == (before.text, before.edits)
            assert last.origin.tolist() == before.origin.tolist()
        assert last.text == last.original
    with pytest.raises(InputError, match="no change to take back"):
        last.undo()


def test_gone_new_and_kept_cuts_against_the_definition(lanes, genome):
    rng = random.Random(7)
    for _ in range(25):
        states, _ = some_edits(genome[9_000:9_080], rng, rng.randint(0, 3))
        edited = states[-1]
        origin, turned = edited.origin.tolist(), edited.turned.tolist()
        for label, found in differences(edited, lanes).items():
            before, after = tokenize(edited.original, lanes[label]), tokenize(edited.text, lanes[label])
            held = {(tuple(range(t.start, t.end)), t.id): t.index for t in before if not t.special}
            new = []
            for token in after:
                key = tuple(origin[token.start : token.end]), token.id
                if token.special or (key in held and not any(turned[token.start : token.end])):
                    held.pop(key, None)
                else:
                    new.append(token.index)
            assert found.new.tolist() == new
            assert found.gone.tolist() == sorted(held.values())
            pairs = {frozenset((p - 1, p)) for p in boundaries(before).tolist()}
            kept = [p for p in boundaries(after).tolist() if frozenset((origin[p - 1], origin[p])) in pairs]
            assert (found.cuts_kept, found.cuts_after) == (len(kept), len(boundaries(after)))


SENTENCES = [
    (
        lambda s: s.change(22, "G"),
        "C changed to G at base 23",
        [
            "BPE: 2 tokens became 3; 13 stayed",
            "6-mer: 6 of 54 tokens changed",
            "letters: 1 token changed, the other 58 stayed",
        ],
        "One changed base turns 2 BPE tokens into 3, and changes 6 of the 54 6-mers and 1 of the 59 letters.",
    ),
    (
        lambda s: s.insert(10, "TTA"),
        "TTA inserted before base 11",
        [
            "BPE: 1 token became 2; 14 stayed",
            "6-mer: 5 of 54 tokens became 8",
            "letters: 3 new tokens; all 59 others stayed",
        ],
        "3 inserted bases turn 1 BPE token into 2 and 5 of the 54 6-mers into 8, and add 3 letters.",
    ),
    (
        lambda s: s.delete(5, 6),
        "Base 6 (G) deleted",
        [
            "BPE: 2 tokens changed, the other 13 stayed",
            "6-mer: 6 of 54 tokens became 5",
            "letters: 1 token is gone; 58 stayed",
        ],
        "One deleted base changes 2 BPE tokens, turns 6 of the 54 6-mers into 5 and takes away 1 letter.",
    ),
    (
        lambda s: s.delete(0, 59),
        "All 59 bases deleted",
        ["BPE: no token is left", "6-mer: no token is left", "letters: no token is left"],
        "59 deleted bases take away 15 BPE tokens, 54 6-mers and 59 letters.",
    ),
    (
        lambda s: s.reverse_complement(),
        "All 59 bases read from the other strand",
        [
            "BPE: read from the other strand, 5 of its 14 cuts are in the same places; 15 tokens became 16",
            "6-mer: read from the other strand, every token changed",
            "letters: read from the other strand, all of its 58 cuts are in the same places",
        ],
        "Reading from the other strand turns all 15 BPE tokens into 16, and changes all 54 6-mers and all 59 letters.",
    ),
    (
        lambda s: s.lower_case(4, 9),
        "Bases 5 to 9 made lower case",
        [
            "BPE: 3 tokens became 8; 12 stayed; 5 more unknown",
            "6-mer: 9 of 54 tokens changed; 9 more unknown",
            "letters: 5 tokens changed, the other 54 stayed; 5 more unknown",
        ],
        "Lower case turns 3 BPE tokens into 8, and changes 9 of the 54 6-mers and 5 of the 59 letters.",
    ),
    (
        lambda s: s.lower_case(0, 59),
        "All 59 bases made lower case",
        [
            "BPE: all 15 tokens changed; there are 59 now; the model knows none of them",
            "6-mer: all 54 tokens changed; the model knows none of them",
            "letters: all 59 tokens changed; the model knows none of them",
        ],
        "Lower case turns all 15 BPE tokens into 59, and changes all 54 6-mers and all 59 letters.",
    ),
    (
        lambda s: s.lower_case(4, 9).upper_case(4, 9),
        "Bases 5 to 9 made capital",
        [
            "BPE: nothing changed; all 15 tokens stayed",
            "6-mer: nothing changed; all 54 tokens stayed",
            "letters: nothing changed; all 59 tokens stayed",
        ],
        "2 edits together leave all 15 BPE tokens, all 54 6-mers and all 59 letters unchanged.",
    ),
]


@pytest.mark.parametrize(("edit", "said", "sentences", "summary"), SENTENCES, ids=[case[1] for case in SENTENCES])
def test_what_an_edit_did_is_told_in_plain_sentences(lanes, edit, said, sentences, summary):
    edited = edit(EditedSequence(EXAMPLE))
    found = differences(edited, lanes)
    assert edited.descriptions[-1] == said
    assert [one.sentence(label) for label, one in found.items()] == sentences
    assert summary_sentence(found, edited) == summary


def test_numbers_begin_where_the_sequence_does():
    edited = EditedSequence("ACGT", offset=100).change(0, "T").insert(4, "GG")
    assert edited.descriptions == ["A changed to T at base 100", "GG inserted after base 103"]
    assert edited.edits[0].describe(1, "residue") == "A changed to T at residue 1"
    with pytest.raises(InputError, match=r"no base 110 in this sequence; it has 100 to 105"):
        edited.change(10, "A")


def test_lines_and_special_tokens_stay_where_they_are(shared_data):
    protgpt2 = AutoTokenizer.from_pretrained(shared_data / "protgpt2_tokenizer")
    protein = read_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz", "protein")[3].sequence[:150]
    text = f"<|endoftext|>\n{wrap(protein)}\n"
    edited = EditedSequence(text)
    before = tokenize(text, protgpt2)
    assert edited.letters == before.sequence == protein
    one = edited.change(70, "W")
    assert one.letters == protein[:70] + "W" + protein[71:]
    assert one.text.split("\n")[1] == protein[:60]
    more = edited.insert(60, "WW").delete(0, 2)
    after = tokenize(more.text, protgpt2)
    assert after.sequence == more.letters == protein[2:60] + "WW" + protein[60:]
    assert [len(line) for line in more.text.split("\n")] == [13, 60, 60, len(protein) - 120, 0]
    found = difference(before, after, more)
    assert 0 < len(found.new) < 12
    nothing = difference(before, before, edited)
    assert nothing.new.size == nothing.gone.size == 0  # line breaks too


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda s: s.change(0, "AC"), "one letter in the place of another"),
        (lambda s: s.change(0, "A"), "Base 1 is A already"),
        (lambda s: s.change(-1, "A"), "no base 0 in this sequence; it has 1 to 5"),
        (lambda s: s.insert(6, "A"), "no base 7"),
        (lambda s: s.insert(0, ""), "no letter to put in"),
        (lambda s: s.insert(0, "A C"), "no letter of a sequence"),
        (lambda s: s.delete(2, 2), "choose at least one"),
        (lambda s: s.delete(3, 9), "no base 4 to 9"),
        (lambda s: s.reverse_complement(), "'-' at base 5 is no base"),
    ],
)
def test_an_edit_that_cannot_be_is_refused(edit, words):
    with pytest.raises(InputError, match=words):
        edit(EditedSequence("ACGT-"))


def test_readings_of_other_texts_are_refused():
    edited = EditedSequence("ACGT").insert(0, "A")
    with pytest.raises(InputError, match="4 letters in the edited text, which has 5"):
        difference(tokenize("ACGT", KmerTokenizer(2)), tokenize("ACGT", KmerTokenizer(2)), edited)


def test_a_million_bases_are_edited_and_compared_in_a_moment(genome):
    before = tokenize(genome, KmerTokenizer(6))
    edited = EditedSequence(genome).insert(500_000, "A").reverse_complement(10, 900_000)
    after = tokenize(edited.text, KmerTokenizer(6))
    start = time.process_time()
    assert difference(before, after, edited).stayed == 5 + 99_996  # windows before and behind the turned stretch
    assert time.process_time() - start < 2  # 0.2 s on a free core


def test_a_letter_that_reads_the_same_on_the_other_strand_is_not_the_same_token(lanes):
    edited = EditedSequence("ANA").reverse_complement(1, 2)
    assert edited.text == "ANA"
    found = differences(edited, lanes)["letters"]
    assert (found.gone.tolist(), found.new.tolist(), found.stayed) == ([2], [2], 2)
