"""Grade a class: what has changed since the last time, apart and in parallel, into nbgrader's gradebook."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.grading import containers, gradebook, sandbox, verdicts
from biollm_widgets.grading.course import Course, sha
from biollm_widgets.grading.limits import Limits
from biollm_widgets.grading.own import OwnNotebooks
from biollm_widgets.grading.pool import Done, Job, Lesson, Pool
from biollm_widgets.grading.preflight import fingerprint
from biollm_widgets.grading.runner import Spot
from biollm_widgets.grading.verdicts import Verdict

ISOLATIONS = ("auto", "namespaces", "bubblewrap", "apptainer", "none")
Say = Callable[[str], None]


class Batch:
    """A course whose submissions are graded: what is to be done, and the doing of it.

    Parameters
    ----------
    course : Course
    lessons : sequence of str
    learners : sequence of str
        Only these; all unless given.
    force : bool
        Also what has not changed.
    part : tuple of int, optional
        (2, 10): the second of ten parts, for jobs that run beside each other. Parts do not write into the gradebook.

    Raises
    ------
    InputError
        For a lesson or a learner that there is not, or a gradebook that does not fit.
    """

    def __init__(
        self,
        course: Course,
        lessons: Sequence[str],
        learners: Sequence[str] = (),
        force: bool = False,
        part: Optional[tuple[int, int]] = None,
    ) -> None:
        self.course = course
        self.part = part
        lessons = list(lessons) or course.lessons
        if not lessons:
            raise InputError(f"There is no lesson in {course.folder}; is it the course? Name it with --course.")
        for lesson in lessons:
            course.need(lesson)
            gradebook.agrees(course, lesson)
        self.lessons = {lesson: self._lesson(lesson) for lesson in lessons}
        self.jobs: list[Job] = []
        self.unchanged: list[Verdict] = []
        for lesson in lessons:
            self._gather(lesson, learners, force)

    def _lesson(self, name: str) -> Lesson:
        of = sha(self.course.source(name).read_bytes(), _versions())
        recall = self.course.private / "recall" / f"{name}-{of[:20]}"
        return Lesson(name, self.course.notebook(name), self.course.graded(name), of, str(recall))

    def _gather(self, lesson: str, learners: Sequence[str], force: bool) -> None:
        there = self.course.learners(lesson)
        unknown = sorted(set(learners) - set(there))
        if unknown:
            raise InputError(
                f"{unknown[0]} has handed in nothing for {lesson}: "
                f"there is no {self.course.submitted(lesson, unknown[0])}."
            )
        chosen = [learner for learner in there if learner in learners] if learners else there
        if self.part is not None:
            number, of = self.part
            chosen = chosen[number - 1 :: of]
        in_book = gradebook.knows(self.course, lesson) if self.part is None else set(chosen)
        for learner in chosen:
            folder = self.course.submitted(lesson, learner)
            before = self.course.verdict(lesson, learner)
            same = (
                before is not None
                and before.source == self.lessons[lesson].sha
                and before.submission == fingerprint(folder)
                and learner in in_book
                and (self.course.autograded(lesson, learner) / f"{lesson}.ipynb").exists()
            )
            if same and not force:
                assert before is not None
                self.unchanged.append(before)
            else:
                self.jobs.append(Job(lesson, learner, str(folder), self._when(folder)))

    def _when(self, folder: Path) -> str:
        stamp = folder / "timestamp.txt"
        try:
            found = None if stamp.is_symlink() else self.course.nbgrader.get_existing_timestamp(str(folder))
        except Exception:  # whatever stands in it: a learner may have written it
            found = None
        return str(found) if found else ""

    def go(self, workers: int, isolation: str, limits: Limits, say: Say) -> Iterator[Done]:
        """Grade; what is done is in the gradebook before it is given.

        Raises
        ------
        InputError
            No isolation can be had, the instructor's own notebook does not get full points, or the gradebook cannot
            be written. What was done until then is kept.
        """
        if not self.jobs:
            return
        private = self.course.private
        private.mkdir(mode=0o700, exist_ok=True)
        with one_at_a_time(private) if self.part is None else _nothing():
            hidden = (str(self.course.folder), *_answers())
            spot = Spot("", isolation, hidden, limits, _secret(private))
            wanted = [lesson for lesson in self.lessons if any(job.lesson == lesson for job in self.jobs)]
            with Pool(self.lessons.values(), spot, max(1, min(workers, len(self.jobs)))) as pool:
                lessons = [self.lessons[lesson] for lesson in wanted]
                with OwnNotebooks(self.course, lessons, self.part is None, say) as own:
                    for done in pool.run([*own.jobs, *self.jobs], own.may):
                        if not done.job.learner:
                            own.take(done)
                            continue
                        if done.verdict is None:
                            say(f"{done.job.learner}, {done.job.lesson}: not graded. {done.problem} Grade again.")
                        elif self.part is None:
                            self.write(done.verdict, done.notebook, say)
                        yield done

    def write(self, verdict: Verdict, notebook: str, say: Say) -> None:
        """Into the gradebook first, then that it is done: whoever is stopped in between grades it again."""
        try:
            gradebook.write(self.course, verdict, notebook, say)
            verdicts.save(verdict, self.course.record(verdict.lesson, verdict.learner))
        except OSError as problem:
            raise InputError(
                f"{problem.filename or self.course.folder} cannot be written ({problem.strerror or problem}). "
                "Make room and grade again; what is graded is kept."
            ) from None


def choose_isolation(wanted: str) -> str:
    """What a learner's notebook is kept apart by here.

    Raises
    ------
    InputError
        When it cannot be kept apart, unless "none" was asked for in so many words.
    """
    if wanted == "none":
        return wanted
    reasons = []
    for one in ("namespaces", *containers.PROGRAMS) if wanted == "auto" else (wanted,):
        reason = sandbox.probe() if one == "namespaces" else containers.why_not(one)
        if not reason:
            return one
        reasons.append(f"{one}: {reason}")
    raise InputError(
        f"Notebooks cannot be kept apart here ({'; '.join(reasons)}): what learners wrote would run with your rights. "
        "Grade on a Linux machine that allows user namespaces or has bubblewrap or, only for learners whom you trust "
        "as yourself, with --isolation none."
    )


@contextmanager
def one_at_a_time(private: Path) -> Iterator[None]:
    """Nobody else grades this course meanwhile.

    Raises
    ------
    InputError
        Somebody does.
    """
    with (private / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            who = file.read().strip() or "unknown"
            raise InputError(
                f"This course is being graded already, by process {who}; wait for it, or stop it."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _secret(private: Path) -> str:
    """The course's secret, made the first time."""
    path = private / "secret"
    if not path.exists():
        with whole_file(path) as place:
            place.write_text(secrets.token_hex(16), encoding="utf-8")
            place.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()


