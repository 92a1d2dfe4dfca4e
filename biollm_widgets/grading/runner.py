"""A learner's notebook, run from top to bottom in a kernel apart; its tasks are judged outside, as they are reached."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from biollm_widgets.checks import find
from biollm_widgets.checks.ground import Result, run
from biollm_widgets.errors import InputError
from biollm_widgets.grading import outputs
from biollm_widgets.grading.course import Graded
from biollm_widgets.grading.kernel import Ended, Kernel
from biollm_widgets.grading.limits import Limits
from biollm_widgets.grading.remote import GRACE, Gone, Remote
from biollm_widgets.grading.verdicts import Task

SERVE = "__import__('biollm_widgets.grading.inside', fromlist=['serve']).serve()"
KERNELS = 4  # that a notebook may use up, one after the other


@dataclass(frozen=True)
class Spot:
    """Where notebooks run.

    Attributes
    ----------
    warm : str
        The socket of the process that forks kernels.
    isolation : str
    hidden : tuple of str
        Folders that no learner sees.
    limits : Limits
    secret : str
        Of the course: what functions are called with follows from it.
    recall : str
        A folder with what the instructor's own notebook has computed.
    """

    warm: str
    isolation: str
    hidden: tuple[str, ...]
    limits: Limits
    secret: str
    recall: str = ""


@dataclass
class Ran:
    """What came of a notebook: the tasks, what had to be left out, what else happened."""

    tasks: list[Task]
    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Stop(Exception):
    """The notebook goes no further; the text says why, as a sentence."""


class Notebook:
    """A notebook that is run.

    Parameters
    ----------
    cells : list
        Of the notebook; their outputs are written into them.
    graded : list of Graded
    work : path
        What lies beside the notebook.
    keep : str
        A folder to fill with what will be asked again; for the instructor's own notebook.
    """

    def __init__(self, cells: list[Any], graded: list[Graded], work: Path, spot: Spot, keep: str = "") -> None:
        self._cells, self._work, self._spot, self._keep = cells, work, spot, keep
        self._graded = {one.id: one for one in graded}
        self._judged: dict[str, Task] = {}
        self._left_out: set[int] = set()
        self._outputs = outputs.Outputs(spot.limits.output)
        self._until = 0.0
        self.ran = Ran([])

    async def go(self) -> Ran:
        """Run it all.

        Raises
        ------
        NotStarted
            No kernel can be had: that is not the learner's doing.
        """
        self._until = time.monotonic() + self._spot.limits.whole
        why = f"The notebook ended Python {KERNELS} times; the rest was not run."
        try:
            for _ in range(KERNELS):
                if await self._through():
                    why = ""
                    break
        except Stop as stop:
            why = str(stop)
        if why:
            self.ran.notes.append(why)
        for one in self._graded.values():
            task = Task(one.id, one.check, one.points)
            if one.check:
                task = self._judged.get(one.id) or _unjudged(one, why or "The cell with its check was not reached.")
            self.ran.tasks.append(task)
        return self.ran

    async def _through(self) -> bool:
        """Run the cells in a fresh kernel; whether the end was reached."""
        with tempfile.TemporaryDirectory(prefix="bio-") as place:
            folder = Path(place) / "k"
            folder.mkdir()
            spot = self._spot
            kernel = Kernel(
                Path(spot.warm), folder, self._work, spot.isolation, list(spot.hidden), spot.limits, self._keep,
                "" if self._keep else spot.recall,
            )  # fmt: skip
            try:
                await kernel.start()
                for number, cell in enumerate(self._cells):
                    if cell.cell_type == "code" and not await self._cell(kernel, number, cell):
                        return False
            finally:
                await kernel.close()
        return True

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise Stop(f"The notebook took longer than {self._spot.limits.whole:g} s; the rest was not run.")
        return left

    async def _cell(self, kernel: Kernel, number: int, cell: Any) -> bool:
        """Run or judge one cell; whether the kernel is still there."""
        mark = cell.metadata.get("nbgrader", {})
        task = self._graded.get(mark.get("grade_id", "")) if mark.get("grade") else None
        if task is not None:
            if task.id not in self._judged:
                self._judged[task.id] = await self._judge(kernel, task, cell)
            return kernel.alive
        if number in self._left_out or not cell.source.strip():
            return True
        self._outputs.begin(cell)
        seconds = min(self._spot.limits.cell, self._left())
        try:
            async for message in kernel.run(cell.source, seconds):
                self._outputs.take(message)
                if self._outputs.cut and self._outputs.flooded:
                    kernel.interrupt()
                    self._outputs.flooded = False
        except TimeoutError:
            self.ran.notes.append(f"{named(cell, number)} was stopped after {seconds:.0f} s.")
            outputs.say(cell, f"The cell was stopped after {seconds:.0f} s.")
        except Ended as end:
            self._left_out.add(number)
            self.ran.repairs.append(f"{named(cell, number)} was left out: {end}.")
            outputs.say(cell, f"The cell was left out when the notebook was graded: {end}.")
            return False
        return True

    async def _judge(self, kernel: Kernel, task: Graded, cell: Any) -> Task:
        loop = asyncio.get_running_loop()
        limits = self._spot.limits
        seconds = min(self._left(), 3 * limits.call + 30)

        async def serve() -> None:
            async for _ in kernel.run(SERVE, seconds):
                pass

        serving = asyncio.ensure_future(serve())
        remote = Remote(
            kernel.end, limits.call, lambda: loop.call_soon_threadsafe(kernel.interrupt), serving.done  # type: ignore[arg-type]
        )  # fmt: skip
        try:
            judging = asyncio.ensure_future(asyncio.to_thread(judge, task, remote, self._spot.secret))
            if not (await asyncio.wait({judging}, timeout=seconds + 2 * GRACE))[0]:
                remote.cut()  # it says something again and again, and comes to no end
            made = await judging
        finally:
            if not remote.usable:
                kernel.kill()  # whatever it is doing, it does not answer
            with contextlib.suppress(Ended, TimeoutError, Stop):
                await serving
        cell.outputs = _shown(made)
        return made


def judge(task: Graded, remote: Remote, secret: str) -> Task:
    """Judge an answer that is in a learner's process. Raises nothing."""
    try:
        remote.begin()
        answers = remote.take(task.answers)
        seed = zlib.crc32(f"{secret}{task.check}".encode())  # the same for all, and for whoever is graded twice
        result = run(find(task.check), tuple(answers), at_grading=True, seed=seed)
    except (Gone, InputError) as problem:
        return _unjudged(task, str(problem))
    remote.done()
    return _task(task, result)


