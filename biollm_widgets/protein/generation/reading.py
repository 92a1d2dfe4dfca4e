"""A generated protein token by token: which residues each token wrote, and how likely it was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from biollm_widgets.protein.generation.result import Design
from biollm_widgets.protein.layout import Layout, layout_of, residues_of


class Pieces:
    """What the tokens of a vocabulary stand for; each is looked up once.

    Parameters
    ----------
    tokenizer
        Of transformers.
    layout : Layout, optional
        What stands around a protein; the tokenizer's own unless given.
    """

    def __init__(self, tokenizer: Any, layout: Layout | None = None) -> None:
        self.tokenizer = tokenizer
        self.layout = layout_of(tokenizer) if layout is None else layout
        self._special = set(tokenizer.all_special_ids)
        self._texts: dict[int, str] = {}
        self._residues: dict[int, str] = {}

    def __call__(self, token_id: int) -> str:
        """The residues that a token writes; "" for a line break, the start, the end, and what is no residue."""
        if token_id not in self._residues:
            special = token_id in self._special
            self._residues[token_id] = "" if special else residues_of(self.text(token_id)).sequence
        return self._residues[token_id]

    def text(self, token_id: int) -> str:
        """The token decoded: "MKT", a line break, "<|endoftext|>".

        A byte that is no character by itself is written as the vocabulary writes it, and a number that the tokenizer
        has no word for (tables are filled up to round numbers) as "token 50,300".
        """
        if token_id not in self._texts:
            try:
                text = self.tokenizer.decode([token_id], skip_special_tokens=False, clean_up_tokenization_spaces=False)
                if not text or "\ufffd" in text:
                    text = self.tokenizer.convert_ids_to_tokens(token_id)
            except (IndexError, OverflowError):  # a tokenizer written in Python
                text = None
            self._texts[token_id] = text or f"token {token_id:,}"
        return self._texts[token_id]

    def kind(self, token_id: int, end: int | None = None) -> str:
        """What a token is: "residues", "line break", "end", or "other" (no residue, other special tokens).

        `end` is the token that ends a protein; the tokenizer's own unless given.
        """
        if token_id == (self.tokenizer.eos_token_id if end is None else end):
            return "end"
        if token_id in self._special:
            return "other"
        if self(token_id):
            return "residues"
        text = self.text(token_id)
        return "line break" if "\n" in text and not text.strip() else "other"


@dataclass(frozen=True)
class Step:
    """One token of a design.

    Attributes
    ----------
    index : int
        Its place among the tokens, from 0 (the start).
    id : int
    text : str
        As `Pieces.text` has it.
    start, end : int
        The residues it wrote, as places in the sequence counted from 0, the end exclusive; none for a line break.
    log_probability : float
        Natural logarithm of its probability by the model alone; NaN for the start, and for a prompt that was not asked
        about.
    probability : float
        What it was drawn with, after temperature, top-k, top-p and penalty; NaN for what was given.
    given : bool
        Whether it belongs to the start or the prompt, and was not chosen.
    """

    index: int
    id: int
    text: str
    start: int
    end: int
    log_probability: float
    probability: float
    given: bool

    @property
    def by_model(self) -> float:
        """Its probability by the model alone."""
        return math.exp(self.log_probability)


def walk(design: Design, tokenizer: Any) -> tuple[Step, ...]:
    """The tokens of a design in order, the start, the prompt and the end included.

    Parameters
    ----------
    tokenizer
        The one it was made with, or `Pieces` of it.
    """
    pieces = tokenizer if isinstance(tokenizer, Pieces) else Pieces(tokenizer)
    steps = []
    place = 0
    for index, choice in enumerate([*design.opening, *design.choices]):
        given = index < len(design.opening)
        # The end that was asked for may be a token of residues: it is no part of the sequence.
        last = design.finished and index == len(design.opening) + len(design.choices) - 1
        start, place = place, place + (0 if last else len(pieces(choice.id)))
        steps.append(
            Step(
                index, choice.id, pieces.text(choice.id), start, place, choice.log_probability, choice.probability,
                given,
            )
        )  # fmt: skip
    return tuple(steps)
