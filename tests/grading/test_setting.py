"""The setting in which a course is graded: its secret, its own notebooks, and whose it is."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader", reason="Grading is nbgrader's (make test installs it).")

from biollm_widgets.errors import InputError
from biollm_widgets.grading import setting
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.limits import Limits
from biollm_widgets.grading.own import OwnNotebooks
from biollm_widgets.grading.pool import Job, Lesson, Pool
from biollm_widgets.grading.runner import Spot


def lesson(course: Course, name: str, sha: str) -> Lesson:
    return Lesson(name, None, [], sha, str(course.private / "recall" / f"{name}-{sha}"))


def test_the_secret_is_its_owners_alone_and_the_same_each_time(tmp_path: Path) -> None:
    made = setting._secret(tmp_path)
    assert len(made) == 32 and setting._secret(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_parts_that_begin_together_have_one_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_was_quicker(size: int) -> str:
        (tmp_path / "secret").write_text("the other's")
        return "mine"

    monkeypatch.setattr(secrets, "token_hex", other_was_quicker)
    assert setting._secret(tmp_path) == "the other's"


def test_what_was_kept_for_a_lesson_whose_name_begins_alike_stays(tmp_path: Path) -> None:
    course = Course(tmp_path)
    old, new, other = (
        lesson(course, "dna", "0" * 20),
        lesson(course, "dna", "1" * 20),
        lesson(course, "dna-2", "a" * 20),
    )
    for one in (old, other):
        Path(one.recall).mkdir(parents=True)
    with OwnNotebooks(course, [new, other], True, lambda words: None) as own:
        assert [job.lesson for job in own.jobs] == ["dna"]
    assert not Path(old.recall).exists() and Path(other.recall).is_dir()


def test_a_submission_that_may_never_begin_is_told_of(tmp_path: Path) -> None:
    pool: Any = Pool([], Spot("", "none", (), Limits(), ""), 0)
    job = Job("dna", "alice", str(tmp_path))
    (done,) = pool.run([job], lambda job: False)
    assert done.job == job and done.verdict is None and done.problem


def test_a_course_that_somebody_else_grades_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Course(tmp_path).private.mkdir()
    monkeypatch.setattr(os, "access", lambda *given: False)  # for root everything is open
    with pytest.raises(InputError, match=r"is closed to you: .* Grade as that person"):
        Course(tmp_path)


@pytest.mark.parametrize("name", ["R&D", "a b", "it's", "x;y", "$(x)", "50%", "a`b"])
def test_a_folder_that_a_job_script_cannot_hold_is_a_sentence(name: str) -> None:
    from biollm_widgets.slurm import plain

    assert plain("/scratch/01234/änne/kurs_2026-11.v1") == "/scratch/01234/änne/kurs_2026-11.v1"
    with pytest.raises(InputError, match="which a job script for Slurm cannot hold; choose another folder"):
        plain(f"/work/{name}")
