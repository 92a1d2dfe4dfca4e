"""The index finds what a search letter by letter finds, among all proteins of E. coli and yeast."""

from __future__ import annotations

import random
import time

import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.protein.control import shuffled_set
from biollm_widgets.protein.references import References, Shared, longest_shared
from biollm_widgets.sequences import AMINO_ACIDS, Record, read_fasta


@pytest.fixture(scope="module")
def proteomes(shared_data):
    folder = shared_data / "proteins"
    return References.from_fasta(folder / "UP000000625_ecoli.fasta.gz", folder / "UP000002311_yeast.fasta.gz")


def by_hand(sequence, references):
    """Length of the longest stretch of a sequence in any reference, by trying all of them."""
    for length in range(len(sequence), 0, -1):
        for start in range(len(sequence) - length + 1):
            stretch = sequence[start : start + length]
            if not set(stretch) & set("XBZJ") and any(stretch in other for other in references):
                return length, start
    return 0, 0


def test_references_come_from_records_pairs_texts_mappings_and_files(tmp_path):
    (tmp_path / "x.fasta").write_text(">a\nMKTAY\n>a\nIAKQR\n")
    ways = [
        References.from_fasta(tmp_path / "x.fasta"),
        References.of(tmp_path / "x.fasta"),
        References([("a", "MKTAY"), ("a", "IAKQR")]),
        References([Record("a", "", "MKTAY", alphabet="protein"), ("a", "iakqr")]),
    ]
    for way in ways:
        assert (way.names, way.sequences, way.residues, len(way)) == (("a", "a"), ("MKTAY", "IAKQR"), 10, 2)
    assert References({"a": "MK", "b": "TT"}).names == ("a", "b")
    assert References(["MK", "TT"]).names == ("reference_1", "reference_2")
    assert References.of(ways[0]) is ways[0]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "no references"),
        ([("a", "MK"), ("b", "")], "Reference b has no residues"),
        ([("a", "MK1")], "In reference a, position 3, '1' is no residue"),
    ],
)
def test_references_that_are_none_are_refused(records, words):
    with pytest.raises(InputError, match=words):
        References(records)


def test_the_longest_shared_stretch_agrees_with_a_search_by_hand():
    rng = random.Random(1)
    for letters in ("AC", "ACDX", AMINO_ACIDS + "XU"):
        for _ in range(150):
            known = ["".join(rng.choices(letters, k=rng.randint(1, 30))) for _ in range(rng.randint(1, 5))]
            sequence = "".join(rng.choices(letters, k=rng.randint(0, 25)))
            references = References(known)
            found = references.longest_shared(sequence)
            assert (found.length, found.start) == by_hand(sequence, known)
            if found.length:
                there = known[references.names.index(found.name)]
                shared = sequence[found.start : found.start + found.length]
                assert there[found.start_there : found.start_there + found.length] == shared


def test_a_stretch_never_runs_from_one_protein_into_the_next():
    references = References(["MKTAYI", "AKQRQI"])
    assert longest_shared("MKTAYIAKQRQI", references) == Shared(6, 0, "reference_1", 0)
    assert longest_shared("", references) == Shared(0, 0, "", 0)
    assert longest_shared("wwwwwwww", references).length == 0


def test_a_recited_stretch_is_found_where_it_is(proteomes):
    rng = random.Random(4)
    for _ in range(50):
        number = rng.randrange(len(proteomes))
        protein = proteomes.sequences[number]
        start = rng.randrange(max(1, len(protein) - 60))
        stretch = protein[start : start + 60]
        if set(stretch) & set("XUO") or len(stretch) < 20:
            continue
        found = proteomes.longest_shared("WWCWW" + stretch + "WCHWW")
        assert found.length >= len(stretch)
        there = proteomes.sequences[proteomes.names.index(found.name)]
        assert stretch in there[found.start_there : found.start_there + found.length]


@pytest.mark.slow
def test_a_thousand_designs_against_four_million_residues_take_seconds(proteomes):
    designs = shuffled_set([sequence[:250] for sequence in proteomes.sequences[:1000]], seed=1)
    proteomes.longest_shared(designs[0])
    start = time.perf_counter()
    found = [proteomes.longest_shared(design) for design in designs]
    assert time.perf_counter() - start < 5  # half a second on a free core
    for design, shared in zip(designs[:3], found[:3], strict=True):
        longer = [design[i : i + shared.length + 1] for i in range(len(design) - shared.length)]
        assert not any(stretch in protein for protein in proteomes.sequences for stretch in longer)
    lengths = [shared.length for shared in found]
    assert min(lengths) >= 4 and max(lengths) < 15  # what chance shares: about log(250 * 4.3 million) / log(18)


def test_a_protein_is_its_own_first_candidate(proteomes):
    for number in range(5, len(proteomes), 1500):
        sequence = proteomes.sequences[number]
        candidates = proteomes.candidates(sequence, 5)
        assert proteomes.sequences[candidates[0]] == sequence
        assert len(set(candidates.tolist())) == 5


def test_what_has_no_word_has_no_candidates(proteomes):
    for sequence in ("", "MK", "XXXXXX", "AXAXAXA"):
        assert proteomes.candidates(sequence).shape == (0,)
    assert References(["WWWWW"]).candidates("AAAAA").shape == (0,)
    assert References(["W", "WWWWW"]).candidates("AWWWA").tolist() == [1]


def test_proteins_of_one_name_and_the_model_card(proteomes, shared_data):
    for record in read_fasta(shared_data / "proteins/protgpt2_model_card_10.fasta", "protein"):
        found = proteomes.longest_shared(record.sequence)
        assert 5 <= found.length <= 12  # written, not recited
