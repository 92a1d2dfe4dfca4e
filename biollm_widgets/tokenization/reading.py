"""`tokenize`: ask any tokenizer for its tokens and where each one stands."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import Any, Optional, Union, overload

from biollm_widgets.errors import InputError
from biollm_widgets.sequences import AMINO_ACIDS, Cleaned, Record
from biollm_widgets.tokenization.fixed import FixedTokenizer
from biollm_widgets.tokenization.tokens import Found, Tokenization, place
from biollm_widgets.tokenization.unknown import why_unknown

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
        alphabet = sequence.alphabet if isinstance(sequence, Cleaned) else _guess(sequence)
    text = str.__str__(sequence)
    if isinstance(tokenizer, FixedTokenizer):
        return place(text, tokenizer.find(text, special_tokens), tokenizer.reason, name, alphabet)
    if backend_of(tokenizer) is not None:
        found = _from_fast(text, tokenizer, special_tokens)
    elif hasattr(tokenizer, "tokenize") and hasattr(tokenizer, "convert_tokens_to_ids"):
        found = _from_slow(text, tokenizer, special_tokens)
    else:
        what = f"the text {tokenizer!r}" if isinstance(tokenizer, str) else type(tokenizer).__name__
        raise InputError(
            f"A tokenizer is needed, not {what}; make one with AutoTokenizer.from_pretrained(...) or KmerTokenizer(6)."
        )
    known = None
    if any(item.unknown for item in found):
        known = {token for token in tokenizer.get_vocab() if len(token) == 1}
    reason = partial(why_unknown, known=known or ())
    return place(text, found, reason, name, alphabet, backend_of(tokenizer))


def backend_of(tokenizer: Any) -> Any:
    """The `tokenizers.Tokenizer` inside a fast tokenizer (or the thing itself), None for a slow one."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    return backend if hasattr(backend, "encode") and hasattr(backend, "pre_tokenizer") else None


def _from_fast(text: str, tokenizer: Any, special_tokens: bool) -> list[Found]:
    backend = backend_of(tokenizer)
    if backend is tokenizer:
        if backend.truncation or backend.padding:
            # Someone's settings for a model's batches; a copy, so that theirs stay and every letter is seen here.
            backend = type(backend).from_str(backend.to_str())
            backend.no_truncation()
            backend.no_padding()
        encoding = backend.encode(text, add_special_tokens=special_tokens)
        ids, spans, added = encoding.ids, encoding.offsets, encoding.special_tokens_mask
        names = encoding.tokens
        unk = getattr(backend.model, "unk_token", None)
        unk_id = None if unk is None else backend.token_to_id(unk)
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
        ids, spans, added = batch["input_ids"], batch["offset_mapping"], batch["special_tokens_mask"]
        names = tokenizer.convert_ids_to_tokens(ids)
        unk_id = tokenizer.unk_token_id
    special = {number for number, entry in backend.get_added_tokens_decoder().items() if entry.special}
    found = []
    for number, token, (start, end), mask in zip(ids, names, spans, added, strict=True):
        # [UNK] is a special token by its nature; here it is a part of the sequence unless it was written as such.
        written = number in special and text[start:end].strip() == token
        inserted = start == end and (bool(mask) or number in special)
        unknown = number == unk_id and not written and not inserted
        is_special = written or inserted
        found.append(Found(number, token, None if inserted else (start, end), is_special, unknown))
    if unk_id is None:
        found = _realigned(text, found)
    return _settled(found, len(text))


def _realigned(text: str, found: list[Found]) -> list[Found]:
    """Right places where a BPE without an unknown token drops letters: the library then counts on as if they were not.

    Each token is looked for letter by letter. When that leads nowhere, its name is not spelled like the text (byte
    level, a normalizer); such tokenizers drop nothing, and their own places stand.
    """
    ordinary = [item for item in found if item.span is not None]
    if all(item.token == text[slice(*item.span)] for item in ordinary if item.span is not None):
        return found
    moved, cursor = [], 0
    for item in found:
        if item.span is not None:
            places = []
            for letter in item.token:
                cursor = text.find(letter, cursor)
                if cursor < 0:
                    return found
                places.append(cursor)
                cursor += 1
            item = item._replace(span=(places[0], places[-1] + 1))
        moved.append(item)
    return moved


def _from_slow(text: str, tokenizer: Any, special_tokens: bool) -> list[Found]:
    """A tokenizer written in Python gives pieces without places: look for each one after the end of the last."""
    found = []
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
        found.append(Found(number, piece, (start, cursor), written, number == unk_id and not written))
    if not special_tokens:
        return found
    frame = tokenizer.build_inputs_with_special_tokens(list(ids))
    lead = next((i for i in range(len(frame) - len(ids) + 1) if frame[i : i + len(ids)] == list(ids)), 0)
    before = [Found(n, tokenizer.convert_ids_to_tokens(n), None, special=True) for n in frame[:lead]]
    after = [Found(n, tokenizer.convert_ids_to_tokens(n), None, special=True) for n in frame[lead + len(ids) :]]
    return _settled([*before, *found, *after], len(text))


def _seek(text: str, piece: str, cursor: int) -> tuple[int, int]:
    """Where a piece stands from `cursor` on, with or without its tokenizer's mark; (-1, 0) if nowhere."""
    for mark in ("", *_MARKS):
        bare = piece[len(mark) :]
        if piece.startswith(mark) and bare:
            start = text.find(bare, cursor)
            if start >= 0:
                return start, len(bare)
    return -1, 0


def _settled(found: list[Found], length: int) -> list[Found]:
    """Tokens added after the last letter stand at the end of the text, behind any white space there too."""
    last = max((i for i, item in enumerate(found) if item.span is not None), default=-1)
    if last < 0:
        return found
    return [
        item if item.span is not None or i < last else item._replace(span=(length, length))
        for i, item in enumerate(found)
    ]


def _guess(text: str) -> str:
    """DNA unless a letter says that it is not: E, F, I, L, P, Q are residues and no base or ambiguity."""
    return "protein" if set(text) & (set(AMINO_ACIDS) - set("ACGTRYSWKMBDHVN")) else "dna"
