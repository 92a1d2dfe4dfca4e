"""Made-up coding and non-coding DNA, drawn from Markov models of the *E. coli* genome, for when no data can be had.

Genes have a rhythm of three: what follows five bases depends on the position in the codon. A fifth-order model for
each codon position and a fifth-order model of the stretches between genes are what gene finders have used since
GeneMark (Borodovsky and McIninch 1993, doi:10.1016/0097-8485(93)85004-V). Genes of one genome differ, so there are
three models of each kind: for the third with the least G and C, the middle one and the one with the most. The counts
in `simulator_ecoli.npz` are made by `training/fit_simulator.py` from RefSeq GCF_000005845.2 (*E. coli* K-12 MG1655).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from biollm_widgets.dna.seeds import checked_seed
from biollm_widgets.errors import InputError

ORDER = 5
SHORTEST, LONGEST = 90, 420  # bases; the lengths of the real windows that the kit is tried on
CODING_SHARE = 19_718 / 65_321  # of the rows, in the chapter's data set
PARAMETERS = Path(__file__).with_name("simulator_ecoli.npz")

_BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
_PSEUDOCOUNT = 0.5  # Jeffreys' prior: a base not seen after a rare context is rare, not impossible
_ROWS_AT_ONCE = 50_000  # bounds the memory: 420 x 50,000 bytes of bases and as many random numbers a step


def simulate_coding_dataset(size: int = 65_321, seed: int = 1) -> pd.DataFrame:
    """A simulated table with the chapter's columns and its 30 % of coding rows.

    Coding rows are on the coding strand, start at any position in a codon and have no stop codon in their frame.
    It is about as hard as real windows: the MCC of 3-mer frequencies is 0.73 to 0.76 with naive Bayes (real 0.72) and
    0.83 to 0.84 with logistic regression (real 0.83). As in the genome, stretches between genes are shorter (a window
    cannot be longer than its stretch), so even the length tells something about the label.

    Parameters
    ----------
    size
        Rows; the number of coding rows is 30.19 % of it, rounded.
    seed
        The same size and seed give the same table.

    Returns
    -------
    DataFrame, shape (size, 2)
        `DNA_sequence` (90 to 420 bases) and `Target` (1 coding, 0 non-coding), in random order. `attrs["simulated"]`
        is True and `attrs["source"]` says how it was made: scores on it are no finding about an organism.

    Raises
    ------
    InputError
        When size is not a whole number of at least 2.
    """
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 2:
        raise InputError(f"size is {size!r}; a simulated data set needs a whole number of rows, 2 or more.")
    seed = checked_seed(seed)
    rng = np.random.default_rng(seed)
    coding = min(max(1, round(size * CODING_SHARE)), size - 1)
    sequences = coding_windows(coding, rng) + noncoding_windows(size - coding, rng)
    labels = np.repeat([1, 0], [coding, size - coding])
    order = rng.permutation(size)
    frame = pd.DataFrame({"DNA_sequence": [sequences[i] for i in order], "Target": labels[order]})
    frame.attrs["simulated"] = True
    frame.attrs["source"] = (
        f"simulated by three-periodic and plain Markov models of order {ORDER}, fitted on E. coli K-12 MG1655 "
        f"(size {size}, seed {seed})"
    )
    return frame


def coding_windows(count: int, rng: np.random.Generator) -> list[str]:
    """`count` windows of coding DNA of 90 to 420 bases, each length as likely, without a stop in the frame."""
    models = _models()
    group = rng.choice(3, size=count, p=models["gene_shares"])
    start, steps = models["coding"]
    return _draw(start, steps, group, rng.integers(SHORTEST, LONGEST + 1, size=count), rng)


def noncoding_windows(count: int, rng: np.random.Generator) -> list[str]:
    """`count` windows of DNA between genes, each inside a stretch as long as one of the genome's."""
    models = _models()
    gaps = models["gap_lengths"]
    gap = rng.choice(len(gaps), size=count, p=gaps / gaps.sum())  # a long stretch holds more windows than a short one
    lengths = rng.integers(SHORTEST, np.minimum(gaps[gap], LONGEST) + 1)
    start, steps = models["noncoding"]
    return _draw(start, steps, models["gap_groups"][gap], lengths, rng)


@lru_cache(maxsize=1)
def _models() -> dict:
    """For each kind of DNA: how its first bases are drawn, and how the next is, both as cumulative probabilities.

    `start` is (groups, phases, 4 ** ORDER), `steps` is (groups, phases, 4 ** ORDER, 4); the phase of a start is that of
    the base after it.
    """
    with np.load(PARAMETERS, allow_pickle=False) as file:
        counts = {name: file[name].astype(float) for name in ("coding", "noncoding")}
        models: dict = {name: file[name] for name in ("gene_shares", "gap_groups")}
        models["gap_lengths"] = file["gap_lengths"].astype(np.int64)
    for name, count in counts.items():
        start = count.sum(axis=-1)  # (groups, phases, 4 ** ORDER): only what the genome has
        start = start.cumsum(axis=-1) / start.sum(axis=-1, keepdims=True)
        smooth = count + _PSEUDOCOUNT
        if name == "coding":
            smooth[:, 2] *= ~_completes_stop()
        models[name] = start, smooth.cumsum(axis=-1) / smooth.sum(axis=-1, keepdims=True)
    return models


def _completes_stop() -> np.ndarray:
    """Whether a third codon base makes TAA, TAG or TGA with the two before it, (4 ** ORDER, 4)."""
    last_two = np.arange(4**ORDER) % 16  # A 0, C 1, G 2, T 3
    stop = np.zeros((4**ORDER, 4), dtype=bool)
    stop[last_two == 12] = [True, False, True, False]  # TA: A, G
    stop[last_two == 14] = [True, False, False, False]  # TG: A
    return stop


def _draw(
    start: np.ndarray, steps: np.ndarray, groups: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> list[str]:
    """One sequence for each group and length; all grow at once, a base a step."""
    found: list[str] = []
    phases = steps.shape[1]
    for first in range(0, len(lengths), _ROWS_AT_ONCE):
        wanted = lengths[first : first + _ROWS_AT_ONCE]
        group = groups[first : first + _ROWS_AT_ONCE]
        rows = len(wanted)
        phase = rng.integers(phases, size=rows)  # of the base that comes next
        # A random number in [0, 1) falls into the first context whose cumulative share is above it.
        where = rng.random(rows)
        context = np.empty(rows, dtype=np.int64)
        for g, p in np.ndindex(start.shape[:2]):
            mine = (group == g) & (phase == p)
            context[mine] = np.searchsorted(start[g, p], where[mine], side="right")
        codes = np.empty((rows, int(wanted.max())), dtype=np.uint8)
        for i in range(ORDER):
            codes[:, i] = context // 4 ** (ORDER - 1 - i) % 4
        for position in range(ORDER, codes.shape[1]):
            base = (steps[group, phase, context, :3] <= rng.random(rows)[:, None]).sum(axis=1)  # (rows,)
            codes[:, position] = base
            context = (context * 4 + base) % 4**ORDER
            phase = (phase + 1) % phases
        letters = _BASES[codes]
        found += [letters[i, : wanted[i]].tobytes().decode() for i in range(rows)]
    return found
