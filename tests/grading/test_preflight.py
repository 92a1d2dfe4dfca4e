"""What is handed in is found, mended on a copy and told, whatever it looks like; no bytes stop the look at it."""

from __future__ import annotations

import copy
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from biollm_widgets.grading import reading
from biollm_widgets.grading.outline import SOLUTION, outline
from biollm_widgets.grading.preflight import Looked, fingerprint, look

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ("dna_classification", "protein_design")
DNA = "dna_classification"
NAME = f"{DNA}.ipynb"


def read(folder: str, lesson: str = DNA) -> Any:
    return nbformat.read(ROOT / folder / lesson / f"{lesson}.ipynb", as_version=4)


SOURCE = read("solutions")


def solved(lesson: str = DNA) -> Any:
    """As somebody hands it in: the released notebook with the answers in it, and with what they printed."""
    notebook, answers = read("lessons", lesson), read("solutions", lesson)
    for cell, other in zip(notebook.cells, answers.cells, strict=True):
        if name(cell):
            cell.source = "\n".join(line for line in other.source.split("\n") if "### " not in line)
        if cell.cell_type == "code":
            cell.execution_count = 3
            cell.outputs = [nbformat.v4.new_output("stream", text="said")]
    return notebook


def name(cell: Any) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def at(notebook: Any, wanted: str) -> int:
    (place,) = (i for i, cell in enumerate(notebook.cells) if name(cell) == wanted)
    return place


def cell(notebook: Any, wanted: str) -> Any:
    return notebook.cells[at(notebook, wanted)]


@pytest.fixture
def hand_in(tmp_path: Path) -> Callable[..., Looked]:
    def put(notebook: Any = None, file: str = NAME, data: Any = None, lesson: str = DNA, **more: Any) -> Looked:
        folder = tmp_path / "learner" / lesson
        for path, content in {file: data if data is not None else json.dumps(notebook), **more}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
        looked = look(folder, lesson, read("solutions", lesson))
        whole(looked, lesson)
        return looked

    return put


def whole(looked: Looked, lesson: str = DNA) -> None:
    """What holds of every look: it says why not and what to ask, or gives a notebook with every task in its order."""
    sentences = [*looked.repairs, *filter(None, [looked.why, looked.ask])]
    assert all(words.strip().endswith((".", ".)")) and words[0] == words[0].strip() for words in sentences), sentences
    assert looked.sha
    if looked.notebook is None:
        assert looked.why and looked.ask
        return
    assert not looked.why and not looked.ask
    nbformat.validate(looked.notebook)
    json.dumps(looked.notebook, allow_nan=False).encode()
    source = read("solutions", lesson)
    cells = looked.notebook.cells
    assert sorted(filter(None, map(name, cells))) == sorted(filter(None, map(name, source.cells)))
    assert looked.notebook.metadata == source.metadata
    seen: set[str] = set()
    for one in source.cells:
        if not name(one):
            continue
        mine = cell(looked.notebook, name(one))
        assert mine.metadata == one.metadata and mine.cell_type == one.cell_type and mine.id == one.id
        if not one.metadata.nbgrader.solution:
            assert mine.source == one.source
    # A check is never before the answer that it is given.
    spots = outline(source)
    owner = {name(c): s.name for c in cells for s in spots if s.kind == SOLUTION and s.binds and name(c)
             and not c.metadata.nbgrader.solution
             and any(f", {bound})" in c.source for bound in s.binds)}  # fmt: skip
    assert len(owner) > 20
    for one in cells:
        assert name(one) not in owner or owner[name(one)] in seen, name(one)
        seen.add(name(one))
    for one in cells:
        assert one.cell_type != "raw" and (one.cell_type != "code" or (one.outputs == [] and not one.execution_count))
        assert not one.metadata.get("tags")


def texts(looked: Looked) -> list[tuple[str, str]]:
    assert looked.notebook is not None, looked.why
    return [(name(one), one.source) for one in looked.notebook.cells]


def same(looked: Looked, notebook: Any) -> None:
    """Every task has the text that it had."""
    assert looked.notebook is not None, looked.why
    mine = dict(texts(looked))
    for one in notebook.cells:
        if name(one):
            assert mine[name(one)] == one.source, name(one)


