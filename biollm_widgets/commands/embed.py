"""`biollm embed`: the sequences of a CSV or FASTA file to a `.npz` of vectors."""

from __future__ import annotations

import json
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import click

from biollm_widgets.errors import InputError

MODEL = "zhihan1996/DNABERT-2-117M"
SEQUENCES = ("DNA_sequence", "sequence")  # the chapter's column, and that of DNABERT-2's own files
LABELS = ("Target", "label")
MOST_REPAIRS = 10  # told one by one


@click.command("embed", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("data", type=click.Path(path_type=Path), metavar="CSV_OR_FASTA")
@click.option("--column", metavar="NAME", help="The CSV column of sequences. [default: DNA_sequence, else sequence]")
@click.option("--label-column", metavar="NAME", help="Labels to keep beside. [default: Target, else label, if there]")
@click.option("--model", metavar="NAME_OR_FOLDER", default=MODEL, show_default=True, help="What embeds the sequences.")
@click.option("--pooling", type=click.Choice(["mean", "cls", "max"]), default="mean", show_default=True,
              help="How the vectors of the tokens become one.")  # fmt: skip
@click.option("--layer", type=int, default=-1, show_default=True, help="Which hidden states: -1 the last, 0 the first.")
@click.option("--no-special-tokens", is_flag=True, help="Leave [CLS] and [SEP] out of the mean or the maximum.")
@click.option("--precision", type=click.Choice(["float32", "bf16", "int8", "auto"]), default="float32",
              show_default=True, help="auto times all on a sample; the cosine to float32 is shown.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.npz",
              help="Where the vectors go. [default: NAME_embeddings.npz here]")  # fmt: skip
@click.option("--batch-tokens", type=int, metavar="N", help="Tokens computed together; less needs less memory.")
@click.option("--max-tokens", type=int, metavar="N", help="Longest sequence allowed. [default: what the model reaches]")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps. [default: a GPU if there is one]")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(
    data: Path,
    column: Optional[str],
    label_column: Optional[str],
    model: str,
    pooling: str,
    layer: int,
    no_special_tokens: bool,
    precision: str,
    out: Optional[Path],
    batch_tokens: Optional[int],
    max_tokens: Optional[int],
    device: Optional[str],
    as_json: bool,
) -> None:
    """Turn each DNA sequence of a CSV or FASTA file (gzip or not) into one vector.

    FILE.npz holds the arrays embeddings (sequences x hidden), labels (CSV) or ids (FASTA), and metadata. It appears
    when whole; after Ctrl-C the same command goes on where it stopped. Under torchrun or accelerate launch the
    processes share the work.

    \b
    Examples:
      biollm embed windows.csv --out windows.npz
      biollm embed genes.fasta.gz --pooling max --precision auto
      torchrun --nproc-per-node 4 -m biollm_widgets.cli embed windows.csv
    """
    if int(os.environ.get("RANK") or 0) > 0:
        # The first process says it all, and is the one to answer for a person's mistake.
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            sys.stderr = sys.stdout = nowhere
            try:
                _run(data, column, label_column, model, pooling, layer, no_special_tokens, precision, out,
                     batch_tokens, max_tokens, device)  # fmt: skip
            except InputError:
                sys.exit(2)
            finally:
                sys.stderr, sys.stdout = sys.__stderr__, sys.__stdout__
        return
    report = _run(data, column, label_column, model, pooling, layer, no_special_tokens, precision, out,
                  batch_tokens, max_tokens, device)  # fmt: skip
    if as_json:
        click.echo(json.dumps(report, indent=1))
        return
    again = f", {report['resumed']:,} of them from an earlier run" if report["resumed"] else ""
    click.echo(
        f"{report['sequences']:,} sequences ({report['distinct']:,} distinct{again}; {report['tokens']:,} tokens) to "
        f"vectors of {report['dimensions']}, {pooling} pooling, {report['precision']}, in {report['seconds']:.1f} s."
    )
    click.echo(f"Wrote {report['out']}")


