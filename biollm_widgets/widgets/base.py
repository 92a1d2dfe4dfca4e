"""What the three widgets share: the front end's files, the saved picture, questions and answers, errors in words.

A learner's notebook meets many places where a widget cannot be: no front-end extension on the server, one of another
version, a kernel that is gone, a page made by nbconvert. So every widget is shown twice: first its static twin, plain
HTML in an output of its own, then the live view, which hides the twin as soon as it has something to show.
"""

from __future__ import annotations

import base64
import difflib
import inspect
import json
import os
import re
import threading
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Optional, Union

import anywidget
import traitlets

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.widgets.seen import shared, shown_now
from biollm_widgets.widgets.twin import page

# anywidget asks for the front end of its own version; servers of another one then say that the model is not found. What
# our modules use (get, set, on, send, render) is the same in all of these.
FRONT_END = ">=0.9.0 <1"
_HERE = Path(__file__).parent
_TYPES = re.compile(r"/\*\* @(?:type|param|returns)\b.*?\*/ ?")  # JSDoc within a line of code
_KEPT = 20  # troubles of the page that are kept


@cache
def module(*stems: str) -> str:
    """The files base.js and `stems` (.js) as the one ES module that the page gets, without what is only for people."""
    return _joined("base", *stems)


def _joined(*stems: str) -> str:
    return _lean("\n".join((_HERE / f"{name}.js").read_text(encoding="utf-8") for name in stems))


@cache
def sheet(stem: str) -> str:
    """base.css and `stem`.css as one style sheet."""
    return "\n".join((_HERE / f"{name}.css").read_text(encoding="utf-8") for name in ("base", stem))


def _lean(source: str) -> str:
    """Leave out comments, types and the blanks that begin a line: the module is sent again with every widget shown."""
    kept, inside = [], False
    for line in source.splitlines():
        bare = _TYPES.sub("", line).strip()
        if inside or bare.startswith("/*"):
            inside = "*/" not in bare
            if not inside and not bare.endswith("*/"):
                raise ValueError(f"Code follows a comment on the line {bare!r}; put it on a line of its own.")
        elif bare and not bare.startswith("//"):
            kept.append(bare)
    return "\n".join(kept) + "\n"


def _live(esm: str, css: str, state: dict[str, Any]) -> str:
    """A widget's front end with its state, for a page without Jupyter: JSON and our own files, no text as markup."""

    def packed(value: Any) -> Any:
        if isinstance(value, (bytes, memoryview)):
            return {"$bytes": base64.b64encode(value).decode()}
        raise TypeError(f"{type(value).__name__} cannot be written into a page.")

    # In JSON "<" occurs in texts only, and there it can be written so that nothing ends the element it stands in.
    data = json.dumps(state, default=packed, ensure_ascii=True).replace("<", "\\u003c")
    start = _joined("imported", "alone").replace("export {};", "")
    # In a block of its own, so that no name in it meets one of the widget's.
    code = f"{esm.replace('export default', 'const widget =')}{{\n{start}}}\n"
    return (
        f'<style>{css}</style><div id="live"></div>'
        f'<script type="application/json" id="state">{data}</script><script type="module">{code}</script>'
    )


def answers(verb: str) -> Callable:
    """Mark a method as what Python says when the page asks `verb`: it returns a dict, or a dict and binary buffers."""

    def mark(method: Callable) -> Callable:
        method._verb = verb  # type: ignore[attr-defined]
        return method

    return mark


def refuse_unknown(kind: type, given: dict[str, Any]) -> None:
    """A constructor's last word about keywords that it does not know.

    Raises
    ------
    TypeError
        Names the keyword, the likeliest one meant, and all there are.
    """
    if not given:
        return
    parameters = inspect.signature(kind).parameters.values()
    known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    name = next(iter(given))
    near = difflib.get_close_matches(name, known, 1)
    meant = f"did you mean {near[0]}? It takes" if near else "it takes"
    raise TypeError(f"{kind.__name__} has no option {name!r}; {meant} {', '.join(known)}.")


