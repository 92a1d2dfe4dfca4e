"""Grading as a job array: linted, and run as it is printed, in two parts that are put together once."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="Grading takes nbgrader (make test installs it).")

from biollm_widgets import cli
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.slurm import PARTS
from tests.conftest import skip_or_fail
from tests.jobs import Cluster, check_directives, lint

from .kernels import why_not
from .submissions import FULL, LESSON, ROOT
from .test_grading import enroll, make_course, rows


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster")
    yield made
    made.close()


def script(course: Course, parts: int, place: Path, capsys: pytest.CaptureFixture) -> Path:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.run(["grade", LESSON, "--course", str(course.folder), "--slurm", str(parts)])
    said = capsys.readouterr()
    assert end.value.code == 0, said.err
    place.write_text(said.out)
    return place


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_array_grades_in_two_parts_that_are_put_into_the_gradebook_once(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    reason = why_not("namespaces")
    if reason:
        skip_or_fail(f"Notebooks cannot be kept apart here ({reason}), so that the script's own way is not there.")
    course = make_course(tmp_path / "course")
    names = ["alice", "bob", "carol"]
    enroll(course, *names)
    file = script(course, 2, tmp_path / "grade.slurm", capsys)
    lint(file)
    text = file.read_text()
    assert check_directives(text)["array"] == "1-2"
    (tmp_path / "image.sif").touch()
    ways = {"1": {"BIOLLM_IMAGE": str(tmp_path / "image.sif")}, "2": {}}  # in a container, and on the path
    jobs = [cluster.start(file, SLURM_ARRAY_TASK_ID=number, **way) for number, way in ways.items()]
    for job in jobs:
        _, said = job.communicate(timeout=500)
        assert job.returncode == 0, said
    assert len(cluster.called("apptainer")) == 1
    assert rows(course, *names) == []  # parts write nothing into the gradebook
    [line] = re.findall(r"# When all are done: +(.*)", text)
    merging = tmp_path / "merge.sh"
    merging.write_text(line)
    for expected in ("3 submissions were put into the gradebook, 0 are", "0 submissions were put"):
        done = cluster.start(merging)
        _, said = done.communicate(timeout=300)
        assert done.returncode == 0 and expected in said, said
    assert all(sum(row[2] or 0 for row in rows(course, name)) == FULL for name in names)


@pytest.fixture
def empty(tmp_path: Path) -> Course:
    """A course of which only the lesson's name is needed."""
    place = tmp_path / "course"
    (place / "solutions" / LESSON).mkdir(parents=True)
    (place / "solutions" / LESSON / f"{LESSON}.ipynb").write_text("{}")
    shutil.copy(ROOT / "nbgrader_config.py", place)
    return Course(place)


def test_a_container_that_is_not_there_is_said_and_nothing_is_graded(
    empty: Course, cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = script(empty, 2, tmp_path / "grade.slurm", capsys)
    lint(file)
    job = cluster.start(file, SLURM_ARRAY_TASK_ID="1", BIOLLM_IMAGE="/no/such.sif")
    _, said = job.communicate(timeout=60)
    assert job.returncode == 2 and "There is no file /no/such.sif" in said
    assert not (empty.private / PARTS).exists()


def test_a_folder_that_a_job_script_cannot_name_is_a_sentence(
    empty: Course, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    empty.folder.rename(tmp_path / "50% done")
    with pytest.raises(SystemExit) as end:
        cli.run(["grade", LESSON, "--course", str(tmp_path / "50% done"), "--slurm", "2"])
    said = capsys.readouterr()
    assert end.value.code == 2 and said.out == "" and "choose another folder" in said.err
