"""The checks of the lesson on proteins, in its order."""

from __future__ import annotations

from biollm_widgets.checks.ground import Check

CHECKS: list[Check] = []
