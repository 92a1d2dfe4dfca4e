"""Text to checked DNA or protein: cleaning, FASTA, strands and reading frames, lines of 60."""

from __future__ import annotations

from biollm_widgets.sequences.cleaning import (
    AMINO_ACIDS,
    BASES,
    DNA_AMBIGUITY,
    PROTEIN_AMBIGUITY,
    Cleaned,
    Repair,
    clean,
    clean_dna,
    clean_protein,
)
from biollm_widgets.sequences.fasta import LINE, Record, format_fasta, read_fasta, unwrap, wrap, write_fasta
from biollm_widgets.sequences.frames import (
    ReadingFrame,
    codons,
    complement,
    reading_frames,
    reverse_complement,
    translate,
)

__all__ = [
    "AMINO_ACIDS",
    "BASES",
    "DNA_AMBIGUITY",
    "LINE",
    "PROTEIN_AMBIGUITY",
    "Cleaned",
    "ReadingFrame",
    "Record",
    "Repair",
    "clean",
    "clean_dna",
    "clean_protein",
    "codons",
    "complement",
    "format_fasta",
    "read_fasta",
    "reading_frames",
    "reverse_complement",
    "translate",
    "unwrap",
    "wrap",
    "write_fasta",
]
