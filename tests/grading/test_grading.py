"""A class is graded: what is broken, hostile or odd ends in the right state with its points, the others untouched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest.importorskip("nbgrader", reason="Grading takes nbgrader (make test installs it).")

from biollm_widgets.errors import InputError
from biollm_widgets.grading import gradebook, setting
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.grade import Batch, merge, save_part
from biollm_widgets.grading.limits import Limits
from biollm_widgets.grading.release import release
from biollm_widgets.grading.verdicts import REFUSED
from tests.conftest import skip_or_fail

from .kernels import why_not
from .submissions import ENTRIES, FULL, LESSON, ROOT, Entry, hand_in, lean_source, learner, solved

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

QUICK = Limits(cell=8, call=10, whole=90, memory=2 * 2**30, disk=256 * 2**20)


def make_course(place: Path) -> Course:
    """A course with the short form of a lesson, released."""
    (place / "solutions" / LESSON).mkdir(parents=True)
    shutil.copy(ROOT / "nbgrader_config.py", place)
    nbformat.write(lean_source(), place / "solutions" / LESSON / f"{LESSON}.ipynb")
    course = Course(place)
    release(course, LESSON)
    return course


def enroll(course: Course, *names: str) -> None:
    """Solved notebooks of learners."""
    for name in names:
        course.submitted(LESSON, name).mkdir(parents=True)
        nbformat.write(solved(), course.submitted(LESSON, name) / f"{LESSON}.ipynb")


def go(course: Course, workers: int = 2, **given: Any) -> list[Any]:
    way = "none" if why_not("namespaces") else "namespaces"
    return list(Batch(course, [LESSON], **given).go(workers, way, QUICK, lambda words: None))


def rows(course: Course, *names: str) -> list[Any]:
    """All that the gradebook has of learners, by content."""
    with sqlite3.connect(course.folder / "gradebook.db") as book:
        return book.execute(
            "select s.id, bc.name, g.auto_score, g.manual_score, g.extra_credit, g.needs_manual_grade from grade g "
            "join submitted_notebook sn on g.notebook_id = sn.id "
            "join submitted_assignment sa on sn.assignment_id = sa.id join student s on sa.student_id = s.id "
            "join grade_cells gc on g.cell_id = gc.id join base_cell bc "
            f"on gc.id = bc.id where s.id in ({','.join('?' * len(names))}) order by s.id, bc.name",
            names,
        ).fetchall()


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    reason = why_not("namespaces")
    if reason:
        skip_or_fail(f"Notebooks cannot be kept apart here ({reason}), and hostile ones are not run otherwise.")
    return make_course(tmp_path_factory.mktemp("class"))


@pytest.fixture(scope="module")
def class_(course: Course) -> Iterator[dict[str, Any]]:
    """All submissions graded in one run, beside two who were graded before."""
    enroll(course, "alice", "bob")
    go(course)
    before = rows(course, "alice", "bob")
    secret = (course.private / "secret").read_bytes()
    for entry in ENTRIES:
        hand_in(entry, course.folder)
    sources = {path: path.read_bytes() for path in course.folder.glob("solutions/*/*.ipynb")}
    done = go(course)
    yield {"before": before, "done": {one.job.learner: one for one in done}, "sources": sources, "secret": secret}


@pytest.mark.parametrize("entry", ENTRIES, ids=[learner(entry) for entry in ENTRIES])
def test_a_submission_ends_in_its_state_with_its_points(entry: Entry, course: Course, class_: dict[str, Any]) -> None:
    done = class_["done"][learner(entry)]
    assert done.verdict is not None, done.problem
    verdict = course.verdict(LESSON, learner(entry))
    assert verdict == done.verdict
    assert (verdict.state, verdict.score) == (entry.state, entry.score), verdict.summary
    in_book = rows(course, learner(entry))
    checks = {cell.id for cell in course.graded(LESSON) if cell.check}
    given = [score for _, name, score, *_ in in_book if name in checks]
    if entry.state == REFUSED:
        assert set(given) == {None} and verdict.why and verdict.ask
        assert all(needs for *_, needs in in_book)  # the formgrader asks a person to look
    else:
        assert sum(given) == entry.score and len(given) == len(checks)


def test_those_graded_before_have_what_they_had(course: Course, class_: dict[str, Any]) -> None:
    assert rows(course, "alice", "bob") == class_["before"]
    assert {path: path.read_bytes() for path in class_["sources"]} == class_["sources"]
    assert (course.private / "secret").read_bytes() == class_["secret"]


def test_whoever_hands_in_last_still_gets_everything_and_nothing_was_poisoned(
    course: Course, class_: dict[str, Any]
) -> None:
    enroll(course, "zoe")
    (done,) = go(course, learners=["zoe"])
    assert done.verdict.score == FULL and not done.verdict.repairs


def test_a_second_run_has_nothing_to_do(course: Course, class_: dict[str, Any]) -> None:
    assert Batch(course, [LESSON]).jobs == []


def test_nothing_active_is_kept_of_what_a_notebook_showed(course: Course, class_: dict[str, Any]) -> None:
    text = (course.autograded(LESSON, "a-page-that-acts") / f"{LESSON}.ipynb").read_text()
    cells = json.loads(text)["cells"]
    shown = json.dumps([cell.get("outputs") for cell in cells])
    assert "<script" not in shown and "onerror" not in shown and "iframe" not in shown and "javascript" not in shown


def test_the_notebook_for_the_formgrader_shows_what_the_checks_said(course: Course, class_: dict[str, Any]) -> None:
    notebook = nbformat.read(course.autograded(LESSON, "alice") / f"{LESSON}.ipynb", as_version=4)
    nbformat.validate(notebook)
    (cell,) = [one for one in notebook.cells if one.metadata.get("nbgrader", {}).get("grade_id") == "residues-check"]
    assert "✓ protein.residues: 2 of 2 points" in cell.outputs[0].text
    assert cell.outputs[1].data["text/plain"] == "2.0"


def test_a_comment_says_what_was_mended_and_that_nothing_was_written(course: Course, class_: dict[str, Any]) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(course.nbgrader.db_url) as book:
        mended = book.find_submission_notebook(LESSON, LESSON, learner(_named("check cells deleted")))
        assert any("repairs" in (one.auto_comment or "") for one in mended.comments)
        refused = book.find_submission_notebook(LESSON, LESSON, learner(_named("an empty file")))
        assert any("Not gradable" in (one.auto_comment or "") for one in refused.comments)
        blank = book.find_submission_notebook(LESSON, LESSON, "an-untouched-lesson")
        assert {one.auto_comment for one in blank.comments} == {"No response."}


def _named(name: str) -> Entry:
    return next(entry for entry in ENTRIES if entry.name == name)


# The course's own life.


@pytest.fixture
def small(tmp_path: Path) -> Course:
    return make_course(tmp_path / "course")


def test_marks_of_a_person_stay_when_a_submission_is_graded_again(small: Course) -> None:
    from nbgrader.api import Gradebook

    enroll(small, "alice")
    go(small)
    with Gradebook(small.nbgrader.db_url) as book:
        grade_ = book.find_grade("natural-like", LESSON, LESSON, "alice")
        grade_.manual_score, grade_.needs_manual_grade = 1.5, False
        book.find_comment("natural-like", LESSON, LESSON, "alice").manual_comment = "A good control."
        book.db.commit()
    go(small, force=True)
    with Gradebook(small.nbgrader.db_url) as book:
        grade_ = book.find_grade("natural-like", LESSON, LESSON, "alice")
        assert grade_.manual_score == 1.5 and grade_.score == 1.5
        assert book.find_comment("natural-like", LESSON, LESSON, "alice").manual_comment == "A good control."


def test_only_what_has_changed_is_graded_again(small: Course) -> None:
    enroll(small, "alice", "bob")
    assert {one.job.learner for one in go(small)} == {"alice", "bob"}
    notebook = solved()
    next(
        c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "decoder"
    ).source = 'decoder = "A"'
    nbformat.write(notebook, small.submitted(LESSON, "bob") / f"{LESSON}.ipynb")
    (again,) = go(small)
    assert again.job.learner == "bob" and again.verdict.score == FULL - 1


def test_a_solution_that_is_wrong_stops_the_grading_before_anybody_has_a_zero(small: Course) -> None:
    notebook = lean_source()
    cell = next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "decoder")
    cell.source = cell.source.replace('"B"', '"A"')
    nbformat.write(notebook, small.source(LESSON))
    enroll(small, "alice")
    with pytest.raises(InputError, match="decoder-check gets 0 of 1"):
        go(small)
    assert rows(small, "alice") == []


def test_a_lesson_changed_after_the_release_is_told_of(small: Course) -> None:
    notebook = lean_source()
    next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("points")).metadata.nbgrader["points"] = 7
    nbformat.write(notebook, small.source(LESSON))
    with pytest.raises(InputError, match="changed after the release"):
        Batch(small, [LESSON])


def command(course: Course, *words: str, **given: Any) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "biollm_widgets.cli", "grade", LESSON, "--course", str(course.folder), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, **given,
    )  # fmt: skip


def test_killed_in_the_middle_and_started_again_each_is_graded_once_and_none_is_lost(small: Course) -> None:
    names = [f"learner{number}" for number in range(8)]
    enroll(small, *names)
    first = command(small, start_new_session=True)
    until = time.monotonic() + 240
    while len(small.verdicts(LESSON)) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    kept = small.verdicts(LESSON)
    assert 2 <= len(kept) < 8
    second = command(small)
    out, problems = second.communicate(timeout=300)
    assert second.returncode == 0, problems
    assert f"8 submissions: 8 graded; {8 - len(kept)} of them now." in out
    assert [one.score for one in small.verdicts(LESSON)] == [FULL] * 8
    per_learner = {name: sum(row[2] or 0 for row in rows(small, name)) for name in names}
    assert per_learner == dict.fromkeys(names, FULL)


def test_a_verdict_that_is_being_written_is_none_yet(small: Course) -> None:
    from biollm_widgets.files import whole_file
    from biollm_widgets.grading.verdicts import Verdict, packed, save

    save(Verdict("alice", LESSON), small.record(LESSON, "alice"))
    with whole_file(small.record(LESSON, "bob")) as place:
        place.write_text(json.dumps(packed(Verdict("bob", LESSON))))
        assert [verdict.learner for verdict in small.verdicts(LESSON)] == ["alice"]
    assert [verdict.learner for verdict in small.verdicts(LESSON)] == ["alice", "bob"]


def test_ctrl_c_keeps_what_is_graded_and_says_how_to_go_on(small: Course) -> None:
    enroll(small, *(f"learner{number}" for number in range(8)))
    running = command(small)
    until = time.monotonic() + 240
    while len(small.verdicts(LESSON)) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, problems = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "the same command goes on with them" in problems and "Traceback" not in problems
    assert 2 <= len(small.verdicts(LESSON)) < 8


def test_two_at_once_are_one_too_many(small: Course) -> None:
    enroll(small, "alice")
    small.private.mkdir(exist_ok=True)
    with (
        setting.one_at_a_time(small.private),
        pytest.raises(InputError, match=rf"graded already, by process {os.getpid()}"),
    ):
        go(small)


def test_a_locked_gradebook_is_waited_for_and_then_who_holds_it_is_said(
    small: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll(small, "alice")
    path = small.folder / "gradebook.db"
    code = (
        "import sqlite3, sys, time\nbook = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "book.execute('begin exclusive'); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        monkeypatch.setattr(gradebook, "WAIT", 1)
        with pytest.raises(InputError, match=rf"locked for 1 s; it is open in .*\(process {holder.pid}\)"):
            gradebook.knows(small, LESSON)
    finally:
        holder.kill()
        holder.wait()
    assert gradebook.knows(small, LESSON) == set()
    (done,) = go(small)
    assert done.verdict.score == FULL


def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path, may_mount: None) -> None:
    script = f"""
