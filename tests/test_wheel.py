"""What `pip install .` brings: the built wheel works away from the checkout, model and lessons included."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The wheel built from what git tracks, installed into a folder of its own."""
    pytest.importorskip(
        "setuptools", minversion="77", reason="Building the wheel needs setuptools 77 (make test installs it)."
    )
    base = tmp_path_factory.mktemp("wheel")
    # From a copy of the tracked files, as from a clean clone: leftovers of the working tree must not help.
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            target = base / "clone" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(base), str(base / "clone")], check=True
    )
    (wheel,) = base.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(base / "site"), str(wheel)], check=True)
    return base


def run_away(installed: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed / "site"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=installed, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_the_wheel_holds_the_models_and_the_lesson_and_nothing_that_is_not_the_package(installed):
    (wheel,) = installed.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for ending in (
        "biollm_widgets/widgets/base.css",
        "biollm_widgets/widgets/base.js",
        "biollm_widgets/widgets/token_view.css",
        "biollm_widgets/widgets/token_view.js",
        "biollm_widgets/widgets/token_panels.js",
        "biollm_widgets/models/embedded/dna/model.safetensors",
        "biollm_widgets/models/embedded/dna/tokenizer.json",
        "biollm_widgets/models/embedded/dna/config.json",
        "biollm_widgets/models/embedded/dna/README.md",
        "biollm_widgets/models/embedded/protein/model.safetensors",
        "biollm_widgets/models/embedded/protein/tokenizer.json",
        "biollm_widgets/models/embedded/protein/config.json",
        "biollm_widgets/models/embedded/protein/README.md",
        "biollm_widgets/py.typed",
        "share/biollm_widgets/lessons/start_here.ipynb",
        "share/biollm_widgets/launcher/jp_app_launcher_biollm.yaml",
        "share/biollm_widgets/launcher/start.svg",
        "share/biollm_widgets/launcher/dna.svg",
        "share/biollm_widgets/launcher/protein.svg",
    ):
        assert any(name.endswith(ending) for name in names), ending
    assert not [name for name in names if name.split("/")[0] in ("tests", "training", "benchmarks", "shared")]


@pytest.mark.slow
def test_the_installed_package_embeds_with_its_own_model(installed):
    code = (
        "import biollm_widgets as bio; from transformers import AutoTokenizer\n"
        "here = bio.locate('zhihan1996/DNABERT-2-117M')\n"
        "model = bio.DNABert2Model.from_pretrained(here)\n"
        "vectors = bio.embed(['ACGTACGTTT' * 9, 'TTTTTGGCA'], AutoTokenizer.from_pretrained(here), model)\n"
        "print(bio.__file__, here.source, vectors.shape, bool(abs(vectors).sum() > 1))"
    )
    done = run_away(installed, "-c", code)
    assert done.returncode == 0, done.stderr
    file, *rest = done.stdout.split(maxsplit=1)
    assert str(installed) in file
    assert rest[0].startswith("embedded (2, ") and rest[0].endswith("True\n")


@pytest.mark.slow
def test_the_installed_package_writes_proteins_with_its_own_model(installed):
    done = run_away(installed, "-m", "biollm_widgets.cli", "generate", "-n", "2", "--max-length", "30", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert "Stand-in for nferruz/ProtGPT2" in done.stderr and done.stdout.count(">design_") == 2


@pytest.mark.slow
def test_biollm_lab_finds_the_lessons_of_the_installation(installed):
    done = run_away(installed, "-m", "biollm_widgets.cli", "lab", "--no-open", "there")
    assert done.returncode == 0, done.stderr
    assert (installed / "there" / "start_here.ipynb").is_file()
    code = "from biollm_widgets.lessons import shipped; print(*shipped('launcher', '.yaml'))"
    assert str(installed / "site") in run_away(installed, "-c", code).stdout
