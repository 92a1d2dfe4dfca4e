"""What a ProteinPanel says: its titles, its lines, what each control does, and what came out."""

from __future__ import annotations

import math
from typing import Any, Optional

from biollm_widgets.protein.prompts import Prompt

LABELS = {
    "prompt": "the prompt",
    "n": "the number of sequences",
    "max_length": "the length",
    "temperature": "the temperature",
    "top_k": "top-k",
    "top_p": "top-p",
    "repetition_penalty": "the repetition penalty",
    "seed": "the seed",
    "precision": "the precision",
}
STAGES = {
    "model": "the model alone",
    "repetition_penalty": "repetition penalty",
    "temperature": "temperature",
    "top_k": "top-k",
    "top_p": "top-p",
    "greedy": "the likeliest",
}


def control(
    key: str,
    label: str,
    unit: str,
    help: str,
    low: float,
    high: float,
    step: float,
    scale: str = "linear",
    whole: bool = False,
    off: Optional[float] = None,
) -> dict[str, Any]:
    """A control of the page: `low` and `high` are the ends of its slider; more can be typed."""
    return {
        "key": key, "label": label, "unit": unit, "help": help, "low": low, "high": high, "step": step,
        "scale": scale, "whole": whole, "off": off,
    }  # fmt: skip


CONTROLS = [
    control("n", "sequences", "", "How many proteins grow at once.", 1, 100, 1, "log", whole=True),
    control("max_length", "length", "tokens", "At most so many tokens a protein, those of the prompt included; one "
            "that is cut off is not finished.", 20, 1000, 10, "log", whole=True),
    control("temperature", "temperature", "", "Below 1 the likely becomes likelier, above 1 the unlikely comes more "
            "often; 1 is the model itself.", 0.1, 3, 0.05, off=1),
    control("top_k", "top-k", "tokens", "Only so many of the likeliest tokens can come; 0 lets all of them.",
            0, 2000, 10, whole=True, off=0),
    control("top_p", "top-p", "", "Only the likeliest tokens that together have this probability can come; 1 lets all "
            "of them.", 0.05, 1, 0.01, off=1),
    control("repetition_penalty", "penalty", "", "Above 1 a token that stands in the text already becomes less "
            "likely; 1 is no penalty.", 1, 2, 0.05, off=1),
    control("seed", "seed", "", "The same seed and settings make the same proteins again; leave it empty for new "
            "ones.", 0, 2**32 - 1, 1, whole=True),
]  # fmt: skip


def count(number: int, name: str, many: str = "") -> str:
    """As in "1 protein", "2,000 proteins"."""
    return f"{number:,} {name if number == 1 else many or name + 's'}"


def listed(names: list[str]) -> str:
    """As in "a and b" and "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def rounded(number: float) -> str:
    """To two figures, as an estimate is told: 263.4 is 260."""
    if number < 1:
        return "no"
    digits = max(0, math.floor(math.log10(number)) - 1)
    return f"{round(number / 10**digits) * 10**digits:,}"


# Beside the fields.


def prompt(read: Prompt, tokens: Optional[int]) -> str:
    """What a prompt costs, and what was changed in it."""
    cost = count(len(read.sequence), "residue") if read else "from scratch"
    if tokens is not None:
        cost += f", {count(tokens, 'token')}"
    return "; ".join([cost, *(repair.words for repair in read.repairs)])


def too_long(residues: int, tokens: int, positions: int, fits: int) -> str:
    return (
        f"These {residues:,} residues take {tokens:,} tokens, and the model has {positions:,} positions in all; the "
        f"first {fits:,} residues fit, with a place left for one token."
    )


def beyond(asked: int, positions: int) -> str:
    return f"The model has {positions:,} positions, so {asked:,} tokens are too many; give at most {positions:,}."


def no_room(taken: int, most: int) -> str:
    return f"The prompt takes {taken:,} tokens, which leaves nothing of {most:,}; raise this, or shorten the prompt."


# Above all.


def finding(designs: list[tuple[str, bool, float]], max_length: int, stopped: bool) -> str:
    """What came out: "10 proteins, 8 cut off at 100 tokens; least surprising: design_3, perplexity 41.2".

    Parameters
    ----------
    designs : list of (name, finished, perplexity)
    """
    cut = sum(not finished for _, finished, _ in designs)
    words = count(len(designs), "protein")
    if cut:
        which = f"{cut:,} " if cut < len(designs) else "all " if cut > 1 else ""
        words += f", {which}cut off "
        words += "by Cancel" if stopped else f"at {max_length:,} tokens"
    else:
        words += ", ended by itself" if len(designs) == 1 else ", all ended by themselves"
    ranked = [(perplexity, name) for name, _, perplexity in designs if perplexity == perplexity]
    if ranked:
        perplexity, name = min(ranked, key=lambda one: one[0])
        least = f"least surprising: {name}, perplexity" if len(ranked) > 1 else "perplexity"
        words += f"; {least} {number(perplexity)}"
    return words


def number(value: float) -> str:
    """A perplexity: 41.2, 1,240."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def growing(step: int, most: int, alive: int, n: int, seconds: float, tokens: int, seed: Optional[int]) -> str:
    """How far the sequences are."""
    parts = [f"token {step:,} of {most:,}", f"{alive:,} of {n:,} still growing"]
    if seconds > 0.5:
        parts.append(f"{tokens / seconds:,.0f} tokens a second")
    return " · ".join([*parts, f"seed {seed}"])


def result(generation: Any) -> str:
    """What the title does not say of a generation."""
    residues = sum(design.residues for design in generation)
    tokens = sum(len(design.choices) for design in generation)
    ended = sum(design.finished for design in generation)
    left_out = sum(design.left_out for design in generation)
    parts = [count(residues, "residue"), f"{ended:,} ended by {'itself' if ended == 1 else 'themselves'}"]
    parts.append(f"{generation.seconds:.1f} s")
    if generation.seconds > 0:
        parts.append(f"{tokens / generation.seconds:,.0f} tokens a second")
    if left_out:
        stand = "stands" if left_out == 1 else "stand"
        parts.append(f"{count(left_out, 'thing')} that {stand} for no residue left out")
    return " · ".join([*parts, f"seed {generation.settings.seed}"])


def failure(error: BaseException, n: int, max_length: int) -> list[str]:
    """What an exception out of generating means, and what to do about it."""
    from biollm_widgets.errors import InputError

    said = " ".join(str(error).split())
    kind, lower = type(error).__name__, said.lower()
    if isinstance(error, InputError):
        return [said]
    memory = "out of memory" in lower or "can't allocate memory" in lower or "not enough memory" in lower
    if kind == "OutOfMemoryError" or memory or isinstance(error, MemoryError):
        return [
            "Memory ran out.",
            f"Ask for fewer sequences (now {n:,}) or shorter ones (now {max_length:,} tokens); what is kept of each "
            "token grows with both.",
        ]
    if isinstance(error, KeyboardInterrupt):
        return ["Interrupted."]
    return [f"It broke off ({kind}: {said[:300]})." if said else f"It broke off ({kind})."]
