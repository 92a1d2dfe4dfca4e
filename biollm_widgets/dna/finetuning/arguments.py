"""From flags as people type them to checked arguments, on every transformers from 4.50 to the newest 5.x."""

from __future__ import annotations

import difflib
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NoReturn

import torch
import transformers
from transformers import HfArgumentParser, TrainingArguments

from biollm_widgets.dna.finetuning.flags import DEFAULTS, RUNGS, Flags
from biollm_widgets.errors import InputError

METRICS = ("loss", "accuracy", "f1", "matthews_correlation", "precision", "recall")

# Flags that one version or another has dropped, under the name that does the same today.
RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "no_cuda": "use_cpu",
    "torchdynamo": "torch_compile_backend",
    "push_to_hub_model_id": "hub_model_id",
    "push_to_hub_token": "hub_token",
    "include_tokens_per_second": "include_num_input_tokens_seen",
}
# Flags of transformers 4 that nothing answers to any more, and why leaving them out changes no result here.
WITHOUT_EFFECT = {
    "use_mps_device": "an Apple GPU is found by itself",
    "half_precision_backend": "torch's own is the only one",
    "fp16_backend": "torch's own is the only one",
    "fp16_opt_level": "it belonged to Apex",
    "jit_mode_eval": "evaluation is not traced",
    "use_ipex": "torch has its own CPU kernels",
    "tpu_num_cores": "TPUs are not used",
    "tpu_metrics_debug": "TPUs are not used",
    "past_index": "a classifier keeps no past",
    "mp_parameters": "SageMaker is not used",
    "ray_scope": "no search over settings is run",
    "tp_size": "the model is not cut over several GPUs",
    "use_legacy_prediction_loop": "evaluation has a loop of its own",
    "include_inputs_for_metrics": "no metric reads the inputs",
    "dispatch_batches": "each process reads its own share",
    "split_batches": "each process reads its own share",
    "push_to_hub_organization": "write it into hub_model_id",
    "fsdp_min_num_params": "the model fits on one GPU",
    "fsdp_transformer_layer_cls_to_wrap": "the model fits on one GPU",
}


class Parser(HfArgumentParser):
    """Transformers' parser, whose complaints are one sentence instead of a usage page and an exit."""

    def error(self, message: str) -> NoReturn:
        found = re.match(r"argument (--\w+)\S*: (?:invalid (?:\w+ )?(?:value|choice): )?(.*)", message, re.DOTALL)
        if found:
            raise InputError(f"{found[1]} does not take {found[2]}; give a value of the right kind.")
        raise InputError(f"The flags cannot be read: {message}.")


def words(given: Mapping[str, Any]) -> list[str]:
    """Flags with values of any kind as words of a command line, so that both roads meet the same checks."""
    line: list[str] = []
    for name, value in given.items():
        if value is None:
            continue
        line.append(f"--{name}")
        if isinstance(value, (list, tuple)):
            line += [str(getattr(item, "value", item)) for item in value]
        elif isinstance(value, dict):
            line.append(json.dumps(value))
        else:
            line.append(str(getattr(value, "value", value)))  # the strategies of transformers are enumerations
    return line


def settle(given: Mapping[str, Any]) -> tuple[Flags, TrainingArguments, list[str]]:
    """Turn flags into the two sets of arguments, filled up with train.py's defaults, and say what was changed.

    Parameters
    ----------
    given
        Flag name -> value, as typed (text) or as Python values.

    Returns
    -------
    own, training, notes
        Ours, those of the installed transformers, and one sentence for each flag that was translated or left out.

    Raises
    ------
    InputError
        On an unknown flag (with the nearest known one), a value of the wrong kind, or flags that exclude each other.
    """
    own_names = {item.name for item in fields(Flags)}
    theirs = {item.name for item in fields(TrainingArguments) if item.init}
    given, notes = translate(given, own_names, theirs)
    settings = {**DEFAULTS, **given}
    notes += _agree(settings, given)
    parser = Parser([Flags], allow_abbrev=False, add_help=False)  # type: ignore[list-item]
    (own,) = parser.parse_args_into_dataclasses(
        words({name: value for name, value in settings.items() if name in own_names}), look_for_args_file=False
    )
    _check_own(own, given)
    if own.checkpointing:
        settings["gradient_checkpointing"] = True
    settings.setdefault("ddp_find_unused_parameters", own.find_unused_parameters)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.cuda.is_available():
        # Newer accelerate takes the processes of torchrun for strangers to each other unless the CPU is asked for.
        settings.setdefault("use_cpu", True)
    parser = Parser([TrainingArguments], allow_abbrev=False, add_help=False)  # type: ignore[list-item]
    line = words({name: value for name, value in settings.items() if name not in own_names})
    try:
        (training,) = parser.parse_args_into_dataclasses(line, look_for_args_file=False)
    except InputError:
        raise
    except (ValueError, ImportError, RuntimeError) as problem:
        # What TrainingArguments says itself; its first sentence is the finding, the rest is about its internals.
        raise InputError(f"These flags do not go together: {' '.join(str(problem).split())}") from problem
    _check_training(training)
    return own, training, notes


