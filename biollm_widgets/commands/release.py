"""`biollm release`: make the lessons that learners get, and the gradebook's entries, with nbgrader."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from biollm_widgets.errors import InputError


@click.command("release", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("lessons", nargs=-1, metavar="[LESSON]...")
@click.option(
    "--course", "folder", type=click.Path(path_type=Path), default=".", help="The course; this folder unless given."
)
@click.option("--force", is_flag=True, help="Make a lesson again that was made before; points and marks given stay.")
@click.option("--unchecked", is_flag=True, help="Do not run your own notebooks first; grading will.")
def command(lessons: tuple[str, ...], folder: Path, force: bool, unchecked: bool) -> int:
    """Make LESSON (all of the course unless named) for learners: nbgrader's generate_assignment, looked at afterwards.

    Your own notebooks run first, as they do when they are graded: each has to get full points. Those that have not
    changed since do not run again, and what they computed is kept for grading.

    Hand out what lies in the release folder (nbgrader's release_assignment, or any other way).
    """
    from biollm_widgets.grading.course import Course
    from biollm_widgets.grading.release import release

    course = Course(folder)
    chosen = list(lessons) or course.lessons
    if not chosen:
        raise InputError(f"There is no lesson in {course.folder}; is it the course? Name it with --course.")
    for lesson in chosen:
        course.need(lesson)
    if not unchecked and sys.platform != "win32":  # grading forks, which Windows cannot
        from biollm_widgets.grading.own import run_own

        run_own(course, chosen, lambda words: click.echo(words, err=True))
    for lesson in chosen:
        made: Any = release(course, lesson, force)
        click.echo(f"{lesson}: {made.tasks} tasks, {made.points:g} points ({made.by_hand:g} by hand), in {made.path}")
    return 0
