"""Dropout by row: a share of the values, the same for a row wherever it is computed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from biollm_widgets.dna.finetuning.dropout import drop_by_row


@pytest.fixture
def thinned():
    """What dropout leaves of ones, (rows, tokens, 16), for these rows in this step."""
    model = nn.Sequential(nn.Dropout(0.25), nn.Dropout(0.25))
    draw = drop_by_row(model, seed=3)

    def run(rows, tokens, step=0, layer=0):
        draw.rows, draw.step = rows, step
        return model[layer](torch.ones(len(rows), tokens, 16))

    return run


def test_a_row_gets_the_same_dropout_in_any_batch_and_with_any_padding(thinned):
    batch = thinned([4, 7, 9], 50)
    assert torch.equal(thinned([9], 50)[0], batch[2])
    assert torch.equal(thinned([9, 1], 30)[0], batch[2, :30])


def test_rows_steps_and_layers_differ(thinned):
    one = thinned([4, 7], 50)
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one, thinned([4, 7], 50, step=1))
    assert not torch.equal(one, thinned([4, 7], 50, layer=1))


def test_the_mean_is_kept_and_the_share_is_p(thinned):
    values = thinned(list(range(40)), 100)
    assert (values == 0).float().mean() == pytest.approx(0.25, abs=0.01)
    assert values.mean() == pytest.approx(1.0, abs=0.01)


def test_nothing_is_dropped_in_evaluation():
    model = nn.Sequential(nn.Dropout(0.5))
    drop_by_row(model, seed=1).rows = [0]
    assert torch.equal(model.eval()(torch.ones(1, 4)), torch.ones(1, 4))