def translate(given: Mapping[str, Any], own: set[str], theirs: set[str]) -> tuple[dict[str, Any], list[str]]:
    """Flags in the words of the installed transformers, and a sentence for each that lost its effect."""
    flags: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in given.items():
        bare = name[3:] if name.startswith("no_") and name != "no_cuda" else name
        if bare != name and bare in own | theirs and value is True:
            flags[bare] = False
        elif name in RENAMED:
            flags[RENAMED[name]] = value
        elif name == "adafactor":
            if truth(value, name):
                flags["optim"] = "adafactor"
        elif name == "save_safetensors":
            if not truth(value, name):
                notes.append("--save_safetensors False has no effect: checkpoints are always safetensors.")
        elif name == "train_sampling_strategy":
            if str(value) not in {"random", "group_by_length"}:
                raise InputError(f"--train_sampling_strategy is random or group_by_length here, not {value}.")
            flags["group_by_length"] = str(value) == "group_by_length"
        elif name == "logging_dir" and name not in theirs:
            os.environ["TENSORBOARD_LOGGING_DIR"] = str(value)  # where transformers 5 looks for it
        elif name == "warmup_ratio" and name not in theirs:
            flags.setdefault("warmup_ratio", value)
        elif name in WITHOUT_EFFECT:
            notes.append(f"--{name} has no effect here and is left out ({WITHOUT_EFFECT[name]}).")
        elif name in own or name in theirs:
            flags[name] = value
        else:
            unknown(name, own | theirs)
    flags.update(_warmup(flags, "warmup_ratio" in theirs, notes))
    if "warmup_ratio" not in theirs:
        flags.pop("warmup_ratio", None)
    if "fp16" in flags and truth(flags["fp16"], "fp16"):
        cpu = "use_cpu" in flags and truth(flags["use_cpu"], "use_cpu")
        if cpu or not torch.cuda.is_available():
            flags["fp16"] = False
            notes.append("--fp16 does nothing on a CPU: training in full precision (float32).")
    if "bf16" in flags and truth(flags["bf16"], "bf16") and not torch.cuda.is_available():
        gain = bf16_gain()
        if gain < 1:
            flags["bf16"] = False
            notes.append(f"--bf16 is {1 / gain:.1f} times slower than float32 on this CPU: training in float32.")
        else:
            flags.setdefault("use_cpu", True)  # TrainingArguments takes bf16 for a GPU's otherwise
    for name in ("deepspeed", "fsdp", "fsdp_config"):
        if flags.get(name) not in (None, "", False, "False"):
            raise InputError(f"--{name} is not for models of this size; start several processes with torchrun instead.")
    return flags, notes


def bf16_gain(seconds: float = 0.2) -> float:
    """How many times faster this CPU multiplies in bf16 than in float32, tried on matrices of DNABERT-2's size."""
    speeds = []
    for kind in (torch.float32, torch.bfloat16):
        one, two = torch.ones(512, 768, dtype=kind), torch.ones(768, 3072, dtype=kind)
        one @ two  # the first call prepares its kernels
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            one @ two
            done += 1
        speeds.append(done / (time.perf_counter() - began))
    return speeds[1] / speeds[0]


def unknown(name: str, known: set[str]) -> NoReturn:
    """Refuse a flag that nobody has, with the nearest one that there is."""
    near = difflib.get_close_matches(name, sorted(known | RENAMED.keys()), n=1, cutoff=0.5)
    advice = f"did you mean --{near[0]}?" if near else "biollm finetune --help lists the flags."
    raise InputError(f"There is no flag --{name} (with transformers {transformers.__version__}); {advice}")


def truth(value: Any, name: str) -> bool:
    """What transformers' parser takes for yes and no."""
    text = str(value).lower()
    if text in {"yes", "true", "t", "y", "1"}:
        return True
    if text in {"no", "false", "f", "n", "0"}:
        return False
    raise InputError(f"--{name} takes True or False, not {value!r}.")


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"--{name} takes a number, not {value!r}.") from None


