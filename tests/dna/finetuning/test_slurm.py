"""The job for several nodes: linted, and run as it is printed, two processes meeting, stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from biollm_widgets import cli
from biollm_widgets.widgets.training_progress import TrainingProgress
from tests.jobs import Cluster, check_directives, lint


def printed(capsys: pytest.CaptureFixture, *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.run(["finetune", *map(str, words)])
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster")
    yield made
    made.close()


@pytest.fixture
def script(tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> Path:
    """A job of 2 nodes with 44 rows, four a process, 60 epochs of 6 steps."""
    words = f"--slurm 2 --data_path {tiny_data} --output_dir {tmp_path / 'out'} --run_name tiny --model_max_length 40"
    words += " --per_device_train_batch_size 4 --per_device_eval_batch_size 8 --num_train_epochs 60 --eval_steps 30"
    words += " --learning_rate 1e-4 --save_total_limit 20 --rung top"
    code, out, said = printed(capsys, *words.split())
    assert code == 0, said
    (tmp_path / "finetune.slurm").write_text(out)
    return tmp_path / "finetune.slurm"


def test_the_script_is_one_that_bash_shellcheck_and_sbatch_can_read(script: Path) -> None:
    lint(script)
    found = check_directives(script.read_text())
    assert found["nodes"] == "2" and found["ntasks-per-node"] == "1" and "requeue" in found
    assert "a step takes 8 sequences" in script.read_text()


def test_one_node_and_places_with_spaces_make_a_script_that_can_be_read(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my data").symlink_to(tiny_data)
    monkeypatch.chdir(tmp_path)
    flags = ["--data_path", "my data", "--output_dir", "out", "--fp16", "--include_for_metrics", "inputs", "loss"]
    code, out, said = printed(capsys, "--slurm", 1, *flags)
    assert code == 0, said
    (tmp_path / "one.slurm").write_text(out)
    lint(tmp_path / "one.slurm")
    assert f"--data_path '{tmp_path}/my data'" in out  # a job begins in another folder
    assert f"--output_dir {tmp_path}/out" in out and f"--progress {tmp_path}/out/progress.jsonl" in out
    assert "--fp16 --include_for_metrics inputs loss" in " ".join(out.replace("\\\n", "").split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--output_dir", "out", "--learning_rat", "1"], "did you mean --learning_rate"),
        (["--output_dir", "out", "--data_path", "nowhere"], "nowhere does not exist"),
        ([], "--output_dir is missing"),
        (["--output_dir", "my out"], "choose another folder"),
        (["--output_dir", "100%"], "choose another folder"),
        (["--output_dir", "no/such/out"], "make it first"),
        (["--output_dir", "out", "--progress", "a b"], "choose another folder"),
        (["--output_dir", "None/out"], "environment variable that is not set"),
    ],
)
def test_what_the_job_would_refuse_is_said_before_it_waits_in_a_queue(
    words: list[str], said: str, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = [] if "--data_path" in words else ["--data_path", tiny_data]
    code, out, heard = printed(capsys, "--slurm", 2, *data, *words)
    assert code == 2 and out == "" and said in heard and "Traceback" not in heard
    assert list(tmp_path.iterdir()) == []


def test_no_number_of_nodes_is_a_sentence(capsys: pytest.CaptureFixture) -> None:
    code, _, heard = printed(capsys, "--slurm", 0)
    assert code == 2 and "--slurm" in heard


def test_a_container_that_is_not_there_ends_the_job_at_once(script: Path, cluster: Cluster) -> None:
    job = cluster.start(script, BIOLLM_IMAGE="/no/such.sif")
    _, said = job.communicate(timeout=60)
    assert job.returncode == 2 and "There is no file /no/such.sif" in said
    assert cluster.called("apptainer") == [] and cluster.called("scontrol") == []


def test_apptainer_comes_from_its_module_where_it_is_not_on_the_path(script: Path, cluster: Cluster) -> None:
    (cluster.scratch / "pytorch-ml-container_0.4.sif").touch()
    (cluster.bin / "apptainer").rename(cluster.bin / "hidden")
    cluster.program("module", f'echo "$*" >>"$CALLS/module"; mv {cluster.bin}/hidden {cluster.bin}/apptainer')
    cluster.program("python3", "exit 0")
    job = cluster.start(script)
    _, said = job.communicate(timeout=60)
    assert job.returncode == 0, said
    assert cluster.called("module") == ["load tacc-apptainer"] and len(cluster.called("apptainer")) == 2


def test_a_job_that_fails_ends_with_its_status_and_does_not_go_back_into_the_queue(
    script: Path, cluster: Cluster
) -> None:
    cluster.program("python3", "exit 3")
    job = cluster.start(script)
    job.communicate(timeout=60)
    assert job.returncode == 3
    assert cluster.called("scontrol") == ["show hostnames localhost,localhost"]


# A launcher in short: the first node's ends a moment after its SIGTERM, the others when the first has.
SLOW = """
if [[ $SLURM_PROCID == 0 ]]; then
    trap 'sleep 0.2; touch "$CALLS/over"; exit 143' TERM
