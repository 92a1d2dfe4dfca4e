"""The checks of the lesson on proteins, in its order."""

from __future__ import annotations

from biollm_widgets.checks.protein import comparing, sampling, scoring, taking, text
from biollm_widgets.checks.protein.questions import QUESTIONS

CHECKS = [
    *text.CHECKS,
    *sampling.CHECKS,
    *scoring.CHECKS,
    *comparing.CHECKS,
    *taking.CHECKS,
    *QUESTIONS,
]
