"""Every model that the lessons name, and what is known of it before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

EMBEDDED = Path(__file__).parent / "embedded"


@dataclass(frozen=True)
class Model:
    """One model of the catalog.

    Attributes
    ----------
    id : str
        The name on the hub.
    architecture, task : str
        In the field's words.
    parameters : int
        Of the published checkpoint.
    licence : str
        Of the weights.
    size_bytes : int
        What one weight format takes on disk.
    stand_in : Path
        The folder of the small embedded model that takes its place without internet.
    stand_in_words : str
        What that small model is, in a sentence for learners.
    """

    id: str
    architecture: str
    task: str
    parameters: int
    licence: str
    size_bytes: int
    stand_in: Path
    stand_in_words: str


CATALOG = (
    Model(
        id="zhihan1996/DNABERT-2-117M",
        architecture="DNABERT-2: BERT encoder with ALiBi and a gated feed-forward block",
        task="masked-LM on the genomes of 135 species",
        parameters=117_070_082 - 2 * 768 - 2,  # counted from this package's class, less the two-class head
        licence="Apache-2.0",
        size_bytes=468_000_000,
        stand_in=EMBEDDED / "dna",
        stand_in_words="the same architecture made small, trained on the E. coli genome alone",
    ),
)


def find(name: str) -> Optional[Model]:
    """The catalog's entry for a hub id, whatever its case; None when the lessons do not name it."""
    for model in CATALOG:
        if model.id.lower() == name.lower():
            return model
    return None
