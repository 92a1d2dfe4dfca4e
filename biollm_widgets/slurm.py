"""What the job scripts for Slurm have in common: where Python runs, and how words stand in a script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from biollm_widgets.errors import InputError
from biollm_widgets.kernels.vista import IMAGE, LOAD

DAY4 = f"${{SCRATCH:-}}/{IMAGE}"  # the container of the Day4-pt-251 kernel


def inside(image: str, gpu: bool) -> str:
    """Lines that leave in the array `inside` what stands in front of a program: a container, or nothing.

    Parameters
    ----------
    image : str
        The container's file, as the shell is to read it, unless BIOLLM_IMAGE names one; nothing where it is not there.
    gpu : bool
        Whether the container is to see the node's GPU.
    """
    nv = "--nv " if gpu else ""
    return f"""\
set -euo pipefail
# In the container where its file is here, else with what is on the path.
image=${{BIOLLM_IMAGE:-{image}}}
inside=()
if [[ -f $image ]]; then
    if ! command -v apptainer >/dev/null; then
        set +u  # the code of modules does not bear it
        {LOAD}
        set -u
    fi
    inside=(apptainer exec {nv}--env "HF_HOME=${{HF_HOME:-${{SCRATCH:-$HOME}}/cache}}" "$image")
elif [[ -n ${{BIOLLM_IMAGE:-}} ]]; then
    echo "There is no file $image; BIOLLM_IMAGE names the container, or nothing." >&2
    exit 2
fi
"""


def words(given: Sequence[str], indent: str = "    ") -> str:
    """Words of a command on lines of about 100 letters, each quoted as a shell wants it, `\\` at the ends of lines."""
    lines: list[str] = []
    for flag in _flags(given):
        if lines and len(lines[-1]) + len(flag) < 100:
            lines[-1] += f" {flag}"
        else:
            lines.append(flag)
    return f" \\\n{indent}".join(lines)


def _flags(given: Sequence[str]) -> list[str]:
    """Each flag with its values as one piece."""
    pieces: list[str] = []
    for word in given:
        if pieces and not word.startswith("--"):
            pieces[-1] += f" {shlex.quote(word)}"
        else:
            pieces.append(shlex.quote(word))
    return pieces


def plain(path: str) -> str:
    """A path for a comment of a script or a `#SBATCH` line, where nothing can be quoted safely.

    Raises
    ------
    InputError
        For a path with anything but letters, digits and / . _ - + = @ : , in it: Slurm or a shell, into which a line
        of a comment is copied, may read it as something else.
    """
    if found := re.search(r"[^\w/.+=@:,-]", path):
        raise InputError(
            f"{path} has {found[0]!r} in it, which a job script for Slurm cannot hold; choose another folder."
        )
    return path
