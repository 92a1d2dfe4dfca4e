"""Grading a class on nbgrader's own folders and gradebook: what was handed in is looked at, run apart, and judged."""