def _run(
    data: Path,
    column: Optional[str],
    label_column: Optional[str],
    model: str,
    pooling: str,
    layer: int,
    no_special_tokens: bool,
    precision: str,
    out: Optional[Path],
    batch_tokens: Optional[int],
    max_tokens: Optional[int],
    device: Optional[str],
) -> dict[str, Any]:
    given = read_sequences(data, column, label_column)

    from biollm_widgets.dna.embedding import OddSequences, embed_with_report
    from biollm_widgets.dna.embedding.outputs import checked_output
    from biollm_widgets.dna.embedding.processes import launched, own_device
    from biollm_widgets.dna.encoders import load_encoder

    path = checked_output(out or f"{data.name.removesuffix('.gz').rpartition('.')[0] or data.name}_embeddings.npz")
    tokenizer, encoder = load_encoder(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OddSequences)
        made = embed_with_report(
            given.sequences,
            tokenizer,
            encoder,
            pooling,
            layer=layer,
            special_tokens=not no_special_tokens,
            precision=precision,
            batch_tokens=batch_tokens,
            max_tokens=max_tokens,
            device=device or own_device(),
            progress=sys.stderr.isatty(),
            file=path,
            labels=given.labels,
            ids=given.ids,
            distributed=launched(),
        )
    for warning in caught:
        if issubclass(warning.category, OddSequences):
            click.echo(f"Note: {warning.message}", err=True)
    return {
        "data": str(data),
        "sequences": len(made.vectors),
        "distinct": made.distinct,
        "resumed": made.resumed,
        "dimensions": made.vectors.shape[1],
        "tokens": made.tokens,
        "unknown_tokens": made.unknown,
        "model": model,
        "pooling": pooling,
        "layer": layer,
        "special_tokens": not no_special_tokens,
        "precision": made.precision,
        "fidelity": None if made.fidelity is None else made.fidelity.as_dict(),
        "labels": given.label_name,
        "seconds": round(made.seconds, 2),
        "out": str(path),
    }


@dataclass(frozen=True)
class Given:
    """Cleaned sequences, and the labels or ids that came with them."""

    sequences: list[str]
    labels: Optional[list] = None
    ids: Optional[list[str]] = None
    label_name: Optional[str] = None


def read_sequences(path: Path, column: Optional[str], label_column: Optional[str]) -> Given:
    """Read a CSV file by its ending, or else FASTA; repairs are told on stderr.

    Raises
    ------
    InputError
        As `read_table`, `clean_sequences` and `read_fasta`, for a column that is not there, and for columns named for
        a FASTA file, which has none.
    """
    if path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
        return _read_csv(path, column, label_column)
    if column or label_column:
        named = "--column" if column else "--label-column"
        raise InputError(f"{named} is for CSV files, and {path} is read as FASTA; leave it out, or name it .csv.")
    from biollm_widgets.sequences import read_fasta

    records = read_fasta(path, duplicates="keep")
    told = [f"{record.name}: {repair.words}" for record in records for repair in record.repairs]
    for line in told[:MOST_REPAIRS]:
        click.echo(line, err=True)
    if len(told) > MOST_REPAIRS:
        click.echo(f"... and {len(told) - MOST_REPAIRS:,} more repairs.", err=True)
    return Given([record.sequence for record in records], ids=[record.name for record in records])


def _read_csv(path: Path, column: Optional[str], label_column: Optional[str]) -> Given:
    from biollm_widgets.dna.labelled import clean_sequences, read_table

    table = read_table(path)
    names = [name.strip() for name in table.header]
    listed = ", ".join(repr(name) for name in names)
    which = _find(names, column, SEQUENCES)
    if which is None:
        wanted = f"{column!r}" if column else " or ".join(SEQUENCES)
        raise InputError(f"{path} has no column {wanted}; it has {listed}: name one with --column.")
    texts, repairs = clean_sequences(table.column(which), lambda i: f"line {table.lines[i]} of {path}")
    for line in repairs:
        click.echo(f"{path}: {line}", err=True)
    labelled = _find(names, label_column, LABELS)
    if labelled is None:
        if label_column:
            raise InputError(f"{path} has no column {label_column!r}; it has {listed}: name one with --label-column.")
        return Given(texts)
    values: list = [value.strip() for value in table.column(labelled)]
    if "" in values:
        raise InputError(f"Line {table.lines[values.index('')]} of {path} has no {names[labelled]}; give it a label.")
    if all(value.lstrip("+-").isdecimal() for value in values):
        values = [int(value) for value in values]
    return Given(texts, labels=values, label_name=names[labelled])


def _find(names: list[str], asked: Optional[str], usual: tuple[str, ...]) -> Optional[int]:
    """The number of the column that was asked for, or of the first usual one, whatever its case."""
    if asked is not None:
        return names.index(asked) if asked in names else None
    lower = [name.lower() for name in names]
    return next((lower.index(name.lower()) for name in usual if name.lower() in lower), None)
