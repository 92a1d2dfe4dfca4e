"""A kernel of its own for a test: cells, clicks on the widget as a page would send them, interrupts."""

from __future__ import annotations

import itertools
import os
import queue
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Optional

from jupyter_client.manager import KernelManager

from biollm_widgets.kernels import own_kernel

BEGIN = """
import sys, time, threading
sys.path[:0] = [{tests!r}, {root!r}]
from small_trainer import At, small_trainer
from transformers import TrainerCallback
from biollm_widgets.widgets.training_progress import TrainingProgress

class Slow(TrainerCallback):
    def __init__(self, step=0.1, batch=0.0):
        self.step, self.batch = step, batch
    def on_step_end(self, *_, **__):
        time.sleep(self.step)
    def on_prediction_step(self, *_, **__):
        time.sleep(self.batch)

def trains():
    return [one.name for one in threading.enumerate() if one.name == "training"]
"""


class Kernel:
    """One of the Python that runs the test.

    Parameters
    ----------
    begin
        Its first cell; {tests} and {root} are folders to import from.
    """

    def __init__(self, begin: str = BEGIN) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.manager = own_kernel(KernelManager(), self.folder.name)
        self.manager.start_kernel(env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        self.subshell = self._make_subshell()
        self.comm: Optional[str] = None  # of the widget that was told of last
        self.shown: dict[str, Any] = {}  # what its page knows: phase, title, buttons, ...
        self.sent: list[tuple[float, dict[str, Any]]] = []  # all that it was told, with the time
        self.opened: list[tuple[str, dict[str, Any]]] = []  # widgets that were made, with their first state
        self.answers: dict[str, dict[str, Any]] = {}  # by the number of the question
        self.printed: dict[str, str] = {}  # by cell; errors too
        self.over: set[str] = set()
        self._numbers = itertools.count(1)
        self.open = True
        self.ear = threading.Thread(target=self._listen, daemon=True)
        self.ear.start()
        tests = Path(__file__).resolve().parents[1]
        self.run(begin.format(tests=str(tests), root=str(tests.parent)))

    def close(self) -> None:
        self.open = False
        self.ear.join()
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.folder.cleanup()

    def start(self, code: str) -> str:
        """Begin a cell."""
        return self.client.execute(code)

    def run(self, code: str, seconds: float = 120) -> str:
        """A cell, and what it printed."""
        return self.end_of(self.start(code), seconds)

    def end_of(self, cell: str, seconds: float = 60) -> str:
        self.wait(lambda: cell in self.over, seconds)
        return self.printed.get(cell, "").strip()

    def wait(self, until: Any, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, (self.shown, self.printed)
            time.sleep(0.02)

    def phase(self, name: str, seconds: float = 60) -> None:
        """Wait until the page shows it."""
        self.wait(lambda: self.shown.get("phase") == name, seconds)

    def look(self) -> None:
        """Be the page of the widget that was made last, as it was shown."""
        self.comm, state = self.opened[-1]
        self.shown = dict(state["_shot"])

    def click(self, verb: str, **given: Any) -> str:
        """Ask, as the page does; gives the number of the question."""
        number = f"t-{next(self._numbers)}"
        return self._say({"method": "custom", "content": {"ask": verb, "number": number, **given}}) and number

    def ask(self, verb: str, seconds: float = 60, **given: Any) -> dict[str, Any]:
        """Ask, and wait for the answer."""
        number = self.click(verb, **given)
        self.wait(lambda: number in self.answers, seconds)
        return self.answers[number]

    def _say(self, data: dict[str, Any]) -> bool:
        message = self.client.session.msg("comm_msg", {"comm_id": self.comm, "data": data})
        if self.subshell:
            message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)
        return True

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def _make_subshell(self) -> str:
        """Where JupyterLab sends what a page says; "" where there is no such thing, before ipykernel 7."""
        info = self.client.kernel_info(reply=True, timeout=60)
        if "kernel subshells" not in info["content"].get("supported_features", []):
            return ""
        self.client.control_channel.send(self.client.session.msg("create_subshell_request"))
        return self.client.get_control_msg(timeout=60)["content"]["subshell_id"]

    def _listen(self) -> None:
        while self.open:
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                continue
            kind, content = message["msg_type"], message["content"]
            cell = message["parent_header"].get("msg_id", "")
            if kind == "comm_msg" and content["data"].get("method") == "custom":
                said = content["data"]["content"]
                if content["comm_id"] == self.comm:
                    self.sent.append((time.monotonic(), said))
                if "answer" in said:
                    self.answers[str(said["answer"])] = said
                if "fresh" in said:
                    self.comm, self.shown = content["comm_id"], dict(said["fresh"])
                elif "news" in said and content["comm_id"] == self.comm:
                    self.shown.update(said["news"])
            elif kind == "comm_open" and "_shot" in content["data"].get("state", {}):
                self.opened.append((content["comm_id"], content["data"]["state"]))
            elif kind == "stream":
                self.printed[cell] = self.printed.get(cell, "") + content["text"]
            elif kind == "error":
                self.printed[cell] = self.printed.get(cell, "") + f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                self.over.add(cell)
