"""Generating proteins: the chapter's parameters, the seed, stopping, and what each design says of itself."""

from __future__ import annotations

import copy
import math
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from biollm_widgets.errors import InputError
from biollm_widgets.protein import loading
from biollm_widgets.protein.generation import Settings, generate, generate_again
from biollm_widgets.protein.generation.cache import kept, repeated
from biollm_widgets.protein.generation.decoding import grow
from biollm_widgets.protein.generation.sampling import draw, processors, uniforms
from biollm_widgets.protein.scoring import perplexity
from biollm_widgets.sequences import AMINO_ACIDS
from tests.protein.conftest import STAND_IN, random_gpt2

MOTIF = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"  # the chapter's prompt
LOADED = {"progress": False}


@pytest.fixture(scope="module")
def ten(stand_in):
    """The chapter's call: ten proteins from nothing, with the authors' settings."""
    tokenizer, model = stand_in
    return generate("<|endoftext|>", 10, seed=1, model=model, tokenizer=tokenizer, **LOADED)


# --- What comes out


def test_ten_proteins_from_nothing_are_residues_alone_and_say_whether_they_ended(ten):
    assert len(ten) == 10 and len(set(ten.sequences)) == 10
    for design in ten:
        assert design.sequence and not set(design.sequence) - set(AMINO_ACIDS)
        assert design.finished == (design.choices[-1].id == 0)
        assert design.tokens == 1 + len(design.choices) <= 100
        assert design.finished or design.tokens == 100
        assert "".join(design.text.split()) == design.sequence or design.left_out
    assert f"{sum(design.finished for design in ten)} ended by" in ten.finding and "Seed 1." in ten.finding


def test_the_same_seed_gives_the_same_sequences_and_another_gives_others(stand_in, ten):
    tokenizer, model = stand_in
    again = generate(None, 10, seed=1, model=model, tokenizer=tokenizer, **LOADED)
    other = generate(None, 10, seed=2, model=model, tokenizer=tokenizer, **LOADED)
    assert again.sequences == ten.sequences
    assert not set(other.sequences) & set(ten.sequences)


def test_a_sequence_does_not_depend_on_how_many_are_made_beside_it(stand_in, ten):
    tokenizer, model = stand_in
    assert generate(None, 4, seed=1, model=model, tokenizer=tokenizer, **LOADED).sequences == ten.sequences[:4]


def test_without_a_seed_one_is_chosen_told_and_makes_the_same_again(stand_in):
    tokenizer, model = stand_in
    first = generate(None, 2, max_length=30, model=model, tokenizer=tokenizer, **LOADED)
    second = generate(None, 2, max_length=30, model=model, tokenizer=tokenizer, **LOADED)
    assert first.sequences != second.sequences
    again = generate_again(first.to_json(), model=model, tokenizer=tokenizer, **LOADED)
    assert again.sequences == first.sequences


def test_settings_saved_as_json_make_the_same_sequences_again_and_name_their_model(stand_in, tmp_path, capsys):
    tokenizer, _ = stand_in
    made = generate(
        MOTIF, 3, max_length=60, temperature=0.7, top_k=40, top_p=0.9, repetition_penalty=1.1, seed=7,
        model=STAND_IN, **LOADED,
    )  # fmt: skip
    made.to_json(tmp_path / "settings.json")
    again = generate_again(tmp_path / "settings.json", **LOADED)
    assert again.sequences == made.sequences and again.settings == made.settings
    assert "another model" not in capsys.readouterr().err
    generate_again(tmp_path / "settings.json", model=random_gpt2(512), tokenizer=tokenizer, **LOADED)
    assert "These settings were used with another model (stand-in for nferruz/ProtGPT2;" in capsys.readouterr().err


def test_every_design_begins_with_the_prompt(stand_in):
    tokenizer, model = stand_in
    made = generate(f"<|endoftext|>\n{MOTIF}", 3, seed=3, model=model, tokenizer=tokenizer, **LOADED)
    assert all(sequence.startswith(MOTIF) and len(sequence) > len(MOTIF) for sequence in made.sequences)
    opening = len(tokenizer(f"<|endoftext|>\n{MOTIF}")["input_ids"])
    assert all(design.tokens == opening + len(design.choices) for design in made)


