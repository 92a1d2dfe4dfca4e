"""What a page needs to show a widget: the extensions of anywidget and ipywidgets, in the server's folders.

Kernel and server are looked at apart. Tried in JupyterLab 4.6: without anywidget's extension a cell shows "Click to
show javascript error"; a copy in the user's folder and a reload mend it, but where the server's own environment holds
one, that one goes first.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.diagnosis import packages
from biollm_widgets.diagnosis.findings import BROKEN, FINE, NOTE, Finding, in_notebook, inside, shown, terminal
from biollm_widgets.diagnosis.servers import Server, all_servers

GROUP = "front end"


@dataclass(frozen=True)
class Extension:
    """A front-end extension that widgets need.

    Attributes
    ----------
    name : str
        Its folder below `labextensions`.
    package : str
        The Python package that brings it.
    versions : str
        Those that go with the kernel's side.
    without : str
        What a person sees without it.
    """

    name: str
    package: str
    versions: str
    without: str

    @property
    def id(self) -> str:
        return f"front-end-{self.package}"


def wanted() -> list[Extension]:
    """The extensions, with the versions that this package's widgets ask the page for."""
    # Read and not imported: it would import anywidget, which may be what is missing, and IPython, which makes a folder.
    text = (Path(__file__).parents[1] / "widgets" / "base.py").read_text(encoding="utf-8")
    told = re.search(r'^FRONT_END = "([^"]+)"', text, re.M)
    versions = told[1] if told else ""
    return [
        Extension("anywidget", "anywidget", ",".join(versions.split()), "saved pictures in place of live widgets"),
        # Version 5 is the one that goes with ipywidgets 8 (its changelog, "Migrating from 7 to 8").
        Extension(
            "@jupyter-widgets/jupyterlab-manager", "jupyterlab_widgets", ">=5,<6", "no widget at all, only its text"
        ),
    ]


def look() -> Iterator[Finding]:
    """The kernel's side, then each server."""
    yield kernel_side()
    servers = all_servers()
    if not servers:
        yield Finding(
            "front-end-server",
            GROUP,
            NOTE,
            "No JupyterLab was found from here (none runs under your name, none is on PATH or in this environment).",
            "If you read notebooks elsewhere (a portal, VS Code), nothing is to be done; for one of your own:",
            packages.pip("jupyterlab>=4.4"),
        )
        return
    runs = any(server.runs for server in servers)
    if in_notebook() and not runs:
        yield Finding(
            "front-end-running",
            GROUP,
            NOTE,
            "Which server shows this notebook cannot be seen from its kernel.",
            "If the widgets show, nothing is to be done; if not, run biollm doctor in a terminal of the server.",
        )
    for number, server in enumerate(servers):
        # Where servers run, those are what a person sees; else the first would be the one that is started.
        counts = server.runs if runs else number == 0
        yield from server_side(server, BROKEN if counts else NOTE)


def kernel_side() -> Finding:
    """What the Python that runs the cells has: the half of a widget that computes."""
    have = {name: _version(name) for name in ("anywidget", "ipywidgets")}
    lacking = [name for name, version in have.items() if version is None]
    if lacking:
        return Finding(
            "kernel-side",
            GROUP,
            BROKEN,
            f"This Python, which runs the cells, has no {' and no '.join(lacking)}, so it makes no widgets.",
            "Install it, then restart the kernel:",
            packages.pip(*lacking),
        )
    return Finding("kernel-side", GROUP, FINE, f"kernel: anywidget {have['anywidget']}")


def server_side(server: Server, worst: str) -> Iterator[Finding]:
    """Each extension in one server: there, of a fitting version, and switched on."""
    version = server.version_of("jupyterlab")
    fine = [f"JupyterLab {version}"] if version else []
    wrong: list[Finding] = []
    for extension in wanted():
        found = one_extension(server, extension, worst)
        wrong += [found] if found.state != FINE else []
        fine += [found.sentence] if found.state == FINE else []
    yield from wrong
    if not wrong:
        yield Finding("front-end", GROUP, FINE, f"{server.how}: {', '.join(fine)}")


def one_extension(server: Server, extension: Extension, worst: str) -> Finding:
    """Whether a server gives its pages an extension that works with this package."""
    copies = list(copies_of(server, extension.name))
    first = copies[0] if copies else None
    version = server.serves(extension.name)
    where = f"{server.how[0].upper()}{server.how[1:]}"
    if version is None:  # it does not run, or does not answer: its folders tell
        version = first[1] if first else ""
        if not version and not server.prefix.is_dir():
            sentence = f"{where} is in {server.prefix}, which cannot be seen from here; it did not answer either."
            remedy = (
                "If the widgets show, nothing is to be done; if not, run biollm doctor in a terminal of the server."
            )
            return Finding(f"{extension.id}-unseen", GROUP, NOTE, sentence, remedy)
    if not version and first is not None:
        # It lists its folders anew for every page, so it is not that the copy came later.
        sentence = f"{where} does not give its pages the front end of {extension.package} that is in {shown(first[0])}."
        remedy = "Its settings (labextensions_path) name other folders: change them, or ask who looks after it."
        return Finding(extension.id, GROUP, worst, sentence, remedy)
    if not version:
        remedy, command = how_to_bring(server, extension, None)
        sentence = f"{where} has no front end of {extension.package}, so a page shows {extension.without}."
        return Finding(extension.id, GROUP, worst, sentence, remedy, command)
    if not _fits(version, extension.versions):
        folder = first[0] if first and first[1] == version else None
        place = f" in {shown(folder)}" if folder else ""
        remedy, command = how_to_bring(server, extension, folder)
        sentence = (
            f"{where} has the front end of {extension.package} in version {version}{place}; "
            f"{extension.versions.replace(',', ', ')} is needed."
        )
        return Finding(extension.id, GROUP, worst, sentence, remedy, command)
    if (file := disabled_in(server, extension.name)) is not None:
        remedy, command = how_to_enable(server, extension, file)
        sentence = f"{where} has {extension.package}'s front end, but it is switched off in {shown(file)}."
        return Finding(f"{extension.id}-disabled", GROUP, worst, sentence, remedy, command)
    return Finding(extension.id, GROUP, FINE, f"{extension.package} {version}")


