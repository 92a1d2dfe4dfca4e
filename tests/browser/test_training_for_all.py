"""TrainingProgress for everybody: both themes, the keyboard alone, names for screen readers, narrow panes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .notebooks import Notebook
from .trainings import Card, Training, replayed

CONTRASTS = Path(__file__).with_name("contrasts.js").read_text(encoding="utf-8").split("\n", 2)[2]
PANELS = ("Settings", "Table", "Printed", "Compare with…", "Save")
CONTROLS = {"button", "combobox", "textbox", "application", "progressbar", "region", "link", "img"}


def ended(notebook: Notebook, state: str) -> Card:
    """The run `slow` as if it had ended in another way, with all that can be said of it."""
    events = [json.loads(line) for line in (notebook.server.work / "slow.events").read_text().splitlines()]
    events.insert(-1, {"event": "say", "time": events[-1]["time"], "words": "a line that was printed"})
    events[-1] |= {"state": state, "words": ["What happened.", "What to do."], "resume": "await progress.fit(trainer)"}
    (notebook.server.work / f"{state}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    card = replayed(notebook, f"bio.TrainingProgress.follow('{state}.jsonl')")
    expect(card.notice).to_have_attribute("data-kind", state)
    expect(card.button("Copy")).to_be_visible()
    return card


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_text_stands_out_in_both_themes(runs: Notebook, theme: str) -> None:
    pale: set[tuple[str, str, str, float]] = set()
    try:
        runs.theme(theme)
        for kind in ("stopped", "failed", "compare"):
            if kind == "compare":
                card = replayed(runs, "bio.TrainingProgress.compare('slow', 'fast')")
            else:
                card = ended(runs, kind)
            card.charts.focus()
            for key in ("End", "+", "+"):
                runs.page.keyboard.press(key)
            expect(card.button("Whole run")).to_be_visible()
            for panel in PANELS if kind != "failed" else ("Table",):
                card.open(panel)
                if panel == "Compare with…":
                    card.panel.get_by_role("button", name="Lay over").click()
                    expect(card.panel.get_by_role("alert")).to_be_visible()
                seen = card.root.evaluate(CONTRASTS)
                assert len(seen) > 50
                pale |= {(kind, str(what), text, round(ratio, 2)) for what, text, ratio in seen if ratio < 4.5}
        assert sorted(pale) == []
    finally:
        runs.theme("JupyterLab Light")


def test_the_contrast_check_finds_pale_text_in_the_charts(runs: Notebook) -> None:
    card = replayed(runs, "bio.TrainingProgress.from_run('slow')")
    paler = "card.querySelector('svg .bt-name').style.color = '#999';"
    seen = card.root.evaluate(f"card => {{ {paler} return ({CONTRASTS})(card); }}")
    assert min(ratio for _, _, ratio in seen) < 4


def test_tab_goes_through_every_region_with_focus_to_be_seen(runs: Notebook) -> None:
    card = ended(runs, "stopped")
    card.open("Table")
    card.title.focus()
    stops = []
    for _ in range(30):
        runs.page.keyboard.press("Tab")
        where = runs.page.evaluate(
            """() => {
                const node = document.activeElement, style = getComputedStyle(node);
                if (!node.closest("section.biollm")) return null;
                const regions = ".bt-notice, .bt-charts, .bt-matrix, .bw-tools, .bt-panel";
                const region = node.closest(regions)?.className || "";
                return [region.split(" ").at(-1), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
            }"""
        )
        if where is None:
            break
        stops.append(where)
    assert stops and all(seen for _, seen in stops), stops
    regions = [region for region, _ in stops]
    order = list(dict.fromkeys(regions))
    assert order == ["bt-notice", "bt-charts", "bt-matrix", "bw-region", "bt-panel"]
    assert regions == sorted(regions, key=order.index)  # each region is left once, for good


def test_every_control_has_a_name(runs: Notebook) -> None:
    card = ended(runs, "stopped")
    session = runs.page.context.new_cdp_session(runs.page)
    for panel in PANELS:
        card.open(panel)
        card.root.evaluate("card => { window.card = card; }")
        found = session.send("Runtime.evaluate", {"expression": "window.card"})["result"]["objectId"]
        tree = session.send("Accessibility.queryAXTree", {"objectId": found})["nodes"]
        roles = [
            (node["role"]["value"].lower(), node.get("name", {}).get("value", "").strip())
            for node in tree
            if not node.get("ignored") and node["role"]["value"].lower() in CONTROLS
        ]
        assert len(roles) > 10
        assert [role for role, name in roles if not name] == [], panel
        assert [name for _, name in roles if re.search("[▸▾⚠]", name)] == [], panel
    session.detach()


def test_keys_alone_pause_go_on_and_stop_and_the_focus_stays_with_whoever_pressed(trains_lab: Notebook) -> None:
    run = Training(trains_lab, "keys", "max_steps=100_000, eval_strategy='no', save_strategy='no', step_takes=0.05")
    run.wait_for_steps(2)
    run.card.button("Pause").focus()
    trains_lab.page.keyboard.press("Enter")
    expect(run.card.title).to_contain_text("Paused at step")
    expect(run.card.button("Go on")).to_be_focused()
    trains_lab.page.keyboard.press("Enter")
    expect(run.card.title).to_contain_text("Learning: loss")
    expect(run.card.button("Pause")).to_be_focused()
    trains_lab.page.keyboard.press("Tab")
    expect(run.card.stop).to_be_focused()
    trains_lab.page.keyboard.press("Enter")
    run.wait_until_done()
    run.card.expect_end("stopped")
    expect(run.card.title).to_be_focused()
    expect(run.card.root.locator("[aria-live=polite]")).to_contain_text("Stopped at step")


def test_screen_readers_hear_evaluations_as_they_come_and_what_the_keys_reach(trains_lab: Notebook) -> None:
    run = Training(trains_lab, "heard", "max_steps=30, eval_steps=15, save_strategy='no', step_takes=0.12")
    live = run.card.root.locator("[aria-live=polite]")
    expect(live).to_contain_text(re.compile(r"valuation at step \d+: loss .*MCC"))
    bar = run.card.root.get_by_role("progressbar", name="Training")
    expect(bar).to_have_attribute("aria-valuetext", re.compile(r"step \d+ of 30"))
    run.wait_until_done()
    run.card.expect_end("finished")
    expect(live).to_contain_text("steps are done")
    run.card.charts.focus()
    trains_lab.page.keyboard.press("ArrowRight")
    expect(live).to_contain_text("step 1: training loss")


def test_in_a_narrow_pane_nothing_scrolls_sideways_but_tables(runs: Notebook) -> None:
    for card in (ended(runs, "stopped"), replayed(runs, "bio.TrainingProgress.compare('slow', 'fast')")):
        card.root.evaluate("card => { card.style.width = '360px'; }")
        for panel in PANELS:
            card.open(panel)
            assert card.root.evaluate("card => card.scrollWidth <= card.clientWidth + 1"), panel
        expect(card.matrix).to_be_visible()
        # The charts are as wide as the pane, and the matrix stands below them.
        assert card.charts.bounding_box()["width"] > 300  # type: ignore[index]
        assert card.matrix.bounding_box()["y"] > card.charts.bounding_box()["y"] + 200  # type: ignore[index]
