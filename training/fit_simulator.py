"""Fit the Markov models behind the simulated data set on a genome and its annotation.

    python -m training.fit_simulator --genome GENOME.fna.gz --annotation GENOME.gff.gz

Counts only: how often each base follows each five bases, for each codon position in genes, and anywhere between
genes; each apart for the third of the genes (of the stretches) with the least G and C, the middle third and the third
with the most, since genes of one genome differ. `biollm_widgets/dna/simulate.py` draws sequences from the counts. The
same files give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np

from biollm_widgets.dna.simulate import ORDER, PARAMETERS, SHORTEST
from biollm_widgets.files import whole_file
from biollm_widgets.sequences import read_fasta, reverse_complement

STOPS = ("TAA", "TAG", "TGA")


def read_features(path: Path) -> list[tuple[str, int, int, str, str]]:
    """The rows of a GFF3 file: type, start (from 0), end, strand and attributes."""
    features = []
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as text:
        for line in text:
            fields = line.rstrip("\n").split("\t")
            if not line.startswith("#") and len(fields) == 9:
                features.append((fields[2], int(fields[3]) - 1, int(fields[4]), fields[6], fields[8]))
    return features


def coding_sequences(genome: str, features: list[tuple[str, int, int, str, str]]) -> list[str]:
    """Each gene's coding strand from its first codon to the last before the stop.

    Left out: pseudogenes, genes in several pieces (ribosomal slippage), and what has a stop inside (selenocysteine).
    """
    pieces: dict[str, int] = {}
    rows = [feature for feature in features if feature[0] == "CDS" and "pseudo=true" not in feature[4]]
    for feature in rows:
        name = feature[4].split(";")[0]
        pieces[name] = pieces.get(name, 0) + 1
    genes = []
    for _, start, end, strand, attributes in rows:
        gene = genome[start:end] if strand == "+" else reverse_complement(genome[start:end])
        codons = [gene[i : i + 3] for i in range(0, len(gene) - 3, 3)]
        whole = len(gene) % 3 == 0 and pieces[attributes.split(";")[0]] == 1
        if whole and set(gene) <= set("ACGT") and not set(codons) & set(STOPS):
            genes.append("".join(codons))
    return genes


def between_genes(genome: str, features: list[tuple[str, int, int, str, str]]) -> list[str]:
    """The stretches that no feature covers (genes, pseudogenes, RNAs, mobile elements), forward strand."""
    covered = np.zeros(len(genome), dtype=bool)
    for kind, start, end, _, _ in features:
        if kind != "region":
            covered[start:end] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[True], covered, [True]]).astype(np.int8)))
    return [genome[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


def count(sequences: list[str], phases: int) -> np.ndarray:
    """How often each base follows each `ORDER` bases, (phases, 4 ** ORDER, 4); the phase is that of the base."""
    counts = np.zeros((phases, 4**ORDER, 4), dtype=np.int64)
    lookup = np.full(256, -1, dtype=np.int64)
    lookup[list(b"ACGT")] = range(4)
    for sequence in sequences:
        codes = lookup[np.frombuffer(sequence.encode(), dtype=np.uint8)]
        if len(codes) <= ORDER or (codes < 0).any():
            continue
        contexts = np.zeros(len(codes) - ORDER, dtype=np.int64)
        for i in range(ORDER):
            contexts = contexts * 4 + codes[i : len(codes) - ORDER + i]
        np.add.at(counts, ((np.arange(len(contexts)) + ORDER) % phases, contexts, codes[ORDER:]), 1)
    return counts


def thirds(sequences: list[str]) -> list[list[str]]:
    """The sequences in three groups of one size, by their share of G and C."""
    order = np.argsort([(s.count("G") + s.count("C")) / len(s) for s in sequences], kind="stable")
    return [[sequences[i] for i in group] for group in np.array_split(order, 3)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genome", required=True, type=Path, help="FASTA, gzip or not, one chromosome")
    parser.add_argument("--annotation", required=True, type=Path, help="GFF3 of the same assembly, gzip or not")
    parser.add_argument("--out", type=Path, default=PARAMETERS)
    args = parser.parse_args()
    genome = "".join(record.sequence for record in read_fasta(args.genome, alphabet="dna"))
    features = read_features(args.annotation)
    genes = coding_sequences(genome, features)
    gaps = [gap for gap in between_genes(genome, features) if len(gap) >= SHORTEST]
    gene_groups, gap_groups = thirds(genes), thirds(gaps)
    # A gap has no strand of its own: both are counted.
    strands = [group + [reverse_complement(gap) for gap in group] for group in gap_groups]
    with whole_file(args.out) as path:
        np.savez_compressed(
            path,
            coding=np.stack([count(group, 3) for group in gene_groups]).astype(np.uint32),
            noncoding=np.stack([count(group, 1) for group in strands]).astype(np.uint32),
            gap_lengths=np.array([len(gap) for group in gap_groups for gap in group]).astype(np.uint16),
            gap_groups=np.repeat([0, 1, 2], [len(group) for group in gap_groups]).astype(np.uint8),
            gene_shares=np.array([sum(map(len, group)) for group in gene_groups]) / sum(map(len, genes)),
        )
    print(
        f"{len(genes):,} genes ({sum(map(len, genes)):,} bases) and {len(gaps):,} stretches between genes "
        f"of at least {SHORTEST} bases ({sum(map(len, gaps)):,} bases) are in {args.out} "
        f"({args.out.stat().st_size / 1000:.0f} kB)."
    )


if __name__ == "__main__":
    main()