def test_line_breaks_are_no_residues_and_do_not_shorten_a_sequence(stand_in):
    tokenizer, model = stand_in
    made = generate(MOTIF + MOTIF, 2, seed=5, max_length=150, model=model, tokenizer=tokenizer, **LOADED)
    for design in made:
        assert "\n" in design.text and "\n" not in design.sequence
        assert len(design.text.replace("\n", "")) == design.residues + design.left_out


def test_the_names_of_the_chapter_are_taken(stand_in):
    tokenizer, model = stand_in
    made = generate(
        "<|endoftext|>", max_length=20, do_sample=True, top_k=950, repetition_penalty=1.2, num_return_sequences=3,
        eos_token_id=0, seed=1, model=model, tokenizer=tokenizer, **LOADED,
    )  # fmt: skip
    assert len(made) == made.settings.n == 3
    with pytest.raises(InputError, match="n is 4 and num_return_sequences 3"):
        generate(None, 4, num_return_sequences=3, model=model, tokenizer=tokenizer)


def test_another_end_token_ends_sequences_and_none_of_its_kind_is_in_them(stand_in):
    tokenizer, model = stand_in
    leucine = tokenizer("L")["input_ids"][0]
    made = generate(None, 6, seed=1, eos_token_id=leucine, model=model, tokenizer=tokenizer, **LOADED)
    for design in made:
        assert (design.choices[-1].id == leucine) == design.finished
        assert leucine not in [choice.id for choice in design.choices[:-1]]
    assert any(design.finished for design in made)


# --- Against transformers' own generate


@pytest.mark.parametrize("prompt", ["", MOTIF])
def test_greedy_tokens_are_those_of_transformers(real_vocabulary, prompt):
    tokenizer, model = real_vocabulary
    made = generate(prompt, 1, do_sample=False, max_length=60, model=model, tokenizer=tokenizer, **LOADED)
    ids = torch.tensor([tokenizer(f"<|endoftext|>\n{prompt}" if prompt else "<|endoftext|>")["input_ids"]])
    theirs = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_length=60, repetition_penalty=1.2,
        eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    assert [choice.id for choice in made[0].choices] == theirs[0, ids.size(1) :].tolist()


def test_each_token_was_drawn_with_the_probability_that_transformers_gives_it(stand_in):
    tokenizer, model = stand_in
    settings = {"temperature": 0.8, "top_k": 60, "top_p": 0.9, "repetition_penalty": 1.3}
    made = generate(MOTIF, 1, seed=4, max_length=60, model=model, tokenizer=tokenizer, **settings, **LOADED)
    ids = tokenizer(f"<|endoftext|>\n{MOTIF}")["input_ids"]
    for choice in made[0].choices:
        # One step of their generate from the same tokens, with the scores that it would sample from.
        step = model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=True,
            max_new_tokens=1, output_scores=True, output_logits=True, return_dict_in_generate=True, eos_token_id=0,
            pad_token_id=0, **settings,
        )  # fmt: skip
        assert step.scores[0].softmax(-1)[0, choice.id].item() == pytest.approx(choice.probability, rel=1e-4)
        logged = step.logits[0].float().log_softmax(-1)[0, choice.id].item()
        assert logged == pytest.approx(choice.log_probability, abs=1e-4)
        ids.append(choice.id)


def test_draws_follow_the_probabilities_and_never_take_what_was_cut_off():
    probabilities = torch.tensor([[0.5, 0.0, 0.3, 0.2, 0.0]]).expand(20_000, -1)
    drawn = draw(probabilities, np.random.default_rng(0).random(20_000))
    shares = np.bincount(drawn.numpy(), minlength=5) / 20_000
    assert shares == pytest.approx([0.5, 0.0, 0.3, 0.2, 0.0], abs=0.015)
    assert shares[1] == shares[4] == 0
    edges = draw(torch.tensor([[0.0, 0.7, 0.3, 0.0]] * 2), np.array([0.0, np.nextafter(1.0, 0.0)]))
    assert edges.tolist() == [1, 2]


def test_random_numbers_of_a_row_do_not_depend_on_the_others():
    assert np.array_equal(uniforms(3, 2, 50), uniforms(3, 7, 50)[:2])
    assert np.array_equal(uniforms(3, 2, 50), uniforms(3, 2, 80)[:, :50])


