"""What a run was made with, and what differs between runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# The arguments that people compare; the others of TrainingArguments say where and how, not what.
SETTINGS = (
    *("learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("lr_scheduler_type", "warmup_steps", "warmup_ratio", "weight_decay", "optim", "max_grad_norm"),
    *("label_smoothing_factor", "fp16", "bf16", "seed", "eval_strategy", "eval_steps", "save_strategy", "save_steps"),
    *("save_total_limit", "load_best_model_at_end", "metric_for_best_model"),
)


LONGEST = 200  # letters of a value


def settings_of(args: Any, model: Any = None, rows: Any = None) -> dict[str, Any]:
    """What people compare between runs, as scalars."""
    found: dict[str, Any] = {}
    for name in SETTINGS:
        value = getattr(args, name, None)
        value = getattr(value, "value", value)
        if value is None or (name in ("max_steps", "warmup_ratio", "label_smoothing_factor") and value in (-1, 0)):
            continue
        found[name] = value
    if args.world_size > 1:
        found["processes"] = args.world_size
    dataset = getattr(rows, "dataset", None)
    if dataset is not None and hasattr(dataset, "__len__"):
        found["training rows"] = len(dataset)
    if model is not None:
        config = getattr(model, "config", None)
        found["model"] = str(getattr(config, "_name_or_path", "") or type(model).__name__)
        sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
        found["parameters"] = sum(size for size, _ in sizes)
        found["parameters trained"] = sum(size for size, trained in sizes if trained)
    import torch
    import transformers

    found["device"] = str(args.device)
    found["transformers"], found["torch"] = transformers.__version__, torch.__version__
    return found


def settings_beside(
    runs: Sequence[tuple[str, Mapping[str, Any]]],
) -> tuple[list[str], list[list[str]], list[int]]:
    """Settings of several runs side by side, those that differ first.

    Parameters
    ----------
    runs
        Name and settings of each.

    Returns
    -------
    header, rows, different
        "setting" and the names; the name of each setting and its value in each run, "–" where it has none; the numbers
        of the rows that differ.
    """
    names = list(dict.fromkeys(name for _, settings in runs for name in settings))
    rows = [[name, *(written(settings[name]) if name in settings else "–" for _, settings in runs)] for name in names]
    apart = [row for row in rows if len(set(row[1:])) > 1]
    alike = [row for row in rows if len(set(row[1:])) == 1]
    return ["setting", *(name for name, _ in runs)], [*apart, *alike], list(range(len(apart)))


def written(value: Any) -> str:
    """A value as people write it: 3e-05, 1,347, True, none."""
    if value is None:
        return "none"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        try:
            text = str(value)
        except (RecursionError, ValueError):  # lists in lists
            text = "…"
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else f"{value:g}"
