"""`biollm kernel`: install the kernel of the course for Jupyter, and find out whether a kernel works."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any, Optional

import click

from biollm_widgets.errors import InputError
from biollm_widgets.kernels import vista
from biollm_widgets.kernels.container import into
from biollm_widgets.kernels.install import NAME, Installed, install
from biollm_widgets.kernels.trial import BrokenSpec, Trial, names, spec_of, trial

OWN = "biollm-widgets"
CONTEXT = {"help_option_names": ["-h", "--help"]}
SECONDS = click.IntRange(1, 3600)
# On Vista: `biollm` runs in the container there, and the Jupyter server outside.
_FROM_INSIDE = (
    "for this runs inside a container, from where no other can be started; to try it, open a notebook with it."
)


@click.group("kernel", context_settings=CONTEXT)
def command() -> None:
    """Kernels of Jupyter: install the one of the course, or check one."""


@command.command("install", context_settings=CONTEXT)
@click.option("--name", default=NAME, show_default=True, help="What Jupyter calls the kernel.")
@click.option("--image", type=click.Path(path_type=Path), help="An Apptainer image to run it in.")
@click.option(
    "--replace", is_flag=True, help="Put a kernel of this name that does not work aside, and a new one there."
)
@click.option("--timeout", type=SECONDS, default=120, show_default=True, help="Seconds a kernel may take to start.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def install_command(name: str, image: Optional[Path], replace: bool, timeout: int, as_json: bool) -> None:
    """Install a kernel for yourself: on Vista, TACC's container; elsewhere this Python.

    A kernel that is there and works is never touched. The new one is started before it is put in its place. Inside a
    container no kernel that starts one can be tried: there it is kept, or written, as it is.
    """
    done = install(name, image, replace, timeout)
    click.echo(json.dumps(vars(done), indent=1) if as_json else in_words(done))


def in_words(done: Installed) -> str:
    """What `install` did, in a sentence or two."""
    if done.kind == "kept":
        works = " and works" if done.tried else ""
        said = f"The kernel {done.name} is there{works}; it was left as it is: {done.folder}"
    else:
        what = "TACC's container" if done.kind == "container" else f"this Python, {sys.executable}"
        started = f" (started in {done.seconds:.1f} s)" if done.tried else ""
        said = f"The kernel {done.name} runs {what}{started}: {done.folder}"
    if not done.tried:
        said += f"\nIt was not tried, {_FROM_INSIDE}"
    if not done.tried and done.kind == "kept":
        said += " If it does not start, move that folder to another place and give this command again."
    return said + (f"\nThe old one is kept in {done.old}" if done.old else "")


@command.command("check", context_settings=CONTEXT)
@click.argument("name", default=NAME)
@click.option("--timeout", type=SECONDS, default=120, show_default=True, help="Seconds until it is given up.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def check_command(name: str, timeout: int, as_json: bool) -> int:
    """Start the kernel NAME (Day4-pt-251 unless given), run a cell in it, and say what it has.

    Exit status: 0 when the lessons can run in it, 1 when it does not work or lacks a package, 2 when there is none or
    it cannot be tried from here.
    """
    folder, argv, result = _tried(name, timeout)
    lacking = _lacking(result.found)
    remedy = _remedy(name, argv, result) if not result.works else _pip(result.found, lacking) if lacking else ""
    if as_json:
        facts = {"name": name, "folder": folder, "argv": argv, **vars(result), "lacking": lacking, "remedy": remedy}
        click.echo(json.dumps(facts, indent=1))
    else:
        click.echo("\n".join(_page(name, folder, result, remedy)))
    return 0 if result.works and not lacking else 1


def _tried(name: str, timeout: int) -> tuple[str, list[str], Trial]:
    """The folder of a kernel, what it runs, and what came of it."""
    try:
        spec = spec_of(name)
    except BrokenSpec as problem:
        return str(problem.folder), [], Trial(False, problem=str(problem))
    if spec is None:
        there = ", ".join(names()) or "none"
        raise InputError(
            f"Jupyter finds no kernel named {name} (there are: {there}); "
            f"make it with: biollm kernel install --name {shlex.quote(name)}"
        )
    if spec.language.lower() != "python":
        raise InputError(f"The kernel {name} in {spec.resource_dir} speaks {spec.language}; the lessons need Python.")
    if vista.cannot_be_tried(spec.argv):
        raise InputError(
            f"The kernel {name} in {spec.resource_dir} cannot be tried from here, {_FROM_INSIDE} "
            "What the container has is told by: biollm doctor"
        )
    return str(spec.resource_dir), list(spec.argv), trial(spec, timeout)


def _lacking(found: dict[str, Any]) -> list[str]:
    return [package for package, version in found.get("packages", {}).items() if not version]


def _pip(found: dict[str, Any], packages: list[str]) -> str:
    """The line that installs packages where the kernel finds them: a container is read-only, so into the home.

    No registry has this package itself, and under its name anybody could put another there: a file stands for it.
    """
    if found["image"]:
        start = into(found["image"], "python3", "-m", "pip", "install", "--user")
    else:
        start = [found["executable"], "-m", "pip", "install"]
    line = shlex.join([*start, *(package for package in packages if package != OWN)])
    file = " FILE (as FILE, the wheel from your instructor or the folder of the project)"
    return line + (file if OWN in packages else "")


def _remedy(name: str, argv: list[str], result: Trial) -> str:
    """What to do about a kernel that does not work, as a sentence."""
    said = " ".join(result.said)
    if argv and Path(argv[0]).is_absolute() and not Path(argv[0]).exists():
        cause = f"Its program {argv[0]} is gone. "
    elif "No module named ipykernel" in said:
        if argv[1:3] == ["-m", "ipykernel_launcher"]:
            return f"Install ipykernel for it: {shlex.join([argv[0], '-m', 'pip', 'install', 'ipykernel'])}"
        cause = "Install ipykernel in the Python that it starts (in a container, inside it and with pip's --user). "
    elif "did not answer" in result.problem or "took longer" in result.problem:
        cause = "A first start can be slow: give it more time with --timeout 600. "
    elif said.startswith(f"Kernel {name}: ") or f" Kernel {name}: " in said:
        return "Do what the last line says, then check again."
    else:
        cause = ""
    return f"{cause}To put a new one in its place and keep the old: biollm kernel install --name {name} --replace"


def _page(name: str, folder: str, result: Trial, remedy: str) -> list[str]:
    lines = [f"kernel          {name}, in {folder}"]
    if not result.works:
        lines.append(f"does not work   {result.problem}")
        lines += [f"it said         {line}" for line in result.said]
        return [*lines, f"what to do      {remedy}"]
    found = result.found
    lines.append(f"Python          {found['python']}, {found['executable']}")
    if found["image"]:
        lines.append(f"container       {found['image']}")
    for package, version in found["packages"].items():
        lines.append(f"{package:<16}" + (version or f"not installed; {_pip(found, [package])}"))
    if found["torch_problem"]:
        lines.append(f"torch           is there but does not load: {found['torch_problem']}")
    lines.append(f"GPU             {found['gpu'] or 'none that torch can use; all lessons run without'}")
    lines.append(f"HF_HOME         {found['hf_home'] or 'not set; models go to ~/.cache/huggingface'}")
    lines.append(f"works           started in {result.seconds:.1f} s and ran a cell")
    return lines + ([f"what to do      the lessons lack something: {remedy}"] if remedy else [])
