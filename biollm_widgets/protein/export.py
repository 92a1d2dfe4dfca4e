"""Designs on their way out: FASTA, CSV, AlphaFold's job files, and the settings that make the same designs again.

References
----------
AlphaFold 3's input: github.com/google-deepmind/alphafold3, docs/input.md and src/alphafold3/common/folding_input.py.
AlphaFold Server's jobs: github.com/google-deepmind/alphafold, server/README.md.
Cells that a spreadsheet would run: OWASP, "CSV Injection" (owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import difflib
import json
import math
import operator
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.sequences import AMINO_ACIDS, LINE, PROTEIN_AMBIGUITY, format_fasta

if TYPE_CHECKING:
    import pandas as pd

SETTINGS_FORMAT, SETTINGS_VERSION = "biollm_widgets settings", 1
# Version 1 is the first that AlphaFold 3 read and says all that a protein chain needs; every release still reads it.
ALPHAFOLD3_VERSION = 1
SERVER_VERSION = 1
LARGEST_SEED = 2**32 - 1  # both dialects take seeds of 32 bits without a sign
# alphafoldserver.com/faq: a job has at most 5,000 tokens, and a residue is one.
SERVER_TOKENS = 5000
# Text in a table that came from a person's file or keyboard; all else is numbers, residues and our own sentences.
TEXT_COLUMNS = ("name", "prompt", "nearest", "shared_with")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_BARE = re.compile(r"[A-Za-z0-9_.,:;/+*|@%<>()-]+")
_JSON_STARTS = ('"', "[", "{")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # no file names on Windows
_LONGEST_NAME = 100

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


# --- FASTA


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
    return _write(path, to_fasta(entries, settings, empty=empty))


def _field(key: str, value: object, digits: Optional[int] = None) -> str:
    if not _KEY.fullmatch(key):
        raise InputError(f"{key!r} cannot be a key in a header; use letters, digits and _, a letter first.")
    value = _plain(value, key)
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


# --- CSV


def to_csv(frame: pd.DataFrame, *, text_columns: Collection[str] = TEXT_COLUMNS) -> str:
    """A table as CSV: comma, a header line, numbers in full, an empty cell where there is none, no row numbers.

    Parameters
    ----------
    frame : DataFrame
    text_columns : collection of str
        Columns whose text a person chose. A cell there that begins with =, +, -, @, a tab or a carriage return would
        be run by a spreadsheet as a formula; it gets a `'` in front, which a spreadsheet does not show.
    """
    safe = frame.copy(deep=False)
    for column in safe.columns:
        if column in text_columns:
            cells = safe[column].astype(object)
            safe[column] = cells.map(lambda cell: _no_formula(cell) if isinstance(cell, str) else cell)
    return str(safe.to_csv(index=False, lineterminator="\n"))


def write_csv(
    frame: pd.DataFrame, path: Union[str, os.PathLike], *, text_columns: Collection[str] = TEXT_COLUMNS
) -> Path:
    """Write what `to_csv` gives; the file appears only when it is whole. Returns its path."""
    return _write(path, to_csv(frame, text_columns=text_columns))


def _no_formula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


# --- AlphaFold


def to_alphafold3(
    entry: Entry, *, model_seeds: Sequence[int] = (1,), msa_free: bool = False, copies: int = 1
) -> dict[str, Any]:
    """One design as a job of AlphaFold 3 (dialect "alphafold3", version 1); one such object makes one file.

    Parameters
    ----------
    entry : Entry
        Its name is written as `safe_name` has it, since AlphaFold 3 calls its output folder after it and drops all
        other characters.
    model_seeds : sequence of int
        One structure prediction is made for each; 0 to 4,294,967,295.
    msa_free : bool
        Fold from the sequence alone: no search for relatives (`unpairedMsa` and `pairedMsa` are "") and no templates.
        Quick, and for a design without relatives little is lost; otherwise AlphaFold 3 searches for both itself.
    copies : int
        How many chains of this sequence, for a homomer.

    Returns
    -------
    dict
        For `json.dump`.

    Raises
    ------
    InputError
        For a letter that is none of the twenty standard residues, no residues at all, a name of which nothing is
        left, no seed or one outside the range or given twice, and fewer copies than one.
    """
    name = _job_name(entry)
    _check_residues(entry, "AlphaFold 3")
    seeds = _seeds(model_seeds)
    if not seeds:
        raise InputError("AlphaFold 3 needs at least one seed; give model_seeds=(1,).")
    ids = [_chain_id(number) for number in range(_copies(copies))]
    protein: dict[str, Any] = {"id": ids[0] if copies == 1 else ids, "sequence": entry.sequence}
    if msa_free:
        protein.update(unpairedMsa="", pairedMsa="", templates=[])
    return {
        "name": name,
        "modelSeeds": seeds,
        "sequences": [{"protein": protein}],
        "dialect": "alphafold3",
        "version": ALPHAFOLD3_VERSION,
    }


def to_alphafold_server(
    entries: Iterable[Entry], *, model_seeds: Sequence[int] = (), copies: int = 1, templates: bool = True
) -> list[dict[str, Any]]:
    """Designs as jobs for the AlphaFold Server (dialect "alphafoldserver", version 1): a list, one file for all.

    Parameters
    ----------
    entries : iterable of Entry
    model_seeds : sequence of int
        None: the server draws one, as its documentation recommends. The server wants seeds as texts; they are.
    copies : int
        How many chains of each sequence.
    templates : bool
        Whether known structures may be used. (The server always searches for relatives: it has no MSA-free way.)

    Returns
    -------
    list of dict
        For `json.dump`; the names are made safe and different from each other.

    Raises
    ------
    InputError
        As `to_alphafold3`; a job of more than 5,000 residues; no entries.
    """
    entries = list(entries)
    if not entries:
        raise InputError("There are no designs to write; give at least one.")
    count, seeds = _copies(copies), _seeds(model_seeds)
    jobs = []
    for entry, name in zip(entries, _job_names(entries), strict=True):
        _check_residues(entry, "the AlphaFold Server")
        if len(entry.sequence) * count > SERVER_TOKENS:
            raise InputError(
                f"{entry.name} makes a job of {len(entry.sequence) * count:,} residues and the AlphaFold Server takes "
                f"{SERVER_TOKENS:,}; ask for fewer copies or cut it."
            )
        chain: dict[str, Any] = {"sequence": entry.sequence, "count": count}
        if not templates:
            chain["useStructureTemplate"] = False
        jobs.append(
            {
                "name": name,
                "modelSeeds": [str(seed) for seed in seeds],
                "sequences": [{"proteinChain": chain}],
                "dialect": "alphafoldserver",
                "version": SERVER_VERSION,
            }
        )
    return jobs


def write_alphafold3(
    entries: Iterable[Entry],
    folder: Union[str, os.PathLike],
    *,
    model_seeds: Sequence[int] = (1,),
    msa_free: bool = False,
    copies: int = 1,
) -> list[Path]:
    """Write one file a design, `<folder>/<name>.json`, for `run_alphafold.py --input_dir`.

    All designs are checked before the first file is written. Names are made safe (see `safe_name`) and different
    from each other, whatever their case; a file that is there under such a name is replaced.

    Returns
    -------
    list of Path
        In the order of the entries.

    Raises
    ------
    InputError
        As `to_alphafold3`; no entries; a folder that cannot be written to.
    """
    entries = list(entries)
    if not entries:
        raise InputError("There are no designs to write; give at least one.")
    jobs = [to_alphafold3(entry, model_seeds=model_seeds, msa_free=msa_free, copies=copies) for entry in entries]
    paths = []
    for job, name in zip(jobs, _job_names(entries), strict=True):
        job["name"] = name
        paths.append(_write(Path(folder) / f"{name}.json", _json_text(job)))
    return paths


def write_alphafold_server(
    entries: Iterable[Entry],
    path: Union[str, os.PathLike],
    *,
    model_seeds: Sequence[int] = (),
    copies: int = 1,
    templates: bool = True,
) -> Path:
    """Write the jobs of `to_alphafold_server` into one file. Returns its path, raises as `to_alphafold_server`."""
    jobs = to_alphafold_server(entries, model_seeds=model_seeds, copies=copies, templates=templates)
    return _write(path, _json_text(jobs))


def safe_name(name: str) -> str:
    """A name that AlphaFold 3 keeps as it is and that is a file name everywhere: letters, digits, `_`, `-`, `.`.

    Anything else becomes `_`; at most 100 characters; empty when nothing is left.
    """
    safe = _UNSAFE.sub("_", name).strip("_.-")[:_LONGEST_NAME].rstrip(".")
    return f"design_{safe}" if _DEVICES.fullmatch(safe) else safe


def _job_name(entry: Entry) -> str:
    name = safe_name(entry.name)
    if not name:
        raise InputError(
            f"Nothing is left of the name {entry.name!r} once all but letters, digits, _, - and . are gone; rename it."
        )
    return name


def _job_names(entries: Sequence[Entry]) -> list[str]:
    """Safe names, different whatever their case: some file systems and the server's history know no case."""
    names: list[str] = []
    taken: set[str] = set()
    for entry in entries:
        first = name = _job_name(entry)
        number = 2
        while name.casefold() in taken:
            name = f"{first[: _LONGEST_NAME - 6]}_{number}"
            number += 1
        taken.add(name.casefold())
        names.append(name)
    return names


