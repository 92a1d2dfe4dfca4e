"""The one kind of error that a person can cause and mend."""

from __future__ import annotations


class InputError(ValueError):
    """A sentence for the person at the keyboard: what is wrong, where, and what to do about it.

    The command line prints the sentence and exits with 2; in a notebook it is an ordinary `ValueError`.
    """
