"""Checks of the unit on perplexity: as the authors compute it, and what they rank by."""

from __future__ import annotations

from typing import Any

import numpy as np

from biollm_widgets.checks import inputs
from biollm_widgets.checks.ground import Case, Mistake, among, check_of, close, told
from biollm_widgets.checks.protein.sampling import told_apart
from biollm_widgets.checks.protein.text import END, wrapped

LOOK = "unit 6, “Perplexity, and the repeat that fools it”"


@check_of(
    "protein.perplexity",
    3,
    "a function perplexity(logits, ids)",
    LOOK,
    {
        "not_shifted": Mistake(
            "The scores at a place are held against the token at that place; they are about the next one.",
            "logits[i] says what comes as token i + 1.",
            0.5,
        ),
        "other_way": Mistake(
            "Scores and tokens are shifted the wrong way: the scores are held against the token before.",
            "logits[i] says what comes as token i + 1.",
            0.5,
        ),
        "sum": Mistake(
            "Surprises are added up and not averaged; a long protein is then always worse.",
            "Divide by the tokens.",
            0.5,
        ),
        "nats": Mistake("The mean surprise is given; perplexity is e to the power of it.", "One step more: exp.", 0.5),
        "base": Mistake(
            "Two bases are mixed: logarithms to the base 2, and e to their power.", "The same base both times.", 0.5
        ),
        "mean_p": Mistake(
            "Probabilities are averaged, and then turned round.",
            "Average the logarithms: one token that was held impossible counts that much.",
            0.25,
        ),
        "first": Mistake(
            "The first token is counted as if it had been predicted, or the sum is divided by one too many.",
            "Of n tokens n - 1 are predicted.",
            0.5,
        ),
        "sign": Mistake("The exponent has the wrong sign: it lies below 1.", "Surprise is minus the logarithm.", 0.5),
    },
)
def perplexity(case: Case, answer: Any) -> None:
    """Of scores and tokens drawn on the spot."""
    for number in range(case.rounds):
        for _ in range(500):
            n, size = int(case.rng.integers(8, 20)), int(case.rng.integers(6, 12))
            logits, ids = case.rng.normal(0, 1.5, (n, size)), case.rng.integers(0, size, n)
            logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            surprise = -logs[np.arange(n - 1), ids[1:]]
            same = -logs[np.arange(n), ids]
            back = -logs[np.arange(1, n), ids[:-1]]
            mean = float(surprise.mean())
            truth = float(np.exp(mean))
            wrong = {
                "not_shifted": [np.exp(part.mean()) for part in (same, same[1:], same[:-1])],
                "other_way": [np.exp(back.mean())],
                "sum": [np.exp(surprise.sum()), surprise.sum()],
                "nats": [mean, mean / np.log(2)],
                "base": [np.exp(mean / np.log(2)), 2**mean],
                "mean_p": [1 / np.exp(-surprise).mean(), np.exp(surprise).mean()],
                "first": [np.exp(surprise.sum() / n)],
                "sign": [np.exp(-mean)],
            }
            if number or told_apart(truth, wrong):
                break  # the first one tells all mistakes from each other
        got = case.number(case.call(answer, logits, ids))
        variants = {key: among(got, *values) for key, values in wrong.items()}
        case.match(got, truth, variants, close, f"It gives {got:.3f} where {truth:.3f} is right.")
    case.say("e to the mean surprise of all tokens but the first.")


