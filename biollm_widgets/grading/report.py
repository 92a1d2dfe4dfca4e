"""How a class did in a lesson: by task, by mistake, by learner; a page for the instructor, and the same as text."""

from __future__ import annotations

import json
import math
import statistics
import textwrap
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from biollm_widgets.grading.course import Course
from biollm_widgets.grading.likeness import Pair, alike
from biollm_widgets.grading.page import document, number, plain, plural, text_of
from biollm_widgets.grading.standing import NOT_GRADED, NOT_SUBMITTED, PLAIN, Named, Standing, names, standings
from biollm_widgets.grading.verdicts import GRADED, REFUSED, REPAIRED

MISTAKES = 20  # that are told
BINS = 10  # of the totals, at most
_STATES = (GRADED, REPAIRED, PLAIN, REFUSED, NOT_GRADED, NOT_SUBMITTED)
_NO_ANSWER = ("nothing", "not judged")
_LARGEST = 60_000_000  # bytes of a graded notebook that is read for its answers
WIDTH = 100


@dataclass
class TaskLook:
    """One task over the class.

    Attributes
    ----------
    id : str
    named : Named
    points : float
    scores : list of float
        Of those who have one.
    waits : int
        Learners who have none, since it waits for a person.
    """

    id: str
    named: Named
    points: float
    scores: list[float] = field(default_factory=list)
    waits: int = 0

    @property
    def full(self) -> int:
        """Learners with all points."""
        return sum(score >= self.points for score in self.scores)

    @property
    def none(self) -> int:
        """Learners with none."""
        return sum(score <= 0 < self.points for score in self.scores)

    @property
    def part(self) -> int:
        """Learners with some."""
        return len(self.scores) - self.full - self.none

    @property
    def mean(self) -> float:
        """Points a learner; nan where nobody has any yet."""
        return statistics.fmean(self.scores) if self.scores else float("nan")


@dataclass(frozen=True)
class MistakeLook:
    """A mistake that checks know by name, and how many made it."""

    name: str
    task: Named
    belief: str
    hint: str
    learners: tuple[str, ...]


@dataclass
class Look:
    """All that is known of a class in a lesson.

    Attributes
    ----------
    lesson : str
    every : list of Standing
    tasks : list of TaskLook
    mistakes : list of MistakeLook
        The commonest first; answers that are missing at the end.
    pairs : list of Pair
        Submissions that are alike, with the `answers` that are.
    answers : dict
        Of each learner in a pair, the sources by cell.
    cells : dict of str to Named
        How the cells of the answers are called.
    """

    lesson: str
    every: list[Standing]
    tasks: list[TaskLook]
    mistakes: list[MistakeLook]
    pairs: list[Pair]
    answers: dict[str, dict[str, str]]
    cells: dict[str, Named]

    @property
    def counted(self) -> list[Standing]:
        """Those with points."""
        return [one for one in self.every if one.counts]

    @property
    def points(self) -> float:
        """What can be had."""
        return sum(task.points for task in self.tasks)

    @property
    def states(self) -> dict[str, list[Standing]]:
        """Learners by state, those that there are."""
        found: dict[str, list[Standing]] = {state: [] for state in _STATES}
        for one in self.every:
            found[one.state].append(one)
        return {state: those for state, those in found.items() if those}

    def bins(self) -> list[tuple[float, float, int]]:
        """The totals: from, to, and how many; the last one includes its end."""
        if not self.points:
            return []
        width = math.ceil(self.points / BINS)  # whole points, so that the ends are numbers that people know
        bins = math.ceil(self.points / width)
        counts = Counter(min(bins - 1, max(0, int(one.total / width))) for one in self.counted)
        return [(place * width, min((place + 1) * width, self.points), counts[place]) for place in range(bins)]

    def waiting(self) -> dict[str, list[str]]:
        """Tasks that wait for a person, and for whom."""
        found: dict[str, list[str]] = defaultdict(list)
        for one in self.every:
            for task in one.waiting:
                found[task].append(one.learner)
        return found


