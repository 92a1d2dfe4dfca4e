"""Checks of a training: what a loop does to the network that it is handed, and what a run of one's own is worth."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from biollm_widgets.checks.ground import Case, Mistake, check_of, told

if TYPE_CHECKING:
    from torch import Tensor

    from biollm_widgets.checks.watched import Watched

LOOK = "unit 8, “Fine-tuning”"
OWN = "unit 9, “What the printed numbers say”"
WIDTH, TRAIN, TEST = 6, 67, 60  # 67, a prime: whoever drops the last batch is seen to, whatever its size


def _clouds(rng: np.random.Generator, rows: int, centre: np.ndarray) -> tuple[Tensor, Tensor]:
    """Rows of two kinds that can be told apart, shape (rows, WIDTH), and their labels, 30 % of them 1."""
    import torch

    labels = (rng.permutation(rows) < 0.3 * rows).astype(np.int64)
    values = rng.normal(0, 1, (rows, WIDTH)) + np.outer(2.0 * labels - 1, centre)
    return torch.tensor(values, dtype=torch.float32), torch.tensor(labels)


def _handing(answer: Any, network: Watched) -> Any:
    """The learner's function with the network itself: what `Case.call` hands on are copies."""

    def handed(*given: Any) -> Any:
        return answer(network, *given)

    handed.__name__ = str(getattr(answer, "__name__", "The function"))
    return handed


