"""A job script for Slurm that grades a large course in parts beside each other; how they are put together."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from biollm_widgets import slurm
from biollm_widgets.errors import InputError
from biollm_widgets.grading.course import Course

PARTS = "grading-parts"  # in the course's private folder


def script(course: Course, lessons: Sequence[str], parts: int) -> str:
    """The script.

    Parameters
    ----------
    parts : int
        Jobs of the array, each with its share of the submissions.

    Raises
    ------
    InputError
        For a lesson that there is not, and for a folder that a job script cannot name.
    """
    for lesson in lessons:
        course.need(lesson)
    if not course.lessons:
        raise InputError(f"There is no lesson in {course.folder}; is it the course? Name it with --course.")
    words = shlex.join(["grade", *lessons, "--course", str(course.folder)])
    place = slurm.plain(str(course.private / PARTS))
    return f"""#!/bin/bash
#SBATCH --job-name=biollm-grade
#SBATCH --array=1-{parts}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --time=01:00:00
#SBATCH --output={place}/%A-%a.txt
# Vista: nodes without a GPU are in the queue gg. Change it and the time to what your cluster has. BIOLLM_IMAGE names
# the container to grade in, if any.
#SBATCH --partition=gg

# Hand it in:            mkdir -p {place} && sbatch grade.slurm
# When all are done:     biollm {words} --merge {place}
{slurm.inside("", gpu=False)}
biollm=(biollm)
if (( ${{#inside[@]}} )); then  # in a container, pip's commands need not be on the path
    biollm=("${{inside[@]}}" python3 -m biollm_widgets.cli)
fi

# Parts do not write into the gradebook: only --merge does, once for each submission.
"${{biollm[@]}}" {words} --part "$SLURM_ARRAY_TASK_ID/{parts}" --out {place}
"""
