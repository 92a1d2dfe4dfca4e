"""The report counts as the gradebook does, names mistakes and tasks, and points at pairs only where chance does not."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from nbformat.v4 import new_output

pytest.importorskip("nbgrader", reason="Grading is nbgrader's (make test installs it).")

from biollm_widgets.commands.export import command
from biollm_widgets.errors import InputError
from biollm_widgets.grading.likeness import alike, tokens, words
from biollm_widgets.grading.report import look, page, text
from tests.grading.samples import LESSON, SOLUTION, Samples
from tests.grading.test_feedback import ATTACKS, harmless

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")

CLEAN = """def clean(text):
    table = {"u": "T", "U": "T", " ": "", "\\n": ""}
    made = ""
    for position, letter in enumerate(text):
        made = made + table.get(letter, letter).upper()
    return made if len(made) > 0 else "" """
POOL = """def pool(hidden, mask):
    gathered = []
    for row in range(len(hidden)):  # one by one
        keep = [token for token, flag in zip(hidden[row], mask[row]) if flag == 1]
        gathered.append(sum(keep) / max(len(keep), 1))
    return torch.stack(gathered, dim=0).reshape(len(hidden), -1)"""
PROSE = (
    "It goes a long way round before it says that the commoner class alone would have been right in almost as many "
    "cases as the tuned model was, which nobody who reads the table quickly can be blamed for not seeing at once."
)


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return Samples(tmp_path / "course")


@pytest.fixture
def small_class(samples: Samples) -> Samples:
    """Six with points, one not gradable, one without a submission."""
    for number in range(6):
        scores = (2.0, 1.0 if number < 3 else 0.0, 0.0 if number else 1.5)
        mistakes = ("", "" if number < 3 else "A", "padding")
        samples.hand_in(f"l{number}", scores, mistakes=mistakes)
        if number != 5:
            samples.mark(f"l{number}", 2.0)
    samples.hand_in("broken", why="It is no notebook.", ask="Save it again.")
    samples.enrol("dora")
    return samples


def test_it_counts_tasks_states_and_totals(small_class: Samples) -> None:
    seen = look(small_class.course, LESSON)
    assert {state: len(those) for state, those in seen.states.items()} == {
        "graded": 6, "not gradable": 1, "not submitted": 1,
    }  # fmt: skip
    by_task = {task.id: (task.full, task.part, task.none, task.waits, task.mean) for task in seen.tasks}
    assert by_task["clean-check"] == (6, 0, 0, 0, 2.0) and by_task["observations-check"] == (3, 0, 3, 0, 0.5)
    assert by_task["pool-check"] == (0, 1, 5, 0, 0.25) and by_task["report"] == (0, 5, 0, 1, 2.0)
    assert seen.points == 10 and sum(count for _, _, count in seen.bins()) == 6
    assert sorted(one.total for one in seen.counted) == [2.0, 4.0, 4.0, 5.0, 5.0, 6.5]
    assert seen.waiting() == {"report": ["l5"]}


def test_mistakes_stand_by_name_the_commonest_first(small_class: Samples) -> None:
    seen = look(small_class.course, LESSON)
    assert [(one.name, str(one.task), len(one.learners)) for one in seen.mistakes] == [
        ("padding", "Task 2.1 · pool", 6), ("A", "Question 1.2 · observations", 3),
    ]  # fmt: skip
    for said in (page([seen]), text(seen)):
        assert "The belief behind padding." in said and "Task 2.1 · pool" in said
        assert "All points for everybody: Task 1.1 · clean." in said
        assert "All points for nobody: Task 2.1 · pool, Question 2.2 · report." in said
        assert "It is no notebook." in said and "Save it again." in said
        assert "1 answer waits for a person" in said


def test_a_missing_answer_stands_behind_what_people_believe(small_class: Samples) -> None:
    for number in range(6, 14):
        small_class.hand_in(f"l{number}", (0, 0, 0), mistakes=("nothing", "nothing", "nothing"))
    assert [one.name for one in look(small_class.course, LESSON).mistakes][:3] == ["padding", "A", "nothing"]


def test_a_class_that_is_not_graded_yet_has_a_report_too(samples: Samples) -> None:
    samples.enrol("dora")
    seen = look(samples.course, LESSON)
    assert "1 learner, none with points yet" in text(seen) and "not submitted" in page([seen])
    (samples.folder / "submitted" / "new" / LESSON).mkdir(parents=True)
    assert "biollm grade" in page([look(samples.course, LESSON)])


def test_the_page_is_whole_and_nothing_in_it_acts(samples: Samples) -> None:
    for number in range(4):
        learner = f"<img src=x onerror=alert({number})>"
        answers = {"clean": CLEAN + ATTACKS[0], "pool": POOL + ATTACKS[1], "report": PROSE + ATTACKS[2]}
        samples.hand_in(learner, answers=answers, mistakes=ATTACKS[:3], scores=(0, 0, 0), repairs=ATTACKS)
    samples.hand_in("'\"<script>", why="".join(ATTACKS), ask="".join(ATTACKS))
    made = page([look(samples.course, LESSON)])
    body = re.sub(r' (role|aria-label)="[^"<>]*"', "", made)
    harmless(body)
    assert "<script" not in made


# Likeness.


def class_of(size: int, *copies: tuple[int, int], cells: int = 6) -> dict[str, dict[str, str]]:
    """A class that writes each its own, with some who copied: (from, to)."""
    rng = random.Random(7)
    calls = ["np.mean", "sum", "sorted", "len", "torch.stack", "zip", "max", "list", "np.where", "abs", "str.upper"]
    names = ["rows", "seq", "out", "found", "kept", "data", "total", "part", "left", "mask"]

    def line() -> str:
        left, one, two = (rng.choice(names) for _ in range(3))
        call, sign, number = rng.choice(calls), rng.choice("+-*/%"), rng.randint(0, 9)
        return f"    {left} = {call}({one} {sign} {two}[{number}])"

    found = {
        f"l{who:03d}": {
            f"c{cell}": "\n".join(
                [f"def task{cell}(x):", *(line() for _ in range(rng.randint(2, 7))), "    return out"]
            )
            for cell in range(cells)
        }
        for who in range(size)
    }
    for source, target in copies:
        found[f"l{target:03d}"] = dict(found[f"l{source:03d}"])
    return found


def test_who_wrote_the_same_is_found_whatever_the_names_comments_and_layout() -> None:
    answers = class_of(40, (3, 9), (3, 17))
    for name in answers["l017"]:
        source = re.sub(r"\b(rows|seq|out|found|kept)\b", lambda found: found[0] + "_2", answers["l017"][name])
        answers["l017"][name] = source.replace("\n", "  # mine\n\n").replace(" = ", "=")
    pairs = alike(answers, {})
    assert {(pair.left, pair.right) for pair in pairs} == {("l003", "l009"), ("l003", "l017"), ("l009", "l017")}
    by_pair = {(pair.left, pair.right): pair for pair in pairs}
    assert all(match.same_names for match in by_pair["l003", "l009"].matches)
    assert not any(match.same_names for match in by_pair["l003", "l017"].matches)
    assert all(match.others == 1 for pair in pairs for match in pair.matches)


def test_a_class_that_wrote_on_its_own_has_no_pair() -> None:
    for size in (4, 20, 120):
        assert alike(class_of(size), {}) == []


def test_what_the_lesson_explains_is_no_likeness() -> None:
    """The solution, the stub, a letter, and what half the class writes."""
    stub = "def pool(hidden, mask):\n    ...  # your answer"
    everybody = class_of(40)
    for place, own in enumerate(everybody.values()):
        own["letter"] = 'observations = "B"'
        own["solved"] = f"def clean(text):\n    {SOLUTION}" if place % 2 else "def clean(text):\n    ..."
        own["stub"] = stub
        if place % 2:
            own["popular"] = CLEAN
    given = {"solved": [f"def clean(text):\n    {SOLUTION}"], "stub": [stub]}
    assert alike(everybody, given) == []


def test_one_alike_answer_or_two_are_not_enough() -> None:
    answers = class_of(60)
    for name in ("c0", "c1"):
        answers["l001"][name] = answers["l002"][name] = CLEAN.replace("clean", name)
    assert alike(answers, {}) == []
    for name in ("c2", "c3"):
        answers["l001"][name] = answers["l002"][name] = POOL.replace("pool", name) + f"\n    # {name}"
    [pair] = alike(answers, {})
    assert (pair.left, pair.right) == ("l001", "l002") and len(pair.matches) == 4


def test_prose_counts_and_two_learners_are_too_few() -> None:
    answers = class_of(30)
    for place, own in enumerate(answers.values()):
        own["report"] = PROSE if place in (4, 5) else f"I think number {place} says it."
    answers["l005"]["c0"], answers["l005"]["c1"] = answers["l004"]["c0"], answers["l004"]["c1"]
    answers["l004"]["c2"] = answers["l005"]["c2"] = POOL
    [pair] = alike(answers, {}, ["report"])
    assert [match.prose for match in pair.matches].count(True) == 1
    assert alike({"a": {"c": CLEAN, "d": POOL}, "b": {"c": CLEAN, "d": POOL}}, {}) == []


def test_a_pair_in_a_course_is_told_as_worth_a_look(samples: Samples) -> None:
    others = class_of(20)
    for place, (learner, own) in enumerate(others.items()):
        answers = {"clean": own["c0"], "pool": own["c1"], "report": f"Number {place} of its own kind."}
        if place in (2, 11):
            answers = {"clean": CLEAN, "pool": POOL, "report": PROSE}
        samples.hand_in(learner, answers=answers)
    seen = look(samples.course, LESSON)
    [pair] = seen.pairs
    assert (pair.left, pair.right) == ("l002", "l011") and set(seen.answers) == {"l002", "l011"}
    for said in (page([seen]), text(seen)):
        flat = " ".join(said.split())
        assert "worth a look, and no proof of anything" in flat and "nobody else of 20" in flat
        assert not re.search(r"cheat|copied|plagiar|fraud", said, re.I)
    assert "Task 2.1 · pool" in page([seen]) and "in the same words" in page([seen])


def test_tokens_are_read_from_any_text() -> None:
    assert tokens("def f(a_b):  # why\n  return a_b . mean( 'x' )", names=False) == tokens(
        'def f ( zz ) :\n\treturn zz.mean("x")', names=False
    )
    assert tokens("x = y", names=True) == ["x", "=", "y"]
    for odd in ("'", '"""', "\\", "\x00é\ud800", "((((", "'''" * 9000, "# " * 9000, "a\r\nb"):
        assert isinstance(tokens(odd, names=False), list) and isinstance(words(odd), list)


