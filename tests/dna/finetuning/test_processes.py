"""The command in processes of its own: two under torchrun give the numbers of one, and a signal stops it cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from biollm_widgets.dna.finetuning.results import KEYS

pytestmark = pytest.mark.slow

SAME = [key for key in KEYS if "runtime" not in key and "second" not in key]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


def read(folder: Path) -> dict[str, float]:
    return json.loads((folder / "results" / "tiny" / "eval_results.json").read_text())


def run(*words: str, torchrun: int = 0, **options) -> subprocess.Popen:
    launcher = [sys.executable, "-m"]
    if torchrun:
        launcher += ["torch.distributed.run", "--nproc_per_node", str(torchrun), "--rdzv_backend", "c10d"]
        launcher += ["--rdzv_endpoint", "127.0.0.1:0", "-m"]
    command = [*launcher, "biollm_widgets.cli", "finetune", *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, **options
    )


@pytest.mark.parametrize("rung", ["full", "top", "lora"])
def test_two_processes_give_the_metrics_of_one(rung, flags, words, noisy_model, tmp_path):
    if rung == "lora":
        pytest.importorskip("peft")
    flags["model_name_or_path"] = noisy_model
    # 44 rows in steps of 8: the last step of an epoch is short, and three rows do not deal out evenly either.
    flags.update(per_device_train_batch_size=8, rung=rung, top_layers=1, num_train_epochs=3)
    one = run(*words({**flags, "output_dir": tmp_path / "one"}))
    _, said = one.communicate(timeout=300)
    assert one.returncode == 0, said
    flags.update(per_device_train_batch_size=4)
    two = run(*words({**flags, "output_dir": tmp_path / "two"}), torchrun=2)
    out, said = two.communicate(timeout=300)
    assert two.returncode == 0, said
    assert said.count("Plan: 18 steps of 8 sequences") == 1 and out.count("Tested:") == 1  # the first process alone
    alone, together = read(tmp_path / "one"), read(tmp_path / "two")
    for key in SAME:
        assert together[key] == pytest.approx(alone[key], abs=1e-5), key
    runs = [json.loads((tmp_path / name / "results/tiny/run.json").read_text()) for name in ("one", "two")]
    for alone, together in zip(*(one["evaluations"] for one in runs), strict=True):
        assert together["eval_loss"] == pytest.approx(alone["eval_loss"], abs=1e-5)


@pytest.mark.parametrize(("number", "processes"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGINT, 2)])
def test_a_signal_in_the_middle_loses_at_most_the_step_at_hand(number, processes, flags, words, tmp_path):
    flags.update(num_train_epochs=40, eval_steps=40, save_steps=40)
    flags.pop("disable_tqdm")
    # A session of its own, as a terminal gives it: torchrun passes the signal on to its processes.
    begun = run(*words(flags), torchrun=processes, start_new_session=True)
    folder = Path(flags["output_dir"])
    deadline = time.monotonic() + 240
    while not (folder / "checkpoint-40" / "whole.json").exists():
        assert begun.poll() is None and time.monotonic() < deadline, begun.communicate()[1]
        time.sleep(0.05)
    begun.send_signal(number)
    _, said = begun.communicate(timeout=240)
    if not processes:  # torchrun has an exit status and a traceback of its own for a signal
        assert begun.returncode == 128 + number and "Traceback" not in said
        assert f"biollm finetune --model_name_or_path {flags['model_name_or_path']}" in said
    left = max(int(place.name.split("-")[1]) for place in folder.glob("checkpoint-*"))
    assert f"Stopped at step {left} of " in said
    again = run(*words(flags), torchrun=processes)
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert f"Going on from {folder / f'checkpoint-{left}'}" in said
    whole = run(*words({**flags, "output_dir": tmp_path / "whole"}), torchrun=processes)
    whole.communicate(timeout=300)
    found, expected = read(folder), read(tmp_path / "whole")
    assert {key: found[key] for key in SAME} == {key: expected[key] for key in SAME}
