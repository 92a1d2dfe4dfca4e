"""A process that has imported what lessons import, and forks a kernel for each submission.

It listens on a socket that is a file. Whoever connects sends what to start, and the learner's end of a wire; as long
as the connection stands the kernel lives, and when it is closed all that the kernel has started is ended.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from biollm_widgets.grading import sandbox
from biollm_widgets.grading.limits import NO_SANDBOX, Limits

CONNECTION = "connection.json"  # in the folder of the sockets
LONGEST = 2**16  # bytes of what is asked


_NEEDED = (
    "ipykernel.ipkernel", "ipykernel.kernelapp", "ipywidgets", "matplotlib.pyplot",
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "matplotlib_inline.backend_inline", "pandas",
    "sklearn.decomposition", "sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection",
    "sklearn.naive_bayes", "sklearn.preprocessing", "sklearn.pipeline", "torch", "transformers", "einops", "accelerate",
    "biollm_widgets.grading.inside", "biollm_widgets.grading.network",
    # What widgets, tables and designs take only once they are used.
    "biollm_widgets.runs.terminal", "biollm_widgets.widgets.picture_svg", "biollm_widgets.widgets.protein_run",
    "biollm_widgets.widgets.training_busy", "biollm_widgets.widgets.training_run", "pandas.io.formats.csvs",
    "pandas.io.formats.html", "pandas.io.formats.string", "Bio.Align.substitution_matrices", "Bio.SeqUtils.ProtParam",
    "narwhals._pandas_like.dataframe", "sqlite3",
)  # fmt: skip
_OF_TRANSFORMERS = ("AutoTokenizer", "PreTrainedTokenizerFast", "Trainer", "TrainingArguments", "GPT2LMHeadModel")


def load() -> None:
    """Import what a lesson takes, so that no submission has to. No thread is left, which a fork would not have."""
    for name in _NEEDED:
        with contextlib.suppress(ImportError):
            import_module(name)
    import torch
    import transformers

    torch.set_num_threads(1)
    _read()
    _draw()
    # Lessons use the package's public names, which come from floors above and below this one.
    package = sys.modules["biollm_widgets"]
    for module, names in ((package, package.__all__), (transformers, _OF_TRANSFORMERS)):
        for name in names:  # they come when they are asked for
            with contextlib.suppress(ImportError):
                getattr(module, name)


def _read() -> None:
    """The embedded models once: what transformers and tokenizers import and set up with the first is there then."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from biollm_widgets.models.catalog import EMBEDDED
    from biollm_widgets.models.dnabert2 import DNABert2Model

    for folder, kind in ((EMBEDDED / "dna", DNABert2Model), (EMBEDDED / "protein", AutoModelForCausalLM)):
        AutoTokenizer.from_pretrained(folder)
        kind.from_pretrained(folder)


def _draw() -> None:
    """A picture that nobody sees: the fonts are found and read with the first."""
    from matplotlib import pyplot

    from biollm_widgets.pictures import picture

    pyplot.plot([0, 1], label="a")
    pyplot.legend()
    picture(pyplot.gcf(), "A line.")
    pyplot.close("all")


def keep_shared() -> None:
    """Take what is there out of the garbage collector's hands: looking through it, each fork would copy all of it."""
    gc.collect()
    gc.freeze()


def main(place: str) -> None:
    """Load, listen at `place`, and fork for whoever connects, until whoever started this is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the grader, who lets the running ones end
    parent = os.getppid()
    os.chdir("/")
    sys.path[:] = [one for one in sys.path if one]
    load()
    keep_shared()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{place}.new")
        listening.listen(64)
        Path(f"{place}.new").rename(place)
        while os.getppid() == parent:
            if not select.select([listening], [], [], 0.5)[0]:
                _reap()
                continue
            caller, _ = listening.accept()
            with caller:
                if os.fork() == 0:
                    listening.close()
                    _keep(caller)
            _reap()


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _keep(caller: socket.socket) -> NoReturn:
    """Start a kernel, say its number, and keep it as long as the caller is there."""
    try:
        data, descriptors, _, _ = socket.recv_fds(caller, LONGEST, 1)
        asked = json.loads(data)
        end = socket.socket(fileno=descriptors[0])
        limits = Limits(**asked["limits"])
        start = {"namespaces": _in_namespaces, "none": _with_nothing}.get(asked["isolation"], _in_container)
        first = start(asked, limits, end)
        end.close()
    except sandbox.NoSandbox as problem:
        _say(caller, {"error": str(problem)})
        os._exit(NO_SANDBOX)
    except BaseException as problem:
        _say(caller, {"error": f"{type(problem).__name__}: {problem}"})
        os._exit(1)
    _say(caller, {"pid": first})
    while True:
        try:
            pid, status = os.waitpid(first, os.WNOHANG)
        except ChildProcessError:
            os._exit(1)
        if pid:
            _say(caller, {"exit": os.waitstatus_to_exitcode(status)})
            _end_all(0)
            os._exit(0)
        try:
            gone = select.select([caller], [], [], 0.1)[0] and not caller.recv(1)
        except OSError:
            gone = True
        if gone:
            _end_all(first)
            os._exit(0)


def _say(caller: socket.socket, words: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        caller.sendall(json.dumps(words).encode() + b"\n")


def _in_namespaces(asked: dict[str, Any], limits: Limits, end: socket.socket) -> int:
    environment = sandbox.environment() | sandbox.recall_variables(asked, sandbox.RECALL)

    def kernel(ready: int, go: int) -> NoReturn:
        _become(environment)
        from biollm_widgets.grading.inside import kernel as become

        become(f"{sandbox.SOCKETS}/{CONNECTION}", end, ready, go, f"{sandbox.HOME}/lesson")

    return sandbox.enter(
        limits, Path(asked["work"]), Path(asked["sockets"]), asked["hidden"], kernel, asked["keep"], asked["recall"]
    )


def _in_container(asked: dict[str, Any], limits: Limits, end: socket.socket) -> int:
    """A kernel in a container: a program that is started anew, and connects to the grader by itself."""
    from biollm_widgets.grading.containers import argv

    if sys.platform == "linux":
        sandbox.adopt_orphans()
    command = argv(asked["isolation"], asked, limits)
    nothing = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing).pid


def _with_nothing(asked: dict[str, Any], limits: Limits, end: socket.socket) -> int:
    """A kernel that can do what its instructor can: for learners whom one trusts."""
    if sys.platform == "linux":
        sandbox.adopt_orphans()
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    home = Path(asked["work"]).parent / "home"
    home.mkdir(exist_ok=True)
    kept = sandbox.recall_variables(asked, asked["keep"] or asked["recall"])
    _become(sandbox.environment() | kept | {"HOME": str(home), "TMPDIR": str(home)})
    sandbox.restrict(limits)
    from biollm_widgets.grading.inside import kernel as become

    _, is_ready = os.pipe()
    may_go, go = os.pipe()
    os.write(go, b"!")
    become(f"{asked['sockets']}/{CONNECTION}", end, is_ready, may_go, asked["work"])


def _become(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    import random
    import tempfile

    import numpy as np
    import torch

    tempfile.tempdir = None
    # Forks begin with the same state of chance; a process that starts anew does not.
    random.seed()
    np.random.seed()
    torch.seed()


def _end_all(first: int) -> None:
    """End the first process, and with it all in its namespaces; without a sandbox all that descend from here."""
    for _ in range(50):
        there = [pid for pid in (first, *sandbox.descendants(os.getpid())) if pid]
        for pid in there:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        first = 0
        if not sandbox.descendants(os.getpid()):
            return
        time.sleep(0.02)
