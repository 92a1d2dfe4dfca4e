"""How a check is written, run and told: it looks at an answer and says which mistake it is, if it is one.

A check is a function that is given a `Case` and the answers. It calls what the learner wrote with inputs made on the
spot, compares, and ends at the first mistake that it knows by name. Whatever happens, whoever asked gets a `Result`:
nothing is raised, and nothing goes to stderr, which nbgrader would take for a failure.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import math
import textwrap
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Optional

import numpy as np

ROUNDS = 4, 12  # inputs that a function is called with: in the notebook, and when it is graded
WIDTH = 100  # letters of a line


class Mistake(NamedTuple):
    """One way to be wrong.

    Attributes
    ----------
    belief : str
        What somebody who does this takes to be so, as a sentence.
    hint : str
        One step on, as a sentence; not the solution.
    credit : float
        Of the points, 0 to 1: for an answer that has understood most of it.
    """

    belief: str
    hint: str
    credit: float = 0.0


COMMON = {
    "nothing": Mistake("There is no answer here yet.", "Write it in the cell above, run that cell, then this one."),
    "empty": Mistake(
        "What comes out is empty, so there is nothing to look at.",
        "Call it by hand in a new cell, with an input as small as can be, and see where all of it gets lost.",
    ),
    "raises": Mistake(
        "The code stops before it has an answer.",
        "Call it by hand in a new cell, with an input as small as can be, and read the last line of the error.",
    ),
    "kind": Mistake(
        "The answer is of another kind than the one asked for.",
        "Compare what type(...) says of it with what the task asks for.",
    ),
    "other": Mistake(
        "The result is another one, in no way that is known by name.",
        "Work one small case out by hand and compare it with what your code gives.",
    ),
}


class Check(NamedTuple):
    """A check by its name.

    Attributes
    ----------
    name : str
        As in "dna.pooling".
    points : int
    asks : tuple of str
        What each answer has to be, to follow "needs".
    look : str
        Where the lesson speaks of it.
    mistakes : mapping
        Those that it knows by name; `COMMON` ones go without saying.
    judge : callable
        `judge(case, *answers)`.
    rounds : tuple of int
        Inputs that a function is called with, in the notebook and when it is graded; (0, 0) for an answer that is none.
    """

    name: str
    points: int
    asks: tuple[str, ...]
    look: str
    mistakes: Mapping[str, Mistake]
    judge: Callable[..., None]
    rounds: tuple[int, int]


@dataclass(frozen=True)
class Result:
    """What a check found.

    Attributes
    ----------
    name : str
    points : int
        At most.
    credit : float
        Of them, 0 to 1.
    saw : tuple of str
        What it saw, as sentences.
    mistake : str
        The name of the mistake; empty for none.
    belief, hint, look : str
    tried, more : int
        Inputs that a function was called with, and how many more there are when it is graded.
    """

    name: str
    points: int
    credit: float
    saw: tuple[str, ...] = ()
    mistake: str = ""
    belief: str = ""
    hint: str = ""
    look: str = ""
    tried: int = 0
    more: int = 0

    @property
    def score(self) -> float:
        """Points, a plain float: nbgrader gives full credit for anything else."""
        return round(float(self.points * self.credit), 2)

    def __str__(self) -> str:
        score = f"{self.score:g} of {self.points} point{'s' * (self.points != 1)}"
        lines = [f"{'✓' if self.credit == 1 else '✗'} {self.name}: {score}."]
        parts = [("Saw", words) for words in self.saw]
        parts += [("Likely", self.belief), ("Hint", self.hint), ("Look at", self.look)]
        for label, words in parts:
            if words:
                lines += textwrap.wrap(f"{label}: {words}", WIDTH, initial_indent="  ", subsequent_indent="    ")
        if self.tried:
            more = f"{self.more} more when it is graded" if self.more else "no more when it is graded"
            lines.append(f"  Tried with {self.tried} inputs; {more}.")
        return "\n".join(lines)


class Found(Exception):
    """A mistake was found, and that ends the check."""

    def __init__(self, key: str, saw: str) -> None:
        super().__init__(key)
        self.key, self.saw = key, saw


class Case:
    """What a check works with.

    Attributes
    ----------
    rng : numpy Generator
        For inputs; another one each time in a notebook, the same one each time when it is graded.
    rounds : int
        How many inputs to call a function with.
    """

    def __init__(self, rng: np.random.Generator, rounds: int) -> None:
        self.rng, self.rounds = rng, rounds
        self.saw: list[str] = []

    def say(self, words: str) -> None:
        """Something that was seen and is right."""
        self.saw.append(words)

    def mistake(self, key: str, saw: str = "") -> NoReturn:
        """End with this one."""
        raise Found(key, saw)

    def need(self, holds: Any, key: str, saw: str = "") -> None:
        """End with this mistake unless it holds."""
        if not holds:
            raise Found(key, saw)

    def call(self, function: Any, *given: Any) -> Any:
        """What the learner's function gives for copies of these inputs."""
        if not callable(function):
            raise Found("kind", f"The answer is {told(function)}, which cannot be called: hand in the function itself.")
        try:
            got = function(*copy.deepcopy(given))
        except NotImplementedError:
            raise Found("nothing", f"{_name(function)} is not written yet.") from None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            said = " ".join(str(error).split())[:200]
            shown = f"{_name(function)} stopped with {type(error).__name__}{': ' + said if said else ''}."
            raise Found("raises", shown) from None
        if got is None or got is ...:
            raise Found("nothing", f"{_name(function)} returns {'None' if got is None else '...'}.")
        if _empty(got):
            raise Found("empty", f"{_name(function)} returns {told(got)}.")
        return got

    def match(
        self, got: Any, truth: Any, variants: Mapping[str, Any], same: Callable[[Any, Any], bool], saw: str
    ) -> None:
        """End with the first of the variants that this is, or as "other", unless it is the truth."""
        if same(got, truth):
            return
        for key, variant in variants.items():
            if variant is not None and same(got, variant) and not same(truth, variant):
                raise Found(key, saw)
        raise Found("other", saw)

    # Readers: what was handed in, as what a check can compare. Each ends with "kind" where it is something else.

    def number(self, value: Any, what: str = "The answer") -> float:
        """A number, be it of Python, numpy or torch."""
        value = _bare(value)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(()).item()
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise Found("kind", f"{what} is {told(value)}, not a number.")
        if not math.isfinite(value):
            raise Found("other", f"{what} is {value}.")
        return float(value)

    def array(self, value: Any, what: str = "The answer") -> np.ndarray:
        """Numbers in rows and columns, float64."""
        try:
            found = np.asarray(_bare(value), dtype=np.float64)
        except (TypeError, ValueError):
            raise Found("kind", f"{what} is {told(value)}, not an array of numbers.") from None
        return found

    def text(self, value: Any, what: str = "The answer") -> str:
        if not isinstance(value, str):
            raise Found("kind", f"{what} is {told(value)}, not a text.")
        return value


