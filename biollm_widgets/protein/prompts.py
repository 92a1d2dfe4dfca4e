"""What a person gives a protein model to go on from: checked, repaired where that is plain, refused in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from biollm_widgets.errors import InputError
from biollm_widgets.protein.layout import END
from biollm_widgets.sequences import Repair, clean_protein, read_fasta

# From this many letters on, nothing but A, C, G and T (all four of them) is taken for DNA: in natural proteins about
# one residue in five is one of these, so that 20 in a row come by chance once in 10^13 places.
DNA_LETTERS = 20


@dataclass(frozen=True)
class Prompt:
    """The first residues of the proteins to come; falsy when there are none.

    Attributes
    ----------
    sequence : str
        Of the twenty amino acids; empty for a prompt that leaves everything to the model.
    repairs : tuple of Repair
        What was changed, to be told.
    """

    sequence: str
    repairs: tuple[Repair, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sequence)


def read_prompt(text: Optional[str], name: str = "the prompt") -> Prompt:
    """Check a prompt: nothing, residues (wrapped or not), or one FASTA record.

    The `<|endoftext|>` that ProtGPT2's own examples begin with may stand before it.

    Raises
    ------
    InputError
        For several records, a letter that is none of the twenty amino acids (with its place), or DNA.
    """
    if text is None:
        return Prompt("")
    if not isinstance(text, str):
        raise InputError(f"A prompt is a text of residues, not {type(text).__name__}; give a str, or None for none.")
    bare = text.strip().removeprefix(END).strip()
    if END in bare:
        raise InputError(f"{END} may stand at the start of {name} only; take the other out.")
    if not bare:
        return Prompt("")
    if bare.startswith(">"):
        records = read_fasta(bare + "\n", alphabet="protein", ambiguity="refuse", duplicates="keep")
        if len(records) > 1:
            names = ", ".join(record.name for record in records[:3]) + (", ..." if len(records) > 3 else "")
            raise InputError(f"There are {len(records)} records in {name} ({names}); give one of them.")
        sequence, repairs = records[0].sequence, records[0].repairs
    else:
        # Cleaned with the letters kept first, so that DNA with an N in it is called DNA.
        sequence, repairs = _cleaned(bare, name)
    _refuse_dna(sequence, name)
    return Prompt(sequence, tuple(repair for repair in repairs if repair.kind != "looks like DNA"))


def _cleaned(text: str, name: str) -> tuple[str, tuple[Repair, ...]]:
    _refuse_dna("".join(text.split()).upper(), name)
    cleaned = clean_protein(text, name=name, ambiguity="refuse")
    return cleaned.sequence, cleaned.repairs


def _refuse_dna(sequence: str, name: str) -> None:
    letters = set(sequence)
    if len(sequence) >= DNA_LETTERS and letters <= set("ACGTUN") and set("ACG") <= letters and letters & set("TU"):
        shown = sequence if len(sequence) <= 24 else f"{sequence[:20]}..."
        raise InputError(
            f"{name[:1].upper()}{name[1:]} ({shown}) looks like DNA, and a protein model reads residues; translate it "
            "first, for instance with biollm_widgets.sequences.translate."
        )
