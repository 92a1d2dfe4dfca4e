"""Whatever a probe does, the doctor answers, and in time."""

from __future__ import annotations

import threading
import time
from importlib import import_module

from biollm_widgets.diagnosis import doctor
from biollm_widgets.diagnosis.findings import BROKEN, FINE, Finding
from biollm_widgets.diagnosis.probing import ask, ask_all, run_all
from biollm_widgets.diagnosis.report import report


def test_a_probe_that_raises_becomes_a_note_and_what_it_had_found_is_kept():
    def probe():
        yield Finding("a", "hub", FINE, "one")
        raise RuntimeError("the disk\nis on fire")

    first, second = run_all([("hub", "the hub", probe)])
    assert first.sentence == "one"
    assert (second.id, second.state) == ("unseen-the-hub", "note")
    assert second.sentence == "The hub could not be looked at: RuntimeError, the disk."
    assert second.remedy


def test_a_probe_that_exits_takes_nobody_with_it():
    def probe():
        raise SystemExit(3)

    [found] = run_all([("hub", "the hub", probe)])
    assert "could not be looked at: SystemExit" in found.sentence


def test_a_probe_that_hangs_costs_the_deadline_and_no_more_and_the_others_answer():
    hold = threading.Event()
    probes = [
        ("hub", "the hub", lambda: hold.wait(30) and []),
        ("models", "the models", lambda: [Finding("b", "models", FINE, "two")]),
        ("places", "folders", lambda: hold.wait(30) and []),
    ]
    began = time.monotonic()
    found = run_all(probes, seconds=0.3)
    took = time.monotonic() - began
    hold.set()
    assert took < 2
    assert [one.state for one in found] == ["note", "fine", "note"]
    assert "no answer within 0.3 seconds" in found[0].sentence


def test_what_a_probe_had_found_when_the_time_was_up_is_kept_and_counts():
    hold = threading.Event()

    def probe():
        yield Finding("a", "places", BROKEN, "SCRATCH is not set.", "Log in anew.")
        hold.wait(30)
        yield Finding("b", "places", FINE, "too late")

    found = report(run_all([("places", "folders and disk", probe)], seconds=0.3))
    hold.set()
    assert [(one.id, one.state) for one in found.findings] == [("a", "broken"), ("unseen-folders-and-disk", "note")]
    assert not found.healthy


def test_every_room_may_fail_and_the_report_still_stands(monkeypatch):
    from biollm_widgets import diagnosis

    def broken(*_):
        raise OSError("gone")

    for name, _ in diagnosis._ROOMS.values():
        monkeypatch.setattr(import_module(f"biollm_widgets.diagnosis.{name}"), "look", broken)
    found = doctor()
    assert len(found.findings) == len(diagnosis._ROOMS) == 8
    assert found.healthy
    assert all("could not be looked at: OSError, gone." in one.sentence for one in found.findings)


def test_a_program_that_is_missing_fails_or_hangs_says_nothing():
    assert ask(["biollm-no-such-program"]) is None
    assert ask(["false"]) is None
    began = time.monotonic()
    assert ask(["sleep", "20"], 0.2) is None
    assert time.monotonic() - began < 5
    assert ask(["echo", "yes"]) == "yes\n"


def test_several_programs_cost_the_time_of_one_even_where_one_leaves_a_child_behind():
    began = time.monotonic()
    said = ask_all([["sleep", "20"], ["echo", "yes"], ["sh", "-c", "sleep 6; true"]], 0.3)
    assert said == [None, "yes\n", None]
    assert time.monotonic() - began < 3
