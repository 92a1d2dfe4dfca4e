"""Token after token for many sequences at once: the prompt is read once, what has ended costs nothing more.

A callback sees every step and can stop it; what was made so far is kept, also after Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from threading import Event
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor

from biollm_widgets.errors import InputError
from biollm_widgets.models.attention import any_length
from biollm_widgets.protein.generation.cache import kept, repeated
from biollm_widgets.protein.generation.sampling import draw, processors, uniforms
from biollm_widgets.protein.generation.settings import Settings
from biollm_widgets.protein.interruption import Interrupted, interruptible
from biollm_widgets.protein.threads import STEP, threads_for


class Choice(NamedTuple):
    """One token that was chosen.

    Attributes
    ----------
    id : int
    log_probability : float
        Natural logarithm of its probability by the model alone, before temperature, top-k, top-p and penalty.
    probability : float
        What it was drawn with, after all of these; 1 where the likeliest is taken.
    """

    id: int
    log_probability: float
    probability: float


@dataclass
class Growth:
    """Sequences as they grow: what a callback gets at each step, and what is left at the end.

    Attributes
    ----------
    prompt : list of int
        The tokens that all sequences begin with.
    prompt_log_probabilities : list of float
        Of each token of the prompt after the first, by the model; empty where they were not asked for.
    choices : list of list of Choice
        The new tokens of each sequence.
    newest : list of (int or None)
        The token that each sequence got in this step; None for those that have ended.
    finished : list of bool
        Whether a sequence has ended by itself.
    most : int
        New tokens that a sequence may have.
    stopped : bool
        Whether it was ended early: by `stop`, from another thread, or by Ctrl-C.
    tail : dict
        For sequences that did not end: the log-probabilities of the tokens asked for after their last one.
    """

    prompt: list[int]
    prompt_log_probabilities: list[float]
    choices: list[list[Choice]]
    newest: list[Optional[int]]
    finished: list[bool]
    most: int
    stopped: bool = False
    tail: dict[int, list[float]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Steps taken so far: new tokens of the longest sequence."""
        return max(map(len, self.choices))

    def ids(self, i: int) -> list[int]:
        """All tokens of sequence `i`, the prompt's included."""
        return [*self.prompt, *(choice.id for choice in self.choices[i])]

    def stop(self) -> None:
        """End after this step and keep what is there."""
        self.stopped = True


Callback = Callable[[Growth], Any]


def grow(
    model: Any,
    prompt: Sequence[int],
    settings: Settings,
    eos: Optional[int],
    callback: Optional[Callback] = None,
    tail: Sequence[int] = (),
    stop: Optional[Event] = None,
) -> Growth:
    """Grow `settings.n` sequences from the tokens `prompt` until each has ended or has `settings.max_length` tokens.

    Parameters
    ----------
    model
        A causal language model of transformers, in eval state.
    prompt : sequence of int
        At least one token.
    eos : int, optional
        The token that ends a sequence.
    callback : callable, optional
        Called with the `Growth` after each step (inside `torch.inference_mode`).
    tail : sequence of int
        Tokens to ask the probability of after the last one of a sequence that did not end: with a line break and the
        end, what the model thinks of the sequence as a whole. Without them the prompt's own probabilities, which are
        asked for to the same end, are left out too.
    stop : threading.Event, optional
        Once it is set, nothing is written after the token that is being made; a prompt is not read to its end.
    """
    with torch.inference_mode(), threads_for(model, max(settings.n, len(prompt)), STEP), any_length(model):
        return _grow(model, prompt, settings, eos, callback, tail, stop)


