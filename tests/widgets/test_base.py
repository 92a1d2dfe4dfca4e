"""What every widget stands on: the modules that are sent, strict constructors, answers in words, twin before widget."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="The widgets need anywidget (make test installs it).")

from biollm_widgets.errors import InputError
from biollm_widgets.widgets import base
from biollm_widgets.widgets.base import Widget, answers, module, refuse_unknown, sheet
from biollm_widgets.widgets.twin import twin


class Small(Widget):
    """A widget of nothing but the ground."""

    _front = module("token_data")
    _css = sheet("token_view")

    def __init__(self, *, colour: str = "blue", height: int = 10, **unknown: Any) -> None:
        refuse_unknown(type(self), unknown)
        self.sent: list[tuple[dict, list]] = []
        super().__init__()

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent.append((content, buffers))

    def _plain(self) -> str:
        return "Nothing to see."

    def _make_twin(self, saved: bool = True) -> str:
        return twin("Nothing to <see>", class_name=self._twin, saved=saved)

    @answers("double")
    def _double(self, number_given: int) -> dict:
        return {"value": 2 * number_given}

    @answers("bytes")
    def _bytes(self) -> tuple[dict, list[bytes]]:
        return {"n": 3}, [b"abc"]

    @answers("refuse")
    def _refuse(self) -> dict:
        raise InputError("There is no base 60; choose one of 1 to 59.")

    @answers("break")
    def _break(self) -> dict:
        raise KeyError("lane")


def ask(widget: Small, verb: Any, **given: Any) -> tuple[dict, list]:
    widget._hear(widget, {"ask": verb, "number": "me-1", **given}, [])
    return widget.sent[-1]


def test_a_question_gets_its_answer_with_its_number_and_buffers() -> None:
    widget = Small()
    assert ask(widget, "double", number_given=21)[0] == {"value": 42, "answer": "me-1"}
    assert ask(widget, "bytes") == ({"n": 3, "answer": "me-1"}, [b"abc"])


def test_what_a_person_can_mend_is_answered_with_its_sentence() -> None:
    widget = Small()
    assert ask(widget, "refuse")[0] == {"answer": "me-1", "error": "There is no base 60; choose one of 1 to 59."}
    assert widget.troubles == []


def test_a_mistake_of_ours_is_said_in_words_and_its_traceback_kept() -> None:
    widget = Small()
    said = ask(widget, "break")[0]["error"]
    assert "KeyError" in said and "view.troubles" in said and "Traceback" not in said
    assert "Traceback" in widget.troubles[-1] and "'lane'" in widget.troubles[-1]
    assert "error" in ask(widget, "double", wrong_name=1)[0]


def test_a_verb_that_nobody_answers_and_a_message_that_is_no_question_break_nothing() -> None:
    widget = Small()
    assert "no answer to 'rm'" in ask(widget, "rm")[0]["error"]
    before = len(widget.sent)
    for strange in (None, "text", {}, {"number": 3}, []):
        widget._hear(widget, strange, [])
    assert len(widget.sent) == before


def test_only_marked_methods_can_be_asked_for() -> None:
    widget = Small()
    for verb in ("close", "_double", "__init__", "to_html", "send"):
        assert "error" in ask(widget, verb)[0]


def test_errors_of_the_page_are_kept_and_only_the_last_twenty() -> None:
    widget = Small()
    for number in range(30):
        ask(widget, "trouble", words=f"TypeError: {number}", where="at draw")
    assert len(widget.troubles) == 20
    assert widget.troubles[-1] == "In the page: TypeError: 29\nat draw"


def test_an_option_that_there_is_not_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(
        TypeError, match=r"Small has no option 'color'; did you mean colour\? It takes colour, height\."
    ):
        Small(color="red")
    with pytest.raises(TypeError, match=r"^Small has no option 'zzz'; It takes|^Small has no option 'zzz'"):
        Small(zzz=1)


def test_the_front_end_is_a_range_of_versions_rather_than_ours_alone() -> None:
    state = Small().get_state()
    assert state["_model_module_version"] == state["_view_module_version"] == ">=0.9.0 <1"


def test_a_page_gets_only_the_parts_that_a_widget_names() -> None:
    widget = Small()
    assert "no part" in ask(widget, "module", stem="../../secret")[0]["error"]
    assert "no part" in ask(widget, "module", stem="token_view")[0]["error"]


def test_comments_and_types_are_not_sent_and_code_is() -> None:
    source = "// @ts-check\n/** One. */\n/**\n * Two.\n */\nconst a = (/** @type {any} */ b) => `// ${b} /* kept */`;\n"
    assert base._lean(source) == "const a = (b) => `// ${b} /* kept */`;\n"
    with pytest.raises(ValueError, match="Code follows a comment"):
        base._lean("/* one\n two */ const lost = 1;\n")


def test_the_saved_picture_comes_before_the_live_view_and_has_the_name_that_the_page_hides() -> None:
    # A real kernel's display machinery, caught where it would send.
    code = """
import json
from ipykernel.inprocess.ipkernel import InProcessKernel
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython import get_ipython
from IPython.utils.capture import capture_output
import tests.widgets.test_base as t
kernel = InProcessKernel()
shown = []
kernel.shell.display_pub.publish = lambda data, metadata=None, **k: shown.append((data, bool(k.get("update"))))
import IPython.core.getipython
widget = t.Small()
assert hasattr(get_ipython(), "kernel")
widget._ipython_display_()
widget._renew_twin()
print(json.dumps([widget._twin, [[sorted(d), d.get("text/html", ""), u] for d, u in shown]]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    name, shown = json.loads(done.stdout.splitlines()[-1])
    assert [update for *_, update in shown] == [False, False, True]
    assert shown[0][0] == ["text/html", "text/plain"] and name in shown[0][1] and "&lt;see&gt;" in shown[0][1]
    assert "application/vnd.jupyter.widget-view+json" in shown[1][0] and "text/html" not in shown[1][0]
    assert shown[2][1] == shown[0][1]


def test_in_a_terminal_there_is_one_sentence(capsys: pytest.CaptureFixture) -> None:
    Small()._ipython_display_()
    assert capsys.readouterr().out == "Nothing to see.\n"


def test_the_page_of_one_view_needs_nothing_else(tmp_path: Any) -> None:
    path = tmp_path / "view.html"
    text = Small().to_html(path)
    assert path.read_text(encoding="utf-8") == text
    assert text.lower().startswith("<!doctype html>") and "<see>" not in text and "&lt;see&gt;" in text
    assert "running the cell" not in text.lower()
    assert not re.search(r"<script|<link|@import|src=\"http|href=\"http", text)
