"""A sequence that is changed step by step, each letter remembering where it stood in the original."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from operator import index
from typing import Optional

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import BASES, DNA_AMBIGUITY, reverse_complement
from biollm_widgets.tokenization.columns import counted_letters
from biollm_widgets.tokenization.reading import guess_alphabet

# What special tokens that stand in a text look like ([MASK], <|endoftext|>): their letters are none of the sequence.
# Only a tokenizer knows; `counted` says what it knows.
_WRITTEN = re.compile(r"\[[A-Z]+\]|<[^<>\s]+>")
_MOST_SHOWN = 12  # letters of a stretch that a description spells out


@dataclass(frozen=True)
class Edit:
    """One change.

    Attributes
    ----------
    kind : str
        "change", "insert", "delete", "reverse_complement", "lower_case" or "upper_case": the method that made it.
    start, end : int
        0-based half-open, in the letters before the change; equal for an insertion.
    old, new : str
        The letters before and after.
    length : int
        Letters of the sequence before the change.
    """

    kind: str
    start: int
    end: int
    old: str = field(repr=False)
    new: str = field(repr=False)
    length: int

    def describe(self, offset: int = 1, unit: str = "base") -> str:
        """What was done, in plain words: "A changed to G at base 23".

        Parameters
        ----------
        offset : int
            The number of the first letter: 1, or where the sequence begins in something larger.
        unit : str
            What a letter is called.
        """
        first, last = self.start + offset, self.end - 1 + offset
        many = self.end - self.start != 1
        where = f"{unit}s {first:,} to {last:,}" if many else f"{unit} {first:,}"
        whole = self.end - self.start == self.length
        if self.kind == "change":
            return f"{self.old} changed to {self.new} at {where}"
        if self.kind == "insert":
            what = self.new if len(self.new) <= _MOST_SHOWN else f"{len(self.new):,} {unit}s"
            if not self.length:
                return f"{what} inserted"
            if self.start == self.length:
                return f"{what} inserted after {unit} {first - 1:,}"
            return f"{what} inserted before {unit} {first:,}"
        if whole and many:
            where = f"all {self.length:,} {unit}s"
        where = where[0].upper() + where[1:]
        if self.kind == "delete":
            what = self.old if len(self.old) <= _MOST_SHOWN else f"{len(self.old):,} {unit}s"
            return f"{where} deleted" if whole and many else f"{where} ({what}) deleted"
        if self.kind == "reverse_complement":
            return f"{where} read from the other strand"
        return f"{where} made {'lower case' if self.kind == 'lower_case' else 'capital'}"

    def moved(self, start: int, end: int) -> Optional[tuple[int, int]]:
        """Where the letters `start:end` stand after this change.

        Returns
        -------
        tuple of int, or None
            Letters inserted between them are with them; None where all are deleted, or where a stretch that is read
            from the other strand breaks off within them.
        """
        grown = len(self.new) - len(self.old)
        if self.kind == "insert":
            return (start + grown, end + grown) if self.start <= start else (start, end + grown * (self.start < end))
        if self.kind == "delete":
            first, last = (at - max(0, min(at, self.end) - self.start) for at in (start, end))
            return (first, last) if first < last else None
        apart = end <= self.start or self.end <= start
        if self.kind != "reverse_complement" or apart or (start <= self.start and self.end <= end):
            return start, end
        if self.start <= start and end <= self.end:
            return self.start + self.end - end, self.start + self.end - start
        return None


@dataclass(frozen=True, eq=False)
class _State:
    """The text at one moment, as arrays; letter i of the sequence is character `places[i]` of the text."""

    codes: np.ndarray  # (characters,) uint32
    places: np.ndarray  # (n,) int32
    origin: np.ndarray  # (n,) int32
    turned: np.ndarray  # (n,) bool


class EditedSequence:
    """A sequence and what was changed in it. Each method returns a new one and leaves this one as it is.

    Positions are letters of the sequence, 0-based half-open: white space, and special tokens written into the text
    (`[MASK]`, `<|endoftext|>`), are not counted, stay where they are, and go on being part of `text`.

    Parameters
    ----------
    text : str
        What a tokenizer would read.
    offset : int
        The number of the first letter in messages.
    alphabet : {"dna", "protein"}, optional
        What to call the letters in messages; guessed without.
    counted : ndarray of bool, optional
        Which characters of the text are letters: `Tokenization.counted` of a tokenizer's reading, since the tokenizer
        decides what is special to it. Without it, all but white space and what looks like a special token.

    Attributes
    ----------
    original, text : str
        Before and after all edits.
    original_length : int
        Letters of the original.
    edits : tuple of Edit
    origin : ndarray of int32, shape (n,)
        For each letter its 0-based position in the original, -1 for an inserted one. A changed letter keeps its own,
        and a stretch that is read from the other strand has them in descending order.
    turned : ndarray of bool, shape (n,)
        Whether the letter is read from the other strand now.
    """

    def __init__(
        self, text: str, *, offset: int = 1, alphabet: Optional[str] = None, counted: Optional[np.ndarray] = None
    ) -> None:
        if not isinstance(text, str):
            raise InputError(f"A sequence is a text of letters, not {type(text).__name__}; give a str.")
        self.original = str.__str__(text)
        self.edits: tuple[Edit, ...] = ()
        self._offset = offset
        self._alphabet = alphabet or guess_alphabet(text)
        codes = np.frombuffer(self.original.encode("utf-32-le"), dtype=np.uint32)
        if counted is None:
            counted = counted_letters(self.original, (found.span() for found in _WRITTEN.finditer(self.original)))
        elif len(counted) != len(codes):
            raise InputError(f"counted is one bool a character, {len(codes):,} here, not {len(counted):,}.")
        self._counted = counted
        places = np.flatnonzero(counted).astype(np.int32)
        self.original_length = n = len(places)
        self._state = _State(codes, places, _read_only(np.arange(n, dtype=np.int32)), _read_only(np.zeros(n, bool)))

    def __len__(self) -> int:
        return len(self._state.places)

    def __repr__(self) -> str:
        done = "; ".join(edit.describe(self._offset, self.unit) for edit in self.edits[-3:])
        return f"EditedSequence({len(self):,} {self.unit}s, {len(self.edits)} edits{f': {done}' if done else ''})"

    @property
    def unit(self) -> str:
        """What a letter is called: "base" or "residue"."""
        return "residue" if self._alphabet == "protein" else "base"

    @property
    def origin(self) -> np.ndarray:
        """See the class."""
        return self._state.origin

    @property
    def turned(self) -> np.ndarray:
        """See the class."""
        return self._state.turned

    @cached_property
    def text(self) -> str:
        """What a tokenizer reads now."""
        return _text(self._state.codes)

    @cached_property
    def letters(self) -> str:
        """The letters of the sequence alone."""
        return _text(self._state.codes[self._state.places])

    @property
    def descriptions(self) -> list[str]:
        """Each edit in words."""
        return [edit.describe(self._offset, self.unit) for edit in self.edits]

    def undo(self) -> EditedSequence:
        """The sequence before the last edit. Raises InputError where there is none."""
        if not self.edits:
            raise InputError("There is no change to take back; this is the sequence as it was given.")
        # Made again from the original: kept copies of a million letters would fill the memory.
        made = EditedSequence(
            self.original, offset=self._offset, alphabet=self._alphabet, counted=self._counted
        )  # fmt: skip
        for edit in self.edits[:-1]:
            if edit.kind == "insert":
                made = made.insert(edit.start, edit.new)
            elif edit.kind == "delete":
                made = made.delete(edit.start, edit.end)
            else:
                made = made._replaced(edit.kind, edit.start, edit.end, edit.new)
        return made

    def place_of(self, start: int, end: int, other: EditedSequence) -> Optional[tuple[int, int]]:
        """Where the letters `start:end` stand in another state of the same original.

        Returns
        -------
        tuple of int, or None
            None where they are no one stretch there, or where one of them was inserted.
        """
        wanted = np.sort(self.origin[start:end])
        if not len(wanted) or wanted[0] < 0:
            return None
        places = np.flatnonzero(np.isin(other.origin, wanted))
        first, last = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
        same = len(places) == len(wanted) == last - first
        return (first, last) if same else None

    def change(self, position: int, letter: str) -> EditedSequence:
        """Put another letter at a position.

        Raises
        ------
        InputError
            When there is no such position, when `letter` is not one letter, or when it stands there already.
        """
        start, end = self._stretch(position, index(position) + 1)
        letter = self._new_letters(letter)
        if len(letter) != 1:
            raise InputError(
                f"A change puts one letter in the place of another, not {letter!r}; insert or delete for more."
            )
        old = self._letters(start, end)
        if old == letter:
            raise InputError(
                f"{self.unit.capitalize()} {start + self._offset:,} is {letter} already; choose another letter."
            )
        return self._replaced("change", start, end, letter)

    def insert(self, position: int, letters: str) -> EditedSequence:
        """Put letters in front of the one at a position, or behind the last one at `len`.

        Raises
        ------
        InputError
            When there is no such position, or `letters` is empty or has white space or brackets.
        """
        start, _ = self._stretch(position, position)
        letters = self._new_letters(letters)
        state, count = self._state, len(letters)
        # Behind the letter before, so that the new ones stand in its line; at the very front before the first letter.
        front = int(state.places[0]) if len(self) else len(state.codes)
        at = int(state.places[start - 1]) + 1 if start else front
        new = np.frombuffer(letters.encode("utf-32-le"), dtype=np.uint32)
        codes = np.concatenate((state.codes[:at], new, state.codes[at:]))
        inside = np.arange(at, at + count, dtype=np.int32)
        places = np.concatenate((state.places[:start], inside, state.places[start:] + np.int32(count)))
        origin, turned = np.full(count, -1, dtype=np.int32), np.zeros(count, dtype=bool)
        return self._after(
            Edit("insert", start, start, "", letters, len(self)),
            codes,
            places,
            np.concatenate((state.origin[:start], origin, state.origin[start:])),
            np.concatenate((state.turned[:start], turned, state.turned[start:])),
        )

    def delete(self, start: int, end: int) -> EditedSequence:
        """Take the letters `start:end` out. Raises InputError when that is no stretch of one letter or more."""
        start, end = self._stretch(start, end, empty=False)
        state = self._state
        kept = np.ones(len(state.codes), dtype=bool)
        kept[state.places[start:end]] = False
        moved = np.cumsum(kept, dtype=np.int32) - 1  # where each character stands afterwards
        stay = np.r_[0:start, end : len(self)]
        return self._after(
            Edit("delete", start, end, self._letters(start, end), "", len(self)),
            state.codes[kept],
            moved[state.places[stay]],
            state.origin[stay],
            state.turned[stay],
        )

    def reverse_complement(self, start: int = 0, end: Optional[int] = None) -> EditedSequence:
        """Read a stretch of DNA, or all of it, from the other strand; case is kept.

        Raises
        ------
        InputError
            When that is no stretch of the sequence, or at the first letter in it that is no base and no IUPAC letter.
        """
        start, end = self._stretch(start, len(self) if end is None else end, empty=False)
        old = self._letters(start, end)
        strange = re.search(f"[^{BASES}U{''.join(DNA_AMBIGUITY)}]", old, re.IGNORECASE | re.ASCII)
        if strange:
            where = f"{strange.group()!r} at {self.unit} {start + strange.start() + self._offset:,}"
            raise InputError(f"{where} is no base and has no other strand; choose a stretch of DNA without it.")
        return self._replaced("reverse_complement", start, end, reverse_complement(old))

    def lower_case(self, start: int, end: int) -> EditedSequence:
        """Write a stretch in small letters (soft masking). Raises InputError when that is no stretch."""
        start, end = self._stretch(start, end, empty=False)
        return self._replaced("lower_case", start, end, _cased(self._letters(start, end), lower=True))

    def upper_case(self, start: int, end: int) -> EditedSequence:
        """Write a stretch in capitals. Raises InputError when that is no stretch."""
        start, end = self._stretch(start, end, empty=False)
        return self._replaced("upper_case", start, end, _cased(self._letters(start, end), lower=False))

    def _letters(self, start: int, end: int) -> str:
        return _text(self._state.codes[self._state.places[start:end]])

    def _stretch(self, start: int, end: int, empty: bool = True) -> tuple[int, int]:
        """Checked positions; in words they count from `offset`."""
        start, end, count = index(start), index(end), len(self)
        if not 0 <= start <= end <= count:
            has = f"{self._offset:,} to {count - 1 + self._offset:,}" if count else "no letter"
            asked = (
                f"{start + self._offset:,}"
                if end in (start, start + 1)
                else f"{start + self._offset:,} to {end - 1 + self._offset:,}"
            )
            raise InputError(f"There is no {self.unit} {asked} in this sequence; it has {has}.")
        if start == end and not empty:
            raise InputError(f"There is no {self.unit} in this stretch; choose at least one.")
        return start, end

    def _new_letters(self, letters: str) -> str:
        if not isinstance(letters, str) or not letters:
            raise InputError(f"There is no letter to put in ({letters!r}); give at least one {self.unit}.")
        strange = next((c for c in letters if c.isspace() or c in "[]<>" or not c.isprintable()), None)
        if strange is not None:
            raise InputError(f"{strange!r} is no letter of a sequence; give letters alone.")
        return str.__str__(letters)

    def _replaced(self, kind: str, start: int, end: int, new: str) -> EditedSequence:
        """As many letters in place of the old ones."""
        state = self._state
        codes = state.codes.copy()
        codes[state.places[start:end]] = np.frombuffer(new.encode("utf-32-le"), dtype=np.uint32)
        origin, turned = state.origin, state.turned
        if kind == "reverse_complement":
            origin, turned = origin.copy(), turned.copy()
            origin[start:end] = origin[start:end][::-1].copy()
            turned[start:end] = ~turned[start:end][::-1]
        edit = Edit(kind, start, end, self._letters(start, end), new, len(self))
        return self._after(edit, codes, state.places, origin, turned)

    def _after(
        self, edit: Edit, codes: np.ndarray, places: np.ndarray, origin: np.ndarray, turned: np.ndarray
    ) -> EditedSequence:
        made = object.__new__(EditedSequence)
        made.original, made.original_length, made.edits = self.original, self.original_length, (*self.edits, edit)
        made._offset, made._alphabet, made._counted = self._offset, self._alphabet, self._counted
        made._state = _State(codes, places, _read_only(origin), _read_only(turned))
        return made


def _text(codes: np.ndarray) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le")


def _cased(letters: str, lower: bool) -> str:
    """Each letter alone, since the capital of some beyond ASCII is two letters."""
    if letters.isascii():
        return letters.lower() if lower else letters.upper()
    return "".join(c if not c.isascii() else c.lower() if lower else c.upper() for c in letters)


def _read_only(array: np.ndarray) -> np.ndarray:
    array = array.view()
    array.flags.writeable = False
    return array
