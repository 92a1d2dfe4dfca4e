"""A job script for Slurm that fine-tunes on several nodes, and goes on where its time was up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from biollm_widgets import slurm
from biollm_widgets.dna.finetuning.flags import read_words
from biollm_widgets.errors import InputError

MOST_RESTARTS = 20  # of one job: a run that needs more has a time limit that is too short for it


def script(given: Sequence[str], nodes: int) -> str:
    """The script, for the flags of `biollm finetune` as they were typed.

    The flags and the data are checked now, not in a few hours when the job begins.

    Parameters
    ----------
    given : sequence of str
        Flags and values. `--progress` is added where it is not among them.
    nodes : int
        Nodes of the job, 1 or more; a process each.

    Raises
    ------
    InputError
        For flags or data that `biollm finetune` would refuse, and for a folder that a job script cannot name.
    """
    from biollm_widgets.dna.finetuning.arguments import settle
    from biollm_widgets.dna.splits import read_splits

    flags = read_words(list(given))
    own, training, _ = settle(flags)
    read_splits(str(own.data_path))
    if "output_dir" not in flags:
        raise InputError("--output_dir is missing; name a folder that every node sees, such as $SCRATCH/coding_model.")
    here = Path.cwd()
    output = here / Path(str(training.output_dir)).expanduser()
    # A job begins in another folder, and the second part of a run in another hour: every place is named in full.
    places = {"data_path": str(own.data_path), "output_dir": str(output)}
    places["progress"] = own.progress or str(output / "progress.jsonl")
    if (folder := Path(own.model_name_or_path).expanduser()).is_dir():
        places["model_name_or_path"] = str(folder)
    for name, place in places.items():
        flags[name] = str(here / Path(place).expanduser())
    words: list[str] = []
    for name, value in flags.items():
        words += [f"--{name}", *(value if isinstance(value, list) else [] if value is True else [str(value)])]
    log = f"{slurm.plain(str(output))}.%j.txt"
    if not output.parent.is_dir():
        raise InputError(f"The folder {output.parent} is not here, and the job's log goes there; make it first.")
    model = " ".join(own.model_name_or_path.split())
    a_step = training.per_device_train_batch_size * training.gradient_accumulation_steps * nodes
    return f"""#!/bin/bash
#SBATCH --job-name=biollm-finetune
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --time=02:00:00
#SBATCH --output={log}
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
# Vista: nodes with a GPU, one each, are in the queue gh. Change it and the time to what your cluster has and the run
# needs. BIOLLM_IMAGE names another container.
#SBATCH --partition=gh

# {nodes} process{"es" * (nodes > 1)}, a step takes {a_step} sequences. Hand it in: sbatch finetune.slurm
# Follow it in a notebook: bio.TrainingProgress.follow("{slurm.plain(flags["progress"])}")
# Five minutes before its time is up it stops with a checkpoint, goes back into the queue and goes on from there.

{slurm.inside(slurm.DAY4, gpu=True)}
# The model that was asked for or an error, never a stand-in: fetch it ahead, biollm fetch {model}
export BIOLLM_MODELS=${{BIOLLM_MODELS:-hub}}

first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
launcher=$(mktemp)  # the process id of the first node's launcher, which is this node's
stopping=

# shellcheck disable=SC2329  # the trap calls it
stop() {{
    trap '' USR1
    stopping=yes
    echo "The time is nearly up: stopping with a checkpoint." >&2
    # One process is enough: all stop at the same step. It has to hear it once; twice means "at once, without one".
    kill -TERM "$(<"$launcher")" || true
}}
trap stop USR1

# One launcher a node; they meet at the first. When one has ended, the others have a minute.
# shellcheck disable=SC2016  # it is the shell on the node that reads these variables
srun --ntasks={nodes} --ntasks-per-node=1 --wait=60 \\
    bash -c 'if [[ $SLURM_PROCID == 0 ]]; then echo $$ >"$0"; fi; exec "$@"' "$launcher" \\
    "${{inside[@]}}" python3 -m torch.distributed.run \\
    --nnodes={nodes} --nproc_per_node=1 --rdzv_id="$SLURM_JOB_ID-${{SLURM_RESTART_COUNT:-0}}" \\
    --rdzv_backend=c10d --rdzv_endpoint="$first:$((20000 + SLURM_JOB_ID % 20000))" \\
    -m biollm_widgets.cli finetune \\
    {slurm.words(words)} &
step=$!
status=0
wait "$step" || status=$?
if [[ -n $stopping ]]; then  # the signal ended the waiting, not the training
    status=0
    wait "$step" || status=$?
fi
rm -f "$launcher"

if [[ -n $stopping ]] && (( status != 0 )); then
    if (( ${{SLURM_RESTART_COUNT:-0}} < {MOST_RESTARTS} )) && scontrol requeue "$SLURM_JOB_ID"; then
        exit 0
    fi
    echo "It is not over and did not go back into the queue. Hand it in again: it goes on from its checkpoint." >&2
fi
exit "$status"
"""
