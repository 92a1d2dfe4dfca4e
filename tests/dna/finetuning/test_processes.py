"""The command in processes of its own: two under torchrun give the numbers of one, and a signal stops it cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Union

import pytest
import warm

from biollm_widgets.dna.finetuning.results import KEYS

pytestmark = pytest.mark.slow

SAME = [key for key in KEYS if "runtime" not in key and "second" not in key]


def read(folder: Path) -> dict[str, float]:
    return json.loads((folder / "results" / "tiny" / "eval_results.json").read_text())


def torchrun(*words: str) -> subprocess.Popen:
    """Two processes as the README starts them: from nothing, in a session of their own, as a terminal gives it.

    (torchrun passes a signal on to its processes.) Each loads torch for itself, which takes a while; where that is not
    what a test is about, its processes are warm ones.
    """
    launcher = ["torch.distributed.run", "--nproc_per_node", "2", "--rdzv_backend", "c10d"]
    launcher += ["--rdzv_endpoint", "127.0.0.1:0", "-m", "biollm_widgets.cli"]
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, "finetune", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **warm.ENVIRONMENT},
        start_new_session=True,
    )


@pytest.fixture
def run(tmp_path, words):
    """Begin `biollm finetune` with these flags, in one process or in two."""

    def begin(flags: dict[str, Any], processes: int = 1, cold: bool = False) -> Union[subprocess.Popen, warm.Process]:
        if cold:
            return torchrun(*words(flags))
        command = ["-m", "biollm_widgets.cli", "finetune", *words(flags)]
        return warm.Process(*command, folder=tmp_path, count=processes)

    return begin


@pytest.mark.parametrize("rung", ["full", "top", "lora"])
def test_two_processes_give_the_metrics_of_one(rung, flags, run, noisy_model, tmp_path):
    if rung == "lora":
        pytest.importorskip("peft")
    flags["model_name_or_path"] = noisy_model
    # 44 rows in steps of 8: the last step of an epoch is short, and three rows do not deal out evenly either.
    flags.update(per_device_train_batch_size=8, rung=rung, top_layers=1, num_train_epochs=3)
    one = run({**flags, "output_dir": tmp_path / "one"})
    flags.update(per_device_train_batch_size=4)
    two = run({**flags, "output_dir": tmp_path / "two"}, 2, cold=rung == "full")
    _, said = one.communicate(timeout=300)
    assert one.returncode == 0, said
    out, said = two.communicate(timeout=300)
    assert two.returncode == 0, said
    assert said.count("Plan: 18 steps of 8 sequences") == 1 and out.count("Tested:") == 1  # the first process alone
    alone, together = read(tmp_path / "one"), read(tmp_path / "two")
    for key in SAME:
        assert together[key] == pytest.approx(alone[key], abs=1e-5), key
    runs = [json.loads((tmp_path / name / "results/tiny/run.json").read_text()) for name in ("one", "two")]
    assert [found["settings"]["processes"] for found in runs] == [1, 2]
    for alone, together in zip(*(one["evaluations"] for one in runs), strict=True):
        assert together["eval_loss"] == pytest.approx(alone["eval_loss"], abs=1e-5)


@pytest.mark.parametrize(("number", "processes"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_a_signal_in_the_middle_loses_at_most_the_step_at_hand(number, processes, flags, run, tmp_path):
    flags.update(num_train_epochs=20, eval_steps=20, save_steps=20)
    flags.pop("disable_tqdm")
    whole = run({**flags, "output_dir": tmp_path / "whole"}, processes)
    begun = run(flags, processes, cold=processes > 1)
    folder = Path(flags["output_dir"])
    deadline = time.monotonic() + 240
    while not (folder / "checkpoint-20" / "whole.json").exists():
        assert begun.poll() is None and time.monotonic() < deadline, begun.communicate(timeout=60)[1]
        time.sleep(0.02)
    begun.send_signal(number)
    _, said = begun.communicate(timeout=240)
    if processes == 1:  # torchrun has an exit status and a traceback of its own for a signal
        assert begun.returncode == 128 + number and "Traceback" not in said
        assert f"biollm finetune --model_name_or_path {flags['model_name_or_path']}" in said
    left = max(int(place.name.split("-")[1]) for place in folder.glob("checkpoint-*"))
    assert left < 220 and f"Stopped at step {left} of " in said
    again = run(flags, processes)
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert f"Going on from {folder / f'checkpoint-{left}'}" in said
    _, said = whole.communicate(timeout=300)
    assert whole.returncode == 0, said
    found, expected = read(folder), read(tmp_path / "whole")
    assert {key: found[key] for key in SAME} == {key: expected[key] for key in SAME}
