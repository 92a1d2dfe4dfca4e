"""The scenes with TrainingProgress: each is a fine-tuning of the embedded model on simulated DNA."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import Locator, expect

if TYPE_CHECKING:
    from docs.pictures import Studio

DATA = """
data = bio.load_coding_dataset("simulated", size=900, seed=1)
bio.write_splits(bio.split_dataset(data, sizes=(600, 100, 200), seed=1), "coding_data")
"""
COMMON = (
    'rung="top", learning_rate={rate}, num_train_epochs=5, per_device_train_batch_size=8, logging_steps=4, '
    'eval_steps=40, run_name="{name}", output_dir="{name}", progress="{name}.jsonl", overwrite_output_dir=True'
)
FIT = (
    'progress = bio.TrainingProgress(labels=["non-coding", "coding"])\n'
    'result = await progress.finetune("coding_data", {flags})'
)


def _cells(name: str, rate: str) -> list[str]:
    flags = COMMON.format(name=name, rate=rate)
    return [DATA, FIT.format(flags=flags)]


def _begun(studio: Studio, name: str, rate: str = "5e-4") -> tuple[Locator, int]:
    """A training that goes on, and the number of its cell."""
    studio.page.mouse.move(0, 0)
    studio.notebook.forget(1)
    studio.notebook.theme("JupyterLab Light")
    first = studio.notebook.start(_cells(name, rate))
    return studio.notebook.outputs(first + 1).locator("section.biollm"), first + 1


def _until(card: Locator, step: int) -> None:
    """Wait for a step; polled, since the words change all the time."""
    for _ in range(2400):
        found = re.search(r"step ([\d,]+) of", card.inner_text())
        if found and int(found[1].replace(",", "")) >= step:
            return
        card.page.wait_for_timeout(50)
    raise AssertionError(f"Step {step} was not reached: {card.inner_text()[:200]}")


def learning(studio: Studio) -> Locator:
    """A run at two thirds of its way, the pointer on the curves."""
    card, _ = _begun(studio, "run_a")
    expect(card).to_be_visible()
    _until(card, 250)
    card.get_by_role("button", name="Pause").click()
    expect(card.locator(".bw-title")).to_contain_text("Paused")
    return card


def stopped(studio: Studio) -> Locator:
    """Stopped, with the line that goes on."""
    card = studio.notebook.outputs(2).locator("section.biollm")
    card.get_by_role("button", name="Stop").click()
    expect(card.locator(".bw-title")).to_contain_text("Stopped")
    return card


def compare(studio: Studio) -> Locator:
    """Two learning rates over each other."""
    for name, rate in (("run_a", "5e-4"), ("run_b", "5e-5")):
        _, cell = _begun(studio, name, rate)
        studio.notebook.wait_until_done(cell)
    studio.notebook.forget(1)
    card = studio.notebook.run('bio.TrainingProgress.compare("run_a", "run_b")').locator("section.biollm")
    card.get_by_role("button", name="Settings").click()
    expect(card.locator("table").last).to_contain_text("learning_rate")
    return card


def follow(studio: Studio) -> Locator:
    """The first half of a job's file, as another machine would see it."""
    studio.notebook.forget(1)
    studio.notebook.tell(
        "import json\nfrom pathlib import Path\n"
        "lines = Path('run_b.jsonl').read_text().splitlines(keepends=True)\n"
        "steps = [json.loads(line).get('step', 0) for line in lines]\n"
        "Path('job.jsonl').write_text(''.join(lines[: steps.index(248)]))"
    )
    card = studio.notebook.run('bio.TrainingProgress.follow("job.jsonl")').locator("section.biollm")
    expect(card.locator(".bw-title")).to_contain_text("Learning")
    return card
