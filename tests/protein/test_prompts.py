"""What may be given as a prompt, what is repaired, what is refused, each in words."""

from __future__ import annotations

import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.protein.prompts import read_prompt


@pytest.mark.parametrize("nothing", [None, "", "  \n", "<|endoftext|>", "<|endoftext|>\n"])
def test_nothing_leaves_everything_to_the_model(nothing):
    prompt = read_prompt(nothing)
    assert not prompt and prompt.sequence == "" and prompt.repairs == ()


@pytest.mark.parametrize(
    ("given", "sequence", "told"),
    [
        ("MKTAYIAK", "MKTAYIAK", ""),
        ("<|endoftext|>\nMKTAYIAK", "MKTAYIAK", ""),
        ("mktayiak", "MKTAYIAK", "8 lower-case letters made capital"),
        ("MKTA YIAK", "MKTAYIAK", "space inside taken out"),
        ("MKTAYIAK*", "MKTAYIAK", "stop (*) at the end taken out"),
        ("MKT-AYIAK", "MKTAYIAK", "gap taken out"),
        ("1 MKTAY 5\n6 IAKQR 10", "MKTAYIAKQR", "column numbers taken out"),
        (">lysozyme chicken\nMKTAY\nIAKQR\n", "MKTAYIAKQR", ""),
        ("GAGAGAGAGAGAGAGAGAGAGAGA", "GAGAGAGAGAGAGAGAGAGAGAGA", ""),  # silk, not DNA
        ("ACGT", "ACGT", ""),  # too short to tell
    ],
)
def test_what_is_plain_is_repaired_and_told(given, sequence, told):
    prompt = read_prompt(given)
    assert prompt.sequence == sequence
    words = "; ".join(repair.words for repair in prompt.repairs)
    assert (told in words) if told else not words


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("MKXTA", "In the prompt, position 3, 'X' stands for any residue; replace it"),
        ("MK7TA", "In the prompt, position 3, '7'"),
        ("MKTUA", "'U' stands for selenocysteine"),
        ("MK*TA", r"position 3, '\*'"),
        ("MKT<b>A", "position 4, '<'"),
        (">a\nMK\n>b\nTA\n", r"There are 2 records in the prompt \(a, b\); give one of them"),
        (">a\n", "has a header but no letters"),
        ("ACGTAGCATCGGATCTATCTATCGACACTTGG", "looks like DNA, and a protein model reads residues; translate it first"),
        ("acgtagcatcggatctatctatcgacacttgg", "looks like DNA"),
        ("ACGUAGCAUCGGAUCUAUCUAUCG", "looks like DNA"),
        ("ACGTNAGCATCGGATCTNNNTATCGACACTTGG", "looks like DNA"),
        (">gene\nACGTAGCATCGGATCTATCTATCG\n", "looks like DNA"),
        ("MKTA<|endoftext|>YIAK", "may stand at the start of the prompt only"),
        (7, "A prompt is a text of residues, not int"),
        (["MK"], "A prompt is a text of residues, not list"),
    ],
)
def test_what_is_no_prompt_is_one_sentence_with_the_place_and_the_remedy(given, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read_prompt(given)
    assert "\n" not in str(caught.value)
