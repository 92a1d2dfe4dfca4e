"""Checks of a choice: one letter, and for each wrong one what whoever takes it believes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from biollm_widgets.checks.ground import Case, Check, Mistake


def choice(name: str, look: str, right: str, wrong: Mapping[str, Mistake], why: str, points: int = 1) -> Check:
    """A question with lettered answers.

    Parameters
    ----------
    right : str
        The letter that is right.
    wrong : mapping of str to Mistake
        For each of the other letters what it shows.
    why : str
        Why the right one is right, as a sentence.
    """
    letters = sorted([right, *wrong])
    mistakes = {
        **wrong,
        "letter": Mistake(
            "The answer is not one of the letters.", f'Give one letter as a text, as in answer = "{letters[0]}".'
        ),
    }

    def judge(case: Case, answer: Any) -> None:
        text = case.text(answer).strip().strip(".)(").upper()
        if text not in letters:
            case.mistake("letter", f"{answer[:40]!r} is none of {', '.join(letters)}.")
        if text != right:
            case.mistake(text)
        case.say(why)

    return Check(name, points, (f"one of the letters {letters[0]} to {letters[-1]}",), look, mistakes, judge, (0, 0))
