"""`biollm check`: a notebook is run, and its checks are told; nothing in it is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest.importorskip("nbclient", reason="Running a notebook needs nbclient (make test installs it).")
pytest.importorskip("ipykernel", reason="Running a notebook needs ipykernel (make test installs it).")

from biollm_widgets import cli

RIGHT = "import biollm_widgets as bio\ndef clean(text):\n    return ''.join(text.split()).upper().replace('U', 'T')"


def notebook(folder: Path, *cells: str) -> Path:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": "Day4-pt-251", "display_name": "Day4-pt-251", "language": "python"}
    path = folder / "lesson.ipynb"
    nbformat.write(made, path)
    return path


@pytest.fixture
def biollm(capsys: Any) -> Any:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.run(["check", *arguments])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


@pytest.mark.slow
def test_all_points_is_0_and_the_notebook_stays_as_it_was(biollm: Any, tmp_path: Path) -> None:
    path = notebook(tmp_path, RIGHT, 'bio.check("dna.clean", clean)', 'bio.check("dna.better_by", 1)')
    before = path.read_bytes()
    code, out, err = biollm(str(path))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "✓ dna.clean         2 of 2",
        "✓ dna.better_by     1 of 1",
        "2 of 2 checks give all points: 3 of 3 points.",
    ]
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_what_is_wrong_or_never_came_to_its_check_is_1_and_told(biollm: Any, tmp_path: Path) -> None:
    cells = [
        RIGHT,
        '# bio.check("dna.label", nothing)',
        'bio.check("dna.clean", claen)',
        'bio.check("dna.better_by", 174)',
    ]
    path = notebook(tmp_path, *cells)
    code, out, _ = biollm(str(path), "--json")
    found = json.loads(out)
    assert code == 1 and found["right"] == 0
    clean, better = found["checks"]
    assert clean["name"] == "dna.clean" and clean["mistake"] == "not run" and "NameError" in clean["belief"]
    assert better["mistake"] == "right" and better["score"] == 0 and better["hint"]
    code, out, _ = biollm(str(path))
    assert code == 1 and "Its cell did not come to the check (NameError: name 'claen' is not defined)." in " ".join(
        out.split()
    )


@pytest.mark.slow
def test_a_cell_that_stops_on_the_way_is_told_also_where_it_has_no_check(biollm: Any, tmp_path: Path) -> None:
    way = ["# a plot\nimport pandsa", "pandsa.DataFrame()", 'bio.check("dna.clean", claen)']
    path = notebook(tmp_path, RIGHT, *way, 'bio.check("dna.clean", clean)')
    code, out, _ = biollm(str(path))
    assert code == 0 and "✓ dna.clean" in out
    said = " ".join(out.split())
    assert "Cell 2 (# a plot) stopped with ModuleNotFoundError: No module named 'pandsa'. So did 1 other," in said
    code, out, _ = biollm(str(path), "--json")
    assert [one["cell"] for one in json.loads(out)["stopped"]] == [2, 3]


@pytest.mark.slow
def test_a_cell_that_does_not_end_is_told(biollm: Any, tmp_path: Path) -> None:
    path = notebook(tmp_path, "import time\ntime.sleep(60)", RIGHT, 'bio.check("dna.clean", clean)')
    code, out, _ = biollm(str(path), "--timeout", "2")
    assert code == 1 and "a cell took longer than 2 s" in " ".join(out.split())


def test_what_is_no_lesson_is_a_sentence_and_2(biollm: Any, tmp_path: Path) -> None:
    assert biollm(str(tmp_path / "no.ipynb"))[::2] == (
        2,
        f"biollm: There is no notebook {tmp_path / 'no.ipynb'}; check the name.\n",
    )
    (tmp_path / "broken.ipynb").write_text("{")
    code, _, err = biollm(str(tmp_path / "broken.ipynb"))
    assert code == 2 and "is no notebook that can be read" in err and "Traceback" not in err
    path = notebook(tmp_path, "1 + 1")
    assert biollm(str(path))[0] == 2
    path = notebook(tmp_path, 'bio.check("dna.cleen", 1)')
    code, _, err = biollm(str(path))
    assert code == 2 and "did you mean dna.clean?" in err
