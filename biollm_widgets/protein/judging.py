"""A set of designs judged: one table with everything that can be said of each from its sequence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.protein.complexity import Complexity, complexity
from biollm_widgets.protein.composition import SWISS_PROT, Background, Comparison, Composition, compare, composition
from biollm_widgets.protein.likeness import Nearest, PromptLikeness, duplicates, nearest, prompt_likeness
from biollm_widgets.protein.properties import Properties, properties
from biollm_widgets.protein.references import References, Shared, Source
from biollm_widgets.protein.residues import checked, counts
from biollm_widgets.sequences import Record

if TYPE_CHECKING:
    import pandas as pd

# Every column of the table, in this order and always all of them; what is in it, and in which units.
COLUMNS: Mapping[str, str] = {
    "name": "what the sequence is called",
    "sequence": "its residues",
    "residues": "how many",
    "perplexity": "as given; lower is more likely to the model, comparable within one model only",
    "rank": "by perplexity, 1 is the lowest; equal ones share a rank",
    "weight": "molecular weight in Da",
    "isoelectric_point": "pH at which the charge is zero",
    "charge": "at the pH asked for (7), in elementary charges",
    "gravy": "mean hydropathy (Kyte and Doolittle), above 0 hydrophobic",
    "instability": "instability index (Guruprasad 1990), above 40 unstable",
    "aromaticity": "share of F, W and Y, 0 to 1",
    "composition_distance": "Jensen-Shannon divergence from the background, in bits, 0 to 1",
    "distance_by_chance": "the same as expected of as many residues drawn from the background",
    "more_than_background": "residues that stand out for being more, the largest difference first",
    "less_than_background": "residues that stand out for being less",
    "low_complexity": "share of residues in segments of low complexity (SEG), 0 to 1",
    "repeated": "share of residues in runs, tandem repeats and copied stretches, 0 to 1",
    "duplicate_of": "the first sequence of the set that is the same, letter by letter",
    "prompt_kept": "whether it begins with the whole prompt",
    "prompt_identity": "of what was written after the prompt to the prompt: percent of the aligned columns",
    "prompt_columns": "aligned columns of that",
    "prompt_repeated": "whether that is more than chance: the model says the prompt again",
    "nearest": "the reference that aligns best",
    "nearest_identity": "to it, percent of the aligned columns, gaps included",
    "nearest_columns": "aligned columns of that",
    "nearest_coverage": "percent of the residues (written after the prompt) that the alignment covers",
    "nearest_score": "raw score (BLOSUM62, gaps 11 and 1)",
    "nearest_e_value": "alignments of this score expected by chance",
    "nearest_shuffled_score": "the best score of its shuffled copies",
    "nearest_more_than_chance": "whether E is at most 0.001, and shuffled copies would reach the score as rarely",
    "longest_shared": "residues of the longest stretch that stands letter by letter in a reference",
    "shared_with": "that reference",
    "flags": "what to look at, in words; empty when there is nothing",
    "why": "a sentence when something speaks against the sequence, empty otherwise",
}
_TEXTS = (
    *("name", "sequence", "more_than_background", "less_than_background", "duplicate_of", "nearest"),
    *("shared_with", "flags", "why"),
)
_CHOICES = ("prompt_kept", "prompt_repeated", "nearest_more_than_chance")
# Letter by letter, unrelated proteins share 4 to 9 residues with 4.3 million; real relatives may share this.
RECITED = 20
DECEIVES = "Low perplexity, but"  # how `why` begins where the model's word is not to be trusted


def judge(
    sequences: Iterable[Union[str, Record]],
    *,
    names: Optional[Sequence[str]] = None,
    perplexity: Optional[Sequence[Optional[float]]] = None,
    prompt: Optional[str] = None,
    references: Optional[Source] = None,
    background: Background = SWISS_PROT,
    ph: float = 7.0,
    exhaustive: bool = False,
    shuffles: int = 2,
    seed: int = 0,
    progress: Optional[Callable[[int, int], None]] = None,
) -> pd.DataFrame:
    """Judge sequences: a row each, in their order.

    Nothing here knows whether a protein folds or works. It says what the sequence gives away: whether it is made of
    what proteins are made of, says something new at every place, and is like a known one, its prompt or another design.

    Parameters
    ----------
    sequences : iterable of str or Record
        Empty ones get a row as well.
    names : sequence of str, optional
        One each; design_1, design_2, ... (or the records' own) unless given.
    perplexity : sequence of float, optional
        One each, NaN or None where there is none; ranks them and says where a low one deceives.
    prompt : str, optional
        What the model was given to begin with, in residues. Where a sequence begins with it, only what was written
        after it is compared with the references.
    references : References, or what `References.of` takes, optional
        Known proteins to look for relatives in; about a second for each design. Give `References` when judging
        several sets: its index is made once.
    background : Composition, mapping of residue to frequency, or sequences
        What compositions are compared with; Swiss-Prot unless given.
    ph : float
        For the charge.
    exhaustive, shuffles, seed
        Of the search among the references; see `nearest`.
    progress : callable, optional
        Called with how many are done and how many there are, after each.

    Returns
    -------
    DataFrame
        The columns of `COLUMNS`, which says what each holds. Where nothing was asked or nothing can be said, numbers
        are NaN, texts empty, and yes-or-no values (of dtype "boolean") missing.

    Raises
    ------
    InputError
        For a letter that is no residue (with the name and place), names or perplexities of another number than
        sequences, a perplexity of 0 or less, and whatever references, background or pH are refused for.
    """
    import pandas as pd

    given = [sequences] if isinstance(sequences, str) else list(sequences)
    called = _names(given, names)
    texts = [checked(str(sequence), name) for sequence, name in zip(given, called, strict=True)]
    perplexities = _perplexities(perplexity, len(texts))
    prompt = checked(prompt or "", "the prompt")
    known = None if references is None else References.of(references)
    natural = background if isinstance(background, (Mapping, Composition)) else composition(background)
    same_as = {
        place: called[group[0]] for group in duplicates(texts) for place in group[1:]
    }  # the first of a group is no duplicate

    ranks = pd.Series(perplexities, dtype=float).rank(method="min")
    middle = float(np.nanmedian(perplexities)) if np.isfinite(perplexities).sum() > 1 else math.nan
    rows = []
    for place, (name, text) in enumerate(zip(called, texts, strict=True)):
        computed = properties(text, ph, name)
        made = compare(text, natural)
        simple = complexity(text)
        asked = prompt_likeness(text, prompt) if prompt else None
        found = shared = None
        if known is not None:
            found = nearest(text, known, exhaustive=exhaustive, shuffles=shuffles, seed=seed + place, prompt=prompt)
            before = len(prompt) if text.startswith(prompt) else 0
            shared = known.longest_shared(text[before:])
            shared = shared._replace(start=shared.start + before)
        row: dict[str, Any] = {
            "name": name,
            "sequence": text,
            "residues": len(text),
            "perplexity": perplexities[place],
            "rank": ranks.iloc[place],
            "duplicate_of": same_as.get(place, ""),
            **_computed(computed, made, simple),
            **_likeness(asked, found, shared),
        }
        concerns = _concerns(row, made, simple, asked, shared, natural is SWISS_PROT)
        row["flags"] = "; ".join([*(concern.words for concern in concerns), *_remarks(text)])
        row["why"] = _why(concerns, low=bool(perplexities[place] <= middle))
        rows.append(row)
        if progress is not None:
            progress(place + 1, len(texts))

    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in frame.columns:
        if column in _TEXTS:
            frame[column] = frame[column].astype(object)
        elif column in _CHOICES:
            frame[column] = frame[column].astype("boolean")
        else:
            frame[column] = frame[column].astype("int64" if column == "residues" else "float64")
    return frame


def _names(given: Sequence[Union[str, Record]], names: Optional[Sequence[str]]) -> list[str]:
    if names is None:
        return [item.name if isinstance(item, Record) else f"design_{n}" for n, item in enumerate(given, start=1)]
    if isinstance(names, str) or len(names) != len(given):
        count = 1 if isinstance(names, str) else len(names)
        raise InputError(f"There are {len(given)} sequences and {count} names; give one name for each.")
    return [str(name) for name in names]


def _perplexities(given: Optional[Sequence[Optional[float]]], count: int) -> np.ndarray:
    if given is None:
        return np.full(count, np.nan)
    values = np.array([np.nan if value is None else float(value) for value in given], dtype=float)
    if len(values) != count:
        raise InputError(f"There are {count} sequences and {len(values)} perplexities; give one for each, or NaN.")
    if (values <= 0).any():
        raise InputError(f"A perplexity is above 0, and one of those given is {values[values <= 0][0]:g}.")
    return values


def _computed(computed: Properties, made: Comparison, simple: Complexity) -> dict[str, Any]:
    return {
        "weight": computed.weight,
        "isoelectric_point": computed.isoelectric_point,
        "charge": computed.charge,
        "gravy": computed.gravy,
        "instability": computed.instability,
        "aromaticity": computed.aromaticity,
        "composition_distance": made.distance,
        "distance_by_chance": made.distance_by_chance,
        "more_than_background": made.more,
        "less_than_background": made.less,
        "low_complexity": simple.low_complexity if simple.residues else math.nan,
        "repeated": simple.repeated if simple.residues else math.nan,
    }


def _likeness(asked: Optional[PromptLikeness], found: Optional[Nearest], shared: Optional[Shared]) -> dict[str, Any]:
    row: dict[str, Any] = {"nearest": "", "shared_with": ""}
    if asked is not None:
        row.update(
            prompt_kept=asked.kept,
            prompt_identity=asked.identity,
            prompt_columns=asked.alignment.columns,
            prompt_repeated=asked.repeated,
        )
    if found is not None:
        row.update(
            nearest=found.name,
            nearest_identity=found.identity,
            nearest_columns=found.alignment.columns,
            nearest_coverage=found.coverage,
            nearest_score=found.alignment.score,
            nearest_e_value=found.e_value,
            nearest_shuffled_score=found.shuffled_score,
            nearest_more_than_chance=found.more_than_chance,
        )
    if shared is not None:
        row.update(longest_shared=shared.length, shared_with=shared.name)
    return row


class _Concern(NamedTuple):
    """Something that speaks against a sequence.

    Attributes
    ----------
    words : str
        For the column of flags.
    verdict : str
        The same with a verb, to follow "Low perplexity, but".
    """

    words: str
    verdict: str


def _concerns(
    row: Mapping[str, Any],
    made: Comparison,
    simple: Complexity,
    asked: Optional[PromptLikeness],
    shared: Optional[Shared],
    natural: bool,
) -> list[_Concern]:
    """What speaks against a sequence, the gravest first."""
    if not row["residues"]:
        return [_Concern("no residues", "there are no residues")]
    concerns = []
    if row["duplicate_of"]:
        concerns.append(_Concern(f"the same as {row['duplicate_of']}", f"it is the same as {row['duplicate_of']}"))
    for flag in simple.flags:
        verdict = "" if flag.kind == "low complexity" else "it repeats itself: "
        concerns.append(_Concern(flag.words, verdict + flag.words))
    if asked is not None and asked.repeated:
        part = asked.alignment
        words = f"residues {part.start + 1} to {part.end} " + (
            "say the prompt again" if asked.kept else "are the prompt"
        )
        concerns.append(_Concern(words, words))
    if shared is not None and shared.length >= RECITED:
        place = f"residues {shared.start + 1} to {shared.start + shared.length}"
        words = f"{place} stand letter by letter in {shared.name}"
        concerns.append(_Concern(words, f"it recites: {words}"))
    if natural and made.unusual:
        words = f"a composition that hardly any natural protein has ({_most(made)})"
        concerns.append(_Concern(words, f"it has {words}"))
    return concerns


def _most(made: Comparison) -> str:
    kinds = (("more", made.more), ("less", made.less))
    parts = [f"{kind} {', '.join(letters[:3])}" for kind, letters in kinds if letters]
    return ", ".join(parts) or f"{made.distance:.2f} bits from Swiss-Prot"


def _remarks(text: str) -> list[str]:
    """What is worth knowing and speaks neither way."""
    remarks = []
    if text and text[0] != "M":
        remarks.append("does not begin with M")
    others = len(text) - int(counts(text).sum())
    if others:
        remarks.append(f"{others} letter{'s' * (others > 1)} beyond the twenty")
    return remarks


def _why(concerns: Sequence[_Concern], low: bool) -> str:
    """The verdict: a low perplexity beside a concern is what deceives, since what repeats is easy to predict."""
    if not concerns:
        return ""
    verdict = concerns[0].verdict
    return f"{DECEIVES} {verdict}." if low else f"{verdict[0].upper()}{verdict[1:]}."
