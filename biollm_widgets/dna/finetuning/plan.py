"""How long a run will be and how often it will be evaluated, worked out before it begins, with its traps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Plan:
    """Steps and evaluations that the flags ask for.

    Attributes
    ----------
    steps, steps_an_epoch
        In all, and for one pass over train.csv.
    evaluations
        The steps after which dev.csv is evaluated.
    warnings
        What a person would not expect from these numbers, a sentence each.
    """

    steps: int
    steps_an_epoch: int
    evaluations: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def epoch(self, step: int) -> float:
        """How many passes over train.csv a step is."""
        return step / self.steps_an_epoch

    def sentence(self, training: Any, sequences_a_step: int) -> str:
        """The plan in words."""
        when = f"{count(len(self.evaluations), 'evaluation')} on dev.csv"
        if self.evaluations:
            shown = [str(step) for step in self.evaluations]
            shown = shown if len(shown) <= 6 else [*shown[:3], "...", shown[-1]]
            when += f" (after step {', '.join(shown)})"
        return (
            f"Plan: {count(self.steps, 'step')} of {count(sequences_a_step, 'sequence')}, {self.epoch(self.steps):.3g} "
            f"epochs of {count(self.steps_an_epoch, 'step')}, learning rate {training.learning_rate:g}; {when}."
        )


def count(number: int, word: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number:,} {word}{'s' * (number != 1)}"


def make_plan(training: Any, steps_an_epoch: int) -> Plan:
    """Work out the plan of `transformers.TrainingArguments` for so many steps an epoch."""
    steps = training.max_steps
    if steps <= 0:
        steps = math.ceil(training.num_train_epochs * steps_an_epoch)
    strategy = getattr(training.eval_strategy, "value", training.eval_strategy)
    delay = training.eval_delay or 0
    evaluations: list[int] = []
    every = 0
    if strategy == "steps":
        every = training.eval_steps or training.logging_steps
        # Below 1 it is a share of all steps, as transformers has it.
        every = math.ceil(steps * every) if every < 1 else int(every)
        evaluations = [step for step in range(every, steps + 1, every) if step >= delay]
    elif strategy == "epoch":
        ends = [*range(steps_an_epoch, steps + 1, steps_an_epoch)]
        if steps % steps_an_epoch:
            ends.append(steps)  # the Trainer calls a broken-off epoch an end too
        evaluations = [step for step in ends if step / steps_an_epoch >= delay]

    warnings = []
    warm = training.get_warmup_steps(steps)
    if warm >= steps:
        warnings.append(
            f"The learning rate rises for {count(warm, 'step')} and the run has {steps}: it never gets to "
            f"{training.learning_rate:g}; give a smaller --warmup_steps."
        )
    if strategy == "steps" and training.load_best_model_at_end:
        fifth = max(1, steps // 5)
        if not evaluations:
            warnings.append(
                f"No evaluation takes place ({count(steps, 'step')}, --eval_steps {every}), so the last weights will "
                f"be tested; --eval_steps {fifth} would compare five checkpoints."
            )
        elif len(evaluations) == 1 and evaluations[0] < steps:
            only = evaluations[0]
            warnings.append(
                f"Only one evaluation fits into {steps} steps (--eval_steps {every}), so checkpoint-{only} will be "
                f"tested: epoch {only / steps_an_epoch:.1f} of {steps / steps_an_epoch:.3g}, the steps after it are "
                f"for nothing; --eval_steps {fifth} would compare five checkpoints."
            )
    return Plan(steps, steps_an_epoch, evaluations, warnings)
