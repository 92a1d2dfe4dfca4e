"""The saved picture of a ProteinPanel: its finding, its charts, its table, and the sequences folded away."""

from __future__ import annotations

from typing import Any

from biollm_widgets.sequences import wrap
from biollm_widgets.widgets.protein_picture import describe, draw_proteins
from biollm_widgets.widgets.twin import Content, Table, twin

COLUMNS = (
    *("perplexity", "finished", "residues", "isoelectric_point", "gravy", "instability"),
    *("nearest", "nearest_identity", "nearest_columns", "nearest_more_than_chance", "flags"),
)
ROWS, WHYS = 25, 10


def saved_card(shot: dict[str, Any], class_name: str, saved: bool) -> str:
    """The card as HTML; every text is escaped.

    Parameters
    ----------
    shot : dict
        What a page draws.
    class_name, saved
        See `twin`.
    """
    rows = shot["table"]["rows"]
    notes = [shot["line"], shot["doing"], *(shot["notice"] or {"words": []})["words"], shot["table"]["words"]]
    notes += [f"{row['name']}: {row['why']}" for row in rows if row["why"]][:WHYS]
    if len(rows) > ROWS:
        notes.append(f"The first {ROWS} rows are shown.")
    return twin(
        shot["title"],
        draw_proteins(shot) if rows else None,  # there is nothing to see of no proteins
        describe(shot) if rows else "",
        tables=_tables(shot["table"]["columns"], rows[:ROWS]),
        notes=[note for note in notes if note],
        details=_details(shot, rows[:ROWS]),
        class_name=class_name,
        saved=saved,
    )


def _tables(columns: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[Table]:
    shown = [one for one in columns if one["key"] in COLUMNS and any(row[one["key"]] != "" for row in rows)]
    if not rows:
        return []
    header = ["", *(f"{one['label']} ({one['unit']})" if one["unit"] else one["label"] for one in shown)]
    return [Table(header, [[row["name"], *(_cell(row[one["key"]], one) for one in shown)] for row in rows])]


def _cell(value: Any, column: dict[str, Any]) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,.{column['digits']}f}".replace("-", "\u2212")
    return str(value)


def _details(shot: dict[str, Any], rows: list[dict[str, Any]]) -> list[tuple[str, Content]]:
    shown = [(row["name"], shot["growth"][row["index"]]) for row in rows]
    texts = [f"{name}\n{wrap(grown['text'])}" for name, grown in shown if grown]
    made = shot["table"]["made"]
    found: list[tuple[str, Content]] = []
    if texts:
        found.append(("Sequences", "\n\n".join(texts)))
    if made:
        found.append(("Settings", Table(["setting", "value"], [[key, str(value)] for key, value in made.items()])))
    return found
