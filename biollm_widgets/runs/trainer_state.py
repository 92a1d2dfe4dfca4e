"""The log that a Trainer keeps (`log_history` of trainer_state.json) as events; and the file beside it that is ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

KEPT = "progress.json"  # in each checkpoint: what trainer_state.json has no place for


def event_of(logged: dict[str, Any], step: int, during: bool = True) -> Optional[dict[str, Any]]:
    """What one call of `Trainer.log` says, as a "log" or an "evaluation" event; None for the summary of a run.

    Parameters
    ----------
    logged : dict
        As the Trainer logs it: `loss`, `learning_rate`, ...; or `eval_loss`, `eval_runtime`, ...
    step : int
        The step at which it did.
    during : bool
        Whether training went on then.
    """
    values = dict(logged)
    values.pop("step", None)
    # Most lines hold floats alone, as they come out of JSON; a log has a hundred thousand of them.
    if set(map(type, values.values())) != {float}:
        values = {name: float(value) for name, value in values.items() if _is_number(value)}
    epoch = values.pop("epoch", 0.0)
    if "loss" in values:
        return {"event": "log", "step": step, "epoch": epoch, "values": values}
    timed = next((name for name in values if name.endswith("_runtime")), None)
    if timed is None:
        return None
    prefix = timed.removesuffix("_runtime")
    if prefix == "train":
        return None
    values = {name.removeprefix(f"{prefix}_"): value for name, value in values.items()}
    if prefix.startswith("eval_"):  # one of several sets of rows
        values = {f"{prefix.removeprefix('eval_')}_{name}": value for name, value in values.items()}
    found = {"event": "evaluation", "step": step, "epoch": epoch, "values": values}
    return {**found, "confusion": None, "during": during}


def events_of(
    log_history: Iterable[dict[str, Any]], evaluations: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """A `log_history` as events; confusion matrices come from `evaluations`, by their step and their scores."""
    matrices = {_known_by(one): one.get("confusion") for one in evaluations}
    events = []
    for logged in log_history:
        event = event_of(logged, int(logged.get("step") or 0))
        if event is not None:
            if event["event"] == "evaluation":
                event["confusion"] = matrices.get(_known_by(event))
            events.append(event)
    return events


def _known_by(evaluation: dict[str, Any]) -> tuple[int, frozenset[str]]:
    """At one step there may be several, on several sets of rows."""
    return evaluation["step"], frozenset(evaluation["values"])


def read_kept(checkpoint: Path) -> dict[str, Any]:
    """Our own file of a checkpoint: `start` (the start event) and `evaluations`; empty where it is not there."""
    try:
        held = json.loads((checkpoint / KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) and isinstance(held.get("start"), dict) else {}


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and (isinstance(value, (int, float)) or hasattr(value, "__float__"))