def _chain_id(number: int) -> str:
    """A, B, ..., Z, AA, BA, CA, ...: the order in which AlphaFold 3 itself names the chains of a server's job."""
    letters = ""
    while number >= 0:
        letters += chr(ord("A") + number % 26)
        number = number // 26 - 1
    return letters


def _check_residues(entry: Entry, reader: str) -> None:
    if not entry.sequence:
        raise InputError(f"{entry.name} has no residues, so there is nothing to fold; leave it out.")
    rest = entry.sequence.translate(dict.fromkeys(map(ord, AMINO_ACIDS)))
    if not rest:
        return
    letter = rest[0]
    place = f"In {entry.name}, position {entry.sequence.index(letter) + 1}, {letter!r}"
    if letter.upper() in AMINO_ACIDS:
        raise InputError(f"{place} is lower case and {reader} takes capitals; pass the sequence through clean_protein.")
    meaning = f" ({PROTEIN_AMBIGUITY[letter]})" if letter in PROTEIN_AMBIGUITY else ""
    # Selenocysteine and pyrrolysine are rare variants of these two, and fold like them.
    instead = {"U": "C", "O": "K"}.get(letter, "the residue you mean")
    raise InputError(
        f"{place}{meaning} is none of the twenty standard residues that {reader} takes; put {instead} in its place or "
        "leave the design out."
    )


