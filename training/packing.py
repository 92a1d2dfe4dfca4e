"""Put a pretrained model into the package: half precision, one small folder that `from_pretrained` takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

LIMIT = 6_000_000  # bytes for the whole folder: it comes along with every `pip install`


def pack(
    source: Path,
    target: Path,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    tokenizer_config: Mapping[str, Any],
) -> None:
    """Write weights, config, tokenizer and the log of the training run in `source` into the folder `target`.

    Raises
    ------
    SystemExit
        When the folder gets larger than `LIMIT`.
    """
    target.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    save_file(halves, target / "model.safetensors", metadata={"format": "pt"})
    # Stored in half precision to be small, loaded in single precision to be exact: transformers 5 takes this to heart.
    told = {**config, "torch_dtype": "float32"}
    for key in ("_name_or_path", "transformers_version", "dtype"):
        told.pop(key, None)
    told = {key: value for key, value in sorted(told.items()) if value is not None}
    (target / "config.json").write_text(json.dumps(told, indent=2) + "\n")
    shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")
    # As the published file has it, and no more: newer versions of transformers add fields that older ones refuse.
    (target / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **tokenizer_config}, indent=2) + "\n"
    )
    shutil.copyfile(source / "log.jsonl", target / "training_log.jsonl")
    for file in target.iterdir():
        file.chmod(0o644)  # safetensors writes files that only their owner may read
    size = sum(file.stat().st_size for file in target.iterdir() if file.is_file())
    print(f"{target}: {size / 1e6:.2f} MB")
    if size > LIMIT:
        raise SystemExit(f"That is more than {LIMIT / 1e6:.0f} MB; pretrain a smaller model.")
