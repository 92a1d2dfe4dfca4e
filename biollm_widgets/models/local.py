"""What this computer has of a model: a copy in the class's cache, one in the person's own, and which of them counts.

The class's goes first, so that all of a class work with the same files. Only a copy of one's own of the very same
commit goes before it: it has the same bytes, is nearer, and is how a learner gets around a damaged file in a folder
that is not his to write. A copy that is damaged or closed to this person is passed over, with a sentence.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from biollm_widgets.models import cache, places
from biollm_widgets.models.places import Shared


@dataclass(frozen=True)
class Copy:
    """A snapshot of a model; `shared` is the class's cache that it lies in, None for one's own."""

    path: Path
    shared: Optional[Shared] = None

    @property
    def where(self) -> str:
        return "the local cache" if self.shared is None else self.shared.words

    @property
    def reads_text(self) -> bool:
        """Whether a tokenizer is there: transformers fetches config and weights alone for whoever loads only those."""
        return cache.holds(self.path, weights=False)


@dataclass(frozen=True)
class Here:
    """What there is of a model.

    Attributes
    ----------
    copy : Copy or None
        The one that counts, with whole weights. It is without a tokenizer only where no other has one.
    damaged : str or None
        A damaged file of one's own cache, where no whole copy was found.
    """

    copy: Optional[Copy]
    damaged: Optional[str] = None


def copies(name: str, weights: bool = True) -> list[Copy]:
    """All copies of a model (or, without `weights`, of its tokenizer), the one that counts first; whole or not."""
    found = []
    if (path := cache.snapshot(name, weights)) is not None:
        found.append(Copy(path))
    shared = places.shared()
    if shared is not None:
        theirs = cache.snapshot(name, weights, at=shared.hub)
        if theirs is not None:
            same = bool(found) and found[0].path.name == theirs.name
            found.insert(1 if same else 0, Copy(theirs, shared))
        elif closed := _closed(cache.model_folder(name, at=shared.hub)):
            places.tell(_ask_instructor(f"{closed} cannot be read by you", shared))
    return found


def find(name: str, weights: bool = True) -> Here:
    """The copy of a model that counts, by a quick look at the ends of its files; what is wrong with others is told."""
    damaged, spare = None, None
    for copy in copies(name, weights):
        fault = fault_of(copy) if weights else None
        if fault is None and copy.reads_text:
            if spare is not None and spare.shared is not None:
                places.tell(passed_over(name, spare, None))
            return Here(copy)
        if fault is None:
            spare = spare or copy
        elif copy.shared is None:
            damaged = fault
        else:
            places.tell(passed_over(name, copy, fault))
    return Here(spare, None if spare else damaged)


def fault_of(copy: Copy) -> Optional[str]:
    """The name of a file that is closed to this person or not whole, by a quick look; None when nothing shows."""
    closed = next((file.name for file in _read_by_loading(copy.path) if not os.access(file, os.R_OK)), None)
    return closed or cache.broken(copy.path)


def passed_over(name: str, copy: Copy, fault: Optional[str]) -> str:
    """The sentence on a copy in the class's cache that does not count: for the file `fault`, or without a tokenizer."""
    assert copy.shared is not None
    if fault is None:
        return _ask_instructor(f"{name} in {copy.where} is without its tokenizer", copy.shared)
    closed = not os.access(copy.path / fault, os.R_OK)
    what = "cannot be read by you" if closed else "is damaged"
    return _ask_instructor(f"{fault} of {name} in {copy.where} {what}", copy.shared)


def _ask_instructor(wrong: str, shared: Shared) -> str:
    return f"{wrong}, so it is passed over; whoever made it mends it with biollm fetch --shared {shared.folder}."


def _read_by_loading(folder: Path) -> list[Path]:
    return [folder / cache.CONFIG, *cache.weight_files(folder)]


def _closed(folder: Path) -> Optional[Path]:
    """The first folder of a model that is there and cannot be looked into."""
    for one in (folder, folder / "snapshots", folder / "refs", folder / "blobs"):
        try:
            if one.is_dir() and not os.access(one, os.R_OK | os.X_OK):
                return one
        except OSError:
            return one
    return None
