"""What watching costs: steps a second of a Trainer with TrainingProgress, with transformers' own bar, and with nothing.

    python -m benchmarks.training_progress                  # about four minutes on two cores
    python -m benchmarks.training_progress --json training_progress.json

A kernel, first by itself (the page is on another machine, as a learner's on a cluster), then behind a real JupyterLab
whose page a Chromium draws on the same cores, fine-tunes the embedded DNABERT-2 on windows of simulated E. coli DNA,
batches of 8 sequences of at most 100 tokens, as in the chapter. A loss is logged at every step, which is the most that
there can be to draw, and 64 rows are evaluated every 50 steps (with the widget each evaluation has its confusion matrix
and a saved picture). The three ways take turns, several rounds of each in one kernel, and only what lies between the
first step and the last counts: neither the making of the trainer nor its last checkpoint. The ratio of each round is
that of neighbours in time; the median of those is shown with the lowest and the highest.

Then, in this process, a log of 100,000 steps: how long `TrainingProgress.from_run` and the saved picture take, and the
same with what people do otherwise (json, pandas, matplotlib).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Optional

from jupyter_client.manager import start_new_kernel

from benchmarks.browser import browser, jupyter, surroundings
from tests.browser.notebooks import Notebook, write_notebook

WAYS = {"nothing": "trainer.train(), no bar", "bar": "trainer.train(), transformers' bar", "ours": "await progress.fit"}
AIM = 0.97  # of the steps a second without the widget
LINES = 100_000
OPENS = 1.0  # seconds

SETUP = """
import time, torch
import biollm_widgets as bio
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging
logging.set_verbosity_error()

place = bio.locate("zhihan1996/DNABERT-2-117M")
tokenizer = AutoTokenizer.from_pretrained(place)
data = bio.load_coding_dataset(source="simulated", size=400, seed=1)
read = tokenizer(data["DNA_sequence"].tolist(), truncation=True, max_length=100)

class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return len(data)
    def __getitem__(self, row):
        tokens = {name: read[name][row] for name in ("input_ids", "attention_mask")}
        return {**tokens, "labels": int(data["Target"].iloc[row])}

class Clock(TrainerCallback):
    def on_train_begin(self, *given, **more):
        self.ends = []
    def on_step_end(self, *given, **more):
        self.ends.append(time.perf_counter())

clock = Clock()

def make(bar):
    torch.manual_seed(0)
    model = bio.DNABert2ForSequenceClassification.from_pretrained(place)
    args = TrainingArguments(output_dir="speed", max_steps=STEPS, per_device_train_batch_size=8, logging_steps=1,
        eval_strategy="steps", eval_steps=50, save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=not bar,
        seed=1)
    together, few = DataCollatorWithPadding(tokenizer), torch.utils.data.Subset(Rows(), range(64))
    return Trainer(model, args, train_dataset=Rows(), eval_dataset=few, data_collator=together, callbacks=[clock])

def rate():
    return (len(clock.ends) - 1) / (clock.ends[-1] - clock.ends[0])
