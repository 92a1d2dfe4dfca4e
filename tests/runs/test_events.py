"""Events as lines: what is written comes back, strict JSON whatever the numbers, and no line is taken that is none."""

from __future__ import annotations

import json
import math
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
import torch

from biollm_widgets.errors import InputError
from biollm_widgets.runs.events import KEYS, check, decode, encode

EVENTS = [
    {
        **{"event": "start", "time": 1.5, "version": 1, "name": "coding", "step": 0, "steps": 375, "epochs": 5.0},
        **{"settings": {"learning_rate": 3e-5, "rung": "full", "fp16": False}, "labels": ["non-coding", "coding"]},
        **{"folder": "out", "metric": "matthews_correlation", "greater": True, "best_at_end": True},
        **{"eval_strategy": "steps", "eval_steps": 200, "resumed_from": None, "processes": 1},
    },
    {
        **{"event": "step", "time": 2.0, "step": 12, "epoch": 0.16, "samples": 96, "tokens": 4100, "active": 3.4},
        **{"training": 3.1},
        **{"memory": 2.1e9, "memory_of": "CPU", "memory_all": None},
    },
    {"event": "log", "time": 2.0, "step": 10, "epoch": 0.13, "values": {"loss": 0.66, "grad_norm": 1.2}},
    {"event": "phase", "time": 3.0, "phase": "evaluating", "step": 200, "done": 12, "of": 40},
    {
        **{"event": "evaluation", "time": 4.0, "step": 200, "epoch": 2.67, "values": {"loss": 0.44, "accuracy": 0.7}},
        **{"confusion": [[149, 24], [52, 25]], "during": True},
    },
    {
        **{"event": "checkpoint", "time": 5.0, "step": 200, "path": "out/checkpoint-200"},
        **{"best_step": 200, "best_value": 0.44, "kept": [100, 200]},
    },
    {"event": "say", "time": 6.0, "words": "Plan: 375 steps – a line with “quotes”, an é\nand a second line"},
    {
        **{"event": "end", "time": 7.0, "state": "stopped", "step": 312, "words": ["Stopped at step 312."]},
        **{"checkpoint": "out/checkpoint-312", "holds": 312, "resume": 'await progress.fit(trainer, "out")'},
        **{"kept": None},
    },
]


def strict(line: str) -> object:
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(line, parse_constant=refuse)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["event"])
def test_an_event_comes_back_as_it_was_from_one_line(event):
    line = encode(event)
    assert "\n" not in line and line.isascii()
    assert strict(line) == event
    assert decode(line) == decode(line.encode()) == check(event) == event
    assert set(event) == {"event", *KEYS[event["event"]]}  # the sample has every key there is


def test_numbers_that_are_none_are_texts_in_the_file_and_numbers_again_where_numbers_belong():
    values = {"loss": math.nan, "up": math.inf, "down": -math.inf, "half": np.float32("nan"), "fine": 0.5}
    line = encode({"event": "log", "time": 1, "step": 1, "epoch": math.nan, "values": values})
    assert strict(line)["values"] == {"loss": "NaN", "up": "Infinity", "down": "-Infinity", "half": "NaN", "fine": 0.5}
    event = decode(line)
    assert event["epoch"] is None and math.isnan(event["values"]["loss"]) and math.isnan(event["values"]["half"])
    assert event["values"]["up"] == math.inf and event["values"]["down"] == -math.inf
    best = decode(encode({"event": "checkpoint", "time": 1, "step": 1, "path": "NaN", "best_value": math.nan}))
    assert best["path"] == "NaN" and best["best_value"] is None
    start = {"event": "start", "time": 1, "name": "Infinity", "settings": {"run_name": "NaN", "deep": [[math.inf]]}}
    strict(encode(start))
    assert decode(encode(start))["name"] == "Infinity" and decode(encode(start))["settings"]["run_name"] == "NaN"
    assert decode(encode({"event": "say", "time": 1, "words": "NaN"}))["words"] == "NaN"


def test_whatever_a_setting_is_the_line_is_json():
    class Kind(str, Enum):
        STEPS = "steps"

    class Plain(Enum):
        A = 3

    ring: dict = {"inside": 1}
    ring["ring"] = ring
    settings = {
        **{"path": Path("out/a"), "rate": np.float32(0.5), "n": np.int64(3), "flag": np.bool_(True), "ring": ring},
        **{"row": np.arange(2), "tensor": torch.tensor(1.5), "kind": Kind.STEPS, "plain": Plain.A, "set": {"b", "a"}},
        **{"dtype": torch.float32, 7: "a key that is a number", (1, 2): "one that is none", "bad": "\udce9"},
    }
    found = decode(encode({"event": "start", "time": 1, "settings": settings}))["settings"]
    assert (found["path"], found["rate"], found["n"], found["flag"]) == ("out/a", 0.5, 3, True)
    assert (found["row"], found["tensor"], found["kind"], found["plain"]) == ([0, 1], 1.5, "steps", 3)
    assert (found["set"], found["dtype"], found["bad"]) == (["a", "b"], "torch.float32", "\udce9")
    assert found["7"] and found["(1, 2)"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "no JSON"),
        ('{"event":"log","ti', "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("1" * 5_000, "no"),
        (b"\xff\xfe\x00", "no JSON"),
        ("[1, 2]", "no event of a run"),
        ('{"time": 3}', "no event of a run"),
        ('{"event": 3, "time": 3}', "no event of a run"),
        ('{"event":"log","time":1,"values":{}}', 'no "step"'),
        ('{"event":"log","time":1,"step":"NaN","values":{}}', '"step" of this log event is not a whole number'),
        ('{"event":"log","time":1,"step":true,"values":{}}', '"step" of this log event is not a whole number'),
        ('{"event":"log","time":1,"step":1,"values":[]}', '"values" of this log event is not an object'),
        ('{"event":"log","time":1,"step":1,"epoch":"one","values":{}}', "is not a number or null"),
        (
            '{"event":"log","time":1,"step":1' + "0" * 30 + ',"values":{}}',
            '"step" of this log event is out of all bounds',
        ),
        ('{"event":"log","time":1,"step":-5,"values":{}}', '"step" of this log event is below 0'),
        ('{"event":"end","time":1,"step":1,"state":"lost","words":[]}', "finished, stopped, failed"),
        ('{"event":"end","time":1,"step":1,"state":"failed","words":[3]}', "are not all texts"),
        ('{"event":"start","time":1,"settings":{},"labels":[0]}', "are not all texts"),
    ],
)
def test_a_line_that_is_no_event_is_refused_with_the_reason(line, reason):
    with pytest.raises(InputError) as problem:
        decode(line)
    assert reason in str(problem.value) and len(str(problem.value)) < 300


