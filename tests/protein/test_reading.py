"""A design can be walked token by token: which residues each wrote, and how likely it was."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from biollm_widgets.protein.generation import Pieces, generate, walk
from biollm_widgets.protein.scoring import mean_nats

MOTIF = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"
LOADED = {"progress": False}


@pytest.fixture(scope="module", params=["stand_in", "real_vocabulary"])
def made(request):
    """Designs with line breaks, of a model that mostly writes residues and of one that writes any bytes at all."""
    tokenizer, model = request.getfixturevalue(request.param)
    prompt = MOTIF + MOTIF
    return tokenizer, generate(
        prompt, 6, seed=5, max_length=170, temperature=1.5, model=model, tokenizer=tokenizer, **LOADED
    )


def test_the_residues_of_the_tokens_are_the_sequence_each_at_its_place(made):
    tokenizer, designs = made
    pieces = Pieces(tokenizer)
    for design in designs:
        steps = walk(design, tokenizer)
        assert [step.index for step in steps] == list(range(design.tokens))
        assert "".join(design.sequence[step.start : step.end] for step in steps) == design.sequence
        assert steps[0].start == 0 and steps[-1].end == design.residues
        for step, after in pairwise(steps):
            assert step.end == after.start
        for step in steps[:-1]:
            assert design.sequence[step.start : step.end] == pieces(step.id)


def test_steps_have_the_ids_and_probabilities_of_the_design(made):
    tokenizer, designs = made
    opening = tokenizer(f"<|endoftext|>\n{(MOTIF + MOTIF)[:60]}\n{(MOTIF + MOTIF)[60:]}")["input_ids"]
    for design in designs:
        steps = walk(design, Pieces(tokenizer))
        given, chosen = steps[: len(opening)], steps[len(opening) :]
        assert [step.id for step in given] == opening and all(step.given for step in given)
        assert all(math.isnan(step.probability) for step in given) and math.isnan(given[0].log_probability)
        assert not any(step.given for step in chosen)
        assert [(s.id, s.log_probability, s.probability) for s in chosen] == list(design.choices)
        assert chosen[0].by_model == pytest.approx(math.exp(design.choices[0].log_probability))


def test_what_the_model_thought_of_the_prompt_is_told_where_it_was_asked(stand_in):
    tokenizer, model = stand_in
    design = generate(MOTIF, 1, seed=1, max_length=60, model=model, tokenizer=tokenizer, **LOADED)[0]
    given = [step for step in walk(design, tokenizer) if step.given]
    mean = -sum(step.log_probability for step in given[1:]) / (len(given) - 1)
    assert mean == pytest.approx(mean_nats([[step.id for step in given]], model)[0], rel=1e-4)
    quick = generate(MOTIF, 1, seed=1, max_length=60, model=model, tokenizer=tokenizer, with_perplexity=False, **LOADED)
    assert all(math.isnan(step.log_probability) for step in walk(quick[0], tokenizer) if step.given)


def test_line_breaks_and_the_end_write_no_residue(stand_in):
    tokenizer, model = stand_in
    designs = generate(None, 8, seed=1, max_length=300, model=model, tokenizer=tokenizer, **LOADED)
    steps = [step for design in designs for step in walk(design, tokenizer)]
    breaks = [step for step in steps if step.text == "\n"]
    ends = [step for step in steps if step.text == "<|endoftext|>"]
    assert breaks and all(step.start == step.end for step in breaks)
    assert len(ends) == 8 + sum(design.finished for design in designs)
    assert all(step.start == step.end for step in ends)


def test_an_end_that_is_a_residue_is_no_part_of_the_sequence(stand_in):
    tokenizer, model = stand_in
    leucine = tokenizer("L")["input_ids"][0]
    designs = generate(None, 6, seed=1, eos_token_id=leucine, model=model, tokenizer=tokenizer, **LOADED)
    ended = [design for design in designs if design.finished]
    assert ended
    for design in ended:
        last = walk(design, tokenizer)[-1]
        assert last.id == leucine and last.start == last.end == design.residues


def test_bytes_in_any_order_agree_with_the_text_as_a_whole(stand_in):
    from biollm_widgets.protein.layout import residues_of

    tokenizer, _ = stand_in
    pieces = Pieces(tokenizer)
    generator = torch.Generator().manual_seed(3)
    for _ in range(200):
        ids = torch.randint(1, 512, (12,), generator=generator).tolist()
        text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert "".join(map(pieces, ids)) == residues_of(text).sequence


def test_letters_of_a_special_token_are_no_residues(stand_in):
    import copy

    tokenizer = copy.deepcopy(stand_in[0])
    tokenizer.add_special_tokens({"cls_token": "<CLS>"})
    pieces = Pieces(tokenizer)
    assert pieces(tokenizer.cls_token_id) == "" and pieces.text(tokenizer.cls_token_id) == "<CLS>"
    assert pieces.kind(tokenizer.cls_token_id) == "other"


def test_a_token_is_looked_up_once(stand_in):
    tokenizer, _ = stand_in
    asked = []

    class Watched:
        all_special_ids, eos_token, eos_token_id = tokenizer.all_special_ids, tokenizer.eos_token, 0

        def decode(self, ids, **how):
            asked.append(ids)
            return tokenizer.decode(ids, **how)

    pieces = Pieces(Watched())
    assert [pieces(300) for _ in range(3)] == [tokenizer.decode([300])] * 3
    assert asked == [[300]]