def look(course: Course, lesson: str) -> Look:
    """Look at a class.

    Raises
    ------
    InputError
        No such lesson, or no gradebook.
    """
    every = standings(course, lesson)
    source = course.notebook(lesson)
    called = names(source)
    tasks: dict[str, TaskLook] = {}
    made: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for one in every:
        if not one.counts:
            continue
        for name, mark in one.marks.items():
            named = called.get(name, Named("", name, ""))
            task = tasks.setdefault(name, TaskLook(name, named, mark.points))
            task.waits += mark.waits and mark.score is None
            if mark.score is not None:
                task.scores.append(mark.score)
        for found in one.verdict.tasks if one.verdict is not None else ():
            if found.mistake:
                made[found.id, found.mistake].append((one.learner, found.belief, found.hint))
    order = {name: place for place, name in enumerate(called)}
    mistakes = [
        MistakeLook(
            mistake, called.get(task, Named("", task, "")), those[0][1], those[0][2], tuple(who for who, _, _ in those)
        )
        for (task, mistake), those in made.items()
    ]
    # An answer that is missing is no belief about biology: it comes behind those.
    mistakes.sort(key=lambda one: (one.name in _NO_ANSWER, -len(one.learners), one.name))
    pairs, answers, cells = _alike(course, lesson, source, every)
    listed = sorted(tasks.values(), key=lambda task: order.get(task.id, len(order)))
    return Look(lesson, every, listed, mistakes, pairs, answers, cells)


def _alike(
    course: Course, lesson: str, source: Any, every: Sequence[Standing]
) -> tuple[list[Pair], dict[str, dict[str, str]], dict[str, Named]]:
    given: dict[str, list[str]] = defaultdict(list)
    prose, cells = [], _answer_names(source)
    for cell in source.cells:
        name = _answer(cell)
        if name:
            lines = [line for line in cell.source.split("\n") if "### BEGIN" not in line and "### END" not in line]
            given[name].append("\n".join(lines))
            if cell.cell_type == "markdown":
                prose.append(name)
    for name, text in _sources(course.released(lesson)).items():
        given[name].append(text)
    answers = {}
    for one in every:
        if one.counts:
            found = _sources(course.autograded(lesson, one.learner) / f"{lesson}.ipynb")
            answers[one.learner] = {name: text for name, text in found.items() if name in given}
    pairs = alike(answers, given, prose)
    told = {learner for pair in pairs for learner in (pair.left, pair.right)}
    return pairs, {learner: answers[learner] for learner in told}, cells


def _answer(cell: Mapping[str, Any]) -> str:
    mark = cell.get("metadata", {}).get("nbgrader", {})
    if not isinstance(mark, dict) or not mark.get("solution") or mark.get("locked"):
        return ""
    return str(mark.get("grade_id", ""))


def _sources(path: Any) -> dict[str, str]:
    """The answers in a notebook, by cell. Read as JSON alone, which is ten times quicker than as a notebook."""
    try:
        if path.stat().st_size > _LARGEST:
            return {}
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found: dict[str, str] = {}
        for cell in cells:
            if name := _answer(cell):
                text = cell.get("source", "")
                found.setdefault(name, "".join(map(str, text)) if isinstance(text, list) else str(text))
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _answer_names(source: Any) -> dict[str, Named]:
    """An answer is called as the next task that has points."""
    called, waiting, found = names(source), [], {}
    for cell in source.cells:
        mark = cell.metadata.get("nbgrader", {})
        if _answer(cell):
            waiting.append(_answer(cell))
        if mark.get("grade"):
            found.update(dict.fromkeys(waiting, called[mark["grade_id"]]))
            waiting = []
    return found


# In words.


def finding(seen: Look) -> str:
    """The class in a sentence."""
    counted = seen.counted
    if not counted:
        return f"{plural(len(seen.every), 'learner')}, none with points yet"
    totals = sorted(one.total for one in counted)
    return (
        f"{plural(len(counted), 'learner')} with points: half have {number(statistics.median(totals))} or more of "
        f"{number(seen.points)}, from {number(totals[0])} to {number(totals[-1])}"
    )


def _extremes(seen: Look) -> list[str]:
    said = []
    several = [task for task in seen.tasks if len(task.scores) >= 2]
    for words, those in (
        ("All points for everybody", [task for task in several if task.full == len(task.scores)]),
        ("All points for nobody", [task for task in several if not task.full]),
    ):
        if those:
            said.append(f"{words}: {', '.join(str(task.named) for task in those)}.")
    return said


def _rare(seen: Look, others: int) -> str:
    whole = len(seen.counted)
    if not others:
        return f"nobody else of {whole}"
    return f"{plural(others, 'other')} of {whole}"


