"""`biollm export`: points as a table, for Canvas, and as a report on the class."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file


@click.command("export", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("lessons", nargs=-1, metavar="[LESSON]...")
@click.option(
    "--course", "folder", type=click.Path(path_type=Path), default=".", help="The course; this folder unless given."
)
@click.option(
    "--to",
    type=click.Choice(["csv", "canvas", "states"]),
    help="csv (unless given): a row a learner, a column a task. canvas: what Canvas's gradebook imports. states: what "
    "became of each submission.",
)
@click.option(
    "--students",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="With --to canvas: a gradebook exported from Canvas, whose ids and assignments are taken over.",
)
@click.option(
    "--assignment",
    "assignments",
    multiple=True,
    metavar="LESSON=NAME",
    help="With --to canvas: what Canvas calls a lesson.",
)
@click.option("--only-finished", is_flag=True, help="No total for learners whose marks by hand are not all given.")
@click.option(
    "--report",
    "report_to",
    metavar="FILE.html",
    help="A report on the class instead: an HTML file, or - for the terminal.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Into a file; printed unless given."
)
def command(
    lessons: tuple[str, ...], folder: Path, to: Optional[str], students: Optional[Path], assignments: tuple[str, ...],
    only_finished: bool, report_to: Optional[str], output: Optional[Path],
) -> None:  # fmt: skip
    """Write the points of LESSON (all lessons of the course unless named): by checks, by hand, late, and what waits.

    Who could not be graded or has handed in nothing has empty cells, never zero. The gradebook is only read.
    """
    from biollm_widgets.grading.course import Course

    course = Course(folder)
    lessons = lessons or tuple(course.lessons)
    if not lessons:
        raise InputError(f"There is no lesson in {course.folder}; is it the course? Name it with --course.")
    if (students is not None or assignments) and to != "canvas":
        raise InputError("--students and --assignment are for Canvas; give --to canvas with them.")
    if report_to is not None:
        if to is not None or output is not None:
            raise InputError("--report names its own file; leave out --to and --output.")
        _report(course, lessons, report_to)
        return
    from biollm_widgets.grading.export import canvas, points_table, states

    if to == "canvas":
        sheet = canvas(course, lessons, students, only_finished, dict(map(_named, assignments)))
    elif to == "states":
        sheet = states(course, lessons)
    else:
        sheet = points_table(course, lessons, only_finished)
    if output is None:
        click.echo(sheet.text(), nl=False)
    else:
        with whole_file(output) as place:
            place.write_text(sheet.text(), encoding="utf-8")
        click.echo(f"{output} is written.", err=True)
    for words in sheet.sentences:
        click.echo(words, err=True)


def _named(text: str) -> tuple[str, str]:
    lesson, equals, name = text.partition("=")
    if not equals or not lesson.strip() or not name.strip():
        raise InputError(f"--assignment {text} is no LESSON=NAME, as in 'dna_classification=Homework 2'.")
    return lesson.strip(), name.strip()


def _report(course: object, lessons: tuple[str, ...], where: str) -> None:
    from biollm_widgets.grading.report import look, page, text

    looks = [look(course, lesson) for lesson in lessons]  # type: ignore[arg-type]
    if where == "-":
        click.echo("\n\n".join(map(text, looks)))
        return
    path = Path(where)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"A report is an HTML file: call it {path.with_suffix('.html')}, or - for the terminal.")
    with whole_file(path) as place:
        place.write_text(page(looks), encoding="utf-8")
    click.echo(f"{path} is written.", err=True)
