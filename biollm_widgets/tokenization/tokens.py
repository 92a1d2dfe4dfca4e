"""The tokens of one sequence, each with its place.

Two coordinates, both 0-based half-open. `start, end` count letters of the sequence, without white space and without
special tokens written into the text: what a biologist means by a position, and the same for one line as for lines
of 60. `text_start, text_end` count characters of the text that the tokenizer read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Optional, overload

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.tokenization.columns import Columns, Words, counted_letters

if TYPE_CHECKING:
    import pandas

    from biollm_widgets.tokenization.bpe import MergeHistory, MergeStep


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes
    ----------
    index : int
        Its place among the tokens, from 0, special ones counted.
    id : int
        Its number in the vocabulary: what the model is given.
    token : str
        Its name in the vocabulary, as `convert_ids_to_tokens` gives it: `[UNK]` for an unknown one.
    text : str
        The characters it stands for, line breaks included; for a special token its name.
    start, end : int
        Letters `sequence[start:end]`; equal for special tokens and for white space.
    text_start, text_end : int
        Characters of the text as the tokenizer read it.
    special : bool
        Not part of the sequence: `[CLS]`, `[SEP]`, `<|endoftext|>`.
    unknown : bool
        The model is told only that something stands here.
    reason : str
        Why it is unknown, in plain words; empty otherwise.
    """

    index: int
    id: int
    token: str
    text: str
    start: int
    end: int
    text_start: int
    text_end: int
    special: bool
    unknown: bool
    reason: str


