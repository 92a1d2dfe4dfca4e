"""The checks of the lesson on DNA, in its order."""

from __future__ import annotations

from biollm_widgets.checks.dna import architecture, classifying, data, embeddings, judging, reading, training
from biollm_widgets.checks.dna.questions import QUESTIONS

CHECKS = [
    *reading.CHECKS,
    *architecture.CHECKS,
    *data.CHECKS,
    *embeddings.CHECKS,
    *classifying.CHECKS,
    *training.CHECKS,
    *judging.CHECKS,
    *QUESTIONS,
]
