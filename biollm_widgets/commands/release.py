"""`biollm release`: make the lessons that learners get, and the gradebook's entries, with nbgrader."""

from __future__ import annotations

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
def command(lessons: tuple[str, ...], folder: Path, force: bool) -> int:
    """Make LESSON (all of the course unless named) for learners: nbgrader's generate_assignment, looked at afterwards.

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
    for lesson in chosen:
        made: Any = release(course, lesson, force)
        click.echo(f"{lesson}: {made.tasks} tasks, {made.points:g} points ({made.by_hand:g} by hand), in {made.path}")
    return 0
