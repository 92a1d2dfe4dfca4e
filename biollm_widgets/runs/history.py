"""A run that is over, as events, from the folder it wrote: `trainer_state.json` and what lies beside it.

Only JSON is read. `training_args.bin`, which holds the settings too, is a pickle: opening one from somebody else's
folder would run their code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from biollm_widgets.errors import InputError
from biollm_widgets.runs.events import LARGEST, check, settle
from biollm_widgets.runs.resuming import line_that_resumes
from biollm_widgets.runs.trainer_state import events_of, read_json, read_kept

STATE = "trainer_state.json"
FINETUNE = "finetune_run.json"  # in the output_dir of `biollm finetune`: dna/finetuning/checkpoints.py writes it
RESULTS = "results/*/run.json"  # and its dna/finetuning/results.py that
PLAIN_SETTINGS = (*("num_train_epochs", "max_steps", "train_batch_size", "eval_steps", "save_steps", "logging_steps"),)


@dataclass
class Found:
    """A folder's last whole state.

    Attributes
    ----------
    place
        The folder with trainer_state.json in it.
    state
        What that holds.
    run
        The output_dir.
    whole
        Whether the run as such was asked for, not one of its checkpoints.
    checkpoints
        Those on disk up to the state's step: step -> folder.
    notes
        What was passed over, a sentence each.
    """

    place: Path
    state: dict[str, Any]
    run: Path
    whole: bool
    checkpoints: dict[int, Path]
    notes: list[str] = field(default_factory=list)

    @property
    def step(self) -> int:
        return int(self.state["global_step"])


def read_run(folder: Any) -> list[dict[str, Any]]:
    """The events of a run, from its start to its end; all have the time at which its state was written.

    Training loss, evaluations and checkpoints are of any Hugging Face Trainer; settings, names of classes and confusion
    matrices are there where a recorder of ours was (`progress.json`), and as far as other files tell them. The result
    on test.csv belongs to a finished `biollm finetune`.

    Parameters
    ----------
    folder : path
        An output_dir with its checkpoints, one checkpoint, or any folder with a trainer_state.json.

    Raises
    ------
    InputError
        When there is no such folder, no trainer_state.json in it, or none that can be read.
    """
    found = find(Path(folder).expanduser())
    state, step = found.state, found.step
    time = (found.place / STATE).stat().st_mtime
    kept = _kept(found)
    result = _result(found) if found.whole else None

    history = [entry for entry in state["log_history"] if isinstance(entry, dict) and _is_step(entry.get("step"))]
    # What comes after the Trainer's summary came after training: an evaluation on other rows, as a rule.
    # Somebody's own evaluation of the training rows has a "train_runtime" too.
    ends = [number for number, entry in enumerate(history) if "train_runtime" in entry and "total_flos" in entry]
    over = ends[-1] + 1 if ends and history[ends[-1]]["step"] >= step else len(history)
    logged = events_of(history[:over], kept.get("evaluations", []))
    after = events_of(history[over:], during=False)

    start = _start(found, kept, logged, result)
    best = {"best_step": _best_step(state), "best_value": _number(state, "best_metric")}
    saved = [{"event": "checkpoint", "step": at, "path": str(path), **best} for at, path in found.checkpoints.items()]
    rank = {"log": 0, "evaluation": 1, "checkpoint": 2}
    told = sorted([*logged, *saved], key=lambda event: (event["step"], rank[event["event"]]))
    said = [{"event": "say", "words": words} for words in found.notes]
    active = kept.get("active") or (history[over - 1].get("train_runtime") if ends else None)
    active = active or (result or {}).get("train_seconds")
    last = {"event": "step", "step": step, "epoch": _number(state, "epoch"), "active": active}
    last["tokens"] = _number(state, "num_input_tokens_seen") or None
    # With the best weights loaded in the end, those are what a test is about, and what its step says.
    tested = (_best_step(state) if start["best_at_end"] else None) or step
    tests = [{**event, "step": tested} for event in after if event["event"] == "evaluation"]
    if result is not None:
        tests = [_test(result, int(result["step"]) if _is_step(result.get("step")) else tested)]
    events = [start, *said, *told, *([last] if _finite(active) else []), *tests, _end(found, start, result)]
    sound = []
    for event in events:
        event["time"] = time
        try:
            sound.append(settle(event))
        except InputError:
            continue  # an entry of the log that says nothing sensible
    return sound


# Which files.


def find(folder: Path) -> Found:
    """The state with the largest step of a run's folder; broken ones are passed over, with a note.

    Raises
    ------
    InputError
        When there is none.
    """
    if folder.name == STATE and folder.is_file():
        folder = folder.parent
    if not folder.exists():
        raise InputError(f"There is no folder {folder}; name the output_dir of a run, or one of its checkpoints.")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file and no run; name the output_dir of a run, or one of its checkpoints.")
    try:
        within = _checkpoints(folder)
        places = [(folder, (folder / STATE).is_file()), *((path, True) for path in within.values())]
        own = _step_in(folder.resolve().name) is not None and not within
        run = folder.parent if own else folder
        beside = _checkpoints(run) if own else within
    except OSError as problem:
        raise InputError(f"{folder} cannot be read ({problem.strerror}); name a folder you may read.") from None
    wanted = [place for place, there in places if there]
    if not wanted:
        raise InputError(
            f"{folder} holds no run: there is no {STATE} in it, and no checkpoint-<step> with one. Name the output_dir "
            "of a run, or one of its checkpoints."
        )
    broken: dict[Path, str] = {}
    best: Optional[tuple[Path, dict[str, Any]]] = None
    # The folder's own first; of the checkpoints the last one that is whole holds what all before it do.
    for place in wanted:
        try:
            state = _read_state(place / STATE)
        except InputError as problem:
            broken[place] = str(problem)
            continue
        if best is None or state["global_step"] > best[1]["global_step"]:
            best = (place, state)
        if place != folder:
            break
    if best is None:
        raise InputError(f"{folder} holds no run that can be read. {' '.join(broken.values())}")
    place, state = best
    there = {at: path for at, path in sorted(beside.items()) if at <= state["global_step"] and path not in broken}
    return Found(place, state, run, not own, there, [f"{problem} It was passed over." for problem in broken.values()])


def _checkpoints(folder: Path) -> dict[int, Path]:
    """Step -> folder of each checkpoint with a state, the last one first."""
    steps = {_step_in(path.name): path for path in folder.glob("checkpoint-*") if (path / STATE).is_file()}
    return {step: steps[step] for step in sorted((step for step in steps if step is not None), reverse=True)}


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise InputError(f"{path} cannot be read ({problem.strerror}).") from None
    except (ValueError, RecursionError) as problem:
        raise InputError(
            f"{path} is no whole JSON ({problem}); a run may have been killed while it wrote it."
        ) from None
    if (
        not isinstance(state, dict)
        or not _is_step(state.get("global_step"))
        or not isinstance(state.get("log_history"), list)
    ):
        raise InputError(f"{path} is no state of a Trainer: it has no global_step or no log_history.")
    return state


def _kept(found: Found) -> dict[str, Any]:
    """Our own file: of the checkpoint itself, or of the last one where the state lies in output_dir."""
    kept: dict[str, Any] = {}
    places = [found.place, *(path for at, path in sorted(found.checkpoints.items(), reverse=True) if at <= found.step)]
    for place in dict.fromkeys(places):
        kept = read_kept(place)
        if kept:
            break
    return kept


def _result(found: Found) -> Optional[dict[str, Any]]:
    """The result on test.csv of a finished fine-tuning; None where there is not exactly one."""
    run = read_json(found.run / FINETUNE)
    results = sorted(found.run.glob(RESULTS))
    if not run.get("finished") or len(results) != 1 or found.step < max(found.checkpoints, default=0):
        return None
    result = read_json(results[0])
    return result if isinstance(result.get("metrics"), dict) and result["metrics"] else None


# The events that no log_history holds.


def _start(
    found: Found, kept: dict[str, Any], logged: list[dict[str, Any]], result: Optional[dict[str, Any]]
) -> dict[str, Any]:
    state = found.state
    evaluations = [event for event in logged if event["event"] == "evaluation"]
    steps = int(state["max_steps"]) if _is_step(state.get("max_steps")) and state["max_steps"] > 0 else None
    run = found.run.resolve().name or "run"
    here = {
        "event": "start",
        "time": 0.0,
        "name": run if found.whole else f"{run}/{found.place.resolve().name}",
        "step": 0,
        "steps": steps,
        "folder": str(found.run),
        "resumed_from": None,
    }
    if kept:
        try:
            return check({**kept["start"], **here})
        except InputError:
            pass  # of a newer version, or by somebody else
    settings = _settings(found, result)
    metric, greater = _chosen_by(state, evaluations)
    named = str(settings.get("metric_for_best_model") or "").removeprefix("eval_")
    if named:
        metric, greater = named, bool(settings.get("greater_is_better", not named.endswith("loss")))
    given = state.get("eval_steps")
    every: float = given if given and _finite(given) else 0
    by_steps = bool(evaluations) and every > 0 and all(event["step"] % every == 0 for event in evaluations)
    processes = _within(result).get("processes", 1)
    strategy = settings.get("eval_strategy") or ("no" if not evaluations else "steps" if by_steps else "epoch")
    return check(
        {
            **here,
            "epochs": _number(state, "num_train_epochs"),
            "settings": settings,
            "labels": _labels(found),
            "metric": metric,
            "greater": greater,
            "best_at_end": bool(settings.get("load_best_model_at_end")),
            "eval_strategy": str(strategy),
            "eval_steps": every if strategy == "steps" and every else None,
            "processes": processes if type(processes) is int else 1,
        }
    )


def _within(result: Optional[dict[str, Any]]) -> dict[str, Any]:
    """The settings in a result."""
    settings = (result or {}).get("settings")
    return settings if isinstance(settings, dict) else {}


def _settings(found: Found, result: Optional[dict[str, Any]]) -> dict[str, Any]:
    """What is known without our own file: a fine-tuning's settings, or the few that every state holds."""
    run = read_json(found.run / FINETUNE).get("settings")
    if isinstance(run, dict):
        known = {**run, "model": _within(result).get("model")}
        known.pop("data", None)  # a fingerprint, which tells people nothing
    else:
        known = {name: found.state.get(name) for name in PLAIN_SETTINGS}
        known["per_device_train_batch_size"] = known.pop("train_batch_size")
        if found.state.get("num_train_epochs"):
            known.pop("max_steps")  # the plan, worked out of it
    off = ("max_steps", "warmup_ratio", "label_smoothing_factor", "kmer", "eval_delay")
    return {
        name: value
        for name, value in known.items()
        if isinstance(value, (str, int, float)) and not (name in off and value in (-1, 0))
    }


