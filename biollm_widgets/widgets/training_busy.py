"""A progress while it is at work: what its buttons reach, and that there is no second training of the same."""

from __future__ import annotations

import threading
from typing import Any, Optional

from biollm_widgets.runs.pausing import Pause
from biollm_widgets.runs.stopping import StopRequest
from biollm_widgets.widgets.busy import Busy


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


class TrainingBusy(Busy):
    """Around a training; the marks are its Trainer and its folder."""

    def __enter__(self) -> Busy:
        if self.view._callback is not None:
            self.view._callback.leave_behind()
        return super().__enter__()

    def refusal(self, view: Any) -> str:
        if self.left:
            return (
                f"The training before is still at step {self.view._sheet.log.step:,}; Stop was asked, so it ends "
                "with a checkpoint. Run this cell again in a moment."
            )
        if view is self.view:
            return "This progress watches a training already; make another TrainingProgress() for a second."
        return "This Trainer, or another one that writes into its folder, is being trained already: wait for its end."
