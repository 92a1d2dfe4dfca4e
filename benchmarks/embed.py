"""How much faster `embed` is than the chapter's way, at DNABERT-2's real size.

    python -m benchmarks.embed                       # about five minutes on two cores
    python -m benchmarks.embed --json embed.json

Two hundred sequences are cut from the E. coli genome, with lengths at the quantiles of a log-normal distribution: mean
441 bases, longest 1,604, so that 71 % of one padded batch is padding. The network has the size of DNABERT-2-117M and
random weights. Each way runs in a process of its own, one after the other on the same cores, so that each peak of
memory is its own.

The chapter pads all sequences into one batch, gives the model no mask, averages over every position, and keeps what
autograd needs, about 66 GiB. Here it runs under `torch.no_grad()`, which favours it. Its attention is written out, as
in the published code on a CPU; a second row has the chapter's batch with this package's attention, on every second
sequence (as much padding) and doubled, since the cost of a padded batch is its number of rows.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from statistics import NormalDist
from typing import Any, Optional

import numpy as np

from benchmarks.children import run_child

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
MEAN_BASES, SIGMA = 441, 0.505  # SIGMA makes 71 % of one padded batch padding
# name -> what the table calls it
WAYS = {
    "chapter": "chapter: one padded batch, no mask",
    "chapter_sdpa": "the same, this package's attention",
    "one_by_one": "one sequence at a time",
    "float32": "embed, float32",
    "bf16": "embed, bf16",
    "int8": "embed, int8",
}


def cut_sequences(genome: Path, count: int, seed: int = 0) -> list[str]:
    """Stretches of the genome, their lengths at the quantiles of a log-normal distribution, in random order."""
    from biollm_widgets.sequences import read_fasta

    chromosome = max((record.sequence for record in read_fasta(genome)), key=len)
    quantiles = [NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)]
    lengths = np.exp(SIGMA * np.array(quantiles))
    lengths = np.round(lengths * MEAN_BASES / lengths.mean()).astype(int)
    random = np.random.default_rng(seed)
    random.shuffle(lengths)
    starts = random.integers(0, len(chromosome) - lengths.max(), count)
    return [chromosome[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def build_model(layers: int) -> Any:
    """DNABERT-2-117M's shape with random weights, the same in every process."""
    import torch

    from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2Model

    torch.manual_seed(0)
    return DNABert2Model(DNABert2Config(num_hidden_layers=layers)).eval()


def flops(tokens: int, layers: int) -> float:
    """Floating-point operations of the four linear layers of each block: two for each weight and token."""
    return 2.0 * tokens * layers * (768 * 2304 + 768 * 768 + 768 * 6144 + 3072 * 768)


def peak_memory() -> float:
    """The most memory that this process has held, in GB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


def available_memory() -> float:
    """Free memory in GB; infinite where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024 / 1e9
    except OSError:
        pass
    return math.inf


def matrix_rates(rows: int = 1024) -> dict[str, float]:
    """GFLOP/s of float32 matrix products at the model's shapes: torch's own, and with the weights packed ahead."""
    import torch
    from torch import nn

    from biollm_widgets.models.lighter import PackedLinear

    rates = {}
    for name in ("plain", "packed"):
        operations = seconds = 0.0
        for inner, outer in ((768, 2304), (768, 768), (768, 6144), (3072, 768)):
            linear: nn.Module = nn.Linear(inner, outer, bias=False)
            try:
                layer = PackedLinear(linear) if name == "packed" else linear  # type: ignore[arg-type]
                x = torch.randn(rows, inner)
                with torch.inference_mode():
                    layer(x)
                    times = []
                    for _ in range(5):
                        start = time.perf_counter()
                        layer(x)
                        times.append(time.perf_counter() - start)
            except (AttributeError, RuntimeError):
                break
            operations += 2.0 * rows * inner * outer
            seconds += min(times)
        else:
            rates[name] = operations / seconds / 1e9
    return rates


