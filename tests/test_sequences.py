"""Sequences: what is repaired and told, what is refused and where, strands, frames, and FASTA that comes back."""

from __future__ import annotations

import gzip
import io
import pickle
import random
import time
from pathlib import Path

import numpy as np
import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import (
    Record,
    clean_dna,
    clean_protein,
    codons,
    format_fasta,
    read_fasta,
    reading_frames,
    reverse_complement,
    translate,
    unwrap,
    wrap,
    write_fasta,
)

GENOME = "genome/GCF_000005845.2_ASM584v2_genomic.fna.gz"


def told(cleaned) -> dict[str, list[int]]:
    return {repair.kind: repair.positions.tolist() for repair in cleaned.repairs}


# --- cleaning


def test_clean_text_is_left_alone_and_nothing_is_told():
    assert clean_dna("ACGT") == "ACGT"
    assert clean_dna("AC\nGT\r\n").repairs == ()


def test_each_repair_of_dna_is_told_with_its_positions():
    cleaned = clean_dna("acGUu-N.RA")
    assert cleaned == "ACGTTNRA"
    assert told(cleaned) == {"case": [1, 2, 5], "uracil": [4, 5], "gap": [6, 8], "ambiguous": [7, 9]}
    assert "R = A or G" in cleaned.repairs[-1].words


def test_genbank_columns_and_spaces_are_layout():
    text = "ORIGIN\n        1 agcttttcat tctgactgca\n       21 acgggcaa\n//\n"
    cleaned = clean_dna(text)
    assert cleaned == "AGCTTTTCATTCTGACTGCAACGGGCAA"
    assert {repair.kind: repair.count for repair in cleaned.repairs} == {"number": 2, "space": 1, "case": 28}
    assert told(cleaned)["space"] == [10]


def test_a_number_inside_the_letters_is_refused():
    with pytest.raises(InputError, match=r"position 3, '5' is no base"):
        clean_dna("AC5T")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ACGXT", r"position 4, 'X' is no base; use N"),
        ("AC\n\nG!T", r"position 4 \(line 3\), '!'"),
        ("ac gt-a*", r"position 7, '\*'"),
        ("MKTLLV", r"position 4, 'L'.*protein"),
        (">a\nACGT", r"position 1 \(line 1\), '>' begins a FASTA header"),
        ("ACA\u0421", r"position 4, '\u0421' \(cyrillic capital letter es\)"),
        ("A\x01C", r"position 2, character 1"),
        ("", "no letters"),
        (" \n ", "no letters"),
        ("--", "only gaps"),
    ],
)
def test_a_refusal_of_dna_names_the_letter_and_its_place(text, words):
    with pytest.raises(InputError, match=words):
        clean_dna(text)


def test_the_name_given_is_the_name_told():
    with pytest.raises(InputError, match="In gene 7, position 1"):
        clean_dna("!", name="gene 7")


def test_ambiguous_letters_are_kept_masked_or_refused_by_choice():
    assert clean_dna("ACRYN") == "ACRYN"
    masked = clean_dna("ACRYN", ambiguity="mask")
    assert masked == "ACNNN"
    assert told(masked) == {"masked": [3, 4, 5]}
    with pytest.raises(InputError, match="position 3, 'R' stands for A or G"):
        clean_dna("ACRYN", ambiguity="refuse")
    assert clean_protein("MKB", ambiguity="mask") == "MKX"
    with pytest.raises(InputError, match="ambiguity is one of"):
        clean_dna("A", ambiguity="maybe")


def test_gaps_can_be_refused():
    with pytest.raises(InputError, match="position 3, '-' is a gap"):
        clean_dna("AC-T", gaps="refuse")


def test_a_stop_at_the_end_of_a_protein_goes_and_one_in_the_middle_is_refused():
    cleaned = clean_protein("mk-TL*\n")
    assert cleaned == "MKTL"
    assert told(cleaned) == {"case": [1, 2], "gap": [3], "stop": [6]}
    with pytest.raises(InputError, match=r"position 3, '\*' is a stop in the middle"):
        clean_protein("MK*TL*")


