"""`biollm generate`: proteins from a language model, judged, on the screen and into files."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click
from click.core import ParameterSource

from biollm_widgets.errors import InputError

if TYPE_CHECKING:
    import pandas

    from biollm_widgets.protein.generation import Generation

MODEL = "nferruz/ProtGPT2"
ENDINGS = (".fasta", ".fa", ".faa", ".csv", ".json")
# Options that are settings of the generation, by the name of the setting.
SETTINGS = ("n", "max_length", "temperature", "top_k", "top_p", "repetition_penalty", "eos_token_id", "seed", "model",
            "precision")  # fmt: skip


@click.command("generate", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.argument("prompt", required=False)
@click.option("--prompt-file", type=click.Path(path_type=Path), metavar="FILE", help="Read the prompt from this file.")
@click.option("-n", "--num-return-sequences", "n", type=int, default=10, show_default=True, help="How many proteins.")
@click.option("--max-length", type=int, default=100, show_default=True, help="Tokens at most, the prompt's included.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Below 1 more likely, above 1 more "
              "daring.")  # fmt: skip
@click.option("--top-k", type=int, default=950, show_default=True, help="Draw from the K likeliest tokens; 0: all.")
@click.option("--top-p", type=float, default=1.0, show_default=True, help="Draw from the likeliest tokens, until "
              "together they have this probability.")  # fmt: skip
@click.option("--repetition-penalty", type=float, default=1.2, show_default=True, help="Tokens that are there already "
              "become less likely; 1: no penalty.")  # fmt: skip
@click.option("--greedy", is_flag=True, help="Always take the likeliest token (do_sample=False); with -n 1.")
@click.option("--eos-token-id", type=int, help="The token that ends a protein. [default: the tokenizer's own]")
@click.option("--seed", type=int, help="The same seed gives the same proteins. [default: a new one, which is told]")
@click.option("--model", metavar="NAME_OR_FOLDER", default=MODEL, show_default=True, help="What writes the proteins.")
@click.option("--precision", type=click.Choice(["float32", "bf16", "int8"]), default="float32", show_default=True,
              help="int8 is faster on a CPU; what it does to perplexity is shown.")  # fmt: skip
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps. [default: a GPU if there is one]")
@click.option("--settings", "settings_file", type=click.Path(path_type=Path), metavar="FILE.json",
              help="Settings that --save-settings wrote; other options go before them.")  # fmt: skip
@click.option("--reference", type=click.Path(path_type=Path), metavar="FASTA",
              help="Known proteins: show the nearest to each design.")  # fmt: skip
@click.option("--out", "outs", type=click.Path(path_type=Path), multiple=True, metavar="FILE",
              help="Write .fasta, .csv or .json (all of it); may be given several times.")  # fmt: skip
@click.option("--save-settings", type=click.Path(path_type=Path), metavar="FILE.json",
              help="Write what makes the same proteins again.")  # fmt: skip
@click.option("--alphafold3", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Write AlphaFold 3 input, a file each.")  # fmt: skip
@click.option("--msa-free", is_flag=True, help="AlphaFold 3 predicts from the sequence alone, without relatives.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table and FASTA.")
@click.pass_context
def command(
    context: click.Context,
    prompt: Optional[str],
    prompt_file: Optional[Path],
    greedy: bool,
    device: Optional[str],
    settings_file: Optional[Path],
    reference: Optional[Path],
    outs: tuple[Path, ...],
    save_settings: Optional[Path],
    alphafold3: Optional[Path],
    msa_free: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Write proteins that begin with PROMPT (residues, or `-` for residues or FASTA on standard input), or from
    nothing.

    The table ranks them by perplexity, as ProtGPT2's authors do: lower is less surprising to the model. They drop
    those that were cut off at --max-length. Ctrl-C keeps what is there.

    \b
    Examples:
      biollm generate -n 10 --seed 1
      biollm generate MKTAYIAKQRQISFVKSHFSRQ -n 5 --out designs.fasta --save-settings designs.json
      biollm generate --settings designs.json --alphafold3 jobs --msa-free
    """
    for path in outs:
        if path.suffix.lower() not in ENDINGS:
            raise InputError(f"{path} ends in none of {', '.join(ENDINGS)}; its ending says what to write.")
    for path in (*outs, *([save_settings] if save_settings else [])):
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a file to write to.")
    if msa_free and alphafold3 is None:
        raise InputError("--msa-free goes with --alphafold3 FOLDER.")
    text = _prompt(prompt, prompt_file)
    told = {name: given[name] for name in SETTINGS if context.get_parameter_source(name) != ParameterSource.DEFAULT}
    if greedy:
        told |= {"do_sample": False, **({} if "n" in told else {"n": 1})}
    if text is not None:
        told["prompt"] = text

    from biollm_widgets.protein.generation import generate, generate_again

    references = _references(reference)
    if settings_file is not None:
        made = generate_again(settings_file, **told, device=device)
    else:
        made = generate(**{**told, "device": device})
    frame = made.to_frame(references=references)
    for path in outs:
        _write(made, frame, path)
        click.echo(f"Wrote {path}", err=True)
    if save_settings is not None:
        made.to_json(save_settings)
        click.echo(f"Wrote {save_settings}", err=True)
    if alphafold3 is not None:
        made.to_alphafold3(alphafold3, msa_free=msa_free)
        click.echo(f"Wrote {sum(bool(s) for s in made.sequences)} files into {alphafold3}", err=True)
    if as_json:
        click.echo(json.dumps(report(made, frame), indent=1))
    else:
        click.echo(table(frame))
        for name, why in zip(frame["name"], frame["why"], strict=True):
            if why:
                click.echo(f"{name}: {why}")
        click.echo(made.finding)
        if not outs:
            click.echo()
            click.echo(made.to_fasta(), nl=False)
    return 130 if made.stopped else 0


