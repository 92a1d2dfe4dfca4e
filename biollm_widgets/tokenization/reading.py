"""`tokenize`: ask any tokenizer for its tokens and where each one stands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Optional, Union, overload

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import AMINO_ACIDS, Cleaned, Record
from biollm_widgets.tokenization.columns import Found, Words, placed
from biollm_widgets.tokenization.fixed import FixedTokenizer
from biollm_widgets.tokenization.tokens import Tokenization

# Answers by the tokenizer's id() and the question; the tokenizer is kept beside them, so that its id stays its.
_answers: dict[tuple[int, Callable], tuple[Any, list, Any]] = {}
# Marks that tokenizers put on their pieces: WordPiece's continuation, SentencePiece's and byte-level BPE's blank.
_MARKS = ("##", "\u2581", "\u0120")


@overload
def tokenize(
    sequence: Union[str, Record],
    tokenizer: Any,
    *,
    special_tokens: bool = True,
    alphabet: Optional[str] = None,
    name: str = "",
) -> Tokenization: ...
@overload
def tokenize(
    sequence: Iterable[Union[str, Record]],
    tokenizer: Any,
    *,
    special_tokens: bool = True,
    alphabet: Optional[str] = None,
    name: str = "",
) -> list[Tokenization]: ...
def tokenize(
    sequence: Any, tokenizer: Any, *, special_tokens: bool = True, alphabet: Optional[str] = None, name: str = ""
) -> Any:
    """Cut a sequence into tokens and say where each one stands.

    The text goes to the tokenizer as it is: lower case, N or a space show what they do. Give it what `clean_dna` or
    `read_fasta` returned for what a model should read. White space takes no position.

    Parameters
    ----------
    sequence : str, Record, or an iterable of them
    tokenizer
        `KmerTokenizer`, `CharTokenizer`, a Hugging Face tokenizer (`AutoTokenizer.from_pretrained`), fast or slow, or
        a `tokenizers.Tokenizer`.
    special_tokens : bool
        Whether the tokenizer adds its own, [CLS] and [SEP] for instance.
    alphabet : {"dna", "protein"}, optional
        What to call the letters; read off the record or guessed from the letters.
    name : str
        What to call a bare `str`.

    Returns
    -------
    Tokenization, or a list of them for several sequences
        Nothing is truncated and nothing padded.

    Raises
    ------
    InputError
        When `sequence` is no text, or `tokenizer` is none or cannot say where its tokens stand.
    """
    if isinstance(sequence, Record):
        return tokenize(
            sequence.sequence,
            tokenizer,
            special_tokens=special_tokens,
            alphabet=alphabet or sequence.alphabet,
            name=sequence.name,
        )
    if not isinstance(sequence, str):
        if isinstance(sequence, (bytes, os.PathLike)) or not isinstance(sequence, Iterable):
            raise InputError(f"A sequence is a str, a Record or a list of them, not {type(sequence).__name__}.")
        return [
            tokenize(
                one, tokenizer, special_tokens=special_tokens, alphabet=alphabet, name=name or f"sequence_{number}"
            )
            for number, one in enumerate(sequence, start=1)
        ]
    if alphabet is None:
        alphabet = sequence.alphabet if isinstance(sequence, Cleaned) else guess_alphabet(sequence)
    text = str.__str__(sequence)
    backend = backend_of(tokenizer)
    if isinstance(tokenizer, FixedTokenizer):
        found = tokenizer.find(text, special_tokens)
    elif backend is not None:
        found = _from_fast(text, tokenizer, special_tokens)
    elif hasattr(tokenizer, "tokenize") and hasattr(tokenizer, "convert_tokens_to_ids"):
        found = _from_slow(text, tokenizer, special_tokens)
    else:
        what = f"the text {tokenizer!r}" if isinstance(tokenizer, str) else type(tokenizer).__name__
        raise InputError(
            f"A tokenizer is needed, not {what}; make one with AutoTokenizer.from_pretrained(...) or KmerTokenizer(6)."
        )
    letters, columns = placed(text, found)
    return Tokenization(letters, text, columns, found.words, name, alphabet, backend)


def backend_of(tokenizer: Any) -> Any:
    """The `tokenizers.Tokenizer` inside a fast tokenizer (or the thing itself), None for a slow one."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    return backend if hasattr(backend, "encode") and hasattr(backend, "pre_tokenizer") else None


