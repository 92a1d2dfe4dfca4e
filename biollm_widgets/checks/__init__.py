"""The learner's checks: the same in the notebook and for the grade.

    bio.check("dna.pooling", pool)

prints what it saw, the likely misconception, one hint and where to look, and returns the points as a float.
"""

from __future__ import annotations

import difflib
import os
from importlib import import_module
from typing import Any, Optional

from biollm_widgets.checks import records
from biollm_widgets.checks.ground import Check, Result, run
from biollm_widgets.errors import InputError

LESSONS = {"dna": "biollm_widgets.checks.dna", "protein": "biollm_widgets.checks.protein"}


def checks_of(lesson: str) -> dict[str, Check]:
    """All checks of a lesson by their names, in its order.

    Raises
    ------
    InputError
        For a lesson that there is not.
    """
    if lesson not in LESSONS:
        raise InputError(f"There is no lesson {lesson!r}; there are {', '.join(LESSONS)}.")
    return {check.name: check for check in import_module(LESSONS[lesson]).CHECKS}


def find(name: str) -> Check:
    """A check by its name.

    Raises
    ------
    InputError
        For one that there is not, with the one that was likely meant.
    """
    name = str(name)
    lesson = name.partition(".")[0]
    known = checks_of(lesson) if lesson in LESSONS else {}
    if name in known:
        return known[name]
    names = [one for each in LESSONS for one in checks_of(each)]
    near = difflib.get_close_matches(name, names, 1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}."
    raise InputError(f"There is no check {name[:60]!r}; {meant}")


def judge(name: str, *answers: Any, at_grading: bool = False) -> Result:
    """What a check finds, without a word; raises InputError for a check that there is not."""
    return run(find(name), answers, at_grading)


def check(name: str, *answers: Any, at_grading: Optional[bool] = None) -> float:
    """Look at an answer, say what was seen, and give the points.

    Parameters
    ----------
    name : str
        As in "dna.pooling".
    answers
        What the task asks for: a function (not called: `pool`, not `pool(x)`), a table, a number, a letter.
    at_grading : bool
        Call functions with more inputs, the same ones each time; unless said, while nbgrader grades the notebook.

    Returns
    -------
    float
        0 to the points of the check. Nothing is raised, and nothing is written to stderr.
    """
    if at_grading is None:
        at_grading = os.environ.get("NBGRADER_EXECUTION") == "autograde"
    try:
        result = judge(name, *answers, at_grading=at_grading)
    except InputError as error:
        print(f"✗ {error}")
        return 0.0
    print(result)
    records.note(result)
    return result.score
