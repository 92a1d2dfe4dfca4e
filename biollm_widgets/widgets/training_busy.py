"""A progress while it is at work: what its buttons reach, and that there is no second training of the same."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.runs.pausing import Pause
from biollm_widgets.runs.stopping import StopRequest
from biollm_widgets.widgets import beside

_at_work: dict[Hashable, Busy] = {}  # by the id of its progress, and by its own marks
_turn = threading.Lock()


class Control:
    """What Stop and Pause of one training reach.

    Parameters
    ----------
    stop : threading.Event, optional
        Another way to ask for a stop, of whoever calls.
    trainer
        See `StopRequest`.
    """

    def __init__(self, stop: Optional[threading.Event] = None, trainer: Any = None) -> None:
        self.event = threading.Event() if stop is None else stop
        self.request = StopRequest(self.event, trainer=trainer)
        self.pause = Pause()

    def stop(self) -> None:
        self.event.set()


class Busy:
    """`with Busy(progress, control): ...`, around a training.

    When the block is left before the thread that trains has ended (a second interrupt leaves the cell), the progress
    stays at work until it has: buttons and title stay true, and the same is not trained twice at once.

    Parameters
    ----------
    marks
        What else nobody may train meanwhile: the Trainer, the folder.
    pumped
        Whether somebody calls `progress._tick`.

    Attributes
    ----------
    work : beside.Work or None
        The training, where it has a thread of its own.
    left : bool
        Whether nobody waits for it any more.

    Raises
    ------
    InputError
        When there is a training of the same already.
    """

    def __init__(self, progress: Any, control: Control, marks: Sequence[Hashable] = (), pumped: bool = True) -> None:
        self.progress, self.control, self.pumped = progress, control, pumped
        self.marks = (id(progress), *marks)
        self.work: Optional[beside.Work] = None
        self.left = False
        self._kept = ExitStack()

    def __enter__(self) -> Busy:
        progress = self.progress
        if progress._callback is not None:
            progress._callback.leave_behind()
        with _turn:
            for mark in self.marks:
                if mark in _at_work:
                    raise InputError(_at_work[mark].refusal(progress))
            _at_work.update(dict.fromkeys(self.marks, self))
        progress._control = self.control
        progress._sheet.begin()
        progress._pumped = self.pumped
        progress._sheet.steered = True
        return self

    def __exit__(self, *_: object) -> None:
        if self.work is None or self.work.done:
            self._end()
        else:
            self._leave(self.work)

    def refusal(self, progress: Any) -> str:
        """Why that progress cannot begin a training of the same."""
        if self.left:
            return (
                f"The training before is still at step {self.progress._sheet.log.step:,}; Stop was asked, so it ends "
                "with a checkpoint. Run this cell again in a moment."
            )
        if progress is self.progress:
            return "This progress watches a training already; make another TrainingProgress() for a second."
        return "This Trainer, or another one that writes into its folder, is being trained already: wait for its end."

    def _leave(self, work: beside.Work) -> None:
        self.left = True
        self.progress._ask_to_stop()
        self.progress._pumped = False  # from here on the thread that trains tells the page itself
        self._kept.enter_context(beside.heard_beside(self.progress))
        work.then(self._end)

    def _end(self) -> None:
        progress = self.progress
        try:
            self._kept.close()
            progress._pumped = False
            progress._control = None
            progress._sheet.steered = progress._sheet.stopping = progress._sheet.pausing = False
            progress._last_words()
        finally:  # last: whoever begins now finds a card at rest
            with _turn:
                for mark in self.marks:
                    del _at_work[mark]


def busy_with(progress: Any) -> Optional[Busy]:
    """The training that a progress is at work on; None where it rests."""
    return _at_work.get(id(progress))
