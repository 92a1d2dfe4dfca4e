"""The line that goes on is Python, whatever the folder is called."""

from __future__ import annotations

import pytest

from biollm_widgets.runs.resuming import line_that_resumes


@pytest.mark.parametrize(
    "path", ["out/checkpoint-4", "C:\\new\\runs\\checkpoint-4", "a \"b\" 'c'", "Größe/läuft", "a\nb", "\udcff", "{x}"]
)
def test_the_line_names_that_very_path(path: str) -> None:
    line = line_that_resumes("fit", path, "trainer")
    said = eval(line, {"fit": lambda trainer, resume_from_checkpoint: resume_from_checkpoint, "trainer": 1})
    assert said == path and line.encode() and "\n" not in line


def test_letters_of_any_language_stay_readable() -> None:
    assert line_that_resumes("train", "Größe") == 'train(resume_from_checkpoint="Größe")'
