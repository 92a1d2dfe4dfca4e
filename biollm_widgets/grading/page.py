"""The frame of the pages that grading writes, and what every text goes through before it stands in one."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from biollm_widgets.grading.course import Course

# Nothing is loaded, nothing runs, nothing is sent, whatever else the page holds.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?|\x1b.?", re.S)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


@cache
def _sheet() -> str:
    text = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"/\*.*?\*/", "", text, flags=re.S)).strip()


def document(title: str, body: str, made_of: str = "") -> str:
    """A whole page round a body of HTML: one file, no script, no address outside it.

    `title` is text; `body` is taken as it is; `made_of` is a digest of what the page was made of.
    """
    made = f'<meta name="biollm-made-of" content="{escape(made_of)}">\n' if made_of else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{made}<title>{text_of(title)}</title>\n<style>\n{_sheet()}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def made_of(path: Path) -> str:
    """The digest that a page was written with; empty where there is no such page."""
    try:
        with path.open(encoding="utf-8") as file:
            found = re.search(r'name="biollm-made-of" content="(\w+)"', file.read(1500))
    except (OSError, UnicodeDecodeError):
        return ""
    return found[1] if found else ""


def plain(text: Any) -> str:
    """Text without terminal colours, control letters and what a line's carriage returns wrote over."""
    said = str(text)
    if "\x1b" in said:
        said = _ANSI.sub("", said)
    said = said.replace("\r\n", "\n")
    if "\r" in said:
        said = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in said.split("\n"))
    return _CONTROL.sub("", said)


def text_of(text: Any) -> str:
    """Text for a page."""
    return escape(plain(text))


def number(value: float) -> str:
    """Points as people write them: 3, 2.5."""
    return f"{round(value, 2):g}" if abs(value) < 100_000 else f"{value:,.0f}"


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class Discreet:
    """Takes out of a text what is nobody's business: places on the instructor's computer, and other learners.

    Parameters
    ----------
    course : Course
    secrets : iterable of str
        Lines that no page may show.
    others : iterable of str
        Names of other learners; those that could be a common word are left alone, or every text would have holes.
    """

    def __init__(self, course: Course, secrets: Iterable[str] = (), others: Iterable[str] = ()) -> None:
        home, folder = Path.home(), course.folder
        places = {folder, Path(folder.absolute()), *_either(folder)}
        if folder.is_relative_to(home):
            places.add(Path("~") / folder.relative_to(home))
        roots = {home, *_either(home), Path(sys.prefix), Path(sys.base_prefix)} - {Path("/")}
        # The whole path within the course goes: its next part may be another learner's folder.
        inside = "|".join(re.escape(str(place)) for place in sorted(places, key=lambda one: -len(str(one))))
        outside = "|".join(re.escape(str(place)) for place in sorted(roots, key=lambda one: -len(str(one))))
        temporary = "|".join({re.escape(tempfile.gettempdir()), "/tmp", "/private/tmp", "/var/folders"})
        rest = r"(?:/[^\s'\"<>:;,)\]]*)?"
        self._rules = [
            (re.compile(rf"(?<![\w.])(?:{inside}){rest}"), "(a file of the course)"),
            (re.compile(r"\b(submitted|autograded|feedback|solutions)/[^\s'\"<>:;,)\]]+"), "(a file of the course)"),
            (re.compile(rf"(?<![\w./])(?:{outside})(?=/|\b|$)"), "…"),
            (re.compile(rf"(?<![\w./])(?:{temporary})/[^\s'\"<>:;,)\]]*/"), "…/"),
            (re.compile(r"(?<![\w.])/(?:home|Users)/[^\s/'\"<>:;,)\]]+"), "…"),
        ]
        names = [name for name in others if len(name) >= 4 and not re.fullmatch(r"[a-z]+|[A-Z]?[a-z]{,4}", name)]
        if names:
            anyone = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
            self._rules.append((re.compile(rf"(?<!\w)(?:{anyone})(?!\w)"), "(another learner)"))
        self._secrets = sorted({line.strip() for line in secrets if len(line.strip()) >= 6}, key=len, reverse=True)

    def __call__(self, text: Any) -> str:
        said = plain(text)
        for pattern, instead in self._rules:
            said = pattern.sub(instead, said)
        for line in self._secrets:
            if line in said:
                said = said.replace(line, "…")
        return said


def _either(path: Path) -> set[Path]:
    try:
        return {path.resolve()}
    except OSError:
        return set()
