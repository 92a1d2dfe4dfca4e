"""Checks of the unit on classifying: what a score has to be held against, and how sure it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from biollm_widgets.checks.ground import Case, Mistake, among, check_of, close, told

LOOK = "unit 6, “Naive Bayes and its rivals”"


@check_of(
    "dna.majority",
    2,
    "a function majority_accuracy(train_labels, test_labels)",
    LOOK,
    {
        "zero": Mistake(
            "The commoner class is taken to be 0 whatever the labels say.",
            "Count the labels of the training rows first.",
            0.5,
        ),
        "test": Mistake(
            "The commoner class is looked up in the test rows, which are not to be known yet.",
            "Choose by the training rows, score by the test rows.",
            0.5,
        ),
        "train": Mistake(
            "The score is of the training rows.", "Whoever guesses is scored by the rows of the test.", 0.25
        ),
        "half": Mistake(
            "Guessing is taken to be right half the time.", "Always saying the commoner class does better."
        ),
        "mean": Mistake(
            "The mean of the labels is given.", "It is the share of one class, and not always of the commoner."
        ),
        "count": Mistake("Rows are counted, not their share.", "Divide by the number of test rows.", 0.5),
        "percent": Mistake("The share is given in percent.", "A share lies between 0 and 1.", 0.75),
    },
)
def majority(case: Case, answer: Any) -> None:
    """Accuracy on test rows of the class that is commoner among training rows."""
    for number in range(case.rounds):
        train_share, test_share = ((0.35, 0.2), (0.3, 0.6), (0.65, 0.85), (0.7, 0.4))[number % 4]
        train = (case.rng.permutation(200) < 200 * train_share).astype(int)
        test = (case.rng.permutation(80 + number) < (80 + number) * test_share).astype(int)
        common = int(train.mean() > 0.5)
        truth = float((test == common).mean())
        got = case.number(case.call(answer, train, test))
        variants = {
            "percent": 100 * truth,
            "count": float((test == common).sum()),
            "zero": float((test == 0).mean()),
            "test": float(max(test.mean(), 1 - test.mean())),
            "train": float((train == common).mean()),
            "half": 0.5,
            "mean": among(got, test.mean(), train.mean()),
        }
        case.match(
            got, truth, variants, close, f"It gives {got:.3f} where {truth:.3f} of the test rows are of class {common}."
        )
    case.say("Chosen by the training rows, scored by the test rows.")


@check_of(
    "dna.fit_predict",
    3,
    "a function fit_predict(X_train, y_train, X_test)",
    LOOK,
    {
        "length": Mistake(
            "There is not one prediction for each test row.", "Predict for X_test, and give back what predict gives."
        ),
        "probabilities": Mistake(
            "Probabilities are given, not labels.", "Ask the classifier for predict, not for predict_proba.", 0.5
        ),
        "constant": Mistake("One class is predicted for all rows.", "Fit the classifier to X_train and y_train first."),
        "test_rows": Mistake(
            "What is predicted for a row depends on the other test rows: something was fitted to them.",
            "Fit everything, scalers too, to the training rows alone.",
            0.25,
        ),
        "labels": Mistake(
            "With other names for the classes the predictions are wrong: 0 and 1 are written into the code.",
            "Give back the labels as they stand in y_train.",
            0.5,
        ),
        "order": Mistake(
            "In another order of the training rows the predictions are others: rows and labels have come apart.",
            "Shuffle X_train and y_train together, or not at all.",
        ),
        "chance": Mistake(
            "The predictions are no better than guessing, for classes that are easy to tell apart.",
            "Look at what is fitted to what: rows of X_train with their own labels.",
        ),
    },
    rounds=(4, 6),
)
def fit_predict(case: Case, answer: Any) -> None:
    """Metamorphic: other names of the classes, another order of rows, one test row alone."""
    for _ in range(case.rounds):
        rows, tests, width = 120, 60, 6
        labels = (case.rng.permutation(rows) < 0.45 * rows).astype(int)
        truth = (case.rng.permutation(tests) < 0.45 * tests).astype(int)
        scale = np.exp(case.rng.normal(0, 1, width))
        centre = case.rng.choice([-1.0, 1.0], width)
        x = (case.rng.normal(0, 1, (rows, width)) + 1.6 * np.outer(labels - 0.5, centre)) * scale + 5
        y = (case.rng.normal(0, 1, (tests, width)) + 1.6 * np.outer(truth - 0.5, centre)) * scale + 5

        def ask(x: Any, labels: Any, y: Any) -> np.ndarray:
            got = np.asarray(case.call(answer, x, labels, y))
            case.need(got.ndim >= 1 and len(got) == len(y), "length", f"For {len(y)} rows it gives {told(got)}.")
            if got.ndim == 2 and got.shape[1] > 1:
                case.mistake("probabilities", f"Its result has the shape {got.shape}.")
            return got.reshape(-1)

        got = ask(x, labels, y)
        if got.dtype.kind == "f" and not np.isin(got, (0, 1)).all():
            case.mistake("probabilities", f"Its values are {', '.join(f'{one:g}' for one in got[:3])}, ...")
        case.need(len(np.unique(got)) > 1, "constant", f"It says {got[0]} {tests} times.")
        right = float((got == truth).mean())
        few = ask(x, labels, y[:30])
        far = (
            np.where(np.arange(width) < 3, 40.0, 0.0) * scale
        )  # half of the columns, so that a common scale would change
        shifted = ask(x, labels, np.concatenate([y[:30], y[30:] + far]))[:30]
        if not ((few == got[:30]).all() and (shifted == got[:30]).all()):
            case.mistake("test_rows", "Thirty test rows are labelled otherwise when others stand beside them.")
        turn = case.rng.permutation(rows)
        case.need(
            (ask(x[turn], labels[turn], y) == got).mean() > 0.95,
            "order",
            "In another order of the training rows the test rows are labelled otherwise.",
        )
        named = np.where(labels == 1, 5, 2)
        other = ask(x, named, y)
        case.need(
            set(np.unique(other)) <= {2, 5} and ((other == 5) == (got == 1)).mean() > 0.95,
            "labels",
            f"With the labels 2 and 5 it says {', '.join(map(str, np.unique(other)[:4]))}.",
        )
        flipped = ask(x, 1 - labels, y)
        case.need(
            ((1 - flipped) == got).mean() > 0.95, "labels", "With the labels exchanged it does not say the opposite."
        )
        case.need(right > 0.72, "chance", f"{right:.0%} of {tests} test rows are right; always saying 0 has 55%.")
    case.say("Fitted to the training rows alone: the order, the names and the company of rows change nothing.")


@check_of(
    "dna.interval",
    3,
    "a function accuracy_interval(correct, total) that gives (low, high)",
    LOOK,
    {
        "pair": Mistake("It is not a pair of numbers.", "Give back (low, high)."),
        "reversed": Mistake("The upper end comes first.", "Give back (low, high).", 0.5),
        "percent": Mistake("The ends are in percent.", "Accuracy lies between 0 and 1.", 0.75),
        "spread": Mistake(
            "The spread of single answers is taken for the uncertainty of their mean.",
            "With more test rows the interval gets narrower: divide by the root of their number.",
            0.25,
        ),
        "one_sigma": Mistake(
            "The interval is one standard error to each side: it holds the truth two times out of three.",
            "For 95 % it is about twice as wide.",
            0.5,
        ),
        "zero_width": Mistake(
            "Where all answers are right the interval has no width, as if no other row could be wrong.",
            "Take Wilson's interval, or the exact one.",
            0.5,
        ),
        "outside": Mistake(
            "An end lies below 0 or above 1, where no accuracy can be.", "Take Wilson's interval, or cut it off.", 0.5
        ),
        "constant": Mistake(
            "The interval is as wide for 1,000 rows as for 50.", "Its width depends on the number of test rows.", 0.25
        ),
    },
)
def accuracy_interval(case: Case, answer: Any) -> None:
    """A 95 % interval; Wilson's, Agresti and Coull's, the exact one and bootstraps all pass."""
    for number in range(case.rounds):
        total = int(case.rng.integers(50, 400))
        correct = (round(total * float(case.rng.uniform(0.6, 0.8))), total, round(total * 0.97))[number % 3]
        got = case.call(answer, correct, total)
        if not isinstance(got, (tuple, list, np.ndarray)) or len(got) != 2:
            case.mistake("pair", f"It gives {told(got)}.")
        low, high = (case.number(one, "An end") for one in got)
        share = correct / total
        wilson, exact = _wilson(correct, total), _exact(correct, total)
        saw = (
            f"Of {total} rows {correct} are right: it gives {low:.3f} to {high:.3f}, "
            f"Wilson's is {wilson[0]:.3f} to {wilson[1]:.3f}."
        )
        error = float(np.sqrt(share * (1 - share) / total))
        if high > 2.5:
            case.mistake("percent", saw)
        case.need(low <= high, "reversed", saw)
        if correct == total:
            case.need(high > low, "zero_width", saw)
        case.need(low >= -1e-9 and high <= 1 + 1e-9, "outside", saw)
        half = (high - low) / 2
        if number % 3 == 0:
            if close(half, error) or abs(half - error) < 0.15 * error:
                case.mistake("one_sigma", saw)
            if half > 4 * error:
                # Whether more rows make it narrower tells a spread, and a width by heart, from the rest.
                more = case.call(answer, correct * 16, total * 16)
                wide = abs(case.number(more[1]) - case.number(more[0])) / 2
                key = "spread" if wide > 0.8 * half and half > 0.35 else "constant" if wide > 0.8 * half else "other"
                case.mistake(key, saw)
            more = case.call(answer, correct * 16, total * 16)
            narrow = (case.number(more[1]) - case.number(more[0])) / 2
            case.need(narrow < 0.5 * half, "constant", f"{saw} For 16 times as many it is {2 * narrow:.3f} wide.")
        slack = 0.35 * max(error, 1 / total)
        fits_low = min(wilson[0], exact[0]) - slack <= low <= max(wilson[0], exact[0]) + slack
        fits_high = min(wilson[1], exact[1]) - slack <= high <= max(wilson[1], exact[1]) + slack
        if correct == total:
            fits_high = high > 0.98
        case.need(fits_low and fits_high, "other", saw)
    case.say("Twice the standard error to each side, and sensible where nearly all is right.")


def _wilson(correct: int, total: int) -> tuple[float, float]:
    found = stats.binomtest(correct, total).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)


def _exact(correct: int, total: int) -> tuple[float, float]:
    found = stats.binomtest(correct, total).proportion_ci(0.95, "exact")
    return float(found.low), float(found.high)


CHECKS = [majority, fit_predict, accuracy_interval]
