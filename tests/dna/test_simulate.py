"""Simulated DNA looks like the real windows where a classifier looks, is made the same way each time, and says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biollm_widgets.dna.baselines import kmer_frequencies
from biollm_widgets.dna.classification import classify
from biollm_widgets.dna.simulate import LONGEST, PARAMETERS, SHORTEST, coding_windows, simulate_coding_dataset
from biollm_widgets.errors import InputError

STOPS = {"TAA", "TAG", "TGA"}


def open_frames(sequence):
    """Which of the three forward frames have no stop codon."""
    return [not STOPS & {sequence[i : i + 3] for i in range(start, len(sequence) - 2, 3)} for start in range(3)]


@pytest.fixture(scope="module")
def simulated():
    return simulate_coding_dataset(3_207, seed=5)


def test_the_table_has_the_chapters_columns_ratio_and_lengths(simulated):
    assert list(simulated.columns) == ["DNA_sequence", "Target"]
    assert simulated.shape == (3_207, 2)
    assert simulated["Target"].sum() == round(3_207 * 19_718 / 65_321)
    lengths = simulated["DNA_sequence"].str.len()
    assert lengths.min() >= SHORTEST == 90 and lengths.max() <= LONGEST == 420
    assert set("".join(simulated["DNA_sequence"])) == set("ACGT")
    assert simulated["Target"].iloc[:300].nunique() == 2  # mixed, not one label after the other


def test_it_says_that_it_is_simulated(simulated):
    assert simulated.attrs["simulated"] is True
    assert simulated.attrs["source"].startswith("simulated") and "seed 5" in simulated.attrs["source"]


def test_a_seed_gives_the_same_table_and_another_seed_another():
    one, same, other = (simulate_coding_dataset(50, seed=seed) for seed in (1, 1, 2))
    assert one.equals(same)
    assert not set(one["DNA_sequence"]) & set(other["DNA_sequence"])


def test_every_coding_window_has_an_open_frame_and_starts_at_any_codon_position():
    windows = [window for window in coding_windows(1_200, np.random.default_rng(0)) if len(window) > 300]
    frames = np.array([open_frames(window) for window in windows])
    assert frames.any(axis=1).all()
    # In a window this long a wrong frame is rarely open, so the open one tells where the codons start.
    shares = frames.mean(axis=0)
    assert shares.min() > 0.25 and shares.max() < 0.45


def test_non_coding_windows_are_not_open(simulated):
    long = simulated[(simulated["Target"] == 0) & (simulated["DNA_sequence"].str.len() > 300)]["DNA_sequence"]
    assert np.mean([any(open_frames(window)) for window in long]) < 0.2


def test_it_has_the_composition_of_real_windows(simulated, shared_data):
    real = pd.read_csv(shared_data / "ecoli_coding_noncoding.csv")
    for label in (0, 1):
        pair = [frame.loc[frame["Target"] == label, "DNA_sequence"].str.cat() for frame in (real, simulated)]
        a, b = (kmer_frequencies([text], 3)[0] for text in pair)
        assert np.corrcoef(a, b)[0, 1] > 0.97
        assert np.abs(a - b).sum() < 0.12  # of 2, when nothing is shared
    middle = simulated.groupby("Target")["DNA_sequence"].apply(lambda column: column.str.len().median())
    true = real.groupby("Target")["DNA_sequence"].apply(lambda column: column.str.len().median())
    assert (abs(middle - true) < 40).all()


def test_what_is_learned_from_simulated_rows_holds_for_real_ones(simulated, shared_data):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import matthews_corrcoef
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    real = pd.read_csv(shared_data / "ecoli_coding_noncoding.csv")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    model.fit(kmer_frequencies(simulated["DNA_sequence"].tolist(), 3), simulated["Target"])
    guess = model.predict(kmer_frequencies(real["DNA_sequence"].tolist(), 3))
    assert matthews_corrcoef(real["Target"], guess) > 0.7


def test_it_is_about_as_hard_as_the_real_windows(simulated):
    """The known scores of 3-mer frequencies on the real windows are MCC 0.72 (naive Bayes) and 0.82 (logistic)."""
    nothing = np.random.default_rng(0).normal(size=(len(simulated), 1))
    found = classify(nothing, simulated["Target"], simulated["DNA_sequence"], resamples=10)
    assert found["3-mer frequencies", "naive Bayes"].mcc == pytest.approx(0.72, abs=0.08)
    assert found["3-mer frequencies", "logistic regression"].mcc == pytest.approx(0.82, abs=0.05)


@pytest.mark.parametrize("size", [0, 1, -3, 2.5, "many", True])
def test_a_size_that_is_no_number_of_rows_is_refused(size):
    with pytest.raises(InputError, match="whole number of rows"):
        simulate_coding_dataset(size)


def test_two_rows_have_both_labels():
    assert sorted(simulate_coding_dataset(2)["Target"]) == [0, 1]


def test_the_counts_come_from_the_genome_by_the_command(shared_data, tmp_path, monkeypatch):
    """The file in the package is what the command makes of the public files, number for number."""
    from training import fit_simulator

    genome = next((shared_data / "genome").glob("*.fna.gz"))
    annotation = next((shared_data / "genome").glob("*.gff.gz"))
    made = tmp_path / "made.npz"
    command = ["fit", "--genome", str(genome), "--annotation", str(annotation), "--out", str(made)]
    monkeypatch.setattr("sys.argv", command)
    fit_simulator.main()
    with np.load(made) as new, np.load(PARAMETERS) as kept:
        assert set(new.files) == set(kept.files)
        for name in new.files:
            assert np.array_equal(new[name], kept[name])
            assert new[name].dtype == kept[name].dtype
        assert not new["coding"][:, 2, np.arange(1024) % 16 == 12][..., [0, 2]].any()  # no TAA or TAG inside a gene
