"""What comes next, and what each setting makes of it, is what transformers' own processors make of the scores."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

import biollm_widgets as bio
from biollm_widgets.errors import InputError
from biollm_widgets.protein.generation import Explorer, NextToken, Settings, Stage, generate
from biollm_widgets.protein.generation.cache import beginning
from biollm_widgets.sequences import read_fasta
from tests.protein.conftest import STAND_IN, random_gpt2

MOTIF = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"  # the chapter's prompt
PLAIN = Settings(n=1, top_k=0, repetition_penalty=1.0)
# Names of settings, and transformers' own processors in its order.
CASES = {
    "the authors' settings": {"top_k": 950, "repetition_penalty": 1.2},
    "everything at once": {"temperature": 0.7, "top_k": 40, "top_p": 0.8, "repetition_penalty": 1.3},
    "nothing": {},
    "a penalty below 1, which asks for repeats": {"repetition_penalty": 0.7},
    "hot": {"temperature": 5.0},
    "hardly warm": {"temperature": 0.001},
    "boiling": {"temperature": 1000.0},
    "one token": {"top_k": 1},
    "hardly any probability": {"top_p": 1e-9},
    "top-p alone": {"top_p": 0.5},
}


@pytest.fixture(scope="module")
def natural(shared_data) -> list[str]:
    """Openings of real proteins, short and long."""
    path = shared_data / "proteins" / "UP000000625_ecoli.fasta.gz"
    records = read_fasta(path, "protein", duplicates="keep")
    return [records[i].sequence[:length] for i, length in ((0, 7), (40, 60), (800, 61), (2000, 180))]


def explorer_of(pair) -> Explorer:
    return Explorer(*pair)


def theirs(logits, ids, changes):
    """After each of transformers' processors, made by hand: (name, probabilities)."""
    settings = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0, **changes}
    made = {
        "repetition_penalty": (1.0, lambda value: RepetitionPenaltyLogitsProcessor(penalty=value)),
        "temperature": (1.0, TemperatureLogitsWarper),
        "top_k": (0, TopKLogitsWarper),
        "top_p": (1.0, TopPLogitsWarper),
    }
    wanted = [(name, make(settings[name])) for name, (neutral, make) in made.items() if settings[name] != neutral]
    found = [("model", logits.softmax(-1)[0])]
    for count in range(1, len(wanted) + 1):
        scores = LogitsProcessorList([one for _, one in wanted[:count]])(ids, logits.clone())
        found.append((wanted[count - 1][0], scores.softmax(-1)[0]))
    return found


def entropy(likely):
    return -sum(p * math.log2(p) for p in likely.double().tolist() if p)


# --- Against transformers


