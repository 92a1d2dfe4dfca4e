"""What a learner's Python can say to the grader: none of it stops the grader, holds it up, or takes its memory."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from biollm_widgets.checks.ground import Result
from biollm_widgets.grading import pool, runner, wire
from biollm_widgets.grading.course import Graded
from biollm_widgets.grading.kernel import _answers
from biollm_widgets.grading.limits import Limits
from biollm_widgets.grading.outputs import Outputs
from biollm_widgets.grading.pool import Done, Job
from biollm_widgets.grading.remote import Gone, Remote, TooLong, _Trained
from biollm_widgets.grading.runner import Notebook, Spot, Stop
from biollm_widgets.grading.safe_html import safe_html
from biollm_widgets.grading.wire import Broken, Wire

SPOT = Spot("", "none", (), Limits(call=1, whole=60), "secret")


@contextmanager
def said(words: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """The grader's end of a wire at whose other end a thread says something."""
    here, there = socket.socketpair()

    def say() -> None:
        with suppress(OSError):
            words(there)

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        here.close()
        thread.join(5)
        there.close()
        assert not thread.is_alive()


def dribble(end: socket.socket) -> None:
    """A frame that is announced and never comes to its end."""
    end.sendall(struct.pack("!Q", 2**20))
    while True:
        end.sendall(b"x")
        time.sleep(0.02)


def frame(value: Any) -> bytes:
    text = json.dumps(value).encode()
    return struct.pack("!QI", 4 + len(text), len(text)) + text


