"""`biollm generate`: proteins from a language model, judged, on the screen and into files."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click
from click.core import ParameterSource

from biollm_widgets.errors import InputError

if TYPE_CHECKING:
    import pandas

    from biollm_widgets.protein.generation import Generation

Named = tuple[str, Path]  # the option that names a file, and the file
MODEL = "nferruz/ProtGPT2"
FASTA = (".fasta", ".fa", ".faa")
ENDINGS = (*FASTA, ".csv", ".json")
JOB = re.compile(r"design_[0-9]+\.json", re.IGNORECASE)  # what --alphafold3 calls its files
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
    if msa_free and alphafold3 is None:
        raise InputError("--msa-free goes with --alphafold3 FOLDER.")
    if greedy and "n" in _given(context) and given["n"] > 1:
        raise InputError(
            f"--greedy always takes the likeliest token, so the proteins of -n {given['n']} would all be the same; "
            "leave one of the two out."
        )
    outs = tuple(map(_home, outs))
    save_settings, alphafold3 = save_settings and _home(save_settings), alphafold3 and _home(alphafold3)
    _check_outputs(
        [*(("--out", path) for path in outs), *_there(("--save-settings", save_settings))],
        alphafold3,
        _there(("--prompt-file", prompt_file), ("--reference", reference), ("--settings", settings_file)),
    )
    text = _prompt(prompt, prompt_file)
    told = {name: given[name] for name in SETTINGS if name in _given(context)}
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
    fasta = [path for path in outs if path.suffix.lower() in FASTA]
    kept = False
    try:
        # What needs no judging is written first: with references, judging takes about as long as generating.
        for path in fasta:
            with _writing(path):
                made.to_fasta(path)
            kept = True
        if save_settings is not None:
            with _writing(save_settings):
                made.to_json(save_settings)
        if alphafold3 is not None:
            _write_jobs(made, alphafold3, msa_free)
        frame = made.to_frame(references=references)
        for path in outs:
            if path not in fasta:
                with _writing(path):
                    _write(made, frame, path)
        shown = json.dumps(report(made, frame), indent=1) if as_json else _words(made, frame)
    except BaseException:
        # Whatever went wrong, a full disk or Ctrl-C: the proteins took minutes to make.
        if not kept:
            click.echo(made.to_fasta(), nl=False)
        raise
    click.echo(shown)
    if not as_json and not outs:
        click.echo()
        click.echo(made.to_fasta(), nl=False)
    return 130 if made.stopped else 0


def _given(context: click.Context) -> set[str]:
    """The options that were given, by their names as settings."""
    return {name for name in SETTINGS if context.get_parameter_source(name) != ParameterSource.DEFAULT}


def _there(*named: tuple[str, Optional[Path]]) -> list[Named]:
    return [(option, path) for option, path in named if path is not None]


def _home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as problem:
        raise InputError(f"There is no home folder for {path}; write the whole path.") from problem


def _check_outputs(files: list[Named], folder: Optional[Path], inputs: list[Named]) -> None:
    """Refuse, before minutes of work, outputs that would overwrite an input or each other, or cannot be written."""
    for option, path in files:
        if _is_folder(path):
            raise InputError(f"{path} is a folder; name a file to write to.")
        if option == "--out" and path.suffix.lower() not in ENDINGS:
            raise InputError(f"{path} ends in none of {', '.join(ENDINGS)}; its ending says what to write.")
    outputs = [*files, *_there(("--alphafold3", folder))]
    for i, (option, path) in enumerate(outputs):
        for earlier, other in outputs[:i]:
            if _same(path, other):
                by = f"by {earlier} and {option}" if earlier != option else f"with {option}"
                raise InputError(f"{path} is to be written twice, {by}; give each output a place of its own.")
        for reading, source in inputs:
            if _same(path, source):
                raise InputError(
                    f"{path} is what {reading} reads, and {option} would overwrite it; name another place to write to."
                )
    for option, path in files:
        for _, other in outputs:
            if _resolved(path) in _resolved(other).parents:
                raise InputError(f"{path} ({option}) would have to be a file and the folder of {other}; rename one.")
    if folder is not None:
        for option, path in (*files, *inputs):
            # As it is called, and, where that is a link, where it leads.
            places = (path, _resolved(path))
            if any(JOB.fullmatch(place.name) and _same(place.parent, folder) for place in places):
                raise InputError(
                    f"{path} ({option}) has the name of a file that --alphafold3 {folder} writes; name another folder."
                )
        if os.path.lexists(folder) and not _is_folder(folder):
            raise InputError(f"{folder} is a file; name a folder for --alphafold3.")
        _probe(folder, folder)
    for _, path in files:
        _probe(path, path.parent)


def _resolved(path: Path) -> Path:
    try:
        return _home(path).resolve()
    except (OSError, RuntimeError) as problem:  # links that lead in a circle
        raise InputError(f"Where {path} leads cannot be found out ({problem}); name another place.") from problem


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as problem:  # a name that is too long
        raise _cannot_write(path, problem) from problem


def _same(one: Path, other: Path) -> bool:
    one, other = _resolved(one), _resolved(other)
    try:
        return one == other or one.samefile(other)  # A.fasta is a.fasta on some disks
    except OSError:
        return False


def _probe(path: Path, folder: Path) -> None:
    """Whether a file can be made in this folder, which may not be there yet; nothing is left behind."""
    nearest = folder.absolute()
    try:
        with suppress(FileNotFoundError):
            path.lstat()  # says whether the name may be: not too long, and no file where a folder should be
        while not os.path.lexists(nearest):
            nearest = nearest.parent
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as problem:
        raise _cannot_write(path, problem) from problem


def _cannot_write(path: Path, problem: OSError) -> InputError:
    return InputError(f"Cannot write {path} ({problem.strerror or problem}); choose a place you may write to.")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:  # a full disk
        raise _cannot_write(path, problem) from problem
    click.echo(f"Wrote {path}", err=True)


def _write_jobs(made: Generation, folder: Path, msa_free: bool) -> None:
    try:
        count = len(made.to_alphafold3(folder, msa_free=msa_free))
    except OSError as problem:
        raise _cannot_write(folder, problem) from problem
    if count:
        click.echo(f"Wrote {count:,} {'file' if count == 1 else 'files'} into {folder}", err=True)
    else:
        click.echo(f"Nothing was written into {folder}: AlphaFold 3 takes none of these designs.", err=True)


def _prompt(prompt: Optional[str], file: Optional[Path]) -> Optional[str]:
    """The text to go on from: the argument, standard input, or the one record of a file."""
    if prompt is not None and file is not None:
        raise InputError("Give the prompt or --prompt-file, not both.")
    if prompt != "-" and file is None:
        return prompt
    from biollm_widgets.protein.prompts import read_prompt_from

    if file is None:
        data = sys.stdin.buffer.read()  # bytes: it may be gzip, or nothing to read at all
        if not data.strip():
            raise InputError("Standard input is empty; give residues or one FASTA record, or leave PROMPT out.")
        found, called = read_prompt_from(data, "the standard input"), "The standard input"
    else:
        found, called = read_prompt_from(file, str(file)), str(file)
    for repair in found.repairs:
        if repair.kind != "looks like DNA":  # that is seen in the residues, and told by `generate`
            click.echo(f"{called}: {repair.words}", err=True)
    return found.sequence


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
    else:
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(report(made, frame), indent=1) + "\n", encoding="utf-8")


def _words(made: Generation, frame: pandas.DataFrame) -> str:
    """The table, why a design stands where it does, and what came out."""
    reasons = [f"{name}: {why}" for name, why in zip(frame["name"], frame["why"], strict=True) if why]
    return "\n".join([table(frame), *reasons, made.finding])


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
    ("nearest_more_than_chance", "than chance", lambda value: "more" if value else "no more"),
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
    # pandas' own missing value (of a yes-or-no column) is not to be compared with anything.
    missing = value is None or str(value) == "<NA>" or (isinstance(value, float) and math.isnan(value))
    return "-" if missing else write(value)
