"""`biollm check`: run a lesson's notebook from top to bottom and say what each of its checks found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import click

from biollm_widgets.checks import find, records
from biollm_widgets.errors import InputError
from biollm_widgets.kernels import own_kernel

WIDTH = 100
_CALL = re.compile(r"""^[^#\n]*?\bcheck\(\s*["']([\w.]+)["']""", re.M)


@click.command("check", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--timeout", type=click.IntRange(1), default=600, show_default=True, help="Seconds a cell may take.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def command(notebook: Path, timeout: int, as_json: bool) -> int:
    """Run NOTEBOOK in a kernel of its own, on this Python, and print what its checks found.

    Nothing is written into the notebook. Exit status: 0 when every check gives all points, 1 when one does not.
    """
    source = _read(notebook)
    names = list(
        dict.fromkeys(name for cell in source.cells if cell.cell_type == "code" for name in _called(cell.source))
    )
    if not names:
        raise InputError(
            f"{notebook}: no cell calls bio.check, so there is nothing to check; is it one of the lessons?"
        )
    points = {name: find(name).points for name in names}
    with tempfile.TemporaryDirectory() as place:
        record = Path(place) / "record.jsonl"
        errors, stopped = _run(source, notebook, record, timeout)
        found = records.read(record)
    rows = [_row(name, points[name], found.get(name), errors.get(name, "")) for name in names]
    right = sum(row["score"] == row["points"] for row in rows)
    if as_json:
        said = {"notebook": str(notebook), "right": right, "checks": rows, "stopped": stopped}
        click.echo(json.dumps(said, indent=1))
    else:
        click.echo("\n".join(_page(rows, right, stopped)))
    return 0 if right == len(rows) else 1


def _called(source: str) -> list[str]:
    return _CALL.findall(source)


def _read(path: Path) -> Any:
    try:
        import ipykernel  # noqa: F401
        import nbclient  # noqa: F401
        import nbformat
    except ImportError:
        raise InputError("A notebook takes two packages; install them with: pip install nbclient ipykernel") from None
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"There is no notebook {path}; check the name.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({' '.join(str(error).split())}).") from None
    try:
        return nbformat.reads(text, as_version=4)
    except Exception as error:
        said = " ".join(str(error).split())[:120]
        raise InputError(f"{path} is no notebook that can be read ({said}); save it again in JupyterLab.") from None


def _run(source: Any, path: Path, record: Path, timeout: int) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Run all cells, also those after an error: with what the cells of checks stopped, and which others did."""
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from tqdm import tqdm

    # The kernel of the lesson may not be installed here, and the one that answers should be this very Python.
    manager = own_kernel(AsyncKernelManager(), record.parent)
    cells = [cell for cell in source.cells if cell.cell_type == "code"]
    bar = tqdm(total=len(cells), desc=path.name, unit="cell", disable=None, leave=False)
    client = NotebookClient(
        source, km=manager, timeout=timeout, allow_errors=True, on_cell_executed=lambda **given: bar.update(),
        resources={"metadata": {"path": str(path.parent)}},
    )  # fmt: skip
    stopped = ""
    try:
        # What a kernel says about itself is nothing that the learner asked for.
        client.execute(env={**os.environ, records.VARIABLE: str(record)}, stderr=subprocess.DEVNULL)
    except CellTimeoutError:
        stopped = f"a cell took longer than {timeout} s"
    except DeadKernelError:
        stopped = "the kernel ended; memory may have run out"
    finally:
        bar.close()
    errors: dict[str, str] = {}
    places: list[dict[str, Any]] = []
    for number, cell in enumerate(source.cells, 1):
        if cell.cell_type != "code":
            continue
        wrong = next((out for out in cell.get("outputs", []) if out.output_type == "error"), None)
        said = f"{wrong.ename}: {wrong.evalue}"[:200] if wrong is not None else stopped
        if wrong is not None and not _called(cell.source):  # one with a check is told with it
            first = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
            places.append({"cell": number, "line": first[:80], "error": said})
        for name in _called(cell.source):
            if said:
                errors.setdefault(name, said)
    return errors, places


def _row(name: str, points: int, found: Any, error: str) -> dict[str, Any]:
    row = {"name": name, "score": 0.0, "points": points, "mistake": "", "belief": "", "hint": "", "look": ""}
    if found is not None:
        return {**row, **found}
    words = f"Its cell did not come to the check ({error})." if error else "Its cell was not run."
    hint = "Run the notebook from the top; the first error is the one to mend."
    return {**row, "mistake": "not run", "belief": words, "hint": hint}


def _page(rows: list[dict[str, Any]], right: int, stopped: list[dict[str, Any]]) -> list[str]:
    wide = max(len(row["name"]) for row in rows)
    lines = []
    for row in rows:
        full = row["score"] == row["points"]
        lines.append(f"{'✓' if full else '✗'} {row['name'].ljust(wide)}  {row['score']:>4g} of {row['points']}")
        for words in () if full else (row["belief"], f"Hint: {row['hint']}"):
            lines += textwrap.wrap(words, WIDTH, initial_indent="    ", subsequent_indent="    ")
    if stopped:
        first, more = stopped[0], len(stopped) - 1
        words = f"Cell {first['cell']} ({first['line']}) stopped with {first['error']}."
        if more:
            words += f" So did {more} other{'s' * (more > 1)}, perhaps for that reason; mend this one first."
        lines += textwrap.wrap(words, WIDTH)
    total, most = sum(row["score"] for row in rows), sum(row["points"] for row in rows)
    lines.append(f"{right} of {len(rows)} checks give all points: {total:g} of {most} points.")
    return lines
