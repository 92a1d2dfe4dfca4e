"""The scene with ProteinPanel: the embedded model goes on from the first residues of a real protein."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import Locator, expect

if TYPE_CHECKING:
    from docs.pictures import Studio

# Thioredoxin of E. coli, UniProt P0AA25.
PROMPT = "MSDKIIHLTDDSFDTDVLKADGAILVDFWAEWCGPCKMIAPI"


def _shown(studio: Studio, options: str) -> Locator:
    studio.page.mouse.move(0, 0)
    studio.notebook.forget(1)
    studio.notebook.theme("JupyterLab Light")
    number = studio.notebook.start([f"panel = bio.ProteinPanel({options})\npanel"])
    studio.notebook.wait_until_done(number)
    return studio.notebook.outputs(number).locator("section.biollm")


def judged(studio: Studio) -> Locator:
    """Five designs in their order, with what the model's choices were."""
    card = _shown(studio, f"prompt={PROMPT!r}, n=5, max_length=120, seed=7")
    card.locator(".bp-generate").click()
    expect(card.locator(".bp-tabled tbody tr")).to_have_count(5)
    expect(card.locator(".bp-generate")).to_be_visible()
    return card
