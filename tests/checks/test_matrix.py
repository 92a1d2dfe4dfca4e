"""The mutation matrix: every check tells right answers from each wrong one that learners really give, by its name."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import torch

from biollm_widgets.checks import LESSONS, checks_of, judge

from .answers import Answers
from .dna_answers import DNA
from .protein_answers import PROTEIN
from .training_answers import TRAINING

ALL: dict[str, Answers] = {**DNA, **TRAINING, **PROTEIN}
NAMES = [name for lesson in LESSONS for name in checks_of(lesson)]
WRONG = [(name, kind) for name, answers in ALL.items() for kind in answers.wrong]


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Wrong answers that are left to luck are the same in every run; what the checks draw is not."""
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


def test_every_check_has_right_answers_and_at_least_five_named_wrong_ones() -> None:
    assert sorted(ALL) == sorted(NAMES)
    assert {name: len(answers.wrong) for name, answers in ALL.items() if len(answers.wrong) < 5} == {}
    assert [name for name, answers in ALL.items() if not answers.right] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_right_answer_gets_all_points_in_the_notebook_and_when_it_is_graded(name: str) -> None:
    for answer in ALL[name].right:
        for at_grading in (False, False, True):
            result = judge(name, answer, at_grading=at_grading)
            assert result.credit == 1.0, str(result)
            assert type(result.score) is float and result.score == result.points
            assert result.saw and not result.hint


@pytest.mark.parametrize(("name", "kind"), WRONG)
def test_a_wrong_answer_gets_less_and_the_hint_for_that_very_mistake(name: str, kind: str) -> None:
    mistake, answer = ALL[name].wrong[kind]
    for at_grading in (False, False, False, True):
        result = judge(name, answer, at_grading=at_grading)
        assert result.mistake == mistake, str(result)
        assert 0 <= result.credit < 1 and type(result.score) is float and result.score < result.points
        assert result.belief and result.hint and result.look


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_answer_gets_nothing_and_is_told_to_be_one(name: str) -> None:
    def stub(*given: Any) -> Any: ...

    def unwritten(*given: Any) -> Any:
        raise NotImplementedError

    for answer in (None, ..., stub, unwritten):
        result = judge(name, answer)
        assert result.score == 0.0
        assert result.mistake in ("nothing", "kind", "letter"), str(result)


class Awkward:
    """An object that answers nothing that one asks an answer."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __call__(self, *given: Any) -> Any:
        return self

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("ask somebody else")

    __hash__ = None  # type: ignore[assignment]


def _leaves() -> Any:
    raise SystemExit(3)


ODD: list[Any] = [
    0, -1, math.nan, math.inf, True, "", "x" * 10_000, [], [[]], {}, {"TN": "many"}, (), object(), np.zeros(0),
    np.array(["a"]), torch.zeros(2, 2, requires_grad=True), lambda: 1, lambda *given: given, lambda *given: None,
    lambda *given: math.nan, lambda *given: [], lambda *given: {}, lambda *given: "", lambda *given: object(),
    lambda *given: 1 / 0, lambda *given: _leaves(), lambda *given: (1, 2), lambda *given: np.zeros((2, 3)), Awkward(),
    lambda *given: Awkward(), int, print, judge,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_handed_in_nothing_is_raised_nothing_goes_to_stderr_and_the_points_are_a_plain_float(
    name: str, capsys: pytest.CaptureFixture
) -> None:
    import biollm_widgets as bio

    for answer in ODD:
        score = bio.check(name, answer)
        assert type(score) is float and math.isfinite(score)
        points = checks_of(name.split(".")[0])[name].points
        assert 0 <= score < points, (name, answer)
    assert 0 == bio.check(name) == bio.check(name, 1, 2, 3, 4)
    assert capsys.readouterr().err == ""
