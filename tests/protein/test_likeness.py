"""Likeness is found where it is, is nothing where there is none, and says which."""

from __future__ import annotations

import math
import random
import time

import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.protein.control import shuffled
from biollm_widgets.protein.likeness import (
    References,
    align,
    duplicates,
    e_value,
    nearest,
    prompt_likeness,
    twilight,
)
from biollm_widgets.sequences import AMINO_ACIDS, read_fasta

PROMPT = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"


@pytest.fixture(scope="module")
def proteomes(shared_data):
    folder = shared_data / "proteins"
    return References.from_fasta(folder / "UP000000625_ecoli.fasta.gz", folder / "UP000002311_yeast.fasta.gz")


def mutated(sequence, identity, rng):
    """Residues exchanged down to an identity, 2 % of places with an insertion or a deletion."""
    letters = []
    for residue in sequence:
        if rng.random() < 0.01:
            continue
        if rng.random() < 0.01:
            letters.append(rng.choice(AMINO_ACIDS))
        letters.append(residue if rng.random() < identity else rng.choice(AMINO_ACIDS.replace(residue, "")))
    return "".join(letters)


def picked(proteomes, rng, low=150, high=300):
    while True:
        number = rng.randrange(len(proteomes))
        if low <= len(proteomes.sequences[number]) <= high and not set(proteomes.sequences[number]) - set(AMINO_ACIDS):
            return number


# --- alignments


def test_an_alignment_counts_columns_as_blast_does():
    found = align("WWMKTAYIKQRQISFWW", "MKTAYIAKQRQISF")
    assert (found.identities, found.columns, found.score) == (13, 14, 52.0)  # 64 for the letters, 12 for one gap
    assert found.identity == pytest.approx(100 * 13 / 14)
    assert (found.start, found.end, found.start_there, found.end_there) == (2, 15, 0, 14)
    two = align("MKTAYIQRQISFVKSH", "MKTAYIAKQRQISFVKSH")
    assert two.columns == 18 and two.score == align("MKTAYI", "MKTAYI").score + align(*["QRQISFVKSH"] * 2).score - 13


def test_letters_that_blosum62_lacks_are_aligned_and_never_identical_to_another():
    assert align("MKUTAY", "MKCTAY").identities == 5
    assert align("MKUTAY", "MKUTAY").identities == 6
    assert align("MKOTAYJ", "MKKTAYL").columns == 7
    unknown = align("MKTAYXIAKQ", "MKTAYXIAKQ")
    assert (unknown.identities, unknown.columns) == (9, 10)


def test_nothing_aligns_with_nothing():
    for pair in (("", "MK"), ("MK", ""), ("AAAA", "WWWW"), ("XXXX", "XXXX")):
        found = align(*pair)
        assert found.columns == found.score == 0 and math.isnan(found.identity)


def test_the_chance_formula_gives_blasts_bits():
    # lambda 0.267 and K 0.041 make 100 raw points 43.1 bits: (0.267 * 100 - ln 0.041) / ln 2
    bits = (0.267 * 100 - math.log(0.041)) / math.log(2)
    assert e_value(100, 250, 4_000_000) == pytest.approx(250 * 4_000_000 * 2**-bits)
    assert bits == pytest.approx(43.1, abs=0.05)


def test_the_twilight_curve_has_its_published_points():
    # Rost 1999: below 11 residues nothing, about 30 % at 100, about 20 % from 250 to 450, then 19.5 %
    assert twilight(5) == twilight(11) == 100
    assert twilight(100) == pytest.approx(29, abs=0.5)
    assert twilight(250) == pytest.approx(20.9, abs=0.5)
    assert twilight(451) == twilight(5000) == 19.5
    assert all(twilight(n) > twilight(n + 1) - 0.05 for n in range(1, 600))


# --- nearest


