"""A reading lane says what `reading_frames` says of clean DNA, and keeps its places whatever the letters are."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import numpy as np
import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import reading_frames
from biollm_widgets.widgets.reading_lanes import reading_lane


def along(frame, protein: str) -> str:
    """A protein from left to right on the strand as given."""
    return protein if frame > 0 else protein[::-1]


@pytest.mark.parametrize("table", [1, 2, 11])
def test_clean_dna_is_read_as_everywhere_in_the_package(table: int, shared_data: Path) -> None:
    with gzip.open(shared_data / "genome" / "GCF_000005845.2_ASM584v2_genomic.fna.gz", "rt") as lines:
        next(lines)
        genome = "".join(next(lines).strip() for _ in range(30))
    ambiguous = "".join(np.random.default_rng(2).choice(list("ACGTRYSWKMBDHVN"), 3000))
    for text in (genome, genome[:-1], ambiguous, "ACGTA", "ACG", "AC", ""):
        for expected in reading_frames(text, table):
            found = reading_lane(text, expected.frame, table)
            assert (found.frame, found.start) == (expected.frame, expected.start), (text[:9], expected)
            assert found.protein == along(expected.frame, expected.protein)


def test_lower_case_and_rna_are_read_and_other_letters_say_nothing() -> None:
    assert reading_lane("atgGCUnnn\u20acTAuaaTRA", 1).protein == "MAXX**"
    assert reading_lane("ATGNACG-ATAA", 1) == (1, 0, "MXX*")
    assert reading_lane("TTACAT", -1).protein == "*M"  # its reading direction is from right to left
    assert reading_lane("ACGTA", -2).label == "frame −2"


def test_frames_and_codes_that_there_are_not_are_said() -> None:
    with pytest.raises(InputError, match="A reading frame is"):
        reading_lane("ACGT", 4)
    with pytest.raises(InputError, match="no genetic code 7"):
        reading_lane("ACGT", 1, table=7)


def test_a_megabase_takes_less_than_half_a_second() -> None:
    text = "ACGTTGCAnR" * 100_000
    reading_lane(text[:90], 1)  # the table of codons is made once
    start = time.perf_counter()
    assert len(reading_lane(text, -3).protein) == 333_332
    assert time.perf_counter() - start < 0.5
