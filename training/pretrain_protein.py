"""Make the embedded protein model: a BPE tokenizer and a small GPT-2, causal-LM pretrained on two proteomes.

    python -m training.pretrain_protein --proteins ECOLI.fasta.gz YEAST.fasta.gz --out FOLDER

Text and tokens follow ProtGPT2: `<|endoftext|>` (id 0) at both ends, a line break every 60 residues. Whole families of
proteins are never seen (`proteomes.py`). It saves as it goes and goes on where it stopped when the same command is
given again.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from biollm_widgets.sequences import wrap
from training.loop import train
from training.options import begin, shared_options, tokenizer_in
from training.proteomes import load_proteins

END = "<|endoftext|>"  # id 0
POSITIONS = 1024  # as ProtGPT2 has them
# Keeps the logits of likely tokens near nothing: a repetition penalty divides logits, so one that means no harm needs
# logits whose zero means "as likely as any".
CENTRE = 1e-3


def train_tokenizer(sequences: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer made as ProtGPT2's was, on lines of 60 residues; a line break is id 199, as there."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(map(wrap, sequences), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=END, bos_token=END, eos_token=END)


def rows_of(sequences: list[str], tokenizer: PreTrainedTokenizerFast) -> list[list[int]]:
    """The token ids of each protein in ProtGPT2's layout, cut at the last position that the model has."""
    return [ids[:POSITIONS] for ids in tokenizer([f"{END}\n{wrap(s)}\n{END}" for s in sequences])["input_ids"]]


def padded(rows: list[list[int]]) -> torch.Tensor:
    """Rows of ids as one tensor, filled up with -100, which the loss passes over."""
    longest = max(map(len, rows))
    return torch.tensor([row + [-100] * (longest - len(row)) for row in rows])


def batches(rows: list[list[int]], tokens: int, rng: np.random.Generator) -> Iterator[tuple[int, torch.Tensor]]:
    """Endless batches of about `tokens` tokens; rows of one batch are about equally long, so that little is padded."""
    while True:
        # Sorted by length with some disorder, so that a protein meets other company each time round.
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]) * rng.uniform(0.9, 1.1))
        together: list[list[list[int]]] = [[]]
        for i in order:
            if sum(map(len, together[-1])) + len(rows[i]) > tokens and together[-1]:
                together.append([])
            together[-1].append(rows[i])
        for i in rng.permutation(len(together)):
            yield sum(map(len, together[i])), padded(together[i])


def next_token_loss(model: GPT2LMHeadModel, labels: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Cross-entropy in nats of each token after the first. Padding stands on the right, so no mask is needed."""
    logits = model(labels.clamp(min=0)).logits[:, :-1].flatten(0, 1)
    return F.cross_entropy(logits, labels[:, 1:].flatten(), reduction=reduction)


def training_loss(model: GPT2LMHeadModel, labels: torch.Tensor) -> torch.Tensor:
    logits = model(labels.clamp(min=0)).logits[:, :-1].flatten(0, 1)
    targets = labels[:, 1:].flatten()
    off_centre = logits[targets >= 0].logsumexp(-1) - math.log(logits.size(-1))
    return F.cross_entropy(logits, targets) + CENTRE * off_centre.square().mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proteins", required=True, nargs="+", help="proteomes as FASTA, gzip or not")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--dropout-until", type=float, default=8e6, help="tokens; from there on, none is dropped")
    shared_options(parser, vocabulary=512, tokens=14e6, peak=1.5e-3)
    args = parser.parse_args()
    begin(args)

    proteins = load_proteins(args.proteins)
    tokenizer = tokenizer_in(args.out, lambda: train_tokenizer(proteins.train, args.vocabulary))
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=args.vocabulary,
            n_positions=POSITIONS,
            n_embd=args.width,
            n_layer=args.layers,
            n_head=args.heads,
            activation_function="gelu_pytorch_tanh",  # what ProtGPT2 calls gelu_new, computed in one step
            resid_pdrop=args.dropout,
            embd_pdrop=args.dropout,
            attn_pdrop=0.0,  # the fused attention of a CPU has no dropout
            bos_token_id=0,
            eos_token_id=0,
            use_cache=False,
        )
    )
    rows = rows_of(proteins.train, tokenizer)
    held = sorted(rows_of(proteins.dev, tokenizer), key=len)
    print(f"{model.num_parameters() / 1e6:.2f} M parameters; {sum(map(len, rows)) / 1e6:.2f} M tokens to learn from.")

    def held_out_loss() -> float:
        parts = [padded(held[i : i + 16]) for i in range(0, len(held), 16)]
        return sum(next_token_loss(model, part, "sum").item() for part in parts) / sum(len(row) - 1 for row in held)

    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout) and module.p > 0]

    def stream(done: int) -> Iterator[tuple[int, torch.Tensor]]:
        for count, batch in batches(rows, args.batch, np.random.default_rng([args.seed, done])):
            for module in dropouts:
                module.p = args.dropout if done < args.dropout_until else 0.0
            yield count, batch
            done += count

    train(
        model,
        args.out,
        stream=stream,
        loss_of=lambda labels: training_loss(model, labels),
        held_out_loss=held_out_loss,
        tokens=int(args.tokens),
        peak=args.peak,
        weight_decay=0.1,
    )


if __name__ == "__main__":
    main()