@pytest.mark.parametrize("which", ["stand_in", "real_vocabulary"])
@pytest.mark.parametrize("case", CASES)
def test_every_stage_is_what_transformers_processors_make_of_the_scores(request, natural, which, case):
    tokenizer, model = pair = request.getfixturevalue(which)
    explorer, settings = explorer_of(pair), replace(PLAIN, **CASES[case])
    for prompt in ["", MOTIF, *natural]:
        ids = explorer.opening(prompt)
        assert ids == tokenizer(f"<|endoftext|>\n{_lines(prompt)}" if prompt else "<|endoftext|>")["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[:, -1]
        expected = theirs(logits, torch.tensor([ids]), CASES[case])
        found = explorer.after(ids, settings)
        assert [stage.name for stage in found.stages] == [name for name, _ in expected]
        for stage, (_, likely) in zip(found.stages, expected, strict=True):
            # One token more or less, where the one at the edge of top-p differs by a rounding.
            assert stage.left == pytest.approx((likely > 0).sum().item(), abs=1)
            assert stage.entropy == pytest.approx(entropy(likely), abs=2e-3)
        before, after = expected[0][1], expected[-1][1]
        for candidate in found.candidates:
            assert candidate.before == pytest.approx(before[candidate.id].item(), rel=1e-3, abs=1e-7)
            assert candidate.after == pytest.approx(after[candidate.id].item(), rel=3e-3, abs=1e-6)
        listed = [candidate.id for candidate in found.candidates]
        assert set(before.topk(20).indices.tolist()) <= set(listed)
        likely_after = after.topk(20)
        assert set(likely_after.indices[likely_after.values > 1e-6].tolist()) <= set(listed)
        assert found.before_rest == pytest.approx(1 - before[listed].sum().item(), abs=1e-5)
        assert found.after_rest == pytest.approx(1 - after[listed].sum().item(), abs=1e-4)


def _lines(sequence: str) -> str:
    return "\n".join(sequence[i : i + 60] for i in range(0, len(sequence), 60))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_token_of_a_design_has_the_probability_it_was_drawn_with(stand_in, precision):
    tokenizer, model = stand_in
    settings = {"temperature": 0.8, "top_k": 60, "top_p": 0.9, "repetition_penalty": 1.3, "precision": precision}
    made = generate(MOTIF, 3, seed=4, max_length=60, model=model, tokenizer=tokenizer, progress=False, **settings)
    explorer = Explorer(tokenizer, model)
    for design in made:
        ids = [choice.id for choice in design.opening]
        for choice in design.choices:
            found = explorer.after(ids, made.settings, shown=1, chosen=choice.id)
            [taken] = [candidate for candidate in found.candidates if candidate.id == choice.id]
            assert taken.after == pytest.approx(choice.probability, rel=2e-3)
            assert math.log(taken.before) == pytest.approx(choice.log_probability, abs=2e-3)
            assert taken.penalized == (choice.id in ids)
            ids.append(choice.id)
    assert ids[: len(made[0].opening)] == explorer.opening(MOTIF)


def test_without_sampling_the_token_that_generate_takes_is_the_only_one_left(real_vocabulary):
    tokenizer, model = real_vocabulary
    made = generate(MOTIF, 1, do_sample=False, max_length=30, model=model, tokenizer=tokenizer, progress=False)
    explorer = Explorer(tokenizer, model)
    ids = explorer.opening(MOTIF)
    for choice in made[0].choices:
        found = explorer.after(ids, made.settings)
        assert [stage.name for stage in found.stages] == ["model", "repetition_penalty", "greedy"]
        assert found.left == 1 and found.entropy_after == 0
        [taken] = [candidate for candidate in found.candidates if candidate.after]
        assert (taken.id, taken.after) == (choice.id, 1.0)
        assert {candidate.cut_by for candidate in found.candidates} == {"", "greedy"}
        ids.append(choice.id)


# --- What is cut, by what


def test_each_token_that_is_gone_names_the_stage_that_took_it(stand_in):
    explorer = explorer_of(stand_in)
    found = explorer.after(explorer.opening(MOTIF), replace(PLAIN, top_k=20, top_p=0.5), shown=512)
    by = {name: [c for c in found.candidates if c.cut_by == name] for name in ("", "top_k", "top_p")}
    _, top_k, top_p = found.stages
    assert len(found.candidates) == 512 == sum(map(len, by.values()))
    assert top_k.left == 20 == 512 - len(by["top_k"])
    assert top_p.left == len(by[""]) == found.left
    assert min(c.before for c in by[""]) > max(c.before for c in by["top_p"]) > max(c.before for c in by["top_k"])
    assert all((c.after == 0) == bool(c.cut_by) for c in found.candidates)
    assert sum(c.after for c in found.candidates) == pytest.approx(1, abs=1e-5) and found.after_rest < 1e-5


def test_what_a_temperature_near_nothing_takes_is_its_doing(stand_in):
    explorer = explorer_of(stand_in)
    found = explorer.after(explorer.opening(MOTIF), replace(PLAIN, temperature=0.001))
    assert found.left < 10 and {c.cut_by for c in found.candidates} == {"", "temperature"}


def test_tokens_of_the_text_are_marked_where_a_penalty_touches_them(stand_in):
    explorer = explorer_of(stand_in)
    ids = explorer.opening(MOTIF)
    found = explorer.after(ids, replace(PLAIN, repetition_penalty=1.2), shown=512)
    assert {c.id for c in found.candidates if c.penalized} == set(ids)
    free = explorer.after(ids, PLAIN, shown=512)
    assert not any(c.penalized for c in free.candidates)
    eager = explorer.after(ids, replace(PLAIN, repetition_penalty=0.7), shown=512)
    ratio = {c.id: c.after for c in eager.candidates}[ids[-1]] / {c.id: c.after for c in found.candidates}[ids[-1]]
    assert ratio != pytest.approx(1, rel=0.05)


def test_candidates_are_the_likeliest_before_and_after_in_the_order_of_before(stand_in):
    explorer = explorer_of(stand_in)
    ids = explorer.opening(MOTIF)
    found = explorer.after(ids, replace(PLAIN, repetition_penalty=3.0), shown=10)
    before = [c.before for c in found.candidates]
    assert before == sorted(before, reverse=True) and 10 < len(before) <= 20
    few = explorer.after(ids, replace(PLAIN, top_k=3), shown=10)
    assert len(few.candidates) == 10  # nothing is listed for a probability of nothing afterwards
    odd = explorer.after(ids, PLAIN, shown=1, chosen=129)
    assert [c.id for c in odd.candidates][1:] == [129] and len(odd.candidates) == 2


def test_tokens_are_called_by_what_they_write(stand_in):
    explorer = explorer_of(stand_in)
    found = explorer.after(explorer.opening("M"), PLAIN, shown=512)
    by_id = {c.id: c for c in found.candidates}
    assert (by_id[0].kind, by_id[0].text) == ("end", "<|endoftext|>")
    assert (by_id[199].kind, by_id[199].text) == ("line break", "\n")
    assert by_id[300].kind == "residues" and set(by_id[300].text) <= set("ACDEFGHIKLMNPQRSTVWY")
    assert by_id[1].kind == "other" and by_id[1].text == "!"
    assert by_id[200].kind == "other" and "\ufffd" not in by_id[200].text and by_id[200].text
    assert len({c.text for c in found.candidates}) == 512
    other_end = explorer.after(explorer.opening("M"), replace(PLAIN, eos_token_id=300), shown=512)
    assert {c.id: c.kind for c in other_end.candidates}[300] == "end"


# --- The sentence


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        (
            [("model", 50_257, 8.94), ("repetition_penalty", 50_257, 8.9), ("top_k", 950, 7.21)],
            "Top-k leaves 950 of 50,257 tokens; the choice is worth 7.2 of 8.9 bits.",
        ),
        (
            [("model", 50_257, 8.94), ("top_k", 950, 7.2), ("top_p", 12, 3.0)],
            "Top-k and top-p leave 12 of 50,257 tokens; the choice is worth 3.0 of 8.9 bits.",
        ),
        ([("model", 50_257, 8.94)], "All 50,257 tokens can come; the choice is worth 8.9 bits."),
        (
            [("model", 50_257, 8.94), ("temperature", 50_257, 12.0)],
            "All 50,257 tokens can come; the choice is worth 12.0 instead of 8.9 bits.",
        ),
        (
            [("model", 50_257, 8.94), ("top_p", 1, 0.0)],
            "Top-p leaves 1 of 50,257 tokens: nothing is left to chance.",
        ),
    ],
)
def test_the_finding_says_what_the_settings_make_of_the_choice(stages, sentence):
    assert NextToken((), tuple(Stage(*stage) for stage in stages), 50_257, 0.0, 0.0).finding == sentence


