"""The flags that `finetune` knows by itself: those of DNABERT-2's train.py, and the few that are ours.

Everything else is a flag of `transformers.TrainingArguments` and is passed on (`arguments.py`). Nothing here imports
torch, so that `biollm finetune --help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Optional

RUNGS = ("head", "top", "lora", "full")
PUBLISHED_LORA_TARGETS = "query,value"  # train.py's default: the names of a BERT, which DNABERT-2 does not have


def flag(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass
class Flags:
    """What train.py declares besides `TrainingArguments`, with its defaults; and the ladder for those without a GPU."""

    data_path: Optional[str] = flag(None, "folder with train.csv, dev.csv and test.csv (sequence,label); required")
    model_name_or_path: str = flag("zhihan1996/DNABERT-2-117M", "a folder or a model's id on the hub")
    kmer: int = flag(-1, "-1: the tokens as they are; 3 to 6: overlapping k-mers, for DNABERT-1 models")
    model_max_length: int = flag(512, "longest sequence in tokens (not bases), special tokens included")
    rung: str = flag("full", "what is trained, cheapest first: head, top, lora or full")
    top_layers: int = flag(2, "with --rung top: how many layers are trained; the ones below are computed once")
    use_lora: bool = flag(False, "train.py's way to say --rung lora")
    lora_r: int = flag(8, "LoRA: rank of the added matrices")
    lora_alpha: int = flag(32, "LoRA: their scale is alpha / r")
    lora_dropout: float = flag(0.05, "LoRA: dropout in front of them")
    lora_target_modules: str = flag(
        PUBLISHED_LORA_TARGETS, "LoRA: names of the layers it is added to, with commas; for DNABERT-2 Wqkv"
    )
    overwrite_output_dir: bool = flag(
        False, "start over when output_dir holds a finished or another run; a stopped run goes on either way"
    )
    group_by_length: bool = flag(True, "batches of sequences of about one length, so that little is padded")
    checkpointing: bool = flag(False, "gradient checkpointing: less memory, more time")
    find_unused_parameters: bool = flag(False, "for several processes: look for parameters that got no gradient")
    eval_and_save_results: bool = flag(True, "evaluate on test.csv at the end and write results/<run_name>/")
    save_model: bool = flag(False, "also save the final model into output_dir itself")
    progress: Optional[str] = flag(
        None, "a file that gets a line of JSON for whatever happens; TrainingProgress.follow shows it live"
    )
    cache_dir: Optional[str] = flag(None, "where downloaded models are kept (default: the Hugging Face cache)")


# train.py's own defaults for flags of TrainingArguments. Ours differ in the three lines at the end: fused AdamW is the
# same arithmetic in one pass, nothing is reported to any service, and a loss is not read back from a GPU at each step.
DEFAULTS: dict[str, Any] = {
    "output_dir": "output",
    "run_name": "run",
    "learning_rate": 1e-4,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "warmup_steps": 50,
    "weight_decay": 0.01,
    "eval_strategy": "steps",
    "eval_steps": 100,
    "save_steps": 100,
    "save_total_limit": 3,
    "load_best_model_at_end": True,
    "logging_steps": 100,
    "seed": 42,
    "fp16": False,
    "dataloader_pin_memory": False,
    "optim": "adamw_torch_fused",
    "report_to": "none",
    "logging_nan_inf_filter": False,
}

HELP = {
    "output_dir": "checkpoints go here; one run a folder",
    "run_name": "the results go to <output_dir>/results/<run_name>/",
    "learning_rate": "peak learning rate",
    "num_train_epochs": "how often each training sequence is seen",
    "per_device_train_batch_size": "sequences a process takes at once; a step takes this x processes x accumulation",
    "per_device_eval_batch_size": "the same for evaluation",
    "gradient_accumulation_steps": "batches whose gradients are added up before the weights move",
    "warmup_steps": "steps in which the learning rate rises to its peak; below 1, a share of all steps",
    "weight_decay": "AdamW's weight decay",
    "eval_strategy": "when dev.csv is evaluated: steps, epoch or no (train.py's --evaluation_strategy is the same)",
    "eval_steps": "steps between two evaluations",
    "save_steps": "steps between two checkpoints (default: as eval_steps); a multiple of eval_steps",
    "save_total_limit": "how many checkpoints are kept, the best one always among them",
    "load_best_model_at_end": "test the checkpoint with the lowest loss on dev.csv instead of the last weights",
    "logging_steps": "steps between two lines of training loss",
    "seed": "for the new layers, the order of the data and dropout",
    "fp16": "half precision; only a GPU does it",
    "dataloader_pin_memory": "pinned memory for transfers to a GPU",
    "optim": "the optimizer",
    "report_to": "a service to report to, such as tensorboard",
    "logging_nan_inf_filter": "leave steps whose loss is not a number out of the logged mean",
}

SECTIONS = {
    "Data and model": ("data_path", "model_name_or_path", "kmer", "model_max_length", "cache_dir"),
    "What is trained": (
        *("rung", "top_layers", "use_lora", "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules"),
    ),
    "Training": (
        *("num_train_epochs", "learning_rate", "warmup_steps", "weight_decay", "per_device_train_batch_size"),
        *("gradient_accumulation_steps", "per_device_eval_batch_size", "group_by_length", "optim", "fp16", "seed"),
        *("checkpointing", "find_unused_parameters"),
    ),
    "Checkpoints and results": (
        *("output_dir", "run_name", "overwrite_output_dir", "eval_strategy", "eval_steps", "save_steps"),
        *("save_total_limit", "load_best_model_at_end", "logging_steps", "eval_and_save_results", "save_model"),
        *("progress", "report_to"),
    ),
}


def help_rows() -> dict[str, list[tuple[str, str]]]:
    """For `--help`: section -> rows of flag with default, and what it does."""
    own = {item.name: (item.default, item.metadata["help"]) for item in fields(Flags)}
    known = {**own, **{name: (value, HELP[name]) for name, value in DEFAULTS.items()}}
    return {
        section: [
            (f"--{name}" + ("" if known[name][0] is None else f" [{known[name][0]}]"), known[name][1]) for name in names
        ]
        for section, names in SECTIONS.items()
    }


def read_words(words: list[str]) -> dict[str, Any]:
    """A command line as a dictionary: `--fp16` gives True, `--eval_steps 200` gives "200", several words a list.

    `--name=value`, dashes for underscores and `--no_name` are understood as transformers' own parser does. A later
    flag wins over an earlier one of the same name.

    Raises
    ------
    InputError
        On a word that belongs to no flag.
    """
    from biollm_widgets.errors import InputError

    given: dict[str, Any] = {}
    name: Optional[str] = None
    for word in words:
        if word.startswith("--") and len(word) > 2:
            name, sign, value = word[2:].partition("=")
            name = name.replace("-", "_")
            given[name] = [value] if sign else []
        elif name is None:
            raise InputError(f"{word!r} belongs to no flag; flags begin with two dashes, as in --data_path FOLDER.")
        else:
            given[name].append(word)
    return {name: True if not values else values[0] if len(values) == 1 else values for name, values in given.items()}
