"""How long grading a class takes: `biollm grade` against plain `nbgrader autograde`, on the same cores in one run.

    python -m benchmarks.grading                  # about half an hour on two cores, nearly all of it nbgrader's
    python -m benchmarks.grading --submissions 3  # a look
    python -m benchmarks.grading --json grading.json

A course of its own is made, with both lessons solved and handed in twenty times. nbgrader grades as its command does: a
kernel for each submission, one after the other, with as many threads as there are cores. The instructor's own notebooks
run once: in `biollm release`, or in `biollm grade` where a lesson was released without (--unchecked). What release took
is told, and the times faster are given without and with it. A further submission is what the last one less the first
one took, by submissions in between. Memory is the highest sum of what all processes of a command had for themselves
(PSS: shared pages are shared out), looked at four times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
LESSONS = ("dna_classification", "protein_design")
TARGET = 8.0

# Grades a course and says when each submission was done.
GRADE = """
import json, sys, time
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.grade import Batch
from biollm_widgets.grading.setting import choose_isolation, default_workers
from biollm_widgets.grading.limits import Limits
began, ends, scores = float(sys.argv[2]), [], {}
batch = Batch(Course(sys.argv[1]), sys.argv[3:])
way = choose_isolation("auto")
for done in batch.go(default_workers(), way, Limits(), lambda words: None):
    ends.append([done.job.lesson, time.time() - began])
print(json.dumps({"isolation": way, "ends": ends, "workers": default_workers()}))
"""


class Memory:
    """The most memory that a process and its descendants had together, bytes."""

    def __init__(self, pid: int) -> None:
        self.most = 0
        self._over = threading.Event()
        self._process = psutil.Process(pid)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.25):
            found = 0
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.Error:
                continue
            for one in family:
                try:
                    found += one.memory_full_info().pss
                except (psutil.Error, AttributeError):
                    continue
            self.most = max(self.most, found)

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self.most


def make_course(place: Path, submissions: int, unchecked: bool = False) -> float:
    """A course with both lessons released, solved and handed in; the seconds of its release."""
    shutil.copy(ROOT / "nbgrader_config.py", place)
    for lesson in LESSONS:
        (place / "solutions" / lesson).mkdir(parents=True)
        shutil.copy(ROOT / "solutions" / lesson / f"{lesson}.ipynb", place / "solutions" / lesson)
        for number in range(submissions):
            folder = place / "submitted" / f"learner{number + 1:02}" / lesson
            folder.mkdir(parents=True)
            shutil.copy(ROOT / "solutions" / lesson / f"{lesson}.ipynb", folder)
    words = [sys.executable, "-m", "biollm_widgets.cli", "release", *(["--unchecked"] if unchecked else [])]
    return float(run(words, place)["seconds"])


def environment() -> dict[str, str]:
    """That of an instructor at a computer without a connection."""
    own = {**os.environ, "BIOLLM_MODELS": "embedded", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    own["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{own.get('PATH', '')}"  # nbgrader calls alembic by name
    return own


def run(words: list[str], place: Path) -> dict[str, Any]:
    """Run a command in a course: its seconds, its memory, what it printed."""
    began = time.perf_counter()
    process = subprocess.Popen(
        words, cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    memory = Memory(process.pid)
    out, problems = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}:\n{problems[-3000:]}")
    return {"seconds": seconds, "bytes": memory.stop(), "printed": out}


def scores(place: Path) -> dict[str, float]:
    """The points that a gradebook has, by submission and task."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{place}/gradebook.db") as book:
        return {
            f"{submission.student.id} {lesson} {grade.name}": float(grade.auto_score or 0.0)
            for lesson in LESSONS
            for submission in book.assignment_submissions(lesson)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }


def further(ends: list[list[Any]]) -> float:
    """Seconds of a further submission, over both lessons."""
    times = sorted(when for _, when in ends)
    # The first two began together with what is done once.
    return (times[-1] - times[1]) / (len(times) - 2) if len(times) > 2 else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--submissions", type=int, default=20, help="of each lesson")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    parser.add_argument("--unchecked", action="store_true", help="release without the own notebooks; grade runs them")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours", Path(folder) / "nbgrader"
        ours.mkdir()
        release = make_course(ours, given.submissions, given.unchecked)
        shutil.copytree(ours, theirs)
        words = [sys.executable, "-c", GRADE, str(ours), str(time.time()), *LESSONS]
        own = run(words, ours)
        said = json.loads(own["printed"])
        plain: dict[str, Any] = {"seconds": 0.0, "bytes": 0}
        for lesson in LESSONS:
            # The lessons' own kernel is not installed here; one over ports dies now and then while others start.
            over = [
                "--Execute.kernel_name=python3",
                "--KernelManager.transport=ipc",
                f"--KernelManager.ip={folder}/k",
            ]
            one = run([sys.executable, "-m", "nbgrader", "autograde", lesson, *over], theirs)
            plain["seconds"] += one["seconds"]
            plain["bytes"] = max(plain["bytes"], one["bytes"])
        found, wanted = scores(ours), scores(theirs)
        same, points = found == wanted, sum(found.values())
        for task in sorted(task for task in {*found, *wanted} if found.get(task) != wanted.get(task)):
            print(f"{task}: {found.get(task)} by biollm, {wanted.get(task)} by nbgrader")
    number = given.submissions * len(LESSONS)
    figures = {
        "submissions": number, "biollm_seconds": own["seconds"], "nbgrader_seconds": plain["seconds"],
        "times": plain["seconds"] / own["seconds"], "release_seconds": release,
        "times_with_release": plain["seconds"] / (own["seconds"] + release),
        "further_seconds": further(said["ends"]), "equal_scores": same,
        "points": points, "biollm_gib": own["bytes"] / 2**30, "nbgrader_gib": plain["bytes"] / 2**30,
        "isolation": said["isolation"], "cores": os.cpu_count(), "machine": platform.processor() or platform.machine(),
    }  # fmt: skip
    print(f"{number} solved submissions of both lessons, {said['workers']} cores")
    print(f"nbgrader autograde   {plain['seconds']:8.1f} s   {figures['nbgrader_gib']:.2f} GiB")
    print(f"biollm grade         {own['seconds']:8.1f} s   {figures['biollm_gib']:.2f} GiB   ({said['isolation']})")
    runs = "without the own notebooks" if given.unchecked else "the own notebooks run in it"
    print(f"biollm release       {release:8.1f} s   (once: {runs})")
    reached = "reached" if figures["times"] >= TARGET else "NOT reached"
    print(
        f"{figures['times']:.1f} times faster (aim: {TARGET:g}, {reached}), "
        f"{figures['times_with_release']:.1f} with the release; scores {'equal' if same else 'DIFFERENT'}"
    )
    print(f"A further submission takes {figures['further_seconds']:.2f} s.")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
