"""The kernel of TACC's cluster Vista: an Apptainer container that a small script starts."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from biollm_widgets.errors import InputError
from biollm_widgets.kernels import container

IMAGE = "pytorch-ml-container_0.4.sif"  # TACC's own, in $SCRATCH
SCRIPT = "start.sh"
MODULE = "tacc-apptainer"
LOAD = f"module load {MODULE}"

# What a fixed kernel.json cannot know is decided when the kernel starts: which node it is on, whether that has a GPU,
# whether the module is loaded. A GPU is there when the driver has made its device files: looking at files takes no
# time and cannot hang, as nvidia-smi can on a GPU in trouble. nvidia-smi is asked only where no such file is, since
# some drivers make them when they are first asked for.
_START = """\
#!/bin/sh
# Starts the Jupyter kernel {name} in its container. Written by `biollm kernel install`.
# Jupyter calls it with the connection file; what it says goes to the server's log.

stop() {{
    printf 'Kernel {name}: %s\\n' "$1" >&2
    exit 1
}}

[ -n "${{SCRATCH:-}}" ] ||
    stop 'SCRATCH is not set; log in again, or export SCRATCH and restart the Jupyter server.'
image={image}
[ -f "$image" ] || stop "There is no image at $image; copy it there, or install the kernel with --image FILE."
[ -r "$image" ] || stop "The image $image cannot be read by you; ask its owner for the right to read it."
if ! command -v apptainer >/dev/null 2>&1 && [ -x "${{LMOD_CMD:-}}" ]; then
    eval "$("$LMOD_CMD" sh load {module} 2>/dev/null)" || :
fi
command -v apptainer >/dev/null 2>&1 ||
    stop 'There is no apptainer here; give "{load}" on a compute node, then start the Jupyter server.'

has_gpu() {{
    devices="${{BIOLLM_DEVICES:-/dev}}"
    if [ -e "$devices/nvidiactl" ]; then
        for device in "$devices"/nvidia[0-9]*; do
            [ -e "$device" ] && return 0
        done
    fi
    command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q '^GPU '
}}

connection="$1"
set -- --env "HF_HOME=$SCRATCH/cache" "$image" python3 -m ipykernel_launcher -f "$connection"
[ -d /run/user ] && set -- --bind /run/user:/run/user "$@"
has_gpu && set -- --nv "$@"
exec apptainer exec "$@"
"""


def on_vista() -> bool:
    """Whether this is a node of Vista, by the name that TACC sets or by the host's."""
    system = os.environ.get("TACC_SYSTEM", "").lower()
    return system == "vista" or socket.gethostname().lower().endswith(".vista.tacc.utexas.edu")


def cannot_be_tried(argv: Sequence[str]) -> bool:
    """Whether a kernel starts a container and this process runs in one: there, no other can be started.

    On Vista the commands run in the container, and the Jupyter server that starts the kernel runs outside.
    """
    if not container.image() or not argv:
        return False
    return Path(argv[0]).name in ("apptainer", "singularity") or list(argv) == kernel_argv()


def container_image(given: Optional[Path]) -> Path:
    """The image that the kernel would run in, after a look at all that it needs.

    Raises
    ------
    InputError
        When SCRATCH is not set or no folder, the image is not there, or there is no apptainer (inside a container
        that is not looked for: where the kernel is started, it is another).
    """
    scratch = os.environ.get("SCRATCH", "")
    if not scratch:
        raise InputError(
            "SCRATCH is not set, and the kernel keeps its models there; log in again, or set it: "
            "export SCRATCH=/a/folder/with/room"
        )
    if not Path(scratch).is_dir():
        raise InputError(f"SCRATCH is {scratch}, which is no folder; set it to one with room for the models.")
    image = (given or Path(scratch) / IMAGE).absolute()
    if str(image) == container.image():  # it is there, even where its folder cannot be seen from inside
        return image
    if not image.is_file():
        advice = "check the name" if given else "copy TACC's image there, or name another one with --image FILE"
        raise InputError(f"There is no image at {image}; {advice}.")
    if not os.access(image, os.R_OK):
        raise InputError(f"The image {image} cannot be read by you; ask its owner for the right to read it.")
    if not container.image() and shutil.which("apptainer") is None:
        raise InputError(
            f"There is no apptainer here; load it with `{LOAD}` (Vista has it on compute nodes: start one with "
            "idev), then give the command again."
        )
    return image


def start_script(name: str, image: Optional[Path]) -> str:
    """The text of the script; without an image of one's own it looks for TACC's in $SCRATCH whenever it starts."""
    where = shlex.quote(str(image.absolute())) if image else f'"$SCRATCH/{IMAGE}"'
    return _START.format(name=name, image=where, load=LOAD, module=MODULE)


def image_of(script: str) -> tuple[str, str]:
    """The image that a script of `start_script` runs, as it is written there and with $SCRATCH filled in.

    Both are empty where the text names none.
    """
    told = re.search(r"^image=(.+)$", script, re.MULTILINE)
    try:
        [written] = shlex.split(told[1]) if told else [""]
    except ValueError:  # no words of a shell, or several
        return "", ""
    own = told is not None and not told[1].startswith('"')  # a name in single quotes means what it says
    return written, written if own else os.path.expandvars(written)


def kernel_argv() -> list[str]:
    """What kernel.json runs. By sh, so that a home from which nothing may be executed is no obstacle."""
    return ["/bin/sh", "{resource_dir}/" + SCRIPT, "{connection_file}"]
