"""What is left behind in a kernel, in a page and on the machine: counts and bytes, after all garbage is collected."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from .notebooks import Notebook

# Kept in a module of its own, so that the notebook's names are left alone. A tensor or a Trainer that stays is a model
# that stays; of our own classes all are counted.
_PROBE = '''
import sys, types
_made = types.ModuleType("_leavings")
exec("""
import asyncio, ctypes, gc, os, threading
from collections import Counter

def look():
    for _ in range(3):
        gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed is not counted as held
    except (OSError, AttributeError):
        pass
    found = {}
    names = [one.name.split(" (")[0].split("-")[0] for one in threading.enumerate()]
    found["threads"] = dict(Counter(names))
    found["os_threads"] = len(os.listdir("/proc/self/task"))
    children = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children") as file:
            children += file.read().split()
    found["children"] = len(children)
    kinds = Counter()
    for number in os.listdir("/proc/self/fd"):
        try:
            where = os.readlink(f"/proc/self/fd/{number}")
            kinds["on disk" if where.startswith("/") else where.split(":")[0]] += 1
        except OSError:
            pass
    found["files"] = dict(kinds)
    memory = dict.fromkeys(("Rss", "Pss", "Private_Dirty"), 0)
    with open("/proc/self/smaps_rollup") as file:
        for line in file:
            name = line.split(":")[0]
            if name in memory:
                memory[name] = int(line.split()[1]) / 1024
    found["rss"], found["pss"], found["dirty"] = memory["Rss"], memory["Pss"], memory["Private_Dirty"]
    from ipywidgets.widgets import widget
    import comm
    found["widgets"] = dict(Counter(type(one).__name__ for one in widget._instances.values()))
    found["comms"] = len(comm.get_comm_manager().comms)
    ours, other = Counter(), Counter()
    for one in gc.get_objects():
        kind = type(one)
        module = getattr(kind, "__module__", "")
        if not isinstance(module, str):
            continue
        if module.startswith("biollm_widgets"):
            ours[kind.__name__] += 1
        elif module.startswith(("transformers", "torch.nn", "accelerate", "torch.optim")):
            other[kind.__name__] += 1
    found["ours"] = dict(ours)
    found["trainers"] = other["Trainer"]
    found["objects"] = len(gc.get_objects())
    try:
        found["tasks"] = len(asyncio.all_tasks())
    except RuntimeError:
        found["tasks"] = -1
    return found
""", _made.__dict__)
sys.modules["_leavings"] = _made
'''

_CARD = "section.biollm, button.plain"  # what our widgets draw, and what the one draws that stands beside them

# What a page does not tell by itself: addresses made of blobs, and clocks that go on.
COUNTING = """
(() => {
  const left = (window.bioLeft = { blobs: new Set(), clocks: new Set() });
  const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
  URL.createObjectURL = (blob) => { const made = make.call(URL, blob); left.blobs.add(made); return made; };
  URL.revokeObjectURL = (url) => { left.blobs.delete(url); revoke.call(URL, url); };
  const [begin, end] = [window.setInterval, window.clearInterval];
  window.setInterval = (...given) => { const made = begin(...given); left.clocks.add(made); return made; };
  window.clearInterval = (clock) => { left.clocks.delete(clock); end(clock); };
})();
"""


def in_kernel(notebook: Notebook) -> dict[str, Any]:
    """Threads, processes, files, memory (MiB), widgets and our own objects of the kernel behind a notebook."""
    if not notebook.ask('"_leavings" in __import__("sys").modules'):
        notebook.tell(_PROBE)
    return notebook.ask('__import__("_leavings").look()')


class Watched:
    """A page whose leavings are counted; made before the page goes anywhere."""

    def __init__(self, page: Page) -> None:
        self.page, self.sockets = page, 0
        page.add_init_script(COUNTING)
        page.on("websocket", self._opened)
        self.cdp = page.context.new_cdp_session(page)
        self.cdp.send("Performance.enable")
        self.cdp.send("DOM.enable")

    def _opened(self, socket: Any) -> None:
        self.sockets += 1
        socket.on("close", self._closed)

    def _closed(self, _: Any) -> None:
        self.sockets -= 1

    def reloads(self) -> None:
        """What a page that is loaded anew had open is gone, whether or not it was told."""
        self.sockets = 0

    def _living(self, kind: str, condition: str) -> int:
        """How many objects of a kind there are in the page's memory, seen or not."""
        kind_of = self.cdp.send("Runtime.evaluate", {"expression": f"{kind}.prototype"})["result"]["objectId"]
        found = self.cdp.send("Runtime.queryObjects", {"prototypeObjectId": kind_of})["objects"]["objectId"]
        counted = self.cdp.send(
            "Runtime.callFunctionOn",
            {
                "objectId": found,
                "functionDeclaration": "function () { return this.filter((one) => { try { return "
                f"{condition}; }} catch {{ return false; }} }}).length; }}",  # a prototype is no element
                "returnByValue": True,
            },
        )["result"]["value"]
        for one in (kind_of, found):
            self.cdp.send("Runtime.releaseObject", {"objectId": one})
        return int(counted)

    def look(self) -> dict[str, Any]:
        """Heap (MiB), nodes, listeners, our cards seen and unseen, addresses of blobs, clocks, sockets, idle work."""
        self.page.wait_for_timeout(300)  # what was to be done before the next picture is done
        cards = self._living("HTMLElement", f"one.matches({_CARD!r})")
        watchers = self._living("ResizeObserver", "true")
        for _ in range(3):
            self.cdp.send("HeapProfiler.collectGarbage")
        before = self._metrics()
        self.page.wait_for_timeout(1000)
        after = self._metrics()
        blobs, clocks, seen = self.page.evaluate(
            "card => [bioLeft.blobs.size, bioLeft.clocks.size, document.querySelectorAll(card).length]", _CARD
        )
        return {
            "heap": before["JSHeapUsedSize"] / 2**20,
            "nodes": int(before["Nodes"]),
            "listeners": int(before["JSEventListeners"]),
            "documents": int(before["Documents"]),
            "cards": cards,
            "cards_seen": seen,
            "resize_observers": watchers,
            "blobs": blobs,
            "clocks": clocks,
            "sockets": self.sockets,
            "idle": after["TaskDuration"] - before["TaskDuration"],
        }

    def _metrics(self) -> dict[str, float]:
        return {one["name"]: one["value"] for one in self.cdp.send("Performance.getMetrics")["metrics"]}


def processes_of(home: Path) -> list[dict[str, Any]]:
    """Processes of this machine that were started with this folder as their home: a server, its kernels, theirs."""
    found, mark = [], f"HOME={home}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark not in (entry / "environ").read_bytes().split(b"\0"):
                continue
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            status = (entry / "status").read_text()
        except OSError:  # it is gone, or somebody else's
            continue
        memory = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)
        found.append({"pid": int(entry.name), "command": words[:120], "rss": memory / 1024})
    return found


def flat(found: dict[str, Any]) -> dict[str, float]:
    """Counts of what has kinds, as single figures beside their sums."""
    made: dict[str, float] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            made[name] = sum(value.values())
            made.update({f"{name}.{kind}": count for kind, count in value.items()})
        else:
            made[name] = value
    return made


def more(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    """What there is more of, by name; empty where nothing was left behind."""
    grown = Counter(flat(after))
    grown.subtract(flat(before))
    return {name: count for name, count in grown.items() if count > 0}
