"""Grading takes nbgrader, and what comes with it; the cluster's versions have neither, and nobody grades with them."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("nbgrader") else ["test_[a-n]*.py", "test_[p-r]*.py"]
