"""Proteins from a causal language model: settings, sampling, decoding, and what comes out."""

from __future__ import annotations

from biollm_widgets.protein.generation.decoding import Choice, Growth
from biollm_widgets.protein.generation.exploring import Candidate, Explorer, NextToken, Stage, explore
from biollm_widgets.protein.generation.reading import Pieces, Step, walk
from biollm_widgets.protein.generation.result import Design, Fidelity, Generation
from biollm_widgets.protein.generation.run import generate, generate_again
from biollm_widgets.protein.generation.settings import Settings

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
