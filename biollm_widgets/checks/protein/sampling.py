"""Checks of the unit on the next token: what temperature, top-k, top-p and the penalty do to its probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from biollm_widgets.checks.ground import Case, Mistake, among, check_of, close

LOOK = "unit 3, “What comes next, and what each setting makes of it”"


def softmax(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(scores - np.max(scores))
    return shares / shares.sum()


@check_of(
    "protein.distribution",
    3,
    "a function next_distribution(logits, temperature, top_k)",
    LOOK,
    {
        "multiplied": Mistake(
            "The scores are multiplied by the temperature; then a low one makes the choice more open.",
            "A low temperature makes the likely likelier: which operation does that to the scores?",
            0.25,
        ),
        "after": Mistake(
            "The temperature is applied to the probabilities, where a common factor says nothing.",
            "First the scores, then softmax, and softmax once.",
            0.25,
        ),
        "no_sum": Mistake(
            "What is left after top-k does not add up to 1.", "Probabilities of all that can come add up to 1.", 0.5
        ),
        "least": Mistake("The least likely tokens are kept.", "top_k keeps the k likeliest.", 0.25),
        "all": Mistake("top_k cuts nothing off.", "All but the k likeliest have the probability 0.", 0.25),
        "leak": Mistake(
            "Tokens that are cut off can still come: a score of 0 is no probability of 0.",
            "What must not come has the score minus infinity before softmax.",
            0.25,
        ),
        "zero_k": Mistake("top_k = 0 leaves nothing; it is to cut nothing off.", "Treat 0 by itself.", 0.75),
        "scores": Mistake("Scores are given, not probabilities.", "softmax makes probabilities of them.", 0.25),
        "shape": Mistake("The result has another length than the vocabulary.", "One probability for each token.", 0.25),
    },
)
def next_distribution(case: Case, answer: Any) -> None:
    """Probabilities of a small vocabulary; top_k = 0 cuts nothing off."""
    for number in range(case.rounds):
        size = int(case.rng.integers(12, 30))
        scores = case.rng.normal(0, 2, size)
        temperature = float((0.5, 1.6, 0.7, 2.5)[number % 4])
        k = (5, 4, 0, 7)[number % 4]
        got = case.array(case.call(answer, scores, temperature, k))
        case.need(got.shape == (size,), "shape", f"For {size} tokens its shape is {got.shape}.")

        def cut(scores: np.ndarray, k: int = k, fill: float = -np.inf, least: bool = False) -> np.ndarray:
            if k == 0:
                return scores
            order = np.argsort(scores if least else -scores)
            made = np.full(len(scores), fill)
            made[order[:k]] = scores[order[:k]]
            return made

        heated = scores / temperature
        truth = softmax(cut(heated))
        kept = np.where(np.isfinite(cut(heated)), softmax(heated), 0)
        hot = softmax(cut(scores)) / temperature
        twice = softmax(cut(softmax(scores) / temperature)), softmax(hot)  # softmax of what are probabilities already
        variants = {
            "scores": cut(heated) if k == 0 else heated,
            "multiplied": softmax(cut(scores * temperature)),
            "after": among(got, hot, softmax(cut(scores)), *twice),
            "no_sum": kept,
            "least": softmax(cut(heated, least=True)),
            "all": softmax(heated),
            "leak": among(got, softmax(cut(heated, fill=0.0)), softmax(cut(heated, fill=1e-9))),
        }
        saw = (
            f"Temperature {temperature:g}, top_k {k}: its probabilities add up to {got.sum():.3f}, the largest is "
            f"{got.max():.3f}, not {truth.max():.3f}."
        )
        if (
            k == 0
            and not close(got, truth)
            and (not np.isfinite(got).all() or abs(got).sum() < 1e-9 or (got > 0).sum() < size)
        ):
            case.mistake("zero_k", saw)
        case.match(got, truth, variants, close, saw)
    case.say("Scores divided by the temperature, the k likeliest kept, and the rest 0; top_k = 0 keeps all.")


@check_of(
    "protein.top_p",
    3,
    "a function top_p_filter(probabilities, p)",
    LOOK,
    {
        "crossing": Mistake(
            "The token with which the sum reaches p is left out; those that stay do not reach p.",
            "Take tokens until the sum is at least p.",
            0.5,
        ),
        "threshold": Mistake("Each probability is held against p.", "p is for the sum of the likeliest, not for each."),
        "no_sum": Mistake("What is left does not add up to 1.", "Divide by the sum of what is left.", 0.5),
        "least": Mistake("The sum begins with the least likely.", "Sort from the likeliest on.", 0.25),
        "sorted": Mistake(
            "The result stands in another order than the tokens.", "Each probability goes back to its own token.", 0.5
        ),
        "order": Mistake(
            "The sum goes through the tokens as they stand.", "Sort them by their probabilities first.", 0.25
        ),
        "all": Mistake("Nothing is cut off.", "All but the likeliest tokens that together reach p get 0.", 0.0),
        "shape": Mistake("Tokens that are cut off are missing.", "They stay in their places, with 0.", 0.5),
    },
)
def top_p_filter(case: Case, answer: Any) -> None:
    """Of shuffled probabilities; with p = 1 all stay."""
    for number in range(case.rounds):
        p = float((0.6, 0.8, 0.45, 0.9)[number % 4])
        for _ in range(500):
            shares = case.rng.permutation(softmax(case.rng.normal(0, 1.4, int(case.rng.integers(10, 20)))))
            truth, wrong = _filtered(shares, p)
            if number or told_apart(truth, wrong):
                break  # the first one tells all mistakes from each other
        size = len(shares)
        got = case.array(case.call(answer, shares, p))
        case.need(got.shape == (size,), "shape", f"For {size} tokens its shape is {got.shape}.")
        variants = {key: among(got, *values) for key, values in wrong.items()}
        saw = (
            f"p = {p:g}: of {size} tokens {int((got > 0).sum())} are left, not {int((truth > 0).sum())}; "
            f"they add up to {got.sum():.3f}."
        )
        case.match(got, truth, variants, close, saw)
    # Halves of halves: their sum is 1 in whatever order, and no rounding keeps it from getting there.
    shares = case.rng.permutation([1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 32])
    got = case.array(case.call(answer, shares, 1.0))
    case.need(close(got, shares), "other", "With p = 1 not all tokens are left.")
    case.say("The fewest likeliest tokens that together reach p, each in its place, adding up to 1.")


def told_apart(truth: Any, wrong: Mapping[str, Sequence[Any]]) -> bool:
    """Whether no result of one mistake is that of another, nor the truth."""
    kinds = [[truth], *wrong.values()]
    return not any(
        close(one, other) for i, kind in enumerate(kinds) for rest in kinds[:i] for one in kind for other in rest
    )


def _filtered(shares: np.ndarray, p: float) -> tuple[np.ndarray, dict[str, list[np.ndarray]]]:
    """What is left of probabilities, and what is left by each mistake."""

    def keep(order: np.ndarray, reach: bool = True) -> np.ndarray:
        total = np.cumsum(shares[order])
        inside = total - shares[order] < p if reach else total <= p
        made = np.zeros(len(shares))
        made[order[inside]] = shares[order[inside]]
        return made

    def whole(left: np.ndarray) -> np.ndarray:
        return left / max(left.sum(), 1e-12)

    best = np.argsort(-shares)
    limits = [np.where(shares >= limit, shares, 0) for limit in (p, 1 - p)]
    truth = whole(keep(best))
    return truth, {
        "all": [shares],
        "crossing": [whole(keep(best, reach=False))],
        "no_sum": [keep(best), keep(best, reach=False)],
        "threshold": [*limits, *map(whole, limits)],
        "least": [keep(best[::-1]), whole(keep(best[::-1]))],
        "order": [keep(np.arange(len(shares))), whole(keep(np.arange(len(shares))))],
        "sorted": [np.sort(truth)[::-1], np.sort(truth)],
    }


@check_of(
    "protein.penalty",
    3,
    "a function penalise(logits, seen_ids, penalty)",
    LOOK,
    {
        "negative": Mistake(
            "Scores below 0 are divided too, which makes their tokens likelier.",
            "Dividing moves a number towards 0. Which way is that for one below 0?",
            0.5,
        ),
        "subtracted": Mistake("The penalty is taken off the score.", "It is a factor: 1 changes nothing.", 0.25),
        "repeated": Mistake(
            "A token that came three times is penalised three times.",
            "Once is enough: it is about whether, not how often.",
            0.5,
        ),
        "everywhere": Mistake("All tokens are penalised.", "Only those that stand in the text already.", 0.25),
        "rewarded": Mistake(
            "Tokens that were there become likelier.", "Divide what is above 0, multiply what is below.", 0.25
        ),
        "same": Mistake("The scores come back as they were.", "Those of the tokens in seen_ids change."),
        "forbidden": Mistake(
            "Tokens that were there can no longer come at all.", "Less likely is not impossible.", 0.25
        ),
        "probabilities": Mistake(
            "The penalty is applied to probabilities; the function is given scores, and gives scores.",
            "Leave out softmax: it comes after the penalty.",
            0.25,
        ),
    },
)
def penalise(case: Case, answer: Any) -> None:
    """As transformers does it: above 0 divided, below 0 multiplied, once."""
    for number in range(case.rounds):
        size = int(case.rng.integers(12, 25))
        scores = case.rng.normal(0, 2, size)
        order = case.rng.permutation(size)
        scores[order[0]], scores[order[1]] = 1.7, -1.3
        ids = [int(one) for one in (*order[:4], order[0], order[0], order[1])]
        penalty = float((1.2, 1.5, 2.0, 1.1)[number % 4])
        got = case.array(case.call(answer, scores, ids, penalty))

        def of(
            above: Any, below: Any = None, times: bool = False, scores: np.ndarray = scores, ids: list[int] = ids
        ) -> np.ndarray:
            """The scores with one change for those above 0 and another, or the same, for those below."""
            made = scores.copy()
            for one in ids if times else set(ids):
                made[one] = above(made[one]) if made[one] > 0 else (below or above)(made[one])
            return made

        def divided(score: float, penalty: float = penalty) -> float:
            return score / penalty

        def multiplied(score: float, penalty: float = penalty) -> float:
            return score * penalty

        def less(score: float, penalty: float = penalty) -> float:
            return score - penalty

        def less_by_the_rest(score: float, penalty: float = penalty) -> float:
            return score - (penalty - 1)

        truth = of(divided, multiplied)
        variants = {
            "same": scores,
            "negative": among(got, of(divided), of(divided, times=True)),
            "subtracted": among(got, of(less), of(less_by_the_rest), of(less, times=True)),
            "repeated": of(divided, multiplied, times=True),
            "everywhere": among(got, np.where(scores > 0, scores / penalty, scores * penalty), scores / penalty),
            "rewarded": among(got, of(multiplied, divided), of(multiplied)),
            "forbidden": of(lambda score: -np.inf),
            "probabilities": among(got, *_of_probabilities(scores, ids, penalty), softmax(truth)),
        }
        high, low = order[0], order[1]
        saw = (
            f"Penalty {penalty:g}: 1.7 becomes {got[high]:.3f}, not {truth[high]:.3f}; "
            f"-1.3 becomes {got[low]:.3f}, not {truth[low]:.3f}."
        )
        case.match(got, truth, variants, close, saw)
    case.say("Above 0 divided, below 0 multiplied, once for each token that was there.")


def _of_probabilities(scores: np.ndarray, ids: list[int], penalty: float) -> list[np.ndarray]:
    """With the penalty on probabilities, by each way: divided or multiplied, then adding up to 1 or not."""
    found = []
    for factor in (1 / penalty, penalty):
        shares = softmax(scores)
        shares[sorted(set(ids))] *= factor
        found += [shares, shares / shares.sum()]
    return found


@check_of(
    "protein.entropy",
    2,
    "a function entropy_bits(probabilities)",
    LOOK,
    {
        "nats": Mistake("It is in nats: the natural logarithm is used.", "Bits take the logarithm to the base 2.", 0.5),
        "sign": Mistake("It is below 0.", "Logarithms of probabilities are below 0: turn the sign.", 0.5),
        "zeros": Mistake(
            "A token that cannot come makes it NaN: 0 times minus infinity.", "Leave out probabilities of 0.", 0.5
        ),
        "most": Mistake(
            "The largest possible entropy is given, that of equally likely tokens.",
            "Weight each token's surprise by its probability.",
            0.25,
        ),
        "perplexity": Mistake(
            "The number of equally likely choices is given, 2 to the power of the bits.",
            "Leave out the last step.",
            0.5,
        ),
        "unweighted": Mistake(
            "Every token's surprise counts alike, however seldom it comes.", "Weight it by the probability.", 0.25
        ),
        "first": Mistake("Only the likeliest token is looked at.", "Add up over all tokens.", 0.0),
    },
)
def entropy_bits(case: Case, answer: Any) -> None:
    """Of probabilities, some of them 0."""
    for number in range(case.rounds):
        for _ in range(500):
            shares = softmax(case.rng.normal(0, 1.5, int(case.rng.integers(9, 25))))
            shares[case.rng.permutation(len(shares))[:3]] = 0
            shares = shares / shares.sum()
            left = shares[shares > 0]
            truth = float(-(left * np.log2(left)).sum())
            wrong = {
                "nats": [truth * np.log(2)],
                "sign": [-truth, -truth * np.log(2)],
                "most": [log(len(part)) for log in (np.log2, np.log) for part in (shares, left)],
                "perplexity": [2**truth],
                "unweighted": [-np.log2(left).sum(), -np.log2(left).mean()],
                "first": [-np.log2(shares.max())],
            }
            if number or told_apart(truth, wrong):
                break  # the first one tells all mistakes from each other
        raw = case.call(answer, shares)
        value = case.array(raw)
        if value.size == 1 and not np.isfinite(value.reshape(-1)[0]):
            case.mistake("zeros", f"It gives {float(value.reshape(-1)[0])}.")
        got = case.number(raw)
        variants = {key: among(got, *values) for key, values in wrong.items()}
        case.match(got, truth, variants, close, f"It gives {got:.3f} where {truth:.3f} bits are right.")
    case.say("In bits, with tokens that cannot come.")


CHECKS = [next_distribution, top_p_filter, penalise, entropy_bits]
