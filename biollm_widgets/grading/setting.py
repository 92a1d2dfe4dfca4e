"""The setting in which a course is graded: its lessons as graders know them, and where their notebooks run."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from biollm_widgets.errors import InputError
from biollm_widgets.grading import containers, sandbox
from biollm_widgets.grading.course import Course, sha
from biollm_widgets.grading.limits import Limits
from biollm_widgets.grading.pool import Lesson
from biollm_widgets.grading.runner import Spot

DIGITS = 20  # of a hash, in the name of a folder


def lesson_of(course: Course, name: str) -> Lesson:
    """A lesson as a grading process has to know it.

    Raises
    ------
    InputError
        The instructor's notebook cannot be read, or a graded cell in it cannot be judged.
    """
    of = sha(course.source(name).read_bytes(), _versions())
    recall = course.private / "recall" / f"{name}-{of[:DIGITS]}"
    return Lesson(name, course.notebook(name), course.graded(name), of, str(recall))


def spot_of(course: Course, isolation: str, limits: Limits) -> Spot:
    """Where notebooks of a course run, and what they do not see there."""
    return Spot("", isolation, (str(course.folder), *_answers()), limits, _secret(course.private))


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


def _secret(private: Path) -> str:
    """The course's secret, made the first time; parts that begin together agree on one."""
    path = private / "secret"
    if not path.exists():
        handle, made = tempfile.mkstemp(dir=private)  # for its owner's eyes alone
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(16))
        try:
            os.link(made, path)  # unlike a rename it never takes the place of another's
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            Path(made).replace(path)
        Path(made).unlink(missing_ok=True)
    return path.read_text(encoding="utf-8").strip()


def _answers() -> list[str]:
    """The folders of the package that say which answers are right."""
    checks = Path(sandbox.__file__).resolve().parents[1] / "checks"
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


def default_workers() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