def copies_of(server: Server, name: str) -> Iterator[tuple[Path, str]]:
    """The folders in which a server finds an extension, with its version there; the first is the one that it takes."""
    for place in server.data_paths:
        folder = place / "labextensions" / name
        described = _json(folder / "package.json")
        if described is not None:
            yield folder, str(described.get("version") or "0")


def how_to_bring(server: Server, extension: Extension, wrong: Optional[Path]) -> tuple[str, str]:
    """The remedy for an extension that is missing, or wrong in the folder `wrong`: words and a line to copy."""
    source = own_copy(extension)
    target = server.user_data / "labextensions" / extension.name
    this_one = server.prefix == Path(sys.prefix)
    requirement = f"{extension.package}" + (extension.versions if extension.package == extension.name else "")
    writable = os.access(server.own_data if server.own_data.is_dir() else server.prefix, os.W_OK)
    if this_one and (source is None or wrong is not None) and wrong != target:
        return "Install it, then reload the page:", packages.pip(requirement)
    if wrong is not None and wrong != target and writable and server.python.exists():
        line = packages.pip("--upgrade", requirement, python=str(server.python))
        return "Renew it in the server's environment, then reload the page:", line
    if source is None:
        return (
            f"Install {extension.package} for this Python first, then run biollm doctor again:",
            packages.pip(requirement),
        )
    copy = _copy(source, target)
    if wrong is None or wrong == target:
        return "Copy it to where the server looks, then reload the page:", copy
    # A copy that may not be written to goes first; only JUPYTER_PATH goes before it.
    return (
        f"That folder goes first and is not yours: copy a newer one, and start JupyterLab with "
        f"JUPYTER_PATH={server.user_data} set:",
        copy,
    )


def own_copy(extension: Extension) -> Optional[Path]:
    """Where this Python's packages hold the extension, in a version that fits; None when they do not."""
    try:
        files = metadata.files(extension.package) or []
    except metadata.PackageNotFoundError:
        files = []
    ending = f"share/jupyter/labextensions/{extension.name}/package.json"
    places = [Path(os.path.normpath(str(file.locate()))).parent for file in files if file.as_posix().endswith(ending)]
    places.append(Path(sys.prefix) / "share" / "jupyter" / "labextensions" / extension.name)
    for place in places:
        described = _json(place / "package.json")
        if described is not None and _fits(str(described.get("version") or "0"), extension.versions):
            return place
    return None


def disabled_in(server: Server, name: str) -> Optional[Path]:
    """The `page_config.json` that switches an extension (or one of its plugins) off; None when it is on."""
    # From the weakest to the strongest, as jupyterlab_server's get_page_config lays them over each other.
    places = [server.own_data / "lab" / "settings"]
    places += [folder / "labconfig" for folder in reversed(server.config_paths)]
    found: dict[str, Optional[Path]] = {}
    for place in places:
        for key, off in _switched(place / "page_config.json", name).items():
            found[key] = place / "page_config.json" if off else None
    return next((file for file in found.values() if file is not None), None)


def _switched(file: Path, name: str) -> dict[str, Any]:
    """What a `page_config.json` says of an extension and its plugins: each one's name, and whether it is off."""
    listed = _disabled(file)
    if isinstance(listed, list):  # those that are off, as before jupyterlab_server 2.10
        listed = dict.fromkeys(map(str, listed), True)
    if not isinstance(listed, dict):
        return {}
    return {key: off for key, off in listed.items() if key == name or key.startswith(f"{name}:")}


def _disabled(file: Path) -> Any:
    return (_json(file) or {}).get("disabledExtensions")


def how_to_enable(server: Server, extension: Extension, file: Path) -> tuple[str, str]:
    """The remedy for an extension that `file` switches off."""
    said = "Switch it on, then reload the page:"
    plugin = next((key for key, off in _switched(file, extension.name).items() if off), extension.name)
    folder = file.parent.parent
    level = "user" if folder == server.config_paths[0] or server.prefix not in folder.parents else "sys_prefix"
    if not server.program.exists() or isinstance(_disabled(file), list):  # a list is none of what the command can edit
        return f"Remove {plugin} from disabledExtensions in {file}, then reload the page.", ""
    line = inside if server.prefix == Path(sys.prefix) else terminal
    return said, line(server.program, "labextension", "enable", f"--level={level}", plugin)


def _copy(source: Path, target: Path) -> str:
    """The line that puts a copy of a folder in the place of whatever is there."""
    if os.name == "nt":
        return f'robocopy /MIR "{source}" "{target}"'
    line = terminal("mkdir", "-p", target.parent)
    if target.exists():
        line += " && " + terminal("rm", "-r", target).lstrip("!")
    return line + " && " + inside("cp", "-rL", source, target).lstrip("!")


def _fits(version: str, wanted: str) -> bool:
    """Whether a version of the front end (which may say 0.9.0-rc.1) is within a range."""
    from packaging.specifiers import SpecifierSet

    plain = re.match(r"\d+(\.\d+)*", version)
    return plain is not None and SpecifierSet(wanted).contains(plain[0], prereleases=True)


def _json(path: Path) -> Optional[dict[str, Any]]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return read if isinstance(read, dict) else None


def _version(name: str) -> Optional[str]:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
