"""Proteins from a causal language model: settings, sampling, decoding, and what comes out.

The names are loaded when they are first used: settings can be checked without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from biollm_widgets.protein.generation.decoding import Choice, Growth
    from biollm_widgets.protein.generation.exploring import Candidate, Explorer, NextToken, Stage, explore
    from biollm_widgets.protein.generation.reading import Pieces, Step, walk
    from biollm_widgets.protein.generation.result import Design, Fidelity, Generation
    from biollm_widgets.protein.generation.run import generate, generate_again
    from biollm_widgets.protein.generation.settings import Settings

# name -> the module of this folder that holds it
_HOMES = {
    "Candidate": "exploring",
    "Choice": "decoding",
    "Design": "result",
    "Explorer": "exploring",
    "Fidelity": "result",
    "Generation": "result",
    "Growth": "decoding",
    "NextToken": "exploring",
    "Pieces": "reading",
    "Settings": "settings",
    "Stage": "exploring",
    "Step": "reading",
    "explore": "exploring",
    "generate": "run",
    "generate_again": "run",
    "walk": "reading",
}

__all__ = [
    "Candidate",
    "Choice",
    "Design",
    "Explorer",
    "Fidelity",
    "Generation",
    "Growth",
    "NextToken",
    "Pieces",
    "Settings",
    "Stage",
    "Step",
    "explore",
    "generate",
    "generate_again",
    "walk",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"{__name__} has no {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(f"biollm_widgets.protein.generation.{_HOMES[name]}"), name)
