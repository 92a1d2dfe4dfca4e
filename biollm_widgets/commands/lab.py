"""`biollm lab`: the lessons into a folder, never over a learner's work, and JupyterLab on the first."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from pathlib import Path
from typing import Optional

import click

from biollm_widgets.commands.kernel import in_words
from biollm_widgets.errors import InputError
from biollm_widgets.kernels import vista
from biollm_widgets.kernels.install import NAME, install
from biollm_widgets.kernels.trial import cannot_start, names
from biollm_widgets.lessons import FIRST, Put, kernel_of, put, shipped, shipped_lessons

TILES = "JUPYTER_APP_LAUNCHER_PATH"  # where jupyter_app_launcher looks besides Jupyter's own folders; one folder only


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("folder", default="biollm-lessons", type=click.Path(path_type=Path))
@click.option("--no-open", is_flag=True, help="Only put the lessons there; do not start JupyterLab.")
@click.option("--no-browser", is_flag=True, help="Start JupyterLab and print its address, without opening a browser.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="The port for JupyterLab; unless given, it picks a free one."
)
@click.option("--diff", is_flag=True, help="Show in full what is other in a newer lesson.")
@click.option(
    "--take", metavar="LESSON", multiple=True,
    help="Take the newer lesson of this name; yours is kept as LESSON.mine.ipynb. Can be given several times.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context, folder: Path, no_open: bool, no_browser: bool, port: Optional[int], diff: bool,
    take: tuple[str, ...],
) -> None:  # fmt: skip
    """Put the lessons into FOLDER (biollm-lessons unless given) and open JupyterLab on the first.

    Lessons that are already there stay as they are, so the command can be given again every day.
    Other options (--ip, --allow-root, ...) are JupyterLab's and go to it as they are.
    """
    if str(folder).startswith("-"):
        raise InputError(f"{folder} is no folder; name the folder first, as in: biollm lab biollm-lessons {folder}")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder for the lessons.")
    lessons = shipped_lessons()
    taken = _taken(take, lessons)
    if not no_open:
        if importlib.util.find_spec("jupyterlab") is None:
            raise InputError(
                "JupyterLab is not installed here; install it with: pip install jupyterlab jupyter-app-launcher"
            )
        _make_kernel_available()
    for lesson in lessons:
        # On TACC's cluster all ask for its container: the server's own Python there has none of the packages. Elsewhere
        # each asks for its own by the name that Jupyter lists, all in small letters: for any other name JupyterLab
        # opens no kernel, and asks which one it is to be.
        kernel = _listed(NAME if vista.on_vista() else kernel_of(lesson))
        done = put(lesson, folder, lesson.name in taken, kernel)
        click.echo(_said(done, folder, diff))
    if no_open:
        return
    if words := _models_in_words():
        click.echo(words)
    _show_tiles()
    arguments = [sys.executable, "-m", "jupyterlab", str(folder / FIRST)]
    if no_browser:
        arguments.append("--no-browser")
    if port is not None:
        arguments += ["--port", str(port)]
    arguments += ctx.args
    sys.stdout.flush()  # what is in the buffer would be lost
    # The server takes this process's place, so that Ctrl-C and signals reach it and nothing stands between.
    os.execv(sys.executable, arguments)


def _taken(take: tuple[str, ...], lessons: list[Path]) -> set[str]:
    """The file names of the lessons to take, given with or without their ending."""
    known = [lesson.name for lesson in lessons]
    wanted = {name if name.endswith(".ipynb") else f"{name}.ipynb" for name in take}
    if unknown := sorted(wanted - {*known}):
        there = ", ".join(Path(name).stem for name in known)
        raise InputError(f"There is no lesson {Path(unknown[0]).stem}; there are: {there}.")
    return wanted


def _said(done: Put, folder: Path, diff: bool) -> str:
    """What became of a lesson, in a line; for a newer one also what differs and how to take it."""
    if done.state == "new":
        return f"{done.target}: new."
    if done.state == "kept" or done.beside is None:
        return f"{done.target}: yours, kept."
    if done.state == "taken":
        lines = [f"{done.target}: the newer lesson; yours is kept beside it as {done.beside.name}."]
    else:
        lines = [f"{done.target}: yours, kept; the lesson as it ships lies beside it as {done.beside.name}."]
    lines += [f"  {clause}" for clause in done.words or ["what differs cannot be said: yours is no whole notebook"]]
    if diff:
        lines += done.diff
    if done.state == "newer":
        again = shlex.join(["biollm", "lab", str(folder), "--take", done.target.stem])
        lines.append(f"  To take it (yours stays as {done.target.stem}.mine.ipynb): {again}")
    return "\n".join(lines)


def _listed(name: str) -> Optional[str]:
    """The name under which Jupyter lists a kernel, in its own spelling; None where there is none."""
    try:
        return next((one for one in names() if one.lower() == name.lower()), None)
    except InputError:
        return None


def _make_kernel_available() -> None:
    """Make the kernel of the course where there is none that can start, and say so; JupyterLab opens in any case."""
    listed = _listed(NAME)
    dead = cannot_start(NAME) if listed else ""
    if listed and not dead:
        return
    if dead:
        click.echo(f"The kernel {NAME} cannot start: {dead}.")
    try:
        click.echo(in_words(install(replace=bool(dead))))
    except InputError as problem:
        click.echo(f"No kernel {NAME} could be made. {problem}")
        if dead:
            click.echo(f"When that is mended, give: biollm kernel install --name {NAME} --replace")
            click.echo("JupyterLab opens all the same; choose another kernel for the lessons there.")
        else:
            click.echo(f"JupyterLab opens all the same, with this Python ({sys.executable}).")


def _models_in_words() -> str:
    """One line where the published models are not here, so that nobody waits for them."""
    from biollm_widgets.models import local
    from biollm_widgets.models.catalog import CATALOG

    absent = [
        model.name
        for model in CATALOG
        if model.stand_in is not None and model.on_hub and local.find(model.id).copy is None
    ]
    if not absent:
        return ""
    return (
        f"Not on this computer: {' and '.join(absent)}. The lessons use the small models that came with the package; "
        "they need neither internet nor a GPU."
    )


def _show_tiles() -> None:
    """Let the launcher of this one server show tiles for the lessons: elsewhere their files would not be found."""
    tiles = shipped("launcher", ".yaml")
    if tiles and importlib.util.find_spec("jupyter_app_launcher") is not None:
        os.environ.setdefault(TILES, str(tiles[0].parent))
