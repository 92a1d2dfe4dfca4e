"""What a learner gets back: a page with the points, what each check saw, and the notebook with all that it showed.

Everything a learner wrote is a stranger's: text is escaped, HTML is written anew (`safe_html`), and the page's own
policy forbids a browser to run or to load anything. Of the instructor's side nothing shows but the released lesson,
the checks' words and the marker's comments.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.grading.course import Course, sha
from biollm_widgets.grading.page import Discreet, document, made_of, number, plain, plural, text_of
from biollm_widgets.grading.safe_html import safe_html, safe_picture, safe_svg
from biollm_widgets.grading.standing import NOT_GRADED, NOT_SUBMITTED, PLAIN, Mark, Named, Standing, names, standings
from biollm_widgets.grading.verdicts import REFUSED, REPAIRED

# Letters. A page stays below 3 MB, which every mail and every LMS takes.
WHOLE, OUTPUT, PICTURE, SOURCE, HEAD, TAIL = 2_400_000, 20_000, 700_000, 50_000, 12_000, 4_000
CELLS = 1_500  # of a notebook that are shown
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_SIGNS = {"full": "✓", "part": "◐", "none": "✗", "wait": "…"}


@dataclass(frozen=True)
class Written:
    """What became of one learner's page: "written", "unchanged", or why there is none, as a sentence."""

    learner: str
    path: Optional[Path]
    words: str


def feedback(course: Course, lesson: str, learners: Sequence[str] = (), force: bool = False) -> Iterator[Written]:
    """Write the pages of a lesson where nbgrader keeps its feedback, one learner after the other.

    A page that was made of just the same is left as it is, unless `force` is given.

    Raises
    ------
    InputError
        No such lesson or learner, no gradebook, or a page that cannot be written.
    """
    every = standings(course, lesson)
    known = {one.learner for one in every}
    for learner in learners:
        if learner not in known:
            raise InputError(f"{lesson} has no learner {learner!r}; learners are named as their folders are.")
    pages = Pages(course, lesson, every)
    for one in every:
        if not learners or one.learner in learners:
            yield _write(pages, one, force)


def _write(pages: Pages, standing: Standing, force: bool) -> Written:
    learner, course = standing.learner, pages.course
    if standing.state == NOT_SUBMITTED:
        return Written(learner, None, f"{learner} has handed in nothing.")
    if standing.state == NOT_GRADED:
        return Written(learner, None, f"{learner} is not graded yet; run `biollm grade {pages.lesson}`.")
    source = course.autograded(pages.lesson, learner) / f"{pages.lesson}.ipynb"
    try:
        notebook = None if standing.state == REFUSED else source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return Written(learner, None, f"{learner} has no {source}; run `biollm grade {pages.lesson} --force`.")
    path = course.feedback(pages.lesson, learner) / f"{pages.lesson}.html"
    digest = pages.digest(standing, notebook or "")
    if not force and made_of(path) == digest:
        return Written(learner, path, "unchanged")
    page = pages.page(standing, notebook, digest)
    with whole_file(path) as place:
        place.write_text(page, encoding="utf-8")
    _stamp(course, pages.lesson, learner, path.parent)
    return Written(learner, path, "written")


def _stamp(course: Course, lesson: str, learner: str, folder: Path) -> None:
    """As nbgrader does, put the submission's time beside the page: it takes a page with another one for stale."""
    stamp = course.autograded(lesson, learner) / "timestamp.txt"
    if stamp.is_file() and not stamp.is_symlink() and stamp.stat().st_size < 1000:
        with whole_file(folder / "timestamp.txt") as place:
            place.write_bytes(stamp.read_bytes())