@check_of(
    "dna.train",
    4,
    "a function train(network, train_rows, train_labels, test_rows, epochs) that gives the labels of the test rows",
    LOOK,
    {
        "length": Mistake(
            "The labels that are given are not those of the test rows.", "One label for each row of test_rows."
        ),
        "scores": Mistake(
            "Scores are given in place of labels.", "Of the two scores of a row the place of the larger is its label.",
            0.75,
        ),
        "test_rows": Mistake(
            "The test rows are learned from, so that their score says nothing any more.",
            "The loss takes the training rows and their labels, nothing else.",
        ),
        "another": Mistake(
            "Another network is trained than the one that was handed in, or a copy of it.",
            "Give network.parameters() to the optimizer, and rows to network(...).",
            0.25,
        ),
        "no_backward": Mistake(
            "The network is asked, and nothing is learned: no gradient was computed.",
            "loss.backward() computes how each parameter would have to move.",
        ),
        "no_step": Mistake(
            "Gradients are computed, and no parameter has moved.",
            "Computing where to go is not going there: the optimizer takes the step.",
            0.25,
        ),
        "part": Mistake(
            "Only a part of the network has moved.", "Which parameters were given to the optimizer? All of them?", 0.5
        ),
        "stale": Mistake(
            "Old gradients are added to new ones, so that a step goes where earlier batches pointed.",
            "PyTorch adds gradients up until they are cleared (zero_grad).",
            0.5,
        ),
        "changed": Mistake(
            "Rows are changed before the network sees them; whoever asks it later does not know of that.",
            "Hand the rows to the network as they are; these need no scaling.",
            0.5,
        ),
        "labels": Mistake(
            "Rows are learned with labels that are not theirs.",
            "Take a row and its label by the same place; and the loss is to fall, not to grow.",
            0.25,
        ),
        "rows": Mistake(
            "Some training rows were never learned from.", "An epoch goes through all the batches, the last one too.",
            0.5,
        ),
        "epochs": Mistake(
            "The rows were not learned from as many times as there are epochs.",
            "One loop over the epochs, and in it one over all the batches.",
            0.5,
        ),
        "uneven": Mistake(
            "Any rows are taken, as many as come: an epoch then misses some, or has some twice.",
            "In an epoch each row comes once: shuffle all the places, cut them into batches, drop none.",
            0.5,
        ),
        "nested": Mistake(
            "The loops are inside out: a batch is repeated before the next one comes, and the first is forgotten.",
            "The loop over the epochs is the outer one.",
            0.5,
        ),
        "no_dropout": Mistake(
            "Dropout was off while it learned.",
            "network.train() switches it on; after an eval() in between it has to be switched on again.",
            0.75,
        ),
        "rate": Mistake(
            "It has not learned: the loss on the training rows is hardly smaller than before, or larger.",
            "The learning rate: for a network as small as this about 0.01; too large a step jumps over the valley.",
            0.5,
        ),
        "dropout": Mistake(
            "Dropout was still on when the test rows were labelled, so that a part of the answer is chance.",
            "network.eval() before asking.",
            0.75,
        ),
        "constant": Mistake("Every test row is given the same label.", "Ask the trained network.", 0.25),
        "before": Mistake(
            "The labels are not those of the network as it is at the end.",
            "Label the test rows when the training is over.",
            0.5,
        ),
    },
    (2, 4),
)  # fmt: skip
def train(case: Case, answer: Any) -> None:
    """What moved, what was learned from and how often, and whether the labels are those of the trained network."""
    import torch
    from torch.nn.functional import cross_entropy

    from biollm_widgets.checks.watched import Watched

    case.need(callable(answer), "kind", f"The answer is {told(answer)}, which cannot be called: hand in the function.")
    for _ in range(case.rounds):
        epochs = int(case.rng.integers(8, 13))
        centre = case.rng.choice([-1.0, 1.0], WIDTH)
        rows, labels = _clouds(case.rng, TRAIN, centre)
        others, truth = _clouds(case.rng, TEST, centre)
        names = {row.tobytes(): f"train {i}" for i, row in enumerate(rows.numpy())}
        names |= {row.tobytes(): f"test {i}" for i, row in enumerate(others.numpy())}
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(int(case.rng.integers(2**31)))
            network = Watched(WIDTH, names)
            while _right(network, others, truth) > 0.75:  # one that is good by luck could not be seen to learn nothing
                network = Watched(WIDTH, names)
            begun = [value.detach().clone() for value in network.parameters()]
            loss = float(cross_entropy(network.quietly(rows), labels))
            got = case.call(_handing(answer, network), rows, labels, others, epochs)
        network.cpu().float()  # a loop may have moved it to a GPU
        given = _labels(case, got)
        alien = (given == truth.numpy()).mean() > 0.85
        _learning(case, network, begun, labels, bool(alien))
        after = float(cross_entropy(network.quietly(rows), labels))
        learned = f"The loss on the training rows was {loss:.2g} and is {after:.2g}."
        case.need(after < 1.5 * loss, "rate", learned)  # also for one that is no number
        _epochs(case, network, epochs)
        off = network.dropping.count(False)
        case.need(not off, "no_dropout", f"Dropout was off in {off} of {len(network.dropping)} batches.")
        case.need(after < 0.85 * loss, "rate", learned)
        _labelling(case, network, given, network.quietly(others).argmax(-1).numpy())
    case.say("All parameters moved, every training row was learned from in each epoch, no test row ever.")


def _right(network: Watched, rows: Tensor, labels: Tensor) -> float:
    """Share of the rows whose own label has the larger score."""
    return float((network.quietly(rows).argmax(-1) == labels).float().mean())


def _labels(case: Case, got: Any) -> np.ndarray:
    """What the learner's function gave, as labels of shape (TEST,)."""
    given = case.array(got)
    case.need(given.ndim in (1, 2) and len(given) == TEST, "length", f"For {TEST} test rows it gives {told(got)}.")
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    case.need(given.ndim == 1 and np.isin(given, (0, 1)).all(), "scores", f"It gives {told(got)}.")
    return given


