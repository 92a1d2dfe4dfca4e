"""The findings for a terminal, a page and a script."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from biollm_widgets.diagnosis.findings import BROKEN, FINE, GROUPS, NOTE, STATES, Finding

WIDTH = 80
_UNIT = re.compile(r"(\d) (?=(?:GB|MB|kB|GiB|cores?|seconds)\b)")
_MARKS = {BROKEN: "✗", NOTE: "•", FINE: "✓"}
_PLAIN_MARKS = {BROKEN: "x", NOTE: "-", FINE: "+"}
_COLOURS = {BROKEN: "31", NOTE: "33", FINE: "32"}  # of a terminal (ECMA-48): red, yellow, green
_EDGE = "rgba(128,128,128,0.4)"
# In a page the state is said in words; a colour beside it has to be read on white and on black (4.5 : 1 on both is not
# to be had, so it is a mark only).
_DOTS = {BROKEN: "#EE6677", NOTE: "#CCBB44", FINE: "#228833"}


@dataclass(frozen=True, repr=False)
class Report:
    """What the doctor found.

    Attributes
    ----------
    findings : tuple of Finding
        Group by group, each with `.id`, `.group`, `.state`, `.sentence`, `.remedy` and `.command`.
    """

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing that is needed is broken."""
        return not self._in(BROKEN)

    @property
    def verdict(self) -> str:
        """The whole in a line."""
        broken, notes = len(self._in(BROKEN)), len(self._in(NOTE))
        noted = f"{notes} note{'s' if notes != 1 else ''}" if notes else ""
        if broken:
            first = f"{broken} thing{'s' if broken > 1 else ''} that {'is' if broken == 1 else 'are'} needed "
            first += f"{'does' if broken == 1 else 'do'} not work"
            return f"{first}; {noted} besides." if noted else f"{first}."
        return f"Everything needed works; {noted}." if noted else "Everything works."

    def __repr__(self) -> str:
        return self.text()

    def text(self, *, verbose: bool = False, colour: bool = False, width: int = WIDTH, marks: bool = True) -> str:
        """The report for a terminal.

        Parameters
        ----------
        verbose : bool
            What is fine on a line each, with its id, instead of one line a group.
        colour : bool
            Whether the terminal knows colours.
        width : int
            Columns; commands are never broken, so that they can be copied.
        marks : bool
            Whether the terminal can show ✓, • and ✗; else letters take their place.
        """
        used = _MARKS if marks else _PLAIN_MARKS

        def painted(text: str, state: str) -> str:
            return f"\x1b[{_COLOURS[state]}m{text}\x1b[0m" if colour else text

        def strong(text: str) -> str:
            return f"\x1b[1m{text}\x1b[0m" if colour else text

        state = BROKEN if not self.healthy else FINE
        lines = [f"{painted(used[state], state)} {strong(self.verdict)}"]
        # What asks for something first: a person reads the top.
        for one in sorted(self._in(BROKEN) + self._in(NOTE), key=lambda one: STATES.index(one.state)):
            lines += ["", *_wrapped(one.sentence, f"{painted(used[one.state], one.state)} ", width)]
            lines += _wrapped(one.remedy, "  ", width) if one.remedy else []
            lines += [f"      {line}" for line in one.command.splitlines()]
        lines.append("")
        column = max(len(title) for title in GROUPS.values()) + 2
        for group, title in GROUPS.items():
            fine = [one for one in self.findings if one.group == group and one.state == FINE]
            if not fine:
                continue
            if verbose:
                lines += [title, *(f"  {painted(used[FINE], FINE)} {one.sentence} [{one.id}]" for one in fine)]
            else:
                words = "; ".join(one.sentence for one in fine)
                lines += _wrapped(words, f"{painted(used[FINE], FINE)} {title.ljust(column)}", width, column + 2)
        return "\n".join(lines).rstrip()

    def json(self) -> str:
        """The report for a script: `healthy`, `verdict` and the findings."""
        told = {
            "healthy": self.healthy,
            "verdict": self.verdict,
            "findings": [one.as_dict() for one in self.findings],
        }
        return json.dumps(told, indent=1, ensure_ascii=False)

    def _repr_html_(self) -> str:
        """The report for a page: inline styles that JupyterLab keeps, the page's own colours, every text escaped."""
        rows = [f'<div style="padding:8px 12px;font-size:16px"><b>{escape(self.verdict)}</b></div>']
        for one in sorted(self._in(BROKEN) + self._in(NOTE), key=lambda one: STATES.index(one.state)):
            said = "Does not work" if one.state == BROKEN else "Note"
            parts = [
                f'<div><b style="border-left:4px solid {_DOTS[one.state]};padding-left:6px">{said}</b> '
                f"· {escape(GROUPS[one.group])}</div>",
                f'<div style="margin-top:4px">{escape(one.sentence)}</div>',
            ]
            if one.remedy:
                parts.append(f'<div style="margin-top:4px">{escape(one.remedy)}</div>')
            if one.command:
                parts.append(
                    f'<pre style="margin:4px 0 0 0;white-space:pre-wrap;overflow-wrap:anywhere">'
                    f"{escape(one.command)}</pre>"
                )
            rows.append(f'<div style="padding:8px 12px;border-top:1px solid {_EDGE}">{"".join(parts)}</div>')
        fine = []
        for group, title in GROUPS.items():
            words = "; ".join(one.sentence for one in self.findings if one.group == group and one.state == FINE)
            if words:
                fine.append(f"<div><b>{escape(title)}</b>: {escape(words)}</div>")
        if fine:
            opened = "" if self._in(BROKEN) or self._in(NOTE) else " open"
            rows.append(
                f'<details{opened} style="padding:8px 12px;border-top:1px solid {_EDGE}">'
                f"<summary>What is fine</summary>{''.join(fine)}</details>"
            )
        return (
            f'<div style="border:1px solid {_EDGE};border-radius:4px;max-width:860px;font-size:13px;line-height:1.45">'
            f"{''.join(rows)}</div>"
        )

    def _in(self, state: str) -> list[Finding]:
        return [one for one in self.findings if one.state == state]


def report(findings: Sequence[Finding]) -> Report:
    """The findings in the order of their groups."""
    order = list(GROUPS)
    return Report(tuple(sorted(findings, key=lambda one: order.index(one.group))))


def _wrapped(text: str, first: str, width: int, indent: int = 2) -> list[str]:
    """A paragraph behind `first`, whose colour codes take no room; its other lines are moved in."""
    visible = first
    for code in ("\x1b[0m", *(f"\x1b[{one}m" for one in (*_COLOURS.values(), "1"))):
        visible = visible.replace(code, "")
    # A number stays beside its unit: a space that does not break, until the lines are made.
    made = textwrap.wrap(
        _UNIT.sub("\\1\u00a0", text),
        width,
        initial_indent=" " * len(visible),
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    made = [line.replace("\u00a0", " ") for line in made]
    return [first + made[0][len(visible) :], *made[1:]] if made else [first.rstrip()]
