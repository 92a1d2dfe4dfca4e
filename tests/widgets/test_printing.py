"""What the training thread prints is caught, and nothing that anybody else prints."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import pytest

from biollm_widgets.widgets.printing import prints_to


@contextmanager
def one_file() -> Iterator[io.StringIO]:
    """Both streams as one file, of which it is known what comes out."""
    before, file = (sys.stdout, sys.stderr), io.StringIO()
    sys.stdout = sys.stderr = file
    try:
        yield file
        assert sys.stdout is file and sys.stderr is file  # put back
    finally:
        sys.stdout, sys.stderr = before


def with_one_file(test: Callable[[io.StringIO], None]) -> Callable[[], None]:
    """Give a test that file; not as a fixture, for pytest has other streams until the test itself begins."""

    def run() -> None:
        with one_file() as out:
            test(out)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def in_thread(function: object) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


@with_one_file
def test_lines_of_the_thread_are_caught_and_those_of_others_go_where_they_always_went(out: io.StringIO) -> None:
    said: list[str] = []
    inside, done = threading.Event(), threading.Event()

    def work() -> None:
        with prints_to(said.append):
            print("caught")
            inside.set()
            done.wait()
            print("to stderr", file=sys.stderr)
        print("after")

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    print("mine")
    in_thread(lambda: print("another's"))
    done.set()
    thread.join()
    assert said == ["caught", "to stderr"]
    assert out.getvalue() == "mine\nanother's\nafter\n"


@with_one_file
def test_pieces_become_lines_and_the_last_one_needs_no_end(out: io.StringIO) -> None:
    said: list[str] = []
    with prints_to(said.append):
        print("a", end="")
        print("b", "c")
        print("\n\nd  \ne", end="")
    assert said == ["ab c", "d", "e"] and out.getvalue() == ""


@with_one_file
def test_of_a_line_that_is_written_over_the_last_state_counts(out: io.StringIO) -> None:
    said: list[str] = []
    with prints_to(said.append):
        sys.stderr.write("\r 10%|#   |\r 50%|##  |")
        sys.stderr.write("\r100%|####|\r\n")
        print("next")
    assert said == ["100%|####|", "next"]


@with_one_file
def test_a_caught_thread_has_no_terminal_so_that_bars_are_plain(out: io.StringIO) -> None:
    out.isatty = lambda: True  # type: ignore[method-assign]
    with prints_to(lambda line: None):
        assert not sys.stdout.isatty()
        seen: list[bool] = []
        in_thread(lambda: seen.append(sys.stdout.isatty()))
        assert seen == [True] and sys.stdout.writable() and sys.stdout.getvalue() == ""


@with_one_file
def test_records_of_a_handler_that_holds_an_old_stream_are_caught_too(out: io.StringIO) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    said: list[str] = []
    try:
        with prints_to(said.append):
            logging.getLogger("transformers.trainer").warning("caught")
            in_thread(lambda: logging.getLogger("transformers.trainer").warning("another's"))
        logging.getLogger("transformers.trainer").warning("after")
        assert handler.filters == []
    finally:
        logger.removeHandler(handler)
    assert "WARNING caught" in said and not any("another" in line or "after" in line for line in said)
    assert stream.getvalue() == "WARNING another's\nWARNING after\n"


@with_one_file
def test_two_threads_that_are_listened_to_hear_their_own(out: io.StringIO) -> None:
    heard: dict[str, list[str]] = {"one": [], "two": []}
    both, first_over = threading.Barrier(2), threading.Event()

    def work(name: str) -> None:
        with prints_to(heard[name].append):
            both.wait()
            print(name)
            if name == "two":
                first_over.wait()
                print("still two")
        first_over.set()

    threads = [threading.Thread(target=work, args=(name,)) for name in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {"one": ["one"], "two": ["two", "still two"]} and out.getvalue() == ""
    assert isinstance(sys.stdout, io.StringIO)


@with_one_file
def test_an_exception_leaves_the_streams_as_they_were_and_what_was_printed_is_said(out: io.StringIO) -> None:
    said: list[str] = []
    with pytest.raises(KeyError), prints_to(said.append):
        print("last words", end="")
        raise KeyError
    assert said == ["last words"]


@with_one_file
def test_cells_that_begin_and_end_meanwhile_leave_a_stream_that_still_prints(out: io.StringIO) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    if not hasattr(InteractiveShell, "_tee"):
        pytest.skip("This IPython does not listen to its cells; 9 does.")
    idle = SimpleNamespace(is_publishing=False, is_active=False)
    shell = SimpleNamespace(
        execution_count=1,
        history_manager=SimpleNamespace(outputs=defaultdict(list)),
        display_pub=idle,
        displayhook=idle,
        showing_traceback=False,
    )
    tee = partial(InteractiveShell._tee, shell)
    inside, done, said = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        with prints_to(said.append):
            inside.set()
            done.wait()
            print("trained")

    thread = threading.Thread(target=work)
    with tee("stdout"):  # the cell that trains, and is left
        thread.start()
        inside.wait()
        print("one")
    with tee("stdout"), tee("stderr"):  # the next one, in which training ends
        print("two")
        done.set()
        thread.join()
        print("three")
    with tee("stdout"):
        print("four")
    with prints_to(said.append):
        print("caught again")
    print("five")
    assert said == ["trained", "caught again"] and out.getvalue() == "one\ntwo\nthree\nfour\nfive\n"


@with_one_file
def test_ten_thousand_states_of_a_bar_are_held_as_one(out: io.StringIO) -> None:
    from biollm_widgets.widgets import printing

    said: list[str] = []
    with prints_to(said.append):
        for n in range(10_000):
            sys.stderr.write(f"\r{n:6}/10000 " + "#" * 40)
        (lines,) = printing._lines.values()
        assert len(lines.rest) < 60
        sys.stderr.write("\r done\r")
        sys.stderr.write("\n")
    assert said == [" done"]