def _warmup(flags: dict[str, Any], has_ratio: bool, notes: list[str]) -> dict[str, Any]:
    """The warm-up, in steps or as a share of all: transformers 5 has one flag for both, 4 has two."""
    if "warmup_steps" in flags:
        steps = _number(flags["warmup_steps"], "warmup_steps")
        if "warmup_ratio" in flags and steps > 0:
            notes.append("--warmup_steps is given, so --warmup_ratio has no effect.")
        ratio = _number(flags["warmup_ratio"], "warmup_ratio") if "warmup_ratio" in flags and steps == 0 else 0.0
        if 0 < steps < 1:
            steps, ratio = 0, steps
    elif "warmup_ratio" in flags:
        steps, ratio = 0, _number(flags["warmup_ratio"], "warmup_ratio")
    else:
        return {}
    if not 0 <= ratio < 1 or steps < 0:
        raise InputError("A warm-up is a number of steps, or a share of all steps from 0 up to 1.")
    if has_ratio:
        return {"warmup_steps": int(steps), "warmup_ratio": ratio}
    return {"warmup_steps": ratio or int(steps)}


def _agree(settings: dict[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Let checkpoints follow evaluations where only one of the two was said; the best one can only be kept if saved."""
    notes = []
    evaluate = str(getattr(settings["eval_strategy"], "value", settings["eval_strategy"]))
    if "save_strategy" not in given:
        settings["save_strategy"] = "steps" if evaluate == "no" else evaluate
    if "save_steps" not in given:
        settings["save_steps"] = settings["eval_steps"]
    best = truth(settings["load_best_model_at_end"], "load_best_model_at_end")
    if evaluate == "no" and best:
        if "load_best_model_at_end" in given:
            raise InputError("--load_best_model_at_end needs evaluations; leave --eval_strategy no out.")
        settings["load_best_model_at_end"] = False
        notes.append("No evaluations on dev.csv (--eval_strategy no): the last weights will be tested, not the best.")
    return notes


def _check_own(own: Flags, given: Mapping[str, Any]) -> None:
    if not own.data_path:
        raise InputError("--data_path is missing; name the folder with train.csv, dev.csv and test.csv.")
    if own.rung not in RUNGS:
        raise InputError(f"--rung is one of {', '.join(RUNGS)}, not {own.rung!r}.")
    if own.progress is not None and (isinstance(given["progress"], bool) or not own.progress.strip()):
        raise InputError("--progress takes the name of a file; give one, or leave the flag out.")
    if own.use_lora:
        if "rung" in given and own.rung != "lora":
            raise InputError(f"--use_lora means --rung lora, and --rung {own.rung} is given too; leave one out.")
        own.rung = "lora"
    if own.kmer != -1 and own.kmer not in (3, 4, 5, 6):
        raise InputError(f"--kmer is -1 (tokens as they are) or 3, 4, 5 or 6 (DNABERT-1's k-mers), not {own.kmer}.")
    if own.model_max_length < 3:
        raise InputError(
            f"--model_max_length counts tokens, two of them special, so it is at least 3, not {own.model_max_length}."
        )
    for name in ("lora_r", "lora_alpha", "top_layers"):
        if getattr(own, name) < 1:
            raise InputError(f"--{name} is at least 1, not {getattr(own, name)}.")
    if not 0 <= own.lora_dropout < 1:
        raise InputError(f"--lora_dropout is a share from 0 up to 1, not {own.lora_dropout}.")


def _check_training(training: TrainingArguments) -> None:
    for name in ("learning_rate", "num_train_epochs", "per_device_train_batch_size", "per_device_eval_batch_size"):
        value = getattr(training, name)
        if not value > 0 and not (name == "num_train_epochs" and training.max_steps > 0):
            raise InputError(f"--{name} has to be above 0, not {value}.")
    if training.gradient_accumulation_steps < 1:
        raise InputError(f"--gradient_accumulation_steps is at least 1, not {training.gradient_accumulation_steps}.")
    metric = (training.metric_for_best_model or "loss").removeprefix("eval_")
    if metric not in METRICS:
        raise InputError(f"--metric_for_best_model is one of {', '.join(METRICS)}, not {metric!r}.")
    run = training.run_name or "run"
    if run in {".", ".."} or "/" in run or os.sep in run:
        raise InputError(f"--run_name names a folder inside results/, so it cannot be {run!r}; leave slashes out.")
    if str(training.output_dir).startswith("None/") or "$" in str(training.output_dir):
        raise InputError(
            f"--output_dir {training.output_dir} is named after an environment variable that is not set; set it."
        )
    if getattr(training.save_strategy, "value", training.save_strategy) == "best":
        raise InputError("--save_strategy is steps, epoch or no; the best checkpoint is always among those kept.")
    if training.save_only_model:
        raise InputError("--save_only_model would make a run that cannot be resumed; leave it out.")