def test_processors_stand_in_transformers_order_and_only_where_they_change_something():
    def names(**changes):
        return [type(p).__name__ for p in processors(replace(Settings(), **changes))]

    assert names(temperature=0.5, top_p=0.9) == [
        "RepetitionPenaltyLogitsProcessor", "TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper",
    ]  # fmt: skip
    assert names(repetition_penalty=1.0, top_k=0) == []
    assert names(do_sample=False, temperature=0.5) == ["RepetitionPenaltyLogitsProcessor"]


# --- The prompt is read once


def test_the_prompt_goes_through_the_model_once_for_all_sequences(stand_in):
    tokenizer, model = stand_in
    shapes = []
    hook = model.transformer.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple((args[0] if args else kwargs["input_ids"]).shape)),
        with_kwargs=True,
    )
    try:
        made = generate(MOTIF, 5, seed=1, max_length=60, model=model, tokenizer=tokenizer, with_perplexity=False)
    finally:
        hook.remove()
    assert shapes[0] == (1, len(tokenizer(f"<|endoftext|>\n{MOTIF}")["input_ids"]))
    assert all(length == 1 for _, length in shapes[1:])
    # What has ended costs nothing more.
    living = [sum(len(design.choices) > step for design in made) for step in range(1, len(shapes))]
    assert [rows for rows, _ in shapes[1:]] == living


