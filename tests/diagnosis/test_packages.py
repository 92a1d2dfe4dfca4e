"""Versions against the package's own metadata, and the pip line that mends a wrong one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from biollm_widgets.diagnosis import findings, packages

from .rooms import look, shell, surroundings
from .test_front_end import lent_environment, wheel

LINES = ["numpy>=1.26", "click>=8.1", 'peft>=0.15; extra == "finetune"', 'winonly>=1; sys_platform == "nowhere"']


@pytest.fixture
def versions(monkeypatch):
    """Say which versions are installed."""
    have: dict[str, str] = {}
    needs: dict[str, list[str]] = {}
    monkeypatch.setattr(packages, "_version", have.get)
    monkeypatch.setattr(packages, "_requires_of", lambda name: needs.get(name, []))
    have["needs"] = needs  # type: ignore[assignment]
    return have


def test_what_is_there_in_a_right_version_is_one_finding(versions):
    versions |= {"numpy": "2.0", "click": "8.1.0"}
    assert [(one.id, one.state) for one in packages.required(LINES)] == [("packages", "fine")]


def test_what_is_missing_and_what_is_too_old_is_named_with_the_line_that_brings_it(versions):
    versions |= {"numpy": "1.25.9"}
    old, missing = packages.required(LINES)
    assert (old.id, old.state) == ("package-numpy", "broken")
    assert old.sentence == "biollm-widgets needs numpy>=1.26; here is 1.25.9."
    assert "-m pip install" in old.command and old.command.endswith("'numpy>=1.26'")
    assert missing.sentence == "biollm-widgets needs click>=8.1; it is not here."


def test_what_the_packages_need_of_each_other_is_looked_at(versions):
    versions |= {"numpy": "2.0", "click": "8.1", "tokenizers": "0.23.1"}
    versions["needs"]["numpy"] = ["tokenizers<0.22,>=0.21", 'absent>=1; extra == "x"', "not-installed>=3"]
    [found] = packages.required(LINES)
    assert found.id == "package-numpy-needs-tokenizers" and found.state == "broken"
    assert found.command.endswith("'tokenizers<0.22,>=0.21'")


def test_an_extra_that_is_not_installed_is_a_note_with_its_purpose(versions):
    [found] = packages.extras(LINES)
    assert (found.id, found.state) == ("extra-finetune", "note")
    assert "LoRA" in found.sentence and found.command.endswith("'peft>=0.15'")
    versions["peft"] = "0.15"
    assert [one.state for one in packages.extras(LINES)] == ["fine"]


@pytest.mark.parametrize(("torch", "noted"), [("2.5.1+cu124", True), ("2.6.0", False)])
def test_transformers_5_and_a_torch_that_may_not_read_bin_files(versions, torch, noted):
    versions |= {"torch": torch, "transformers": "5.20.2"}
    assert [one.id for one in packages.bad_together()] == (["transformers-torch"] if noted else [])
    versions["transformers"] = "4.50.3"
    assert list(packages.bad_together()) == []


def test_an_old_python_is_broken():
    assert packages.python(">=3.10").state == "fine"
    found = packages.python(">=3.99")
    assert found.state == "broken" and "Python >=3.99 is needed" in found.sentence


def test_in_a_kernel_the_line_is_one_for_a_cell(monkeypatch):
    monkeypatch.setattr(findings, "_in_notebook", True)
    monkeypatch.setattr(packages, "_may_write_here", lambda: False)
    assert packages.pip("numpy>=1.26") == '%pip install --user "numpy>=1.26"'


def test_the_metadata_that_is_read_is_the_packages_own(tmp_path):
    found = look("packages", surroundings(tmp_path))
    assert found["python"]["state"] == "fine"
    assert found["packages"]["sentence"].startswith("all ")


def test_a_wrong_version_is_found_and_gone_after_the_line_that_is_printed(tmp_path):
    python = lent_environment(tmp_path / "env")
    [site] = (tmp_path / "env").glob("lib/python3*/site-packages")
    info = site / "tqdm-3.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tqdm\nVersion: 3.0\n")
    (info / "RECORD").write_text("tqdm-3.0.dist-info/METADATA,,\ntqdm-3.0.dist-info/RECORD,,\n")
    wheel(tmp_path / "wheels", "tqdm", "4.99", {})
    own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels"), "PIP_NO_DEPS": "1"}
    environ = surroundings(tmp_path) | own

    def found() -> dict:
        code = "from biollm_widgets.diagnosis.packages import look\n"
        code += "print([(one.id, one.state, one.command) for one in look()])"
        done = subprocess.run([python, "-c", code], env=environ, capture_output=True, text=True, check=True)
        return {one[0]: one for one in eval(done.stdout)}

    _, state, command = found()["package-tqdm"]
    assert state == "broken" and command == f"{python} -m pip install 'tqdm>=4.66'"
    shell(command, environ)
    assert "package-tqdm" not in found()


def test_a_kernel_without_anywidget_is_told_so(monkeypatch):
    from biollm_widgets.diagnosis import front_end

    monkeypatch.setattr(front_end, "_version", {"ipywidgets": "8.1"}.get)
    found = front_end.kernel_side()
    assert found.state == "broken" and "has no anywidget" in found.sentence
    assert found.command.endswith("-m pip install anywidget") and sys.executable in found.command
