"""A training under TrainingProgress in a page, in the words of whoever watches it; and how its notebooks begin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, expect

from tests.conftest import SHARED

from .notebooks import Notebook

LIVE = "section.biollm"
EVALUATED = 40  # rows of an evaluation

# A kernel that is busy answers no questions, so what a Trainer does is written into a file as well, by a callback that
# knows nothing of the widget: the tests believe that diary.
SETUP = f"""
import os
os.environ["OMP_NUM_THREADS"] = "1"
import json, time
from pathlib import Path
import pandas as pd
import torch
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments
import biollm_widgets as bio

torch.set_num_threads(1)
WEIGHTS = bio.locate("zhihan1996/DNABERT-2-117M")
tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
table = pd.read_csv({str(SHARED / "ecoli_coding_noncoding.csv")!r}).sample({2 * EVALUATED}, random_state=1)
pid = os.getpid()


class Rows(torch.utils.data.Dataset):
    def __init__(self, rows):
        self.tokens = tokenizer(rows.DNA_sequence.str[:60].tolist(), truncation=True, max_length=16)["input_ids"]
        self.labels = rows.Target.tolist()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {{"input_ids": self.tokens[i], "attention_mask": [1] * len(self.tokens[i]), "labels": self.labels[i]}}


def note(folder, words):
    with Path(folder + ".diary").open("a") as file:
        file.write(words + "\\n")


class Diary(TrainerCallback):
    def __init__(self, folder, step_takes, batch_takes):
        self.folder, self.step_takes, self.batch_takes = folder, step_takes, batch_takes

    def note(self, words):
        note(self.folder, words)

    def on_train_begin(self, args, state, control, **given):
        self.note(f"began {{state.global_step}}")

    def on_step_end(self, args, state, control, **given):
        self.note(f"step {{state.global_step}}")
        time.sleep(self.step_takes)

    def on_prediction_step(self, args, state, control, **given):
        time.sleep(self.batch_takes)

    def on_evaluate(self, args, state, control, **given):
        self.note(f"evaluated {{state.global_step}}")

    def on_save(self, args, state, control, **given):
        self.note(f"saved {{state.global_step}}")

    def on_train_end(self, args, state, control, **given):
        self.note(f"ended {{state.global_step}}")


def make(folder, step_takes=0.0, batch_takes=0.0, callbacks=(), **given):
    torch.manual_seed(0)
    model = bio.DNABert2ForSequenceClassification.from_pretrained(WEIGHTS)
    arguments = dict(
        output_dir=folder, max_steps=20, per_device_train_batch_size=2, logging_steps=1, learning_rate=2e-4,
        eval_strategy="steps", save_strategy="steps", eval_steps=10, save_steps=10, report_to="none", use_cpu=True,
    )
    return Trainer(
        model, TrainingArguments(**(arguments | given)), train_dataset=Rows(table[:{EVALUATED}]),
        eval_dataset=Rows(table[{EVALUATED}:]), data_collator=DataCollatorWithPadding(tokenizer),
        callbacks=[Diary(folder, step_takes, batch_takes), *callbacks],
    )


def trained(folder, **given):
    "A run that is over, made once."
    if not Path(folder + ".events").exists():
        progress = bio.TrainingProgress(labels=["non-coding", "coding"])
        kept, hear = [], progress._hear_event
        progress._hear_event = lambda event: (kept.append(event), hear(event))
        progress._show = lambda: None
        progress.fit_sync(make(folder, **given))
        Path(folder + ".events").write_text("".join(json.dumps(one) + "\\n" for one in kept))
