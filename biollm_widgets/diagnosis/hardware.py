"""What the computer has: a GPU that torch can use, memory, and cores that this process may use."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Optional

from biollm_widgets.diagnosis.findings import FINE, NOTE, Finding, how_set, variable
from biollm_widgets.diagnosis.probing import ask
from biollm_widgets.kernels import container
from biollm_widgets.models.cache import in_words
from biollm_widgets.models.catalog import find

GROUP = "hardware"
PROC = Path("/proc")
_ASKED = "name,memory.total,memory.free,driver_version"
CGROUP = Path("/sys/fs/cgroup")
# The oldest Linux driver for each CUDA: NVIDIA, "CUDA Compatibility", table of minor version compatibility.
OLDEST_DRIVER = {11: (450, 80), 12: (525, 60), 13: (580, 65)}


def look() -> Iterator[Finding]:
    """GPU and torch, Triton, cores and memory."""
    cuda, version = torch_build()
    yield from gpu(cuda, version)
    yield cores()
    yield from memory()


def torch_build() -> tuple[Optional[str], Optional[str]]:
    """The CUDA that torch was built for (None: none) and torch's version (None: no torch); nothing is imported."""
    try:
        installed = metadata.distribution("torch")
    except metadata.PackageNotFoundError:
        return None, None
    try:
        text = Path(str(installed.locate_file("torch/version.py"))).read_text(encoding="utf-8")
        version = re.search(r"^__version__ = '([^']+)'", text, re.M)
        cuda = re.search(r"^cuda\b[^=]*= '([^']+)'", text, re.M)
    except OSError:
        return None, installed.version
    return cuda[1] if cuda else None, version[1] if version else installed.version


def gpu(cuda: Optional[str], torch: Optional[str]) -> Iterator[Finding]:
    """Whether there is a GPU, and whether torch can compute on it."""
    said = ask(["nvidia-smi", f"--query-gpu={_ASKED}", "--format=csv,noheader,nounits"])
    rows = [[cell.strip() for cell in line.split(",")] for line in (said or "").splitlines()]
    rows = [row for row in rows if len(row) == 4]
    if not rows:
        yield from _without_gpu(cuda, torch)
        return
    for number, (name, total, free, driver) in enumerate(rows):
        # A GH200 shares its memory with the processor and says [N/A].
        room = f", {_mib(free)} of {_mib(total)} free" if free.isdigit() and total.isdigit() else ""
        yield Finding(f"gpu-{number}", GROUP, FINE, f"GPU {name}{room}, driver {driver}")
    if torch is None:
        return
    if cuda is None:
        machine = platform.machine()
        also = " (for aarch64 as well)" if machine == "aarch64" else ""
        yield Finding(
            "torch-build",
            GROUP,
            NOTE,
            f"There is an NVIDIA GPU, but torch {torch} was built for the processor alone and does not use it.",
            f"Install a torch that was built for CUDA{also}; the page 'Start locally' of pytorch.org gives the line "
            f"for driver {rows[0][3]}.",
        )
        return
    oldest = OLDEST_DRIVER.get(int(cuda.partition(".")[0]))
    have = tuple(int(part) for part in re.findall(r"\d+", rows[0][3])[:2])
    if oldest and have and have < oldest:
        yield Finding(
            "gpu-driver",
            GROUP,
            NOTE,
            f"The NVIDIA driver {rows[0][3]} is too old for torch {torch}, which was built for CUDA {cuda} and wants "
            f"{oldest[0]}.{oldest[1]} or newer, so the GPU is not used.",
            "Ask for a newer driver, or install a torch that was built for an older CUDA (pytorch.org, 'Previous "
            "versions').",
        )
        return
    yield Finding("torch-build", GROUP, FINE, f"torch {torch} for CUDA {cuda}")


