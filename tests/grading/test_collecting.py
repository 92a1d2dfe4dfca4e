"""What an LMS gives as a download comes into the course, each learner's once, and nothing leads out of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="Grading takes nbgrader (make test installs it).")

from biollm_widgets.errors import InputError
from biollm_widgets.grading.collecting import collect
from biollm_widgets.grading.course import Course

from .submissions import LESSON, ROOT

NOTEBOOK = (ROOT / "lessons" / LESSON / f"{LESSON}.ipynb").read_bytes()


@pytest.fixture
def course(tmp_path: Path) -> Course:
    folder = tmp_path / "course"
    (folder / "solutions" / LESSON).mkdir(parents=True)
    (folder / "solutions" / LESSON / f"{LESSON}.ipynb").write_bytes(
        (ROOT / "solutions" / LESSON / f"{LESSON}.ipynb").read_bytes()
    )
    return Course(folder)


def packed(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_a_download_of_canvas_is_placed_by_its_numbers_and_a_second_time_skipped(
    course: Course, tmp_path: Path
) -> None:
    names = {f"doejane_12345_67890_{LESSON}.ipynb": NOTEBOOK, f"roejohn_LATE_12346_67891_{LESSON}-1.ipynb": NOTEBOOK}
    download = packed(tmp_path / "canvas.zip", **names)
    found = collect(download, course, LESSON)
    assert len(found.placed) == 2 and "late" in found.placed[1]
    assert course.learners(LESSON) == ["12345", "12346"]
    for learner in ("12345", "12346"):
        assert (course.submitted(LESSON, learner) / f"{LESSON}.ipynb").read_bytes() == NOTEBOOK
    again = collect(download, course, LESSON)
    assert len(again.skipped) == 2 and not again.placed and not again.replaced


def test_a_newer_one_takes_the_place_of_an_older_one_which_is_kept(course: Course, tmp_path: Path) -> None:
    name = f"doejane_12345_67890_{LESSON}.ipynb"
    collect(packed(tmp_path / "first.zip", **{name: NOTEBOOK}), course, LESSON)
    found = collect(packed(tmp_path / "second.zip", **{name: NOTEBOOK + b"\n"}), course, LESSON)
    assert len(found.replaced) == 1
    assert (course.submitted(LESSON, "12345") / f"{LESSON}.ipynb").read_bytes() == NOTEBOOK + b"\n"
    assert NOTEBOOK in [path.read_bytes() for path in course.private.rglob("*.ipynb")]


def test_a_download_of_moodle_is_placed_by_name_with_its_time(course: Course, tmp_path: Path) -> None:
    name = f"Ada Lovelace_1234567_assignsubmission_file_/{LESSON}.ipynb"
    collect(packed(tmp_path / "moodle.zip", **{name: NOTEBOOK}), course, LESSON)
    (learner,) = course.learners(LESSON)
    assert learner == "Ada-Lovelace"
    assert (course.submitted(LESSON, learner) / "timestamp.txt").exists()


def test_nothing_leads_out_of_the_course(course: Course, tmp_path: Path) -> None:
    download = packed(tmp_path / "evil.zip", **{f"../../evil/{LESSON}.ipynb": NOTEBOOK, "/tmp/evil.ipynb": NOTEBOOK})
    with pytest.raises(InputError, match=r"evil\.zip holds no submission"):
        collect(download, course, LESSON)
    assert course.learners(LESSON) == [] and not (tmp_path / "evil").exists()