@check_of(
    "protein.authors_text",
    2,
    "a function authors_text(sequence)",
    LOOK,
    {
        "bare": Mistake("The sequence comes back alone.", "The model knows proteins between marks and in lines."),
        "one_line": Mistake("The residues stand in one line.", "The model was trained on lines of 60.", 0.5),
        "width": Mistake("The lines have another length than 60 residues.", "60, as in FASTA of UniProt.", 0.5),
        "no_start": Mistake("No <|endoftext|> stands in front.", "It says where a protein begins.", 0.5),
        "no_end": Mistake(
            "No <|endoftext|> stands behind; then the end is not scored, and any beginning of a protein looks as good.",
            "The mark stands on both sides.",
            0.5,
        ),
        "breaks": Mistake(
            "A mark and the residues stand in one line.", "A line break parts the marks from the residues.", 0.75
        ),
        "empty_line": Mistake(
            "A line break too many stands in the text; each is a token, and is scored.",
            "Look at it with print(repr(...)), also for 120 residues, where the last line is full.",
            0.75,
        ),
    },
)
def authors_text(case: Case, answer: Any) -> None:
    """The text of which ProtGPT2's authors take the perplexity (their model card)."""
    for number in range(case.rounds):
        size = 120 if number == 2 else int(case.rng.integers(65, 250))
        sequence = inputs.protein(case.rng, size)
        truth = f"{END}\n{wrapped(sequence)}\n{END}"
        got = case.text(case.call(answer, sequence))
        if got == truth:
            continue
        saw = f"Of {size} residues it makes {len(got)} letters that begin with {got[:20]!r} and end with {got[-20:]!r}."
        case.need(END in got, "bare", saw)
        case.need(got.startswith(END), "no_start", saw)
        case.need(got.rstrip().endswith(END), "no_end", saw)
        inner = got.strip()[len(END) : -len(END)]
        case.need("".join(inner.split()) == sequence, "other", saw)
        lines = inner.split()
        case.need(len(lines) > 1, "one_line", saw)
        case.need(lines == wrapped(sequence).split(), "width", saw)
        case.need(not inner.startswith("\n") or not inner.endswith("\n"), "empty_line", saw)
        case.mistake("breaks", saw)
    case.say("The mark, lines of 60, the mark, each on a line of its own.")


@check_of(
    "protein.ranking",
    2,
    "a function ranked(names, perplexities, finished)",
    LOOK,
    {
        "falling": Mistake("The most surprising stands first.", "Lower is better: sort the other way.", 0.5),
        "cut_off": Mistake(
            "Proteins that were cut off are in the list; the authors drop them.", "Keep those that are finished.", 0.5
        ),
        "only_cut_off": Mistake("Only those that were cut off are kept.", "finished is True for those to keep.", 0.25),
        "unsorted": Mistake("The names stand as they were handed in.", "Sort them by their perplexities.", 0.25),
        "places": Mistake("Places are given, not names.", "Take the name at each place.", 0.5),
        "values": Mistake("Perplexities are given, not names.", "Keep each name with its perplexity.", 0.5),
        "by_name": Mistake("They are sorted by name.", "Sort by the perplexity that belongs to each.", 0.25),
    },
)
def ranked(case: Case, answer: Any) -> None:
    """Names of the finished ones, the least surprising first."""
    for _ in range(case.rounds):
        while True:
            n = int(case.rng.integers(10, 14))
            names = [f"design_{one}" for one in case.rng.permutation(90)[:n] + 10]
            values = [round(float(one), 1) for one in case.rng.permutation(900)[:n] / 7 + 10]
            finished = [bool(one) for one in case.rng.permutation(np.arange(n) < n - 4)]
            order = sorted(range(n), key=values.__getitem__)
            kept = [i for i in order if finished[i]]
            truth = [names[i] for i in kept]
            everyone = [names[i] for i in order]
            as_given = [names[i] for i in range(n) if finished[i]]
            lists = (truth, truth[::-1], as_given, sorted(truth))
            if len(set(map(tuple, lists))) == 4 and len(set(values)) == n:
                break  # no order is another one by chance
        got = case.call(answer, names, values, finished)
        try:
            found = [one.item() if hasattr(one, "item") else one for one in got]
        except TypeError:
            case.mistake("kind", f"It gives {told(got)}, not a list of names.")
        variants = {
            "falling": truth[::-1],
            "cut_off": found if found in (everyone, everyone[::-1]) else None,
            "only_cut_off": [names[i] for i in order if not finished[i]],
            "unsorted": found if found in (as_given, names) else None,
            "places": kept,
            "values": [values[i] for i in kept],
            "by_name": found if found in (sorted(truth), sorted(names)) else None,
        }
        saw = f"Of {n} proteins {len(kept)} are finished; it gives {len(found)}, {', '.join(map(str, found[:3]))}, ..."
        if found and all(isinstance(one, int) for one in found):
            case.mistake("places", saw)
        case.match(found, truth, variants, lambda a, b: a == b, saw)
    case.say("The finished ones, the least surprising first.")


CHECKS = [perplexity, authors_text, ranked]
