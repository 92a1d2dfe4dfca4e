"""What the ways out share: a sequence with its facts, plain values for JSON, and whole files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Union

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file


class Entry(NamedTuple):
    """One sequence on its way out.

    Attributes
    ----------
    name : str
        One word, different for each entry of a file.
    sequence : str
    facts : mapping
        What is known of it, such as `{"residues": 254, "finished": False, "perplexity": 8.31}`: plain values.
    """

    name: str
    sequence: str
    facts: Mapping[str, object] = MappingProxyType({})


def plain_value(value: object, key: str, finite: bool = False) -> Any:
    """The value in types that JSON has; numpy's numbers become Python's, tuples lists."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        if finite and not math.isfinite(value):
            raise InputError(f"The setting {key} is {value}, which JSON cannot hold; give a finite number.")
        return float(value)
    if isinstance(value, (list, tuple)):
        return [plain_value(part, key, finite) for part in value]
    if isinstance(value, Mapping):
        if not all(isinstance(inner, str) for inner in value):
            raise InputError(f"The value of {key} has a key that is no text; name its parts with texts.")
        return {str(inner): plain_value(part, key, finite) for inner, part in value.items()}
    raise InputError(f"The value of {key} is {type(value).__name__}, which JSON cannot hold; give a number or a text.")


def write(path: Union[str, os.PathLike], text: str) -> Path:
    """Write a text; the file appears only when it is whole. Returns its path."""
    path = Path(path)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
    return path


def json_text(value: object) -> str:
    """JSON for files that people look into."""
    return json.dumps(value, indent=2) + "\n"