ALIKE_WORDS = (
    "These answers are more alike than the lesson alone explains: worth a look, and no proof of anything. People who "
    "learn together write alike, and so do those who read the same page. What the lesson gives, what is as in your own "
    "solution and what many wrote is left out."
)


# As a page.


def page(looks: Sequence[Look]) -> str:
    """The page: one file that needs no connection and runs nothing."""
    body = "\n".join(_body(seen) for seen in looks)
    title = f"Report: {', '.join(seen.lesson for seen in looks)}"
    footer = (
        "<footer>For instructors: it names learners. Points are those of the gradebook, marks by hand with them; who "
        "could not be graded or has handed in nothing counts nowhere as zero.</footer>"
    )
    return document(title, f"{body}\n{footer}")


def _body(seen: Look) -> str:
    facts = [f"{len(those)} {state}" for state, those in seen.states.items()]
    waiting = seen.waiting()
    if waiting:
        facts.append(f"{sum(map(len, waiting.values()))} marks by hand to give")
    parts = [
        f'<header class="head"><div><div class="quiet">{text_of(seen.lesson.replace("_", " "))}</div>'
        f"<h1>{text_of(finding(seen))}</h1></div>"
        f'<ul class="facts">{"".join(f"<li>{text_of(fact)}</li>" for fact in facts)}</ul></header>'
    ]
    parts += [
        _ask_page(seen),
        _totals_page(seen),
        _tasks_page(seen),
        _mistakes_page(seen),
        _waiting_page(seen, waiting),
    ]
    parts.append(_alike_page(seen))
    return "\n".join(part for part in parts if part)


