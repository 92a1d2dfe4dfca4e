"""The lessons as files: where the shipped ones are, and how one comes into a learner's folder without harm."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file

FIRST = "start_here.ipynb"
# A hidden folder in the learner's: the lessons as they were put there, to know what is newer. Not as .ipynb, so that
# nothing that collects notebooks takes them for somebody's work.
RECORD = ".biollm"
CHECKPOINTS = ".ipynb_checkpoints"
_LABELS = 3  # cells that are named one by one

Cell = tuple[str, str, str]  # id ("" where it has none), type, source


def shipped(kind: str, ending: str) -> list[Path]:
    """Files that came with the package: from the checkout it runs from, or from where pip put them.

    Parameters
    ----------
    kind : {"lessons", "launcher"}
        The folder of the checkout; pip puts it below `share/biollm_widgets`.
    ending
        Of the files' names, with its dot.
    """
    home = Path(__file__).resolve().parents[1]
    if found := _below(home / kind, ending):
        return found
    try:
        recorded = files("biollm-widgets") or []
    except PackageNotFoundError:
        recorded = []
    paths = [
        Path(str(file.locate())).resolve()
        for file in recorded
        if file.suffix == ending and kind in file.parts and CHECKPOINTS not in file.parts
    ]
    # With `pip install --target` the record names another place than the one where the files are put.
    beside = _below(home / "share" / "biollm_widgets" / kind, ending)
    return sorted({path for path in [*paths, *beside] if path.is_file()})


def _below(folder: Path, ending: str) -> list[Path]:
    """Files below a folder by the ending of their names, without the copies that Jupyter makes of what is open."""
    found = (path for path in folder.glob(f"**/*{ending}") if CHECKPOINTS not in path.relative_to(folder).parts)
    return sorted(found)


def shipped_lessons() -> list[Path]:
    """The notebooks that came with the package.

    Raises
    ------
    InputError
        When there are none, which means that the installation is not whole.
    """
    found = shipped("lessons", ".ipynb")
    if not any(path.name == FIRST for path in found):
        raise InputError("The lessons are missing from this installation; install biollm-widgets again.")
    return found


@dataclass
class Put:
    """What became of one lesson.

    Attributes
    ----------
    target : Path
        The learner's file.
    state : {"new", "kept", "newer", "taken"}
        "newer" when another lesson lies beside it.
    beside : Path or None
        The newer lesson; or, when it was taken, where the learner's own is now.
    words : list of str
        What differs, in short clauses; empty when nothing does.
    diff : list of str
        The same in full, as lines of a unified diff.
    """

    target: Path
    state: str
    beside: Optional[Path] = None
    words: list[str] = field(default_factory=list)
    diff: list[str] = field(default_factory=list)


def put(lesson: Path, folder: Path, take: bool = False, kernel: Optional[str] = None) -> Put:
    """Put one lesson into `folder` unless a file of its name is there.

    A lesson that the learner has, in whatever state, is left as it is. If the shipped one has other text or code than
    the one that was put there, it is put beside it as `<name>.new.ipynb`. Where it is not known what was put there,
    the shipped one is compared with what the learner has now.

    Parameters
    ----------
    lesson
        The shipped notebook.
    folder
        The learner's, made when it is not there.
    take
        Whether a newer lesson takes the learner's place; theirs is kept as `<name>.mine.ipynb`.
    kernel
        The name of the kernel that a new file asks for; None leaves the lesson's own.

    Raises
    ------
    InputError
        When a file cannot be written, or the learner's not renamed; the learner's is then under its own name.
    """
    target = folder / lesson.name
    content = _for_kernel(lesson, kernel)
    record = folder / RECORD / f"{lesson.stem}.json"
    if not target.exists():
        _write(target, content)
        _write(record, lesson.read_bytes())
        return Put(target, "new")
    now = cells(lesson)
    if _plain(cells(target)) == _plain(now):
        # The same text, so this is what they work from now, however it came there.
        if _plain(cells(record)) != _plain(now):
            _write(record, lesson.read_bytes())
        return Put(target, "kept")
    before = cells(record)
    if before is not None and _plain(before) == _plain(now):
        return Put(target, "kept")
    started = before if before is not None else cells(target)
    words, diff = ([], []) if started is None or now is None else (in_words(started, now), _diff(started, now, lesson))
    if take:
        mine = _free(target, "mine")
        _take(target, mine, content, record, lesson.read_bytes())
        return Put(target, "taken", mine, words, diff)
    return Put(target, "newer", _beside(target, content), words, diff)


def _take(target: Path, mine: Path, content: bytes, record: Path, original: bytes) -> None:
    """Put `content` in the place of the learner's file, and theirs at `mine`; where that fails, change nothing."""
    try:
        with _writing(target), whole_file(target) as part:
            part.write_bytes(content)
            # Only now, when what takes its place is on the disk.
            try:
                target.rename(mine)
            except OSError as problem:
                reason = problem.strerror or problem
                raise InputError(f"{target} cannot be renamed ({reason}); rename it by hand.") from problem
        _write(record, original)
    except BaseException:  # a Ctrl-C, too
        if os.path.lexists(mine):
            mine.replace(target)
        raise