def _answers() -> list[str]:
    """The folders of the package that say which answers are right."""
    checks = Path(sandbox.__file__).parents[1] / "checks"
    return [str(path) for path in (checks / "dna", checks / "protein") if path.is_dir()]


def _versions() -> str:
    """What a verdict depends on besides the notebook: the packages, and the checks as they are."""
    from importlib.metadata import version

    root = Path(sandbox.__file__).parents[1]
    # What reads, runs and judges; a better feedback page is no reason to grade a class again.
    judging = ("recognising", "rebuilding", "reading", "inside", "network", "remote", "runner", "wire")
    files = sorted((root / "checks").rglob("*.py")) + [root / "grading" / f"{name}.py" for name in judging]
    of = [f"{name} {version(name)}" for name in ("torch", "transformers", "numpy", "pandas", "scikit-learn")]
    return sha(*of, *(path.read_bytes() for path in files))


# Parts of a class that are graded beside each other, and put together afterwards.


def save_part(folder: Path, done: Done) -> None:
    """Write a result where `merge` finds it."""
    if done.verdict is None:
        return
    path = folder / done.job.lesson / f"{done.job.learner}.json"
    with whole_file(path) as place:
        place.write_text(json.dumps({"verdict": verdicts.packed(done.verdict), "notebook": done.notebook}), "utf-8")


def merge(batch: Batch, folders: Iterable[Path], say: Say) -> list[Verdict]:
    """Put results of parts into the gradebook, each submission once, and none that has changed since.

    Raises
    ------
    InputError
        For a folder that is not there, or the gradebook.
    """
    merged: dict[tuple[str, str], Verdict] = {}
    waiting = {(job.lesson, job.learner): job for job in batch.jobs}
    batch.course.private.mkdir(mode=0o700, exist_ok=True)
    with one_at_a_time(batch.course.private):
        for folder in folders:
            if not folder.is_dir():
                raise InputError(f"There is no folder {folder}; name the folder that the parts were written into.")
            for path in sorted(folder.rglob("[!.]*.json")):
                found = _read_part(path)
                if found is None:
                    say(f"{path} is no result of a part, or was not written to its end; it was passed over.")
                    continue
                verdict, notebook = found
                key = (verdict.lesson, verdict.learner)
                job = waiting.get(key)
                if key in merged or job is None:
                    continue  # twice, or graded already
                lesson = batch.lessons.get(verdict.lesson)
                if (
                    lesson is None
                    or verdict.source != lesson.sha
                    or verdict.submission != fingerprint(Path(job.folder))
                ):
                    say(f"{verdict.learner}, {verdict.lesson}: changed since the part was graded; grade it again.")
                    continue
                batch.write(verdict, notebook, say)
                merged[key] = verdict
    return list(merged.values())


def _read_part(path: Path) -> Optional[tuple[Verdict, str]]:
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        verdict = verdicts.unpacked(data["verdict"])
        return None if verdict is None else (verdict, str(data["notebook"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
