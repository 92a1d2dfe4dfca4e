"""The command `biollm`: finds the verb, loads only what that verb needs, and turns a person's error into a sentence."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Optional

import click

from biollm_widgets.errors import InputError

# The verb and its line in `biollm --help`; the module is commands/<verb>.py and is imported only when it is used.
VERBS = {
    "lab": "Put the lessons into a folder and open JupyterLab on the first.",
    "kernel": "Install the kernel Day4-pt-251 for Jupyter, or check that one works.",
    "tokenize": "Show how a tokenizer cuts sequences into tokens.",
    "embed": "Turn DNA sequences into vectors, one a sequence.",
    "classify": "Predict labels from embeddings, against honest baselines.",
    "finetune": "Fine-tune DNABERT-2 with the flags of its own train.py.",
    "generate": "Let ProtGPT2 write proteins, and judge them.",
    "check": "Run a lesson's notebook and all its checks.",
    "release": "Make the lessons that learners get, with nbgrader.",
    "grade": "Grade what a class has handed in, each notebook apart from everything.",
    "feedback": "Write what each learner gets back.",
    "export": "Points for a spreadsheet or Canvas, and a report on the class.",
    "models": "List the models of the lessons, and which of them are on this computer.",
    "doctor": "Say what works here, what does not, and what to do about it.",
    "fetch": "Download models and data ahead, also for a whole class, with size against free disk first.",
}


class Verbs(click.Group):
    """A group that imports a verb's module only when that verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        if cmd_name not in VERBS:
            return None
        return import_module(f"biollm_widgets.commands.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="biollm-widgets", message="%(package)s %(version)s")
def main() -> None:
    """Biological language models by hand: tokens, embeddings, classification and fine-tuning of DNA, proteins."""


def run(arguments: Optional[list[str]] = None) -> Any:
    """Run `biollm`; what a person did wrong becomes one sentence on stderr and exit status 2, Ctrl-C becomes 130."""
    try:
        status = main.main(args=arguments, prog_name="biollm", standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        sys.exit(2)
    except InputError as problem:
        click.echo(f"biollm: {problem}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`biollm tokenize ... | head`): not an error, and nothing more to say.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    run()
