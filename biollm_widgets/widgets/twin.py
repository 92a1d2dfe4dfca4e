"""The static twin: a widget's card without its controls, in HTML that shows wherever a notebook is read.

JupyterLab cleans the HTML of a notebook that it does not trust (`sanitizer.ts` in its apputils): of styles it keeps
inline ones whose colours are plain, and drops `light-dark()` and `var()`; it drops `<style>`, inline `<svg>`, `aria-*`
and `data-*`. So text and ground have two colours or, where that is dropped, the page's own, which fit each other; a
plain light ground would stand round a dark picture, since the picture in its `<img>` follows the page's colour scheme.
Lines are a grey that is seen on both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Union

from biollm_widgets.widgets.colours import QUIET, SURFACE, TEXT, Shade
from biollm_widgets.widgets.picture import Picture

SAVED = "This is a saved picture. Run the cell to bring back the live view."
UI_FONT = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
CODE_FONT = "Menlo,Consolas,'DejaVu Sans Mono',monospace"
EDGE = "rgba(128,128,128,0.4)"
# A number with its sign and a short unit, "−0.21" or "3.9 bases": these columns stand to the right.
_NUMBER = re.compile(r"[+\-−]?[\d.,]+(e[+-]?\d+)?( ?[%\w/]{1,9})?|nan|–?")


@dataclass(frozen=True)
class Table:
    """Rows under a header; a column of numbers stands to the right, one of words to the left.

    Attributes
    ----------
    header : sequence of str
    rows : sequence of sequences
        Text as it is shown, or numbers: whole ones get thousands separators, others four digits; None is empty.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


# What opens under a summary: a text whose lines stay lines, a table, or several of them.
Content = Union[str, Table, Sequence[Union[str, Table]]]


def twin(
    title: str,
    picture: Picture | None = None,
    alt: str = "",
    tables: Sequence[Table] = (),
    notes: Sequence[str] = (),
    details: Sequence[tuple[str, Content]] = (),
    class_name: str = "",
    saved: Union[bool, str] = True,
) -> str:
    """The card as one HTML element; every text is escaped.

    Parameters
    ----------
    title : str
        The finding.
    picture : Picture, optional
    alt : str
        The picture in words, for those who do not see it; its title where not given.
    tables : sequence of Table
    notes : sequence of str
        Sentences.
    details : sequence of (summary, content)
        More, folded away.
    class_name : str
        Class of the outermost element, so that the live view can find and hide it.
    saved : bool or str
        Whether to say that this is a saved picture; or what to say instead.
    """
    parts = [f'<div style="padding:8px 12px;font-size:16px;line-height:1.3"><b>{_text(title)}</b></div>']
    if picture is not None:
        described = _text(alt or picture.title or title).replace("\n", " ")
        # As wide as it is: letters that shrink with the page cannot be read, so the sequence alone scrolls sideways.
        size = f'width="{round(picture.width)}" height="{round(picture.height)}"'
        image = f'<img src="{picture.to_data_uri()}" alt="{described}" {size} '
        image += 'style="display:block;max-width:none;margin:0">'
        parts.append(f'<div style="overflow-x:auto;padding:0 0 4px">{image}</div>')
    rest = [_table(table) for table in tables]
    rest += [f'<div style="margin:4px 0">{_text(note)}</div>' for note in notes]
    rest += [_details(summary, content) for summary, content in details]
    if saved:
        words = saved if isinstance(saved, str) else SAVED
        rest.append(f'<div style="margin:4px 0;font-size:11px;{_colour("color", QUIET)}">{_text(words)}</div>')
    if rest:
        line = f"border-top:1px solid {EDGE}"
        parts.append(f'<div style="padding:4px 12px;{line}">{"".join(rest)}</div>')
    named = f' class="{_text(class_name)}"' if class_name else ""
    style = f"border:1px solid {EDGE};border-radius:4px;margin:4px 0;"
    style += f"{_colour('background', SURFACE)};{_colour('color', TEXT)};"
    style += f"font-family:{UI_FONT};font-size:13px;line-height:1.45"
    return f'<div{named} style="{style}">{"".join(parts)}</div>'


def page(body: str, title: str) -> str:
    """A whole HTML document round a body of HTML (a twin): UTF-8, light or dark as the reader's system, no references.

    `title` is text and is escaped; `body` is taken as it is.
    """
    body_style = f"margin:12px auto;padding:0 12px;max-width:1100px;{_colour('background', SURFACE)}"
    style = f":root{{color-scheme:light dark}}body{{{body_style}}}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n"
        f"<style>{style}</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _text(words: Any) -> str:
    return escape(str(words))


def _colour(name: str, shade: Shade) -> str:
    return f"{name}:light-dark({shade.light},{shade.dark})"


def _table(table: Table) -> str:
    columns = range(len(table.header))
    shown = [[_shown(cell) for cell in row] for row in table.rows]
    numbers = [bool(shown) and all(_NUMBER.fullmatch(row[c]) for row in shown if c < len(row)) for c in columns]
    # JupyterLab stripes the rows of tables and sets their colours by its theme: on our ground they are ours.
    ground, ink = _colour("background", SURFACE), _colour("color", TEXT)

    def cell(kind: str, words: str, column: int, more: str = "") -> str:
        side = "right" if column < len(numbers) and numbers[column] else "left"
        style = f"padding:2px 16px 2px 0;text-align:{side};vertical-align:top;border:0;{more}"
        return f'<{kind} style="{style}">{_text(words)}</{kind}>'

    head = f"font-weight:400;{_colour('color', QUIET)}"
    rows = "".join(
        f'<tr style="{ground}">{"".join(cell("td", words, c) for c, words in enumerate(row))}</tr>' for row in shown
    )
    heads = "".join(cell("th", words, c, head) for c, words in enumerate(table.header))
    style = f"border-collapse:collapse;border:0;margin:4px 0;font-size:13px;font-variant-numeric:tabular-nums;{ink}"
    return (
        '<div style="overflow-x:auto">'
        f'<table style="{style}"><thead><tr style="{ground}">{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _shown(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, (str, bool)):
        return str(cell)
    if hasattr(cell, "item"):  # a numpy number
        cell = cell.item()
    if isinstance(cell, int):
        return f"{cell:,}".replace("-", "−")
    return f"{cell:.4g}".replace("-", "−") if isinstance(cell, float) else str(cell)


def _details(summary: str, content: Content) -> str:
    many = [content] if isinstance(content, (str, Table)) else content
    style = f"white-space:pre-wrap;word-wrap:break-word;font-family:{CODE_FONT};font-size:13px;margin:4px 0"
    inside = "".join(
        _table(one) if isinstance(one, Table) else f'<div style="{style}">{_text(one)}</div>' for one in many
    )
    return f'<details style="margin:4px 0"><summary style="cursor:pointer">{_text(summary)}</summary>{inside}</details>'
