"""Another thread can end `generate` at any time, and what was made is kept; two threads load a model once."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest
import torch

from biollm_widgets.protein import loading
from biollm_widgets.protein.generation import generate, run
from biollm_widgets.protein.interruption import Interrupted, Over, interruptible
from biollm_widgets.protein.scoring import mean_nats
from tests.protein.conftest import STAND_IN

MOTIF = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"
LOADED = {"progress": False}


def hooks(model) -> int:
    return sum(len(module._forward_pre_hooks) for module in model.modules())


class Passes:
    """Counts the passes through each layer of the stand-in; `then` is called in pass `turn`, after layer `at`."""

    def __init__(self, model, at: int = 1, then=lambda: None, turn: int = 1) -> None:
        self.through = [0] * len(model.transformer.h)
        self.hooks = [
            layer.register_forward_hook(lambda *_, place=place: self.count(place == at, place, turn, then))
            for place, layer in enumerate(model.transformer.h)
        ]

    def count(self, here: bool, place: int, turn: int, then) -> None:
        self.through[place] += 1
        if here and self.through[place] == turn:
            then()

    def __enter__(self) -> Passes:
        return self

    def __exit__(self, *_) -> None:
        for hook in self.hooks:
            hook.remove()


@pytest.fixture()
def whole(stand_in):
    tokenizer, model = stand_in
    return generate(MOTIF, 4, seed=1, model=model, tokenizer=tokenizer, **LOADED)


# --- While tokens are written


def test_a_stop_that_nobody_asks_for_changes_nothing(stand_in, whole):
    tokenizer, model = stand_in
    made = generate(MOTIF, 4, seed=1, model=model, tokenizer=tokenizer, stop=threading.Event(), **LOADED)
    assert made.designs == whole.designs and not made.stopped and hooks(model) == 0


def test_another_thread_ends_it_at_the_next_token_and_what_is_there_is_kept(stand_in):
    tokenizer, model = stand_in
    stop, begun, steps = threading.Event(), threading.Event(), []

    def watch(growth):
        steps.append(stop.is_set())
        if growth.steps == 10:
            begun.set()
            stop.wait(10)

    options = {"seed": 1, "max_length": 900, "model": model, "tokenizer": tokenizer, **LOADED}
    found: list = []
    thread = threading.Thread(target=lambda: found.append(generate(None, 5, callback=watch, stop=stop, **options)))
    thread.start()
    assert begun.wait(30)
    stop.set()
    thread.join(30)
    [made] = found
    assert made.stopped and len(steps) == 10 and "cut off when you stopped" in made.finding
    usual = generate(None, 5, **{**options, "max_length": 11})
    assert made.sequences == usual.sequences
    # What was made is judged as ever: that takes less than the second that is left for it.
    assert [design.perplexity for design in made] == pytest.approx([d.perplexity for d in usual], rel=1e-5)


# --- While the prompt is read


def test_a_prompt_is_not_read_to_its_end(stand_in):
    tokenizer, model = stand_in
    stop = threading.Event()
    with Passes(model, at=1, then=stop.set) as passes:
        made = generate(MOTIF, 3, seed=1, model=model, tokenizer=tokenizer, stop=stop, **LOADED)
    assert passes.through == [1, 1, 0, 0]
    assert made.stopped and made.sequences == [MOTIF] * 3
    assert all(not design.choices and math.isnan(design.perplexity) for design in made)
    assert all(design.tokens == len(design.opening) for design in made)
    assert hooks(model) == 0


def test_a_stop_before_the_first_token_computes_nothing(stand_in):
    tokenizer, model = stand_in
    stop = threading.Event()
    stop.set()
    with Passes(model) as passes:
        made = generate(None, 3, seed=1, precision="float32", model=model, tokenizer=tokenizer, stop=stop, **LOADED)
    assert passes.through == [0] * 4 and made.stopped and made.sequences == [""] * 3
    assert made.to_frame()["residues"].tolist() == [0] * 3


# --- While perplexities are computed


def test_judging_ends_a_second_after_a_stop_and_what_was_not_computed_is_unknown(stand_in, whole, monkeypatch):
    tokenizer, model = stand_in
    stop = threading.Event()
    usual = mean_nats

    def asked(rows, *given, **more):
        assert rows  # there is something to compute
        stop.set()
        return usual(rows, *given, **more)

    monkeypatch.setattr(run, "mean_nats", asked)
    patient = generate(MOTIF, 4, seed=1, model=model, tokenizer=tokenizer, stop=stop, **LOADED)
    assert patient.designs == whole.designs and not patient.stopped
    stop.clear()
    monkeypatch.setattr(run, "GRACE", 0.0)
    made = generate(MOTIF, 4, seed=1, model=model, tokenizer=tokenizer, stop=stop, **LOADED)
    assert made.stopped and made.sequences == whole.sequences
    assert any(math.isnan(design.perplexity) for design in made)


def test_a_lighter_precision_is_not_compared_once_it_was_stopped(stand_in, monkeypatch, capsys):
    tokenizer, model = stand_in
    stop = threading.Event()
    monkeypatch.setattr(run, "GRACE", 0.0)
    made = generate(
        MOTIF, 2, seed=1, max_length=60, precision="int8", model=model, tokenizer=tokenizer, stop=stop,
        callback=lambda growth: stop.set() if growth.steps == 5 else None, **LOADED,
    )  # fmt: skip
    assert made.stopped and made.fidelity is None and "int8" not in capsys.readouterr().err
    assert [len(design.choices) for design in made] == [5, 5]


def test_means_of_the_batches_that_are_through_are_kept(stand_in):
    _, model = stand_in
    rows = [[0, 199, *range(300, 300 + count)] for count in (40, 30, 20)]
    stop = threading.Event()
    with Passes(model, at=0, then=stop.set, turn=2) as passes:
        found = mean_nats(rows, model, batch_tokens=1, over=stop.is_set)
    assert passes.through == [2, 1, 1, 1]
    assert found[0] == pytest.approx(mean_nats(rows, model)[0], rel=1e-6) and np.isnan(found[1:]).all()


# --- How


def test_only_the_thread_that_was_stopped_ends(stand_in):
    _, model = stand_in
    ids, found = torch.tensor([[0, 199, 300]]), []
    with torch.no_grad(), interruptible(model, lambda: True):
        with pytest.raises(Interrupted):
            model(ids)
        thread = threading.Thread(target=lambda: found.append(model(ids).logits.shape))
        thread.start()
        thread.join()
    assert found == [(1, 3, 512)] and hooks(model) == 0


def test_an_end_comes_after_its_grace():
    stop = threading.Event()
    over, at_once = Over(stop, 0.05), Over(stop)
    assert not over() and not at_once()
    stop.set()
    assert at_once() and not over()
    time.sleep(0.06)
    assert over()


# --- Loading


def test_two_threads_that_ask_at_once_get_one_model(monkeypatch):
    from transformers import AutoModelForCausalLM

    loads, usual = [], AutoModelForCausalLM.from_pretrained

    def slow(*given, **more):
        loads.append(given)
        time.sleep(0.2)
        return usual(*given, **more)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", slow)
    loading.forget()
    found: list = []
    threads = [threading.Thread(target=lambda: found.append(loading.load_generator(STAND_IN))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1 and len(found) == 3 and all(one.model is found[0].model for one in found)


def test_two_threads_that_ask_at_once_get_one_lighter_copy(stand_in, monkeypatch):
    from biollm_widgets.models import lighter

    made, usual = [], lighter.lighter_copy

    def slow(*given, **more):
        made.append(given)
        time.sleep(0.2)
        return usual(*given, **more)

    monkeypatch.setattr(lighter, "lighter_copy", slow)
    _, model = stand_in
    loading.forget(model)
    found: list = []
    threads = [threading.Thread(target=lambda: found.append(loading.in_precision(model, "int8"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and all(one is found[0] for one in found)
