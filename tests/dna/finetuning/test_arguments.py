"""The flags: train.py's, letter for letter, on every transformers; anything else is refused in a sentence."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
import transformers

from biollm_widgets.dna.finetuning.arguments import settle
from biollm_widgets.dna.finetuning.flags import read_words
from biollm_widgets.errors import InputError

OLD = int(transformers.__version__.split(".")[0]) < 5


def settled(line: str):
    return settle(read_words(shlex.split(line)))


@pytest.fixture(scope="module")
def chapter_flags(shared_data: Path) -> str:
    """The chapter's own command, cut out of its text."""
    text = (shared_data.parent / "chapter.rst").read_text(encoding="utf-8")
    command = text[text.index("python train.py") :]
    lines = command.splitlines()[1:]
    flags = []
    for line in lines:
        flags.append(line.strip().rstrip("\\").strip())
        if not line.rstrip().endswith("\\"):
            break
    return " ".join(flags).replace("${SCRATCH}", "scratch").replace("/--", "/ --")


def test_the_chapters_command_is_understood_letter_for_letter(chapter_flags):
    own, training, notes = settled(re.sub(r"\\", " ", chapter_flags))
    assert own.data_path == "scratch/sample_data_for_dnabert2/"
    assert (own.kmer, own.model_max_length, own.overwrite_output_dir) == (-1, 100, True)
    assert own.find_unused_parameters is False and training.ddp_find_unused_parameters is False
    assert (training.per_device_train_batch_size, training.per_device_eval_batch_size) == (8, 16)
    assert (training.learning_rate, training.num_train_epochs, training.warmup_steps) == (3e-5, 5, 50)
    assert (training.eval_strategy.value, training.eval_steps, training.save_steps) == ("steps", 200, 200)
    assert (training.logging_steps, training.log_level, training.run_name) == (100, "info", "DNABERT2_test")
    assert training.load_best_model_at_end and training.metric_for_best_model == "loss"
    if not torch.cuda.is_available():
        assert notes == ["--fp16 does nothing on a CPU: training in full precision (float32)."]
        assert training.fp16 is False


def test_defaults_are_those_of_the_published_script_and_nothing_is_reported():
    own, training, _ = settled("--data_path x")
    assert (own.kmer, own.model_max_length, own.lora_r, own.lora_alpha, own.lora_dropout) == (-1, 512, 8, 32, 0.05)
    assert (own.lora_target_modules, own.save_model, own.eval_and_save_results) == ("query,value", False, True)
    assert (training.learning_rate, training.weight_decay, training.warmup_steps) == (1e-4, 0.01, 50)
    assert (training.per_device_train_batch_size, training.per_device_eval_batch_size) == (1, 1)
    assert (training.eval_steps, training.save_steps, training.logging_steps) == (100, 100, 100)
    assert (training.save_total_limit, training.seed, training.output_dir) == (3, 42, "output")
    assert training.report_to == []


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("--evaluation_strategy epoch", "eval_strategy", "epoch"),
        ("--per_gpu_train_batch_size 4", "per_device_train_batch_size", 4),
        ("--no_cuda", "use_cpu", True),
        ("--adafactor True", "optim", "adafactor"),
        ("--no_load_best_model_at_end", "load_best_model_at_end", False),
        ("--eval-steps=7", "eval_steps", 7),
        ("--eval_steps 30", "save_steps", 30),
        ("--lr_scheduler_type cosine", "lr_scheduler_type", "cosine"),
        ("--checkpointing", "gradient_checkpointing", True),
        ("--max_steps 12", "max_steps", 12),
    ],
)
def test_flags_of_any_version_arrive_under_todays_name(line, name, value):
    _, training, _ = settled(f"--data_path x {line}")
    found = getattr(training, name)
    assert getattr(found, "value", found) == value


@pytest.mark.parametrize(
    ("line", "share"), [("--warmup_ratio 0.25", 0.25), ("--warmup_steps 0.25", 0.25), ("--warmup_steps 6", 0.06)]
)
def test_a_warm_up_is_steps_or_a_share_on_both_versions(line, share):
    _, training, _ = settled(f"--data_path x {line}")
    assert training.get_warmup_steps(100) == 100 * share