def test_a_class_of_300_takes_seconds() -> None:
    answers = class_of(300, (1, 2), cells=30)
    begin = time.perf_counter()
    [pair] = alike(answers, {})
    assert time.perf_counter() - begin < 30 and (pair.left, pair.right) == ("l001", "l002")


@pytest.mark.slow
def test_300_submissions_with_outputs_are_read_in_seconds(samples: Samples) -> None:
    pictures = [new_output("stream", name="stdout", text="x" * 300_000)]
    for number in range(40):
        samples.hand_in(f"l{number:03d}", outputs={"setup": pictures})
    begin = time.perf_counter()
    page([look(samples.course, LESSON)])
    assert time.perf_counter() - begin < 5  # 40 of 300


def test_the_command_writes_a_page_or_says_it(small_class: Samples, capsys: pytest.CaptureFixture[str]) -> None:
    def go(*words: str) -> str:
        command.main([LESSON, *words, "--course", str(small_class.folder)], standalone_mode=False)
        return capsys.readouterr().out

    target = small_class.folder / "report.html"
    assert go("--report", str(target)) == ""
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert "The commonest mistakes" in go("--report", "-")
    with pytest.raises(InputError, match=r"call it .*report\.html"):
        go("--report", str(target.with_suffix(".pdf")))
    with pytest.raises(InputError, match="leave out --to"):
        go("--report", "-", "--to", "csv")