set -e
mount -t tmpfs -o size=6m tmpfs {tmp_path}
cd {ROOT}
{sys.executable} - <<'END'
from pathlib import Path
from tests.grading.test_grading import *
course = make_course(Path({str(tmp_path)!r}) / "course")
enroll(course, *("learner%d" % number for number in range(4)))
print([one.verdict.score for one in go(course, learners=["learner0"])])
left = shutil.disk_usage(course.folder).free
(course.folder / "filler").write_bytes(bytes(left - 30_000))
try:
    go(course)
except InputError as problem:
    print("SAID", problem)
(course.folder / "filler").unlink()
print(sorted(one.job.learner for one in go(course)), [one.score for one in course.verdicts(LESSON)])
END
"""
    done = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout.splitlines()
    assert said[0] == "[48.0]"
    assert said[1].startswith("SAID") and ("No space left" in said[1] or "disk is full" in said[1]), said[1]
    assert "Make room" in said[1]
    assert "learner0" not in said[2] and said[2].endswith("[48.0, 48.0, 48.0, 48.0]")


def test_parts_are_put_together_once(small: Course, tmp_path: Path) -> None:
    names = ["alice", "bob", "carol"]
    enroll(small, *names)
    for number in (1, 2):
        for done in go(small, part=(number, 2)):
            save_part(tmp_path / "parts" / str(number), done)
    assert rows(small, *names) == []  # parts write nothing into the gradebook
    (tmp_path / "parts" / "broken.json").write_text('{"verdict": ')
    nbformat.write(solved(), small.submitted(LESSON, "carol") / "more.ipynb")  # handed in again meanwhile
    heard: list[str] = []
    merged = merge(Batch(small, [LESSON]), [tmp_path / "parts", tmp_path / "parts"], heard.append)
    assert sorted(one.learner for one in merged) == ["alice", "bob"]
    assert any("carol" in words and "changed" in words for words in heard)
    assert any("broken.json" in words for words in heard)
    assert merge(Batch(small, [LESSON]), [tmp_path / "parts"], heard.append) == []
    assert sum(row[2] or 0 for row in rows(small, "alice")) == FULL


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "There is no"),
        ([LESSON, "--learner", "nobody"], "nobody has handed in nothing"),
        ([LESSON, "--part", "3"], "write it as in 2/10"),
        ([LESSON, "--part", "3/2", "--out", "x"], "is no part"),
        ([LESSON, "--part", "1/2"], "needs --out"),
        ([LESSON, "--merge", "nowhere"], "There is no folder nowhere"),
        ([LESSON, "--course", "nowhere"], "There is no folder nowhere"),
    ],
)
def test_what_a_person_gets_wrong_is_a_sentence_and_nothing_is_done(
    words: list[str], said: str, small: Course, capsys: pytest.CaptureFixture
) -> None:
    from biollm_widgets.cli import run

    given = words if "--course" in words else [*words, "--course", str(small.folder)]
    with pytest.raises(SystemExit) as end:
        run(["grade", *given])
    assert end.value.code == 2
    shown = capsys.readouterr().err
    assert said in shown and "Traceback" not in shown and len(shown.strip().splitlines()) == 1
    assert not (small.folder / "autograded").exists()
