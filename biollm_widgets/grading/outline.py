"""The lesson as a list of cells with what each is for, and what can be said of code without running it."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import Any, Optional

# What nbgrader_config.py has ClearSolutions put in the place of a solution, for cells that are put back.
CODE_STUB = "...  # your answer"
TEXT_STUB = "*Your answer, in two or three sentences.*"
# Of ClearSolutions itself, for courses that leave it as it is.
_STUBS = (CODE_STUB, TEXT_STUB, "# YOUR CODE HERE", "raise NotImplementedError()", "YOUR ANSWER HERE", "...", "pass")
_LONGEST = 20_000  # letters of code that are parsed; beyond that, names are looked for line by line

SOLUTION, CHECK, LOCKED, PLAIN = "solution", "check", "locked", "plain"
_CALL = re.compile(r"""^[ \t]*(?:bio\.|biollm_widgets\.)?check\(\s*["']([\w.]+)["'].*$""", re.M)


@dataclass
class Spot:
    """A cell of the lesson.

    Attributes
    ----------
    kind : str
        `SOLUTION` (also one that a person marks), `CHECK`, `LOCKED` (to be read only) or `PLAIN`.
    cell : NotebookNode
    name : str
        Its `grade_id`; empty for a plain one.
    blank : str
        Its text as the learner got it.
    binds : frozenset of str
        The names that it gives a value to, as the learner got it.
    checks : tuple of str
        The names of the checks that it calls.
    """

    kind: str
    cell: Any
    name: str
    blank: str
    binds: frozenset[str]
    checks: tuple[str, ...] = ()

    @property
    def code(self) -> bool:
        """Whether it is a cell of code."""
        return self.cell.cell_type == "code"


def outline(source: Any) -> list[Spot]:
    """The cells of the instructor's notebook."""
    made = []
    for cell in source.cells:
        mark = cell.metadata.get("nbgrader", {})
        text = cell.source
        if mark.get("solution"):
            kind, text = SOLUTION, blank(cell)
        elif mark.get("grade"):
            kind = CHECK
        else:
            kind = LOCKED if mark.get("locked") or mark.get("task") else PLAIN
        code = cell.cell_type == "code"
        name = mark.get("grade_id", "") if kind != PLAIN else ""
        checks = tuple(_CALL.findall(text)) if code else ()
        made.append(Spot(kind, cell, name, text, bound(text) if code else frozenset(), checks))
    for number, spot in enumerate(made):
        if spot.kind == SOLUTION and spot.code and not spot.binds:
            # Cleared as a whole: what it has to define is what its check asks for.
            check = next((one for one in made[number + 1 :] if one.kind in (CHECK, SOLUTION)), None)
            if check is not None and check.kind == CHECK:
                made[number].binds = bound(spot.cell.source) & used(check.cell.source)
    return made


def blank(cell: Any) -> str:
    """The text of a solution cell without its solution, as nbgrader's ClearSolutions makes it."""
    stub = CODE_STUB if cell.cell_type == "code" else TEXT_STUB
    lines, inside, cleared = [], False, False
    for line in cell.source.split("\n"):
        if "BEGIN SOLUTION" in line:
            inside = cleared = True
            lines.append(line[: len(line) - len(line.lstrip())] + stub)
        elif "END SOLUTION" in line:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines) if cleared else stub


def untouched(text: str, spot: Spot) -> bool:
    """Whether a learner wrote nothing into a solution cell."""
    if bare(text) in ("", bare(spot.blank)):
        return True
    # Another stub than ours, in a course with another configuration, or none any more.
    kept = [line.strip() for line in spot.blank.split("\n")]
    kept += _STUBS
    return all(line.strip() in kept or not line.strip() for line in text.split("\n"))


def bare(text: str) -> str:
    """A text without the blanks that editors add and take away."""
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


# Names in code. Nothing of it is run.


def _tree(text: str) -> Optional[ast.Module]:
    if len(text) > _LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def bound(text: str) -> frozenset[str]:
    """The names that code gives a value to at its top."""
    tree = _tree(text)
    if tree is None:  # unfinished, or with commands of IPython
        lines = re.findall(r"^(?:async +def|def|class) +(\w+)|^(\w+) *(?::[^=\n]+)?=(?!=)", text, re.M)
        return frozenset(one or other for one, other in lines)
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(one.asname or one.name).partition(".")[0] for one in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if not isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            waiting += ast.iter_child_nodes(node)
    return frozenset(found)


def is_python(text: str) -> bool:
    """Whether a text is whole Python."""
    return _tree(text) is not None


def calls(text: str) -> list[str]:
    """The names of the checks that code calls."""
    return _CALL.findall(text)


def used(text: str) -> frozenset[str]:
    """The names that code reads."""
    tree = _tree(text)
    if tree is None:
        return frozenset(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text))
    return frozenset(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )


def without_checks(text: str) -> str:
    """What stands in a check's cell besides the calls of checks and remarks; empty for nothing."""
    left = text
    tree = _tree(text)
    if tree is not None:
        lines = text.split("\n")
        for node in reversed(tree.body):
            if isinstance(node, ast.Expr) and _CALL.match(ast.unparse(node)):
                lines[node.lineno - 1 : node.end_lineno] = []
        left = "\n".join(lines)
    else:
        left = _CALL.sub("", text)
    return (
        left.strip("\n") if any(line.strip() and not line.lstrip().startswith("#") for line in left.split("\n")) else ""
    )