def _beside(target: Path, content: bytes) -> Path:
    """Where the newer lesson lies: an older one that nobody touched is replaced, one that somebody did is not."""
    record = target.parent / RECORD / f"{target.stem}.new.json"
    place = first = target.with_suffix(".new.ipynb")
    number = 2
    while place.exists():
        there = place.read_bytes() if place.is_file() else b""
        if _plain(_read_cells(there)) == _plain(_read_cells(content)):
            return place
        if place == first and record.is_file() and there == record.read_bytes():
            break
        place = target.with_suffix(f".new-{number}.ipynb")
        number += 1
    _write(place, content)
    if place == first:
        _write(record, content)
    return place


def _free(target: Path, word: str) -> Path:
    place, number = target.with_suffix(f".{word}.ipynb"), 2
    while place.exists():
        place, number = target.with_suffix(f".{word}-{number}.ipynb"), number + 1
    return place


def _write(path: Path, content: bytes) -> None:
    with _writing(path), whole_file(path) as part:
        part.write_bytes(content)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the disk says (that it is full, that the quota is used up) into a sentence."""
    try:
        yield
    except OSError as problem:
        raise InputError(
            f"Cannot write {path} ({problem.strerror or problem}); make room there, or name another folder, as in: "
            "biollm lab FOLDER"
        ) from problem


def kernel_of(lesson: Path) -> str:
    """The name of the kernel that a shipped lesson asks for; "" where it asks for none."""
    return str(_spec(json.loads(lesson.read_bytes())).get("name", ""))


def _spec(notebook: dict[str, Any]) -> dict[str, Any]:
    return notebook.get("metadata", {}).get("kernelspec", {})


def _for_kernel(lesson: Path, kernel: Optional[str]) -> bytes:
    """The bytes of a lesson, asking for the kernel of that name."""
    content = lesson.read_bytes()
    if kernel is None:
        return content
    notebook = json.loads(content)
    own = _spec(notebook)
    if own.get("name") == kernel:
        return content
    shown = own["display_name"] if own.get("name", "").lower() == kernel.lower() else kernel
    notebook["metadata"]["kernelspec"] = {"display_name": shown, "language": "python", "name": kernel}
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def cells(path: Path) -> Optional[list[Cell]]:
    """What a person reads in a notebook: its cells without outputs, counters and metadata. None if it is broken."""
    try:
        return _read_cells(path.read_bytes())
    except OSError:
        return None


def _read_cells(content: bytes) -> Optional[list[Cell]]:
    try:
        return [
            (str(cell.get("id", "")), cell["cell_type"], "".join(cell["source"]))
            for cell in json.loads(content)["cells"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _plain(found: Optional[Sequence[Cell]]) -> Optional[list[tuple[str, str]]]:
    return None if found is None else [(kind, source) for _, kind, source in found]


def in_words(old: Sequence[Cell], new: Sequence[Cell]) -> list[str]:
    """What differs between two notebooks, as clauses: which cells are changed, new, gone or moved."""
    pairs = _pairs(old, new)
    partners = {after for _, after in pairs}
    changed = [new[after] for before, after in pairs if old[before][1:] != new[after][1:]]
    added = [cell for number, cell in enumerate(new) if number not in partners]
    left = {before for before, _ in pairs}
    gone = [cell for number, cell in enumerate(old) if number not in left]
    clauses = [
        f"{len(group)} {'cell' if len(group) == 1 else 'cells'} {word}: {_labels(group)}"
        for word, group in (("changed", changed), ("new", added), ("gone", gone))
        if group
    ]
    return clauses or ["the order of the cells is another"]


def _pairs(old: Sequence[Cell], new: Sequence[Cell]) -> list[tuple[int, int]]:
    """Which cell of one notebook is which of the other: by id where both have ids of their own, else by likeness."""
    before, after = ([cell[0] for cell in side] for side in (old, new))
    if all(before) and all(after) and len({*before}) == len(before) and len({*after}) == len(after):
        place = {name: number for number, name in enumerate(after)}
        found = [(number, place[name]) for number, name in enumerate(before) if name in place]
        if found:
            return found
    pairs: list[tuple[int, int]] = []
    matcher = difflib.SequenceMatcher(None, [cell[1:] for cell in old], [cell[1:] for cell in new], autojunk=False)
    for _, first, last, start, end in matcher.get_opcodes():
        pairs += zip(range(first, last), range(start, end), strict=False)
    return pairs


def _labels(group: Sequence[Cell]) -> str:
    named = []
    for _, _, source in group[:_LABELS]:
        line = next((line.strip("#* ") for line in source.splitlines() if line.strip("#* ")), "an empty cell")
        named.append(f'"{line[:47]}..."' if len(line) > 50 else f'"{line}"')
    more = len(group) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _diff(old: Sequence[Cell], new: Sequence[Cell], lesson: Path) -> list[str]:
    before, after = (
        [line for _, kind, source in side for line in (f"[{kind}]", *source.splitlines(), "")] for side in (old, new)
    )
    return list(difflib.unified_diff(before, after, f"{lesson.name} (before)", f"{lesson.name} (newer)", lineterm=""))
