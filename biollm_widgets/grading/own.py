"""The instructor's own notebooks: each has to get full points, and what it computes is kept for its learners."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from biollm_widgets.errors import InputError
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.limits import Limits
from biollm_widgets.grading.pool import Done, Job, Lesson, Pool
from biollm_widgets.grading.setting import DIGITS, choose_isolation, default_workers, lesson_of, one_at_a_time, spot_of


class OwnNotebooks:
    """Those that have not run yet, as jobs that come before the learners'.

    Parameters
    ----------
    course : Course
    lessons : iterable of Lesson
        Whose submissions are to be graded.
    alone : bool
        Whether nobody else grades this course meanwhile, so that what was kept for older notebooks can go.
    say : callable
        Told of each that runs.
    undone : str
        What an instructor is told to not have been done, of one that does not get full points.
    """

    def __init__(
        self,
        course: Course,
        lessons: Iterable[Lesson],
        alone: bool,
        say: Callable[[str], None],
        undone: str = "None of {lesson} was graded",
    ) -> None:
        self._course, self._alone, self._say, self._undone = course, alone, say, undone
        self._lessons = {lesson.name: lesson for lesson in lessons}
        self._new: dict[str, Path] = {}
        self.jobs: list[Job] = []

    def __enter__(self) -> OwnNotebooks:
        for name, lesson in self._lessons.items():
            place = Path(lesson.recall)
            if place.is_dir():
                continue
            self._say(f"Running your own notebook of {name} first: it has to get full points.")
            place.parent.mkdir(parents=True, exist_ok=True)
            if self._alone:
                # Not those of a lesson whose name begins with this one's.
                for old in place.parent.glob(f"{name}-{'[0-9a-f]' * DIGITS}"):
                    shutil.rmtree(old, ignore_errors=True)
            new = self._new[name] = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
            new.chmod(0o777)  # who runs inside is another user; the folder around it is the grader's alone
            self.jobs.append(Job(name, "", str(new)))
        return self

    def __exit__(self, *_: object) -> None:
        for new in self._new.values():
            shutil.rmtree(new, ignore_errors=True)

    def may(self, job: Job) -> bool:
        """Whether a job can begin: an instructor's can, a learner's once its lesson's own notebook has run."""
        return not job.learner or Path(self._lessons[job.lesson].recall).is_dir()

    def take(self, done: Done) -> None:
        """What came of one.

        Raises
        ------
        InputError
            It does not get full points, or could not be run.
        """
        lesson = self._lessons[done.job.lesson]
        undone = self._undone.format(lesson=lesson.name)
        if done.verdict is None:
            raise InputError(f"{done.problem} {undone}.")
        wrong = [task for task in done.verdict.tasks if task.check and task.score != task.points]
        source = self._course.source(lesson.name)
        if wrong:
            saw = " ".join(wrong[0].saw)[:200]
            raise InputError(
                f"Your own notebook {source} does not get full points: {wrong[0].id} gets {wrong[0].score:g} of "
                f"{wrong[0].points:g} ({saw}). {undone}; look at it with `biollm check {source}`."
            )
        new, place = self._new[lesson.name], Path(lesson.recall)
        new.chmod(0o755)
        try:
            new.rename(place)
        except OSError:
            if not place.is_dir():  # otherwise another part was quicker
                raise


def run_own(course: Course, names: Iterable[str], say: Callable[[str], None]) -> None:
    """Run the instructor's own notebooks before they are released: those that have not run as they are now.

    What they compute is kept, so that grading does not have to run them.

    Raises
    ------
    InputError
        One does not get full points, or grading is at work in this course.
    """
    lessons = [lesson for name in names if not Path((lesson := lesson_of(course, name)).recall).is_dir()]
    if not lessons:
        return
    try:
        way = choose_isolation("auto")
    except InputError:
        way = "none"  # nobody is kept apart from what they wrote themselves
    course.private.mkdir(mode=0o700, exist_ok=True)
    workers = min(default_workers(), len(lessons))
    undone = "{lesson} was not released"
    with (
        one_at_a_time(course.private),
        Pool(lessons, spot_of(course, way, Limits()), workers) as pool,
        OwnNotebooks(course, lessons, True, say, undone) as own,
    ):
        for done in pool.run(own.jobs):
            own.take(done)
