"""What the panel costs: tokens a second of ProteinPanel and of `bio.generate`, and how soon a slider is answered.

    python -m benchmarks.protein_panel                  # about eight minutes on two cores
    python -m benchmarks.protein_panel --json protein_panel.json

A kernel, first by itself (the page is on another machine, as a learner's on a cluster), then behind a real JupyterLab
whose page a Chromium draws on the same cores, writes proteins with the embedded model, the authors' settings, the same
seeds, batch and precision each way. The embedded model is the hardest case: its steps take milliseconds, so that what
is done at each of them weighs most. The ways take turns, several rounds of each in one kernel. Counted is the time that
`Generation.seconds` has, from reading the prompt to the last token, which is the same code both times; judging, which
`bio.generate` does not do, is left out. The ratio of each round is that of neighbours in time; the median of those is
shown with the lowest, the highest and the standard error of their mean: where other machines share the cores, single
rounds differ by a third, and eight of them decide nothing about five per cent.

The sampling explorer is timed in this process (a setting that changes, and a prompt of 1,000 residues that is new) and
in the page: from the slider's `input` event to the bars as they are redrawn, on the way through the kernel.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, stdev
from tempfile import TemporaryDirectory
from typing import Any, Optional

from jupyter_client.manager import start_new_kernel

from benchmarks.browser import browser, jupyter, surroundings
from tests.browser.notebooks import Notebook, write_notebook

WAYS = {"nothing": "bio.generate, no bar", "ours": "await panel.generate"}
AIM = 0.95  # of the tokens a second without the panel
SOON = 100  # milliseconds for a slider
MOVES = 30  # of a slider

SETUP = """
import biollm_widgets as bio
bio.generate(None, 2, max_length=8, seed=1)  # the model is loaded once
asked = {"n": SEQUENCES, "max_length": TOKENS, "precision": "float32"}

def rate():
    return sum(len(design.choices) for design in made) / made.seconds
"""
CELLS = {
    "nothing": "made = bio.generate(None, seed=SEED, progress=False, **asked)",
    "ours": "panel = bio.ProteinPanel(seed=SEED, **asked)\nmade = await panel.generate();",
}


def in_turn(run: Callable[[str], Any], rate: Callable[[], float], rounds: int) -> list[dict[str, float]]:
    """Tokens a second of each way, a dictionary a round; the order turns, so that no way always follows the same."""
    found = []
    for number in range(rounds):
        row = {}
        for way in (list(WAYS), list(WAYS)[::-1])[number % 2]:
            run(CELLS[way].replace("SEED", str(number)))
            row[way] = rate()
        print(", ".join(f"{way} {value:,.0f}" for way, value in row.items()), file=sys.stderr, flush=True)
        found.append(row)
    return found


def measure_alone(setup: str, rounds: int) -> list[dict[str, float]]:
    """In a kernel without a page; the first round prepares memory and kernels and is left out."""
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
            run(setup)
            return in_turn(run, lambda: float(run("print('rate', rate())").split()[-1]), rounds + 1)[1:]
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def measure_in_page(notebook: Notebook, rounds: int) -> list[dict[str, float]]:
    """The same behind a page."""

    def rate() -> float:
        value = float(notebook.ask("rate()"))
        notebook.forget(1)
        return value

    return in_turn(notebook.run, rate, rounds + 1)[1:]


def explored() -> dict[str, float]:
    """Milliseconds of the explorer in this process: the first answer for a long prompt, and one for a new setting."""
    from biollm_widgets.protein.generation import Explorer, Settings
    from biollm_widgets.protein.loading import load_generator

    os.environ["BIOLLM_MODELS"] = "embedded"
    source = load_generator("nferruz/ProtGPT2")
    explorer = Explorer(source.tokenizer, source.model)
    explorer.after(explorer.opening("MKTAYIAK"), Settings())  # what is paid once
    prompt = ("MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY" * 24)[:1000]
    ids = explorer.opening(prompt)
    began = time.perf_counter()
    explorer.after(ids, Settings())
    first = 1000 * (time.perf_counter() - began)
    times = []
    for move in range(MOVES):
        settings = replace(Settings(), temperature=0.5 + move / 20, top_p=0.9)
        began = time.perf_counter()
        explorer.after(ids, settings)
        times.append(1000 * (time.perf_counter() - began))
    return {"tokens": len(ids), "first": first, "setting": median(times), "slowest": max(times)}


# From the event that a hand on the slider makes until the bars say something else and are painted, in milliseconds.
MOVE = """value => new Promise((done) => {
  const slider = document.querySelector("input[type=range][data-key=temperature]");
  const bars = document.querySelector(".bp-next"), before = bars.innerText, began = performance.now();
  new MutationObserver((_, watching) => {
    if (bars.innerText === before) return;
    watching.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  }).observe(bars, { childList: true, subtree: true, characterData: true });
  slider.value = value;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
})"""


def moved(notebook: Notebook) -> list[float]:
    """Milliseconds from a slider's event to the bars, one move after the other."""
    notebook.run("panel = bio.ProteinPanel(prompt='MKTAYIAKQRQISFVKSHFSRQ', seed=1)\npanel")
    page = notebook.page
    page.get_by_role("button", name="What comes next").click()
    page.wait_for_function("document.querySelectorAll('.bp-next tr').length > 5")
    times = []
    for move in range(MOVES + 3):
        times.append(float(page.evaluate(MOVE, 5 + move)))
        page.wait_for_timeout(300)  # a hand pauses; nothing of the last move is still on its way
    return times[3:]


