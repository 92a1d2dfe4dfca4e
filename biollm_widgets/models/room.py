"""Whether what is to come fits where it goes, and what to say when it does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Optional, Protocol

from biollm_widgets.models import cache
from biollm_widgets.models.cache import in_words, shown
from biollm_widgets.models.hub import HubError
from biollm_widgets.models.places import Place

HEADROOM = 64_000_000  # bytes left free: a disk filled to the last byte cannot save the learner's notebook


class Need(Protocol):
    """Something that is to be fetched: a model or a data set."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> Optional[int]: ...
    @property
    def missing(self) -> int: ...
    @property
    def place(self) -> Place: ...


def room(needs: Iterable[Need]) -> None:
    """See that all of it fits together, disk by disk.

    Raises
    ------
    HubError
        When it does not, or when a folder cannot be looked at.
    """
    disks: dict[int, list[Need]] = {}
    frees: dict[int, int] = {}
    for one in needs:
        try:
            disk = _disk(one.place.folder)
            frees[disk] = cache.free_bytes(one.place.folder)
        except OSError as problem:
            raise unwritable(problem, one.name, one.place) from problem
        disks.setdefault(disk, []).append(one)
    for disk, together in disks.items():
        missing, free = sum(one.missing for one in together), frees[disk]
        if not missing or missing + HEADROOM <= free:
            continue
        wanted = [one for one in together if one.missing]
        several = len(wanted) > 1
        spare = f", and {in_words(HEADROOM)} to spare," if missing <= free else ""
        place = wanted[0].place
        raise HubError(
            listed([one.name for one in wanted]),
            f"{'they need' if several else 'it needs'} {in_words(missing)}{spare} where {in_words(free)} are free, in "
            f"{folders(wanted)}",
            f"make room, or {place.larger}",
            state=f"{'are' if several else 'is'} not in {place.words}",
        )


def announce(one: Need) -> str:
    """The line that is said before the first byte."""
    where = f"{in_words(cache.free_bytes(one.place.folder))} free in {shown(one.place.folder)}"
    if one.size is None:
        return f"{one.name}: its server does not say how large it is, {where}."
    rest = "" if one.missing == one.size else f" ({in_words(one.size - one.missing)} are there already)"
    return f"{one.name}: {in_words(one.missing)} needed{rest}, {where}."


def announce_all(needs: Sequence[Need]) -> str:
    """The line on all of them together, where there are several."""
    names = listed([one.name for one in needs])
    missing = sum(one.missing for one in needs)
    frees = {_disk(one.place.folder): cache.free_bytes(one.place.folder) for one in needs}
    free = " and ".join(in_words(size) for size in frees.values())
    return f"{names}: {in_words(missing)} needed together, {free} free in {folders(needs)}."


def unwritable(problem: OSError, name: str, place: Place, state: Optional[str] = None) -> HubError:
    """A folder that cannot be written, or a disk that is full, as a sentence; `state` is what that means for `name`."""
    where, state = shown(place.folder), state or f"is not in {place.words}"
    if cache.no_room(problem):
        return HubError(
            name,
            f"the disk (or your quota) is full in {where}",
            f"make room, or {place.larger}; what has arrived is kept",
            state=state,
        )
    return HubError(
        name, f"the cache {where} cannot be written ({problem.strerror or problem})", place.other, state=state
    )


def folders(needs: Iterable[Need]) -> str:
    """The folders that they go into, as words."""
    return listed(list(dict.fromkeys(shown(one.place.folder) for one in needs)))


def listed(names: Sequence[str]) -> str:
    """Names as words: a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _disk(folder: Path) -> int:
    """The number of the disk on which a folder is or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.stat().st_dev
