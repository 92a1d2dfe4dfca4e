"""Who is who: a table that says which name or number of a learning platform is which learner of the course."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from biollm_widgets.errors import InputError

_LONGEST = 80  # letters of a learner's id, which is a folder's name
# The first of these that a table has is the learner's id. A gradebook of Canvas calls its own number "ID".
_OWN = ("learner", "learner id", "student id")
_CANVAS = ("sis login id", "sis user id", "integration id")
_MOODLE = ("username", "id number")
_NAMES = ("student", "full name", "name", "display name", "student name")
_EMAILS = ("email address", "email", "e mail")
_NUMBERS = ("canvas id", "canvas user id", "moodle id", "identifier", "user id")


def safe_id(text: str) -> str:
    """A learner's id of any text: the name of a folder on every system, and one that nbgrader takes; maybe empty."""
    text = unicodedata.normalize("NFC", text).strip()
    made = re.sub(r"[^\w.@-]+", "-", text)  # nbgrader parts names at "+"
    return made.strip("-.")[:_LONGEST].strip("-.")


def squashed(name: str) -> str:
    """A name without case, accents, blanks and marks: platforms leave out one or the other in names of files."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in plain if letter.isalnum())


@dataclass
class Roster:
    """Learners by the names and numbers that a platform has for them.

    Attributes
    ----------
    by_number, by_name : dict of str to set of str
    said : list of str
        What was mended, as sentences.
    """

    by_number: dict[str, set[str]] = field(default_factory=dict)
    by_name: dict[str, set[str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def find(self, number: str, name: str) -> set[str]:
        """The learners whom a number or, failing that, a name fits; more than one when it cannot be told."""
        for key in (number, name.strip()):
            if key and key.casefold() in self.by_number:
                return self.by_number[key.casefold()]
        return self.by_name.get(squashed(name), set()) if squashed(name) else set()

    def add(self, learner: str, numbers: list[str], names: list[str]) -> None:
        """Make a learner known under numbers, and under names in either order of their parts."""
        for number in (learner, *numbers):
            if number:
                self.by_number.setdefault(number.casefold(), set()).add(learner)
        for name in names:
            last, comma, first = name.partition(",")
            words = name.split()
            orders = [last + first, first + last] if comma else [name, "".join(words[-1:] + words[:-1])]
            for order in orders:
                if squashed(order):
                    self.by_name.setdefault(squashed(order), set()).add(learner)


def read_roster(path: Path) -> Roster:
    """A table of learners: our own columns, a gradebook export of Canvas, or a list of participants from Moodle.

    Columns are `id` (the learner's) with any of `canvas_id`, `moodle_id`, `name`, `email`; of Canvas `Student`, `ID`,
    `SIS Login ID` or `SIS User ID`; of Moodle `Username` or `ID number`, `First name`, `Last name`, `Email address`,
    `Identifier`.

    Raises
    ------
    InputError
        It is not there, is no table, does not say who is which learner, or gives two people the same id.
    """
    rows = _rows(path)
    columns = {_plain(name): name for name in rows[0] if name}
    if not rows[0]:
        raise InputError(f"{path} has no columns; save the table as CSV with a first line of column names.")
    own = [columns[one] for one in (*_OWN, *_CANVAS, *_MOODLE, "id") if one in columns]
    emails = [columns[one] for one in _EMAILS if one in columns]
    of_canvas = "id" in columns and any(one in columns for one in (*_OWN, *_CANVAS))
    names = [columns[one] for one in _NAMES if one in columns]
    parts = [columns[one] for one in ("first name", "last name", "surname") if one in columns][:2]
    numbers = [columns[one] for one in _NUMBERS if one in columns] + ([columns["id"]] if of_canvas else [])
    if not own and not emails:
        raise InputError(
            f"{path} does not say who is which learner: it has the columns {', '.join(columns.values())[:200]}. "
            "Give it a column id, with canvas_id, moodle_id, name or email beside it."
        )
    roster = Roster()
    owners: dict[str, int] = {}
    for line, row in enumerate(rows, 2):
        cells = {key: (value or "").strip() for key, value in row.items() if key and isinstance(value, str)}
        called = [cells.get(one, "") for one in names] + [" ".join(cells.get(one, "") for one in parts)]
        if called[0].casefold().startswith("points possible") or not any(cells.values()):
            continue  # Canvas has the points of its columns in a row of their own
        given = next((cells[one] for one in own if cells.get(one)), "")
        mails = [cells[one] for one in emails if cells.get(one)]
        given = given or (mails[0].partition("@")[0] if mails else "")
        learner = safe_id(given)
        if not learner:
            who = next((name for name in called if name.strip()), f"line {line}")
            roster.said.append(f"{path.name} gives no id for {who}, who was passed over.")
            continue
        if learner != given:
            roster.said.append(f"The id {given} of {path.name} cannot be a folder's name; {learner} is used.")
        if owners.setdefault(learner.casefold(), line) != line:
            raise InputError(
                f"{path}, line {line}: the id {learner} is that of line {owners[learner.casefold()]} already; "
                "every learner needs another id."
            )
        every = [cells.get(one, "") for one in (*numbers, *own)] + mails
        every += [digits[0] for one in every if (digits := re.findall(r"^Participant (\d+)$", one))]
        roster.add(learner, every, [name for name in called if name.strip()])
    if not owners:
        raise InputError(f"{path} lists nobody; export it again, with the participants.")
    return roster


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        data = path.read_bytes()
    except OSError as problem:
        reason = problem.strerror or problem
        raise InputError(f"The table of learners {path} cannot be read ({reason}); name the CSV file.") from None
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError(f"{path} is a spreadsheet; save it as CSV first.")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    first = text.partition("\n")[0]
    mark = max(",;\t", key=first.count)
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=mark, restval=""))
    except csv.Error as problem:
        raise InputError(f"{path} is no table that can be read ({problem}); save it as CSV.") from None
    if not rows:
        raise InputError(f"{path} lists nobody; it needs a line of column names and a line for each learner.")
    return rows


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[_\W]+", " ", name.casefold()).split())
