"""Checks of the units on comparing: composition, a shuffled control, and what is near."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

from biollm_widgets.checks import inputs
from biollm_widgets.checks.ground import Case, Mistake, among, check_of, close, told
from biollm_widgets.checks.protein.sampling import told_apart

LOOK = "unit 7, “Composition, properties, and shuffled proteins”"
NOVEL = "unit 8, “Never seen before?”"
TWENTY = "ACDEFGHIKLMNPQRSTVWY"


@check_of(
    "protein.composition",
    2,
    "a function composition(sequences) that gives a dictionary of the 20 residues",
    LOOK,
    {
        "counts": Mistake("Residues are counted, not their shares.", "Divide by the number of residues.", 0.5),
        "percent": Mistake("The shares are in percent.", "A share lies between 0 and 1.", 0.75),
        "missing": Mistake("Residues that do not occur are left out.", "All twenty have a share, be it 0.", 0.5),
        "per_sequence": Mistake(
            "Each protein's shares are averaged; a residue of a short one then counts more.",
            "Count over all proteins together, then divide.",
            0.5,
        ),
        "denominator": Mistake(
            "Letters that are none of the twenty (X) are counted as residues.", "Divide by the twenty's residues.", 0.5
        ),
        "extra": Mistake("Letters that are none of the twenty have a share.", "The dictionary has twenty keys.", 0.5),
        "first": Mistake("Only the first protein is counted.", "Go through all of them.", 0.25),
    },
)
def composition(case: Case, answer: Any) -> None:
    """Pooled over proteins of different lengths, one residue missing, an X among them."""
    for _ in range(case.rounds):
        absent = str(case.rng.choice(list("WYHCQ")))
        sequences = [inputs.protein(case.rng, int(n)).replace(absent, "A") for n in (30, 200, 80)]
        sequences[1] = sequences[1][:50] + "XXXX" + sequences[1][50:]
        got = case.call(answer, sequences)
        if hasattr(got, "to_dict"):
            got = got.to_dict()
        if not isinstance(got, dict):
            case.mistake("kind", f"It gives {told(got)}, not a dictionary.")
        given = {str(key): case.number(value, f"Of {key} it") for key, value in got.items()}
        whole = Counter("".join(sequences))
        total = sum(whole[one] for one in TWENTY)
        truth = {one: whole[one] / total for one in TWENTY}
        first = Counter(sequences[0])
        saw = f"It gives {len(given)} letters that add up to {sum(given.values()):.4g}."
        variants = {
            "counts": {one: float(whole[one]) for one in TWENTY},
            "percent": {one: 100 * truth[one] for one in TWENTY},
            "denominator": {one: whole[one] / sum(whole.values()) for one in TWENTY},
            "per_sequence": {
                one: float(np.mean([s.count(one) / sum(s.count(x) for x in TWENTY) for s in sequences]))
                for one in TWENTY
            },
            "first": {one: first[one] / len(sequences[0]) for one in TWENTY},
        }
        case.need(not set(given) - set(TWENTY), "extra", saw)
        case.need(set(given) == set(TWENTY), "missing", saw)
        case.match(given, truth, variants, lambda a, b: close([a[x] for x in TWENTY], [b[x] for x in TWENTY]), saw)
    case.say("Pooled over all proteins, all twenty, X left out.")


@check_of(
    "protein.shuffled",
    2,
    "a function shuffled(sequence, seed)",
    LOOK,
    {
        "drawn": Mistake(
            "Residues are drawn anew; the composition is no longer the same.",
            "Put the same residues in another order.",
            0.25,
        ),
        "reversed": Mistake(
            "The sequence is read backwards; neighbours stay neighbours.", "Shuffle: any order is as likely.", 0.25
        ),
        "same": Mistake(
            "The sequence comes back as it was.", "random.shuffle changes a list in place, and gives None."
        ),
        "start": Mistake(
            "The first M is shuffled away; without it the control differs by more than its order.",
            "Keep the first residue, shuffle the others.",
            0.5,
        ),
        "unseeded": Mistake(
            "Each call gives another order, also with the same seed.", "Make a generator of the seed.", 0.5
        ),
        "one_seed": Mistake("Each seed gives the same order.", "Use the parameter `seed`.", 0.5),
        "words": Mistake("Pieces are shuffled, not residues.", "list(sequence) has the residues one by one.", 0.5),
        "list": Mistake("A list is given, not a text.", '"".join makes a text of it.', 0.75),
    },
)
def shuffled(case: Case, answer: Any) -> None:
    """The same residues in another order, the first in its place."""
    for _ in range(case.rounds):
        sequence = inputs.protein(case.rng, int(case.rng.integers(170, 240)))  # so long that no order comes by chance
        seed = int(case.rng.integers(1, 10_000))
        got = case.call(answer, sequence, seed)
        if isinstance(got, (list, np.ndarray)):
            case.mistake("list", f"It gives {told(got)}.")
        got = case.text(got)
        saw = f"Of {sequence[:12]}... it makes {got[:12]}..."
        case.need(got != sequence, "same", saw)
        case.need(got not in (sequence[::-1], sequence[0] + sequence[:0:-1]), "reversed", saw)
        case.need(Counter(got) == Counter(sequence), "drawn", saw)
        again, other = (case.text(case.call(answer, sequence, one)) for one in (seed, seed + 1))
        case.need(again == got, "unseeded", "Two calls with one seed give two orders.")
        kept = sum(a + b in sequence for a, b in pairwise(got)) / len(got)
        case.need(kept < 0.75, "words", f"{kept:.0%} of the neighbours are neighbours still.")
        case.need(other != got, "one_seed", "Two seeds give one order.")
        starts = [case.text(case.call(answer, sequence, seed + one))[0] for one in range(2, 9)]
        case.need(got[0] == "M" and set(starts) == {"M"}, "start", f"It begins with {got[0]}, {', '.join(starts)}.")
    case.say("The same residues, the first in its place, the same order for the same seed.")


def _aligned(rng: np.random.Generator) -> tuple[str, str]:
    """Two aligned texts of 60 columns, with changes, gaps in each of them, and three columns of gaps alone."""
    first = list(inputs.protein(rng, 60))
    second = list(first)
    for place in rng.permutation(60)[:25]:
        second[place] = str(rng.choice([x for x in TWENTY if x != first[place]]))
    for number, place in enumerate(rng.permutation([one for one in range(1, 60) if one not in (10, 11, 40)])[:13]):
        (first if number < 5 else second)[place] = "-"
    for place in (10, 11, 40):
        first[place] = second[place] = "-"
    return "".join(first), "".join(second)


@check_of(
    "protein.identity",
    2,
    "a function identity(a, b) of two aligned sequences",
    NOVEL,
    {
        "percent": Mistake("It is in percent.", "A share lies between 0 and 1.", 0.75),
        "columns": Mistake(
            "It is divided by all columns, gaps too.",
            "Count columns in which both have a residue, and divide by them.",
            0.5,
        ),
        "gaps": Mistake("A gap beside a gap is counted as identical.", "A gap is no residue.", 0.5),
        "shorter": Mistake(
            "It is divided by the residues of one of the two.",
            "Divide by the columns in which both have a residue.",
            0.5,
        ),
        "number": Mistake("Identical columns are counted, not their share.", "Divide.", 0.5),
        "letters": Mistake(
            "The letters that both have are compared, wherever they stand.", "Compare column by column.", 0.25
        ),
        "ungapped": Mistake(
            "Gaps are taken out first; then the columns are no longer those of the alignment.",
            "Go through both texts side by side, gaps and all.",
            0.25,
        ),
    },
)
def identity(case: Case, answer: Any) -> None:
    """Identical residues over columns in which both have one."""
    for number in range(case.rounds):
        for _ in range(500):
            a, b = _aligned(case.rng)
            pairs = [(x, y) for x, y in zip(a, b, strict=True) if x != "-" and y != "-"]
            same = sum(x == y for x, y in pairs)
            with_gaps = sum(x == y for x, y in zip(a, b, strict=True))
            lengths = [len(one.replace("-", "")) for one in (a, b)]
            bare = list(zip(a.replace("-", ""), b.replace("-", ""), strict=False))
            bare_same = sum(x == y for x, y in bare)
            truth = same / len(pairs)
            wrong = {
                "percent": [100 * truth],
                "columns": [same / len(a), same / (len(a) - 3)],
                "gaps": [with_gaps / len(a), with_gaps / len(pairs)],
                "shorter": [same / length for length in lengths],
                "number": [float(same), float(with_gaps)],
                "letters": [len(set(a) & set(b)) / len(set(a) | set(b))],
                "ungapped": [bare_same / length for length in lengths],
            }
            if number or told_apart(truth, wrong):
                break  # the first one tells all mistakes from each other
        got = case.number(case.call(answer, a, b))
        variants = {key: among(got, *values) for key, values in wrong.items()}
        case.match(got, truth, variants, close, f"{same} of {len(pairs)} columns are {truth:.3f}; it gives {got:.3f}.")
    case.say("Identical residues over the columns in which both have one.")


CHECKS = [composition, shuffled, identity]
