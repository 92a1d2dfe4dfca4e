"""What a learner does in an hour, over and over; and the same with nothing of ours, to tell apart what Jupyter leaves.

Each round writes the same cells anew and runs them: some widgets are closed, others lose their output, others are
shown by a cell that runs again and again.
"""

from __future__ import annotations

import re
import shutil
from typing import Any

from playwright.sync_api import Page, expect

from .dropping import Line
from .leavings import Watched
from .notebooks import PLAIN, Notebook, write_notebook
from .servers import Server

SETUP = """
import os
os.environ["OMP_NUM_THREADS"] = "1"
import random
from pathlib import Path
import torch
torch.set_num_threads(1)
import biollm_widgets as bio
from transformers import AutoTokenizer, DataCollatorWithPadding, PrinterCallback, Trainer, TrainingArguments
from transformers.utils import logging
logging.set_verbosity_error()

WEIGHTS = bio.locate("zhihan1996/DNABERT-2-117M")
tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
table = bio.load_coding_dataset(source="simulated", size=40, seed=1)
read = tokenizer([text[:60] for text in table["DNA_sequence"]], truncation=True, max_length=16)

class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return len(table)
    def __getitem__(self, row):
        tokens = {name: read[name][row] for name in ("input_ids", "attention_mask")}
        return {**tokens, "labels": int(table["Target"].iloc[row])}

def make(folder, steps):
    torch.manual_seed(0)
    model = bio.DNABert2ForSequenceClassification.from_pretrained(WEIGHTS)
    args = TrainingArguments(output_dir=folder, max_steps=steps, per_device_train_batch_size=4, logging_steps=1,
        eval_strategy="steps", eval_steps=20, save_strategy="steps", save_steps=steps, report_to="none", use_cpu=True,
        disable_tqdm=True, seed=1)
    made = Trainer(model, args, train_dataset=Rows(), eval_dataset=torch.utils.data.Subset(Rows(), range(8)),
        data_collator=DataCollatorWithPadding(tokenizer))
    made.remove_callback(PrinterCallback)
    return made

def letters(seed, count=3000):
    return "".join(random.Random(seed).choices("ACGT", k=count))

bio.generate(None, 1, max_length=4, seed=1, progress=False)  # the model is loaded once
"""
LONG = 100_000  # steps that nobody waits for the end of

_TAKE_AWAY = """() => {
  for (const dialog of document.querySelectorAll("dialog.jp-Dialog"))
    if (/Connection Error|Save Error/.test(dialog.textContent)) [...dialog.querySelectorAll("button")].at(-1)?.click();
}"""


