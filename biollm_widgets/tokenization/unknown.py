"""Why a tokenizer does not know a piece of text, in plain words."""

from __future__ import annotations

from collections.abc import Collection

from biollm_widgets.sequences import AMINO_ACIDS, BASES, DNA_AMBIGUITY, PROTEIN_AMBIGUITY

_BLANKS = {" ": "a space", "\n": "a line break", "\r": "a line break", "\t": "a tab"}


def why_unknown(characters: str, known: Collection[str]) -> str:
    """The reason for the first letter that is not in the vocabulary.

    Parameters
    ----------
    characters : str
        What the unknown token stands for.
    known : collection of str
        The single letters that the vocabulary has.
    """
    letter = next((letter for letter in characters if letter not in known), None)
    if letter is None:
        return "each letter is known, but not this piece"
    if letter.isspace():
        return _BLANKS.get(letter, "white space")
    if letter.islower() and letter.upper() in known:
        return "lower case, and the vocabulary has capitals only"
    big = letter.upper()
    case = "lower case " if letter.islower() else ""
    protein = sum(residue in known for residue in AMINO_ACIDS if residue not in DNA_AMBIGUITY and residue not in BASES)
    if not protein:
        if big == "U":
            return f"{case}U is RNA; this vocabulary spells it T"
        if big in DNA_AMBIGUITY:
            return f"{case}{big} stands for {DNA_AMBIGUITY[big]}, and the vocabulary has no word for that"
    elif big in PROTEIN_AMBIGUITY:
        return f"{case}{big} stands for {PROTEIN_AMBIGUITY[big]}, and the vocabulary has no word for that"
    if letter in "-.~":
        return "a gap"
    if letter == "*":
        return "a stop"
    if letter.isdigit():
        return "a digit"
    return f"{letter!r} is not in the vocabulary"
