"""The tokens of a sequence as columns: one number a token in each array, so that a million tokens cost no objects.

What a tokenizer gives (`Found`) has places in the text alone; `placed` adds those in the sequence, whose letters have
no white space and no special tokens between them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields
from typing import Optional

import numpy as np

from biollm_widgets.tokenization.unknown import why_unknown


@dataclass(frozen=True, eq=False)
class Columns:
    """The tokens of one sequence, column by column; read-only.

    Attributes
    ----------
    ids : ndarray of int32, shape (n,)
        What the model is given, special tokens included.
    starts, ends : ndarray of int32, shape (n,)
        Letters `sequence[start:end]`, 0-based half-open; equal for special tokens and white space.
    text_starts, text_ends : ndarray of int32, shape (n,)
        The same in characters of the text that the tokenizer read.
    special, unknown : ndarray of bool, shape (n,)
        As in `Token`.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    text_starts: np.ndarray
    text_ends: np.ndarray
    special: np.ndarray
    unknown: np.ndarray

    def __post_init__(self) -> None:
        for column in fields(self):
            kind = np.bool_ if column.name in ("special", "unknown") else np.int32
            # A view, so that making it read-only takes nothing from whoever made the array.
            array = np.ascontiguousarray(getattr(self, column.name), dtype=kind).view()
            array.flags.writeable = False
            object.__setattr__(self, column.name, array)

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Columns):
            return NotImplemented
        return all(np.array_equal(getattr(self, c.name), getattr(other, c.name)) for c in fields(self))

    def __hash__(self) -> int:
        return hash((self.ids.tobytes(), self.starts.tobytes()))


@dataclass(frozen=True)
class Words:
    """What the tokens of one sequence are called: the part of the vocabulary that it uses.

    Attributes
    ----------
    by_id : dict
        Names by id; an id that is not here is called as its characters in the text are (k-mers: no list of 4^k).
    by_index : dict
        Names of single tokens, where a tokenizer calls two of one id differently (slow ones leave an unknown piece its
        letters).
    known : collection of str
        The single letters of the vocabulary, for reasons; empty where nothing is unknown.
    count : int, optional
        How many words the whole vocabulary has, special ones left out, where no tokenizer is kept that can be asked.
    """

    by_id: dict[int, str]
    by_index: dict[int, str] = field(default_factory=dict)
    known: Collection[str] = ""
    count: Optional[int] = None

    def name(self, index: int, number: int, characters: str) -> str:
        """The name of the token at `index`, whose id is `number` and which stands for `characters`."""
        if self.by_index and index in self.by_index:
            return self.by_index[index]
        return self.by_id.get(number, characters)

    def reason(self, characters: str) -> str:
        """Why these characters are unknown, in plain words."""
        return why_unknown(characters, self.known)


@dataclass(frozen=True)
class Found:
    """What a tokenizer says of a text: ids, characters `starts:ends` of the text, and flags; all arrays of shape (n,).

    `inserted` tokens ([CLS], [SEP]) were put there by the tokenizer and have no characters: their places are ignored.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    inserted: np.ndarray
    special: np.ndarray
    unknown: np.ndarray
    words: Words


def placed(text: str, found: Found) -> tuple[str, Columns]:
    """The letters of the sequence alone, and the tokens with their places in it and in the text."""
    starts, ends = _settled(found, len(text))
    written = np.flatnonzero(found.special & (ends > starts))  # special tokens that stand in the text
    if not written.size and text.split() == [text]:
        return text, Columns(found.ids, starts, ends, starts, ends, found.special, found.unknown)
    counted = counted_letters(text, zip(starts[written].tolist(), ends[written].tolist(), strict=True))
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    before = np.zeros(len(text) + 1, dtype=np.int32)  # letters in front of each character
    np.cumsum(counted, out=before[1:])
    sequence = codes[counted].tobytes().decode("utf-32-le")
    return sequence, Columns(
        found.ids, before[starts], before[ends], starts, ends, found.special, found.unknown
    )  # fmt: skip


def counted_letters(text: str, special: Iterable[tuple[int, int]]) -> np.ndarray:
    """Which characters are letters of the sequence, bool (n,): no white space, and none in the special stretches."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    blanks = [ord(letter) for letter in set(text) if letter.isspace()]
    counted = ~np.isin(codes, np.array(blanks, dtype=np.uint32))
    for start, end in special:
        counted[start:end] = False
    return counted


def _settled(found: Found, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of all tokens: an inserted one stands where the token before it ended, or after the last at the end.

    At the end of the text, that is, behind any white space there too.
    """
    starts, ends = found.starts, found.ends
    if not found.inserted.any():
        return starts, ends
    own = np.flatnonzero(~found.inserted)
    if not own.size:
        return np.zeros_like(starts), np.zeros_like(ends)
    # How many tokens with a place of their own stand in front of each token.
    front = np.cumsum(~found.inserted)
    cursor = np.where(front == 0, 0, ends[own[np.maximum(front - 1, 0)]])
    cursor[own[-1] + 1 :] = length
    return np.where(found.inserted, cursor, starts), np.where(found.inserted, cursor, ends)
