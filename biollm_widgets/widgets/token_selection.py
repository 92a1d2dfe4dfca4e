"""What is selected in a token view: a stretch of one sequence, and the tokens that reach into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from biollm_widgets.tokenization import Token, Tokenization


@dataclass(frozen=True)
class Selection:
    """A stretch of one sequence that is selected in a token view.

    Attributes
    ----------
    start, end : int
        Letters, 0-based half-open.
    sequence : str
        Those letters.
    number : int
        Which of the view's sequences, from 0.
    name : str
        What that one is called.
    """

    start: int
    end: int
    sequence: str
    number: int = 0
    name: str = ""
    _read: Mapping[str, Tokenization] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return self.end - self.start

    @cached_property
    def by_tokenizer(self) -> dict[str, tuple[Token, ...]]:
        """For each tokenizer the tokens that reach into the stretch."""
        found = {}
        for label, read in self._read.items():
            first, last = read.covering(self.start, self.end)
            near = map(read.token_at, range(first, last))
            found[label] = tuple(token for token in near if not token.special)
        return found

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The first tokenizer's tokens that reach into the stretch."""
        return next(iter(self.by_tokenizer.values()), ())

    @property
    def ids(self) -> list[int]:
        """Their numbers in the vocabulary."""
        return [token.id for token in self.tokens]
