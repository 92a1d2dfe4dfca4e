"""`biollm grade`: grade what a class has handed in, each notebook apart from everything."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Optional

import click

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file

ABOUT = """Grade what was handed in for LESSON (all lessons of the course unless named), into nbgrader's gradebook.

Every submission is looked at and mended on a copy, run in a kernel that sees nothing of this computer, and judged
outside of it. It ends as graded, graded with repairs, or not gradable with what to ask the learner for: here, in
COURSE/reports/LESSON.csv and in the formgrader's comments. Only what has changed is graded again. Ctrl-C keeps what is
done. Exit status 1 when a submission is not gradable or was not graded.

Plain `nbgrader autograde` works on the same course, and runs what learners wrote with your rights: only for learners
whom you trust.
"""


@click.command("grade", help=ABOUT, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.argument("lessons", nargs=-1, metavar="[LESSON]...")
@click.option(
    "--course", "folder", type=click.Path(path_type=Path), default=".", help="The course; this folder unless given."
)
@click.option("--learner", "learners", multiple=True, metavar="ID", help="Only this learner; may be given again.")
@click.option("--force", is_flag=True, help="Grade again what has not changed.")
@click.option(
    "--collect",
    "download",
    type=click.Path(path_type=Path),
    metavar="ZIP",
    help="First put a download of Canvas, Moodle or a folder of submissions into submitted/.",
)
@click.option(
    "--roster",
    "table",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="With --collect: which name in the download is which learner (a gradebook export of Canvas or Moodle).",
)
@click.option("--jobs", type=click.IntRange(1), help="Submissions at once; one a core unless given.")
@click.option(
    "--isolation",
    type=click.Choice(["auto", "namespaces", "bubblewrap", "apptainer", "none"]),
    default="auto",
    help="What keeps notebooks apart. none: they run with your rights.",
)
@click.option("--cell-seconds", type=click.FloatRange(1), help="That a cell may take (180).")
@click.option("--seconds", type=click.FloatRange(1), help="That a notebook may take (900).")
@click.option("--memory", type=click.FloatRange(0.5), metavar="GiB", help="That a notebook may take (4).")
@click.option("--part", metavar="2/10", help="Grade the second of ten parts, into --out; see --slurm.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="With --part: the folder for the results.")
@click.option(
    "--merge",
    "parts",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="DIR",
    help="Put the results of parts into the gradebook.",
)
@click.option(
    "--slurm", type=click.IntRange(1), metavar="N", help="Print a job script that grades in N parts, and end."
)
@click.option("--json", "as_json", is_flag=True, help="Print what became of each submission as JSON.")
def command(
    lessons: tuple[str, ...], folder: Path, learners: tuple[str, ...], force: bool, download: Optional[Path],
    table: Optional[Path], jobs: Optional[int], isolation: str, cell_seconds: Optional[float],
    seconds: Optional[float], memory: Optional[float], part: Optional[str], out: Optional[Path],
    parts: tuple[Path, ...], slurm: Optional[int], as_json: bool,
) -> int:  # fmt: skip
    if sys.platform == "win32":
        raise InputError("Grading takes Linux or macOS, whose processes can be forked; on Windows run it in WSL.")
    from biollm_widgets.grading.course import Course
    from biollm_widgets.grading.grade import Batch, merge, save_part
    from biollm_widgets.grading.setting import choose_isolation, default_workers

    course = Course(folder)
    if slurm is not None:
        from biollm_widgets.grading.slurm import script

        click.echo(script(course, lessons, slurm), nl=False)
        return 0
    fraction = _fraction(part, out)
    if download is not None:
        _collect(course, lessons, download, table)
    limits = _limits(cell_seconds, seconds, memory)
    batch = Batch(course, lessons, learners, force, fraction)

    def say(words: str) -> None:
        with _above_bar():
            click.echo(words, err=True)

    if parts:
        done = merge(batch, parts, say)
        left = len(batch.jobs) - len(done)
        say(f"{len(done)} submissions were put into the gradebook, {left} are still to be graded.")
        return _end(course, batch, [*done], left, as_json)
    failed = 0
    graded = []
    if batch.jobs:
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # its thread would be there when processes are forked
        way = choose_isolation(isolation)
        if way == "none":
            say("Nothing keeps these notebooks apart: what learners wrote runs with your rights.")
        with tqdm(total=len(batch.jobs), desc="Grading", unit="submission", disable=None) as bar:
            try:
                for one in batch.go(jobs or default_workers(), way, limits, say):
                    bar.update()
                    failed += one.verdict is None
                    if one.verdict is not None:
                        graded.append(one.verdict)
                        if out is not None:
                            save_part(out, one)
                        if one.verdict.why:
                            say(f"{one.verdict.learner}, {one.verdict.lesson}: {one.verdict.summary}")
            except KeyboardInterrupt:
                bar.close()
                left = len(batch.jobs) - len(graded)
                say(f"Stopped: {len(graded)} are graded and kept, {left} are left; the same command goes on with them.")
                _report(course, batch)
                raise
    return _end(course, batch, graded, failed, as_json)


def _above_bar() -> Any:
    from tqdm import tqdm

    return tqdm.external_write_mode(file=sys.stderr)


def _fraction(part: Optional[str], out: Optional[Path]) -> Optional[tuple[int, int]]:
    if part is None:
        if out is not None:
            raise InputError("--out is for the results of a part; name the part, as in --part 2/10.")
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", part)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"--part {part} is no part; write it as in 2/10, the second of ten.")
    if out is None:
        raise InputError("--part needs --out, the folder for its results; `biollm grade --merge` reads it.")
    return int(found[1]), int(found[2])


def _limits(cell: Optional[float], whole: Optional[float], memory: Optional[float]) -> Any:
    from dataclasses import replace

    from biollm_widgets.grading.limits import GIB, Limits

    given: dict[str, Any] = {"cell": cell, "whole": whole, "memory": None if memory is None else int(memory * GIB)}
    return replace(Limits(), **{key: value for key, value in given.items() if value is not None})


def _collect(course: Any, lessons: tuple[str, ...], download: Path, table: Optional[Path]) -> None:
    from biollm_widgets.grading.collecting import collect

    if len(lessons) != 1:
        raise InputError("--collect takes one LESSON: a download is of one assignment; name it.")
    course.need(lessons[0])
    found = collect(download, course, lessons[0], table)
    for words in found.sentences:
        click.echo(words, err=True)


def _end(course: Any, batch: Any, graded: list[Any], failed: int, as_json: bool) -> int:
    from biollm_widgets.grading.verdicts import REFUSED, packed

    _report(course, batch)
    every = sorted([*batch.unchanged, *graded], key=lambda one: (one.lesson, one.learner))
    if as_json:
        click.echo(json.dumps([{**packed(one), "state": one.state, "score": one.score} for one in every], indent=1))
    else:
        for line in _page(course, every, len(graded)):
            click.echo(line)
    return 1 if failed or any(one.state == REFUSED for one in every) else 0


def _page(course: Any, every: list[Any], graded: int) -> list[str]:
    from biollm_widgets.grading.verdicts import REFUSED, REPAIRED

    lines = []
    for one in every:
        points = "" if one.state == REFUSED else f"{one.score:g} of {one.points:g}"
        lines.append(f"{one.learner:<20} {one.lesson:<20} {points:>10}  {one.state}")
        if one.state in (REFUSED, REPAIRED):
            lines += [f"    {words}" for words in ([f"{one.why} {one.ask}"] if one.why else one.repairs)]
        lines += [f"    {words}" for words in one.notes]
    states = Counter(one.state for one in every)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    hand = {task.id for one in every for task in one.tasks if not task.check}
    lines.append(f"{len(every)} submissions: {counts or 'none'}; {graded} of them now.")
    if hand:
        lines.append(f"{len(hand)} tasks are marked by a person: open the formgrader (nbgrader formgrader).")
    if every:
        lines.append(f"What became of each is in {course.folder / 'reports'}.")
    return lines


COLUMNS = ("learner", "lesson", "state", "score", "points", "why", "ask", "repairs", "notes", "submitted", "seconds")


def _report(course: Any, batch: Any) -> None:
    """What became of every submission of the lessons, as a table for a spreadsheet; not of a part alone."""
    if batch.part is not None:
        return
    for lesson in batch.lessons:
        found = course.verdicts(lesson)
        if not found:
            continue
        with whole_file(course.folder / "reports" / f"{lesson}.csv") as place, place.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            for one in found:
                score = "" if one.why else f"{one.score:g}"
                row = [one.learner, one.lesson, one.state, score, f"{one.points:g}", one.why, one.ask]
                row += [" ".join(one.repairs), " ".join(one.notes), one.submitted, f"{one.seconds:g}"]
                # A spreadsheet would compute what begins like a formula; these texts come from strangers.
                table.writerow([f"'{text}" if text[:1] in tuple("=+-@\t\r") else text for text in row])