class Pages:
    """The pages of a lesson: what they share is read once.

    Parameters
    ----------
    course : Course
    lesson : str
    every : iterable of Standing
        All learners, whose names are kept out of each other's pages.
    """

    def __init__(self, course: Course, lesson: str, every: Iterable[Standing]) -> None:
        self.course, self.lesson = course, lesson
        source = course.notebook(lesson)
        self._marks = _markers(course)
        released = _read(course.released(lesson))
        self._released = {_id(cell): cell.source for cell in released.cells if _id(cell)} if released else {}
        self.names: dict[str, Named] = names(released or source)
        self.title = _title(released or source, lesson)
        # A line of a hidden test can come back in a traceback.
        self._secrets = sorted({line for cell in source.cells for line in _hidden(cell.source, self._marks)})
        self._aliases = {one.learner: {one.learner, f"{one.first} {one.last}".strip(), one.email} for one in every}
        self._everyone = set().union(*self._aliases.values()) - {""} if self._aliases else set()

    def digest(self, standing: Standing, notebook: str) -> str:
        """Of all that a page is made of."""
        code = b"".join(Path(__file__).with_name(name).read_bytes() for name in _ROOM)
        released = repr(sorted(self._released.items()))
        return sha(repr(standing), notebook, released, repr(self._secrets), repr(self.names), self.title, code)

    def page(self, standing: Standing, notebook: Optional[str], digest: str = "") -> str:
        """The whole page.

        Parameters
        ----------
        standing : Standing
        notebook : str or None
            The graded notebook, as JSON; None where nothing of it is to be shown.
        """
        own = self._aliases.get(standing.learner, {standing.learner})
        tell = Discreet(self.course, self._secrets, self._everyone - own)
        tasks = [_Told(number, mark, standing, self.names, tell) for number, mark in enumerate(standing.marks.values())]
        parts = [self._head(standing, tasks, tell)]
        if standing.state != REFUSED:
            parts.append(_table(tasks))
            if notebook is not None:
                parts.append(_Notebook(self._shown, tasks, standing, tell).body(notebook))
        parts.append(
            "<footer>This page is complete: it needs no connection and runs nothing. Its pictures of widgets are saved "
            "ones; run the notebook to bring back the live views.</footer>"
        )
        return document(f"{self.title}: {standing.learner}", "\n".join(parts), digest)

    def _shown(self, cell: Any) -> str:
        """A cell's source as a learner may see it: where it is locked, as it was handed out."""
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("locked") and _id(cell) in self._released:
            return self._released[_id(cell)]
        # What is open to the learner is his own, whatever he calls it; but hidden tests stay hidden everywhere.
        return _without_hidden(cell.source, self._marks if mark.get("locked") else self._marks[:1])

    def _head(self, standing: Standing, tasks: Sequence[_Told], tell: Discreet) -> str:
        refused = standing.state == REFUSED
        facts = [text_of(standing.learner)]
        if standing.submitted:
            facts.append(f"handed in {standing.submitted:%Y-%m-%d %H:%M} UTC{_late(standing)}")
        if not refused:
            facts.append(f"{number(standing.auto)} points by checks")
            if any(mark.by_hand for mark in standing.marks.values()):
                facts.append(f"{number(standing.by_hand)} points by a person")
            if standing.penalty:
                facts.append(f"{number(standing.penalty)} taken off")
        waiting = [one for one in tasks if one.mark.waits]
        if refused:
            total = '<div class="total"><b>–</b>no points yet</div>'
        else:
            so_far = " so far" if waiting else ""
            total = (
                f'<div class="total"><b>{number(standing.total)}</b>of {number(standing.points)} points{so_far}</div>'
            )
        items = "".join(f"<li>{fact}</li>" for fact in facts)
        said = [f'<header class="head"><div><h1>{text_of(self.title)}</h1><div>{_state(standing)}</div></div>{total}']
        said.append(f'<ul class="facts">{items}</ul></header>')
        verdict = standing.verdict
        if refused and verdict is not None:
            said.append(
                f'<div class="say bad"><p><b>This submission could not be graded.</b> {escape(_cut(tell(verdict.why)))}'
                f"</p><p>{escape(_cut(tell(verdict.ask)))}</p><p>It counts as open, not as zero.</p></div>"
            )
        if verdict is not None and verdict.repairs and not refused:
            listed = "".join(f"<li>{escape(_cut(tell(one)))}</li>" for one in verdict.repairs[:60])
            said.append(
                f'<div class="say warn"><p><b>It was graded on a copy on which this was mended:</b></p>'
                f"<ul>{listed}</ul></div>"
            )
        if verdict is not None and verdict.notes:
            listed = "".join(f"<li>{escape(_cut(tell(one)))}</li>" for one in verdict.notes[:60])
            said.append(f'<div class="say"><p><b>While it ran:</b></p><ul>{listed}</ul></div>')
        if standing.penalty and not refused:
            of = number(standing.auto + standing.by_hand)
            said.append(
                f'<div class="say warn"><p>{number(standing.penalty)} of {of} points '
                f"are taken off because it was handed in late{_late(standing)}.</p></div>"
            )
        if waiting and not refused:
            points = sum(one.mark.points for one in waiting)
            said.append(
                f'<div class="say"><p>{plural(len(waiting), "task waits", "tasks wait")} for a person, '
                f"{number(points)} points in all: the points above are those so far.</p></div>"
            )
        return "\n".join(said)