def _learning(case: Case, network: Watched, begun: list[Tensor], labels: Tensor, alien: bool) -> None:
    """What was learned from, towards which labels, and what moved; `alien` for labels too good to be untrained."""
    tested = sum(name.startswith("test") for name in network.felt)
    case.need(not tested, "test_rows", f"A gradient came back for {tested} of {TEST} test rows.")
    if not network.learned:
        case.need(not alien, "another", "No gradient came back to the network that was handed in; the labels are good.")
        case.mistake("no_backward", f"{len(network.passes)} times rows went through, no gradient came back.")
    moved = [not old.equal(new.detach()) for old, new in zip(begun, network.parameters(), strict=True)]
    case.need(any(moved), "no_step", "Gradients came back, and all parameters are where they were.")
    case.need(all(moved), "part", f"{sum(moved)} of {len(moved)} parameters have moved.")
    case.need(not network.stale, "stale", "When a gradient came back, the one of the step before was still there.")
    strange = network.learned.count("")
    case.need(not strange, "changed", f"{strange} times a row was learned from that is none of those handed in.")
    towards = np.array([network.felt.get(f"train {i}", 0.0) for i in range(TRAIN)])
    away = np.where(labels.numpy() == 1, towards < 0, towards > 0)
    drawn = f"{away.sum()} of {TRAIN} rows were drawn towards the label that they do not have."
    # A loss that does not want to be too sure may draw a few away as well, but not hard.
    case.need(abs(towards[away]).sum() <= 0.3 * abs(towards).sum(), "labels", drawn)


def _epochs(case: Case, network: Watched, epochs: int) -> None:
    """Whether each epoch had every training row once."""
    learned = [name for name in network.learned if name.startswith("train")]
    each = Counter(learned)
    counts = [each[f"train {i}"] for i in range(TRAIN)]
    never, low, high = counts.count(0), min(counts), max(counts)
    luck = never < 0.1 * TRAIN and len(set(counts)) > 2  # rows that were drawn, and some of them never
    case.need(not never or luck, "rows", f"{never} of {TRAIN} training rows were never learned from.")
    seen = f"In {epochs} epochs some rows were learned from {low} times and some {high} times."
    case.need(low == high, "uneven", seen)
    case.need(low == epochs, "epochs", f"{epochs} epochs were asked for, {low} were made.")
    passes = [set(learned[start : start + TRAIN]) for start in range(0, len(learned), TRAIN)]
    whole = all(len(one) == TRAIN for one in passes)
    case.need(whole, "nested", "Rows came again before all the others had come.")


def _labelling(case: Case, network: Watched, given: np.ndarray, truth: np.ndarray) -> None:
    """Whether the labels are those of the network at the end, asked without dropout."""
    asked = [any(name.startswith("test") for name in one.rows) for one in network.passes]
    late = [one for one, test in zip(network.passes, asked, strict=True) if test][sum(asked[: network.since]) :]
    dropping = bool(late) and late[-1].dropping
    case.need(not dropping, "dropout", "The test rows went through the network while it was training.")
    if any(asked) and not late:
        case.mistake("before", "After the last gradient no test row went through the network.")
    agree = float((given == truth).mean())
    if agree < 0.98:
        agreed = f"{agree:.0%} of the labels are those of the network at the end."
        case.need(len(np.unique(given)) > 1, "constant", f"It says {given[0]:g} {TEST} times.")
        case.mistake("before" if any(asked[: network.since]) else "other", agreed)


KEYS = ("labels", "predictions", "accuracy", "mcc", "better_by")