"""


class Training:
    """One training: the cell that waits for it, the card in the page, `progress` and `trainer` in Python.

    Parameters
    ----------
    notebook : Notebook
        Its kernel has run `SETUP`.
    folder : str
        Of the run, in the server's folder; the kernel's name is put in front.
    made : str
        Options of `make`, as Python.
    progress : str
        The Python that makes the widget.
    call : str
        The Python that trains.
    below : str
        The source of another cell, which is run after the first.
    before : str
        Python that goes before all that.
    """

    def __init__(
        self,
        notebook: Notebook,
        folder: str,
        made: str = "",
        progress: str = "bio.TrainingProgress()",
        call: str = "result = await progress.fit(trainer)",
        below: str = "",
        before: str = "",
    ):
        self.notebook, self.page = notebook, notebook.page
        self.folder = f"{Path(notebook.name).stem}-{folder}"
        self.place = notebook.server.work / self.folder
        self.diary_file = notebook.server.work / f"{self.folder}.diary"
        source = f"{before}\nprogress = {progress}\ntrainer = make({self.folder!r}, {made})\n{call}"
        self.cell = notebook.start([source, *([below] if below else [])])
        self.look(notebook.outputs(self.cell))

    def look(self, outputs: Locator) -> None:
        """Look at the card among these outputs."""
        self.card = Card(outputs)

    def diary(self) -> list[str]:
        """What the Trainer did so far."""
        return self.diary_file.read_text().splitlines() if self.diary_file.exists() else []

    def steps(self) -> list[int]:
        return self.noted("step")

    def noted(self, what: str) -> list[int]:
        """The steps at which it did something: "step", "evaluated", "saved", "began", "ended"."""
        return [int(line.split()[1]) for line in self.diary() if line.split()[0] == what]

    def wait_for_steps(self, count: int, seconds: float = 60) -> int:
        """Wait until so many steps are done; the last one."""
        left = int(seconds * 20)
        while len(steps := self.steps()) < count:
            left -= 1
            assert left, f"{len(steps)} steps in {seconds} s: {self.notebook.said(self.cell)}"
            self.page.wait_for_timeout(50)
        return steps[-1]

    def wait_until_done(self) -> None:
        """Until its cell has ended, and without an error."""
        self.notebook.wait_until_done(self.cell)
        assert not self.page.evaluate("number => bio.failed(number)", self.cell), self.notebook.said(self.cell)

    def checkpoints(self) -> list[int]:
        """Those that are on disk and whole."""
        whole = [state.parent.name for state in self.place.glob("checkpoint-*/trainer_state.json")]
        return sorted(int(name.removeprefix("checkpoint-")) for name in whole)

    def ask(self, expression: str) -> Any:
        return self.notebook.ask(expression)


class Card:
    """A card of TrainingProgress in a page."""

    def __init__(self, outputs: Locator):
        self.root = outputs.locator(LIVE)
        self.title = self.root.locator(".bw-title")
        self.line = self.root.locator(".bt-ahead > span")
        self.doing = self.root.locator(".bt-doing")
        self.notice = self.root.locator(".bt-notice")
        self.code = self.notice.locator("code")
        self.silence = self.root.locator(".bt-silence")
        self.hints = self.root.locator(".bt-hints li")
        self.charts = self.root.get_by_role("application")
        self.curves = self.root.locator("svg:not(.bt-over) .bt-curve:not(.bt-dashed)")
        self.legend = self.root.locator(".bt-keys")
        self.reading = self.root.locator(".bt-reading")
        self.matrix = self.root.get_by_role("group", name="Confusion matrix")
        self.panel = self.root.locator(".bt-panel")
        self.trouble = self.root.get_by_role("alert")
        self.page = self.root.page

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    @property
    def stop(self) -> Locator:
        return self.button("Stop and keep")

    def open(self, name: str) -> Locator:
        """Open a panel by its button."""
        self.button(name).click()
        expect(self.button(name)).to_have_attribute("aria-expanded", "true")
        expect(self.panel).not_to_contain_text("Waiting for Python")
        return self.panel

    def drawn(self) -> int:
        """How many points the curve of the training loss goes through."""
        line = self.curves.first.get_attribute("d") if self.curves.count() else ""
        return len(re.findall("[ML]", line or ""))

    def wait_for_points(self, more_than: int) -> int:
        """Until the curve goes through more points than this; how many."""
        for _ in range(600):
            if (now := self.drawn()) > more_than:
                return now
            self.page.wait_for_timeout(50)
        raise AssertionError(f"The curve stays at {self.drawn()} points.")

    def step(self) -> int:
        """The step that the card tells."""
        found = re.match(r"step ([\d,]+)", self.line.text_content() or "")
        return int(found[1].replace(",", "")) if found else 0

    def expect_end(self, state: str) -> None:
        """It says how the run ended, and there is nothing to steer any more."""
        expect(self.notice).to_have_attribute("data-kind", state)
        expect(self.stop).to_be_hidden()
        expect(self.trouble.first).to_be_hidden()

    def counts(self) -> list[list[int]]:
        """The confusion matrix as it is shown."""
        one = "rows => rows.map((row) => [...row.querySelectorAll('td')].map((td) => Number(td.firstChild.data)))"
        return self.matrix.locator("tbody tr").evaluate_all(one)


def replayed(notebook: Notebook, made: str) -> Card:
    """A card that no training of this kernel stands behind; `progress` in Python."""
    card = Card(notebook.run(f"progress = {made}\nprogress"))
    expect(card.title).to_be_visible()
    return card
