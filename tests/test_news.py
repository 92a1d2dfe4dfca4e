"""Where sentences for the person go: in a terminal beside the results, in a notebook among them and not in red."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from biollm_widgets import news


def test_outside_a_kernel_news_go_to_stderr(capsys: Any) -> None:
    news.say("Data: 3 sequences.")
    assert capsys.readouterr() == ("", "Data: 3 sequences.\n")


def test_in_a_kernel_they_go_to_stdout_which_is_not_painted_red(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    news.say("Data: 3 sequences.")
    assert capsys.readouterr() == ("Data: 3 sequences.\n", "")
    del shell.kernel  # IPython in a terminal
    news.say("once more")
    assert capsys.readouterr().err == "once more\n"