def _from_fast(text: str, tokenizer: Any, special_tokens: bool) -> Found:
    backend = backend_of(tokenizer)
    if backend is tokenizer:
        if backend.truncation or backend.padding:
            # Someone's settings for a model's batches; a copy, so that theirs stay and every letter is seen here.
            backend = type(backend).from_str(backend.to_str())
            backend.no_truncation()
            backend.no_padding()
        encoding = backend.encode(text, add_special_tokens=special_tokens)
        numbers, spans, added = encoding.ids, encoding.offsets, encoding.special_tokens_mask
        name_of = backend.id_to_token
        unk_id = _once(tokenizer, _unknown_id)
    else:
        batch = tokenizer(
            text,
            add_special_tokens=special_tokens,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            truncation=False,
            padding=False,
            verbose=False,
        )
        numbers, spans, added = batch["input_ids"], batch["offset_mapping"], batch["special_tokens_mask"]
        name_of, encoding = tokenizer.convert_ids_to_tokens, None
        unk_id = tokenizer.unk_token_id
    ids = np.array(numbers, dtype=np.int32)
    # Flat and counted in advance: a third of the time that an array of pairs takes.
    flat = np.fromiter(chain.from_iterable(spans), dtype=np.int32, count=2 * len(ids))
    starts, ends = flat[::2], flat[1::2]
    by_id = {number: name_of(number) for number in np.unique(ids).tolist()}
    reserved = np.array([n for n, entry in backend.get_added_tokens_decoder().items() if entry.special], dtype=np.int32)

    # [UNK] is a special token by its nature; here it is a part of the sequence unless it was written as such.
    by_nature = np.isin(ids, reserved)
    written = np.zeros(len(ids), dtype=bool)
    shortest = min((len(by_id[number]) for number in reserved.tolist() if number in by_id), default=0)
    for index in np.flatnonzero(by_nature & (ends - starts >= max(shortest, 1))).tolist():
        written[index] = text[starts[index] : ends[index]].strip() == by_id[int(ids[index])]
    inserted = (starts == ends) & (by_nature | np.array(added, dtype=bool))
    unknown = np.zeros(len(ids), dtype=bool) if unk_id is None else (ids == unk_id) & ~written & ~inserted
    names = [by_id[number] for number in numbers]
    by_index = {}
    if encoding is not None and names != encoding.tokens:
        # A unigram model leaves an unknown piece its letters.
        by_index = {i: token for i, token in enumerate(encoding.tokens) if token != names[i]}
        names = encoding.tokens
    known = _once(tokenizer, _letters) if unknown.any() else ""
    if unk_id is None:
        starts, ends = _realigned(text, names, starts, ends, inserted)
    return Found(ids, starts, ends, inserted, written | inserted, unknown, Words(by_id, by_index, known))


