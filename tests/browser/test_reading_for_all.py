"""TokenView for everybody: both themes, the keyboard alone, names for screen readers, narrow panes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .notebooks import Notebook
from .token_views import View

CONTRASTS = Path(__file__).with_name("contrasts.js").read_text(encoding="utf-8").split("\n", 2)[2]
MIXED = (
    "bio.TokenView('ACGTNNACGTacgtACGTAGC' + SEQUENCE, [dna, bio.KmerTokenizer(6)], frames=[1],"
    " scores=None, color='token')"
)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_text_stands_out_in_both_themes(lab: Notebook, theme: str) -> None:
    view = View(lab, MIXED)
    lab.tell("view.change(2, 'A'); view.selection = (6, 20)")
    expect(view.card.locator(".bw-changed").first).to_be_visible()
    expect(view.chosen.first).to_be_visible()
    pale: set[tuple[str, str, str, float]] = set()
    try:
        lab.theme(theme)
        for panel in ("Compare", "Mutate", "Find", "Save"):
            view.open(panel)
            for colour in ("token", "length") if panel == "Compare" else ("token",):
                view.card.get_by_role("combobox", name="Colour").select_option(colour)
                lab.page.mouse.move(0, 0)
                seen = view.card.evaluate(CONTRASTS)
                assert len(seen) > 100
                pale |= {(panel, colour, kind, round(ratio, 2)) for kind, _, ratio in seen if ratio < 4.5}
        assert sorted(pale) == []
    finally:
        lab.theme("JupyterLab Light")


def test_letters_fit_their_pieces_after_a_change_of_theme(lab: Notebook) -> None:
    view = View(lab)
    one = "pieces => pieces.every((p) => Math.abs(p.scrollWidth - p.getBoundingClientRect().width) < 3)"
    assert view.pieces.evaluate_all(one)
    try:
        lab.theme("JupyterLab Dark")
        lab.page.wait_for_function("card => card.checkVisibility()", arg=view.card.element_handle())
        assert view.pieces.evaluate_all(one)
    finally:
        lab.theme("JupyterLab Light")
    assert view.pieces.evaluate_all(one)


def test_the_contrast_check_finds_pale_text(lab: Notebook) -> None:
    view = View(lab)
    view.title.evaluate("title => { title.style.color = '#999'; }")
    assert next(ratio for kind, _, ratio in view.card.evaluate(CONTRASTS) if kind == "bw-title") < 4


def test_tab_goes_through_every_region_with_focus_to_be_seen_and_a_name_for_each(lab: Notebook) -> None:
    view = View(lab)
    view.open("Merges")
    view.open("Find")
    view.card.get_by_role("combobox", name="Colour").focus()
    stops = []
    for _ in range(30):
        lab.page.keyboard.press("Tab")
        where = lab.page.evaluate(
            """() => {
                const node = document.activeElement, style = getComputedStyle(node);
                if (!node.closest("section.biollm")) return null;
                const region = node.closest(".bw-head, .bw-panel, .bw-scroll")?.className || "";
                return [node.getAttribute("role") || node.localName, region,
                    style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
            }"""
        )
        if where is None:
            break
        stops.append(where)
    assert stops and all(seen for _, _, seen in stops), stops
    regions = [region.split()[-1] for _, region, _ in stops]
    order = sorted(set(regions), key=regions.index)
    assert order == ["bw-head", "bw-panel", "bw-scroll"]
    assert regions == sorted(regions, key=order.index)  # each region is left once, for good
    assert stops[-1][0] == "listbox"


def test_every_control_and_every_token_has_a_name(lab: Notebook) -> None:
    view = View(lab, MIXED)
    session = lab.page.context.new_cdp_session(lab.page)
    control = {
        "button",
        "combobox",
        "textbox",
        "slider",
        "listbox",
        "checkbox",
        "link",
        "option",
        "region",
        "toolbar",
        "image",
    }
    for panel in ("Compare", "Mutate", "Merges", "Find", "Frames", "Save"):
        opened = view.open(panel)
        if panel == "Save":
            opened.get_by_role("button", name="Selection (FASTA)").or_(
                opened.get_by_role("button", name="Sequence (FASTA)")
            ).click()
            expect(opened.get_by_role("textbox")).to_be_visible()
        view.card.evaluate("card => { window.card = card; }")
        found = session.send("Runtime.evaluate", {"expression": "window.card"})["result"]["objectId"]
        tree = session.send("Accessibility.queryAXTree", {"objectId": found})["nodes"]
        roles = [
            (node["role"]["value"], node.get("name", {}).get("value", "").strip())
            for node in tree
            if not node.get("ignored") and node["role"]["value"].lower() in control
        ]
        assert len(roles) > 20
        assert [role for role, name in roles if not name] == [], panel
    session.detach()


def test_what_the_keys_reach_is_said_to_screen_readers(lab: Notebook) -> None:
    view = View(lab)
    view.strip.focus()
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("ArrowRight")
    text = view.pieces.first.text_content()
    active = view.strip.get_attribute("aria-activedescendant")
    expect(view.card.locator(f"#{active}")).to_have_attribute(
        "aria-label", re.compile(f"^{text}, .*bases 1–{len(text)}")
    )
    live = view.card.locator("[aria-live=polite]")
    expect(live).to_contain_text(f"[0, {len(text)})")
    lab.page.keyboard.press("Enter")
    expect(view.card.locator(f"#{active}")).to_have_attribute("aria-selected", "true")


def test_escape_leaves_from_a_panel_too(lab: Notebook) -> None:
    view = View(lab)
    view.open("Find").get_by_role("textbox").focus()
    lab.page.keyboard.press("Escape")
    expect(view.panel).to_be_hidden()
    expect(view.button("Find")).to_be_focused()


def test_in_a_narrow_pane_only_the_sequence_may_scroll(lab: Notebook) -> None:
    view = View(lab, COMPARED_NARROW)
    view.card.evaluate("card => { card.style.width = '360px'; }")
    for panel in ("Compare", "Mutate", "Merges", "Find", "Frames", "Save"):
        view.open(panel)
        assert view.card.evaluate("card => card.scrollWidth <= card.clientWidth + 1"), panel
    # Nothing is lost: the rows are shorter, and together they are the sequence.
    view.button("Save").click()
    bases = view.card.get_by_role("option", name=re.compile(", letters, base "))
    expect(bases).to_have_count(59)


COMPARED_NARROW = 'bio.TokenView(SEQUENCE, [dna, bio.CharTokenizer("dna")], height=2000)'