def _seeds(given: Sequence[int]) -> list[int]:
    seeds: list[int] = []
    for seed in [given] if isinstance(given, (int, str)) else given:
        try:
            number = operator.index(seed)
        except TypeError:
            number = -1
        if isinstance(seed, bool) or not 0 <= number <= LARGEST_SEED:
            raise InputError(f"A seed of AlphaFold is a whole number from 0 to {LARGEST_SEED}, not {seed!r}.")
        if number in seeds:
            raise InputError(f"The seed {number} is given twice, which would give one structure twice; drop one.")
        seeds.append(number)
    return seeds


def _copies(copies: int) -> int:
    if isinstance(copies, bool) or not isinstance(copies, int) or copies < 1:
        raise InputError(f"copies is how many chains there are, 1 or more, not {copies!r}.")
    return copies


def _json_text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


# --- settings


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
    plain = {key: _plain(value, key, finite=True) for key, value in settings.items()}
    if allowed is not None:
        plain = _checked(plain, allowed, "the settings")
    return _json_text({"format": SETTINGS_FORMAT, "version": SETTINGS_VERSION, "settings": plain})


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
    return _write(path, settings_to_json(settings, allowed))


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


# --- what they share


def _plain(value: object, key: str, finite: bool = False) -> Any:
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
        return [_plain(part, key, finite) for part in value]
    if isinstance(value, Mapping):
        if not all(isinstance(inner, str) for inner in value):
            raise InputError(f"The value of {key} has a key that is no text; name its parts with texts.")
        return {str(inner): _plain(part, key, finite) for inner, part in value.items()}
    raise InputError(f"The value of {key} is {type(value).__name__}, which JSON cannot hold; give a number or a text.")


def _write(path: Union[str, os.PathLike], text: str) -> Path:
    path = Path(path)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
    return path
