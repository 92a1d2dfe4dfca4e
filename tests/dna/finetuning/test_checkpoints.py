"""Going on or starting over: nothing is lost unasked, nothing half-written is gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from biollm_widgets.dna.finetuning.checkpoints import MARK, begin, checkpoints, claim, mark_whole, read_mark
from biollm_widgets.errors import InputError

SETTINGS = {"learning_rate": 1e-3, "data": "abc"}


def checkpoint(folder: Path, step: int, settings: dict | None = SETTINGS) -> Path:
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"x" * 100)
    (place / "trainer_state.json").write_text("{}")
    if settings is not None:
        mark_whole(place, settings)
    return place


def test_a_checkpoint_is_whole_only_with_its_mark_and_every_byte(tmp_path):
    whole = checkpoint(tmp_path, 5)
    assert read_mark(whole) == SETTINGS
    assert read_mark(checkpoint(tmp_path, 6, settings=None)) is None
    (whole / "model.safetensors").write_bytes(b"x" * 99)
    assert read_mark(whole) is None
    (whole / MARK).write_text("{")
    assert read_mark(whole) is None


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_stopped_run_goes_on_from_the_last_whole_checkpoint_also_with_overwrite(tmp_path, overwrite):
    claim(tmp_path, SETTINGS)
    checkpoint(tmp_path, 9)
    whole = checkpoint(tmp_path, 10)
    half = checkpoint(tmp_path, 11, settings=None)
    start = begin(tmp_path, tmp_path / "results", SETTINGS, overwrite)
    assert start.checkpoint == str(whole)
    assert not half.exists() and "not whole" in start.notes[0]


def test_a_finished_run_is_refused_without_overwrite_and_replaced_with_it(tmp_path):
    checkpoint(tmp_path, 10)
    old = tmp_path / "results" / "eval_results.json"
    old.parent.mkdir()
    old.write_text("{}")
    claim(tmp_path, SETTINGS, finished=True)
    with pytest.raises(InputError, match="this run, finished; give --overwrite_output_dir True"):
        begin(tmp_path, tmp_path / "results", SETTINGS, overwrite=False)
    assert checkpoints(tmp_path) and old.exists()
    assert begin(tmp_path, tmp_path / "results", SETTINGS, overwrite=True).checkpoint is None
    assert not checkpoints(tmp_path) and not old.exists()


def test_another_run_in_the_folder_is_never_gone_on_with(tmp_path):
    checkpoint(tmp_path, 10)
    claim(tmp_path, SETTINGS)
    other = {**SETTINGS, "learning_rate": 2e-3}
    with pytest.raises(InputError, match=r"learning_rate 0.001, now 0.002"):
        begin(tmp_path, tmp_path / "results", other, overwrite=False)
    assert begin(tmp_path, tmp_path / "results", other, overwrite=True).checkpoint is None


def test_checkpoints_of_another_program_are_not_removed_unasked(tmp_path):
    place = checkpoint(tmp_path, 10, settings=None)
    with pytest.raises(InputError, match="checkpoints of another program"):
        begin(tmp_path, tmp_path / "results", SETTINGS, overwrite=False)
    assert place.exists()


def test_resume_from_checkpoint_names_a_checkpoint_or_starts_over(tmp_path):
    claim(tmp_path, SETTINGS)
    place = checkpoint(tmp_path, 10)
    with pytest.raises(InputError, match="is no checkpoint of a run"):
        begin(tmp_path, tmp_path / "results", SETTINGS, False, str(tmp_path / "nowhere"))
    assert begin(tmp_path, tmp_path / "results", SETTINGS, False, str(place)).checkpoint == str(place)
    assert begin(tmp_path, tmp_path / "results", SETTINGS, True, "False").checkpoint is None
    assert json.loads((tmp_path / "finetune_run.json").read_text())["finished"] is False


def test_an_output_dir_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"):
        begin(tmp_path / "out", tmp_path / "results", SETTINGS, True)
