"""Read a text again after an edit: only what lies round the edit is given to a BPE tokenizer, the rest is kept.

Tokens that follow each other are what BPE makes of their text if and only if each two neighbours are what it makes of
theirs: the first merge across a border would have to happen at one of the borders, and there it sees two tokens that
have been built as if they were alone. So when the stretch that is read anew begins and ends with the tokens that stood
there before, its borders with the rest are borders that have already been proved, and the whole is right.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.tokenization.bpe import table_of
from biollm_widgets.tokenization.columns import Columns, Words
from biollm_widgets.tokenization.reading import backend_of, tokenize
from biollm_widgets.tokenization.tokens import Tokenization

SHORT = 20_000  # letters that are read in a few hundredths of a second anyway
MARGIN = 64  # tokens on either side of an edit; the reading nearly always falls in step again after two or three
# Of these the letters of one word are one piece.
_WHOLE_WORDS = ("NoneType", "Whitespace", "WhitespaceSplit")


def tokenize_again(before: Tokenization, text: str, tokenizer: Any, *, special_tokens: bool = True) -> Tokenization:
    """`tokenize(text, tokenizer)` for a text that differs little from one that was read before.

    Parameters
    ----------
    before : Tokenization
        What the same tokenizer, with the same `special_tokens`, made of the text before the edit.
    text : str
    tokenizer
    special_tokens : bool

    Returns
    -------
    Tokenization
        Equal to a full reading; where the short way is not known to be right, it is a full reading.

    Raises
    ------
    InputError
        As `tokenize`.
    """
    spliced = _spliced(before, text, tokenizer) if len(text) >= SHORT else None
    if spliced is not None:
        return spliced
    return tokenize(text, tokenizer, special_tokens=special_tokens, alphabet=before.alphabet, name=before.name)


def _spliced(before: Tokenization, text: str, tokenizer: Any) -> Optional[Tokenization]:
    if not (_is_plain(tokenizer) and _is_one_word(before.text) and _is_one_word(text)) or before.words.by_index:
        return None
    old, new = (np.frombuffer(one.encode("ascii"), dtype=np.uint8) for one in (before.text, text))
    shared = min(len(old), len(new))
    front = _alike(old[:shared], new[:shared])
    back = min(_alike(old[::-1][:shared], new[::-1][:shared]), shared - front)
    columns = before.columns
    own = np.flatnonzero(~columns.special)
    if not own.size or own[-1] - own[0] + 1 != own.size:
        return None
    lowest, highest = int(own[0]), int(own[-1]) + 1
    # Tokens i to j are read anew: those that the edit touches, and MARGIN more on either side.
    i = int(np.searchsorted(columns.ends[lowest:highest], front, side="right")) + lowest - MARGIN
    j = int(np.searchsorted(columns.starts[lowest:highest], len(old) - back)) + lowest + MARGIN
    i, j = max(i, lowest), min(j, highest)
    if 2 * (j - i) > highest - lowest:
        return None
    longer = len(new) - len(old)
    start, end = int(columns.starts[i]), int(columns.ends[j - 1]) + longer
    anew = tokenize(text[start:end], tokenizer, special_tokens=False, alphabet=before.alphabet)
    fresh = anew.columns
    in_step = len(anew) > 0
    in_step &= i == lowest or _same(fresh, 0, columns, i)
    in_step &= j == highest or _same(fresh, len(anew) - 1, columns, j - 1)
    if not in_step:
        return None

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(columns, name)[:i], getattr(fresh, name), getattr(columns, name)[j:]])

    def moved(name: str) -> np.ndarray:
        kept = getattr(columns, name)
        return np.concatenate([kept[:i], getattr(fresh, name) + start, kept[j:] + longer])

    starts, ends = moved("starts"), moved("ends")
    ids, unknown = joined("ids"), joined("unknown")
    names = {**before.words.by_id, **anew.words.by_id}
    names = {number: names[number] for number in np.unique(ids).tolist()}
    known = (anew.words.known or before.words.known) if unknown.any() else ""
    made = Columns(ids, starts, ends, starts, ends, joined("special"), unknown)
    return Tokenization(text, text, made, Words(names, {}, known), before.name, before.alphabet, before.tokenizer)


def _is_plain(tokenizer: Any) -> bool:
    """Whether a tokenizer does BPE on whole words and nothing else, so that what is said above holds."""
    backend = backend_of(tokenizer)
    if backend is None or backend.normalizer is not None or type(backend.pre_tokenizer).__name__ not in _WHOLE_WORDS:
        return False
    try:
        table = table_of(backend)
    except InputError:  # not BPE, or merges are dropped at random
        return False
    return not (table.ignore_merges or table.prefix or table.suffix or table.fuse_unk)


def _is_one_word(text: str) -> bool:
    return text.isascii() and text.isalpha()


def _alike(one: np.ndarray, other: np.ndarray) -> int:
    """How many letters two equally long arrays have in common at their beginning."""
    differ = one != other
    place = int(differ.argmax()) if len(differ) else 0
    return place if len(differ) and differ[place] else len(differ)


def _same(fresh: Columns, a: int, kept: Columns, b: int) -> bool:
    length = fresh.ends[a] - fresh.starts[a]
    return bool(fresh.ids[a] == kept.ids[b] and length == kept.ends[b] - kept.starts[b])
