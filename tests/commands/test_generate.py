"""`biollm generate` as a person and as a script would use it: files, settings, Ctrl-C, and bad prompts."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from biollm_widgets import cli
from biollm_widgets.protein.generation import generate
from biollm_widgets.sequences import read_fasta

MOTIF = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"  # the chapter's prompt


@pytest.fixture
def biollm(capsys, tmp_path, monkeypatch):
    """Run the command as the shell does, in a folder of its own; gives exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIOLLM_MODELS", "embedded")

    def run(*arguments: object):
        with pytest.raises(SystemExit) as end:
            cli.run(["generate", *map(str, arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


def test_ten_proteins_come_as_a_table_a_sentence_and_fasta(biollm):
    status, out, _ = biollm("-n", 10, "--seed", 1)
    assert status == 0
    table, fasta = out.split("\n\n", 1)
    head, *rows, finding = table.split("\n")
    assert head.split()[:4] == ["perplexity", "ended", "tokens", "residues"]
    assert len(rows) == 10 and finding.startswith("10 proteins, ") and finding.endswith("Seed 1.")
    scores = [float(row.split()[1]) for row in rows]
    assert scores == sorted(scores)
    records = read_fasta(fasta, "protein")
    assert [record.name for record in records] == [f"design_{i}" for i in range(1, 11)]
    assert all("seed=1 " in record.description + " " for record in records)


def test_the_command_and_python_make_the_same_sequences(biollm, monkeypatch):
    _, out, _ = biollm(MOTIF, "-n", 4, "--seed", 11, "--max-length", 70, "--temperature", 0.9, "--json")
    here = generate(MOTIF, 4, seed=11, max_length=70, temperature=0.9)
    designs = {design["name"]: design["sequence"] for design in json.loads(out)["designs"]}
    assert [designs[f"design_{i}"] for i in range(1, 5)] == here.sequences


def test_saved_settings_make_the_same_again_and_options_go_before_them(biollm):
    biollm(MOTIF, "-n", 3, "--seed", 5, "--max-length", 60, "--out", "a.fasta", "--save-settings", "s.json")
    status, _, _ = biollm("--settings", "s.json", "--out", "b.fasta")
    assert status == 0
    first, second = (Path(name).read_text() for name in ("a.fasta", "b.fasta"))
    assert first == second and first.count(">") == 3
    biollm("--settings", "s.json", "-n", 1, "--out", "c.fasta")
    assert read_fasta("c.fasta", "protein")[0].sequence == read_fasta("a.fasta", "protein")[0].sequence
    biollm("--settings", "s.json", "--seed", 6, "--out", "d.fasta")
    assert Path("d.fasta").read_text() != first


def test_every_file_that_is_asked_for_is_written_and_readable(biollm, tmp_path):
    status, out, err = biollm("-n", 2, "--seed", 1, "--max-length", 50, "--out", "x.fasta", "--out", "x.csv", "--out",
                              "x.json", "--alphafold3", "jobs", "--msa-free")  # fmt: skip
    assert status == 0 and ">design" not in out
    assert err.count("Wrote") == 4
    frame = pd.read_csv("x.csv")
    stored = json.loads((tmp_path / "x.json").read_text())
    sequences = {record.name: record.sequence for record in read_fasta("x.fasta", "protein")}
    assert dict(zip(frame["name"], frame["sequence"], strict=True)) == sequences
    assert {design["name"]: design["sequence"] for design in stored["designs"]} == sequences
    assert stored["settings"]["seed"] == 1 and len(stored["designs"][0]["chosen_tokens"]) == 49
    jobs = [json.loads(path.read_text()) for path in sorted((tmp_path / "jobs").iterdir())]
    assert {job["sequences"][0]["protein"]["sequence"] for job in jobs} == set(sequences.values())
    assert all(job["sequences"][0]["protein"]["unpairedMsa"] == "" for job in jobs)


def test_the_nearest_known_protein_is_shown(biollm, shared_data):
    reference = shared_data / "proteins" / "UP000000625_ecoli.fasta.gz"
    status, out, _ = biollm("-n", 2, "--seed", 1, "--max-length", 40, "--reference", reference)
    assert status == 0 and "nearest" in out.split("\n")[0] and "identity" in out.split("\n")[0]


def test_greedy_makes_one(biollm):
    status, out, _ = biollm("--greedy", "--max-length", 30, "--json")
    assert status == 0
    stored = json.loads(out)
    assert len(stored["designs"]) == 1 and stored["settings"]["do_sample"] is False


@pytest.mark.parametrize(
    ("arguments", "sequence", "told"),
    [
        (["mktayiakqr"], "MKTAYIAKQR", "10 lower-case letters made capital"),
        (["MKTA YIAK QR"], "MKTAYIAKQR", "2 spaces inside taken out"),
        (["--prompt-file", "one.fasta"], "MKTAYIAKQR", ""),
        (["-"], "MKTAYIAKQR", ""),
    ],
)
def test_what_is_plain_is_repaired_and_told(biollm, monkeypatch, tmp_path, arguments, sequence, told):
    (tmp_path / "one.fasta").write_text(">one of mine\nMKTAY\nIAKQR\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO(">x\nMKTAYIAKQR\n"))
    status, out, err = biollm(*arguments, "-n", 1, "--max-length", 20, "--seed", 1, "--json")
    assert status == 0, err
    assert json.loads(out)["designs"][0]["sequence"].startswith(sequence) and told in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["MKXTA"], "position 3, 'X' stands for any residue; replace it"),
        (["MK7TA"], "position 3, '7'"),
        (["MKT<script>"], "position 4, '<'"),
        ([">a\nMK\n>b\nTA"], "There are 2 records in the prompt (a, b); give one of them."),
        (["--prompt-file", "two.fasta"], "There are 2 records in two.fasta (a, b); a prompt is one: keep that alone."),
        (["--prompt-file", "empty.fasta"], "empty.fasta is empty; give FASTA or plain letters."),
        (["--prompt-file", "none.fasta"], "There is no file none.fasta"),
        (["MK", "--prompt-file", "two.fasta"], "Give the prompt or --prompt-file, not both."),
        (["MKLV" * 500], "tokens (2,000 residues), and the model has 1,024 positions in all; give a shorter stretch"),
        (["MKLV" * 60], "shorten the prompt, or raise max_length (up to 1,024)."),
        (
            ["ACGTAGCATCGGATCTATCTATCGACACTTGG"],
            "looks like DNA, and a protein model reads residues; translate it first",
        ),
        (["--max-length", "2000"], "max_length is 2,000, and the model has 1,024 positions; give at most 1,024."),
        (["--temperature", "0"], "temperature is 0.0; give a number above 0"),
        (["-n", "0"], "n is 0; give a whole number from 1"),
        (["--out", "designs.doc"], "designs.doc ends in none of .fasta, .fa, .faa, .csv, .json"),
        (["--out", "."], "ends in none of"),
        (["--msa-free"], "--msa-free goes with --alphafold3 FOLDER."),
        (["--settings", "none.json"], "There is no file none.json"),
        (["--settings", "broken.json"], "is no JSON"),
        (["--reference", "none.fasta"], "There is no file none.fasta"),
        (["--model", "zhihan1996/DNABERT-2-117M"], "nferruz/ProtGPT2"),
        (["--model", "LongSafari/hyenadna-tiny-1k-seqlen-hf"], "hyenadna"),
        (["--device", "warp"], "There is no device 'warp' here"),
    ],
)
def test_what_cannot_be_is_one_sentence_exit_2_and_nothing_half_written(biollm, tmp_path, arguments, sentence):
    (tmp_path / "two.fasta").write_text(">a\nMK\n>b\nTA\n")
    (tmp_path / "empty.fasta").write_text("")
    (tmp_path / "broken.json").write_text('{"format": ')
    before = sorted(tmp_path.iterdir())
    extra = [] if "--out" in arguments else ["--out", "made.fasta"]
    status, out, err = biollm(*arguments, *extra)
    assert status == 2 and out == ""
    (line,) = [line for line in err.splitlines() if line.startswith("biollm:")]
    assert sentence in line and "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_made(tmp_path):
    command = [
        sys.executable,
        "-m",
        "biollm_widgets.cli",
        "generate",
        "-n",
        "200",
        "--max-length",
        "1024",
        "--seed",
        "1",
    ]
    running = subprocess.Popen(
        [*command, "--out", "designs.fasta"],
        cwd=tmp_path,
        env={**os.environ, "BIOLLM_MODELS": "embedded", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    line = running.stderr.readline()  # which model it is: said before the first token
    assert "Stand-in" in line
    time.sleep(4)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert "cut off when you stopped" in out and "Traceback" not in err
    kept = read_fasta(tmp_path / "designs.fasta", "protein")
    assert len(kept) >= 190 and max(len(record.sequence) for record in kept) < 1600
