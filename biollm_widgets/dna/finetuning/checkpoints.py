"""Which checkpoints are whole, whose they are, and where a run goes on."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file

MARK = "whole.json"  # in a checkpoint: written last, lists the files with their sizes
RUN_FILE = "finetune_run.json"  # in output_dir: the settings of the run that its checkpoints belong to


def settings_of(own: Any, training: Any, data: str, model: str, processes: int) -> dict[str, Any]:
    """Everything that decides the outcome of a run, as JSON can hold it.

    A checkpoint is gone on with only under the same settings. How a step is dealt to processes does not count, its
    size does.
    """
    training_names = (
        *("num_train_epochs", "max_steps", "learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs"),
        *("warmup_steps", "warmup_ratio", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
        *("optim", "optim_args", "label_smoothing_factor", "seed", "data_seed", "fp16", "bf16", "neftune_noise_alpha"),
        *("eval_strategy", "eval_steps", "eval_delay", "save_strategy", "save_steps", "load_best_model_at_end"),
        *("metric_for_best_model", "greater_is_better", "dataloader_drop_last"),
    )
    found = {name: getattr(own, name) for name in own_names(own)}
    found.update({name: getattr(training, name) for name in training_names if hasattr(training, name)})
    found["sequences_a_step"] = training.per_device_train_batch_size * training.gradient_accumulation_steps * processes
    found["data"] = data
    found["model"] = model
    return json.loads(json.dumps(found, default=lambda value: str(getattr(value, "value", value))))


def own_names(own: Any) -> list[str]:
    """Those of our flags that decide the outcome of a run."""
    names = ["kmer", "model_max_length", "rung", "group_by_length"]
    if own.rung == "top":
        names.append("top_layers")
    if own.rung == "lora":
        names += ["lora_r", "lora_alpha", "lora_dropout", "lora_target_modules"]
    return names


def mark_whole(checkpoint: Path, settings: dict[str, Any]) -> None:
    """Say that every file of a checkpoint is written, which files these are, and what run they belong to."""
    sizes = {
        str(path.relative_to(checkpoint)): path.stat().st_size
        for path in sorted(checkpoint.rglob("*"))
        if path.is_file() and path.name != MARK and not path.name.startswith(".")
    }
    with whole_file(checkpoint / MARK) as path:
        path.write_text(json.dumps({"settings": settings, "files": sizes}, indent=1) + "\n", encoding="utf-8")


def read_mark(checkpoint: Path) -> Optional[dict[str, Any]]:
    """The settings of a whole checkpoint; None when it is half-written, cut short since, or not ours."""
    try:
        mark = json.loads((checkpoint / MARK).read_text(encoding="utf-8"))
        if all((checkpoint / name).stat().st_size == size for name, size in mark["files"].items()):
            return mark["settings"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name, -1 when there is none."""
    number = checkpoint.name.removeprefix("checkpoint-")
    return int(number) if number.isdecimal() else -1


def checkpoints(folder: Path) -> list[Path]:
    """The folders named checkpoint-<step>, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((one for one in folder.glob("checkpoint-*") if step_of(one) >= 0 and one.is_dir()), key=step_of)


@dataclass
class Start:
    """How a run begins.

    Attributes
    ----------
    checkpoint
        What it goes on from, or None for the beginning.
    notes
        What was decided, a sentence each.
    """

    checkpoint: Optional[str]
    notes: list[str]


def begin(
    folder: Path, results: Path, settings: dict[str, Any], overwrite: bool, resume: Optional[str] = None
) -> Start:
    """Decide between going on and starting over, make room, and claim the folder for this run.

    - A run with the same settings that was stopped goes on from its last whole checkpoint, also with `overwrite`: the
      same command line, given again, never throws work away.
    - A finished run, or checkpoints of another run, are replaced with `overwrite` and refused without.

    Parameters
    ----------
    resume
        `--resume_from_checkpoint`: a folder to go on from whatever its settings; "False" to start over (with
        `overwrite`) although there is something to go on from.

    Raises
    ------
    InputError
        When the folder holds something that would be lost and `overwrite` is not set, or cannot be written to.
    """
    notes: list[str] = []
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output_dir {folder} is a file; name a folder.")
    if resume is not None and resume.lower() not in {"true", "false"}:
        if not (Path(resume) / "trainer_state.json").is_file():
            raise InputError(f"--resume_from_checkpoint {resume} is no checkpoint of a run; name a checkpoint-<step>.")
        claim(folder, settings)
        return Start(resume, [f"Going on from {resume}, as asked."])

    run = _read_run(folder)
    found = checkpoints(folder)
    ours = run is not None and run["settings"] == settings
    if run is not None and ours and not run["finished"] and not (resume is not None and resume.lower() == "false"):
        whole = [one for one in found if read_mark(one) == settings]
        for one in found:
            if one not in whole:
                notes.append(f"{one} is not whole (the run was killed while it was written): removed.")
                shutil.rmtree(one)
        if whole:
            notes.append(f"Going on from {whole[-1]}: this run was stopped at step {step_of(whole[-1])}.")
            return Start(str(whole[-1]), notes)
        return Start(None, notes)

    if run is not None or found:
        if not overwrite:
            raise InputError(_refusal(folder, run, settings))
        if run is not None and not run["finished"] and not ours:
            notes.append(f"{folder} held an unfinished run with other settings ({_difference(run, settings)}).")
        for one in found:
            shutil.rmtree(one)
        if found:
            notes.append(f"Starting over: removed {len(found)} checkpoint{'s' * (len(found) != 1)} in {folder}.")
    for name in ("eval_results.json", "run.json", "predictions.csv"):
        (results / name).unlink(missing_ok=True)  # an old result must not stand beside a new, unfinished run
    claim(folder, settings)
    return Start(None, notes)


def claim(folder: Path, settings: dict[str, Any], finished: bool = False) -> None:
    """Write whose checkpoints these are, and whether the run is done."""
    with whole_file(folder / RUN_FILE) as path:
        path.write_text(json.dumps({"finished": finished, "settings": settings}, indent=1) + "\n", encoding="utf-8")


def _read_run(folder: Path) -> Optional[dict[str, Any]]:
    try:
        run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        return run if isinstance(run["settings"], dict) and isinstance(run["finished"], bool) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _difference(run: dict[str, Any], settings: dict[str, Any]) -> str:
    names = sorted(set(run["settings"]) | set(settings))
    other = [name for name in names if run["settings"].get(name) != settings.get(name)]
    shown = [f"{name} {run['settings'].get(name)}, now {settings.get(name)}" for name in other[:3]]
    return "; ".join(shown) + ("; ..." if len(other) > 3 else "")


def _refusal(folder: Path, run: Optional[dict[str, Any]], settings: dict[str, Any]) -> str:
    if run is None:
        held = "checkpoints of another program"
    elif run["settings"] == settings:
        held = "this run, finished" if run["finished"] else "this run, unfinished"
    else:
        kind = "a finished run" if run["finished"] else "an unfinished run"
        held = f"{kind} with other settings ({_difference(run, settings)})"
    return f"--output_dir {folder} holds {held}; give --overwrite_output_dir True to replace it, or another folder."