def _chosen_by(state: dict[str, Any], evaluations: list[dict[str, Any]]) -> tuple[Optional[str], bool]:
    """Which value chose the best checkpoint, from the one that it has; and whether more of it is better."""
    best, at = _number(state, "best_metric"), _best_step(state)
    if best is None:
        return None, True
    for event in evaluations:
        for name, value in event["values"].items():
            if event["step"] == at and value == best:
                others = [one["values"][name] for one in evaluations if name in one["values"]]
                return name, not (name.endswith("loss") or (best == min(others) and best < max(others)))
    return None, True


def _best_step(state: dict[str, Any]) -> Optional[int]:
    at = state.get("best_global_step")
    return int(at) if at and _is_step(at) else _step_in(state.get("best_model_checkpoint"))


def _labels(found: Found) -> Optional[list[str]]:
    """Names of the classes from config.json; a configuration does not write down what is the default: two, unnamed."""
    places = [found.place, *found.checkpoints.values()]
    config = next((held for held in (read_json(place / "config.json") for place in places) if held), {})
    named = config.get("id2label")
    try:
        if isinstance(named, dict) and all(str(key).isdecimal() for key in named):
            return [str(named[key]).removeprefix("LABEL_") for key in sorted(named, key=int)] or None
    except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists
        return None
    kinds = config.get("architectures")
    if isinstance(kinds, list) and any("SequenceClassification" in str(kind) for kind in kinds):
        return ["0", "1"]
    return None


