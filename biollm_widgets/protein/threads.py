"""How many threads of the processor are worth their while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

# Floating-point operations; a core does 50 of them in a nanosecond.
STEP = 5e8  # of a step that is one of many: ten milliseconds
WHOLE = 6e10  # of something done once: a second, of which no number of threads saves much


@contextmanager
def threads_for(model: Any, tokens: int, small: float) -> Iterator[None]:
    """One CPU thread where a model has little to do for so many tokens: less than `small` floating-point operations.

    Threads that wait for each other at every product cost more than they bring there, and very much more where other
    programs take the cores: the perplexities of 50 proteins took 0.6 s with one thread and 4.4 s with two while tests
    ran beside it.
    """
    threads = torch.get_num_threads()
    operations = 2 * tokens * sum(parameter.numel() for parameter in model.parameters())
    one = threads > 1 and operations < small and next(model.parameters()).device.type == "cpu"
    if one:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if one:
            torch.set_num_threads(threads)
