"""The lessons with their solutions, run from top to bottom in JupyterLab: every widget is there, and nothing is red."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import BrowserContext, expect

from biollm_widgets.checks import checks_of

from .conftest import new_page
from .notebooks import Notebook
from .servers import Server

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"
RED = """() => bio.panel().content.widgets.filter((cell) => cell.model.type === "code").flatMap((cell) =>
    cell.model.outputs.toJSON().filter((out) => out.output_type === "error" || out.name === "stderr")
    .map((out) => [cell.model.sharedModel.id, [out.text || out.evalue].flat().join("").slice(0, 300)]))"""
SAID = """() => bio.panel().content.widgets.filter((cell) => cell.model.type === "code").flatMap((cell) =>
    cell.model.outputs.toJSON().filter((out) => out.name === "stdout").map((out) => [out.text].flat().join("")))"""
# How many cards of each widget a lesson shows, how many pictures, and whose checks it has.
LESSONS = {
    "dna_classification": ({"Token view": 2, "Training progress": 1}, 2, "dna"),
    "protein_design": ({"Token view": 1, "Protein panel": 3}, 1, "protein"),
}


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs_from_top_to_bottom_with_every_widget_and_nothing_red(
    lesson: str, server: Callable[[str], Server], context: BrowserContext
) -> None:
    cards, pictures, name = LESSONS[lesson]
    notebook = nbformat.read(SOLUTIONS / lesson / f"{lesson}.ipynb", as_version=4)
    # The cluster's kernel has another name here; nothing else is changed.
    notebook.metadata["kernelspec"] = {"name": "newest", "display_name": "newest", "language": "python"}
    place = server("same")
    nbformat.write(notebook, place.work / f"{lesson}.ipynb")
    page, watch = new_page(context)
    page.set_default_timeout(300_000)
    opened = Notebook(page, place, f"{lesson}.ipynb")
    opened.run_all()
    assert page.evaluate(RED) == []
    said = "\n".join(page.evaluate(SAID))
    assert said.count("✓ ") == len(checks_of(name)) and "✗ " not in said
    for label, count in cards.items():
        shown = page.locator(f"section.biollm[aria-label='{label}']")
        expect(shown).to_have_count(count)
        for card in shown.all():
            card.scroll_into_view_if_needed()
            expect(card.locator(".bw-title")).to_be_visible()
            expect(card.get_by_role("alert").first).to_be_hidden()
    drawn = page.locator(".jp-OutputArea img[src^='data:image/png']")
    expect(drawn).to_have_count(pictures)
    for one in drawn.all():
        assert len(one.get_attribute("alt") or "") > 40
    assert watch.elsewhere == [] and [error for error in watch.errors if "blob:" in error] == []
    opened.end_kernel()
    page.close()
