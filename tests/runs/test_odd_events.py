"""Whatever stands in a file of somebody else: events that are accepted make a shot, words and hints of strict JSON."""

from __future__ import annotations

import json
import math
import random
import time
import warnings
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="The widgets need anywidget (make test installs it).")

from told import evaluated, logged, saved, start, stepped

from biollm_widgets.errors import InputError
from biollm_widgets.runs.events import KEYS, check, decode, encode
from biollm_widgets.runs.log import RunLog
from biollm_widgets.widgets.training_sheet import TrainingSheet

NUMBERS = [0, 1, -1, 7, 0.5, -0.0, 5e-324, 1.7e308, -1.7e308, 2**53 - 1, 2**53, 10**30, 10**400, math.nan, math.inf]
OTHERS = [None, True, "", "x", "NaN", "<b>", [], {}, [1], [[1]], [[3, 4], [5, 6]], [[2**53]], {"a": 1}, "evaluating"]
NAMES = ["loss", "learning_rate", "grad_norm", "accuracy", "a_loss", "matthews_correlation", "f1", "mcc", "<i>"]
TEXTS = ["evaluating", "paused", "training", "saving", "stopped", "finished", "failed", "loss", "accuracy", "steps"]


def an_event(draw: random.Random, kind: str) -> dict[str, Any]:
    """Of the right types mostly, for what is refused at once shows nothing."""

    def value(types: Any) -> Any:
        if draw.random() < 0.03:
            return draw.choice(NUMBERS + OTHERS)
        kind = draw.choice(types)
        if kind in (int, float):
            fits = [one for one in NUMBERS if kind is float or type(one) is int]
            return draw.choice(fits) if draw.random() < 0.4 else draw.randrange(30)
        if kind is dict:
            return {draw.choice(NAMES): draw.choice(NUMBERS + OTHERS) for _ in range(draw.randrange(4))}
        if kind is list:
            return draw.choice([[], ["no", "yes"], [1, 2, 3], [[3, 4], [5, 6]], [[0, 0], [0, 0]], [[2**52] * 2] * 2])
        return {str: draw.choice(TEXTS), bool: draw.random() < 0.5}.get(kind)

    event = {key: value(types) for key, (types, _) in KEYS[kind].items() if draw.random() < 0.9}
    if kind == "history" and draw.random() < 0.9:
        event["events"] = [an_event(draw, draw.choice(list(KEYS))) for _ in range(3)]
    return {**event, "event": kind}


@pytest.mark.parametrize("seed", range(60))
def test_of_whatever_is_accepted_a_page_gets_strict_json(seed: int) -> None:
    draw = random.Random(seed)
    log, other, taken = RunLog(), RunLog().take_all([start(), evaluated(3, 0.5, accuracy=0.1)]), 0
    sheets = [TrainingSheet([log]), TrainingSheet([log, other])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(150):
            try:
                event = check(an_event(draw, draw.choice(list(KEYS))))
            except InputError:
                continue
            log.take(event)
            taken += 1
            assert decode(encode(event))["event"] == event["event"]
            for sheet in sheets:
                json.dumps([sheet.shot(), sheet.news(), sheet.stretch(0, 0.0, 30.0)], allow_nan=False)
    assert taken > 60


def test_ten_thousand_evaluations_and_checkpoints_cost_a_message_next_to_nothing() -> None:
    matrix = [[30, 4], [5, 60]]
    log = RunLog().take_all([start(steps=200_000, metric="matthews_correlation")])
    began = time.process_time()
    for step in range(1, 10_001):
        log.take(logged(step, 1 / step))
        log.take(evaluated(step, 1.0, accuracy=0.5 + step / 30_000, confusion=matrix))
        log.take(saved(step))
    taking_all = time.process_time() - began
    sheet = TrainingSheet([log])
    sheet.news()
    assert log.best.step == 1 and log.path_of(1) and len(log.checkpoints) == 10_000
    times = []
    for step in range(10_001, 10_021):
        for event in (logged(step, 0.1), stepped(step, float(step)), evaluated(step, 0.9, confusion=matrix)):
            log.take(event)
        log.take(saved(step))
        began = time.process_time()
        assert sheet.news() is not None
        times.append(time.process_time() - began)
    # Beside taking all of them, in the same process; the slower ones are those of a busy machine.
    assert min(times) < taking_all / 150, (min(times), taking_all)