# The files that a page's look depends on.
_ROOM = ("feedback.py", "page.py", "page.css", "safe_html.py")


def _late(standing: Standing) -> str:
    if not standing.seconds_late:
        return ""
    hours = standing.seconds_late / 3600
    much = f"{number(round(hours / 24, 1))} days" if hours >= 48 else f"{number(round(hours, 1))} hours"
    return f", {much} after the due date"


def _state(standing: Standing) -> str:
    verdict = standing.verdict
    if standing.state == REFUSED:
        return "Not gradable as it is"
    if standing.state == REPAIRED and verdict is not None:
        return f"Graded, with {plural(len(verdict.repairs), 'repair')}"
    return "Graded" if standing.state == PLAIN or verdict is not None else "Not graded"


class _Told:
    """A task in words: how it is called, how it went, in a line and in a card."""

    def __init__(self, place: int, mark: Mark, standing: Standing, called: Mapping[str, Named], tell: Discreet) -> None:
        self.place, self.mark, self.anchor = place, mark, f"task-{place + 1}"
        self.named = called.get(mark.id, Named("", mark.id.replace("-", " "), ""))
        self.comment = tell(standing.comments.get(mark.id, ""))
        task = standing.task(mark.id)
        hand = mark.by_hand and (task is None or not task.check)
        # A person's points may have overruled the check's: then its words would speak of other points.
        self.overruled = mark.by_hand and not hand
        self.saw = [_cut(tell(words)) for words in task.saw] if task is not None else []
        words = (task.belief, task.hint, task.look) if task is not None else ("", "", "")
        self.belief, self.hint, self.look = (_cut(tell(one)) for one in words)
        score = mark.score or 0.0
        if mark.waits:
            self.kind = "wait"
        else:
            self.kind = "full" if score >= mark.points else "part" if score > 0 else "none"
        if mark.waits and not (mark.score and hand):
            self.score = f"waits, of {number(mark.points)}"
        else:
            self.score = f"{number(score)} of {number(mark.points)}"
        if mark.waits:
            self.line = "It waits for a person."
            if self.overruled or mark.score:
                self.line = "A person will look at it again: the answer has changed since it was marked."
        elif self.comment:
            self.line = self.comment
        elif mark.by_hand:
            self.line = "Marked by a person."
        elif self.kind == "full":
            self.line = self.saw[0] if self.saw else "All points."
        else:
            self.line = self.belief or (self.saw[0] if self.saw else "")
        self.line = " ".join(self.line.split())
        if len(self.line) > 180:
            self.line = f"{self.line[:177].rstrip()}…"

    def card(self) -> str:
        """The card below the task."""
        rows = []
        if self.comment:
            rows.append(("Marker", self.comment))
        elif self.mark.waits:
            rows.append(("Marks", self.line))
        elif self.mark.by_hand and not self.overruled:
            rows.append(("Marks", "Given by a person, without a comment."))
        if self.overruled:
            rows.append(("Points", "A person has set them, in place of the check's."))
        rows += [("Saw", words) for words in self.saw[:8]]
        rows += [("Likely", self.belief), ("Hint", self.hint), ("Look at", self.look)]
        listed = "".join(f"<dt>{label}</dt><dd>{escape(words)}</dd>" for label, words in rows if words)
        listed = f"<dl>{listed}</dl>" if listed else ""
        return (
            f'<section class="card {self.kind}" id="{self.anchor}"><h3><span><span class="sign">{_SIGNS[self.kind]}'
            f'</span>{escape(str(self.named))}</span><span class="points">{self.score} points</span></h3>{listed}'
            f'<p class="back"><a href="#tasks">All tasks</a></p></section>'
        )


