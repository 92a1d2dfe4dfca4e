"""The folders in which models and data lie: one's own cache, and the one that a class shares.

One's own is the hub client's (HF_HOME, HF_HUB_CACHE). The class's is a folder that `biollm fetch --shared` filled and
that BIOLLM_SHARED_CACHE names; whoever reads from it writes nothing there. It is laid out as an HF_HOME is: `hub` holds
the models, `biollm_widgets` the data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from biollm_widgets import news
from biollm_widgets.models import cache
from biollm_widgets.models.cache import shown

VARIABLE = "BIOLLM_SHARED_CACHE"
DATA = "biollm_widgets"  # the folder of the data sets, in HF_HOME as in a class's cache
# Each of these says where the hub client's cache is; without any it is in the home folder.
_CHOSEN = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME")

_told: set[str] = set()


@dataclass(frozen=True)
class Place:
    """Where something is to be put.

    Attributes
    ----------
    folder : Path
    words : str
        What a sentence calls it.
    larger, other : str
        What to do, as a clause, when the disk is too small and when the folder cannot be written.
    command : str
        What fetches into it.
    """

    folder: Path
    words: str
    larger: str
    other: str
    command: str = "biollm fetch"


@dataclass(frozen=True)
class Shared:
    """The cache that a class shares; `folder` is what BIOLLM_SHARED_CACHE names."""

    folder: Path

    @property
    def hub(self) -> Path:
        return self.folder / "hub"

    @property
    def data(self) -> Path:
        return self.folder / DATA

    @property
    def words(self) -> str:
        return f"the class's cache at {shown(self.folder)}"

    def place(self, folder: Path) -> Place:
        """The place of models or of data in it, for whoever fills it."""
        larger, other = "name a folder on a larger disk", "name a folder of your own"
        return Place(folder, "the class's cache", larger, other, f"biollm fetch --shared {self.folder}")


def own() -> Place:
    """One's own cache of models."""
    return Place(cache.root(), "the local cache", larger("HF_HOME"), "set HF_HOME to a folder of your own")


def larger(variable: str) -> str:
    """What to set to where, on a disk that is too small; on a cluster there is a folder for it."""
    if scratch := _scratch():
        return f"set {variable} to a folder on a larger disk, such as $SCRATCH/cache ({shown(scratch / 'cache')})"
    return f"set {variable} to a folder on a larger disk"


def shared() -> Optional[Shared]:
    """The class's cache that BIOLLM_SHARED_CACHE names, when there is one that can be read.

    What is wrong with it is told once a process, and then it counts as not named: a learner whose class's folder has
    moved still has a cache of his own, and the hub.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if not named:
        return None
    found = Shared(expanded(named).absolute())
    if wrong := _wrong(found):
        tell(f"{VARIABLE} names {shown(found.folder)}, {wrong}; your own cache and the hub are used instead.")
        return None
    try:
        if found.hub.resolve() == cache.root().resolve():
            return None  # HF_HOME is the same folder: one cache, not two
    except OSError:
        pass
    return found


def expanded(named: str) -> Path:
    """A path that a variable of the environment names, with ~ and other variables in it as the hub's client has it."""
    return Path(os.path.expandvars(named)).expanduser()


def tell(sentence: str) -> None:
    """Say something about the class's cache, once a process."""
    if sentence not in _told:
        _told.add(sentence)
        news.say(sentence)


def small_home(folder: Path) -> Optional[str]:
    """A warning where much would go into the home folder of a cluster; None where it does not.

    On Vista home has a small quota, which the free space of its disk does not show, and the lessons' kernel reads
    $SCRATCH/cache: what is fetched without HF_HOME fills the one and is not found by the other.
    """
    scratch = _scratch()
    if scratch is None or any(os.environ.get(name) for name in _CHOSEN):
        return None
    home = Path.home().resolve()
    if not _within(folder, home) or _within(scratch, home):
        return None
    return (
        f"HF_HOME is not set, so this goes into {shown(folder)}: a home folder has a small quota on most clusters, and "
        "the kernel of the lessons looks in $SCRATCH/cache. To put it there, stop this, give "
        "export HF_HOME=$SCRATCH/cache and start again; what has arrived here stays until you remove it."
    )


def _scratch() -> Optional[Path]:
    scratch = os.environ.get("SCRATCH", "").strip()
    try:
        return Path(scratch) if scratch and Path(scratch).is_dir() else None
    except OSError:
        return None


def _within(folder: Path, other: Path) -> bool:
    try:
        return folder.resolve().is_relative_to(other)
    except OSError:
        return False


def _wrong(found: Shared) -> Optional[str]:
    """Why a folder is no class's cache that this person can read, as a clause; None when it is one."""
    try:
        names = {entry.name for entry in os.scandir(found.folder)}
    except FileNotFoundError:
        return "which is not there"
    except NotADirectoryError:
        return "which is no folder"
    except OSError as problem:
        return f"which cannot be read ({problem.strerror or problem})"
    if not names & {"hub", DATA}:
        return "which is no cache (it has neither hub nor biollm_widgets in it; name what biollm fetch --shared named)"
    return None
