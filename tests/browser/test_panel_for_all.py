"""ProteinPanel for everybody: both themes, the keyboard alone, names for screen readers, narrow panes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .notebooks import Notebook
from .panels import FEW, MANY, Panel

CONTRASTS = Path(__file__).with_name("contrasts.js").read_text(encoding="utf-8").split("\n", 2)[2]
CONTROLS = {
    "button", "textbox", "slider", "checkbox", "listbox", "option", "progressbar", "region", "link", "img", "table",
    "columnheader", "list",
}  # fmt: skip
REPEATS = "prompt='MAAAAAAAAAAAAAAAAAAAAAAA', temperature=0.1, top_k=2, n=3, seed=1, max_length=60"


def beginning(notebook: Notebook) -> Panel:
    """Before the first generation, with what is typed wrong said."""
    panel = Panel(notebook, "seed=1")
    panel.prompt.fill("MKX")
    panel.field("top_p").fill("2")
    expect(panel.check("top_p")).to_contain_text("top_p is 2")
    panel.button("Generate").click()
    expect(panel.trouble).to_contain_text("First mend the prompt")
    return panel


def judged(notebook: Notebook) -> Panel:
    """A table with a row that deceives, opened, and all columns."""
    panel = Panel(notebook, REPEATS)
    panel.generate()
    panel.button("All columns").click()
    panel.open_design(panel.names()[0])
    return panel


def explored(notebook: Notebook) -> Panel:
    """What comes next, most of it cut off."""
    panel = Panel(notebook, "prompt='MKTAYIAK', top_k=5, temperature=0.7, seed=1")
    panel.open_ahead()
    return panel


def walked(notebook: Notebook) -> Panel:
    """A design token by token, with the files open below."""
    panel = Panel(notebook, f"prompt='MKTAYIAK', {FEW}")
    panel.generate()
    panel.open_design(panel.names()[0]).get_by_role("button", name="Token by token").click()
    expect(panel.tokens.first).to_be_visible()
    expect(panel.next.locator(".bp-chosen")).to_be_visible()
    panel.open("Take away")
    panel.root.locator("[data-kind=fasta]").click()
    expect(panel.root.locator(".bp-handed a")).to_be_visible()
    return panel


def composed(notebook: Notebook) -> Panel:
    """What all are made of, after a Cancel."""
    notebook.tell("slow(0.05)")
    panel = Panel(notebook, MANY)
    panel.button("Generate").click()
    panel.wait_for_residues(3)
    panel.button("Cancel").click()
    panel.wait_until_judged()
    notebook.tell("quick()")
    panel.open("Composition")
    expect(panel.root.locator(".bp-side figure")).to_be_visible()
    return panel


def growing(notebook: Notebook) -> Panel:
    """At work; it goes on until the panel is closed."""
    notebook.tell("slow(0.05)")
    panel = Panel(notebook, MANY)
    panel.button("Generate").click()
    panel.wait_for_residues(5)
    return panel


def failed(notebook: Notebook) -> Panel:
    """Memory ran out."""
    notebook.tell(
        "def fails(*_):\n    raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB')\n"
        "held.append(bio.ProteinPanel()._model.here().model.register_forward_pre_hook(fails))"
    )
    panel = Panel(notebook)
    panel.button("Generate").click()
    expect(panel.notice).to_contain_text("Memory ran out.")
    notebook.tell("quick()")
    return panel


STATES: list[Callable[[Notebook], Panel]] = [beginning, judged, explored, walked, composed, failed, growing]


def test_every_text_stands_out_in_both_themes(designs_lab: Notebook) -> None:
    pale: set[tuple[str, str, str, str, float]] = set()
    try:
        for state in STATES:
            panel = state(designs_lab)
            for theme in ("JupyterLab Dark", "JupyterLab Light"):
                designs_lab.theme(theme)
                panel.page.wait_for_timeout(200)
                seen = panel.root.evaluate(CONTRASTS)
                assert len(seen) > 15
                pale |= {
                    (state.__name__, theme, str(what), text, round(ratio, 2))
                    for what, text, ratio in seen
                    if ratio < 4.5
                }
            designs_lab.tell("quick(); panel.close()")
        assert sorted(pale) == []
    finally:
        designs_lab.theme("JupyterLab Light")


def test_every_control_has_a_name_and_no_sign_is_read_out(designs_lab: Notebook) -> None:
    session = designs_lab.page.context.new_cdp_session(designs_lab.page)
    for state in STATES:
        panel = state(designs_lab)
        panel.root.evaluate("card => { window.card = card; }")
        found = session.send("Runtime.evaluate", {"expression": "window.card"})["result"]["objectId"]
        tree = session.send("Accessibility.queryAXTree", {"objectId": found})["nodes"]
        roles = [
            (node["role"]["value"].lower(), node.get("name", {}).get("value", "").strip())
            for node in tree
            if not node.get("ignored") and node["role"]["value"].lower() in CONTROLS
        ]
        assert len(roles) > 10
        assert [role for role, name in roles if not name] == [], state.__name__
        assert [name for _, name in roles if re.search("[▸▾▲▼⚠→]", name)] == [], state.__name__
        designs_lab.tell("quick(); panel.close()")
    session.detach()


def test_keys_alone_generate_cancel_sort_and_open_and_the_focus_stays(designs_lab: Notebook) -> None:
    designs_lab.tell("slow(0.05)")
    panel = Panel(designs_lab, MANY)
    keys = panel.page.keyboard
    panel.button("Generate").focus()
    keys.press("Enter")
    expect(panel.title).to_have_text("6 proteins grow")
    panel.wait_for_residues(3)
    expect(panel.button("Cancel")).to_be_focused()
    keys.press("Enter")
    panel.wait_until_judged()
    expect(panel.button("Generate")).to_be_focused()
    expect(panel.root.locator("[aria-live=polite]")).to_contain_text("cut off by Cancel")
    # From the button through every field, each with its focus to be seen, to the table and its doors.
    stops: list[tuple[str, bool]] = []
    for _ in range(60):
        keys.press("Tab")
        where = panel.page.evaluate(
            """() => {
                const node = document.activeElement, style = getComputedStyle(node);
                if (!node.closest("section.biollm")) return null;
                const name = node.dataset.key || node.dataset.sort || node.dataset.door || node.innerText || "";
                return [name, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
            }"""
        )
        if where is None:
            break
        stops.append((where[0], where[1]))
    names = [name for name, _ in stops]
    assert [name for name, seen in stops if not seen] == []
    assert names[0] == "prompt" and "seed" in names and "temperature" in names
    places = [names.index(one) for one in ("prompt", "seed", "next", "perplexity", "composition", "take")]
    assert places == sorted(places)
    panel.root.locator("[data-sort=residues]").focus()
    keys.press("Enter")
    expect(panel.root.locator("[data-sort=residues]")).to_be_focused()
    first = panel.names()[0]
    panel.button(first).focus()
    keys.press("Enter")
    expect(panel.root.locator(".bp-details .bp-whole")).to_be_visible()
    expect(panel.button(first)).to_be_focused()


def test_the_progress_is_said_in_words(designs_lab: Notebook) -> None:
    panel = growing(designs_lab)
    bar = panel.root.get_by_role("progressbar", name="Proteins")
    expect(bar).to_have_attribute("aria-valuetext", re.compile(r"token \d+ of 399 · \d of 6 still growing"))


@pytest.mark.parametrize("width", [360, 900])
def test_what_is_known_of_a_design_is_as_wide_as_the_card_beside_a_table_that_is_wider(
    designs_lab: Notebook, width: int
) -> None:
    panel = judged(designs_lab)
    panel.root.evaluate("(card, width) => { card.style.width = `${width}px`; }", width)
    table, details = panel.root.locator(".bp-tabled table"), panel.root.locator(".bp-details")
    assert table.evaluate("table => table.getBoundingClientRect().width") > width
    assert details.evaluate("node => node.getBoundingClientRect().width") <= width
    over = details.evaluate(
        """node => [...node.querySelectorAll("p, dl, dt, dd, .bp-whole")].filter((one) =>
            one.scrollWidth > one.clientWidth + 1 || one.offsetHeight > 28 && one.tagName === "DT")
            .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert over == []  # no sentence is cut off, and no label needs two lines


@pytest.mark.parametrize("width", [360, 520])
def test_in_a_narrow_pane_nothing_scrolls_sideways_but_tables(designs_lab: Notebook, width: int) -> None:
    for state in STATES:
        panel = state(designs_lab)
        panel.root.evaluate("(card, width) => { card.style.width = `${width}px`; }", width)
        panel.page.wait_for_timeout(100)
        assert panel.root.evaluate("card => card.scrollWidth <= card.clientWidth + 1"), state.__name__
        wide = panel.root.evaluate(
            """card => [...card.querySelectorAll("*")].filter((node) =>
                node.getBoundingClientRect().right > card.getBoundingClientRect().right + 1
                && !node.closest(".bp-scroll, .bp-seq, .bw-unseen, .bp-walk, .bp-whole"))
                .map((node) => node.outerHTML.slice(0, 120))"""
        )
        assert wide == [], state.__name__
        designs_lab.tell("quick(); panel.close()")