@check_of(
    "dna.finetuned",
    3,
    f"a dictionary with the keys {', '.join(KEYS)}",
    OWN,
    {
        "keys": Mistake("The keys are others than those asked for.", f"They are {', '.join(KEYS)}."),
        "rows": Mistake(
            "These are not the 250 test rows of the run.",
            "600 rows were learned from, 150 chose the checkpoint; predictions.csv has the 250 of the test.",
        ),
        "probabilities": Mistake(
            "Probabilities are handed in for labels.",
            "predictions.csv has a column of its own for what was said.",
            0.25,
        ),
        "exchanged": Mistake(
            "What is so and what was said are exchanged.",
            "Accuracy and MCC are the same both ways; the share of coding rows is that of the table, 30 %.",
            0.5,
        ),
        "copied": Mistake(
            "The predictions are the labels themselves.", "What the model said stands in another column."
        ),
        "percent": Mistake("The accuracy is in percent.", "A share lies between 0 and 1.", 0.75),
        "f1": Mistake("F1 is given for MCC.", "MCC is 0 for whoever always says the same; F1 is not.", 0.5),
        "share": Mistake("A share is given where sequences are counted.", "How many sequences are that of 250?", 0.75),
        "half": Mistake(
            "Knowing nothing is taken to be right half the time.", "Always saying the commoner label does better.", 0.5
        ),
        "coding": Mistake(
            "It is held against always saying the rarer label.", "Which label is the commoner one here?", 0.5
        ),
        "sign": Mistake("The sign is turned round.", "Above 0 is better than always saying the commoner label.", 0.75),
        "said": Mistake(
            "The commoner label is looked up in what the model said, or the two columns are exchanged.",
            "The commoner label is that of the test rows: what is so, not what was said.",
            0.5,
        ),
        "chapter": Mistake(
            "These are the chapter's numbers, not those of your run.", "Compute them of your own predictions."
        ),
        "follow": Mistake(
            "The numbers do not follow from the labels and predictions that stand beside them.",
            "Compute all of them in one cell, of the two columns of one predictions.csv.",
        ),
    },
    (0, 0),
)
def finetuned(case: Case, answer: Any) -> None:
    """The scores of one's own run, computed again of its predictions."""
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    if not isinstance(answer, dict):
        case.mistake("kind", f"The answer is {told(answer)}, not a dictionary.")
    case.need(set(answer) == set(KEYS), "keys", f"Its keys are {', '.join(map(str, answer))}.")
    labels = case.array(answer["labels"], "Of the labels it").reshape(-1)
    said = case.array(answer["predictions"], "Of the predictions it").reshape(-1)
    case.need(len(labels) == len(said) == 250, "rows", f"{len(labels)} labels and {len(said)} predictions.")
    if not (np.isin(labels, (0, 1)).all() and np.isin(said, (0, 1)).all()):
        case.mistake("probabilities", "Some values are neither 0 nor 1.")
    coding, called = float(labels.mean()), float(said.mean())
    if not 0.25 <= coding <= 0.35:
        shares = f"{coding:.0%} of the labels and {called:.0%} of the predictions are 1."
        case.mistake("exchanged" if 0.25 <= called <= 0.35 else "rows", shares)
    right, common = int((labels == said).sum()), int(max((labels == 0).sum(), (labels == 1).sum()))
    case.need(right < 250, "copied", "All 250 predictions are right.")
    given = {key: case.number(answer[key], f"Of {key} it") for key in KEYS[2:]}
    truth = {
        "accuracy": float(accuracy_score(labels, said)),
        "mcc": float(matthews_corrcoef(labels, said)),
        "better_by": float(right - common),
    }

    def same(key: str, value: float) -> bool:
        return abs(given[key] - value) < 0.00051  # three digits are enough

    saw = (
        f"{right} of 250 are right, and {common} by always saying the commoner label; it says accuracy "
        f"{given['accuracy']:.3g}, MCC {given['mcc']:.3g}, better by {given['better_by']:g}."
    )
    if all(same(key, value) for key, value in truth.items()):
        case.say(saw)
        return
    if same("accuracy", 0.696) and abs(given["mcc"] - 0.216) < 0.001 and not same("accuracy", truth["accuracy"]):
        case.mistake("chapter", saw)
    case.need(abs(given["accuracy"] - 100 * truth["accuracy"]) > 0.51, "percent", saw)  # also one without digits
    if not same("mcc", truth["mcc"]):
        averages = ("macro", "binary", "weighted")
        if any(same("mcc", f1_score(labels, said, average=one, zero_division=0)) for one in averages):
            case.mistake("f1", saw)
    elif same("accuracy", truth["accuracy"]):
        rivals = {
            "sign": common - right,
            "share": (right - common) / 250,
            "half": right - 125,
            "coding": right - (250 - common),
            "said": right - int(max((said == 0).sum(), (said == 1).sum())),
        }
        for key, value in rivals.items():
            if same("better_by", float(value)):
                case.mistake(key, saw)
        case.need(not same("better_by", 100 * rivals["share"]), "share", saw)
    case.mistake("follow", saw)


CHECKS = [train, finetuned]