def test_a_roomy_cache_gives_what_a_plain_one_gives_and_grows_when_it_must(stand_in):
    _, model = stand_in
    ids = torch.randint(260, 500, (1, 9), generator=torch.Generator().manual_seed(0))
    more = torch.randint(260, 500, (3, 6), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        past = repeated(model(ids, use_cache=True).past_key_values, 3, room=11)
        pieces = [model(more[:, :1], past_key_values=past, use_cache=True)]
        past = kept(pieces[0].past_key_values, torch.tensor([0, 2]))
        for i in range(1, 6):  # past the room of 11
            out = model(more[[0, 2], i : i + 1], past_key_values=past, use_cache=True)
            past = out.past_key_values
            whole = model(torch.cat([ids.expand(2, -1), more[[0, 2], : i + 1]], 1)).logits[:, -1]
            assert torch.allclose(out.logits[:, -1], whole, atol=1e-4)


def test_a_small_network_takes_one_thread_and_gives_the_others_back(stand_in):
    tokenizer, model = stand_in
    before, during = torch.get_num_threads(), []
    try:
        torch.set_num_threads(3)
        for n in (2, 200):
            callback = lambda growth: during.append(torch.get_num_threads())  # noqa: E731
            generate(None, n, seed=1, max_length=4, model=model, tokenizer=tokenizer, callback=callback)
        assert during == [1] * 3 + [3] * 3 and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_so_it_does_where_little_is_read(stand_in, monkeypatch):
    from biollm_widgets.protein import scoring
    from biollm_widgets.protein.generation import Explorer, Settings

    tokenizer, model = stand_in
    before, during = torch.get_num_threads(), []
    hook = model.register_forward_pre_hook(lambda *_: during.append(torch.get_num_threads()))
    try:
        torch.set_num_threads(3)
        perplexity([MOTIF] * 3, tokenizer, model)
        Explorer(tokenizer, model).after([0, 199], Settings())
        monkeypatch.setattr(scoring, "WHOLE", 1e6)
        perplexity([MOTIF] * 3, tokenizer, model)
        assert during == [1, 1, 3] and torch.get_num_threads() == 3
    finally:
        hook.remove()
        torch.set_num_threads(before)


# --- Perplexity


def test_the_perplexity_of_a_design_is_that_of_its_sequence(stand_in, ten):
    tokenizer, model = stand_in
    assert perplexity(ten.sequences, tokenizer, model) == pytest.approx([design.perplexity for design in ten], rel=1e-5)


@pytest.mark.parametrize("ends", [True, False])
def test_sequences_that_the_tokenizer_would_cut_the_same_way_are_not_computed_again(monkeypatch, stand_in, ends):
    from biollm_widgets.protein.generation import decoding, run

    tokenizer, model = stand_in
    protein = f"{MOTIF}NNVDLLKQLNLLLWVEDAIGRQATTTGSGNKKRFVIPGRICQASN"  # more than a line
    whole = tokenizer(f"<|endoftext|>\n{protein[:60]}\n{protein[60:]}\n<|endoftext|>")["input_ids"]
    # The draws are made to follow the tokenizer's own way through this protein.
    place = iter(whole[1:])
    monkeypatch.setattr(decoding, "draw", lambda _, uniform: torch.full((len(uniform),), next(place)))
    rows: list = []
    monkeypatch.setattr(run, "mean_nats", lambda given, *_, **__: rows.extend(given) or np.empty(0))
    length = len(whole) if ends else len(whole) - 2
    made = generate(None, 2, seed=2, max_length=length, model=model, tokenizer=tokenizer, **LOADED)
    assert made.sequences == [protein] * 2 and [design.finished for design in made] == [ends] * 2
    assert not rows
    exact = perplexity(protein, tokenizer, model)[0]
    assert [design.perplexity for design in made] == pytest.approx([exact] * 2, rel=1e-5)


def test_perplexity_can_be_left_out(stand_in):
    tokenizer, model = stand_in
    made = generate(None, 2, max_length=20, seed=1, model=model, tokenizer=tokenizer, with_perplexity=False)
    assert all(math.isnan(design.perplexity) for design in made)


# --- Stopping


def test_a_callback_sees_all_sequences_at_each_step_and_can_stop_them(stand_in, ten):
    tokenizer, model = stand_in
    seen = []

    def watch(growth):
        seen.append(list(growth.newest))
        if len(seen) == 12:
            growth.stop()

    made = generate(None, 10, seed=1, model=model, tokenizer=tokenizer, callback=watch, **LOADED)
    assert made.stopped and len(seen) == 12
    for i, (short, whole) in enumerate(zip(made, ten, strict=True)):
        told = [step[i] for step in seen if step[i] is not None]
        assert told == [choice.id for choice in short.choices] == [choice.id for choice in whole.choices[:12]]
    assert "cut off when you stopped" in made.finding


def test_ctrl_c_keeps_what_was_made(stand_in):
    tokenizer, model = stand_in

    def interrupt(growth):
        if growth.steps == 9:
            os.kill(os.getpid(), signal.SIGINT)

    made = generate(None, 5, seed=1, max_length=400, model=model, tokenizer=tokenizer, callback=interrupt, **LOADED)
    assert made.stopped and threading.current_thread() is threading.main_thread()
    assert 9 <= max(len(design.choices) for design in made) <= 11
    assert perplexity(made.sequences, tokenizer, model) == pytest.approx(
        [design.perplexity for design in made], rel=1e-5
    )


def test_ctrl_c_while_perplexity_is_computed_keeps_the_proteins(stand_in, monkeypatch):
    from biollm_widgets.protein.generation import run

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    tokenizer, model = stand_in
    monkeypatch.setattr(run, "mean_nats", interrupted)
    made = generate(None, 3, seed=1, max_length=30, model=model, tokenizer=tokenizer, **LOADED)
    assert made.stopped and all(made.sequences) and all(math.isnan(design.perplexity) for design in made)


def test_an_error_in_a_callback_is_not_swallowed(stand_in):
    tokenizer, model = stand_in
    with pytest.raises(ZeroDivisionError):
        generate(None, 2, seed=1, model=model, tokenizer=tokenizer, callback=lambda growth: 1 / 0)


# --- Lighter


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_a_lighter_precision_shows_what_it_does_to_perplexity_and_leaves_the_model_alone(stand_in, precision, capsys):
    tokenizer, model = stand_in
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    made = generate(MOTIF, 3, seed=1, max_length=60, precision=precision, model=model, tokenizer=tokenizer, **LOADED)
    said = capsys.readouterr().err
    assert made.fidelity is not None and f"{precision}: mean perplexity" in said and "in float32" in said
    assert made.fidelity.lighter == pytest.approx(made.fidelity.float32, rel=0.05)
    assert made.fidelity.lighter != made.fidelity.float32
    exact = perplexity(made.sequences[:2], tokenizer, model)
    assert made.fidelity.float32 == pytest.approx(exact.mean(), rel=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_lighter_copy_is_made_once_and_anew_when_the_model_has_changed():
    model = random_gpt2(300)
    first = loading.in_precision(model, "int8")
    assert loading.in_precision(model, "int8") is first
    assert loading.in_precision(model, "float32") is model
    with torch.no_grad():
        model.transformer.h[0].mlp.c_fc.weight.mul_(0.3)
    again = loading.in_precision(model, "int8")
    assert again is not first
    ids = torch.tensor([[0, 5, 9]])
    with torch.no_grad():
        assert not torch.allclose(first(ids).logits, again(ids).logits)
        assert torch.allclose(again(ids).logits, model(ids).logits, rtol=0.1, atol=0.5)


@pytest.mark.parametrize("precision", ["float32", "int8", "bf16"])
def test_a_sequence_does_not_depend_on_its_company_in_any_precision(stand_in, precision):
    tokenizer, model = stand_in
    options = {"seed": 1, "max_length": 60, "precision": precision, "with_perplexity": False, **LOADED}
    many = generate(MOTIF, 6, model=model, tokenizer=tokenizer, **options)
    alone = generate(MOTIF, 1, model=model, tokenizer=tokenizer, **options)
    assert alone.sequences == many.sequences[:1]


def test_a_model_that_trains_or_is_in_half_precision_is_left_so_and_computed_in_float32(stand_in):
    tokenizer, model = stand_in
    expected = generate(MOTIF, 2, seed=1, max_length=40, model=model, tokenizer=tokenizer, **LOADED)
    half = copy.deepcopy(model).half().train()
    half.transformer.h[1].eval()
    modes = [module.training for module in half.modules()]
    for precision in ("float32", "int8"):
        made = generate(MOTIF, 2, seed=1, max_length=40, precision=precision, model=half, tokenizer=tokenizer, **LOADED)
        assert all(math.isfinite(design.perplexity) for design in made)
        if precision == "float32":
            assert made.sequences == expected.sequences  # its weights are stored in half precision
    assert perplexity("MKTAYIAK", tokenizer, half).shape == (1,)
    assert [module.training for module in half.modules()] == modes
    assert all(parameter.dtype == torch.float16 for parameter in half.parameters())


# --- Models by name


def test_a_model_by_name_is_loaded_once_and_said(monkeypatch, capsys):
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    loading.forget()
    made = generate(None, 2, seed=1, max_length=20, **LOADED)
    assert made.model.startswith("Stand-in for nferruz/ProtGPT2")
    assert loading.load_generator("nferruz/ProtGPT2").model is loading.load_generator("nferruz/ProtGPT2").model
    assert "Loading" not in capsys.readouterr().err


def test_a_generator_is_taken_as_it_is_and_its_designs_are_those_of_its_name(monkeypatch):
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    held = loading.load_generator("nferruz/ProtGPT2")
    by_name = generate(None, 2, seed=1, max_length=20, **LOADED)
    loading.forget()  # whoever holds it still has it
    made = generate(None, 2, seed=1, max_length=20, model=held, **LOADED)
    assert loading.generator_of(held) is held
    assert str(made.designs) == str(by_name.designs)  # NaN is what it is
    assert (made.settings, made.model, made.source) == (by_name.settings, by_name.model, by_name.source)


def test_a_loaded_model_goes_by_the_name_that_others_know_it_by(ten):
    assert ten.settings.model == "nferruz/ProtGPT2"
    assert ten.made_with == "stand-in for nferruz/ProtGPT2" and ten.source == "embedded"
    assert 'model="stand-in for nferruz/ProtGPT2"' in ten.to_fasta().split("\n")[0]
    cached = "/home/me/.cache/hub/models--nferruz--ProtGPT2/snapshots/abc123"
    assert loading.known_name(cached) == "nferruz/ProtGPT2"
    assert loading.known_name("my/folder") == "my/folder"


def test_a_model_that_writes_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    with pytest.raises(InputError, match="nferruz/ProtGPT2"):
        generate(None, 1, model="zhihan1996/DNABERT-2-117M")


@pytest.mark.parametrize("kind", ["BertForMaskedLM", "T5ForConditionalGeneration", "MambaForCausalLM"])
def test_what_cannot_write_token_after_token_is_refused_in_a_sentence(stand_in, kind):
    import transformers

    small = {
        "BertForMaskedLM": {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2},
        "T5ForConditionalGeneration": {"d_model": 24, "num_layers": 1, "num_heads": 2, "d_kv": 12, "d_ff": 24},
        "MambaForCausalLM": {"hidden_size": 24, "num_hidden_layers": 1, "state_size": 4},
    }[kind]
    family = getattr(transformers, kind)
    model = family(family.config_class(vocab_size=512, **small)).eval()
    with pytest.raises(InputError, match=f"A {kind} (does not write sequences|keeps nothing of what it has read)"):
        generate("MKTAYIAK", 1, model=model, tokenizer=stand_in[0])


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_damaged_folder_is_one_sentence(tmp_path, name):
    for file in STAND_IN.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:1000])
    with pytest.raises(InputError, match=r"is damaged|are damaged|cannot be loaded|holds no model"):
        generate(None, 1, model=str(tmp_path))