# Nothing is wrong.


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.parametrize(
    "make", [solved, lambda lesson: read("lessons", lesson), lambda lesson: read("solutions", lesson)]
)
def test_a_notebook_in_order_needs_no_repair_and_stays_letter_for_letter(
    make: Callable[[str], Any], lesson: str, hand_in: Callable
) -> None:
    notebook = make(lesson)
    looked = hand_in(notebook, f"{lesson}.ipynb", lesson=lesson)
    assert looked.repairs == []
    assert texts(looked) == [(name(one), one.source) for one in notebook.cells]


def test_cells_of_ones_own_and_their_order_are_no_repair(hand_in: Callable) -> None:
    notebook = solved()
    notebook.cells.insert(9, nbformat.v4.new_code_cell("%matplotlib inline\n!ls\nmine = 1"))
    notebook.cells.insert(30, nbformat.v4.new_markdown_cell("My **notes**: $x^2$ and `<script>` as a word."))
    looked = hand_in(notebook)
    assert looked.repairs == []
    assert texts(looked) == [(name(one), one.source) for one in notebook.cells]


# Marks, points, checks.


def test_without_any_marks_or_ids_every_task_of_both_lessons_is_found_again(hand_in: Callable) -> None:
    for lesson in LESSONS:
        for notebook in (solved(lesson), read("lessons", lesson)):
            bare = copy.deepcopy(notebook)
            for one in bare.cells:
                one.metadata = {}
                one.pop("id", None)
            bare.nbformat_minor = 4
            looked = hand_in(bare, f"{lesson}.ipynb", lesson=lesson)
            same(looked, notebook)
            (words,) = looked.repairs
            assert "lost their marks" in words and words.count("“") == 8


def test_ids_are_enough_where_marks_are_gone_and_answers_define_nothing(hand_in: Callable) -> None:
    notebook = solved()
    cell(notebook, "pool").source = "# I gave up\n1 + 1"
    bare = copy.deepcopy(notebook)
    for one in bare.cells:
        one.metadata = {}
    same(hand_in(bare), notebook)


def test_check_cells_are_the_instructors_whatever_was_done_to_them(hand_in: Callable) -> None:
    notebook = solved()
    cell(notebook, "pool-check").source = "100.0"
    cell(notebook, "embed-check").source = 'bio.check("dna.embed", solution)'
    cell(notebook, "metrics-check").metadata.nbgrader.points = 1000
    cell(notebook, "schedule-check").metadata.nbgrader.locked = False
    cell(notebook, "alibi-check").metadata.nbgrader.grade = False
    looked = hand_in(notebook)
    said = " ".join(looked.repairs)
    assert "“pool check” had been changed" in said and "“embed check” had been changed" in said
    assert "points of the cell “metrics check”" in said
    assert "settings of the cells “alibi check” and “schedule check”" in said


def test_an_answer_that_slipped_into_a_check_cell_is_not_lost(hand_in: Callable) -> None:
    notebook = solved()
    place = at(notebook, "pool-check")
    answer = next(one for one in notebook.cells[place:] if name(one) == "embed")
    notebook.cells.remove(answer)
    notebook.cells[place].source += f"\n\n{answer.source}"
    looked = hand_in(notebook)
    assert dict(texts(looked))["embed"] == answer.source
    assert any("“pool check” had been changed" in words and "before it" in words for words in looked.repairs)


def test_missing_cells_come_back_where_they_belong_blank(hand_in: Callable) -> None:
    for gone in (["pool"], ["pool-check"], ["pool", "pool-check"], ["random-weights"]):
        notebook = solved()
        notebook.cells = [one for one in notebook.cells if name(one) not in gone]
        looked = hand_in(notebook)
        assert [one for one, _ in texts(looked)] == [name(one) for one in SOURCE.cells], gone
        for one in gone:
            assert any(f"“{one.replace('-', ' ')}” was missing" in words for words in looked.repairs), looked.repairs
            assert dict(texts(looked))[one] == cell(read("lessons"), one).source