def _without_gpu(cuda: Optional[str], torch: Optional[str]) -> Iterator[Finding]:
    cards = PROC / "driver" / "nvidia" / "gpus"
    if cards.is_dir() and any(cards.iterdir()):
        inside = bool(container.image())
        why = "the container was started without --nv" if inside else "nvidia-smi does not answer"
        yield Finding(
            "gpu-hidden",
            GROUP,
            NOTE,
            f"There is an NVIDIA GPU that cannot be used from here: {why}.",
            "Add --nv after 'apptainer exec' in the kernel's kernel.json ('biollm kernel check' looks at it)."
            if inside
            else "Install NVIDIA's driver again, or ask who looks after this computer.",
        )
    else:
        system = "Metal is used by torch itself" if sys.platform == "darwin" else "models run on the processor"
        yield Finding("gpu", GROUP, FINE, f"no NVIDIA GPU, {system}")
    try:
        triton = metadata.version("triton")
    except metadata.PackageNotFoundError:
        return
    yield Finding(
        "triton",
        GROUP,
        NOTE,
        f"Triton {triton} is installed and there is no GPU: the published code of DNABERT-2 (trust_remote_code=True) "
        "stops here with a bare AssertionError. The model of this package does not.",
        "Load it as the lessons do: bio.DNABert2Model.from_pretrained(bio.locate()).",
    )


def allowed_cores() -> int:
    """How many cores this process may use: those it is bound to, and no more than its cgroup's share of time."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for name in (f"{_own_cgroup()}/cpu.max", "cpu.max"):
        words = _words(CGROUP / name.lstrip("/"))
        if len(words) == 2 and words[0].isdigit():
            count = min(count, max(1, int(words[0]) // max(1, int(words[1]))))
    quota, period = _words(CGROUP / "cpu" / "cpu.cfs_quota_us"), _words(CGROUP / "cpu" / "cpu.cfs_period_us")
    if quota and period and int(quota[0]) > 0:
        count = min(count, max(1, int(quota[0]) // int(period[0])))
    return count


def cores() -> Finding:
    """Whether as many threads are started as there are cores for them."""
    count = allowed_cores()
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    words = f"{count} core{'s' if count > 1 else ''}"
    if not asked:
        return Finding("cores", GROUP, FINE, words)
    setting = f"OMP_NUM_THREADS is {asked}"
    if not asked.isdigit() or int(asked) < 1:
        trouble = f"{setting}, which is no number of threads."
    elif int(asked) > count:
        trouble = f"{setting}, but this process may use {words}: the threads wait for each other."
    elif int(asked) == 1 and count >= 4:
        trouble = f"{setting}, so models use one core of {count}."
    else:
        return Finding("cores", GROUP, FINE, f"{words}, {setting}")
    return Finding("cores", GROUP, NOTE, trouble, f"For {words}, {how_set()}:", variable("OMP_NUM_THREADS", str(count)))


def memory() -> Iterator[Finding]:
    """Whether the largest model of the lessons fits into memory."""
    free = _available()
    largest = find("ProtGPT2")
    if free is None or largest is None or largest.size_bytes is None:
        return
    # Its weights once, and the keys and values of ten sequences of 100 tokens (36 layers, two times 1,280 numbers of
    # four bytes a token): 369 MB.
    wanted = largest.size_bytes + 10 * 100 * 36 * 2 * 1280 * 4
    if free >= wanted:
        yield Finding("memory", GROUP, FINE, f"{in_words(free)} of memory free")
    else:
        yield Finding(
            "memory",
            GROUP,
            NOTE,
            f"{in_words(free)} of memory are free; {largest.name} wants {in_words(wanted)}.",
            "Close other programs and kernels, or work with the small stand-in:",
            variable("BIOLLM_MODELS", "embedded"),
        )


def _available() -> Optional[int]:
    """Bytes that can still be had: the system's, and no more than the cgroup leaves. None where nothing says it."""
    try:
        text = (PROC / "meminfo").read_text()
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.M)
    room = [int(found[1]) * 1024] if found else []
    own = CGROUP / _own_cgroup().lstrip("/")
    for folder, limit, usage in (
        (own, "memory.max", "memory.current"),
        (CGROUP, "memory.max", "memory.current"),
        (CGROUP / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        most, used = _words(folder / limit), _words(folder / usage)
        if most and used and most[0].isdigit():
            cached = re.search(r"^(?:total_)?inactive_file (\d+)", " \n".join(_lines(folder / "memory.stat")), re.M)
            room.append(max(0, int(most[0]) - int(used[0]) + (int(cached[1]) if cached else 0)))
    return min(room, default=None)  # type: ignore[type-var]


def _own_cgroup() -> str:
    for line in _lines(PROC / "self" / "cgroup"):
        number, _, path = line.partition("::")
        if number == "0":
            return path.strip()
    return ""


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _mib(number: str) -> str:
    return f"{int(number) / 1024:.0f} GiB"
