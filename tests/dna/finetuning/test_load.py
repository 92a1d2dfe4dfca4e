"""A run's result gives back the classifier that was tested."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import biollm_widgets as bio
from biollm_widgets.dna.finetuning.results import FinetuneResult


def test_the_classifier_that_comes_back_says_what_the_run_wrote_of_its_test_rows(flags):
    run = bio.finetune(**flags)
    tokenizer, classifier = run.load()
    assert not classifier.training
    table = pd.read_csv(Path(run.results) / "predictions.csv")
    batch = tokenizer(
        table["sequence"].tolist(), return_tensors="pt", padding=True, truncation=True, max_length=40
    )  # fmt: skip
    with torch.no_grad():
        logits = classifier(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    np.testing.assert_allclose(logits.softmax(-1)[:, 1].numpy(), table["probability_1"], atol=1e-4)
    shutil.rmtree(run.model)
    with pytest.raises(bio.InputError, match="has left no model"):
        run.load()


def test_a_run_that_was_stopped_at_once_has_none_and_says_so():
    with pytest.raises(bio.InputError, match="has left no model"):
        FinetuneResult(finished=False).load()
