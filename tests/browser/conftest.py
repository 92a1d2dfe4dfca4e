"""A Chromium, servers that are started when a test asks for them, and a page that keeps count of what it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from tests.conftest import skip_or_fail

from .notebooks import Notebook, write_notebook
from .panels import SETUP as PANELS
from .servers import DAY4, OLDER_FRONT_END, Server, chromium
from .token_views import SETUP as TOKENS
from .trainings import SETUP as TRAININGS

PATIENCE = 30_000  # milliseconds; two cores may be busy with other tests
SETUPS = {"tokens": TOKENS, "trainings": TRAININGS, "panels": PANELS}  # what the first cell of a room is
HERE = ("127.0.0.1", "localhost", "")  # "" is what data: and blob: addresses have, and files
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


# Everything shared has the scope of this package, not of the session: Playwright keeps an event loop running in this
# thread as long as it is there, and tests elsewhere start loops of their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        skip_or_fail("No Chromium was found; install one (Debian: apt-get install chromium) to run the browser tests.")
    # No name but this machine's can be looked up, so a request elsewhere fails even where there is a connection.
    elsewhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--no-proxy-server", elsewhere]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """`server("same")`, `server("none")`, `server("older")`: by the front end of anywidget that it holds."""
    running: dict[str, Server] = {}

    def start(front_end: str = "same") -> Server:
        if front_end == "older" and not OLDER_FRONT_END.is_dir():
            skip_or_fail("The front end of another version is not here; `make test` fetches it once.")
        if front_end not in running:
            running[front_end] = Server(tmp_path_factory.mktemp(front_end) / "home", front_end)
        return running[front_end]

    yield start
    for one in running.values():
        one.end()
    for one in running.values():
        one.stop()


@dataclass
class Watch:
    """What a page asked for and what went wrong in it."""

    elsewhere: list[str] = field(default_factory=list)  # addresses that are not of this machine
    errors: list[str] = field(default_factory=list)  # exceptions that nothing caught

    def over(self, page: Page) -> Page:
        page.on("request", lambda request: self.note(request.url))
        page.on("websocket", lambda socket: self.note(socket.url))
        page.on("pageerror", lambda error: self.errors.append(f"{error.message}\n{error.stack}"))
        return page

    def note(self, url: str) -> None:
        if (urlsplit(url).hostname or "") not in HERE:
            self.elsewhere.append(url)


@pytest.fixture(scope="package")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What all pages share: the browser's cache, mostly."""
    context = browser.new_context(viewport={"width": 1280, "height": 960})
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


