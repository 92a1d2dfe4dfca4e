"""The run: read the data, make the model ready, train, test, write down what was tested."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
import torch.distributed as dist
import transformers
from transformers import TrainerState, TrainingArguments

from biollm_widgets import news
from biollm_widgets.dna.audit import audit
from biollm_widgets.dna.finetuning import arguments, checkpoints, results, rungs
from biollm_widgets.dna.finetuning.arguments import settle
from biollm_widgets.dna.finetuning.batches import StepBatches
from biollm_widgets.dna.finetuning.data import Rows, encode_splits, fingerprint
from biollm_widgets.dna.finetuning.flags import Flags
from biollm_widgets.dna.finetuning.plan import Plan, make_plan
from biollm_widgets.dna.finetuning.progress import Progress, in_a_sentence
from biollm_widgets.dna.finetuning.results import FinetuneResult
from biollm_widgets.dna.finetuning.stored import store
from biollm_widgets.dna.finetuning.trainer import FineTuner
from biollm_widgets.dna.splits import Splits, read_splits
from biollm_widgets.errors import InputError
from biollm_widgets.models.catalog import require
from biollm_widgets.models.locate import locate
from biollm_widgets.runs.quiet import no_bars_of_loading, without_bars
from biollm_widgets.runs.recorder import Recorder
from biollm_widgets.runs.stopping import LeaveTraining, StopAtStepEnd, Stopped, StopRequest


def finetune(
    data_path: Any = None,
    *,
    callbacks: Optional[Sequence[Any]] = None,
    stop: Optional[threading.Event] = None,
    **flags: Any,
) -> FinetuneResult:
    """Fine-tune a classifier of sequences, as `biollm finetune` does, with the same names.

    The flags are those of DNABERT-2's `train.py` (Zhou et al. 2023, https://github.com/MAGICS-LAB/DNABERT_2): its own,
    with its defaults, and any of `transformers.TrainingArguments`. `biollm finetune --help` lists them; ours are
    `rung` ("head", "top", "lora" or "full") and `top_layers`.

    A run that was stopped goes on when it is called again with the same arguments, from its last whole checkpoint, and
    ends with the same numbers. A finished one is replaced with `overwrite_output_dir=True`, and refused without.

    Parameters
    ----------
    data_path : path
        A folder with train.csv, dev.csv and test.csv: `sequence,label`, or `sequence1,sequence2,label`.
    callbacks : sequence of transformers.TrainerCallback
        Handed to the Trainer. One that sets `should_training_stop` ends the run there, for good.
    stop : threading.Event
        Set it from any thread to stop after the step at hand, with a checkpoint; the result has `finished=False`.
    **flags
        `model_name_or_path`, `learning_rate`, `num_train_epochs`, `per_device_train_batch_size`, `output_dir`,
        `run_name`, `rung`, ... `progress` names a file that gets a line for whatever happens, while it happens.

    Returns
    -------
    FinetuneResult
        `.metrics` as in eval_results.json, `.summary()`, `.to_dict()`, and which weights were tested.

    Raises
    ------
    InputError
        On a flag, a file or a model that is wrong; nothing is written then.
    Stopped
        A KeyboardInterrupt: Ctrl-C or SIGTERM came, and a checkpoint is there to go on from.
    """
    with no_traces_in_the_environment(), no_bars_of_loading():
        given = {"data_path": data_path, **flags}
        own, training, notes = settle(given)
        with StopRequest(stop, quiet=training.process_index != 0) as request:
            run = Run(own, training, notes, request, list(callbacks or []), given)
            try:
                return run.go()
            except Stopped as stopped:
                stopped.result = run.unfinished()
                if request.signal is not None:
                    raise
                return stopped.result  # a button's stop before the first step


@contextlib.contextmanager
def no_traces_in_the_environment() -> Iterator[None]:
    """Take back what TrainingArguments tells accelerate by environment variables.

    Otherwise a run with --bf16 would leave every later one of the same notebook in bf16, and say nothing.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith("ACCELERATE_")}
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
            del os.environ[name]
        os.environ.update(before)


