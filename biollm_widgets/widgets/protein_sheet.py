"""What a ProteinPanel shows, without a page: the shot, and what has changed since the last one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Optional

from biollm_widgets.protein.generation import Settings
from biollm_widgets.widgets import protein_table
from biollm_widgets.widgets import protein_words as words
from biollm_widgets.widgets.protein_ask import AUTHORS, Ask, Reader
from biollm_widgets.widgets.protein_growth import Grown
from biollm_widgets.widgets.protein_model import Model

if TYPE_CHECKING:
    import pandas

    from biollm_widgets.protein.generation import Generation


class ProteinSheet:
    """The settings as they stand, and the generation that was made last or is being made.

    Attributes
    ----------
    ask : Ask
    model : Model
    generation : Generation or None
        The last one of which something was written.
    frame : DataFrame or None
        Its designs in the order of the table.
    table, checks, about_model : dict
        As a page gets them.
    steered : bool
        Whether something is at work here that Cancel can reach.
    stopping : bool
        Whether it was asked to stop.
    """

    def __init__(self, ask: Ask, model: Model, name: str = "") -> None:
        self.ask, self.model, self.name = ask, model, name
        self.generation: Optional[Generation] = None
        self.frame: Optional[pandas.DataFrame] = None
        self.reader: Optional[Reader] = None
        self.steered = self.stopping = False
        self.phase = "idle"
        self.notice: Optional[dict[str, Any]] = None
        self.said = ""  # the last line that was printed
        self.serial = 0
        self._growth: Any = None
        self._settings: Optional[Settings] = None  # of what grows
        self._began = 0.0
        self._judged = (0, 0)
        self._broke_off = 0  # the token at which what is shown growing broke off
        self._grown: Optional[Grown] = None
        self.table: dict[str, Any] = {"columns": [], "rows": [], "made": None, "words": ""}
        self._composition: Optional[dict[str, Any]] = None
        self.about_model: dict[str, Any] = {}
        self.checks: dict[str, Any] = {}
        self.look_again()
        self._sent: dict[str, Any] = {}
        self._sent_grown: Optional[Grown] = None

    # What happens.

    def look_again(self) -> None:
        """Settings or the model have changed: check them anew."""
        loaded = self.model.loaded
        positions = None
        if loaded is not None:
            from biollm_widgets.protein.scoring import positions_of

            positions = positions_of(loaded.model)
            if self.reader is None:
                self.reader = Reader(self.model.explorer, positions)
        self.about_model = {
            "name": self.model.name,
            "words": loaded.path.said if loaded is not None else f"{self.model.name}, not loaded yet.",
            "loaded": loaded is not None,
            "vocabulary": None if loaded is None else loaded.model.config.vocab_size,
            "positions": positions,
        }
        self.checks = self.ask.checks(self.reader)

    def begin(self) -> None:
        """A work begins; what was made before stays until there is something new."""
        self.notice, self.said = None, ""
        self.phase = "loading" if self.model.loaded is None else "growing"
        self._growth, self._judged = None, (0, 0)

    def rest(self) -> None:
        """It has ended, however it did."""
        self.steered = self.stopping = False
        if self.phase in ("loading", "growing", "judging"):
            self.phase = "done" if self.generation is not None else "idle"

    def reading(self, settings: Settings) -> None:
        """The model is there and reads the prompt."""
        self.phase, self._settings = "growing", settings
        self.look_again()

    def growing(self, growth: Any) -> None:
        """The first tokens are there: from here on it is about these sequences."""
        self.generation = self.frame = self._composition = None
        self.table = {**self.table, "rows": [], "made": None, "words": ""}
        self._growth, self._began = growth, time.monotonic()
        settings = self._settings or Settings()
        self._grown = Grown(self.model.explorer.pieces, settings.prompt, settings.n)
        self._grown.take(growth)

    def made(self, generation: Generation) -> None:
        """All sequences are there, and nobody has judged them yet."""
        self.generation, self._growth, self.phase = generation, None, "judging"
        self.judged(protein_table.before_judging(generation))

    def judging(self, done: int, of: int) -> None:
        self.phase, self._judged = "judging", (done, of)

    def judged(self, frame: pandas.DataFrame) -> None:
        """The designs in their order, with what is known of each."""
        generation = self.generation
        assert generation is not None
        self.frame = frame
        self.table = protein_table.table(generation, frame)
        self._composition = protein_table.composition(generation.designs)
        order = [row["index"] for row in self.table["rows"]]
        self._grown = Grown.of(generation.designs, order, self.model.explorer.pieces)

    def end(self, state: str, sentences: list[str]) -> None:
        """How it ended: "done", "stopped" or "failed"."""
        self.advance()
        self._broke_off = self._growth.steps if self._growth is not None else 0
        self.phase, self._growth = state, None
        if state == "done" and self.generation is None:  # known proteins were read before there is anything to compare
            self.phase = "idle"
        kind = "note" if state == "done" else state
        self.notice = {"kind": kind, "words": sentences, "code": ""} if sentences else None

    def advance(self) -> None:
        """Take what has grown since."""
        if self._growth is not None and self._grown is not None:
            self._grown.take(self._growth)

    # What is shown.

    @property
    def running(self) -> bool:
        return self.steered

    @property
    def title(self) -> str:
        """The finding, or what is being done, or what to do."""
        if self.steered:
            if self.stopping and self.phase != "judging":
                return "Ending after the token at hand"
            if self.phase == "loading":
                return f"Loading {self.model.name}"
            if self.phase == "growing":
                count = words.count(self._settings.n if self._settings else self.ask.typed["n"], "protein")
                return f"{count} {'grows' if count.startswith('1 ') else 'grow'}"
        if self.generation is not None:
            return protein_table.summary(self.generation)
        if self.phase == "failed":
            return "Nothing came out" if not self._broke_off else f"It broke off at token {self._broke_off:,}"
        if self.phase == "stopped":
            return "Cancelled before the first token"
        return "No proteins yet: press Generate"

    def shot(self) -> dict[str, Any]:
        """All of it."""
        grown = [] if self._grown is None else self._grown.shot()
        return {"serial": self.serial, **self._words(), "growth": grown}

    def news(self) -> Optional[dict[str, Any]]:
        """What is new since the last call."""
        self.advance()
        now, before = self._words(), self._sent
        if not before or self._sent_grown is not self._grown:
            self.serial += 1
            self._sent, self._sent_grown = now, self._grown
            if self._grown is not None:
                self._grown.sent()
            return {"fresh": self.shot()}
        news = {name: value for name, value in now.items() if before[name] is not value and before[name] != value}
        self._sent = now
        grow = [] if self._grown is None else self._grown.news()
        if grow:
            news["grow"] = grow
        if not news:
            return None
        self.serial += 1
        return {"news": {"serial": self.serial, **news}}

    def pulse(self) -> dict[str, Any]:
        self.serial += 1
        return {"news": {"serial": self.serial}}

    def forget_what_was_sent(self) -> None:
        self._sent = {}

    def _words(self) -> dict[str, Any]:
        phase = self.phase
        if not self.steered and self.model.loading:
            phase = "loading"
        return {
            "phase": phase,
            "live": self.steered,
            "title": self.title,
            "line": self._line(),
            "doing": self._doing(phase),
            "share": self._share(),
            "buttons": ["cancel"] if self.steered else ["generate"],
            "notice": self.notice,
            "model": self.about_model,
            "ask": dict(self.ask.typed),
            "controls": words.CONTROLS,
            "authors": {key: getattr(Settings, key) for key in AUTHORS},
            "checks": self.checks,
            "table": self.table,
            "composition": self._composition,
        }

    def _line(self) -> str:
        growth, settings = self._growth, self._settings
        if self.steered and growth is not None and settings is not None:
            tokens = sum(map(len, growth.choices))
            alive = growth.finished.count(False)
            seconds = time.monotonic() - self._began
            return words.growing(growth.steps, growth.most, alive, settings.n, seconds, tokens, settings.seed)
        if self.generation is not None:
            return words.result(self.generation)
        return ""

    def _doing(self, phase: str) -> str:
        if phase == "loading":
            return self.said or f"Loading {self.model.name}."
        if not self.steered:
            return ""
        if phase == "growing" and self._growth is None:
            settings = self._settings
            return "Reading the prompt." if settings is not None and settings.prompt else "Beginning."
        if phase == "judging":
            done, of = self._judged
            return f"Judging: {done:,} of {of:,}." if of else self.said or "Judging."
        return ""

    def _share(self) -> Optional[float]:
        if not self.steered:
            return None
        if self.phase == "growing" and self._growth is not None:
            return round(min(1.0, self._growth.steps / max(1, self._growth.most)), 3)
        if self.phase == "judging" and self._judged[1]:
            return round(self._judged[0] / self._judged[1], 3)
        return None
