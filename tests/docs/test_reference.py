"""docs/reference is what the docstrings and the commands say, and every public name is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("griffe", reason="The reference is made by griffe (make test installs it).")

import biollm_widgets as bio
from biollm_widgets.cli import VERBS
from docs import reference

PAGES = reference.pages()


@pytest.mark.parametrize("name", sorted({*PAGES, *(path.name for path in reference.PAGES.glob("*.md"))}))
def test_a_page_is_what_the_docstrings_say(name: str) -> None:
    path = reference.PAGES / name
    assert path.is_file() and path.read_text(encoding="utf-8") == PAGES.get(name), f"{name} is stale: make docs"


def test_every_public_name_and_every_verb_is_on_one_page() -> None:
    assert sorted(name for _, _, names in reference.THEMES.values() for name in names) == sorted(bio.__all__)
    text = PAGES["commands.md"]
    assert re.findall(r"^## biollm (\w+)$", text, re.MULTILINE) == list(VERBS)
    for name in bio.__all__:
        assert f"[`{name}`](" in PAGES["README.md"]


def test_every_public_name_says_what_it_is_and_names_only_parameters_that_there_are() -> None:
    source = reference.Source()
    for name in bio.__all__:
        found = source.public(name)
        assert found.docstring and found.docstring.value.strip(), name
        function = found if found.is_function else found.members.get("__init__")
        told = reference.sections(found.docstring.value).get("Parameters", [])
        if function is None or not told:
            continue
        takes = {each.name for each in function.parameters}
        open_ended = any(each.kind.value.split()[-1] == "keyword" for each in function.parameters)
        named = {word.lstrip("*") for head, _ in reference.items(told) for word in head.split(" : ")[0].split(", ")}
        assert open_ended or named <= takes, f"{name}: {named - takes}"


def test_nothing_in_it_is_this_computers() -> None:
    for name, text in PAGES.items():
        assert str(Path.home()) not in text and str(reference.ROOT) not in text, name
        assert "<function" not in text and " at 0x" not in text, name


def test_a_docstring_is_read_as_it_is_written() -> None:
    text = """Do it.

Twice, as `a < b` and a < b say.

    code = 1 < 2

Parameters
----------
x : int
    How many.
y, z
    - one
    - two

Returns
-------
list of int, sorted
    And a sentence
    over two lines.

Raises
------
InputError
    For none.
"""
    pieces = "\n\n".join(reference.body(text))
    assert "`a < b` and a \\< b say." in pieces and "code = 1 < 2" in pieces
    assert "- `x` (int): How many.\n- `y`, `z`\n\n  - one\n  - two" in pieces
    assert "**Returns** list of int, sorted: And a sentence over two lines." in pieces
    assert pieces.endswith("**Raises**\n\n- `InputError`: For none.")
