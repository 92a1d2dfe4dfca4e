"""A run in a terminal: one bar, a line an evaluation, each hint once, and how it ended."""

from __future__ import annotations

import io
from typing import Any

from told import CHAPTER, ended, evaluated, logged, phase, printed, start, stepped

from biollm_widgets.runs.log import RunLog
from biollm_widgets.runs.terminal import TerminalBar


class Terminal(io.StringIO):
    """A file that says that it is one."""

    def isatty(self) -> bool:
        return True


def shown(*events: dict[str, Any], file: Any = None) -> tuple[str, TerminalBar]:
    log, file = RunLog(), io.StringIO() if file is None else file
    bar = TerminalBar(log, file)
    for event in events:
        log.take(event)
        bar(event)
    bar.close()
    return file.getvalue(), bar


def lines(text: str) -> list[str]:
    return [line for line in text.replace("\r", "\n").split("\n") if line.strip()]


def test_the_bar_goes_to_where_the_run_is() -> None:
    text, _ = shown(
        start(steps=40), stepped(10, 1.0), logged(10, 0.5), stepped(40, 2.0), ended("finished", 40, "Done.")
    )
    assert "40/40" in text and "loss 0.50" in text and lines(text)[-1] == "Done."


def test_a_run_that_goes_on_begins_where_it_was() -> None:
    text, _ = shown(start(step=30, steps=40), stepped(31, 1.0))
    assert "31/40" in text and "1/40" not in text.replace("31/40", "")


def test_an_evaluation_is_a_line_that_says_whether_it_is_the_best_so_far() -> None:
    text, _ = shown(
        start(metric="mcc"), evaluated(20, 0.5, mcc=0.6), evaluated(40, 0.4, mcc=0.7), evaluated(60, 0.4, mcc=0.5),
        evaluated(100, 0.4, during=False, mcc=0.55),
    )  # fmt: skip
    assert "Step 20: evaluation loss 0.50, MCC 0.60.\n" in text
    assert "Step 40: evaluation loss 0.40, MCC 0.70 (best so far).\n" in text
    assert "Step 60: evaluation loss 0.40, MCC 0.50.\n" in text
    assert "After training: loss 0.40, MCC 0.55.\n" in text


def test_a_hint_is_said_once_although_its_numbers_change() -> None:
    text, _ = shown(
        start(labels=["non-coding", "coding"]),
        evaluated(20, 0.5, confusion=CHAPTER), evaluated(40, 0.5, confusion=[[148, 25], [52, 25]]),
    )  # fmt: skip
    assert text.count("Hint:") == 1 and "Hint: At step 20 174 of 250 rows are right" in text


def test_what_is_printed_and_the_line_that_goes_on_stand_beside_the_bar() -> None:
    text, _ = shown(
        start(), printed("a word"), stepped(3, 1.0),
        ended("stopped", 3, "Stopped at step 3 of 100.", resume="progress.fit_sync(trainer)"),
    )  # fmt: skip
    assert lines(text)[-2:] == ["Stopped at step 3 of 100.", "To go on: progress.fit_sync(trainer)"]
    assert "a word" in lines(text)


def test_in_a_log_file_the_bar_is_a_line_now_and_then_and_not_one_a_step() -> None:
    events = [start(steps=1000), *(stepped(n, n / 10) for n in range(1, 1001))]
    text, _ = shown(*events)
    assert len(lines(text)) <= 3


def test_in_a_terminal_the_bar_says_what_goes_on() -> None:
    terminal = Terminal()
    shown(
        start(steps=40),
        stepped(10, 1.0),
        phase("evaluating", 10),
        phase("saving", 10),
        phase("training", 10),
        file=terminal,
    )
    text = terminal.getvalue()
    assert text.index("Evaluating") < text.index("Saving") < text.rindex("Training")


def test_a_second_run_has_a_bar_of_its_own_and_events_without_a_start_break_nothing() -> None:
    text, bar = shown(start(steps=10), stepped(10, 1.0), start(steps=20), stepped(5, 1.0))
    assert "10/10" in text and "5/20" in text and bar.bar is None
    shown(stepped(1, 1.0), logged(1, 0.5), phase("evaluating", 1), ended("failed", 1, "It broke."))
