"""Events as a run tells them, short to write."""

from __future__ import annotations

from typing import Any, Optional

CHAPTER = [[149, 24], [52, 25]]  # the chapter's matrix: TN 149, FP 24, FN 52, TP 25


def start(step: int = 0, steps: Optional[int] = 100, **given: Any) -> dict[str, Any]:
    return {"event": "start", "time": 0.0, "name": "coding", "step": step, "steps": steps, "settings": {}, **given}


def logged(step: int, loss: Optional[float], **values: Any) -> dict[str, Any]:
    found = {**({} if loss is None else {"loss": loss}), **values}
    return {"event": "log", "time": 0.0, "step": step, "epoch": step / 25, "values": found}


def stepped(step: int, active: float, samples: int = 0, **given: Any) -> dict[str, Any]:
    return {"event": "step", "time": 0.0, "step": step, "active": active, "samples": samples, **given}


def evaluated(step: int, loss: Optional[float] = None, during: bool = True, **given: Any) -> dict[str, Any]:
    confusion = given.pop("confusion", None)
    values = {**({} if loss is None else {"loss": loss}), **given}
    return {
        "event": "evaluation",
        "time": 0.0,
        "step": step,
        "epoch": step / 25,
        "values": values,
        "confusion": confusion,
        "during": during,
    }


def phase(name: str, step: int = 0, **given: Any) -> dict[str, Any]:
    return {"event": "phase", "time": 0.0, "phase": name, "step": step, **given}


def saved(step: int, path: Optional[str] = None, **given: Any) -> dict[str, Any]:
    path = path or f"out/checkpoint-{step}"
    return {"event": "checkpoint", "time": 0.0, "step": step, "path": path, **given}


def printed(words: str) -> dict[str, Any]:
    return {"event": "say", "time": 0.0, "words": words}


def ended(state: str, step: int, *words: str, **given: Any) -> dict[str, Any]:
    return {"event": "end", "time": 0.0, "state": state, "step": step, "words": list(words), **given}
