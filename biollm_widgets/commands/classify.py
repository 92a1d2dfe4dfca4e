"""`biollm classify`: labels from frozen embeddings, beside baselines that need no language model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Optional

import click
import numpy as np

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file

CHAPTERS_ROWS = 1_000  # what the chapter takes of its 65,321, to save time
MODEL = "zhihan1996/DNABERT-2-117M"


@click.command("classify", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("data", required=False, metavar="[CSV]")
@click.option(
    "--embeddings", metavar="FILE.npz", type=click.Path(path_type=Path), help="Vectors that `biollm embed` made."
)
@click.option("--model", metavar="NAME_OR_FOLDER", default=MODEL, show_default=True, help="What embeds the sequences.")
@click.option(
    "--pooling",
    type=click.Choice(["mean", "cls", "max"]),
    help="How token vectors become one. [default: mean, or what FILE.npz was made with]",
)
@click.option("--rows", type=int, help="A sample of so many rows. [default: all of a CSV, 1000 of the chapter's set]")
@click.option("--test-size", type=float, default=0.3, show_default=True, help="Share, or number, of rows to test on.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the sample and the split.")
@click.option("--kmer", "kmers", type=int, multiple=True, help="Baseline k, may be given twice. [default: 3]")
@click.option("--control", is_flag=True, help="Also the same network with random weights.")
@click.option("--predict", "predict", metavar="SEQUENCE", multiple=True, help="Classify this sequence too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file instead of the screen.")
def command(
    data: Optional[str],
    embeddings: Optional[Path],
    model: str,
    pooling: Optional[str],
    rows: Optional[int],
    test_size: float,
    seed: int,
    kmers: tuple[int, ...],
    control: bool,
    predict: tuple[str, ...],
    as_json: bool,
    out: Optional[Path],
) -> None:
    """Learn the labels of a CSV from embeddings, and say whether that beats counting k-mers.

    CSV has the columns DNA_sequence and Target (or sequence and label). Without it: the chapter's data set, or
    simulated sequences when there is no connection; `simulated` asks for those.

    \b
    Examples:
      biollm classify my_sequences.csv
      biollm classify my_sequences.csv --embeddings vectors.npz --control
      biollm classify --rows 500 --predict ACGTAGCATCGGATCTATCTATCGACACTTGG
    """
    from biollm_widgets.dna.classification import classify

    if out is not None and out.is_dir():
        raise InputError(f"{out} is a folder; name a file to write to.")
    queries = _queries(predict)
    stored = _read_vectors(embeddings) if embeddings is not None else None
    frame = None if data is None and stored is not None else _frame(data, rows, seed)

    if stored is None:
        assert frame is not None
        encoder = Encoder(model, pooling or "mean")
        sequences, labels = frame["DNA_sequence"].tolist(), frame["Target"].to_numpy()
        vectors = encoder(sequences)
    else:
        encoder = Encoder(model, pooling or stored["pooling"] or "mean")
        if pooling and stored["pooling"] and pooling != stored["pooling"]:
            raise InputError(
                f"{embeddings} was made with {stored['pooling']} pooling; leave out --pooling {pooling}, or embed anew."
            )
        vectors, labels, sequences = _matched(stored, frame, rows, seed, str(embeddings), str(data))
        if control and sequences is None:
            raise InputError("--control embeds the sequences again; give the CSV they are in beside --embeddings.")
        if queries and sequences is not None:
            _check_same_model(encoder, sequences, vectors, str(embeddings))

    twin = encoder(sequences, untrained=True) if control and sequences is not None else None
    result = classify(vectors, labels, sequences, control=twin, test_size=test_size, seed=seed, kmers=kmers or (3,))
    simulated = frame is not None and bool(frame.attrs.get("simulated"))
    if simulated:
        result.notes.insert(0, "These sequences are SIMULATED: the scores are no finding about an organism.")
    predictions = []
    if queries:
        found = result.predict(encoder([sequence for _, sequence in queries]))
        predictions = [
            {"sequence": sequence, **{str(name).replace(" ", "_"): _plain(value) for name, value in row.items()}}
            for (_, sequence), row in zip(queries, found.to_dict("records"), strict=True)
        ]

    if as_json:
        report = {
            "data": frame.attrs["source"] if frame is not None else str(embeddings),
            "simulated": simulated,
            "embeddings": str(embeddings) if embeddings is not None else {"model": model, "pooling": encoder.pooling},
            **result.to_dict(),
            "predictions": predictions,
        }
        written = json.dumps(report, indent=1) + "\n"
    else:
        reports = [score.report() for score in result.scores if score.features == "embedding"]
        pages = [result.summary(), *reports, *([_table(predictions)] if predictions else [])]
        written = "\n\n".join(pages) + "\n"
    if out is None:
        click.echo(written, nl=False)
        return
    with whole_file(out) as temporary:
        temporary.write_text(written, encoding="utf-8")
    click.echo(f"{result.finding()}\nWrote {out}", err=True)


class Encoder:
    """Sequences to vectors; the model is loaded when the first are asked for, and once."""

    def __init__(self, model: str, pooling: str) -> None:
        self.model, self.pooling = model, pooling
        self.loaded: Any = None

    def __call__(self, sequences: list[str], untrained: bool = False) -> np.ndarray:
        """Vectors of the network, or of the same network with random weights."""
        from biollm_widgets.dna.embedding import embed
        from biollm_widgets.dna.encoders import load_encoder, random_twin

        if self.loaded is None:
            self.loaded = load_encoder(self.model)
        tokenizer, network = self.loaded
        if untrained:
            network = random_twin(network)
        return embed(sequences, tokenizer, network, self.pooling, progress=sys.stderr.isatty())


def _queries(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each sequence of --predict as given and as cleaned."""
    from biollm_widgets.sequences import clean_dna

    found = []
    for number, text in enumerate(texts, start=1):
        cleaned = clean_dna(text, name=f"--predict number {number}")
        for repair in cleaned.repairs:
            click.echo(f"--predict number {number}: {repair.words}", err=True)
        found.append((text, cleaned.sequence))
    return found


