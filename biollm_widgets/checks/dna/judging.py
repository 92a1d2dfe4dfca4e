"""Checks of the units on training and judging: steps, scores, and the chapter's printed metrics taken apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from biollm_widgets.checks.ground import Case, Mistake, apart, check_of, close, told

TRAINING = "unit 8, “Fine-tuning”"
JUDGING = "unit 9, “What the printed numbers say”"
ONE = "unit 10, “One sequence”"


@check_of(
    "dna.schedule",
    3,
    "a function schedule(rows, batch, epochs, every) that gives a dictionary: steps, evaluations, last, epochs_seen",
    TRAINING,
    {
        "keys": Mistake(
            "The keys are others than those asked for.", "They are steps, evaluations, last and epochs_seen."
        ),
        "floor": Mistake(
            "A batch that is not full is left out; the trainer takes it too.", "Round up, not down (math.ceil).", 0.5
        ),
        "one_epoch": Mistake("The steps of one epoch are counted.", "Every epoch goes through all rows again.", 0.25),
        "rows": Mistake("Rows are counted as steps.", "A step takes a whole batch.", 0.25),
        "end": Mistake(
            "The model is taken to be scored as it is at the end.",
            "Only what was evaluated can be the best: the last evaluation is at a multiple of `every`.",
            0.5,
        ),
        "evaluations": Mistake(
            "An evaluation more is counted than there is, or one for each epoch.",
            "One after every `every` steps, and none at the start or at the end.",
            0.5,
        ),
        "epochs": Mistake(
            "The epochs that were asked for are taken for those that the scored model has seen.",
            "At its step, how many times had all rows been seen? It need not be a whole number.",
            0.5,
        ),
    },
)
def schedule(case: Case, answer: Any) -> None:
    """Steps of a training, its evaluations, the last step that was evaluated, and the epochs seen by then."""
    for number in range(case.rounds):
        rows, batch, epochs, every = (
            (600, 8, 5, 200)
            if number == 1
            else (
                int(case.rng.integers(300, 900)) * 2 + 1, int(case.rng.choice([4, 8, 16])),
                int(case.rng.integers(3, 7)), int(case.rng.choice([50, 70, 110])),
            )
        )  # fmt: skip
        a, floor = math.ceil(rows / batch), rows // batch

        def of(an_epoch: float, total: float, every: int = every) -> dict[str, float]:
            times = int(total // every)
            return {
                "steps": total, "evaluations": times, "last": times * every,
                "epochs_seen": times * every / an_epoch,
            }  # fmt: skip

        truth = of(a, a * epochs)
        got = case.call(answer, rows, batch, epochs, every)
        if not isinstance(got, dict):
            case.mistake("kind", f"It gives {told(got)}, not a dictionary.")
        case.need(set(got) == set(truth), "keys", f"Its keys are {', '.join(map(str, got))}.")
        given = {key: case.number(value, f"Of {key} it") for key, value in got.items()}
        saw = (
            f"{rows} rows in batches of {batch}, {epochs} epochs, evaluated every {every} steps: it gives "
            + ", ".join(f"{key} {value:g}" for key, value in given.items()) + "."
        )  # fmt: skip
        if _same(given, truth):
            continue
        if close(given["steps"], floor * epochs) and floor != a:
            case.mistake("floor", saw)
        if close(given["steps"], a):
            case.mistake("one_epoch", saw)
        if close(given["steps"], rows * epochs) or close(given["steps"], rows):
            case.mistake("rows", saw)
        if close(given["steps"], truth["steps"]):
            if close(given["last"], truth["steps"]) and truth["steps"] != truth["last"]:
                case.mistake("end", saw)
            if not close(given["evaluations"], truth["evaluations"]):
                case.mistake("evaluations", saw)
            if close(given["last"], truth["last"]) and not close(given["epochs_seen"], truth["epochs_seen"]):
                case.mistake("epochs", saw)
        case.mistake("other", saw)
    case.say("Also where the last batch is not full; the chapter's run scored step 200 of 375, after 2.67 epochs.")


def _same(a: dict[str, float], b: dict[str, float]) -> bool:
    return all(abs(a[key] - b[key]) <= (0.006 if key == "epochs_seen" else 1e-9) for key in b)


@check_of(
    "dna.metrics",
    3,
    "a function metrics(labels, predictions) that gives a dictionary with the keys accuracy, f1, mcc",
    JUDGING,
    {
        "keys": Mistake("The keys are others than those asked for.", "They are accuracy, f1 and mcc."),
        "one_class": Mistake(
            "F1 of the coding class alone is given; the script that printed 0.597 averages over both classes.",
            'average="macro"',
            0.5,
        ),
        "micro": Mistake(
            "F1 is averaged over rows; for two classes that is the accuracy again.", 'average="macro"', 0.5
        ),
        "weighted": Mistake(
            "The classes' F1 are weighted by their rows, which hides the rarer one.", 'average="macro"', 0.5
        ),
        "exchanged": Mistake(
            "Labels and predictions are exchanged.",
            "Accuracy, macro F1 and MCC are the same both ways; look at the order.",
            0.5,
        ),
        "percent": Mistake("The scores are in percent.", "They lie between 0 (or -1) and 1.", 0.75),
        "copied": Mistake("The numbers are those of the chapter, whatever is handed in.", "Compute them."),
        "correlation": Mistake(
            "MCC is replaced by something that has no minus sign.",
            "It is a correlation: labels that are all wrong give -1.",
            0.5,
        ),
    },
)
def metrics(case: Case, answer: Any) -> None:
    """Recomputed, for labels made on the spot; for one set that is nearly all wrong too."""
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    kinds = {"one_class": "binary", "micro": "micro", "weighted": "weighted"}
    before: list[tuple[float, ...]] = []
    for number in range(case.rounds):
        for _ in range(500):
            labels = (case.rng.random(150) < 0.3).astype(int)
            wrong = case.rng.random(150) < (0.2, 0.85)[number % 2]
            predictions = np.where(wrong, 1 - labels, labels)

            def f1(average: str, labels: Any = labels, predictions: Any = predictions) -> float:
                return float(f1_score(labels, predictions, average=average))

            if number or apart(*map(f1, ("macro", *kinds.values()))):
                break  # the first one tells all mistakes from each other
        got = case.call(answer, labels, predictions)
        if not isinstance(got, dict):
            case.mistake("kind", f"It gives {told(got)}, not a dictionary.")
        case.need(set(got) == {"accuracy", "f1", "mcc"}, "keys", f"Its keys are {', '.join(map(str, got))}.")
        given = {key: case.number(value, f"Of {key} it") for key, value in got.items()}
        truth = {
            "accuracy": float(accuracy_score(labels, predictions)),
            "f1": f1("macro"),
            "mcc": float(matthews_corrcoef(labels, predictions)),
        }
        saw = f"It gives {', '.join(f'{key} {value:.3f}' for key, value in given.items())}; they are " + ", ".join(
            f"{value:.3f}" for value in truth.values()
        )
        if all(close(given[key], truth[key]) for key in truth):
            before.append(tuple(given.values()))
            continue
        case.need(not close(list(given.values()), [100 * truth[key] for key in given]), "percent", saw + ".")
        if (before and tuple(given.values()) in before) or (
            close(given["accuracy"], 0.696) and not close(truth["accuracy"], 0.696)
        ):
            case.mistake("copied", saw + ".")
        if not close(given["f1"], truth["f1"]):
            for key, average in kinds.items():
                if close(given["f1"], f1(average)):
                    case.mistake(key, saw + ".")
        if close(given["accuracy"], truth["accuracy"]) and not close(given["mcc"], truth["mcc"]):
            case.mistake("correlation", saw + ".")
        before.append(tuple(given.values()))
        again = case.call(answer, labels, labels)
        if isinstance(again, dict) and tuple(again.values()) == tuple(got.values()):
            case.mistake("copied", saw + ".")
        case.mistake("other", saw + ".")
    case.say("Recomputed for labels made on the spot, those that are nearly all wrong too.")


TN, FP, FN, TP = 149, 24, 52, 25  # the only one that fits (FACTS: the chapter's eval_results.json)
PRINTED = {"accuracy": 0.696, "f1": 0.5968084203378321, "mcc": 0.2162526926317811}


@check_of(
    "dna.confusion",
    3,
    "a dictionary with the keys TN, FP, FN, TP",
    JUDGING,
    {
        "keys": Mistake("The keys are others than those asked for.", "They are TN, FP, FN and TP, in capitals."),
        "total": Mistake(
            "The four numbers are not those of 250 test rows.",
            "The chapter tests with 250 sequences: they add up to that.",
        ),
        "whole": Mistake("Sequences come in whole numbers.", "Shares of the four have to be multiplied by 250.", 0.25),
        "transposed": Mistake(
            "What was missed and what was falsely found are exchanged.",
            "FN is coding, called non-coding. Recall falls with it.",
            0.5,
        ),
        "positive": Mistake(
            "The classes are exchanged: positive is 1, coding, which is the rarer one.",
            "The majority is non-coding: TN + FP is the larger part.",
            0.5,
        ),
        "accuracy": Mistake(
            "The accuracy fits, the other two scores do not.",
            "174 of 250 are right in many tables; MCC and macro F1 leave one.",
            0.25,
        ),
        "one_class": Mistake(
            "All are called non-coding; that would score 0.692, and an MCC of 0.", "The printed MCC is 0.216."
        ),
    },
    rounds=(0, 0),
)
def confusion(case: Case, answer: Any) -> None:
    """That which gives the chapter's accuracy, macro F1 and MCC."""
    if not isinstance(answer, dict):
        case.mistake("kind", f"The answer is {told(answer)}.")
    case.need(set(answer) == {"TN", "FP", "FN", "TP"}, "keys", f"Its keys are {', '.join(map(str, answer))}.")
    given = {key: case.number(value, key) for key, value in answer.items()}
    four = tuple(given[key] for key in ("TN", "FP", "FN", "TP"))
    saw = "It says " + ", ".join(f"{key} {value:g}" for key, value in given.items()) + "."
    if four == (TN, FP, FN, TP):
        case.say(f"{TN} + {TP} of 250 are right: 0.696. Always saying “non-coding” has {TN + FP}: 0.692.")
        return
    case.need(
        close(sum(four), 250), "total" if not close(sum(four), 1) else "whole", f"{saw} They add up to {sum(four):g}."
    )
    case.need(all(value == int(value) for value in four), "whole", saw)
    case.need(four != (TN, FN, FP, TP), "transposed", saw)
    case.need(four not in ((TP, FN, FP, TN), (TP, FP, FN, TN)), "positive", saw)
    case.need(not (four[1] == 0 and four[3] == 0), "one_class", saw)
    case.need(not close(four[0] + four[3], 174), "accuracy", saw)
    case.mistake("other", f"{saw} {four[0] + four[3]:g} of 250 are right, {(four[0] + four[3]) / 250:.3f}.")