# What a cell shows.


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "one",
    ["<a ", "<", "</", "<!--", "<!--a>", "<!", "<![", "<![x>", "<?", "<?a>", "<a b='", '<a b="', "<script>", "&#"],
)
def test_html_that_no_tag_ends_takes_no_time(one: str) -> None:
    for text in (one * (200_000 // len(one)), one * (200_000 // len(one)) + ">", f"<p>{one * 50_000}</p>"):
        began = time.process_time()
        safe_html(text)
        assert time.process_time() - began < 5


def test_html_that_is_cut_off_still_shows_its_words() -> None:
    assert safe_html("<p>3 < 4 and <b>bold</b> a<b") == "<p>3 &lt; 4 and <b>bold</b> a&lt;b</p>"
    assert safe_html("<p>a<!-- no -->b<!doctype x>c<?php d?>e</p>") == "<p>a b c e</p>"
    assert "script" not in safe_html("<<!-- -->!--><scr<!-- -->ipt>alert(1)</script>").replace("&lt;scr", "")


def deep(levels: int) -> list:
    made: list = []
    for _ in range(levels):
        made = [made]
    return made


@pytest.mark.parametrize(
    "content",
    [
        {"data": {"text/html": "<![<p>x"}}, {"data": {"text/html": ["<p>"]}}, {"data": 3}, {"data": None}, "words",
        3, None, {"data": deep(5000)}, {"data": {"text/plain": deep(5000)}}, {"text": 3},
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["display_data", "stream", "error", "update_display_data", "clear_output", 3, None])
def test_no_message_stops_the_grader(kind: Any, content: Any) -> None:
    cell = nbformat.v4.new_code_cell("x")
    for beyond in (False, True):
        outputs = Outputs(100)
        outputs.begin(cell)
        if beyond:
            outputs.take({"msg_type": "stream", "content": {"name": "stdout", "text": "x" * 200}})
            assert outputs.cut
        outputs.take({"msg_type": kind, "content": content})
    nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))


@pytest.mark.parametrize("parent", [[], "x", 3, None, {}, {"msg_id": []}])
def test_a_message_that_came_of_nothing_is_passed_over(parent: Any) -> None:
    assert not _answers({"parent_header": parent}, "request") and not _answers({}, "request")
    assert _answers({"parent_header": {"msg_id": "request"}}, "request")


# What comes over the wire.


def test_a_frame_that_dribbles_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FRAME", 0.3)
    with said(dribble) as end, pytest.raises(Broken, match="did not come to its end"):
        Wire(end).receive(60)


def test_a_learner_who_asks_for_passes_without_end_comes_to_an_end() -> None:
    def ask(end: socket.socket) -> None:
        end.sendall(frame(["list", ["here"]]))
        while True:
            end.sendall(frame(["list", ["pass", 0, 0, 0, True, False]]))
            end.recv(2**16)

    with said(ask) as end:
        remote = Remote(end, 0.5, lambda: None, lambda: False)
        remote.begin()
        remote._networks = [type("Any", (), {"forward": lambda *given: 1})()]
        began = time.monotonic()
        with pytest.raises((TooLong, Gone)):
            remote.take(("answer",))
        assert time.monotonic() - began < 20 and not remote.usable


@pytest.mark.parametrize("said_first", [["list", []], ["list", [3]], 3, ["list", [["list", []]]], ["dict", []], None])
def test_whoever_begins_with_something_else_is_not_there(said_first: Any) -> None:
    with said(lambda end: end.sendall(frame(said_first))) as end, pytest.raises(Gone):
        Remote(end, 5, lambda: None, lambda: False).begin()


def test_an_array_in_place_of_a_word_is_no_answer() -> None:
    def answer(end: socket.socket) -> None:
        Wire(end).send(["here"])
        other = Wire(end)
        other.receive(5)
        other.send([np.zeros(3), 1])

    with said(answer) as end:
        remote = Remote(end, 5, lambda: None, lambda: False)
        remote.begin()
        with pytest.raises(Gone):
            remote.take(("answer",))


def test_arrays_of_nothing_take_no_memory() -> None:
    header = wire._header(np.dtype("S0"), (10**9,))
    text = json.dumps(["array", 0]).encode()
    body = struct.pack("!I", len(text)) + text + struct.pack("!Q", len(header)) + header
    with said(lambda end: end.sendall(struct.pack("!Q", len(body)) + body)) as end, pytest.raises(Broken):
        Wire(end).receive(5)


def test_text_that_would_take_many_times_as_much_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MOST_TEXT", 1000)
    with said(lambda end: end.sendall(frame(["list", ["x" * 2000]]))) as end, pytest.raises(Broken, match="too long"):
        Wire(end).receive(5)


def test_a_network_takes_so_many_rows_and_keeps_so_many_passes() -> None:
    import torch

    from biollm_widgets.checks.watched import Watched

    trained = _Trained(Watched(6, {}))
    values = trained.flat()
    with pytest.raises(ValueError, match="rows"):
        trained.forward(torch.zeros(_Trained.ROWS + 1, 6), values, True, True)
    trained.ALL_ROWS = 100  # type: ignore[misc]
    for _ in range(20):
        number, _scores = trained.forward(torch.zeros(10, 6), values, True, True)
    assert len(trained._passes) == 10 and number in trained._passes


# What the judging of one comes to.


class Silent:
    """A kernel whose learner has replaced what answers: it runs, and a thread dribbles."""

    alive = True

    def __init__(self, end: socket.socket) -> None:
        self.end, self.killed = end, False

    async def run(self, code: str, seconds: float) -> Any:
        for _ in ():
            yield {}

    def interrupt(self) -> None: ...

    def kill(self) -> None:
        self.killed = True


def notebook(seconds: float) -> Notebook:
    made = Notebook([], [], Path("/nowhere"), SPOT)
    made._until = time.monotonic() + seconds
    return made


TASK = Graded("a", 1.0, "dna.better_by", ("answer",))


@pytest.mark.timeout(60)
def test_one_who_dribbles_is_cut_off_and_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "GRACE", 0.1)
    with said(dribble) as end:
        kernel: Any = Silent(end)
        made = asyncio.run(notebook(1.0)._judge(kernel, TASK, nbformat.v4.new_code_cell("x")))
    assert made.score == 0 and made.mistake == "not judged" and kernel.killed


def test_when_the_notebooks_time_is_over_that_is_what_is_said() -> None:
    kernel: Any = Silent(socket.socketpair()[0])
    with pytest.raises(Stop, match="The notebook took longer than 60 s"):
        asyncio.run(notebook(-1.0)._judge(kernel, TASK, nbformat.v4.new_code_cell("x")))


def test_what_a_check_saw_has_an_end() -> None:
    made = runner._task(TASK, Result("dna.better_by", 1, 0.0, ("x" * 10**6,) * 500))
    assert len(made.saw) <= 20 and max(map(len, made.saw)) <= 1000


def test_a_fault_of_the_graders_own_is_told_and_gives_no_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any) -> Done:
        raise RuntimeError("a fault")

    monkeypatch.setattr(pool, "grade", fails)
    monkeypatch.setenv("BIOLLM_MODELS", os.environ.get("BIOLLM_MODELS", "embedded"))
    before = signal.getsignal(signal.SIGINT)
    ours, theirs = multiprocessing.Pipe()
    ours.send(Job("dna", "alice", "/nowhere"))
    done: list[Done] = []
    thread = threading.Thread(target=lambda: (done.append(ours.recv()), ours.close()))
    thread.start()
    try:
        lessons: Any = {"dna": None}
        pool._work(theirs, [], lessons, SPOT)  # until nobody asks any more
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join(5)
    assert done[0].verdict is None and "The grader itself stopped at it (RuntimeError: a fault)" in done[0].problem