def _bare(value: Any) -> Any:
    """A tensor as an array; anything else as it is."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        return value.detach().cpu().numpy()
    return value


def _empty(value: Any) -> bool:
    """Whether something that holds things holds none: no part of a task is solved by that."""
    if isinstance(value, (str, bytes, list, tuple, dict, set, frozenset)):
        return len(value) == 0
    shape = getattr(value, "shape", ())  # of an array, a tensor, a table
    return isinstance(shape, tuple) and 0 in shape


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", "") or "The function")


def told(value: Any) -> str:
    """What something is, for a sentence: "a list of 3", "the text 'abc'"."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, (bool, int, float)):
        return repr(value)
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    if isinstance(shape, tuple) or type(shape).__name__ == "Size":
        return f"a {kind} of shape {tuple(shape)}"  # type: ignore[arg-type]
    try:
        return f"a {kind} of {len(value)}"
    except TypeError:
        return f"a {kind}"


def close(got: Any, truth: Any) -> bool:
    """Whether numbers are the same but for rounding."""
    got, truth = np.asarray(got), np.asarray(truth)
    return got.shape == truth.shape and bool(np.allclose(got, truth, rtol=1e-4, atol=1e-6))


def among(got: Any, *values: Any) -> Any:
    """The one of several values that this is, or None: a mistake can be made in more than one way."""
    return next((value for value in values if close(got, value)), None)


def apart(*values: Any) -> bool:
    """Whether no two of these are the same: an input that tells the mistakes from each other."""
    return not any(close(one, other) for i, one in enumerate(values) for other in values[:i])


def check_of(
    name: str,
    points: int,
    asks: str | tuple[str, ...],
    look: str,
    mistakes: Mapping[str, Mistake],
    rounds: tuple[int, int] = ROUNDS,
) -> Callable[[Callable[..., None]], Check]:
    """Make a `Check` of a judging function, as a decorator."""
    return lambda judge: Check(name, points, (asks,) if isinstance(asks, str) else asks, look, mistakes, judge, rounds)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing to stderr: no warnings, no logs, no progress bars."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def run(check: Check, answers: tuple[Any, ...], at_grading: bool = False, seed: Optional[int] = None) -> Result:
    """Look at the answers. Raises nothing but KeyboardInterrupt."""
    tried, graded = check.rounds
    rounds = graded if at_grading else tried
    if seed is None and at_grading:
        seed = zlib.crc32(check.name.encode())  # whoever is graded twice gets the same
    case = Case(np.random.default_rng(seed), rounds)
    try:
        with _quiet():
            if len(answers) != len(check.asks):
                raise Found("kind", f"{len(answers)} answers were handed in; it needs {' and '.join(check.asks)}.")
            for answer, asked in zip(answers, check.asks, strict=True):
                if answer is None or answer is ...:
                    raise Found("nothing", f"It needs {asked}.")
            check.judge(case, *answers)
    except Found as found:
        mistake = check.mistakes.get(found.key) or COMMON[found.key]
        saw = (*case.saw, found.saw) if found.saw else tuple(case.saw)
        return Result(
            check.name, check.points, mistake.credit, saw, found.key, mistake.belief, mistake.hint, check.look
        )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an answer that nobody thought of
        said = " ".join(str(error).split())[:200]
        saw = (
            *case.saw,
            f"It could not be read ({type(error).__name__}: {said}); it needs {' and '.join(check.asks)}.",
        )
        kind = COMMON["kind"]
        return Result(check.name, check.points, 0.0, saw, "kind", kind.belief, kind.hint, check.look)
    return Result(check.name, check.points, 1.0, tuple(case.saw), tried=rounds, more=graded - rounds)