def run_way(way: str, folder: Path, tokenizer_folder: Path, layers: int, threads: Optional[int]) -> dict[str, Any]:
    """One way of embedding, in this process: its seconds, its peak of memory; the vectors go into `folder`."""
    import torch
    from transformers import AutoTokenizer

    from biollm_widgets.dna.embedding import embed_with_report

    if threads:
        torch.set_num_threads(threads)
    sequences = json.loads((folder / "sequences.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    model = build_model(layers)
    with torch.no_grad():
        model(torch.tensor([[1, 5, 6, 2]]))  # what is paid once is not timed
    report: dict[str, Any] = {"threads": torch.get_num_threads(), "chunks": 1, "loaded_gb": peak_memory()}

    if way.startswith("chapter"):
        if way == "chapter":
            model.config._attn_implementation = "eager"
        else:
            order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
            sequences = [sequences[i] for i in order[1::2]]
        ids = tokenizer(sequences, return_tensors="pt", padding=True)["input_ids"]  # (B, L)
        rows, length = ids.shape
        # The widest layer with its GELU and product, and three copies of the attention scores.
        needed = rows * length * (6144 + 2 * 3072 + 4 * 768) * 4e-9 + 3 * rows * 12 * length**2 * 4e-9
        report["chunks"] = math.ceil(needed / (0.7 * available_memory()))
        start = time.perf_counter()
        with torch.no_grad():
            parts = [torch.mean(model(part)[0], dim=1) for part in ids.chunk(report["chunks"])]
            vectors = torch.cat(parts).numpy()
        report["seconds"] = time.perf_counter() - start
        report["tokens"] = ids.numel()
        if way == "chapter_sdpa":
            report["seconds"] *= 2
            report["tokens"] *= 2
            everything = np.full((len(order), vectors.shape[1]), np.nan, np.float32)
            everything[order[1::2]] = vectors
            vectors = everything
    elif way == "one_by_one":
        ids_of = tokenizer(sequences)["input_ids"]
        start = time.perf_counter()
        with torch.no_grad():
            vectors = torch.cat([model(torch.tensor([ids]))[0].mean(1) for ids in ids_of]).numpy()
        report["seconds"] = time.perf_counter() - start
        report["tokens"] = sum(map(len, ids_of))
    else:
        start = time.perf_counter()
        made = embed_with_report(sequences, tokenizer, model, precision=way, progress=False)
        report["seconds"] = time.perf_counter() - start
        report["tokens"], vectors = made.tokens, made.vectors
    report["peak_gb"] = peak_memory()
    if way == "float32":
        report["matrix_gflops"] = matrix_rates()
    np.save(folder / f"{way}.npy", vectors)
    return report


def compare(vectors: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Cosines and the biggest difference to the vectors of each sequence alone."""
    there = np.isfinite(vectors).all(1)
    a, b = vectors[there].astype(np.float64), reference[there].astype(np.float64)
    cosines = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return {
        "cosine_min": float(cosines.min()),
        "cosine_mean": float(cosines.mean()),
        "max_difference": float(np.abs(a - b).max()),
    }


def table(result: dict[str, Any]) -> str:
    """The measurements for people."""
    ways = result["ways"]
    rate = max(result["matrix_gflops"].values())
    lines = [
        f"{result['sequences']} sequences, {result['bases'] / result['sequences']:.0f} bases on average, "
        f"{result['tokens']:,} tokens; {result['padding']:.1%} of one padded batch is padding.",
        f"{result['layers']} layers of DNABERT-2-117M's size, random weights; {result['threads']} threads, "
        f"torch {result['torch']}, {result['machine']}.",
        "Matrix products at the model's shapes, float32, GFLOP/s: "
        + ", ".join(f"{name} {value:.0f}" for name, value in result["matrix_gflops"].items())
        + ".",
        "",
        f"{'':38}{'seconds':>9}{'times':>8}{'tokens':>9}{'peak GB':>9}{'of rate':>9}{'cosine min':>12}{'mean':>9}"
        f"{'max diff':>10}",
    ]
    for way, name in WAYS.items():
        if way not in ways:
            continue
        row = ways[way]
        share = f"{row['gflops'] / rate:.0%}" if way not in ("bf16", "int8") else "-"
        lines.append(
            f"{name:38}{row['seconds']:9.1f}{row['times']:8.2f}{row['tokens']:9,}{row['peak_gb']:9.2f}{share:>9}"
            f"{row['cosine_min']:12.5f}{row['cosine_mean']:9.5f}{row['max_difference']:10.1e}"
        )
    lines += [
        "",
        "times: against the first row. of rate: of the faster of the two matrix-product rates, over the linear layers "
        "alone.",
        "cosine, max diff: to the vectors of each sequence alone.",
    ]
    if ways.get("chapter", {}).get("chunks", 1) > 1:
        lines.append(f"The chapter's batch did not fit into memory; it ran in {ways['chapter']['chunks']} parts.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure embed against the chapter's way, at DNABERT-2's real size.")
    parser.add_argument("--tokenizer", type=Path, default=SHARED / "dnabert2_tokenizer", help="a folder")
    parser.add_argument("--genome", type=Path, help="FASTA to cut sequences from [default: E. coli in ../shared/data]")
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--layers", type=int, default=12, help="fewer for a quick look")
    parser.add_argument("--threads", type=int, help="[default: torch's own choice]")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)  # the part of a child process
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(run_way(given.way, given.folder, given.tokenizer, given.layers, given.threads)))
        return

    genome = given.genome or next(iter(sorted((SHARED / "genome").glob("*.fna.gz"))), SHARED / "genome")
    for path, what in ((genome, "genome"), (given.tokenizer, "tokenizer")):
        if not path.exists() or path == SHARED / "genome":
            sys.exit(f"There is no {what} at {path}; give one with --{what}.")
    import torch
    from transformers import AutoTokenizer

    sequences = cut_sequences(genome, given.sequences)
    lengths = np.array([len(ids) for ids in AutoTokenizer.from_pretrained(given.tokenizer)(sequences)["input_ids"]])
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Other work is running here (load {load:.1f}): ratios will be rough.", file=sys.stderr)
    result: dict[str, Any] = {
        "sequences": len(sequences),
        "bases": sum(map(len, sequences)),
        "longest_bases": max(map(len, sequences)),
        "tokens": int(lengths.sum()),
        "padding": float(1 - lengths.sum() / (len(lengths) * lengths.max())),
        "layers": given.layers,
        "torch": torch.__version__,
        "machine": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "load_before": load,
        "ways": {},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sequences.json").write_text(json.dumps(sequences))
        wanted = [way for way in WAYS if way in {*given.ways, "chapter", "one_by_one", "float32"}]
        for way in wanted:
            print(f"{WAYS[way]} ...", file=sys.stderr, flush=True)
            arguments = ["--way", way, "--folder", name, "--tokenizer", str(given.tokenizer.resolve())]
            arguments += ["--layers", str(given.layers)] + (["--threads", str(given.threads)] if given.threads else [])
            result["ways"][way] = run_child("benchmarks.embed", WAYS[way], arguments)
        reference = np.load(folder / "one_by_one.npy")
        result["matrix_gflops"] = result["ways"]["float32"].pop("matrix_gflops")
        result["threads"] = result["ways"]["float32"]["threads"]
        for way, row in result["ways"].items():
            row["times"] = result["ways"]["chapter"]["seconds"] / row["seconds"]
            row["gflops"] = flops(row["tokens"], given.layers) / row["seconds"] / 1e9
            row |= compare(np.load(folder / f"{way}.npy"), reference)
    print(table(result))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
