"""Points leave the gradebook as they are: none invented, none lost, none a formula, and on the right learner's row."""

from __future__ import annotations

import csv
import datetime
import io
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader", reason="Grading is nbgrader's (make test installs it).")

from biollm_widgets.commands.export import command
from biollm_widgets.errors import InputError
from biollm_widgets.grading.export import Sheet, canvas, harmless, points_table, states
from tests.grading.samples import LESSON, Samples

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")

# As Canvas writes it: a row of posting, the points possible behind spaces, read-only sums, a test student.
CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Small (4711),Homework 2 (4712),Current Score,Unposted Current Score
,,,,,Manual Posting,,,
    Points Possible,,,,,10.00,5.00,(read only),(read only)
"Lovelace, Ada",101,u101,ada@uni.example,Biology 1,,4.00,80.00,80.00
"Hopper, Grace",102,u102,grace_h,Biology 1 and Biology 2,EX,,,
"O'Neil, Zoë",103,0007,zo,Biology 1,3.00,,,
"Nobody, Known",104,u104,nk,Biology 1,,,,
"Student, Test",199,,f00d,Biology 1,,,,
"""


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return Samples(tmp_path / "course")


@pytest.fixture
def graded(samples: Samples) -> Samples:
    """One with all points, one that waits, one late, one not gradable, one without a submission, one not graded."""
    for learner, first, last in (("ada", "Ada", "Lovelace"), ("grace_h", "Grace", "Hopper"), ("dora", "", "")):
        samples.enrol(learner, first, last)
    samples.hand_in("ada")
    samples.mark("ada", 3.5)
    samples.hand_in("grace_h", (1.0, 0.0, 2.5), repairs=["The cell of pool-check was put back."])
    samples.hand_in("late", (2.0, 1.0, 0.0), late=datetime.timedelta(days=1, hours=12), penalty=1.25)
    samples.mark("late", 4.0)
    samples.hand_in("broken", why="It is no notebook.", ask="Save it again.")
    (samples.folder / "submitted" / "new" / LESSON).mkdir(parents=True)
    return samples


def rows(sheet: Sheet) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheet.text()), delimiter=sheet.delimiter))


def canvas_file(samples: Samples, text: str = CANVAS, name: str = "canvas.csv") -> Path:
    path = samples.folder / name
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_the_table_has_a_row_a_learner_and_a_column_a_task(graded: Samples) -> None:
    sheet = points_table(graded.course, [LESSON])
    found = {row["learner"]: row for row in rows(sheet)}
    assert list(found) == ["ada", "broken", "dora", "grace_h", "late", "new"]
    tasks = ["clean-check", "observations-check", "pool-check", "report"]
    assert [name for name in sheet.rows[0] if name in tasks] == tasks
    assert [found["ada"][task] for task in tasks] == ["2", "1", "3", "3.5"]
    assert found["ada"]["by checks"] == "6" and found["ada"]["by hand"] == "3.5" and found["ada"]["total"] == "9.5"
    assert found["ada"]["waiting for a person"] == "0" and found["ada"]["points"] == "10"
    assert found["grace_h"]["report"] == "" and found["grace_h"]["waiting for a person"] == "1"
    assert found["grace_h"]["total"] == "3.5" and found["grace_h"]["state"] == "graded with repairs"
    assert found["grace_h"]["repairs"] == "The cell of pool-check was put back."
    assert found["late"]["penalty"] == "1.25" and found["late"]["days late"] == "1.5"
    assert found["late"]["submitted at (UTC)"] == "2026-03-03 00:00:00"
    assert found["late"]["total"] == "5.75"  # 2 + 1 + 4 - 1.25


def test_nobody_gets_a_zero_for_what_was_not_graded(graded: Samples) -> None:
    sheet = points_table(graded.course, [LESSON])
    for row in rows(sheet):
        if row["learner"] in ("broken", "dora", "new"):
            empty = ("clean-check", "observations-check", "pool-check", "report", "by checks", "total", "points")
            assert [row[name] for name in empty] == [""] * len(empty), row
    assert [row["state"] for row in rows(sheet) if row["total"] == ""] == [
        "not gradable", "not submitted", "not graded yet",
    ]  # fmt: skip
    said = " ".join(sheet.sentences)
    assert "1 learner could not be graded (broken)" in said and "1 learner has handed in nothing (dora)" in said
    assert "1 learner is not graded yet (new)" in said and "no points are written, not zero" in said
    assert "1 learner waits for marks by a person (grace_h); what is written is the sum so far" in said
    assert "1 submission late, 1.25 points taken off" in said


def test_only_finished_leaves_out_totals_that_can_still_grow(graded: Samples) -> None:
    found = {row["learner"]: row for row in rows(points_table(graded.course, [LESSON], only_finished=True))}
    assert found["grace_h"]["total"] == "" and found["grace_h"]["clean-check"] == "1" and found["ada"]["total"] == "9.5"


def test_points_are_those_of_nbgrader(graded: Samples) -> None:
    """Its own export is `max(0, score - penalty)`, extra credit and overruled checks with it."""
    graded.mark("ada", 0.5, task="pool-check", extra=2.0)
    with graded.book() as book:
        submission = book.find_submission(LESSON, "late")
        submission.notebooks[0].late_submission_penalty = 100.0
        book.db.commit()
        theirs = {}
        for one in book.assignment_submissions(LESSON):
            theirs[one.student.id] = max(0.0, one.score - one.late_submission_penalty)
    ours = {row["learner"]: row["total"] for row in rows(points_table(graded.course, [LESSON])) if row["total"]}
    assert {learner: float(total) for learner, total in ours.items()} == {
        learner: theirs[learner] for learner in ("ada", "grace_h", "late")
    }
    assert ours["late"] == "0" and ours["ada"] == "9"


def test_an_extension_counts(graded: Samples) -> None:
    with graded.book() as book:
        book.find_submission(LESSON, "late").extension = datetime.timedelta(days=1)
        book.db.commit()
    found = {row["learner"]: row for row in rows(points_table(graded.course, [LESSON]))}
    assert found["late"]["days late"] == "0.5"


def test_no_cell_is_a_formula(samples: Samples) -> None:
    samples.enrol("=1+1", '=HYPERLINK("https://evil.example")', "@SUM(A1)")
    samples.hand_in("=1+1", why="-2+3 is no notebook.", ask="\t=A1")
    samples.hand_in("+47", repairs=["=cmd|' /C calc'!A0"], scores=(-1.0, 0, 0))
    samples.enrol("＝1", "\r=1", "plain")
    for sheet in (
        points_table(samples.course, [LESSON]),
        states(samples.course, [LESSON]),
        canvas(samples.course, [LESSON]),
    ):
        for row in csv.reader(io.StringIO(sheet.text())):
            for cell in row:
                assert not cell.startswith(("=", "@", "\t", "\r", "＝")) and (
                    cell[:1] not in "+-" or float(cell or 0) is not None
                )
    assert harmless("-3.5") == "-3.5" and harmless("+47") == "+47" and harmless("-1+1") == "'-1+1"


def test_states_say_what_to_ask_whom_for(graded: Samples) -> None:
    found = {row["learner"]: row for row in rows(states(graded.course, [LESSON]))}
    assert found["broken"]["state"] == "not gradable" and found["broken"]["ask"] == "Save it again."
    assert found["grace_h"]["waiting for a person"] == "report" and found["dora"]["state"] == "not submitted"


def test_canvas_rows_keep_canvas_ids_and_the_assignments_name(graded: Samples) -> None:
    graded.enrol("zo", "Zoe", "ONeil")
    graded.hand_in("zo", (2.0, 0.0, 0.0))
    sheet = canvas(graded.course, [LESSON], canvas_file(graded))
    assert sheet.rows[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Small (4711)"]
    assert sheet.rows[1] == ["    Points Possible", "", "", "", "", "10.00"]
    body = {row[1]: row for row in sheet.rows[2:]}
    assert body["101"] == ["Lovelace, Ada", "101", "u101", "ada@uni.example", "Biology 1", "9.5"]
    assert body["102"][-1] == "3.5" and body["102"][4] == "Biology 1 and Biology 2"
    assert body["103"] == ["O'Neil, Zoë", "103", "0007", "zo", "Biology 1", "2"]
    assert body["104"][-1] == "" and "199" not in body and len(body) == 4
    said = " ".join(sheet.sentences)
    assert "4 learners are not in" in said and "broken" in said and "late" in said  # dora, new, too
    assert "1 row of" in said and "without a learner of this course" in said


def test_canvas_only_finished_and_scores_that_would_be_emptied(graded: Samples) -> None:
    sheet = canvas(graded.course, [LESSON], canvas_file(graded), only_finished=True)
    assert {row[1]: row[-1] for row in sheet.rows[2:]} == {"101": "9.5", "102": "", "103": "", "104": ""}
    assert any("2 learners with a score in Canvas have an empty cell" in words for words in sheet.sentences)


def test_canvas_without_an_export_uses_logins(graded: Samples) -> None:
    sheet = canvas(graded.course, [LESSON])
    assert sheet.rows[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", LESSON]
    assert sheet.rows[1][-1] == "10"
    assert ["Lovelace, Ada", "", "", "ada", "", "9.5"] in sheet.rows and [
        "broken",
        "",
        "",
        "broken",
        "",
        "",
    ] in sheet.rows
    assert any("--students" in words for words in sheet.sentences)


def test_canvas_of_another_language_with_semicolons_and_more_columns(graded: Samples) -> None:
    text = CANVAS.replace('"', "").replace(",", ";").replace("Lovelace; Ada", "Lovelace, Ada")
    text = text.replace("Hopper; Grace", "Hopper, Grace").replace("O'Neil; Zoë", "O'Neil, Zoë")
    text = text.replace("Nobody; Known", "Nobody, Known").replace("Student; Test", "Student, Test")
    text = text.replace("SIS Login ID;Section", "SIS Login ID;Integration ID;Section")
    text = (
        text.replace(";Biology", ";int;Biology")
        .replace(";;;;;Manual", ";;;;;;Manual")
        .replace("Possible;;;;;", "Possible;;;;;;")
    )
    text = text.replace("10.00", "12,00")
    sheet = canvas(graded.course, [LESSON], canvas_file(graded, text))
    assert sheet.delimiter == ";" and sheet.rows[0][4:] == ["Integration ID", "Section", "Small (4711)"]
    assert {row[1]: row[-1] for row in sheet.rows[2:]}["101"] == "9.5"
    assert any("Canvas has 12,00 points possible, the lesson 10" in words for words in sheet.sentences)


def test_two_who_fit_one_row_get_none_of_it_and_an_id_beats_a_name(graded: Samples) -> None:
    graded.enrol("twin1", "Zoe", "ONeil")
    graded.enrol("twin2", "Zoe", "ONeil")
    graded.enrol("namesake", "Grace", "Hopper")
    for learner in ("twin1", "twin2", "namesake"):
        graded.hand_in(learner)
    sheet = canvas(graded.course, [LESSON], canvas_file(graded))
    assert {row[1]: row[-1] for row in sheet.rows[2:]} == {"101": "9.5", "102": "3.5", "103": "", "104": ""}
    assert any("3 learners fit more than one row" in words for words in sheet.sentences)


def test_the_assignment_may_be_named(graded: Samples) -> None:
    path = canvas_file(graded, CANVAS.replace("Small (4711)", "Week 3 (4711)"))
    sheet = canvas(graded.course, [LESSON], path)
    assert sheet.rows[0][-1] == LESSON and any("has no assignment 'small'" in words for words in sheet.sentences)
    for name in ("Week 3", "week 3", "Week 3 (4711)"):
        assert canvas(graded.course, [LESSON], path, assignments={LESSON: name}).rows[0][-1] == "Week 3 (4711)"
    with pytest.raises(InputError, match="has no assignment 'Week 4'; it has Week 3"):
        canvas(graded.course, [LESSON], path, assignments={LESSON: "Week 4"})
    double = canvas_file(graded, CANVAS.replace("Homework 2 (4712)", "SMALL (4712)"))
    with pytest.raises(InputError, match="more than one assignment"):
        canvas(graded.course, [LESSON], double)


def test_a_persons_errors_are_sentences(graded: Samples, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        canvas(graded.course, [LESSON], tmp_path / "none.csv")
    for text in ("", "name,points\nada,3\n", "Student\n"):
        with pytest.raises(InputError, match="no gradebook of Canvas"):
            canvas(graded.course, [LESSON], canvas_file(graded, text))
    with pytest.raises(InputError, match="There is no .*other"):  # noqa: RUF043
        points_table(graded.course, ["other"])
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(InputError, match="cannot be read"):
        canvas(graded.course, [LESSON], tmp_path / "x.csv")


def test_the_command_writes_and_says(graded: Samples, capsys: pytest.CaptureFixture[str]) -> None:
    def go(*words: str) -> Any:
        command.main([*words, "--course", str(graded.folder)], standalone_mode=False)
        return capsys.readouterr()

    said = go(LESSON)
    assert said.out.startswith("learner,last name") and "could not be graded" in said.err
    target = graded.folder / "out.csv"
    said = go("--to", "canvas", "--students", str(canvas_file(graded)), "-o", str(target))
    assert said.out == "" and target.read_text().startswith("Student,ID") and "is written" in said.err
    with pytest.raises(InputError, match="give --to canvas"):
        go("--students", str(target))
    with pytest.raises(InputError, match="no LESSON=NAME"):
        go("--to", "canvas", "--assignment", "x")
    assert go("--to", "states").out.startswith("learner,lesson,state")
