"""What DNABERT-2 gives back: padding, attentions, hidden states, other inputs, other precisions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from biollm_widgets.models import dnabert2
from biollm_widgets.models.dnabert2 import (
    DNABert2Config,
    DNABert2ForMaskedLM,
    DNABert2ForSequenceClassification,
    DNABert2Model,
)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> bool:
    assert a.shape == b.shape
    return (a - b).abs().max().item() < tolerance


@pytest.fixture
def model(tiny: DNABert2Config) -> DNABert2Model:
    return DNABert2Model(tiny).eval()


# Padding


@torch.inference_mode()
def test_a_sequence_gets_the_same_vectors_alone_and_in_any_batch(model: DNABert2Model, batch: Any) -> None:
    together = model(**batch)
    order = torch.tensor([2, 0, 1])
    shuffled = model(batch["input_ids"][order], batch["attention_mask"][order])
    for row, length in enumerate([9, 5, 1]):
        alone = model(batch["input_ids"][row : row + 1, :length])
        assert close(together[0][row, :length], alone[0][0])
        assert close(together.pooler_output[row], alone.pooler_output[0])
        assert close(shuffled.pooler_output[order.tolist().index(row)], alone.pooler_output[0])


@torch.inference_mode()
def test_padding_on_the_left_changes_nothing_but_the_place(model: DNABert2Model, batch: Any) -> None:
    right = model(**batch)
    ids, mask = (
        torch.stack([x.roll(shift) for x, shift in zip(batch[name], (0, 4, 8), strict=True)]) for name in batch
    )
    left = model(ids, mask)
    for row, length in enumerate([9, 5, 1]):
        assert close(left[0][row, 9 - length :], right[0][row, :length])
    assert close(left.pooler_output, right.pooler_output)


@torch.inference_mode()
def test_padding_comes_back_as_zeros_in_every_hidden_state(model: DNABert2Model, batch: Any) -> None:
    out = model(**batch, output_hidden_states=True)
    padding = batch["attention_mask"] == 0
    for states in (out.last_hidden_state, *out.hidden_states):
        assert states[padding].eq(0).all()
        assert states[~padding].ne(0).all()


@torch.inference_mode()
def test_without_a_mask_padding_is_attended_to_as_in_the_published_code(model: DNABert2Model, batch: Any) -> None:
    ids, ones = batch["input_ids"], torch.ones_like(batch["attention_mask"])
    bare = model(ids)
    assert close(bare[0], model(ids, ones)[0])
    assert not close(bare[0][1, :5], model(**batch)[0][1, :5], 1e-2)


@torch.inference_mode()
def test_what_stands_at_padding_does_not_matter(model: DNABert2Model, batch: Any) -> None:
    other = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, 0)
    assert torch.equal(model(**batch)[0], model(other, batch["attention_mask"])[0])


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_row_of_nothing_but_padding_gives_no_nan(model: DNABert2Model, batch: Any, dtype: torch.dtype) -> None:
    mask = batch["attention_mask"].clone()
    mask[1] = 0
    out = model.to(dtype)(batch["input_ids"], mask, output_attentions=True)
    assert out.last_hidden_state[1].eq(0).all()
    for value in (out.last_hidden_state, out.pooler_output, *out.attentions):
        assert value.isfinite().all()


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float32])
def test_a_mask_may_be_of_any_type(model: DNABert2Model, batch: Any, dtype: torch.dtype) -> None:
    out = model(batch["input_ids"], batch["attention_mask"].to(dtype))
    assert torch.equal(out.pooler_output, model(**batch).pooler_output)


# Attentions and hidden states


@torch.inference_mode()
def test_attentions_are_probabilities_that_leave_padding_out(model: DNABert2Model, batch: Any) -> None:
    out = model(**batch, output_attentions=True)
    assert [a.shape for a in out.attentions] == [(3, 3, 9, 9)] * 2
    for weights in out.attentions:
        assert close(weights.sum(-1), torch.ones(3, 3, 9))
        assert weights[1, :, :5, 5:].eq(0).all()
    assert close(out.last_hidden_state, model(**batch).last_hidden_state)


@torch.inference_mode()
def test_hidden_states_run_from_the_embeddings_to_the_last_layer(model: DNABert2Model, batch: Any) -> None:
    out = model(**batch, output_hidden_states=True)
    assert [h.shape for h in out.hidden_states] == [(3, 9, 24)] * 3
    assert torch.equal(out.hidden_states[-1], out.last_hidden_state)
    embedded = model.embeddings(model.embeddings.word_embeddings(batch["input_ids"]))
    assert torch.equal(out.hidden_states[0][0], embedded[0])
    assert model(**batch).hidden_states is None


@torch.inference_mode()
@pytest.mark.parametrize("kind", [DNABert2Model, DNABert2ForMaskedLM, DNABert2ForSequenceClassification])
def test_a_tuple_comes_back_in_the_same_order_on_request(tiny: DNABert2Config, batch: Any, kind: Any) -> None:
    model = kind(tiny).eval()
    wanted = {"output_attentions": True, "output_hidden_states": True}
    named = model(**batch, **wanted)
    plain = model(**batch, **wanted, return_dict=False)
    assert type(plain) is tuple
    assert len(plain) == len(named.to_tuple())
    assert torch.equal(plain[0], named[0])
    assert torch.equal(plain[-1][1], named.attentions[1])
    model.config.return_dict = False
    assert type(model(**batch)) is tuple


@torch.inference_mode()
def test_the_config_can_ask_for_hidden_states_and_attentions(tiny: DNABert2Config, batch: Any) -> None:
    tiny.output_hidden_states = True
    tiny._attn_implementation = "eager"
    tiny.output_attentions = True
    out = DNABert2ForMaskedLM(tiny).eval()(**batch)
    assert len(out.hidden_states) == 3 and len(out.attentions) == 2


@pytest.mark.parametrize("training", [False, True])
def test_eager_attention_and_sdpa_give_the_same_numbers_and_gradients(
    tiny: DNABert2Config, batch: Any, training: bool
) -> None:
    tiny.hidden_dropout_prob = 0.0
    results = []
    for way in ("sdpa", "eager"):
        torch.manual_seed(0)
        model = DNABert2Model._from_config(tiny, attn_implementation=way).train(training)
        assert model.config._attn_implementation == way
        out = model(**batch)
        assert out.attentions is None
        out.pooler_output.sum().backward()
        results.append((out.last_hidden_state, model.encoder.layer[0].attention.self.Wqkv.weight.grad))
    (states, gradient), (states_eager, gradient_eager) = results
    assert close(states, states_eager)
    assert close(gradient, gradient_eager, 1e-4)


@pytest.mark.parametrize("way", ["sdpa", "eager"])
def test_the_way_of_attention_asked_for_is_the_one_taken(
    tiny: DNABert2Config, batch: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    model = DNABert2Model._from_config(tiny, attn_implementation=way)
    calls = []
    kernel = dnabert2.F.scaled_dot_product_attention
    monkeypatch.setattr(dnabert2.F, "scaled_dot_product_attention", lambda *a, **k: calls.append(1) or kernel(*a, **k))
    model(**batch)
    assert len(calls) == {"sdpa": 2, "eager": 0}[way]


def test_attention_that_this_model_does_not_have_is_refused(tiny: DNABert2Config) -> None:
    with pytest.raises((ValueError, ImportError)):
        DNABert2Model._from_config(tiny, attn_implementation="flash_attention_2")


# Other inputs


@torch.inference_mode()
def test_embeddings_may_be_given_in_place_of_ids(model: DNABert2Model, batch: Any) -> None:
    words = model.get_input_embeddings()(batch["input_ids"])
    out = model(inputs_embeds=words, attention_mask=batch["attention_mask"])
    assert torch.equal(out[0], model(**batch)[0])


@pytest.mark.parametrize("names", [(), ("input_ids", "inputs_embeds")])
def test_ids_and_embeddings_are_one_or_the_other(model: DNABert2Model, batch: Any, names: tuple) -> None:
    given = {"input_ids": batch["input_ids"], "inputs_embeds": torch.zeros(3, 9, 24)}
    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        model(**{name: given[name] for name in names})


@torch.inference_mode()
def test_token_types_are_zero_unless_given(model: DNABert2Model, batch: Any) -> None:
    zeros = torch.zeros_like(batch["input_ids"])
    assert torch.equal(model(**batch, token_type_ids=zeros)[0], model(**batch)[0])
    assert not close(model(**batch, token_type_ids=zeros + 1)[0], model(**batch)[0], 1e-2)


def test_packed_lengths_must_add_up(model: DNABert2Model) -> None:
    with pytest.raises(ValueError, match="add up to 5, but there are 6"):
        model.forward_packed(torch.zeros(6, dtype=torch.long), [2, 3])


@torch.inference_mode()
def test_packed_sequences_do_not_see_each_other(model: DNABert2Model, batch: Any) -> None:
    real = batch["attention_mask"] == 1
    packed = model.forward_packed(batch["input_ids"][real], [9, 5, 1])
    assert close(packed, model(**batch)[0][real])


@torch.inference_mode()
@pytest.mark.parametrize("lengths", [[4, 4, 4, 7, 7, 1], [1300, 3], [513], [512, 512, 2]])
def test_packing_takes_equal_lengths_long_sequences_and_any_order(model: DNABert2Model, lengths: list[int]) -> None:
    ids = torch.randint(5, 64, (sum(lengths),))
    packed = model.forward_packed(ids, lengths).split(lengths)
    for alone, together in zip(ids.split(lengths), packed, strict=True):
        assert close(together, model(alone[None])[0][0])


@torch.inference_mode()
def test_packing_can_stop_after_any_layer(model: DNABert2Model, batch: Any) -> None:
    real = batch["attention_mask"] == 1
    states = model(**batch, output_hidden_states=True).hidden_states
    for layers, known in enumerate(states):
        assert close(model.forward_packed(batch["input_ids"][real], [9, 5, 1], layers), known[real])


@torch.inference_mode()
def test_packing_works_in_half_precision_and_under_autocast(model: DNABert2Model) -> None:
    ids, lengths = torch.randint(5, 64, (700,)), [600, 50, 50]
    full = model.forward_packed(ids, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert close(model.forward_packed(ids, lengths).float(), full, 0.2)
    half = model.half().forward_packed(ids, lengths)
    assert half.dtype == torch.float16
    assert close(half.float(), full, 0.03)


# Precision


@torch.inference_mode()
@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 0.15), (torch.float16, 0.02)])
@pytest.mark.parametrize("way", ["sdpa", "eager"])
def test_the_whole_model_works_in_half_precision(
    tiny: DNABert2Config, batch: Any, dtype: torch.dtype, tolerance: float, way: str
) -> None:
    model = DNABert2Model._from_config(tiny, attn_implementation=way).eval()
    full = model(**batch)
    half = model.to(dtype)(**batch)
    assert half.last_hidden_state.dtype == half.pooler_output.dtype == dtype
    assert close(half.last_hidden_state.float(), full.last_hidden_state, tolerance)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("with_weights", [True, False])
@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 0.15), (torch.float16, 0.02)])
def test_autocast_gives_finite_numbers_near_full_precision_and_gradients(
    tiny: DNABert2Config, batch: Any, dtype: torch.dtype, tolerance: float, masked: bool, with_weights: bool
) -> None:
    tiny.hidden_dropout_prob = 0.0
    model = DNABert2Model(tiny).train()
    given = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"] if masked else None}
    full = model(**given)[0]
    with torch.autocast("cpu", dtype=dtype):
        out = model(**given, output_attentions=with_weights)
    assert close(out[0].float(), full, tolerance)
    assert not torch.equal(out[0].float(), full)
    out.pooler_output.float().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert model.encoder.layer[0].attention.self.Wqkv.weight.grad.abs().sum() > 0


@torch.inference_mode()
def test_a_long_sequence_stays_finite_in_float16(tiny: DNABert2Config) -> None:
    # A penalty of 10,000 for padding on top of ALiBi's has to stay below 65,504.
    model = DNABert2Model(tiny).eval().half()
    ids = torch.randint(5, 64, (1, 1200))
    mask = torch.ones_like(ids)
    mask[:, 100:] = 0
    assert model(ids, mask)[0].isfinite().all()


# Other ways to run it


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@torch.inference_mode()
def test_it_can_be_traced_and_exported(model: DNABert2Model, batch: Any) -> None:
    class First(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            return self.model(ids, mask)[0]

    ids = torch.randint(5, 64, (3, 12))
    example = (ids, torch.ones_like(ids).tril(4))
    traced = torch.jit.trace(First(), example)
    rows, length = torch.export.Dim("rows"), torch.export.Dim("length")
    exported = torch.export.export(First(), example, dynamic_shapes=({0: rows, 1: length}, {0: rows, 1: length}))
    for given in (tuple(batch.values()), (ids.repeat(2, 5), torch.ones(6, 60))):
        known = model(*given)[0]
        assert close(traced(*given), known)
        assert close(exported.module()(given[0], given[1].long()), known)