def test_the_table_has_a_row_for_each_candidate(stand_in):
    explorer = explorer_of(stand_in)
    found = explorer.after(explorer.opening(MOTIF), Settings(n=1), shown=5)
    frame = found.to_frame()
    assert list(frame.columns) == ["id", "text", "kind", "before", "after", "cut_by", "penalized"]
    assert list(frame["id"]) == [candidate.id for candidate in found.candidates]
    assert frame["before"].sum() + found.before_rest == pytest.approx(1)


# --- What is read, and how often


def test_a_text_is_read_once_and_what_follows_it_from_where_it_ended(stand_in):
    tokenizer, model = stand_in
    shapes: list = []
    hook = model.transformer.register_forward_pre_hook(
        lambda module, args, given: shapes.append((args[0] if args else given["input_ids"]).shape[1]), with_kwargs=True
    )
    try:
        explorer = Explorer(tokenizer, model)
        ids = explorer.opening(MOTIF)
        for temperature in (0.5, 1.0, 2.0):
            explorer.after(ids, replace(PLAIN, temperature=temperature))
        assert shapes == [len(ids)]
        explorer.after([*ids, 300], PLAIN)
        explorer.after(ids[:10], PLAIN)  # back in the same text
        explorer.after([*ids, 300, 301, 302], PLAIN)
        explorer.after([*ids[:10], 400], PLAIN)  # another way from there
        assert shapes == [len(ids), 1, 1, 2, 1]
    finally:
        hook.remove()


