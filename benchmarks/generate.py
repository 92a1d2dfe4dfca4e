"""How much faster `generate` is than transformers' own, at ProtGPT2's real size.

    python -m benchmarks.generate                    # about six minutes on two cores, 8 GB of memory
    python -m benchmarks.generate --layers 4         # a quick look

Ten proteins of 100 tokens, with the chapter's settings, random weights and no end token, so that every way makes the
same number of tokens. Each way runs in a process of its own, one after the other on the same cores. The first row is
the chapter's call, `model.generate` with `num_return_sequences=10` in float32.

A second table times what happens before the first new token for ten sequences that begin with a prompt of 15 tokens:
`num_return_sequences` reads it ten times over.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any, Optional

from benchmarks.children import run_child
from benchmarks.embed import peak_memory

SEQUENCES, LENGTH, PROMPT = 10, 100, 15
# name -> what the table calls it
WAYS = {
    "transformers": "model.generate, float32",
    "float32": "generate, float32",
    "int8": "generate, int8",
    "one_by_one": "model.generate, one at a time (2 of 10, times 5)",
}
PREFILLS = {
    "transformers": "num_return_sequences reads it ten times",
    "float32": "generate reads it once",
    "int8": "generate, int8",
}


def build_model(layers: int) -> Any:
    """ProtGPT2's shape with random weights, the same in every process."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=50257, n_positions=1024, n_embd=1280, n_layer=layers, n_head=20, bos_token_id=0, eos_token_id=0
    )
    return GPT2LMHeadModel(config).eval()


def run_way(way: str, layers: int, threads: Optional[int]) -> dict[str, Any]:
    """One way, in this process: seconds for all tokens, seconds until the first, peak of memory."""
    import torch

    from biollm_widgets.protein.generation.decoding import grow
    from biollm_widgets.protein.generation.settings import Settings
    from biollm_widgets.protein.loading import in_precision

    if threads:
        torch.set_num_threads(threads)
    model = build_model(layers)
    count = 2 if way == "one_by_one" else SEQUENCES
    settings = Settings(n=count, max_length=LENGTH, seed=1).checked()
    prompt = list(range(300, 300 + PROMPT))

    def theirs(ids: list[int], length: int, sequences: int) -> None:
        tokens = torch.tensor([ids])
        # An end token that is never likely: every sequence gets its full length.
        model.generate(
            tokens, attention_mask=torch.ones_like(tokens), max_length=length, min_length=length, do_sample=True,
            top_k=950, temperature=1.0, repetition_penalty=1.2, num_return_sequences=sequences, eos_token_id=0,
            pad_token_id=0,
        )  # fmt: skip

    def ours(ids: list[int], length: int) -> None:
        grow(network, ids, Settings(**{**settings.as_dict(), "max_length": length}), eos=None)

    start = time.perf_counter()
    network = in_precision(model, "int8" if way == "int8" else "float32")
    prepared = time.perf_counter() - start
    ours([0], 3) if way in ("float32", "int8") else theirs([0], 3, 1)  # what is paid once is not timed
    report: dict[str, Any] = {"threads": torch.get_num_threads(), "prepared": prepared}

    start = time.perf_counter()
    if way == "one_by_one":
        for _ in range(count):
            theirs([0], LENGTH, 1)
    elif way == "transformers":
        theirs([0], LENGTH, SEQUENCES)
    else:
        ours([0], LENGTH)
    report["seconds"] = (time.perf_counter() - start) * SEQUENCES / count
    report["peak_gb"] = peak_memory()
    if way in PREFILLS:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            # One new token: what comes before it is the prompt.
            theirs(prompt, PROMPT + 1, SEQUENCES) if way == "transformers" else ours(prompt, PROMPT + 1)
            times.append(time.perf_counter() - start)
        report["prefill"] = min(times)
    return report


def tables(result: dict[str, Any]) -> str:
    """The measurements for people."""
    ways = result["ways"]
    tokens = SEQUENCES * (LENGTH - 1)
    base = ways["transformers"]
    lines = [
        f"{SEQUENCES} proteins of {LENGTH} tokens; {result['layers']} layers of ProtGPT2's size "
        f"({result['parameters'] / 1e6:.0f} M parameters), random weights; {base['threads']} threads, "
        f"torch {result['torch']}, transformers {result['transformers']}, {result['machine']}.",
        "",
        f"{'':50}{'seconds':>9}{'times':>8}{'tokens/s':>10}{'peak GB':>9}{'prepared in':>13}",
    ]
    for way, name in WAYS.items():
        if way in ways:
            row = ways[way]
            prepared = f"{row['prepared']:.1f} s" if way == "int8" else ""
            lines.append(
                f"{name:50}{row['seconds']:9.1f}{base['seconds'] / row['seconds']:8.2f}"
                f"{tokens / row['seconds']:10.1f}{row['peak_gb']:9.1f}{prepared:>13}"
            )
    lines += ["", f"{f'A prompt of {PROMPT} tokens for {SEQUENCES} sequences':50}{'seconds':>9}{'times':>8}"]
    for way, name in PREFILLS.items():
        if way in ways:
            row = ways[way]
            lines.append(f"{name:50}{row['prefill']:9.2f}{base['prefill'] / row['prefill']:8.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure generate against transformers' own, at ProtGPT2's real size.")
    parser.add_argument("--layers", type=int, default=36, help="fewer for a quick look")
    parser.add_argument("--threads", type=int, help="[default: torch's own choice]")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)  # the part of a child process
    given = parser.parse_args()
    if given.way:
        print(json.dumps(run_way(given.way, given.layers, given.threads)))
        return

    import torch
    import transformers

    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Other work is running here (load {load:.1f}): ratios will be rough.", file=sys.stderr)
    with torch.device("meta"):
        parameters = build_model(given.layers).num_parameters()
    result: dict[str, Any] = {
        "layers": given.layers,
        "parameters": parameters,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "machine": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "load_before": load,
        "ways": {},
    }
    for way in WAYS:
        if way not in {*given.ways, "transformers"}:
            continue
        print(f"{WAYS[way]} ...", file=sys.stderr, flush=True)
        arguments = ["--way", way, "--layers", str(given.layers)]
        arguments += ["--threads", str(given.threads)] if given.threads else []
        result["ways"][way] = run_child("benchmarks.generate", WAYS[way], arguments)
    print(tables(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