def _prompt(prompt: Optional[str], file: Optional[Path]) -> Optional[str]:
    """The text to go on from: the argument, standard input, or the one record of a file."""
    if prompt is not None and file is not None:
        raise InputError("Give the prompt or --prompt-file, not both.")
    if prompt == "-":
        text = sys.stdin.read()
        if not text.strip():
            raise InputError("Standard input is empty; give residues or one FASTA record, or leave PROMPT out.")
        return text
    if file is None:
        return prompt
    from biollm_widgets.sequences import format_fasta, read_fasta

    records = read_fasta(file, alphabet="protein", ambiguity="refuse", duplicates="keep")
    if len(records) > 1:
        names = ", ".join(record.name for record in records[:3]) + (", ..." if len(records) > 3 else "")
        raise InputError(f"There are {len(records)} records in {file} ({names}); a prompt is one: keep that alone.")
    for repair in records[0].repairs:
        if repair.kind != "looks like DNA":
            click.echo(f"{file}: {repair.words}", err=True)
    return format_fasta(records)


def _references(path: Optional[Path]) -> Any:
    if path is None:
        return None
    from biollm_widgets.protein.likeness import References

    return References.from_fasta(path)


def _write(made: Generation, frame: pandas.DataFrame, path: Path) -> None:
    from biollm_widgets.files import whole_file
    from biollm_widgets.protein.export import write_csv

    if path.suffix.lower() == ".csv":
        write_csv(frame, path)
    elif path.suffix.lower() == ".json":
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(report(made, frame), indent=1) + "\n", encoding="utf-8")
    else:
        made.to_fasta(path)


def report(made: Generation, frame: pandas.DataFrame) -> dict[str, Any]:
    """Everything, for a script that reads JSON: settings, designs in the order of the table, each with its tokens."""
    tokens = {design.name: [choice._asdict() for choice in design.choices] for design in made}
    designs = [
        {**{str(key): _plain(value) for key, value in row.items()}, "chosen_tokens": tokens[row["name"]]}
        for row in frame.to_dict("records")
    ]
    return {
        "settings": made.settings.as_dict(),
        "model": made.model,
        "stopped": made.stopped,
        "seconds": round(made.seconds, 3),
        "fidelity": None if made.fidelity is None else vars(made.fidelity),
        "designs": designs,
    }


def _plain(value: Any) -> Any:
    """A value that JSON knows: no NaN, no numpy number."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Column of the frame, its head in the table, and how a value is written; those that the frame lacks are passed over.
COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("name", "", str),
    ("perplexity", "perplexity", lambda value: f"{value:.1f}"),
    ("finished", "ended", lambda value: "yes" if value else "cut off"),
    ("tokens", "tokens", str),
    ("residues", "residues", str),
    ("isoelectric_point", "pI", lambda value: f"{value:.1f}"),
    ("gravy", "GRAVY", lambda value: f"{value:+.2f}"),
    ("instability", "instability", lambda value: f"{value:.0f}"),
    ("nearest", "nearest", str),
    ("nearest_identity", "identity", lambda value: f"{value:.0f} %"),
    ("flags", "flags", str),
)


def table(frame: pandas.DataFrame) -> str:
    """The designs for people, one a line."""
    shown = [column for column in COLUMNS if column[0] in frame.columns]
    rows = [[head for _, head, _ in shown]]
    rows += [[_cell(record[name], write) for name, _, write in shown] for record in frame.to_dict("records")]
    texts = {i for i, (name, _, _) in enumerate(shown) if name in ("name", "nearest", "flags")}
    widths = [max(len(row[i]) for row in rows) for i in range(len(shown))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i in texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cell(value: Any, write: Callable[[Any], str]) -> str:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "-" if missing else write(value)
