"""The text around a protein that a language model was trained on, and the residues in what it writes.

ProtGPT2 reads proteins as its training files had them: `<|endoftext|>`, a line break, lines of 60 residues, a line
break, `<|endoftext|>` (Ferruz et al. 2022, doi:10.1038/s41467-022-32007-7; its model card). Each line break is a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from biollm_widgets.sequences import AMINO_ACIDS, LINE, PROTEIN_AMBIGUITY, wrap

END = "<|endoftext|>"
_RESIDUES = frozenset(AMINO_ACIDS) | frozenset(PROTEIN_AMBIGUITY)


@dataclass(frozen=True)
class Layout:
    """What stands before and after a protein, and how long its lines are.

    Attributes
    ----------
    start, end : str
        The special tokens, as text; empty where the model has none.
    width : int
        Residues a line; 0 for one line without a break.
    """

    start: str
    end: str
    width: int

    def opening(self, prompt: str = "") -> str:
        """What the model is given to go on from: the start alone, or the start and the first residues."""
        if not prompt:
            return self.start
        return f"{self.start}\n{wrap(prompt, self.width)}" if self.width else self.start + prompt

    def whole(self, sequence: str) -> str:
        """A finished protein as the model's training text has it."""
        if not self.width:
            return f"{self.start}{sequence}{self.end}"
        return f"{self.start}\n{wrap(sequence, self.width)}\n{self.end}"

    def ids(self, tokenizer: Any, text: str) -> list[int]:
        """The tokens of a text of this layout; nothing is added to it."""
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def layout_of(tokenizer: Any) -> Layout:
    """ProtGPT2's layout for tokenizers that end a text as it does; for others their own start and end, one line."""
    if tokenizer.eos_token == END:
        return Layout(END, END, LINE)
    return Layout(tokenizer.bos_token or "", tokenizer.eos_token or "", 0)


class Residues(NamedTuple):
    """The residues in a text, and how many other characters (line breaks apart) were left out."""

    sequence: str
    left_out: int


def residues_of(text: str) -> Residues:
    """Take the residues out of what a model wrote: no line breaks, and nothing that stands for no amino acid."""
    letters = "".join(text.split())
    sequence = "".join(letter for letter in letters if letter in _RESIDUES)
    return Residues(sequence, len(letters) - len(sequence))
