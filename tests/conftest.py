"""What every test may ask for: the real sequences beside the project, and the rule for skipping without them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

# Tests must behave the same on a train and in CI: nothing here may ask a hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A shell has what it starts in the background ignore Ctrl-C, which tests of Ctrl-C send.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The cluster's versions have no browser driver, so there the browser tests are not even read.
collect_ignore = [] if find_spec("playwright") else ["browser"]

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def skip_or_fail(reason: str) -> None:
    """Skip with a sentence on a person's machine; fail in CI, where everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real sequences and published tokenizers (`../shared/data` from the project)."""
    if not SHARED.is_dir():
        skip_or_fail(f"The folder of real data, {SHARED}, is not here; put it beside the project to run this test.")
    return SHARED


@pytest.fixture(scope="session")
def may_mount() -> None:
    """For tests of full and of read-only disks: a process may make mounts of its own (`unshare -m`)."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        skip_or_fail("A disk of one's own needs unshare and the right to mount; run this test as root, on Linux.")
