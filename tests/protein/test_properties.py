"""Properties are those that ProtParam gives, and say what they leave out."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.protein.properties import properties
from biollm_widgets.sequences import AMINO_ACIDS, read_fasta

# Hen egg-white lysozyme without its signal peptide (UniProt P00698, 19-147).
LYSOZYME = (
    "KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSDITASVNCAKKIVSDGNGMNAWVAWR"
    "NRCKGTDVQAWIRGCRL"
)
# Human fibroblast growth factor 1, the example of Biopython's and of ExPASy's documentation.
FGF1 = (
    "MAEGEITTFTALTEKFNLPPGNYKKPKLLYCSNGGHFLRILPDGTVDGTRDRSDQHIQLQLSAESVGEVYIKSTETGQYLAMDTSGLLYGSQTPSEECLFLERLEENHYNTYTS"
    "KKHAEKNWFVGLKKNGSCKRGPRTHYGQKAILFLPLPV"
)


def test_lysozyme_has_the_values_that_expasy_gives():
    """ProtParam on P00698, 19-147: 14313.14 Da, pI 9.32, instability 16.09 (stable), GRAVY -0.472."""
    found = properties(LYSOZYME)
    assert found.residues == 129
    assert found.weight == pytest.approx(14313.14, abs=0.2)  # tables of masses differ in the last digits
    assert found.isoelectric_point == pytest.approx(9.32, abs=0.01)
    assert found.instability == pytest.approx(16.09, abs=0.01) and not found.unstable
    assert found.gravy == pytest.approx(-0.472, abs=0.001)
    assert found.aromaticity == pytest.approx((3 + 6 + 3) / 129)  # 3 F, 6 W, 3 Y
    assert found.notes == ()


def test_fibroblast_growth_factor_has_its_published_values():
    found = properties(FGF1)
    assert found.weight == pytest.approx(17103.16, abs=0.01)
    assert found.isoelectric_point == pytest.approx(7.72, abs=0.01)
    assert found.instability == pytest.approx(41.98, abs=0.01) and found.unstable
    assert found.gravy == pytest.approx(-0.597, abs=0.001)


def test_small_peptides_by_hand():
    assert properties("GG").weight == pytest.approx(2 * 75.067 - 18.015, abs=0.01)
    assert properties("IIII").gravy == 4.5 and properties("RRRR").gravy == -4.5
    # DIWV of A with A is 1: ten over three, twice.
    assert properties("AAA").instability == pytest.approx(10 / 3 * 2)
    assert properties("FWYA").aromaticity == 0.75


def test_the_charge_falls_with_the_ph_and_is_zero_at_the_isoelectric_point():
    charges = [properties(LYSOZYME, ph=ph).charge for ph in (0, 4, 7, 9, 11, 14)]
    assert charges == sorted(charges, reverse=True) and charges[0] > 0 > charges[-1]
    for sequence in (LYSOZYME, FGF1, "D" * 30, "R" * 30, "G"):
        point = properties(sequence).isoelectric_point
        assert properties(sequence, ph=point).charge == pytest.approx(0, abs=0.01)
    # Biopython alone would give its bounds, 4.05 and 12.
    assert properties("D" * 30).isoelectric_point < 4 and properties("R" * 30).isoelectric_point > 12
    assert properties(LYSOZYME).ph == 7.0
    assert properties(LYSOZYME).charge == pytest.approx(8, abs=0.5)  # 17 K and R, 9 D and E, one H


@pytest.mark.parametrize("letter", "XBZUOJ")
def test_letters_beyond_the_twenty_are_told_and_leave_the_rest_as_it_was(letter):
    mixed = LYSOZYME[:60] + letter + LYSOZYME[60:]
    found, plain = properties(mixed), properties(LYSOZYME)
    assert found.residues == 130
    assert (found.gravy, found.aromaticity) == (plain.gravy, plain.aromaticity)
    assert found.charge == plain.charge and found.isoelectric_point == plain.isoelectric_point
    assert found.instability == pytest.approx(plain.instability, abs=2)
    assert f"1 of 130 letters is beyond the twenty ({letter} = " in found.notes[0]
    if letter in "XBZ":
        assert math.isnan(found.weight) and f"No weight, since {letter}" in found.notes[1]
    else:
        residue = {"U": 150.05, "O": 237.30, "J": 113.16}[letter]
        assert found.weight - plain.weight == pytest.approx(residue, abs=0.05)


@pytest.mark.parametrize("sequence", ["", "X", "XXBZ"])
def test_where_there_is_nothing_to_compute_the_note_says_so(sequence):
    found = properties(sequence)
    values = (found.weight, found.isoelectric_point, found.charge, found.gravy, found.instability, found.aromaticity)
    assert all(map(math.isnan, values)) and found.notes and not found.unstable
    assert found.residues == len(sequence)


def test_one_residue_has_all_but_an_instability_index():
    for letter in AMINO_ACIDS:
        found = properties(letter)
        assert math.isnan(found.instability) and "pairs" in found.notes[0]
        assert found.weight > 70 and math.isfinite(found.charge) and math.isfinite(found.isoelectric_point)


def test_every_natural_protein_has_properties(shared_data):
    records = read_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz", "protein")
    found = [properties(record.sequence) for record in records[::10]]
    assert all(math.isfinite(f.gravy) and 3 < f.isoelectric_point < 13.5 for f in found)
    assert 0.05 < sum(f.unstable for f in found) / len(found) < 0.6


def test_what_is_no_protein_and_what_is_no_ph():
    assert properties("mk t").weight == properties("MKT").weight
    with pytest.raises(InputError, match="In design_3, position 3, '1'"):
        properties("MK1", name="design_3")
    for ph in (-1, 15, math.nan):
        with pytest.raises(InputError, match="pH"):
            properties("MK", ph=ph)
    with pytest.raises(FrozenInstanceError):
        properties("MK").weight = 1
    assert properties("MX").to_dict()["notes"] == list(properties("MX").notes)


@pytest.mark.parametrize("sequence", ["NYYIIDYM", "YMYFANG", "DWGKCFACW", "IRIR"])
def test_a_gravy_of_nothing_is_0_and_no_rounding_error_with_a_sign(sequence: str) -> None:
    # Tenths that cancel leave a rest in binary (-7.9e-17 for the second), and a table then says so.
    assert str(properties(sequence).gravy) == "0.0"
