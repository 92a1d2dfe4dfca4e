"""From a model's scores for the next token to the token: transformers' own processors, in its order, and the draw.

Each sequence draws from random numbers of its own, made from the seed and its place. So a sequence depends neither on
how many are made beside it nor on which of them have ended.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from biollm_widgets.protein.generation.settings import Settings


def processors(settings: Settings) -> LogitsProcessorList:
    """What `model.generate` would apply, in the same order: repetition penalty, temperature, top-k, top-p."""
    return LogitsProcessorList(_named(settings).values())


def staged(settings: Settings, ids: Tensor, scores: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The scores after each of the processors, under the name of its setting.

    Without sampling, a last stage "greedy" leaves nothing but the token that is taken.

    Parameters
    ----------
    ids : int64 tensor (n, L)
        The tokens so far.
    scores : float tensor (n, vocabulary)
        For the next one; they are not changed.
    """
    scores = scores.clone()
    for name, processor in _named(settings).items():
        scores = processor(ids, scores)
        yield name, scores
    if not settings.do_sample:
        taken = scores.argmax(-1, keepdim=True)  # (n, 1)
        yield "greedy", torch.full_like(scores, -torch.inf).scatter(-1, taken, scores.gather(-1, taken))


def _named(settings: Settings) -> dict[str, LogitsProcessor]:
    """The processors that change something, each under the name of its setting."""
    found: dict[str, LogitsProcessor] = {}
    if settings.repetition_penalty != 1.0:
        found["repetition_penalty"] = RepetitionPenaltyLogitsProcessor(penalty=settings.repetition_penalty)
    if settings.do_sample:
        if settings.temperature != 1.0:
            found["temperature"] = TemperatureLogitsWarper(settings.temperature)
        if settings.top_k:
            found["top_k"] = TopKLogitsWarper(top_k=settings.top_k)
        if settings.top_p < 1.0:
            found["top_p"] = TopPLogitsWarper(top_p=settings.top_p)
    return found


def uniforms(seed: int, n: int, length: int) -> np.ndarray:
    """Random numbers in [0, 1), shape (n, length); row i is the same whatever n and whatever follows in it."""
    return np.stack([np.random.default_rng([seed, i]).random(length) for i in range(n)])


def draw(probabilities: Tensor, uniform: np.ndarray) -> Tensor:
    """One token a row: the first whose cumulated probability exceeds the row's random number.

    Parameters
    ----------
    probabilities : float tensor (n, vocabulary), or (1, vocabulary) for all rows
        Rows sum to one, about; a token of probability nothing is never drawn.
    uniform : float array (n,)
        In [0, 1).

    Returns
    -------
    int64 tensor (n,)
    """
    cumulated = probabilities.double().cumsum(-1)  # (n, V); in double, so that 50,257 roundings do not add up
    n = len(uniform)
    cumulated, probabilities = cumulated.expand(n, -1), probabilities.expand(n, -1)
    target = torch.from_numpy(uniform)[:, None] * cumulated[:, -1:]
    found = torch.searchsorted(cumulated.contiguous(), target, right=True)[:, 0].clamp_max(probabilities.size(1) - 1)
    for row in (probabilities.gather(1, found[:, None])[:, 0] == 0).nonzero()[:, 0].tolist():
        # Rounding took the draw past the sum: the last token that has a chance at all.
        found[row] = probabilities[row].nonzero()[-1, 0]
    return found
