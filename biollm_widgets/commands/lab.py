"""`biollm lab`: the lessons into a folder, never over a learner's work, and JupyterLab on the first."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import click

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file

FIRST = "start_here.ipynb"


def shipped_lessons() -> list[Path]:
    """The lessons that came with the package: from the checkout it runs from, or from where pip put them.

    Raises
    ------
    InputError
        When there are none, which means that the installation is not whole.
    """
    checkout = Path(__file__).resolve().parents[2] / "lessons"
    found = sorted(checkout.glob("**/*.ipynb")) if checkout.is_dir() else []
    if not found:
        try:
            recorded = files("biollm-widgets") or []
        except PackageNotFoundError:
            recorded = []
        paths = [
            Path(str(file.locate())).resolve()
            for file in recorded
            if file.suffix == ".ipynb" and "lessons" in file.parts
        ]
        # With `pip install --target` the record names another place than the one where the files are put.
        beside = Path(__file__).resolve().parents[2] / "share" / "biollm_widgets" / "lessons"
        found = sorted({path for path in [*paths, *beside.glob("**/*.ipynb")] if path.is_file()})
    if not any(path.name == FIRST for path in found):
        raise InputError("The lessons are missing from this installation; install biollm-widgets again.")
    return found


def put(lesson: Path, folder: Path) -> tuple[Path, str]:
    """Put one lesson into `folder` unless a file of its name is there; say in a sentence what was done.

    A lesson that the learner has, in whatever state, is left as it is. If the shipped one has other text or code than
    what the learner started from or has now, it is put beside it as `<name>.new.ipynb`, and an older one of that name,
    which nobody was asked to work in, is replaced.
    """
    target = folder / lesson.name
    if not target.exists():
        with whole_file(target) as part:
            part.write_bytes(lesson.read_bytes())
        return target, f"{target}: new."
    if _cells(target) == _cells(lesson):
        return target, f"{target}: yours, kept."
    beside = target.with_suffix(".new.ipynb")
    with whole_file(beside) as part:
        part.write_bytes(lesson.read_bytes())
    return target, f"{target}: yours, kept; the lesson as it ships lies beside it as {beside.name}."


def _cells(path: Path) -> Any:
    """What a person reads in a notebook: its cells without outputs, counters and metadata. None if it is broken."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except (ValueError, KeyError, TypeError, OSError):
        return None


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("folder", default="biollm-lessons", type=click.Path(path_type=Path))
@click.option("--no-open", is_flag=True, help="Only put the lessons there; do not start JupyterLab.")
@click.option("--no-browser", is_flag=True, help="Start JupyterLab and print its address, without opening a browser.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="The port for JupyterLab; unless given, it picks a free one."
)
@click.pass_context
def command(ctx: click.Context, folder: Path, no_open: bool, no_browser: bool, port: int | None) -> None:
    """Put the lessons into FOLDER (biollm-lessons unless given) and open JupyterLab on the first.

    Lessons that are already there stay as they are, so the command can be given again every day.
    Other options (--ip, --allow-root, ...) are JupyterLab's and go to it as they are.
    """
    if str(folder).startswith("-"):
        raise InputError(f"{folder} is no folder; name the folder first, as in: biollm lab biollm-lessons {folder}")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder for the lessons.")
    first = folder / FIRST
    for lesson in shipped_lessons():
        target, said = put(lesson, folder)
        click.echo(said)
        if target.name == FIRST:
            first = target
    if no_open:
        return
    if importlib.util.find_spec("jupyterlab") is None:
        raise InputError("JupyterLab is not installed here; install it with: pip install 'biollm-widgets[lab]'")
    arguments = [sys.executable, "-m", "jupyterlab", str(first)]
    if no_browser:
        arguments.append("--no-browser")
    if port is not None:
        arguments += ["--port", str(port)]
    arguments += ctx.args
    # The server takes this process's place, so that Ctrl-C and signals reach it and nothing stands between.
    os.execv(sys.executable, arguments)