def test_what_is_read_from_the_middle_is_what_is_read_from_the_start(stand_in, natural):
    tokenizer, model = stand_in
    going = Explorer(tokenizer, model)
    ids = going.opening(natural[-1])
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        end = int(torch.randint(1, len(ids) + 1, (1,), generator=generator))
        part = [*ids[:end], *torch.randint(260, 500, (2,), generator=generator).tolist()]
        again = Explorer(tokenizer, model).after(part, PLAIN, shown=512)
        found = going.after(part, PLAIN, shown=512)
        fresh = {c.id: c.before for c in again.candidates}
        assert all(c.before == pytest.approx(fresh[c.id], rel=1e-3) for c in found.candidates)


def test_going_back_in_a_text_leaves_what_was_read_as_it_was(stand_in, natural):
    tokenizer, model = stand_in
    going = Explorer(tokenizer, model)
    ids = going.opening(natural[-1])
    for part in (ids, ids[:20], [*ids, 300, 301], ids[:40], ids[:21], [*ids, 300, 301, 302]):
        fresh = {c.id: c.before for c in Explorer(tokenizer, model).after(part, PLAIN, shown=512).candidates}
        found = going.after(part, PLAIN, shown=512)
        assert all(c.before == pytest.approx(fresh[c.id], rel=1e-3) for c in found.candidates)


def test_each_precision_has_scores_of_its_own(stand_in):
    explorer = explorer_of(stand_in)
    ids = explorer.opening(MOTIF)
    exact, lighter = (explorer.after(ids, replace(PLAIN, precision=one)) for one in ("float32", "int8"))
    assert exact != lighter and exact == explorer.after(ids, PLAIN)
    assert lighter.candidates[0].before == pytest.approx(exact.candidates[0].before, rel=0.2)


def test_a_cache_that_cannot_be_shortened_is_not():
    class Other:
        layers = (object(),)

    assert beginning(Other(), 3) is None


def test_the_scores_of_many_texts_are_kept_and_not_of_all(stand_in, monkeypatch):
    from biollm_widgets.protein.generation import exploring

    monkeypatch.setattr(exploring, "KEPT", 5)
    explorer = explorer_of(stand_in)
    for token in range(300, 320):
        explorer.after([0, token], PLAIN)
    assert len(explorer._scores) == 5


def test_threads_that_ask_at_once_each_get_their_answer(stand_in):
    explorer = explorer_of(stand_in)
    texts = [[0, 199, token] for token in range(300, 330)]
    expected = [explorer_of(stand_in).after(ids, PLAIN).entropy_after for ids in texts]
    found: dict[int, float] = {}

    def ask(start: int) -> None:
        for place in range(start, len(texts), 3):
            found[place] = explorer.after(texts[place], PLAIN).entropy_after

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[place] for place in range(len(texts))] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("which", ["stand_in", "real_vocabulary"])
def test_a_slider_is_answered_within_100_ms(request, which):
    explorer = explorer_of(request.getfixturevalue(which))
    ids = explorer.opening(MOTIF * 8)
    explorer.after(ids, PLAIN)
    times = []
    for i in range(15):
        began = time.perf_counter()
        explorer.after(ids, replace(PLAIN, temperature=0.5 + i / 10, top_p=0.9, top_k=950, repetition_penalty=1.2))
        times.append(time.perf_counter() - began)
    assert sorted(times)[7] < 0.1