def table(result: dict[str, Any]) -> str:
    """The measurements for people."""
    lines = [f"{result['sequences']} proteins of at most {result['tokens']} tokens, float32.", ""]
    for where, key in (("No page on these cores", "alone"), ("The page drawn on the same cores", "rounds")):
        lines.append(f"{where:36}{'tokens/s':>10}{'times nothing':>16}{'lowest':>9}{'highest':>9}{'error':>9}")
        for way, words in WAYS.items():
            ratios = [row[way] / row["nothing"] for row in result[key]]
            error = stdev(ratios) / len(ratios) ** 0.5
            spread = f"{median(ratios):16.3f}{min(ratios):9.3f}{max(ratios):9.3f}{error:9.3f}"
            lines.append(f"  {words:34}{median(row[way] for row in result[key]):10,.0f}{spread}")
        ratio = median(row["ours"] / row["nothing"] for row in result[key])
        lines += [f"Aim: at least {AIM} of the tokens a second without the panel: {met(ratio >= AIM)}.", ""]
    python, page = result["explorer"], result["slider"]
    lines += [
        f"The sampling explorer in Python: {python['setting']:.1f} ms for a new setting (slowest "
        f"{python['slowest']:.1f}), {python['first']:.0f} ms for a new prompt of 1,000 residues "
        f"({python['tokens']} tokens).",
        f"In the page, from the slider's event to the bars: {median(page):.0f} ms (slowest of {len(page)}: "
        f"{max(page):.0f}).",
        f"Aim: under {SOON} ms: {met(max(python['first'], median(page)) < SOON)}.",
    ]
    return "\n".join(lines)


def met(holds: bool) -> str:
    return "met" if holds else "NOT met"


def main(words: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=600, help="of each sequence at most")
    parser.add_argument("--rounds", type=int, default=32, help="at least two")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args(words)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Other work is running here (load {load:.1f}): ratios will be rough.", file=sys.stderr)
    setup = f"SEQUENCES, TOKENS = {given.sequences}, {given.tokens}\n{SETUP}"
    explorer = explored()
    alone = measure_alone(setup, given.rounds)
    with jupyter() as server, browser() as opened:
        page = opened.new_page(viewport={"width": 1280, "height": 960})
        page.set_default_timeout(300_000)
        write_notebook(server, "speed.ipynb", [setup])
        notebook = Notebook(page, server, "speed.ipynb")
        notebook.run_all()
        notebook.ask("1")
        rounds = measure_in_page(notebook, given.rounds)
        slider = moved(notebook)
        machine = surroundings(opened)
    result = {
        **machine, "load_before": load, "sequences": given.sequences, "tokens": given.tokens, "explorer": explorer,
        "alone": alone, "rounds": rounds, "slider": slider,
    }  # fmt: skip
    print(table(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
