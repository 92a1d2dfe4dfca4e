"""How a ProteinPanel works: the model is had, proteins grow, they are judged; and Cancel at each of these."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from biollm_widgets.errors import InputError
from biollm_widgets.protein.generation import Settings
from biollm_widgets.widgets import beside
from biollm_widgets.widgets import protein_words as words
from biollm_widgets.widgets.busy import Busy
from biollm_widgets.widgets.printing import prints_to
from biollm_widgets.widgets.protein_model import Cancelled, beside_this

Hear = Callable[[dict[str, Any]], None]


class Control:
    """What Cancel reaches.

    Attributes
    ----------
    stop : threading.Event
        Write no more.
    skip : threading.Event
        Judge no more.
    """

    def __init__(self) -> None:
        self.stop, self.skip = threading.Event(), threading.Event()


class PanelBusy(Busy):
    """Around what a panel does."""

    def refusal(self, view: Any) -> str:
        if self.left:
            return "What was cancelled has not ended yet; it does so by itself. Try again in a moment."
        return "This panel is at work already; press Cancel, or wait for its end."


class _Work:
    """What is common to all that a panel does; its kinds give `go`."""

    alone = True
    name = "generating"

    def go(self, panel: Any, control: Control, hear: Hear, here: bool) -> Any:
        """Do it in this thread; `here` where nobody can press Cancel and the model is loaded here as well."""
        raise NotImplementedError

    def busy(self, panel: Any, pumped: bool) -> Busy:
        return PanelBusy(panel, Control(), pumped=pumped)

    def work(self, panel: Any, control: Control) -> beside.Work:
        def hear(event: dict[str, Any]) -> None:
            if panel._control is control:
                panel._hear_event(event)

        return beside.Work(
            lambda: self.go(panel, control, hear, False), lambda line: hear({"event": "say", "words": line}), self.name
        )

    def in_foreground(self, panel: Any) -> Any:
        with self.busy(panel, pumped=False) as busy:
            return self.go(panel, busy.control, panel._hear_event, True)


class Generating(_Work):
    """Let the model write, and judge what it wrote.

    Parameters
    ----------
    settings : Settings
        Checked but for the seed, which may be None: one is drawn.
    """

    def __init__(self, settings: Settings, call: str) -> None:
        self.settings, self.call = settings, call

    def go(self, panel: Any, control: Control, hear: Hear, here: bool) -> Any:
        settings = self.settings.checked()
        try:
            if panel._references is not None:  # before minutes of writing: a file may be missing
                panel._references = _references(panel._references, control.stop.is_set, hear)
            source = _model(panel, control, hear, here)
            hear({"event": "reading", "settings": settings})
            made = self._generate(source, settings, control, hear, here)
            if made.stopped and not any(design.choices for design in made):
                raise Cancelled
        except Cancelled:
            hear({"event": "end", "state": "stopped", "words": ["Cancelled before the first token was written."]})
            return _nothing(panel, settings)
        except BaseException as error:
            _tell_failure(panel, hear, error, settings.as_dict())
            raise
        hear({"event": "made", "generation": made})
        judged = _judge(panel, made, control, hear)
        if made.stopped or not judged:
            hear({"event": "end", "state": "stopped", "words": _words_of_a_stop(made, judged)})
        else:
            hear({"event": "end", "state": "done", "words": []})
        return made

    def _generate(self, source: Any, settings: Settings, control: Control, hear: Hear, here: bool) -> Any:
        from biollm_widgets.protein.generation import generate

        begun = False

        def told(growth: Any) -> None:
            nonlocal begun
            if not begun:
                begun = True
                hear({"event": "growing", "growth": growth})
            else:
                hear({"event": "step"})

        given = {key: value for key, value in settings.as_dict().items() if key != "model"}
        shown = None if here else False  # a bar where a terminal can show it
        return generate(**given, model=source, callback=told, stop=control.stop, progress=shown)


class Judging(_Work):
    """Judge what is there again, beside known proteins.

    Parameters
    ----------
    references
        What `References.of` takes.
    """

    call = "panel.judge"
    name = "judging"

    def __init__(self, references: Any) -> None:
        self.references = references

    def go(self, panel: Any, control: Control, hear: Hear, here: bool) -> Any:
        hear({"event": "judging", "done": 0, "of": 0})
        try:
            panel._references = _references(self.references, control.skip.is_set, hear)
            judged = panel._sheet.generation is None or _judge(panel, panel._sheet.generation, control, hear)
        except Cancelled:
            hear({"event": "end", "state": "stopped", "words": ["Cancelled: the known proteins were not read."]})
            return None
        except BaseException as error:
            _tell_failure(panel, hear, error, panel._sheet.ask.typed)
            raise
        if judged:
            said = f"{words.count(len(panel._references), 'known protein')} to compare with."
            hear({"event": "end", "state": "done", "words": [said]})
        else:
            hear({"event": "end", "state": "stopped", "words": ["Cancelled before all were compared."]})
        return panel._references


def _model(panel: Any, control: Control, hear: Hear, here: bool) -> Any:
    if here:
        found = panel._model.here()
    else:
        load(panel)
        found = panel._model.wait(control.stop.is_set)
    hear({"event": "loaded"})
    return found


def _judge(panel: Any, made: Any, control: Control, hear: Hear) -> bool:
    """Judge, first without known proteins, which takes seconds at most; whether it came to its end."""

    def told(done: int, of: int) -> None:
        if control.skip.is_set():
            raise Cancelled
        hear({"event": "judging", "done": done, "of": of})

    try:
        hear({"event": "judged", "generation": made, "frame": made.to_frame(progress=told)})
        if panel._references is not None:
            frame = made.to_frame(references=panel._references, progress=told)
            hear({"event": "judged", "generation": made, "frame": frame})
    except (Cancelled, KeyboardInterrupt):  # Cancel, or Ctrl-C where there is no button
        return False
    return True


def _references(source: Any, given_up: Callable[[], bool], hear: Hear) -> Any:
    from biollm_widgets.protein.references import References

    if isinstance(source, References):
        return source
    hear({"event": "say", "words": "Reading the known proteins."})
    return beside_this(lambda: References.of(source), given_up, "reading")


def _words_of_a_stop(made: Any, judged: bool) -> list[str]:
    kept = []
    if made.stopped:
        kept.append("Cancelled. What was written until then is kept; those that had not ended are cut off there.")
    if any(design.perplexity != design.perplexity for design in made if design.sequence):
        kept.append("Some have no perplexity: there was no time left to compute it.")
    if not judged:
        kept.append("Not all of it was judged.")
    return kept


def _tell_failure(panel: Any, hear: Hear, error: BaseException, settings: dict[str, Any]) -> None:
    """The last event of a work that broke off; the exception itself goes on to whoever called."""
    if not isinstance(error, (InputError, KeyboardInterrupt)):
        panel._keep_trouble("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    hear({"event": "end", "state": "failed", "words": words.failure(error, settings["n"], settings["max_length"])})


def _nothing(panel: Any, settings: Settings) -> Any:
    """A generation of which nothing was written."""
    from biollm_widgets.protein.generation import Generation

    path = panel._model.loaded.path if panel._model.loaded is not None else None
    said, source = (path.said, path.source) if path is not None else (f"{panel._model.name}, not loaded", "given")
    return Generation((), replace(settings, model=panel._model.name), said, source, True, 0.0)


def load(panel: Any) -> None:
    """Have the model in a thread of its own, and tell the page when it is there."""

    def around(loading: Callable[[], None]) -> None:
        with beside.heard_beside(panel):
            with prints_to(lambda line: panel._hear_event({"event": "say", "words": line})):
                loading()
            panel._hear_event({"event": "loaded"})
            error = panel._model.error
            if error is not None and not panel._sheet.steered:  # otherwise it is told by what waits for the model
                _tell_failure(panel, panel._hear_event, error, panel._sheet.ask.typed)
            if not panel._sheet.steered:
                panel._last_words()

    panel._model.begin(around)
