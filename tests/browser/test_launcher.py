"""JupyterLab as `biollm lab` opens it: its tiles, the lesson behind one, and the kernel that the lesson asks for."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from biollm_widgets.kernels.install import NAME

from .servers import surroundings

TILES = ("Start here", "Classifying DNA", "Designing proteins")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The address of a JupyterLab that the command has started in an empty home."""
    words = [sys.executable, "-m", "biollm_widgets.cli", "lab", str(tmp_path / "lessons"), "--no-browser"]
    words += ["--allow-root", "--IdentityProvider.token=", "--ServerApp.port=0"]
    with (tmp_path / "log.txt").open("w") as log:
        server = subprocess.Popen(words, env=surroundings(tmp_path), cwd=tmp_path, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 120
        while not (found := list((tmp_path / "runtime").glob("jpserver-*.json"))) or not found[0].read_text():
            assert server.poll() is None and time.monotonic() < until, (tmp_path / "log.txt").read_text()[-3000:]
            time.sleep(0.1)
        yield f"http://127.0.0.1:{json.loads(found[0].read_text())['port']}"
    finally:
        server.terminate()
        server.wait(30)


def test_each_lesson_has_a_tile_that_opens_the_learners_own_file_on_the_courses_kernel(
    lab: str, page: Page, tmp_path: Path
) -> None:
    page.goto(f"{lab}/lab")
    tiles = page.locator(".jp-Launcher .jp-LauncherCard")
    for name in TILES:
        tile = tiles.filter(has_text=name)
        expect(tile).to_have_count(1)
        expect(tile.locator("svg")).to_be_visible()  # each with a picture of its own
    tiles.filter(has_text="Designing proteins").click()
    expect(page.locator(".jp-NotebookPanel .jp-RenderedMarkdown h1").first).to_contain_text("protein", ignore_case=True)
    expect(page.locator(".jp-Toolbar-kernelName")).to_contain_text(NAME)
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_attached(timeout=60_000)
    expect(page.locator(".lm-TabBar-tabLabel", has_text="protein_design.ipynb")).to_have_count(1)
    assert sorted(path.name for path in (tmp_path / "lessons").glob("*.ipynb")) == [
        "dna_classification.ipynb", "protein_design.ipynb", "start_here.ipynb",
    ]  # fmt: skip
