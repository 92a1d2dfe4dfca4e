"""What follows from the residues of one protein: weight, charge, hydropathy and the like, as ExPASy's ProtParam has it.

The computing is Biopython's (Bio.SeqUtils.ProtParam). What is added here is what holds for letters beyond the twenty,
for sequences of no or one residue, and for proteins so acidic or basic that Biopython's search ends at its bound.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from biollm_widgets.errors import InputError
from biollm_widgets.protein.residues import checked
from biollm_widgets.sequences import AMINO_ACIDS, PROTEIN_AMBIGUITY

# Guruprasad, Reddy and Pandit 1990, Protein Engineering 4:155: above it a protein is predicted to be unstable.
UNSTABLE_ABOVE = 40.0
_VAGUE = "BZX"  # each may be one of several residues of different weight


@dataclass(frozen=True)
class Properties:
    """Computed from the sequence alone; nothing is known of folding, modifications or a cleaved start.

    Attributes
    ----------
    residues : int
        The length, every letter counted.
    weight : float
        Molecular weight in Da: average masses of the elements as they occur, all residues as they stand (the first M
        and any signal peptide included), one chain with free ends, no modification, all cysteines reduced (a disulfide
        bond takes 2.016 Da away).
    isoelectric_point : float
        The pH at which the charge is zero, with the pK values of Bjellqvist et al. 1993 (Electrophoresis 14:1023) and
        1994 (15:529), which hold for denatured proteins.
    charge : float
        At `ph`, in units of the elementary charge, with the same pK values.
    ph : float
    gravy : float
        Mean hydropathy of Kyte and Doolittle 1982 (J Mol Biol 157:105), from -4.5 to 4.5; above 0 hydrophobic.
    instability : float
        Guruprasad et al. 1990 (Protein Engineering 4:155): how often pairs of neighbours stand in it that are common
        in short-lived proteins. Above 40 means unstable; it was made from 12 unstable and 32 stable natural proteins.
    aromaticity : float
        Share of F, W and Y, 0 to 1 (Lobry and Gautier 1994, Nucleic Acids Res 22:3174).
    notes : tuple of str
        What a value leaves out, or why there is none (NaN); a sentence each.
    """

    residues: int
    weight: float
    isoelectric_point: float
    charge: float
    ph: float
    gravy: float
    instability: float
    aromaticity: float
    notes: tuple[str, ...] = ()

    @property
    def unstable(self) -> bool:
        """Whether the instability index is above 40; False where there is none."""
        return self.instability > UNSTABLE_ABOVE

    def to_dict(self) -> dict[str, object]:
        """All values under their names, notes as a list."""
        return {**asdict(self), "notes": list(self.notes)}


def properties(sequence: str, ph: float = 7.0, name: str = "the sequence") -> Properties:
    """Compute what ProtParam computes.

    Letters beyond the twenty: U and O have their own weight; J is leucine or isoleucine, which weigh the same; with B,
    Z or X there is no weight. All else is computed from the residues that are known, as if the others were not there
    (for charge: as if they had none), and a note says so; the instability index from the pairs that are known.

    Parameters
    ----------
    sequence : str
        Residues; may be empty (then there are no values but the length).
    ph : float
        0 to 14, for the charge.
    name : str
        What messages call it.

    Returns
    -------
    Properties

    Raises
    ------
    InputError
        For a letter that is no residue (with its place), or a pH outside of 0 to 14.
    """
    from Bio.SeqUtils.IsoelectricPoint import IsoelectricPoint
    from Bio.SeqUtils.ProtParam import ProteinAnalysis

    if not 0 <= ph <= 14:
        raise InputError(f"The pH is {ph}; give one from 0 to 14.")
    sequence = checked(sequence, name)
    nan = math.nan
    if not sequence:
        return Properties(0, nan, nan, nan, ph, nan, nan, nan, ("No residues, so there is nothing to compute.",))
    known = "".join(letter for letter in sequence if letter in AMINO_ACIDS)
    notes = _notes(sequence, len(known))

    weight = nan
    if not set(sequence) & set(_VAGUE):
        weight = ProteinAnalysis(sequence.replace("J", "L")).molecular_weight()
    point = charge = gravy = aromaticity = nan
    if known:
        analysis = ProteinAnalysis(known)
        # Of tenths, so that what is left of them far behind the point is rounding: no -2e-17 where it is 0.
        gravy, aromaticity = round(analysis.gravy(), 12) + 0.0, analysis.aromaticity()
        # With the whole sequence, since the pK of an end depends on the residue there.
        charges = IsoelectricPoint(sequence, analysis.count_amino_acids())
        charge = charges.charge_at_pH(ph)
        # Biopython looks from 4.05 to 12 unless told otherwise, and gives the bound for what lies beyond.
        point = charges.pi(7.0, 0.0, 14.0)
    pairs = 0
    score = 0.0
    for part in "".join(letter if letter in AMINO_ACIDS else " " for letter in sequence).split():
        score += ProteinAnalysis(part).instability_index() * len(part)
        pairs += len(part) - 1
    # The index divides by the number of residues, which is that of pairs and one; so it does for what is known.
    instability = score / (pairs + 1) if pairs else nan
    return Properties(len(sequence), weight, point, charge, ph, gravy, instability, aromaticity, tuple(notes))


def _notes(sequence: str, known: int) -> list[str]:
    notes = []
    odd = sorted(set(sequence) - set(AMINO_ACIDS))
    if odd:
        listed = ", ".join(f"{letter} = {PROTEIN_AMBIGUITY[letter]}" for letter in odd)
        others = len(sequence) - known
        if known:
            beyond = "is" if others == 1 else "are"
            notes.append(
                f"{others} of {len(sequence)} letters {beyond} beyond the twenty ({listed}): charge, isoelectric "
                "point, GRAVY, instability and aromaticity are those of the rest."
            )
        else:
            notes.append(f"No letter is one of the twenty ({listed}), so there is little to compute.")
        vague = sorted(set(odd) & set(_VAGUE))
        if vague:
            notes.append(f"No weight, since {' and '.join(vague)} may be residues of different weight.")
    if len(sequence) == 1:
        notes.append("No instability index, which counts pairs of neighbours.")
    return notes
