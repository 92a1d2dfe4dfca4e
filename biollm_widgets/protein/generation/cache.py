"""The keys and values that a decoder keeps of the tokens it has read: repeated, thinned out, and with room to grow.

transformers hands them out as a tuple of pairs (GPT-2 on 4.50.3) or as a `DynamicCache` (newer). Its own way of adding
a token copies all of them at each step; for ten proteins at ProtGPT2's size, once that is int8, a quarter of the time.
"""

from __future__ import annotations

from copy import copy
from typing import Any, Optional

import torch
from torch import Tensor

try:
    from transformers.cache_utils import DynamicLayer
except ImportError:  # transformers before it kept a cache in layers
    DynamicLayer = None  # type: ignore[assignment, misc]


def repeated(past: Any, n: int, room: int) -> Any:
    """The cache of one prompt for `n` sequences, in which `room` tokens fit without copying (more fit, too)."""
    if isinstance(past, tuple):
        return tuple((keys.repeat_interleave(n, 0), values.repeat_interleave(n, 0)) for keys, values in past)
    layers = getattr(past, "layers", None)
    if DynamicLayer is not None and layers and all(type(layer) is DynamicLayer for layer in layers):
        past.layers = [_Roomy(layer.keys, layer.values, n, room) for layer in layers]
    else:
        past.batch_repeat_interleave(n)
    return past


def kept(past: Any, rows: Tensor) -> Any:
    """The cache of these rows (a tensor of indices) alone."""
    if isinstance(past, tuple):
        return tuple((keys[rows], values[rows]) for keys, values in past)
    past.batch_select_indices(rows)
    return past


def beginning(past: Any, tokens: int) -> Optional[Any]:
    """The first `tokens` tokens of a cache as one of its own; None where a cache of this kind cannot be shortened.

    Nothing is copied: reading on with the one leaves the other as it is.
    """
    if isinstance(past, tuple):
        return tuple((keys[..., :tokens, :], values[..., :tokens, :]) for keys, values in past)
    layers = getattr(past, "layers", None)
    if DynamicLayer is None or not layers or not all(type(layer) is DynamicLayer for layer in layers):
        return None
    found = copy(past)
    found.layers = [copy(layer) for layer in layers]
    for layer in found.layers:
        layer.keys, layer.values = layer.keys[..., :tokens, :], layer.values[..., :tokens, :]
    return found


if DynamicLayer is not None:

    class _Roomy(DynamicLayer):
        """One layer's keys and values (rows, heads, tokens, dim) as the used part of larger tensors."""

        def __init__(self, keys: Tensor, values: Tensor, n: int, room: int) -> None:
            super().__init__()
            self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
            used = keys.size(-2)
            self._keys, self.keys = _spacious(keys.expand(n, -1, -1, -1), max(room, used))
            self._values, self.values = _spacious(values.expand(n, -1, -1, -1), max(room, used))

        def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
            used = self._used()
            end = used + key_states.size(-2)
            if end > self._keys.size(-2):
                self._keys, _ = _spacious(self._keys, 2 * end)
                self._values, _ = _spacious(self._values, 2 * end)
            self._keys[:, :, used:end] = key_states
            self._values[:, :, used:end] = value_states
            self.keys, self.values = self._keys[:, :, :end], self._values[:, :, :end]
            return self.keys, self.values

        def _used(self) -> int:
            return 0 if self.keys is None else self.keys.size(-2)

        def batch_select_indices(self, indices: Tensor) -> None:
            used, room = self._used(), self._keys.size(-2)
            self._keys, self.keys = _spacious(self._keys[:, :, :used][indices], room)
            self._values, self.values = _spacious(self._values[:, :, :used][indices], room)


def _spacious(tensor: Tensor, room: int) -> tuple[Tensor, Tensor]:
    """A tensor with room for `room` tokens, and its part that holds what is there."""
    rows, heads, used, dim = tensor.shape
    large = torch.empty(rows, heads, room, dim, dtype=tensor.dtype, device=tensor.device)
    large[:, :, :used] = tensor
    return large, large[:, :, :used]