@check_of(
    "dna.better_by",
    1,
    "a number of sequences",
    JUDGING,
    {
        "share": Mistake("The answer is a share.", "Of 250 sequences 0.004 is how many?", 0.5),
        "percent": Mistake("The answer is in percent.", "Of 250 sequences 0.4 % is how many?", 0.5),
        "right": Mistake(
            "All that are right are counted.", "How many more than by always saying “non-coding”, which has 173?"
        ),
        "found": Mistake(
            "The coding ones that were found are counted; each of the 24 false alarms takes one of them away.",
            "25 found, 24 falsely found: what is left?",
        ),
        "half": Mistake("It is held against guessing at random, 125.", "The rival is the commoner class, 173."),
        "sign": Mistake("The difference is taken the other way round.", "Which of the two has more?", 0.5),
    },
    rounds=(0, 0),
)
def better_by(case: Case, answer: Any) -> None:
    """One."""
    got = case.number(answer)
    wrong = {"share": 0.004, "percent": 0.4, "right": float(TN + TP), "found": float(TP), "half": 49.0, "sign": -1.0}
    case.match(got, 1.0, wrong, lambda a, b: abs(a - b) < 1e-6, f"It says {got:g}.")
    case.say("One sequence in 250: 174 right instead of 173.")


@check_of(
    "dna.label",
    2,
    "a function label_of(logits) that gives (label, probability)",
    ONE,
    {
        "pair": Mistake("It is not a label and a probability.", "Give back two values: (label, probability)."),
        "logit": Mistake(
            "The model's raw score is taken for a probability.", "softmax makes probabilities of scores.", 0.5
        ),
        "least": Mistake("The less likely class is named.", "The larger score is the likelier class."),
        "sigmoid": Mistake(
            "A sigmoid of one score is taken; two scores make their probabilities together.",
            "softmax over both scores.",
            0.5,
        ),
        "coding": Mistake(
            "The probability is always that of the coding class, also where the other is named.",
            "Give the probability of the class that you name.",
            0.5,
        ),
        "constant": Mistake("The label is always the same one.", "Which of the two scores is the larger?"),
        "exchanged": Mistake("Probability and label are exchanged.", "First the label, then the probability.", 0.75),
    },
)
def label_of(case: Case, answer: Any) -> None:
    """Of the scores of one sequence, as the model gives them: shape (1, 2)."""
    import torch

    labels, wanted = [], []
    for number in range(case.rounds):
        scores = case.rng.normal(0, 1.5, 2)
        scores = np.sort(scores) if number % 2 else np.sort(scores)[::-1]
        got = case.call(answer, torch.tensor(scores.copy(), dtype=torch.float32)[None])
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            case.mistake("pair", f"It gives {told(got)}.")
        label, probability = case.number(got[0], "The label"), case.number(got[1], "The probability")
        shares = np.exp(scores) / np.exp(scores).sum()
        truth = int(np.argmax(scores))
        saw = (
            f"Scores {scores[0]:.2f} and {scores[1]:.2f}: it says {label:g} with {probability:.3f}, "
            f"not {truth} with {shares[truth]:.3f}."
        )
        labels.append(label)
        wanted.append(truth)
        if close(label, truth) and abs(probability - shares[truth]) < 1e-4:
            continue
        if close(probability, truth) and abs(label - shares[truth]) < 1e-4:
            case.mistake("exchanged", saw)
        if label in (0, 1) and label != truth:
            # Always the same one, or always the wrong one?
            other = case.call(answer, torch.tensor(scores[::-1].copy(), dtype=torch.float32)[None])
            case.mistake("constant" if close(case.number(other[0]), label) else "least", saw)
        variants = {
            "logit": float(scores.max()),
            "sigmoid": float(1 / (1 + np.exp(-scores[truth]))),
            "coding": float(shares[1]),
        }
        for key, value in variants.items():
            case.need(abs(probability - value) > 1e-4, key, saw)
        case.mistake("other", saw)
    case.say("The likelier class with its own probability.")


CHECKS = [schedule, metrics, confusion, better_by, label_of]
