"""`biollm finetune` as typed: help at once, sentences for wrong input, a result that scripts can read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer

from biollm_widgets import cli
from biollm_widgets.dna.finetuning.flags import DEFAULTS, HELP, SECTIONS
from biollm_widgets.dna.splits import Splits, write_splits
from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2ForMaskedLM


@pytest.fixture(scope="module")
def line(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A short run as words of a command line, but for its output."""
    folder = tmp_path_factory.mktemp("finetune")
    torch.manual_seed(0)
    config = DNABert2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    DNABert2ForMaskedLM(config).save_pretrained(folder / "model")
    AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer").save_pretrained(folder / "model")
    frame = pd.read_csv(shared_data / "ecoli_coding_noncoding.csv").sample(40, random_state=5)
    frame = pd.DataFrame({"sequence": frame["DNA_sequence"].str[:80], "label": frame["Target"]})
    write_splits(Splits(frame[:20], frame[20:30], frame[30:]), folder / "data")
    words = f"finetune --model_name_or_path {folder / 'model'} --data_path {folder / 'data'} --rung head --fp16"
    return f"{words} --per_device_train_batch_size 8 --evaluation_strategy steps --eval_steps 2".split()


def biollm(capsys: pytest.CaptureFixture, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.run([str(word) for word in words])
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


def test_help_lists_every_flag_with_its_default_and_loads_no_torch():
    code = (
        "import sys; from biollm_widgets.cli import main\n"
        "try: main(['finetune', '--help'], prog_name='biollm')\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'pandas'} & set(sys.modules), 'help is slow'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for name in (name for names in SECTIONS.values() for name in names):
        assert f"--{name}" in done.stdout
    assert "--learning_rate [0.0001]" in done.stdout
    assert HELP.keys() == DEFAULTS.keys()


def test_the_result_is_printed_for_people_with_the_checkpoint_it_belongs_to(line, tmp_path, capsys):
    code, out, err = biollm(capsys, *line, "--output_dir", tmp_path / "out")
    assert code == 0
    assert "Matthews correlation (MCC)" in out and "Tested: checkpoint-2, step 2 of 3" in out
    assert "--fp16 does nothing on a CPU" in err or torch.cuda.is_available()
    assert "{" not in out  # the Trainer's losses go to stderr


def test_json_is_all_there_is_on_stdout(line, tmp_path, capsys):
    code, out, _ = biollm(capsys, *line, "--json", "--output_dir", tmp_path / "out")
    assert code == 0
    result = json.loads(out)
    assert result["metrics"] == json.loads((tmp_path / "out/results/run/eval_results.json").read_text())


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        ([], "--data_path is missing"),
        (["--data_path", "nowhere"], "The data folder nowhere does not exist"),
        (["--lr", "3"], "There is no flag --lr"),
        (["--data_path", "x", "--rung", "sideways"], "--rung is one of head, top, lora, full"),
        (["stray"], "'stray' belongs to no flag"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_2(words, needle, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = biollm(capsys, "finetune", *words)
    assert code == 2 and out == ""
    (sentence,) = [text for text in err.splitlines() if text.startswith("biollm:")]
    assert needle in sentence
    assert not list(tmp_path.iterdir())
