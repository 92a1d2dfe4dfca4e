"""Byte pair encoding replayed one merge at a time, from the tokenizer's own list of merges.

A BPE tokenizer starts from single letters and joins, again and again, the neighbouring pair that comes first in its
list of merges, the leftmost if there are several, until no neighbouring pair is in the list (Sennrich et al. 2016,
https://arxiv.org/abs/1508.07909). The replay keeps the pairs in a heap, so n letters cost n log n.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

import numpy as np

from biollm_widgets.errors import InputError

if TYPE_CHECKING:
    from biollm_widgets.sequences import Record
    from biollm_widgets.tokenization.tokens import Token, Tokenization

NO_MERGES = "These tokens were not made by a BPE tokenizer, so no merges made them."


class Piece(NamedTuple):
    """A stretch of the sequence at some moment of the replay.

    `token` is its name in the vocabulary; `start, end` are letters of the sequence, `text_start, text_end` characters
    of the text, as for `Token`.
    """

    token: str
    start: int
    end: int
    text_start: int
    text_end: int


class MergeStep(NamedTuple):
    """One merge: `left` and `right` stood side by side and became `merged`.

    Attributes
    ----------
    number : int
        From 1, in the order in which the tokenizer works.
    rank : int
        The place of this pair in the tokenizer's list of merges, from 0: learned early means frequent.
    left, right, merged : str
        Names in the vocabulary.
    start, end : int
        Letters `sequence[start:end]` that are one piece now.
    first, middle, last : int
        The same by starting pieces: `initial[first:middle]` was the left one, `initial[middle:last]` the right one.
    """

    number: int
    rank: int
    left: str
    right: str
    merged: str
    start: int
    end: int
    first: int
    middle: int
    last: int


@dataclass(frozen=True)
class MergeHistory:
    """How a sequence went from letters to tokens.

    Attributes
    ----------
    initial : tuple of Piece
        The letters.
    steps : tuple of MergeStep
    tokens : int
        How many tokens the sequence has in all, special ones included.
    """

    initial: tuple[Piece, ...] = field(repr=False)
    steps: tuple[MergeStep, ...] = field(repr=False)
    tokens: int
    _places: tuple[int, ...] = field(repr=False)  # the index of the token that each final piece is

    def __len__(self) -> int:
        return len(self.steps)

    def pieces(self, after: Optional[int] = None) -> list[Piece]:
        """The pieces after so many steps: all letters at 0, the tokens at the end (or without a number)."""
        after = len(self.steps) if after is None else after
        if not 0 <= after <= len(self.steps):
            raise InputError(f"There are 0 to {len(self.steps)} merges here, not {after}.")
        names = [piece.token for piece in self.initial]  # of the piece that begins with each starting piece
        for step in self.steps[:after]:
            names[step.first] = step.merged
        firsts = np.flatnonzero((self.joined == 0) | (self.joined > after)).tolist()
        lasts = [*firsts[1:], len(names)]
        whole = ((names[i], self.initial[i], self.initial[j - 1]) for i, j in zip(firsts, lasts, strict=False))
        return [Piece(name, a.start, b.end, a.text_start, b.text_end) for name, a, b in whole]

    def states(self) -> Iterator[list[Piece]]:
        """The pieces after 0, 1, 2, ... steps."""
        state = dict(enumerate(self.initial))
        yield list(state.values())
        for step in self.steps:
            left, right = state[step.first], state.pop(step.middle)
            state[step.first] = Piece(step.merged, left.start, right.end, left.text_start, right.text_end)
            yield list(state.values())

    @property
    def final(self) -> list[Piece]:
        """The tokens, special ones left out."""
        return self.pieces()

    @cached_property
    def joined(self) -> np.ndarray:
        """When the border in front of each starting piece goes away, int32 of shape (len(initial),).

        The number of the step that joins it to the piece before, 0 where none does: after s steps a piece begins
        wherever this is 0 or above s.
        """
        joined = np.zeros(len(self.initial), dtype=np.int32)
        joined[[step.middle for step in self.steps]] = np.arange(1, len(self.steps) + 1)
        joined.flags.writeable = False
        return joined

    @cached_property
    def by_token(self) -> list[tuple[MergeStep, ...]]:
        """For each token the merges that made it, in order."""
        groups: list[list[MergeStep]] = [[] for _ in range(self.tokens)]
        final = (np.cumsum(self.joined == 0) - 1)[[step.first for step in self.steps]]
        for step, place in zip(self.steps, final.tolist(), strict=True):
            groups[self._places[place]].append(step)
        return [tuple(group) for group in groups]

    def to_dict(self) -> dict:
        """For JSON: the starting pieces and the steps."""
        return {
            "initial": [piece._asdict() for piece in self.initial],
            "steps": [step._asdict() for step in self.steps],
        }


class WordMerge(NamedTuple):
    """One merge inside a word of the vocabulary: names as in `MergeStep`, `rank` its place in the list of merges."""

    left: str
    right: str
    merged: str
    rank: int


def merge_history(sequence: Union[str, Record], tokenizer: Any) -> MergeHistory:
    """Replay the BPE merges of a sequence, step by step.

    Parameters
    ----------
    sequence : str or Record
    tokenizer
        A fast Hugging Face tokenizer or a `tokenizers.Tokenizer` whose model is BPE (DNABERT-2, ProtGPT2).

    Returns
    -------
    MergeHistory
        Words (lines of a protein, text between spaces) are worked on one after the other, as the tokenizer does.

    Raises
    ------
    InputError
        When the tokenizer is no BPE, drops merges at random, or does something that this replay does not know: the
        end of the replay is always compared with the tokenizer's own tokens.
    """
    from biollm_widgets.tokenization.reading import tokenize

    return tokenize(sequence, tokenizer).merge_history


@dataclass(frozen=True)
class MergeTable:
    """The model part of a `tokenizer.json`."""

    ranks: dict[tuple[str, str], tuple[int, str]]  # pair -> (rank, merged)
    vocab: dict[str, int]
    unk: Optional[str]
    fuse_unk: bool
    prefix: str
    suffix: str
    ignore_merges: bool
    added: frozenset[str]  # names of tokens that were put beside the vocabulary, which no merges make
    made: dict[str, tuple[WordMerge, ...]] = field(default_factory=dict)  # merges by word, as far as asked for

    @classmethod
    def read(cls, backend: Any) -> MergeTable:
        model = json.loads(backend.to_str())["model"]
        kind = model.get("type") or ("BPE" if "merges" in model else "of another kind")
        if kind != "BPE":
            raise InputError(f"This tokenizer is {kind}, not BPE, so no merges made its tokens.")
        if model.get("dropout"):
            raise InputError("This tokenizer drops merges at random (BPE dropout), so there is no one history to show.")
        prefix = model.get("continuing_subword_prefix") or ""
        ranks = {}
        for rank, pair in enumerate(model["merges"]):
            left, right = pair.split(" ") if isinstance(pair, str) else pair  # older files have one text a merge
            ranks[left, right] = rank, left + right.removeprefix(prefix)
        return cls(
            ranks,
            model["vocab"],
            model.get("unk_token"),
            bool(model.get("fuse_unk")),
            prefix,
            model.get("end_of_word_suffix") or "",
            bool(model.get("ignore_merges")),
            frozenset(entry.content for entry in backend.get_added_tokens_decoder().values()),
        )

    def letters(self, word: str) -> list[Optional[str]]:
        """The letters of a word of the vocabulary, each as the vocabulary spells it there."""
        inner = word.removeprefix(self.prefix).removesuffix(self.suffix)
        lead = self.prefix if self.prefix and word.startswith(self.prefix) else ""
        tail = self.suffix if self.suffix and word.endswith(self.suffix) else ""
        spelled: list[Optional[str]] = [(self.prefix if i else lead) + letter for i, letter in enumerate(inner)]
        if spelled:
            spelled[-1] = f"{spelled[-1]}{tail}"
        return spelled

    def merges_of(self, word: str) -> tuple[WordMerge, ...]:
        """The merges that make a word of the vocabulary; none for a letter or an added token."""
        if word not in self.made:
            steps = [] if word in self.added else list(_merge(self.letters(word), self))
            # A word that stands in the vocabulary and that no merges lead to was not made by merges.
            whole = bool(steps) and steps[-1][3] == word
            self.made[word] = tuple(WordMerge(a, b, merged, rank) for rank, a, b, merged, *_ in steps if whole)
        return self.made[word]


# Reading a table of 50,000 merges takes a tenth of a second. The tokenizer is kept beside it, so that its id stays its.
_tables: dict[int, tuple[Any, MergeTable]] = {}


def table_of(backend: Any) -> MergeTable:
    """The merge table of a tokenizer, read once."""
    if id(backend) not in _tables:
        if len(_tables) >= 4:
            _tables.pop(next(iter(_tables)))
        _tables[id(backend)] = backend, MergeTable.read(backend)
    return _tables[id(backend)][1]


def word_merges(token: Union[Token, str, int], tokenizer: Any) -> tuple[WordMerge, ...]:
    """The merges that make one BPE token by itself, in order.

    They are the merges that make it in any sequence, since one across the token's border would have removed the border.

    Parameters
    ----------
    token : Token, str or int
        A token of a tokenization, its name in the vocabulary, or its id.
    tokenizer
        A fast Hugging Face tokenizer or a `tokenizers.Tokenizer` whose model is BPE.

    Returns
    -------
    tuple of WordMerge
        Empty for single letters, special and unknown tokens. Kept for the next call.

    Raises
    ------
    InputError
        When the tokenizer is no BPE, or has no such token.
    """
    from biollm_widgets.tokenization.reading import backend_of

    backend = backend_of(tokenizer)
    if backend is None:
        raise InputError(NO_MERGES)
    table = table_of(backend)
    if not isinstance(token, (str, int, np.integer)):
        if token.special or token.unknown:
            return ()
        token = token.token
    name = token if isinstance(token, str) else backend.id_to_token(int(token)) if token >= 0 else None
    if name is None or (name not in table.vocab and name not in table.added):
        raise InputError(f"This tokenizer has no token {token!r}; take an id or a name of its vocabulary.")
    return table.merges_of(name)


def replay(tokenization: Tokenization, backend: Any) -> MergeHistory:
    """The merges behind `tokenization`; see `merge_history`."""
    table = table_of(backend)
    text = tokenization.text
    before = _letters_before(tokenization)
    initial: list[Piece] = []
    steps: list[MergeStep] = []
    for start, end in _outside_special(tokenization):
        for word, spans in _words(text[start:end], start, backend):
            symbols = _symbols(word, spans, table)
            merges = [] if table.ignore_merges and word in table.vocab else _merge([s for s, _ in symbols], table)
            if table.ignore_merges and word in table.vocab and symbols:
                symbols = [(word, (spans[0][0], spans[-1][1]))]
            base = len(initial)
            for symbol, (a, b) in symbols:
                initial.append(Piece(table.unk or "" if symbol is None else symbol, before[a], before[b], a, b))
            for rank, left, right, merged, first, middle, last in merges:
                covered = before[symbols[first][1][0]], before[symbols[last - 1][1][1]]
                number = len(steps) + 1
                where = base + first, base + middle, base + last
                steps.append(MergeStep(number, rank, left, right, merged, *covered, *where))
    ordinary = np.flatnonzero(~tokenization.columns.special).tolist()
    history = MergeHistory(tuple(initial), tuple(steps), len(tokenization), tuple(ordinary))
    if [piece.token for piece in history.final] != [tokenization.token_name(index) for index in ordinary]:
        raise InputError(
            "This tokenizer does more than plain BPE (it changes the text first, or has tokens of its own), "
            "so its merges cannot be replayed; its tokens are right all the same."
        )
    return history


def _letters_before(tokenization: Tokenization) -> Any:
    """Letters of the sequence before each character of the text."""
    if tokenization.sequence == tokenization.text:
        return range(len(tokenization.text) + 1)
    columns = tokenization.columns
    special = columns.special
    written = list(zip(columns.text_starts[special].tolist(), columns.text_ends[special].tolist(), strict=True))
    before, count, inside = [], 0, iter([*written, (len(tokenization.text) + 1,) * 2])
    start, end = next(inside)
    for place, letter in enumerate(tokenization.text):
        before.append(count)
        while place >= end and start <= len(tokenization.text):
            start, end = next(inside)
        count += not (letter.isspace() or start <= place < end)
    return [*before, count]


def _outside_special(tokenization: Tokenization) -> list[tuple[int, int]]:
    """The stretches of text between special tokens that are written in it: merges never cross those."""
    stretches, cursor = [], 0
    columns = tokenization.columns
    written = columns.special & (columns.text_ends > columns.text_starts)
    for start, end in zip(columns.text_starts[written].tolist(), columns.text_ends[written].tolist(), strict=True):
        stretches.append((cursor, start))
        cursor = end
    stretches.append((cursor, len(tokenization.text)))
    return [(start, end) for start, end in stretches if end > start]


def _words(text: str, offset: int, backend: Any) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """The words that BPE works on, each with the span in the whole text of each of its characters."""
    if backend.normalizer is not None:
        normal = backend.normalizer.normalize_str(text)
        if len(normal) != len(text):
            raise InputError("This tokenizer rewrites the text to another length first; its merges cannot be placed.")
        text, original = normal, text
    else:
        original = text
    if backend.pre_tokenizer is None:
        cut = [(text, (0, len(text)))] if text else []
    else:
        cut = backend.pre_tokenizer.pre_tokenize_str(text)
    for word, (start, end) in cut:
        if len(word) == end - start:
            spans = [(offset + i, offset + i + 1) for i in range(start, end)]
        else:
            # Byte level: one character of the word a byte, and a letter beyond ASCII has several.
            spans = [(offset + i, offset + i + 1) for i in range(start, end) for _ in original[i].encode()]
            if len(spans) != len(word):
                raise InputError("This tokenizer rewrites words before it merges; its merges cannot be placed.")
        yield word, spans


def _symbols(word: str, spans: list[tuple[int, int]], table: MergeTable) -> list[tuple[Optional[str], tuple[int, int]]]:
    """The letters of a word as the vocabulary spells them, None for one that it has not."""
    symbols: list[tuple[Optional[str], tuple[int, int]]] = []
    for place, (letter, span) in enumerate(zip(word, spans, strict=True)):
        spelled = (table.prefix if place else "") + letter + (table.suffix if place == len(word) - 1 else "")
        if spelled in table.vocab:
            symbols.append((spelled, span))
        elif table.unk is not None:  # without an unknown token the tokenizer drops the letter
            if table.fuse_unk and symbols and symbols[-1][0] is None:
                symbols[-1] = None, (symbols[-1][1][0], span[1])
            else:
                symbols.append((None, span))
    return symbols


def _merge(letters: list[Optional[str]], table: MergeTable) -> Iterator[tuple[int, str, str, str, int, int, int]]:
    """The merges of one word in order: rank, left, right, merged, and where left begins, right begins and right ends.

    Neighbours are a linked list; a pair on the heap that is no longer there, because one side was merged away, is
    passed over.
    """
    symbols = list(letters)
    end = len(symbols)
    following = list(range(1, end + 1))
    preceding = list(range(-1, end - 1))
    ranks = table.ranks
    # The pair that begins at each place. On the heap, rank and place are one number: that halves the time of a tuple.
    pairs = [ranks.get(pair) for pair in pairwise(symbols)]  # type: ignore[arg-type]
    pairs.append(None)  # nothing follows the last letter
    heap = [known[0] * end + place for place, known in enumerate(pairs) if known is not None]
    heapq.heapify(heap)
    push, pop = heapq.heappush, heapq.heappop
    while heap:
        rank, place = divmod(pop(heap), end)
        known = pairs[place]
        if known is None or known[0] != rank:
            continue
        beside = following[place]
        left, right = symbols[place], symbols[beside]
        assert left is not None and right is not None
        after, before = following[beside], preceding[place]
        yield rank, left, right, known[1], place, beside, after
        merged = symbols[place] = known[1]
        pairs[beside] = pairs[place] = None
        following[place] = after
        if after < end:
            preceding[after] = place
            fresh = pairs[place] = ranks.get((merged, symbols[after]))  # type: ignore[arg-type]
            if fresh is not None:
                push(heap, fresh[0] * end + place)
        if before >= 0:
            fresh = pairs[before] = ranks.get((symbols[before], merged))  # type: ignore[arg-type]
            if fresh is not None:
                push(heap, fresh[0] * end + before)
