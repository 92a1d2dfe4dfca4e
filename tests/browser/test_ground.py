"""The ground of these tests, shown with a widget that is none of ours: it draws, and a request elsewhere is noticed."""

from __future__ import annotations

from playwright.sync_api import BrowserContext

from .conftest import new_page
from .notebooks import PLAIN, Notebook


def test_a_plain_widget_draws_and_is_heard_in_each_front_end_and_kernel(everywhere: Notebook) -> None:
    outputs = everywhere.run(PLAIN)
    outputs.locator("button.plain").click()
    everywhere.wait_for("plain.clicks", lambda clicks: clicks == 1)


def test_a_request_to_another_machine_is_noticed_and_goes_nowhere(context: BrowserContext) -> None:
    page, watch = new_page(context)
    assert watch.elsewhere == []
    went = page.evaluate("fetch('http://elsewhere.example/there').then(() => 'there', () => 'nowhere')")
    assert went == "nowhere"
    assert watch.elsewhere == ["http://elsewhere.example/there"]
    page.close()
