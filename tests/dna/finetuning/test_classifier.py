"""The short cuts of the classifier that is trained: same numbers, same gradients, a plain checkpoint."""

from __future__ import annotations

import json

import pytest
import torch

from biollm_widgets.dna.finetuning.classifier import FineTunedClassifier, states_to_store
from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2ForSequenceClassification

CONFIG = DNABert2Config(
    vocab_size=40, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=48, num_labels=3
)


@pytest.fixture
def pair():
    """The public class and ours with the same weights, a padded batch, and no dropout."""
    torch.manual_seed(1)
    public = DNABert2ForSequenceClassification(CONFIG).eval()
    ours = FineTunedClassifier(CONFIG).eval()
    ours.load_state_dict(public.state_dict())
    ids = torch.randint(5, 40, (3, 11))
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    mask[2, 9:] = 0
    return public, ours, ids, mask, torch.tensor([0, 2, 1])


def test_computing_the_last_layer_at_cls_alone_changes_neither_logits_nor_gradients(pair):
    public, ours, ids, mask, labels = pair
    one = public(ids, mask, labels=labels)
    two = ours(ids, mask, labels=labels)
    torch.testing.assert_close(two.logits, one.logits, rtol=0, atol=1e-6)
    one.loss.backward()
    two.loss.backward()
    for (name, expected), (_, found) in zip(public.named_parameters(), ours.named_parameters(), strict=True):
        if expected.grad is None:
            assert found.grad is None, name
        else:
            torch.testing.assert_close(found.grad, expected.grad, rtol=0, atol=1e-6, msg=name)


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_going_on_from_stored_states_gives_the_same_logits(pair, first):
    public, ours, ids, mask, _ = pair
    ours.first_layer = first
    hidden = states_to_store(ours, ids, mask)
    assert hidden.shape == ((3, 11, 24) if first < 3 else (3, 1, 24))
    found = ours(hidden=hidden.clone(), attention_mask=mask).logits
    torch.testing.assert_close(found, public(ids, mask).logits, rtol=0, atol=1e-6)


def test_gradient_checkpointing_gives_the_same_gradients(pair):
    _, ours, ids, mask, labels = pair
    ours.train()
    for module in ours.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    ours(ids, mask, labels=labels).loss.backward()
    expected = ours.bert.encoder.layer[0].attention.self.Wqkv.weight.grad.clone()
    ours.zero_grad()
    ours.gradient_checkpointing_enable()
    ours(ids, mask, labels=labels).loss.backward()
    torch.testing.assert_close(ours.bert.encoder.layer[0].attention.self.Wqkv.weight.grad, expected, rtol=0, atol=1e-7)


def test_what_is_saved_is_a_checkpoint_of_the_public_class(pair, tmp_path):
    public, ours, ids, mask, _ = pair
    ours.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["DNABert2ForSequenceClassification"]
    loaded = DNABert2ForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded(ids, mask).logits, public(ids, mask).logits)
    assert loaded.config.num_labels == 3


def test_hidden_states_and_attentions_can_still_be_asked_for(pair):
    _, ours, ids, mask, _ = pair
    found = ours(ids, mask, output_hidden_states=True, output_attentions=True)
    assert len(found.hidden_states) == 4 and len(found.attentions) == 3
