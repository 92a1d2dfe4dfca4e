"""`biollm finetune`: the flags of DNABERT-2's train.py, letter for letter."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from typing import Any, Optional

import click

from biollm_widgets.dna.finetuning.flags import help_rows, read_words
from biollm_widgets.errors import InputError

ABOUT = """Fine-tune DNABERT-2 on train.csv, dev.csv and test.csv, with the flags of its own train.py.

Writes checkpoints to OUTPUT_DIR and the result to OUTPUT_DIR/results/RUN_NAME/eval_results.json, and says which
checkpoint was tested. Ctrl-C saves a checkpoint after the step at hand; the same command then goes on from there.
Without a GPU: --rung head (seconds), top (a few times quicker than full) or lora.
Several GPUs or processes: torchrun --nproc_per_node N -m biollm_widgets.cli finetune ...; a step then takes N times
--per_device_train_batch_size sequences. Several nodes of a cluster: --slurm N prints the job.
"""
MORE = "Any other flag of transformers.TrainingArguments (--lr_scheduler_type, --max_steps, --bf16, ...) works as well."


class Helped(click.Command):
    """A command whose help is the list of flags, which click does not parse."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "--data_path FOLDER [FLAGS]")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, rows in help_rows().items():
            with formatter.section(section):
                formatter.write_dl(rows)
        with formatter.section("Output"):
            formatter.write_dl(
                [
                    ("--json", "print the result as JSON"),
                    ("--slurm N", "print a job script for Slurm that trains on N nodes with these flags, and end"),
                    ("--help", "show this page"),
                ]
            )
        formatter.write_paragraph()
        formatter.write_text(MORE)


@click.command(
    cls=Helped,
    help=ABOUT,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.option("--json", "as_json", is_flag=True, hidden=True)
@click.option("--slurm", "nodes", type=click.IntRange(1), hidden=True)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def command(words: tuple[str, ...], as_json: bool, nodes: Optional[int]) -> Any:
    flags = read_words(list(words))
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started
    # Answers a wrong flag before the seconds that torch takes to load, where that can be.
    if not flags:
        raise InputError("--data_path is missing; biollm finetune --help lists the flags.")
    if nodes is not None:
        from biollm_widgets.dna.finetuning.slurm import script

        click.echo(script(words, nodes), nl=False)
        return 0
    from biollm_widgets.dna.finetuning.train import finetune
    from biollm_widgets.runs.stopping import Stopped

    try:
        # The Trainer prints its losses on stdout, where only the result belongs.
        with contextlib.redirect_stdout(sys.stderr):
            result = finetune(**flags)
    except Stopped as stopped:
        if first:
            click.echo(f"{stopped}\n  biollm finetune {shlex.join(words)}", err=True)
        return 128 + stopped.signal
    except InputError:
        if first:
            raise
        return 2  # said once, by the first process
    if first:
        click.echo(json.dumps(result.to_dict(), indent=2) if as_json else result.summary())
    return 0
