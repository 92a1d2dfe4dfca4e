"""The whole corpus through the grader: each entry ends in its state with its points, and nothing outside is touched."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest.importorskip("nbgrader", reason="Grading takes nbgrader (make test installs it).")

from biollm_widgets.grading.course import Course
from biollm_widgets.grading.grade import Batch
from biollm_widgets.grading.limits import Limits
from biollm_widgets.grading.release import release
from tests.conftest import skip_or_fail

from .corpus import DNA, ENTRIES, FAST, PROTEIN, REACHED, Entry, hand_in, learner, source
from .kernels import why_not
from .submissions import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
LIMITS = Limits(cell=8, call=10, whole=90, memory=2 * 2**30, disk=256 * 2**20)
# `make test` runs those that show each kind once; `make corpus` all of them (about seven minutes on two cores).
CHOSEN = ENTRIES if os.environ.get("BIOLLM_WHOLE_CORPUS") else FAST


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """All entries graded in one run, beside a canary that nobody may touch and a port that nobody may reach."""
    reason = why_not("namespaces")
    if reason:
        skip_or_fail(f"Notebooks cannot be kept apart here ({reason}), and hostile ones are not run otherwise.")
    place = tmp_path_factory.mktemp("corpus")
    (place / "nbgrader_config.py").write_bytes((ROOT / "nbgrader_config.py").read_bytes())
    lessons = [lesson for lesson in (PROTEIN, DNA) if any(entry.lesson == lesson for entry in CHOSEN)]
    for lesson in lessons:
        (place / "solutions" / lesson).mkdir(parents=True)
        nbformat.write(source(lesson), place / "solutions" / lesson / f"{lesson}.ipynb")
    course = Course(place)
    for lesson in lessons:
        release(course, lesson)
    with tempfile.TemporaryDirectory() as canary, socket.socket() as listening:
        (Path(canary) / "alive").write_text("alive")
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.1)
        for entry in CHOSEN:
            hand_in(entry, place, Path(canary), listening.getsockname()[1])
        done = {one.job.learner: one for one in Batch(course, lessons).go(2, "namespaces", LIMITS, lambda words: None)}
        reached = False
        try:
            listening.accept()
            reached = True
        except TimeoutError:
            pass
        found = {path.name: path.read_text() for path in Path(canary).iterdir()}
        yield {"done": done, "canary": found, "reached": reached, "course": course}


@pytest.mark.parametrize("entry", CHOSEN, ids=[learner(entry) for entry in CHOSEN])
def test_an_entry_ends_in_its_state_with_its_points(entry: Entry, graded: dict[str, Any]) -> None:
    done = graded["done"][learner(entry)]
    assert done.verdict is not None, done.problem
    verdict = done.verdict
    assert verdict.state == entry.state, verdict.summary
    if entry.score is not None:
        less = [(task.id, task.score, task.mistake, task.saw) for task in verdict.tasks if task.score != task.points]
        assert verdict.score == entry.score, less
    named = {task.id: task.mistake for task in verdict.tasks}
    assert {task: named[task] for task in entry.mistakes} == dict(entry.mistakes)
    assert REACHED not in str(
        [cell.get("outputs") for cell in nbformat.reads(done.notebook, 4).cells] if done.notebook else ""
    )


def test_nothing_outside_was_touched_or_reached(graded: dict[str, Any]) -> None:
    assert graded["canary"] == {"alive": "alive"}
    assert not graded["reached"]
