"""A notebook in a page: make it, open it, run cells, read what they show, save it, and ask the kernel behind it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Locator, Page, expect

from .servers import Server

_DRIVER = Path(__file__).with_name("driver.js").read_text(encoding="utf-8")
# JupyterLab in the mode that shows one document, Notebook 7, and JupyterLab with all around the documents, each in a
# workspace of its own; what is in the cells is the same.
ADDRESSES = {"lab": "/doc/tree/{name}", "notebook": "/notebooks/{name}", "tabs": "/lab/workspaces/{stem}/tree/{name}"}

# The simplest widget that anywidget makes, pinned to the kernel's version as anywidget does by itself.
PLAIN = """
import anywidget, traitlets
class Plain(anywidget.AnyWidget):
    _esm = '''
    export default { render({ model, el }) {
        el.innerHTML = "<button class=plain>drawn</button>";
        el.firstChild.onclick = () => { model.set("clicks", model.get("clicks") + 1); model.save_changes(); };
    } }
    '''
    clicks = traitlets.Int(0).tag(sync=True)
plain = Plain()
plain
"""


def write_notebook(server: Server, name: str, cells: Sequence[str], kernel: str = "newest") -> Path:
    """A notebook of code cells in the server's folder."""
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": spec})
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    path = server.work / name
    nbformat.write(notebook, path)
    return path


class Notebook:
    """A notebook that is open in a page.

    Parameters
    ----------
    page : Page
        It goes to the notebook.
    server : Server
        Its server.
    name : str
        The notebook's name in the server's folder.
    front : {"lab", "notebook", "tabs"}
        One of `ADDRESSES`.
    """

    def __init__(self, page: Page, server: Server, name: str, front: str = "lab"):
        self.page, self.server, self.name, self.front = page, server, name, front
        page.add_init_script(_DRIVER)
        page.goto(server.url + ADDRESSES[front].format(name=name, stem=Path(name).stem))
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        self.page.wait_for_function("window.bio?.ready()")

    def wait_until_open(self) -> None:
        """Until it is drawn; its kernel may be busy."""
        self.page.wait_for_function("window.bio?.open()")

    def start(self, sources: Sequence[str]) -> int:
        """Run new cells at the end, one after the other, and do not wait for them; the number of the first."""
        return self.page.evaluate("sources => bio.start(sources)", sources)

    def wait_until_done(self, number: int) -> None:
        """Until a cell has come to its end."""
        self.page.wait_for_function("number => bio.done(number)", arg=number, timeout=60_000)

    def run(self, source: str) -> Locator:
        """Run a new cell at the end; its outputs."""
        number = self.page.evaluate("source => bio.run(source)", source)
        if self.page.evaluate("number => bio.failed(number)", number):
            raise AssertionError(self.said(number))
        return self.outputs(number)

    def run_all(self) -> None:
        self.page.evaluate("bio.runAll()")

    def outputs(self, number: int) -> Locator:
        """What a cell shows, counted from 0 and, below 0, from the last."""
        cell = self.page.locator(".jp-Notebook .jp-Cell").nth(number)
        return cell.locator(".jp-Cell-outputArea")

    def said(self, number: int) -> str:
        """What a cell printed, or the error it raised, as text."""
        return self.page.evaluate("number => bio.said(number)", number)

    def ask(self, expression: str) -> Any:
        """The value of a Python expression in the kernel (anything that JSON can hold)."""
        return json.loads(ast.literal_eval(self.page.evaluate("expression => bio.ask(expression)", expression)))

    def tell(self, code: str) -> None:
        """Run Python in the kernel, in no cell."""
        self.page.evaluate("code => bio.tell(code)", code)

    def wait_for(self, expression: str, holds: Callable[[Any], bool] = bool, seconds: float = 30) -> Any:
        """Ask Python until the answer holds: a message of the page may be on its way. The last answer.

        Raises
        ------
        AssertionError
            It did not hold in time; says the last answer.
        """
        left = int(seconds * 20)
        while not holds(answer := self.ask(expression)):
            left -= 1
            if not left:
                raise AssertionError(f"{expression} is still {answer!r}.")
            self.page.wait_for_timeout(50)
        return answer

    def theme(self, name: str) -> None:
        """Change to "JupyterLab Light" or "JupyterLab Dark", and wait until it is there."""
        self.page.evaluate("name => bio.theme(name)", name)
        light = "false" if "Dark" in name else "true"
        self.page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")

    def forget(self, cells_from: int) -> None:
        """Take away the cells from this number on, with what they show."""
        self.page.evaluate("number => bio.forget(number)", cells_from)

    def end_kernel(self) -> None:
        """Shut down what runs behind it, as when the server's time is over."""
        self.page.evaluate("bio.endKernel()")

    def save(self) -> Path:
        """Save as the learner would; the file."""
        self.page.evaluate("bio.save()")
        return self.server.work / self.name


def expect_the_saved_picture(page: Page, words: str, alt: str) -> Locator:
    """The twin is there to be read, its picture is drawn and described, and it says what it is; nothing is live."""
    twin = page.locator("[class*=biollm-twin-]").last
    expect(twin).to_be_visible()
    expect(twin).to_contain_text(words)
    expect(twin).to_contain_text("saved picture")
    picture = twin.locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 300
    assert alt in (picture.get_attribute("alt") or "")
    expect(page.locator("section.biollm")).to_have_count(0)
    return twin