def _frame(data: Optional[str], rows: Optional[int], seed: int) -> Any:
    """The table of DNA_sequence and Target; the chapter's, which is large, only in part unless told otherwise."""
    from biollm_widgets.dna.datasets import load_coding_dataset, read_labelled_csv, sample_rows

    if data is None or data in ("auto", "chapter", "simulated"):
        if rows is not None and rows < 2:
            raise InputError(f"--rows is {rows}; give a whole number from 2.")
        shown = sys.stderr.isatty()
        return load_coding_dataset(data or "auto", size=rows or CHAPTERS_ROWS, seed=seed, progress=shown)
    frame = read_labelled_csv(data)
    return frame if rows is None else sample_rows(frame, rows, seed)


def _read_vectors(path: Path) -> dict[str, Any]:
    """What `biollm embed` wrote: the vectors, the labels if it had some, and the pooling."""
    try:
        with np.load(path.expanduser(), allow_pickle=False) as file:
            if not hasattr(file, "files") or "embeddings" not in file.files:
                raise InputError(f"{path} has no array `embeddings`; give a .npz file that `biollm embed` made.")
            stored: dict[str, Any] = {"vectors": file["embeddings"]}
            stored["labels"] = file["labels"] if "labels" in file.files else None
            metadata = json.loads(str(file["metadata"])) if "metadata" in file.files else {}
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; `biollm embed` makes one.") from None
    except InputError:
        raise
    except Exception as problem:  # numpy raises what zipfile, zlib and its own header reader raise
        raise InputError(f"{path} is no .npz file of vectors ({problem}); make one with `biollm embed`.") from problem
    stored["pooling"] = metadata.get("plan", {}).get("pooling") if isinstance(metadata, dict) else None
    return stored


def _matched(
    stored: dict[str, Any], frame: Any, rows: Optional[int], seed: int, file: str, data: str
) -> tuple[np.ndarray, np.ndarray, Optional[list[str]]]:
    """Vectors, labels and sequences of the same rows."""
    vectors, labels = stored["vectors"], stored["labels"]
    if frame is None:
        if labels is None:
            raise InputError(f"{file} has no labels; give the CSV they are in as well.")
        if rows is None:
            return vectors, labels, None
        if not 2 <= rows <= len(vectors):
            raise InputError(f"--rows is {rows}; {file} has {len(vectors):,} vectors.")
        chosen = np.random.default_rng(seed).permutation(len(vectors))[:rows]
        return vectors[chosen], labels[chosen], None
    places = frame.index.to_numpy()  # rows of the whole table, also after a sample
    if rows is None and len(frame) != len(vectors):
        raise InputError(f"{file} has {len(vectors):,} vectors and {data} {len(frame):,} rows; embed that CSV anew.")
    if places.max() >= len(vectors):
        raise InputError(f"{file} has {len(vectors):,} vectors, fewer than {data} has rows; embed that CSV anew.")
    targets = frame["Target"].to_numpy()
    if labels is not None:
        differ = np.flatnonzero(labels[places].astype(str) != targets.astype(str))
        if len(differ):
            raise InputError(
                f"The labels in {file} and in {data} differ in {len(differ):,} rows, first in row "
                f"{places[differ[0]] + 1}; embed that CSV anew."
            )
    return vectors[places], targets, frame["DNA_sequence"].tolist()


def _check_same_model(encoder: Encoder, sequences: list[str], vectors: np.ndarray, file: str) -> None:
    """A sequence of --predict must be embedded as the stored vectors were."""
    few = list(range(min(3, len(sequences))))
    again = encoder([sequences[i] for i in few])
    if again.shape[1] == vectors.shape[1]:
        for mine, theirs in zip(again, vectors[few], strict=True):
            if mine @ theirs < 0.98 * np.linalg.norm(mine) * np.linalg.norm(theirs):
                break
        else:
            return
    raise InputError(
        f"The vectors in {file} were not made by {encoder.model} with {encoder.pooling} pooling; name their model with "
        "--model, so that --predict can embed as they were."
    )


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _table(predictions: list[dict[str, Any]]) -> str:
    lines = []
    for found in predictions:
        sequence = found["sequence"]
        shown = sequence if len(sequence) <= 40 else f"{sequence[:18]}…{sequence[-18:]} ({len(sequence)} bases)"
        lines.append(
            f"{shown}: {found['naive_Bayes']} by naive Bayes, {found['logistic_regression']} by logistic regression "
            f"(probability {found['logistic_regression_probability']:.2f})"
        )
    return "\n".join(lines)
