"""The chapter's data set as a file: where it is published, where it is kept, and what is written down beside it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Optional

from biollm_widgets.models import places
from biollm_widgets.models.cache import PART
from biollm_widgets.models.places import DATA, Place

NAME = "coding-data"  # as `biollm fetch` knows it
# Adapted by TACC from https://www.kaggle.com/datasets/adnanyaramis/coding-noncoding-dna-sequences.
CHAPTER_URL = (
    "https://raw.githubusercontent.com/TACC/life_sciences_ml_at_tacc/refs/heads/main/docs/section5/files/"
    "Coding_NonCoding_DNA_Sequences.csv"
)
CHAPTER_ROWS = 65_321
CHAPTER_LABELS = {0: 45_603, 1: 19_718}  # as the chapter prints them
COLUMNS = ["DNA_sequence", "Target"]
RECORD = ".sha256"  # the ending of the file with the checksum


def cache_folder() -> Path:
    """Where downloads are kept: `$BIOLLM_CACHE`, `$HF_HOME/biollm_widgets` or `~/.cache/biollm_widgets`.

    On a cluster HF_HOME is already where large files belong, away from a home with a small quota.
    """
    if os.environ.get("BIOLLM_CACHE"):
        return places.expanded(os.environ["BIOLLM_CACHE"])
    if os.environ.get("HF_HOME"):
        return places.expanded(os.environ["HF_HOME"]) / DATA
    return places.expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / DATA


def own_place() -> Place:
    """The same, with what to say when it is too small or closed."""
    variable = "BIOLLM_CACHE" if os.environ.get("BIOLLM_CACHE") else "HF_HOME"
    return Place(cache_folder(), "the local cache", places.larger(variable), f"set {variable} to a folder of your own")


def file_name(url: Optional[str] = None) -> str:
    """What the data set's file is called."""
    return (url or CHAPTER_URL).rsplit("/", 1)[-1]


def part_of(file: Path, key: str) -> Path:
    """Where what has arrived of a file is kept; `key` tells the parts of one content from those of another."""
    return file.with_name(f".{file.name}.{key}{PART}")


def begun(file: Path, key: str = "*") -> int:
    """Bytes of a download that was broken off: of the content `key`, or of any."""
    sizes = [0]
    with suppress(OSError):
        sizes += [part.stat().st_size for part in file.parent.glob(part_of(file, key).name)]
    return max(sizes)


def recorded(file: Path) -> str:
    """The checksum that was written down; empty where there is none, as for a file that was put there by hand."""
    try:
        return file.with_name(file.name + RECORD).read_text().split()[0]
    except (OSError, ValueError, IndexError):
        return ""
