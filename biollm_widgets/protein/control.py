"""The shuffled control: what a finding is worth when the same residues stand in no order at all.

A shuffled copy keeps the length and how often each residue is there, so also weight, isoelectric point, charge,
GRAVY and aromaticity. It destroys the order, and with it every motif, repeat, helix, fold and relationship (the
instability index too, which counts pairs of neighbours). What a design shares with natural proteins and its shuffled
copies do not is in its order; what the copies share as well is in its composition alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from biollm_widgets.errors import InputError


def shuffled(sequence: str, copies: int = 1, *, seed: int = 0, prompt: str = "", keep_start: bool = True) -> list[str]:
    """Copies of a sequence with its residues in random order.

    Parameters
    ----------
    sequence : str
    copies : int
        How many, 0 or more; all different draws.
    seed : int
        0 or more; the same seed gives the same copies.
    prompt : str
        Stays in place where the sequence begins with it: it was given to the model, not written by it.
    keep_start : bool
        Leave an M at the beginning where it is: nearly every protein starts with it, whatever follows.

    Returns
    -------
    list of str, copies long

    Raises
    ------
    InputError
        For fewer copies than 0, or a seed that is no whole number from 0.
    """
    if copies < 0:
        raise InputError(f"{copies} copies cannot be made; give 0 or more.")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"A seed is a whole number from 0, not {seed!r}.")
    kept = fixed_part(sequence, prompt, keep_start)
    letters = np.array(list(sequence[kept:]), dtype="U1")
    draw = np.random.default_rng(int(seed))
    return [
        sequence[:kept] + "".join(letters[np.argsort(draw.random(len(letters)), kind="stable")]) for _ in range(copies)
    ]


def shuffled_set(sequences: Iterable[str], *, seed: int = 0, prompt: str = "", keep_start: bool = True) -> list[str]:
    """One shuffled copy of each sequence, in their order; the rest as `shuffled`.

    Each has its own draw, which depends on the seed and its place, not on the other sequences.
    """
    return [
        shuffled(sequence, 1, seed=seed * 1_000_003 + place, prompt=prompt, keep_start=keep_start)[0]
        for place, sequence in enumerate(sequences)
    ]


def fixed_part(sequence: Sequence[str], prompt: str = "", keep_start: bool = True) -> int:
    """How many residues at the beginning a shuffle leaves in place: the prompt where it stands there, else an M."""
    if prompt and sequence[: len(prompt)] == prompt:
        return len(prompt)
    return int(keep_start and sequence[:1] == "M")
