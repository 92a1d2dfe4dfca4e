"""Small models with random weights, as the hub has the large ones: the same files, architectures and tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def dnabert2(shared: Path) -> dict[str, bytes]:
    """DNABERT-2, and DNABERT-S, which differs in its weights alone: the published tokenizer, a small network."""
    return {**files_of(shared / "dnabert2_tokenizer"), **files_of(shared / "dnabert2_reference" / "model")}


def grover(folder: Path, sequences: list[str]) -> dict[str, bytes]:
    """GROVER: a BERT of transformers, with a BPE tokenizer of some 600 tokens that is trained on these sequences."""
    import torch
    from tokenizers import Tokenizer, models, processors, trainers
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    raw = Tokenizer(models.BPE(unk_token="[UNK]"))
    raw.train_from_iterator(sequences, trainers.BpeTrainer(vocab_size=600, special_tokens=special))
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        mask_token="[MASK]",
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=512, pad_token_id=3,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)
    return files_of(folder)


def protgpt2(folder: Path, shared: Path) -> dict[str, bytes]:
    """ProtGPT2: the published tokenizer, a small GPT-2."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model: Any = GPT2LMHeadModel(config)
    model.save_pretrained(folder)
    tokenizer = files_of(shared / "protgpt2_tokenizer")
    tokenizer.pop("config.json", None)
    return {**files_of(folder), **tokenizer}
