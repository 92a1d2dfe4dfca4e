"""A table that a command makes, put into a README between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

END = "<!-- end of table -->"


def put_table(readme: Path, command: str, lines: Sequence[str]) -> None:
    """Replace what stands between the mark of `command` and the end mark, and print it."""
    begin = f"<!-- table: {command} -->"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    table = "\n".join([begin, "", *lines, "", END])
    readme.write_text(before + table + rest.split(END, 1)[1], encoding="utf-8")
    print(table)