def test_rare_residues_are_kept_and_told():
    cleaned = clean_protein("MUXO")
    assert cleaned == "MUXO"
    assert told(cleaned) == {"ambiguous": [2, 3, 4]}
    assert "selenocysteine" in cleaned.repairs[0].words


def test_typography_of_a_web_page_is_read_as_meant():
    cleaned = clean_dna("\ufeffAC\u00a0GT\u2013A\u200bC")
    assert cleaned == "ACGTAC"
    assert {"typography", "space", "gap"} <= set(told(cleaned))


def test_what_was_repaired_survives_a_copy():
    copy = pickle.loads(pickle.dumps(clean_dna("acg")))
    assert copy == "ACG"
    assert copy.repairs[0].kind == "case"


def test_repairs_of_a_long_soft_masked_stretch_are_runs_in_json():
    entry = clean_dna("A" * 5 + "c" * 1000 + "GuG").repairs[0].to_dict()
    assert entry["positions"] == [[6, 1005], [1007, 1007]]
    assert entry["count"] == 1001


def test_cleaning_agrees_with_a_plain_loop_on_random_text():
    rng = random.Random(3)
    for _ in range(200):
        text = "".join(rng.choices("ACGTacgtUuNnRy-. \n", k=rng.randint(1, 80)))
        kept = [letter for letter in text if letter not in " \n"]
        expected = "".join(letter for letter in kept if letter not in "-.").upper().replace("U", "T")
        if not expected:
            continue
        cleaned = clean_dna(text)
        assert cleaned == expected
        places = told(cleaned)
        assert places.get("case", []) == [i for i, letter in enumerate(kept, 1) if letter.islower()]
        assert places.get("gap", []) == [i for i, letter in enumerate(kept, 1) if letter in "-."]


# --- FASTA


def test_many_ways_to_write_the_same_two_records():
    plain = ">a first one\nACGT\nAC\n>b\nGGG\n"
    expected = [("a", "first one", "ACGTAC"), ("b", "", "GGG")]
    ways = [
        plain,
        plain.replace("\n", "\r\n"),
        plain.replace("\n", "\r"),
        "\ufeff" + plain,
        "\n\n" + plain.replace("\n", " \t\n\n"),
        "; an old comment\n" + plain.replace("GGG", "GGG  "),
        plain.rstrip("\n"),
    ]
    for text in ways:
        assert [(r.name, r.description, r.sequence) for r in read_fasta(text)] == expected, repr(text)
    for data in [
        plain.encode(),
        plain.encode("utf-16"),
        b"\xef\xbb\xbf" + plain.encode(),
        gzip.compress(plain.encode()),
    ]:
        assert [(r.name, r.description, r.sequence) for r in read_fasta(io.BytesIO(data))] == expected


def test_the_header_is_optional():
    (record,) = read_fasta("ACGT\nACGT\nAC")
    assert (record.name, record.sequence, record.repairs) == ("sequence_1", "ACGTACGTAC", ())
    assert [r.name for r in read_fasta("ACG\n>b\nGGG\n>\nTTT")] == ["sequence_1", "b", "sequence_3"]
    assert read_fasta("ACGTACGT")[0].sequence == "ACGTACGT"


def test_ragged_lines_without_a_header_are_joined_with_a_word_about_it():
    (record,) = read_fasta("ACGT\nACGTACGT\nAC")
    assert [repair.kind for repair in record.repairs] == ["joined"]


def test_files_plain_and_gzipped(tmp_path):
    plain, packed = tmp_path / "x.fa", tmp_path / "x.gz"
    plain.write_bytes(b">a\nACGT\n")
    packed.write_bytes(gzip.compress(b">a\nACGT\n"))
    assert read_fasta(plain) == read_fasta(str(packed)) == [Record("a", "", "ACGT")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        (">a\n>b\nACGT", r"Record a \(line 1\) has a header but no letters"),
        (">b\nACGT\n>a\n", r"Record a \(line 3\) has a header but no letters"),
        (">a\nAC\n>b\nGG\n>a\nTT", r"have the name a \(lines 1 and 5\)"),
        (">a\nAC\n>b\nGG\nG?T\n", r"In record b, position 4 \(line 5\), '\?' is no base"),
        ("@read1\nACGT\n+\nIIII\n", "FASTQ"),
        ("LOCUS       X 10 bp\nORIGIN\n", "GenBank"),
        ("https://example.org/x.fa", "download the file"),
        ("missing.fasta", "There is no file missing.fasta"),
        ("no/such/place", "There is no file"),
    ],
)
def test_a_refusal_of_fasta_is_one_sentence_with_the_place(text, words):
    with pytest.raises(InputError, match=words) as problem:
        read_fasta(text)
    assert "\n" not in str(problem.value)


