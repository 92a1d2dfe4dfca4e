"""The settings that make the same designs again, as JSON: written exactly, read strictly."""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Optional, Union

from biollm_widgets.errors import InputError
from biollm_widgets.protein.export.plain import json_text, plain_value, write

SETTINGS_FORMAT, SETTINGS_VERSION = "biollm_widgets settings", 1
Kinds = Mapping[str, Union[type, tuple[type, ...]]]
_KIND_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def settings_to_json(settings: Mapping[str, object], allowed: Optional[Kinds] = None) -> str:
    """Settings as JSON text that `settings_from_json` reads back, number for number.

    Parameters
    ----------
    settings : mapping of str to plain values
        None, bool, int, float, str, and lists and mappings of these (a tuple comes back as a list).
    allowed : mapping of str to a type or several, optional
        The settings there are; see `settings_from_json`.

    Raises
    ------
    InputError
        For a value that JSON cannot hold (NaN and infinity too), an unknown setting, or a value of another type.
    """
    plain = {key: plain_value(value, key, finite=True) for key, value in settings.items()}
    if allowed is not None:
        plain = _checked(plain, allowed, "the settings")
    return json_text({"format": SETTINGS_FORMAT, "version": SETTINGS_VERSION, "settings": plain})


def settings_from_json(
    source: Union[str, os.PathLike], allowed: Optional[Kinds] = None, *, required: Collection[str] = ()
) -> dict[str, Any]:
    """Read settings strictly: what is not understood is refused, never passed over.

    Parameters
    ----------
    source : path or text
        A `str` that begins with `{` is the text itself.
    allowed : mapping of str to a type or several, optional
        Every setting there is, with what its value may be: `{"temperature": float, "seed": (int, type(None))}`.
        A whole number where only `float` is allowed becomes one; true and false are no numbers.
    required : collection of str
        Settings that must be there.

    Returns
    -------
    dict
        Setting to value, as they were written.

    Raises
    ------
    InputError
        For a missing or unreadable file, text that is no JSON (with the line), another format or a newer version, a
        setting that is unknown (with the nearest known one), missing or there twice, and a value of the wrong type.
    """
    text, called = _settings_text(source)
    try:
        held = json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as problem:
        raise InputError(
            f"{called} is no JSON: {problem.msg} in line {problem.lineno}, column {problem.colno}; mend it there or "
            "save the settings again."
        ) from problem
    except RecursionError as problem:
        raise InputError(f"{called} is nested too deeply to be settings; save the settings again.") from problem
    except _Refused as problem:
        raise InputError(f"In {_inside(called)}, {problem}.") from problem
    if not isinstance(held, dict) or held.get("format") != SETTINGS_FORMAT:
        raise InputError(f'{called} does not say "format": "{SETTINGS_FORMAT}"; give a file that biollm saved.')
    version = held.get("version")
    if type(version) is not int or version < 1:
        raise InputError(f"{called} has no version that is a whole number; save the settings again.")
    if version > SETTINGS_VERSION:
        raise InputError(
            f"{called} has version {version} of the format and this biollm_widgets reads {SETTINGS_VERSION}; update it."
        )
    strange = sorted(set(held) - {"format", "version", "settings"})
    if strange:
        raise InputError(f"In {_inside(called)}, {strange[0]!r} stands outside of settings; move or remove it.")
    settings = held.get("settings")
    if not isinstance(settings, dict):
        raise InputError(f'{called} has no "settings" with names and values; save the settings again.')
    if allowed is not None:
        settings = _checked(settings, allowed, _inside(called))
    missing = sorted(set(required) - set(settings))
    if missing:
        raise InputError(
            f"In {_inside(called)}, {' and '.join(missing)} is missing; add it or save the settings again."
        )
    return settings


def write_settings(
    settings: Mapping[str, object], path: Union[str, os.PathLike], allowed: Optional[Kinds] = None
) -> Path:
    """Write what `settings_to_json` gives; the file appears only when it is whole. Returns its path."""
    return write(path, settings_to_json(settings, allowed))


class _Refused(ValueError):
    """Something inside JSON text that is JSON, yet not ours; the rest of the sentence."""


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Refused(f"{key} is there twice; remove one")
        found[key] = value
    return found


def _no_constant(word: str) -> float:
    raise _Refused(f"{word} is no number that a setting can have; write a finite one")


def _finite(number: str) -> float:
    return float(number) if math.isfinite(float(number)) else _no_constant(number)


def _settings_text(source: Union[str, os.PathLike]) -> tuple[str, str]:
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"Settings come from a path or a text, not from {type(source).__name__}.")
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith("{"):
        return source.lstrip("\ufeff"), "The settings"
    path = Path(source).expanduser()
    try:
        return path.read_text(encoding="utf-8-sig"), str(path)
    except FileNotFoundError as problem:
        raise InputError(f"There is no file {path}; check the name and the folder.") from problem
    except UnicodeDecodeError as problem:
        raise InputError(f"{path} is no text, so it holds no settings; give a file that biollm saved.") from problem
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise InputError(f"Cannot read {path} ({reason}); check the name and its permissions.") from problem


def _inside(called: str) -> str:
    return "the settings" if called == "The settings" else called


def _checked(settings: Mapping[str, Any], allowed: Kinds, called: str) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, 1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(allowed)}."
            raise InputError(f"In {called}, {key!r} is no setting; {advice}")
        wanted = allowed[key]
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        if type(value) is int and int not in kinds and float in kinds:
            value = float(value)
        if type(value) not in kinds:
            words = " or ".join(_KIND_WORDS.get(kind, kind.__name__) for kind in kinds)
            raise InputError(f"In {called}, {key} is {words}, not {json.dumps(value)}.")
        checked[key] = value
    return checked
