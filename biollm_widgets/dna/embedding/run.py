"""`embed`: sequences in, one vector a sequence out, in the order given."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
import torch
from torch import nn

from biollm_widgets import recall
from biollm_widgets.dna.embedding import outputs
from biollm_widgets.dna.embedding.encoding import POOLINGS, SequenceEncoder, depth_of, encoder_of, longest_for
from biollm_widgets.dna.embedding.precision import Fidelity
from biollm_widgets.dna.embedding.processes import processes
from biollm_widgets.dna.embedding.tokens import TokenizedSequences, as_texts, tokenize_distinct
from biollm_widgets.dna.embedding.work import Work
from biollm_widgets.errors import InputError
from biollm_widgets.models.lighter import PRECISIONS, float32_copy


@dataclass(frozen=True)
class Embeddings:
    """Vectors, and how they came about.

    Attributes
    ----------
    vectors : float32 array (n, hidden)
    precision : str
        "float32", "bf16" or "int8": what was computed in.
    fidelity : Fidelity or None
        How true the vectors are; None for float32.
    tokens : int
        Tokens of all sequences, special ones and repeats included.
    distinct : int
        Different sequences: each was computed once.
    unknown : int
        Tokens that are the tokenizer's unknown token.
    resumed : int
        Distinct sequences that were taken from what an earlier, stopped call had kept.
    seconds : float
        From the call to the vectors.
    """

    vectors: np.ndarray
    precision: str
    fidelity: Optional[Fidelity]
    tokens: int
    distinct: int
    unknown: int
    resumed: int
    seconds: float


def embed(
    sequences: Any,
    tokenizer: Any,
    model: Any,
    pooling: str = "mean",
    *,
    layer: int = -1,
    special_tokens: bool = True,
    precision: str = "float32",
    batch_tokens: Optional[int] = None,
    max_tokens: Optional[int] = None,
    device: Union[str, torch.device, None] = None,
    progress: bool = True,
    file: Union[str, os.PathLike, None] = None,
    labels: Optional[Sequence] = None,
    ids: Optional[Sequence] = None,
    distributed: bool = False,
) -> np.ndarray:
    """Turn sequences into vectors, one a sequence.

    Padding is never averaged, no gradient is kept, and the model is not changed, its training state neither. The same
    sequence gets the same vector alone, in any batch and at any place (to 1e-5 in float32).

    Parameters
    ----------
    sequences : list of str, Series, array, FASTA records, or one str
        Given to the tokenizer as they are; `clean_dna` and `read_fasta` mend lower case, U and white space. Letters
        that the tokenizer does not know are counted in a warning (`OddSequences`).
    tokenizer : Hugging Face tokenizer
    model : DNABert2Model, or any Hugging Face encoder
        With or without a head, with or without LoRA layers. DNABERT-2 is computed without any padding, others in
        padded and masked batches of like lengths.
    pooling : {"mean", "cls", "max"}
        "mean" and "max" run over all real tokens of a sequence, [CLS] and [SEP] included as in the chapter;
        `special_tokens=False` leaves those out. "cls" takes the first position.
    layer : int, default -1
        Which hidden states to pool: -1 the last layer's, 0 what enters the first, and so on as in `hidden_states`.
    special_tokens : bool, default True
        Whether [CLS] and [SEP] count in the mean and the maximum.
    precision : {"float32", "bf16", "int8", "auto"}
        "float32", the default, gives vectors that can be reproduced. "bf16" and "int8" (CPU only) round; "auto" times
        them on a sample and takes one where it is faster and true. Whichever it is, its cosine to float32 on a sample
        is printed. int8 scales numbers by their range in a batch, so there a vector depends a little on its batch.
    batch_tokens : int, optional
        Tokens computed together; 1,024 to 4,096 on a CPU, where caches count, and 16,384 elsewhere unless given.
    max_tokens : int, optional
        The longest sequence allowed; unless given, what the model has positions for, or 16,384 tokens for a model
        that reaches any length.
    device : str or torch.device, optional
        Where to compute; where the model is unless given. The model itself is not moved.
    progress : bool, default True
        Whether to show a bar.
    file : path, optional
        A `.npz` to write: arrays `embeddings`, `metadata` (JSON text) and, if given, `labels` and `ids`. It appears
        when whole. Until then vectors are kept in `<file>.part`, batch by batch: after Ctrl-C or a crash the same
        call goes on where the earlier one was, and refuses to when model, sequences or settings differ. When the file
        is there already and was made by the same call, its vectors are taken.
    labels, ids : sequence, optional
        One for each sequence, for the file.
    distributed : bool, default False
        Share the work among the processes that `torchrun` or `accelerate launch` started; each gets all vectors, the
        first writes the file. All of them have to make the call.

    Returns
    -------
    float32 array (n, hidden), in the order of `sequences`.

    Raises
    ------
    InputError
        Naming the sequence, for what is no text, empty, or too long; for a tokenizer and a model that do not belong
        together, an unknown option value, an output that cannot be written, or a part folder of other work.
    """
    return embed_with_report(
        sequences,
        tokenizer,
        model,
        pooling,
        layer=layer,
        special_tokens=special_tokens,
        precision=precision,
        batch_tokens=batch_tokens,
        max_tokens=max_tokens,
        device=device,
        progress=progress,
        file=file,
        labels=labels,
        ids=ids,
        distributed=distributed,
    ).vectors


def embed_with_report(
    sequences: Any,
    tokenizer: Any,
    model: Any,
    pooling: str = "mean",
    *,
    layer: int = -1,
    special_tokens: bool = True,
    precision: str = "float32",
    batch_tokens: Optional[int] = None,
    max_tokens: Optional[int] = None,
    device: Union[str, torch.device, None] = None,
    progress: bool = True,
    file: Union[str, os.PathLike, None] = None,
    labels: Optional[Sequence] = None,
    ids: Optional[Sequence] = None,
    distributed: bool = False,
) -> Embeddings:
    """As `embed`, and how the vectors came about."""
    began = time.perf_counter()
    texts = as_texts(sequences)
    label_column = outputs.column(labels, "labels", len(texts))
    id_column = outputs.column(ids, "ids", len(texts))
    path = None if file is None else outputs.checked_output(file)
    encoder = encoder_of(model)
    _check_options(encoder, tokenizer, pooling, layer, precision, batch_tokens)
    tokenized = tokenize_distinct(texts, tokenizer)
    _check_tokens(encoder, tokenizer, tokenized, pooling, max_tokens)

    encoder = _placed(float32_copy(encoder), device)
    reader = SequenceEncoder(encoder, pooling, layer, special_tokens, _pad(tokenizer, encoder))

    name = ""
    if recall.place() is not None and path is None and not distributed and precision == "float32":
        settings = [pooling, layer, special_tokens, _pad(tokenizer, encoder), batch_tokens]
        name = recall.key("embed", settings, *recall.parameters(encoder), *tokenized.ids, *tokenized.special)
        known = recall.array(name)
        if known is not None:
            return Embeddings(
                vectors=known[tokenized.rows], precision="float32", fidelity=None, tokens=tokenized.tokens,
                distinct=len(tokenized.ids), unknown=tokenized.unknown, resumed=0,
                seconds=time.perf_counter() - began,
            )  # fmt: skip

    with processes(distributed) as fellows:
        work = Work(reader, tokenized, fellows, path, precision, batch_tokens, progress)
        work.settle()
        work.compute()
        vectors = work.vectors[tokenized.rows]
        if path is not None and fellows.first:
            outputs.write_vectors(path, vectors, label_column, id_column, work.metadata())
            work.tidy()
        if name:
            recall.keep_array(name, work.vectors)
        return Embeddings(
            vectors=vectors,
            precision=work.choice.precision,
            fidelity=work.choice.fidelity,
            tokens=tokenized.tokens,
            distinct=len(tokenized.ids),
            unknown=tokenized.unknown,
            resumed=int(work.done.sum()),
            seconds=time.perf_counter() - began,
        )


def _check_options(
    encoder: nn.Module, tokenizer: Any, pooling: str, layer: int, precision: str, batch_tokens: Optional[int]
) -> None:
    if not callable(tokenizer):
        raise InputError(f"The tokenizer is {type(tokenizer).__name__}; load one with AutoTokenizer.from_pretrained.")
    if pooling not in POOLINGS:
        raise InputError(f"pooling is one of {', '.join(POOLINGS)}, not {pooling!r}.")
    if precision not in PRECISIONS:
        raise InputError(f"precision is one of {', '.join(PRECISIONS)}, not {precision!r}.")
    if batch_tokens is not None and batch_tokens < 1:
        raise InputError(f"batch_tokens is {batch_tokens}; a batch needs at least one token.")
    if layer != -1:
        depth = depth_of(encoder)
        if not -depth - 1 <= layer <= depth:
            raise InputError(f"There is no layer {layer}: this model has {depth}, so give {-depth - 1} to {depth}.")


def _check_tokens(
    encoder: nn.Module, tokenizer: Any, tokenized: TokenizedSequences, pooling: str, max_tokens: Optional[int]
) -> None:
    lengths = tokenized.lengths[tokenized.rows]
    longest = longest_for(encoder) if max_tokens is None else max_tokens
    if lengths.max() > longest:
        first = int(np.argmax(lengths > longest))
        beyond = int((lengths > longest).sum())
        more = f" (and {beyond - 1} others are too long as well)" if beyond > 1 else ""
        raise InputError(
            f"Sequence {first + 1} is {lengths[first]:,} tokens long, more than the {longest:,} that are allowed"
            f"{more}; cut it into windows, or set max_tokens if the model reaches further."
        )
    table: Any = getattr(encoder, "get_input_embeddings", lambda: None)()
    biggest = max(int(one.max()) for one in tokenized.ids)
    if isinstance(table, nn.Embedding) and biggest >= table.num_embeddings:
        raise InputError(
            f"The tokenizer makes token {biggest}, and the model knows {table.num_embeddings} tokens: they do not "
            "belong together; load both from one place."
        )
    cls = getattr(tokenizer, "cls_token_id", None)
    if pooling == "cls" and (cls is None or any(int(one[0]) != cls for one in tokenized.ids)):
        raise InputError("pooling is cls, but this tokenizer puts no [CLS] first; use pooling='mean'.")


def _pad(tokenizer: Any, encoder: Any) -> int:
    for owner in (tokenizer, getattr(encoder, "config", None)):
        pad = getattr(owner, "pad_token_id", None)
        if pad is not None:
            return int(pad)
    return 0


def _placed(encoder: nn.Module, device: Union[str, torch.device, None]) -> nn.Module:
    """The encoder on `device`: itself if it is there, else a copy."""
    if device is None:
        return encoder
    try:
        target = torch.device(device)
        torch.empty(0, device=target)
    except (RuntimeError, AssertionError, NotImplementedError) as problem:
        raise InputError(f"There is no device {device!r} here; use device='cpu', or leave it out.") from problem
    here = next(encoder.parameters()).device
    if here.type == target.type and target.index in (None, here.index):
        return encoder
    return deepcopy(encoder).to(target)
