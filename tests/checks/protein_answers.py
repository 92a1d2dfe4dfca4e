"""Right and wrong answers to the checks of the lesson on proteins."""

from __future__ import annotations

from .answers import Answers

PROTEIN: dict[str, Answers] = {}
