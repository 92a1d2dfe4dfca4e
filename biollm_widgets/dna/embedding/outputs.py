"""The `.npz` that embedding makes: vectors, labels, ids and what they were made with; no pickle in it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file


def checked_output(file: Union[str, os.PathLike]) -> Path:
    """The path of an output, found wanting before any work is done.

    Raises
    ------
    InputError
        When it does not end in .npz or is a folder.
    """
    path = Path(file).expanduser()
    if path.suffix.lower() != ".npz":
        raise InputError(f"Vectors are written as .npz; name the output {path.stem or 'vectors'}.npz, not {path.name}.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file to write to.")
    return path


def column(values: Optional[Sequence], name: str, count: int) -> Optional[np.ndarray]:
    """Labels or ids as an array of numbers or of text.

    Raises
    ------
    InputError
        When their number is not that of the sequences.
    """
    if values is None:
        return None
    array = np.asarray(values)
    if array.ndim != 1 or len(array) != count:
        raise InputError(f"There are {array.size} {name} for {count} sequences; give one for each sequence.")
    if array.dtype == object:  # an array of Python objects would be pickled
        array = np.array([str(value) for value in array])
    return array


def write_vectors(
    path: Path,
    embeddings: np.ndarray,
    labels: Optional[np.ndarray],
    ids: Optional[np.ndarray],
    metadata: dict[str, Any],
) -> None:
    """Write `embeddings` (n, hidden), `labels`, `ids` and `metadata` (JSON text); the file appears when whole."""
    arrays = {"embeddings": embeddings, "metadata": np.array(json.dumps(metadata))}
    if labels is not None:
        arrays["labels"] = labels
    if ids is not None:
        arrays["ids"] = ids
    with whole_file(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def read_metadata(path: Path) -> Optional[dict[str, Any]]:
    """What an earlier output says it was made with, or None when it is not one of ours."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            metadata = json.loads(str(arrays["metadata"]))
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return metadata if isinstance(metadata, dict) else None


def read_embeddings(path: Path) -> np.ndarray:
    """The vectors of an output, (n, hidden) float32."""
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["embeddings"]
