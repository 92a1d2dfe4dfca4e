"""Python and the packages, against what the packages themselves say that they need."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.diagnosis.findings import BROKEN, FINE, NOTE, Finding, in_notebook, inside, terminal

OWN = "biollm-widgets"
GROUP = "packages"
# The extras that a person may want, and for what; their packages and versions stand in the metadata.
EXTRAS = {
    "lab": "biollm lab, which opens JupyterLab",
    "grading": "instructors: biollm release, grade, feedback and export",
    "finetune": "LoRA in biollm finetune",
}


def look() -> Iterator[Finding]:
    """Python, the required packages and those of the extras, and versions known to be bad together."""
    try:
        own = metadata.distribution(OWN)
    except metadata.PackageNotFoundError:
        yield Finding(
            "package-itself",
            GROUP,
            NOTE,
            f"{OWN} runs from a folder and is not installed, so which versions it needs cannot be read.",
            "Install it: name its folder after pip install -e.",
        )
        return
    yield python(_field(own, "Requires-Python"))
    lines = own.requires or []
    yield from required(lines)
    yield from extras(lines)
    yield from bad_together()


def python(wanted: str) -> Finding:
    """Whether this Python is one that the package is made for."""
    from packaging.specifiers import SpecifierSet

    have = platform.python_version()
    if SpecifierSet(wanted).contains(have, prereleases=True):
        return Finding("python", GROUP, FINE, f"Python {have}")
    return Finding(
        "python",
        GROUP,
        BROKEN,
        f"This is Python {have}; Python {wanted} is needed.",
        f"Make an environment with a newer Python and install {OWN} there.",
    )


def required(lines: list[str]) -> Iterator[Finding]:
    """Each required package that is missing or of a wrong version, or one finding that all are there."""
    wanted = [one for one in _requirements(lines, "")]
    wrong = [finding for one in wanted if (finding := _unmet(one, "package", BROKEN, OWN))]
    for one in wanted:
        # What the required packages need of each other, from their own metadata: pip only warns of it.
        wrong += [
            finding
            for inner in _requirements(_requires_of(one.name), "")
            if _version(inner.name) and (finding := _unmet(inner, f"package-{one.name}-needs", BROKEN, one.name))
        ]
    yield from wrong
    if not wrong:
        names = [f"{name} {_version(name)}" for name in ("torch", "transformers") if _version(name)]
        yield Finding("packages", GROUP, FINE, f"all {len(wanted)} required packages, {', '.join(names)}")


def extras(lines: list[str]) -> Iterator[Finding]:
    """One note for each extra of which something is missing or too old."""
    for extra, purpose in EXTRAS.items():
        wanted = list(_requirements(lines, extra))
        lacking = [str(one) for one in wanted if not _met(one)]
        if not wanted:
            continue
        if lacking:
            yield Finding(
                f"extra-{extra}",
                GROUP,
                NOTE,
                f"Not installed here, needed for {purpose}: {', '.join(lacking)}.",
                "Only if you want that, install it:",
                pip(*lacking),
            )
        else:
            yield Finding(f"extra-{extra}", GROUP, FINE, f"extra {extra}")


def bad_together() -> Iterator[Finding]:
    """Versions that their own metadata allow, and that do not go together all the same."""
    from packaging.version import Version

    torch, transformers = _version("torch"), _version("transformers")
    if torch and transformers and Version(transformers).major >= 5 and Version(torch) < Version("2.6"):
        # transformers 5 raises for torch.load below 2.6 (CVE-2025-32434).
        yield Finding(
            "transformers-torch",
            GROUP,
            NOTE,
            f"transformers {transformers} does not read .bin weights with torch {torch}; safetensors are read.",
            "Install torch 2.6 or newer if a model that you need has no safetensors:",
            pip("torch>=2.6"),
        )


def pip(*requirements: str, python: Optional[str] = None) -> str:
    """The line that installs packages into this Python (or another one), as this person may."""
    options = [] if python or _may_write_here() else ["--user"]
    if in_notebook() and python is None:
        quoted = [f'"{one}"' if any(mark in one for mark in "<>!=~ ;") else one for one in requirements]
        return " ".join(["%pip install", *options, *quoted])
    words = ["-m", "pip", "install", *options, *requirements]
    return terminal(python, *words) if python else inside(sys.executable, *words)


def _may_write_here() -> bool:
    """Whether packages go into this Python's own folder; in a container or on a cluster they go to ~/.local."""
    import sysconfig

    return sys.prefix != sys.base_prefix or os.access(Path(sysconfig.get_path("purelib")), os.W_OK)


def _requirements(lines: list[str], extra: str) -> Iterator:
    """Those of an extra (or, with "", those always needed) whose markers hold here; an extra of our own is unfolded."""
    from packaging.requirements import Requirement

    for line in lines:
        one = Requirement(line)
        if one.marker is None:
            holds = not extra
        elif extra:
            holds = one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""})
        else:
            holds = one.marker.evaluate({"extra": ""})
        if holds:
            one.marker = None
            yield one


def _unmet(wanted, prefix: str, state: str, needed_by: str) -> Optional[Finding]:
    if _met(wanted):
        return None
    have = _version(wanted.name)
    is_here = f"here is {have}" if have else "it is not here"
    return Finding(
        f"{prefix}-{wanted.name}",
        GROUP,
        state,
        f"{needed_by} needs {wanted}; {is_here}.",
        "Install it, then restart what runs:",
        pip(f"{wanted.name}{wanted.specifier}"),
    )


def _met(wanted) -> bool:
    have = _version(wanted.name)
    return have is not None and wanted.specifier.contains(have, prereleases=True)


def _field(own: metadata.Distribution, name: str) -> str:
    """A field of a package's metadata; empty where it is not given."""
    told: Any = own.metadata  # an email message, which its type hints do not say
    return str(told.get(name) or "")


def _version(name: str) -> Optional[str]:
    try:
        return metadata.version(name)  # None where the metadata is damaged
    except metadata.PackageNotFoundError:
        return None


def _requires_of(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
