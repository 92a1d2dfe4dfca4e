"""The processes that grade: one that forks learners' kernels, and for each core one that runs notebooks and judges."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.grading import sandbox
from biollm_widgets.grading.course import Graded
from biollm_widgets.grading.kernel import NotStarted
from biollm_widgets.grading.preflight import look
from biollm_widgets.grading.runner import Notebook, Spot
from biollm_widgets.grading.verdicts import Task, Verdict
from biollm_widgets.grading.warm import keep_shared

TRIES = 2  # of a submission that took a grading process with it


@dataclass(frozen=True)
class Lesson:
    """What a grading process has to know of a lesson.

    Attributes
    ----------
    name : str
    source : NotebookNode
        The instructor's notebook.
    graded : list of Graded
    sha : str
        Of the instructor's notebook and of the versions that it is judged with.
    recall : str
        The folder with what the instructor's notebook has computed.
    """

    name: str
    source: Any
    graded: list[Graded]
    sha: str
    recall: str


@dataclass(frozen=True)
class Job:
    """A submission to grade; without a learner it is the instructor's own notebook, and `recall` is filled."""

    lesson: str
    learner: str
    folder: str
    submitted: str = ""


@dataclass
class Done:
    """What came of a job: a verdict with the notebook as it ran (JSON), or why it could not be done."""

    job: Job
    verdict: Optional[Verdict] = None
    notebook: str = ""
    problem: str = ""


@dataclass
class _Worker:
    process: Any
    talk: Connection
    job: Optional[Job] = None


