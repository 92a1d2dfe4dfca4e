"""From sequences to token ids: what `embed` may be given, each distinct sequence once, and what is odd about it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from biollm_widgets.errors import InputError

_SPACE = re.compile(r"\s")
_AT_ONCE = 4096  # sequences given to the tokenizer in one call: enough for its threads, little memory


class OddSequences(UserWarning):
    """Sequences that can be embedded, but probably not the way their owner thinks."""


@dataclass(frozen=True)
class TokenizedSequences:
    """Distinct sequences as token ids, special tokens included.

    Attributes
    ----------
    ids : list of int64 arrays
        The tokens of each distinct sequence.
    special : list of bool arrays
        True where the tokenizer put a token of its own ([CLS], [SEP]).
    rows : int64 array (n,)
        For each sequence that was given, the number of its distinct sequence.
    unknown : int
        How many tokens of all given sequences are the tokenizer's unknown token.
    """

    ids: list[np.ndarray]
    special: list[np.ndarray]
    rows: np.ndarray
    unknown: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each distinct sequence, (distinct,)."""
        return np.array([len(ids) for ids in self.ids], dtype=np.int64)

    @property
    def tokens(self) -> int:
        """Tokens of all given sequences, repeats counted."""
        return int(self.lengths[self.rows].sum())


def as_texts(sequences: Any) -> list[str]:
    """A list of text from what people hold sequences in: a list, a Series, an array, FASTA records, one string.

    Raises
    ------
    InputError
        When there are none, or naming the first that is no text or is empty.
    """
    if isinstance(sequences, str):
        sequences = [sequences]
    if not isinstance(sequences, Iterable) or isinstance(sequences, (bytes, dict)):
        raise InputError(f"Sequences come as a list of text, not as {type(sequences).__name__}; put them in a list.")
    columns = getattr(sequences, "columns", None)
    if columns is not None:
        raise InputError(f"Give one column of the table, not the table: one of {', '.join(map(str, columns))}.")
    texts = []
    for number, item in enumerate(sequences, start=1):
        text = item if isinstance(item, str) else getattr(item, "sequence", None)
        if not isinstance(text, str):
            raise InputError(
                f"Sequence {number} is {item!r} ({type(item).__name__}), not text; take it out or mend it."
            )
        if not text.strip():
            raise InputError(f"Sequence {number} is empty; take it out.")
        texts.append(text)
    if not texts:
        raise InputError("There are no sequences to embed; give at least one.")
    return texts


def tokenize_distinct(texts: list[str], tokenizer: Any) -> TokenizedSequences:
    """Tokenize each distinct text once; warn, with counts and the first place, of letters the tokenizer does not know
    and of white space, which changes how a sequence is cut.

    Raises
    ------
    InputError
        Naming the first sequence of which the tokenizer leaves no token.
    """
    number_of: dict[str, int] = {}
    rows = np.array([number_of.setdefault(text, len(number_of)) for text in texts], dtype=np.int64)
    distinct = list(number_of)
    ids: list[np.ndarray] = []
    special: list[np.ndarray] = []
    for start in range(0, len(distinct), _AT_ONCE):
        # verbose=False: the tokenizer's own remark on lengths is about models with a table of positions.
        batch = tokenizer(distinct[start : start + _AT_ONCE], return_special_tokens_mask=True, verbose=False)
        ids += [np.asarray(one, dtype=np.int64) for one in batch["input_ids"]]
        special += [np.asarray(one, dtype=bool) for one in batch["special_tokens_mask"]]
    for number, own in enumerate(special):
        if own.all():
            first = int(np.argmax(rows == number)) + 1
            raise InputError(f"The tokenizer makes no token of sequence {first} ({distinct[number][:20]!r}); mend it.")

    repeats = np.bincount(rows, minlength=len(distinct))
    _warn_of_spaces(distinct, rows, repeats)
    unknown = _warn_of_unknown(distinct, ids, special, rows, repeats, tokenizer)
    return TokenizedSequences(ids, special, rows, unknown)


def _warn_of_spaces(distinct: list[str], rows: np.ndarray, repeats: np.ndarray) -> None:
    spaced = np.array([_SPACE.search(text) is not None for text in distinct])
    if not spaced.any():
        return
    first = int(np.argmax(spaced[rows]))
    place = _SPACE.search(distinct[rows[first]])
    assert place is not None
    warnings.warn(
        f"{repeats[spaced].sum()} of {len(rows)} sequences have white space in them (first: sequence {first + 1}, "
        f"position {place.start() + 1}), which changes how they are cut into tokens; take it out unless the tokenizer "
        "wants it.",
        OddSequences,
        stacklevel=4,
    )


def _warn_of_unknown(
    distinct: list[str],
    ids: list[np.ndarray],
    special: list[np.ndarray],
    rows: np.ndarray,
    repeats: np.ndarray,
    tokenizer: Any,
) -> int:
    """Count unknown tokens over all given sequences, and say where the first is."""
    unk = getattr(tokenizer, "unk_token_id", None)
    if unk is None:
        return 0
    counts = np.array([int(((one == unk) & ~own).sum()) for one, own in zip(ids, special, strict=True)], dtype=np.int64)
    unknown = int((counts * repeats).sum())
    if unknown:
        first = int(np.argmax(counts[rows] > 0))
        where = _place_of_unknown(distinct[rows[first]], tokenizer, unk)
        warnings.warn(
            f"{unknown} tokens in {int(repeats[counts > 0].sum())} of {len(rows)} sequences are "
            f"{tokenizer.unk_token}, letters that the tokenizer does not know (first: sequence {first + 1}{where}); "
            "clean_dna mends lower case and U, other letters carry no information for the model.",
            OddSequences,
            stacklevel=4,
        )
    return unknown


def _place_of_unknown(text: str, tokenizer: Any, unk: int) -> str:
    """Position (from 1) and letter of the first unknown token, in words; empty for a tokenizer without offsets."""
    if not getattr(tokenizer, "is_fast", False):
        return ""
    encoded = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
    places = zip(encoded["input_ids"], encoded["special_tokens_mask"], encoded["offset_mapping"], strict=True)
    for token, own, (start, end) in places:
        if token == unk and not own:
            return f", position {start + 1}, {text[start:end][:12]!r}"
    return ""
