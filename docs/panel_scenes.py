"""The scenes with ProteinPanel: the embedded model goes on from the first residues of a real protein."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import Locator, expect

if TYPE_CHECKING:
    from docs.pictures import Studio

# Thioredoxin of E. coli, UniProt P0AA25.
PROMPT = "MSDKIIHLTDDSFDTDVLKADGAILVDFWAEWCGPCKMIAPI"


def _shown(studio: Studio, options: str, theme: str = "Light") -> Locator:
    studio.page.mouse.move(0, 0)
    studio.notebook.forget(1)
    studio.notebook.theme(f"JupyterLab {theme}")
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


def explored(studio: Studio) -> Locator:
    """What the model would write next, and what each setting makes of that, in the dark theme."""
    card = _shown(studio, f"prompt={PROMPT!r}, temperature=0.7, top_k=60, top_p=0.5, repetition_penalty=1.2", "Dark")
    card.get_by_role("button", name="What comes next").click()
    expect(card.locator(".bp-next tbody tr").nth(5)).to_be_visible()
    return card.locator(".bw-region:has(> .bp-part .bp-next)")


def walked(studio: Studio) -> Locator:
    """A design token by token: what was drawn, and what else could have come there."""
    card = _shown(studio, f"prompt={PROMPT!r}, n=2, max_length=70, seed=7")
    card.locator(".bp-generate").click()
    expect(card.locator(".bp-tabled tbody tr")).to_have_count(2)
    expect(card.locator(".bp-generate")).to_be_visible()
    card.locator(".bp-opener").first.click()
    card.get_by_role("button", name="Token by token").click()
    card.locator(".bp-walk .bp-token").nth(40).click()
    expect(card.locator(".bp-next .bp-chosen")).to_be_visible()
    expect(card.locator(".bp-topic")).to_contain_text("token 40 of")
    return card.locator(".bw-region:has(> .bp-part .bp-next)")
