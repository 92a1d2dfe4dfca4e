"""The loop that both embedded models are trained in: a schedule, a log, and a state to go on from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

EVERY = 1_000_000  # tokens between two looks at the held-out text, each with a save


def learning_rate(done: int, total: int, peak: float) -> float:
    """Warm-up over the first million tokens, flat, then straight down to nothing over the last third."""
    return peak * min(1.0, done / 1e6, max(0.0, (total - done) / (total / 3)))


def train(
    model: Any,
    out: Path,
    *,
    stream: Callable[[int], Iterator[tuple[int, Any]]],
    loss_of: Callable[[Any], Tensor],
    held_out_loss: Callable[[], float],
    tokens: int,
    peak: float,
    weight_decay: float = 0.01,
) -> None:
    """Train until `tokens` were seen; save into `out` as it goes and go on from there when called again.

    A run that was stopped draws other batches (and drops other units) from there on than one in a piece.

    Parameters
    ----------
    model : PreTrainedModel
    stream : callable
        Given how many tokens were seen, the batches from there on, each with its number of tokens. Seeded by what was
        done, so that the same command gives the same run.
    loss_of : callable
        What is made small: the loss of one batch, in nats a guessed token, and whatever is added to it.
    held_out_loss : callable
        In nats a guessed token, on text that is never learned from.
    peak : float
        The highest learning rate.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=peak, betas=(0.9, 0.98), eps=1e-6, weight_decay=weight_decay, fused=True
    )
    state_file = out / "state.pt"
    done = 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["done"]
        print(f"Going on at {done / 1e6:.1f} million tokens.")

    recent: list[float] = []
    began, at_start, next_save = time.time(), done, done + EVERY
    for count, batch in stream(done):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(done, tokens, peak)
        model.train()
        loss = loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        recent.append(loss.item())
        done += count
        if done >= next_save or done >= tokens:
            next_save = done + EVERY
            model.eval()
            with torch.inference_mode():
                held = held_out_loss()
            line = {
                "tokens": done,
                "train_loss": round(math.fsum(recent) / len(recent), 4),
                "held_out_loss": round(held, 4),
                "learning_rate": round(learning_rate(done, tokens, peak), 7),
                "tokens_per_second": int((done - at_start) / (time.time() - began)),
            }
            if not math.isfinite(line["train_loss"]):
                raise SystemExit("The loss is not a number any more: start again with a lower --peak.")
            print(json.dumps(line), flush=True)
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            recent = []
            model.save_pretrained(out)
            part = state_file.with_suffix(".part")
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "done": done}, part)
            part.replace(state_file)
        if done >= tokens:
            break
