"""What an hour of use leaves behind: threads, processes, files and memory, of a kernel, a page and a server.

    python -m benchmarks.long_session                   # an hour
    python -m benchmarks.long_session --rounds 4        # some minutes
    python -m benchmarks.long_session --json long_session.json

In a real JupyterLab a Chromium does what a learner does, in rounds: token views are opened, edited, closed, shown by a
cell that runs again and again; a Trainer is started, stopped, gone on with, and a run that is over is looked at;
proteins are written, cancelled, written again and explored; cells are deleted; the connection drops and comes back. In
between the notebook is closed and opened, its page loaded anew, its kernel restarted. Beside it, in a notebook of its
own in the same round, the same is done without our widgets: as many widgets of an anywidget that does nothing, the same
trainings, the same proteins. What that leaves behind is Jupyter's, PyTorch's and transformers', and no more than that
may be ours.

After each round IPython's `Out` is emptied, which holds on to each value that a cell ended with, ours or not; garbage
is collected in the kernel and in the page, and all is counted. The slope of each figure is
that of a straight line through its rounds, with one level for each kernel (or page) of its own, so that a restart
counts as none; the first rounds of each are left out, because what is loaded once is no growth. Its uncertainty is that
of least squares, at 95 %. A figure grows when its slope is above zero by more than that, and by more than a hundredth
of the figure in ten rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Optional

import numpy as np
from playwright.sync_api import Browser, expect

from benchmarks.browser import browser, surroundings
from tests.browser.dropping import Line
from tests.browser.leavings import flat, in_kernel, processes_of
from tests.browser.long_days import Day
from tests.browser.servers import Server, chromium

WARM = 2  # rounds of a kernel or a page that load what is loaded once
REOPEN, RELOAD, RESTART = 3, 8, 16  # every so many rounds
SHOWN = {
    "kernel": [
        "threads",
        "os_threads",
        "children",
        "files",
        "tasks",
        "widgets",
        "comms",
        "ours",
        "trainers",
        "objects",
        "rss",
        "pss",
    ],
    "page": [
        "heap",
        "nodes",
        "listeners",
        "documents",
        "cards",
        "resize_observers",
        "blobs",
        "clocks",
        "sockets",
        "idle",
    ],
    "server": ["processes", "server_rss"],
}
UNITS = {"rss": "MiB", "pss": "MiB", "heap": "MiB", "server_rss": "MiB", "idle": "s of work in a second of rest"}


def slope(rounds: Sequence[int], values: Sequence[float], of: Sequence[int]) -> tuple[float, float, int]:
    """Least squares: growth a round, with a level for each stretch.

    Parameters
    ----------
    rounds, values
        The points.
    of
        In which stretch (kernel, page) each of them lies.

    Returns
    -------
    slope : float
    uncertainty : float
        Half the width of its interval of 95 %; infinite with too few points.
    left : int
        Degrees of freedom.
    """
    x, y, kind = np.asarray(rounds, float), np.asarray(values, float), np.asarray(of)
    for one in set(of):
        here = kind == one
        x[here] -= x[here].mean()
        y[here] -= y[here].mean()
    spread, left = float(x @ x), len(x) - len(set(of)) - 1
    if not spread or left < 1:
        return float("nan"), float("inf"), left
    found = float(x @ y) / spread
    from scipy.stats import t

    error = float(np.sqrt(max(0.0, float(((y - found * x) ** 2).sum())) / left / spread))
    return found, float(t.ppf(0.975, left)) * error, left


def fits(rows: list[dict[str, Any]], who: str) -> list[dict[str, Any]]:
    """The slope of each figure of one notebook, and whether it grows."""
    made = []
    for where, names in SHOWN.items():
        stretch = {"kernel": "kernel_age", "page": "page_age", "server": "round"}[where]
        number, numbers = 0, []
        for row in rows:
            number += row[stretch] == 1
            numbers.append(number if where != "server" else 1)
        kept = [i for i, row in enumerate(rows) if row[stretch] > WARM]
        for name in names:
            # With several kinds: each by itself too, where it is a thread or a file.
            several = {key for row in rows for key in row[who][where] if key.startswith(f"{name}.")}
            for key in (name, *sorted(several)):
                values = [float(rows[i][who][where].get(key, 0)) for i in kept]
                if not values:
                    continue
                found, error, left = slope([rows[i]["round"] for i in kept], values, [numbers[i] for i in kept])
                level = sum(values) / len(values)
                grows = found - error > 0 and found * 10 > max(level, 1e-9) / 100
                made.append(
                    {"where": where, "name": key, "level": level, "slope": found, "error": error, "left": left}
                    | {"first": values[0], "last": values[-1], "grows": bool(grows)}
                )
    return made


def table(result: dict[str, Any]) -> str:
    """By round, then the slopes side by side."""
    lines = []
    columns = [("kernel", one) for one in ("threads", "children", "files", "widgets", "comms", "ours", "trainers")]
    columns += [("kernel", "rss"), ("page", "heap"), ("page", "nodes"), ("page", "listeners"), ("page", "cards")]
    columns += [("page", "blobs"), ("page", "clocks"), ("page", "sockets"), ("server", "processes")]
    columns += [("server", "server_rss")]
    for who, words in (("ours", "With the three widgets"), ("plain", "Without them")):
        lines += [words, f"{'round':>5} {'kernel':>6} {'page':>4}  " + " ".join(f"{one:>10}" for _, one in columns)]
        for row in result["rows"]:
            cells = " ".join(f"{row[who][where].get(name, 0):10.{int(name in UNITS)}f}" for where, name in columns)
            lines.append(f"{row['round']:5} {row['kernel_age']:6} {row['page_age']:4}  {cells}   {row['after']}")
        lines.append("")
    lines.append(f"{'growth a round':46}{'with the widgets':>22}{'without':>22}")
    plain = {(one["where"], one["name"]): one for one in result["fits"]["plain"]}
    more, known = [], 0
    for one in result["fits"]["ours"]:
        name = str(one["name"])
        other = plain.get((one["where"], name))
        if one["left"] < 1 or ("." in name and not one["grows"]):  # of the kinds those alone that say something
            continue
        known += 1
        said = [f"{found['slope']:+.3f} ± {found['error']:.3f}" if found else "" for found in (one, other)]
        unit = f", {UNITS[name]}" if name in UNITS else ""
        verdict = ""
        if one["grows"]:
            beyond = max(0.0, other["slope"]) + other["error"] if other else 0.0
            verdict = (
                "  GROWS, and more than without" if one["slope"] - one["error"] > beyond else "  grows, as without"
            )
            if one["slope"] - one["error"] > beyond:
                more.append(f"{one['where']} {name}")
        lines.append(f"{one['where'] + ' ' + name + unit:46}{said[0]:>22}{said[1]:>22}{verdict}")
    lines.append("")
    end = result["end"]
    closing = (
        f" After both notebooks were closed and their kernels ended, {end['children']} processes were left under the "
        f"server; after the server ended, {end['left']} of its processes on the machine."
        if end
        else ""
    )
    lines.append(
        f"{len(result['rows'])} rounds in {result['seconds'] / 60:.0f} minutes, {result['kernels']} kernels, "
        f"{result['pages']} loaded pages, {result['drops']} dropped connections.{closing}"
    )
    if not known:
        lines.append(f"Too few rounds to tell whether anything grows: it takes {WARM + 4} in one kernel and page.")
    elif more:
        lines.append(f"Grows, and more than without the widgets: {', '.join(more)}.")
    else:
        lines.append("Nothing grows more than without the widgets.")
    return "\n".join(lines)


def _shift(days: dict[str, Day], number: int) -> str:
    """What comes between two rounds; in words."""
    act = {RESTART: "restart", RELOAD: "reload", REOPEN: "close_and_open"}
    for every, name in act.items():
        if number % every == 0:
            for day in days.values():
                day.page.bring_to_front()
                getattr(day, name)()
            return {"restart": "kernel restarted", "reload": "page reloaded", "close_and_open": "closed, opened"}[name]
    return ""


def play(
    opened: Browser, home: Path, minutes: float, rounds: Optional[int], keep: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """The hour; `rounds` ends it earlier. `keep` gets what is known after each round."""
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    server = Server(home)
    result: dict[str, Any] = {"kernels": 2, "pages": 2, "drops": 0, "failure": "", "rows": rows}
    result |= {"seconds": 0.0, "end": {}, "fits": {"ours": [], "plain": []}}
    try:
        days, lines = {}, []
        for who in ("ours", "plain"):
            lines.append(Line(server))
            context = opened.new_context(viewport={"width": 1280, "height": 960})
            context.set_default_timeout(120_000)
            days[who] = Day(context.new_page(), server, lines[-1], who == "ours")
        ages = {"kernel_age": 0, "page_age": 0}
        number = 0
        while (rounds is None or number < rounds) and time.monotonic() - began < 60 * minutes:
            number += 1
            ages = {name: age + 1 for name, age in ages.items()}
            row: dict[str, Any] = {"round": number, **ages}
            try:
                for who, day in days.items():
                    start = time.monotonic()
                    day.page.bring_to_front()  # what is behind another page draws nothing
                    day.round(number)
                    result["drops"] += 1
                    day.notebook.tell("get_ipython().run_line_magic('reset', '-f out')")
                    row[who] = {"kernel": flat(in_kernel(day.notebook)), "page": day.watched.look()}
                    there = processes_of(home)
                    row[who]["server"] = {
                        "processes": len(there),
                        "server_rss": next((one["rss"] for one in there if "jupyterlab" in one["command"]), 0.0),
                    }
                    row[who]["seconds"] = time.monotonic() - start
                row["after"] = _shift(days, number)
            except Exception:  # the rounds until then are worth having
                result["failure"] = traceback.format_exc()
                break
            rows.append(row)
            result["seconds"] = time.monotonic() - began
            result["fits"] = {who: fits(rows, who) for who in ("ours", "plain")}
            keep(result)
            if row["after"] == "kernel restarted":
                ages["kernel_age"] = 0
                result["kernels"] += 2
            if row["after"] == "page reloaded":
                ages["page_age"] = 0
                result["pages"] += 2
            ours, plain = row["ours"], row["plain"]
            print(
                f"round {number}, {(time.monotonic() - began) / 60:.1f} min: kernels {ours['kernel']['rss']:.0f} and "
                f"{plain['kernel']['rss']:.0f} MiB, pages {ours['page']['heap']:.0f} and {plain['page']['heap']:.0f} "
                f"MiB, widgets {ours['kernel']['widgets']} and {plain['kernel']['widgets']}. {row['after']}",
                file=sys.stderr,
                flush=True,
            )
        for day in days.values():
            if not result["failure"]:
                day.notebook.end_kernel()
            day.page.context.close()
        time.sleep(3)
        children = len(processes_of(home)) - 1
        for line in lines:
            line.close()
    finally:
        server.stop()
    time.sleep(1)
    left = processes_of(home)
    result["end"] = {"children": children, "left": len(left), "which": left}
    return result


def main(words: Optional[list[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="no round begins after these")
    parser.add_argument("--rounds", type=int, help="this many at the most")
    parser.add_argument("--json", type=Path, help="write the figures here too, after each round")
    parser.add_argument("--again", type=Path, metavar="FILE", help="print the table of such a file, and no more")
    given = parser.parse_args(words)
    if given.again:
        print(table(json.loads(given.again.read_text())))
        return
    if chromium() is None:
        sys.exit("No Chromium was found; install one (Debian: apt-get install chromium).")
    if not Path("/proc/self/smaps_rollup").exists():
        sys.exit("The counts are read from Linux's /proc, which is not here; run this on Linux.")
    expect.set_options(timeout=120_000)  # other work may take the cores
    load = os.getloadavg()[0]
    with TemporaryDirectory() as folder, browser() as opened:
        machine = {**surroundings(opened), "load_before": load}

        def keep(result: dict[str, Any]) -> None:
            if given.json:
                given.json.write_text(json.dumps({**machine, **result}, indent=1) + "\n")

        result = play(opened, Path(folder) / "home", given.minutes, given.rounds, keep)
        keep(result)
    print(table(result))
    if result["failure"]:
        sys.exit(f"Broke off in round {len(result['rows']) + 1}:\n{result['failure']}")


if __name__ == "__main__":
    main()
