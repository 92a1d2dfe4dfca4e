"""Checks of the unit on embeddings: one vector a sequence, whatever it is padded to and whoever stands beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from biollm_widgets.checks import inputs
from biollm_widgets.checks.ground import Case, Mistake, check_of, close

LOOK = "unit 5, “Embeddings and what padding does to them”"


@check_of(
    "dna.pooling",
    3,
    "a function pool(hidden, mask)",
    LOOK,
    {
        "no_mask": Mistake(
            "The mean is taken over the padding too, as if it were sequence.",
            "Only tokens whose mask is 1 belong to the sequence.",
            0.25,
        ),
        "plain_mean": Mistake(
            "Padding is set to zero and counted all the same: the direction is right, the length is not.",
            "Divide by the number of tokens that the mask lets through, not by the length of the row.",
            0.5,
        ),
        "sum": Mistake(
            "The vectors are added up and not divided.", "A long sequence is not a larger one: divide.", 0.5
        ),
        "cls": Mistake("The first token is taken for all of them.", "The lesson asks for the mean over the tokens."),
        "max": Mistake("The largest value is taken instead of the mean.", "Add up and divide."),
        "specials": Mistake(
            "[CLS] and [SEP] are left out; the lesson's mean is over all that is no padding.",
            "The mask alone says what counts.",
            0.75,
        ),
        "whole": Mistake(
            "All sequences are averaged together.", "One vector a sequence: the mean goes over the tokens, dimension 1."
        ),
        "shape": Mistake(
            "It is not one vector for each sequence.", "From (sequences, tokens, width) to (sequences, width)."
        ),
        "padding_value": Mistake(
            "What stands in the padding still changes the result.", "Multiply by the mask before you add up.", 0.25
        ),
        "constant": Mistake("The result does not depend on what is handed in.", "Use `hidden`."),
    },
)
def pooling(case: Case, answer: Any) -> None:
    """The mean over the tokens that the mask lets through, of batches that are padded to different lengths."""
    import torch

    results = []
    for number in range(case.rounds):
        rows, width = int(case.rng.integers(3, 6)), int(case.rng.integers(4, 9))
        lengths = case.rng.integers(4, 30, rows)
        lengths[0] = 30  # one of them is not padded at all
        hidden = case.rng.normal(1, 1, (rows, int(lengths.max()) + number % 2 * 3, width))
        mask = (np.arange(hidden.shape[1]) < lengths[:, None]).astype(np.int64)
        got = case.array(case.call(answer, torch.tensor(hidden, dtype=torch.float32), torch.tensor(mask)))
        case.need(got.shape == (rows, width), "shape", f"Of {hidden.shape} it makes {got.shape}.")
        weights = mask[:, :, None]
        truth = (hidden * weights).sum(1) / weights.sum(1)
        middle = weights.copy()
        middle[:, 0] = 0
        middle[np.arange(rows), lengths - 1] = 0
        variants = {
            "no_mask": hidden.mean(1),
            "plain_mean": (hidden * weights).mean(1),
            "sum": (hidden * weights).sum(1),
            "cls": hidden[:, 0],
            "specials": (hidden * middle).sum(1) / middle.sum(1),
            "whole": np.repeat(truth.mean(0)[None], rows, 0),
        }
        tops = [np.where(weights > 0, hidden, -np.inf).max(1), hidden.max(1), (hidden * weights).max(1)]
        variants["max"] = next((top for top in tops if close(got, top)), tops[0])
        norms = np.linalg.norm(got, axis=1) / np.linalg.norm(truth, axis=1)
        saw = f"Its vectors are {', '.join(f'{norm:.2f}' for norm in norms)} times as long as they should be."
        results.append(got)
        if len({one.tobytes() for one in results}) < len(results):
            case.mistake("constant", "It gives the same for different inputs.")
        if not close(got, truth) and not any(close(got, value) for value in variants.values()):
            other = np.where(weights > 0, hidden, hidden + 7)
            again = case.array(case.call(answer, torch.tensor(other, dtype=torch.float32), torch.tensor(mask)))
            case.need(close(again, got), "padding_value", "Other numbers in the padding give another result.")
            if np.allclose(got, got[:1]) and close(
                case.array(case.call(answer, torch.zeros(3, 5, 4), torch.ones(3, 5)))[0, :1], got[0, :1]
            ):
                case.mistake("constant", "It gives the same for different inputs.")
        case.match(got, truth, variants, close, saw)
    case.say("The same vectors however long the padding is, and of the right length.")


@check_of(
    "dna.embedding",
    3,
    "a function embed(sequences)",
    LOOK,
    {
        "shape": Mistake(
            "It is not one row of numbers for each sequence.", "An array of shape (number of sequences, width)."
        ),
        "batch": Mistake(
            "A sequence gets another vector when longer ones stand beside it: padding is attended to, or averaged.",
            "Give the model the attention_mask too, and average with it.",
            0.25,
        ),
        "order": Mistake(
            "The rows come in another order than the sequences.",
            "Whoever sorts by length has to sort back.",
            0.25,
        ),
        "dropout": Mistake(
            "The same sequence gets another vector each time: the model still drops out at random, as in training.",
            "Call model.eval() first.",
            0.25,
        ),
        "constant": Mistake("Different sequences get the same vector.", "Hand the sequence's own tokens to the model."),
        "composition": Mistake(
            "The order of the bases changes nothing: bases are counted, and no model has read them.",
            "The vectors come out of the model.",
        ),
        "nan": Mistake(
            "There are values that are no numbers; a division by no tokens makes them.",
            "Look at the shortest sequence.",
        ),
    },
    rounds=(4, 4),
)
def embedding(case: Case, answer: Any) -> None:
    """Invariances of the learner's own model: alone as in a batch, in any order, each time."""
    for _ in range(case.rounds):
        sequences = [inputs.dna(case.rng, int(length)) for length in (25, 300, 60, 150)]
        got = case.array(case.call(answer, sequences))
        case.need(got.ndim == 2 and len(got) == 4, "shape", f"For 4 sequences its shape is {got.shape}.")
        case.need(
            np.isfinite(got).all(), "nan", f"{int((~np.isfinite(got)).sum())} of {got.size} values are no numbers."
        )
        again = case.array(case.call(answer, sequences))
        case.need(_alike(got, again), "dropout", f"Twice the same sequences: {_apart(got, again)}.")
        spread = np.linalg.norm(got - got.mean(0), axis=1).max() / max(1e-12, np.linalg.norm(got, axis=1).max())
        case.need(spread > 1e-5, "constant", "Four different sequences have one vector.")
        alone = np.concatenate([_rows(case.array(case.call(answer, [one])), case) for one in sequences])
        case.need(alone.shape == got.shape, "shape", f"For one sequence its shape is {alone[:1].shape}.")
        turned = case.array(case.call(answer, sequences[::-1]))
        if not _alike(turned[::-1], got):
            same_set = any(_alike(turned[list(order)], got) for order in ((0, 1, 2, 3), (0, 3, 1, 2), (3, 1, 2, 0)))
            key = "order" if same_set or _alike(np.sort(turned, 0), np.sort(got, 0)) else "batch"
            case.mistake(key, f"The same sequences from the last to the first: {_apart(turned[::-1], got)}.")
        if not _alike(alone, got):
            key = "order" if _alike(np.sort(alone, 0), np.sort(got, 0)) else "batch"
            case.mistake(key, f"Alone and with longer ones beside them: {_apart(alone, got)}.")
        mixed = ["".join(case.rng.permutation(list(one))) for one in sequences]
        moved = case.array(case.call(answer, mixed))
        case.need(not _alike(moved, got), "composition", "With the bases shuffled the vectors are the same.")
    case.say("One vector a sequence: alone, in a batch, in any order, each time.")


def _rows(found: np.ndarray, case: Case) -> np.ndarray:
    case.need(found.ndim == 2 and len(found) == 1, "shape", f"For one sequence its shape is {found.shape}.")
    return found


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    """But for the rounding of single precision and of another order of adding up."""
    return a.shape == b.shape and bool(np.linalg.norm(a - b) <= 2e-3 * max(1e-12, float(np.linalg.norm(b))))


def _apart(a: np.ndarray, b: np.ndarray) -> str:
    """How far vectors are from each other, in words: direction and length."""
    if a.shape != b.shape:
        return f"shapes {a.shape} and {b.shape}"
    long_a, long_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(1) / np.maximum(1e-12, long_a * long_b)
    worst = int(np.argmin(cosine))
    return f"cosine {cosine[worst]:.3f}, {long_a[worst] / max(1e-12, long_b[worst]):.2f} times as long"


CHECKS = [pooling, embedding]
