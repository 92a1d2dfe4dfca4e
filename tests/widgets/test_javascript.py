"""What the widgets send to the page: small, checked for types, and nothing that fetches or runs text as code."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import biollm_widgets.widgets
from biollm_widgets.widgets.base import Widget, module
from biollm_widgets.widgets.live import Live

FILES = sorted(Path(biollm_widgets.widgets.__file__).parent.glob("*.js"))
MOST = 30_000  # bytes; a module is sent again with every widget that is shown
# Names of kinds of XML, which nothing ever asks for.
NAMESPACES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml", "http://www.w3.org/1999/xlink")
# Text of a sequence, a name or a token must never become markup or code.
FORBIDDEN = re.compile(
    r"\beval\b|\bFunction\s*\(|\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write|createContextualFragment"
    r"|DOMParser|srcdoc|setTimeout\(\s*[\"'`]|setInterval\(\s*[\"'`]"
)


def sent() -> Iterator[tuple[str, str]]:
    """Every module of every widget, under a name, as the page gets it."""
    for found in pkgutil.iter_modules(biollm_widgets.widgets.__path__):
        importlib.import_module(f"biollm_widgets.widgets.{found.name}")
    waiting = list(Widget.__subclasses__())
    for widget in waiting:
        waiting += widget.__subclasses__()
        if not widget.__module__.startswith("biollm_widgets.") or widget is Live:  # a floor, which has no page
            continue
        yield widget.__name__, widget._front
        for part, files in widget._parts.items():
            yield f"{widget.__name__}: {part}", module(*files)


SENT = dict(sent())
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in FILES}


def test_there_is_something_to_check() -> None:
    assert "base.js" in SOURCES and SENT


@pytest.mark.parametrize("name", SOURCES)
def test_each_file_asks_for_its_types_to_be_checked(name: str) -> None:
    assert SOURCES[name].startswith("// @ts-check\n")


@pytest.mark.parametrize("name", SOURCES)
def test_each_file_is_small_with_its_types_and_comments(name: str) -> None:
    assert len(SOURCES[name].encode()) < MOST


@pytest.mark.parametrize("name", SENT)
def test_each_module_is_small_and_one_module(name: str) -> None:
    assert len(SENT[name].encode()) < MOST
    assert SENT[name].count("export default") == 1
    assert not re.search(r"^\s*(import\s+[\w{*\"']|export\s+(?!default))", SENT[name], flags=re.M)


@pytest.mark.parametrize("name", [*SOURCES, *SENT])
def test_nothing_is_fetched_and_no_text_becomes_markup_or_code(name: str) -> None:
    text = {**SOURCES, **SENT}[name]
    addresses = [found for found in re.findall(r"\b(?:https?|wss?)://[^\s\"'`)]*", text) if found not in NAMESPACES]
    assert addresses == []
    assert FORBIDDEN.findall(text) == []
    assert re.findall(r"\b(?:fetch|XMLHttpRequest|WebSocket|EventSource|importScripts|sendBeacon)\s*\(", text) == []


def test_the_rule_knows_what_it_forbids() -> None:
    for bad in ("el.innerHTML = x", "eval(x)", "new Function(x)", "document.write(x)", "setTimeout('x()', 1)"):
        assert FORBIDDEN.search(bad), bad
    assert not FORBIDDEN.search("make('p', {}, text); el.textContent = text; setTimeout(() => draw(), 1)")
