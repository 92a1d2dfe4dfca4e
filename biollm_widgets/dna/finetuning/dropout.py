"""Dropout that depends on the row, not on who computes it.

Torch draws dropout in the order in which tensors come along, so a row is thinned out differently in another batch, in
another process, or after a restart. Here each row has a stream of its own, seeded by the run, the step, the row and
the layer. Two processes then train just what one does, dropout or not. On the CPU that costs about 3 % of a step; on
a GPU, where each row would cost a kernel start, torch's own dropout stays.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from torch import Tensor, nn


@dataclass
class Draw:
    """What the next forward pass is about.

    Attributes
    ----------
    seed, step
        Of the run, and how many steps are done.
    rows
        The row of train.csv at each place of the batch; None leaves dropout to torch.
    """

    seed: int
    step: int = 0
    rows: Optional[list[int]] = None
    generator: torch.Generator = field(default_factory=torch.Generator)


class RowDropout(nn.Dropout):
    """A drop-in for `nn.Dropout` on tensors whose first axis is the batch.

    Parameters
    ----------
    p
        Share of values that become zero; the others grow by 1 / (1 - p).
    layer
        A number of its own for each dropout of the model.
    draw
        Shared by all of them.
    """

    def __init__(self, p: float, layer: int, draw: Draw) -> None:
        super().__init__(p)
        self.layer, self.draw = layer, draw

    def forward(self, input: Tensor) -> Tensor:
        rows = self.draw.rows
        if not self.training or self.p == 0 or rows is None or len(rows) != input.size(0):
            return super().forward(input)
        chance = torch.empty(input.shape)
        for place, row in enumerate(rows):
            # Filled from the front, so that more padding behind a row does not change what its tokens get.
            chance[place].uniform_(generator=self.draw.generator.manual_seed(self._seed(row)))
        kept = (chance >= self.p).to(input.dtype)
        return input * kept.mul_(1 / (1 - self.p))

    def _seed(self, row: int) -> int:
        text = f"{self.draw.seed} {self.draw.step} {row} {self.layer}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")


def drop_by_row(model: Any, seed: int) -> Draw:
    """Replace every `nn.Dropout` of a model; tell the returned `Draw` about each batch."""
    draw = Draw(seed)
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Dropout
    ]
    for layer, (parent, name, child) in enumerate(places):
        parent.register_module(name, RowDropout(child.p, layer, draw).train(child.training))
    return draw
