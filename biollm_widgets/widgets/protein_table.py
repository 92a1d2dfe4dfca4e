"""The table of a generation for a page, the composition of all of it, and what is known of one design."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from biollm_widgets.sequences import AMINO_ACIDS
from biollm_widgets.widgets import protein_words as words

if TYPE_CHECKING:
    import pandas

    from biollm_widgets.protein.generation import Design, Generation

ROWS = 200  # that a page gets; the files have all
PERPLEXITY = (
    "how surprised the model is, as ProtGPT2's authors compute it (exp of the mean loss a token); lower is less "
    "surprised, comparable only within one model, and repeats lower it"
)


def _column(key: str, label: str, unit: str = "", kind: str = "number", digits: int = 0, help: str = "") -> dict:
    return {"key": key, "label": label, "unit": unit, "help": help, "kind": kind, "digits": digits}


# In the order of the page; those that a table lacks are passed over. A help that is empty is judge's own word.
COLUMNS = (
    _column("perplexity", "perplexity", digits=1, help=PERPLEXITY),
    _column("finished", "ended", kind="yes", help="whether the model ended it itself; the others were cut off"),
    _column("residues", "residues"),
    _column("tokens", "tokens", help="of the whole text: start, prompt, line breaks and end included"),
    _column("weight", "weight", "Da"),
    _column("isoelectric_point", "pI", "pH", digits=1),
    _column("charge", "charge", "e", digits=1),
    _column("gravy", "GRAVY", digits=2),
    _column("instability", "instability", digits=0),
    _column("aromaticity", "aromaticity", digits=2),
    _column("low_complexity", "low complexity", digits=2),
    _column("repeated", "repeated", digits=2),
    _column("composition_distance", "composition", "bits", digits=2),
    _column("duplicate_of", "same as", kind="text"),
    _column("prompt_kept", "prompt kept", kind="yes"),
    _column("prompt_identity", "like the prompt", "%", digits=0),
    _column("nearest", "nearest", kind="text"),
    _column("nearest_identity", "identity", "%", digits=0),
    _column("nearest_columns", "over", "columns"),
    _column("nearest_coverage", "coverage", "%", digits=0),
    _column("nearest_more_than_chance", "more than chance", kind="yes"),
    _column("longest_shared", "shared letter by letter", "residues"),
    _column("shared_with", "shared with", kind="text"),
    _column("flags", "flags", kind="text"),
)
FACTS = ("more_than_background", "less_than_background", "prompt_columns", "nearest_score")


def columns_of(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    """Those of the page's columns that a table has, each with what is in it."""
    from biollm_widgets.protein.judging import COLUMNS as MEANING

    return [
        {**column, "help": column["help"] or MEANING[column["key"]]}
        for column in COLUMNS
        if column["key"] in frame.columns
    ]


def before_judging(generation: Generation) -> pandas.DataFrame:
    """What is known of designs that nobody has judged."""
    import pandas as pd

    keys = ("name", "perplexity", "finished", "tokens", "residues", "sequence")
    frame = pd.DataFrame([[getattr(design, key) for key in keys] for design in generation], columns=list(keys))
    return frame.sort_values("perplexity", kind="stable", na_position="last").reset_index(drop=True)


def table(generation: Generation, frame: pandas.DataFrame) -> dict[str, Any]:
    """The table as a page gets it: the columns, and a row for each design in the frame's order."""
    columns = columns_of(frame)
    place = {design.name: index for index, design in enumerate(generation)}
    rows = [_row(place, record, columns) for record in frame.head(ROWS).to_dict("records")]
    return {"columns": columns, "rows": rows, "made": plain(generation.settings.as_dict()), "words": said(generation)}


