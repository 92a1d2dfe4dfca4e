"""A table as CSV that a spreadsheet opens and does not run.

Reference: OWASP, "CSV Injection" (owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Union

from biollm_widgets.protein.export.plain import write

if TYPE_CHECKING:
    import pandas as pd

# Text in a table that came from a person's file or keyboard; all else is numbers, residues and our own sentences.
TEXT_COLUMNS = ("name", "prompt", "nearest", "shared_with")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
    return write(path, to_csv(frame, text_columns=text_columns))


def _no_formula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
