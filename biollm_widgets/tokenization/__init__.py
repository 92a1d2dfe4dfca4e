"""What a tokenizer does to a sequence: tokens with id, text, start and end; k-mers, BPE, letters; the BPE merges."""

from __future__ import annotations

from biollm_widgets.tokenization.bpe import MergeHistory, MergeStep, Piece, WordMerge, merge_history, word_merges
from biollm_widgets.tokenization.columns import Columns
from biollm_widgets.tokenization.comparison import (
    ComparedLane,
    Comparison,
    SharedBorders,
    boundaries,
    compare_tokenizations,
)
from biollm_widgets.tokenization.differences import Difference, difference, summary_sentence
from biollm_widgets.tokenization.editing import Edit, EditedSequence
from biollm_widgets.tokenization.fixed import CharTokenizer, KmerTokenizer
from biollm_widgets.tokenization.reading import tokenize
from biollm_widgets.tokenization.rereading import tokenize_again
from biollm_widgets.tokenization.searching import Match, find_motif, find_token
from biollm_widgets.tokenization.tokens import Token, Tokenization
from biollm_widgets.tokenization.vocabulary import VocabularyRank, vocabulary_rank

__all__ = [
    "CharTokenizer",
    "Columns",
    "ComparedLane",
    "Comparison",
    "Difference",
    "Edit",
    "EditedSequence",
    "KmerTokenizer",
    "Match",
    "MergeHistory",
    "MergeStep",
    "Piece",
    "SharedBorders",
    "Token",
    "Tokenization",
    "VocabularyRank",
    "WordMerge",
    "boundaries",
    "compare_tokenizations",
    "difference",
    "find_motif",
    "find_token",
    "merge_history",
    "summary_sentence",
    "tokenize",
    "tokenize_again",
    "vocabulary_rank",
    "word_merges",
]
