"""A widget that nobody can see any more is let go of, in Python and in the page; what may be seen is not."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest
from told import logged, start

from biollm_widgets.runs.events import encode
from biollm_widgets.widgets import seen
from biollm_widgets.widgets.busy import busy_with
from biollm_widgets.widgets.protein_panel import ProteinPanel
from biollm_widgets.widgets.running import run_alone
from biollm_widgets.widgets.token_view import TokenView
from biollm_widgets.widgets.training_progress import TrainingProgress


class Cells:
    """A notebook's cells, as far as a widget that is shown hears of them."""

    def __init__(self) -> None:
        self.now = ("", "")
        self.shown: list[dict[str, Any]] = []

    def show(self, cell: str, run: str, *widgets: Any) -> None:
        self.now = (cell, run)
        for one in widgets:
            one._ipython_display_()

    def display(self, data: dict[str, Any], **_: Any) -> Any:
        self.shown.append(data)
        return SimpleNamespace(update=lambda *_, **__: None)


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> Cells:
    made = Cells()
    parent = lambda: {"metadata": {"cellId": made.now[0]}, "header": {"msg_id": made.now[1]}}  # noqa: E731
    shell = SimpleNamespace(kernel=SimpleNamespace(get_parent=parent))
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr("IPython.display.display", made.display)
    monkeypatch.setattr(seen, "_held", {})
    return made


@pytest.fixture
def view(bpe: Any) -> Callable[[], TokenView]:
    return lambda: TokenView("ACGTACGT", bpe)


def kept(widget: Any) -> bool:
    return any(one is widget for one in seen.open_widgets())


def until(holds: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_cell_that_runs_again_lets_go_of_what_it_showed(cells: Cells, view: Callable) -> None:
    first, second = view(), view()
    cells.show("a", "1", first)
    cells.show("a", "2", second)
    assert first.comm is None and not kept(first) and not kept(first.layout)
    assert kept(second) and kept(second.layout)


def test_what_was_let_go_of_is_freed_once_no_name_holds_it(cells: Cells, view: Callable) -> None:
    first = view()
    gone = weakref.ref(first)
    cells.show("a", "1", first)
    cells.show("a", "2", view())
    del first
    gc.collect()
    assert gone() is None


def test_the_same_widget_shown_again_by_its_cell_stays_as_it_is(cells: Cells, view: Callable) -> None:
    one = view()
    cells.show("a", "1", one)
    comm = one.comm
    cells.show("a", "2", one)
    assert one.comm is comm and kept(one)


def test_two_in_one_run_of_a_cell_both_stay(cells: Cells, view: Callable) -> None:
    one, other = view(), view()
    cells.show("a", "1", one, other)
    assert kept(one) and kept(other)


def test_what_stands_in_another_cell_too_stays_until_that_runs_again(cells: Cells, view: Callable) -> None:
    one = view()
    cells.show("a", "1", one)
    cells.show("b", "2", one)
    cells.show("a", "3", view())
    assert kept(one)
    cells.show("b", "4", view())
    assert not kept(one)


def test_what_stands_in_a_box_or_an_output_or_in_no_cell_stays(cells: Cells, view: Callable) -> None:
    boxed, held, nowhere = view(), view(), view()
    box = ipywidgets.HBox([boxed])
    out = ipywidgets.Output()
    cells.show("a", "1", boxed)
    out.msg_id = "2"
    cells.show("b", "2", held)
    out.msg_id = ""
    cells.show("", "3", nowhere)
    for cell in ("a", "b", ""):
        cells.show(cell, "9", view())
    assert kept(boxed) and kept(held) and kept(nowhere)
    box.close()
    out.close()


@pytest.mark.parametrize("closed", [False, True], ids=["unseen", "closed"])
def test_what_was_let_go_of_or_closed_comes_back_when_it_is_shown(cells: Cells, view: Callable, closed: bool) -> None:
    one = view()
    cells.show("a", "1", one)
    one.change(0, "T")
    if closed:
        one.close()
    else:
        cells.show("a", "2", view())
    assert one.comm is None
    one.change(1, "T")  # nobody hears of it
    cells.show("b", "3", one)
    model = cells.shown[-1]["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert kept(one) and kept(one.layout) and one.model_id == model
    assert one.tokenizations[0][one.labels[0]].text.startswith("TTGT")


def test_a_layout_that_another_widget_has_too_is_not_closed(view: Callable) -> None:
    one = view()
    button = ipywidgets.Button(layout=one.layout)
    one.close()
    assert kept(button.layout)
    button.close()


def test_what_follows_a_file_rests_while_nobody_sees_it_and_misses_nothing(cells: Cells, tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_text("".join(encode(event) + "\n" for event in (start(), logged(1, 0.9))))
    one = TrainingProgress.follow(path)
    cells.show("a", "1", one)
    thread = one._follower.thread
    cells.show("a", "2", TrainingProgress())
    thread.join(5)
    assert not thread.is_alive()
    with path.open("a") as file:
        file.write(encode(logged(2, 0.8)) + "\n")
    cells.show("b", "3", one)
    until(lambda: list(one.to_frame("training")["step"]) == [1, 2])
    assert one._follower.thread.is_alive()
    one.close()
    one._follower.thread.join(5)
    cells.show("b", "4", one)  # closed by hand: it follows no longer
    assert not one._follower.thread.is_alive()
    one.close()


def test_a_panel_that_writes_where_nobody_sees_it_is_cancelled_and_goes(cells: Cells) -> None:
    panel = ProteinPanel(n=6, seed=1, max_length=1000)
    cells.show("a", "1", panel)
    run_alone(panel, panel._generating({}, "panel.generate"))
    cells.show("a", "2", ProteinPanel())
    until(lambda: busy_with(panel) is None)
    assert panel._sheet.phase == "stopped"
    until(lambda: panel.comm is None)
    assert not kept(panel)
