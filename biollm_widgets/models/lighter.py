"""Working copies of a model: in float32, with weights packed ahead, in bfloat16, or in int8.

The caller's model is never touched. A copy shares every parameter that it does not replace, so it costs little. The
int8 layer stands on torch's quantised operators and not on `torch.ao.quantization`, which goes first when torch drops
that way of doing it. GPT-2 keeps its linear layers as `Conv1D`, weights turned on their side: they count as linear
here.
"""

from __future__ import annotations

import copy
import platform
import warnings
from collections.abc import Callable
from functools import partial
from typing import Optional

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from biollm_widgets.errors import InputError

PRECISIONS = ("float32", "bf16", "int8", "auto")
LINEAR = (nn.Linear, Conv1D)


class PackedLinear(nn.Module):
    """A float32 linear layer whose weight lies in oneDNN's own blocked order, so that no call has to reorder it.

    The operator is what `torch.compile` uses on a CPU when it freezes a model.
    """

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias  # shared with the caller's, for code that looks at them
        # The number of rows is a hint to oneDNN; any number of rows works.
        self.packed = torch.ops.mkldnn._reorder_linear_weight(_rows_out(linear).contiguous(), 512)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")


class Int8Linear(nn.Module):
    """A linear layer with int8 weights, one scale a row, that quantises what comes in by its range in this batch.

    What comes in gets 7 bits (`reduce_range`): on CPUs without VNNI, sums of 8-bit products overflow. With `by_row`,
    each row is scaled by its own range first: what comes out for one does not depend on the rows beside it.
    """

    def __init__(self, linear: nn.Module, by_row: bool = False) -> None:
        super().__init__()
        self.by_row = by_row
        self.weight, self.bias = linear.weight, linear.bias
        weight = _rows_out(linear).float()  # (out, in)
        scales = (weight.abs().amax(1) / 127).clamp_min(torch.finfo(torch.float32).tiny)
        zeros = torch.zeros(len(weight), dtype=torch.long)
        with warnings.catch_warnings():
            # Newest torch: quantised tensors will go one day; `lighter_copy` then says so.
            warnings.simplefilter("ignore")
            quantized = torch.quantize_per_channel(weight, scales.double(), zeros, 0, torch.qint8)
        bias = None if linear.bias is None else linear.get_parameter("bias").detach().float()
        self.after = bias if by_row else None  # added when the rows have their own scale again
        self.packed = torch.ops.quantized.linear_prepack(quantized, None if by_row else bias)

    def forward(self, x: Tensor) -> Tensor:
        if not self.by_row:
            return torch.ops.quantized.linear_dynamic(x, self.packed, True)
        rows = x.reshape(-1, x.size(-1))  # (T, in)
        scale = rows.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        # A row of its own that holds -1 and 1: the range of what is quantised is the same in any company.
        frame = rows.new_zeros(1, rows.size(1))
        frame[0, 0], frame[0, -1] = -1.0, 1.0
        out = torch.ops.quantized.linear_dynamic(torch.cat([rows / scale, frame]), self.packed, True)[:-1]
        out = torch.mul(out, scale) if self.after is None else torch.addcmul(self.after, out, scale)
        return out.reshape(*x.shape[:-1], -1)


def _rows_out(linear: nn.Module) -> Tensor:
    """The weight of a linear layer, shape (out, in); a `Conv1D` keeps (in, out)."""
    weight: Tensor = linear.get_parameter("weight").detach()
    return weight if isinstance(linear, nn.Linear) else weight.T


def lighter_copy(encoder: nn.Module, precision: str, by_row: bool = False) -> nn.Module:
    """A copy of `encoder` that computes in `precision` ("bf16" or "int8"), in eval state, on the same device.

    With `by_row`, int8 scales each row by itself, so that a sequence gets the same numbers in any batch.

    Raises
    ------
    InputError
        When this machine cannot compute that way.
    """
    if precision == "bf16":
        return _copy(encoder, parameter=lambda held: held.to(torch.bfloat16) if held.is_floating_point() else held)
    device = next(encoder.parameters()).device
    if device.type != "cpu":
        raise InputError(f"int8 works on a CPU, and the model is on {device}; use precision='bf16' there.")
    try:
        return _copy(encoder, linear=partial(Int8Linear, by_row=by_row))
    except (AttributeError, RuntimeError) as problem:  # no quantised operators, or no engine for them
        raise InputError("This build of torch has no int8 kernels; use precision='float32' or 'bf16'.") from problem


def float32_copy(encoder: nn.Module) -> nn.Module:
    """The encoder in float32 and in eval state; transformers 5 loads a half precision checkpoint as it is.

    A copy even where nothing has to change, sharing the parameters: so dropout can be off without a word to the
    caller's model, and what some encoders keep between calls (rotary tables) does not end up in it.
    """
    return _copy(encoder, parameter=lambda held: held.float() if held.is_floating_point() else held)


def packed_copy(encoder: nn.Module) -> Optional[nn.Module]:
    """A float32 copy of `encoder` with its weights packed ahead, or None where that is not to be had.

    Results differ from the plain layer's by the order of sums (4e-6 on a vector of DNABERT-2's size). On x86 CPUs
    only: there oneDNN's kernels were measured at 1.15 to 1.3 times the speed of the plain layer's.
    """
    if platform.machine().lower() not in ("x86_64", "amd64") or not torch.backends.mkldnn.is_available():
        return None
    if any(held.device.type != "cpu" or held.dtype != torch.float32 for held in encoder.parameters()):
        return None
    try:
        trial = nn.Linear(8, 8)
        x = torch.ones(3, 8)
        with torch.inference_mode():
            if not torch.allclose(PackedLinear(trial)(x), trial(x), atol=1e-5):
                return None
        return _copy(encoder, linear=PackedLinear)
    except (AttributeError, RuntimeError):  # an operator that this build of torch lacks: the plain layer does as well
        return None


def _copy(
    encoder: nn.Module,
    linear: Optional[Callable[[nn.Module], nn.Module]] = None,
    parameter: Optional[Callable[[Tensor], Tensor]] = None,
) -> nn.Module:
    """Copy the modules; share the parameters, or replace them; replace each linear layer.

    deepcopy looks into its memo first: what stands there under an object's id is taken in place of a copy.
    """
    memo: dict[int, object] = {}
    with torch.no_grad():
        for held in encoder.parameters():
            new = held if parameter is None else parameter(held)
            memo[id(held)] = held if new is held else nn.Parameter(new, requires_grad=False)
        if linear is not None:
            for module in encoder.modules():
                if type(module) in LINEAR:  # not a subclass: it may compute something else
                    memo[id(module)] = linear(module)
        return copy.deepcopy(encoder, memo).eval()