class Run:
    """One call of `finetune`, from its arguments to its result; `go` reads as the table of contents."""

    def __init__(
        self,
        own: Flags,
        training: TrainingArguments,
        notes: list[str],
        request: StopRequest,
        callbacks: list[Any],
        given: dict[str, Any],
    ) -> None:
        self.own, self.training, self.request, self.callbacks, self.given = own, training, request, callbacks, given
        self.notes: list[str] = []
        self.first = training.process_index == 0
        self.progress = Progress(own.progress, self.first)
        self.folder = Path(str(training.output_dir)).expanduser()
        self.results = self.folder / "results" / str(training.run_name)
        self.reached: Optional[str] = None  # the checkpoint a stop would leave behind
        self.plan = Plan(0, 1)
        training.output_dir = str(self.folder)
        if training.device.type == "cpu" and training.device.index is not None:
            # The accelerate of transformers 4.50 numbers the CPU, and torch restores no optimizer to a "cpu:0".
            setattr(training, "__cached__setup_devices", torch.device("cpu"))
        # Each process weighs its rows itself (batches.py), so there is nothing left to average.
        training.average_tokens_across_devices = False
        if training.n_gpu > 1:
            training._n_gpu = 1
            notes.append(
                f"{torch.cuda.device_count()} GPUs are here and one is used; "
                "torchrun --nproc_per_node N -m biollm_widgets.cli finetune ... uses N."
            )
        self.say(*notes)

    def go(self) -> FinetuneResult:
        """The run; how it ends is told in the progress file, whichever way it does."""
        try:
            result = self.run()
        except Stopped as stopped:
            self.tell_stopped(str(stopped), stopped.step, stopped.checkpoint, stopped.step)
            raise
        except BaseException as problem:
            self.tell_broken(problem)
            raise
        if result.finished:
            self.tell_finished(result)
        else:
            self.tell_stopped(result.summary(), result.last_step, result.checkpoint, result.last_step)
        return result

    def run(self) -> FinetuneResult:
        splits = self.read()
        with self.quiet_unless_first():
            require(self.own.model_name_or_path, "finetune")
            place = locate(self.own.model_name_or_path)
        tokenizer = rungs.load_tokenizer(place, self.own)
        parts, notes = encode_splits(splits, tokenizer, self.own.model_max_length, self.own.kmer)
        self.say(*notes)
        rungs.seeded(self.training.seed)
        ready = rungs.climb(place, self.own, splits.num_labels)
        self.say(*ready.notes)
        self.check_length(ready, max(int(part.lengths.max()) for part in parts.values()))
        self.say(
            f"Rung {self.own.rung}: {ready.trained:,} of {ready.parameters:,} parameters are trained "
            f"({ready.trained / ready.parameters:.1%})."
        )
        self.settings = checkpoints.settings_of(
            self.own, self.training, fingerprint(parts), ready.weights, self.training.world_size
        )
        self.make_plan(len(parts["train"]))
        start = self.begin()
        rows = self.rows(ready, parts, tokenizer.pad_token_id)
        self.check_stop()
        trainer = FineTuner(
            model=ready.model,
            args=self.training,
            train_dataset=rows["train"],
            eval_dataset=rows["dev"],
            processing_class=tokenizer,
            callbacks=self.callbacks,
            settings=self.settings,
            grouped=self.own.group_by_length,
            pad_id=tokenizer.pad_token_id,
            check_stop=self.check_stop,
        )
        self.listen(trainer)
        began = time.monotonic()
        if not self.train(trainer, start):
            return self.unfinished()
        result = self.outcome(trainer, ready, len(parts["train"]))
        result.train_seconds = round(time.monotonic() - began, 3)
        self.save(trainer, ready, result)
        if self.own.eval_and_save_results:
            self.test(trainer, rows["test"], splits, result)
        if self.first:
            if self.own.rung == "lora":
                self.write_merged(trainer)
            checkpoints.claim(self.folder, self.settings, finished=True)
        return result

    # Before training.

    def read(self) -> Splits:
        """The three files, checked; warnings about leaks and contradictions are said."""
        splits = read_splits(str(self.own.data_path))
        if splits.num_labels < 2:
            raise InputError(f"{self.own.data_path}/train.csv has one label only; a classifier needs two at least.")
        counts = ", ".join(f"{len(frame):,} {name}" for name, frame in splits.items())
        kind = "pairs of sequences" if splits.paired else "sequences"
        self.say(f"Data: {counts} {kind}, {splits.num_labels} labels.", *splits.notes)
        self.say(*(text if text.startswith("Warning") else f"Warning: {text}" for text in audit(splits)))
        return splits

    def check_length(self, ready: rungs.Ready, longest: int) -> None:
        limit = rungs.context_length(ready.model, ready.native)
        if limit is not None and longest > limit:
            raise InputError(
                f"A sequence has {longest} tokens and {self.own.model_name_or_path} reads {limit} at most; "
                f"give --model_max_length {limit}."
            )

    def make_plan(self, rows: int) -> None:
        training = self.training
        a_step = training.per_device_train_batch_size * training.world_size * training.gradient_accumulation_steps
        if training.dataloader_drop_last and rows < a_step:
            raise InputError(
                f"train.csv has {rows} rows and a step takes {a_step}: --dataloader_drop_last drops all; leave it out."
            )
        batches = StepBatches(np.zeros(rows), a_step, drop_last=training.dataloader_drop_last)
        self.plan = make_plan(training, batches.steps_an_epoch)
        self.say(self.plan.sentence(training, a_step), *(f"Warning: {text}" for text in self.plan.warnings))

    def begin(self) -> checkpoints.Start:
        """Go on or start over: the first process decides, the others follow."""
        answer: list[Any] = [None, None]
        if self.first:
            try:
                answer[0] = checkpoints.begin(
                    self.folder,
                    self.results,
                    self.settings,
                    self.own.overwrite_output_dir,
                    self.training.resume_from_checkpoint,
                )
                self.progress.begin(resume=answer[0].checkpoint is not None)
            except InputError as problem:
                answer[1] = str(problem)
        if self.training.world_size > 1:
            from accelerate.utils import broadcast_object_list

            broadcast_object_list(answer)
        if answer[1] is not None:
            raise InputError(answer[1])
        start: checkpoints.Start = answer[0]
        self.say(*start.notes)
        self.reached = start.checkpoint
        return start

    def rows(self, ready: rungs.Ready, parts: dict[str, Any], pad_id: int) -> dict[str, Rows]:
        """What the model is fed with: tokens, or states that are computed now and kept."""
        if not ready.stored:
            return {name: Rows(part.ids, part.labels, part.lengths) for name, part in parts.items()}
        if self.training.disable_tqdm:  # otherwise a bar says so
            self.say("Running the layers that stay as they are over all sequences, once.")
        rows, place = store(
            ready.model,
            parts,
            self.folder / "stored",
            pad_id,
            self.training.device,
            rank=self.training.process_index,
            processes=self.training.world_size,
            check_stop=self.check_stop,
            barrier=dist.barrier if self.training.world_size > 1 else lambda: None,
            quiet=not self.first or bool(self.training.disable_tqdm),
        )
        size = sum(file.stat().st_size for file in place.glob("*.npy"))
        self.say(f"What does not change is computed and kept in {place} ({size / 1e6:.1f} MB; delete it when done).")
        return rows

    # Training.

    def listen(self, trainer: FineTuner) -> None:
        """Who wants to know more of a run than callbacks are told: the progress file, and recorders of the caller."""
        own = {name: self.settings[name] for name in checkpoints.own_names(self.own)}
        of_step = {"sequences_a_step": self.settings["sequences_a_step"]}
        settings = {**own, **of_step, "model": self.own.model_name_or_path}
        self.progress.record(trainer, str(self.training.run_name), settings)
        for recorder in [one for one in self.callbacks if isinstance(one, Recorder)]:
            recorder.settings = {**settings, **recorder.settings}
            recorder.attach(trainer)
            # Whoever records shows it too: one bar is enough.
            trainer.callback_handler.callbacks = without_bars(trainer.callback_handler.callbacks)

    def train(self, trainer: FineTuner, start: checkpoints.Start) -> bool:
        """Train to the end, or until asked to stop; whether the end was reached."""
        if start.checkpoint is not None and self.is_trained(trainer, start.checkpoint):
            return True
        group = None
        if self.training.world_size > 1:
            # Of its own, on the CPU: asking at every step must not wait for a GPU.
            group = dist.new_group(backend="gloo")
        guard = StopAtStepEnd(self.request, self.plan.steps_an_epoch, group, by_exception=True)
        trainer.add_callback(guard)  # after the caller's own, so that leaving skips none of them
        try:
            trainer.train(resume_from_checkpoint=start.checkpoint)
        except LeaveTraining:
            step = trainer.state.global_step
            trainer.callback_handler.on_train_end(self.training, trainer.state, trainer.control)
            self.reached = str(self.folder / f"checkpoint-{step}")
            self.check_stop(step)
            return False
        self.reached = str(self.folder / f"checkpoint-{trainer.state.global_step}")
        return True

    def is_trained(self, trainer: FineTuner, checkpoint: str) -> bool:
        """Whether a checkpoint is the end of the run: only its test is missing. Loads the weights to be tested then."""
        state = TrainerState.load_from_json(str(Path(checkpoint) / "trainer_state.json"))
        if state.global_step < self.plan.steps:
            return False
        trainer.state = state
        best = self.folder / f"checkpoint-{getattr(state, 'best_global_step', None)}"
        wanted = best if self.training.load_best_model_at_end and best.is_dir() else Path(checkpoint)
        trainer._load_from_checkpoint(str(wanted))
        return True

    def check_stop(self, step: Optional[int] = None) -> None:
        """Raise `Stopped` when a signal asked for it, and say how to go on.

        Between steps that is for one process alone: several would not agree on the moment.
        """
        if step is None and self.training.world_size > 1:
            return
        if step is None and self.reached is not None:
            step = checkpoints.step_of(Path(self.reached))
        if self.request and (self.request.signal is not None or step is None):
            words = "Stopped before the first step; the same command begins again."
            if step:
                words = (
                    f"Stopped at step {step} of {self.plan.steps}, saved in {self.reached}. The same command goes on."
                )
            raise Stopped(
                words,
                step or 0,
                self.plan.steps,
                self.reached,
                self.request.signal or signal.SIGINT,
            )

    # After training.

    def unfinished(self) -> FinetuneResult:
        return FinetuneResult(
            finished=False,
            rung=self.own.rung,
            last_step=checkpoints.step_of(Path(self.reached)) if self.reached else 0,
            planned_steps=self.plan.steps,
            checkpoint=self.reached,
            notes=self.notes,
        )

    def outcome(self, trainer: FineTuner, ready: rungs.Ready, train_rows: int) -> FinetuneResult:
        """Which weights the model holds now, and how they were come by."""
        state = trainer.state
        best = getattr(state, "best_global_step", None)
        best_of = bool(self.training.load_best_model_at_end and best and state.best_model_checkpoint)
        step = int(best or 0) if best_of else state.global_step
        checkpoint = self.folder / f"checkpoint-{step}"
        return FinetuneResult(
            rung=self.own.rung,
            step=step,
            epoch=self.plan.epoch(step),
            planned_steps=self.plan.steps,
            planned_epochs=self.plan.epoch(self.plan.steps),
            last_step=state.global_step,
            steps_an_epoch=self.plan.steps_an_epoch,
            checkpoint=str(checkpoint) if checkpoint.is_dir() else None,
            best_of=best_of,
            chosen_by="eval_" + (self.training.metric_for_best_model or "loss").removeprefix("eval_"),
            evaluations=[entry for entry in state.log_history if "eval_loss" in entry],
            planned_evaluations=len(self.plan.evaluations),
            parameters={"trained": ready.trained, "all": ready.parameters},
            notes=self.notes,
            versions={"transformers": transformers.__version__, "torch": torch.__version__},
            settings={**self.settings, "processes": self.training.world_size, "model": self.own.model_name_or_path},
        )

    def save(self, trainer: FineTuner, ready: rungs.Ready, result: FinetuneResult) -> None:
        """The final model: a checkpoint is one already; LoRA's is merged, `save_model` wants it in output_dir too."""
        if self.own.save_model:
            if self.first:
                trainer.save_state()
            trainer.save_model(str(self.folder))
            result.model = str(self.folder)
        if self.own.rung == "lora":
            result.model = str(self.folder / "merged")
        elif result.checkpoint is not None:
            result.model = result.checkpoint

    def test(self, trainer: Any, rows: Rows, splits: Splits, result: FinetuneResult) -> None:
        """Evaluate on test.csv and write the results down."""
        trainer.evaluate(eval_dataset=rows)
        # From the log: a progress bar's callback takes keys out of the dictionary that `evaluate` returns.
        logged = trainer.state.log_history[-1]
        result.metrics = {key: float(logged[key]) for key in results.KEYS}
        logits = trainer.logits
        assert logits is not None
        result.majority = results.majority(splits.train["label"].to_numpy(), rows.labels)
        result.confusion = results.confusion(logits.argmax(axis=1), rows.labels, splits.num_labels)
        result.rows = {name: len(frame) for name, frame in splits.items()}
        result.results = str(self.results)
        if self.first:
            texts = splits.test.drop(columns="label").to_numpy().tolist()
            results.write_results(self.results, result, texts, rows.labels, logits)

    def write_merged(self, trainer: Any) -> None:
        """The LoRA model as one plain checkpoint, in `merged`, whole or not at all."""
        place = self.folder / "merged"
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".merged-") as temporary:
            half = Path(temporary) / "merged"
            rungs.merge_lora(trainer.accelerator.unwrap_model(trainer.model)).save_pretrained(half)
            trainer.processing_class.save_pretrained(half)
            rungs.portable_tokenizer(half)
            if place.exists():
                shutil.rmtree(place)
            half.rename(place)

    # What the first process tells and says, and the others do not.

    def tell_finished(self, result: FinetuneResult) -> None:
        words = [result.which_weights()]
        if result.model:
            words.append(f"The model is in {result.model}.")
        if result.results:
            words.append(f"The results are in {result.results}.")
        self.progress.end("finished", words, result.last_step, checkpoint=result.checkpoint, holds=result.step)

    def tell_stopped(self, sentence: str, step: int, checkpoint: Optional[str], holds: Optional[int]) -> None:
        resume = None
        if self.training.world_size == 1:  # how several processes were started is not known here
            resume = f"biollm finetune {shlex.join(arguments.words(self.given))}"
        self.progress.end("stopped", [sentence], step, checkpoint=checkpoint, holds=holds, resume=resume)

    def tell_broken(self, problem: BaseException) -> None:
        """That the run ended where it was: by a failure, or by a second Ctrl-C."""
        step = self.progress.recorder.step if self.progress.recorder is not None else 0
        whole = [one for one in checkpoints.checkpoints(self.folder) if checkpoints.read_mark(one) is not None]
        left = str(whole[-1]) if whole else None
        goes_on = f"The same command goes on from {left}." if left else "The same command begins again."
        if isinstance(problem, KeyboardInterrupt):
            self.tell_stopped(f"Interrupted at step {step}, without a checkpoint of it. {goes_on}", step, left, None)
        else:
            self.progress.end("failed", [in_a_sentence(problem), goes_on], step, checkpoint=left)

    def say(self, *sentences: str) -> None:
        for sentence in sentences:
            self.notes.append(sentence)
            if self.first:
                news.say(sentence)
                self.progress.say(sentence)

    def quiet_unless_first(self) -> Any:
        return contextlib.nullcontext() if self.first else contextlib.redirect_stderr(io.StringIO())
