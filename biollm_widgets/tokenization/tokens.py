"""The tokens of one sequence, each with its place.

Two coordinates, both 0-based half-open. `start, end` count letters of the sequence, without white space and without
special tokens written into the text: what a biologist means by a position, and the same for one line as for lines
of 60. `text_start, text_end` count characters of the text that the tokenizer read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from biollm_widgets.errors import InputError

if TYPE_CHECKING:
    import pandas

    from biollm_widgets.tokenization.bpe import MergeHistory, MergeStep


class Found(NamedTuple):
    """What a tokenizer says of one token: a span of the text, or None for a token that it put there itself."""

    id: int
    token: str
    span: Optional[tuple[int, int]]
    special: bool = False
    unknown: bool = False


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
    tokens : tuple of Token
    name : str
        The record's name, or empty.
    alphabet : str
        "dna" or "protein".
    """

    sequence: str
    text: str
    tokens: tuple[Token, ...] = field(repr=False)
    name: str = ""
    alphabet: str = "dna"
    tokenizer: Any = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)

    def __getitem__(self, index: int) -> Token:
        return self.tokens[index]

    @property
    def ids(self) -> list[int]:
        """What the model is given, special tokens included."""
        return [token.id for token in self.tokens]

    @property
    def unit(self) -> str:
        """What a letter is called: "base" or "residue"."""
        return "residue" if self.alphabet == "protein" else "base"

    @property
    def bases_per_token(self) -> float:
        """Letters of the sequence by tokens that are not special (line breaks are tokens too); nan without any."""
        ordinary = sum(not token.special for token in self.tokens)
        return len(self.sequence) / ordinary if ordinary else math.nan

    @property
    def unknown(self) -> list[Token]:
        """The tokens of which the model learns nothing but their place."""
        return [token for token in self.tokens if token.unknown]

    @property
    def finding(self) -> str:
        """One sentence: "59 bases became 15 tokens, 3.9 bases each, 0 unknown"."""
        ordinary = sum(not token.special for token in self.tokens)
        length = len(self.sequence)
        words = f"{length:,} {self.unit}{'' if length == 1 else 's'} became {ordinary:,} token{'s'[: ordinary != 1]}"
        if ordinary:
            each = f"{self.bases_per_token:.1f}"
            words += f", {each} {self.unit}{'' if each == '1.0' else 's'} each, {len(self.unknown):,} unknown"
        return words

    @cached_property
    def notes(self) -> list[str]:
        """What else is worth knowing: why tokens are unknown, where white space cut, letters that no token has."""
        notes = []
        reasons: dict[str, int] = {}
        for token in self.unknown:
            reasons[token.reason] = reasons.get(token.reason, 0) + 1
        notes += [f"{count:,} unknown: {reason}" for reason, count in reasons.items()]
        covered, lost = 0, 0
        for token in self.tokens:
            lost += max(0, token.start - covered)
            covered = max(covered, token.end)
        lost += len(self.sequence) - covered
        if lost:
            notes.append(
                f"{lost:,} {self.unit}{'s'[: lost != 1]} in no token: the model does not see that they are there"
            )
        cuts = self._blanks_between()
        if cuts and self.alphabet == "dna":
            places = f"{cuts:,} space{'s'[: cuts != 1]} or line break{'s'[: cuts != 1]}"
            notes.append(f"{places} inside the text: no token reaches across, so the cuts differ")
        return notes

    def _blanks_between(self) -> int:
        """Runs of white space between letters that no token stands for: the tokenizer took them as ends of words."""
        spans = [(token.text_start, token.text_end) for token in self.tokens if token.text_end > token.text_start]
        gaps = (self.text[before[1] : after[0]] for before, after in pairwise(spans))
        return sum(gap.isspace() for gap in gaps)

    @cached_property
    def merge_history(self) -> MergeHistory:
        """The BPE merges that made these tokens, step by step (see `merge_history`)."""
        from biollm_widgets.tokenization.bpe import replay

        if self.tokenizer is None:
            raise InputError("These tokens were not made by a BPE tokenizer, so no merges made them.")
        return replay(self, self.tokenizer)

    @property
    def merges(self) -> list[tuple[MergeStep, ...]]:
        """For each token the merges that made it, in order; empty for special tokens and single letters."""
        return self.merge_history.by_token

    def to_frame(self) -> pandas.DataFrame:
        """One row a token: index, id, token, text, start, end, length, special, unknown, reason."""
        import pandas

        columns = ["index", "id", "token", "text", "start", "end", "special", "unknown", "reason"]
        frame = pandas.DataFrame([[getattr(token, name) for name in columns] for token in self.tokens], columns=columns)
        frame.insert(6, "length", frame["end"] - frame["start"])
        return frame

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
            "unknown": len(self.unknown),
            "notes": self.notes,
            "tokens": [asdict(token) for token in self.tokens],
        }


def place(
    text: str, found: list[Found], reason_for: Any, name: str = "", alphabet: str = "dna", tokenizer: Any = None
) -> Tokenization:
    """Give each found token its position in the sequence.

    `reason_for(characters)` says why a token is unknown; it is called for unknown ones only.
    """
    written = [item.span for item in found if item.special and item.span]  # special tokens that stand in the text
    if written or text.split() != [text]:
        counts = [0 if letter.isspace() else 1 for letter in text]
        for start, end in written:
            counts[start:end] = [0] * (end - start)
        sequence = "".join(letter for letter, counted in zip(text, counts, strict=True) if counted)
        before: Any = list(accumulate(counts, initial=0))  # letters in front of each character
    else:
        sequence, before = text, range(len(text) + 1)

    tokens, cursor = [], 0
    for index, item in enumerate(found):
        start, end = item.span or (cursor, cursor)
        cursor = end
        characters = text[start:end]
        reason = reason_for(characters) if item.unknown else ""
        shown = item.token if item.special else characters
        tokens.append(
            Token(
                index, item.id, item.token, shown, before[start], before[end], start, end,
                item.special, item.unknown, reason,
            )
        )  # fmt: skip
    return Tokenization(sequence, text, tuple(tokens), name, alphabet, tokenizer)
