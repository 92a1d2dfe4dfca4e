"""Kernels for tests, as the grader starts them: one warm process for a module, a kernel for each test."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.grading import sandbox
from biollm_widgets.grading.kernel import Ended, Kernel
from biollm_widgets.grading.limits import Limits

ROOT = Path(__file__).resolve().parents[2]


class Warm:
    """The process that forks kernels, on a socket in a short folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder / "warm"
        self._number = 0
        code = "import sys; from biollm_widgets.grading.warm import main; main(sys.argv[1])"
        from biollm_widgets.grading.pool import environment

        own = environment(folder)
        self.process = subprocess.Popen([sys.executable, "-c", code, str(self.place)], env=own, cwd="/")
        until = time.monotonic() + 120
        while not self.place.exists():
            assert self.process.poll() is None and time.monotonic() < until, "It did not come to listen."
            time.sleep(0.05)

    def kernel(self, isolation: str, limits: Limits, hidden: tuple[str, ...] = (), **given: str) -> Kernel:
        """A kernel that is not started, with a file beside its notebook."""
        self._number += 1
        work = self.folder / f"work{self._number}"
        work.mkdir()
        (work / "helpers.py").write_text("answer = 42\n")
        place = self.folder / f"k{self._number}"
        place.mkdir()
        return Kernel(self.place, place, work, isolation, list(hidden), limits, **given)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Said:
    """What code printed or gave, the error it raised, and how it ended."""

    def __init__(self) -> None:
        self.text, self.error, self.end = "", "", ""
        self.kinds: list[str] = []


async def tell(kernel: Kernel, code: str, seconds: float = 30) -> Said:
    """Run code."""
    said = Said()
    try:
        async for message in kernel.run(code, seconds):
            content = message["content"]
            said.kinds.append(message["msg_type"])
            said.text += content.get("text", "") + content.get("data", {}).get("text/plain", "")
            said.error += f"{content.get('ename', '')}: {content.get('evalue', '')}" if "ename" in content else ""
    except TimeoutError:
        said.end = "stopped"
    except Ended as end:
        said.end = str(end)
    return said


def through(kernel: Kernel, *codes: str, seconds: float = 30) -> list[Said]:
    """Start a kernel, run codes in it, and end it."""

    async def go() -> list[Said]:
        try:
            await kernel.start()
            found = []
            for code in codes:
                found.append(await tell(kernel, code, seconds))
                if not kernel.alive:
                    break
            return found
        finally:
            await kernel.close()

    return run(go())


def run(going: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(going)


def why_not(isolation: str) -> Optional[str]:
    """Why a way to keep kernels apart is not to be had here; None when it is."""
    from biollm_widgets.grading import containers

    return (sandbox.probe() if isolation == "namespaces" else containers.why_not(isolation)) or None
