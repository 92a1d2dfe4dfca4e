"""`biollm doctor`: what works here, what does not, and the exact remedy."""

from __future__ import annotations

import os
import shutil
import sys

import click

from biollm_widgets.diagnosis import doctor


@click.command("doctor", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print every finding as JSON.")
@click.option("--verbose", "-v", is_flag=True, help="Show what is fine on a line each, not one line a group.")
def command(as_json: bool, verbose: bool) -> int:
    """Say what works here and what does not, with the line to copy that mends it.

    Packages, the widgets' front end in each Jupyter server, the kernel of the lessons, GPU and memory, folders and
    disk, models, the hub, and what grading needs. Nothing is changed. Exit status 1 when something needed does not
    work, else 0.
    """
    found = doctor()
    if as_json:
        click.echo(found.json())
    else:
        encoding = sys.stdout.encoding or "ascii"
        click.echo(
            found.text(
                verbose=verbose,
                colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"),
                width=max(60, min(100, shutil.get_terminal_size().columns)),
                marks=_can(encoding),
            )
        )
    return 0 if found.healthy else 1


def _can(encoding: str) -> bool:
    """Whether a terminal's letters include our marks."""
    try:
        "✓•✗".encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True
