"""What can be taken away of runs: tables, and the kinds of files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from biollm_widgets.runs.log import RunLog

if TYPE_CHECKING:
    import pandas

FILES = {"svg": "image/svg+xml", "png": "image/png", "csv": "text/csv", "json": "application/json"}


def evaluation_frame(runs: Sequence[RunLog]) -> pandas.DataFrame:
    """One row an evaluation: run, step, epoch, loss and scores, whether it is the best, whether it is a test."""
    import pandas as pd

    rows = []
    for run in runs:
        best = run.best
        for one in run.evaluations:
            rows.append({"run": run.name, "step": one.step, "epoch": one.epoch, **one.values, "best": one is best})
        for one in run.tests:
            rows.append(
                {"run": run.name, "step": one.step, "epoch": one.epoch, **one.values, "best": False, "test": True}
            )
    frame = pd.DataFrame(rows, columns=None if rows else ["run", "step", "epoch", "loss", "best"])
    if "test" in frame:
        frame["test"] = frame["test"].eq(True)
    return frame


def lines_frame(runs: Sequence[RunLog]) -> pandas.DataFrame:
    """One row a logged line of training: run, step, loss, learning_rate, grad_norm (nan where a line has none)."""
    import pandas as pd

    parts = [
        pd.DataFrame(
            {
                "run": run.name,
                "step": np.array(run.lines.step),
                "loss": np.array(run.lines.loss),
                "learning_rate": np.array(run.lines.rate),
                "grad_norm": np.array(run.lines.grad),
            }
        )
        for run in runs
    ]
    return pd.concat(parts, ignore_index=True)


def to_csv(runs: Sequence[RunLog]) -> str:
    """Both as one table: a column `kind` says "training" or "evaluation"."""
    import pandas as pd

    lines, evaluations = lines_frame(runs), evaluation_frame(runs)
    kept = [frame.assign(kind=kind) for frame, kind in ((lines, "training"), (evaluations, "evaluation")) if len(frame)]
    if not kept:
        return "run,kind,step\n"
    frame = pd.concat(kept, ignore_index=True)
    first = ["run", "kind", "step"]
    frame = frame[[*first, *(name for name in frame.columns if name not in first)]]
    return frame.sort_values(["run", "step"], kind="stable").to_csv(index=False, lineterminator="\n")
