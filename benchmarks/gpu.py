"""Embedding and generating on a GPU, at the models' real sizes with random weights.

    python -m benchmarks.gpu --tokenizers ../shared/data     # about a minute on one NVIDIA H200

Four thousand random sequences (lengths log-normal, 60 to 1,600 bases) are embedded as the chapter does it (padded, no
mask, but in batches of 100, since all at once take more memory than a GPU has) and by `embed`. Ten proteins of 100
tokens are written by `model.generate` of transformers and by `generate`. Each way runs once before it is timed; the
times hold the copy to the CPU.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from biollm_widgets.dna.embedding.run import embed
from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2Model
from biollm_widgets.protein.generation.run import generate

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SEQUENCES, BATCH, PROTEINS, TOKENS = 4000, 100, 10, 100


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds that it takes and the GiB of GPU memory at the highest, the second time that it runs."""
    work()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began, torch.cuda.max_memory_allocated() / 2**30


def embedding(folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds and GiB of each way to embed."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    model: Any = DNABert2Model(DNABert2Config(vocab_size=len(tokenizer))).eval()
    model.to("cuda")
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(np.log(390), 0.5, SEQUENCES), 60, 1600).astype(int)
    sequences = ["".join(random.choice(list("ACGT"), length)) for length in lengths]

    def chapter() -> None:
        with torch.no_grad():
            for start in range(0, SEQUENCES, BATCH):
                ids = tokenizer(sequences[start : start + BATCH], padding=True, return_tensors="pt")["input_ids"]
                model(ids.cuda())[0].mean(1).cpu()

    def ours(precision: str) -> Callable[[], Any]:
        return lambda: embed(sequences, tokenizer, model, precision=precision, progress=False)

    ways = {"the chapter's way": chapter, "embed, float32": ours("float32"), "embed, bf16": ours("bf16")}
    return {name: timed(work) for name, work in ways.items()}


def generating(folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds and GiB of each way to write ten proteins."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = GPT2LMHeadModel(GPT2Config(n_layer=36, n_head=20, n_embd=1280, bos_token_id=0, eos_token_id=0)).eval()
    prompt = "MKTAYIAKQR"
    ids = tokenizer(f"<|endoftext|>\n{prompt}", return_tensors="pt")["input_ids"].cuda()
    asked = {"max_length": TOKENS, "min_length": TOKENS, "do_sample": True, "top_k": 950, "repetition_penalty": 1.2}
    asked |= {"num_return_sequences": PROTEINS, "eos_token_id": 0, "pad_token_id": 0}

    def theirs() -> None:
        model.generate(ids, attention_mask=torch.ones_like(ids), **asked)

    def ours(precision: str) -> Callable[[], Any]:
        given: dict[str, Any] = {"seed": 1, "model": model, "tokenizer": tokenizer, "precision": precision}
        return lambda: generate(prompt, PROTEINS, max_length=TOKENS, with_perplexity=False, progress=False, **given)

    ways = {"model.generate of transformers": theirs, "generate, float32": ours("float32")}
    return {name: timed(work) for name, work in {**ways, "generate, bf16": ours("bf16")}.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizers", type=Path, default=SHARED, help="the folder of the published tokenizers")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU here that torch can use.")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    found = {}
    for title, number, ways in (
        (f"{SEQUENCES:,} sequences", SEQUENCES, embedding(given.tokenizers / "dnabert2_tokenizer")),
        (f"{PROTEINS} proteins of {TOKENS} tokens", PROTEINS, generating(given.tokenizers / "protgpt2_tokenizer")),
    ):
        print(title)
        first = next(iter(ways.values()))[0]
        for name, (seconds, memory) in ways.items():
            print(f"  {name:32} {seconds:7.2f} s  {first / seconds:5.2f} times  {number / seconds:7.1f} a second")
            print(f"  {'':32} {memory:7.2f} GiB")
            found[name] = {"seconds": seconds, "gib": memory, "times": first / seconds}
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
