"""A kernel of its own for a test: cells, clicks on the widget as a page would send them, interrupts."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any, Optional

from jupyter_client.manager import KernelManager

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
    """One of the Python that runs the test."""

    def __init__(self) -> None:
        self.manager = KernelManager()
        spec: Any = self.manager.kernel_spec
        spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.manager.start_kernel(env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        self.subshell = self._make_subshell()
        self.comm: Optional[str] = None  # of the widget that was told of last
        self.shown: dict[str, Any] = {}  # what its page knows: phase, title, buttons, ...
        self.printed: dict[str, str] = {}  # by cell; errors too
        self.over: set[str] = set()
        self.open = True
        self.ear = threading.Thread(target=self._listen, daemon=True)
        self.ear.start()
        tests = Path(__file__).resolve().parents[1]
        self.run(BEGIN.format(tests=str(tests), root=str(tests.parent)))

    def close(self) -> None:
        self.open = False
        self.ear.join()
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

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

    def click(self, verb: str) -> None:
        content = {"comm_id": self.comm, "data": {"method": "custom", "content": {"ask": verb, "number": "t-1"}}}
        message = self.client.session.msg("comm_msg", content)
        if self.subshell:
            message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)

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
                if "fresh" in said:
                    self.comm, self.shown = content["comm_id"], dict(said["fresh"])
                elif "news" in said and content["comm_id"] == self.comm:
                    self.shown.update(said["news"])
            elif kind == "stream":
                self.printed[cell] = self.printed.get(cell, "") + content["text"]
            elif kind == "error":
                self.printed[cell] = self.printed.get(cell, "") + f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                self.over.add(cell)
