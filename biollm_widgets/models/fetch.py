"""Downloading a model into the Hugging Face cache: one weight format, checked, and gone on with where it broke off.

The newest client of the hub (huggingface_hub 2.4) throws away a part when a download stops, checks only the length of
what came by HTTP, and warns rather than refuses when the disk is too small. Here a part is kept under the name that
the older client uses for it (`<hash>.incomplete`), every file is checked against the hash by which the hub calls it,
and the room is looked at before the first byte. What is written is the client's own cache, so that every other
program finds it there. Code of a repository (`*.py`) is never fetched, nor weights for other libraries.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.models import cache, hub, places
from biollm_widgets.models.cache import FORMATS, PART, in_words
from biollm_widgets.models.download import Count, receive
from biollm_widgets.models.hub import HubError, HubFile, Listing
from biollm_widgets.models.locks import alone
from biollm_widgets.models.places import Place
from biollm_widgets.models.room import announce, room, unwritable

# Config, tokenizer and the licence, at the top of the repository; no model card, no code, no training state.
SMALL = re.compile(
    r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|(vocab|merges)\.txt|(tokenizer|spiece|sentencepiece\.bpe)\.model|LICEN[CS]E(\.\w+)?"
)
WEIGHTS = {
    "safetensors": re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?"),
    "bin": re.compile(r"pytorch_model(-\d{5}-of-\d{5})?\.bin(\.index\.json)?"),
}


@dataclass(frozen=True)
class Plan:
    """What fetching a model would take.

    Attributes
    ----------
    listing : Listing
        What the hub has.
    files : tuple of HubFile
        What is wanted of it.
    weights : str or None
        "safetensors" or "bin"; None when only the tokenizer is wanted.
    size, missing : int
        Bytes of all wanted files, and of what is not in the cache yet.
    place : Place
        The cache it goes into.
    """

    listing: Listing
    files: tuple[HubFile, ...]
    weights: Optional[str]
    size: int
    missing: int
    place: Place

    @property
    def name(self) -> str:
        return self.listing.name

    @property
    def base(self) -> Path:
        """The folder of the model in that cache."""
        return cache.model_folder(self.name, at=self.place.folder)


@dataclass(frozen=True)
class Fetched:
    """A model that is in the cache, whole and checked.

    Attributes
    ----------
    name : str
    path : Path
        The snapshot, a folder for `from_pretrained`.
    weights : str or None
        The format of the weights, "safetensors" or "bin".
    size : int
        Bytes of all its files.
    downloaded : int
        Bytes that came over the network for it now; 0 when all was there.
    resumed : int
        Bytes that an earlier, broken download had left.
    copied : int
        Bytes that came from another cache on this computer: one's own, or the class's.
    replaced : tuple of str
        Files that were in the cache, but damaged.
    seconds : float
    """

    name: str
    path: Path
    weights: Optional[str]
    size: int
    downloaded: int
    resumed: int
    copied: int
    replaced: tuple[str, ...]
    seconds: float


def plan(
    name: str,
    weights: bool = True,
    place: Optional[Place] = None,
    found: Optional[Listing] = None,
    like: Optional[Path] = None,
) -> Plan:
    """Ask the hub what the model consists of, and choose: safetensors if it has them, else `.bin`, never both.

    It is for one's own cache unless another `place` is named. With what is `found` elsewhere, the hub is not asked.
    What is to complete a snapshot `like` one that is there keeps the format of its weights.

    Raises
    ------
    HubError
        As `hub.listing`; and when the repository has no weights (or no tokenizer) that transformers could load.
    """
    found = found or hub.listing(name)
    files = [file for file in found.files if SMALL.fullmatch(file.name)]
    chosen = None
    if weights:
        there = cache.weight_files(like) if like is not None else []
        kinds = sorted(FORMATS, key=lambda kind: not any(WEIGHTS[kind].fullmatch(file.name) for file in there))
        chosen = next((kind for kind in kinds if _has_weights(found.files, kind)), None)
        if chosen is None:
            raise HubError(
                name,
                "the hub has no weights of it that transformers could load (safetensors or pytorch_model.bin)",
                "name another model",
            )
        files += [file for file in found.files if WEIGHTS[chosen].fullmatch(file.name)]
        single, _ = FORMATS[chosen]
        if any(file.name == single for file in files):  # both whole and in parts: the whole one is what is read
            files = [file for file in files if not WEIGHTS[chosen].fullmatch(file.name) or file.name == single]
    if not any(file.name == cache.CONFIG for file in files):
        raise HubError(
            name, "the hub has no config.json of it, so transformers could not load it", "name another model"
        )
    size = sum(file.size for file in files)
    place = place or places.own()
    base = cache.model_folder(name, at=place.folder)
    have = sum(_arrived(base, found.commit, file) for file in files)
    return Plan(found, tuple(files), chosen, size, size - have, place)


def kept(name: str) -> Optional[Listing]:
    """What the hub would list, from a whole copy in one's own cache; None without one that knows its hashes."""
    snapshot = cache.snapshot(name)
    if snapshot is None or cache.broken(snapshot) or not cache.holds(snapshot, weights=False):
        return None
    files = []
    for file in sorted(snapshot.rglob("*")):
        if file.is_file():
            etag = cache.etag_of(file)
            if etag is None:
                return None
            files.append(HubFile(file.relative_to(snapshot).as_posix(), file.stat().st_size, etag))
    return Listing(name, snapshot.name, tuple(files))