def test_an_end_token_inside_and_odd_characters_are_told(stand_in):
    tokenizer, model = stand_in
    made = generate(None, 6, seed=1, eos_token_id=1, max_length=200, model=model, tokenizer=tokenizer, **LOADED)
    fused = [design for design in made if 0 in [choice.id for choice in design.choices]]
    assert fused and all(design.left_out for design in fused)
    flags = made.to_frame().set_index("name")["flags"]
    assert all("stand for no residue" in flags[d.name] or "stands for no residue" in flags[d.name] for d in fused)
    assert "stand for no residue" in made.finding


def test_designs_that_alphafold_cannot_take_are_left_out_and_named(ten, tmp_path, capsys):
    odd = replace(ten[1], sequence="MKX" + ten[1].sequence)
    made = replace(ten, designs=(ten[0], odd, replace(ten[2], sequence=""), *ten.designs[3:]))
    jobs = made.to_alphafold3(tmp_path / "jobs", msa_free=True)
    assert len(jobs) == len(list((tmp_path / "jobs").iterdir())) == 8
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("design_2 is left out.") and "'X'" in said


# --- Bad settings and prompts are one sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n": 0}, "n is 0; give a whole number from 1 to 1,000"),
        ({"n": 2.5}, "n is 2.5"),
        ({"n": True}, "n is True"),
        ({"max_length": 1}, "max_length is 1; give a whole number from 2"),
        ({"max_length": 1025}, "max_length is 1,025, and the model has 1,024 positions; give at most 1,024"),
        ({"temperature": 0}, "temperature is 0; give a number from 0.001"),
        ({"temperature": 1e-40}, "temperature is 1e-40; give a number from 0.001"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 1.5}, "top_p is 1.5; give a number above 0 and up to 1"),
        ({"top_p": 0}, "top_p is 0"),
        ({"repetition_penalty": 0}, "repetition_penalty is 0"),
        ({"repetition_penalty": 1e-40}, "give a number from 0.01 to 100"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "one"}, "seed is 'one'"),
        ({"do_sample": False}, "Without sampling all 10 sequences would be the same; ask for one"),
        ({"do_sample": "yes"}, "do_sample is 'yes'"),
        ({"eos_token_id": 512}, "eos_token_id is 512, and the model knows 512 tokens"),
        ({"precision": "int4"}, "precision is one of float32, bf16, int8, not 'int4'"),
        ({"prompt": MOTIF, "max_length": 10}, r"\(42 residues\), which leaves nothing of max_length 10; shorten"),
        ({"prompt": "MKLV" * 500}, r"tokens \(2,000 residues\), and the model has 1,024 positions in all"),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence_with_the_remedy(stand_in, changes, sentence):
    tokenizer, model = stand_in
    with pytest.raises(InputError, match=sentence):
        generate(**{"prompt": None, "model": model, "tokenizer": tokenizer, **changes})


def test_a_loaded_model_without_its_tokenizer_and_a_wrong_pair_are_told(stand_in, published_tokenizer):
    tokenizer, model = stand_in
    with pytest.raises(InputError, match="goes with its tokenizer"):
        generate(None, 1, model=model)
    with pytest.raises(InputError, match="do not belong together"):
        generate("MKTAYIAKQRQISFVKSHFSRQ", 1, model=model, tokenizer=published_tokenizer)
    with pytest.raises(InputError, match="A GPT2Model does not write sequences"):
        generate(None, 1, model=model.transformer, tokenizer=tokenizer)


def test_a_sequence_that_fills_every_position_has_no_perplexity_and_no_traceback(published_tokenizer):
    model = random_gpt2(50257, n_positions=16)
    growth = grow(model, [0, 199], replace(Settings(n=2, max_length=16, seed=1)), eos=0, tail=())
    assert growth.steps == 14
    made = generate("MK", 2, seed=1, max_length=16, model=model, tokenizer=published_tokenizer, **LOADED)
    assert all(math.isnan(design.perplexity) or design.tokens < 16 for design in made)
