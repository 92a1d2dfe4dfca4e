"""The models of the lessons: what the cache holds, whether it is whole, held twice, and whether the rest fits."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from biollm_widgets.diagnosis import places
from biollm_widgets.diagnosis.findings import BROKEN, FINE, NOTE, Finding, biollm, shown, terminal, variable
from biollm_widgets.diagnosis.person import home
from biollm_widgets.models import cache, local
from biollm_widgets.models.cache import in_words
from biollm_widgets.models.catalog import CATALOG, Model
from biollm_widgets.models.room import HEADROOM

GROUP = "models"
# What a repository may hold besides the weights that are read: the same numbers for other libraries.
_WEIGHTS = (".safetensors", ".bin", ".h5", ".msgpack", ".ot", ".onnx")


def look() -> Iterator[Finding]:
    """The stand-ins, each of the lessons' models, and the room for those that are not here."""
    lessons = [model for model in CATALOG if model.stand_in is not None]
    yield stand_ins(lessons)
    missing = []
    for model in CATALOG:
        found = list(one_model(model))
        yield from found
        if model in lessons and all(one.state != FINE and one.id.startswith("class-") for one in found):
            missing.append(model)
    if missing:
        yield fits(missing)


def stand_ins(lessons: list[Model]) -> Finding:
    """Whether the small models that come with the package are whole."""
    lacking = [one for one in lessons if not _whole(one.stand_in)]
    if not lacking:
        return Finding("stand-ins", GROUP, FINE, "stand-ins whole")
    return Finding(
        "stand-ins",
        GROUP,
        BROKEN,
        f"The small model in place of {' and '.join(one.name for one in lacking)} is missing or damaged in "
        f"{shown(Path(lacking[0].stand_in or '').parent)}.",
        "Install biollm-widgets again.",
    )


def _whole(folder: Path | None) -> bool:
    return folder is not None and cache.holds(folder) and cache.broken(folder) is None


def one_model(model: Model) -> Iterator[Finding]:
    """What the cache has of one model; nothing where it has nothing."""
    if not model.on_hub:
        return
    where = cache.snapshot(model.id)
    key = model.name.lower()
    of_class = next((copy for copy in local.copies(model.id) if copy.shared is not None), None)
    if of_class is not None:
        if (fault := local.fault_of(of_class)) is None:
            yield Finding(f"class-{key}", GROUP, FINE, f"{model.name} whole, in {of_class.where}")
        else:
            passed = local.passed_over(model.id, of_class, fault)
            yield Finding(f"class-{key}", GROUP, NOTE, passed, "Ask your instructor; the lessons run meanwhile.")
    if where is None:
        if (begun := cache.begun(model.id)) > 0:
            yield Finding(
                f"model-{key}",
                GROUP,
                NOTE,
                f"The download of {model.name} broke off at {in_words(begun)}.",
                "Go on with it:",
                biollm("fetch", model.name),
            )
        return
    damaged = cache.broken(where)
    if damaged:
        yield Finding(
            f"model-{key}",
            GROUP,
            BROKEN,
            f"{model.name} is damaged in the cache: {damaged} is not whole.",
            "Fetch that file again:",
            biollm("fetch", model.name),
        )
        return
    extra = surplus(model, where)
    if extra:
        size = sum({file.resolve(): file.stat().st_size for file in extra}.values())
        kept = cache.weight_files(where)[0].suffix.removeprefix(".")
        files = sorted({str(path) for file in extra for path in (file, file.resolve())})
        yield Finding(
            f"twice-{key}",
            GROUP,
            NOTE,
            f"{model.name} lies in the cache in more than one format; the {kept} is read, and {in_words(size)} are "
            "never read.",
            "Delete what is not read:",
            terminal("rm", *files),
        )
    else:
        yield Finding(f"model-{key}", GROUP, FINE, f"{model.name} whole, {in_words(cache.size_of(where))}")


def surplus(model: Model, where: Path) -> list[Path]:
    """Files of weights, in all snapshots of a model, whose content is not what is read from the snapshot `where`.

    Another commit's weights in the format that is read are not counted: somebody may have asked for that commit.
    """
    read = cache.weight_files(where)
    kept = {file.resolve() for file in read}
    endings = {file.suffix for file in read}
    return [
        file
        for file in sorted((cache.model_folder(model.id) / "snapshots").glob("*/*"))
        if file.suffix in _WEIGHTS and file.suffix not in endings and file.is_file() and file.resolve() not in kept
    ]


def fits(missing: list[Model]) -> Finding:
    """Whether there is room for the models that are not here."""
    names = [one.name for one in missing]
    needed = sum((one.size_bytes or 0) - cache.begun(one.id) for one in missing)
    free = cache.free_bytes(cache.root())
    left = [one.left for one in places.quotas(cache.root()) if _same_disk(one.disk, cache.root())]
    by_quota = bool(left) and min(left) < free
    free = min([free, *left])
    words = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not here"
    where = shown(cache.root())
    if needed + HEADROOM <= free:
        return Finding(
            "models-room",
            GROUP,
            NOTE,
            f"{words}: the lessons use the small stand-ins. {in_words(needed)} needed, {in_words(free)} free.",
            "For the real ones, with a connection:",
            biollm("fetch", *names),
        )
    larger = _larger(needed + HEADROOM)
    return Finding(
        "models-room",
        GROUP,
        NOTE,
        f"{words}, and do{'es' if len(names) == 1 else ''} not fit: {in_words(needed)} needed, {in_words(free)} "
        f"{'left of your quota' if by_quota else 'free'} in {where}. The lessons use the small stand-ins.",
        f"Make room, or name a folder on a larger disk (HF_HOME) before you fetch them{':' if larger else '.'}",
        variable("HF_HOME", larger) if larger else "",
    )


def _larger(needed: int) -> str:
    """A folder with enough room: $SCRATCH, else the roomiest of home, work and temporary folder; "" without one."""
    if places.scratch_there() and cache.free_bytes(Path(os.environ["SCRATCH"])) >= needed:
        return "$SCRATCH/cache"
    rooms = {}
    for folder in (home(), Path.cwd(), Path(tempfile.gettempdir())):
        try:
            rooms[str(folder / "huggingface")] = cache.free_bytes(folder)
        except OSError:
            continue
    best = max(rooms, key=lambda place: rooms[place], default="")
    return best if best and rooms[best] >= needed else ""


def _same_disk(disk: str, folder: Path) -> bool:
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return places.mount_of(disk).stat().st_dev == folder.stat().st_dev or disk == str(folder)
    except OSError:
        return False
