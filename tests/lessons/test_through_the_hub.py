"""The lessons, letter for letter, with models that come from the hub, and with another model by changing its name.

The hub is one of the tests' own. Its models have the real architectures and the published tokenizers, and weights that
nobody trained: all checks give all points all the same, for they judge what was understood.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hub import Hub
from small_models import dnabert2, grover, protgpt2

from biollm_widgets.checks import checks_of
from tests.conftest import skip_or_fail

ROOT = Path(__file__).resolve().parents[2]
DAY4 = ROOT / ".venv-day4" / "bin" / "python"
DNABERT2, PROTGPT2 = "zhihan1996/DNABERT-2-117M", "nferruz/ProtGPT2"
RUN = "from biollm_widgets.cli import run; run()"

pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Any]:
    import biollm_widgets as bio

    sequences = bio.load_coding_dataset(source="simulated", size=300, seed=1)["DNA_sequence"].tolist()
    with Hub(
        {
            DNABERT2: dnabert2(shared_data),
            "zhihan1996/DNABERT-S": dnabert2(shared_data),
            "PoetschLab/GROVER": grover(tmp_path_factory.mktemp("grover"), sequences),
            PROTGPT2: protgpt2(tmp_path_factory.mktemp("protgpt2"), shared_data),
        }
    ) as one:
        yield one


def check(python: Path, lesson: str, place: Path, hub: Any, name: str = "") -> tuple[list[dict[str, Any]], str]:
    """What each check found, and what locate said, when the solved lesson is run with a model of this name."""
    notebook = nbformat.read(ROOT / "solutions" / lesson / f"{lesson}.ipynb", as_version=4)
    if name:
        [cell] = [cell for cell in notebook.cells if cell.id == "setup"]
        [line] = [line for line in cell.source.splitlines() if line.startswith("NAME = ")]
        cell.source = cell.source.replace(line, f"NAME = {name!r}")
    # The last cell has what only the last units made: cells without a check may not stop either.
    made = {"dna_classification": "answer", "protein_design": "near"}[lesson]
    notebook.cells.append(nbformat.v4.new_code_cell(f"{made}\nopen('said.txt', 'w').write(bio.locate(NAME).said)"))
    path = place / f"{lesson}.ipynb"
    nbformat.write(notebook, path)
    env = {key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "BIOLLM_MODELS")}
    env |= {"HF_HOME": str(place / "cache"), "HF_ENDPOINT": hub.url, "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"}
    env |= {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [str(python), "-c", RUN, "check", str(path), "--json"], env=env, cwd=place, capture_output=True, text=True,
        timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return json.loads(done.stdout)["checks"], (place / "said.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(("lesson", "name"), {"dna_classification": DNABERT2, "protein_design": PROTGPT2}.items())
def test_a_lesson_as_it_is_runs_on_the_clusters_versions_with_a_model_from_the_hub(
    lesson: str, name: str, tmp_path: Path, hub: Any
) -> None:
    if not DAY4.exists():
        skip_or_fail("The cluster's versions are not in .venv-day4; `make test` installs them.")
    rows, said = check(DAY4, lesson, tmp_path, hub)
    assert len(rows) == len(checks_of(lesson.split("_")[0])) and all(row["score"] == row["points"] for row in rows)
    assert "tand-in" not in said and name in said
    [weights] = {"model.safetensors", "pytorch_model.bin"} & set(hub.models[name])  # as each is published
    assert len(hub.sent(name, weights)) == 1


@pytest.mark.parametrize("name", ["zhihan1996/DNABERT-S", "PoetschLab/GROVER"])
def test_another_model_goes_through_the_same_cells_by_changing_one_name(name: str, tmp_path: Path, hub: Any) -> None:
    rows, said = check(Path(sys.executable), "dna_classification", tmp_path, hub, name)
    assert len(rows) == len(checks_of("dna")) and all(row["score"] == row["points"] for row in rows)
    assert "tand-in" not in said and name in said