def test_a_refusal_in_a_file_names_the_file(tmp_path):
    file = tmp_path / "genes.fa"
    file.write_text(">a\nAC\n\nGT\nG7\n")
    with pytest.raises(InputError, match=r"In record a of .*genes.fa, position 6 \(line 5\), '7'"):
        read_fasta(file)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "no readable text"),
        (gzip.compress(b">a\nACGT\n" * 100, mtime=0)[:-20], "damaged gzip"),
        (b"PK\x03\x04rest", "packed with zip"),
        (bytes(range(256)) * 4, "no readable text"),
    ],
)
def test_what_is_no_fasta_file_is_refused_in_words(tmp_path, data, words):
    file = tmp_path / "x.fa"
    file.write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_fasta(file)


def test_a_folder_and_a_wrong_type_are_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_fasta(tmp_path)
    with pytest.raises(InputError, match="not from int"):
        read_fasta(5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="dna or protein"):
        read_fasta("ACGT", "rna")


def test_two_records_of_one_name_can_be_renamed_or_kept():
    text = ">a\nAC\n>a_2\nGG\n>a\nTT"
    renamed = read_fasta(text, duplicates="rename")
    assert [record.name for record in renamed] == ["a", "a_2", "a_3"]
    assert [repair.kind for repair in renamed[2].repairs] == ["renamed"]
    assert [record.name for record in read_fasta(text, duplicates="keep")] == ["a", "a_2", "a"]


def test_dna_read_as_protein_is_pointed_out():
    (record,) = read_fasta(">x\n" + "ACGT" * 10, "protein")
    assert [repair.kind for repair in record.repairs] == ["looks like DNA"]


def test_what_is_written_comes_back(tmp_path):
    rng = random.Random(1)
    records = [
        Record(f"r{i}", "a b" * (i % 2), "".join(rng.choices("ACGTN", k=rng.randint(1, 200)))) for i in range(30)
    ]
    for name in ["x.fa", "x.fa.gz"]:
        write_fasta(records, tmp_path / name)
        back = read_fasta(tmp_path / name)
        assert [(r.name, r.description, r.sequence) for r in back] == [
            (r.name, r.description, r.sequence) for r in records
        ]
    assert max(map(len, format_fasta(records).splitlines())) == 60
    assert format_fasta({"a": "ACGT"}) == format_fasta([("a", "ACGT")]) == ">a\nACGT\n"
    with pytest.raises(InputError, match="line break"):
        format_fasta([("a\nb", "ACGT")])


def test_nothing_is_written_when_a_record_is_refused(tmp_path):
    with pytest.raises(InputError, match="no letters"):
        write_fasta([("a", "ACGT"), ("b", "")], tmp_path / "x.fa")
    assert list(tmp_path.iterdir()) == []


def test_lines_of_sixty_and_back():
    text = "ACGT" * 40
    assert [len(line) for line in wrap(text).split("\n")] == [60, 60, 40]
    assert [len(line) for line in wrap("A" * 120).split("\n")] == [60, 60]
    assert wrap("", 60) == ""
    assert wrap(text, 0) == text
    for width in (1, 7, 60, 1000):
        assert unwrap(wrap(text, width)) == text
    with pytest.raises(InputError, match="width"):
        wrap("ACGT", -1)


