"""The corpus of submissions is what it says: nothing of it is run here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from biollm_widgets.checks import checks_of
from biollm_widgets.checks.ground import COMMON
from biollm_widgets.grading.verdicts import GRADED, REFUSED, REPAIRED

from .corpus import DNA, ENTRIES, FAST, PROTEIN, Entry, full, hand_in, learner, points_of, source
from .corpus.hand import GUARD, SOME
from .submissions import ENTRIES as OTHERS
from .submissions import learner as others_id

pytestmark = pytest.mark.slow  # hundreds of notebooks are written and read

# Calls that would harm a machine: each only behind a guard.
HARMFUL = re.compile(
    r"os\.fork\(|os\.kill\(|\.setuid|ptrace|unshare\(|string_at|SIG_IGN|SIGKILL|bytearray\(100|rmtree\(place|\(a\|a\)"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All entries, written into a course that is empty otherwise."""
    place = tmp_path_factory.mktemp("corpus")
    canary = place / "canary"
    canary.mkdir()
    (place / "course").mkdir()
    folders = {entry.name: hand_in(entry, place / "course", canary) for entry in ENTRIES}
    assert list(canary.iterdir()) == []
    return folders


def text_of(folder: Path) -> str:
    """All that was handed in, as text; links and pipes by their names."""
    files = [path for path in sorted(folder.rglob("*")) if not path.is_symlink() and path.is_file()]
    return "\n".join(path.read_bytes().decode("latin-1") for path in files)


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(ENTRIES) >= 45
    ids = [learner(entry) for entry in ENTRIES] + [others_id(entry) for entry in OTHERS]
    assert sorted(set(ids)) == sorted(ids)
    for entry in ENTRIES:
        assert re.fullmatch(r"\S.{8,}\.", entry.tries), entry.name


@pytest.mark.parametrize("entry", ENTRIES, ids=[learner(entry) for entry in ENTRIES])
def test_an_entry_hands_something_in_and_no_mark_is_left_in_it(entry: Entry, written: dict[str, Path]) -> None:
    folder = written[entry.name]
    assert folder.is_symlink() or any(folder.iterdir())
    assert not re.search(r"@[A-Z]{4,}@", text_of(folder))


@pytest.mark.parametrize("entry", ENTRIES, ids=[learner(entry) for entry in ENTRIES])
def test_what_an_entry_expects_can_be(entry: Entry) -> None:
    assert entry.state in (GRADED, REPAIRED, REFUSED)
    assert (entry.score is None) == (entry.state == REFUSED)
    if entry.score is not None:
        assert entry.score in _sums(entry.lesson)
    checks = checks_of("dna" if entry.lesson == DNA else "protein")
    called = {
        one.metadata.nbgrader.grade_id: one.source for one in source(entry.lesson).cells if "nbgrader" in one.metadata
    }
    for task, mistake in entry.mistakes.items():
        name = re.findall(r'bio\.check\("([\w.]+)"', called[task])[0]
        assert mistake in {*checks[name].mistakes, *COMMON}, (task, mistake)


def _sums(lesson: str) -> set[float]:
    """All that points of some of the tasks can add up to."""
    sums = {0.0}
    for worth in points_of(lesson).values():
        sums |= {one + worth for one in sums}
    return sums


def test_points_are_those_of_the_checks() -> None:
    for lesson, package in ((DNA, "dna"), (PROTEIN, "protein")):
        known = {check.name: check.points for check in checks_of(package).values()}
        names = re.findall(r'bio\.check\("([\w.]+)"', "\n".join(one.source for one in source(lesson).cells))
        assert list(points_of(lesson).values()) == [known[name] for name in names]
        assert full(lesson) == sum(known[name] for name in names) and set(SOME[lesson]) <= set(points_of(lesson))
    assert full(PROTEIN) == sum(check.points for check in checks_of("protein").values())


@pytest.mark.parametrize("entry", ENTRIES, ids=[learner(entry) for entry in ENTRIES])
def test_what_would_harm_a_machine_asks_first_whether_it_is_in_a_sandbox(
    entry: Entry, written: dict[str, Path]
) -> None:
    text = text_of(written[entry.name])
    if HARMFUL.search(text):
        assert GUARD in text, HARMFUL.findall(text)


def test_harm_is_known_by_the_calls_that_do_it() -> None:
    for words in ("os.fork()", "os.kill(-1, 9)", "x = bytearray(100 * 2**30)", "libc.unshare(1)"):
        assert HARMFUL.search(words)


def test_cells_are_python_that_can_be_read(written: dict[str, Path]) -> None:
    """A slip in an attack would have it prove nothing: all but those that are none on purpose can be compiled."""
    from IPython.core.inputtransformer2 import TransformerManager

    none = {"a cell that is no Python"}
    for entry in ENTRIES:
        path = written[entry.name] / f"{entry.lesson}.ipynb"
        if entry.name in none or entry.state == REFUSED or not path.is_file():
            continue
        found, _ = json.JSONDecoder().raw_decode(path.read_bytes().decode("utf-8-sig", "replace"))
        for one in found["cells"]:
            if one["cell_type"] == "code":
                compile(TransformerManager().transform_cell("".join(one["source"])), entry.name, "exec", 0x2000)


def test_the_quick_ones_are_a_dozen_of_every_kind() -> None:
    assert 12 <= len(FAST) <= 14
    assert {entry.state for entry in FAST} == {GRADED, REPAIRED, REFUSED}
