"""Perplexity of proteins, as ProtGPT2's authors compute it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Optional, Union

import numpy as np
import torch
from torch.nn import functional as F

from biollm_widgets.errors import InputError
from biollm_widgets.models.attention import any_length
from biollm_widgets.protein.interruption import Interrupted, interruptible
from biollm_widgets.protein.layout import layout_of
from biollm_widgets.protein.loading import MODEL, in_precision, load_generator
from biollm_widgets.protein.threads import WHOLE, threads_for

BATCH_TOKENS = 2048  # computed together; the scores of 50,257 tokens at each take 400 MB then


def perplexity(
    sequences: Union[str, Sequence[str]],
    tokenizer: Any = None,
    model: Any = MODEL,
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: bool = False,
) -> np.ndarray:
    """How surprised a model is by each protein: `exp` of its mean loss a token. Lower is less surprised.

    The text is laid out as the model was trained: for ProtGPT2 `<|endoftext|>`, a line break, lines of 60 residues, a
    line break, `<|endoftext|>` (Ferruz et al. 2022, doi:10.1038/s41467-022-32007-7). The mean runs over all of its
    tokens but the first. Its authors rank designs by it. It can be compared within one model only: another tokenizer
    cuts the same protein into other pieces. And it rewards repeats, so look at the sequence too.

    Parameters
    ----------
    sequences : str, or sequence of n str, Record or Design
        Residues, without line breaks; letters go to the model as they are.
    tokenizer, model
        A causal language model of transformers and its tokenizer; the model is not changed. Or the model's name or
        folder for `locate`, without a tokenizer.
    batch_tokens : int
        Tokens computed together, those that fill up short rows included.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    float64 array (n,)

    Raises
    ------
    InputError
        For an empty sequence, or one that is longer than the model has positions for; it is named by its place. For a
        model that cannot be had.
    """
    if isinstance(model, (str, os.PathLike)):
        found = load_generator(model)
        tokenizer, model = tokenizer or found.tokenizer, found.model
    elif tokenizer is None:
        raise InputError("A loaded model goes with its tokenizer; give tokenizer=AutoTokenizer.from_pretrained(...).")
    if isinstance(sequences, str):
        sequences = [sequences]
    layout, most = layout_of(tokenizer), positions_of(model)
    rows = []
    for number, given in enumerate(sequences, start=1):
        sequence = getattr(given, "sequence", given)  # a Design, a Record
        if not isinstance(sequence, str):
            raise InputError(f"Sequence {number} is {type(given).__name__}, not a text of residues; give a str.")
        if not sequence:
            raise InputError(f"Sequence {number} has no residues; perplexity needs at least one.")
        rows.append(layout.ids(tokenizer, layout.whole(sequence)))
        check_vocabulary(rows[-1], model)
        if most is not None and len(rows[-1]) > most:
            raise InputError(
                f"Sequence {number} is {len(rows[-1]):,} tokens long, and the model has {most:,} positions; give a "
                "shorter stretch of it."
            )
    network = in_precision(model, "float32") if model.training else model
    return np.exp(mean_nats(rows, network, batch_tokens=batch_tokens, progress=progress))


@torch.inference_mode()
def mean_nats(
    rows: Sequence[Sequence[int]],
    model: Any,
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: bool = False,
    over: Optional[Callable[[], bool]] = None,
) -> np.ndarray:
    """Mean loss a token, in nats, of each row of token ids over all its tokens but the first; float64 array (n,).

    The model is in eval state. Rows of like length go through it together, filled up on the right, where no earlier
    token can see it. Where `over` says so, it ends in the middle, and what is not known yet is NaN.
    """
    found = np.full(len(rows), np.nan)
    threads = threads_for(model, sum(map(len, rows)), WHOLE)
    with suppress(Interrupted), interruptible(model, over), threads, any_length(model):
        _fill_in(found, rows, model, batch_tokens, progress)
    return found


def _fill_in(found: np.ndarray, rows: Sequence[Sequence[int]], model: Any, batch_tokens: int, progress: bool) -> None:
    """Mean losses of all rows, batch after batch."""
    from tqdm.auto import tqdm

    device = next(model.parameters()).device
    with tqdm(total=len(rows), disable=not progress, unit="protein", desc="perplexity") as bar:
        for part in _batches(rows, batch_tokens):
            longest = max(len(rows[i]) for i in part)
            ids = torch.zeros(len(part), longest, dtype=torch.long)
            mask = torch.zeros(len(part), longest, dtype=torch.long)
            for place, i in enumerate(part):
                ids[place, : len(rows[i])] = torch.tensor(list(rows[i]))
                mask[place, : len(rows[i])] = 1
            # Equal lengths need no mask, and attention is faster without one.
            filled = {} if mask.all() else {"attention_mask": mask.to(device)}
            logits = model(ids.to(device), use_cache=False, **filled).logits[:, :-1]  # (B, L - 1, V)
            for place, i in enumerate(part):
                count = len(rows[i]) - 1
                nats = F.cross_entropy(
                    logits[place, :count].float(), ids[place, 1 : count + 1].to(device), reduction="none"
                )
                found[i] = nats.double().mean().item()
            bar.update(len(part))


def check_vocabulary(ids: Sequence[int], model: Any) -> None:
    """Refuse tokens that the model does not know.

    Raises
    ------
    InputError
        When tokenizer and model do not belong together.
    """
    if max(ids, default=0) >= model.config.vocab_size:
        raise InputError(
            f"The tokenizer makes token {max(ids):,}, and the model knows {model.config.vocab_size:,} tokens: they do "
            "not belong together; load both from one place."
        )


def check_pair(tokenizer: Any, model: Any) -> None:
    """Refuse a tokenizer that has no words for most of what the model knows.

    Raises
    ------
    InputError
        When the two do not belong together.
    """
    vocabulary = model.config.vocab_size
    if len(tokenizer) < vocabulary / 2:  # a few more are usual: tables are filled up to round numbers
        raise InputError(
            f"The model knows {vocabulary:,} tokens, and the tokenizer has words for {len(tokenizer):,}: they "
            "do not belong together; load both from one place."
        )


def check_opening(ids: Sequence[int], model: Any, residues: int) -> None:
    """Refuse the tokens of a prompt of so many residues where a model cannot go on from them.

    Raises
    ------
    InputError
        When there are none, or no position is left for one more.
    """
    if not ids:
        raise InputError("This tokenizer has no start token, so the model needs a prompt to begin with; give one.")
    positions = positions_of(model)
    if positions is not None and len(ids) >= positions:
        raise InputError(
            f"The prompt takes {len(ids):,} tokens ({residues:,} residues), and the model has {positions:,} positions "
            "in all; give a shorter stretch of it."
        )


def positions_of(model: Any) -> Union[int, None]:
    """How many tokens a model has positions for; None where its config does not say."""
    for name in ("n_positions", "max_position_embeddings"):
        value = getattr(model.config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return None


def _batches(rows: Sequence[Sequence[int]], batch_tokens: int) -> list[list[int]]:
    """Places of rows, longest first, in batches of at most so many tokens, or of one row."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    parts: list[list[int]] = []
    for i in order:
        if parts and (len(parts[-1]) + 1) * len(rows[parts[-1][0]]) <= batch_tokens:
            parts[-1].append(i)
        else:
            parts.append([i])
    return parts