def _grow(
    model: Any,
    prompt: Sequence[int],
    settings: Settings,
    eos: Optional[int],
    callback: Optional[Callback],
    tail: Sequence[int],
    stop: Optional[Event],
) -> Growth:
    device = next(model.parameters()).device
    most = settings.max_length - len(prompt)
    choose = processors(settings)
    random = uniforms(settings.seed or 0, settings.n, most)
    growth = Growth(list(prompt), [], [[] for _ in range(settings.n)], [], [False] * settings.n, most)
    past: Any = None
    alive = torch.arange(settings.n)
    whole = False  # whether the cache holds all tokens of the living but the newest
    try:
        ids = torch.tensor([list(prompt)])  # (1, P)
        # Scores of the whole vocabulary at every token of the prompt are a tenth of its work; one place is enough.
        with interruptible(model, None if stop is None else stop.is_set):
            out = model(ids.to(device), use_cache=True, **({} if tail else last_only(model)))
        scores = out.logits[0].float().cpu()  # (P, V), or (1, V)
        if getattr(out, "past_key_values", None) is None:
            raise InputError(
                f"A {type(model).__name__} keeps nothing of what it has read, so it cannot write token after token; "
                "name a causal language model of proteins, such as nferruz/ProtGPT2."
            )
        if tail:
            known = scores[:-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
            growth.prompt_log_probabilities = known.tolist()
        past = repeated(out.past_key_values, settings.n, settings.max_length + len(tail))
        logits = scores[-1:].expand(settings.n, -1)  # (n, V)
        ids = ids.expand(settings.n, -1)  # (n, P)
        for step in range(most):
            whole = False
            chosen, ids = _step(growth, ids, logits, alive, random[:, step], choose, settings.do_sample, eos)
            if callback is not None:
                callback(growth)
            if stop is not None and stop.is_set():
                growth.stop()
            going = chosen != eos if eos is not None else torch.ones_like(chosen, dtype=torch.bool)
            if not going.all():
                alive, ids = alive[going], ids[going]
                if len(alive):
                    past = kept(past, going.nonzero()[:, 0].to(device))
            whole = True
            if growth.stopped or not len(alive) or step == most - 1:
                break
            out = model(ids[:, -1:].to(device), past_key_values=past, use_cache=True)
            past, logits = out.past_key_values, out.logits[:, -1].float().cpu()  # a tuple is a new one each time
    except (KeyboardInterrupt, Interrupted):
        growth.stopped = True
        whole = False
    if tail and whole and len(alive):
        _ask_tail(growth, model, past, ids[:, -1:], alive, tail, device)
    return growth


def last_only(model: Any) -> dict[str, int]:
    """What a model is told in order to give the scores after the last token alone, if it can be told."""
    return {"logits_to_keep": 1} if "logits_to_keep" in signature(model.forward).parameters else {}


def _step(
    growth: Growth,
    ids: Tensor,
    logits: Tensor,
    alive: Tensor,
    uniform: Any,
    choose: Any,
    do_sample: bool,
    eos: Optional[int],
) -> tuple[Tensor, Tensor]:
    """Choose one token for each living sequence and write it down; ids (alive, L) -> (alive,), (alive, L + 1)."""
    # At the first step all rows are the same (one row of scores, expanded): it is worked on once.
    once = slice(0, 1) if logits.stride(0) == 0 else slice(None)
    own = logits[once]  # (alive or 1, V)
    scores = choose(ids[once], own.clone())
    if do_sample:
        probabilities = scores.softmax(-1)
        chosen = draw(probabilities, uniform[alive.numpy()])
        drawn_with = probabilities.expand_as(logits).gather(1, chosen[:, None])[:, 0]
    else:
        chosen = scores.argmax(-1).expand(len(alive))
        drawn_with = torch.ones(len(chosen))
    surprise = logits.gather(1, chosen[:, None])[:, 0] - own.logsumexp(-1)
    growth.newest = [None] * len(growth.choices)
    for row, choice in zip(
        alive.tolist(),
        map(Choice, chosen.tolist(), surprise.tolist(), drawn_with.tolist()),
        strict=True,
    ):
        growth.choices[row].append(choice)
        growth.newest[row] = choice.id
        growth.finished[row] = choice.id == eos
    return chosen, torch.cat([ids, chosen[:, None]], 1)


def _ask_tail(
    growth: Growth, model: Any, past: Any, last: Tensor, alive: Tensor, tail: Sequence[int], device: Any
) -> None:
    """The probability of `tail` after each living sequence: one more step, of all its tokens but the last at once."""
    follow = torch.tensor(list(tail)).expand(len(alive), -1)  # (alive, T)
    read = torch.cat([last, follow[:, :-1]], 1).to(device)
    logits = model(read, past_key_values=past, use_cache=True).logits.float().cpu()  # (alive, T, V)
    found = logits.log_softmax(-1).gather(2, follow[:, :, None])[:, :, 0]
    for row, values in zip(alive.tolist(), found.tolist(), strict=True):
        growth.tail[row] = values