@pytest.mark.slow
@pytest.mark.parametrize("identity", [0.9, 0.6, 0.4])
def test_prefilter_and_exhaustive_search_agree_on_mutated_real_proteins(shared_data, identity):
    proteomes = References.from_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz")
    rng = random.Random(int(100 * identity))
    for _ in range(2):
        number = picked(proteomes, rng)
        design = mutated(proteomes.sequences[number], identity, rng)
        quick = nearest(design, proteomes, shuffles=0)
        slow = nearest(design, proteomes, shuffles=0, exhaustive=True)
        assert proteomes.sequences[quick.number] == proteomes.sequences[number]
        assert (quick.alignment, proteomes.sequences[slow.number]) == (slow.alignment, proteomes.sequences[number])
        assert quick.aligned <= 100 and slow.aligned == len(proteomes) == quick.references
        assert quick.more_than_chance and "more than chance" in quick.sentence()
        assert quick.identity == pytest.approx(100 * identity, abs=12)


@pytest.mark.slow
@pytest.mark.parametrize(("identity", "least"), [(0.9, 1.0), (0.6, 1.0), (0.4, 0.95)])
def test_the_prefilter_finds_the_protein_that_a_design_came_from(proteomes, identity, least):
    rng = random.Random(7)
    found = 0
    for _ in range(40):
        number = picked(proteomes, rng, 100, 600)
        candidates = proteomes.candidates(mutated(proteomes.sequences[number], identity, rng)).tolist()
        found += any(proteomes.sequences[n] == proteomes.sequences[number] for n in candidates)
    assert found / 40 >= least


def test_a_recited_protein_is_its_own_nearest(proteomes):
    number = proteomes.names.index("sp|P05523|FPG_ECOLI")
    found = nearest(proteomes.sequences[number], proteomes)
    assert (found.name, found.identity, found.coverage, found.coverage_there) == ("sp|P05523|FPG_ECOLI", 100, 100, 100)
    assert found.e_value < 1e-100 and len(found.shuffled) == 2 and found.shuffled_score < 100
    part = nearest("WW" + proteomes.sequences[number][100:150] + "WWWWWWWW", proteomes, shuffles=0)
    assert part.coverage == pytest.approx(100 * 50 / 60, abs=4)
    assert part.coverage_there == pytest.approx(100 * 50 / 269, abs=2)


def test_only_what_was_written_after_the_prompt_is_searched_with(proteomes):
    number = proteomes.names.index("sp|P05523|FPG_ECOLI")
    protein = proteomes.sequences[number]
    found = nearest(PROMPT + protein[:80], proteomes, prompt=PROMPT, shuffles=1)
    assert found.name == "sp|P05523|FPG_ECOLI" and (found.residues, found.coverage) == (80, 100)
    assert (found.alignment.start, found.alignment.end) == (len(PROMPT), len(PROMPT) + 80)
    assert nearest(protein, proteomes, prompt=protein, shuffles=0).number == -1  # nothing was written


def test_shuffled_proteins_are_like_nothing(proteomes):
    rng = random.Random(2)
    for _ in range(3):
        sequence = shuffled(proteomes.sequences[picked(proteomes, rng)], seed=rng.getrandbits(30))[0]
        found = nearest(sequence, proteomes, shuffles=1)
        assert not found.more_than_chance
        assert found.sentence().startswith("Nothing in the 10,461 references is more like it than chance")


def test_what_composition_alone_reaches_is_not_called_likeness(proteomes):
    poly = nearest("Q" * 150, proteomes)
    assert poly.e_value < 1e-10 and not poly.more_than_chance
    assert "comes of its composition" in poly.sentence()


def test_two_designs_of_the_model_card_have_relatives_and_the_control_says_so(proteomes, shared_data):
    """Number 1 reads as a sensor kinase, number 10 as an aminotransferase of the ArnB family."""
    designs = {r.name: r for r in read_fasta(shared_data / "proteins/protgpt2_model_card_10.fasta", "protein")}
    aminotransferase = nearest(designs["protgpt2_modelcard_10"].sequence, proteomes, shuffles=1)
    assert aminotransferase.name == "sp|P77690|ARNB_ECOLI" and aminotransferase.more_than_chance
    assert 35 < aminotransferase.identity < 45
    # Rich in alanine: an E-value alone would call it a relative of TolA.
    rich = nearest(designs["protgpt2_modelcard_3"].sequence, proteomes)
    assert rich.e_value < 1e-3 and not rich.more_than_chance


