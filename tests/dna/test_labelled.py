"""A CSV of labelled DNA is read as it stands, or refused with the line, the position and the letter."""

from __future__ import annotations

import gzip

import pytest

from biollm_widgets.dna.labelled import clean_sequences, parse_labels, read_table
from biollm_widgets.errors import InputError

GOOD = "sequence,label\nACGTACGTAC,0\nTTGCAATTGC,1\n"


def test_byte_order_mark_windows_line_ends_blank_lines_and_gzip_change_nothing(tmp_path):
    plain = tmp_path / "plain.csv"
    plain.write_text(GOOD)
    odd = tmp_path / "odd.csv"
    odd.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    zipped = tmp_path / "zipped.csv.gz"
    zipped.write_bytes(gzip.compress(GOOD.encode()))
    for path in (odd, zipped):
        assert read_table(path).rows == read_table(plain).rows == [["ACGTACGTAC", "0"], ["TTGCAATTGC", "1"]]
        assert read_table(path).header == ["sequence", "label"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"sequence,label\n", "no rows"),
        (b"sequence\tlabel\nACGT\t0\n", "separated by tabs"),
        (b"sequence;label\nACGT;0\n", "separated by semicolons"),
        (b"sequence,label\nACGT,0\nACGT\n", "Line 3 of .* has 1 field where the header has 2"),
        (b"sequence,label\nACGT,0\n\nACGT,1,7\n", "Line 4 of .* has 3 fields"),
        (b"ACGTACGTAC,0\nTTGCAATTGC,1\n", "first line of .* is already a row of data"),
        (b"\xff\xfe\x00\x01\x9f", "no text file"),
        (b"\x1f\x8b\x08\x00garbage", "cannot be read as CSV"),
        (b'sequence,label\n"ACGT,0\n', "has 1 field"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(tmp_path, content, words):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_table(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no file .*nothing\.csv"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("label", "words"),
    [("", "is empty"), ("1.0", "decimal"), ("nan", "decimal"), ("coding", "is 'coding'"), ("-1", "is '-1'")],
)
def test_a_label_that_is_no_whole_number_is_named_with_its_line(tmp_path, label, words):
    path = tmp_path / "data.csv"
    path.write_text(f"sequence,label\nACGT,0\nACGT,{label}\nACGT,1\n")
    with pytest.raises(InputError, match=f"line 3 of .*{words}"):
        parse_labels(read_table(path), 1)


def test_repairs_are_made_and_counted():
    cleaned, repairs = clean_sequences(["ACGT", "acgu", " ACNR "], lambda i: f"row {i}")
    assert cleaned == ["ACGT", "ACGT", "ACNR"]
    text = " | ".join(repairs)
    assert "1 of 3 sequences turned to upper case" in text
    assert "1 of 3 sequences with U written as T" in text
    assert "1 of 3 sequences freed of spaces" in text
    assert "1 of 3 sequences with IUPAC letters for several bases" in text and "(2 letters)" in text


def test_clean_sequences_are_left_as_they_are_without_a_word():
    assert clean_sequences(["ACGT", "TT"], str) == (["ACGT", "TT"], [])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("ACXT", "row 1, position 3, 'X' is no base"),
        ("acgt7", "row 1, position 5, '7' is no base"),
        ("---", "row 1, only gaps"),
        ("  ", "row 1 is empty"),
        (float("nan"), "row 1 is nan, not text"),
        (7, "row 1 is 7, not text"),
    ],
)
def test_a_letter_that_is_no_base_is_named_with_row_and_position(bad, words):
    with pytest.raises(InputError, match=words):
        clean_sequences(["ACGT", bad], lambda i: f"row {i}")