def _table(tasks: Sequence[_Told]) -> str:
    rows, unit = [], ""
    for one in tasks:
        if one.named.unit != unit:
            unit = one.named.unit
            rows.append(f'<tr class="unit"><td colspan="3">{text_of(unit)}</td></tr>')
        share = 100 * min(1.0, max(0.0, (one.mark.score or 0.0) / one.mark.points)) if one.mark.points else 100
        bar = f'<span class="bar"><i class="{one.kind}" style="width:{share:.0f}%"></i></span>'
        rows.append(
            f'<tr class="{one.kind}"><td><span class="sign">{_SIGNS[one.kind]}</span><a href="#{one.anchor}">'
            f'{escape(str(one.named))}</a></td><td class="n">{one.score}{bar}</td><td>{escape(one.line)}</td></tr>'
        )
    return (
        f'<h2 id="tasks">{_finding(tasks)}</h2><table class="tasks of-learner"><thead><tr><th>Task</th>'
        f'<th class="n">Points</th>'
        f"<th>What happened</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _finding(tasks: Sequence[_Told]) -> str:
    full = sum(one.kind == "full" for one in tasks)
    part = sum(one.kind == "part" for one in tasks)
    waits = sum(one.kind == "wait" for one in tasks)
    words = f"{full} of {plural(len(tasks), 'task')} with all points"
    if part:
        words += f", {part} with some"
    return words + (f", {waits} waiting for a person" if waits else "")


class _Notebook:
    """A learner's notebook as HTML, with a card below each task."""

    def __init__(self, shown: Any, tasks: Sequence[_Told], standing: Standing, tell: Discreet) -> None:
        self._source, self._standing, self._tell = shown, standing, tell
        self._cards = {one.mark.id: one for one in tasks}
        self._left = WHOLE - sum(len(one.card()) + len(one.line) + 400 for one in tasks)

    def body(self, text: str) -> str:
        import nbformat

        try:
            cells = nbformat.reads(text, as_version=4).cells
        except Exception:  # not written by our grader, then; the points stand all the same
            cells = []
        parts = ["<h2>Your notebook</h2>" if cells else "", '<div class="notebook">']
        for cell in cells[:CELLS]:
            parts.append(self._cell(cell))
        if len(cells) > CELLS:
            parts.append(f'<p class="quiet">{plural(len(cells) - CELLS, "further cell")} are not shown here.</p>')
        parts.append("</div>")
        if self._cards:  # their cells are gone from the notebook
            parts.append("<h2>Tasks that are not in the notebook</h2>")
            parts += [one.card() for one in self._cards.values()]
        return "\n".join(parts)

    def _cell(self, cell: Any) -> str:
        mark = cell.metadata.get("nbgrader", {})
        grade_id = _id(cell)
        yours = bool(mark.get("solution")) and not mark.get("locked")
        source = self._tell_source(self._source(cell))
        if cell.cell_type == "markdown":
            made = self._fits(f'<div class="text">{markdown(source, _attached(cell), self._tell)}</div>')
        elif cell.cell_type == "code":
            made = self._fits(f'<div class="code"><pre>{_highlighted(source)}</pre></div>') if source.strip() else ""
            # What a check's own cell showed is in the card; a traceback of it could show more than the card.
            if not (mark.get("grade") and not yours):
                made += self._outputs(cell)
        else:
            made = self._fits(f"<pre>{text_of(source)}</pre>")
        tag = '<p class="tag">Your answer</p>' if yours else ""
        made = f'<div class="cell{" yours" if yours else ""}">{tag}{made}</div>'
        card = self._cards.pop(grade_id, None) if mark.get("grade") or mark.get("task") else None
        if card is not None:
            made += card.card()
        elif grade_id in self._standing.comments and yours:
            words = escape(self._tell(self._standing.comments[grade_id]))
            made += f'<section class="card wait"><dl><dt>Marker</dt><dd>{words}</dd></dl></section>'
        return made

    def _tell_source(self, source: str) -> str:
        source = plain(source)
        if len(source) <= SOURCE:
            return source
        return f"{source[:SOURCE]}\n\n… {len(source) - SOURCE:,} more characters were left out of this page."

    def _fits(self, made: str) -> str:
        """What there is room for on the page, else a sentence."""
        if len(made) > self._left:
            return '<p class="quiet">This was left out, since the page would be too large with it.</p>'
        self._left -= len(made)
        return made

    def _outputs(self, cell: Any) -> str:
        shown = [self._fits(one) for one in map(self._output, cell.get("outputs", [])[:200]) if one]
        if len(cell.get("outputs", [])) > 200:
            shown.append(f"<p>{plural(len(cell.outputs) - 200, 'further output')} were left out of this page.</p>")
        return "".join(f'<div class="out">{one}</div>' for one in shown)

    def _output(self, output: Any) -> str:
        kind = output.get("output_type")
        if kind == "stream":
            name = "stderr" if output.get("name") == "stderr" else "stdout"
            return self._text(_joined(output.get("text", "")), name)
        if kind == "error":
            name, said = (_cut(self._tell(output.get(key, ""))) for key in ("ename", "evalue"))
            trace = output.get("traceback", [])
            lines = "\n".join(map(str, trace)) if isinstance(trace, list) else str(trace)
            folded = f"<details><summary>Where it happened</summary>{self._text(lines)}</details>" if lines else ""
            return f'<div class="error"><b>{escape(name)}</b>: {escape(said)}{folded}</div>'
        if kind in ("display_data", "execute_result"):
            return self._data(output.get("data", {}))
        return ""

    def _data(self, data: Mapping[str, Any]) -> str:
        """The richest form that can be shown."""
        if "text/html" in data:
            text = _joined(data["text/html"])
            if len(text) > 2 * PICTURE:
                return f"<p>A table or a picture of {len(text):,} characters was left out of this page.</p>"
            made = safe_html(text, self._tell)
            if made.strip():
                return f'<div class="html">{made}</div>'
        drawing = _joined(data.get("image/svg+xml", ""))
        if 0 < len(drawing) <= PICTURE and (uri := safe_svg(drawing, self._tell)):
            return f'<img src="{uri}" alt="A drawing">'
        for kind in _PICTURES:
            if kind in data:
                text = "".join(_joined(data[kind]).split())
                if len(text) > PICTURE:
                    return f"<p>A picture of {len(text) * 3 // 4 / 1e6:.1f} MB was left out of this page.</p>"
                if uri := safe_picture(f"data:{kind};base64,{text}"):
                    return f'<img src="{uri}" alt="{escape(self._tell(_joined(data.get("text/plain", "")))[:200])}">'
        if "text/markdown" in data:
            return f'<div class="html">{markdown(_joined(data["text/markdown"])[:SOURCE], {}, self._tell)}</div>'
        for kind in ("text/plain", "text/latex"):
            if kind in data:
                return self._text(_joined(data[kind]))
        return ""

    def _text(self, text: str, name: str = "stdout") -> str:
        """Output as lines; of a long one the beginning and the end."""
        left_out = 0
        if len(text) > 40 * OUTPUT:  # what is cut anyhow need not be read
            left_out = len(text) - 2 * OUTPUT
            text = text[:OUTPUT] + text[-OUTPUT:]
        text = self._tell(text).strip("\n")
        if not text.strip():
            return ""
        end = ""
        if len(text) > OUTPUT:
            left_out += len(text) - HEAD - TAIL
            text, end = text[:HEAD], text[-TAIL:]
        made = f'<pre class="{name}">{escape(text)}</pre>'
        if left_out:
            made += f"<p>… {left_out:,} characters were left out of this page …</p>"
        return made + (f'<pre class="{name}">{escape(end)}</pre>' if end else "")


def markdown(source: str, pictures: Mapping[str, str], tell: Any) -> str:
    """Markdown as HTML that is safe to show; what cannot be read as Markdown is shown as it is."""
    return safe_html(_rendered(source), tell, pictures)


@lru_cache(maxsize=4096)  # the lesson's own text is the same for a whole class
def _rendered(source: str) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    # Deep nesting takes a Markdown reader minutes or its stack.
    if re.search(r"(^|\n)[ \t]*(>[ \t]*){30}|[\[(*_`!]{200}", source):
        return f"<pre>{escape(source)}</pre>"
    # The renderer fails on an attached picture that it is not given; ours are put in afterwards.
    source = source.replace("](attachment:", "](attached.")
    try:
        return str(MarkdownWithMath(renderer=IPythonRenderer(escape=False, exclude_anchor_links=True)).render(source))
    except Exception:  # RecursionError among others: a stranger's text
        return f"<pre>{escape(source)}</pre>"


@lru_cache(maxsize=4096)
def _highlighted(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers.python import PythonLexer

    try:
        return str(highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))).rstrip("\n")
    except Exception:
        return escape(source)


