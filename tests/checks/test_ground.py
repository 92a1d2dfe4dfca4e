"""What is told of a check's result, and what a check leaves as it was."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import biollm_widgets as bio
from biollm_widgets.checks import find, judge
from biollm_widgets.errors import InputError

from .dna_answers import DNA


def test_a_result_says_the_points_what_was_seen_the_belief_one_hint_and_where_to_look(capsys: Any) -> None:
    assert bio.check("dna.pooling", lambda hidden, mask: hidden.mean(1)) == 0.75
    said = capsys.readouterr().out
    lines = [line.strip() for line in said.splitlines()]
    assert lines[0] == "✗ dna.pooling: 0.75 of 3 points."
    labels = [line.split(":")[0].strip() for line in said.splitlines()[1:] if line.startswith("  ") and line[2] != " "]
    assert labels == ["Saw", "Likely", "Hint", "Look at"]
    assert "The mean is taken over the padding too" in said and "unit 5" in said
    assert max(map(len, said.splitlines())) <= 100


def test_a_full_result_says_how_many_more_inputs_there_are_when_it_is_graded(capsys: Any) -> None:
    assert bio.check("dna.pooling", DNA["dna.pooling"].right[0]) == 3.0
    said = capsys.readouterr().out
    assert said.startswith("✓ dna.pooling: 3 of 3 points.") and "Tried with 4 inputs; 8 more when it is graded." in said
    assert bio.check("dna.better_by", 1) == 1.0
    said = capsys.readouterr().out
    assert said.startswith("✓ dna.better_by: 1 of 1 point.") and "more" not in said


def test_a_check_that_there_is_not_is_a_sentence_with_the_one_that_was_meant(capsys: Any) -> None:
    assert bio.check("dna.poolin", 1) == 0.0
    assert capsys.readouterr().out == "✗ There is no check 'dna.poolin'; did you mean dna.pooling?\n"
    with pytest.raises(InputError, match="There is no check 'x'; there are dna"):
        find("x")


def test_graded_twice_it_is_called_with_the_same_inputs_and_in_a_notebook_with_others() -> None:
    seen: list[str] = []

    def note(text: str) -> str:
        seen.append(text)
        return "".join(text.split()).upper().replace("U", "T")

    for at_grading in (True, True, False, False):
        judge("dna.clean", note, at_grading=at_grading)
    first, second, third, fourth = seen[:12], seen[12:24], seen[24:28], seen[28:]
    assert first == second and len(set(third) & set(first)) == 0 and set(third) != set(fourth)


def test_what_the_code_writes_to_stderr_and_warns_of_stays_away_and_its_prints_stay(capsys: Any) -> None:
    def loud(text: str) -> str:
        print("I was here")
        print("error", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        logging.getLogger("transformers").error("a log")
        return "".join(text.split()).upper().replace("U", "T")

    assert bio.check("dna.clean", loud) == 2.0
    out, err = capsys.readouterr()
    assert err == "" and out.count("I was here") == 4
    assert logging.root.manager.disable == 0


def test_an_interrupt_goes_through() -> None:
    def interrupted(text: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge("dna.clean", interrupted)


def test_code_that_stops_is_told_with_its_error_and_no_traceback(capsys: Any) -> None:
    assert bio.check("dna.clean", lambda text: text.uper()) == 0.0
    said = capsys.readouterr().out
    assert "<lambda> stopped with AttributeError: 'str' object has no attribute 'uper'." in " ".join(said.split())
    assert "Traceback" not in said


def test_functions_get_copies_so_that_what_they_do_to_them_harms_no_later_input() -> None:
    def pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden *= mask[:, :, None]
        return hidden.sum(1) / mask.sum(1, keepdim=True)

    assert judge("dna.pooling", pool).credit == 1.0


def test_checks_are_found_without_torch() -> None:
    import subprocess

    code = "import sys; from biollm_widgets.checks import find; find('dna.clean'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_numbers_of_all_kinds_are_numbers() -> None:
    for one in (1, 1.0, np.int64(1), np.float32(1), torch.tensor(1), torch.tensor([1.0]), np.array([[1]])):
        assert judge("dna.better_by", one).credit == 1.0
