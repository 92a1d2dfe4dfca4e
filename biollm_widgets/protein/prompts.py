"""What a person gives a protein model to go on from: checked, repaired where that is plain, refused in a sentence."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import numpy as np

from biollm_widgets import news
from biollm_widgets.errors import InputError
from biollm_widgets.protein.layout import END
from biollm_widgets.sequences import Record, Repair, clean_protein, read_fasta

# From this many letters on, nothing but A, C, G and T (all four of them) is taken for DNA: in natural proteins about
# one residue in five is one of these, so that 20 in a row come by chance once in 10^13 places. N may stand among them:
# any base in DNA; in a protein it is asparagine, with which one residue in four is such a letter (once in 10^12).
DNA_LETTERS = 20
# The other codes for several bases are all residues (or B) as well; a read with a few of them is DNA nevertheless.
DNA_CODES = set("ACGTURYSWKMBDHVN")
DNA_SHARE = 0.85  # of the letters, at least, are plain bases then
# A start codon and a few more: not long enough to refuse, long enough to ask whether it is what was meant.
DNA_HINT = 8
_IN_ITS_PLACE = "write one of the twenty amino acids in its place"
# The reader of sequences names remedies that a prompt does not have; the place and the letter stay as it says.
_REMEDIES = {
    "replace it or allow ambiguity": _IN_ITS_PLACE,
    "use the twenty letters of the amino acids, or X for one that is not known": _IN_ITS_PLACE,
    "begins a FASTA header, not a sequence; read the text with read_fasta": "begins a FASTA header; give one sequence "
    "alone",
}


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
        record = _only_record(bare + "\n", name)
        return _prompt(record.sequence, record.repairs)
    with _remedies_of_a_prompt():
        # The letters are kept at first, so that DNA with a B in it, and RNA, are called what they are.
        cleaned = clean_protein(bare, name=name)
        _refuse_bases(cleaned.sequence, name)
        if _has_codes(cleaned.repairs):
            cleaned = clean_protein(bare, name=name, ambiguity="refuse")
    return _prompt(cleaned.sequence, cleaned.repairs)


def told_prompt(text: Optional[str]) -> Prompt:
    """Check a prompt as `read_prompt` does, and say on standard error what was changed in it."""
    prompt = read_prompt(text)
    for repair in prompt.repairs:
        news.say(f"The prompt: {repair.words}.")
    return prompt


def read_prompt_from(source: Union[os.PathLike, bytes], name: str) -> Prompt:
    """Check the prompt in a file, or in the bytes of one that came in another way: one FASTA record, or residues.

    Parameters
    ----------
    source : path or bytes
        Gzipped or not.
    name : str
        What to call it in messages.

    Raises
    ------
    InputError
        As `read_prompt`, and for a file that cannot be read or is empty.
    """
    if isinstance(source, bytes):
        # The line break after the start token stays: messages count lines.
        source = re.sub(rb"\A((?:\xef\xbb\xbf)?\s*)" + re.escape(END.encode()), rb"\1", source)
    record = _only_record(source, name)
    return _prompt(record.sequence, record.repairs)


class _Named(io.BytesIO):
    """Bytes that messages can call by a name."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def _only_record(source: Union[str, os.PathLike, bytes], name: str) -> Record:
    if isinstance(source, Path) and source.is_fifo():
        source = source.read_bytes()  # a pipe, such as a shell's <(...), can be read once

    def read(ambiguity: str) -> list[Record]:
        opened = _Named(source, name) if isinstance(source, bytes) else source
        return read_fasta(opened, alphabet="protein", ambiguity=ambiguity, duplicates="keep")

    with _remedies_of_a_prompt():
        # An X in the last of many records is not what is wrong with them: they are counted first.
        records = read("keep")
        if len(records) > 1:
            names = ", ".join(record.name for record in records[:3]) + (", ..." if len(records) > 3 else "")
            raise InputError(f"There are {len(records):,} records in {name} ({names}); give one of them.")
        _refuse_bases(records[0].sequence, name)
        if _has_codes(records[0].repairs):
            records = read("refuse")
    return records[0]


@contextmanager
def _remedies_of_a_prompt() -> Iterator[None]:
    try:
        yield
    except InputError as problem:
        words = str(problem)
        for said, here in _REMEDIES.items():
            words = words.replace(said, here)
        raise InputError(words) from problem


def _has_codes(repairs: tuple[Repair, ...]) -> bool:
    return any(repair.kind == "ambiguous" for repair in repairs)


def _prompt(sequence: str, repairs: tuple[Repair, ...]) -> Prompt:
    """The prompt with what there is to tell; one that may be DNA is told by a prompt's own measure."""
    told = [repair for repair in repairs if repair.kind != "looks like DNA"]
    letters = set(sequence)
    short = len(sequence) >= DNA_HINT and letters <= set("ACGT") and "T" in letters and len(letters) >= 3
    # Glycine and alanine in turn are silk.
    long = len(sequence) >= DNA_LETTERS and letters <= set("ACGTN") and not letters <= set("AG")
    if short or long:
        words = "all letters are bases: if this is DNA, translate it first"
        told.append(Repair("looks like DNA", len(sequence), np.empty(0, np.int64), words))
    return Prompt(sequence, tuple(told))


def _refuse_bases(sequence: str, name: str) -> None:
    letters = set(sequence)
    shown = sequence if len(sequence) <= 24 else f"{sequence[:20]}..."
    what = f"{_capital(name)} ({shown})"
    remedy = "translate it first, for instance with biollm_widgets.sequences.translate."
    all_four = set("ACG") <= letters and bool(letters & set("TU"))
    plain = sum(map(sequence.count, "ACGTU")) >= DNA_SHARE * len(sequence)
    if len(sequence) >= DNA_LETTERS and all_four and (letters <= set("ACGTUN") or (letters <= DNA_CODES and plain)):
        raise InputError(f"{what} looks like DNA, and a protein model reads residues; {remedy}")
    if len(sequence) >= DNA_HINT and letters <= set("ACGTU") and "U" in letters and len(letters) >= 3:
        raise InputError(f"{what} looks like RNA, and U is no residue that the model knows; {remedy}")


def _capital(name: str) -> str:
    """A sentence starts with a capital, a path stays as it is."""
    return name[:1].upper() + name[1:] if name.startswith("the ") else name
