"""A run in words: what a title says, where it is, what an end means. The same for a page, a picture and a terminal."""

from __future__ import annotations

import math
from typing import Any, Optional

from biollm_widgets.runs.log import Evaluation, RunLog

NAMES = {
    **dict.fromkeys(("matthews_correlation", "mcc", "MCC", "matthews_corrcoef"), "MCC"),
    **dict.fromkeys(("f1", "macro_f1", "f1_macro"), "F1"),
    **dict.fromkeys(("acc",), "accuracy"),
}


def name_of(metric: str) -> str:
    """How people call a metric."""
    return NAMES.get(metric, metric.replace("_", " "))


def number(value: Optional[float]) -> str:
    """Two decimals where those say something, three digits elsewhere."""
    if value is None:
        return "not known"
    if not math.isfinite(value):
        return "not a number"
    if value == 0 or 0.1 <= abs(value) < 100:
        return f"{value:.2f}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def clock(seconds: float) -> str:
    """0:21, 12:05 or 3:20:00."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def title(log: RunLog) -> str:
    """The finding."""
    at = f"step {log.step:,}" + (f" of {log.steps:,}" if log.steps else "")
    finding = _finding(log)
    if log.phase == "idle":
        return "Nothing has been trained yet"
    if log.phase == "failed":
        return f"Training broke off at {at}" + (f": {finding}" if finding else "")
    if log.phase in ("stopped", "finished"):
        done = "Stopped" if log.phase == "stopped" else "Finished"
        said = [part for part in (_found(log) or finding, _tested(log)) if part]
        return f"{done} at {at}" + (f": {', '.join(said)}" if said else "")
    if log.phase == "paused":
        return f"Paused at {at}" + (f": {finding}" if finding else "")
    if not finding:
        return f"Starting: {log.steps:,} steps planned" if log.steps else "Starting"
    return f"Learning: {finding}"


def _found(log: RunLog) -> str:
    """What a run that is over has come to: its best evaluation."""
    best, lead = log.best, log.lead
    if best is None or lead not in best.values:
        return ""
    value = f"evaluation {name_of(lead)} {number(best.values[lead])} at step {best.step:,}"
    if len(log.evaluations) == 1:
        return f"{value}, the only one"
    chosen, _ = log.chosen_by
    return f"{value}, the best" + ("" if chosen == lead else f" by {name_of(chosen)}")


def _finding(log: RunLog) -> str:
    parts = []
    if log.loss is not None:
        parts.append(f"loss {number(log.loss)}")
    if log.evaluations:
        last, best, lead = log.evaluations[-1], log.best, log.lead
        if lead in last.values:
            parts.append(f"evaluation {name_of(lead)} {number(last.values[lead])} ({_rank(log, last, best)})")
    return ", ".join(parts)


def _rank(log: RunLog, last: Evaluation, best: Optional[Evaluation]) -> str:
    lead = log.lead
    so_far = "" if log.end else " so far"
    if best is None or len(log.evaluations) == 1:
        return f"step {last.step:,}"
    chosen, _ = log.chosen_by
    if best is last:
        if chosen == lead:
            return f"best{so_far}, step {last.step:,}"
        return f"step {last.step:,}, best{so_far} by {name_of(chosen)}"
    value = best.values.get(lead)
    by = "" if chosen == lead else f" by {name_of(chosen)}"
    return f"step {last.step:,}; {number(value)} at step {best.step:,}, best{so_far}{by}"


def _tested(log: RunLog) -> str:
    if not log.tests:
        return ""
    values = log.tests[-1].values
    lead = log.lead if log.lead in values else "loss"
    return f"test {name_of(lead)} {number(values[lead])}" if lead in values else ""


def line(log: RunLog) -> str:
    """Where it is: step, epoch, speed, time left, memory."""
    if log.phase == "idle":
        return ""
    parts = [f"step {log.step:,}" + (f" of {log.steps:,}" if log.steps else "")]
    if log.epoch:
        planned = log.start.get("epochs")
        parts.append(f"epoch {log.epoch:.1f}" + (f" of {planned:g}" if planned else ""))
    samples, tokens = log.speed
    if samples:
        parts.append(f"{_rate(samples)} samples/s")
    if tokens:
        parts.append(f"{_rate(tokens)} tokens/s")
    left = log.seconds_left
    if log.running and left is not None:
        parts.append(f"{clock(left)} left")
    elif log.end and log.active:
        parts.append(f"in {clock(log.active)}")
    used, of, whole = log.memory
    if used:
        there = f" of {whole / 1e9:.0f}" if whole and of == "GPU" else ""
        parts.append(f"{used / 1e9:.1f}{there} GB" + (" on the GPU" if of == "GPU" else ""))
    return " · ".join(parts)


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def doing(log: RunLog, stopping: bool = False) -> str:
    """What goes on just now, where that is not simply training."""
    if log.end or log.phase == "idle":
        return ""
    best = log.best
    if log.phase == "evaluating":
        batches = f": {log.done:,} of {log.of:,} batches" if log.of and log.done is not None else ""
        words = f"Evaluating at step {log.step:,}{batches}."
        return words + (" Training stops when this evaluation is done, with a checkpoint." if stopping else "")
    if log.phase == "saving":
        return f"Saving a checkpoint at step {log.step:,}."
    if stopping:
        return "Stopping after the step at hand, with a checkpoint."
    if log.phase == "paused":
        return "Paused. The model waits in memory; Go on continues, Stop and keep writes a checkpoint."
    if best is not None:
        kept = log.path_of(best.step)
        name, _ = log.chosen_by
        found = f"Best so far by evaluation {name_of(name)}: step {best.step:,} ({number(best.values[name])})"
        return f"{found}, {'kept in ' + kept if kept else 'of which no checkpoint is kept'}."
    return ""


def end_of(
    step: int,
    steps: int,
    stopped: bool,
    checkpoint: Optional[str],
    holds: Optional[int],
    metric: str = "loss",
    looked_for: str = "",
) -> dict[str, Any]:
    """State and words of an "end" event.

    Parameters
    ----------
    step, steps
        Where training ended, and where it was to end.
    stopped
        Whether somebody asked for it.
    checkpoint
        Of that step; None where there is none.
    holds
        The step whose weights the model has now, where others were loaded in the end.
    metric
        What those are the best by.
    looked_for
        Where the checkpoint would be.
    """
    early = step < steps
    where = f"step {step:,} of {steps:,}"
    words = []
    if stopped and early:
        place = looked_for or f"checkpoint-{step} in the run's folder (output_dir)"
        missing = f"No checkpoint of step {step:,} was found: it was looked for as {place}."
        left = f"Everything to go on with is in {checkpoint}." if checkpoint else missing
        words.append(f"Stopped at {where}. {left}")
    elif early:
        words.append(f"Ended at {where}: a callback asked for it (early stopping, for one).")
    else:
        words.append(
            f"All {steps:,} steps are done." + (f" The last weights are in {checkpoint}." if checkpoint else "")
        )
    if holds is not None and holds != step:
        words.append(
            f"load_best_model_at_end: the model in memory now has the weights of step {holds:,}, the best by "
            f"{name_of(metric)}, not those of step {step:,}"
            + (f"; those are in {checkpoint} alone." if checkpoint else ", which are gone.")
        )
    return {"state": "stopped" if stopped and early else "finished", "words": words, "checkpoint": checkpoint}


def failure(error: BaseException, log: RunLog) -> list[str]:
    """What an exception out of training means, and what to do about it."""
    said = " ".join(str(error).split())
    kind = type(error).__name__
    size = log.start.get("settings", {}).get("per_device_train_batch_size")
    now = f" (now {size})" if size else ""
    lower = said.lower()
    if kind == "OutOfMemoryError" or "out of memory" in lower or isinstance(error, MemoryError):
        words = [
            f"Memory ran out at step {log.step:,}.",
            f"Take a smaller per_device_train_batch_size{now} with more gradient_accumulation_steps, or shorter "
            "sequences; then restart the kernel, which still holds the old tensors.",
        ]
    elif ("target" in lower and "out of bounds" in lower) or "device-side assert" in lower or "n_classes" in lower:
        words = [
            f"A label is not one of the model's classes ({kind}: {said}).",
            "Labels are whole numbers from 0 up to num_labels - 1: check the column of labels, and num_labels.",
        ]
    elif isinstance(error, OSError) and error.errno == 28:
        words = ["The disk is full.", "Free some space, or keep fewer checkpoints (save_total_limit)."]
    elif isinstance(error, KeyboardInterrupt):
        words = ["Interrupted before the step at hand was done, so that step is lost."]
    else:
        words = [f"{kind}: {said}" if said else kind]
    if log.checkpoints:
        words.append(f"The last checkpoint is {log.checkpoints[-1].path}.")
    elif log.start:
        words.append("No checkpoint had been written.")
    return words
