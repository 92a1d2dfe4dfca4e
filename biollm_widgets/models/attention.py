"""Which of torch's kernels attention may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def any_length(model: Any) -> Iterator[None]:
    """Attention on a GPU without cuDNN's kernel, which makes a plan for every length that it has not met.

    Newer GPUs take it in half precision, and where a sequence grows by a token a step every step has a new length:
    ten proteins of 100 tokens took five times as long in bf16 as in float32 on an H200.
    """
    if next(model.parameters()).device.type != "cuda":
        yield
        return
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        yield
