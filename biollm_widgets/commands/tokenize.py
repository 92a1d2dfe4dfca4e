"""`biollm tokenize`: how a tokenizer cuts sequences, as a table or as JSON."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Optional

import click

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.sequences import LINE, Record, clean, read_fasta, wrap
from biollm_widgets.tokenization import CharTokenizer, KmerTokenizer, Tokenization, tokenize

DNA_MODEL = "zhihan1996/DNABERT-2-117M"
PROTEIN_MODEL = "nferruz/ProtGPT2"
MOST_BASES = 1_000_000  # of one record; its tokens and their table are half a gigabyte then
MOST_LETTERS = 40  # of a token in the table; the JSON has all

Results = Iterable[tuple[Record, Tokenization]]


@click.command("tokenize", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("sequence", required=False)
@click.option("--fasta", type=click.Path(path_type=Path), help="Read the sequences from this FASTA file (gzip or not).")
@click.option("--tokenizer", metavar="NAME_OR_FOLDER", help=f"A model's tokenizer. [default: {DNA_MODEL}]")
@click.option("--kmer", type=int, metavar="K", help="Overlapping k-mers as DNABERT reads them, with its ids.")
@click.option("--char", is_flag=True, help="One token a letter.")
@click.option("--protein", is_flag=True, help=f"The letters are residues. [default tokenizer: {PROTEIN_MODEL}]")
@click.option("--wrap", "width", type=int, metavar="N", help="Give the tokenizer lines of N letters, 0 for one line. "
              "[default: 60 for the proteins of a model, as ProtGPT2 was trained; else 0]")  # fmt: skip
@click.option("--as-is", is_flag=True, help="Clean nothing: see what lower case, U or a space do to the tokens.")
@click.option("--merges", is_flag=True, help="Also the BPE merges that made each token.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON: one object with a list of records.")
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file instead of the screen.")
def command(
    sequence: Optional[str],
    fasta: Optional[Path],
    tokenizer: Optional[str],
    kmer: Optional[int],
    char: bool,
    protein: bool,
    width: Optional[int],
    as_is: bool,
    merges: bool,
    as_json: bool,
    out: Optional[Path],
) -> None:
    """Show how a tokenizer cuts SEQUENCE (letters, or `-` for FASTA or letters on standard input) into tokens.

    start and end count letters of the sequence from 0, end not included. Repairs (upper-casing, U to T, gaps) are
    told on standard error.

    \b
    Examples:
      biollm tokenize ACGTAGCATCGGATCTATCTATCGACACTTGG
      biollm tokenize --fasta genes.fa --kmer 6 --json --out tokens.json
      biollm tokenize ACGTAGCATCGG --merges
    """
    if sum((tokenizer is not None, kmer is not None, char)) > 1:
        raise InputError("Choose one of --tokenizer, --kmer and --char.")
    if kmer is not None and protein:
        raise InputError("--kmer reads DNA; for a protein take --char or a model's tokenizer.")
    if merges and (char or kmer is not None):
        raise InputError("--merges needs a BPE tokenizer; leave out --char and --kmer.")
    if width is not None and width < 0:
        raise InputError(f"--wrap takes 0 or more letters a line, not {width}.")
    alphabet = "protein" if protein else "dna"
    records = _records(sequence, fasta, alphabet, as_is)
    cutter = _tokenizer(tokenizer, kmer, char, protein)
    if width is None:
        width = LINE if protein and not char else 0
    if merges:
        _ = tokenize("", cutter).merge_history  # no BPE: say so before the first line is written
    for record in records:
        if len(record) > MOST_BASES:
            raise InputError(
                f"{record.name} has {len(record):,} letters and a token takes a line here; "
                f"give stretches of at most {MOST_BASES:,}."
            )
    for record in records:
        for repair in record.repairs:
            click.echo(f"{record.name}: {repair.words}", err=True)
    # One record at a time, so that a proteome needs the memory of its longest protein.
    results = (
        (record, tokenize(wrap(record.sequence, width), cutter, alphabet=alphabet, name=record.name))
        for record in records
    )
    if as_json:
        parts = _json(results, _label(tokenizer, kmer, char, protein), merges)
    else:
        parts = _pages(results, merges, len(records) > 1)
    if out is None:
        for part in parts:
            click.echo(part, nl=False)
        return
    with whole_file(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(parts)
    click.echo(f"Wrote the tokens of {len(records):,} record{'s'[: len(records) != 1]} to {out}", err=True)


def _json(results: Results, tokenizer: str, merges: bool) -> Iterator[str]:
    yield f'{{"tokenizer": {json.dumps(tokenizer)}, "records": ['
    for number, (record, result) in enumerate(results):
        yield ("," if number else "") + "\n" + json.dumps(_entry(record, result, merges))
    yield "\n]}\n"


def _pages(results: Results, merges: bool, titled: bool) -> Iterator[str]:
    for number, (_, result) in enumerate(results):
        yield ("\n" if number else "") + _page(result, merges, titled)


def _records(sequence: Optional[str], fasta: Optional[Path], alphabet: str, as_is: bool) -> list[Record]:
    if (sequence is None) == (fasta is None):
        raise InputError("Give a sequence, or --fasta FILE, or - to read standard input (one of them).")
    if fasta is not None and as_is:
        raise InputError("--as-is takes letters, not a FASTA file, whose line breaks belong to the file.")
    if sequence is None:
        # Two genes of one name are cut into tokens as well as any others.
        return read_fasta(fasta or "", alphabet, duplicates="rename")
    if sequence == "-":
        data = sys.stdin.buffer.read()
        if not as_is:
            return read_fasta(io.BytesIO(data), alphabet, duplicates="rename")
        sequence = data.decode("utf-8", errors="replace").removesuffix("\n")
    if as_is:
        return [Record("sequence_1", "", sequence, (), alphabet)]
    if sequence.lstrip().startswith(">"):
        return read_fasta(sequence, alphabet, duplicates="rename")
    if "/" in sequence or "\\" in sequence or _is_file(sequence):
        raise InputError(f"{sequence} is a path, not a sequence; read a file with --fasta {sequence}.")
    cleaned = clean(sequence, alphabet)
    return [Record("sequence_1", "", cleaned.sequence, cleaned.repairs, alphabet)]


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _tokenizer(name: Optional[str], kmer: Optional[int], char: bool, protein: bool) -> Any:
    """Without transformers and torch wherever the model has a `tokenizer.json`: that takes seconds off the answer."""
    if kmer is not None:
        return KmerTokenizer(kmer)
    if char:
        return CharTokenizer("protein" if protein else "dna")
    name = name or (PROTEIN_MODEL if protein else DNA_MODEL)
    folder = Path(name).expanduser()
    if folder.is_file():
        if folder.suffix != ".json":
            raise InputError(f"{folder} is no tokenizer; name a model, a folder with a tokenizer.json, or that file.")
        return _read(folder)
    if (there := _ready_made(folder)) is not None:
        return there
    from biollm_widgets.models.cache import TOKENIZER_FILES
    from biollm_widgets.models.catalog import require
    from biollm_widgets.models.locate import locate

    require(name, "tokenize")
    path = locate(name, weights=False)
    if (there := _ready_made(Path(path))) is not None:
        return there
    if not any((Path(path) / file).is_file() for file in TOKENIZER_FILES):
        raise InputError(f"The folder {path} holds no tokenizer; name one that save_pretrained of a tokenizer wrote.")
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path)
    except Exception as problem:  # whatever a library says of files that it cannot use
        reason = str(problem).split("\n")[0]
        raise InputError(
            f"The tokenizer of {name} cannot be loaded ({reason}); name a model that has one."
        ) from problem


def _ready_made(folder: Path) -> Any:
    """The tokenizer of a folder that needs no transformers: DNABERT's k-mers, or a `tokenizer.json`; else None."""
    kmers = KmerTokenizer.of_vocabulary(folder / "vocab.txt")
    if kmers is None and (folder / "tokenizer.json").is_file():
        return _read(folder / "tokenizer.json")
    return kmers