def _attached(cell: Any) -> dict[str, str]:
    """A cell's attached pictures, by the address that its text shows them under."""
    found = {}
    attached = cell.get("attachments", {})
    for name, data in attached.items() if isinstance(attached, dict) else ():
        for kind in _PICTURES:
            if isinstance(data, dict) and kind in data and len(text := _joined(data[kind])) <= PICTURE:
                found[f"attached.{quote(name)}"] = found[f"attached.{name}"] = f"data:{kind};base64,{text}"
    return found


def _joined(text: Any) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text)


def _cut(text: str, most: int = 2000) -> str:
    return text if len(text) <= most else f"{text[:most].rstrip()} … ({len(text) - most:,} more characters)"


def _id(cell: Any) -> str:
    mark = cell.metadata.get("nbgrader", {})
    return str(mark.get("grade_id", "")) if isinstance(mark, dict) else ""


def _read(path: Path) -> Any:
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except Exception:
        return None


def _title(notebook: Any, lesson: str) -> str:
    for cell in notebook.cells:
        found = re.search(r"^#\s+(.+)$", cell.source, re.M) if cell.cell_type == "markdown" else None
        if found:
            return found[1].strip()
    return lesson.replace("_", " ")


# What stands between these is the instructor's own; a course may call them otherwise.
_REGIONS = (
    ("ClearHiddenTests", "begin_test_delimeter", "BEGIN HIDDEN TESTS", "end_test_delimeter", "END HIDDEN TESTS"),
    ("ClearSolutions", "begin_solution_delimeter", "BEGIN SOLUTION", "end_solution_delimeter", "END SOLUTION"),
    (
        "ClearMarkScheme", "begin_mark_scheme_delimeter", "BEGIN MARK SCHEME", "end_mark_scheme_delimeter",
        "END MARK SCHEME",
    ),
)  # fmt: skip


def _markers(course: Course) -> list[tuple[str, str]]:
    found = []
    for section, begin, first, end, last in _REGIONS:
        given = course.config.get(section, {})
        found.append((str(given.get(begin, first)), str(given.get(end, last))))
    return found


def _without_hidden(source: str, marks: Collection[tuple[str, str]]) -> str:
    """A source without the regions that are the instructor's; one that is not closed goes to the end."""
    lines, until = [], ""
    for line in source.split("\n"):
        if until:
            until = "" if until in line else until
            continue
        until = next((end for begin, end in marks if begin in line), "")
        if not until and not any(end in line for _, end in marks):
            lines.append(line)
    return "\n".join(lines)


def _hidden(source: str, marks: Sequence[tuple[str, str]]) -> list[str]:
    """The lines of hidden tests, which are the first of the regions."""
    begin, end = marks[0]
    lines, inside = [], False
    for line in source.split("\n"):
        if begin in line or end in line:
            inside = begin in line
        elif inside and line.strip():
            lines.append(line.strip())
    return lines
