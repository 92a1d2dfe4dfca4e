"""The workers of a thread that waits can be let go, and come back."""

from __future__ import annotations

import torch

from biollm_widgets.runs import openmp


def workers() -> int:
    return len(list(openmp.MAPS.parent.joinpath("task").iterdir())) if openmp.MAPS.exists() else 0


def test_threads_end_and_computing_goes_on_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        a = torch.ones(600, 600)
        right = a @ a
        (a * 2).sum()  # large enough for several threads
        busy = workers()
        openmp.let_go_of_threads()
        if any("libgomp" in line for line in (openmp.MAPS.read_text().splitlines() if openmp.MAPS.exists() else [])):
            assert workers() < busy
        assert torch.equal(a @ a, right)
    finally:
        torch.set_num_threads(before)


def test_where_there_is_no_list_of_what_is_loaded_nothing_happens(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(openmp, "MAPS", tmp_path / "maps")
    openmp.let_go_of_threads()
