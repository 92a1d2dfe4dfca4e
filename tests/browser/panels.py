"""A ProteinPanel in a page, in the words of whoever works with it; and how its notebooks begin."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, expect

from .notebooks import Notebook

LIVE = "section.biollm"

# The embedded model writes a token of all sequences in a few milliseconds; `slow` makes it as slow as a real one.
SETUP = """
import os
os.environ["OMP_NUM_THREADS"] = "1"
import threading, time
import torch
import biollm_widgets as bio

torch.set_num_threads(1)
held = []
bio.generate(None, 1, max_length=4, seed=1, progress=False)  # the model is loaded once


def slow(seconds):
    "Every pass through the model takes so much longer."
    held.append(bio.ProteinPanel()._model.here().model.register_forward_pre_hook(lambda *_: time.sleep(seconds)))


def quick():
    while held:
        held.pop().remove()


def works():
    return sorted(one.name for one in threading.enumerate() if one.name in ("generating", "judging"))
"""

FEW = "n=6, seed=1, max_length=40"  # one of them comes to its end, five are cut off
MANY = "n=6, seed=1, max_length=400"


class Panel:
    """One panel: its card in the page, `panel` in Python.

    Parameters
    ----------
    notebook : Notebook
        Its kernel has run `SETUP`.
    options : str
        Of the panel, as Python.
    call : str
        What the cell does with it; to show it, and no more, where not given.
    below : str
        The source of another cell, which is run after the first.
    """

    def __init__(self, notebook: Notebook, options: str = FEW, call: str = "panel", below: str = ""):
        self.notebook, self.page = notebook, notebook.page
        source = f"panel = bio.ProteinPanel({options})\n{call}"
        self.cell = notebook.start([source, *([below] if below else [])])
        if call == "panel":
            notebook.wait_until_done(self.cell)
        self.look(notebook.outputs(self.cell))
        expect(self.title).to_be_visible()

    def look(self, outputs: Locator) -> None:
        """Look at the card among these outputs."""
        self.root = outputs.locator(LIVE)
        self.title = self.root.locator(".bw-title")
        self.line = self.root.locator(".bp-state > p").first
        self.notice = self.root.locator(".bp-notice")
        self.trouble = self.root.get_by_role("alert")
        self.prompt = self.root.get_by_label("Start with")
        self.lines = self.root.locator(".bp-line")
        self.rows = self.root.locator(".bp-tabled tbody tr:has(.bp-opener)")
        self.next = self.root.get_by_role("table", name="Tokens that can come next")
        self.finding = self.root.locator(".bp-finding").first
        self.stages = self.root.get_by_role("list", name="What each setting leaves").get_by_role("listitem")
        self.tokens = self.root.get_by_role("listbox").get_by_role("option")
        self.topic = self.root.locator(".bp-topic")

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    def ask(self, expression: str) -> Any:
        return self.notebook.ask(expression)

    def check(self, key: str) -> Locator:
        """The sentence beside a field."""
        return self.root.locator(f":is(.bp-prompt, .bp-field):has([data-key={key}]) .bp-check")

    def field(self, key: str) -> Locator:
        return self.root.locator(f"[data-key={key}]:not([type=range])")

    def slider(self, key: str) -> Locator:
        return self.root.locator(f"[data-key={key}][type=range]")

    def generate(self) -> None:
        """Press Generate, and wait until they are judged."""
        self.notebook.tell("was = panel._sheet.generation")
        self.button("Generate").click()
        self.notebook.wait_for("panel._sheet.generation not in (None, was) and not panel._sheet.steered")
        self.wait_until_judged()

    def wait_until_judged(self) -> None:
        expect(self.rows.first).to_be_visible()
        expect(self.button("Generate")).to_be_visible()

    def lengths(self) -> list[int]:
        """Residues of each line that grows, as they are drawn."""
        return self.root.locator(".bp-line .bp-tail").evaluate_all("nodes => nodes.map((one) => one.innerText.length)")

    def wait_for_residues(self, more_than: int) -> int:
        """Until the first line has more residues than this; how many."""
        for _ in range(600):
            if (now := (self.lengths() or [0])[0]) > more_than:
                return now
            self.page.wait_for_timeout(50)
        raise AssertionError(f"The first line stays at {self.lengths()[:1]} residues.")

    def names(self) -> list[str]:
        """Of the designs, in the order of the table."""
        return self.rows.locator(".bp-opener").all_inner_texts()

    def column(self, key: str) -> list[str]:
        return self.rows.locator(f"td.bp-col-{key}").all_inner_texts()

    def column_head(self, key: str) -> Locator:
        return self.root.locator(f"th:has([data-sort={key}])")

    def open(self, name: str) -> None:
        """Open what is behind a button."""
        self.button(name).click()
        expect(self.button(name)).to_have_attribute("aria-expanded", "true")

    def open_ahead(self) -> None:
        """What comes next, with its bars."""
        self.open("What comes next")
        expect(self.next.locator("tbody tr").nth(3)).to_be_visible()

    def open_design(self, name: str) -> Locator:
        """A row, with all that is known of it."""
        self.button(name).click()
        details = self.root.locator(".bp-details")
        expect(details.locator(".bp-whole")).to_be_visible()
        return details

    def bars(self) -> dict[str, tuple[str, str, bool, float, float]]:
        """Tokens that can come next: what is said before and after, whether it is cut off, how long the bars are."""
        found = self.next.evaluate(
            """table => [...table.tBodies[0].rows].map((row) => {
                const [before, after] = [...row.querySelectorAll(".bp-bar")].map((bar) => bar.style.width);
                const cells = [...row.cells].map((cell) => cell.innerText.trim());
                const cut = row.classList.contains("bp-cut");
                return [cells[0], cells[1], cells[3], cut, parseFloat(before), parseFloat(after)];
            })"""
        )
        return {name: tuple(rest) for name, *rest in found}

    def set_slider(self, key: str, times: int, way: str = "ArrowLeft") -> None:
        """Move a slider by its keys, as somebody without a mouse does."""
        self.slider(key).focus()
        for _ in range(times):
            self.page.keyboard.press(way)
