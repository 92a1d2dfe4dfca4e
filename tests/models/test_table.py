"""The catalog as a table says of every model what it is and whether it can be loaded here."""

from __future__ import annotations

import pytest

import biollm_widgets as bio
from biollm_widgets.models.catalog import CATALOG


def test_the_table_has_each_model_of_the_lesson_once_with_what_is_done_with_it_or_why_not():
    whole = bio.known_models()
    assert list(whole.index) == [model.name for model in CATALOG]
    parts = [bio.known_models(alphabet) for alphabet in ("dna", "protein")]
    assert {"DNABERT-S", "DNAGPT", "HyenaDNA", "GROVER"} < set(parts[0].index)
    assert {"ProteinBERT", "ESMFold", "ProGen"} < set(parts[1].index)
    assert len(parts[0]) + len(parts[1]) == len(whole)
    assert parts[0].loc["DNABERT-2", "parameters"] == "117 M" and parts[0].loc["DNABERT-2", "size"] == "468 MB"
    for model in CATALOG:
        here = whole.loc[model.name, "here"]
        assert (here == ", ".join(model.verbs)) if model.loadable else here == f"not loaded: {model.obstacle}"
    assert not whole.isna().any(axis=None) and not (whole == "").any(axis=None)


def test_another_alphabet_is_a_sentence():
    with pytest.raises(bio.InputError, match='alphabet is "dna" or "protein", not \'rna\''):
        bio.known_models("rna")