def test_what_a_newer_version_adds_is_passed_on_and_what_was_left_out_is_filled_in():
    new = {"event": "weather", "time": "today", "step": [1]}
    assert decode(encode(new)) == new
    more = decode(
        '{"event":"log","time":1,"step":1,"values":{"loss":1,"note":"odd","gone":null},"wind":{"from":"NaN"}}'
    )
    assert more["wind"] == {"from": "NaN"} and more["values"] == {"loss": 1} and more["epoch"] is None
    given = {"event": "log", "time": 1, "step": 1, "values": {"loss": "NaN"}}
    assert check(given)["epoch"] is None and given == {**given, "values": {"loss": "NaN"}} and "epoch" not in given
    start = decode('{"event":"start","time":1,"settings":{}}')
    assert set(start) == {"event", *KEYS["start"]} and start["steps"] is None and start["processes"] == 1


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, "NaN", 10**400, 2**53, 1e300])
def test_a_number_that_is_none_or_out_of_all_bounds_is_as_good_as_unknown(odd):
    known = ("epoch", "samples", "tokens", "active", "training", "memory", "memory_all")
    event = check({"event": "step", "time": odd, "step": 3, **dict.fromkeys(known, odd)})
    assert event["time"] == 0 and [event[name] for name in known] == [None] * 7
    start = check({"event": "start", "time": 1, "settings": {"n": odd}, "steps": 5, "epochs": odd, "eval_steps": odd})
    assert start["epochs"] is None and start["eval_steps"] is None and len(f"{start['settings']['n']}") < 500
    assert check({"event": "checkpoint", "time": 1, "step": 1, "path": "a", "best_value": odd})["best_value"] is None


def test_a_whole_number_that_is_too_large_for_a_float_is_left_out_of_the_values():
    values = {"loss": 10**400, "accuracy": 1, "far": 10**30, "odd": -math.inf}
    found = check({"event": "evaluation", "time": 1, "step": 1, "values": values})["values"]
    assert found == {"accuracy": 1, "far": 10**30, "odd": -math.inf}


def test_a_plan_without_an_end_plans_no_epochs():
    endless = {"event": "start", "time": 1, "settings": {}, "epochs": 9.223372036854776e18, "steps": -1}
    assert check(endless)["epochs"] is None and check(endless)["steps"] is None
    assert check({**endless, "epochs": 2e9})["epochs"] is None and check({**endless, "epochs": 3})["epochs"] == 3


@pytest.mark.parametrize(
    "rows",
    [
        *([[1, 2]], [1], [["a"]], [[0.5, 1.5], [1, 1]], [[-5, 1], [1, 1]], [[math.nan, 1], [1, 1]], [[True]], [], "no"),
        *([[10**30, 1], [1, 1]], [[2**52, 2**52], [1, 1]], [[0] * 101 for _ in range(101)], {"a": 1}, 7),
    ],
)
def test_a_matrix_that_is_none_is_left_out_and_the_scores_beside_it_are_not(rows):
    event = check({"event": "evaluation", "time": 1, "step": 1, "values": {"loss": 0.5}, "confusion": rows})
    assert event["confusion"] is None and event["values"] == {"loss": 0.5}


def test_batches_and_checkpoints_that_were_counted_oddly_are_not_known():
    given = {"event": "phase", "time": 1, "phase": "evaluating", "of": 5}
    assert [check(given)[name] for name in ("done", "of")] == [None, 5]
    for done in (math.nan, 0.5, -1, 10**400):
        assert [check({**given, "done": done})["done"], check({**given, "of": done})["of"]] == [None, None]
    for kept in ([1, None], ["a"], [-1], [0.5], "x"):
        assert check({"event": "checkpoint", "time": 1, "step": 1, "path": "a", "kept": kept})["kept"] is None


def test_a_history_holds_what_a_history_holds():
    deep = {"event": "history", "time": 1, "events": []}
    for _ in range(200):
        deep = {"event": "history", "time": 1, "events": [deep, 3, {"event": ["log"]}]}
    assert check(deep)["events"] == []
