"""What a training run tells while it goes: an event is a plain dictionary, and one line of JSON in a file.

Every event has `event` (its kind) and `time` (seconds since 1970). By kind:

start
    A run begins or goes on. `name`; `step` it begins at and `steps` it plans; `epochs` it plans; `settings`, a
    dictionary of scalars; `labels` of the classes; `folder` of the run; `metric` that chooses the best checkpoint,
    `greater` when more of it is better, `best_at_end` when the best weights are loaded in the end; `eval_strategy`
    ("steps", "epoch" or "no") and `eval_steps`; `resumed_from`, a checkpoint; `processes`; `version` of this format.
history
    What a run that goes on had found before, in place of all that was told so far: `events`, a list (log, evaluation,
    checkpoint).
    In a file these are lines of their own.
step
    At most a few a second. `step`, `epoch`; `samples`, `tokens` and `active` (seconds without pauses), all counted
    from the start event; `memory` in bytes, of the "GPU" or the "CPU" (`memory_of`), of `memory_all`.
log
    What the Trainer logs while it trains: `step`, `epoch`, `values` (loss, learning_rate, grad_norm, ...).
phase
    `phase`: training, evaluating, saving, paused or stopping; `step`; `done` of `of` batches when it is known.
evaluation
    `step`, `epoch`, `values` (loss, accuracy, ..., without "eval_"), `confusion` (rows: true label, columns:
    predicted), `during`: False for a test after training.
checkpoint
    One is on disk: `step`, `path`, and the best so far, `best_step` with `best_value`.
say
    `words`: a line that was printed.
end
    `state`: finished, stopped or failed; `step`; `words`, a list of sentences; `checkpoint` that is left; the step
    that the model `holds` now; `resume`, the line that goes on.

What may be unknown is None. JSON knows no number that is none, so those are the texts "NaN", "Infinity" and
"-Infinity" in a file.
"""

from __future__ import annotations

import json
from enum import Enum
from types import NoneType
from typing import Any

from biollm_widgets.errors import InputError

VERSION = 1
STATES = ("finished", "stopped", "failed")

NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

WHOLE = (int,)  # a bool's type is bool, so it is none of these
NUMBER = (float, int)
TEXT = (str,)
TRUTH = (bool,)
LIST = (list,)
TABLE = (dict,)
NULL = (NoneType,)

NUMBERS = set(NUMBER)

REQUIRED = object()

# kind -> key -> the types that its value may have, and what stands for it where a writer left it out.
KEYS: dict[str, dict[str, tuple[tuple[type, ...], Any]]] = {
    "start": {
        "time": (NUMBER, REQUIRED),
        "settings": (TABLE, REQUIRED),
        "version": (WHOLE, VERSION),
        "name": (TEXT, ""),
        "step": (WHOLE, 0),
        "steps": (WHOLE + NULL, None),
        "epochs": (NUMBER + NULL, None),
        "labels": (LIST + NULL, None),
        "folder": (TEXT + NULL, None),
        "metric": (TEXT + NULL, None),
        "greater": (TRUTH, True),
        "best_at_end": (TRUTH, False),
        "eval_strategy": (TEXT + NULL, None),
        "eval_steps": (NUMBER + NULL, None),
        "resumed_from": (TEXT + NULL, None),
        "processes": (WHOLE, 1),
    },
    "history": {"time": (NUMBER, REQUIRED), "events": (LIST, REQUIRED)},
    "step": {
        "time": (NUMBER, REQUIRED),
        "step": (WHOLE, REQUIRED),
        "epoch": (NUMBER + NULL, None),
        "samples": (NUMBER + NULL, None),
        "tokens": (NUMBER + NULL, None),
        "active": (NUMBER + NULL, None),
        "memory": (NUMBER + NULL, None),
        "memory_of": (TEXT + NULL, None),
        "memory_all": (NUMBER + NULL, None),
    },
    "log": {
        "time": (NUMBER, REQUIRED),
        "step": (WHOLE, REQUIRED),
        "epoch": (NUMBER + NULL, None),
        "values": (TABLE, REQUIRED),
    },
    "phase": {
        "time": (NUMBER, REQUIRED),
        "phase": (TEXT, REQUIRED),
        "step": (WHOLE, 0),
        "done": (NUMBER + NULL, None),
        "of": (NUMBER + NULL, None),
    },
    "evaluation": {
        "time": (NUMBER, REQUIRED),
        "step": (WHOLE, REQUIRED),
        "epoch": (NUMBER + NULL, None),
        "values": (TABLE, REQUIRED),
        "confusion": (LIST + NULL, None),
        "during": (TRUTH, True),
    },
    "checkpoint": {
        "time": (NUMBER, REQUIRED),
        "step": (WHOLE, REQUIRED),
        "path": (TEXT, REQUIRED),
        "best_step": (WHOLE + NULL, None),
        "best_value": (NUMBER + NULL, None),
    },
    "say": {"time": (NUMBER, REQUIRED), "words": (TEXT, REQUIRED)},
    "end": {
        "time": (NUMBER, REQUIRED),
        "state": (TEXT, REQUIRED),
        "step": (WHOLE, REQUIRED),
        "words": (LIST, REQUIRED),
        "checkpoint": (TEXT + NULL, None),
        "holds": (WHOLE + NULL, None),
        "resume": (TEXT + NULL, None),
    },
}

