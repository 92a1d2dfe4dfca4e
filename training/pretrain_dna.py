"""Make the embedded DNA model: a BPE tokenizer and a small DNABERT-2, masked-LM pretrained on the E. coli genome.

    python -m training.pretrain_dna --genome GENOME.fna.gz --out FOLDER

No label is read: the text is the genome, both strands. One block of 10 kb in twenty is never seen (`genome.py`).
It saves as it goes and goes on where it stopped when the same command is given again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2ForMaskedLM
from training.genome import Corpus, load_corpus, windows
from training.loop import train
from training.options import begin, shared_options, tokenizer_in

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # ids, the same with some hidden, which are to be guessed

SPECIAL = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]  # ids 0 to 4, as DNABERT-2 has them
# The share of tokens that is guessed is drawn for each row. BERT's 15 % can be answered from the next tokens alone;
# where most of the row is hidden, only what kind of DNA it is still helps, and that is what an embedding is wanted for.
MASK_SHARES = (0.15, 0.75)
SHOWN_AS_MASK, SHOWN_AS_ANOTHER = 0.7, 0.2  # of the guessed tokens; the other tenth is shown as it is


def train_tokenizer(corpus: Corpus, vocabulary: int, seed: int) -> PreTrainedTokenizerFast:
    """A BPE tokenizer with DNABERT-2's conventions, learned from windows of both strands."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=SPECIAL, initial_alphabet=list("ACGT"), show_progress=False
    )
    text = windows(corpus.train, 400, 20_000, np.random.default_rng(seed))
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
    )


def batches(corpus_side: list[str], tokenizer: PreTrainedTokenizerFast, tokens: int, rng: np.random.Generator):
    """Endless batches of `tokens` tokens, every row of one batch equally long, so that nothing is padded.

    Lengths go from 40 to 128 tokens, the range of the lessons' sequences (90 to 420 bases).
    """
    sample = windows(corpus_side, 400, 200, rng)
    bases = 400 / np.mean([len(ids) - 2 for ids in tokenizer(sample)["input_ids"]])  # bases a token, about
    while True:
        length = int(rng.choice([40, 64, 96, 128]))
        rows: list[list[int]] = []
        while len(rows) < tokens // length:
            # A tenth longer than needed: nearly every window then fills its row, and the rest are drawn again.
            text = windows(corpus_side, int(length * bases * 1.12), tokens // length, rng)
            for ids in tokenizer(text, add_special_tokens=False)["input_ids"]:
                if len(ids) >= length - 2:
                    rows.append([1, *ids[: length - 2], 2])
        yield torch.tensor(rows[: tokens // length])


def masked(ids: torch.Tensor, vocabulary: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """BERT's masking, with a share of its own for each row: the ids with some hidden, and which were chosen, (B, L)."""
    low, high = MASK_SHARES
    share = low + (high - low) * torch.rand(len(ids), 1, generator=generator)
    chosen = (torch.rand(ids.shape, generator=generator) < share) & (ids >= len(SPECIAL))
    fate = torch.rand(ids.shape, generator=generator)
    other = torch.randint(len(SPECIAL), vocabulary, ids.shape, generator=generator)
    shown = torch.where(chosen & (fate < SHOWN_AS_MASK), torch.full_like(ids, 4), ids)
    replaced = chosen & (fate >= SHOWN_AS_MASK) & (fate < SHOWN_AS_MASK + SHOWN_AS_ANOTHER)
    return torch.where(replaced, other, shown), chosen


def masked_loss(model: DNABert2ForMaskedLM, ids: torch.Tensor, shown: torch.Tensor, chosen: torch.Tensor):
    hidden = model.bert(shown)[0][chosen]  # only what is guessed goes through the head
    return F.cross_entropy(model.cls.predictions(hidden).float(), ids[chosen])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genome", required=True, help="the genome as FASTA, gzip or not")
    parser.add_argument("--intermediate", type=int, default=384)
    shared_options(parser, vocabulary=256, tokens=30e6, peak=1.2e-3)
    args = parser.parse_args()
    begin(args)

    corpus = load_corpus(args.genome)
    tokenizer = tokenizer_in(args.out, lambda: train_tokenizer(corpus, args.vocabulary, args.seed))
    config = DNABert2Config(
        vocab_size=args.vocabulary,
        hidden_size=args.width,
        num_hidden_layers=args.layers,
        num_attention_heads=args.heads,
        intermediate_size=args.intermediate,
        hidden_dropout_prob=0.0,  # eight passes over both strands by a model this small: it cannot memorise
    )
    # Attention written out: in training on a CPU the fused kernel, with a bias, took 1.7 times as long a step.
    model = DNABert2ForMaskedLM._from_config(config, attn_implementation="eager")

    def stream(done: int) -> Iterator[tuple[int, Batch]]:
        rng = np.random.default_rng([args.seed, done])
        generator = torch.Generator().manual_seed(args.seed + done)
        for ids in batches(corpus.train, tokenizer, args.batch, rng):
            yield ids.numel(), (ids, *masked(ids, args.vocabulary, generator))

    def loss_of(batch: Batch) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return masked_loss(model, *batch)

    test_rng, test_gen = np.random.default_rng(0), torch.Generator().manual_seed(0)
    source = batches(corpus.held_out, tokenizer, 8192, test_rng)
    test = [(ids, *masked(ids, args.vocabulary, test_gen)) for ids in islice(source, 12)]

    train(
        model,
        args.out,
        stream=stream,
        loss_of=loss_of,
        held_out_loss=lambda: sum(masked_loss(model, *batch).item() for batch in test) / len(test),
        tokens=int(args.tokens),
        peak=args.peak,
    )


if __name__ == "__main__":
    main()
