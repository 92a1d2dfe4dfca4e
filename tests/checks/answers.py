"""How the answers to a check are kept for the mutation matrix: right ones, and the wrong ones that learners give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answers:
    """To one check.

    Attributes
    ----------
    right : list
        Each of them gets all points.
    wrong : dict
        Of each named wrong answer the mistake that the check has to name, and the answer itself.
    """

    right: list[Any] = field(default_factory=list)
    wrong: dict[str, tuple[str, Any]] = field(default_factory=dict)
