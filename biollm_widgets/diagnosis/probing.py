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
_GRACE = 0.5  # to start a program, and to end one that takes too long

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
    # What was found before something went wrong, or before the time was up, is kept.
    found: list[list[Finding]] = [[] for _ in probes]
    unseen = [f"no answer within {seconds:g} seconds"] * len(probes)

    def look(index: int, probe: Probe) -> None:
        try:
            for one in probe():
                found[index].append(one)
        except BaseException as problem:
            unseen[index] = _in_words(problem)
        else:
            unseen[index] = ""

    threads = [
        threading.Thread(target=look, args=(index, probe), daemon=True, name=f"doctor: {what}")
        for index, (_, what, probe) in enumerate(probes)
    ]
    end = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    made: list[Finding] = []
    for index, (group, what, _) in enumerate(probes):
        because = unseen[index]  # read first: a probe that ends just now may not seem to have ended with less than all
        made += found[index]
        made += [_unseen(group, what, because)] if because else []
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


def ask_all(commands: Sequence[Sequence[str]], seconds: float = PROGRAM_SECONDS) -> list[Optional[str]]:
    """What each of several programs prints, as `ask` says it, in the time that one may take: they run side by side."""
    said: list[Optional[str]] = [None] * len(commands)

    def one(index: int) -> None:
        said[index] = ask(commands[index], seconds)

    # As daemons: a program that waits for a dead disk cannot even be ended, and neither could its thread.
    threads = [threading.Thread(target=one, args=(index,), daemon=True) for index in range(len(commands))]
    end = time.monotonic() + seconds + _GRACE
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return list(said)
