"""A batch of token ids through an encoder to one vector a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biollm_widgets.errors import InputError
from biollm_widgets.models.dnabert2 import DNABert2Model

POOLINGS = ("mean", "cls", "max")
# Past this a sequence costs more attention than anything else: 16,384 tokens are about 65,000 bases.
LONGEST_WITHOUT_TABLE = 16_384


def encoder_of(model: Any) -> nn.Module:
    """The encoder inside a model: without its masked-LM or classification head, with its LoRA layers if it has some.

    Raises
    ------
    InputError
        When it is no model.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"The model is {type(model).__name__}, no torch model; load one with from_pretrained.")
    if hasattr(model, "get_base_model"):  # PEFT
        model = model.get_base_model()  # type: ignore[operator]
    whole: Any = model
    if getattr(getattr(whole, "config", None), "is_encoder_decoder", False):
        return whole.get_encoder()
    return getattr(whole, "base_model", whole)


def depth_of(encoder: nn.Module) -> int:
    """How many layers an encoder has."""
    config: Any = getattr(encoder, "config", None)
    depth = getattr(config, "num_hidden_layers", None) or getattr(config, "num_layers", None)
    if depth is None:
        raise InputError(f"{type(encoder).__name__} does not say how many layers it has, so layer has to be -1.")
    return int(depth)


def longest_for(encoder: nn.Module) -> int:
    """How many tokens a sequence may have: what the model's table of positions holds, if it has one."""
    embeddings = getattr(encoder, "embeddings", None)
    for table in (getattr(embeddings, "position_embeddings", None), getattr(encoder, "wpe", None)):
        if isinstance(table, nn.Embedding):
            # RoBERTa and its like count positions from after the padding's own number.
            return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    return LONGEST_WITHOUT_TABLE


def pool(hidden: Tensor, counted: Tensor, pooling: str) -> Tensor:
    """One vector a sequence, in float32.

    hidden (B, L, C); counted (B, L), True where a position takes part in the mean or maximum. Returns (B, C).
    """
    if pooling == "cls":
        return hidden[:, 0].float()
    hidden, counted = hidden.float(), counted[:, :, None]
    if pooling == "max":
        return hidden.masked_fill(~counted, -torch.inf).amax(1)
    return hidden.masked_fill(~counted, 0.0).sum(1) / counted.sum(1)


class SequenceEncoder:
    """Turns lists of token ids into vectors: packed for DNABERT-2, padded and masked for any other encoder.

    Parameters
    ----------
    encoder : nn.Module
        One of the copies in `lighter`, in eval state.
    pooling : {"mean", "cls", "max"}
    layer : int
        As in `hidden_states`: 0 is what enters the first layer, `depth` or -1 what leaves the last.
    special_tokens : bool
        Whether [CLS] and [SEP] count in the mean and the maximum.
    pad : int
        What fills up a padded batch; it is masked, so any id of the vocabulary does.
    """

    def __init__(self, encoder: nn.Module, pooling: str, layer: int, special_tokens: bool, pad: int) -> None:
        self.encoder = encoder
        self.pooling = pooling
        self.layer = layer
        self.special_tokens = special_tokens
        self.pad = pad
        self.packed = isinstance(encoder, DNABert2Model)

    @property
    def device(self) -> torch.device:
        return next(self.encoder.parameters()).device

    def __call__(self, ids: Sequence[np.ndarray], special: Sequence[np.ndarray]) -> np.ndarray:
        """Vectors (B, C) in float32 for B sequences. Quickest when they are sorted by length."""
        with torch.inference_mode():
            return (self._packed if self.packed else self._padded)(ids, special).cpu().numpy()

    def _counted(self, special: np.ndarray) -> np.ndarray:
        return np.ones_like(special) if self.special_tokens else ~special

    def _packed(self, ids: Sequence[np.ndarray], special: Sequence[np.ndarray]) -> Tensor:
        encoder: Any = self.encoder
        lengths = [len(one) for one in ids]
        layers = self.layer if self.layer >= 0 else depth_of(encoder) + 1 + self.layer
        flat = torch.from_numpy(np.concatenate(ids)).to(self.device)  # (T,)
        counted = torch.from_numpy(self._counted(np.concatenate(special))).to(self.device)
        hidden = encoder.forward_packed(flat, lengths, layers)  # (T, C)
        vectors, start = [], 0
        for length, same in groupby(lengths):  # sequences of one length are pooled together
            stop = start + length * len(list(same))
            block = hidden[start:stop].unflatten(0, (-1, length))  # (n, length, C)
            vectors.append(pool(block, counted[start:stop].unflatten(0, (-1, length)), self.pooling))
            start = stop
        return torch.cat(vectors)

    def _padded(self, ids: Sequence[np.ndarray], special: Sequence[np.ndarray]) -> Tensor:
        shape = len(ids), max(map(len, ids))
        table = np.full(shape, self.pad, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        counted = np.zeros(shape, dtype=bool)
        for row, (one, own) in enumerate(zip(ids, special, strict=True)):
            table[row, : len(one)] = one
            mask[row, : len(one)] = 1
            counted[row, : len(one)] = self._counted(own)
        whole = self.layer == -1
        output = self.encoder(
            input_ids=torch.from_numpy(table).to(self.device),
            attention_mask=torch.from_numpy(mask).to(self.device),
            output_hidden_states=not whole,
            return_dict=True,
        )
        hidden = output.last_hidden_state if whole else output.hidden_states[self.layer]  # (B, L, C)
        return pool(hidden, torch.from_numpy(counted).to(hidden.device), self.pooling)
