"""What works here, what does not, and the exact remedy: `bio.doctor()` and `biollm doctor`.

Nothing is imported that takes long and nothing is started that stays: packages are read off their metadata, the server
off its folders. Whatever cannot be looked at becomes a finding of its own.
"""

from __future__ import annotations

from importlib import import_module

from biollm_widgets.diagnosis.findings import GROUPS, Finding, settle
from biollm_widgets.diagnosis.probing import SECONDS, run_all
from biollm_widgets.diagnosis.report import Report, report

__all__ = ["Finding", "Report", "doctor"]

# group -> the module here that looks at it, and what it looks at, for the sentence where that fails
_ROOMS = {
    "packages": ("packages", "the installed packages"),
    "front end": ("front_end", "the front end of the widgets"),
    "kernel": ("lesson_kernel", "the kernel of the lessons"),
    "hardware": ("hardware", "the computer"),
    "places": ("places", "folders and disk"),
    "models": ("models", "the cache of models"),
    "hub": ("hub", "the hub"),
    "grading": ("grading", "what grading needs"),
}


def doctor(seconds: float = SECONDS) -> Report:
    """Find out what works here, what does not, and what to do about it.

    Parameters
    ----------
    seconds : float, default 4.5
        How long to wait; what has not been found out by then is said to be unknown.

    Returns
    -------
    Report
        Shows itself in a notebook and in a terminal. `.findings` has an entry for each thing, `.healthy` says whether
        all that is needed works. Nothing is changed on this computer, and nothing is asked of the network but whether
        the hub of models answers.
    """
    settle()
    probes = []
    for group in GROUPS:
        name, what = _ROOMS[group]
        probes.append((group, what, lambda name=name: import_module(f"biollm_widgets.diagnosis.{name}").look()))
    return report(run_all(probes, seconds))