def unchecked(path: Path) -> list[str]:
    """The files of a snapshot for which nothing here says what is right, as they are no links to a blob called so.

    They are so on a disk without links, and in a copy that was made without them (cp -rL). Only what a plan would want
    counts: nobody vouches for what else lies there.
    """
    patterns = (SMALL, *WEIGHTS.values())
    files = [file for file in sorted(path.iterdir()) if any(pattern.fullmatch(file.name) for pattern in patterns)]
    return [file.name for file in files if cache.etag_of(file) is None]


def fetch(name: str, weights: bool = True, *, progress: bool = True) -> Fetched:
    """Get a model from the hub into the cache, with a line that says the size first and a bar while it comes.

    Whatever is in the cache already is kept if its hash is right, and fetched anew if not. Ctrl-C and a broken
    connection leave what has arrived; the same call goes on from there.

    Parameters
    ----------
    name : str
        An id on the hub.
    weights : bool, default True
        Without them: config and tokenizer alone.
    progress : bool, default True
        Whether to say the line and show the bar.

    Raises
    ------
    HubError
        When the hub cannot be asked, the disk is too small or cannot be written, or the download does not end well.
    """
    return _fetched(plan(name, weights), progress)


def complete(name: str, path: Path) -> Optional[Fetched]:
    """Get what a snapshot with weights alone lacks, as `fetch` does; None when the hub has no tokenizer either.

    Raises
    ------
    HubError
        As `fetch`.
    """
    planned = plan(name, like=path)
    if not any(file.name in cache.TOKENIZER_FILES for file in planned.files):
        return None
    return _fetched(planned, True)


def _fetched(planned: Plan, progress: bool) -> Fetched:
    room([planned])
    if planned.missing and planned.weights and progress:  # a tokenizer's few hundred kilobytes are not worth a line
        if warning := places.small_home(planned.place.folder):
            print(warning, file=sys.stderr)
        print(announce(planned), file=sys.stderr)
    return carry_out(planned, progress=progress)


def carry_out(planned: Plan, *, progress: bool = True) -> Fetched:
    """Download what a plan lacks, check everything, and only then let the snapshot appear as the newest.

    Raises
    ------
    HubError
        When the download does not end well, or the cache cannot be written.
    """
    from huggingface_hub.utils import are_progress_bars_disabled
    from tqdm.auto import tqdm

    began = time.perf_counter()
    base = planned.base
    count = Count()
    try:
        (base / "blobs").mkdir(parents=True, exist_ok=True)
        with tqdm(
            total=planned.size,
            desc=planned.name,
            unit="B",
            unit_scale=True,
            delay=0.5,
            mininterval=0.5,
            disable=not progress or are_progress_bars_disabled(),
        ) as bar:
            # The small files first: a gated or vanished model is known before the gigabytes come.
            for file in sorted(planned.files, key=lambda file: file.size):
                _bring(planned, file, bar, count)
        _point_main(base, planned.listing.commit)
    except HubError:
        raise
    except OSError as problem:
        raise unwritable(problem, planned.name, planned.place) from problem
    return Fetched(
        planned.name,
        base / "snapshots" / planned.listing.commit,
        planned.weights,
        planned.size,
        count.downloaded,
        count.resumed,
        count.copied,
        tuple(count.replaced),
        time.perf_counter() - began,
    )


def _has_weights(files: Iterable[HubFile], kind: str) -> bool:
    names = {file.name for file in files}
    return any(name in names for name in FORMATS[kind])


def _places(base: Path, commit: str, file: HubFile) -> tuple[Path, Path]:
    """Where the content of a file is kept, and the name that a snapshot gives it."""
    return base / "blobs" / file.etag, base / "snapshots" / commit / file.name


