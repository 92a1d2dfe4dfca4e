"""Growth that was computed before, for whoever asks for the very same again: see `biollm_widgets.recall`."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any, Optional

import torch

from biollm_widgets import recall
from biollm_widgets.protein.generation.decoding import Callback, Choice, Growth, grow
from biollm_widgets.protein.generation.settings import Settings


def grow_or_recall(
    model: Any,
    prompt: Sequence[int],
    settings: Settings,
    eos: Optional[int],
    callback: Optional[Callback] = None,
    tail: Sequence[int] = (),
    stop: Optional[Event] = None,
) -> Growth:
    """As `grow`. Where the same was kept, the callback sees the same steps, and nothing is computed."""
    if recall.place() is None or settings.precision != "float32":
        return grow(model, prompt, settings, eos, callback, tail, stop)
    asked = settings.as_dict() | {"prompt": list(prompt), "eos": eos, "tail": list(tail)}
    name = recall.key("growth", asked, *recall.parameters(model))
    known = recall.value(name)
    if known is not None:
        return _again(known, prompt, settings, eos, callback, stop)
    growth = grow(model, prompt, settings, eos, callback, tail, stop)
    if not growth.stopped:
        tails = list(growth.tail.items())
        kept = {"prompt": growth.prompt_log_probabilities, "choices": growth.choices, "tail": tails}
        recall.keep_value(name, kept)
    return growth


def _again(
    known: dict[str, Any],
    prompt: Sequence[int],
    settings: Settings,
    eos: Optional[int],
    callback: Optional[Callback],
    stop: Optional[Event],
) -> Growth:
    n, most = settings.n, settings.max_length - len(prompt)
    growth = Growth(list(prompt), known["prompt"], [[] for _ in range(n)], [], [False] * n, most)
    try:
        with torch.inference_mode():  # as a callback finds it where something is computed
            for step in range(max(map(len, known["choices"]))):
                growth.newest = [None] * n
                for row, choices in enumerate(known["choices"]):
                    if step < len(choices):
                        choice = Choice(*choices[step])
                        growth.choices[row].append(choice)
                        growth.newest[row] = choice.id
                        growth.finished[row] = choice.id == eos
                if callback is not None:
                    callback(growth)
                if stop is not None and stop.is_set():
                    growth.stop()
                if growth.stopped:
                    return growth
    except KeyboardInterrupt:
        growth.stopped = True
        return growth
    growth.tail = {row: values for row, values in known["tail"]}
    return growth
