"""Submissions that are hostile, broken or odd, each with the state and the points that it has to end with.

They are for a course whose lessons are `source(lesson)`: the imports, the tasks, the checks. `hand_in` writes one into
such a course. A grader may get wrong none of them, and no graded notebook may show the word in `REACHED`.
"""

from __future__ import annotations

from pathlib import Path

from tests.grading.corpus.for_harm import FOR_HARM
from tests.grading.corpus.for_points import FOR_POINTS
from tests.grading.corpus.hand import DNA, PROTEIN, REACHED, ZERO, Entry, Hand, full, points, points_of, source
from tests.grading.corpus.honest import HONEST

__all__ = [
    "DNA", "ENTRIES", "FAST", "FOR_HARM", "FOR_POINTS", "HONEST", "PROTEIN", "REACHED", "ZERO", "Entry", "Hand",
    "full", "hand_in", "learner", "points", "points_of", "source",
]  # fmt: skip

ENTRIES: list[Entry] = [*FOR_POINTS, *FOR_HARM, *HONEST]

_FAST = (
    "a check that gives nan", "more in a check's cell", "overrides run_cell", "searches the memory for the answers",
    "a text with another letter each time", "functions that stop Python politely", "crashes Python",
    "looks into other processes", "writes where others read", "words that act", "cut off near its end",
    "all ids the same", "letters in other ways",
)  # fmt: skip
FAST: list[Entry] = [entry for entry in ENTRIES if entry.name in _FAST]


def learner(entry: Entry) -> str:
    """A learner's id of an entry's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in entry.name.lower())


def hand_in(entry: Entry, course: Path, canary: Path, port: int = 9) -> Path:
    """Put an entry into a course's submitted folder; that folder."""
    folder = course / "submitted" / learner(entry) / entry.lesson
    folder.mkdir(parents=True)
    entry.make(Hand(folder, entry.lesson, course, canary, port))
    return folder
