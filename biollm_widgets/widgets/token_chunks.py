"""A stretch of a sequence and its tokens as the page gets them: one small dict and one block of numbers a lane."""

from __future__ import annotations

from typing import Optional

import numpy as np

from biollm_widgets.widgets.colours import hue_of
from biollm_widgets.widgets.lanes import Lane

CHUNK = 8192  # letters that travel together: about 50 kB a lane for BPE, 200 kB for overlapping k-mers
SPECIAL, UNKNOWN, CHANGED = 1, 2, 4
COLUMNS = 6  # id, start, end, times seen, which note, flags


def encode_lane(lane: Lane, start: int, end: int, changed: Optional[np.ndarray] = None) -> tuple[dict, list[bytes]]:
    """The tokens of a lane that touch the letters [start, end).

    Parameters
    ----------
    lane : Lane
    start, end : int
    changed : ndarray of bool (n,), optional
        Which of the lane's tokens an edit has changed.

    Returns
    -------
    dict
        `first`, the index of the first token, and `notes`, the words that `note` points to: the name of a special
        token, the text of one without letters, why one is unknown; `reach`, the most letters in one token.
    list of bytes
        int32 little endian, `COLUMNS` columns one after the other, each (n,): id, start, end, times seen in the
        sequence, note (-1 for none), flags (special 1, unknown 2, changed 4, row << 4, hue << 8); then float32 (n,)
        scores, nan for none, or no bytes.
    """
    read = lane.tokenization
    first, last = read.covering(start, end)
    cut = slice(first, last)
    columns = read.columns
    _, rows = lane.stack
    notes: dict[str, int] = {}
    note = np.full(last - first, -1, dtype=np.int32)
    for place in np.flatnonzero(
        columns.special[cut] | columns.unknown[cut] | (columns.starts[cut] == columns.ends[cut])
    ).tolist():
        token = read.token_at(first + place)
        note[place] = notes.setdefault(token.reason or token.text or token.token, len(notes))
    flags = columns.special[cut] * SPECIAL + columns.unknown[cut] * UNKNOWN
    if changed is not None:
        flags = flags + changed[cut] * CHANGED
    flags = flags + (rows[cut].astype(np.int32) << 4) + (hue_of(columns.ids[cut]).astype(np.int32) << 8)
    block = [columns.ids[cut], columns.starts[cut], columns.ends[cut], read.counts[cut], note, flags]
    numbers = np.concatenate([np.asarray(column, dtype="<i4") for column in block]).tobytes()
    scores = b"" if lane.values is None else np.asarray(lane.values[cut], dtype="<f4").tobytes()
    reach = int((columns.ends[cut] - columns.starts[cut]).max(initial=0))
    return {"first": first, "notes": list(notes), "reach": reach}, [numbers, scores]
