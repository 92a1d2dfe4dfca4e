"""Which rows are trained on together: seeded, grouped by length, and the same for one process and for several.

A step takes `per_device * processes * accumulation` rows. The rows of a step are settled first, from the seed and the
epoch alone, and dealt to processes and accumulated batches after that. So `--per_device_train_batch_size 4` under
two processes does just what 8 does in one, down to the order of additions.

Each row carries its weight in the loss of its process, `processes / rows of the step`: processes average their
gradients, so the sum is the mean over the step even when a last step does not deal out evenly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

# Rows are sorted by length within groups of this many steps, and the steps are shuffled again: little is padded (4 %
# of the tokens of 90 to 420 bases at batch 8), and a step still is a random draw from rows of about one length.
STEPS_A_GROUP = 16


class StepBatches(Sampler):
    """Batches of (row, weight) for one process.

    Parameters
    ----------
    lengths
        Tokens of each row, (n,).
    per_device, processes, rank, accumulation
        How a step is dealt out; `rank` is this process.
    seed
        With `epoch` it decides the order; nothing else does.
    grouped
        Whether rows of about one length go together.
    drop_last
        Leave out the rows that do not fill a last step.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        per_device: int,
        processes: int = 1,
        rank: int = 0,
        accumulation: int = 1,
        seed: int = 42,
        grouped: bool = True,
        drop_last: bool = False,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.processes, self.rank, self.accumulation = processes, rank, accumulation
        self.step_size = per_device * processes * accumulation
        self.seed, self.grouped, self.drop_last = seed, grouped, drop_last
        self.epoch = 0

    @property
    def steps_an_epoch(self) -> int:
        """Steps that one pass over the rows takes."""
        whole, rest = divmod(len(self.lengths), self.step_size)
        return max(1, whole + (rest > 0 and not self.drop_last))

    def __len__(self) -> int:
        return self.steps_an_epoch * self.accumulation

    def set_epoch(self, epoch: int) -> None:
        """Choose the pass whose order comes next."""
        self.epoch = epoch

    def steps(self) -> list[np.ndarray]:
        """The rows of each step of this epoch, whatever the number of processes."""
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        if self.grouped:
            size = STEPS_A_GROUP * self.step_size
            groups = [order[start : start + size] for start in range(0, len(order), size)]
            order = np.concatenate([group[np.argsort(-self.lengths[group], kind="stable")] for group in groups])
        starts = range(0, self.steps_an_epoch * self.step_size, self.step_size)
        steps = [order[start : start + self.step_size] for start in starts]
        if self.grouped:
            steps = [steps[i] for i in rng.permutation(len(steps))]
        return steps

    def __iter__(self) -> Iterator[list[tuple[int, float]]]:
        for rows in self.steps():
            weight = self.processes / len(rows)
            for part in np.array_split(rows, self.accumulation):
                mine = part[self.rank :: self.processes]
                # A process may get nothing of a short last step; it takes part with a row that does not count.
                yield [(int(row), weight) for row in mine] or [(int(rows[0]), 0.0)]


def length_batches(lengths: np.ndarray, size: int, processes: int = 1, rank: int = 0) -> list[list[int]]:
    """Batches for evaluation: longest rows first, so that memory runs out at once or never, dealt to processes."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    batches = [order[start : start + size].tolist() for start in range(0, len(order), size)]
    return batches[rank::processes]


class Collator:
    """Rows as one padded batch: token ids with `pad_id` or stored states with zeros; a mask where it is padded."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        inputs = [torch.as_tensor(np.asarray(item["input"])) for item in items]
        lengths = torch.tensor([len(one) for one in inputs])
        longest = int(lengths.max())
        batch: dict[str, torch.Tensor] = {}
        if inputs[0].dim() == 1:
            ids = [one.long() for one in inputs]
            batch["input_ids"] = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=self.pad_id)
        else:
            batch["hidden"] = torch.nn.utils.rnn.pad_sequence(inputs, batch_first=True)  # (B, L, C)
        if int(lengths.min()) < longest:
            batch["attention_mask"] = (torch.arange(longest)[None, :] < lengths[:, None]).long()  # (B, L)
        batch["labels"] = torch.tensor([item["label"] for item in items])
        batch["rows"] = torch.tensor([item["row"] for item in items])
        batch["weights"] = torch.tensor([item["weight"] for item in items], dtype=torch.float32)
        return batch
