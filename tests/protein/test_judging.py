"""The table says of each design what its parts say, and names what a low perplexity hides."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.protein.complexity import complexity
from biollm_widgets.protein.composition import compare
from biollm_widgets.protein.export import to_csv
from biollm_widgets.protein.judging import COLUMNS, judge
from biollm_widgets.protein.likeness import References, nearest, prompt_likeness
from biollm_widgets.protein.properties import properties
from biollm_widgets.sequences import read_fasta

LOOP = "M" + "GK" * 60
PROMPT = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"


@pytest.fixture(scope="module")
def card(shared_data):
    return read_fasta(shared_data / "proteins/protgpt2_model_card_10.fasta", "protein")


@pytest.fixture(scope="module")
def ecoli(shared_data):
    return References.from_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz")


def test_the_columns_are_the_same_whatever_is_asked(card, ecoli):
    plain, empty = judge(card), judge([])
    full = judge([card[0]], perplexity=[5.0], prompt=PROMPT, references=ecoli, shuffles=1)
    for frame in (plain, empty, full):
        assert list(frame.columns) == list(COLUMNS)
        assert frame.dtypes.equals(plain.dtypes)
    assert list(plain["name"]) == [record.name for record in card]
    assert plain["nearest_identity"].isna().all() and plain["rank"].isna().all()
    assert plain["prompt_kept"].isna().all() and (plain["nearest"] == "").all()
    assert (
        full[[c for c in COLUMNS if c not in ("duplicate_of", "flags", "why", "more_than_background")]]
        .notna()
        .all()
        .all()
    )


def test_each_value_is_that_of_its_part(card, ecoli):
    record = card[9]
    row = judge([record], references=ecoli, shuffles=1, seed=3).iloc[0]
    computed, made, found = properties(record.sequence), compare(record.sequence), complexity(record.sequence)
    near = nearest(record.sequence, ecoli, shuffles=1, seed=3)
    assert (row["weight"], row["charge"], row["gravy"]) == (computed.weight, computed.charge, computed.gravy)
    assert (row["composition_distance"], row["more_than_background"]) == (made.distance, made.more)
    assert (row["low_complexity"], row["repeated"]) == (found.low_complexity, found.repeated)
    assert (row["nearest"], row["nearest_identity"]) == (near.name, near.identity)
    assert row["nearest"] == "sp|P77690|ARNB_ECOLI" and row["nearest_more_than_chance"]
    assert (row["nearest_e_value"], row["nearest_shuffled_score"]) == (near.e_value, near.shuffled_score)
    assert (row["longest_shared"], row["shared_with"]) == tuple(ecoli.longest_shared(record.sequence)[::2])
    assert judge([record], ph=3).loc[0, "charge"] == properties(record.sequence, 3).charge


def test_a_low_perplexity_of_a_loop_is_called_what_it_is(card):
    frame = judge([*card, LOOP], perplexity=[*range(10, 20), 1.5])
    worst = frame.iloc[10]
    assert worst["rank"] == 1
    assert worst["why"] == "Low perplexity, but it repeats itself: residues 2 to 121 repeat GK 60 times."
    assert "residues 2 to 121 repeat GK 60 times; " in worst["flags"]
    high = judge([*card, LOOP], perplexity=[*range(10, 20), 99]).iloc[10]
    assert high["rank"] == 11 and high["why"].startswith("It repeats itself:")
    assert judge([LOOP], perplexity=[1.5]).loc[0, "why"].startswith("It repeats")  # low compared with nothing


def test_ordinary_designs_have_nothing_against_them(card):
    frame = judge([card[0], card[7]], perplexity=[5, 6])
    assert (frame["flags"] == "").all() and (frame["why"] == "").all()


def test_ranks_go_by_perplexity_and_rows_stay_in_their_order(card):
    frame = judge([record.sequence for record in card[:5]], perplexity=[5.0, None, 2.0, 2.0, math.nan])
    assert list(frame["name"]) == [f"design_{n}" for n in range(1, 6)]
    assert list(frame["rank"].fillna(0)) == [3, 0, 1, 1, 0]


def test_duplicates_and_empty_sequences(card):
    frame = judge(
        [card[0].sequence, "", card[0].sequence, ""], names=["a", "b", "c", "d"], perplexity=[9, None, 9, None]
    )
    assert list(frame["duplicate_of"]) == ["", "", "a", ""]
    assert (
        frame.loc[2, "flags"] == "the same as a" and frame.loc[2, "why"] == "Low perplexity, but it is the same as a."
    )
    assert frame.loc[1, "why"] == "There are no residues." and frame.loc[1, "residues"] == 0
    assert math.isnan(frame.loc[1, "weight"]) and math.isnan(frame.loc[1, "repeated"])


def test_what_was_given_is_not_held_for_what_was_written(card, ecoli):
    """A natural prompt is natural; only what follows is compared."""
    natural = ecoli.sequences[ecoli.names.index("sp|P05523|FPG_ECOLI")]
    prompt = natural[:60]
    design = prompt + card[0].sequence
    with_prompt = judge([design], prompt=prompt, references=ecoli, shuffles=0).iloc[0]
    without = judge([design], references=ecoli, shuffles=0).iloc[0]
    assert without["shared_with"] == "sp|P05523|FPG_ECOLI" and without["longest_shared"] >= 60
    assert "it recites: residues 1 to 60 stand letter by letter in sp|P05523|FPG_ECOLI" in without[
        "why"
    ].lower().replace("sp|p05523|fpg_ecoli", "sp|P05523|FPG_ECOLI")
    assert with_prompt["longest_shared"] < 12 and with_prompt["why"] == "" and with_prompt["prompt_kept"]
    assert with_prompt["nearest"] == judge([card[0]], references=ecoli, shuffles=0).loc[0, "nearest"]
    again = judge([prompt + card[0].sequence + prompt], prompt=prompt).iloc[0]
    assert again["prompt_repeated"] and again["prompt_identity"] == 100 and again["prompt_columns"] == 60
    assert "say the prompt again" in again["flags"]
    assert judge([design], prompt=PROMPT).loc[0, "prompt_kept"] == prompt_likeness(design, PROMPT).kept == False  # noqa: E712


def test_recitation_says_where(ecoli):
    natural = ecoli.sequences[200]
    row = judge([natural], references=ecoli, shuffles=0).iloc[0]
    assert row["longest_shared"] == len(natural) and row["nearest_identity"] == 100
    assert row["why"].startswith(f"It recites: residues 1 to {len(natural)} stand letter by letter in ")


def test_letters_beyond_the_twenty_and_another_start_are_remarks():
    row = judge(["AKTXUAYIAKQRQISFVKSHFSRQ"]).iloc[0]
    assert row["flags"] == "does not begin with M; 2 letters beyond the twenty" and row["why"] == ""


def test_another_background_is_not_called_unnatural():
    frame = judge(["M" + "GKST" * 2], background=["GKST"])
    assert "natural" not in frame.loc[0, "flags"]


def test_progress_is_told_and_the_table_can_be_written(card):
    seen = []
    frame = judge(card[:3], progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    text = to_csv(frame)
    assert text.count("\n") == 4 and pd.isna(judge(card[:1]).loc[0, "prompt_kept"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"names": ["a"]}, "2 sequences and 1 names"),
        ({"names": "ab"}, "give one name for each"),
        ({"perplexity": [1.0]}, "2 sequences and 1 perplexities"),
        ({"perplexity": [1.0, 0.0]}, "above 0, and one of those given is 0"),
        ({"prompt": "MK1"}, "In the prompt, position 3"),
        ({"ph": 20}, "pH"),
        ({"references": []}, "no references"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(options, words):
    with pytest.raises(InputError, match=words):
        judge(["MKT", "MKV"], **options)
    with pytest.raises(InputError, match="In design_2, position 3"):
        judge(["MKT", "MK1"])