def _once(tokenizer: Any, ask: Callable[[Any], Any]) -> Any:
    """What a fast tokenizer answers: read from its vocabulary once, and anew when other words are in it."""
    backend = backend_of(tokenizer)
    size = backend.get_vocab_size()
    # Some of its words for all: the same object may have been trained again, to as many.
    words = [size, *map(backend.id_to_token, range(0, size, size // 16 + 1))]
    key = id(tokenizer), ask
    if key not in _answers or _answers[key][1] != words:
        if len(_answers) >= 16:
            _answers.pop(next(iter(_answers)))
        _answers[key] = tokenizer, words, ask(tokenizer)
    return _answers[key][2]


def _letters(tokenizer: Any) -> frozenset[str]:
    """The words of one letter."""
    return frozenset(token for token in tokenizer.get_vocab() if len(token) == 1)


def _unknown_id(backend: Any) -> Optional[int]:
    """The id that a `tokenizers.Tokenizer` gives to what it does not know; None where it has none."""
    if type(backend.model).__name__ == "Unigram":  # says it in its file alone
        number = json.loads(backend.model.__getstate__()).get("unk_id")
        return None if number is None else int(number)
    unk = getattr(backend.model, "unk_token", None)
    return None if unk is None else backend.token_to_id(unk)


def _realigned(
    text: str, names: list[str], starts: np.ndarray, ends: np.ndarray, inserted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Right places where a BPE without an unknown token drops letters: the library then counts on as if they were not.

    Each token is looked for letter by letter. When that leads nowhere, its name is not spelled like the text (byte
    level, a normalizer); such tokenizers drop nothing, and their own places stand.
    """
    spans = zip(names, starts.tolist(), ends.tolist(), inserted.tolist(), strict=True)
    if all(put or name == text[start:end] for name, start, end, put in spans):
        return starts, ends
    moved_starts, moved_ends, cursor = starts.copy(), ends.copy(), 0
    for index, (name, put) in enumerate(zip(names, inserted.tolist(), strict=True)):
        if put:
            continue
        places = []
        for letter in name:
            cursor = text.find(letter, cursor)
            if cursor < 0:
                return starts, ends
            places.append(cursor)
            cursor += 1
        moved_starts[index], moved_ends[index] = places[0], places[-1] + 1
    return moved_starts, moved_ends


def _from_slow(text: str, tokenizer: Any, special_tokens: bool) -> Found:
    """A tokenizer written in Python gives pieces without places: look for each one after the end of the last."""
    spans: list[tuple[int, int, bool]] = []  # start, end, and whether a special token was written there
    cursor = 0
    unk_id = tokenizer.unk_token_id
    special = set(tokenizer.all_special_tokens)
    pieces = tokenizer.tokenize(text)
    ids = tokenizer.convert_tokens_to_ids(pieces)
    for position, (piece, number) in enumerate(zip(pieces, ids, strict=True)):
        start, length = _seek(text, piece, cursor)
        if start < 0 and number == unk_id:
            # The piece is called [UNK]: it stands for what lies before the next piece that can be found.
            while cursor < len(text) and text[cursor].isspace():
                cursor += 1
            later = next((i for p in pieces[position + 1 :] if (i := _seek(text, p, cursor)[0]) >= 0), len(text))
            start, length = cursor, len(text[cursor:later].rstrip())
        if start < 0 or text[cursor:start].strip():
            raise InputError(
                f"{type(tokenizer).__name__} does not say where its token {position} ({piece!r}) stands; "
                "use its fast version (use_fast=True)."
            )
        cursor = start + length
        # By name: an unknown piece keeps its letters and has the id of [UNK], which is a special one too.
        written = piece in special and text[start:cursor] == piece
        spans.append((start, cursor, written))
    frame = tokenizer.build_inputs_with_special_tokens(list(ids)) if special_tokens else list(ids)
    lead = next((i for i in range(len(frame) - len(ids) + 1) if frame[i : i + len(ids)] == list(ids)), 0)
    inserted = np.ones(len(frame), dtype=bool)
    inserted[lead : lead + len(ids)] = False
    starts, ends, written = np.zeros((3, len(frame)), dtype=np.int32)
    if spans:
        starts[~inserted], ends[~inserted], written[~inserted] = np.array(spans).T
    numbers = np.array(frame, dtype=np.int32)
    unknown = ~inserted & (written == 0) & (numbers == (-1 if unk_id is None else unk_id))
    known = _letters(tokenizer) if unknown.any() else ""
    by_id = {number: tokenizer.convert_ids_to_tokens(number) for number in set(frame)}
    by_index = {lead + i: piece for i, piece in enumerate(pieces) if piece != by_id[ids[i]]}
    count = len(set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids))
    words = Words(by_id, by_index, known, count)
    return Found(numbers, starts, ends, inserted, inserted | (written > 0), unknown, words)


def _seek(text: str, piece: str, cursor: int) -> tuple[int, int]:
    """Where a piece stands from `cursor` on, with or without its tokenizer's mark; (-1, 0) if nowhere."""
    for mark in ("", *_MARKS):
        bare = piece[len(mark) :]
        if piece.startswith(mark) and bare:
            start = text.find(bare, cursor)
            if start >= 0:
                return start, len(bare)
    return -1, 0


def guess_alphabet(text: str) -> str:
    """DNA unless a letter says that it is not: E, F, I, L, P, Q are residues and no base or ambiguity."""
    return "protein" if set(text) & (set(AMINO_ACIDS) - set("ACGTRYSWKMBDHVN")) else "dna"