@pytest.mark.parametrize("line", ["--use_ipex", "--tpu_num_cores 8", "--fp16_opt_level O2", "--save_safetensors False"])
def test_a_flag_that_has_lost_its_effect_is_left_out_with_a_sentence(line):
    _, _, notes = settled(f"--data_path x {line}")
    assert len(notes) == 1 and line.split()[0] in notes[0] and "no effect" in notes[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is not asked")
@pytest.mark.parametrize(("gain", "used"), [(0.5, False), (2.0, True)])
def test_bf16_is_used_on_a_cpu_where_it_is_faster(gain, used, monkeypatch):
    monkeypatch.setattr("biollm_widgets.dna.finetuning.arguments.bf16_gain", lambda: gain)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")  # where TrainingArguments leaves a note for accelerate
    _, training, notes = settled("--data_path x --bf16")
    assert training.bf16 is used
    assert bool(notes) is not used and all("2.0 times slower" in note for note in notes)


def test_group_by_length_is_ours_on_both_versions():
    assert settled("--data_path x")[0].group_by_length
    assert not settled("--data_path x --group_by_length False")[0].group_by_length
    assert not settled("--data_path x --train_sampling_strategy random")[0].group_by_length


def test_use_lora_is_the_rung_lora():
    assert settled("--data_path x --use_lora")[0].rung == "lora"
    assert settled("--data_path x --use_lora False")[0].rung == "full"


@pytest.mark.parametrize(
    ("line", "needle"),
    [
        ("--data_path x --lerning_rate 3", "did you mean --learning_rate?"),
        ("--data_path x --eval_stratgy steps", "--eval_strategy?"),
        ("--learning_rate 1", "--data_path is missing"),
        ("--data_path x --learning_rate fast", "--learning_rate does not take 'fast'"),
        ("--data_path x --learning_rate -1", "--learning_rate has to be above 0"),
        ("--data_path x --fp16 maybe", "--fp16 takes True or False"),
        ("--data_path x --eval_steps 200 --save_steps 100", "round multiple"),
        ("--data_path x --evaluation_strategy hourly", "hourly"),
        ("--data_path x --metric_for_best_model auc", "matthews_correlation"),
        ("--data_path x --kmer 7", "--kmer is -1"),
        ("--data_path x --rung bottom", "head, top, lora, full"),
        ("--data_path x --rung top --use_lora", "leave one out"),
        ("--data_path x --top_layers 0", "at least 1"),
        ("--data_path x --model_max_length 2", "at least 3"),
        ("--data_path x --run_name a/b", "leave slashes out"),
        ("--data_path x --output_dir None/out", "environment variable"),
        ("--data_path x --warmup_ratio 2", "share of all steps"),
        ("--data_path x --deepspeed ds.json", "torchrun"),
        ("--data_path x --save_strategy best", "steps, epoch or no"),
        ("--data_path x --eval_strategy no --load_best_model_at_end True", "needs evaluations"),
        ("train.csv --data_path x", "'train.csv' belongs to no flag"),
        ("--data_path x --seed 1 2", "2"),
    ],
)
def test_a_wrong_flag_is_one_sentence_that_names_it(line, needle):
    with pytest.raises(InputError) as problem:
        settled(line)
    assert needle in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.skipif(OLD, reason="transformers 4 has these flags")
def test_no_flag_of_transformers_4_is_unknown_on_5(monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")  # what --logging_dir sets is taken back after the test
    gone = [
        "overwrite_output_dir",
        "per_gpu_train_batch_size",
        "per_gpu_eval_batch_size",
        "warmup_ratio",
        "logging_dir",
        "save_safetensors",
        "no_cuda",
        "use_mps_device",
        "jit_mode_eval",
        "use_ipex",
        "fp16_opt_level",
        "half_precision_backend",
        "tpu_num_cores",
        "tpu_metrics_debug",
        "past_index",
        "fsdp_min_num_params",
        "tp_size",
        "fsdp_transformer_layer_cls_to_wrap",
        "adafactor",
        "group_by_length",
        "use_legacy_prediction_loop",
        "include_inputs_for_metrics",
        "fp16_backend",
        "evaluation_strategy",
        "push_to_hub_model_id",
        "push_to_hub_organization",
        "push_to_hub_token",
        "mp_parameters",
        "ray_scope",
        "dispatch_batches",
        "split_batches",
        "include_tokens_per_second",
    ]
    values = {"evaluation_strategy": "steps", "logging_dir": "logs", "ray_scope": "last"}
    for name in gone:
        yes = name in {"overwrite_output_dir", "no_cuda", "adafactor", "group_by_length", "use_ipex"}
        value = values.get(
            name, "True" if yes else "2" if name.endswith("batch_size") else "0" if "ratio" in name else "False"
        )
        settled(f"--data_path x --{name} {value}")
