"""Whole runs on real windows of E. coli: each rung, stopping and going on, and what is written."""

from __future__ import annotations

import csv
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from deeds import SAME, At
from transformers import AutoTokenizer, Trainer, TrainerCallback

from biollm_widgets.dna.finetuning import finetune
from biollm_widgets.dna.finetuning.results import KEYS
from biollm_widgets.dna.splits import read_splits
from biollm_widgets.errors import InputError
from biollm_widgets.models.dnabert2 import DNABert2ForSequenceClassification, DNABert2Model

SLOW = pytest.mark.slow


def weights(folder: str | Path) -> dict[str, torch.Tensor]:
    return DNABert2ForSequenceClassification.from_pretrained(folder).state_dict()


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The run of `flags`, never stopped, in a folder of its own; what a stopped one has to come out as."""
    done = {}

    def run(flags):
        key = json.dumps({name: value for name, value in flags.items() if name != "output_dir"}, sort_keys=True)
        if key not in done:
            done[key] = finetune(**{**flags, "output_dir": str(tmp_path_factory.mktemp("whole"))})
        return done[key]

    return run


@pytest.mark.parametrize("rung", ["head", "top", "lora", "full"])
def test_every_rung_moves_its_own_layers_and_ends_in_a_model_that_gives_the_predictions_it_wrote(
    rung, flags, tiny_model
):
    if rung == "lora":
        pytest.importorskip("peft")
    result = finetune(**flags, rung=rung, top_layers=1)
    with Path(result.results, "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tokenizer = AutoTokenizer.from_pretrained(result.model)
    model = DNABert2ForSequenceClassification.from_pretrained(result.model).eval()
    batch = tokenizer(
        [row["sequence"] for row in rows], padding=True, truncation=True, max_length=40, return_tensors="pt"
    )
    with torch.no_grad():
        found = model(batch["input_ids"], batch["attention_mask"]).logits.softmax(-1).numpy()
    written = np.array([[float(row["probability_0"]), float(row["probability_1"])] for row in rows])
    np.testing.assert_allclose(found, written, atol=2e-6)
    assert result.metrics["eval_accuracy"] == np.mean([row["label"] == row["predicted"] for row in rows])

    before = DNABert2Model.from_pretrained(tiny_model, add_pooling_layer=False).state_dict()
    after = model.bert.state_dict()
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    expected = {
        "head": set(),
        "top": {name for name in before if name.startswith("encoder.layer.2.")},
        "lora": {f"encoder.layer.{layer}.attention.self.Wqkv.weight" for layer in range(3)},
        "full": set(before),
    }
    assert moved == expected[rung]


def test_the_results_have_the_published_keys_and_the_rest_lies_beside(flags, tiny_data):
    result = finetune(**flags)
    folder = Path(flags["output_dir"]) / "results" / "tiny"
    written = json.loads((folder / "eval_results.json").read_text())
    assert list(written) == list(KEYS)
    assert written == result.metrics and written["epoch"] == 2.0
    run = json.loads((folder / "run.json").read_text())
    assert run["planned_evaluations"] == len(run["evaluations"]) == 2
    losses = {entry["step"]: entry["eval_loss"] for entry in run["evaluations"]}
    assert run["best_of"] and run["step"] == min(losses, key=losses.get)
    assert run["checkpoint"].endswith(f"checkpoint-{run['step']}") and run["epoch"] == run["step"] / 11
    test = read_splits(tiny_data).test["label"].to_numpy()
    assert np.sum(run["confusion"]) == len(test)
    assert run["majority"]["accuracy"] == np.mean(test == 0)
    assert f"checkpoint-{run['step']}, step {run['step']} of 22" in result.summary()


@pytest.mark.parametrize(
    ("strategy", "step"),  # in an epoch, at its end, and where an evaluation is due
    [("steps", 3), *(pytest.param(*case, marks=SLOW) for case in [("steps", 11), ("steps", 16), ("epoch", 11)])],
)
def test_a_stopped_run_goes_on_to_the_numbers_of_one_that_was_not(step, strategy, flags, whole):
    flags["eval_strategy"] = strategy
    stop = threading.Event()
    stopped = finetune(**flags, overwrite_output_dir=True, callbacks=[At(step, stop.set)], stop=stop)
    assert not stopped.finished and stopped.last_step == step and not stopped.results
    assert not (Path(flags["output_dir"]) / "results").exists()
    result = finetune(**flags, overwrite_output_dir=True)  # the same command, overwrite included
    assert any("Going on from" in note for note in result.notes)
    expected = whole(flags)
    assert {key: result.metrics[key] for key in SAME} == {key: expected.metrics[key] for key in SAME}
    assert [(e["step"], e["eval_loss"]) for e in result.evaluations] == [
        (e["step"], e["eval_loss"]) for e in expected.evaluations
    ]
    assert result.step == expected.step


@SLOW
def test_dropout_and_the_order_of_rows_go_on_where_they_were(flags, whole, noisy_model, tmp_path):
    flags.update(model_name_or_path=str(noisy_model), gradient_accumulation_steps=2, per_device_train_batch_size=2)
    stop = threading.Event()
    finetune(**flags, callbacks=[At(8, stop.set)], stop=stop)
    finetune(**flags)
    two = weights(Path(whole(flags).results).parents[1] / "checkpoint-22")
    one = weights(tmp_path / "out" / "checkpoint-22")
    assert all(torch.equal(one[name], two[name]) for name in one)


@SLOW
def test_a_checkpoint_that_was_being_written_when_the_run_died_is_not_gone_on_with(flags, whole, monkeypatch):
    written = Trainer._save_rng_state

    def die(self, folder):
        if folder.endswith("checkpoint-16"):
            raise SystemExit("the power went")
        written(self, folder)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save_rng_state", die)
        with pytest.raises(SystemExit):
            finetune(**flags)
    half = Path(flags["output_dir"]) / "checkpoint-16"
    assert (half / "model.safetensors").exists()
    result = finetune(**flags)
    assert any("checkpoint-16 is not whole" in note for note in result.notes)
    assert any("Going on from" in note and "checkpoint-8" in note for note in result.notes)
    assert {key: result.metrics[key] for key in SAME} == {key: whole(flags).metrics[key] for key in SAME}


@SLOW
def test_a_run_that_died_before_its_test_is_only_tested(flags, whole, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("biollm_widgets.dna.finetuning.train.Run.test", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            finetune(**flags)
    steps = []
    result = finetune(**flags, callbacks=[At(22, lambda: steps.append(22))])
    assert not steps  # nothing was trained again
    assert {key: result.metrics[key] for key in SAME} == {key: whole(flags).metrics[key] for key in SAME}


def test_a_finished_run_is_refused_unless_it_may_be_overwritten(flags):
    flags["max_steps"] = 1
    finetune(**flags)
    marks = sorted(Path(flags["output_dir"]).rglob("*"))
    with pytest.raises(InputError, match="this run, finished"):
        finetune(**flags)
    assert sorted(Path(flags["output_dir"]).rglob("*")) == marks
    assert finetune(**flags, overwrite_output_dir=True).metrics


@SLOW
def test_stored_states_are_computed_once_and_not_mixed_up(flags, monkeypatch):
    from biollm_widgets.dna.finetuning import stored

    flags["num_train_epochs"] = 1
    calls = []
    compute = stored.states_to_store
    monkeypatch.setattr(stored, "states_to_store", lambda *a: calls.append(1) or compute(*a))
    finetune(**flags, rung="top", top_layers=1)
    first = len(calls)
    again = {**flags, "learning_rate": 1e-3, "overwrite_output_dir": True}
    finetune(**again, rung="top", top_layers=1)
    assert first > 0 and len(calls) == first
    finetune(**again, rung="top", top_layers=2)  # other states
    assert len(calls) == 2 * first


@SLOW
def test_length_grouping_and_gradient_checkpointing_can_be_chosen(flags):
    flags["max_steps"] = 3
    plain = finetune(**flags, group_by_length=False)
    other = finetune(**{**flags, "overwrite_output_dir": True}, group_by_length=False, checkpointing=True)
    assert plain.metrics["eval_loss"] == pytest.approx(other.metrics["eval_loss"], abs=1e-5)
    assert plain.step == 3 and not plain.best_of and "the last weights" in plain.which_weights()


@SLOW
def test_pairs_of_sequences_are_trained_on(flags, tmp_path, tiny_data):
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name, frame in read_splits(tiny_data).items():
        text = "sequence1,sequence2,label\n" + "".join(
            f"{row.sequence[:60]},{row.sequence[60:]},{row.label}\n" for row in frame.itertuples()
        )
        (folder / f"{name}.csv").write_text(text)
    result = finetune(**{**flags, "data_path": folder, "max_steps": 2})
    assert "pairs of sequences" in result.notes[0] and result.metrics


def test_a_stock_bert_is_trained_on_kmers_without_remote_code(flags, tmp_path):
    from itertools import product

    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    folder = tmp_path / "dnabert1"
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map("".join, product("ACGT", repeat=3))]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertForSequenceClassification(BertConfig(vocab_size=69, **shape)).save_pretrained(folder)
    flags.update(model_name_or_path=str(folder), max_steps=2, kmer=3)
    result = finetune(**flags)
    assert result.metrics and not any("UNK" in note for note in result.notes)
    with pytest.raises(InputError, match="--rung head is for DNABERT-2"):
        finetune(**flags, rung="head", overwrite_output_dir=True)
    with pytest.raises(InputError, match="reads 512 at most"):
        finetune(**{**flags, "model_max_length": 600, "data_path": _long(tmp_path)}, overwrite_output_dir=True)


def _long(folder: Path) -> Path:
    place = folder / "long"
    place.mkdir()
    for name in ("train", "dev", "test"):
        (place / f"{name}.csv").write_text("sequence,label\n" + f"{'ACGT' * 200},0\n{'TTGA' * 200},1\n")
    return place


def test_kmers_with_a_bpe_tokenizer_get_a_warning(flags):
    result = finetune(**{**flags, "max_steps": 1, "kmer": 6})
    assert any(note.startswith("Warning") and "6" in note for note in result.notes)


def test_a_callback_hears_the_whole_run_and_may_take_keys_out_of_the_metrics(flags):
    class Greedy(TrainerCallback):
        def __init__(self):
            self.heard = []

        def on_train_begin(self, *args, **kwargs):
            self.heard.append("begin")

        def on_evaluate(self, args, state, control, metrics, **kwargs):
            self.heard.append("evaluate")
            for name in ("epoch", "eval_runtime", "eval_samples_per_second"):
                metrics.pop(name, None)

        def on_train_end(self, *args, **kwargs):
            self.heard.append("end")

    greedy = Greedy()
    result = finetune(**{**flags, "num_train_epochs": 1}, callbacks=[greedy])
    assert greedy.heard == ["begin", "evaluate", "end", "evaluate"]
    assert list(result.metrics) == list(KEYS)


@pytest.mark.parametrize(
    ("change", "needle"),
    [
        ({"data_path": "nowhere"}, "does not exist"),
        ({"model_name_or_path": "./nowhere"}, "There is no folder"),
        ({"rung": "top", "top_layers": 3}, "give at most 2"),
        ({"rung": "lora", "lora_target_modules": "query"}, "no linear layer query"),
        ({"dataloader_drop_last": True, "per_device_train_batch_size": 64}, "leave it out"),
    ],
)
def test_a_run_that_cannot_be_made_leaves_nothing_behind(change, needle, flags):
    if change.get("rung") == "lora":
        pytest.importorskip("peft")
    with pytest.raises(InputError) as problem:
        finetune(**{**flags, **change})
    assert needle in str(problem.value)
    assert not Path(flags["output_dir"]).exists()


def test_a_run_in_bf16_leaves_the_next_one_in_float32(flags, monkeypatch):
    monkeypatch.setattr("biollm_widgets.dna.finetuning.arguments.bf16_gain", lambda: 2.0)
    flags.update(max_steps=2, rung="head", overwrite_output_dir=True)
    plain = finetune(**flags).metrics["eval_loss"]
    assert finetune(**flags, bf16=True).metrics["eval_loss"] != plain
    assert finetune(**flags).metrics["eval_loss"] == plain


def test_a_stop_before_the_first_step_leaves_a_run_that_begins_again(flags):
    stop = threading.Event()
    stop.set()
    result = finetune(**{**flags, "max_steps": 1}, rung="head", stop=stop)
    assert not result.finished and result.last_step == 0
    assert finetune(**{**flags, "max_steps": 1}, rung="head").metrics


def test_lora_without_peft_says_how_to_get_it(flags, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(InputError, match=r"python -m pip install peft"):
        finetune(**flags, use_lora=True)


def test_signals_are_listened_to_during_the_run_only(flags):
    import signal

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    during = []
    finetune(**{**flags, "max_steps": 1}, callbacks=[At(1, lambda: during.append(signal.getsignal(signal.SIGINT)))])
    assert during[0] != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_ctrl_c_saves_and_a_second_one_quits_at_once(flags):
    import signal

    from biollm_widgets.dna.finetuning import Stopped

    with pytest.raises(Stopped) as stopped:
        finetune(**flags, callbacks=[At(7, lambda: os.kill(os.getpid(), signal.SIGINT))])
    assert stopped.value.step == 7 and stopped.value.signal == signal.SIGINT
    assert Path(stopped.value.checkpoint).name == "checkpoint-7"

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as quit_:
        finetune(**flags, callbacks=[At(9, twice)])
    assert not isinstance(quit_.value, Stopped)
    assert not (Path(flags["output_dir"]) / "checkpoint-9").exists()
