"""The options that both pretraining commands have, and the tokenizer that is learned once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast


def shared_options(parser: argparse.ArgumentParser, *, vocabulary: int, tokens: float, peak: float) -> None:
    """Add what both commands take; the defaults that differ are given."""
    parser.add_argument("--out", required=True, type=Path, help="the folder to work in and to leave the model in")
    parser.add_argument("--vocabulary", type=int, default=vocabulary)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--tokens", type=float, default=tokens, help="tokens to see in all")
    parser.add_argument("--batch", type=int, default=4096, help="tokens a step")
    parser.add_argument("--peak", type=float, default=peak, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 takes what torch finds")


def begin(args: argparse.Namespace) -> None:
    """Threads, seed and folder, as the options say."""
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)


def tokenizer_in(folder: Path, learn: Callable[[], PreTrainedTokenizerFast]) -> PreTrainedTokenizerFast:
    """The tokenizer of the run in this folder; learned and left there at the first time."""
    if (folder / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer = learn()
    tokenizer.save_pretrained(folder)
    return tokenizer
