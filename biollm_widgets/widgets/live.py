"""A widget whose work goes on while the page looks on: what is new goes there as differences, and calmly.

Whoever works leaves events in `_waiting`, from whatever thread; whoever may speak to the page calls `_tick`, about
twenty times a second: the loop of a cell that waits, or the thread that works where no cell waits. The page gets the
whole state (`_shot`) when it comes, and from then on news: messages that carry a serial number, so that the page
notices when it has missed one and asks for the whole again.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from typing import Any, Optional, Protocol

import traitlets

from biollm_widgets import news
from biollm_widgets.widgets.base import Widget, answers
from biollm_widgets.widgets.busy import busy_with
from biollm_widgets.widgets.seen import is_seen

GAP = 0.25  # seconds between two messages to the page at the least
CALM = 1.0  # and as long as nothing is urgent: drawing takes time from the work, on the same cores
PULSE = 5.0  # seconds after which the page hears that Python is still there
PICTURES = 10.0  # seconds between two saved pictures of a work that goes on


class Sheet(Protocol):
    """What a view shows, without a page."""

    def shot(self) -> dict[str, Any]:
        """All of it, as plain JSON, with its `serial`."""

    def news(self) -> Optional[dict[str, Any]]:
        """What is new since the last call: None, {"news": {"serial": ..., ...}} or {"fresh": shot}."""

    def pulse(self) -> dict[str, Any]:
        """A message that says no more than that Python is there."""

    def forget_what_was_sent(self) -> None:
        """The next news are the whole: some may not have arrived."""

    @property
    def running(self) -> bool:
        """Whether the work goes on."""


class Live(Widget):
    """A widget with a `_sheet`, of which the page hears while it changes. It gives `_drain`, and what `Widget` asks."""

    _calm = CALM
    _sheet: Any  # a `Sheet`, with what else the widget needs of it

    # Made anew whenever a page asks for the state: what is sent while the work goes on are differences only.
    _shot = traitlets.Dict({"serial": -1}).tag(sync=True, to_json=lambda _, widget: widget._whole())

    def __init__(self, **state: Any) -> None:
        self._waiting: deque[dict[str, Any]] = deque()  # events that the one who works has left here
        self._pumped = False  # somebody calls `_tick`
        self._sent_at = self._drawn_at = 0.0
        self._redraw = self._urgent = False  # the saved picture is old; the page should hear as soon as may be
        self._unseen = False  # nobody can see it any more, and it is still at work
        super().__init__(**state)

    def _drain(self) -> None:
        """Take the events that wait into the sheet; `self._turn` is held."""
        raise NotImplementedError

    def _whole(self) -> dict[str, Any]:
        with self._turn:
            return self._sheet.shot()

    def _now(self) -> dict[str, Any]:
        with self._turn:
            self._drain()
            return self._sheet.shot()

    @answers("shot")
    def _answer_shot(self) -> dict:
        return {"shot": self._sheet.shot()}

    def _tick(self) -> None:
        """Tell the page what is new, at most four times a second."""
        if time.monotonic() - self._sent_at >= (GAP if self._urgent else self._calm):
            self._flush()

    def _flush(self) -> None:
        try:
            with self._turn:
                self._drain()
                self._send_news()
        except Exception:  # a view that cannot be drawn or reached ends no work
            self._sent_at = time.monotonic()
            self._sheet.forget_what_was_sent()
            self._keep_trouble(traceback.format_exc())

    def _send_news(self) -> None:
        self._urgent = False
        news = self._sheet.news()
        running, now = self._sheet.running, time.monotonic()
        if news is None and running and now - self._sent_at >= PULSE:
            news = self._sheet.pulse()
        if news is not None:
            self._sent_at = now
            self.send(news)
        due = now - self._drawn_at >= (1.0 if self._redraw else PICTURES)
        if self._shown and (due or not running) and (self._redraw or (running and news is not None)):
            self._redraw, self._drawn_at = False, now
            self._sent_at = now + GAP * len(self._shown)  # each saved picture is a message too
            self._renew_twin()

    def _last_words(self) -> None:
        """After the end: what is left goes to the page, and the saved picture is of the end."""
        self._redraw = True
        wait = GAP - (time.monotonic() - self._sent_at)
        if wait > 0 and news.has_a_page():
            time.sleep(wait)
        self._flush()
        if self._unseen:
            self._unseen = False
            super()._leave()

    def _show(self) -> None:
        """Show it in the cell that works, unless it stands there or in another one already."""
        from IPython.display import display

        if not is_seen(self):
            display(self)

    def _ask_to_stop(self) -> None:
        """End what it is at, as an interrupt does."""
        raise NotImplementedError

    def _leave(self) -> None:
        if busy_with(self) is None:
            super()._leave()
        else:  # nobody can press its buttons any more; once it has ended it is gone
            self._unseen = True
            self._ask_to_stop()

    def _ipython_display_(self, **given: Any) -> None:
        self._unseen = False
        super()._ipython_display_(**given)
