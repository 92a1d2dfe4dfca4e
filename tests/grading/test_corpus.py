"""The whole corpus through the grader: each entry ends in its state with its points, and nothing outside is touched.

`make test` runs those that show each kind once. `make corpus` runs all in one class of 300, the others solved.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import tempfile
import time
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
from biollm_widgets.grading.verdicts import GRADED, REFUSED
from tests.conftest import skip_or_fail

from .corpus import DNA, ENTRIES, FAST, PROTEIN, REACHED, Entry, Hand, full, hand_in, learner, source
from .kernels import why_not
from .submissions import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
LIMITS = Limits(cell=8, call=10, whole=90, memory=2 * 2**30, disk=256 * 2**20)
WHOLE = bool(os.environ.get("BIOLLM_WHOLE_CORPUS"))
CHOSEN = ENTRIES if WHOLE else FAST
# Solved notebooks of honest learners, whose names put them between the others.
SOLVED = {f"{'abcdefghijklmnopqrstuvwxyz'[n % 26]}-solved-{n:03}": (PROTEIN, DNA)[n % 2]
          for n in range(300 - len(CHOSEN) if WHOLE else 2)}  # fmt: skip


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """All entries graded in one run, beside a canary that nobody may touch and a port that nobody may reach."""
    reason = why_not("namespaces")
    if reason:
        skip_or_fail(f"Notebooks cannot be kept apart here ({reason}), and hostile ones are not run otherwise.")
    place = tmp_path_factory.mktemp("corpus")
    (place / "nbgrader_config.py").write_bytes((ROOT / "nbgrader_config.py").read_bytes())
    lessons = [PROTEIN, DNA]
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
        for name, lesson in SOLVED.items():
            folder = course.submitted(lesson, name)
            folder.mkdir(parents=True)
            hand = Hand(folder, lesson, place, Path(canary))
            hand.begin("solved")
            hand.save()
        began = time.monotonic()
        done = {one.job.learner: one for one in Batch(course, lessons).go(2, "namespaces", LIMITS, lambda words: None)}
        print(f"{len(done)} submissions of {len(lessons)} lessons in {time.monotonic() - began:.0f} s")
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


def test_everyone_who_solved_it_beside_them_has_all_points(graded: dict[str, Any]) -> None:
    for name, lesson in SOLVED.items():
        verdict = graded["done"][name].verdict
        assert verdict is not None and (verdict.state, verdict.score) == (GRADED, full(lesson)), (name, verdict)


def test_the_gradebook_has_each_once_with_the_points_of_its_verdict(graded: dict[str, Any]) -> None:
    course, done = graded["course"], graded["done"]
    with sqlite3.connect(course.folder / "gradebook.db") as book:
        found = book.execute(
            "select s.id, sum(g.auto_score) from student s join submitted_assignment sa on sa.student_id = s.id "
            "join submitted_notebook sn on sn.assignment_id = sa.id left join grade g on g.notebook_id = sn.id "
            "group by sa.id"
        ).fetchall()
    assert sorted(name for name, _ in found) == sorted(done)
    points = {name: one.verdict.score for name, one in done.items() if one.verdict.state != REFUSED}
    assert {name: score for name, score in found if name in points} == pytest.approx(points)


def test_nothing_outside_was_touched_or_reached(graded: dict[str, Any]) -> None:
    assert graded["canary"] == {"alive": "alive"}
    assert not graded["reached"]
