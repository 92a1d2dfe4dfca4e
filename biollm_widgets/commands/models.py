"""`biollm models`: the models that the lessons name, which of them are on this computer, and what loads here."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import Any

import click

from biollm_widgets.models import cache
from biollm_widgets.models.cache import count_in_words, in_words, shown
from biollm_widgets.models.catalog import CATALOG, Model

WIDTH = 118  # of the notes; the table fits as well
UNKNOWN = "not known"


@click.command("models", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print all that is known of each model as JSON.")
def command(as_json: bool) -> None:
    """List the models of the lessons: size, licence, which commands take them by name, and where they are.

    Nothing is asked of the network. `biollm fetch NAME` downloads a model into the local cache.
    """
    entries = [_entry(model) for model in CATALOG]
    if as_json:
        click.echo(json.dumps({"cache": str(cache.root()), "models": entries}, indent=1))
        return
    click.echo("\n".join(_page(entries)))


def _entry(model: Model) -> dict[str, Any]:
    """All that is known of a model, and where it is: for JSON."""
    entry = {key: value for key, value in asdict(model).items() if key not in ("stand_in", "stand_in_words")}
    entry["loadable"] = model.loadable
    entry["local"] = _local(model)
    entry["stand_in"] = None
    if model.stand_in is not None and cache.holds(model.stand_in):
        entry["stand_in"] = {
            "path": str(model.stand_in),
            "bytes": cache.size_of(model.stand_in),
            "parameters": cache.parameters_of(model.stand_in),
            "words": model.stand_in_words,
        }
    return entry


def _local(model: Model) -> dict[str, Any]:
    """What the cache has of a model: `state` is "whole", "damaged", "tokenizer", "begun" or "not here"."""
    where = cache.snapshot(model.id)
    if where is not None:
        state = "damaged" if cache.broken(where) else "whole"
        return {"state": state, "path": str(where), "bytes": cache.size_of(where)}
    if (size := cache.begun(model.id)) > 0:
        return {"state": "begun", "path": None, "bytes": size}
    if (where := cache.snapshot(model.id, weights=False)) is not None:
        return {"state": "tokenizer", "path": str(where), "bytes": cache.size_of(where)}
    return {"state": "not here", "path": None, "bytes": 0}


def _page(entries: list[dict[str, Any]]) -> list[str]:
    heads = ["", "parameters", "size", "licence", "taken by name by", "here"]
    rows = {entry["name"]: _row(entry) for entry in entries}
    widths = [max(len(row[column]) for row in [heads, *rows.values()]) for column in range(len(heads))]
    lines = []
    for alphabet, title in (("dna", "DNA"), ("protein", "Proteins")):
        lines.append(_laid_out([title, *heads[1:]], widths))
        for entry in entries:
            if entry["alphabet"] == alphabet:
                lines.append(_laid_out(rows[entry["name"]], widths))
                where = entry["id"] if entry["on_hub"] else entry["published"].removeprefix("https://")
                about = f"{where}: {entry['architecture']}; {entry['tokenizer']}; {entry['paper']}"
                lines += textwrap.wrap(
                    about, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
                )
        lines.append("")
    closed = [entry for entry in entries if entry["obstacle"]]
    lines.append("Not loaded here:")
    for entry in closed:
        words = f"{entry['name']}: {entry['obstacle']}. Instead, {entry['instead']}."
        lines += textwrap.wrap(words, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    try:
        free = f"; {in_words(cache.free_bytes(cache.root()))} are free there"
    except OSError:  # a folder of somebody else's
        free = ""
    return [*lines, "", f"The cache is {shown(cache.root())}{free}."]


def _row(entry: dict[str, Any]) -> list[str]:
    size, parameters = entry["size_bytes"], entry["parameters"]
    return [
        entry["name"],
        count_in_words(parameters) if parameters else UNKNOWN,
        in_words(size) if size else UNKNOWN,
        entry["licence"] or UNKNOWN,
        ", ".join(entry["verbs"]) or "no command",
        _here(entry),
    ]


def _here(entry: dict[str, Any]) -> str:
    local = entry["local"]
    if local["state"] == "whole":
        return f"in the cache, {in_words(local['bytes'])}"
    words = {
        "damaged": "damaged in the cache: biollm fetch mends it",
        "begun": f"begun, {in_words(local['bytes'])}",
        "tokenizer": "its tokenizer alone",
        "not here": "",
    }[local["state"]]
    if entry["stand_in"]:
        stand_in = f"stand-in, {count_in_words(entry['stand_in']['parameters'])}"
        return f"{stand_in} ({words})" if words else stand_in
    return words or "no"


def _laid_out(row: list[str], widths: list[int]) -> str:
    cells = [
        cell.rjust(width) if column in (1, 2) else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
