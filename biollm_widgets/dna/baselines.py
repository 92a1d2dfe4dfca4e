"""What an embedding has to beat: counts of k-mers, which know nothing but which short words a sequence holds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np

from biollm_widgets.errors import InputError

LARGEST_K = 8  # 65,536 columns; beyond that nearly every count in a read-sized sequence is 0 or 1
_AT_ONCE = 1 << 22  # bases and counts handled in one go; bounds the memory, whatever the number of sequences

_CODE = np.full(256, -1, dtype=np.int64)
_CODE[list(b"ACGT")] = range(4)
_CODE[list(b"acgtUu")] = [0, 1, 2, 3, 3, 3]


def kmer_names(k: int) -> list[str]:
    """The columns of `kmer_counts`: all words of `k` bases in alphabetical order."""
    return ["".join(word) for word in product("ACGT", repeat=_checked(k))]


def kmer_counts(sequences: Sequence[str], k: int = 3) -> np.ndarray:
    """How often each word of `k` bases occurs in each sequence, overlapping ones included.

    Parameters
    ----------
    sequences
        DNA, upper or lower case, U counted as T. A word with any other letter (N) is not counted.
    k
        1 to 8.

    Returns
    -------
    ndarray of int32, shape (n, 4 ** k)
        Columns in the order of `kmer_names`. A row sums to length - k + 1 when there is no N, and to 0 when the
        sequence is shorter than k.
    """
    width = 4 ** _checked(k)
    if isinstance(sequences, str):
        raise InputError("kmer_counts takes a list of sequences; put the one sequence into a list.")
    counts = np.empty((len(sequences), width), dtype=np.int32)
    lengths = np.fromiter((len(sequence) for sequence in sequences), dtype=np.int64, count=len(sequences))
    # Cut where the bases, or the cells of the count table, of a piece would pass the limit.
    piece = np.cumsum(np.maximum(lengths + 1, width)) // _AT_ONCE
    edges = np.concatenate([[0], np.flatnonzero(np.diff(piece)) + 1, [len(sequences)]]) if len(sequences) else [0]
    for first, last in pairwise(edges):
        # One long text with a full stop after each sequence, so that no word reaches into the next one.
        text = (".".join(sequences[first:last]) + ".").encode("ascii", "replace")
        codes = _CODE[np.frombuffer(text, dtype=np.uint8)]
        if len(codes) < k:
            counts[first:last] = 0
            continue
        words = np.zeros(len(codes) - k + 1, dtype=np.int64)
        whole = np.ones(len(words), dtype=bool)
        for i in range(k):
            letter = codes[i : i + len(words)]
            whole &= letter >= 0
            words = words * 4 + letter
        rows = np.repeat(np.arange(last - first), lengths[first:last] + 1)[: len(words)]
        cells = np.bincount((rows * width + words)[whole], minlength=(last - first) * width)
        counts[first:last] = cells.reshape(last - first, width)
    return counts


def kmer_frequencies(sequences: Sequence[str], k: int = 3) -> np.ndarray:
    """Counts as shares of each sequence's words, (n, 4 ** k) float64: free of the length; zeros where no word is."""
    counts = kmer_counts(sequences, k).astype(float)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _checked(k: int) -> int:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= LARGEST_K:
        raise InputError(f"k is {k!r}; k-mers of 1 to {LARGEST_K} bases can be counted.")
    return int(k)
