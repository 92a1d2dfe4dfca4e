"""One embedding call at work: settled by the first process, dealt out, computed batch by batch, brought together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from tqdm.auto import tqdm

from biollm_widgets import news
from biollm_widgets.dna.embedding import outputs
from biollm_widgets.dna.embedding.batches import deal, plan, spread
from biollm_widgets.dna.embedding.encoding import SequenceEncoder
from biollm_widgets.dna.embedding.parts import PartFolder, tokens_fingerprint, weights_fingerprint
from biollm_widgets.dna.embedding.precision import (
    FEW_TOKENS,
    Choice,
    Fidelity,
    choose,
    encoder_for,
    with_encoder,
)
from biollm_widgets.dna.embedding.processes import Processes
from biollm_widgets.dna.embedding.tokens import TokenizedSequences
from biollm_widgets.errors import InputError
from biollm_widgets.models.lighter import PRECISIONS

FORMAT = 1  # of the part folder and of the metadata in an output


class Work:
    """What one call has to compute, seen from one of the processes that share it.

    Attributes
    ----------
    vectors : float32 array (distinct, hidden)
        Filled as the work goes on; whole after `compute`.
    done : bool array (distinct,)
        What was there before this call.
    choice : Choice
        The precision, after `settle`.
    """

    def __init__(
        self,
        reader: SequenceEncoder,
        tokenized: TokenizedSequences,
        fellows: Processes,
        path: Optional[Path],
        precision: str,
        batch_tokens: Optional[int],
        progress: bool,
    ) -> None:
        self.reader = reader
        self.tokenized = tokenized
        self.fellows = fellows
        self.path = path
        self.precision = precision
        self.batch_tokens = batch_tokens
        self.progress = progress and fellows.first
        self.choice = Choice("float32", reader.encoder, None, "")
        # The shortest sequence first: how wide vectors are, and a model that cannot do it says so at once.
        shortest = int(np.argmin(tokenized.lengths))
        hidden = self._vectors(np.array([shortest]))
        if not np.isfinite(hidden).all():
            raise InputError("This model gives vectors that are not finite; its weights are damaged or not loaded.")
        self.vectors = np.zeros((len(tokenized.ids), hidden.shape[1]), np.float32)  # one a distinct sequence
        self.done = np.zeros(len(tokenized.ids), dtype=bool)
        self._tokens = int(tokenized.lengths.sum())  # repeats are not computed
        self.plan: dict[str, Any] = {}
        if path is not None:
            self.plan = {
                "format": FORMAT,
                "model": weights_fingerprint(reader.encoder),
                "sequences": tokens_fingerprint(tokenized.ids, tokenized.rows),
                "pooling": reader.pooling,
                "layer": reader.layer,
                "special_tokens": reader.special_tokens,
                "hidden": hidden.shape[1],
            }
            self.part = PartFolder(path, self.plan)
        self._opened = False

    def settle(self) -> None:
        """Choose the precision, find what is done already, and let all processes know."""
        note: Any = None
        if self.fellows.first:
            try:
                self._settle_first()
                note = self.choice.precision
            except InputError as problem:
                note = problem
        note = self.fellows.tell(note)
        if isinstance(note, InputError):
            raise note
        if not self.fellows.first:
            self.choice = Choice(note, encoder_for(note, self.reader.encoder, self._tokens), None, "")
        self.done = self.fellows.tell(self.done)  # the vectors of these stay with the first process until the end

    def _settle_first(self) -> None:
        precision = self.precision
        if self.path is not None:
            earlier = self.part.stored_plan() or {}
            if precision == "auto" and earlier.get("precision") in PRECISIONS:
                precision = earlier["precision"]  # what was begun goes on as it was
            if self._whole_already(precision):
                return
        self.choice = self._choose(precision)
        if self.choice.said:
            news.say(f"Precision {self.choice.said}")
        if self.path is not None:
            self.plan["precision"] = self.choice.precision
            self.part.open()
            self._opened = True
            self.done = self.part.read(self.vectors)

    def _whole_already(self, precision: str) -> bool:
        """Take the vectors of an output that this very call has made before."""
        assert self.path is not None
        metadata = outputs.read_metadata(self.path) or {}
        made = metadata.get("plan", {})
        if any(made.get(key) != value for key, value in self.plan.items()):
            return False
        if precision not in ("auto", made.get("precision")):
            return False
        # One row of each distinct sequence.
        first = np.unique(self.tokenized.rows, return_index=True)[1]
        self.vectors[:] = outputs.read_embeddings(self.path)[first]
        self.done[:] = True
        found = metadata.get("fidelity")
        kept = None if found is None else Fidelity.from_dict(found)
        self.choice = Choice(made["precision"], self.reader.encoder, kept, "")
        self.plan["precision"] = made["precision"]
        news.say(f"{self.path} is there already, made from the same; its vectors are taken.")
        return True

    def _choose(self, precision: str) -> Choice:
        tokenized = self.tokenized
        sample = spread(tokenized.lengths, min(16, max(4, len(tokenized.ids) // 25)))
        return choose(
            precision,
            self.reader,
            [tokenized.ids[row] for row in sample],
            [tokenized.special[row] for row in sample],
            self._tokens,
        )

    def compute(self) -> None:
        """Compute this process's share of what is not done, and bring all shares together."""
        lengths = self.tokenized.lengths
        reader = with_encoder(self.reader, self.choice.encoder)
        budget = self.batch_tokens or self._usual_budget()
        batches = plan(lengths, budget, padded=not reader.packed)
        batches = [left for rows in batches if len(left := rows[~self.done[rows]])]
        costs = [float(lengths[rows].sum()) for rows in batches]
        mine = [batches[number] for number in deal(costs, self.fellows.count)[self.fellows.rank]]
        self._hint()
        log = None if self.path is None or not mine else self.part.writer(self.fellows.rank)
        total = int(sum(lengths[rows].sum() for rows in mine))
        bar = tqdm(total=total, desc="Embedding", unit=" tokens", unit_scale=True, delay=0.5, disable=not self.progress)
        finished = 0
        try:
            for rows in mine:
                made = self._vectors(rows, reader)
                self.vectors[rows] = made
                if log is not None:
                    log.append(rows, made)
                finished += len(rows)
                bar.update(int(lengths[rows].sum()))
        except KeyboardInterrupt:
            bar.close()
            if log is not None:
                kept = int(self.done.sum()) + finished
                news.say(
                    f"\nStopped: {kept} of {len(lengths)} distinct sequences are kept in {self.part.path}; the same "
                    "call goes on from there."
                )
            raise
        finally:
            bar.close()
            if log is not None:
                log.close()
        self.fellows.add(self.vectors)

    def metadata(self) -> dict[str, Any]:
        """What goes into the output beside the vectors."""
        found = self.choice.fidelity
        return {
            "plan": self.plan,
            "fidelity": None if found is None else found.as_dict(),
            "tokens": self.tokenized.tokens,
            "unknown_tokens": self.tokenized.unknown,
        }

    def tidy(self) -> None:
        """Take away what was kept on the way, once the output is whole."""
        if self._opened:
            self.part.remove()

    def _usual_budget(self) -> int:
        config: Any = getattr(self.reader.encoder, "config", None)
        if self.reader.device.type == "cpu":
            # The widest thing in a layer (tokens x intermediate) should stay in a CPU's cache.
            width = getattr(config, "intermediate_size", None) or 4 * self.vectors.shape[1]
            budget = int(np.clip(3 * 2**20 / width, 1024, 4096))
        else:
            budget = 16_384
        if self.fellows.count > 1:  # something to deal out to each
            budget = max(256, min(budget, self._tokens // (4 * self.fellows.count)))
        return budget

    def _hint(self) -> None:
        idle_gpu = self.reader.device.type == "cpu" and torch.cuda.is_available()
        if self.progress and idle_gpu and self._tokens > FEW_TOKENS:
            news.say("The model is on the CPU and there is a GPU: device='cuda' would be faster.")

    def _vectors(self, rows: np.ndarray, reader: Optional[SequenceEncoder] = None) -> np.ndarray:
        with _enough_memory(int(self.tokenized.lengths[rows].sum())):
            return (reader or self.reader)(
                [self.tokenized.ids[row] for row in rows], [self.tokenized.special[row] for row in rows]
            )


@contextmanager
def _enough_memory(tokens: int) -> Iterator[None]:
    """Turn torch's two ways of running out of memory into a sentence."""
    try:
        yield
    except RuntimeError as problem:
        if "out of memory" not in str(problem) and "can't allocate memory" not in str(problem):
            raise
        raise InputError(
            f"There is not enough memory for a batch of {tokens:,} tokens; give a smaller batch_tokens, or cut long "
            "sequences into windows."
        ) from problem
