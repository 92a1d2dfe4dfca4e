"""Which widgets can still be seen, and where: a cell that runs again has lost what it showed.

ipywidgets keeps every widget, in Python and in the page, until somebody closes it. A learner runs one cell again and
again, each time with a new view; without this the old ones would stay, unseen, for as long as the kernel does, and each
load of the page would bring all of them back.

What is not known counts as seen: a cell without an id, a cell that was deleted, what stands in another widget.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from ipywidgets.widgets import widget as registry

_turn = threading.Lock()
_held: dict[str, WeakSet] = {}  # by cell: what its last run showed, and what is still there of the runs before
_ALWAYS = "*"  # instead of a cell, where nothing tells when a widget goes


def cell_that_runs() -> tuple[str, str]:
    """The id of the cell that runs, and of this run of it; "" where there is none."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    try:
        parent = kernel.get_parent() if kernel is not None else {}
        return str(parent.get("metadata", {}).get("cellId") or ""), str(parent.get("header", {}).get("msg_id") or "")
    except (AttributeError, LookupError):
        return "", ""


def open_widgets() -> list[Any]:
    """All that ipywidgets keeps."""
    return list(getattr(registry, "_instances", {}).values())


def shown_now(widget: Any) -> list[Any]:
    """Note that the cell that runs shows a widget; gives those that nobody can see any more because of it.

    A widget's own `_cells` holds where it was shown: by cell, the run of it.
    """
    cell, run = cell_that_runs()
    if cell:
        widget._cells[cell] = run
    # An ipywidgets.Output takes what a cell shows, and may stand anywhere.
    if not cell or any(run and getattr(one, "msg_id", "") == run for one in open_widgets()):
        widget._cells[_ALWAYS] = run
        return []
    with _turn:
        here = _held.setdefault(cell, WeakSet())
        here.add(widget)
        gone = [one for one in here if one._cells.get(cell) != run]
        for one in gone:
            here.discard(one)
            one._cells.pop(cell, None)
        unseen = [one for one in gone if not one._cells]
    return [one for one in unseen if not _within(one, open_widgets())]


def is_seen(widget: Any) -> bool:
    """Whether it may stand in the cell that runs, or in another one."""
    cell, run = cell_that_runs()
    return bool(widget._shown) and widget._cells.get(cell, run) == run


def _within(widget: Any, others: Iterable[Any]) -> bool:
    return any(widget is one for other in others for one in getattr(other, "children", ()))


def shared(layout: Any, owner: Any) -> bool:
    """Whether another widget has the same layout."""
    return any(one is not owner and getattr(one, "layout", None) is layout for one in open_widgets())