def new_page(context: BrowserContext) -> tuple[Page, Watch]:
    watch = Watch()
    return watch.over(context.new_page()), watch


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of its own. No test may make it ask another machine for anything."""
    page, watch = new_page(context)
    yield page
    page.close()
    assert watch.elsewhere == []


class Rooms:
    """One notebook for each front end, kernel and setup, open as long as tests add their cells to it.

    A kernel that has imported everything costs seconds, so tests share it and make a view each.
    """

    def __init__(self, context: BrowserContext, server: Callable[[str], Server]) -> None:
        self.context, self.server = context, server
        self.open: dict[tuple[str, str, str], tuple[Notebook, Watch]] = {}

    def enter(self, front: str, kernel: str, setup: str = "tokens") -> tuple[Notebook, Watch]:
        if kernel == "day4" and not DAY4.exists():
            skip_or_fail("The cluster's versions are not in .venv-day4; `make test` installs them.")
        if (front, kernel, setup) not in self.open:
            name = f"{front}-{kernel}-{setup}.ipynb"
            write_notebook(self.server("same"), name, [SETUPS[setup]], kernel)
            page, watch = new_page(self.context)
            notebook = Notebook(page, self.server("same"), name, front)
            notebook.run_all()
            self.open[front, kernel, setup] = notebook, watch
        return self.open[front, kernel, setup]

    def leave(self, notebook: Notebook) -> None:
        """Close one for good: whoever enters next gets another."""
        self.open = {key: room for key, room in self.open.items() if room[0] is not notebook}
        notebook.end_kernel()
        notebook.page.close()


@pytest.fixture(scope="package")
def rooms(context: BrowserContext, server: Callable[[str], Server]) -> Iterator[Rooms]:
    rooms = Rooms(context, server)
    yield rooms
    for notebook, _ in rooms.open.values():
        notebook.page.close()


def entered(notebook: Notebook, watch: Watch) -> Iterator[Notebook]:
    """The room for one test: clean when it leaves, and judged by what happened while it was there."""
    before = len(watch.errors)
    notebook.page.bring_to_front()  # what is behind another page is drawn about once a second
    yield notebook
    try:
        notebook.forget(1)
    except Error:  # it broke the page; its own failure says more
        return
    assert watch.elsewhere == []
    # JupyterLab has mistakes of its own while it draws outputs anew; a widget's module is what has a blob's address.
    assert [error for error in watch.errors[before:] if "blob:" in error] == []


@pytest.fixture(
    params=[("lab", "newest"), ("lab", "day4"), ("notebook", "newest")],
    ids=["JupyterLab-newest", "JupyterLab-day4", "Notebook7-newest"],
)
def everywhere(request: pytest.FixtureRequest, rooms: Rooms) -> Iterator[Notebook]:
    """An open notebook in JupyterLab with each of the two kernels, then in Notebook 7."""
    yield from entered(*rooms.enter(*request.param))


@pytest.fixture
def lab(rooms: Rooms) -> Iterator[Notebook]:
    """An open notebook in JupyterLab, for what does not differ between front ends and kernels."""
    yield from entered(*rooms.enter("lab", "newest"))


def _training(rooms: Rooms, front: str, kernel: str) -> Iterator[Notebook]:
    """The same for tests that train; a training that a failed test left behind must not keep the next one waiting."""
    notebook, watch = rooms.enter(front, kernel, "trainings")
    inside = entered(notebook, watch)
    yield next(inside)
    if not notebook.page.is_closed() and notebook.page.evaluate("bio.atWork() || !bio.ready()"):
        rooms.leave(notebook)
    yield from inside


@pytest.fixture(
    params=[("lab", "newest"), ("lab", "day4"), ("notebook", "newest")],
    ids=["JupyterLab-newest", "JupyterLab-day4", "Notebook7-newest"],
)
def trains_everywhere(request: pytest.FixtureRequest, rooms: Rooms) -> Iterator[Notebook]:
    """An open notebook whose kernel can train, in JupyterLab with each of the two kernels, then in Notebook 7."""
    yield from _training(rooms, *request.param)


@pytest.fixture(params=["newest", "day4"])
def trains(request: pytest.FixtureRequest, rooms: Rooms) -> Iterator[Notebook]:
    """The same in JupyterLab, with each of the two kernels."""
    yield from _training(rooms, "lab", request.param)


@pytest.fixture
def trains_lab(rooms: Rooms) -> Iterator[Notebook]:
    """The same in JupyterLab with the newest kernel, for what does not differ."""
    yield from _training(rooms, "lab", "newest")


@pytest.fixture
def runs(trains_lab: Notebook) -> Notebook:
    """With the folders `slow` and `fast`, of runs that are over, and their events in `slow.events`, `fast.events`."""
    trains_lab.tell("trained('slow'); trained('fast', learning_rate=2e-3)")
    return trains_lab


def _designing(rooms: Rooms, front: str, kernel: str) -> Iterator[Notebook]:
    """The same for tests that let a model write; what a failed test left at work must not keep the next one waiting."""
    notebook, watch = rooms.enter(front, kernel, "panels")
    inside = entered(notebook, watch)
    yield next(inside)
    if not notebook.page.is_closed():
        if notebook.page.evaluate("bio.atWork() || !bio.ready()"):
            rooms.leave(notebook)
        else:
            notebook.tell("quick(); panel.close()")
    yield from inside


@pytest.fixture(
    params=[("lab", "newest"), ("lab", "day4"), ("notebook", "newest")],
    ids=["JupyterLab-newest", "JupyterLab-day4", "Notebook7-newest"],
)
def designs_everywhere(request: pytest.FixtureRequest, rooms: Rooms) -> Iterator[Notebook]:
    """An open notebook whose kernel has a protein model, in JupyterLab with each of the kernels, then in Notebook 7."""
    yield from _designing(rooms, *request.param)


@pytest.fixture(params=["newest", "day4"])
def designs(request: pytest.FixtureRequest, rooms: Rooms) -> Iterator[Notebook]:
    """The same in JupyterLab, with each of the two kernels."""
    yield from _designing(rooms, "lab", request.param)


@pytest.fixture
def designs_lab(rooms: Rooms) -> Iterator[Notebook]:
    """The same in JupyterLab with the newest kernel, for what does not differ."""
    yield from _designing(rooms, "lab", "newest")
