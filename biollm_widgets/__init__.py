"""Teach biological language models: DNABERT-2 reads DNA, ProtGPT2 writes proteins.

    import biollm_widgets as bio

The public names are loaded when they are first used, so that importing the package is quick and loads neither torch
nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from biollm_widgets.checks import check
    from biollm_widgets.checks.predictions import outcome, predict
    from biollm_widgets.diagnosis import doctor
    from biollm_widgets.dna.classification import classify
    from biollm_widgets.dna.datasets import load_coding_dataset
    from biollm_widgets.dna.embedding import embed
    from biollm_widgets.dna.encoders import load_encoder, random_twin
    from biollm_widgets.dna.finetuning import finetune
    from biollm_widgets.dna.splits import split_dataset, write_splits
    from biollm_widgets.errors import InputError
    from biollm_widgets.models.dnabert2 import (
        DNABert2Config,
        DNABert2ForMaskedLM,
        DNABert2ForSequenceClassification,
        DNABert2Model,
    )
    from biollm_widgets.models.locate import locate
    from biollm_widgets.models.table import known_models
    from biollm_widgets.pictures import picture
    from biollm_widgets.protein.generation import explore, generate, generate_again
    from biollm_widgets.protein.judging import judge
    from biollm_widgets.protein.loading import load_generator
    from biollm_widgets.protein.scoring import perplexity
    from biollm_widgets.sequences import clean_dna, clean_protein, read_fasta
    from biollm_widgets.tokenization import CharTokenizer, KmerTokenizer, tokenize
    from biollm_widgets.widgets.protein_panel import ProteinPanel
    from biollm_widgets.widgets.token_view import TokenView
    from biollm_widgets.widgets.training_progress import TrainingProgress

# name -> the module that holds it
_HOMES = {
    "CharTokenizer": "tokenization",
    "DNABert2Config": "models.dnabert2",
    "DNABert2ForMaskedLM": "models.dnabert2",
    "DNABert2ForSequenceClassification": "models.dnabert2",
    "DNABert2Model": "models.dnabert2",
    "InputError": "errors",
    "KmerTokenizer": "tokenization",
    "ProteinPanel": "widgets.protein_panel",
    "TokenView": "widgets.token_view",
    "TrainingProgress": "widgets.training_progress",
    "check": "checks",
    "classify": "dna.classification",
    "clean_dna": "sequences",
    "clean_protein": "sequences",
    "doctor": "diagnosis",
    "embed": "dna.embedding",
    "explore": "protein.generation",
    "finetune": "dna.finetuning",
    "generate": "protein.generation",
    "generate_again": "protein.generation",
    "judge": "protein.judging",
    "known_models": "models.table",
    "load_coding_dataset": "dna.datasets",
    "load_encoder": "dna.encoders",
    "load_generator": "protein.loading",
    "locate": "models.locate",
    "outcome": "checks.predictions",
    "perplexity": "protein.scoring",
    "picture": "pictures",
    "predict": "checks.predictions",
    "random_twin": "dna.encoders",
    "read_fasta": "sequences",
    "split_dataset": "dna.splits",
    "tokenize": "tokenization",
    "write_splits": "dna.splits",
}

__all__ = [
    "CharTokenizer",
    "DNABert2Config",
    "DNABert2ForMaskedLM",
    "DNABert2ForSequenceClassification",
    "DNABert2Model",
    "InputError",
    "KmerTokenizer",
    "ProteinPanel",
    "TokenView",
    "TrainingProgress",
    "check",
    "classify",
    "clean_dna",
    "clean_protein",
    "doctor",
    "embed",
    "explore",
    "finetune",
    "generate",
    "generate_again",
    "judge",
    "known_models",
    "load_coding_dataset",
    "load_encoder",
    "load_generator",
    "locate",
    "outcome",
    "perplexity",
    "picture",
    "predict",
    "random_twin",
    "read_fasta",
    "split_dataset",
    "tokenize",
    "write_splits",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"biollm_widgets has no {name!r}; dir(biollm_widgets) lists what it has.")
    value = getattr(import_module(f"biollm_widgets.{_HOMES[name]}"), name)
    globals()[name] = value  # looked up once
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
