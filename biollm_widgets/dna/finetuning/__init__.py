"""Fine-tuning DNABERT-2 (or another classifier of sequences), with the flags of DNABERT-2's own `train.py`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biollm_widgets.dna.finetuning.results import FinetuneResult
    from biollm_widgets.dna.finetuning.train import finetune
    from biollm_widgets.runs.stopping import Stopped

__all__ = ["FinetuneResult", "Stopped", "finetune"]

# Loaded when used: the list of flags (`flags.py`) has to be readable, for `--help`, without torch.
_HOMES = {"FinetuneResult": "results", "finetune": "train"}


def __getattr__(name: str) -> Any:
    if name == "Stopped":
        from biollm_widgets.runs.stopping import Stopped

        return Stopped
    if name not in _HOMES:
        raise AttributeError(f"biollm_widgets.dna.finetuning has no {name!r}.")
    return getattr(import_module(f"biollm_widgets.dna.finetuning.{_HOMES[name]}"), name)
