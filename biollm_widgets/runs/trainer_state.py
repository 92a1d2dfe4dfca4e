"""The log that a Trainer keeps (`log_history` of trainer_state.json) as events; and the file beside it that is ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.runs.events import check

KEPT = "progress.json"  # in each checkpoint: what trainer_state.json has no place for


def event_of(logged: dict[str, Any], step: int, during: bool = True) -> Optional[dict[str, Any]]:
    """What one call of `Trainer.log` says, as a "log" or an "evaluation" event; None where it is neither.

    While a run trains, its evaluation is what the Trainer calls "eval", or "eval_<set>" of one of several sets of rows.
    Whatever else somebody evaluates meanwhile, under another prefix, is not what the run is chosen by, and is left out;
    so is the summary of a run. A value that is no number (a list of one for each class) is left out as well.

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
        numbers = {name: _number(value) for name, value in values.items()}
        values = {name: value for name, value in numbers.items() if value is not None}
    epoch = values.pop("epoch", 0.0)
    if "loss" in values:
        return {"event": "log", "step": step, "epoch": epoch, "values": values}
    prefix = prefix_of(values)
    if prefix is None or prefix == "train" or (during and prefix != "eval" and not prefix.startswith("eval_")):
        return None
    values = {name.removeprefix(f"{prefix}_"): value for name, value in values.items()}
    if prefix.startswith("eval_"):  # one of several sets of rows
        values = {f"{prefix.removeprefix('eval_')}_{name}": value for name, value in values.items()}
    found = {"event": "evaluation", "step": step, "epoch": epoch, "values": values}
    return {**found, "confusion": None, "during": during}


def prefix_of(logged: Iterable[str]) -> Optional[str]:
    """What the Trainer calls an evaluation whose values it logs under these names; None where it is none."""
    # It logs how long it took, too; a person's own "eval_my_runtime" is longer than the "eval_runtime" beside it.
    timed = min((name for name in logged if name.endswith("_runtime")), key=len, default=None)
    return None if timed is None else timed.removesuffix("_runtime")


def events_of(
    log_history: Iterable[dict[str, Any]], evaluations: Sequence[dict[str, Any]] = (), during: bool = True
) -> list[dict[str, Any]]:
    """A `log_history` as events; confusion matrices come from `evaluations`, by their step and their scores."""
    matrices = {_known_by(one): one.get("confusion") for one in evaluations}
    events = []
    for logged in log_history:
        event = event_of(logged, int(logged.get("step") or 0), during)
        if event is not None:
            if event["event"] == "evaluation":
                event["confusion"] = matrices.get(_known_by(event))
            events.append(event)
    return events


def _known_by(evaluation: dict[str, Any]) -> tuple[int, frozenset[str]]:
    """At one step there may be several, on several sets of rows."""
    return evaluation["step"], frozenset(evaluation["values"])


def read_kept(checkpoint: Path) -> dict[str, Any]:
    """Our own file of a checkpoint: `start` (the start event) and `evaluations`; empty where it is not there.

    It may come from somebody else, from a newer version, or be broken: what is no evaluation is left out.
    """
    held = read_json(checkpoint / KEPT)
    if not isinstance(held.get("start"), dict):
        return {}
    given = held.get("evaluations")
    evaluations = []
    for one in given if isinstance(given, list) else []:
        try:
            found = check({"time": 0.0, **one, "event": "evaluation"})
        except (InputError, TypeError):
            continue
        evaluations.append({name: value for name, value in found.items() if name not in ("event", "time")})
    return {**held, "evaluations": evaluations}


def read_json(path: Path) -> dict[str, Any]:
    """An object from a file; empty where there is none, or nothing that can be read."""
    try:
        # Opening a pipe would wait for somebody to write into it.
        held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def _number(value: Any) -> Optional[float]:
    if isinstance(value, bool) or not (isinstance(value, (int, float)) or hasattr(value, "__float__")):
        return None
    try:
        return float(value)
    except Exception:  # several numbers in one array, or a whole number that is larger than any float
        return None
