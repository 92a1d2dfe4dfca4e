"""`biollm fetch`: models into the local cache, ahead of the hour in which they are needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Optional

import click

from biollm_widgets.errors import InputError
from biollm_widgets.models import cache
from biollm_widgets.models.cache import count_in_words, in_words, shown
from biollm_widgets.models.catalog import find, require
from biollm_widgets.models.fetch import Plan, announce, carry_out, plan, room
from biollm_widgets.models.hub import HubError


@click.command("fetch", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(names: tuple[str, ...], as_json: bool) -> int:
    """Download models from the hub into the local Hugging Face cache: one weight format, checked.

    NAME is an id on the hub or a name of `biollm models`. What is needed and what is free is said before the first
    byte. A download that was stopped goes on where it was. What is there already is checked against its hash, which
    needs no network; a damaged file is fetched again. HF_HOME says where the cache is, HF_TOKEN lets into models
    that want a login.

    \b
    Examples:
      biollm fetch DNABERT-2 ProtGPT2
      HF_HOME=$SCRATCH/cache biollm fetch nferruz/ProtGPT2
    """
    done: dict[str, dict[str, Any]] = {}
    plans: list[Plan] = []
    troubles: list[str] = []
    for name in dict.fromkeys(names):
        try:
            there, damaged = _there(name)
            if there is not None and not damaged:
                done[name] = _report(name, there)
                continue
            for file in damaged:
                click.echo(f"{name}: {file} in the cache is damaged; it is fetched again.", err=True)
            plans.append(_planned(name, damaged))
        except InputError as problem:
            troubles.append(str(problem))
    # All sizes are known before anything is fetched: three models that do not fit together are refused together.
    free = 0
    try:
        _, free = room(plans)
    except InputError as problem:
        troubles.append(str(problem))
        plans = []
    for one in plans:
        try:
            if one.missing:
                click.echo(announce(one, free), err=True)
            got = carry_out(one, progress=sys.stderr.isatty())
            free = cache.free_bytes(cache.root())
            done[one.name] = _report(one.name, got.path, got.downloaded, got.resumed)
        except KeyboardInterrupt:
            click.echo(f"\nWhat has arrived of {one.name} is kept; the same command goes on from there.", err=True)
            raise
        except InputError as problem:
            troubles.append(str(problem))
    if as_json:
        click.echo(json.dumps({"models": list(done.values()), "errors": troubles}, indent=1))
    else:
        for entry in done.values():
            click.echo(_sentence(entry))
    for trouble in troubles:
        click.echo(f"biollm: {trouble}", err=True)
    return 2 if troubles else 0


def _known(name: str) -> str:
    """The id on the hub of what a person calls a model."""
    if Path(name).expanduser().is_dir():
        raise InputError(f"{name} is a folder; there is nothing to fetch.")
    entry = require(name, "fetch")
    return name if entry is None else entry.id


def _there(name: str) -> tuple[Optional[Path], list[str]]:
    """Where the model is in the cache, and its damaged files; all of them are read for that."""
    snapshot = cache.snapshot(_known(name))
    if snapshot is None:
        return None, []
    quick = cache.broken(snapshot)
    return snapshot, sorted({*cache.differing(snapshot), *([quick] if quick else [])})


def _planned(name: str, damaged: list[str]) -> Plan:
    try:
        return plan(_known(name))
    except HubError as problem:
        if not damaged:
            raise
        state = f"is damaged in the local cache ({', '.join(damaged)})"
        raise HubError(_known(name), problem.because, problem.remedy, state=state) from problem


def _report(name: str, path: Path, downloaded: int = 0, resumed: int = 0) -> dict[str, Any]:
    weights = cache.weight_files(path)
    entry = find(_known(name))
    return {
        "name": _known(name),
        "path": str(path),
        "parameters": cache.parameters_of(path) or (entry.parameters if entry else None),
        "weights": [file.name for file in weights],
        "bytes": cache.size_of(path),
        "downloaded_bytes": downloaded,
        "resumed_bytes": resumed,
        "already_here": downloaded == 0,
    }


def _sentence(entry: dict[str, Any]) -> str:
    files = ", ".join(entry["weights"]) if len(entry["weights"]) < 3 else f"{len(entry['weights'])} files of weights"
    what = f"{in_words(entry['bytes'])} with {files}"
    if entry["parameters"]:
        what = f"{count_in_words(entry['parameters'])} parameters, {what}"
    how = "was here already, whole and checked" if entry["already_here"] else "is here, whole and checked"
    if entry["resumed_bytes"]:
        how += f" ({in_words(entry['resumed_bytes'])} of it from an earlier, broken download)"
    return f"{entry['name']} {how}: {what}, in {shown(cache.root())}"