class Widget(anywidget.AnyWidget):
    """The ground of the three widgets.

    A widget gives `_front`, `_css`, `_make_twin` and `_plain`, and marks what it answers with `@answers(verb)`.

    Attributes
    ----------
    troubles : list of str
        What went wrong in the page or while answering it, newest last, for whoever mends it.
    """

    _model_module_version = traitlets.Unicode(FRONT_END).tag(sync=True)
    _view_module_version = traitlets.Unicode(FRONT_END).tag(sync=True)
    # anywidget has the page import `_esm` once for each widget, and a page keeps what it imported until it is left. So
    # `_esm` is small, and `_code`, which all of a kind have in common, is imported once in a page.
    _esm = _joined("imported", "start")
    _front: ClassVar[str]  # a `module`
    _code = traitlets.Unicode().tag(sync=True)
    _twin = traitlets.Unicode().tag(sync=True)  # the class name that its saved picture has in the page
    _own_layout: Any = None  # made for this widget alone

    _verbs: ClassVar[dict[str, str]] = {}
    _parts: ClassVar[dict[str, tuple[str, ...]]] = {}  # modules besides `_front` that the page may ask for: their files

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        held = [item for kind in reversed(cls.__mro__) for item in vars(kind).items()]
        cls._verbs = {value._verb: name for name, value in held if hasattr(value, "_verb")}

    def __init__(self, **state: Any) -> None:
        # Messages may come on a thread of their own (ipykernel 7), while a cell runs.
        self._turn = threading.RLock()
        self.troubles: list[str] = []
        self._shown: list[Any] = []  # handles of the saved pictures in the notebook
        self._cells: dict[str, str] = {}  # in which it is shown, with the run of the cell
        super().__init__(_code=self._front, **state)
        self._own_layout = None if "layout" in state else self.layout
        self._twin = f"biollm-twin-{self.model_id[:8]}"
        self.on_msg(self._hear)

    # What a widget gives.

    def _make_twin(self, saved: bool = True) -> str:
        """The static twin as HTML with inline styles; its outermost element has the class name `self._twin`."""
        raise NotImplementedError

    def _plain(self) -> str:
        """One sentence for places that show text only."""
        raise NotImplementedError

    def _live_plain(self) -> str:
        """The same for the live view's own output, which stays in the notebook as it was when it was shown."""
        return self._plain()

    # Showing.

    def _ipython_display_(self, **_: Any) -> None:
        from IPython import get_ipython
        from IPython.display import display

        shell = get_ipython()
        if shell is None or not hasattr(shell, "kernel"):
            print(self._plain())
            return
        unseen = shown_now(self)
        if self.comm is None:  # it was closed, or nobody could see it
            self._come_back()
        handle = display(self._picture(), raw=True, display_id=True)
        self._shown = [*self._shown[-3:], handle]
        bundle = self._repr_mimebundle_()
        data = dict((bundle[0] if isinstance(bundle, tuple) else bundle) or {})
        data["text/plain"] = self._live_plain()
        display(data, raw=True)
        for one in unseen:
            one._leave()

    def _leave(self) -> None:
        """Nobody sees it any more: the page forgets it, and ipywidgets does. Shown again, it comes back."""
        self._close_comm()

    def _close_comm(self) -> None:
        if self.comm is None:
            return
        self._shown, self._cells = [], {}
        super().close()
        if self._own_layout is not None and self.layout is self._own_layout and not shared(self.layout, self):
            self._own_layout.close()  # each widget has one, which ipywidgets leaves behind

    def _come_back(self) -> None:
        for one in (self.layout, self):
            if one.comm is None:
                one.__dict__.pop("_repr_mimebundle_", None)  # which ipywidgets put out of use
                one._model_id = None
                one.open()

    def close(self) -> None:
        """Take it out of the page. What Python knows of it stays, and to show it again brings it back."""
        self._close_comm()

    def _picture(self) -> dict[str, str]:
        return {"text/html": self._make_twin(), "text/plain": self._plain()}

    def _renew_twin(self) -> None:
        """Put the state of now into the saved pictures, so that a reopened notebook shows what was last seen."""
        for handle in self._shown:
            handle.update(self._picture(), raw=True)

    def to_html(self, path: Optional[Union[str, os.PathLike]] = None) -> str:
        """A web page of this view alone, which needs nothing else: no Jupyter, no kernel, no internet.

        It holds the saved picture and, where the widget can do without Python, the live view in its place.

        Parameters
        ----------
        path : str or path, optional
            Where to write it.

        Returns
        -------
        str
            The page.

        Raises
        ------
        InputError
            When it cannot be written there.
        """
        body = self._make_twin(saved=False)
        kept = self._alone()
        if kept is not None:
            body += _live(self._front, str(self._css), {**kept, "_alone": True, "_twin": self._twin})
        text = page(body, self._plain())
        if path is not None:
            with whole_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return text

    def _alone(self) -> Optional[dict[str, Any]]:
        """The state with which the front end draws without Python; None where it cannot."""
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._plain()}>"

    # Talking to the page.

    def _hear(self, _: Any, content: Any, buffers: Any) -> None:
        """Answer a question of the page; what a person can mend is said in a sentence, the rest is kept as well."""
        if not isinstance(content, dict) or "ask" not in content:
            return
        given = {name: value for name, value in content.items() if name not in ("ask", "number")}
        number = content.get("number")
        try:
            name = self._verbs.get(content["ask"])
            if name is None:
                raise InputError(f"This widget has no answer to {content['ask']!r}; run its cell again.")
            with self._turn:
                answer = getattr(self, name)(**given)
        except InputError as error:
            self.send({"answer": number, "error": str(error)})
        except Exception as error:
            self._keep_trouble(traceback.format_exc())
            words = f"Python stopped over this ({type(error).__name__}: {error}); view.troubles[-1] has the details."
            self.send({"answer": number, "error": words})
        else:
            answer, parts = answer if isinstance(answer, tuple) else (answer or {}, [])
            self.send({**answer, "answer": number}, parts)

    @answers("module")
    def _answer_module(self, stem: str = "") -> dict:
        """A part of the front end that is asked for when it is first needed."""
        if stem not in self._parts:
            raise InputError(f"This widget has no part {stem!r}; run its cell again.")
        return {"text": module(*self._parts[stem])}

    @answers("trouble")
    def _hear_trouble(self, words: str = "", where: str = "") -> None:
        self._keep_trouble(f"In the page: {words}\n{where}")

    def _keep_trouble(self, words: str) -> None:
        self.troubles = [*self.troubles[-_KEPT + 1 :], words]
