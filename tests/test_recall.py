"""What was computed once is recalled for the very same call, and computed anew for any other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from biollm_widgets import recall
from biollm_widgets.dna.embedding import run as embedding
from biollm_widgets.dna.embedding.run import embed
from biollm_widgets.models.locate import locate

DNA = "zhihan1996/DNABERT-2-117M"
SEQUENCES = ["ACGTAGCATCGGATC", "TTTGCACCA" * 12, "ACGTAGCATCGGATC"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to keep things in, which is being filled."""
    place = tmp_path / "recall"
    place.mkdir()
    monkeypatch.setenv(recall.FOLDER, str(place))
    monkeypatch.setenv(recall.KEEPS, "1")
    return place


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    from transformers import AutoTokenizer

    from biollm_widgets.models.dnabert2 import DNABert2Model

    place = locate(DNA, source="embedded")
    return AutoTokenizer.from_pretrained(place), DNABert2Model.from_pretrained(place).eval()


@pytest.fixture
def nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def computes(*given: Any) -> None:
        raise AssertionError("It was computed.")

    monkeypatch.setattr(embedding, "Work", computes)


def test_the_very_same_sequences_get_the_very_same_vectors_without_being_computed(
    folder: Path, small: tuple[Any, Any], request: pytest.FixtureRequest
) -> None:
    first = embed(SEQUENCES, *small, progress=False)
    request.getfixturevalue("nothing_is_computed")
    again = embed(SEQUENCES, *small, progress=False)
    assert np.array_equal(first, again) and np.array_equal(again[0], again[2])


@pytest.mark.parametrize("other", ["sequence", "pooling", "weights", "precision"])
def test_anything_else_is_computed(
    other: str, folder: Path, small: tuple[Any, Any], request: pytest.FixtureRequest
) -> None:
    import copy

    tokenizer, model = small
    embed(SEQUENCES, tokenizer, model, progress=False)
    request.getfixturevalue("nothing_is_computed")
    given: dict[str, Any] = {"progress": False}
    sequences = list(SEQUENCES)
    if other == "sequence":
        sequences[1] = sequences[1][:-1]
    elif other == "pooling":
        given["pooling"] = "cls"
    elif other == "precision":
        given["precision"] = "int8"
    else:
        model = copy.deepcopy(model)
        value = next(model.parameters())
        value.data[5, 0] += 1e-6
    with pytest.raises(AssertionError, match="It was computed"):
        embed(sequences, tokenizer, model, **given)


def test_nothing_is_kept_unless_it_is_asked_for(
    folder: Path, small: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(recall.KEEPS)
    embed(SEQUENCES, *small, progress=False)
    assert list(folder.iterdir()) == []


@pytest.fixture
def data(tmp_path: Path) -> Path:
    from biollm_widgets.checks.inputs import labelled
    from biollm_widgets.dna.splits import Splits, write_splits

    frame = labelled(np.random.default_rng(1), 60, 0.3, 0, length=60)
    frame = pd.DataFrame({"sequence": frame["DNA_sequence"], "label": frame["Target"]}).sample(frac=1, random_state=1)
    place = tmp_path / "data"
    place.mkdir()
    write_splits(Splits(frame[:32], frame[32:44], frame[44:]), place)
    return place


@pytest.mark.slow
def test_a_fine_tuning_is_recalled_with_its_files_its_result_and_all_that_was_shown(
    folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from biollm_widgets.dna import finetuning
    from biollm_widgets.widgets.training_progress import TrainingProgress

    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    flags: dict[str, Any] = {
        "model_name_or_path": DNA, "model_max_length": 30, "per_device_train_batch_size": 8, "num_train_epochs": 1,
        "logging_steps": 1, "rung": "top", "output_dir": "out",
    }  # fmt: skip
    places = [tmp_path / "first", tmp_path / "second"]
    seen, results = [], []
    for place in places:
        place.mkdir()
        monkeypatch.chdir(place)
        progress = TrainingProgress()
        results.append(progress.finetune_sync(data, **flags).to_dict())
        seen.append(
            (progress.title, progress.state, progress.hints, progress.to_frame().to_dict("list"), progress.to_svg())
        )
        monkeypatch.setattr(finetuning, "finetune", lambda *given, **named: pytest.fail("It was trained again."))
    assert results[0] == results[1]
    assert str(seen[0]) == str(seen[1])  # as texts: nan is not nan
    files = [{str(p.relative_to(one)): p.read_bytes() for p in one.rglob("*") if p.is_file()} for one in places]
    assert files[0] == files[1] and any(name.endswith("predictions.csv") for name in files[0])


def test_keys_tell_inputs_apart_however_they_are_cut() -> None:
    keys = [
        recall.key("a", "bc", "d"), recall.key("a", "b", "cd"), recall.key("ab", "c", "d"),
        recall.key("a", np.zeros(4)), recall.key("a", np.zeros((2, 2))), recall.key("a", np.zeros(4, dtype="f4")),
        recall.key("a", b"bc", b"d"),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert all(os.sep not in key for key in keys)


# Proteins.


def proteins(**changed: Any) -> Any:
    from biollm_widgets.protein.generation.run import generate

    return generate("MKTAYIAKQR", 3, **{"seed": 1, "max_length": 40, "progress": False, **changed})


@pytest.fixture
def nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from biollm_widgets.protein.generation import recalled

    def computes(*given: Any) -> None:
        raise AssertionError("It was computed.")

    monkeypatch.setattr(recalled, "grow", computes)


def test_the_very_same_proteins_come_step_by_step_without_being_computed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    seen: list[list[Any]] = [[], []]
    first = proteins(callback=lambda growth: seen[0].append((growth.newest, list(growth.finished), growth.steps)))
    request.getfixturevalue("nothing_is_written")
    again = proteins(callback=lambda growth: seen[1].append((growth.newest, list(growth.finished), growth.steps)))
    assert seen[0] == seen[1] and len(seen[0]) > 10
    assert again.to_frame().equals(first.to_frame()) and again[0].choices == first[0].choices


def test_proteins_that_are_recalled_can_be_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    proteins()
    request.getfixturevalue("nothing_is_written")
    some = proteins(callback=lambda growth: growth.stop() if growth.steps == 5 else None)
    assert some.stopped and {len(design.choices) for design in some} == {5}


@pytest.mark.parametrize("other", [{"seed": 2}, {"temperature": 0.9}, {"max_length": 41}, {"n": 4}, {"top_k": 10}])
def test_other_proteins_are_computed(
    other: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    from biollm_widgets.protein.generation.run import generate

    monkeypatch.setenv("BIOLLM_MODELS", "embedded")
    proteins()
    request.getfixturevalue("nothing_is_written")
    asked: dict[str, Any] = {"n": 3, "seed": 1, "max_length": 40, "progress": False, **other}
    with pytest.raises(AssertionError, match="It was computed"):
        generate("MKTAYIAKQR", **asked)


def test_the_strength_of_a_classifier_is_recalled_for_the_same_rows_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sklearn.model_selection

    from biollm_widgets.dna.classification import classify

    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 80)
    vectors = rng.normal(0, 1, (80, 4)) + labels[:, None]
    first = classify(vectors, labels, resamples=50)
    monkeypatch.setattr(sklearn.model_selection, "GridSearchCV", None)
    again = classify(vectors, labels, resamples=50)
    assert again.to_frame().equals(first.to_frame())
    with pytest.raises(TypeError):
        classify(vectors + 1e-9, labels, resamples=50)
