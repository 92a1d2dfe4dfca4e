"""Loops are flagged with their place, and ordinary proteins are not."""

from __future__ import annotations

import math
import random
import time
from collections import Counter

import pytest

from biollm_widgets.protein.complexity import (
    Copied,
    Repeat,
    complexity,
    longest_copied,
    low_complexity,
    tandem_repeats,
)
from biollm_widgets.protein.control import shuffled_set
from biollm_widgets.sequences import AMINO_ACIDS, read_fasta

# Human prion protein, the example in the documentation of the program seg.
PRION = (
    "MANLGCWMLVLFVATWSDLGLCKKRPKPGGWNTGGSRYPGQGSPGGNRYPPQGGGGWGQPHGGGWGQPHGGGWGQPHGGGWGQPHGGGWGQGGGTHSQWNKPSKPKTNMKHMAG"
    "AAAAGAVVGGLGGYMLGSAMSRPIIHFGSDYEDRYYRENMHRYPNQVYYRPMDEYSNQNNFVHDCVNITIKQHTVTTTTKGENFTETDVKMMERVVEQMCITQYERESQAYYQRG"
    "SSMVLFSSPPVILLISFLIFLIVG"
)


def words(sequence):
    return [flag.words for flag in complexity(sequence).flags]


# --- SEG


def test_seg_finds_what_the_program_finds_in_the_prion_protein():
    """As printed in the manual page for seg PRIO_HUMAN 12 2.2 2.5: 50-94, 113-135, 188-201, 237-252."""
    assert [(start + 1, end) for start, end in low_complexity(PRION)] == [(50, 94), (113, 135), (188, 201), (237, 252)]


def seg_step_by_step(text, offset=0):
    """The published procedure with loops and nothing clever: (start, end) of each segment."""
    entropies = []
    for i in range(len(text) - 11):
        counts = Counter(text[i : i + 12]).values()
        entropies.append(-sum(c / 12 * math.log2(c / 12) for c in counts))
    found, i, limit = [], 0, 0
    while i < len(entropies):
        if entropies[i] > 2.2:
            i += 1
            continue
        first = last = i
        while first > limit and entropies[first - 1] <= 2.5:
            first -= 1
        while last + 1 < len(entropies) and entropies[last + 1] <= 2.5:
            last += 1
        raw = text[first : last + 12]
        best = (math.inf, 0, len(raw))
        for length in range(len(raw), max(1, len(raw) - 100), -1):
            for start in range(len(raw) - length + 1):
                counts = [raw[start : start + length].count(letter) for letter in AMINO_ACIDS]
                chance = math.lgamma(length + 1) - sum(math.lgamma(c + 1) for c in counts) - length * math.log(20)
                chance += math.lgamma(21) - sum(math.lgamma(n + 1) for n in Counter(counts).values())
                if chance < best[0] - 1e-9:
                    best = (chance, start, start + length)
        start, end = first + best[1], first + best[2]
        if i + 12 <= start:
            found += seg_step_by_step(text[first:start], offset + first)
        found.append((start + offset, end + offset))
        i = limit = min(last, end - 1) + 1
    return found


def test_seg_agrees_with_the_procedure_step_by_step(shared_data):
    rng = random.Random(9)
    records = read_fasta(shared_data / "proteins/UP000002311_yeast.fasta.gz", "protein", duplicates="keep")
    texts = [record.sequence for record in records[::400] if len(record) < 400]
    for _ in range(30):  # short stretches of few letters beside each other, where the procedure has to start again
        texts.append("".join("".join(rng.choices(rng.sample(AMINO_ACIDS, 3), k=rng.randint(5, 15))) for _ in range(6)))
    segments = 0
    for text in texts:
        covered = {place for start, end in seg_step_by_step(text) for place in range(start, end)}
        assert {place for start, end in low_complexity(text) for place in range(start, end)} == covered
        segments += len(low_complexity(text))
    assert segments > 40


def test_complexity_is_that_of_the_letters_known():
    assert low_complexity("ACDEFGHIKLMNPQRSTVWY" * 3) == []
    assert low_complexity("Q" * 12) == [(0, 12)]
    assert low_complexity("Q" * 11) == low_complexity("") == []
    around = "ACDEFGHIKLMNPQRSTVWY"
    assert low_complexity(around + "Q" * 20 + around) == [(20, 40)]
    assert complexity(around + "Q" * 20 + around).low_complexity == pytest.approx(1 / 3)
    assert low_complexity("X" * 30)  # nothing known is no complexity


def test_segments_are_in_order_and_apart(shared_data):
    for record in read_fasta(shared_data / "proteins/UP000002311_yeast.fasta.gz", "protein", duplicates="keep")[::60]:
        segments = low_complexity(record.sequence)
        for (start, end), (after, _) in zip(segments, [*segments, (len(record) + 1, 0)][1:], strict=True):
            assert 0 <= start < end < after
        assert all(end <= len(record) for _, end in segments)


# --- repeats


def test_a_loop_is_named_with_its_unit_and_place():
    assert words("MGKGKGKGKGKGKGKGKGKG")[0] == "residues 2 to 20 repeat GK 9.5 times"
    assert words("M" + "GK" * 60)[0] == "residues 2 to 121 repeat GK 60 times"
    assert words("Q" * 50)[0] == "residues 1 to 50 are all Q"
    assert words("MKTAYIAK" + "S" * 7 + "RQISFVKHDWEFGHILN") == ["residues 9 to 15 are all S"]
    assert words("MKTAYIAK" + "S" * 6 + "RQISFVKHDWEFGHILN") == []
    assert words("ACDEFGHIKL" * 3) == ["residues 1 to 30 repeat ACDEFGHIKL 3 times"]
    assert complexity("M" + "GK" * 60).repeats_itself and complexity("M" + "GK" * 60).repeated == pytest.approx(
        120 / 121
    )


