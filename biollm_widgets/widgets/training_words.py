"""What a shot of training runs says in words and in tables.

A shot is what a page draws of one run or of several that are compared, as JSON: `kind`, `metrics`, `names`, `settings`
and `runs`, of which each has `points` (from_step, to_step, loss, low, high, learning_rate, grad_norm), `evaluations`,
`test`, `checkpoints` and `labels`. A number that is None is not a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from biollm_widgets.widgets.axes import number, said
from biollm_widgets.widgets.twin import Table

MOST_CLASSES = 4  # whose confusion is told in full
MOST_ROWS = 30  # evaluations in a table; the last ones

Shot = Mapping[str, Any]
Run = Mapping[str, Any]


def leading(shot: Shot) -> str:
    """The metric that leads, or "loss" where evaluations have no other."""
    metrics = shot.get("metrics") or ["loss"]
    return str(metrics[0])


def called(shot: Shot, metric: str) -> str:
    """How a metric is called."""
    return str((shot.get("names") or {}).get(metric, metric.replace("_", " ")))


def evaluations(run: Run) -> Sequence[Mapping[str, Any]]:
    return run.get("evaluations") or []


def value_of(evaluation: Mapping[str, Any], metric: str) -> Optional[float]:
    return number((evaluation.get("values") or {}).get(metric))


def best_of(run: Run) -> Optional[Mapping[str, Any]]:
    """The evaluation that is marked as the best, if any is."""
    marked = [evaluation for evaluation in evaluations(run) if evaluation.get("best")]
    return marked[-1] if marked else None


def newest_confusion(run: Run) -> Optional[tuple[list[list[Any]], str]]:
    """The confusion matrix of the newest evaluation that has one, else of the test; and what it is from."""
    for evaluation in reversed(evaluations(run)):
        if _square(evaluation.get("confusion")):
            return evaluation["confusion"], f"Evaluation at step {evaluation['step']:,}"
    test = run.get("test") or {}
    return (test["confusion"], "Test after training") if _square(test.get("confusion")) else None


def _square(rows: Any) -> bool:
    return bool(rows) and all(isinstance(row, (list, tuple)) and len(row) == len(rows) for row in rows)


def last_step(run: Run) -> float:
    """The last step of which the run tells anything, 0 where it tells nothing."""
    steps = [point[1] for point in run.get("points") or []] + [e["step"] for e in evaluations(run)]
    steps += run.get("checkpoints") or []
    return max((number(step) or 0 for step in steps), default=0)


def losses(run: Run) -> list[tuple[float, Optional[float]]]:
    """Step and training loss of each point; a point of several steps lies in their middle."""
    return [((point[0] + point[1]) / 2, number(point[2])) for point in run.get("points") or []]


def describe(shot: Shot) -> str:
    """The picture in words: how the loss and the leading metric went, where the best is, and the newest confusion."""
    runs = shot.get("runs") or []
    told = [" ".join(_told(shot, run)) for run in runs]
    if len(runs) > 1:
        named = (f"{run.get('name', '')}: {words or 'no numbers yet.'}" for run, words in zip(runs, told, strict=True))
        return f"{len(runs)} runs are compared. " + " ".join(named)
    return (told[0] if told else "") or "No loss and no evaluation yet."


def _told(shot: Shot, run: Run) -> list[str]:
    sentences = []
    points = losses(run)
    known = [(step, loss) for step, loss in points if loss is not None]
    if known:
        sentences.append(_went("Training loss", known))
    lost = [step for step, loss in points if loss is None]
    if lost:
        where = f"at {len(lost):,} points, first " if len(lost) > 1 else ""
        sentences.append(f"Training loss was not a number {where}at step {said(lost[0])}.")
    for metric in dict.fromkeys(["loss", leading(shot)]):
        found = [(e["step"], value_of(e, metric)) for e in evaluations(run)]
        values = [(step, value) for step, value in found if value is not None]
        if values:
            sentences.append(_went(f"Evaluation {called(shot, metric)}", values))
    best = best_of(run)
    if best is not None:
        metric = leading(shot)
        value = value_of(best, metric)
        name = f", with {called(shot, metric)} {said(value)}" if value is not None else ""
        sentences.append(f"The best evaluation is at step {best['step']:,}{name}.")
    test = run.get("test") or {}
    value = value_of(test, leading(shot))
    if value is not None:
        sentences.append(f"The test after training has {called(shot, leading(shot))} {said(value)}.")
    sentences += _confused(run)
    many = len(run.get("checkpoints") or [])
    if many:
        last = f"the last at step {run['checkpoints'][-1]:,}"
        sentences.append(f"{many:,} checkpoints, {last}." if many > 1 else f"One checkpoint, {last[9:]}.")
    return sentences


def _confused(run: Run) -> list[str]:
    """What each class was said to be, for a few classes; how many were right, for more."""
    rows, source = newest_confusion(run) or ([], "")
    if not rows:
        return []
    labels = run.get("labels") or []
    labels = [str(label) for label in labels] if len(labels) == len(rows) else [str(i) for i in range(len(rows))]
    counts = [[number(count) or 0 for count in row] for row in rows]
    if len(rows) > MOST_CLASSES:
        right, total = sum(row[i] for i, row in enumerate(counts)), sum(map(sum, counts))
        return [f"{source}: {right:,.0f} of {total:,.0f} right."]
    told = []
    for label, row in zip(labels, counts, strict=True):
        to_be = ", ".join(f"{count:,.0f} {name}" for count, name in zip(row, labels, strict=True))
        told.append(f"of {sum(row):,.0f} that are {label} these were said: {to_be}")
    return [f"{source}: {'; '.join(told)}."]


def _went(name: str, values: Sequence[tuple[float, float]]) -> str:
    (first, begin), (last, end) = values[0], values[-1]
    if len(values) == 1:
        return f"{name} was {said(begin)} at step {said(first)}."
    if begin == end:
        return f"{name} was {said(end)} at step {said(first)} and at step {said(last)}."
    went = "fell" if end < begin else "rose"
    return f"{name} {went} from {said(begin)} at step {said(first)} to {said(end)} at step {said(last)}."


def progress_tables(shot: Shot) -> list[Table]:
    """The shot as tables: one run's evaluations, or a row for each run and the settings in which they differ.

    Of one run the last 30 evaluations are listed, and the best one in any case; a row says what is left out. Without
    any evaluation there is no table.
    """
    runs = shot.get("runs") or []
    if shot.get("kind") == "compare" or len(runs) > 1:
        return [_comparison(shot, runs), *_differences(shot.get("settings") or {})] if runs else []
    if not runs or not (evaluations(runs[0]) or runs[0].get("test")):
        return []
    metrics = ["loss", *(metric for metric in shot.get("metrics") or [] if metric != "loss")]
    header = ["step", "epoch", *(called(shot, metric) for metric in metrics), ""]
    done = evaluations(runs[0])
    left_out = done[: max(0, len(done) - MOST_ROWS)]
    rows = []
    if left_out:
        rows += [_row(e, metrics, "best") for e in left_out if e.get("best")]
        words = f"{len(left_out) - len(rows):,} earlier evaluations are left out"
        if len(left_out) > len(rows):
            rows.append([None, None, *(None for _ in metrics), words])
    rows += [_row(e, metrics, "best" if e.get("best") else "") for e in done[len(left_out) :]]
    if runs[0].get("test"):
        rows.append(_row(runs[0]["test"], metrics, "test after training"))
    return [Table(header, rows)]


def _row(evaluation: Mapping[str, Any], metrics: Sequence[str], mark: str) -> list[Any]:
    return [evaluation.get("step"), evaluation.get("epoch"), *(_cell(evaluation, metric) for metric in metrics), mark]


def _cell(evaluation: Mapping[str, Any], metric: str) -> Any:
    """A value as a number; "nan" where there is one that is not a number, None where there is none."""
    known = metric in (evaluation.get("values") or {})
    value = value_of(evaluation, metric)
    return "nan" if known and value is None else value


def _comparison(shot: Shot, runs: Sequence[Run]) -> Table:
    metric = leading(shot)
    header = ["run", "steps", "last training loss"]
    header += [f"best evaluation {called(shot, metric)}", "at step"]
    header += ["evaluation loss there"] if metric != "loss" else []
    rows = []
    for run in runs:
        known = [loss for _, loss in losses(run) if loss is not None]
        best = best_of(run) or {}
        row = [str(run.get("name", "")), int(last_step(run)), known[-1] if known else None]
        row += [_cell(best, metric), best.get("step")]
        rows.append([*row, _cell(best, "loss")] if metric != "loss" else row)
    return Table(header, rows)


def _differences(settings: Mapping[str, Any]) -> list[Table]:
    header, rows = settings.get("header") or [], settings.get("rows") or []
    if not rows:
        return []
    different = [rows[i] for i in settings.get("different") or [] if 0 <= i < len(rows)]
    return [Table(header, different) if different else Table(header[:1], [["All settings are the same."]])]
