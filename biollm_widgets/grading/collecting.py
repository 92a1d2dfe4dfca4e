"""What a learning platform gives as a download, put where nbgrader looks for submissions; nothing is lost."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional

from biollm_widgets.errors import InputError
from biollm_widgets.grading.archives import BadArchive
from biollm_widgets.grading.course import Course
from biollm_widgets.grading.downloads import Download, Piece, Who
from biollm_widgets.grading.handed_in import STAMP, opened, shown, walk
from biollm_widgets.grading.rosters import Roster, read_roster, safe_id


@dataclass
class Collected:
    """What became of a download, as sentences.

    Attributes
    ----------
    placed, replaced, skipped, unknown : list of str
        New submissions; those in place of an older one, which is kept; those that were there already; what is nobody's.
    notes : list of str
        What else is worth knowing.
    """

    placed: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def sentences(self) -> list[str]:
        """All of them, and a sum."""
        total = (
            f"{len(self.placed)} submissions are new, {len(self.replaced)} replace an older one, {len(self.skipped)} "
            f"were there already, {len(self.unknown)} things could not be placed."
        )
        return [*self.placed, *self.replaced, *self.skipped, *self.unknown, *self.notes, total]


def collect(download: Path, course: Course, lesson: str, learners: Optional[Path] = None) -> Collected:
    """Put each submission of a download into the course's submitted folder.

    Parameters
    ----------
    download : path
        A zip archive or a folder: Canvas's or Moodle's download of all submissions, a folder for each learner, or
        nbgrader's LEARNER/LESSON.
    course : Course
    lesson : str
    learners : path, optional
        A CSV that says who is which learner; see `rosters.read_roster`. Without it a learner's id is Canvas's
        number, the
        name in Moodle (whose numbers are others for every assignment), or the folder's name.

    Raises
    ------
    InputError
        The download or the table cannot be read, or there is no room; whole submissions placed until then stay.
    """
    roster = read_roster(learners) if learners is not None else None
    found = Collected()
    if roster is not None:
        found.notes += roster.said
    with Download(Path(download), lesson) as opened_one:
        found.unknown += opened_one.unknown
        for learner, pieces in _by_learner(opened_one.pieces, roster, learners, found).items():
            try:
                _place(course, lesson, learner, pieces, opened_one.own, found)
            except BadArchive as problem:
                found.unknown.append(f"{learner}: what was handed in was not placed, for {problem}.")
            except OSError as problem:
                raise InputError(
                    f"{problem.filename or course.submitted(lesson, learner)} cannot be written "
                    f"({problem.strerror or problem}). Make room or see to its rights, and collect again; "
                    "what is placed stays."
                ) from None
    return found


# Who it is.


def _by_learner(
    pieces: list[Piece], roster: Optional[Roster], table: Optional[Path], found: Collected
) -> dict[str, list[Piece]]:
    """The files of each learner."""
    whole: dict[Who, list[Piece]] = {}
    for piece in pieces:
        whole.setdefault(piece.who, []).append(piece)
    ids = _ids(list(whole)) if roster is None else {}
    made: dict[str, list[Piece]] = {}
    for who, own in sorted(whole.items(), key=lambda item: str(item[0])):
        if roster is not None:
            fitting = roster.find(who.number, who.name)
            if len(fitting) != 1:
                where = table.name if table else "the table"
                why = f"fits {' and '.join(sorted(fitting))}" if fitting else "nobody"
                why = (
                    f"{why} in {where}; add the number to it" if fitting else f"is {why} in {where}; add a line for it"
                )
                found.unknown.append(f"{who} {why}, and collect again.")
                continue
            (learner,) = fitting
        else:
            learner = ids[who]
            if not learner:
                found.unknown.append(f"{who} has no letter or digit that a folder could be named by; left out.")
                continue
        made.setdefault(learner, []).extend(own)
    return made


def _ids(every: list[Who]) -> dict[Who, str]:
    """Ids without a table: of Canvas the number, otherwise the name; where two have the same, the number beside it."""
    first = {who: safe_id(who.number if who.platform == "Canvas" else who.name) for who in every}
    often = Counter(made.casefold() for made in first.values())
    made = {}
    for who, one in first.items():
        if often[one.casefold()] > 1:
            # By what it was made of when there is no number: the same each time that it is collected.
            beside = who.number or hashlib.sha256(who.name.encode("utf-8", "replace")).hexdigest()[:6]
            one = safe_id(f"{one}-{beside}")
        made[who] = one
    return made


# Where it goes.


def _place(course: Course, lesson: str, learner: str, pieces: list[Piece], own: bool, found: Collected) -> None:
    target = course.submitted(lesson, learner)
    if target.is_symlink() or target.parent.is_symlink():
        raise InputError(f"{target} is a link to another place; put a folder there, and collect again.")
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(".new-*"):  # of a collection that was stopped
        shutil.rmtree(left, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        new = place / "new"
        new.mkdir()
        when = _write(new, lesson, pieces, own)
        late = " Canvas marks it as late." if any(piece.late for piece in pieces) else ""
        who = f"{learner}" if str(pieces[0].who) == learner else f"{learner} ({pieces[0].who})"
        names = ", ".join(shown(name) for name in sorted(_contents(new))[:4]) or "nothing"
        before = _contents(target) if target.is_dir() else None
        if before is None:
            new.rename(target)
            found.placed.append(f"{who}: {names}.{late}")
            return
        if before == _contents(new):
            found.skipped.append(f"{who}: the same was there already.")
            return
        if _older(when, target):
            found.skipped.append(f"{who}: what is there was handed in later than this, and stays.")
            return
        kept_in = course.private / "replaced" / lesson / learner
        if any(_contents(old) == _contents(new) for old in sorted(kept_in.glob("*")) if old.is_dir()):
            found.skipped.append(f"{who}: this was replaced before by what is there now, which stays.")
            return
        kept = _keep(target, kept_in, course)
        try:
            new.rename(target)
        except OSError:
            shutil.move(kept, target)
            raise
        found.replaced.append(f"{who}: {names}, in place of an older one, which is kept in {kept}.{late}")
    finally:
        shutil.rmtree(place, ignore_errors=True)
        # A learner of whom nothing was placed leaves no folder behind.
        if not any(target.parent.iterdir()):
            target.parent.rmdir()


def _write(folder: Path, lesson: str, pieces: list[Piece], own: bool) -> Optional[datetime]:
    """Write somebody's files, and when they were handed in; the time, where it is known."""
    for name, piece in _named(lesson, pieces).items():
        if name == STAMP and not own:
            continue  # a learner's own file of this name would say when it was handed in
        path = folder / name
        # A file and a folder of the same name can both be in an archive.
        while any(part.is_file() for part in path.parents if part != folder) or path.is_dir():
            path = folder / re.sub(r"[/\\]", "-", f"{name}.other")
        path.parent.mkdir(parents=True, exist_ok=True)
        piece.write(path)
    times = [piece.when for piece in pieces if piece.when is not None and piece.who.platform == "Moodle"]
    if own or not times:
        return _stamp(folder)
    # The clock of the computer that packed it, taken for one with this computer's time zone.
    when = max(times).astimezone(timezone.utc)
    (folder / STAMP).write_text(when.strftime("%Y-%m-%d %H:%M:%S.%f UTC"), encoding="utf-8")
    return when


