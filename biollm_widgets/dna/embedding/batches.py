"""Which sequences are computed together, and by which process: batches of like lengths, dealt out evenly."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np


def plan(lengths: np.ndarray, budget: int, padded: bool) -> list[np.ndarray]:
    """Cut sequences, longest first, into batches of at most `budget` tokens (a longer one is a batch of its own).

    Longest first, so that memory is at its peak at the start and not after an hour. Sequences of one length stay in
    the order given, so that the same input makes the same batches.

    Parameters
    ----------
    lengths : (n,) tokens of each sequence.
    budget : tokens a batch, padding included where there is some.
    padded : whether each sequence of a batch is padded to the longest.

    Returns
    -------
    list of int arrays, the numbers of the sequences in each batch; together each number once.
    """
    order = np.argsort(-lengths, kind="stable")
    batches: list[np.ndarray] = []
    start = tokens = 0
    for at, row in enumerate(order):
        cost = int(lengths[order[start]] if padded else lengths[row])
        if at > start and tokens + cost > budget:
            batches.append(order[start:at])
            start, tokens = at, 0
            cost = int(lengths[row])
        tokens += cost
    if len(order):
        batches.append(order[start:])
    return batches


def deal(costs: Sequence[float], hands: int) -> list[list[int]]:
    """Deal batches to `hands` processes so that each has about the same to do: the costliest first, to whoever has
    least (Graham 1969, at most 4/3 of the best).

    Returns, for each process, the numbers of its batches in ascending order.
    """
    dealt: list[list[int]] = [[] for _ in range(hands)]
    least = [(0.0, hand) for hand in range(hands)]
    for number in sorted(range(len(costs)), key=lambda number: (-costs[number], number)):
        load, hand = heapq.heappop(least)
        dealt[hand].append(number)
        heapq.heappush(least, (load + costs[number], hand))
    return [sorted(hand) for hand in dealt]


def spread(lengths: np.ndarray, count: int) -> np.ndarray:
    """The numbers of up to `count` sequences that stand for all: evenly spaced by length, shortest and longest in."""
    order = np.argsort(lengths, kind="stable")
    return order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))]