# --- Other models


def test_a_model_without_line_breaks_or_start_is_explored_too(stand_in):
    tokenizer = _letters()
    model = random_gpt2(len(tokenizer))
    explorer = Explorer(tokenizer, model)
    found = explorer.after(explorer.opening("MKV"), PLAIN, shown=100)
    kinds = {c.text: c.kind for c in found.candidates}
    assert kinds["M"] == "residues" and kinds["<eos>"] == "end" and "line break" not in kinds.values()
    assert explorer.residues_per_token() == 1.0
    with pytest.raises(InputError, match="needs a prompt to begin with"):
        explorer.after(explorer.opening(""), PLAIN)


def _letters():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "<eos>": 1, **{letter: i for i, letter in enumerate("ACDEFGHIKLMNPQRSTVWY", start=2)}}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="<eos>")


def test_tokens_that_a_table_is_filled_up_with_have_a_name(stand_in):
    tokenizer, _ = stand_in
    found = Explorer(tokenizer, random_gpt2(520)).after([0], PLAIN, shown=520)
    assert {c.text for c in found.candidates if c.id >= 512} == {f"token {i}" for i in range(512, 520)}
    assert all(c.kind == "other" for c in found.candidates if c.id >= 512)


def test_residues_a_token_are_measured_with_the_tokenizer(stand_in, real_vocabulary):
    assert explorer_of(stand_in).residues_per_token() == pytest.approx(1.65, abs=0.02)
    assert explorer_of(real_vocabulary).residues_per_token() == pytest.approx(2.80, abs=0.02)


# --- In one line, and what cannot be asked


def test_explore_takes_the_names_of_generate_and_gives_the_same(stand_in, monkeypatch, capsys):
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # equal to the last digit: on one device
    found = bio.explore(MOTIF.lower(), temperature=0.7, top_k=40)
    explorer = explorer_of(stand_in)
    settings = Settings(n=1, temperature=0.7, top_k=40)
    assert found == explorer.after(explorer.opening(MOTIF), settings)
    assert "The prompt: " in capsys.readouterr().err
    tokenizer, model = stand_in
    assert bio.explore(MOTIF, temperature=0.7, top_k=40, model=model, tokenizer=tokenizer) == found
    assert bio.explore(MOTIF, temperature=0.7, top_k=40, model=STAND_IN) == found
    assert bio.explore(shown=3).candidates[0].before == pytest.approx(bio.explore(None).candidates[0].before)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prompt": "MKX"}, "X"),
        ({"temperature": 0}, "temperature is 0; give a number from 0.001"),
        ({"top_p": 2}, "top_p is 2"),
        ({"precision": "int4"}, "precision is one of"),
        (
            {"prompt": "MKLV" * 500},
            r"tokens \(2,000 residues\), and the model has 1,024 positions in all",
        ),
        ({"tokenizer": None}, "goes with its tokenizer"),
    ],
)
def test_what_cannot_be_explored_is_one_sentence(stand_in, changes, sentence):
    tokenizer, model = stand_in
    with pytest.raises(InputError, match=sentence):
        bio.explore(**{"model": model, "tokenizer": tokenizer, **changes})


def test_the_last_position_leaves_no_room_for_a_next_token(stand_in):
    tokenizer, _ = stand_in
    explorer = Explorer(tokenizer, random_gpt2(512, n_positions=16))
    assert explorer.after([0, *range(300, 314)], PLAIN).vocabulary == 512
    with pytest.raises(InputError, match=r"takes 16 tokens \(\d+ residues\), and the model has 16 positions"):
        explorer.after([0, *range(300, 315)], PLAIN)


def test_a_tokenizer_of_another_model_is_told(stand_in, published_tokenizer):
    with pytest.raises(InputError, match="do not belong together"):
        Explorer(stand_in[0], random_gpt2(50_257))
    with pytest.raises(InputError, match="do not belong together"):
        Explorer(published_tokenizer, stand_in[1]).after([0, 40_000], PLAIN)
