"""ProteinPanel in a kernel, clicked and interrupted, without a browser: every way out leaves the kernel ready."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("ipykernel")

from kernels import Kernel

pytestmark = pytest.mark.slow
BEGIN = """
import sys, time, threading
sys.path[:0] = [{tests!r}, {root!r}]
import biollm_widgets as bio
from biollm_widgets.widgets.protein_panel import ProteinPanel
held = []

def slow(seconds, where=lambda model: model):
    "Every pass through the model, or through each of its layers, takes so long."
    module = where(bio.ProteinPanel()._model.here().model)
    for one in getattr(module, "h", [module]):
        held.append(one.register_forward_pre_hook(lambda *_: time.sleep(seconds)))

def quick():
    while held:
        held.pop().remove()

def works():
    return sorted(one.name for one in threading.enumerate() if one.name in ("generating", "judging"))
"""


@pytest.fixture(scope="module")
def own() -> Iterator[Kernel]:
    one = Kernel(BEGIN)
    yield one
    one.close()


@pytest.fixture
def kernel(own: Kernel) -> Iterator[Kernel]:
    own.sent.clear()
    yield own
    own.run("quick()")
    assert own.run("print(p.troubles)") in ("[]", "")


def shown(kernel: Kernel, code: str) -> None:
    """A panel, shown; its page looks at it."""
    before = len(kernel.opened)
    kernel.run(f"p = {code}\np")
    kernel.wait(lambda: len(kernel.opened) > before)
    kernel.look()


def ends(kernel: Kernel, cell: str, seconds: float) -> str:
    """What a cell printed, once it has ended, which it does within so many seconds."""
    began = time.monotonic()
    out = kernel.end_of(cell, seconds + 20)
    assert time.monotonic() - began < seconds
    return out


def test_a_panel_is_shown_without_its_model_which_comes_when_the_page_is_ready(kernel: Kernel) -> None:
    shown(kernel, "ProteinPanel(seed=1, prompt='MKTAYIAKQR')")
    assert kernel.shown["phase"] == "idle" and not kernel.shown["model"]["loaded"]
    assert kernel.shown["checks"]["prompt"]["words"] == "10 residues"
    kernel.ask("ready")
    kernel.wait(lambda: kernel.shown["model"]["loaded"] and kernel.shown["phase"] == "idle")
    assert kernel.shown["model"]["words"].startswith("Stand-in for nferruz/ProtGPT2")
    assert kernel.shown["checks"]["prompt"]["words"] == "10 residues, 8 tokens"
    assert kernel.shown["checks"]["max_length"]["words"] == "about 160 residues"
    found = kernel.ask("explore")["next"]
    assert found["vocabulary"] == 512 and found["stages"][0]["name"] == "model"


def test_the_button_generates_while_the_kernel_is_free(kernel: Kernel) -> None:
    shown(kernel, "ProteinPanel(seed=1)")
    kernel.run("slow(0.02)")
    kernel.ask("generate")
    kernel.phase("growing")
    assert kernel.run("print(p.state, works())") == "growing ['generating']"
    assert "The proteins are still growing" in kernel.run("p.generation")
    assert "at work already" in kernel.ask("generate")["error"]
    assert "The model is writing" in kernel.ask("explore")["error"]
    kernel.phase("done")
    kernel.run("quick()")
    assert kernel.shown["title"].startswith("10 proteins, 7 cut off at 100 tokens; least surprising: design_")
    assert kernel.run("print(p.generation.sequences == bio.generate(seed=1).sequences)") == "True"
    assert len(kernel.shown["growth"]) == len(kernel.shown["table"]["rows"]) == 10
    times = [at for at, said in kernel.sent if "news" in said or "fresh" in said]
    assert len(times) > 6 and min(b - a for a, b in pairwise(times)) > 0.2


def test_what_grew_in_the_page_by_differences_is_what_came_out(kernel: Kernel) -> None:
    shown(kernel, "ProteinPanel(seed=3, n=3, prompt='MKTAYIAKQR')")
    kernel.run("slow(0.02)")
    kernel.ask("generate")
    kernel.phase("done")
    grown: list[list] = []
    for _, said in kernel.sent:
        if "fresh" in said and said["fresh"]["phase"] == "growing":
            grown = [[one["text"], one["p"]] for one in said["fresh"]["growth"]]
        for index, text, p, _ in said.get("news", {}).get("grow", []):
            grown[index][0] += text
            grown[index][1] += p
    made = eval(kernel.run("print(p.generation.sequences)"))
    assert len(grown) == 3
    for (text, p), sequence, last in zip(grown, made, kernel.shown["growth"], strict=True):
        assert len(text) > 30 and sequence.startswith(text) and len(p) == len(text)
        assert last["text"] == sequence and last["p"].startswith(p) and p.startswith("-" * 10)


@pytest.mark.parametrize("how", ["a click on Cancel", "an interrupt", "panel.cancel from another thread"])
def test_a_cell_that_waits_ends_at_the_next_token_and_keeps_what_is_there(kernel: Kernel, how: str) -> None:
    shown(kernel, "ProteinPanel(seed=1)")
    kernel.run("slow(0.05)")
    if "thread" in how:
        kernel.run("threading.Timer(1, lambda: p.cancel()).start()")
    cell = kernel.start("g = await p.generate(n=3)\nprint(g.stopped, len(g), p.generation is g)")
    kernel.wait(lambda: any(one and len(one["text"]) > 1 for one in kernel.shown["growth"]) or "thread" in how)
    if "click" in how:
        kernel.click("cancel")
    elif "interrupt" in how:
        kernel.interrupt()
    assert ends(kernel, cell, 4) == "True 3 True"
    assert kernel.shown["phase"] == "stopped" and kernel.shown["buttons"] == ["generate"]
    assert kernel.shown["title"].startswith("3 proteins, all cut off by Cancel; least surprising")
    assert kernel.shown["notice"]["words"][0].startswith("Cancelled. What was written until then is kept")
    assert kernel.run("print(works(), len(p.to_frame()), p.settings.n)") == "[] 3 3"


def test_cancel_while_the_model_is_loaded_leaves_the_kernel_ready_and_loading_goes_on(kernel: Kernel) -> None:
    kernel.run(
        "from biollm_widgets.protein import loading\nwas = loading.load_generator\n"
        "def late(*given):\n    time.sleep(4)\n    return was(*given)\nloading.load_generator = late"
    )
    shown(kernel, "ProteinPanel(seed=1, n=3)")
    cell = kernel.start("g = await p.generate()\nprint(g.stopped, len(g), g.sequences)")
    kernel.phase("loading")
    assert kernel.shown["live"] and kernel.shown["buttons"] == ["cancel"]
    kernel.click("cancel")
    assert ends(kernel, cell, 2) == "True 0 []"
    assert kernel.shown["notice"]["words"] == ["Cancelled before the first token was written."]
    assert "Nothing was generated yet" in kernel.run("p.generation")
    kernel.run("loading.load_generator = was")
    kernel.wait(lambda: kernel.shown["model"]["loaded"], 10)  # it came all the same
    assert kernel.run("print(len(p.generate_sync()), p.state)") == "3 done"


def test_cancel_while_the_prompt_is_read_does_not_wait_for_its_end_and_keeps_what_was_there(kernel: Kernel) -> None:
    shown(kernel, "ProteinPanel(seed=1, n=2, prompt='MKTAYIAKQR')")
    kernel.run("before = p.generate_sync()")
    kernel.run("slow(3, lambda model: model.transformer)")  # each of its layers
    cell = kernel.start("g = await p.generate()\nprint(g.stopped, len(g), p.generation is before)")
    kernel.wait(lambda: kernel.shown["doing"] == "Reading the prompt.")
    kernel.click("cancel")
    assert ends(kernel, cell, 5) == "True 0 True"
    assert kernel.shown["title"].startswith("2 proteins") and kernel.shown["phase"] == "stopped"


def test_cancel_while_known_proteins_are_compared_keeps_what_is_judged(kernel: Kernel) -> None:
    kernel.run(
        "from biollm_widgets.protein import judging\nwas_nearest = judging.nearest\n"
        "def late(*given, **more):\n    time.sleep(0.5)\n    return was_nearest(*given, **more)\njudging.nearest = late"
    )
    shown(kernel, "ProteinPanel(seed=1, n=30, max_length=20, references={'one': 'MKTAYIAKQRQISFVKSHFSRQ'})")
    cell = kernel.start("g = await p.generate()\nprint(g.stopped, len(g), 'flags' in p.to_frame(), p.state)")
    kernel.wait(lambda: kernel.shown["phase"] == "judging" and "3 of 30" in kernel.shown["doing"])
    assert kernel.shown["table"]["rows"][0]["gravy"] is not None  # judged without them already
    kernel.click("cancel")
    assert ends(kernel, cell, 3) == "False 30 True stopped"
    assert kernel.shown["notice"]["words"] == ["Not all of it was judged."]
    kernel.run("judging.nearest = was_nearest")
    assert kernel.run("p.judge({'one': 'MKTAYIAKQRQISFVKSHFSRQ'})\nprint('nearest' in p.to_frame())") == "True"


def test_a_fasta_of_known_proteins_is_read_and_compared_at_the_pages_word(kernel: Kernel, tmp_path: Path) -> None:
    shown(kernel, "ProteinPanel(seed=1, n=2, prompt='MKTAYIAKQR')")
    assert "There is no file" in kernel.ask("references", path=str(tmp_path / "none.fasta"))["error"]
    known = tmp_path / "known.fasta"
    known.write_text(">first\nMKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY\n")
    kernel.run("g = await p.generate()")
    assert kernel.ask("references", path=str(known))["words"] == "Reading known.fasta."
    kernel.wait(lambda: any(one["key"] == "nearest" for one in kernel.shown["table"]["columns"]))
    kernel.phase("done")
    assert kernel.ask("design", design=0)["nearest"]["words"]


def test_an_error_reaches_the_cell_as_itself_and_the_card_says_what_happened(kernel: Kernel) -> None:
    shown(kernel, "ProteinPanel(seed=1)")
    kernel.run(
        "def fails(*_):\n    raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')\n"
        "held.append(p._model.here().model.register_forward_pre_hook(fails))"
    )
    out = kernel.run("await p.generate(n=100)")
    assert "RuntimeError: CUDA out of memory. Tried to allocate 2 GiB" in out
    kernel.phase("failed")
    assert kernel.shown["notice"]["words"][0] == "Memory ran out."
    assert "fewer sequences (now 100) or shorter ones (now 100 tokens)" in kernel.shown["notice"]["words"][1]
    assert "CUDA out of memory" in kernel.run("print(p.troubles[-1])\np.troubles = []")
    kernel.run("quick()")
    kernel.ask("generate")
    kernel.phase("done")
    assert kernel.run("print(len(p.generation))") == "100"


def test_a_page_that_comes_anew_gets_the_state_of_now(kernel: Kernel) -> None:
    shown(kernel, "ProteinPanel(seed=1, n=4)")
    kernel.run("slow(0.05)")
    cell = kernel.start("g = await p.generate()\nprint(g.stopped)")
    kernel.wait(lambda: any(one and len(one["text"]) > 8 for one in kernel.shown["growth"]))
    anew = kernel.ask("shot")["shot"]
    assert anew["phase"] == "growing" and anew["buttons"] == ["cancel"] and len(anew["growth"]) == 4
    assert any(len(one["text"]) > 8 for one in anew["growth"])
    kernel.click("cancel")
    assert ends(kernel, cell, 4) == "True"


def test_two_interrupts_leave_the_cell_and_the_panel_ends_by_itself(kernel: Kernel) -> None:
    shown(kernel, "ProteinPanel(seed=1, n=2, prompt='MKTAYIAKQR')")
    kernel.run("slow(4)")
    cell = kernel.start("await p.generate()")
    kernel.wait(lambda: kernel.shown["doing"] == "Reading the prompt.")
    kernel.interrupt()
    time.sleep(0.5)
    kernel.interrupt()
    assert "KeyboardInterrupt: The cell was left; generating ends by itself" in kernel.end_of(cell, 3)
    assert "What was cancelled has not ended yet" in kernel.run("await p.generate()")
    kernel.phase("stopped", 20)
    kernel.run("quick()")
    kernel.wait(lambda: kernel.run("print(works())") == "[]")
    assert kernel.run("g = await p.generate()\nprint(len(g))") == "2"


def test_while_a_notebook_is_graded_it_works_in_the_foreground(kernel: Kernel) -> None:
    shown(kernel, "ProteinPanel(seed=1, n=2)")
    code = "import os\nos.environ['NBGRADER_EXECUTION'] = 'autograde'\ng = await p.generate()\n"
    code += "del os.environ['NBGRADER_EXECUTION']\nprint(len(g), p.state, works())"
    assert kernel.run(code) == "2 done []"
