"""What a learner does again and again leaves nothing behind; `benchmarks/long_session.py` is the hour of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from .dropping import Line
from .leavings import flat, in_kernel, more
from .long_days import Day
from .notebooks import Notebook
from .servers import Server
from .token_views import View

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="The counts are read from Linux's /proc.")


@pytest.fixture
def day(context: BrowserContext, server: Callable[[str], Server]) -> Iterator[Day]:
    line = Line(server("same"))
    page = context.new_page()
    made = Day(page, server("same"), line)
    yield made
    made.notebook.end_kernel()
    page.close()
    line.close()


# Views, and what belongs to one each. How many evaluations a last training had depends on when it was stopped.
OURS: tuple[str, ...] = ("TokenView", "TokenSheet", "TrainingProgress", "TrainingSheet", "ProteinPanel", "ProteinSheet")
OURS += ("Follower", "Work", "Watch", "Control")


def left(day: Day) -> dict[str, Any]:
    """What is there after all was done; IPython's `Out`, which keeps each value that a cell ended with, is emptied."""
    day.notebook.tell("get_ipython().run_line_magic('reset', '-f out')")
    kernel, page = in_kernel(day.notebook), day.watched.look()
    kernel["ours"] = {name: kernel["ours"].get(name, 0) for name in OURS}
    # Sizes are for the benchmark; nodes and listeners that JupyterLab keeps of each cell that ran are below.
    sizes = ("rss", "pss", "dirty", "objects", "heap", "nodes", "listeners", "idle", "os_threads", "cards")
    return {name: value for name, value in {**flat(kernel), **page}.items() if name not in sizes}


def test_a_round_of_all_that_a_learner_does_leaves_as_much_as_the_round_before(day: Day) -> None:
    day.notebook.tell("logging.disable_progress_bar()")  # transformers' bars are widgets that nobody closes
    day.round(1)
    before = left(day)
    day.round(2)
    # ipykernel closes what threads that have ended spoke through only once in ten seconds.
    for _ in range(20):
        if not (grown := more(before, left(day))):
            break
        day.page.wait_for_timeout(1500)
    assert grown == {}
    # Of some twenty; the newest may still be held by what the browser measures with.
    assert day.watched.look()["cards"] <= 4


def listeners(notebook: Notebook, made: str) -> int:
    """How many listeners more the page has after ten more runs of a cell that then goes."""
    watched = notebook.page.context.new_cdp_session(notebook.page)
    counts = []
    for _ in range(2):
        number = int(notebook.page.evaluate("bio.panel().content.model.sharedModel.cells.length"))
        notebook.run(made)
        for _ in range(9):
            notebook.page.evaluate("number => bio.runAgain(number)", number)
        notebook.forget(1)
        notebook.page.wait_for_timeout(500)
        watched.send("HeapProfiler.collectGarbage")
        counts.append(watched.send("Memory.getDOMCounters")["jsEventListeners"])
    watched.detach()
    return counts[1] - counts[0]


def test_a_page_listens_no_more_after_our_views_than_after_a_widget_that_does_nothing(lab: Notebook) -> None:
    lab.tell("import anywidget\nclass Nothing(anywidget.AnyWidget):\n    _esm = 'export default {render() {}}'")
    plain = listeners(lab, "view = Nothing()\nview")
    # What is on its way to be forgotten on a busy computer is forgotten the next time; what stays, stays each time.
    ours = min(listeners(lab, "view = bio.TokenView(SEQUENCE, dna)\nview") for _ in range(3))
    # A twin is an output more for JupyterLab to listen at; it keeps some of those as long as the page.
    assert ours - plain <= 40


def test_a_file_that_was_handed_out_goes_with_its_card(lab: Notebook) -> None:
    page = lab.page
    view = View(lab)
    view.open("Save").get_by_role("button", name="Tokens (TSV)").click()
    link = view.panel.locator("a[download]")
    address = link.get_attribute("href")
    there = "address => fetch(address).then(() => true, () => false)"
    assert page.evaluate(there, address)
    view.panel.get_by_role("button", name="Sequence (FASTA)").click()
    expect(link).not_to_have_attribute("href", address or "")
    assert not page.evaluate(there, address)
    address = link.get_attribute("href")
    lab.forget(1)
    expect(view.card).to_have_count(0)
    assert not page.evaluate(there, address)


def test_a_page_imports_what_all_views_have_in_common_once(lab: Notebook) -> None:
    made = "() => window.biollmParts.size"
    View(lab).open("Find")
    known = lab.page.evaluate(made)
    View(lab).open("Find")
    assert lab.page.evaluate(made) == known >= 2  # the view, and what its panels are