def test_a_repeat_goes_on_over_exchanged_residues_and_takes_the_shortest_unit():
    rng = random.Random(4)
    for period in (2, 3, 5, 7, 11, 20):
        unit = "".join(rng.sample(AMINO_ACIDS, period))
        copies = max(6, 40 // period)
        letters = list(unit * copies)
        for place in rng.sample(range(period, len(letters) - period), len(letters) // 20):
            letters[place] = rng.choice(AMINO_ACIDS)
        flank = "".join(rng.sample(AMINO_ACIDS, 20))
        (repeat,) = tandem_repeats(flank + "".join(letters) + flank[::-1])
        assert len(repeat.unit) == period and repeat.unit in unit * 2
        assert abs(repeat.start - 20) <= period and abs(repeat.end - 20 - len(letters)) <= period
        assert repeat.copies == pytest.approx(copies, abs=1.5)


def test_two_repeats_in_one_sequence_are_two():
    first, second = tandem_repeats("GK" * 10 + "ACDEFGHIKLMNPQRSTVWY" + "STA" * 8)
    assert (first, second.unit) == (Repeat(0, 20, "GK", 18), "STA")
    assert second.start == 40 and second.end == 64


def test_a_repeat_ends_where_it_ends():
    found = tandem_repeats("GK" * 12 + "ACDEFHIL" + "GK" * 12)
    assert [(repeat.start, repeat.end, repeat.unit) for repeat in found] == [(0, 24, "GK"), (32, 56, "GK")]


def test_the_longest_copy_agrees_with_a_search_by_hand():
    rng = random.Random(6)
    for _ in range(300):
        sequence = "".join(rng.choices("ACD", k=rng.randint(0, 30)))
        found = longest_copied(sequence)
        lengths = [
            length
            for length in range(1, len(sequence) // 2 + 1)
            for start in range(len(sequence) - length + 1)
            if sequence.find(sequence[start : start + length], start + length) >= 0
        ]
        assert found.length == max(lengths, default=0)
        if found.length:
            stretch = sequence[found.start : found.start + found.length]
            assert sequence[found.again : found.again + found.length] == stretch
            assert found.again >= found.start + found.length
    assert longest_copied("AAAA") == Copied(2, 0, 2)


def test_a_copied_domain_is_told_with_both_places():
    domain = "MKTAYIAKQRQISFVKSHFSRQ"
    (told,) = words(domain + "GGWGPEDC" + domain[2:])
    assert told == "residues 31 to 50 are the same as residues 3 to 22"


def test_unknown_letters_repeat_nothing():
    assert tandem_repeats("XA" * 3 + "X" * 30) == []
    assert not complexity("MKTAYIAKQR" + "X" * 40 + "ISFVKSHFSR").runs


def test_nothing_and_one_residue_have_nothing():
    for sequence in ("", "M", "MK"):
        found = complexity(sequence)
        assert (found.flags, found.segments, found.repeated, found.low_complexity) == ((), (), 0, 0)


# --- natural proteins


def test_ordinary_enzymes_have_no_flag(shared_data):
    records = read_fasta(shared_data / "proteins/UP000000625_ecoli.fasta.gz", "protein", duplicates="keep")
    sequences = {record.name.split("|")[2]: record.sequence for record in records}
    for name in ("FPG_ECOLI", "DYR_ECOLI", "BGAL_ECOLI", "PGK_ECOLI", "MDH_ECOLI", "ALF_ECOLI", "TPIS_ECOLI"):
        assert complexity(sequences[name]).flags == (), name


def test_the_designs_of_the_model_card_do_not_repeat_themselves(shared_data):
    found = [
        complexity(r.sequence) for r in read_fasta(shared_data / "proteins/protgpt2_model_card_10.fasta", "protein")
    ]
    assert not any(each.repeats_itself for each in found)
    assert sum(bool(each.flags) for each in found) == 2


@pytest.mark.slow
def test_as_many_natural_proteins_are_flagged_as_the_module_says(shared_data):
    for name, step, any_flag, repeats in (("UP000000625_ecoli", 5, 2.2, 0.9), ("UP000002311_yeast", 7, 9.7, 8.2)):
        records = read_fasta(shared_data / f"proteins/{name}.fasta.gz", "protein", duplicates="keep")[::step]
        found = [complexity(record.sequence) for record in records]
        assert 100 * sum(bool(each.flags) for each in found) / len(found) == pytest.approx(any_flag, abs=1.5)
        assert 100 * sum(each.repeats_itself for each in found) / len(found) == pytest.approx(repeats, abs=1.5)
        if step == 5:
            copies = shuffled_set([record.sequence for record in records], seed=1)
            assert sum(complexity(copy).repeats_itself for copy in copies) <= 2


def test_the_work_grows_with_the_length():
    rng = random.Random(8)
    text = "".join(rng.choices(AMINO_ACIDS, k=16_000))
    start = time.perf_counter()
    tandem_repeats(text)
    longest_copied(text)
    assert time.perf_counter() - start < 2  # 0.2 s on a free core
