"""A check comes to the same verdict whether the answer is beside it or in another process, at the end of a wire."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from biollm_widgets.checks import LESSONS, checks_of, judge
from biollm_widgets.grading.inside import _Served
from biollm_widgets.grading.remote import Gone, Remote, TooLong
from tests.checks.test_matrix import ALL, ODD, WRONG

NAMES = [name for lesson in LESSONS for name in checks_of(lesson)]


@contextmanager
def handed_in(answer: Any, seconds: float = 60) -> Iterator[Remote]:
    """An answer in a learner's names, and the grader's end of the wire to it."""
    ours, theirs = socket.socketpair()
    served = _Served(theirs, {"answer": answer})
    thread = threading.Thread(target=lambda: _quietly(served), daemon=True)
    thread.start()
    remote = Remote(ours, seconds, lambda: None, lambda: not thread.is_alive())
    try:
        remote.begin()
        yield remote
        remote.done()
    finally:
        thread.join(5)
        ours.close()
        theirs.close()


def _quietly(served: _Served) -> None:
    try:
        served.run()
    except Exception:
        return


def judged(name: str, answer: Any) -> Any:
    with handed_in(answer) as remote:
        return judge(name, *remote.take(("answer",)))


@pytest.fixture(autouse=True)
def seeded() -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_right_answer_gets_all_points_from_afar(name: str) -> None:
    for answer in ALL[name].right:
        result = judged(name, answer)
        assert result.credit == 1.0, str(result)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), WRONG)
def test_a_wrong_answer_is_the_same_mistake_from_afar(name: str, kind: str) -> None:
    mistake, answer = ALL[name].wrong[kind]
    result = judged(name, answer)
    assert result.mistake == mistake, str(result)
    assert 0 <= result.credit < 1


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_handed_in_from_afar_gets_no_full_points_and_raises_nothing(name: str) -> None:
    for answer in ODD:
        assert judged(name, answer).credit < 1, (name, answer)


def test_a_name_that_the_notebook_never_made_is_no_answer() -> None:
    with handed_in(1) as remote:
        assert remote.take(("other",)) == [None]
        assert judge("dna.clean", *remote.take(("other",))).mistake == "nothing"


def test_a_function_that_does_not_end_is_told_so_and_the_process_is_given_up() -> None:
    stop = threading.Event()
    with handed_in(lambda: stop.wait(30), seconds=0.5) as remote:
        (function,) = remote.take(("answer",))
        import biollm_widgets.grading.remote as module

        before, module.GRACE = module.GRACE, 0.3
        try:
            with pytest.raises(TooLong, match=r"longer than 0\.5 s"):
                function()
            assert not remote.usable
            with pytest.raises(Gone):
                function()
        finally:
            module.GRACE = before
            stop.set()


def test_an_error_keeps_its_name_and_its_words() -> None:
    def broken(text: str) -> str:
        raise KeyError("lacZ")

    result = judged("dna.clean", broken)
    assert result.mistake == "raises" and "KeyError: 'lacZ'" in " ".join(result.saw)


def test_files_of_a_function_come_into_the_graders_folder_and_nowhere_else(tmp_path: Any) -> None:
    def write(frame: Any, folder: Any, seed: int) -> None:
        (folder / "train.csv").write_text("x")
        (folder / "out").symlink_to("/etc/passwd")
        (folder / "more").mkdir()
        (folder / "more" / "a").write_text("y")

    with handed_in(write) as remote:
        (function,) = remote.take(("answer",))
        assert function(None, tmp_path, 1) is None
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


@pytest.mark.parametrize(
    "said",
    [
        ["value", 1.0],  # without what was changed
        ["value", 1.0, {"networks": {0: [1]}, "files": {}, "changed": []}],
        ["value", 1.0, {"networks": {}, "files": {0: [["../escaped", np.zeros(2, dtype=np.uint8)]]}, "changed": []}],
        ["value", 1.0, {"networks": {}, "files": {0: [["/tmp/escaped", np.zeros(2, dtype=np.uint8)]]}, "changed": []}],
        ["pass", 0, None, None, True, True],
        ["pass", 7],
        ["back", 0, 1, None, None, True],
        "value",
        [],
        {"value": 1},
    ],
)
def test_a_forged_answer_ends_the_talk(said: Any, tmp_path: Any) -> None:
    from biollm_widgets.grading.wire import Wire

    ours, theirs = socket.socketpair()
    wire = Wire(theirs)
    wire.send(["here"])
    remote = Remote(ours, 5, lambda: None, lambda: False)
    remote.begin()
    wire.send(said)
    with pytest.raises(Gone):
        remote.call(0, (tmp_path / "inner",))
    assert not remote.usable
    assert list(tmp_path.iterdir()) == []
