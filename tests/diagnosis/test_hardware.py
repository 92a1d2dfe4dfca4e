"""GPUs, drivers, cores and memory that are not what torch or a person takes them for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from biollm_widgets.diagnosis import hardware

from .rooms import look, surroundings


def nvidia_smi(folder: Path, row: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{row}'\n")
    program.chmod(0o755)


@pytest.fixture
def card(tmp_path, monkeypatch):
    """`card("name, total, free, driver")`: what nvidia-smi says of it."""

    def put(row: str) -> None:
        nvidia_smi(tmp_path, row)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return put


def by_id(found):
    return {one.id: one for one in found}


def test_a_gpu_that_torch_can_use_is_fine_and_named(card):
    card("NVIDIA GH200 120GB, 97871, 97000, 560.35.03")
    found = by_id(hardware.gpu("12.4", "2.5.1"))
    assert {one.state for one in found.values()} == {"fine"}
    assert found["gpu-0"].sentence == "GPU NVIDIA GH200 120GB, 95 GiB of 96 GiB free, driver 560.35.03"


def test_a_card_that_does_not_say_its_memory_is_named_all_the_same(card):
    card("NVIDIA GB10, [N/A], [N/A], 580.95.05")
    assert by_id(hardware.gpu("13.0", "2.13.0"))["gpu-0"].sentence == "GPU NVIDIA GB10, driver 580.95.05"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_torch_for_the_processor_beside_a_gpu_is_a_note(card, machine, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: machine)
    card("NVIDIA H100, 81559, 81000, 550.54.15")
    found = by_id(hardware.gpu(None, "2.13.0+cpu"))["torch-build"]
    assert found.state == "note" and "was built for the processor alone" in found.sentence
    assert ("aarch64" in found.remedy) == (machine == "aarch64") and "550.54.15" in found.remedy
    assert by_id(hardware.gpu("12.4", "2.5.1"))["torch-build"].state == "fine"


@pytest.mark.parametrize(
    ("cuda", "driver", "fits"),
    [
        ("12.4", "525.60.13", True),
        ("12.4", "520.61.05", False),
        ("13.0", "560.35.03", False),
        ("13.0", "580.65.06", True),
    ],
)
def test_a_driver_that_is_too_old_for_torch_is_a_note(card, cuda, driver, fits):
    card(f"NVIDIA A100, 40960, 40000, {driver}")
    found = by_id(hardware.gpu(cuda, "2.13.0"))
    assert ("gpu-driver" not in found) == fits
    if not fits:
        assert driver in found["gpu-driver"].sentence and cuda in found["gpu-driver"].sentence


@pytest.mark.parametrize("inside", [True, False])
def test_a_gpu_that_a_container_does_not_let_through_is_told(tmp_path, monkeypatch, inside):
    (tmp_path / "driver" / "nvidia" / "gpus" / "0000:01").mkdir(parents=True)
    monkeypatch.setattr(hardware, "PROC", tmp_path)
    monkeypatch.setattr(hardware, "ask", lambda *_: None)
    monkeypatch.delenv("SINGULARITY_CONTAINER", raising=False)
    monkeypatch.delenv("APPTAINER_CONTAINER", raising=False)
    if inside:
        monkeypatch.setenv("APPTAINER_CONTAINER", "/x.sif")
    found = by_id(hardware.gpu("12.4", "2.5.1"))["gpu-hidden"]
    assert found.state == "note" and ("--nv" in found.remedy) == inside


def test_triton_without_a_gpu_is_explained(monkeypatch):
    monkeypatch.setattr(hardware, "ask", lambda *_: None)
    monkeypatch.setattr(hardware, "PROC", Path("/no/such/folder"))
    have = {"triton": "3.1.0"}

    def version(name):
        if name not in have:
            raise hardware.metadata.PackageNotFoundError(name)
        return have[name]

    monkeypatch.setattr(hardware.metadata, "version", version)
    found = by_id(hardware.gpu(None, "2.5.1"))["triton"]
    assert found.state == "note" and "AssertionError" in found.sentence and "bio.DNABert2Model" in found.remedy
    have.clear()
    assert "triton" not in by_id(hardware.gpu(None, "2.5.1"))


def test_the_remedy_for_triton_runs_where_triton_is(monkeypatch):
    import biollm_widgets as bio

    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    assert bio.DNABert2Model.from_pretrained(bio.locate()) is not None


@pytest.mark.parametrize(("asked", "cores"), [("64", 2), ("many", 2), ("1", 8)])
def test_threads_that_do_not_fit_the_cores_are_told_and_the_line_mends_it(tmp_path, asked, cores, monkeypatch):
    monkeypatch.setattr(hardware, "allowed_cores", lambda: cores)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    found = hardware.cores()
    assert found.state == "note" and found.command == f"export OMP_NUM_THREADS={cores}"
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
    assert hardware.cores().state == "fine"


def test_the_line_for_threads_works_in_a_shell(tmp_path):
    environ = surroundings(tmp_path, OMP_NUM_THREADS="4096")
    found = look("hardware", environ)["cores"]
    assert found["state"] == "note"
    assert look("hardware", environ, found["command"])["cores"]["state"] == "fine"


def test_a_share_of_time_counts_as_cores_and_a_limit_of_memory_as_memory(tmp_path, monkeypatch):
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("0::/job\n")
    (tmp_path / "meminfo").write_text("MemTotal: 99000000 kB\nMemAvailable: 90000000 kB\n")
    job = tmp_path / "job"
    job.mkdir()
    (job / "cpu.max").write_text("100000 100000\n")
    (job / "memory.max").write_text("2000000000\n")
    (job / "memory.current").write_text("1500000000\n")
    (job / "memory.stat").write_text("anon 5\ninactive_file 300000000\n")
    monkeypatch.setattr(hardware, "PROC", tmp_path)
    monkeypatch.setattr(hardware, "CGROUP", tmp_path)
    assert hardware.allowed_cores() == 1
    [found] = hardware.memory()
    assert found.state == "note" and "800 MB of memory are free; ProtGPT2 wants 3.50 GB" in found.sentence
    assert found.command == "export BIOLLM_MODELS=embedded"
    (job / "memory.max").write_text("max\n")
    assert [one.state for one in hardware.memory()] == ["fine"]


def test_the_build_of_torch_is_read_without_importing_it():
    import torch

    assert hardware.torch_build() == (torch.version.cuda, torch.__version__)
