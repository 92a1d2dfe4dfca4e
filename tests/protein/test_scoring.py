"""Perplexity is exp(loss) on the layout of ProtGPT2's authors, whatever the batch."""

from __future__ import annotations

import math

import pytest
import torch

from biollm_widgets.errors import InputError
from biollm_widgets.protein.layout import layout_of, residues_of
from biollm_widgets.protein.scoring import mean_nats, perplexity
from biollm_widgets.sequences import read_fasta


def authors(sequence: str, tokenizer, model) -> float:
    """As their model card computes it."""
    lines = "\n".join(sequence[i : i + 60] for i in range(0, len(sequence), 60))
    ids = torch.tensor(tokenizer.encode(f"<|endoftext|>\n{lines}\n<|endoftext|>")).unsqueeze(0)
    with torch.no_grad():
        return math.exp(model(ids, labels=ids).loss)


@pytest.fixture(scope="module")
def card(shared_data) -> list[str]:
    """The ten zero-shot sequences of ProtGPT2's model card."""
    return [
        record.sequence for record in read_fasta(shared_data / "proteins" / "protgpt2_model_card_10.fasta", "protein")
    ]


def test_the_model_cards_ten_have_exp_of_the_loss_to_four_digits(card, real_vocabulary):
    tokenizer, model = real_vocabulary
    assert len(card) == 10
    expected = [authors(sequence, tokenizer, model) for sequence in card]
    assert perplexity(card, tokenizer, model) == pytest.approx(expected, rel=1e-5)


def test_so_they_have_with_the_embedded_model(card, stand_in):
    tokenizer, model = stand_in
    assert perplexity(card, tokenizer, model) == pytest.approx(
        [authors(sequence, tokenizer, model) for sequence in card], rel=1e-5
    )


@pytest.mark.parametrize("batch_tokens", [1, 300, 100_000])
def test_the_batch_does_not_matter(card, stand_in, batch_tokens):
    tokenizer, model = stand_in
    assert perplexity(card, tokenizer, model, batch_tokens=batch_tokens) == pytest.approx(
        perplexity(card, tokenizer, model), rel=1e-5
    )


def test_one_sequence_may_be_a_plain_text_and_the_model_is_left_as_it_was(stand_in):
    tokenizer, model = stand_in
    model.train()
    try:
        first, second = perplexity("MKTAYIAKQR", tokenizer, model), perplexity(["MKTAYIAKQR"], tokenizer, model)
        assert model.training
    finally:
        model.eval()
    assert first.shape == (1,) and first == second  # dropout was off both times


def test_a_model_may_be_given_by_name(monkeypatch, stand_in):
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    assert perplexity("MKTAYIAKQR") == pytest.approx(perplexity("MKTAYIAKQR", *stand_in), rel=1e-6)
    with pytest.raises(InputError, match="goes with its tokenizer"):
        perplexity("MKTAYIAKQR", model=stand_in[1])


def test_natural_proteins_surprise_the_embedded_model_less_than_the_same_residues_shuffled(shared_data, stand_in):
    from random import Random

    tokenizer, model = stand_in
    records = read_fasta(shared_data / "proteins" / "UP000000625_ecoli.fasta.gz", "protein", duplicates="keep")
    natural = [record.sequence for record in records if 100 < len(record.sequence) < 300][:40]
    shuffled = ["".join(Random(i).sample(sequence, len(sequence))) for i, sequence in enumerate(natural)]
    lower = perplexity(natural, tokenizer, model) < perplexity(shuffled, tokenizer, model)
    assert lower.mean() > 0.8


def test_what_cannot_be_scored_is_one_sentence(stand_in):
    tokenizer, model = stand_in
    with pytest.raises(InputError, match="Sequence 2 has no residues"):
        perplexity(["MK", ""], tokenizer, model)
    with pytest.raises(InputError, match=r"Sequence 1 is [\d,]+ tokens long, and the model has 1,024 positions"):
        perplexity(["MKLV" * 1000], tokenizer, model)


def test_rows_of_ids_are_scored_over_all_tokens_but_the_first(stand_in):
    _, model = stand_in
    row = [0, 199, 45, 44, 45, 199, 0]
    with torch.no_grad():
        loss = model(torch.tensor([row]), labels=torch.tensor([row])).loss.item()
    assert mean_nats([row], model)[0] == pytest.approx(loss, rel=1e-6)


def test_the_layout_is_the_training_texts(published_tokenizer):
    layout = layout_of(published_tokenizer)
    assert layout.opening() == "<|endoftext|>"
    assert layout.opening("MK" * 31) == "<|endoftext|>\n" + "MK" * 30 + "\nMK"
    assert layout.whole("MKV") == "<|endoftext|>\nMKV\n<|endoftext|>"
    ids = layout.ids(published_tokenizer, layout.whole("MKV"))
    assert ids[:2] == [0, 199] and ids[-2:] == [199, 0]


def test_what_is_no_residue_is_left_out_and_counted():
    assert residues_of("MKV\nLLX\n") == ("MKVLLX", 0)
    assert residues_of("mK1V*") == ("KV", 3)
