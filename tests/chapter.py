"""A file with the shape of the chapter's data set."""

from __future__ import annotations

from biollm_widgets.dna.datasets_file import CHAPTER_LABELS


def chapter_like(
    ones: int = CHAPTER_LABELS[1],
    zeros: int = CHAPTER_LABELS[0],
    header: str = "DNA_sequence,Target",
    sequence: str = "ACGTACGTA",
) -> bytes:
    """Its rows, its columns, its labels."""
    return (header + "\n" + f"{sequence}C,1\n" * ones + f"{sequence}g,0\n" * zeros).encode()
