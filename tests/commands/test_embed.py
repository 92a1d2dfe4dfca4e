"""`biollm embed` as a person and as a script would use it: stopped, shared among processes, and with bad input."""

from __future__ import annotations

import gzip
import json
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import warm
from transformers import AutoTokenizer

from biollm_widgets import cli
from biollm_widgets.dna.embedding import embed
from biollm_widgets.dna.encoders import load_encoder
from biollm_widgets.models.dnabert2 import DNABert2Config, DNABert2Model


@pytest.fixture(scope="module")
def model(tmp_path_factory, shared_data):
    """A tiny DNABERT-2 with random weights and the published tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    AutoTokenizer.from_pretrained(shared_data / "dnabert2_tokenizer").save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    DNABert2Model(DNABert2Config(initializer_range=0.2, **shape)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def windows(shared_data):
    return pd.read_csv(shared_data / "ecoli_coding_noncoding.csv").iloc[:300]


@pytest.fixture
def csv(tmp_path, windows):
    path = tmp_path / "windows.csv"
    windows.iloc[:30].to_csv(path, index=False)
    return path


@pytest.fixture
def biollm(capsys, model, tmp_path, monkeypatch):
    """Run the command as the shell does, in a folder of its own; gives exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object):
        with pytest.raises(SystemExit) as end:
            cli.run(["embed", "--model", str(model), *map(str, arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


def test_a_csv_becomes_vectors_with_its_labels(biollm, csv, windows, model, tmp_path):
    status, out, _ = biollm(csv)
    assert status == 0
    assert "30 sequences (30 distinct; " in out and "Wrote windows_embeddings.npz" in out
    with np.load(tmp_path / "windows_embeddings.npz", allow_pickle=False) as stored:
        assert stored["labels"].tolist() == windows["Target"].iloc[:30].tolist()
        expected = embed(windows["DNA_sequence"].iloc[:30], *load_encoder(model), progress=False)
        assert np.abs(stored["embeddings"] - expected).max() < 1e-5


def test_json_says_what_was_done(biollm, csv):
    status, out, _ = biollm(csv, "--json", "--precision", "bf16", "--pooling", "cls", "--out", "here/v.npz")
    report = json.loads(out)
    assert status == 0 and Path("here/v.npz").exists()
    assert (report["sequences"], report["dimensions"], report["precision"]) == (30, 48, "bf16")
    assert 0.9 < report["fidelity"]["cosine_min"] < 1 and report["labels"] == "Target"


def test_fasta_is_cleaned_and_keeps_its_names(biollm, tmp_path):
    fasta = tmp_path / "genes.fa.gz"
    fasta.write_bytes(gzip.compress(b">one first\nacgtacgt\nacgt\n>two\nACGUNACGT\n"))
    status, _, err = biollm(fasta, "--out", "genes.npz")
    assert status == 0
    assert "one: " in err and "two: 1 U read as T" in err
    assert "Note: 1 tokens in 1 of 2 sequences are [UNK]" in err and "sequence 2, position 5, 'N'" in err
    with np.load("genes.npz", allow_pickle=False) as stored:
        assert stored["ids"].tolist() == ["one", "two"] and stored["embeddings"].shape == (2, 48)


def test_columns_can_be_named(biollm, tmp_path, windows):
    frame = windows.iloc[:4].rename(columns={"DNA_sequence": "read", "Target": "kind"}).assign(kind=list("abca"))
    frame.to_csv(tmp_path / "reads.csv", index=False)
    status, _, err = biollm("reads.csv")
    assert status == 2 and "no column DNA_sequence or sequence; it has 'read', 'kind'" in err
    status, _, _ = biollm("reads.csv", "--column", "read", "--label-column", "kind")
    with np.load("reads_embeddings.npz", allow_pickle=False) as stored:
        assert status == 0 and stored["labels"].tolist() == list("abca")


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, [], "There is no file in.csv"),
        ("", [], "in.csv is empty"),
        ("DNA_sequence,Target\nACGT,1\nACXT,0\n", [], "In line 3 of in.csv, position 3, 'X'"),
        ("DNA_sequence,Target\nACGT,1\n,0\n", [], "line 3 of in.csv"),
        ("DNA_sequence,Target\nACGT,1\nACGA,\n", [], "Line 3 of in.csv has no Target"),
        ("DNA_sequence,Target\nACGT,1\n", ["--column", "dna"], "no column 'dna'"),
        ("DNA_sequence,Target\nACGT,1\n", ["--label-column", "y"], "no column 'y'"),
        ("DNA_sequence,Target\nACGT,1\n", ["--out", "x.csv"], "name the output x.npz"),
        ("DNA_sequence,Target\nACGT,1\n", ["--device", "cuda:9"], "no device 'cuda:9'"),
        ("DNA_sequence,Target\nACGT,1\n", ["--max-tokens", "2"], "more than the 2 that are allowed"),
        ("DNA_sequence,Target\nACGT,1\n", ["--pooling", "median"], "Invalid value for '--pooling'"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(biollm, tmp_path, content, arguments, words):
    if content is not None:
        Path("in.csv").write_text(content)
    before = sorted(path.name for path in tmp_path.iterdir())
    status, out, err = biollm("in.csv", *arguments)
    assert status == 2 and words in err and not out and "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(biollm, tmp_path, windows, model):
    windows.to_csv(tmp_path / "all.csv", index=False)
    part = tmp_path / "all.npz.part"
    command = ["-m", "biollm_widgets.cli", "embed", "all.csv", "--model", model, "--out", "all.npz"]
    process = warm.Process(*command, "--batch-tokens", 50, folder=tmp_path)
    try:
        deadline = time.monotonic() + 240
        # Some batches, so that the stop falls between others.
        while not any(log.stat().st_size > 2000 for log in part.glob("rows-*.log")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in err
    assert "the same call goes on from there" in err and not (tmp_path / "all.npz").exists()
    kept = int(err.split("Stopped: ")[1].split(" ")[0])

    status, out, _ = biollm("all.csv", "--out", "all.npz", "--json")
    report = json.loads(out)
    # What was being written when the stop came may be lost; what was said to be kept is not.
    assert status == 0 and 0 < kept <= report["resumed"] < report["distinct"]
    assert not part.exists()
    with np.load("all.npz", allow_pickle=False) as stored:
        expected = embed(windows["DNA_sequence"], *load_encoder(model), progress=False)
        assert np.abs(stored["embeddings"] - expected).max() < 1e-5


SHARED_WORK = """
import json, os, sys
from biollm_widgets.dna.embedding import work
from biollm_widgets import cli

computed = 0
original = work.Work._vectors
def counted(self, rows, *rest):
    global computed
    computed += len(rows)
    return original(self, rows, *rest)
work.Work._vectors = counted
try:
    cli.run(sys.argv[1:])
finally:
    with open(f"rank-{os.environ['RANK']}.json", "w") as file:
        json.dump(computed, file)
"""


@pytest.mark.slow
def test_two_processes_share_the_work_and_agree_with_one(tmp_path, windows, model):
    windows.to_csv(tmp_path / "all.csv", index=False)
    command = ["-c", SHARED_WORK, "embed", "all.csv", "--model", model, "--out", "all.npz"]
    process = warm.Process(*command, folder=tmp_path, count=2)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.count("Wrote all.npz") == 1
    computed = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) - 1 for rank in (0, 1)]  # 1 to learn the width
    assert sum(computed) == windows["DNA_sequence"].nunique() and min(computed) > 0.3 * sum(computed)
    with np.load(tmp_path / "all.npz", allow_pickle=False) as stored:
        expected = embed(windows["DNA_sequence"], *load_encoder(model), progress=False)
        assert np.abs(stored["embeddings"] - expected).max() < 1e-5
    assert not (tmp_path / "all.npz.part").exists()


@pytest.mark.slow
def test_a_mistake_among_several_ends_all_processes_with_one_sentence(tmp_path, windows, model):
    windows.iloc[:5].to_csv(tmp_path / "few.csv", index=False)
    (tmp_path / "few.npz.part").mkdir()
    (tmp_path / "few.npz.part" / "plan.json").write_text('{"pooling": "max"}')  # only the first process looks there
    command = ["-m", "biollm_widgets.cli", "embed", "few.csv", "--model", model, "--out", "few.npz"]
    process = warm.Process(*command, folder=tmp_path, count=2)
    _, err = process.communicate()
    assert [rank.exitcode for rank in process.ranks] == [2, 2]  # each by itself: nobody waits for the other for ever
    assert err.count("holds the beginning of") == 1 and not (tmp_path / "few.npz").exists()