def test_the_imports_come_back_when_they_are_missing_and_nothing_else_does(hand_in: Callable) -> None:
    notebook = solved()
    gone = {"setup", "u3-look", "u1-explain", "u9-predict"}
    notebook.cells = [one for one in notebook.cells if one.id not in gone]
    looked = hand_in(notebook)
    assert looked.notebook is not None
    assert gone & {one.id for one in looked.notebook.cells} == {"setup"}
    (words,) = looked.repairs
    assert "“setup”" in words


def test_imports_that_a_learner_wrote_anew_are_left_alone(hand_in: Callable) -> None:
    notebook = solved()
    first = next(one for one in notebook.cells if one.id == "setup")
    first.id, first.source = "mine", f"# all I need\n{first.source}"
    assert hand_in(notebook).repairs == []


# Copies and order.


def test_of_two_copies_the_one_with_an_answer_counts_and_the_blank_one_cannot_undo_it(hand_in: Callable) -> None:
    blank = cell(read("lessons"), "pool")
    for before in (True, False):
        notebook = solved()
        place = at(notebook, "pool")
        answer = notebook.cells[place].source
        notebook.cells.insert(place if before else place + 1, {**copy.deepcopy(blank), "id": "copy"})
        looked = hand_in(notebook)
        assert dict(texts(looked))["pool"] == answer
        assert sum(text.startswith("def pool(") for _, text in texts(looked)) == 1
        assert any("“pool” there were several" in words for words in looked.repairs)


def test_of_two_answers_the_last_counts_and_the_other_stays_as_a_plain_cell(hand_in: Callable) -> None:
    notebook = solved()
    place = at(notebook, "pool")
    again = copy.deepcopy(notebook.cells[place])
    again.id, again.source = "again", "def pool(hidden, mask):\n    return hidden[0]"
    notebook.cells.insert(place + 1, again)
    looked = hand_in(notebook)
    assert dict(texts(looked))["pool"] == again.source
    assert ("", notebook.cells[place].source) in texts(looked)
    assert any("“pool” there were several; the last" in words for words in looked.repairs)


def test_a_check_before_its_answer_moves_behind_it_and_the_rest_keeps_the_learners_order(hand_in: Callable) -> None:
    notebook = solved()
    answer = notebook.cells.pop(at(notebook, "pool"))
    notebook.cells.append(answer)
    looked = hand_in(notebook)
    order = [one for one, _ in texts(looked)]
    assert order[-2:] == ["pool", "pool-check"]
    assert [one for one in order[:-2] if one] == [
        one for one in map(name, notebook.cells) if one and one not in ("pool", "pool-check")
    ]
    assert any("“pool check” stood before the answer" in words for words in looked.repairs)


def test_swapped_and_renamed_marks_do_not_swap_answers(hand_in: Callable) -> None:
    notebook = solved()
    wanted = copy.deepcopy(notebook)
    one, other = cell(notebook, "pool"), cell(notebook, "embed")
    one.metadata, other.metadata = other.metadata, one.metadata
    one.id, other.id = "x", "y"
    cell(notebook, "clean").metadata.nbgrader.grade_id = "mine"
    same(hand_in(notebook), wanted)


def test_a_cell_of_another_type_is_again_what_the_lesson_has(hand_in: Callable) -> None:
    notebook = solved()
    wanted = copy.deepcopy(notebook)
    for one, kind in (("pool", "markdown"), ("clean", "raw"), ("embed-check", "raw"), ("report", "code")):
        mine = cell(notebook, one)
        mine.cell_type = kind
        mine.pop("outputs", None)
        mine.pop("execution_count", None)
        if kind == "code":
            mine.outputs, mine.execution_count = [], None
    looked = hand_in(notebook)
    same(looked, wanted)
    assert any("another type of cell" in words for words in looked.repairs)


def test_tags_that_change_how_a_notebook_runs_are_taken_off(hand_in: Callable) -> None:
    notebook = solved()
    cell(notebook, "pool").metadata.tags = ["skip-execution", "mine"]
    (words,) = hand_in(notebook).repairs
    assert "skip-execution" in words and "“pool”" in words


