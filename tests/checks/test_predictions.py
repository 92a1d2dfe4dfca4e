"""A guess is kept and told beside what came out."""

from __future__ import annotations

from typing import Any

import numpy as np

import biollm_widgets as bio


def test_a_guess_is_told_beside_the_outcome_and_how_far_it_was(capsys: Any) -> None:
    bio.predict("bases a token", 5)
    bio.outcome("bases a token", np.float64(59 / 15))
    bio.predict("tokens", 8)
    bio.outcome("tokens", 2)
    bio.predict("share", 0.7)
    bio.outcome("share", 0.71)
    bio.predict("the last", "random")
    bio.outcome("the last", "3-mers")
    assert capsys.readouterr().out.splitlines() == [
        "bases a token: you say 5. Noted.",
        "bases a token: you said 5, it is 3.93.",
        "tokens: you say 8. Noted.",
        "tokens: you said 8, it is 2. That is 4.0 times too much.",
        "share: you say 0.7. Noted.",
        "share: you said 0.7, it is 0.71. Well guessed.",
        "the last: you say random. Noted.",
        "the last: you said random, it is 3-mers.",
    ]


def test_without_a_guess_the_outcome_is_told_and_nothing_stops(capsys: Any) -> None:
    bio.predict("a", ...)
    bio.outcome("a", 1234.0)
    bio.outcome("never asked", float("nan"))
    bio.outcome("nothing", None)
    out = capsys.readouterr().out
    assert "a: no guess yet. Put one in the place of ... and run this cell again" in out
    assert "a: 1,234. You made no guess." in out and "never asked: nan." in out
    assert "nothing: nothing yet. Do the task above, then run this cell again." in out
