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
    At most a few a second. `step`, `epoch`; `samples`, `tokens`, `active` (seconds without pauses) and `training`
    (seconds without evaluations and saves either; not known in older files), all counted from the start event;
    `memory` in bytes, of the "GPU" or the "CPU" (`memory_of`), of `memory_all`.
log
    What the Trainer logs while it trains: `step`, `epoch`, `values` (loss, learning_rate, grad_norm, ...).
phase
    `phase`: training, evaluating, saving, paused or stopping; `step`; `done` of `of` batches when it is known.
evaluation
    `step`, `epoch`, `values` (loss, accuracy, ..., without "eval_"), `confusion` (rows: true label, columns:
    predicted), `during`: False for a test after training.
checkpoint
    One is on disk: `step`, `path`, and the best so far, `best_step` with `best_value`; `kept`, the steps of all that
    are in the folder now, for the Trainer deletes some (None: not known, or many and none was deleted).
say
    `words`: a line that was printed.
end
    `state`: finished, stopped or failed; `step`; `words`, a list of sentences; `checkpoint` that is left; the step
    that the model `holds` now; `resume`, the line that goes on; `kept` as with a checkpoint.

What may be unknown is None. JSON knows no number that is none, so those are the texts "NaN", "Infinity" and
"-Infinity" in a file. In `values` they mean what they say; elsewhere a number that is none, or beyond 2**53, which a
page could not hold, is as good as unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import Enum
from types import NoneType
from typing import Any

from biollm_widgets.errors import InputError

VERSION = 1
STATES = ("finished", "stopped", "failed")

LARGEST = 2**53  # whole numbers from here on are not exact in a page
MOST_EPOCHS = 1e9  # a Trainer that is given steps instead, for rows without an end, plans sys.maxsize of them
MOST_CLASSES = 100  # of a matrix; token-by-token predictions have a vocabulary instead
PAST = ("log", "evaluation", "checkpoint")  # of what a history consists

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
        "training": (NUMBER + NULL, None),
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
        "kept": (LIST + NULL, None),
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
        "kept": (LIST + NULL, None),
    },
}

TYPES = {kind: [(key, types) for key, (types, _) in keys.items()] for kind, keys in KEYS.items()}
# Where numbers are, but for `values`: each is looked at once its type is right.
NUMBERED = {kind: [key for key, (types, _) in keys.items() if int in types] for kind, keys in KEYS.items()}
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
    floats in `values`, nowhere else; what is no number is left out of `values`. Another number that is none, or too
    large for a page, becomes what stands for it where it was left out (`time` becomes 0); so does a confusion that is
    no square matrix of counts. Kinds and keys that are not known here come from a newer version: they are passed on as
    they are.

    Raises
    ------
    InputError
        When it is no event: not an object, without a kind, with a value of the wrong type, or with a step that is none.
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
    for key in NUMBERED[kind]:
        value = event[key]
        if value is not None and not -LARGEST < value < LARGEST:  # so it is with nan, too
            event[key] = _unknown(event, kind, key)
    if kind != "history" and kind != "say" and event.get("step", 0) < 0:
        raise InputError(f'"step" of this {kind} event is below 0: {_short(event)}.')
    if kind == "log" or kind == "evaluation":
        if set(map(type, event["values"].values())) != {float}:
            event["values"] = _numbers(event["values"])
        if kind == "evaluation" and event["confusion"] is not None and not is_matrix(event["confusion"]):
            event["confusion"] = None
    elif kind == "phase":
        if not _are_counts([event["done"], event["of"]]):
            event["done"] = event["of"] = None
    elif kind == "start":
        if event["epochs"] is not None and event["epochs"] > MOST_EPOCHS:
            event["epochs"] = None
        if event["steps"] is not None and event["steps"] <= 0:
            event["steps"] = None
        event["settings"] = {name: _writable(value) for name, value in event["settings"].items()}
    elif kind == "end" and event["state"] not in STATES:
        raise InputError(f'The "state" of an end event is one of {", ".join(STATES)}: {_short(event)}.')
    elif kind == "history":
        past = [one for one in event["events"] if type(one) is dict and one.get("event") in PAST]
        event["events"] = [settle({"time": event["time"], **one}) for one in past]
    if event.get("kept") is not None and kind in ("checkpoint", "end"):
        event["kept"] = event["kept"] if _are_counts(event["kept"], known=True) else None
    for key in ("words", "labels") if kind in ("start", "end") else ():
        if not all(type(text) is str for text in event.get(key) or ()):
            raise InputError(f'The "{key}" of this {kind} event are not all texts: {_short(event)}.')
    return event


def _mended(event: dict[str, Any], kind: str, key: str, types: tuple[type, ...]) -> Any:
    """What stands for a key that was left out, or for a value of another type, where something does."""
    if key not in event:
        if key in LEFT_OUT[kind]:
            return LEFT_OUT[kind][key]
        raise InputError(f'This {kind} event has no "{key}": {_short(event)}.')
    if float in types and type(event[key]) is str and event[key] in NON_FINITE:
        return NON_FINITE[event[key]]
    if key == "confusion" or key == "kept":  # what is told beside them is worth more
        return None
    wanted = NAMES[types[0]] + (" or null" if NoneType in types else "")
    raise InputError(f'"{key}" of this {kind} event is not {wanted}: {_short(event)}.')


def _unknown(event: dict[str, Any], kind: str, key: str) -> Any:
    """What stands for a number that is none, or is out of all bounds."""
    if key == "time":
        return 0.0
    if key in LEFT_OUT[kind]:
        return LEFT_OUT[kind][key]
    raise InputError(f'"{key}" of this {kind} event is out of all bounds: {_short(event)}.')


def is_matrix(rows: Any) -> bool:
    """Whether this is a confusion matrix: as many rows as columns, of whole numbers, for up to `MOST_CLASSES`."""
    if type(rows) is not list or not 0 < len(rows) <= MOST_CLASSES:
        return False
    if not all(type(row) is list and len(row) == len(rows) and _are_counts(row, known=True) for row in rows):
        return False
    return sum(map(sum, rows)) < LARGEST


def _are_counts(numbers: Iterable[Any], known: bool = False) -> bool:
    """Whether all are whole numbers from 0, or not `known`."""
    return all((type(one) is int and 0 <= one < LARGEST) or (one is None and not known) for one in numbers)


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    mended = {key: NON_FINITE.get(value, value) if type(value) is str else value for key, value in values.items()}
    return {key: value for key, value in mended.items() if type(value) in NUMBER and _is_written(value)}


def _is_written(value: Any) -> bool:
    """Whether a number can be a float; a whole number may be larger than any."""
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _writable(value: Any) -> Any:
    return str(value) if type(value) is int and not _is_written(value) else value


def _short(what: Any) -> str:
    try:
        text = what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
    except (RecursionError, ValueError):  # lists in lists, or a number of thousands of digits
        text = f"a {type(what).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."