def test_cells_with_one_id_get_ids_of_their_own(hand_in: Callable) -> None:
    notebook = solved()
    for _ in range(3):
        notebook.cells.insert(5, nbformat.from_dict({**nbformat.v4.new_code_cell("1"), "id": "not valid!"}))
        notebook.cells.insert(5, nbformat.from_dict({**nbformat.v4.new_code_cell("2"), "id": "twin"}))
    looked = hand_in(notebook)
    assert looked.notebook is not None
    ids = [one.id for one in looked.notebook.cells]
    assert len(set(ids)) == len(ids) == len(notebook.cells)


# Files.


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_it_is_read_in_the_encoding_that_it_was_saved_in(encoding: str, hand_in: Callable) -> None:
    notebook = solved()
    cell(notebook, "report").source = "Füße, π and 蛋白质"
    looked = hand_in(data=json.dumps(notebook, ensure_ascii=False).encode(encoding))
    same(looked, notebook)
    assert len(looked.repairs) == (encoding != "utf-8-sig")


def test_the_format_of_2013_and_a_format_to_come_are_read(hand_in: Callable) -> None:
    notebook = solved()
    third = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": [
        {"cell_type": "code", "input": one.source, "language": "python", "outputs": [], "metadata": one.metadata}
        if one.cell_type == "code" else {"cell_type": one.cell_type, "source": one.source, "metadata": one.metadata}
        for one in notebook.cells]}]}  # fmt: skip
    looked = hand_in(third)
    same(looked, notebook)
    assert "an old format (3)" in looked.repairs[0]
    looked = hand_in({**notebook, "nbformat_minor": 99})
    same(looked, notebook)
    assert looked.repairs == []
    looked = hand_in({**notebook, "nbformat": 5})
    same(looked, notebook)
    assert "a newer format (5)" in looked.repairs[0]


def test_outputs_of_20_mb_are_dropped_and_told(hand_in: Callable) -> None:
    notebook = solved()
    cell(notebook, "pool").outputs = [nbformat.v4.new_output("stream", text="x" * 20 * 2**20)]
    looked = hand_in(notebook)
    same(looked, notebook)
    assert len(looked.repairs) == 1 and "20 MB" in looked.repairs[0]


def test_nan_tabs_nulls_and_garbage_at_the_end_are_no_reason_to_lose_an_answer(hand_in: Callable) -> None:
    notebook = solved()
    notebook.metadata["loss"] = float("nan")
    text = json.dumps(notebook)
    for data in (text, f"{text}\n\0\0\0", text.replace("\\n", "\n", 40)):
        looked = hand_in(data=data)
        same(looked, notebook)
        assert looked.repairs == []
    looked = hand_in(data=f"{text}\n<!-- saved by a proxy -->")
    same(looked, notebook)
    assert "After the end of the notebook" in looked.repairs[0]


def test_a_merge_that_differs_only_in_outputs_is_taken_and_one_in_answers_is_not(hand_in: Callable) -> None:
    notebook = solved()
    lines = json.dumps(notebook, indent=1).split("\n")

    def merged(part: str, other: str) -> str:
        place = next(i for i, line in enumerate(lines) if part in line)
        sides = [lines[place], "=======", lines[place].replace(part, other)]
        return "\n".join([*lines[:place], "<<<<<<< HEAD", *sides, ">>>>>>> theirs", *lines[place + 1 :]])

    looked = hand_in(data=merged('"execution_count": 3', '"execution_count": 9'))
    same(looked, notebook)
    assert "both sides of a merge" in looked.repairs[0]
    looked = hand_in(data=merged("def pool", "def pool2"))
    assert looked.notebook is None and "both sides of a merge" in looked.why and "line" in looked.why


