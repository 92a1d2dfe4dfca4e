"""What was computed once, for whoever computes the very same again: a class of hundreds runs one lesson.

Off unless the environment names a folder. Whoever grades lets the instructor's own notebook fill it, and hands it,
read-only, to every learner's kernel: a call with the same inputs, to the last bit, is then answered from there, any
other is computed. What is kept is JSON, plain arrays and files, never a pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Optional

import numpy as np

FOLDER = "BIOLLM_RECALL"  # the environment variable that names it
KEEPS = "BIOLLM_RECALL_KEEP"  # set where it is to be filled


def place() -> Optional[Path]:
    """The folder, or None."""
    named = os.environ.get(FOLDER)
    return Path(named) if named else None


def keeps() -> bool:
    """Whether what is computed now is to be kept."""
    return bool(os.environ.get(KEEPS)) and place() is not None


def key(kind: str, *parts: Any) -> str:
    """A name for inputs: of arrays, texts, bytes, and whatever JSON can hold."""
    made = hashlib.sha256(kind.encode())
    for part in parts:
        if isinstance(part, np.ndarray):
            made.update(f"\0{part.dtype.str}{part.shape}".encode())
            data: Any = np.ascontiguousarray(part)
        else:
            data = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
            made.update(f"\0{len(data)}\0".encode())
        made.update(data)
    return f"{kind}-{made.hexdigest()[:40]}"


def parameters(model: Any) -> list[Any]:
    """All that a torch model computes with, as parts of a key."""
    state = model.state_dict()
    config: Any = getattr(model, "config", None)
    parts: list[Any] = [type(model).__name__, config.to_json_string() if hasattr(config, "to_json_string") else ""]
    for name, value in state.items():
        parts += [name, value.detach().cpu().contiguous().reshape(-1).view(dtype=_bytes()).numpy()]
    return parts


def _bytes() -> Any:
    import torch

    return torch.uint8


def array(name: str) -> Optional[np.ndarray]:
    """A kept array, or None."""
    folder = place()
    if folder is None or not (folder / f"{name}.npy").is_file():
        return None
    return np.load(folder / f"{name}.npy", allow_pickle=False)


def keep_array(name: str, values: np.ndarray) -> None:
    """Keep an array under a name, whole or not at all."""
    folder = place()
    if not keeps() or folder is None:
        return
    with tempfile.TemporaryDirectory(dir=folder) as own:
        np.save(Path(own) / "new.npy", values, allow_pickle=False)
        (Path(own) / "new.npy").replace(folder / f"{name}.npy")


def value(name: str) -> Any:
    """A kept value that JSON can hold, or None."""
    folder = place()
    if folder is None or not (folder / f"{name}.json").is_file():
        return None
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def keep_value(name: str, value: Any) -> None:
    """Keep a value that JSON can hold under a name, whole or not at all."""
    folder = place()
    if not keeps() or folder is None:
        return
    with tempfile.TemporaryDirectory(dir=folder) as own:
        (Path(own) / "new.json").write_text(json.dumps(value), encoding="utf-8")
        (Path(own) / "new.json").replace(folder / f"{name}.json")


def run(name: str, into: Path) -> Optional[dict[str, Any]]:
    """What is known of a kept run, or None; its files are put into a folder that is not there yet."""
    folder = place()
    if folder is None or not (folder / name / "known.json").is_file():
        return None
    known = json.loads((folder / name / "known.json").read_text(encoding="utf-8"))
    shutil.copytree(folder / name / "files", into)
    return known


def keep_run(name: str, files: Path, known: dict[str, Any]) -> None:
    """Keep what is known of a run, with the files that it wrote; whole or not at all."""
    folder = place()
    if not keeps() or folder is None or (folder / name).exists():
        return
    with tempfile.TemporaryDirectory(dir=folder) as own:
        shutil.copytree(files, Path(own) / "new" / "files")
        (Path(own) / "new" / "known.json").write_text(json.dumps(known), encoding="utf-8")
        (Path(own) / "new").replace(folder / name)
