"""The local Hugging Face cache, read without a network: which models it holds, how big they are, and whether whole.

The layout is the hub client's own (its guide "Understand caching"): a folder `models--owner--name` for each model, in
it `blobs/` with the contents, `snapshots/<commit>/` with links that give them their names, and `refs/main`, which
names the newest commit. A blob is called by its own hash: SHA-256 for large files (Git LFS), and for small ones the
SHA-1 that git calls them by. So a file can be checked against its name, also where there is no network.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import re
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any, Optional

CONFIG = "config.json"
# The weights that transformers loads, the preferred format first: one file, or an index and its parts.
FORMATS = {
    "safetensors": ("model.safetensors", "model.safetensors.index.json"),
    "bin": ("pytorch_model.bin", "pytorch_model.bin.index.json"),
}
# Any of these lets transformers make a tokenizer.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
)
PART = ".incomplete"  # the ending of a blob that has not arrived whole, as the hub's client has it
# What reading the header of a safetensors file may raise where it is damaged; an empty file is a struct.error.
NO_HEADER = (OSError, ValueError, KeyError, TypeError, struct.error)
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CHUNK = 1 << 20


def root() -> Path:
    """Where the cache is: HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def model_folder(name: str, at: Optional[Path] = None) -> Path:
    """The folder of one model, there or not, in one's own cache or in the one `at` another place."""
    return (at or root()) / f"models--{name.replace('/', '--')}"


def snapshot(name: str, weights: bool = True, at: Optional[Path] = None) -> Optional[Path]:
    """The newest snapshot in the cache that holds the model (or, without `weights`, its tokenizer); None without one.

    The commit of `refs/main` goes first. Where that one holds only a part, as after a tokenizer was asked for alone,
    an older snapshot that holds all is taken. Weights without a tokenizer are taken last of all.
    """
    base = model_folder(name, at)
    try:
        found = sorted((base / "snapshots").iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
        main = (base / "refs" / "main").read_text().strip() if (base / "refs" / "main").is_file() else ""
        found.sort(key=lambda folder: folder.name != main)
        fitting = [folder for folder in found if holds(folder, weights)]
        return next((folder for folder in fitting if holds(folder, weights=False)), next(iter(fitting), None))
    except OSError:  # no such model, or a cache that this person may not read
        return None


def holds(folder: Path, weights: bool = True) -> bool:
    """Whether the folder has a config, and weights in any format (or, without `weights`, a tokenizer)."""
    if not (folder / CONFIG).is_file():
        return False
    if weights:
        return bool(weight_files(folder))
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def weight_files(folder: Path) -> list[Path]:
    """The files of weights that `from_pretrained` would read; empty when there are none or a part is missing."""
    for single, index in FORMATS.values():
        if (folder / single).is_file():
            return [folder / single]
        if (folder / index).is_file():
            try:
                parts = sorted(set(json.loads((folder / index).read_text())["weight_map"].values()))
            except (ValueError, KeyError, AttributeError):
                continue
            files = [folder / Path(part).name for part in parts]
            if files and all(file.is_file() for file in files):
                return files
    return []


def parameters_of(folder: Path) -> Optional[int]:
    """How many numbers the weights hold, read off the headers of safetensors files; None for other formats."""
    files = weight_files(folder)
    if not files or any(file.suffix != ".safetensors" for file in files):
        return None
    headers = [_header(file) for file in files]
    return sum(
        math.prod(entry["shape"]) for header in headers for name, entry in header.items() if name != "__metadata__"
    )


def size_of(folder: Path) -> int:
    """Bytes of all files of a snapshot, links followed."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def begun(name: str, at: Optional[Path] = None) -> int:
    """Bytes of a download that was broken off and can be gone on with."""
    try:
        return sum(file.stat().st_size for file in (model_folder(name, at) / "blobs").glob(f"*{PART}"))
    except OSError:
        return 0


def broken(folder: Path) -> Optional[str]:
    """The name of a file of weights that cannot be whole, by a quick look at its ends; None when nothing shows.

    A safetensors file says in its header how long it is; a `.bin` of today is a zip file, whose list stands at its
    end. A changed byte in the middle is found by `differing` only, which reads everything.
    """
    for file in weight_files(folder):
        try:
            if file.suffix == ".safetensors":
                header = _header(file)
                ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
                whole = file.stat().st_size == _header_length(file) + max(ends, default=0)
            else:
                with file.open("rb") as opened:
                    start = opened.read(2)
                whole = bool(start) and (start != b"PK" or zipfile.is_zipfile(file))
        except NO_HEADER:
            whole = False
        if not whole:
            return file.name
    return None


def differing(folder: Path) -> list[str]:
    """The files of a snapshot whose content is not what their blob's name says; all of it is read (a second a GB)."""
    return [
        str(file.relative_to(folder))
        for file in sorted(folder.rglob("*"))
        if (etag := etag_of(file)) is not None and not matches(file, etag)
    ]


def etag_of(file: Path) -> Optional[str]:
    """The hash that a file of a snapshot should have: the name of the blob it links to. None for a file of its own."""
    if not file.is_symlink():
        return None
    name = file.readlink().name  # one link only: a blob may itself be a link into a store of many caches
    return name if _HASH.fullmatch(name) else None


def matches(file: Path, etag: str) -> bool:
    """Whether the content of a file has the hash `etag`. Raises OSError when it cannot be read."""
    if not file.is_file():
        return False
    hasher = hasher_for(etag, file.stat().st_size)
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest() == etag


def hasher_for(etag: str, size: int) -> Any:
    """The hash by which the hub names a file of this size: 64 digits are SHA-256, 40 are git's SHA-1.

    Git hashes a header with the size in front of the content (the Git book, "Git Internals: Git Objects").
    """
    if len(etag) == 64:
        return hashlib.sha256()
    hasher = hashlib.sha1(usedforsecurity=False)
    hasher.update(b"blob %d\0" % size)
    return hasher


def free_bytes(folder: Path) -> int:
    """Free bytes where a folder is or will be. A quota is not seen here: only writing meets it."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def shown(path: Path) -> str:
    """A path as people write it, with ~ for the home folder."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


def in_words(size: int) -> str:
    """A size as people say it: 3.13 GB, 468 MB, 3.2 MB, 855 kB. Units are powers of 1,000, as on the hub."""
    if size >= 999_500_000:
        return f"{size / 1e9:.2f} GB"
    if size >= 999_500:
        return f"{size / 1e6:.{1 if size < 9_950_000 else 0}f} MB"
    return f"{size / 1e3:.0f} kB" if size >= 1000 else f"{size} bytes"


def count_in_words(parameters: int) -> str:
    """A number of parameters as people say it: 774 M, 1.6 M, 3.5 B."""
    if parameters >= 999_500_000:
        return f"{parameters / 1e9:.1f} B"
    return f"{parameters / 1e6:.{1 if parameters < 99_950_000 else 0}f}".removesuffix(".0") + " M"


def no_room(problem: OSError) -> bool:
    """Whether writing failed because the disk is full or the quota used up."""
    return problem.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def _header_length(file: Path) -> int:
    with file.open("rb") as opened:
        return 8 + int(struct.unpack("<Q", opened.read(8))[0])


def _header(file: Path) -> dict[str, Any]:
    """The header of a safetensors file: eight bytes of length, then JSON (the format's own description)."""
    length = _header_length(file)
    if length > file.stat().st_size:
        raise ValueError(f"{file} ends within its header.")
    with file.open("rb") as opened:
        opened.seek(8)
        header = json.loads(opened.read(length - 8))
    if not isinstance(header, dict):
        raise ValueError(f"{file} has no header.")
    return header