@pytest.mark.slow
def test_ten_designs_take_seconds(proteomes, shared_data):
    designs = read_fasta(shared_data / "proteins/protgpt2_model_card_10.fasta", "protein")
    proteomes.candidates(designs[0].sequence)
    start = time.perf_counter()
    for design in designs:
        nearest(design.sequence, proteomes, shuffles=0)
    assert time.perf_counter() - start < 20  # 3 s on a free core; an exhaustive search takes two minutes


@pytest.mark.parametrize("sequence", ["", "M", "MK", "XXXXXXX"])
def test_what_is_too_short_or_unknown_is_like_nothing(proteomes, sequence):
    found = nearest(sequence, proteomes)
    assert (found.name, found.number, found.aligned, found.shuffled) == ("", -1, 0, ())
    assert math.isnan(found.identity) and math.isnan(found.e_value) and not found.more_than_chance
    assert found.sentence() == "Nothing in the 10,461 references resembles it at all."


def test_references_may_be_given_in_any_form_and_bad_letters_are_refused():
    known = {"a": "MKTAYIAKQRQISFVKSHFSRQ", "b": "W" * 20}
    found = nearest("mktayiakqrqisf", known, exhaustive=True)
    assert found.name == "a" and found.aligned == 2 and found.sentence().count("2 shuffled copies")
    assert "1 reference " in nearest("GGGG", ["WWWW"]).sentence()
    with pytest.raises(InputError, match="position 3"):
        nearest("MK1", known)


# --- duplicates and the prompt


def test_duplicates_are_grouped_by_first_place():
    assert duplicates(["A", "B", "A", "", "B", "", "A"]) == [(0, 2, 6), (1, 4)]
    assert duplicates([]) == duplicates(["A", "AA"]) == []


def test_the_published_duplicates_of_the_proteomes_are_counted(shared_data):
    for name, count in (("UP000000625_ecoli", 42), ("UP000002311_yeast", 66)):
        records = read_fasta(shared_data / f"proteins/{name}.fasta.gz", "protein", duplicates="keep")
        assert sum(len(group) - 1 for group in duplicates(r.sequence for r in records)) == count


def test_a_prompt_that_is_kept_says_nothing_and_one_said_again_is_told(shared_data):
    design = read_fasta(shared_data / "proteins/protgpt2_model_card_10.fasta", "protein")[0].sequence
    fresh = prompt_likeness(PROMPT + design, PROMPT)
    assert fresh.kept and not fresh.repeated and fresh.written == len(design)
    assert "not like it" in fresh.sentence()
    again = prompt_likeness(PROMPT + "GGG" + PROMPT[5:], PROMPT)
    assert again.kept and again.repeated and again.identity == 100
    assert (again.alignment.start, again.alignment.end) == (len(PROMPT) + 3, 2 * len(PROMPT) - 2)
    assert "residues 46 to 82 say it again (100 % identical over 37 columns)" in again.sentence()


def test_a_prompt_that_is_not_kept_is_compared_as_a_whole():
    cut = prompt_likeness(PROMPT[:10] + "W" + PROMPT[11:], PROMPT)
    assert not cut.kept and (cut.kept_residues, cut.prompt_residues) == (10, 42) and cut.repeated
    assert cut.sentence().startswith("Only 10 of the prompt's 42 residues stand at the start; residues 1 to 42")
    none = prompt_likeness("WWWW", PROMPT)
    assert not none.repeated and none.sentence().startswith("The prompt does not stand at the start")
    alone = prompt_likeness(PROMPT, PROMPT)
    assert alone.kept and alone.written == 0 and "nothing was written" in alone.sentence()
    empty = prompt_likeness("", PROMPT)
    assert not empty.kept and math.isnan(empty.e_value)
    assert prompt_likeness(PROMPT, "").kept
