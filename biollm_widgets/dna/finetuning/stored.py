"""What the frozen lower layers give, computed once and kept in files, so that only the layers above are run again."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from biollm_widgets.dna.finetuning.batches import Collator
from biollm_widgets.dna.finetuning.classifier import FineTunedClassifier, states_to_store
from biollm_widgets.dna.finetuning.data import Encoded, Rows
from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file

BATCH = 16  # rows; sorted by length, so hardly anything is padded
ROWS_A_FILE = 256  # a stop loses at most the file at hand


class StoredStates:
    """Row i -> hidden states (tokens, C), or (1, C) when only [CLS] is kept; read from the files when asked for."""

    def __init__(self, files: list[Path], lengths: np.ndarray) -> None:
        self.parts = [np.load(file, mmap_mode="r", allow_pickle=False) for file in files]
        self.place: dict[int, tuple[int, int, int]] = {}
        for number, rows in enumerate(rows_of_files(lengths)):
            ends = np.cumsum(lengths[rows])
            for row, end in zip(rows, ends, strict=True):
                self.place[int(row)] = (number, int(end - lengths[row]), int(end))

    def __len__(self) -> int:
        return len(self.place)

    def __getitem__(self, row: int) -> np.ndarray:
        number, start, end = self.place[row]
        return np.array(self.parts[number][start:end])


def rows_of_files(lengths: np.ndarray) -> list[np.ndarray]:
    """Which rows lie in which file, sorted by length."""
    order = np.argsort(-lengths, kind="stable")
    return [order[start : start + ROWS_A_FILE] for start in range(0, len(order), ROWS_A_FILE)]


def store(
    model: Any,
    parts: dict[str, Encoded],
    folder: Path,
    pad_id: int,
    device: torch.device,
    rank: int = 0,
    processes: int = 1,
    check_stop: Callable[[], None] = lambda: None,
    barrier: Callable[[], None] = lambda: None,
    quiet: bool = False,
) -> tuple[dict[str, Rows], Path]:
    """Compute the states below `model.first_layer` for every row, unless their files are there, and open them.

    The model runs in evaluation mode (no dropout). Several processes share the work. Files appear only when whole, so
    a stop in the middle loses at most the one at hand.

    Parameters
    ----------
    model
        A `FineTunedClassifier` with its `first_layer` set.
    folder
        The files go to a folder inside, named after the tokens, the frozen weights and the layer.
    check_stop
        Called between batches; it may raise.

    Returns
    -------
    rows, place
        A dataset for each part, and the folder of the files.

    Raises
    ------
    InputError
        When the files would not fit on the disk.
    """
    only_cls = model.first_layer == len(model.bert.encoder.layer)
    place = folder / key(model, parts)
    jobs: list[tuple[Path, Encoded, np.ndarray]] = []
    kept: dict[str, list[Path]] = {}
    for name, part in parts.items():
        groups = rows_of_files(part.lengths)
        files = [place / f"{name}-{number:05d}.npy" for number in range(len(groups))]
        kept[name] = files
        jobs += [(file, part, rows) for file, rows in zip(files, groups, strict=True)]
    barrier()  # nobody writes before everybody has looked, or the shares would differ
    missing = [job for job in jobs if not job[0].exists()]
    barrier()
    if missing:
        place.mkdir(parents=True, exist_ok=True)
        width = model.config.hidden_size * 4  # bytes a token, float32
        needed = sum(int(len(rows) if only_cls else part.lengths[rows].sum()) * width for _, part, rows in missing)
        free = shutil.disk_usage(place).free
        if needed > free * 0.95:
            raise InputError(
                f"Storing what the lower layers give takes {needed / 1e9:.1f} GB and {place} has {free / 1e9:.1f} GB "
                "left; name another --output_dir, or train with --rung lora or full, which store nothing."
            )
        model.eval()
        model.to(device)
        mine = missing[rank::processes]
        words = "Embedding once" if only_cls else f"Running the lower {model.first_layer} layers once"
        with tqdm(total=sum(len(rows) for _, _, rows in mine), desc=words, unit="seq", disable=quiet) as bar:
            for file, part, rows in mine:
                states = []
                for start in range(0, len(rows), BATCH):  # sorted by length already
                    check_stop()
                    chosen = rows[start : start + BATCH]
                    data = Collator(pad_id)(
                        [{"row": 0, "input": part.ids[row], "label": 0, "weight": 1.0} for row in chosen]
                    )
                    mask = data.get("attention_mask")
                    hidden = (
                        states_to_store(model, data["input_ids"].to(device), None if mask is None else mask.to(device))
                        .float()
                        .cpu()
                    )
                    keep = [1 if only_cls else len(part.ids[row]) for row in chosen]
                    states += [one[:length].numpy() for one, length in zip(hidden, keep, strict=True)]
                    bar.update(len(chosen))
                with whole_file(file) as temporary:
                    np.save(temporary, np.concatenate(states), allow_pickle=False)
        barrier()
    if only_cls:
        one = {name: np.ones_like(part.lengths) for name, part in parts.items()}
        return {name: Rows(_vectors(kept[name], part), part.labels, one[name]) for name, part in parts.items()}, place
    return {
        name: Rows(StoredStates(kept[name], part.lengths), part.labels, part.lengths) for name, part in parts.items()
    }, place


def _vectors(files: list[Path], part: Encoded) -> np.ndarray:
    """[CLS] vectors in the order of the rows, (n, 1, C): small enough for memory."""
    order = np.concatenate(rows_of_files(part.lengths))
    stacked = np.concatenate([np.load(file, allow_pickle=False) for file in files])
    vectors = np.empty_like(stacked)
    vectors[order] = stacked
    return vectors[:, None]


def key(model: FineTunedClassifier, parts: dict[str, Encoded]) -> str:
    """Changes with any token, any frozen weight and the layer, so that stale files are never taken."""
    digest = hashlib.sha256(f"{model.first_layer} of {len(model.bert.encoder.layer)}".encode())
    frozen = [model.bert.embeddings, *model.bert.encoder.layer[: model.first_layer]]
    for module in frozen:
        for tensor in module.state_dict().values():
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for part in parts.values():
        digest.update(part.lengths.tobytes())
        for row in part.ids:
            digest.update(np.asarray(row, dtype=np.int32).tobytes())
    return digest.hexdigest()[:16]