def _named(lesson: str, pieces: list[Piece]) -> dict[str, Piece]:
    """Files by the names that they are written under. Canvas numbers those handed in again: the last counts."""
    made: dict[str, Piece] = {}
    numbered: list[tuple[int, Piece]] = []
    for piece in pieces:
        again = re.fullmatch(rf"({re.escape(lesson)})(?:-(\d{{1,3}}))?\.ipynb", piece.name, re.I)
        if piece.who.platform == "Canvas" and again:
            numbered.append((int(again[2] or 0), piece))
        else:
            made[_free(piece.name, made)] = piece
    numbered.sort(key=lambda one: one[0])
    for number, piece in numbered[:-1]:
        made[_free(f"{lesson}-{number}.ipynb", made)] = piece
    for _, piece in numbered[-1:]:
        made[_free(f"{lesson}.ipynb", made)] = piece
    return made


def _free(name: str, taken: dict[str, Piece]) -> str:
    """A name that is not taken: one person's files may come from two folders."""
    number, made = 1, name
    stem, dot, ending = name.rpartition(".")
    while made in taken:
        number += 1
        made = f"{stem} ({number}){dot}{ending}" if stem else f"{name} ({number})"
    return made


def _keep(target: Path, folder: Path, course: Course) -> Path:
    """Move what is there to where older submissions are kept; its new place."""
    course.private.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    name = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    kept, number = folder / name, 1
    while kept.exists():
        number += 1
        kept = folder / f"{name}-{number}"
    try:
        target.rename(kept)
    except OSError:  # on another disk
        shutil.copytree(target, kept, symlinks=True)
        shutil.rmtree(target)
    return kept


# What is there.


def _contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder but the time stamp, by name."""
    made = {}
    for entry in walk(folder):
        name = entry.path.relative_to(folder).as_posix()
        if name == STAMP:
            continue
        digest = hashlib.sha256(entry.kind.encode())
        if entry.kind == "file":
            with opened(entry.path) as file:
                while piece := file.read(2**20):
                    digest.update(piece)
        made[name] = digest.hexdigest()
    return made


def _stamp(folder: Path) -> Optional[datetime]:
    """When a submission says that it was handed in, in UTC."""
    from nbgrader.utils import parse_utc

    try:
        with opened(folder / STAMP) as file:
            when = parse_utc(file.read(200).decode("utf-8").strip())
    except Exception:  # there is none, or something else stands in it
        return None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)


def _older(when: Optional[datetime], target: Path) -> bool:
    there = _stamp(target)
    return when is not None and there is not None and when < there
