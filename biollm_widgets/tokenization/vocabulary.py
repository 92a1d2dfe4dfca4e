"""The words of a tokenizer's vocabulary: how many there are, and which place among them an id has."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.tokenization.fixed import SPECIAL, FixedTokenizer
from biollm_widgets.tokenization.reading import backend_of


class VocabularyRank(NamedTuple):
    """`rank`: place of an id among the words, from 1, None for a special token; `words`: how many there are."""

    rank: Optional[int]
    words: int


# The sorted ids of the words, by the tokenizer's id(); the tokenizer is kept beside it, so that its id stays its.
_words: dict[int, tuple[Any, np.ndarray, int]] = {}


def vocabulary_rank(tokenizer: Any, token_id: int) -> VocabularyRank:
    """The place of an id among the words of a vocabulary, special and added tokens left out.

    A BPE vocabulary is in the order in which it was learned, so a low place means a frequent word. In the vocabulary
    of k-mers the place says nothing about frequency.

    Parameters
    ----------
    tokenizer
        Any that `tokenize` takes. The first call reads the vocabulary, later ones look up.
    token_id : int

    Returns
    -------
    VocabularyRank
        `(1235, 4091)` for id 1239 of DNABERT-2.

    Raises
    ------
    InputError
        When there is no such id, or `tokenizer` has no vocabulary.
    """
    if isinstance(tokenizer, FixedTokenizer):
        words = tokenizer.vocab_size - len(SPECIAL)
        _ = tokenizer.convert_ids_to_tokens(token_id)  # raises for a number outside
        return VocabularyRank(token_id - len(SPECIAL) + 1 if token_id >= len(SPECIAL) else None, words)
    ids, most = _ids_of(tokenizer)
    if not 0 <= token_id <= most:
        raise InputError(f"There is no token {token_id}; this vocabulary has 0 to {most}.")
    place = int(np.searchsorted(ids, token_id))
    found = place < len(ids) and ids[place] == token_id
    return VocabularyRank(place + 1 if found else None, len(ids))


def vocabulary_words(tokenizer: Any) -> int:
    """How many words a vocabulary has, special and added tokens left out. Raises as `vocabulary_rank`."""
    if isinstance(tokenizer, FixedTokenizer):
        return tokenizer.vocab_size - len(SPECIAL)
    return len(_ids_of(tokenizer)[0])


def _ids_of(tokenizer: Any) -> tuple[np.ndarray, int]:
    """The sorted ids of the words, and the highest id of all."""
    key = id(tokenizer)
    if key not in _words:
        if not hasattr(tokenizer, "get_vocab"):
            raise InputError(f"A tokenizer is needed for its vocabulary, not {type(tokenizer).__name__}.")
        everything = set(tokenizer.get_vocab().values())
        outside = set(getattr(tokenizer, "all_special_ids", ()))
        source = backend_of(tokenizer)
        if source is not None:
            outside |= set(source.get_added_tokens_decoder())
        if len(_words) >= 8:
            _words.pop(next(iter(_words)))
        _words[key] = tokenizer, np.array(sorted(everything - outside), dtype=np.int64), max(everything, default=-1)
    return _words[key][1:]
