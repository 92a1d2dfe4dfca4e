"""Something done in the middle of a fine-tuning, and the numbers of two runs that have to be the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from biollm_widgets.dna.finetuning.results import KEYS

SAME = [key for key in KEYS if "runtime" not in key and "second" not in key]


class At(TrainerCallback):
    """Do something once, at the end of a step (before the Trainer evaluates and saves)."""

    def __init__(self, step: int, deed: Callable[[], Any]) -> None:
        self.step, self.deed = step, deed

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if state.global_step == self.step:
            self.deed()
        return control
