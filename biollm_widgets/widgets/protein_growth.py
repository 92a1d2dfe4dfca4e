"""Sequences as a page shows them grow: the residues of each, and with what probability each was drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Optional

GIVEN = "-"  # in the place of a digit: a residue of the prompt, which was not drawn
GROWING = 50  # sequences that are shown while they grow
LETTERS = 200_000  # residues that a page gets of all sequences together


class Shown:
    """One sequence.

    Attributes
    ----------
    text : str
        Its residues.
    p : str
        For each, the `digit` of the probability with which its token was drawn, or `GIVEN`.
    ended : bool
        Whether the model ended it.
    """

    def __init__(self, text: str = "", p: str = "", ended: bool = False) -> None:
        self.text, self.p, self.ended = text, p, ended
        self.taken = 0  # tokens that are in it already

    def take(self, choices: Sequence[Any], pieces: Callable[[int], str], finished: bool) -> None:
        """Add the tokens that are new; the last of a finished one is its end, and no residue."""
        last = len(choices) - 1 if finished else len(choices)
        for choice in choices[self.taken : last]:
            residues = pieces(choice.id)
            self.text += residues
            self.p += digit(choice.probability) * len(residues)
        self.taken, self.ended = max(self.taken, last), finished


def digit(probability: float) -> str:
    """A probability as a digit: 9 for 1, 6 for a tenth, 3 for a hundredth, 0 for a thousandth and below.

    By tenths nearly all would be 0: of 50,257 tokens hardly any is drawn with more.
    """
    if math.isnan(probability):
        return GIVEN
    return str(min(9, max(0, round(9 + 3 * math.log10(max(probability, 1e-9))))))


class Grown:
    """All sequences of one generation, those that are not shown as None; told as differences.

    Parameters
    ----------
    pieces : callable
        The residues that a token stands for.
    """

    def __init__(self, pieces: Callable[[int], str], prompt: str, n: int) -> None:
        self.pieces = pieces
        shown = min(n, GROWING)
        self.all: list[Optional[Shown]] = [Shown(prompt, GIVEN * len(prompt)) for _ in range(shown)]
        self.all += [None] * (n - shown)
        self._sent: list[tuple[int, bool]] = []

    @classmethod
    def of(cls, designs: Sequence[Any], which: Iterable[int], pieces: Callable[[int], str]) -> Grown:
        """Designs that are there; those in places `which`, as far as a page can hold them."""
        made = cls(pieces, "", 0)
        made.all = [None] * len(designs)
        room = LETTERS
        for place in which:
            design, shown = designs[place], Shown()
            shown.take([*design.opening, *design.choices], pieces, design.finished)
            room -= len(shown.text)
            if room < 0:
                break
            made.all[place] = shown
        return made

    def take(self, growth: Any) -> None:
        """What has grown since."""
        for i, shown in enumerate(self.all):
            if shown is not None:
                finished = growth.finished[i]  # before the choices: its end is then among them
                shown.take(growth.choices[i], self.pieces, finished)

    def shot(self) -> list[Optional[dict[str, Any]]]:
        """All of it as a page gets it: up to what was told last, so that what is told next joins on."""
        return [
            None if one is None else {"text": one.text[:length], "p": one.p[:length], "ended": ended}
            for one, (length, ended) in zip(self.all, self._sent or self._now(), strict=True)
        ]

    def sent(self) -> None:
        """What is there now is known."""
        self._sent = self._now()

    def _now(self) -> list[tuple[int, bool]]:
        return [(0, False) if one is None else (len(one.text), one.ended) for one in self.all]

    def news(self) -> list[list[Any]]:
        """What was added since it was sent: [[index, text, p, ended], ...]."""
        found = []
        for i, (shown, (length, ended)) in enumerate(zip(self.all, self._sent, strict=True)):
            if shown is not None and (len(shown.text) != length or shown.ended != ended):
                found.append([i, shown.text[length:], shown.p[length:], shown.ended])
        self.sent()
        return found
