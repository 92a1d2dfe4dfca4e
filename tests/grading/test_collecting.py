"""Downloads of Canvas, of Moodle and of folders land under the right learner, and nothing is lost."""

from __future__ import annotations

import shutil
import stat
import zipfile
from datetime import timezone
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="Collecting puts files into nbgrader's folders (make test installs it).")

from biollm_widgets.errors import InputError
from biollm_widgets.grading.collecting import collect
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.rosters import read_roster, safe_id

ROOT = Path(__file__).resolve().parents[2]
LESSON = "dna_classification"
NAME = f"{LESSON}.ipynb"
BLANK = (ROOT / "lessons" / LESSON / NAME).read_bytes()
SOLVED = (ROOT / "solutions" / LESSON / NAME).read_bytes()


@pytest.fixture
def course(tmp_path: Path) -> Course:
    folder = tmp_path / "course"
    folder.mkdir()
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    return Course(folder)


def packed(path: Path, files: dict[str, bytes], when: tuple = (2026, 3, 4, 17, 30, 0)) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, when), data)
    return path


def spread(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def there(course: Course) -> dict[str, bytes]:
    root = course.folder / "submitted"
    return {one.relative_to(root).as_posix(): one.read_bytes() for one in sorted(root.rglob("*")) if one.is_file()}


CANVAS = {
    "lovelaceada_12345_67890_dna_classification.ipynb": SOLVED,
    "franklinrosalind_LATE_222_67891_dna_classification-1.ipynb": BLANK,
    "franklinrosalind_LATE_222_67891_notes.txt": b"notes",
}


def test_a_download_of_canvas_goes_by_its_numbers_and_says_who_was_late(course: Course, tmp_path: Path) -> None:
    found = collect(packed(tmp_path / "all.zip", CANVAS), course, LESSON)
    assert there(course) == {
        f"12345/{LESSON}/{NAME}": SOLVED,
        f"222/{LESSON}/{NAME}": BLANK,
        f"222/{LESSON}/notes.txt": b"notes",
    }
    assert len(found.placed) == 2 and not found.unknown
    assert [words for words in found.placed if "late" in words] == [
        words for words in found.placed if words.startswith("222")
    ]
    assert course.learners(LESSON) == ["12345", "222"]


def test_a_gradebook_export_of_canvas_names_the_learners(course: Course, tmp_path: Path) -> None:
    table = tmp_path / "grades.csv"
    table.write_text(
        "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section\n"
        "    Points Possible,,,,\n"
        '"Lovelace, Ada",12345,S1,ada,Tuesday\n"Franklin, Rosalind",222,S2,rosalind,Tuesday\n',
        encoding="utf-8",
    )
    collect(packed(tmp_path / "all.zip", CANVAS), course, LESSON, table)
    assert course.learners(LESSON) == ["ada", "rosalind"]


def test_names_alone_are_enough_where_a_table_has_no_numbers(course: Course, tmp_path: Path) -> None:
    table = tmp_path / "learners.csv"
    table.write_text("id;name\nal1;Ada Lovelace\nrf1;Franklin, Rosalind\n", encoding="utf-8")
    collect(packed(tmp_path / "all.zip", CANVAS), course, LESSON, table)
    assert course.learners(LESSON) == ["al1", "rf1"]


def test_who_is_not_in_the_table_is_told_and_not_placed(course: Course, tmp_path: Path) -> None:
    table = tmp_path / "learners.csv"
    table.write_text("id,canvas_id,name\nada,12345,Ada Lovelace\n", encoding="utf-8")
    found = collect(packed(tmp_path / "all.zip", CANVAS), course, LESSON, table)
    assert course.learners(LESSON) == ["ada"]
    (words,) = found.unknown
    assert "franklinrosalind (Canvas 222)" in words and "learners.csv" in words


def test_of_several_that_were_handed_in_again_the_last_has_the_lessons_name(course: Course, tmp_path: Path) -> None:
    files = {
        "a_1_10_dna_classification.ipynb": b"first",
        "a_1_12_dna_classification-2.ipynb": b"third",
        "a_1_11_dna_classification-1.ipynb": b"second",
        "a_1_13_plot-1.png": b"a picture of this name",
    }
    collect(packed(tmp_path / "all.zip", files), course, LESSON)
    got = {name.rpartition("/")[2]: data for name, data in there(course).items()}
    assert got[NAME] == b"third" and sorted(got.values()) == sorted(files.values()) and "plot-1.png" in got


@pytest.mark.parametrize("between", ["_/", "_"])
def test_a_download_of_moodle_goes_by_name_with_the_time_it_was_handed_in(
    between: str, course: Course, tmp_path: Path
) -> None:
    files = {
        f"Ada Lovelace_7654321_assignsubmission_file{between}{NAME}": SOLVED,
        f"Émilie du Châtelet_7654322_assignsubmission_file{between}{NAME}": BLANK,
    }
    collect(packed(tmp_path / "all.zip", files), course, LESSON)
    assert course.learners(LESSON) == ["Ada-Lovelace", "Émilie-du-Châtelet"]
    when = course.nbgrader.get_existing_timestamp(str(course.submitted(LESSON, "Ada-Lovelace")))
    assert when.replace(tzinfo=timezone.utc).astimezone().replace(tzinfo=None).isoformat() == "2026-03-04T17:30:00"


def test_a_list_of_participants_from_moodle_names_the_learners(course: Course, tmp_path: Path) -> None:
    table = tmp_path / "participants.csv"
    table.write_text(
        '"First name","Last name","Email address"\nAda,Lovelace,ada@uni.edu\nÉmilie,"du Châtelet",em@uni.edu\n',
        encoding="utf-8",
    )
    files = {
        f"Ada Lovelace_7654321_assignsubmission_file_/{NAME}": SOLVED,
        f"Emilie du Chatelet_7654322_assignsubmission_file_/{NAME}": BLANK,
    }
    collect(packed(tmp_path / "all.zip", files), course, LESSON, table)
    assert course.learners(LESSON) == ["ada", "em"]


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("wrap", ["", "download/"])
def test_a_folder_for_each_learner_is_taken_from_an_archive_and_from_a_disk(
    wrap: str, as_zip: bool, course: Course, tmp_path: Path
) -> None:
    files = {f"{wrap}ada/{NAME}": SOLVED, f"{wrap}ada/data/x.csv": b"1", f"{wrap}bob/{NAME}": BLANK}
    place = packed(tmp_path / "all.zip", files) if as_zip else spread(tmp_path / "all", files)
    collect(place, course, LESSON)
    assert there(course) == {
        f"ada/{LESSON}/{NAME}": SOLVED, f"ada/{LESSON}/data/x.csv": b"1", f"bob/{LESSON}/{NAME}": BLANK,
    }  # fmt: skip


@pytest.mark.parametrize("wrap", ["", "submitted/"])
def test_nbgraders_own_folders_keep_their_time_and_leave_other_lessons_out(
    wrap: str, course: Course, tmp_path: Path
) -> None:
    stamp = b"2026-02-03 10:00:00.000000 UTC"
    files = {
        f"{wrap}ada/{LESSON}/{NAME}": SOLVED, f"{wrap}ada/{LESSON}/timestamp.txt": stamp,
        f"{wrap}ada/protein_design/protein_design.ipynb": b"other",
    }  # fmt: skip
    found = collect(packed(tmp_path / "all.zip", files), course, LESSON)
    assert there(course) == {f"ada/{LESSON}/{NAME}": SOLVED, f"ada/{LESSON}/timestamp.txt": stamp}
    assert "1 files are of other lessons" in " ".join(found.unknown)


def test_no_learner_says_when_it_was_handed_in(course: Course, tmp_path: Path) -> None:
    files = {
        "a_1_10_dna_classification.ipynb": BLANK, "a_1_11_timestamp.txt": b"2020-01-01 00:00:00 UTC",
    }  # fmt: skip
    collect(packed(tmp_path / "all.zip", files), course, LESSON)
    assert list(there(course)) == [f"1/{LESSON}/{NAME}"]


def test_the_same_again_changes_nothing(course: Course, tmp_path: Path) -> None:
    place = packed(tmp_path / "all.zip", CANVAS)
    collect(place, course, LESSON)
    before = there(course)
    again = collect(place, course, LESSON)
    assert there(course) == before and len(again.skipped) == 2 and not again.placed and not again.replaced


def test_a_newer_one_replaces_the_older_which_is_kept_and_does_not_come_back(course: Course, tmp_path: Path) -> None:
    first = packed(tmp_path / "first.zip", {"a_1_10_dna_classification.ipynb": b"first"})
    second = packed(tmp_path / "second.zip", {"a_1_11_dna_classification-1.ipynb": b"second"})
    collect(first, course, LESSON)
    found = collect(second, course, LESSON)
    assert there(course) == {f"1/{LESSON}/{NAME}": b"second"}
    (kept,) = (course.private / "replaced").rglob("*.ipynb")
    assert kept.read_bytes() == b"first" and str(kept.parent) in found.replaced[0]
    back = collect(first, course, LESSON)
    assert there(course) == {f"1/{LESSON}/{NAME}": b"second"} and "replaced before" in back.skipped[0]


def test_an_older_one_of_moodle_does_not_replace_a_newer(course: Course, tmp_path: Path) -> None:
    name = f"Ada Lovelace_7_assignsubmission_file_/{NAME}"
    collect(packed(tmp_path / "new.zip", {name: b"new"}, (2026, 3, 5, 0, 0, 0)), course, LESSON)
    found = collect(packed(tmp_path / "old.zip", {name: b"old"}, (2026, 3, 4, 0, 0, 0)), course, LESSON)
    assert there(course)[f"Ada-Lovelace/{LESSON}/{NAME}"] == b"new" and "handed in later" in found.skipped[0]


def test_nothing_is_written_outside_and_no_link_is_followed(course: Course, tmp_path: Path) -> None:
    place = packed(tmp_path / "all.zip", {f"ada/{NAME}": BLANK, "../../outside.txt": b"x", "/etc/x/y": b"x"})
    with zipfile.ZipFile(place, "a") as archive:
        link = zipfile.ZipInfo("ada/link.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "../../../gradebook.db")
    found = collect(place, course, LESSON)
    assert list(there(course)) == [f"ada/{LESSON}/{NAME}"] and len(found.unknown) == 3
    assert not list(tmp_path.glob("**/outside.txt"))

    folder = spread(tmp_path / "all", {f"bob/{NAME}": BLANK})
    (folder / "bob" / "secret.txt").symlink_to(ROOT / "pyproject.toml")
    found = collect(folder, course, LESSON)
    assert "bob/secret.txt" in found.unknown[0] and f"bob/{LESSON}/secret.txt" not in there(course)


def test_one_damaged_submission_is_told_and_the_others_are_placed(course: Course, tmp_path: Path) -> None:
    bomb = bytes(30 * 2**20)
    place = packed(tmp_path / "all.zip", {f"ada/{NAME}": BLANK})
    with zipfile.ZipFile(place, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"bomb/{NAME}", bomb)
    found = collect(place, course, LESSON)
    assert course.learners(LESSON) == ["ada"] and "bomb" in found.unknown[0]
    assert not (course.folder / "submitted" / "bomb").exists()


def test_two_of_the_same_name_get_two_ids(course: Course, tmp_path: Path) -> None:
    files = {
        f"Ada Lovelace_1_assignsubmission_file_/{NAME}": SOLVED,
        f"Ada Lovelace_2_assignsubmission_file_/{NAME}": BLANK,
    }
    collect(packed(tmp_path / "all.zip", files), course, LESSON)
    assert course.learners(LESSON) == ["Ada-Lovelace-1", "Ada-Lovelace-2"]


def test_a_name_that_fits_two_learners_is_left_to_a_person(course: Course, tmp_path: Path) -> None:
    table = tmp_path / "learners.csv"
    table.write_text("id,name\na1,Ada Lovelace\na2,Ada Lovelace\n", encoding="utf-8")
    name = f"Ada Lovelace_7_assignsubmission_file_/{NAME}"
    found = collect(packed(tmp_path / "all.zip", {name: BLANK}), course, LESSON, table)
    assert there(course) == {} and "a1 and a2" in found.unknown[0]


@pytest.mark.parametrize(
    ("given", "made"),
    [("a+b@uni.edu", "a-b@uni.edu"), ("../../x", "x"),
     ("  Ada  Lovelace ", "Ada-Lovelace"), ("...", ""), ("a/b", "a-b"),
     (".hidden", "hidden"), ("x" * 300, "x" * 80)],
)  # fmt: skip
def test_an_id_is_the_name_of_a_folder_and_one_that_nbgrader_takes(given: str, made: str) -> None:
    assert safe_id(given) == made


def test_what_a_person_can_get_wrong_is_one_sentence_with_the_remedy(course: Course, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no .*missing\.zip; name the download"):
        collect(tmp_path / "missing.zip", course, LESSON)
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(InputError, match=r"broken\.zip cannot be used: .* Download all submissions again"):
        collect(broken, course, LESSON)
    with pytest.raises(InputError, match="no submission that can be told apart"):
        collect(packed(tmp_path / "loose.zip", {"x.ipynb": BLANK}), course, LESSON)
    table = tmp_path / "table.csv"
    for text, said in (
        ("Colour,Size\nred,1\n", "does not say who is which learner: it has the columns Colour, Size"),
        ("id,name\na,Ada\nA,Bob\n", "line 3: the id A is that of line 2 already"),
        ("id,name\n", "lists nobody"),
    ):
        table.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=said):
            read_roster(table)
    with pytest.raises(InputError, match="cannot be read"):
        read_roster(tmp_path / "none.csv")


def test_a_disk_that_cannot_be_written_to_is_named_and_the_old_submission_stays(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(packed(tmp_path / "first.zip", {"a_1_10_dna_classification.ipynb": b"first"}), course, LESSON)
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(28, "No space left on device", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(InputError, match="No space left on device"):
        collect(packed(tmp_path / "second.zip", {"a_1_11_dna_classification.ipynb": b"second"}), course, LESSON)
    assert there(course) == {f"1/{LESSON}/{NAME}": b"first"}
