"""What may be given as a prompt, what is repaired, what is refused, each in words."""

from __future__ import annotations

import gzip
import os
import threading

import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.protein.prompts import read_prompt, read_prompt_from

DNA_TOLD = "all letters are bases: if this is DNA, translate it first"
IN_ITS_PLACE = r"write one of the twenty amino acids in its place\."


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
        (">silk\nGAGAGAGAGAGAGAGAGAGAGAGA\n", "GAGAGAGAGAGAGAGAGAGAGAGA", ""),
        ("ACGT", "ACGT", ""),  # too short to tell
        ("ACGTACG", "ACGTACG", ""),
        ("ACGTACGT", "ACGTACGT", DNA_TOLD),
        ("ATGGCTAAAGGTGCTTAAA", "ATGGCTAAAGGTGCTTAAA", DNA_TOLD),
        ("GATTAGAT", "GATTAGAT", DNA_TOLD),
        (">gene\nGATTAGAT\n", "GATTAGAT", DNA_TOLD),
        ("TATATATATA", "TATATATATA", ""),  # two letters
        ("GACAGACAGA", "GACAGACAGA", ""),  # no T
        ("MKTACGTACGT", "MKTACGTACGT", ""),
        ("GATTAGATTAGATTAGATTAGATTAG", "GATTAGATTAGATTAGATTAGATTAG", DNA_TOLD),  # no C: let pass, and told
        (">repeat\nATATATATATATATATATATATAT\n", "ATATATATATATATATATATATAT", DNA_TOLD),
        # A sixth of it is residues that are codes of bases too, and two letters are none.
        ("ACGTACGTACGTACGTACGTLE", "ACGTACGTACGTACGTACGTLE", ""),
        ("ACGTACGTACGTACGTRKDSV", "ACGTACGTACGTACGTRKDSV", ""),
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
        ("MKXTA", f"In the prompt, position 3, 'X' stands for any residue; {IN_ITS_PLACE}$"),
        ("MK--XTA", f"In the prompt, position 5, 'X' stands for any residue; {IN_ITS_PLACE}$"),
        (">a\nMK\nXTA\n", rf"In record a, position 3 \(line 3\), 'X' stands for any residue; {IN_ITS_PLACE}$"),
        ("MK7TA", f"In the prompt, position 3, '7' is no residue; {IN_ITS_PLACE}$"),
        (">a\nMK-7TA\n", rf"In record a, position 4 \(line 2\), '7' is no residue; {IN_ITS_PLACE}$"),
        ("MK>TA", "In the prompt, position 3, '>' begins a FASTA header; give one sequence alone"),
        ("MKTUA", f"'U' stands for selenocysteine; {IN_ITS_PLACE}$"),
        ("MK*TA", r"position 3, '\*'"),
        ("MKT<b>A", "position 4, '<'"),
        (">a\nMK\n>b\nTA\n", r"There are 2 records in the prompt \(a, b\); give one of them"),
        (">a\nMK\n>b\nTX\n", r"There are 2 records in the prompt \(a, b\); give one of them"),
        (">a\n", "has a header but no letters"),
        ("ACGTAGCATCGGATCTATCTATCGACACTTGG", "looks like DNA, and a protein model reads residues; translate it first"),
        ("acgtagcatcggatctatctatcgacacttgg", "looks like DNA"),
        ("ACGUAGCAUCGGAUCUAUCUAUCG", "looks like DNA"),
        ("ACGTNAGCATCGGATCTNNNTATCGACACTTGG", "looks like DNA"),
        (">gene\nACGTAGCATCGGATCTATCTATCG\n", "looks like DNA"),
        ("ACGTAGCRTCGGATCTATYTATCGACACTTGG", "looks like DNA"),
        ("ACGTAGCBTCGGATCTATVTATCGACACTTGG", "looks like DNA"),  # B is no residue, and not what is wrong
        (">gene\nACGTAGCBTCGGATCTATVTATCG\n", "looks like DNA"),
        ("ACG-TAGCATCGG-ATCTATCTATCG", "looks like DNA"),
        (
            "AUGGCUAAAGGU",
            r"The prompt \(AUGGCUAAAGGU\) looks like RNA, and U is no residue that the model knows; translate",
        ),
        (">gene\nAUGGCUAAAGGU\n", "looks like RNA"),
        ("AUGAUGAUGAUGAUGAUGAUGAUG", "looks like RNA"),
        ("AUUAUUAUUA", f"'U' stands for selenocysteine; {IN_ITS_PLACE}$"),  # two letters say nothing
        ("MKTA<|endoftext|>YIAK", "may stand at the start of the prompt only"),
        (7, "A prompt is a text of residues, not int"),
        (["MK"], "A prompt is a text of residues, not list"),
    ],
)
def test_what_is_no_prompt_is_one_sentence_with_the_place_and_the_remedy(given, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read_prompt(given)
    assert "\n" not in str(caught.value)


def test_what_may_be_dna_is_a_repair_of_that_kind_once():
    for given in ("GATTAGAT", ">gene\nGATTAGATTAGATTAGATTAGATTAG\n"):
        (repair,) = read_prompt(given).repairs
        assert repair.kind == "looks like DNA" and repair.count == len(read_prompt(given).sequence)


def test_a_prompt_comes_from_a_file_or_from_bytes(tmp_path):
    (tmp_path / "p.fasta.gz").write_bytes(gzip.compress(b">a\nMKT-AY\n"))
    for source in (tmp_path / "p.fasta.gz", gzip.compress(b">a\nMKT-AY\n"), b"<|endoftext|>\nMKT-AY"):
        prompt = read_prompt_from(source, "what I gave")
        assert prompt.sequence == "MKTAY" and [repair.kind for repair in prompt.repairs] == ["gap"]
    with pytest.raises(InputError, match=r"^what I gave \(ACGTAGCATCGGATCTATCT\.\.\.\) looks like DNA"):
        read_prompt_from(b"ACGTAGCATCGGATCTATCTATCGACACTTGG", "what I gave")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(">a\nMKX\n",), daemon=True)
    writer.start()
    with pytest.raises(InputError, match=r"In record a of a pipe, position 3 \(line 2\), 'X' stands for any residue"):
        read_prompt_from(pipe, "a pipe")
    writer.join(10)
