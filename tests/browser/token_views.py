"""A token view in a page, in the words of whoever uses it."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from .notebooks import Notebook

# The chapter's 59 bases, and what each notebook of these tests begins with. Reading the tokenizer without transformers
# saves seconds in each kernel; that both read alike is tested where tokenizers are.
SEQUENCE = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"
SETUP = f"""
import biollm_widgets as bio
from tokenizers import Tokenizer
dna = Tokenizer.from_file(str(bio.locate("zhihan1996/DNABERT-2-117M")) + "/tokenizer.json")
SEQUENCE = "{SEQUENCE}"
"""


class View:
    """One token view: the card in the page, the variable `view` in Python.

    Parameters
    ----------
    notebook : Notebook
    made : str
        The Python that makes it.
    """

    def __init__(self, notebook: Notebook, made: str = "bio.TokenView(SEQUENCE, dna)"):
        self.notebook, self.page = notebook, notebook.page
        self.outputs = notebook.run(f"view = {made}\nview")
        self.card = self.outputs.locator("section.biollm")
        self.title = self.card.locator(".bw-title")
        self.strip = self.card.get_by_role("listbox")
        self.details = self.card.locator(".bw-details")
        self.panel = self.card.locator(".bw-panel")
        self.pieces = self.card.locator(".bw-t:not(.bw-special)")
        self.chosen = self.card.locator(".bw-chosen")
        self.trouble = self.card.get_by_role("alert")
        expect(self.title).to_be_visible()
        expect(self.card.locator(".bw-await")).to_have_count(0)

    def button(self, name: str) -> Locator:
        """One of those beside the title."""
        return self.card.get_by_role("group", name="What to show").get_by_role("button", name=name, exact=True)

    def open(self, panel: str) -> Locator:
        """Open a panel by its button; the panel, with its head there."""
        self.button(panel).click()
        expect(self.button(panel)).to_have_attribute("aria-expanded", "true")
        expect(self.panel.locator("b")).to_be_visible()
        return self.panel

    def texts(self) -> list[str]:
        """What the drawn tokens say, special ones aside; once there are some (they come with the next picture)."""
        expect(self.pieces.first).to_be_visible()
        return self.pieces.all_text_contents()

    def ask(self, expression: str) -> object:
        return self.notebook.ask(expression)

    def selected(self) -> list[int] | None:
        """Where the selection is, in Python."""
        return self.ask("None if view.selection is None else [view.selection.start, view.selection.end]")

    def wait_for_selection(self, start: int, end: int) -> None:
        where = "None if view.selection is None else [view.selection.start, view.selection.end]"
        self.notebook.wait_for(where, lambda there: there == [start, end])
