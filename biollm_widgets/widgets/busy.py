"""A view while it is at work: what its buttons reach, and that there is no second work of the same."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.widgets import beside

_at_work: dict[Hashable, Busy] = {}  # by the id of its view, and by its own marks
_turn = threading.Lock()


class Busy:
    """`with Busy(view, control): ...`, around a work that a view shows.

    When the block is left before the thread that works has ended (a second interrupt leaves the cell), the view stays
    at work until it has: buttons and title stay true, and the same is not done twice at once.

    Parameters
    ----------
    view : Live
        It has `_control`, `_ask_to_stop()`, and a sheet with `begin()`, `steered` and `rest()`.
    control
        What the view's buttons reach.
    marks
        What else nobody may work on meanwhile.
    pumped
        Whether somebody calls `view._tick`.

    Attributes
    ----------
    work : beside.Work or None
        The work, where it has a thread of its own.
    left : bool
        Whether it was asked to stop and nobody waits for it any more.

    Raises
    ------
    InputError
        When there is a work of the same already.
    """

    def __init__(self, view: Any, control: Any, marks: Sequence[Hashable] = (), pumped: bool = True) -> None:
        self.view, self.control, self.pumped = view, control, pumped
        self.marks = (id(view), *marks)
        self.work: Optional[beside.Work] = None
        self.left = False
        self._kept = ExitStack()

    def refusal(self, view: Any) -> str:
        """Why that view cannot begin a work of the same."""
        raise NotImplementedError

    def __enter__(self) -> Busy:
        view = self.view
        with _turn:
            for mark in self.marks:
                if mark in _at_work:
                    raise InputError(_at_work[mark].refusal(view))
            _at_work.update(dict.fromkeys(self.marks, self))
        view._control = self.control
        view._sheet.begin()
        view._pumped = self.pumped
        view._sheet.steered = True
        return self

    def __exit__(self, *_: object) -> None:
        if self.work is None or self.work.done:
            self._end()
        else:
            self.left = True
            self.view._ask_to_stop()
            self.let_go(self.work)

    def let_go(self, work: beside.Work) -> None:
        """Nobody waits for this work: from here on its thread tells the page itself, and ends this when it ends."""
        self.work = work
        self.view._pumped = False
        self._kept.enter_context(beside.heard_beside(self.view))
        work.then(self._end)

    def _end(self) -> None:
        view = self.view
        try:
            self._kept.close()
            view._pumped = False
            view._control = None
            view._sheet.rest()
            view._last_words()
        finally:  # last: whoever begins now finds a card at rest
            with _turn:
                for mark in self.marks:
                    del _at_work[mark]


def busy_with(view: Any) -> Optional[Busy]:
    """The work that a view is at; None where it rests."""
    return _at_work.get(id(view))
