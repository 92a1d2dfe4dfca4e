"""Vectors kept on disk as they come, so that long work can be stopped and gone on with.

Beside `NAME.npz` stands the folder `NAME.npz.part` while the work lasts: `plan.json` says what is being computed, and
each process appends to a file of its own, `rows-*.log`, one record a batch:

    int64 count, int64 CRC-32 of the rest, count int64 row numbers, count * hidden float32 numbers

A record that was cut off by a crash does not match its CRC and ends the file. Nothing is ever changed in place.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from torch import nn

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file

# What each entry of a plan is called in a sentence.
WORDS = {
    "model": "another model (its weights differ)",
    "sequences": "other sequences, or another tokenizer",
    "pooling": "another pooling",
    "layer": "another layer",
    "special_tokens": "another choice of special tokens",
    "precision": "another precision",
    "hidden": "vectors of another width",
    "format": "another version of this program",
}


def weights_fingerprint(model: nn.Module) -> str:
    """SHA-256 over the names, shapes, types and bytes of all parameters and saved buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
        # As bytes, since numpy has no bfloat16.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def tokens_fingerprint(ids: list[np.ndarray], rows: np.ndarray) -> str:
    """SHA-256 over the token ids of every sequence: the sequences, their order and the tokenizer in one."""
    digest = hashlib.sha256(rows.tobytes())
    for one in ids:
        digest.update(len(one).to_bytes(8, "little"))
        digest.update(one.tobytes())
    return digest.hexdigest()


def part_folder(file: Path) -> Path:
    """Where the vectors for `file` are kept while they are computed."""
    return file.with_name(file.name + ".part")


class PartFolder:
    """The folder beside an output that holds what is done so far.

    Parameters
    ----------
    file : Path
        The output that all this is for.
    plan : dict
        What is being computed; the keys are those of `WORDS`.
    """

    def __init__(self, file: Path, plan: dict[str, Any]) -> None:
        self.path = part_folder(file)
        self.plan = plan

    def stored_plan(self) -> Optional[dict[str, Any]]:
        """What an earlier run was computing here, or None when there was none."""
        try:
            plan = json.loads((self.path / "plan.json").read_text())
        except (OSError, ValueError):
            return None
        return plan if isinstance(plan, dict) else None

    def open(self) -> None:
        """Make the folder, or make sure that it belongs to this work.

        Raises
        ------
        InputError
            When it cannot be written, or was begun with another model, other sequences or other settings.
        """
        stored = self.stored_plan()
        if stored is None and self.path.is_dir() and any(self.path.glob("rows-*.log")):
            raise InputError(f"{self.path} has no readable plan.json; delete that folder to start anew.")
        if stored is not None:
            differs = [words for key, words in WORDS.items() if stored.get(key) != self.plan[key]]
            if differs:
                raise InputError(
                    f"{self.path} holds the beginning of {' and '.join(differs)}; repeat the earlier call to go on "
                    "with it, write to another file, or delete that folder to start anew."
                )
            return
        with whole_file(self.path / "plan.json") as temporary:
            temporary.write_text(json.dumps(self.plan, indent=1))

    def read(self, vectors: np.ndarray) -> np.ndarray:
        """Put what is done into `vectors` (distinct, hidden); return which rows those are, (distinct,) bool."""
        done = np.zeros(len(vectors), dtype=bool)
        for log in sorted(self.path.glob("rows-*.log")):
            for rows, numbers in _records(log, vectors.shape[1]):
                if len(rows) and rows.min() >= 0 and rows.max() < len(vectors):
                    vectors[rows] = numbers
                    done[rows] = True
        return done

    def writer(self, rank: int) -> RowLog:
        """A new file for the vectors of process `rank`; never one that an earlier run wrote."""
        number = 0
        while True:
            try:
                return RowLog(self.path / f"rows-{rank}-{number}.log")
            except FileExistsError:
                number += 1

    def remove(self) -> None:
        """Take the folder away: the output is whole."""
        shutil.rmtree(self.path, ignore_errors=True)


class RowLog:
    """An append-only file of vectors."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")

    def append(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Write one batch and hand it to the operating system, so that a killed process loses nothing written."""
        body = rows.astype("<i8").tobytes() + np.ascontiguousarray(vectors, dtype="<f4").tobytes()
        head = np.array([len(rows), zlib.crc32(body)], dtype="<i8").tobytes()
        self._file.write(head + body)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _records(log: Path, hidden: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with log.open("rb") as file:
        while len(head := file.read(16)) == 16:
            count, crc = (int(number) for number in np.frombuffer(head, dtype="<i8"))
            body = file.read(max(count, 0) * (8 + 4 * hidden))
            if count <= 0 or len(body) < count * (8 + 4 * hidden) or zlib.crc32(body) != crc:
                return  # cut off in the middle: what comes before it is whole
            yield (
                np.frombuffer(body[: 8 * count], "<i8"),
                np.frombuffer(body[8 * count :], "<f4").reshape(count, hidden),
            )
