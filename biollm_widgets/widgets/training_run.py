"""What a TrainingProgress trains: a Trainer, or a fine-tuning of ours; and how each of them ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from transformers import Trainer

from biollm_widgets import recall
from biollm_widgets.errors import InputError
from biollm_widgets.runs.quiet import no_bars_of_loading
from biollm_widgets.runs.recorder import Recorder
from biollm_widgets.runs.resuming import line_that_resumes
from biollm_widgets.runs.session import Session, Watch
from biollm_widgets.runs.stopping import Stopped
from biollm_widgets.runs.words import failure
from biollm_widgets.widgets.training_busy import Control
from biollm_widgets.widgets.training_fit import TrainingRun


class TrainerRun(TrainingRun):
    """`trainer.train(...)`."""

    def __init__(self, trainer: Any, resume: Any, given: dict[str, Any], call: str) -> None:
        if not isinstance(trainer, Trainer):
            name = call.rpartition(".")[2]
            raise InputError(f"{name} takes a Hugging Face Trainer, not {type(trainer).__name__}.")
        self.trainer, self.resume, self.given, self.call = trainer, resume, given, call

    @property
    def alone(self) -> bool:
        return self.trainer.args.world_size == 1

    @property
    def marks(self) -> list[Hashable]:
        return [id(self.trainer), *_folder(self.trainer.args.output_dir)]

    def go(self, progress: Any, control: Control, hear: Callable[[dict[str, Any]], None]) -> Any:
        watch = Watch(
            hear,
            control.request,
            control.pause,
            lambda path: line_that_resumes(self.call, path, "trainer"),
            progress._name,
            progress._labels,
        )
        try:
            with Session(self.trainer, watch), no_bars_of_loading():
                return self.trainer.train(resume_from_checkpoint=self.resume, **self.given)
        except BaseException as error:
            tell_failure(progress, watch.recorder, error)
            raise


class FinetuneRun(TrainingRun):
    """`bio.finetune(...)`."""

    def __init__(self, data_path: Any, flags: dict[str, Any], call: str) -> None:
        self.data_path, self.flags, self.call = data_path, flags, call
        self.stop = flags.get("stop")

    @property
    def marks(self) -> list[Hashable]:
        return _folder(self.flags.get("output_dir"))

    def go(self, progress: Any, control: Control, hear: Callable[[dict[str, Any]], None]) -> Any:
        from biollm_widgets.dna.finetuning import finetune

        name, told = self._name(progress), []
        known = recall.run(name, self._output) if name else None
        if known is not None:
            return _again(known, hear)
        if name and recall.keeps():

            def keeping(event: dict[str, Any], hear: Callable[[dict[str, Any]], None] = hear) -> None:
                told.append(event)
                hear(event)

            hear = keeping
        recorder = Recorder(
            hear,
            pause=control.pause,
            stop=control.request,
            name=progress._name or str(self.flags.get("run_name") or ""),
            labels=progress._labels,
            ends=False,
        )
        flags = {"disable_tqdm": True, **self.flags, "stop": control.event}
        flags["callbacks"] = [*(flags.get("callbacks") or []), recorder]
        if control.request:  # a signal that came before `finetune` listens
            control.stop()
        try:
            result = finetune(self.data_path, **flags)
        except Stopped as stopped:  # a signal, while it listened: a stop like any other
            result = stopped.result
        except BaseException as error:
            tell_failure(progress, recorder, error)
            raise
        finally:
            recorder.detach()
        if result.finished:
            recorder.end(
                "finished", [result.which_weights()], step=result.last_step, holds=result.step,
                checkpoint=result.checkpoint,
            )  # fmt: skip
            if name:
                recall.keep_run(name, self._output, {"events": told, "result": result.to_dict()})
        else:
            recorder.end(
                "stopped",
                _words_of_a_stop(result),
                step=result.last_step,
                checkpoint=result.checkpoint,
                resume=self.line(),
            )
        return result

    @property
    def _output(self) -> Path:
        return Path(str(self.flags.get("output_dir", "output"))).expanduser()

    def _name(self, progress: Any) -> str:
        """What this run is kept under; empty where runs are not kept, or where this one is more than its flags."""
        folder = Path(str(self.data_path)).expanduser()
        more = {"callbacks", "stop", "resume_from_checkpoint", "progress"} & set(self.flags)
        if recall.place() is None or more or self._output.exists() or not folder.is_dir():
            return ""
        from biollm_widgets.models.locate import locate

        flags = {
            key: value if isinstance(value, (int, float, str, bool)) else str(value)
            for key, value in self.flags.items()
        }
        try:
            model = Path(locate(str(self.flags.get("model_name_or_path", ""))))
        except InputError:
            return ""  # `finetune` says what is wrong
        files = [path for place in (folder, model) for path in sorted(place.glob("*")) if path.is_file()]
        contents = [part for path in files for part in (path.name, path.read_bytes())]
        return recall.key("finetune", flags, progress._name, progress._labels, *contents)

    def line(self) -> str:
        """The call, as it was written."""
        said = [repr(str(self.data_path) if isinstance(self.data_path, os.PathLike) else self.data_path)]
        for name, value in self.flags.items():
            if name not in ("callbacks", "stop"):
                said.append(f"{name}={str(value) if isinstance(value, os.PathLike) else value!r}")
        return f"{self.call}({', '.join(said)})"


def _again(known: dict[str, Any], hear: Callable[[dict[str, Any]], None]) -> Any:
    """The result of a run that is known, after all that was heard of it."""
    from biollm_widgets.dna.finetuning.results import FinetuneResult

    for event in known["events"]:
        hear(event)
    return FinetuneResult(**known["result"])


def _words_of_a_stop(result: Any) -> list[str]:
    if not result.last_step:
        return ["Stopped before the first step.", "The same call begins again."]
    kept = f" Everything to go on with is in {result.checkpoint}." if result.checkpoint else ""
    return [
        f"Stopped at step {result.last_step:,} of {result.planned_steps:,}.{kept}",
        "The same call goes on from there.",
    ]


def _folder(output_dir: Any) -> list[Hashable]:
    """As a mark; none where it is not named."""
    return [Path(str(output_dir)).expanduser().resolve()] if output_dir else []


def tell_failure(progress: Any, recorder: Recorder, error: BaseException) -> None:
    """The last event of a training that broke off; the exception itself goes on to whoever called."""
    with progress._turn:
        progress._drain()
    log = progress._sheet.log
    left = log.checkpoints[-1].path if log.checkpoints else None
    recorder.end("failed", failure(error, log), step=log.step, checkpoint=left)