def _read(file: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(file))
    except Exception as problem:  # the library raises a bare Exception for a file that is none of its own
        raise InputError(
            f"{file} is no tokenizer file ({problem}); name a folder that save_pretrained wrote."
        ) from problem


def _label(name: Optional[str], kmer: Optional[int], char: bool, protein: bool) -> str:
    if kmer is not None:
        return f"{kmer}-mers"
    return "letters" if char else name or (PROTEIN_MODEL if protein else DNA_MODEL)


def _entry(record: Record, result: Tokenization, merges: bool) -> dict:
    entry = {**result.to_dict(), "description": record.description}
    entry["finding"] = result.finding
    entry["repairs"] = [repair.to_dict() for repair in record.repairs]
    if merges:
        for token, made in zip(entry["tokens"], result.merges, strict=True):
            token["merges"] = [
                {
                    "number": step.number,
                    "rank": step.rank,
                    "left": step.left,
                    "right": step.right,
                    "merged": step.merged,
                    "start": step.start,
                    "end": step.end,
                }
                for step in made
            ]
    return entry


def _page(result: Tokenization, merges: bool, titled: bool) -> str:
    """The table of one sequence, its finding, and what made the tokens."""
    heads = ["token", "id", "start", "end", ""]
    rows = [heads]
    for token in result.tokens:
        shown = token.text if token.special else _visible(token.text)
        remark = "special" if token.special else f"unknown: {token.reason}" if token.unknown else ""
        rows.append([_short(shown), str(token.id), str(token.start), str(token.end), remark])
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"> {result.name}"] if titled else []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3)), row[4]]
        lines.append("  ".join(cells).rstrip())
    lines += ["", f"{result.finding}."]
    lines += [f"Note: {note}." for note in result.notes]
    if merges:
        lines += ["", "Merges (rank in the tokenizer's list, the lowest first):"]
        for token, made in zip(result.tokens, result.merges, strict=True):
            if made:
                steps = ", ".join(f"{_visible(s.left)}+{_visible(s.right)} ({s.rank})" for s in made)
                lines.append(f"{_short(_visible(token.text)).ljust(widths[0])}  {steps}")
    return "\n".join(lines) + "\n"


def _visible(text: str) -> str:
    """White space as it is written in code, so that a table stays a table; Ċ and Ġ are byte-level BPE's own names."""
    return text.replace("\n", "\\n").replace("\t", "\\t").replace(" ", "' '").replace("Ċ", "\\n").replace("Ġ", "' '")


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 3]}..."