@dataclass(frozen=True)
class Tokenization:
    """A sequence as a tokenizer cuts it; iterates over its tokens.

    Attributes
    ----------
    sequence : str
        The letters alone; `start` and `end` of each token refer to it.
    text : str
        What the tokenizer read: the same, with any white space and special tokens that were in it.
    columns : Columns
        The tokens as arrays: what to work on when there are many.
    words : Words
        What they are called.
    name : str
        The record's name, or empty.
    alphabet : str
        "dna" or "protein".
    """

    sequence: str
    text: str
    columns: Columns = field(repr=False)
    words: Words = field(repr=False, hash=False)
    name: str = ""
    alphabet: str = "dna"
    tokenizer: Any = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)

    @overload
    def __getitem__(self, index: int) -> Token: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Token, ...]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(map(self.token_at, range(len(self))[index]))
        return self.token_at(index)

    def __getstate__(self) -> dict:
        """The columns say everything: what was made from them is not pickled with them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """All tokens as objects, made on the first call; `columns` and `token_at` do without."""
        columns, words = self.columns, self.words
        numbers = (columns.ids, columns.starts, columns.ends, columns.text_starts, columns.text_ends)
        flags = (columns.special, columns.unknown)
        made = []
        for index, (number, start, end, first, last, special, unknown) in enumerate(
            zip(*(column.tolist() for column in (*numbers, *flags)), strict=True)
        ):
            characters = self.text[first:last]
            name = words.name(index, number, characters)
            reason = words.reason(characters) if unknown else ""
            shown = name if special else characters
            made.append(Token(index, number, name, shown, start, end, first, last, special, unknown, reason))
        return tuple(made)

    def token_at(self, index: int) -> Token:
        """The token at a place, from 0 (or from the end, below 0), without making the others.

        Raises
        ------
        IndexError
            Where there is none, as any Python sequence does.
        """
        if "tokens" in self.__dict__:  # they are there already
            return self.tokens[index]
        index = range(len(self))[index]
        columns = self.columns
        first, last = int(columns.text_starts[index]), int(columns.text_ends[index])
        characters, number = self.text[first:last], int(columns.ids[index])
        special, unknown = bool(columns.special[index]), bool(columns.unknown[index])
        name = self.words.name(index, number, characters)
        reason = self.words.reason(characters) if unknown else ""
        start, end = int(columns.starts[index]), int(columns.ends[index])
        shown = name if special else characters
        return Token(index, number, name, shown, start, end, first, last, special, unknown, reason)

    def token_name(self, index: int) -> str:
        """What the vocabulary calls the token at a place."""
        columns = self.columns
        characters = self.text[columns.text_starts[index] : columns.text_ends[index]]
        return self.words.name(range(len(self))[index], int(columns.ids[index]), characters)

    def covering(self, start: int, end: int) -> tuple[int, int]:
        """Which tokens have a part in the letters `sequence[start:end]`, by binary search.

        Parameters
        ----------
        start, end : int
            0-based half-open.

        Returns
        -------
        tuple of int
            `first, last`: tokens `first` up to, not with, `last`. Tokens without width (special ones, line breaks) are
            in when they stand at `start` or behind it and before `end`; those behind the last letter when `end` is the
            end of the sequence.

        Raises
        ------
        InputError
            When the stretch is not within the sequence.
        """
        length = len(self.sequence)
        if not 0 <= start <= end <= length:
            raise InputError(f"Letters {start} to {end} are no stretch of this sequence; choose from 0 to {length}.")
        starts, ends = self.columns.starts, self.columns.ends
        # Among the tokens that end at `start`, those with letters come first and are out, those without are in.
        # Numbers of the columns' own kind: for another, numpy would copy the whole column each time.
        begin, stop = np.int32(start), np.int32(end)
        low, high = np.searchsorted(ends, begin, "left"), np.searchsorted(ends, begin, "right")
        first = int(low + np.searchsorted(starts[low:high], begin, "left"))
        last = int(np.searchsorted(starts, stop, "right" if end == length else "left"))
        return first, max(first, last)

    @cached_property
    def overlapping(self) -> bool:
        """Whether some token starts before the one before it has ended, as k-mers do.

        Several tokens for the bytes of one letter (byte-level BPE) have one and the same place and do not count.
        """
        ordinary = ~self.columns.special
        starts, ends = self.columns.text_starts[ordinary], self.columns.text_ends[ordinary]
        same = (starts[1:] == starts[:-1]) & (ends[1:] == ends[:-1])
        return bool(((starts[1:] < ends[:-1]) & ~same).any())

    @property
    def counted(self) -> np.ndarray:
        """Which characters of `text` are letters of `sequence`, bool: no white space, no special token in it."""
        columns = self.columns
        written = np.flatnonzero(columns.special & (columns.text_ends > columns.text_starts))
        spans = zip(columns.text_starts[written].tolist(), columns.text_ends[written].tolist(), strict=True)
        return counted_letters(self.text, spans)

    @cached_property
    def counts(self) -> np.ndarray:
        """How often the id of each token occurs in this sequence, int32 of shape (n,)."""
        ids = self.columns.ids
        if ids.size and int(ids.max()) < 4 * ids.size + 65_536:
            counts = np.bincount(ids)[ids]
        else:  # few tokens of a huge vocabulary (4^12 k-mers)
            _, place, times = np.unique(ids, return_inverse=True, return_counts=True)
            counts = times[place]
        counts = counts.astype(np.int32)
        counts.flags.writeable = False
        return counts

    @cached_property
    def vocabulary_words(self) -> Optional[int]:
        """How many words the tokenizer's vocabulary has, special ones left out; None where it was not said."""
        if self.tokenizer is None:
            return self.words.count
        from biollm_widgets.tokenization.vocabulary import vocabulary_words

        return vocabulary_words(self.tokenizer)

    @property
    def ids(self) -> list[int]:
        """What the model is given, special tokens included."""
        return self.columns.ids.tolist()

    @property
    def unit(self) -> str:
        """What a letter is called: "base" or "residue"."""
        return "residue" if self.alphabet == "protein" else "base"

    @cached_property
    def ordinary(self) -> int:
        """How many tokens are not special."""
        return len(self) - int(np.count_nonzero(self.columns.special))

    @property
    def bases_per_token(self) -> float:
        """Letters of the sequence by tokens that are not special (line breaks are tokens too); nan without any."""
        return len(self.sequence) / self.ordinary if self.ordinary else math.nan

    @property
    def unknown(self) -> list[Token]:
        """The tokens of which the model learns nothing but their place."""
        return [self.token_at(index) for index in np.flatnonzero(self.columns.unknown).tolist()]

    @property
    def finding(self) -> str:
        """One sentence: "59 bases became 15 tokens, 3.9 bases each, 0 unknown"."""
        ordinary = self.ordinary
        length = len(self.sequence)
        words = f"{length:,} {self.unit}{'' if length == 1 else 's'} became {ordinary:,} token{'s'[: ordinary != 1]}"
        if ordinary:
            each = f"{self.bases_per_token:.1f}"
            unknown = int(np.count_nonzero(self.columns.unknown))
            words += f", {each} {self.unit}{'' if each == '1.0' else 's'} each, {unknown:,} unknown"
        return words

    @cached_property
    def notes(self) -> list[str]:
        """What else is worth knowing: why tokens are unknown, where white space cut, letters that no token has."""
        columns, notes = self.columns, []
        places = np.flatnonzero(columns.unknown)
        spans = zip(columns.text_starts[places].tolist(), columns.text_ends[places].tolist(), strict=True)
        reasons: dict[str, int] = {}
        for characters, count in Counter(self.text[first:last] for first, last in spans).items():
            reason = self.words.reason(characters)
            reasons[reason] = reasons.get(reason, 0) + count
        notes += [f"{count:,} unknown: {reason}" for reason, count in reasons.items()]
        reached = np.maximum.accumulate(np.concatenate(([0], columns.ends)))  # letters covered before each token
        lost = int(np.maximum(columns.starts - reached[:-1], 0).sum()) + len(self.sequence) - int(reached[-1])
        if lost:
            notes.append(
                f"{lost:,} {self.unit}{'s'[: lost != 1]} in no token: the model does not see that they are there"
            )
        cuts = self._blanks_between() if self.alphabet == "dna" else 0
        if cuts:
            places_cut = f"{cuts:,} space{'s'[: cuts != 1]} or line break{'s'[: cuts != 1]}"
            notes.append(f"{places_cut} inside the text: no token reaches across, so the cuts differ")
        return notes

    def _blanks_between(self) -> int:
        """Runs of white space between letters that no token stands for: the tokenizer took them as ends of words."""
        wide = self.columns.text_ends > self.columns.text_starts
        left, right = self.columns.text_ends[wide][:-1], self.columns.text_starts[wide][1:]
        apart = right > left
        gaps = zip(left[apart].tolist(), right[apart].tolist(), strict=True)
        return sum(self.text[start:end].isspace() for start, end in gaps)

    @cached_property
    def merge_history(self) -> MergeHistory:
        """The BPE merges that made these tokens, step by step (see `merge_history`)."""
        from biollm_widgets.tokenization.bpe import NO_MERGES, replay

        if self.tokenizer is None:
            raise InputError(NO_MERGES)
        return replay(self, self.tokenizer)

    @property
    def merges(self) -> list[tuple[MergeStep, ...]]:
        """For each token the merges that made it, in order; empty for special tokens and single letters."""
        return self.merge_history.by_token

    def to_frame(self) -> pandas.DataFrame:
        """One row a token: index, id, token, text, start, end, length, special, unknown, reason."""
        import pandas

        return pandas.DataFrame(self.to_columns())

    def to_columns(self) -> dict[str, Any]:
        """The columns of `to_frame` by name: arrays, and lists of str."""
        columns, words = self.columns, self.words
        spans = zip(columns.text_starts.tolist(), columns.text_ends.tolist(), strict=True)
        characters = [self.text[first:last] for first, last in spans]
        names = list(map(words.by_id.get, columns.ids.tolist(), characters))
        for index, name in words.by_index.items():
            names[index] = name
        shown, reasons = characters.copy(), [""] * len(self)
        for index in np.flatnonzero(columns.special).tolist():
            shown[index] = names[index]
        known: dict[str, str] = {}  # a reason is worked out once for each kind of unknown
        for index in np.flatnonzero(columns.unknown).tolist():
            text = characters[index]
            reasons[index] = known[text] if text in known else known.setdefault(text, words.reason(text))
        starts, ends = columns.starts.astype(np.int64), columns.ends.astype(np.int64)
        return {
            "index": np.arange(len(self)),
            "id": columns.ids.astype(np.int64),
            "token": names,
            "text": shown,
            "start": starts,
            "end": ends,
            "length": ends - starts,
            "special": columns.special.copy(),
            "unknown": columns.unknown.copy(),
            "reason": reasons,
        }

    def to_dict(self) -> dict:
        """For JSON; `bases_per_token` is None where there are no tokens."""
        ratio = self.bases_per_token
        return {
            "name": self.name,
            "alphabet": self.alphabet,
            "sequence": self.sequence,
            "text": self.text,
            "ids": self.ids,
            "bases_per_token": None if math.isnan(ratio) else ratio,
            "unknown": int(np.count_nonzero(self.columns.unknown)),
            "notes": self.notes,
            "tokens": [asdict(token) for token in self.tokens],
        }
