"""Shares are compared with an uncertainty that fits how many residues and sequences there are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.protein.composition import (
    SWISS_PROT,
    Composition,
    compare,
    composition,
    divergence,
)
from biollm_widgets.sequences import AMINO_ACIDS, read_fasta

NATURAL = np.array([SWISS_PROT[letter] for letter in AMINO_ACIDS]) / sum(SWISS_PROT.values())


@pytest.fixture(scope="module")
def ecoli(shared_data):
    records = read_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz", "protein", duplicates="keep")
    return [record.sequence for record in records]


def test_residues_are_counted_and_others_left_out():
    made = composition(["MKKX", "", "KU"])
    assert (made.sequences, made.residues, made.others) == (3, 4, 2)
    assert made.shares[AMINO_ACIDS.index("K")] == 0.75
    assert composition("MKK").counts.shape == (1, 20)
    frame = made.to_frame().set_index("residue")
    assert list(frame.index) == list(AMINO_ACIDS) and frame.loc["K", "percent"] == 75 and frame["count"].sum() == 4


def test_the_distance_is_that_of_jensen_and_shannon():
    a, b = np.zeros(20), np.zeros(20)
    a[0], b[1] = 1, 1
    assert divergence(a, b) == 1 and divergence(a, a) == 0
    half = np.zeros(20)
    half[:2] = 0.5
    # H(3/4, 1/4) - H(1, 0) / 2 - H(1/2, 1/2) / 2 = 0.8113 - 0.5
    assert divergence(a, half) == divergence(half, a) == pytest.approx(0.81128 - 0.5, abs=1e-5)
    assert math.isnan(compare("").distance)


def test_the_distance_by_chance_is_what_draws_have():
    rng = np.random.default_rng(3)
    for n in (250, 1000):
        distances = [divergence(rng.multinomial(n, NATURAL) / n, NATURAL) for _ in range(400)]
        expected = compare(Composition(rng.multinomial(n, NATURAL)[None])).distance_by_chance
        assert np.mean(distances) == pytest.approx(expected, rel=0.1)


def test_nothing_stands_out_of_a_draw_from_the_background():
    """Of draws from the background, about one in twenty has a residue named, whatever their size."""
    rng = np.random.default_rng(5)
    for sizes in ([60], [250], [250] * 10):
        named = 0
        for _ in range(300):
            found = compare(Composition(np.array([rng.multinomial(n, NATURAL) for n in sizes])))
            named += bool(found.more or found.less)
        assert named / 300 < 0.12


def test_what_differs_is_named_with_the_largest_first():
    found = compare("M" + "GK" * 60)
    assert set(found.more) == {"G", "K"} and found.less[0] == "L"
    assert found.sentence().startswith(
        "Of 121 residues, more K (49.6 % instead of 5.8 %) and G (49.6 % instead of 7.1 %)"
    )
    assert found.distance > 0.5 and found.unusual
    low, high = found.low[AMINO_ACIDS.index("K")], found.high[AMINO_ACIDS.index("K")]
    assert low < 49.6 - 5.8 < high and high - low < 40


def test_few_residues_prove_little():
    short = compare("MKTAYIAKQR")
    assert not short.more and not short.unusual
    assert "none stands out" in short.sentence()
    assert (short.high - short.low).min() > 10  # percentage points
    assert compare([]).sentence() == compare("").sentence() == "No residues, so there is no composition."


def test_residues_of_one_protein_are_no_independent_draws():
    """One odd protein among ten makes the share uncertain; ten that agree do not."""
    agreeing = composition(["K" * 10 + "A" * 90] * 10)
    odd = composition(["K" * 100 + "A" * 0] + ["A" * 100] * 9)
    k = AMINO_ACIDS.index("K")
    assert agreeing.shares[k] == odd.shares[k] == 0.1
    assert odd.errors[k] > 5 * agreeing.errors[k]
    assert odd.errors[k] == pytest.approx(0.1, abs=0.005)  # one of ten, as a draw of sequences: sqrt(0.1 * 0.9 / 9)


def test_a_proteome_differs_as_it_is_known_to(ecoli, shared_data):
    found = compare(ecoli)
    assert found.more.startswith("AL") and found.less.startswith("K") and found.distance < 0.005
    yeast = read_fasta(shared_data / "proteins/UP000002311_yeast.fasta.gz", "protein", duplicates="keep")
    between = compare(yeast, composition(ecoli))
    assert set(between.more[:3]) == {"K", "N", "S"} and "A" in between.less[:1]
    assert compare(ecoli, ecoli).distance == 0 and not compare(ecoli, ecoli).more


def test_hardly_any_natural_protein_is_called_unusual(ecoli):
    long = [sequence for sequence in ecoli[::4] if len(sequence) >= 20]
    share = sum(compare(sequence).unusual for sequence in long) / len(long)
    assert 0 < share < 0.01


def test_the_background_may_be_anything_that_has_frequencies():
    uniform = compare("MKT", dict.fromkeys(AMINO_ACIDS, 1))
    assert np.allclose(uniform.background, 0.05)
    assert np.allclose(compare("MKT", {"M": 2, "K": 2}).background.sum(), 1)
    assert compare("MKT", ["MKT", "MKT"]).distance == pytest.approx(0)
    for background, words in (
        ({"X": 1.0}, "'X'"),
        ({"": 1.0}, "''"),
        ({"A": -1.0, "C": 3.0}, "numbers from 0"),
        ({"A": math.nan}, "numbers from 0"),
        ({}, "numbers from 0"),
        (["X"], "no residues"),
    ):
        with pytest.raises(InputError, match=words):
            compare("MKT", background)
    with pytest.raises(InputError, match="In sequence 2, position 3"):
        composition(["MK", "MK1"])


def test_the_published_frequencies_are_whole():
    assert set(SWISS_PROT) == set(AMINO_ACIDS)
    assert sum(SWISS_PROT.values()) == pytest.approx(100, abs=0.2)
    frame = compare("MKT").to_frame()
    assert np.allclose(frame["percent"] - frame["background"], frame["difference"])
    assert ((frame["low"] < frame["difference"]) & (frame["difference"] < frame["high"])).all()