class Day:
    """A notebook in a page of its own, and what is done in it.

    Parameters
    ----------
    page : Page
        It goes to the notebook.
    server : Server
    line : Line
        The way to it.
    ours : bool
        Whether our widgets are used, or an anywidget that does nothing and training and writing without any widget.
    """

    def __init__(self, page: Page, server: Server, line: Line, ours: bool = True, kernel: str = "newest") -> None:
        self.page, self.line, self.ours, self._next = page, line, ours, 1
        self.watched = Watched(page)
        self.name = f"{'ours' if ours else 'plain'}.ipynb"
        write_notebook(server, self.name, [SETUP if ours else f"{SETUP}\n{PLAIN}"], kernel)
        through: Any = line
        self.notebook = Notebook(page, through, self.name, "tabs")
        self.notebook.run_all()
        self.notebook.ask("1")
        # JupyterLab says that its server is gone, on top of everything; whoever comes back takes that away.
        gone = page.locator("dialog.jp-Dialog").filter(has_text=re.compile("Connection Error|Save Error"))
        page.add_locator_handler(gone, lambda: gone.get_by_role("button").last.click(), no_wait_after=True)

    def round(self, number: int) -> None:
        """Everything but what ends a page or a kernel."""
        if self.ours:
            self.read_sequences(number)
            self.train(number)
            self.design(number)
        else:
            self.plain(number)
        self.drop()
        self.tidy()

    def tidy(self) -> None:
        """Clear what all cells show, and forget the round's names, as somebody who begins the exercise again does."""
        self.page.evaluate("bio.clear()")
        self._next = 1
        self.notebook.tell(
            "for _name in ('view', 'progress', 'trainer', 'panel', 'result', 'made', 'plain'):\n"
            "    globals().pop(_name, None)\n"
            "del _name"
        )

    def begin(self, source: str) -> int:
        """The next cell of the round, while it runs; its number."""
        number, self._next = self._next, self._next + 1
        self.page.evaluate("([number, source]) => bio.put(number, source)", [number, source])
        self.page.evaluate("number => void bio.runAgain(number)", number)
        return number

    def cell(self, source: str, times: int = 1) -> int:
        """The next cell of the round, run so many times; its number."""
        number, self._next = self._next, self._next + 1
        self.page.evaluate("([number, source]) => bio.put(number, source)", [number, source])
        for _ in range(times):
            self.page.evaluate("number => bio.runAgain(number)", number)
            assert not self.page.evaluate("number => bio.failed(number)", number), self.notebook.said(number)
        return number

    # With our widgets.

    def read_sequences(self, number: int) -> None:
        source = f"view = bio.TokenView(letters({number}), [tokenizer, bio.KmerTokenizer(6)], frames=[1])\nview"
        card = self.notebook.outputs(self.cell(source, 4)).locator("section.biollm")
        expect(card.locator(".bw-t").first).to_be_visible()
        tools = card.get_by_role("group", name="What to show")
        for panel in ("Mutate", "Merges", "Compare", "Save"):
            tools.get_by_role("button", name=panel, exact=True).click()
            expect(card.locator(".bw-panel b").first).to_be_visible()
        card.locator(".bw-panel").get_by_role("button", name="FASTA").click()
        expect(card.locator(".bw-panel a[download]")).to_be_visible()
        self.notebook.tell("view.insert(5, 'T'); view.reverse_complement(10, 40); view.select(0, 30); view.undo()")
        self.cell(f"bio.TokenView(letters({number}, 500), tokenizer)", 3)  # shown, and held by no name
        self.cell("view.close()")

    def train(self, number: int) -> None:
        folder = f"run-{number}"
        work = self.line.work / folder
        cell = self.begin(
            f"trainer = make({folder!r}, {LONG})\nprogress = bio.TrainingProgress()\nawait progress.fit(trainer)"
        )
        card = self.notebook.outputs(cell).locator("section.biollm")
        expect(card.locator(".bt-ahead > span")).to_contain_text(re.compile("step [1-9]"))
        card.get_by_role("button", name="Settings", exact=True).click()
        card.get_by_role("button", name="Stop and keep", exact=True).click()
        self.notebook.wait_until_done(cell)
        on = f"trainer = make({folder!r}, progress._sheet.log.step + 20)\nprogress = bio.TrainingProgress()\n"
        self.cell(f"{on}await progress.fit(trainer, resume_from_checkpoint=True)")
        self.cell("await progress.fit(make('again', 10))")
        self.cell(f"view = bio.TrainingProgress.from_run({folder!r})\nview", 3)
        self.cell("progress = bio.TrainingProgress.follow('nobody-writes-this.jsonl')\nprogress", 3)
        self.notebook.tell("progress.close()")
        for place in (work, self.line.work / "again"):
            shutil.rmtree(place, ignore_errors=True)

    def design(self, number: int) -> None:
        cell = self.cell(f"panel = bio.ProteinPanel(n=6, seed={number}, max_length=400)\npanel", 3)
        card = self.notebook.outputs(cell).locator("section.biollm")
        card.get_by_role("button", name="Generate", exact=True).click()
        expect(card.locator(".bp-line").first).to_be_visible()
        cancel = card.get_by_role("button", name="Cancel", exact=True)
        if cancel.is_visible():
            cancel.click()
        self.notebook.wait_for("bio.widgets.busy.busy_with(panel) is None")
        self.cell("made = await panel.generate(max_length=40)")
        expect(card.locator(".bp-tabled tbody tr").first).to_be_visible()
        card.get_by_role("button", name="What comes next", exact=True).click()
        expect(card.get_by_role("table", name="Tokens that can come next").locator("tbody tr").first).to_be_visible()
        slider = card.locator("[data-key=temperature][type=range]")
        slider.focus()
        for _ in range(3):
            self.page.keyboard.press("ArrowLeft")
        self.cell("panel", 2)
        self.cell("panel.close()")

    # Without.

    def plain(self, number: int) -> None:
        """As many widgets, cells, trainings and proteins."""
        for times in (4, 3, 3, 3, 3):
            cell = self.cell("plain = Plain()\nplain", times)
            self.notebook.outputs(cell).locator("button.plain").click()
        for folder, steps in ((f"plain-{number}", 40), (f"plain-{number}", 60), ("again", 10)):
            resume = "True" if steps == 60 else "None"
            self.cell(f"trainer = make({folder!r}, {steps})\ntrainer.train(resume_from_checkpoint={resume});")
        for folder in (f"plain-{number}", "again"):
            shutil.rmtree(self.line.work / folder, ignore_errors=True)
        for most in (120, 40):
            self.cell(f"made = bio.generate(None, 6, seed={number}, max_length={most}, progress=False)")
        self.cell("plain.close()")

    # What happens to either.

    def drop(self, seconds: float = 2.0) -> None:
        """The connection goes and comes back, as with a laptop that slept."""
        gone = self.line.cut()
        assert gone, "No connection was open, so none could drop."
        self.page.wait_for_timeout(1000 * seconds)
        self.line.mend()
        # JupyterLab tries again by itself, after longer and longer. A hand on "Reconnect" beside that would make two
        # connections, of which the server ends one ten seconds later, with what a cell says just then.
        self.page.wait_for_function(
            "bio.panel()?.sessionContext.session?.kernel?.connectionStatus === 'connected'", timeout=120_000
        )
        self.notebook.wait_until_ready()

    def take_away(self) -> None:
        """JupyterLab may have said that the server was gone; nothing opens before somebody has closed that."""
        self.page.evaluate(_TAKE_AWAY)

    def reload(self) -> None:
        """Saved, and loaded again with the widgets that are there."""
        self.notebook.save()
        self.take_away()
        self.watched.reloads()
        self.page.reload()
        self.notebook.wait_until_ready()

    def close_and_open(self) -> None:
        """The notebook is closed, its kernel goes on, and it is opened again in the same page."""
        self.notebook.save()
        self.take_away()
        self.page.evaluate("name => bio.closeAndOpen(name)", self.name)
        self.notebook.wait_until_ready()

    def restart(self) -> None:
        """The kernel begins anew, with the first cell alone."""
        self.notebook.forget(1)
        self.notebook.save()
        self.page.evaluate("bio.restart()")
        self.notebook.wait_until_ready()
        self.notebook.run_all()
        self.notebook.ask("1")
