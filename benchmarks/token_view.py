"""How long TokenView takes to open and how it scrolls, in a real JupyterLab, against one HTML output of coloured spans.

    python -m benchmarks.token_view                  # about four minutes on two cores
    python -m benchmarks.token_view --json token_view.json

Random DNA of 1 kb, 100 kb and 1 Mb is read by the embedded stand-in of DNABERT-2's tokenizer (BPE), and by that and
overlapping 6-mers. What notebooks mostly do instead is the third way: `display(HTML(...))` with one `<span>` a BPE
token, its colour inline. Each way and length has a page and a kernel of its own.

"Opening" is measured in the page: from sending the cell, which makes the view and shows it, until the first pieces are
on the screen, less what tokenizing took in that same cell (TokenView's constructor tokenizes, so the function that it
calls is timed there). Scrolling moves the sequence a step in every frame for three seconds and keeps each frame's time.
Chromium draws without a graphics card here. What is not done within the limit is said not to have finished.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Optional

from playwright.sync_api import CDPSession, Page, TimeoutError, WebSocket

from benchmarks.browser import SETUP, browser, jupyter, notebook_in, surroundings
from tests.browser.notebooks import Notebook
from tests.browser.servers import Server

LENGTHS = {"1 kb": 1_000, "100 kb": 100_000, "1 Mb": 1_000_000}
SECONDS = 3.0  # of scrolling
# Steps of scrolling: a notch of most wheels in each frame, which is faster than hands are, and a page in each.
STEPS = {"wheel": 120, "pages": 0.9}
PLACES = (0.71, 0.13, 0.92, 0.38, 0.55)  # shares of the sequence to jump to
AIM = 2.0  # seconds to open 1 Mb after tokenization
_FRAMES = Path(__file__).with_name("frames.js").read_text(encoding="utf-8")
# The notebook's first cell: what each way shows, and a clock in the function that TokenView tokenizes with.
_CLOCK = """
import random, time
from IPython.display import HTML, display
from biollm_widgets.widgets import token_sheet
from biollm_widgets.widgets.colours import LIGHT

dna_of = lambda length: "".join(random.Random(1).choices("ACGT", k=length))
clock = {}
def tokenize(*given, **more):
    began = time.perf_counter()
    read = bio.tokenize(*given, **more)
    clock["tokenizing"] = clock.get("tokenizing", 0) + time.perf_counter() - began
    clock["tokens"] = clock.get("tokens", 0) + len(read)
    return read
token_sheet.tokenize = tokenize

def spans(sequence):
    columns = tokenize(sequence, dna).columns
    places = zip(columns.ids.tolist(), columns.starts.tolist(), columns.ends.tolist())
    parts = [f'<span style="background:{LIGHT[i % 8]}">{sequence[a:z]}</span>' for i, a, z in places]
    return HTML(f'<div class="plain" style="font-family:monospace;word-break:break-all">{"".join(parts)}</div>')
