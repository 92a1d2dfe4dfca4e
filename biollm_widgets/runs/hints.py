"""What a teacher who looks over the learner's shoulder would say about a run, in plain words and with its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from biollm_widgets.runs.log import Evaluation, RunLog
from biollm_widgets.runs.words import number
from biollm_widgets.scores import mcc

FEW = 10  # logged lines below which a trend is none


def hints(log: RunLog) -> list[str]:
    """Sentences, the most urgent first; none when there is nothing to say."""
    return list(hints_by_rule(log).values())


def hints_by_rule(log: RunLog) -> dict[str, str]:
    """The same, by the name of what gives them: a hint stays the same one while its numbers change."""
    with np.errstate(over="ignore", invalid="ignore"):  # losses near the largest number there is
        found = {rule.__name__: rule(log) for rule in RULES}
    return {name: words for name, words in found.items() if words}


def not_a_number(log: RunLog) -> str:
    """The loss, or every gradient lately, is no number: nothing is learned any more."""
    loss, steps = np.array(log.lines.loss), np.array(log.lines.step)
    if not len(loss):
        return ""
    rate = log.start.get("settings", {}).get("learning_rate")
    smaller = "take a smaller learning rate" + (f" (now {rate:g})" if isinstance(rate, (int, float)) else "")
    if log.start.get("settings", {}).get("fp16"):
        smaller += ", or bf16 instead of fp16"
    if not math.isfinite(loss[-1]):
        finite = np.flatnonzero(np.isfinite(loss))
        since = steps[finite[-1] + 1] if len(finite) else steps[0]
        sound = [one for one in log.checkpoints if one.step < since]
        back = f"go back to {sound[-1].path}" if sound else "start again"
        return (
            f"The loss is not a number since step {since:,}: nothing is learned any more. Stop, {back} and {smaller}."
        )
    grad = np.array(log.lines.grad)[-3:]
    if len(grad) == 3 and np.isinf(grad).all():
        return (
            "The gradient is not a number in the last logged steps, and the Trainer leaves such losses out of the loss "
            f"it logs (logging_nan_inf_filter): nothing is learned any more. Stop and {smaller}."
        )
    return ""


def memorising(log: RunLog) -> str:
    """Evaluation loss rises twice in a row while training loss falls."""
    if len(log.evaluations) < 3:
        return ""
    before, between, last = log.evaluations[-3:]
    losses = [one.values.get("loss", math.nan) for one in (before, between, last)]
    if not losses[0] < losses[1] < losses[2]:
        return ""
    steps, loss = np.array(log.lines.step), np.array(log.lines.loss)
    earlier = loss[(steps > before.step) & (steps <= between.step)]
    later = loss[(steps > between.step) & (steps <= last.step)]
    if not len(earlier) or not len(later) or not later.mean() < earlier.mean():
        return ""
    best = log.best
    rest = f" The best so far is step {best.step:,}." if best is not None else ""
    return (
        f"Evaluation loss has risen for two evaluations ({', '.join(map(number, losses))}) while training loss falls: "
        f"the model begins to memorise its training rows.{rest}"
    )


def no_better_than_the_majority(log: RunLog) -> str:
    """The newest evaluation is hardly better than always saying the commonest class."""
    newest = next((one for one in reversed(log.evaluations) if one.confusion), None)
    if newest is None:
        return ""
    matrix = np.asarray(newest.confusion)
    counts, said = matrix.sum(axis=1), matrix.sum(axis=0)
    rows, commonest = int(matrix.sum()), int(counts.argmax())
    if rows == 0 or len(matrix) < 2:
        return ""
    label, right, always = log.labels[commonest], int(np.trace(matrix)), int(counts[commonest])
    if np.count_nonzero(said) == 1:
        only = int(said.argmax())
        return (
            f"At step {newest.step:,} every row was called {log.labels[only]}, which is right for "
            f"{counts[only] / rows:.0%} of them: MCC is 0, the model tells nothing apart yet."
        )
    # How far the number of right answers moves with another set of rows as large (binomial).
    spread = math.sqrt(always * (1 - always / rows))
    if right - always > spread:
        return ""
    gained = right - always
    than = "exactly as many as" if gained == 0 else f"{abs(gained):,} {'more' if gained > 0 else 'fewer'} than"
    chance = f" Another {rows:,} rows would move that by about {spread:.0f}." if gained > 0 else ""
    return (
        f"At step {newest.step:,} {right:,} of {rows:,} rows are right, {than} by always saying {label} ({always:,}); "
        f"MCC {number(float(mcc(matrix)))}.{chance}"
    )


def climbing(log: RunLog) -> str:
    """Training loss is well above where it began."""
    loss = np.array(log.lines.loss)
    if len(loss) < FEW or not np.isfinite(loss).all():
        return ""
    share = max(3, len(loss) // 10)
    first, last = loss[:share].mean(), loss[-share:].mean()
    if first <= 0 or last < 1.5 * first:
        return ""
    return (
        f"Training loss has climbed from {number(first)} to {number(last)}: the learning rate may be too high, or the "
        "warm-up too short."
    )


def too_few_evaluations(log: RunLog) -> str:
    """The best checkpoint is the best by being the only one, or there is none to choose."""
    steps, every, way = log.steps, log.start.get("eval_steps"), log.start.get("eval_strategy")
    if log.running and way == "steps" and every and steps and every > steps and not log.evaluations:
        return (
            f"eval_steps ({every:g}) is more than the {steps:,} steps of this run, so it is evaluated at its end at "
            "the most: there will be nothing to choose the best checkpoint from."
        )
    if log.end and log.phase == "finished" and len(log.evaluations) == 1 and log.start.get("best_at_end"):
        only: Evaluation = log.evaluations[0]
        return (
            f"There was one evaluation, at step {only.step:,} of {log.step:,}: that checkpoint is the best by being "
            "the only one. A smaller eval_steps compares more."
        )
    return ""


RULES: tuple[Callable[[RunLog], str], ...] = (
    not_a_number,
    climbing,
    memorising,
    no_better_than_the_majority,
    too_few_evaluations,
)
