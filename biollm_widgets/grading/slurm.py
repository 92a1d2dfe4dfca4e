"""A job script for Slurm that grades a large course in parts beside each other; how they are put together."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

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
        For a lesson that there is not.
    """
    for lesson in lessons:
        course.need(lesson)
    if not course.lessons:
        raise InputError(f"There is no lesson in {course.folder}; is it the course? Name it with --course.")
    words = shlex.join(["biollm", "grade", *lessons, "--course", str(course.folder)])
    place = shlex.quote(str(course.private / PARTS))
    log = shlex.quote(str(course.private / PARTS / "%A-%a.txt"))
    return f"""#!/bin/bash
#SBATCH --job-name=biollm-grade
#SBATCH --array=1-{parts}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --time=01:00:00
#SBATCH --output={log}
# Vista: nodes without a GPU are in the queue gg. Change it, the time and the container to what your cluster has.
#SBATCH --partition=gg

# Hand it in:            mkdir -p {place} && sbatch grade.slurm
# When all are done:     {words} --merge {place}
set -euo pipefail

run() {{
    # In the container of the Day4 kernel where there is one, else with what is on the path.
    if [[ -n "${{BIOLLM_IMAGE:-}}" ]]; then
        apptainer exec "$BIOLLM_IMAGE" "$@"
    else
        "$@"
    fi
}}

# Parts do not write into the gradebook: only --merge does, once for each submission.
run {words} --part "$SLURM_ARRAY_TASK_ID/{parts}" --out {place}
"""