def _test(result: dict[str, Any], step: int) -> dict[str, Any]:
    values = {str(name).removeprefix("eval_"): value for name, value in result["metrics"].items()}
    epoch = values.pop("epoch", None)
    event = {"event": "evaluation", "time": 0.0, "step": step, "epoch": epoch, "values": values, "during": False}
    try:
        return check({**event, "confusion": result.get("confusion") or None})
    except InputError:
        return check({**event, "epoch": None})


def _end(found: Found, start: dict[str, Any], result: Optional[dict[str, Any]]) -> dict[str, Any]:
    step, planned = found.step, start["steps"] or 0
    last = max(found.checkpoints, default=None)
    path = str(found.checkpoints[last]) if last is not None else None
    finished = step >= planned
    if finished:
        words = [f"All {step:,} steps are done."]
        if result is not None and result.get("best_of") and _is_step(result.get("step")):
            words.append(f"Tested were the weights of step {result['step']:,}, the best on dev.csv.")
    else:
        words = [f"Stopped at step {step:,} of {planned:,}."]
        if path is not None:
            words.append(f"It can go on from {path}.")
    resume = None
    if not finished and path is not None:
        ours = (found.run / FINETUNE).is_file()
        resume = None if ours else line_that_resumes("await progress.fit", path, "trainer")
        if ours:
            words.append("The command that began it, given again, does so.")
    state = "finished" if finished else "stopped"
    return {
        "event": "end",
        "state": state,
        "step": step,
        "words": words,
        "checkpoint": path,
        "resume": resume,
        "holds": None,
    }


def _step_in(path: Any) -> Optional[int]:
    """The step in a checkpoint's path."""
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2] if type(path) is str else ""
    number = name.removeprefix("checkpoint-")
    if name == number or not (number.isascii() and number.isdecimal()) or len(number) > 15:
        return None
    return int(number)


def _is_step(value: Any) -> bool:
    return _finite(value) and value >= 0


def _finite(value: Any) -> bool:
    """Whether this is a number within the bounds of an event's; no comparison with one that is none is true."""
    return type(value) in (int, float) and -LARGEST < value < LARGEST


def _number(state: dict[str, Any], name: str) -> Optional[float]:
    value = state.get(name)
    return value if _finite(value) else None
