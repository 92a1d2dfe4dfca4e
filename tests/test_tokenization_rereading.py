"""Reading a text again after an edit gives what a full reading gives, without reading it all."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer

from biollm_widgets.models.locate import locate
from biollm_widgets.sequences import read_fasta
from biollm_widgets.tokenization import KmerTokenizer, rereading, tokenize, tokenize_again


@pytest.fixture(scope="module")
def embedded() -> Any:
    return AutoTokenizer.from_pretrained(locate("zhihan1996/DNABERT-2-117M", source="embedded"))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many letters were given to the tokenizer at each reading."""
    lengths: list[int] = []

    def spy(text: str, *given: Any, **options: Any) -> Any:
        lengths.append(len(text))
        return tokenize(text, *given, **options)

    monkeypatch.setattr(rereading, "tokenize", spy)
    return lengths


def edited(text: str, rng: random.Random) -> str:
    """A change, an insertion, a deletion, lower case or an N, somewhere: at the ends as well."""
    place = rng.choice([0, len(text), rng.randrange(len(text)), rng.randrange(len(text))])
    until = min(len(text), place + rng.choice([0, 1, 1, 5, 40]))
    new = rng.choice(["", "A", "GATTACA", "N", "acgt", text[place:until].lower()])
    return text[:place] + new + text[until:]


def test_many_edits_of_a_genome_read_as_if_from_the_start(shared_data: Any, counted: list[int]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer")
    text = read_fasta(shared_data / "genome/GCF_000005845.2_ASM584v2_genomic.fna.gz")[0].sequence[:30_000]
    rng = random.Random(4)
    read = tokenize(text, tokenizer)
    for _ in range(60):
        text = edited(text, rng)
        read = tokenize_again(read, text, tokenizer)
        assert read == tokenize(text, tokenizer)
    assert sorted(counted)[55] < 3000  # all but a few were short


def test_texts_that_repeat_themselves_come_in_step_or_are_read_in_full(embedded: Any, counted: list[int]) -> None:
    rng = random.Random(5)
    for unit in ("A", "CA", "AAC", "GATATA", "ACGTTGCA"):
        text = unit * (24_000 // len(unit))
        read = tokenize(text, embedded)
        for _ in range(6):
            text = edited(text, rng)
            read = tokenize_again(read, text, embedded)
            assert read == tokenize(text, embedded)
    assert min(counted) < 3000


def test_a_stretch_that_never_falls_in_step_is_read_in_full(counted: list[int]) -> None:
    # Only AA is a word: behind a C in the middle of a pair every border of the run moves by one letter.
    tokenizer = Tokenizer(models.BPE({"[UNK]": 0, "A": 1, "C": 2, "AA": 3}, [("A", "A")], unk_token="[UNK]"))
    text = "C" + "A" * 30_000 + "C"
    read = tokenize(text, tokenizer)
    longer = text[:100] + "C" + text[100:]
    again = tokenize_again(read, longer, tokenizer)
    assert again == tokenize(longer, tokenizer)
    assert max(counted) == len(longer)


def test_names_flags_and_special_tokens_are_those_of_a_full_reading(embedded: Any) -> None:
    text = "ACGTTGCAGC" * 2500
    for special in (True, False):
        read = tokenize(text, embedded, special_tokens=special, name="one")
        unknown = text[:12_000] + "NNn" + text[12_000:]
        again = tokenize_again(read, unknown, embedded, special_tokens=special)
        full = tokenize(unknown, embedded, special_tokens=special, name="one")
        assert again == full and again.notes == full.notes and again.tokens == full.tokens
        back = tokenize_again(again, text, embedded, special_tokens=special)
        assert back == read and not back.unknown


@pytest.mark.parametrize("text", ["ACGT" * 6000, "ACGT ACGT\n" * 3000, "ACGT-" * 5000, "AC\u00e9GT" * 5000])
def test_what_the_short_way_does_not_cover_is_read_in_full(embedded: Any, text: str, counted: list[int]) -> None:
    for tokenizer in (embedded, KmerTokenizer(6)):
        changed = text[:9000] + "G" + text[9000:]
        assert tokenize_again(tokenize(text, tokenizer), changed, tokenizer) == tokenize(changed, tokenizer)
    covered = text.isascii() and text.isalpha()
    assert counted[-1] == len(text) + 1 and (counted[0] < len(text)) == covered