def _task(task: Graded, result: Result) -> Task:
    # In the instructor's points: a course may weigh a check otherwise than the package does.
    score = round(result.credit * task.points, 2)
    saw = [words[:1000] for words in result.saw[:20]]  # a learner's names stand in it, as long as they please
    return Task(
        task.id, task.check, task.points, score, saw, result.mistake, result.belief, result.hint, result.look
    )  # fmt: skip


def _unjudged(task: Graded, why: str) -> Task:
    return Task(
        task.id, task.check, task.points, 0.0, [why], "not judged", "The answer could not be taken.",
        "Restart the kernel, run the notebook from the top, and look for the first cell that stops or does not end.",
    )  # fmt: skip


def _shown(task: Task) -> list[Any]:
    """What a check's cell shows, as if it had been run: the words, and the points that nbgrader reads."""
    import nbformat

    full = task.score == task.points
    lines = [f"{'✓' if full else '✗'} {task.check}: {task.score:g} of {task.points:g} points."]
    parts = [("Saw", words) for words in task.saw]
    parts += [("Likely", task.belief), ("Hint", task.hint), ("Look at", task.look)]
    lines += [f"  {label}: {words}" for label, words in parts if words]
    return [
        nbformat.v4.new_output("stream", name="stdout", text="\n".join(lines) + "\n"),
        nbformat.v4.new_output("execute_result", data={"text/plain": repr(float(task.score or 0.0))}),
    ]


def named(cell: Any, number: int) -> str:
    """A cell in words: by its task, or by its place and its first line."""
    grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
    if grade_id:
        return f"The cell of {grade_id}"
    first = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
    return f"Cell {number + 1} ({first[:50]}{'…' if len(first) > 50 else ''})"
