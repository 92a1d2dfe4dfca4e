"""`biollm models`: the models and the data that the lessons name, which of them are on this computer, and where."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import Any

import click

from biollm_widgets.models import cache, local, places
from biollm_widgets.models.cache import count_in_words, in_words, shown
from biollm_widgets.models.catalog import CATALOG, Model

WIDTH = 118  # of the notes; the table fits as well
UNKNOWN = "not known"


@click.command("models", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print all that is known of each model as JSON.")
def command(as_json: bool) -> None:
    """List the models of the lessons: size, licence, which commands take them by name, and where they are.

    The data set of the lessons stands below them. Nothing is asked of the network. `biollm fetch NAME` downloads into
    the local cache, `biollm fetch` all that the lessons need. Where BIOLLM_SHARED_CACHE names the cache of a class,
    what it holds is shown as well.
    """
    entries = [_entry(model) for model in CATALOG]
    data = _data()
    if as_json:
        shared = places.shared()
        about = {"cache": str(cache.root()), "shared": str(shared.folder) if shared else None}
        click.echo(json.dumps({**about, "models": entries, "data": [data]}, indent=1))
        return
    click.echo("\n".join(_page(entries, data)))


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
    """What there is of a model, and in which `cache`.

    Its `state` is "whole", "weights" (without a tokenizer), "damaged", "tokenizer", "begun" or "not here".
    """
    here = local.find(model.id)
    copy = here.copy or next((copy for copy in local.copies(model.id) if copy.shared is None), None)
    if copy is not None:
        state = "whole" if copy.reads_text else "weights"
        return _found(state if here.copy else "damaged", copy)
    if (size := cache.begun(model.id)) > 0:
        return {"state": "begun", "path": None, "bytes": size, "cache": "own"}
    if (copy := local.find(model.id, weights=False).copy) is not None:
        return _found("tokenizer", copy)
    return {"state": "not here", "path": None, "bytes": 0, "cache": None}


def _found(state: str, copy: local.Copy) -> dict[str, Any]:
    where = "own" if copy.shared is None else "shared"
    return {"state": state, "path": str(copy.path), "bytes": cache.size_of(copy.path), "cache": where}


def _data() -> dict[str, Any]:
    """The data set of the lessons, and where it is. It is read only when it is loaded, so that this takes no time."""
    from biollm_widgets.dna import datasets_file as chapter

    entry: dict[str, Any] = {
        "name": chapter.NAME,
        "published": chapter.CHAPTER_URL,
        "rows": chapter.CHAPTER_ROWS,
        "licence": None,
        "local": {"state": "not here", "path": None, "bytes": 0, "cache": None},
    }
    shared = places.shared()
    spots = [("shared", shared.data)] if shared is not None else []
    for where, folder in [*spots, ("own", chapter.cache_folder())]:
        file = folder / chapter.file_name()
        try:
            if file.is_file():
                found = {"state": "whole", "path": str(file), "bytes": file.stat().st_size, "cache": where}
                return {**entry, "local": found}
        except OSError:  # closed to this person; whoever loads it is told
            continue
    if (size := chapter.begun(chapter.cache_folder() / chapter.file_name())) > 0:
        entry["local"] = {"state": "begun", "path": None, "bytes": size, "cache": "own"}
    return entry


def _page(entries: list[dict[str, Any]], data: dict[str, Any]) -> list[str]:
    heads = ["", "parameters", "size", "licence", "taken by name by", "here"]
    rows = {entry["name"]: _row(entry) for entry in entries}
    size = in_words(data["local"]["bytes"]) if data["local"]["state"] == "whole" else UNKNOWN
    row = [data["name"], f"{data['rows']:,} rows", size, UNKNOWN, "fetch", _here({**data, "stand_in": None})]
    widths = [max(len(row[column]) for row in [heads, row, *rows.values()]) for column in range(len(heads))]
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
    lines.append(_laid_out(["Data", *[""] * 5], widths))
    lines.append(_laid_out(row, widths))
    about = "coding and non-coding DNA, for classify and load_coding_dataset; without it they simulate one and say so"
    lines += textwrap.wrap(about, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
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
    lines += ["", f"The cache is {shown(cache.root())}{free}."]
    if (shared := places.shared()) is not None:
        lines.append(f"The class's cache is {shown(shared.folder)} (BIOLLM_SHARED_CACHE); what is in it goes first.")
    return lines


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
    found = entry["local"]
    if found["state"] == "whole":
        where = "the class's cache" if found["cache"] == "shared" else "the cache"
        return f"in {where}, {in_words(found['bytes'])}"
    words = {
        "damaged": "damaged in the cache: biollm fetch mends it",
        "weights": "its tokenizer is not in the cache: biollm fetch gets it",
        "begun": f"begun, {in_words(found['bytes'])}",
        "tokenizer": "its tokenizer alone",
        "not here": "",
    }[found["state"]]
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