def said(generation: Generation) -> str:
    """What to know of a table before reading it."""
    parts = ["Ranked by perplexity, as ProtGPT2's authors do; comparable only within one model."]
    cut = sum(not design.finished for design in generation)
    if cut:
        parts.append("The authors drop what was cut off.")
    if len(generation) > ROWS:
        parts.append(f"The {ROWS} least surprising of {len(generation):,} are shown; CSV and FASTA have all.")
    if generation.fidelity is not None:
        parts.append(str(generation.fidelity))
    return " ".join(parts)


def _row(place: Mapping[str, int], record: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    from biollm_widgets.protein.judging import DECEIVES

    row = {"index": place[record["name"]], "name": record["name"]}
    for column in columns:
        row[column["key"]] = plain(record[column["key"]])
    row["flags"], row["why"] = record.get("flags", ""), record.get("why", "")
    row["deceives"] = row["why"].startswith(DECEIVES)
    return row


def plain(value: Any) -> Any:
    """A value that JSON has: no NaN, no numpy number, no missing value of pandas."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if hasattr(value, "item"):
        value = value.item()
    if value is None or str(value) == "<NA>":
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def composition(designs: Sequence[Design]) -> dict[str, Any]:
    """What designs are made of, beside the background: shares and errors of the twenty, 0 to 1."""
    from biollm_widgets.protein.composition import compare

    compared = compare([design.sequence for design in designs])
    made = compared.composition
    return {
        "letters": AMINO_ACIDS,
        "background": [round(float(share), 5) for share in compared.background],
        "all": {
            "shares": [None if math.isnan(share) else round(float(share), 5) for share in made.shares],
            "errors": [None if math.isnan(error) else round(float(error), 5) for error in made.errors],
            "n_residues": made.residues,
            "n_sequences": made.sequences,
            "words": compared.sentence(),
        },
    }


def details(design: Design, record: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All that is known of one design.

    Parameters
    ----------
    record : mapping
        Its row of the frame.
    columns : sequence of dict
        Of the table.
    """
    from biollm_widgets.protein.judging import COLUMNS as MEANING

    facts = [
        [f"{column['label']} ({column['unit']})" if column["unit"] else column["label"],
         _fact(record[column["key"]], column), column["help"]]
        for column in columns if column["key"] not in ("flags", "nearest", "shared_with")
    ]  # fmt: skip
    facts += [
        [key.replace("_", " "), _fact(record[key], {"kind": "number", "digits": 0}), MEANING[key]]
        for key in FACTS
        if record.get(key, "") not in ("", None)
    ]
    one = composition([design])["all"]
    return {
        "facts": [fact for fact in facts if fact[1] != ""],
        "why": record.get("why", ""),
        "flags": record.get("flags", ""),
        "text": design.text,
        "nearest": _nearest(record),
        "composition": one,
    }


def _nearest(record: Mapping[str, Any]) -> Any:
    """The known protein that is most like it, in words and figures; None without references."""
    if "nearest" not in record:
        return None
    figures = {
        key: plain(record[f"nearest_{key}"])
        for key in ("identity", "columns", "coverage", "score", "e_value", "shuffled_score", "more_than_chance")
    }
    shared = {"shared": plain(record["longest_shared"]), "shared_with": record["shared_with"]}
    if not record["nearest"]:
        said = "Nothing among the references resembles it at all."
    else:
        said = (
            f"{record['nearest']}: {figures['identity']:.0f} % identical over {figures['columns']:.0f} columns "
            f"({figures['coverage']:.0f} % of the residues), E = {figures['e_value']:.1g}: "
        )
        said += "more than chance." if figures["more_than_chance"] else "no more than chance."
    return {"name": record["nearest"], "words": said, **figures, **shared}


def _fact(value: Any, column: Mapping[str, Any]) -> str:
    value = plain(value)
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return f"{value:,.{column['digits']}f}".replace("-", "\u2212")


def summary(generation: Generation) -> str:
    """The finding of a generation, as a title."""
    designs = [(design.name, design.finished, design.perplexity) for design in generation]
    return words.finding(designs, generation.settings.max_length, generation.stopped)
