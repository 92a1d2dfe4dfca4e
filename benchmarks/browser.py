"""A notebook in a real JupyterLab, in a Chromium that is on this machine, for figures and pictures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.notebooks import Notebook, write_notebook
from tests.browser.servers import Server, chromium

# What each notebook begins with: DNABERT-2's stand-in, read without transformers, which would cost seconds.
SETUP = """
import biollm_widgets as bio
from tokenizers import Tokenizer
dna = Tokenizer.from_file(str(bio.locate("zhihan1996/DNABERT-2-117M")) + "/tokenizer.json")
"""


@contextmanager
def jupyter() -> Iterator[Server]:
    """A JupyterLab of its own, with nobody's settings.

    Raises
    ------
    SystemExit
        Without a Chromium, which all that comes after needs.
    """
    if chromium() is None:
        sys.exit("No Chromium was found; install one (Debian: apt-get install chromium).")
    with TemporaryDirectory() as folder:
        server = Server(Path(folder) / "home")
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def browser() -> Iterator[Browser]:
    """The Chromium, which can look up no name but this machine's."""
    elsewhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--no-proxy-server", elsewhere]
        )
        try:
            yield opened
        finally:
            opened.close()


def notebook_in(page: Page, server: Server, name: str, cells: Sequence[str] = (SETUP,)) -> Notebook:
    """A new notebook in a page; its cells have run."""
    write_notebook(server, name, cells)
    notebook = Notebook(page, server, name)
    notebook.run_all()
    return notebook


def surroundings(opened: Browser) -> dict[str, Any]:
    """What figures depend on: the browser, the cores, and what else they work on."""
    return {"chromium": opened.version, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
