"""The ground of these tests: where a widget draws and where it cannot, shown with a widget that is none of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from .conftest import new_page
from .notebooks import Notebook, write_notebook
from .servers import Server

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


def test_a_plain_widget_draws_and_is_heard_in_each_front_end_and_kernel(everywhere: Notebook) -> None:
    outputs = everywhere.run(PLAIN)
    outputs.locator("button.plain").click()
    everywhere.wait_for("plain.clicks", lambda clicks: clicks == 1)


@pytest.mark.parametrize("front_end", ["none", "older"])
def test_a_plain_widget_cannot_draw_there(page: Page, server: Callable[[str], Server], front_end: str) -> None:
    write_notebook(server(front_end), "plain.ipynb", [PLAIN])
    notebook = Notebook(page, server(front_end), "plain.ipynb")
    notebook.run_all()
    expect(notebook.outputs(0)).to_contain_text("rror")
    expect(page.locator("button.plain")).to_have_count(0)


def test_a_request_to_another_machine_is_noticed_and_goes_nowhere(context: BrowserContext) -> None:
    page, watch = new_page(context)
    assert watch.elsewhere == []
    went = page.evaluate("fetch('http://elsewhere.example/there').then(() => 'there', () => 'nowhere')")
    assert went == "nowhere"
    assert watch.elsewhere == ["http://elsewhere.example/there"]
    page.close()
