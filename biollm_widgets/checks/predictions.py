"""What a learner expects before looking, kept until the answer is there: being wrong once is what is remembered."""

from __future__ import annotations

import math
from typing import Any

_GUESSES: dict[str, Any] = {}


def predict(name: str, guess: Any) -> None:
    """Keep a guess; there are no points for it, and none off.

    Parameters
    ----------
    name : str
        What it is about, as the lesson calls it.
    guess
        A number or a text; `...` for none yet.
    """
    if guess is ... or guess is None:
        _GUESSES.pop(name, None)
        print(f"{name}: no guess yet. Put one in the place of ... and run this cell again; a wrong one teaches most.")
        return
    _GUESSES[name] = guess
    print(f"{name}: you say {_told(guess)}. Noted.")


def outcome(name: str, found: Any) -> None:
    """Say what came out beside the guess; `...` or None, which an unwritten function gives, for nothing yet."""
    guess = _GUESSES.get(name)
    if found is ... or found is None:
        print(f"{name}: nothing yet. Do the task above, then run this cell again.")
        return
    if guess is None:
        print(f"{name}: {_told(found)}. You made no guess.")
        return
    print(f"{name}: you said {_told(guess)}, it is {_told(found)}.{_far(guess, found)}")


def _told(value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)[:80]
    if not math.isfinite(number):
        return str(value)
    return f"{number:,.0f}" if number == int(number) else f"{number:.3g}"


def _far(guess: Any, found: Any) -> str:
    """How far a guess is off, where both are numbers."""
    try:
        mine, real = float(guess), float(found)
    except (TypeError, ValueError):
        return ""
    if not (math.isfinite(mine) and math.isfinite(real)):
        return ""
    if math.isclose(mine, real, rel_tol=0.05, abs_tol=1e-9):
        return " Well guessed."
    if mine > 0 and real > 0 and max(mine, real) / min(mine, real) >= 2:
        return f" That is {max(mine, real) / min(mine, real):.1f} times {'too much' if mine > real else 'too little'}."
    return ""
