"""The static twin is HTML that a cleaner leaves alone, says everything the picture says in words, and is only words."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from biollm_widgets.widgets.picture import Picture
from biollm_widgets.widgets.twin import SAVED, Table, page, twin

HOSTILE = "\"></div></style><script>alert(1)</script>&'<img src=x onerror=alert(1)>"
# What JupyterLab's cleaner keeps (sanitizer.ts of its apputils 4.6), of which a twin needs no more.
KEPT_TAGS = {"div", "b", "img", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
KEPT_ATTRIBUTES = {"class", "style", "src", "alt", "width", "height"}


class Reader(HTMLParser):
    """Tags with attributes, the text of each cell, and whether every tag is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def picture() -> Picture:
    drawn = Picture(300, 40, "A title")
    drawn.text(10, 20, "ACGT")
    return drawn


def whole(words: str = "Some words") -> str:
    return twin(
        words,
        picture(),
        words,
        tables=[Table(["tokenizer", words, "bases each"], [[words, 12345, 3.93333], ["6-mer", None, "1.1"]])],
        notes=[words, "Another."],
        details=[("Settings", words), ("Both", [Table(["a"], [[1]]), words])],
        class_name="biollm-twin-1",
    )


def test_only_what_a_cleaner_keeps_is_used_and_every_tag_is_closed() -> None:
    read = Reader(whole())
    assert read.open == []
    assert {tag for tag, _ in read.tags} == KEPT_TAGS
    assert {name for _, attributes in read.tags for name in attributes} == KEPT_ATTRIBUTES
    assert read.tags[0][1]["class"] == "biollm-twin-1"


def test_text_and_ground_are_dropped_together_or_kept_together() -> None:
    # A cleaner drops light-dark(); a colour that it kept would meet the page's own, in a theme that is not known.
    for _, attributes in Reader(whole()).tags:
        style = attributes.get("style", "")
        for value in re.findall(r"(?:^|;)(?:background|color):([^;]+)", style):
            assert value.startswith("light-dark("), style
        assert "var(" not in style and "url(" not in style


def test_what_people_write_stays_words() -> None:
    hostile = Reader(whole(HOSTILE))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in Reader(whole()).tags]
    assert hostile.words.count(HOSTILE) == 6  # title, header, cell, note and two details
    assert next(attributes["alt"] for tag, attributes in hostile.tags if tag == "img") == HOSTILE
    document = page(hostile.get_starttag_text() or "", HOSTILE)
    assert "<script" not in document


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    html = whole()
    sides = re.findall(r"<td style=\"[^\"]*text-align:(\w+)[^\"]*\">([^<]*)<", html)
    assert sides == [
        ("left", "Some words"), ("right", "12,345"), ("right", "3.933"),
        ("left", "6-mer"), ("right", ""), ("right", "1.1"), ("right", "1"),
    ]  # fmt: skip


@pytest.mark.parametrize("cells", [["54 tokens · 1.1 bases each"], ["12", "yes"], ["A"]])
def test_a_column_with_words_stands_to_the_left(cells: list[str]) -> None:
    assert "text-align:right" not in twin("x", tables=[Table(["a"], [[cell] for cell in cells])])


def test_the_picture_is_within_the_page_and_told_in_words() -> None:
    [image] = [attributes for tag, attributes in Reader(whole()).tags if tag == "img"]
    assert image["src"] == picture().to_data_uri()
    assert (image["width"], image["height"], image["alt"]) == ("300", "40", "Some words")
    [named] = [attributes for tag, attributes in Reader(twin("59 bases", picture())).tags if tag == "img"]
    assert named["alt"] == "A title"


def test_a_saved_picture_says_so_and_an_exported_one_does_not() -> None:
    assert SAVED in twin("x")
    assert SAVED not in twin("x", saved=False)
    assert "<img" not in twin("x")


def test_a_page_stands_alone() -> None:
    document = page(twin("x", picture()), "A & B")
    read = Reader(document.replace("<!DOCTYPE html>", ""))
    assert document.startswith("<!DOCTYPE html>") and read.open == []
    assert ("meta", {"charset": "utf-8"}) in read.tags
    assert ("meta", {"name": "color-scheme", "content": "light dark"}) in read.tags
    assert "A & B" in read.words
    assert not re.search(r"https?:|<link|<script|@import", document)
