"""`view.to_html()`: a page without Jupyter, opened from a file, is alive, and what it shows is text."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect
from transformers import AutoTokenizer

import biollm_widgets as bio
from biollm_widgets.models.locate import locate

HOSTILE = "<script>window.harmed = 1</script></style><img src=x onerror='window.harmed = 1'>"


def test_a_page_alone_is_alive_and_asks_nobody(page: Page, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(locate("zhihan1996/DNABERT-2-117M", source="embedded"))
    view = bio.TokenView({HOSTILE: HOSTILE + "ACGTAGCATCGG"}, {HOSTILE: tokenizer, "6-mer": bio.KmerTokenizer(6)})
    view.to_html(tmp_path / "view.html")
    page.goto((tmp_path / "view.html").as_uri())
    expect(page.locator(".biollm .bw-title")).to_have_text(view.title)
    expect(page.locator(f".{view._twin}")).to_be_hidden()
    expect(page.get_by_role("button", name="Mutate")).to_have_count(0)  # it takes Python
    longest = max((t.text for t in view.tokenizations[0][HOSTILE] if not t.unknown and not t.special), key=len)
    page.locator(".biollm .bw-t", has_text=longest).first.hover()
    expect(page.locator(".bw-details")).to_contain_text("built by")
    page.get_by_label("Colour").select_option("length")
    expect(page.locator(".bw-legend")).to_contain_text("token length")
    expect(page.locator(".biollm .bw-lanes")).to_contain_text(HOSTILE)
    assert page.evaluate("window.harmed") is None


def test_without_scripts_the_same_page_is_the_saved_picture(page: Page, tmp_path: Path) -> None:
    view = bio.TokenView("ACGTAGCATCGG", bio.KmerTokenizer(6))
    text = view.to_html()
    (tmp_path / "view.html").write_text(text[: text.index("<script")], encoding="utf-8")
    page.goto((tmp_path / "view.html").as_uri())
    twin = page.locator(f".{view._twin}")
    expect(twin).to_contain_text(view.title)
    assert twin.locator("img").evaluate("image => image.naturalWidth") > 100


def test_a_page_alone_of_proteins_sorts_and_has_no_buttons_that_take_python(page: Page, tmp_path: Path) -> None:
    panel = bio.ProteinPanel(n=6, seed=1, max_length=40)
    panel.generate_sync()
    panel.to_html(tmp_path / "panel.html")
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((tmp_path / "panel.html").as_uri())
    expect(page.locator(".biollm .bw-title")).to_have_text(panel.title)
    expect(page.locator(f".{panel._twin}")).to_be_hidden()
    for name in ("Generate", "Cancel", "Take away", "Authors' settings"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    rows = page.locator(".bp-tabled tbody tr")
    expect(rows.first).to_contain_text(panel.to_frame()["name"][0])  # by perplexity
    page.locator("[data-sort=residues]").click()
    page.locator("[data-sort=residues]").click()
    ends = {design.residues: design.name for design in panel.generation}
    shown = [rows.nth(0).inner_text().split()[0], rows.nth(5).inner_text().split()[0]]
    assert sorted(shown) == sorted([ends[max(ends)], ends[min(ends)]]) and wrong == []
    page.get_by_role("button", name="Composition").click()
    residues = sum(design.residues for design in panel.generation)
    expect(page.locator(".bp-side figure")).to_contain_text(f"n = {residues:,} residues of 6 proteins")
    expect(page.get_by_role("button", name="Compare")).to_have_count(0)  # it takes Python
    assert wrong == []
