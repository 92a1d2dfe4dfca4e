"""Looking without getting stuck: every probe has a thread and a deadline, and whatever it raises becomes a finding."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Optional

from biollm_widgets.diagnosis.findings import NOTE, Finding

SECONDS = 4.5  # for all probes together, since they run side by side
PROGRAM_SECONDS = 3.0  # for one program that a probe asks

Probe = Callable[[], Iterable[Finding]]


def run_all(probes: Sequence[tuple[str, str, Probe]], seconds: float = SECONDS) -> list[Finding]:
    """What all probes find, in their order.

    Parameters
    ----------
    probes : sequence of (group, what, probe)
        `what` says what is looked at, as in "the front end"; it is the finding's id where the probe does not end well.
    seconds : float
        How long to wait for all of them. Threads that hang (a disk that is gone, a name server that is silent) are
        left behind; they end with the process.
    """
    found: list[Optional[list[Finding]]] = [None] * len(probes)

    def look(index: int, group: str, what: str, probe: Probe) -> None:
        mine: list[Finding] = []
        try:
            for one in probe():  # what was found before something went wrong is kept
                mine.append(one)
        except BaseException as problem:
            mine.append(_unseen(group, what, _in_words(problem)))
        found[index] = mine

    threads = [
        threading.Thread(target=look, args=(index, *probe), daemon=True, name=f"doctor: {probe[1]}")
        for index, probe in enumerate(probes)
    ]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    made: list[Finding] = []
    for (group, what, _), mine in zip(probes, list(found), strict=True):
        made += [_unseen(group, what, f"no answer within {seconds:g} seconds")] if mine is None else mine
    return made


def _unseen(group: str, what: str, because: str) -> Finding:
    return Finding(
        f"unseen-{what.replace(' ', '-')}",
        group,
        NOTE,
        f"{what[0].upper()}{what[1:]} could not be looked at: {because}.",
        "Run biollm doctor again; if it stays, report it with this line.",
    )


def _in_words(problem: BaseException) -> str:
    first = (str(problem).strip() or "no reason given").splitlines()[0][:200].rstrip(".")
    return f"{type(problem).__name__}, {first}"


def ask(command: Sequence[str], seconds: float = PROGRAM_SECONDS) -> Optional[str]:
    """What a program prints; None when it is not there, fails or takes too long. Nothing is typed into it."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
