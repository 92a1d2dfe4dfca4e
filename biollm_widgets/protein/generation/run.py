"""`generate`: a prompt and settings in, proteins out."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any, Optional, Union

from biollm_widgets import news
from biollm_widgets.errors import InputError
from biollm_widgets.protein.generation.decoding import Choice, Growth
from biollm_widgets.protein.generation.recalled import grow_or_recall
from biollm_widgets.protein.generation.result import Design, Fidelity, Generation
from biollm_widgets.protein.generation.settings import Settings, read_settings
from biollm_widgets.protein.interruption import Over
from biollm_widgets.protein.layout import Layout, layout_of, residues_of
from biollm_widgets.protein.loading import (
    MODEL,
    Generator,
    generator_of,
    in_precision,
    known_name,
    path_of,
)
from biollm_widgets.protein.prompts import told_prompt
from biollm_widgets.protein.scoring import check_opening, check_pair, check_vocabulary, mean_nats, positions_of

GRACE = 1.0  # seconds after a stop in which perplexities are still computed
COMPARED = 2  # sequences whose perplexity is computed in float32 as well, when the precision is another


def generate(
    prompt: Optional[str] = None,
    n: Optional[int] = None,
    *,
    max_length: int = 100,
    do_sample: bool = True,
    temperature: float = 1.0,
    top_k: int = 950,
    top_p: float = 1.0,
    repetition_penalty: float = 1.2,
    num_return_sequences: Optional[int] = None,
    eos_token_id: Optional[int] = None,
    seed: Optional[int] = None,
    model: Any = MODEL,
    tokenizer: Any = None,
    precision: str = "float32",
    device: Any = None,
    callback: Optional[Callable[[Growth], Any]] = None,
    stop: Optional[Event] = None,
    with_perplexity: bool = True,
    progress: Optional[bool] = None,
) -> Generation:
    """Let a language model write proteins.

    The defaults are the settings of ProtGPT2's authors (Ferruz et al. 2022, doi:10.1038/s41467-022-32007-7). The same
    seed and settings give the same sequences, and sequence i is the same however many are made. The prompt is read
    once for all sequences. Ctrl-C ends early and keeps what is there.

    Parameters
    ----------
    prompt : str, optional
        The first residues, or one FASTA record; none for proteins from scratch. `<|endoftext|>` before it is allowed.
    n : int
        How many proteins, 10 unless given; `num_return_sequences` is another name for it.
    max_length, do_sample, temperature, top_k, top_p, repetition_penalty, eos_token_id, seed
        See `Settings`. `max_length` counts tokens, those of the prompt included.
    model : str, path, or a causal language model of transformers
        A name or folder for `locate`, or a loaded model, which goes with its `tokenizer` and is not changed.
    precision : {"float32", "bf16", "int8"}
        int8 (on a CPU) is several times faster at ProtGPT2's size; what it does to perplexity is in `.fidelity`, and
        printed.
    device : str or torch.device, optional
        For a model by name: a GPU if there is one, unless given.
    callback : callable, optional
        Called with a `Growth` after each token: `growth.newest` has the token of each sequence, `growth.stop()` ends.
    stop : threading.Event, optional
        For another thread, which sets it: nothing is written after the token that is being made, a prompt is not read
        to its end, and perplexities that are not known a second later stay NaN.
    with_perplexity : bool
        Whether to compute each design's perplexity; it comes nearly for free.
    progress : bool, optional
        Whether to show a bar; where standard error is a terminal, unless given.

    Returns
    -------
    Generation
        `.sequences`, `.to_frame()`, `.to_fasta()`, `.to_alphafold3()`, `.to_json()`.

    Raises
    ------
    InputError
        For a prompt that is no protein, a setting out of its range, a prompt that leaves no room under `max_length`,
        a `max_length` beyond the model's positions, or a model that cannot be had or writes no text.
    """
    if n is not None and num_return_sequences is not None and n != num_return_sequences:
        raise InputError(f"n is {n} and num_return_sequences {num_return_sequences}; give one of them.")
    count = n if num_return_sequences is None else num_return_sequences
    settings = Settings(
        n=Settings.n if count is None else count,
        max_length=max_length,
        do_sample=do_sample,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        eos_token_id=eos_token_id,
        seed=seed,
        model=known_name(path_of(model)),
        precision=precision,
    ).checked()
    settings = replace(settings, prompt=told_prompt(prompt).sequence)

    source = generator_of(model, tokenizer, device)
    layout = layout_of(source.tokenizer)
    opening = layout.ids(source.tokenizer, layout.opening(settings.prompt))
    eos = source.tokenizer.eos_token_id if settings.eos_token_id is None else settings.eos_token_id
    tail = layout.ids(source.tokenizer, _closing(layout))
    _check_room(settings, opening, tail, eos, source)
    positions = positions_of(source.model)
    if positions is not None and settings.max_length + len(tail) > positions:
        tail = []  # no room for it after a sequence that fills every position

    network = in_precision(source.model, settings.precision)
    shown = sys.stderr.isatty() if progress is None else progress
    began = time.perf_counter()
    growth = _watched(network, opening, settings, eos, callback, tail if with_perplexity else [], stop, shown)
    seconds = time.perf_counter() - began
    designs = _designs(growth, layout, source.tokenizer)
    over = None if stop is None else Over(stop, GRACE)
    fidelity, stopped = None, growth.stopped
    if with_perplexity:
        try:
            values = _perplexities(growth, designs, layout, source.tokenizer, network, over)
            designs = [replace(design, perplexity=value) for design, value in zip(designs, values, strict=True)]
            if settings.precision != "float32":
                fidelity = _fidelity(designs, settings.precision, layout, source, over)
            stopped = stopped or (over is not None and over())
        except KeyboardInterrupt:
            stopped = True  # the proteins are there; what is not known of them is NaN
    if fidelity is not None:
        news.say(fidelity)
    return Generation(tuple(designs), settings, source.path.said, source.path.source, stopped, seconds, fidelity)


def generate_again(settings: Union[str, os.PathLike, Settings], **changes: Any) -> Generation:
    """Make the sequences of a `Generation` again, from the settings that its `to_json` wrote (a path, or the text).

    `changes` are parameters of `generate` to set otherwise. Raises as `generate`, and for settings that cannot be read.
    """
    found, made_with = (settings, "") if isinstance(settings, Settings) else read_settings(settings)
    if "num_return_sequences" in changes:
        changes["n"] = changes.pop("num_return_sequences")
    again = generate(**{**found.as_dict(), **changes})
    if made_with and made_with != again.made_with:
        news.say(
            f"These settings were used with another model ({made_with}; here it is {again.made_with}), so the "
            "sequences are others."
        )
    return again


def _check_room(settings: Settings, opening: list[int], tail: list[int], eos: Optional[int], source: Generator) -> None:
    positions = positions_of(source.model)
    vocabulary = source.model.config.vocab_size
    check_vocabulary([*opening, *tail], source.model)
    check_pair(source.tokenizer, source.model)
    check_opening(opening, source.model, len(settings.prompt))
    if eos is not None and eos >= vocabulary:
        raise InputError(f"eos_token_id is {eos}, and the model knows {vocabulary:,} tokens, counted from 0.")
    if positions is not None and settings.max_length > positions:
        raise InputError(
            f"max_length is {settings.max_length:,}, and the model has {positions:,} positions; "
            f"give at most {positions:,}."
        )
    _check_memory(settings, source.model)
    if len(opening) >= settings.max_length:
        raise InputError(
            f"The prompt takes {len(opening):,} tokens ({len(settings.prompt):,} residues), which leaves nothing of "
            f"max_length {settings.max_length:,}; shorten the prompt, or raise max_length"
            + (f" (up to {positions:,})." if positions else ".")
        )


def _check_memory(settings: Settings, model: Any) -> None:
    """Refuse what would not fit: the keys and values of all sequences are kept until they end."""
    config = model.config
    layers, width = getattr(config, "num_hidden_layers", None), getattr(config, "hidden_size", None)
    if layers is None or width is None or next(model.parameters()).device.type != "cpu":
        return
    needed = settings.n * settings.max_length * layers * 2 * width * 4
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return
    if needed > 0.8 * there:
        fits = max(1, int(0.4 * there * settings.n / needed))
        raise InputError(
            f"{settings.n:,} sequences of {settings.max_length:,} tokens at once would take {needed / 1e9:,.0f} GB of "
            f"memory, and this machine has {there / 1e9:,.0f} GB; ask for {fits:,} at a time, or for shorter ones."
        )


def _closing(layout: Layout) -> str:
    """What stands after the last residue of a finished protein."""
    return f"\n{layout.end}" if layout.width else layout.end


def _watched(
    model: Any,
    opening: list[int],
    settings: Settings,
    eos: Optional[int],
    callback: Any,
    tail: list[int],
    stop: Optional[Event],
    shown: bool,
) -> Growth:
    if not shown:
        return grow_or_recall(model, opening, settings, eos, callback, tail, stop)
    from tqdm.auto import tqdm

    with tqdm(total=settings.max_length - len(opening), unit="token", desc=f"{settings.n} proteins") as bar:

        def told(growth: Growth) -> None:
            bar.update()
            if callback is not None:
                callback(growth)

        return grow_or_recall(model, opening, settings, eos, told, tail, stop)


def _designs(growth: Growth, layout: Layout, tokenizer: Any) -> list[Design]:
    designs = []
    special = set(tokenizer.all_special_ids)
    opening = _opening(growth)
    for i, choices in enumerate(growth.choices):
        ids = growth.ids(i)
        written = ids[:-1] if growth.finished[i] else ids
        text = tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        residues = residues_of(text)
        # An end that was not asked to end anything stands inside: what follows it is another protein.
        inside = sum(token in special for token in written[len(growth.prompt) :])
        designs.append(
            Design(
                name=f"design_{i + 1}",
                sequence=residues.sequence,
                finished=growth.finished[i],
                tokens=len(ids),
                perplexity=math.nan,
                text=text.strip("\n"),
                choices=tuple(choices),
                opening=opening,
                left_out=residues.left_out + inside,
            )
        )
    return designs


def _opening(growth: Growth) -> tuple[Choice, ...]:
    """The tokens that all designs begin with, with what is known of their probability by the model."""
    known = [math.nan, *growth.prompt_log_probabilities]
    known += [math.nan] * (len(growth.prompt) - len(known))
    return tuple(Choice(token, value, math.nan) for token, value in zip(growth.prompt, known, strict=True))


def _perplexities(
    growth: Growth, designs: list[Design], layout: Layout, tokenizer: Any, model: Any, over: Optional[Over]
) -> list[float]:
    """The perplexity of each design, as `perplexity` gives it; NaN for one of which nothing was written.

    The model's own tokens were scored when they were chosen. Where the tokenizer cuts the finished text into the same
    tokens, which is the rule for a large model, nothing is computed again.
    """
    values = [math.nan] * len(designs)
    positions = positions_of(model)
    again: dict[int, list[int]] = {}
    for i, design in enumerate(designs):
        if not design.sequence or not design.choices:
            continue
        ids = layout.ids(tokenizer, layout.whole(design.sequence))
        known = growth.ids(i)
        scores = [*growth.prompt_log_probabilities, *(choice.log_probability for choice in growth.choices[i])]
        if not design.finished and i in growth.tail:
            known = [*known, *layout.ids(tokenizer, _closing(layout))]
            scores = [*scores, *growth.tail[i]]
        if ids == known and len(scores) == len(ids) - 1:
            values[i] = math.exp(-math.fsum(scores) / len(scores))
        elif positions is None or len(ids) <= positions:
            again[i] = ids
    found = mean_nats(list(again.values()), model, over=over)
    for i, nats in zip(again, found.tolist(), strict=True):
        values[i] = math.exp(nats)
    return values


def _fidelity(
    designs: list[Design], precision: str, layout: Layout, source: Generator, over: Optional[Over]
) -> Optional[Fidelity]:
    sample = [design for design in designs if design.perplexity == design.perplexity][:COMPARED]
    if not sample:
        return None
    rows = [layout.ids(source.tokenizer, layout.whole(design.sequence)) for design in sample]
    exact = [math.exp(nats) for nats in mean_nats(rows, in_precision(source.model, "float32"), over=over).tolist()]
    if any(map(math.isnan, exact)):
        return None  # it was stopped
    lighter = [design.perplexity for design in sample]
    return Fidelity(precision, len(sample), sum(lighter) / len(lighter), sum(exact) / len(exact))
