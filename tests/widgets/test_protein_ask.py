"""What is typed into a ProteinPanel: what can be is taken, what cannot be is a sentence beside its field."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="The widgets need anywidget (make test installs it).")

from transformers import AutoTokenizer

from biollm_widgets.errors import InputError
from biollm_widgets.models.locate import locate
from biollm_widgets.protein.generation import Settings
from biollm_widgets.widgets.protein_ask import KEYS, Ask, Reader
from biollm_widgets.widgets.protein_words import CONTROLS, rounded

MOTIF = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"  # the chapter's prompt
LONG = "ACDEFGHIKLMNPQRSTVWY" * 100


class Layout:
    """What a `Reader` asks an `Explorer` for, with a real tokenizer and no model."""

    def __init__(self, tokenizer: Any) -> None:
        from biollm_widgets.protein.layout import layout_of

        self.tokenizer, self.layout = tokenizer, layout_of(tokenizer)

    def opening(self, prompt: str) -> list[int]:
        return self.layout.ids(self.tokenizer, self.layout.opening(prompt))

    def residues_per_token(self) -> float:
        return 2.8


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(Layout(AutoTokenizer.from_pretrained(locate("nferruz/ProtGPT2", source="embedded"))), 1024)


def typed(key: str, given: Any, reader: Any = None, **settings: Any) -> tuple[Ask, dict[str, Any]]:
    ask = Ask(Settings(**settings))
    ask.change(key, given)
    return ask, ask.checks(reader)[key]


@pytest.mark.parametrize(
    ("key", "given", "value"),
    [
        ("n", "7", 7),
        ("n", " 7 ", 7),
        ("n", 7.0, 7),
        ("n", "٣", 3),  # Arabic digits are digits
        ("top_k", "1,000", 1000),
        ("top_k", "1e3", 1000),
        ("top_k", "0", 0),
        ("temperature", "0.7", 0.7),
        ("temperature", ".7", 0.7),
        ("temperature", 1, 1.0),
        ("top_p", "1", 1.0),
        ("repetition_penalty", "1.2", 1.2),
        ("seed", "4294967295", 2**32 - 1),
        ("seed", "", None),
        ("seed", None, None),
        ("precision", "int8", "int8"),
    ],
)
def test_a_number_is_taken_however_it_is_typed(key: str, given: Any, value: Any) -> None:
    ask, check = typed(key, given, seed=5)
    assert ask.typed[key] == value and type(ask.typed[key]) is type(value) and not check["wrong"]
    assert getattr(ask.settings, key) == value


@pytest.mark.parametrize(
    ("key", "given", "words"),
    [
        ("n", "abc", "n is 'abc'; give a whole number from 1 to 1,000."),
        ("n", "", "Give a whole number from 1 to 1,000."),
        ("n", "   ", "Give a whole number from 1 to 1,000."),
        ("n", "1e9", "n is 1000000000; give a whole number from 1 to 1,000."),
        ("n", "-3", "n is -3; give a whole number from 1 to 1,000."),
        ("n", "2.5", "n is 2.5; give a whole number from 1 to 1,000."),
        ("n", True, "n is True; give a whole number from 1 to 1,000."),
        ("n", [1], "n is [1]; give a whole number from 1 to 1,000."),
        ("n", None, "Give a whole number from 1 to 1,000."),
        ("n", "9" * 5000, "n is inf; give"),
        ("n", "x" * 5000, f"n is '{'x' * 40}...'; give"),
        ("max_length", "1", "max_length is 1; give a whole number from 2 up."),
        ("temperature", "0", "temperature is 0; give a number from 0.001 to 1,000; 1 changes nothing."),
        ("temperature", "", "Give a number from 0.001 to 1,000; 1 changes nothing."),
        ("temperature", "nan", "temperature is nan; give"),
        ("temperature", "inf", "temperature is inf; give"),
        ("temperature", "0,7", "temperature is '0,7'; give"),
        ("top_p", "1.5", "top_p is 1.5; give a number above 0 and up to 1."),
        ("seed", "-1", "seed is -1; give a whole number from 0 to 4,294,967,295."),
        ("seed", "seed", "seed is 'seed'; give a whole number"),
        ("precision", "double", "precision is one of float32, bf16, int8, not 'double'."),
    ],
)
def test_what_is_no_number_of_its_range_is_a_sentence_and_changes_nothing(key: str, given: Any, words: str) -> None:
    ask, check = typed(key, given, seed=5)
    before = Ask(Settings(seed=5)).typed[key]
    assert check["wrong"] and check["words"].startswith(words) and len(check["words"]) < 200
    assert ask.typed[key] == before
    ask.change(key, before)
    assert not ask.checks()[key]["wrong"] and ask.wrong == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("MKX", "In the prompt, position 3, 'X' stands for any residue; write one of the twenty amino acids in its"),
        ("MK1", "In the prompt, position 3, '1' is no residue"),
        ("<b>MK</b>", "In the prompt, position 1, '<' is no residue"),
        ("<script>alert(1)</script>", "In the prompt, position 1, '<' is no residue"),
        (">a\nMKT\n>b\nMKK", "There are 2 records in the prompt (a, b); give one of them."),
        ("ACGT" * 7, "The prompt (ACGTACGTACGTACGTACGT...) looks like DNA"),
        ("M" * 100_001, "This is 100,001 letters long; give one protein, or a stretch of it."),
        (5, "There are no letters in the prompt"),
        (["MKT"], "In the prompt, position 1, '[' is no residue"),
    ],
)
def test_a_prompt_that_is_no_protein_is_a_sentence(given: Any, words: str) -> None:
    ask, check = typed("prompt", given, prompt="MKT")
    assert check["wrong"] and check["words"].startswith(words)
    assert ask.typed["prompt"] == "MKT" and ask.settings.prompt == "MKT"


def test_a_prompt_says_what_it_costs_and_what_was_changed_in_it(reader: Reader) -> None:
    assert typed("prompt", MOTIF, reader)[1]["words"] == "42 residues, 28 tokens"
    assert typed("prompt", "", reader)[1]["words"] == "from scratch, 1 token"
    assert typed("prompt", MOTIF)[1]["words"] == "42 residues"  # the model is not there yet
    ask, check = typed("prompt", "mkt", reader)
    assert not check["wrong"] and check["words"].startswith("3 residues, 4 tokens; 3 lower-case letters made capital")
    assert ask.typed["prompt"] == "mkt" and ask.settings.prompt == "MKT"
    ask, check = typed("prompt", f">sp|P1|MOTIF of some protein\n{MOTIF}\n", reader)
    assert check["words"].startswith("42 residues, 28 tokens") and ask.settings.prompt == MOTIF


def test_a_prompt_beyond_the_models_positions_says_how_many_tokens_and_how_many_residues_fit(reader: Reader) -> None:
    ask, check = typed("prompt", LONG, reader)
    assert check == {
        "wrong": True,
        "words": "These 2,000 residues take 1,369 tokens, and the model has 1,024 positions in all; the first 1,497 "
        "residues fit, with a place left for one token.",
    }
    assert reader.tokens(LONG[:1497]) <= 1023 < reader.tokens(LONG[:1498])
    assert not ask.checks(reader)["max_length"]["wrong"]  # one sentence is enough


def test_the_length_is_told_in_residues_the_prompts_counted_in(reader: Reader) -> None:
    check = Ask(Settings(prompt=MOTIF)).checks(reader)["max_length"]
    assert check == {"wrong": False, "words": f"about {round(42 + 72 * 2.8, -1):.0f} residues"}
    check = Ask(Settings(prompt=MOTIF, max_length=20)).checks(reader)["max_length"]
    assert check["words"].startswith("The prompt takes 28 tokens, which leaves nothing of 20") and check["wrong"]
    check = Ask(Settings(max_length=2000)).checks(reader)["max_length"]
    assert check["words"].startswith("The model has 1,024 positions, so 2,000 tokens are too many") and check["wrong"]


@pytest.mark.parametrize(("number", "words"), [(0.2, "no"), (7.4, "7"), (26.1, "26"), (263.4, "260"), (2870, "2,900")])
def test_an_estimate_has_two_figures(number: float, words: str) -> None:
    assert rounded(number) == words


def test_what_python_gives_is_taken_whole_or_not_at_all() -> None:
    ask = Ask(Settings(seed=1))
    with pytest.raises(InputError, match="top_p is 2"):
        ask.change_all({"n": 3, "top_p": 2})
    assert ask.typed["n"] == 10 and ask.wrong == {}
    ask.change_all({"n": 3, "prompt": "mkt", "seed": None})
    assert (ask.settings.n, ask.settings.prompt, ask.settings.seed) == (3, "MKT", None)


def test_the_authors_settings_leave_the_rest_and_mend_what_was_wrong() -> None:
    ask = Ask(Settings(n=3, temperature=2.0, top_k=5, top_p=0.5, repetition_penalty=1.0))
    ask.change("top_k", "abc")
    ask.authors()
    found = ask.settings
    assert (found.temperature, found.top_k, found.top_p, found.repetition_penalty, found.n) == (1.0, 950, 1.0, 1.2, 3)
    assert ask.wrong == {}


def test_settings_that_do_not_go_together_are_refused_at_the_door() -> None:
    with pytest.raises(InputError, match="Without sampling all 10 sequences would be the same"):
        Ask(Settings(do_sample=False))
    ask = Ask(Settings(do_sample=False, n=1))
    ask.change("n", 2)
    with pytest.raises(InputError, match="Without sampling"):
        _ = ask.settings
    with pytest.raises(InputError, match="There is no setting 'model' here"):
        ask.change("model", "x")


def test_each_control_says_in_one_line_what_it_does_and_its_neutral_value_can_be() -> None:
    assert [one["key"] for one in CONTROLS] == [key for key in KEYS if key not in ("prompt", "precision")]
    for one in CONTROLS:
        assert 20 < len(one["help"]) < 120 and one["help"].endswith(".")
        for value in (one["low"], one["high"], one["off"]):
            if value is not None:
                assert not typed(one["key"], value)[1]["wrong"]


def test_settings_are_checked_without_torch() -> None:
    code = "import sys, biollm_widgets.widgets.protein_ask as a; from biollm_widgets.protein.generation import Settings"
    code += "; a.Ask(Settings(prompt='MKT')).checks(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
