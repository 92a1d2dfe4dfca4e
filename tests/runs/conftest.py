"""What the tests of runs share: a Trainer small enough to be trained in half a second, on real sequences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_trainer import small_trainer


@pytest.fixture
def make_trainer(shared_data: Path, tmp_path: Path) -> Callable[..., Any]:
    """`small_trainer` with a folder of its own for each name."""
    return lambda name="out", **given: small_trainer(tmp_path / name, **{"disable_tqdm": True, **given})