"""


class Way(NamedTuple):
    """A way to show tokens."""

    title: str
    made: str  # the Python that makes it
    piece: str  # in the page: one of its pieces
    pane: str  # what scrolls, or is within that


WAYS = {
    "bpe": Way("TokenView, BPE", "bio.TokenView(sequence, dna)", ".bw-t", ".bw-scroll"),
    "two": Way(
        "TokenView, BPE + 6-mers", "bio.TokenView(sequence, [dna, bio.KmerTokenizer(6)])", ".bw-t", ".bw-scroll"
    ),
    "spans": Way("HTML, a span a token, BPE", "spans(sequence)", ".plain span", ".plain"),
}


def within(page: Page, expression: str, given: Sequence[Any], seconds: float) -> Any:
    """A promise's value in the page, waited for from outside: a page that is too busy to answer is given up as well.

    Raises
    ------
    TimeoutError
        After so many seconds.
    """
    page.evaluate(
        "([made, given]) => { window.answer = undefined;"
        " window.frames_of[made](...given).then((answer) => (window.answer = { answer })); }",
        [expression, list(given)],
    )
    # Asked seldom, since each question takes time from the frames.
    return page.wait_for_function("window.answer", timeout=1000 * seconds, polling=250).json_value()["answer"]


class Received:
    """The bytes that the page was sent through its web sockets, by kernels mostly."""

    def __init__(self, page: Page):
        self.bytes = 0
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._count)

    def _count(self, payload: Any) -> None:
        self.bytes += len(payload)


def smoothness(times: list[float]) -> dict[str, float]:
    """What the times between frames, in milliseconds, say."""
    return {
        "frames_per_second": 1000 * len(times) / sum(times),
        "median_ms": median(times),
        "worst_ms": max(times),
        "over_50_ms": sum(time > 50 for time in times) / len(times),
    }


def work(session: CDPSession) -> dict[str, float]:
    """Seconds that the page has spent so far, by kind of work."""
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    kinds = {
        "script": "ScriptDuration",
        "style": "RecalcStyleDuration",
        "layout": "LayoutDuration",
        "all": "TaskDuration",
    }
    return {name: found[key] for name, key in kinds.items()}


def measure(page: Page, server: Server, key: str, length: int, rounds: int, limit: float) -> dict[str, Any]:
    """One way at one length; `unfinished` says what took longer than the limit."""
    way, received = WAYS[key], Received(page)
    page.add_init_script(_FRAMES)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    notebook = notebook_in(page, server, f"{key}-{length}.ipynb", [SETUP + _CLOCK + f"sequence = dna_of({length})"])
    result: dict[str, Any] = {"openings": []}
    doing = "opening"
    try:
        for _ in range(rounds):
            notebook.forget(1)
            result["openings"].append(open_once(notebook, way, received, limit))
        for name in ("seconds", "tokenizing", "python", "received"):
            result[name] = median(one[name] for one in result["openings"])
        result["tokens"] = result["openings"][0]["tokens"]
        result["elements"] = page.evaluate("frames_of.elements()")
        if key != "spans":
            result["opening_bytes"] = notebook.ask(
                "sum(len(__import__('json').dumps({**c, 'parts': []})) + sum(map(len, c['parts']))"
                " for c in view._opening['chunks'])"
            )
        for doing, step in STEPS.items():
            before = work(session)
            said = within(page, "scroll", [way.pane, step, SECONDS], limit)
            spent = {name: value - before[name] for name, value in work(session).items()}
            result[doing] = smoothness(said["times"]) | {"waiting": said["waiting"], "work": spent}
            result["pixels"] = said["pixels"]
        doing = "jumping"
        result["jumps_ms"] = [within(page, "far", [way.pane, share], limit) for share in PLACES]
        result["elements_after"] = page.evaluate("frames_of.elements()")
    except TimeoutError:
        result["unfinished"] = doing
    return result


def open_once(notebook: Notebook, way: Way, received: Received, limit: float) -> dict[str, float]:
    """Run the cell; seconds until it is seen, without those of tokenizing, and what Python did of these."""
    source = (
        f"clock.clear(); began = time.perf_counter()\nview = {way.made}\nclock['all'] = time.perf_counter() - began"
    )
    before = received.bytes
    seconds = within(notebook.page, "open", [f"{source}\nview", way.piece], limit) / 1000
    clock = notebook.ask("clock")
    return {
        "seconds": seconds - clock["tokenizing"],
        "tokenizing": clock["tokenizing"],
        "python": clock["all"] - clock["tokenizing"],
        "tokens": clock["tokens"],
        "received": received.bytes - before,
    }


def tables(result: dict[str, Any]) -> str:
    """The measurements for people."""
    cases = result["cases"]
    wide = max(len(WAYS[case["way"]].title) for case in cases) + 9
    lines = [
        f"Chromium {result['chromium']} without a graphics card, JupyterLab, {result['cores']} cores; random DNA, "
        f"median of {result['rounds']} openings.",
        "",
        f"{'Opening':{wide}}{'tokens':>10}{'tokenize s':>12}{'open s':>9}{'times':>7}{'of it Python':>14}"
        f"{'kB ahead':>10}{'kB sent':>9}{'elements':>10}",
    ]
    for case in cases:
        name = f"{case['length']:>6}  {WAYS[case['way']].title}"
        if "seconds" not in case:
            lines.append(f"{name:{wide}}  had not opened after {result['limit']:.0f} s")
            continue
        sent = case["received"] / 1000
        ahead = f"{case['opening_bytes'] / 1000:,.0f}" if "opening_bytes" in case else ""
        lines.append(
            f"{name:{wide}}{case['tokens']:10,}{case['tokenizing']:12.2f}{case['seconds']:9.2f}"
            f"{times(cases, case, 'seconds'):>7}{case['python']:14.2f}{ahead:>10}{sent:9,.0f}{case['elements']:10,}"
        )
    for kind, title in (("wheel", "120 pixels a frame"), ("pages", "a page a frame")):
        lines += [
            "",
            f"{f'Scrolling, {title}':{wide}}{'frames/s':>10}{'median ms':>12}{'worst':>9}{'> 50 ms':>9}{'waits':>7}"
            f"{'script':>8}{'style':>7}{'layout':>8}{'other':>7}",
        ]
        for case in cases:
            name = f"{case['length']:>6}  {WAYS[case['way']].title}"
            if kind not in case:
                lines.append(
                    f"{name:{wide}}  not measured: {case.get('unfinished', '')} took over {result['limit']:.0f} s"
                )
                continue
            row, spent = case[kind], case[kind]["work"]
            other = spent["all"] - spent["script"] - spent["style"] - spent["layout"]
            lines.append(
                f"{name:{wide}}{row['frames_per_second']:10.1f}{row['median_ms']:12.1f}{row['worst_ms']:9.0f}"
                f"{row['over_50_ms']:9.0%}{row['waiting']:7}{spent['script']:8.2f}{spent['style']:7.2f}"
                f"{spent['layout']:8.2f}{other:7.2f}"
            )
    lines += ["", f"{'Jump to a far place until all is drawn':{wide}}{'median ms':>10}{'worst':>9}"]
    for case in cases:
        if "jumps_ms" in case:
            name = f"{case['length']:>6}  {WAYS[case['way']].title}"
            lines.append(f"{name:{wide}}{median(case['jumps_ms']):10.0f}{max(case['jumps_ms']):9.0f}")
    lines += [
        "",
        "open s: from sending the cell until pieces are on the screen, without tokenizing. times: how much longer than "
        "TokenView with BPE.",
        "kB ahead: the stretches that travel with the view. kB sent: all that came through the page's web sockets.",
        "waits: rows seen that said Waiting for Python.",
        f"script, style, layout, other: seconds of the page's main thread in {SECONDS:.0f} s.",
    ]
    biggest = [case for case in cases if case["length"] == "1 Mb" and case["way"] != "spans"]
    for case in biggest:
        met = "met" if case.get("seconds", AIM) < AIM else "NOT met"
        lines.append(f"Aim for {WAYS[case['way']].title}: 1 Mb opens in under {AIM:g} s after tokenization: {met}.")
    return "\n".join(lines)


def times(cases: list[dict[str, Any]], case: dict[str, Any], what: str) -> str:
    """How many times what TokenView with BPE takes for the same sequence."""
    ours = next((one for one in cases if one["length"] == case["length"] and one["way"] == "bpe"), {})
    return f"{case[what] / ours[what]:.1f}" if what in ours else ""


def main(words: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", nargs="+", choices=list(LENGTHS), default=list(LENGTHS))
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--rounds", type=int, default=3, help="openings, of which the median is shown")
    parser.add_argument("--limit", type=float, default=120, help="seconds after which a way is given up")
    parser.add_argument("--quick", action="store_true", help="1 kb and 100 kb, opened once")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args(words)
    lengths = [one for one in given.lengths if one != "1 Mb"] if given.quick else given.lengths
    rounds = 1 if given.quick else given.rounds
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Other work is running here (load {load:.1f}): ratios will be rough.", file=sys.stderr)
    cases = []
    with jupyter() as server:
        for length in lengths:
            for key in (key for key in WAYS if key in given.ways):
                print(f"{length}, {WAYS[key].title} ...", file=sys.stderr, flush=True)
                # A browser each: one that is too busy to answer is ended with its page.
                with browser() as opened:
                    page = opened.new_page(viewport={"width": 1280, "height": 960})
                    page.set_default_timeout(60_000)
                    found = measure(page, server, key, LENGTHS[length], rounds, given.limit)
                    machine = surroundings(opened)
                cases.append({"length": length, "way": key, **found})
    result = {**machine, "load_before": load, "rounds": rounds, "limit": given.limit, "cases": cases}
    print(tables(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
