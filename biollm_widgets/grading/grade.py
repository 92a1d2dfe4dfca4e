"""Grade a class: what has changed since the last time, apart and in parallel, into nbgrader's gradebook."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.grading import gradebook, verdicts
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.limits import Limits
from biollm_widgets.grading.own import OwnNotebooks
from biollm_widgets.grading.pool import Done, Job, Pool
from biollm_widgets.grading.preflight import fingerprint
from biollm_widgets.grading.setting import lesson_of, one_at_a_time, spot_of
from biollm_widgets.grading.verdicts import Verdict

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
        self.lessons = {lesson: lesson_of(course, lesson) for lesson in lessons}
        self.jobs: list[Job] = []
        self.unchanged: list[Verdict] = []
        for lesson in lessons:
            self._gather(lesson, learners, force)

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
            spot = spot_of(self.course, isolation, limits)
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


@contextmanager
def _nothing() -> Iterator[None]:
    yield


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
