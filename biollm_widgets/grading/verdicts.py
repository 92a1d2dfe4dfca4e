"""What became of a submission: graded, graded with repairs, or not gradable, and every task of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.files import whole_file

GRADED, REPAIRED, REFUSED = "graded", "graded with repairs", "not gradable"
VERSION = 1  # of the file; a record of another version is graded again


@dataclass
class Task:
    """One task that has points.

    Attributes
    ----------
    id : str
        nbgrader's `grade_id` of the cell.
    check : str
        The name of its check, as in "dna.pooling"; empty for one that a person marks.
    points : float
        At most.
    score : float or None
        None where a person has to mark it.
    saw : list of str
        What the check saw, as sentences.
    mistake : str
        The check's name for the mistake; empty for none.
    belief, hint, look : str
        The likely misconception, one step on, where the lesson speaks of it.
    """

    id: str
    check: str
    points: float
    score: Optional[float] = None
    saw: list[str] = field(default_factory=list)
    mistake: str = ""
    belief: str = ""
    hint: str = ""
    look: str = ""


@dataclass
class Verdict:
    """What became of one learner's submission of one lesson.

    Attributes
    ----------
    learner, lesson : str
        The folders' names: nbgrader's student and assignment.
    why : str
        For one that is not gradable, why, as a sentence; empty otherwise.
    ask : str
        For one that is not gradable, what to ask the learner for, as a sentence.
    repairs : list of str
        What was mended on the copy that was graded, as sentences that the learner can read too.
    notes : list of str
        What happened while it ran (a cell that took too long, output that was cut), as sentences.
    tasks : list of Task
        In the lesson's order. For one that is not gradable, all of them without a score.
    submission : str
        SHA-256 of what was handed in, to see whether it has changed.
    source : str
        SHA-256 of the instructor's notebook and of the versions that it was judged with.
    submitted : str
        When, as nbgrader's timestamp.txt says; empty where nobody knows.
    seconds : float
        What grading it took.
    """

    learner: str
    lesson: str
    why: str = ""
    ask: str = ""
    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    submission: str = ""
    source: str = ""
    submitted: str = ""
    seconds: float = 0.0

    @property
    def state(self) -> str:
        """`GRADED`, `REPAIRED` or `REFUSED`."""
        return REFUSED if self.why else REPAIRED if self.repairs else GRADED

    @property
    def score(self) -> float:
        """Points that checks gave."""
        return round(sum(task.score or 0.0 for task in self.tasks), 2)

    @property
    def points(self) -> float:
        """Points that checks can give: without those that a person marks."""
        return sum(task.points for task in self.tasks if task.check)

    @property
    def summary(self) -> str:
        """The state with its reasons, in a line."""
        if self.why:
            return f"{REFUSED}: {self.why} {self.ask}".strip()
        return f"{self.state}{': ' if self.repairs else ''}{' '.join(self.repairs)}"


def packed(verdict: Verdict) -> dict[str, Any]:
    """A verdict as what JSON can hold."""
    return {"version": VERSION, **asdict(verdict)}


def unpacked(data: Any) -> Optional[Verdict]:
    """A verdict of what JSON held; None for what is none, or of another version."""
    if not isinstance(data, dict) or data.get("version") != VERSION:
        return None
    try:
        tasks = [Task(**task) for task in data["tasks"]]
        return Verdict(**{key: value for key, value in data.items() if key != "version"} | {"tasks": tasks})
    except (KeyError, TypeError):
        return None


def save(verdict: Verdict, path: Path) -> None:
    """Write a verdict; the file is whole or not there."""
    with whole_file(path) as place:
        place.write_text(json.dumps(packed(verdict), indent=1), encoding="utf-8")


def load(path: Path) -> Optional[Verdict]:
    """A saved verdict; None where there is none that can be read."""
    try:
        return unpacked(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
