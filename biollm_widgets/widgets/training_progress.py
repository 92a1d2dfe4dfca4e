"""TrainingProgress: watch a model learn, and stop it without losing anything."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

from biollm_widgets.errors import InputError
from biollm_widgets.files import whole_file
from biollm_widgets.runs.log import RunLog
from biollm_widgets.widgets.base import answers, module, refuse_unknown, sheet
from biollm_widgets.widgets.live import Live
from biollm_widgets.widgets.picture import Picture
from biollm_widgets.widgets.training_files import FILES, evaluation_frame, lines_frame, to_csv
from biollm_widgets.widgets.training_picture import draw_progress
from biollm_widgets.widgets.training_sheet import TrainingSheet
from biollm_widgets.widgets.training_words import describe, progress_tables
from biollm_widgets.widgets.twin import Content, Table, twin

if TYPE_CHECKING:
    import pandas
    from transformers import Trainer, TrainerCallback

    from biollm_widgets.dna.finetuning import FinetuneResult

URGENT = ("start", "evaluation", "end")  # events that the page hears of as soon as may be


class TrainingProgress(Live):
    """Watch a model learn: loss and scores as curves, the confusion matrix, hints; with Pause and Stop.

        progress = TrainingProgress()
        await progress.fit(trainer)

    Training runs in a thread beside the notebook, and the cell waits for it: so Stop works while it trains, also after
    the page was loaded again, and the cells below run when it is done. In a script, in a terminal and under nbgrader it
    runs in the foreground with a bar, and Ctrl-C does what Stop does.

    Parameters
    ----------
    name : str
        What the run is called; the name of its folder where not given.
    labels : sequence of str
        Names of the classes, for the confusion matrix; the model's where not given.

    Raises
    ------
    TypeError
        For an option that there is not.
    """

    _front = module("training_chart", "training_progress")
    _css = sheet("training_progress")
    _parts: ClassVar = {
        "training_panels": ("hand", "training_panels"),
        "training_reading": ("training_reading",),
    }

    def __init__(self, *, name: str = "", labels: Optional[Sequence[str]] = None, **unknown: Any) -> None:
        refuse_unknown(type(self), unknown)
        self._name = str(name)
        self._labels = None if labels is None else [str(one) for one in labels]
        self._sheet = TrainingSheet([RunLog(self._name, self._labels)])
        self._control: Any = None  # of the training that goes on
        self._callback: Any = None
        self._trained = False  # here, and not elsewhere or before
        super().__init__()

    # Training.

    def fit(self, trainer: Trainer, resume_from_checkpoint: Any = None, **given: Any) -> Coroutine[Any, Any, Any]:
        """Train: `await progress.fit(trainer)`. What `trainer.train` takes may be given as well.

        Returns
        -------
        transformers.trainer_utils.TrainOutput
            What `trainer.train` returns, also after a Stop.

        Raises
        ------
        Exception
            Whatever training raises, as itself.
        InputError
            When this progress or this Trainer is at work already, or it is no Trainer.
        """
        from biollm_widgets.widgets.running import Awaited
        from biollm_widgets.widgets.training_run import TrainerRun

        return Awaited(self, TrainerRun(trainer, resume_from_checkpoint, given, "await progress.fit"))

    def fit_sync(self, trainer: Trainer, resume_from_checkpoint: Any = None, **given: Any) -> Any:
        """The same where nothing can be awaited; returns when training is done."""
        from biollm_widgets.widgets.running import run_here
        from biollm_widgets.widgets.training_run import TrainerRun

        return run_here(self, TrainerRun(trainer, resume_from_checkpoint, given, "progress.fit_sync"))

    def finetune(self, data_path: Any, **flags: Any) -> Coroutine[Any, Any, FinetuneResult]:
        """Fine-tune as `bio.finetune` does, and watch: `result = await progress.finetune("coding_data", rung="top")`.

        After a Stop the same call goes on from the checkpoint.

        Returns
        -------
        FinetuneResult
        """
        from biollm_widgets.widgets.running import Awaited
        from biollm_widgets.widgets.training_run import FinetuneRun

        return Awaited(self, FinetuneRun(data_path, flags, "await progress.finetune"))

    def finetune_sync(self, data_path: Any, **flags: Any) -> FinetuneResult:
        """The same where nothing can be awaited."""
        from biollm_widgets.widgets.running import run_here
        from biollm_widgets.widgets.training_run import FinetuneRun

        return run_here(self, FinetuneRun(data_path, flags, "progress.finetune_sync"))

    @property
    def callback(self) -> TrainerCallback:
        """A callback for whoever calls `trainer.train()` themselves: `Trainer(..., callbacks=[progress.callback])`.

        Stop and Pause work between steps as long as the page is not loaded anew; the confusion matrix and tokens a
        second need `progress.fit` (no Trainer tells them to a callback).
        """
        from biollm_widgets.widgets.training_callback import callback_for

        return callback_for(self)

    def _ask_to_stop(self) -> None:
        """An interrupt, whenever it comes."""
        if self._control is not None:
            self.stop()

    def stop(self) -> None:
        """End at the next step, with a checkpoint; what the button does."""
        if self._control is None:
            raise InputError("Nothing is being trained here, so there is nothing to stop.")
        self._control.stop()
        self._sheet.stopping, self._sheet.pausing = True, False
        self._urgent = True

    def pause(self) -> None:
        """Wait after the step at hand; the model stays in memory."""
        if self._control is None:
            raise InputError("Nothing is being trained here, so there is nothing to pause.")
        self._control.pause.pause()
        self._sheet.pausing = self._urgent = True

    def go_on(self) -> None:
        """End a pause."""
        if self._control is None:
            raise InputError("Nothing is being trained here, so there is nothing to go on with.")
        self._control.pause.go_on()
        self._sheet.pausing, self._urgent = False, True

    # Runs that are over, that stand beside each other, or that go on elsewhere.

    @classmethod
    def from_run(cls, folder: Union[str, os.PathLike], **options: Any) -> TrainingProgress:
        """A run that is over, from the folder it wrote: its output_dir, or one of its checkpoints.

        Raises
        ------
        InputError
            When there is no run in it; says what was looked for.
        """
        made = cls(**options)
        made._sheet = TrainingSheet([_log_of(folder, made._name, made._labels)])
        return made

    @classmethod
    def compare(cls, *runs: Any, names: Optional[Sequence[str]] = None, **options: Any) -> TrainingProgress:
        """Runs over each other, with their settings side by side.

        Parameters
        ----------
        *runs
            Folders, progress files (`biollm finetune --progress FILE`), or other TrainingProgress.
        names : sequence of str
            What they are called; the names of their folders where not given.

        Raises
        ------
        InputError
            Without any run, with more than six, or with other than as many names.
        """
        if not 1 <= len(runs) <= 6:
            raise InputError(f"compare takes one to six runs (so many colours can be told apart), not {len(runs)}.")
        if names is not None and len(names) != len(runs):
            raise InputError(f"There are {len(runs)} runs and {len(names)} names; give each run one name.")
        made = cls(**options)
        logs = [_log_of(run, labels=made._labels) for run in runs]
        for number, log in enumerate(logs):
            log.given = str(names[number]) if names is not None else log.given
        made._sheet = TrainingSheet(_told_apart(logs))
        return made

    @classmethod
    def follow(cls, path: Union[str, os.PathLike], **options: Any) -> TrainingProgress:
        """A run that goes on elsewhere, live, from the file that `biollm finetune --progress FILE` writes.

        The file may lie on a disk that another machine shares, and need not be there yet. Following ends with
        `unfollow()`, with `close()`, or with the kernel.
        """
        from biollm_widgets.widgets.training_follow import Follower

        made = cls(**options)
        made._follower = Follower(made, path)
        made._follower.begin()
        return made

    _follower: Any = None
    _follows_again = False  # when it is seen again

    def unfollow(self) -> None:
        """Follow a file no longer; what is there stays."""
        if self._follower is not None:
            self._follower.end()

    def close(self) -> None:
        self.unfollow()
        super().close()

    def _leave(self) -> None:
        self._follows_again = self._sheet.followed
        self.unfollow()
        super()._leave()

    def _come_back(self) -> None:
        super()._come_back()
        if self._follows_again:
            self._follows_again = False
            self._follower.go_on()

    # What is known.

    @property
    def title(self) -> str:
        """The finding, as the card says it."""
        return self._sheet.title

    @property
    def state(self) -> str:
        """idle, training, evaluating, saving, paused, stopped, finished or failed."""
        return self._sheet.log.phase

    @property
    def hints(self) -> list[str]:
        """What stands out, in sentences."""
        return list(self._now()["hints"])

    @property
    def printed(self) -> list[str]:
        """The last 200 lines that the training printed."""
        return list(self._sheet.log.said)

    def to_frame(self, what: str = "evaluations") -> pandas.DataFrame:
        """One row an evaluation (run, step, epoch, loss, scores, best), or one a logged line of training.

        Parameters
        ----------
        what : {"evaluations", "training"}
        """
        if what not in ("evaluations", "training"):
            raise InputError(f'to_frame takes "evaluations" or "training", not {what!r}.')
        with self._turn:
            self._drain()
            runs = self._sheet.runs
            return evaluation_frame(runs) if what == "evaluations" else lines_frame(runs)

    def confusion(self, step: Optional[int] = None) -> pandas.DataFrame:
        """The confusion matrix of an evaluation: true classes down, predicted across.

        Parameters
        ----------
        step : int
            Of which evaluation; the newest where not given.
        """
        import pandas as pd

        log = self._sheet.log
        known = [one for one in log.evaluations if one.confusion and step in (None, one.step)]
        if not known:
            at = "" if step is None else f" at step {step}"
            raise InputError(f"There is no confusion matrix{at}; evaluations of a classifier in progress.fit have one.")
        matrix = known[-1].confusion or []
        labels = log.labels[: len(matrix)]
        return pd.DataFrame(matrix, index=labels, columns=labels).rename_axis(index="is", columns="said")

    # Taking away.

    def to_svg(self) -> str:
        """The picture as SVG."""
        return self._draw().to_svg()

    def to_png(self) -> bytes:
        """The picture as PNG, two pixels a point."""
        return self._draw().to_png()

    def save(self, path: Union[str, os.PathLike]) -> None:
        """Write .svg, .png, .html (a page of its own), .csv (what was logged) or .json (all that the view holds).

        Raises
        ------
        InputError
            For another ending, or a place that cannot be written to.
        """
        kind = Path(path).suffix.lstrip(".").lower()
        if kind == "html":
            self.to_html(path)
            return
        if kind not in FILES:
            raise InputError(f"{path}: the ending is one of .svg, .png, .html, .csv, .json.")
        data = self._file(kind)
        with whole_file(path) as temporary:
            temporary.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))

    def _file(self, kind: str) -> Union[str, bytes]:
        if kind == "svg":
            return self.to_svg()
        if kind == "png":
            return self.to_png()
        with self._turn:
            self._drain()
            return to_csv(self._sheet.runs) if kind == "csv" else json.dumps(self._sheet.shot(), indent=1) + "\n"

    def _draw(self) -> Picture:
        return draw_progress(self._now())

    # For `base.Widget`.

    def _make_twin(self, saved: bool = True) -> str:
        shot = self._now()
        notice = shot["notice"] or {"words": [], "code": ""}
        notes = [shot["line"], shot["doing"], *notice["words"], *(f"Hint: {hint}" for hint in shot["hints"])]
        if notice["code"]:
            notes.append(f"To go on: {notice['code']}")
        settings = shot["settings"]
        details: list[tuple[str, Content]] = []
        if settings["rows"]:
            details.append(("Settings", Table(settings["header"], settings["rows"])))
        if shot["said"]:
            details.append(("Printed", "\n".join(shot["said"][-50:])))
        return twin(
            shot["title"],
            draw_progress(shot),
            describe(shot),
            tables=progress_tables(shot),
            notes=[note for note in notes if note],
            details=details,
            class_name=self._twin,
            saved=saved and self._saved(),
        )

    def _saved(self) -> Union[bool, str]:
        """What a saved picture says of itself: running a cell that trained would train again."""
        folder = self._sheet.log.start.get("folder")
        if not self._trained or not folder:
            return True
        again = f"bio.TrainingProgress.from_run({folder!r})"
        return f"This is a saved picture. {again} brings back a live view without training again."

    def _plain(self) -> str:
        return f"{self._sheet.title}."

    def _live_plain(self) -> str:
        return "TrainingProgress. The picture beside this text is how the run stood last."

    def _alone(self) -> Optional[dict[str, Any]]:
        # What the page would ask Python for: the parts that read the charts and open the tables.
        texts = {stem: module(*files) for stem, files in self._parts.items()}
        return {"_shot": {**self._now(), "buttons": []}, "_texts": texts}

    # Questions of the page.

    @answers("stop")
    def _answer_stop(self) -> None:
        self.stop()

    @answers("pause")
    def _answer_pause(self) -> None:
        self.pause()

    @answers("go_on")
    def _answer_go_on(self) -> None:
        self.go_on()

    @answers("range")
    def _answer_range(self, run: int = 0, start: float = 0, end: float = 0) -> dict:
        return self._sheet.stretch(run, start, end)

    @answers("file")
    def _answer_file(self, kind: str = "") -> Any:
        if kind not in FILES:
            raise InputError(f"There is no file of the kind {kind!r}; take one of {', '.join(FILES)}.")
        data = self._file(kind)
        head = {"name": f"training.{kind}", "kind": FILES[kind]}
        return ({**head, "text": data}, []) if isinstance(data, str) else (head, [data])

    @answers("compare")
    def _answer_compare(self, folder: str = "") -> None:
        if not folder.strip():
            raise InputError("Name the folder of a run: its output_dir, or one of its checkpoints.")
        if len(self._sheet.runs) >= 6:
            raise InputError("Six runs are laid over each other already; take one away first.")
        self._sheet.runs = _told_apart([*self._sheet.runs, _log_of(Path(folder.strip()).expanduser())])
        self._flush()

    @answers("forget")
    def _answer_forget(self, run: int = 0) -> None:
        if not 0 < run < len(self._sheet.runs):
            raise InputError("The first run stays; the others can be taken away.")
        del self._sheet.runs[run]
        self._flush()

    # Events on their way to the page.

    def _hear_event(self, event: dict[str, Any]) -> None:
        """An event of the training, in its own thread."""
        self._trained = True
        self._urgent = self._urgent or event["event"] in URGENT or event.get("phase") == "paused"
        self._waiting.append(event)  # nothing that goes wrong from here on may end the training
        if not self._pumped:
            self._tick()

    def _drain(self) -> None:
        while self._waiting:
            event = self._waiting.popleft()
            log = self._sheet.log
            log.take(event)
            if event["event"] in ("evaluation", "end"):
                self._redraw = True
            if event["event"] == "end":
                self._sheet.stopping = self._sheet.pausing = False


def _log_of(run: Any, name: str = "", labels: Optional[list[str]] = None) -> RunLog:
    """A run's log from its folder, its progress file, or what shows it."""
    from biollm_widgets.runs.history import STATE, read_run
    from biollm_widgets.widgets.training_follow import read_whole

    if isinstance(run, TrainingProgress):
        with run._turn:  # somebody may be writing into it
            run._drain()
            return copy.deepcopy(run._sheet.log)  # as it is now; and it may be called otherwise here
    if not isinstance(run, (str, os.PathLike)):
        raise InputError(f"A run is a folder, a progress file or a TrainingProgress, not {run!r:.80}.")
    path = Path(run).expanduser()
    log = RunLog(name, labels)
    log.take_all(read_whole(path) if path.is_file() and path.name != STATE else read_run(path))
    return log


def _told_apart(logs: Sequence[RunLog]) -> list[RunLog]:
    """Runs with names that differ: a second "out" becomes "out (2)"."""
    seen: set[str] = set()
    for number, log in enumerate(logs):
        plain = name = log.name or f"run {number + 1}"
        count = 1
        while name in seen:
            count += 1
            name = f"{plain} ({count})"
        seen.add(name)
        if name != log.name:
            log.given = name
    return list(logs)