def test_the_whole_genome_is_read_in_a_moment(shared_data):
    start = time.perf_counter()
    (record,) = read_fasta(shared_data / GENOME)
    seconds = time.perf_counter() - start
    assert len(record) == 4_641_652
    assert record.name == "NC_000913.3"
    assert record.repairs == ()
    assert seconds < 2  # 0.1 s on a free core; a loop over letters takes more than this
    start = time.perf_counter()
    lower = read_fasta(wrap(record.sequence.lower()))[0]
    assert time.perf_counter() - start < 3
    assert lower.sequence == record.sequence
    assert lower.repairs[0].count == len(record)


def test_the_proteomes_have_the_letters_that_are_known_of_them(shared_data):
    ecoli = read_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz", "protein")
    assert len(ecoli) == 4402
    odd = [repair for record in ecoli for repair in record.repairs]
    letters = "".join(r.sequence for r in ecoli)
    assert sum(repair.count for repair in odd) == letters.count("X") + letters.count("U") == 11
    assert ecoli[0].description.startswith("Uncharacterized protein YmgJ")


# --- strands and frames


def test_the_other_strand_with_every_iupac_letter():
    assert reverse_complement("ACGTRYSWKMBDHVN") == "NBDHVKMWSRYACGT"
    assert reverse_complement("aCu") == "aGt"
    for text in ["", "A", "ACGTRYSWKMBDHVN"]:
        assert reverse_complement(reverse_complement(text)) == text
    with pytest.raises(InputError, match="'X' at position 3 has no complement"):
        reverse_complement("ACX")


def test_the_other_strand_agrees_with_biopython_on_random_dna():
    from Bio.Seq import reverse_complement as biopython

    rng = random.Random(5)
    for _ in range(50):
        text = "".join(rng.choices("ACGTRYSWKMBDHVN", k=rng.randint(0, 60)))
        assert reverse_complement(text) == biopython(text)


def test_six_frames_cover_what_they_say():
    rng = random.Random(7)
    for length in [0, 1, 2, 3, 4, 5, 50, 51, 52]:
        text = "".join(rng.choices("ACGT", k=length))
        frames = reading_frames(text)
        assert [frame.frame for frame in frames] == [1, 2, 3, -1, -2, -3]
        for frame in frames:
            covered = text[frame.start : frame.end]
            assert "".join(frame.codons) == (covered if frame.frame > 0 else reverse_complement(covered))
            assert len(frame.protein) == len(frame.codons) == max(0, length - abs(frame.frame) + 1) // 3


def test_translation_of_codons_stops_and_ambiguity():
    assert codons("ATGAAATAGC") == ["ATG", "AAA", "TAG"]
    assert codons("ATGAAATAGC", -1) == ["GCT", "ATT", "TCA"]
    assert translate("ATGAAATAGC") == "MK*"
    assert translate("ATGAAATAGC", to_stop=True) == "MK"
    assert translate("GCNATN") == "AX"
    assert translate("TGA", table=4) == "W"
    with pytest.raises(InputError, match="no genetic code 7"):
        translate("ATG", table=7)
    with pytest.raises(InputError, match="reading frame is"):
        codons("ATG", 0)
    with pytest.raises(InputError, match="'L' at position 1"):
        translate("LLL")


def test_a_real_gene_translates_to_the_real_protein(shared_data):
    """The first genes of E. coli, thrL and thrA, at RefSeq NC_000913.3:190..255 and 337..2799."""
    genome = read_fasta(shared_data / GENOME)[0].sequence
    proteins = {
        record.name.split("|")[2]: record.sequence
        for record in read_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz", "protein")
    }
    assert translate(genome[189:255], table=11, to_stop=True) == proteins["LPT_ECOLI"]
    assert translate(genome[336:2799], table=11, to_stop=True) == proteins["AK1H_ECOLI"]


def test_positions_are_arrays_that_say_nothing_where_there_is_nothing_to_say():
    (record,) = read_fasta(">a\nAC\n>a\nGG", duplicates="rename")[1:]
    assert isinstance(record.repairs[0].positions, np.ndarray)
    assert record.repairs[0].to_dict()["positions"] == []


def test_a_sequence_longer_than_any_file_name_is_text():
    assert len(read_fasta("ACGT" * 2000)[0]) == 8000
    assert read_fasta(Path(__file__).name.replace(".py", "").replace("test_sequences", "ACGT"))[0].sequence == "ACGT"