def _ask_page(seen: Look) -> str:
    rows = []
    for state in (REFUSED, REPAIRED, NOT_GRADED, NOT_SUBMITTED):
        those = seen.states.get(state, [])
        if state in (NOT_GRADED, NOT_SUBMITTED):
            if those:
                listed = ", ".join(one.learner for one in those)
                what = "Run <code>biollm grade</code>." if state == NOT_GRADED else "Nothing was handed in."
                rows.append(
                    f'<tr class="wait"><td class="one"><span class="sign">…</span>{text_of(state)}</td>'
                    f"<td>{text_of(listed)}</td>"
                    f"<td>{what}</td></tr>"
                )
            continue
        for one in those:
            verdict = one.verdict
            if verdict is None:
                continue
            kind, sign = ("none", "✗") if state == REFUSED else ("part", "◐")
            if state == REFUSED:
                told = f"{text_of(verdict.why)} <b>{text_of(verdict.ask)}</b>"
            else:
                told = text_of(_short(" ".join(verdict.repairs), 400))
            rows.append(
                f'<tr class="{kind}"><td class="one"><span class="sign">{sign}</span>{text_of(state)}</td>'
                f"<td>{text_of(one.learner)}</td><td>{told}</td></tr>"
            )
    if not rows:
        return ""
    refused = len(seen.states.get(REFUSED, []))
    title = f"{plural(refused, 'submission')} could not be graded" if refused else "Every submission could be graded"
    return (
        f'<h2>{title}</h2><div class="scroll"><table class="tasks"><thead><tr><th>State</th><th>Learner</th>'
        f"<th>Why, and what to ask for</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _totals_page(seen: Look) -> str:
    bins = seen.bins()
    if not seen.counted or not bins:
        return ""
    most = max(count for _, _, count in bins)
    rows = "".join(
        f"<div>{number(low)} to {number(high)}</div>"
        f'<div class="fill" style="width:{100 * count / most:.1f}%"></div><div>{count or ""}</div>'
        for low, high, count in reversed(bins)
    )
    totals = [one.total for one in seen.counted]
    waits = sum(bool(one.waiting) for one in seen.counted)
    more = f" {plural(waits, 'total is', 'totals are')} so far: marks by hand are missing." if waits else ""
    return (
        f"<h2>Points: mean {number(round(statistics.fmean(totals), 1))} of {number(seen.points)}</h2>"
        f'<p class="quiet small">Learners by their points, less what lateness takes off.{more}</p>'
        f'<div class="rows">{rows}</div>'
    )


def _tasks_page(seen: Look) -> str:
    if not seen.tasks:
        return ""
    rows, unit = [], None
    for task in seen.tasks:
        if task.named.unit != unit:
            unit = task.named.unit
            rows.append(f'<tr class="unit"><td colspan="4">{text_of(unit)}</td></tr>')
        whole = max(1, len(task.scores) + task.waits)
        shares = [("full", task.full), ("part", task.part), ("none", task.none), ("wait", task.waits)]
        bar = "".join(f'<i class="{kind}" style="width:{100 * count / whole:.1f}%"></i>' for kind, count in shares)
        mean = f"{task.mean:.1f} of {number(task.points)}" if task.scores else f"– of {number(task.points)}"
        counts = " · ".join(f"{count} {word}" for count, word in zip(
            (task.full, task.part, task.none, task.waits), ("full", "part", "none", "waiting"), strict=True) if count
        )  # fmt: skip
        rows.append(
            f'<tr><td>{text_of(task.named)}</td><td class="n">{mean}</td><td><span class="bar wide" role="img" '
            f'aria-label="{counts}">{bar}</span></td><td class="small quiet">{counts}</td></tr>'
        )
    said = "".join(f"<p>{text_of(words)}</p>" for words in _extremes(seen))
    return (
        f"<h2>{_hardest(seen)}</h2>{said}"
        '<div class="key"><span><span class="bar"><i class="full" style="width:100%"></i></span>all points</span>'
        '<span><span class="bar"><i class="part" style="width:100%"></i></span>some</span>'
        '<span><span class="bar"><i class="none" style="width:100%"></i></span>none</span>'
        '<span><span class="bar"><i class="wait" style="width:100%"></i></span>waits for a person</span></div>'
        '<div class="scroll"><table class="tasks"><thead><tr><th>Task</th><th class="n">Mean</th><th>Learners</th>'
        "<th></th>"
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _hardest(seen: Look) -> str:
    scored = [task for task in seen.tasks if task.scores and task.points]
    if not scored:
        return "Tasks"
    hardest = min(scored, key=lambda task: task.mean / task.points)
    return f"{text_of(hardest.named)} was the hardest: {100 * hardest.mean / hardest.points:.0f} % of its points"


def _mistakes_page(seen: Look) -> str:
    if not seen.mistakes:
        return ""
    rows = "".join(
        f'<tr><td class="n">{len(one.learners)}</td><td>{text_of(one.task)}<br><code>{text_of(one.name)}</code></td>'
        f"<td>{text_of(one.belief)}"
        f'<div class="quiet small">{text_of(_some(one.learners))}</div></td></tr>'
        for one in seen.mistakes[:MISTAKES]
    )
    first = seen.mistakes[0]
    more = len(seen.mistakes) - MISTAKES
    rest = f'<p class="quiet small">{plural(more, "rarer mistake")} more.</p>' if more > 0 else ""
    return (
        f"<h2>The commonest mistake, {plural(len(first.learners), 'learner')}: {text_of(_lower(first.belief))}</h2>"
        '<table class="tasks"><thead><tr><th class="n">Learners</th><th>Task, mistake</th>'
        f"<th>What they believe</th></tr></thead><tbody>{rows}</tbody></table>{rest}"
    )


def _waiting_page(seen: Look, waiting: Mapping[str, list[str]]) -> str:
    if not waiting:
        return ""
    called = {task.id: task.named for task in seen.tasks}
    rows = "".join(
        f"<li><b>{text_of(called.get(task, task))}</b>: {plural(len(those), 'learner')} "
        f"({text_of(_some(those, 30))})</li>"
        for task, those in waiting.items()
    )
    return (
        f"<h2>{plural(sum(map(len, waiting.values())), 'answer waits', 'answers wait')} for a person</h2>"
        f"<p>Mark them in the formgrader, then run <code>biollm feedback {text_of(seen.lesson)}</code> again.</p>"
        f"<ul>{rows}</ul>"
    )


def _alike_page(seen: Look) -> str:
    if len(seen.counted) < 3:
        return ""
    if not seen.pairs:
        return (
            "<h2>No two submissions are more alike than the lesson explains</h2>"
            '<p class="quiet small">Answers were compared without comments, layout and names; what the lesson gives '
            "and what many wrote is left out.</p>"
        )
    parts = [
        f"<h2>{plural(len(seen.pairs), 'pair')} of submissions worth a look</h2>",
        f'<p class="quiet">{ALIKE_WORDS}</p>',
    ]
    for pair in seen.pairs:
        named = sum(match.same_names for match in pair.matches)
        cells = "".join(_match(seen, pair, match) for match in pair.matches[:12])
        more = len(pair.matches) - 12
        parts.append(
            f"<details><summary><b>{text_of(pair.left)}</b> and <b>{text_of(pair.right)}</b>: "
            f"{plural(len(pair.matches), 'answer')} alike, {named} with the same names</summary>"
            f"<ul>{cells}</ul>{f'<p>{more} more answers.</p>' if more > 0 else ''}</details>"
        )
    return "\n".join(parts)


def _match(seen: Look, pair: Pair, match: Any) -> str:
    names = "the same names" if match.same_names else "other names"
    if match.prose:
        names = "in the same words"
    both = "".join(
        f"<pre>{text_of(_short(seen.answers[who].get(match.cell, ''), 4000))}</pre>" for who in (pair.left, pair.right)
    )
    return (
        f"<li>{text_of(seen.cells.get(match.cell, match.cell))}: {100 * match.alike:.0f} % alike, {names}; written so "
        f'by {_rare(seen, match.others)}.<div class="twocode">{both}</div></li>'
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _some(learners: Sequence[str], most: int = 12) -> str:
    more = len(learners) - most
    return ", ".join(learners[:most]) + (f" and {more} more" if more > 0 else "")


def _lower(sentence: str) -> str:
    """A sentence behind a colon."""
    first = sentence.partition(" ")[0]
    if len(first) > 1 and not first[1:].islower():  # a name in capitals or with digits stays
        return sentence.rstrip(".")
    return (sentence[:1].lower() + sentence[1:]).rstrip(".")


# As text.


def text(seen: Look) -> str:
    """The same for a terminal."""
    lines = [f"{seen.lesson}: {finding(seen)}."]
    lines.append(", ".join(f"{len(those)} {state}" for state, those in seen.states.items()) + ".")
    for one in seen.states.get(REFUSED, []):
        if one.verdict is not None:
            lines += _wrapped(f"{one.learner}: {one.verdict.why} {one.verdict.ask}")
    if seen.counted:
        most = max((count for _, _, count in seen.bins()), default=1) or 1
        lines += ["", "Points"]
        for low, high, count in reversed(seen.bins()):
            bar = "█" * round(30 * count / most) or ("▏" if count else "")
            lines.append(f"  {f'{number(low)} to {number(high)}':>14}  {bar:<30} {count or ''}".rstrip())
    if seen.tasks:
        wide = min(46, max(len(str(task.named)) for task in seen.tasks))
        lines += ["", f"{'Task':<{wide}}  {'mean':>12}  full / part / none"]
        for task in seen.tasks:
            whole = len(task.scores)
            mean = f"{task.mean:.1f} of {number(task.points)}" if whole else f"- of {number(task.points)}"
            bar = _bar(task.full, task.part, whole) if whole else " " * 20
            waits = f", {task.waits} waiting" if task.waits else ""
            counts = f"{task.full} / {task.part} / {task.none}{waits}"
            lines.append(f"{_short(plain(task.named), wide):<{wide}}  {mean:>12}  {bar}  {counts}")
        for words in _extremes(seen):
            lines += _wrapped(words)
    if seen.mistakes:
        lines += ["", "The commonest mistakes"]
        for found in seen.mistakes[:10]:
            lines += _wrapped(f"{len(found.learners):>3}  {found.task} ({found.name}): {found.belief}", 7)
    for name, those in seen.waiting().items():
        called = next((str(one.named) for one in seen.tasks if one.id == name), name)
        lines += ["", *_wrapped(f"{plural(len(those), 'answer waits', 'answers wait')} for a person in {called}.")]
    if seen.pairs:
        lines += ["", *_wrapped(ALIKE_WORDS)]
        for pair in seen.pairs:
            rarest = pair.matches[0]
            what = f"{plural(len(pair.matches), 'answer')} alike, the rarest {seen.cells.get(rarest.cell, rarest.cell)}"
            lines += _wrapped(f"  {pair.left} and {pair.right}: {what} (written so by {_rare(seen, rarest.others)})", 4)
    elif len(seen.counted) >= 3:
        lines += ["", "No two submissions are more alike than the lesson explains."]
    return "\n".join(plain(line) for line in lines)


def _bar(full: int, part: int, whole: int) -> str:
    ends = [round(20 * count / whole) for count in (full, full + part)]
    return "█" * ends[0] + "▒" * (ends[1] - ends[0]) + "·" * (20 - ends[1])


def _wrapped(words: str, indent: int = 2) -> list[str]:
    return textwrap.wrap(plain(words), WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)