REFUSED = {
    "empty": (b"", "is empty"),
    "blanks": (b" \n\0 ", "nothing but blanks"),
    "an error page": (b"<!DOCTYPE html><title>403</title>", "a web page"),
    "an HTML export": (b"<!DOCTYPE html><body class='jp-Notebook'>", "HTML export"),
    "a PDF": (b"%PDF-1.7", "a PDF"),
    "a Word document": (b"PK\x03\x04....[Content_Types].xml", "Office document"),
    "Python": (b"import numpy as np\n", "plain text that begins with"),
    "a list": (b"[1, 2]", "not a notebook"),
    "another JSON": (b'{"a": 1}', "no list of cells"),
    "no cells": (b'{"cells": [], "nbformat": 4}', "without anything in it"),
    "lists without end": (b'{"cells": ' + b"[" * 200_000, "without end"),
    "cells without end": (b'{"cells": [' + b'{"metadata":' * 100_000, "without end"),
    "a number without end": (b'{"cells": [], "x": ' + b"1" * 10_000 + b"}", "number without end"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    "another notebook": (json.dumps(nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# My holiday"), nbformat.v4.new_code_cell("x = 1")])).encode(),
        "none of the lesson's tasks"),
    "the other lesson": ((ROOT / "lessons/protein_design/protein_design.ipynb").read_bytes(), "of another lesson"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_notebook_of_the_lesson_is_not_gradable_and_says_what_it_is(kind: str, hand_in: Callable) -> None:
    data, said = REFUSED[kind]
    looked = hand_in(data=data)
    assert looked.notebook is None and said in looked.why


def test_a_file_cut_off_says_where_it_breaks(hand_in: Callable) -> None:
    text = json.dumps(solved(), indent=1)
    looked = hand_in(data=text[: len(text) // 2])
    assert looked.notebook is None and "breaks off at line" in looked.why and "again" in looked.ask


def test_the_other_lesson_stripped_of_its_marks_is_told_apart(hand_in: Callable) -> None:
    other = solved("protein_design")
    for one in other.cells:
        one.metadata = {}
        one.pop("id", None)
    looked = hand_in(other)
    assert looked.notebook is None and "of another lesson" in looked.why and "protein" in looked.why.lower()


def test_a_file_over_the_limit_is_not_read(hand_in: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biollm_widgets.grading.preflight.LARGEST", 1000)
    monkeypatch.setattr("biollm_widgets.grading.handed_in.LARGEST", 1000)
    looked = hand_in(solved())
    assert looked.notebook is None and "larger than" in looked.why and "Clear Outputs" in looked.ask


@pytest.mark.parametrize(
    "file", ["dna_classification (1).ipynb", "dna_classification-Copy1.ipynb", "DNA_Classification.ipynb",
             "lovelace homework.ipynb", "dna_classification.ipynb.txt", "dna_classification.json", "Untitled.IPYNB"]
)  # fmt: skip
def test_another_name_is_taken_when_it_is_the_only_one_of_the_lesson(file: str, hand_in: Callable) -> None:
    notebook = solved()
    other = json.dumps(solved("protein_design"))
    looked = hand_in(notebook, file, **({"protein.ipynb": other} if file.lower().endswith("ipynb") else {}))
    same(looked, notebook)
    assert any(file in words and "taken as" in words for words in looked.repairs)


def test_of_several_the_lessons_name_is_taken_unless_nothing_is_answered_in_it(hand_in: Callable) -> None:
    full, blank = solved(), read("lessons")
    half = solved()
    cell(half, "pool").source = "def pool(hidden, mask):\n    return 1"
    looked = hand_in(half, **{"old copy.ipynb": json.dumps(full)})
    same(looked, half)
    assert any("2 notebooks" in words and "the lesson's name" in words for words in looked.repairs)
    looked = hand_in(blank, **{"old copy.ipynb": json.dumps(full)})
    same(looked, full)
    assert any("old copy.ipynb was taken" in words and "most answers" in words for words in looked.repairs)


def test_a_damaged_file_does_not_hide_a_good_one(hand_in: Callable) -> None:
    notebook = solved()
    looked = hand_in(data="{", **{"copy.ipynb": json.dumps(notebook)})
    same(looked, notebook)
    assert any(f"{NAME} itself could not be used" in words for words in looked.repairs)


def archive(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as made:
        for path, data in files.items():
            made.writestr(path, data)
    return held.getvalue()


def test_it_is_found_in_a_folder_and_in_an_archive_under_any_name(hand_in: Callable, tmp_path: Path) -> None:
    notebook = solved()
    data = json.dumps(notebook).encode()
    looked = hand_in(data=data, file=f"week 3/{NAME}")
    same(looked, notebook)
    assert "folder inside" in looked.repairs[0]
    (tmp_path / "learner" / DNA / "week 3" / NAME).unlink()
    packed = archive({f"home/{NAME}": data, "__MACOSX/._x.ipynb": b"x", "../../out.ipynb": b"x"})
    for file in ("hw.zip", NAME):
        looked = hand_in(data=packed, file=file)
        same(looked, notebook)
        assert any("archive" in words for words in looked.repairs)
        (tmp_path / "learner" / DNA / file).unlink()
    assert not list(tmp_path.rglob("out.ipynb"))


def test_archives_made_to_do_harm_are_refused_with_a_reason(hand_in: Callable) -> None:
    looked = hand_in(data=archive({NAME: bytes(200 * 2**20)}), file="bomb.zip")
    assert looked.notebook is None and "bomb" in looked.why
    looked = hand_in(data=archive({f"{i}.txt": b"" for i in range(2001)}), file="bomb.zip")
    assert looked.notebook is None and "2,001 files" in looked.why
    looked = hand_in(data=archive({"a.txt": b"x"})[:40], file="bomb.zip")
    assert looked.notebook is None and "not read" in looked.why


def test_nothing_and_another_thing_than_a_notebook_are_named(tmp_path: Path) -> None:
    for file, said in ((None, "Nothing was handed in"), ("answers.docx", "a Word document"), ("x.py", "a Python file"),
                       ("x.pdf", "a PDF"), ("x.html", "a web page")):  # fmt: skip
        folder = tmp_path / f"{file}" / DNA
        folder.mkdir(parents=True)
        (folder / "timestamp.txt").write_text("2026-01-01 00:00:00 UTC")
        if file:
            (folder / file).write_bytes(b"x")
        looked = look(folder, DNA, SOURCE)
        whole(looked)
        assert looked.notebook is None and said in looked.why
    assert "Nothing was handed in" in look(tmp_path / "not there", DNA, SOURCE).why


# Beside it.


def test_files_of_ones_own_come_along_and_links_and_devices_do_not(hand_in: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "learner" / DNA
    folder.mkdir(parents=True)
    (folder / "secret.csv").symlink_to(ROOT / "pyproject.toml")
    (folder / "away").symlink_to(ROOT)
    os.mkfifo(folder / "pipe.csv")
    more = {"helpers.py": "x = 1", "data/rows.csv": "1", "data/helpers.py": "2", "timestamp.txt": "2026-01-01",
            ".ipynb_checkpoints/x.py": "1", "other.ipynb": "{}", "__pycache__/x.pyc": "1"}  # fmt: skip
    looked = hand_in(solved(), **more)
    names = [path.relative_to(folder).as_posix() for path in looked.files]
    assert sorted(names) == ["data/helpers.py", "data/rows.csv", "helpers.py"] and names[-1] == "helpers.py"
    said = " ".join(looked.repairs)
    assert "secret.csv is a link" in said and "away is a link" in said and "pipe.csv is no ordinary file" in said


def test_a_notebook_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "learner" / DNA
    folder.mkdir(parents=True)
    (folder / NAME).symlink_to(ROOT / "solutions" / DNA / NAME)
    looked = look(folder, DNA, SOURCE)
    assert looked.notebook is None and "links are not followed" in looked.why
    linked = tmp_path / "linked"
    linked.symlink_to(ROOT / "solutions" / DNA)
    assert "links are not followed" in look(linked, DNA, SOURCE).why


def test_files_over_the_limit_do_not_come_along_and_are_named(
    hand_in: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("biollm_widgets.grading.preflight.BESIDE_ONE", 10)
    looked = hand_in(solved(), **{"big.bin": "x" * 11, "small.bin": "x"})
    assert [path.name for path in looked.files] == ["small.bin"]
    assert any("big.bin" in words for words in looked.repairs)


def test_the_fingerprint_changes_with_every_byte_and_name_and_with_nothing_else(
    hand_in: Callable, tmp_path: Path
) -> None:
    folder = tmp_path / "learner" / DNA
    first = hand_in(solved(), **{"x.csv": "1"}).sha
    assert fingerprint(folder) == first == look(folder, DNA, SOURCE).sha
    seen = {first}
    for change in (
        lambda: (folder / "x.csv").write_text("2"),
        lambda: (folder / "x.csv").rename(folder / "y.csv"),
        lambda: (folder / "timestamp.txt").write_text("now"),
        lambda: (folder / "link").symlink_to("a"),
    ):
        change()
        assert fingerprint(folder) not in seen
        seen.add(fingerprint(folder))


# Pages.


def test_words_that_would_act_in_a_browser_are_shown_as_text_and_told(hand_in: Callable) -> None:
    notebook = solved()
    cell(notebook, "report").source = "Fine.\n\n<script>alert(1)</script>\n\n**And** <b>bold</b>."
    notebook.cells.insert(4, nbformat.v4.new_raw_cell("<iframe src=x></iframe>"))
    looked = hand_in(notebook)
    text = dict(texts(looked))["report"]
    assert "&lt;script>alert(1)&lt;/script>" in text and "**And** <b>bold</b>." in text
    assert any("“report”" in words and "browser" in words for words in looked.repairs)
    assert looked.notebook is not None
    assert looked.notebook.cells[4].source == "```text\n<iframe src=x></iframe>\n```"


def test_pictures_pasted_into_an_answer_stay_and_other_attachments_go(hand_in: Callable) -> None:
    notebook = solved()
    mine = cell(notebook, "report")
    mine.source = "See ![plot](attachment:plot.png) and ![x](attachment:x.svg)."
    mine.attachments = {"plot.png": {"image/png": "AAAA"}, "x.svg": {"image/svg+xml": "PHN2Zz4="}}
    looked = hand_in(notebook)
    made = cell(looked.notebook, "report")
    assert made.attachments == {"plot.png": {"image/png": "AAAA"}}
    assert made.source == "See ![plot](attachment:plot.png) and [picture left out: x]."
    assert any("pictures" in words for words in looked.repairs)


# Whatever the bytes.


def test_no_cut_of_the_file_stops_the_look(hand_in: Callable) -> None:
    data = json.dumps(solved(), indent=1).encode()
    for part in range(51):
        looked = hand_in(data=data[: len(data) * part // 50])
        assert (looked.notebook is None) == (part < 50)


def test_no_random_bytes_stop_the_look(hand_in: Callable) -> None:
    chance = random.Random(8)
    data = json.dumps(solved()).encode()
    for number in range(60):
        made = bytearray(data)
        for _ in range(1 + number):
            made[chance.randrange(len(made))] = chance.randrange(256)
        hand_in(data=bytes(made))
        hand_in(data=chance.randbytes(1 + 40 * number))


ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    float("nan"),
    "",
    "x",
    "\ud800",
    [],
    [[]],
    [1, None],
    {},
    {"a": {}},
    "<b>" * 50,
]


@pytest.mark.slow
def test_no_swapped_type_anywhere_stops_the_look(hand_in: Callable) -> None:
    notebook = json.loads(json.dumps(solved()))
    chance = random.Random(8)
    marked = [i for i, one in enumerate(notebook["cells"]) if one["metadata"]]
    for value in ODD:
        for key in ("cells", "metadata", "nbformat", "nbformat_minor"):
            hand_in({**notebook, key: value})
        for key in ("cell_type", "source", "metadata", "id", "outputs", "attachments"):
            made = copy.deepcopy(notebook)
            for place in chance.sample(range(len(made["cells"])), 40):
                made["cells"][place][key] = value
            looked = hand_in(made)
            assert looked.notebook is not None
        made = copy.deepcopy(notebook)
        for place in chance.sample(marked, 30):
            key = chance.choice(["grade_id", "points", "grade", "solution", "locked", "nbgrader", "tags"])
            about = made["cells"][place]["metadata"]
            (about if key in ("nbgrader", "tags") else about["nbgrader"])[key] = value
        hand_in(made)
        made = copy.deepcopy(notebook)
        made["cells"][3] = made["cells"][50] = value
        hand_in(made)
    for pairs in ({"0": notebook["cells"][0]}, dict(enumerate(notebook["cells"]))):
        hand_in({**notebook, "cells": pairs})
    hand_in({**notebook, "cells": notebook["cells"] * 20})


def test_reading_bytes_alone_gives_cells_or_a_reason_and_nothing_else() -> None:
    for data in (
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\x00{",
        b"{\x00",
        b"null",
        b'"x"',
        b"{}" * 3,
        b"1" * 5000,
        b"-",
        b"NaN",
    ):
        found = reading.read(data)
        assert found.why and found.ask