class Pool:
    """The processes, from their start to their end.

    Parameters
    ----------
    lessons : list of Lesson
    spot : Spot
        Its `warm` is filled in here.
    workers : int
    """

    def __init__(self, lessons: Iterable[Lesson], spot: Spot, workers: int) -> None:
        self._lessons = {lesson.name: lesson for lesson in lessons}
        self._spot, self._number = spot, workers
        self._workers: list[_Worker] = []
        self._warm: Optional[subprocess.Popen] = None
        self._place: Optional[Path] = None

    def __enter__(self) -> Pool:
        self._place = Path(tempfile.mkdtemp(prefix="bio-"))
        warm = self._place / "warm"
        self._spot = replace(self._spot, warm=str(warm))
        code = "import sys; from biollm_widgets.grading.warm import main; main(sys.argv[1])"
        own = environment(self._place)
        self._warm = subprocess.Popen(
            [sys.executable, "-c", code, str(warm)], env=own, cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        prepare()
        keep_shared()
        self._workers = [self._start() for _ in range(self._number)]
        while not warm.exists():
            if self._warm.poll() is not None:
                said = self._warm.stderr.read().decode(errors="replace").strip() if self._warm.stderr else ""
                self.__exit__()
                raise InputError(
                    f"The process that forks kernels ended ({said.splitlines()[-1][:200] if said else 'no word'}); "
                    "look at the packages with `biollm doctor`."
                )
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.talk.close()
            worker.process.kill()
            worker.process.join()
        self._workers = []
        if self._warm is not None:
            self._warm.kill()
            self._warm.wait()
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)

    def _start(self) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        others = [worker.talk for worker in self._workers]
        process = context.Process(target=_work, args=(theirs, [ours, *others], self._lessons, self._spot), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def run(self, jobs: Iterable[Job], may: Callable[[Job], bool] = lambda job: True) -> Iterator[Done]:
        """Grade; results come as they are done, in any order.

        Parameters
        ----------
        may : callable
            Whether a job may begin, as long as others go on. It is asked again after each result.
        """
        waiting = list(jobs)
        tries: dict[Job, int] = {}
        while waiting or any(worker.job for worker in self._workers):
            for worker in self._workers:
                job = next(filter(may, waiting), None) if worker.job is None else None
                if job is not None:
                    waiting.remove(job)
                    worker.job = job
                    worker.talk.send(job)
            if not any(worker.job for worker in self._workers):
                yield from (Done(job, problem="What has to run before it did not.") for job in waiting)
                return
            for place in wait([worker.talk for worker in self._workers if worker.job], timeout=1):
                worker = next(one for one in self._workers if one.talk is place)
                job = worker.job
                assert job is not None
                try:
                    yield worker.talk.recv()
                except (EOFError, OSError):
                    tries[job] = tries.get(job, 0) + 1
                    self._workers[self._workers.index(worker)] = self._start()
                    worker.process.join()
                    if tries[job] < TRIES:
                        waiting.insert(0, job)
                    else:
                        yield Done(job, problem="The process that graded it ended; memory may have run out.")
                worker.job = None


def environment(home: Path) -> dict[str, str]:
    """That of the process that forks kernels: a kernel can read what it was started with, whatever is done later."""
    own = sandbox.environment() | {"HOME": str(home), "TMPDIR": str(home)}
    package = sandbox.checkout()
    return own | ({"PYTHONPATH": str(package)} if package else {})


def prepare() -> None:
    """Import and read what judging takes, before processes are forked: meanwhile the one for kernels loads more."""
    import torch

    from biollm_widgets.checks import LESSONS, checks_of, inputs
    from biollm_widgets.models.catalog import CATALOG

    needed = ("jupyter_client.asynchronous.client", "nbformat", "pandas", "sklearn.metrics", "transformers")
    for name in (*needed, "zmq.asyncio"):
        import_module(name)
    torch.set_num_threads(1)
    for lesson in LESSONS:
        checks_of(lesson)
    for entry in CATALOG:
        if entry.stand_in is not None:
            inputs.embedded_tokenizer(entry.id)


def _work(talk: Connection, others: list[Connection], lessons: dict[str, Lesson], spot: Spot) -> None:
    """Grade what is asked for, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in others:
        other.close()
    os.environ["BIOLLM_MODELS"] = "embedded"
    while True:
        try:
            job = talk.recv()
        except (EOFError, OSError):
            return
        try:
            done = grade(job, lessons[job.lesson], spot)
        except NotStarted as problem:
            done = Done(job, problem=f"No kernel could be started: {problem}.")
        except OSError as problem:
            done = Done(job, problem=f"{problem.strerror or problem}: {problem.filename or 'a file'}.")
        except Exception as problem:  # nobody has a zero for it, and the others are graded
            said = " ".join(str(problem).split())[:200]
            done = Done(job, problem=f"The grader itself stopped at it ({type(problem).__name__}: {said}).")
        try:
            talk.send(done)
        except OSError:
            return


def grade(job: Job, lesson: Lesson, spot: Spot) -> Done:
    """Look at a submission, run it apart, judge it.

    Raises
    ------
    NotStarted
    OSError
        A disk is full, or a file cannot be read: not the learner's doing.
    """
    began = time.monotonic()
    verdict = Verdict(job.learner, job.lesson, source=lesson.sha, submitted=job.submitted)
    keep = ""
    if job.learner:
        looked = look(Path(job.folder), lesson.name, lesson.source)
        verdict.repairs, verdict.why, verdict.ask = list(looked.repairs), looked.why, looked.ask
        verdict.submission = looked.sha
        notebook, files = looked.notebook, looked.files
    else:
        notebook, files, keep = copy.deepcopy(lesson.source), [], job.folder
    if notebook is None:
        verdict.tasks = [Task(one.id, one.check, one.points) for one in lesson.graded]
        return Done(job, verdict)
    with tempfile.TemporaryDirectory(prefix="bio-") as place:
        work = Path(place) / "work"
        work.mkdir()
        for path in files:
            shutil.copyfile(path, work / path.name, follow_symlinks=False)
        spot = replace(spot, recall=lesson.recall if Path(lesson.recall).is_dir() else "")
        ran = asyncio.run(Notebook(notebook.cells, lesson.graded, work, spot, keep).go())
    verdict.tasks, verdict.notes = ran.tasks, ran.notes
    verdict.repairs += ran.repairs
    verdict.seconds = round(time.monotonic() - began, 2)
    return Done(job, verdict, json.dumps(notebook))
