"""The order of the rows: the same under one process and several, each row once, little padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biollm_widgets.dna.finetuning.batches import Collator, StepBatches, length_batches

LENGTHS = np.random.default_rng(0).integers(5, 100, 50)


def rows_and_weights(batches):
    return [(sorted(row for row, weight in batch if weight), sum(weight for _, weight in batch)) for batch in batches]


def steps_of(per_device: int, processes: int, accumulation: int, epoch: int = 0):
    """For each step, its rows with the weight each has in the averaged gradient, gathered from all processes."""
    steps: list[dict[int, float]] = []
    for rank in range(processes):
        sampler = StepBatches(LENGTHS, per_device, processes, rank, accumulation, seed=7)
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == sampler.steps_an_epoch * accumulation
        for number, batch in enumerate(batches):
            assert 1 <= len(batch) <= per_device
            step = number // accumulation
            if len(steps) <= step:
                steps.append({})
            for row, weight in batch:
                if weight:
                    steps[step][row] = weight / processes
    return steps


@pytest.mark.parametrize(("per_device", "processes", "accumulation"), [(4, 2, 1), (4, 1, 2), (2, 2, 2), (1, 4, 2)])
def test_a_step_is_the_same_however_it_is_dealt_out(per_device, processes, accumulation):
    assert steps_of(per_device, processes, accumulation) == steps_of(8, 1, 1)  # 50 rows: the last step is short


def test_each_row_counts_once_an_epoch_and_a_step_is_a_mean():
    steps = steps_of(4, 2, 1)
    assert sorted(row for step in steps for row in step) == list(range(50))
    assert [sum(step.values()) for step in steps] == pytest.approx([1.0] * len(steps))


def test_a_process_without_a_row_of_the_last_step_takes_part_without_weight():
    batches = list(StepBatches(np.full(9, 5), 4, processes=2, rank=1, seed=0))
    assert rows_and_weights(batches)[0][0] == [] or rows_and_weights(batches)[1][0] == []
    assert all(batch for batch in batches)


def test_the_order_comes_from_the_seed_and_the_epoch_alone():
    assert steps_of(8, 1, 1, epoch=0) == steps_of(8, 1, 1, epoch=0)
    assert steps_of(8, 1, 1, epoch=0) != steps_of(8, 1, 1, epoch=1)
    other = [{row for row, _ in batch} for batch in StepBatches(LENGTHS, 8, seed=8)]
    assert other != [set(step) for step in steps_of(8, 1, 1)]


def test_grouping_by_length_pads_less_on_real_windows(shared_data: Path):
    lengths = pd.read_csv(shared_data / "ecoli_coding_noncoding.csv")["DNA_sequence"].str.len().to_numpy()

    def padded(grouped: bool) -> float:
        batches = [[row for row, _ in batch] for batch in StepBatches(lengths, 8, grouped=grouped)]
        computed = sum(lengths[batch].max() * len(batch) for batch in batches)
        return 1 - lengths.sum() / computed

    assert padded(grouped=True) < 0.06
    assert padded(grouped=False) > 0.2


def test_evaluation_deals_every_row_to_one_process():
    dealt = [length_batches(LENGTHS, 8, 3, rank) for rank in range(3)]
    assert sorted(row for batches in dealt for batch in batches for row in batch) == list(range(50))


def test_a_batch_is_padded_with_the_tokenizers_id_and_masked():
    items = [{"row": 4, "input": [1, 9, 2], "label": 1, "weight": 0.5}]
    items.append({"row": 2, "input": [1, 7, 8, 9, 2], "label": 0, "weight": 0.5})
    batch = Collator(pad_id=3)(items)
    assert batch["input_ids"].tolist() == [[1, 9, 2, 3, 3], [1, 7, 8, 9, 2]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch["labels"].tolist() == [1, 0] and batch["rows"].tolist() == [4, 2]
    assert "attention_mask" not in Collator(3)(items[:1])
