"""`biollm feedback`: a page for each learner, with points, what the checks saw, and the notebook."""

from __future__ import annotations

from pathlib import Path

import click

from biollm_widgets.grading.course import Course


@click.command("feedback", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("lesson")
@click.option(
    "--course", type=click.Path(path_type=Path), default=Path(), help="The course's folder; this one unless given."
)
@click.option("--learner", "learners", multiple=True, metavar="ID", help="Only this learner; may be given again.")
@click.option("--force", is_flag=True, help="Write also pages that would be just the same.")
def command(lesson: str, course: Path, learners: tuple[str, ...], force: bool) -> None:
    """Write what learners get back for LESSON into the course's feedback folder, where nbgrader releases it from.

    A page is one HTML file that needs no connection: points, what each check saw, a hint, marks and comments given by
    hand, and the notebook. Run it again when marks were given: only pages that change are written.
    """
    from tqdm import tqdm

    from biollm_widgets.grading.feedback import feedback

    written, unchanged, without, folder = 0, 0, [], None
    there = Course(course)
    with tqdm(desc=lesson, unit="page", disable=None, leave=False) as bar:
        for one in feedback(there, lesson, learners, force):
            bar.update()
            written += one.words == "written"
            unchanged += one.words == "unchanged"
            if one.path is None:
                without.append(one.words)
            folder = one.path or folder
    for words in without[:20]:
        click.echo(words)
    if len(without) > 20:
        click.echo(f"… and {len(without) - 20} more without a page.")
    said = f"{written} page{'s' * (written != 1)} written"
    if unchanged:
        said += f", {unchanged} unchanged"
    if folder is not None:
        said += f"; they are {folder.parent.parent.parent}/LEARNER/{lesson}/{lesson}.html"
    click.echo(f"{said}.")