fi
touch "$CALLS/begun.$SLURM_PROCID"
for (( i = 0; i < 600; i++ )); do
    if [[ -e $CALLS/over ]]; then exit 143; fi
    sleep 0.1
done
"""


@pytest.mark.parametrize(("restarts", "refused"), [("20", False), ("3", True)])
def test_a_job_that_may_not_go_back_says_to_hand_it_in_again(
    restarts: str, refused: bool, script: Path, cluster: Cluster
) -> None:
    cluster.program("python3", SLOW)
    if refused:
        cluster.program("scontrol", 'echo "$*" >>"$CALLS/scontrol"; [[ $1 == show ]] && echo localhost')
    job = cluster.start(script, SLURM_RESTART_COUNT=restarts)
    wait_for(cluster.calls / "begun.0", job)
    os.kill(job.pid, signal.SIGUSR1)
    _, said = job.communicate(timeout=60)
    assert job.returncode not in (0, None) and "Hand it in again" in said
    assert ("requeue 1234" in cluster.called("scontrol")) == refused


@pytest.mark.slow
def test_the_job_trains_on_two_nodes_stops_before_its_time_is_up_and_goes_on(
    script: Path, cluster: Cluster, tmp_path: Path
) -> None:
    (cluster.scratch / "pytorch-ml-container_0.4.sif").touch()
    job = cluster.start(script, BIOLLM_MODELS="embedded")
    out = tmp_path / "out"
    wait_for(out / "checkpoint-60" / "whole.json", job)
    os.kill(job.pid, signal.SIGUSR1)  # to the batch script alone, as --signal=B:USR1 has it
    printed, said = job.communicate(timeout=300)
    assert job.returncode == 0, said
    assert "stopping with a checkpoint" in said and "Plan: 360 steps of 8 sequences" in said
    assert cluster.called("scontrol") == ["show hostnames localhost,localhost", "requeue 1234"]
    for call in cluster.called("apptainer"):
        assert call.startswith(f"exec --nv --env HF_HOME={cluster.scratch}/cache {cluster.scratch}/pytorch-ml")
        assert " --nnodes=2 --nproc_per_node=1 --rdzv_id=1234-0 " in call and "--rdzv_endpoint=localhost:21234" in call
    assert len(cluster.called("apptainer")) == 2
    steps = sorted(int(place.name.split("-")[1]) for place in out.glob("checkpoint-*"))
    assert 60 <= steps[-1] < 360 and (out / f"checkpoint-{steps[-1]}" / "whole.json").is_file()
    assert not (out / "results" / "tiny" / "eval_results.json").exists()

    again = cluster.start(script, BIOLLM_MODELS="embedded", SLURM_RESTART_COUNT="1")
    printed, said = again.communicate(timeout=400)
    assert again.returncode == 0, said
    assert f"Going on from {out / f'checkpoint-{steps[-1]}'}" in said and printed.count("Tested:") == 1
    assert "requeue 1234" not in cluster.called("scontrol")[2:]
    run = json.loads((out / "results" / "tiny" / "run.json").read_text())
    assert run["settings"]["processes"] == 2 and (out / "results" / "tiny" / "eval_results.json").is_file()
    progress = TrainingProgress.follow(out / "progress.jsonl")
    try:
        deadline = time.monotonic() + 60
        while progress.state != "finished":
            assert time.monotonic() < deadline, progress.state
            time.sleep(0.05)
        assert progress.to_frame()["step"].max() == 360  # both halves of the run, in one file
    finally:
        progress.close()


def wait_for(path: Path, job: subprocess.Popen) -> None:
    deadline = time.monotonic() + 240
    while not path.exists():
        assert job.poll() is None and time.monotonic() < deadline, job.communicate(timeout=60)[1]
        time.sleep(0.05)