def _arrived(base: Path, commit: str, file: HubFile) -> int:
    """Bytes of a file that are in the cache already, whole or in part; the content is checked later."""
    blob, pointer = _places(base, commit, file)
    part = blob.with_name(f"{file.etag}{PART}")
    for path in (blob, pointer, part):
        try:
            size = path.stat().st_size
        except OSError:
            continue
        # A blob of another size is damaged and of no use; only a part may be shorter.
        return size if size == file.size or (path == part and size < file.size) else 0
    return 0


def _bring(planned: Plan, file: HubFile, bar: Any, count: Count) -> None:
    """One file into the cache, checked, whoever else may be fetching it at the same time."""
    blob, pointer = _places(planned.base, planned.listing.commit, file)
    # The lock of the hub's client, so that two learners with one cache, or four processes of torchrun, fetch once.
    lock = planned.place.folder / ".locks" / planned.base.name / f"{file.etag}.lock"
    with alone(lock, f"{file.name} of {planned.name}"):
        # Where links cannot be made (Windows, some disks) the content itself stands in the snapshot.
        for there in (blob, pointer):
            if there.exists():
                if cache.matches(there, file.etag):
                    bar.update(file.size)
                    _link(blob, pointer)
                    return
                there.unlink()
                count.replaced.append(file.name)
        part = blob.with_name(f"{file.etag}{PART}")
        if _copy(planned, file, part):
            bar.update(file.size)
            count.copied += file.size
            part.replace(blob)
            _link(blob, pointer)
            return
        if part.exists() and part.stat().st_size > file.size:
            part.unlink()
        for attempt in (1, 2):
            if _receive(planned, file, part, bar, count) == file.etag:
                break
            # Perhaps an old part was at fault: once more, from the first byte.
            bar.update(-part.stat().st_size)
            part.unlink()
            if attempt == 2:
                raise HubError(
                    planned.name,
                    f"what the hub sends as {file.name} is not what it says it is (another SHA hash)",
                    "try again later, or without the proxy if there is one",
                )
        part.replace(blob)
        _link(blob, pointer)


def _copy(planned: Plan, file: HubFile, part: Path) -> bool:
    """Take a file from another cache on this computer, if one has it whole; no network is needed for that."""
    shared = places.shared()
    for spot in [cache.root(), *([shared.hub] if shared is not None else [])]:
        blob = cache.model_folder(planned.name, at=spot) / "blobs" / file.etag
        try:
            if spot == planned.place.folder or not cache.matches(blob, file.etag):
                continue
        except OSError:  # closed to this person
            continue
        shutil.copyfile(blob, part)
        if cache.matches(part, file.etag):
            return True
        part.unlink()
    return False


def _receive(planned: Plan, file: HubFile, part: Path, bar: Any, count: Count) -> str:
    """Download what `part` lacks, and return the hash of the whole."""

    def failed(problem: Optional[BaseException], have: int, last: bool) -> None:
        trouble = hub.explain(problem or TimeoutError(), planned.name)
        if not trouble.passing:
            raise trouble from problem
        if last:
            raise _broken_off(planned, file, have, trouble) from problem

    with part.open("a+b") as out:
        return receive(
            out,
            file.size,
            lambda: cache.hasher_for(file.etag, file.size),
            lambda start: hub.content(planned.name, planned.listing.commit, file, start),
            hub.network_problems(),
            failed,
            bar,
            count,
        )


def _broken_off(planned: Plan, file: HubFile, have: int, trouble: HubError) -> HubError:
    because = trouble.because if "error" in trouble.because else "the hub went silent"
    kept = f", at {in_words(have)} of {in_words(file.size)}; that part is kept" if have else ""
    return HubError(
        planned.name,
        f"the download of {file.name} broke off ({because}{kept})",
        f"run '{planned.place.command} {planned.name}' to " + ("go on from there" if have else "try again"),
    )


def _link(blob: Path, pointer: Path) -> None:
    """Give a blob its name in the snapshot: a relative link, or the file itself where links cannot be made."""
    pointer.parent.mkdir(parents=True, exist_ok=True)
    if not blob.exists() or (pointer.is_symlink() and pointer.readlink().name == blob.name):
        return
    pointer.unlink(missing_ok=True)
    try:
        pointer.symlink_to(Path("..", "..", "blobs", blob.name))
    except (OSError, NotImplementedError) as problem:
        if isinstance(problem, OSError) and cache.no_room(problem):
            raise
        blob.replace(pointer)


def _point_main(base: Path, commit: str) -> None:
    """Make this commit the newest, in one step: a reader never meets half of its name."""
    ref = base / "refs" / "main"
    if ref.is_file() and ref.read_text() == commit:
        return
    ref.parent.mkdir(exist_ok=True)
    temporary = ref.with_name(f"main.{time.time_ns()}")
    temporary.write_text(commit)
    temporary.replace(ref)