TYPES = {kind: [(key, types) for key, (types, _) in keys.items()] for kind, keys in KEYS.items()}
LEFT_OUT = {kind: {key: left for key, (_, left) in keys.items() if left is not REQUIRED} for kind, keys in KEYS.items()}
NAMES = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def encode(event: dict[str, Any]) -> str:
    """An event as one line of strict JSON, without the newline.

    Scalars and arrays of numpy and torch, paths and enumerations become what JSON has; anything else its text, so that
    an odd setting never stops a training. The line is ASCII: a file that was cut anywhere is still text.
    """
    try:
        return json.dumps(event, allow_nan=False, separators=(",", ":"), default=_plain)
    except (ValueError, TypeError):  # a number that is none, or a key that is no text
        return json.dumps(_strict(event), allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return str(value)


def _strict(value: Any, depth: int = 0) -> Any:
    """The same with texts for numbers that are none, at any depth."""
    if depth > 20:  # a dictionary that holds itself
        return str(value)
    if isinstance(value, dict):
        return {str(key): _strict(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item, depth + 1) for item in value]
    if isinstance(value, float):
        value = float(value)
        if value != value:
            return "NaN"
        return value if abs(value) != float("inf") else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (str, int)):
        return value
    return _strict(_plain(value), depth + 1)


def decode(line: str | bytes) -> dict[str, Any]:
    """The event of one line: what `encode` was given, as `check` leaves it.

    Raises
    ------
    InputError
        When the line is no event, with the reason.
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as problem:
        raise InputError(f"This line is no JSON ({problem}): {_short(line)}.") from None
    return settle(event)


def check(event: Any) -> dict[str, Any]:
    """An event with every key of its kind, and with numbers where numbers belong.

    Keys that were left out get what the format says stands for them. The texts "NaN", "Infinity" and "-Infinity" become
    floats in `values` and where a key's value is a number, nowhere else. In `values`, what is no number is left out.
    Kinds and keys that are not known here come from a newer version: they are passed on as they are.

    Raises
    ------
    InputError
        When it is no event: not an object, without a kind, or with a value of the wrong type.
    """
    return settle(dict(event) if type(event) is dict else event)


def settle(event: Any) -> dict[str, Any]:
    """`check` of an event that nobody else holds: it is changed in place, which takes half the time."""
    if type(event) is not dict or type(event.get("event")) is not str:
        raise InputError(f'This is no event of a run, which is an object with a text under "event": {_short(event)}.')
    kind = event["event"]
    if kind not in TYPES:
        return event
    for key, types in TYPES[kind]:
        value = event.get(key, REQUIRED)
        if type(value) not in types:
            event[key] = _mended(event, kind, key, types)
    if kind == "log" or kind == "evaluation":
        if not NUMBERS.issuperset(map(type, event["values"].values())):
            event["values"] = _numbers(event["values"])
        rows = event["confusion"] if kind == "evaluation" else None
        if rows and not all(type(row) is list and len(row) == len(rows) for row in rows):
            raise InputError(f'The "confusion" of an evaluation has as many rows as columns: {_short(event)}.')
        if rows and not NUMBERS.issuperset(type(count) for row in rows for count in row):
            raise InputError(f'The "confusion" of an evaluation counts: {_short(event)}.')
    elif kind == "end" and event["state"] not in STATES:
        raise InputError(f'The "state" of an end event is one of {", ".join(STATES)}: {_short(event)}.')
    elif kind == "history":
        event["events"] = [settle({"time": event["time"], **one}) for one in event["events"] if type(one) is dict]
    for key in ("words", "labels") if kind in ("start", "end") else ():
        if not all(type(text) is str for text in event.get(key) or ()):
            raise InputError(f'The "{key}" of this {kind} event are not all texts: {_short(event)}.')
    return event


def _mended(event: dict[str, Any], kind: str, key: str, types: tuple[type, ...]) -> Any:
    """What stands for a key that was left out, or the number that a text means."""
    if key not in event:
        if key in LEFT_OUT[kind]:
            return LEFT_OUT[kind][key]
        raise InputError(f'This {kind} event has no "{key}": {_short(event)}.')
    if float in types and type(event[key]) is str and event[key] in NON_FINITE:
        return NON_FINITE[event[key]]
    wanted = NAMES[types[0]] + (" or null" if NoneType in types else "")
    raise InputError(f'"{key}" of this {kind} event is not {wanted}: {_short(event)}.')


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    mended = {key: NON_FINITE.get(value, value) if type(value) is str else value for key, value in values.items()}
    return {key: value for key, value in mended.items() if type(value) in NUMBER}


def _short(what: Any) -> str:
    text = what.decode("utf-8", "replace") if isinstance(what, bytes) else what if isinstance(what, str) else repr(what)
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."
