"""DNA (or any sequence a Hugging Face encoder reads) to vectors, one a sequence: `embed`."""

from __future__ import annotations

from biollm_widgets.dna.embedding.precision import Fidelity
from biollm_widgets.dna.embedding.run import Embeddings, embed, embed_with_report
from biollm_widgets.dna.embedding.tokens import OddSequences

__all__ = ["Embeddings", "Fidelity", "OddSequences", "embed", "embed_with_report"]
