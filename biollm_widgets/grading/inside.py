"""What runs in a learner's process: the kernel, and the end of the wire at which the learner's functions are called.

Nothing here is trusted. Learners can replace all of it, and gain nothing: points are given at the other end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn, Optional

import numpy as np

from biollm_widgets.grading.wire import Extra, Packer, Wire

LATER = "This check runs when the notebook is graded, outside of it."
_MOST_FILES = 50 * 2**20  # bytes of what a function writes into a folder

_end: Optional[socket.socket] = None


def kernel(connection: str, end: socket.socket, ready: int, go: int, folder: str) -> NoReturn:
    """Become the kernel of a connection file: listen, say so, and run nothing before it may."""
    global _end
    _end = end
    kept = {end.fileno(), ready, go}
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    for descriptor in range(3, 1024):
        if descriptor not in kept:
            with contextlib.suppress(OSError):
                os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    sys.path.insert(0, folder)  # a file of the learner's own can be imported, as in Jupyter

    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize(["-f", connection, "--HistoryManager.enabled=False", "--IPKernelApp.log_level=50"])
    _no_checks()
    _show_plots(app.shell)
    with contextlib.suppress(OSError):  # where nobody waits for it
        os.write(ready, b"!")
    os.close(ready)
    os.read(go, 1)
    os.close(go)
    app.start()
    os._exit(0)


def _show_plots(shell: Any) -> None:
    """Plots show under their cell, as in Jupyter: whoever grades by hand looks at them."""
    with contextlib.suppress(Exception):  # without matplotlib there are none
        shell.run_line_magic("matplotlib", "inline")


def _no_checks() -> None:
    """`bio.check` in a cell of the learner's own says when it is judged; what has points is judged outside."""

    def check(name: str, *answers: Any, at_grading: Optional[bool] = None) -> float:
        print(LATER)
        return 0.0

    sys.modules["biollm_widgets"].check = check  # type: ignore[attr-defined]


# The learner's end of the wire.


def serve() -> None:
    """Answer the grader until it has asked all: what names stand for, and what functions give."""
    from IPython import get_ipython

    assert _end is not None
    shell = get_ipython()  # type: ignore[no-untyped-call]
    _Served(_end, shell.user_ns).run()


class _Served:
    def __init__(self, end: socket.socket, names: dict[str, Any]) -> None:
        self.names = names
        self.functions: list[Any] = []
        self.networks: dict[int, Any] = {}
        self.folders: dict[int, str] = {}
        self.tokenizers: dict[str, Any] = {}
        self.wire = Wire(end, Extra(self._pack, self._unpack))

    def run(self) -> None:
        self.wire.send(["here"])
        while True:
            self.networks, self.folders = {}, {}  # what comes with the next question
            verb, *given = self.wire.receive(24 * 3600)
            if verb == "done":
                return
            frames = [(place, one, one.copy()) for place, one in enumerate(given[-1]) if hasattr(one, "equals")]
            try:
                value = self._take(given[0]) if verb == "take" else self.functions[given[0]](*given[1])
                answer = ["value", value]
            except BaseException as error:
                answer = ["error", type(error).__name__, _said(error)]
            changed = [place for place, one, before in frames if not one.equals(before)]
            self.wire.send([*answer, {**self._after(), "changed": changed}])

    def _take(self, expressions: list[str]) -> list:
        taken = []
        for expression in expressions:
            try:
                taken.append(eval(expression, self.names))  # the instructor's expression
            except NameError:
                taken.append(None)  # the cell that makes it did not come so far
        return taken

    def _after(self) -> dict[str, Any]:
        """What a call has changed: parameters of networks, files in folders."""
        networks = {number: one.flat() for number, one in self.networks.items()}
        files: dict[int, list] = {}
        for number, folder in self.folders.items():
            files[number], left = [], _MOST_FILES
            for path in sorted(Path(folder).iterdir()):
                if path.is_file() and not path.is_symlink() and path.stat().st_size <= left:
                    data = path.read_bytes()
                    left -= len(data)
                    files[number].append([path.name, np.frombuffer(data, dtype=np.uint8)])
        return {"networks": networks, "files": files}

    def _pack(self, value: Any, packer: Packer) -> Optional[list]:
        if callable(value):  # a class can be called, too
            self.functions.append(value)
            try:
                name = str(getattr(value, "__name__", ""))[:60]
            except Exception:
                name = ""
            return ["function", len(self.functions) - 1, name]
        return None

    def _unpack(self, data: list, arrays: list) -> Any:
        tag, *rest = data
        if tag == "folder":
            self.folders[rest[0]] = tempfile.mkdtemp()
            return Path(self.folders[rest[0]])
        if tag == "network":
            from biollm_widgets.grading.network import Network

            number, width, values = rest
            self.networks[number] = Network(self.wire, number, width, arrays[values])
            return self.networks[number]
        if tag == "model":
            return _model(*rest)
        if tag == "tokenizer":
            key, text, words = rest
            if text is not None:
                self.tokenizers[key] = _tokenizer(text, words)
            return self.tokenizers[key]
        raise ValueError(tag)


def _said(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())[:300]
    except BaseException:
        return ""


def _model(kind: str, config: dict, frozen: list[str]) -> Any:
    from biollm_widgets.models import dnabert2

    model = getattr(dnabert2, kind)(dnabert2.DNABert2Config(**config))
    for name, value in model.named_parameters():
        value.requires_grad_(name not in frozen)
    return model


def _tokenizer(text: str, words: dict[str, Any]) -> Any:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(text), **words)