"""
CELLS = {
    "nothing": "from transformers import PrinterCallback\ntrainer = make(False)\n"
    "trainer.remove_callback(PrinterCallback)\ntrainer.train();",
    "bar": "trainer = make(True)\ntrainer.train();",
    "ours": "trainer = make(False)\nprogress = bio.TrainingProgress()\nawait progress.fit(trainer);",
}


def measure(notebook: Notebook, rounds: int) -> list[dict[str, float]]:
    """Steps a second of each way, a dictionary a round."""
    found = []
    for number in range(rounds):
        row = {}
        # The order turns, so that no way always comes after the same one.
        ways = list(WAYS)[number % 3 :] + list(WAYS)[: number % 3]
        for way in ways:
            notebook.run(CELLS[way])
            row[way] = float(notebook.ask("rate()"))
            notebook.forget(1)
        print(", ".join(f"{way} {value:.2f}" for way, value in row.items()), file=sys.stderr, flush=True)
        found.append(row)
    return found


def measure_alone(steps: int, rounds: int) -> list[dict[str, float]]:
    """The same in a kernel without a page; the first round prepares memory and kernels and is left out."""
    found = []
    with TemporaryDirectory() as folder:
        surrounded = {**os.environ, "BIOLLM_MODELS": "embedded", "HF_HUB_OFFLINE": "1"}
        manager, client = start_new_kernel(kernel_name="python3", cwd=folder, env=surrounded)

        def run(code: str) -> str:
            said: list[str] = []

            def hear(message: dict[str, Any]) -> None:
                content = message["content"]
                if message["msg_type"] == "error":
                    raise RuntimeError(f"{content['ename']}: {content['evalue']}")
                if message["msg_type"] == "stream" and content["name"] == "stdout":
                    said.append(content["text"])

            client.execute_interactive(code, output_hook=hear, timeout=600)
            return "".join(said)

        try:
            run(f"STEPS = {steps}\n{SETUP}")
            for number in range(rounds + 1):
                row = {}
                for way in list(WAYS)[number % 3 :] + list(WAYS)[: number % 3]:
                    run(CELLS[way])
                    row[way] = float(run("print('rate', rate())").split()[-1])
                print(", ".join(f"{way} {value:.2f}" for way, value in row.items()), file=sys.stderr, flush=True)
                found.append(row)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    return found[1:]


def a_long_log(folder: Path) -> None:
    """A trainer_state.json of 100,000 logged steps and 100 evaluations, as a Trainer writes it."""
    history: list[dict[str, Any]] = []
    for step in range(1, LINES + 1):
        epoch = step / 1000
        history.append({"epoch": epoch, "grad_norm": 1.0, "learning_rate": 1e-4, "loss": 0.3 + 1 / step, "step": step})
        if step % 1000 == 0:
            scores = {"eval_accuracy": 0.9, "eval_loss": 0.4, "eval_runtime": 1.0}
            history.append({"epoch": epoch, **scores, "step": step})
    state = {"global_step": LINES, "max_steps": LINES, "num_train_epochs": 100, "epoch": 100.0, "log_history": history}
    (folder / "trainer_state.json").write_text(json.dumps(state, indent=2))


def opening(folder: Path) -> dict[str, float]:
    """Seconds for the long log: the view, its saved picture, and the way of pandas and matplotlib."""
    import biollm_widgets as bio

    bio.TrainingProgress()  # loads what it needs
    began = time.perf_counter()
    progress = bio.TrainingProgress.from_run(folder)
    state = json.dumps(progress.get_state())
    opened = time.perf_counter()
    progress.to_html()
    drawn = time.perf_counter()
    import matplotlib

    matplotlib.use("Agg")
    import pandas as pd
    from matplotlib import pyplot as plt

    plt.subplots()  # loads its fonts
    start = time.perf_counter()
    frame = pd.DataFrame(json.loads((folder / "trainer_state.json").read_text())["log_history"])
    axes = frame.plot(x="step", y=["loss", "eval_loss"])
    axes.figure.savefig(io.BytesIO(), format="svg")
    plotted = time.perf_counter()
    return {
        "opened": opened - began,
        "picture": drawn - opened,
        "bytes": len(state),
        "matplotlib": plotted - start,
    }


def table(result: dict[str, Any]) -> str:
    lines = []
    for where, key in (("No page on these cores", "alone"), ("The page drawn on the same cores", "rounds")):
        lines.append(f"{where:36}{'steps/s':>9}{'times nothing':>16}{'lowest':>9}{'highest':>9}")
        for way, words in WAYS.items():
            rates = [row[way] for row in result[key]]
            ratios = [row[way] / row["nothing"] for row in result[key]]
            spread = f"{median(ratios):16.3f}{min(ratios):9.3f}{max(ratios):9.3f}"
            lines.append(f"  {words:34}{median(rates):9.2f}{spread}")
        ratio = median(row["ours"] / row["nothing"] for row in result[key])
        met = "met" if ratio >= AIM else "NOT met"
        lines += [f"Aim: at least {AIM} of the steps a second without the widget: {met}.", ""]
    long = result["long"]
    lines += [
        f"A log of {LINES:,} steps: opened in {long['opened']:.2f} s ({long['bytes'] / 1000:.0f} kB of state), its "
        f"saved picture in {long['picture']:.2f} s more; pandas and matplotlib take {long['matplotlib']:.2f} s, "
        f"{long['matplotlib'] / (long['opened'] + long['picture']):.1f} times as long.",
        f"Aim: opens in under {OPENS:g} s: {'met' if long['opened'] < OPENS else 'NOT met'}.",
    ]
    return "\n".join(lines)


def main(words: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=250, help="of each training")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args(words)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Other work is running here (load {load:.1f}): ratios will be rough.", file=sys.stderr)
    with TemporaryDirectory() as folder:
        a_long_log(Path(folder))
        long = opening(Path(folder))
    alone = measure_alone(given.steps, given.rounds)
    with jupyter() as server, browser() as opened:
        page = opened.new_page(viewport={"width": 1280, "height": 960})
        page.set_default_timeout(300_000)
        write_notebook(server, "speed.ipynb", [f"STEPS = {given.steps}\n{SETUP}"])
        notebook = Notebook(page, server, "speed.ipynb")
        notebook.run_all()
        notebook.ask("1")
        for way in WAYS:  # the first of each prepares memory and kernels
            notebook.run(CELLS[way])
            notebook.forget(1)
        rounds = measure(notebook, given.rounds)
        machine = surroundings(opened)
    result = {**machine, "load_before": load, "steps": given.steps, "alone": alone, "rounds": rounds, "long": long}
    print(table(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
