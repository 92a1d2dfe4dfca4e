"""An output stands under its name only when it is whole."""

from __future__ import annotations

import os
import stat

import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file


def test_a_whole_file_appears_with_everyday_rights(tmp_path):
    target = tmp_path / "new" / "out.csv"
    with whole_file(target) as part:
        assert part.suffix == ".csv"
        part.write_text("all of it")
        assert not target.exists()
    assert target.read_text() == "all of it"
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~mask
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("trouble", [RuntimeError, KeyboardInterrupt])
def test_a_stop_in_the_middle_leaves_the_old_file(tmp_path, trouble):
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(trouble), whole_file(target) as part:
        part.write_text("half")
        raise trouble
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_and_a_place_one_may_not_write_to_are_sentences(tmp_path):
    with pytest.raises(InputError, match="is a folder"), whole_file(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write"), whole_file(tmp_path / "file" / "below"):
        pass
