"""Hugging Face's Trainer with batches, a loss and an evaluation of our own; the loop and the optimizer are its."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from accelerate.utils import gather_object
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import EvalLoopOutput, EvalPrediction

from biollm_widgets.dna.finetuning.batches import Collator, StepBatches, length_batches
from biollm_widgets.dna.finetuning.checkpoints import MARK, mark_whole
from biollm_widgets.dna.finetuning.classifier import FineTunedClassifier
from biollm_widgets.dna.finetuning.data import Rows
from biollm_widgets.dna.finetuning.dropout import drop_by_row
from biollm_widgets.dna.finetuning.results import metrics_of
from biollm_widgets.dna.finetuning.rungs import portable_tokenizer


class FineTuner(Trainer):
    """The Trainer of one run.

    Parameters
    ----------
    settings
        What the checkpoints are marked with (`checkpoints.settings_of`).
    grouped
        Whether batches are made of rows of about one length.
    pad_id
        Token that fills a row up.
    check_stop
        Called between batches of an evaluation outside training; it may raise.
    """

    # Never None here, and not always what transformers' own hints say.
    args: Any
    model: Any
    train_dataset: Any
    eval_dataset: Any

    def __init__(
        self,
        *args: Any,
        settings: dict[str, Any],
        grouped: bool,
        pad_id: int,
        check_stop: Callable[[], None] = lambda: None,
        **kwargs: Any,
    ) -> None:
        # A loss function of our own tells both Trainers (4 and 5) that the loss is a mean over the whole step already.
        kwargs.update(data_collator=Collator(pad_id), compute_loss_func=self.compute_loss)
        super().__init__(*args, **kwargs)
        self.settings = settings
        self.grouped = grouped
        self.check_stop = check_stop
        # Another library's model may put dropout where the first axis is not the batch.
        native = any(isinstance(module, FineTunedClassifier) for module in self.model.modules())
        self.draw = drop_by_row(self.model, self.args.seed) if native and self.args.device.type == "cpu" else None
        self.logits: Optional[np.ndarray] = None  # (n, labels), of the last evaluation
        self.add_callback(FollowEpochs(self))

    @property
    def step_batches(self) -> StepBatches:
        """The order of the training rows for this process."""
        args = self.args
        per_device = self._train_batch_size if args.auto_find_batch_size else args.per_device_train_batch_size
        return StepBatches(
            self.train_dataset.lengths,
            per_device,
            processes=args.world_size,
            rank=args.process_index,
            accumulation=args.gradient_accumulation_steps,
            seed=args.seed if args.data_seed is None else args.data_seed,
            grouped=self.grouped,
            drop_last=args.dataloader_drop_last,
        )

    def get_train_dataloader(self) -> DataLoader:
        self.batches = self.step_batches
        return self._loader(self.train_dataset, self.batches)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        rows: Rows = self.eval_dataset if eval_dataset is None else eval_dataset
        args = self.args
        batches = length_batches(rows.lengths, args.per_device_eval_batch_size, args.world_size, args.process_index)
        return self._loader(rows, batches)

    def _loader(self, rows: Rows, batches: Any) -> DataLoader:
        return DataLoader(
            rows,  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
            # The base seed of workers is drawn from here, so that no epoch draws from the generator of dropout.
            generator=torch.Generator().manual_seed(self.args.seed),
        )

    def compute_loss(  # type: ignore[override]
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The sum of weight times cross-entropy: over all processes and accumulated batches, the mean of the step."""
        labels, weights = inputs["labels"], inputs["weights"]
        if self.draw is not None:
            self.draw.rows, self.draw.step = inputs["rows"].tolist(), self.state.global_step
        outputs = model(**{name: value for name, value in inputs.items() if name not in NOT_FOR_THE_MODEL})
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        smoothing = self.args.label_smoothing_factor
        each = F.cross_entropy(logits.float(), labels, reduction="none", label_smoothing=smoothing)  # (B,)
        loss = (each * weights).sum()
        return (loss, outputs) if return_outputs else loss

    def evaluation_loop(self, dataloader: DataLoader, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """Logits of every row, in the order of the rows, the same from one process and from several."""
        prefix = kwargs.get("metric_key_prefix", "eval")
        model = self.model
        model.eval()
        if not self.is_in_train and (self.args.fp16_full_eval or self.args.bf16_full_eval):
            model.to(torch.float16 if self.args.fp16_full_eval else torch.bfloat16)
        found: list[tuple[np.ndarray, np.ndarray]] = []
        with torch.no_grad(), self.accelerator.autocast():
            for batch in dataloader:
                if not self.is_in_train:
                    self.check_stop()
                rows = batch["rows"].numpy()
                inputs = self._prepare_inputs({k: v for k, v in batch.items() if k not in NOT_FOR_THE_MODEL})
                outputs = model(**inputs)
                logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
                found.append((rows, logits.float().cpu().numpy()))
                self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        if self.args.world_size > 1:
            found = gather_object(found)
        data: Rows = dataloader.dataset  # type: ignore[assignment]
        logits = np.empty((len(data), found[0][1].shape[1]), dtype=np.float32)
        for rows, part in found:
            logits[rows] = part
        self.logits = logits
        found_scores = metrics_of(logits, data.labels)
        if self.compute_metrics is not None:  # a listener's, which adds nothing or what it likes
            found_scores.update(self.compute_metrics(EvalPrediction(predictions=logits, label_ids=data.labels)))
        metrics = {f"{prefix}_{name}": value for name, value in found_scores.items()}
        return EvalLoopOutput(predictions=logits, label_ids=data.labels, metrics=metrics, num_samples=len(data))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            (folder / MARK).unlink(missing_ok=True)
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # each process has written its random state
        if self.args.should_save:
            mark_whole(folder, self.settings)

    def _save(self, output_dir: Any = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        if self.args.should_save:  # the others come here too, while this file is being written
            portable_tokenizer(Path(output_dir or self.args.output_dir))

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Counted for tokens only: stored states have skipped an unknown share of the model."""
        return super().floating_point_ops(inputs) if "input_ids" in inputs else 0


NOT_FOR_THE_MODEL = frozenset({"labels", "rows", "weights"})


class FollowEpochs(TrainerCallback):
    """What the Trainers of transformers 4 and 5 do differently, done alike, also after a resume."""

    def __init__(self, trainer: FineTuner) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # The state names the best checkpoint by the path of its day; the folder may be called by another name now.
        best = getattr(state, "best_global_step", None)
        if best:
            place = Path(args.output_dir) / f"checkpoint-{best}"
            state.best_model_checkpoint = str(place) if place.is_dir() else None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # Transformers 5 evaluates after the last step on top of --eval_steps, and would choose among other checkpoints
        # than the Trainer that train.py was written for.
        by_steps = getattr(args.eval_strategy, "value", args.eval_strategy) == "steps"
        if by_steps and state.global_step >= state.max_steps and state.global_step % state.eval_steps:
            control.should_evaluate = False

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # Neither Trainer tells a sampler of one's own which epoch begins in every case.
        self.trainer.batches.set_epoch(state.global_step // self.trainer.batches.steps_an_epoch)
