"""Designs as FASTA, with what is known of each, and the settings that made it, in the header."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Optional, Union

from biollm_widgets.errors import InputError
from biollm_widgets.protein.export.plain import Entry, plain_value, write
from biollm_widgets.sequences import LINE, format_fasta

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_BARE = re.compile(r"[A-Za-z0-9_.,:;/+*|@%<>()-]+")
_JSON_STARTS = ('"', "[", "{")


def to_fasta(
    entries: Iterable[Entry], settings: Optional[Mapping[str, object]] = None, *, empty: str = "refuse"
) -> str:
    """FASTA text, 60 columns, with the facts and the settings of each sequence in its header.

    A header is `>name key=value key=value ...`: first the facts, then the settings. A value is JSON without spaces
    between its parts, so it never breaks the line; a text that cannot be taken for anything else stands without
    quotation marks. Numbers in settings are written in full, in facts to six digits. `parse_header` reads it back.

    Parameters
    ----------
    entries : iterable of Entry
    settings : mapping, optional
        What makes the sequences again; the same in every header, since records get separated.
    empty : {"refuse", "skip"}
        What to do with an entry without residues (a model may end at once; FASTA has no such record).

    Raises
    ------
    InputError
        For an entry without residues, a name that is no word or is there twice, a key that is no word or is both a
        fact and a setting, and a value that JSON cannot hold.
    """
    if empty not in ("refuse", "skip"):
        raise InputError(f"empty is refuse or skip, not {empty!r}.")
    kept = [entry for entry in entries if entry.sequence or empty == "refuse"]
    _check_names(kept)
    tail = {key: _field(key, value) for key, value in (settings or {}).items()}
    records = []
    for entry in kept:
        if not entry.sequence:
            raise InputError(f"{entry.name} has no residues, and a FASTA record needs some; leave it out.")
        twice = next((key for key in entry.facts if key in tail), None)
        if twice is not None:
            raise InputError(f"{twice} is both a fact about {entry.name} and a setting; call one of them differently.")
        fields = [_field(key, value, digits=6) for key, value in entry.facts.items()]
        records.append((" ".join([entry.name, *fields, *tail.values()]), entry.sequence))
    return format_fasta(records, LINE)


def parse_header(header: str) -> tuple[str, dict[str, object]]:
    """Name, and facts and settings, of a header that `to_fasta` wrote (with or without the `>`).

    Raises
    ------
    InputError
        Where the header is not of that form, with the place.
    """
    header = header.strip().removeprefix(">")
    name, _, rest = header.partition(" ")
    found: dict[str, object] = {}
    decoder = json.JSONDecoder()
    at = 0
    while at < len(rest):
        key, sign, _ = rest[at:].partition("=")
        if not sign or not _KEY.fullmatch(key):
            word = rest[at:].split(" ")[0]
            raise InputError(f"In the header of {name}, {word!r} is no key=value; only headers of to_fasta are read.")
        at += len(key) + 1
        if rest[at : at + 1] in _JSON_STARTS:
            try:
                found[key], at = decoder.raw_decode(rest, at)
            except json.JSONDecodeError as problem:
                raise InputError(
                    f"In the header of {name}, the value of {key} is damaged ({problem.msg}); write the file anew."
                ) from problem
        else:
            word = rest[at:].split(" ")[0]
            found[key] = _unbare(word)
            at += len(word)
        at += 1  # the space
    return name, found


def write_fasta(
    entries: Iterable[Entry],
    settings: Optional[Mapping[str, object]],
    path: Union[str, os.PathLike],
    *,
    empty: str = "refuse",
) -> Path:
    """Write what `to_fasta` gives; the file appears only when it is whole. Returns its path, raises as `to_fasta`."""
    return write(path, to_fasta(entries, settings, empty=empty))


def _field(key: str, value: object, digits: Optional[int] = None) -> str:
    if not _KEY.fullmatch(key):
        raise InputError(f"{key!r} cannot be a key in a header; use letters, digits and _, a letter first.")
    value = plain_value(value, key)
    if digits is not None and isinstance(value, float) and math.isfinite(value):
        value = float(f"{value:.{digits}g}")
    if isinstance(value, str) and _BARE.fullmatch(value) and _unbare(value) == value:
        return f"{key}={value}"
    return f"{key}={json.dumps(value, separators=(',', ':'))}"


def _unbare(word: str) -> object:
    try:
        return json.loads(word)
    except ValueError:  # no JSON, so a text; or a number of more digits than Python reads
        return word


def _check_names(entries: Sequence[Entry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = entry.name
        if not name or name.startswith(">") or not name.isprintable() or name != "".join(name.split()):
            better = "_".join(name.lstrip("> ").split()) or "design_1"
            raise InputError(f"{name!r} cannot be a name in FASTA, where a name is one word; write {better}.")
        if name in seen:
            raise InputError(f"Two sequences have the name {name}; give each its own.")
        seen.add(name)
