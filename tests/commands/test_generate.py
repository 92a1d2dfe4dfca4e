"""`biollm generate` as a person and as a script would use it: files, settings, Ctrl-C, and bad prompts."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import warm

from biollm_widgets import cli
from biollm_widgets.errors import InputError
from biollm_widgets.protein.generation import Generation, generate
from biollm_widgets.sequences import read_fasta

MOTIF = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNY"  # the chapter's prompt


def as_stdin(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")


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
    monkeypatch.setattr(sys, "stdin", as_stdin(b">x\nMKTAYIAKQR\n"))
    status, out, err = biollm(*arguments, "-n", 1, "--max-length", 20, "--seed", 1, "--json")
    assert status == 0, err
    assert json.loads(out)["designs"][0]["sequence"].startswith(sequence) and told in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["MKXTA"], "position 3, 'X' stands for any residue; write one of the twenty amino acids in its place."),
        (["MK7TA"], "position 3, '7'"),
        (["MKT<script>"], "position 4, '<'"),
        ([">a\nMK\n>b\nTA"], "There are 2 records in the prompt (a, b); give one of them."),
        (["--prompt-file", "two.fasta"], "There are 2 records in two.fasta (a, b); give one of them."),
        (["--prompt-file", "many.fasta"], "There are 900 records in many.fasta (p0, p1, p2, ...); give one of them."),
        (
            ["--prompt-file", "x.fasta"],
            "In record a of x.fasta, position 5 (line 2), 'X' stands for any residue; write "
            "one of the twenty amino acids in its place.",
        ),
        (["--prompt-file", "dna.fasta"], "dna.fasta (ACGTAGCATCGGATCTATCT...) looks like DNA"),
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
        (["--temperature", "0"], "temperature is 0.0; give a number from 0.001"),
        (["-n", "0"], "n is 0; give a whole number from 1"),
        (["--out", "designs.doc"], "designs.doc ends in none of .fasta, .fa, .faa, .csv, .json"),
        (["--out", "."], ". is a folder; name a file to write to."),
        (["--out", "folder.fasta"], "folder.fasta is a folder; name a file to write to."),
        (["--save-settings", "folder.fasta"], "folder.fasta is a folder; name a file to write to."),
        (
            ["--greedy", "-n", "2"],
            "--greedy always takes the likeliest token, so the proteins of -n 2 would all be the",
        ),
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
    (tmp_path / "many.fasta").write_text("".join(f">p{i}\nMKTAY\n" for i in range(899)) + ">last\nMKX\n")
    (tmp_path / "x.fasta").write_text(">a\nMK--XTA\n")
    (tmp_path / "dna.fasta").write_text(">a\nACGTAGCATCGGATCTATCTATCGACACTTGG\n")
    (tmp_path / "folder.fasta").mkdir()
    before = sorted(tmp_path.iterdir())
    extra = [] if "--out" in arguments else ["--out", "made.fasta"]
    status, out, err = biollm(*arguments, *extra)
    assert status == 2 and out == ""
    (line,) = [line for line in err.splitlines() if line.startswith("biollm:")]
    assert sentence in line and "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.fixture
def no_model(monkeypatch):
    """Fail when anything is loaded or generated: what is wrong with the paths is said before."""

    def generated(*_, **__):
        pytest.fail("generated before the paths were checked")

    monkeypatch.setattr("biollm_widgets.protein.generation.generate", generated)
    monkeypatch.setattr("biollm_widgets.protein.generation.generate_again", generated)
    monkeypatch.setattr("biollm_widgets.commands.generate._references", generated)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "a.fasta", "--out", "sub/../a.fasta"], "sub/../a.fasta is to be written twice, with --out; give"),
        (
            ["--out", "a.json", "--save-settings", "a.json"],
            "a.json is to be written twice, by --out and --save-settings",
        ),
        (["--out", "a.json", "--alphafold3", "a.json"], "a.json is to be written twice, by --out and --alphafold3"),
        (
            ["--prompt-file", "one.fasta", "--out", "one.fasta"],
            "one.fasta is what --prompt-file reads, and --out would",
        ),
        (["--reference", "one.fasta", "--out", "link.fasta"], "link.fasta is what --reference reads, and --out would"),
        (
            ["--settings", "s.json", "--save-settings", "./s.json"],
            "s.json is what --settings reads, and --save-settings",
        ),
        (["--settings", "s.json", "--out", "s.json"], "s.json is what --settings reads, and --out would overwrite it"),
        (["--settings", "jobs/design_1.json", "--alphafold3", "jobs"], "has the name of a file that --alphafold3 jobs"),
        (
            ["--out", "jobs/design_2.json", "--alphafold3", "jobs"],
            "has the name of a file that --alphafold3 jobs writes",
        ),
        (
            ["--out", "a.json", "--alphafold3", "a.json/jobs"],
            "a.json (--out) would have to be a file and the folder of",
        ),
        (["--settings", "saved.json", "--alphafold3", "jobs"], "has the name of a file that --alphafold3 jobs writes"),
        (["--out", "one.fasta/a.fasta"], "Cannot write one.fasta/a.fasta (Not a directory); choose a place"),
        (["--out", "one.fasta/new/a.fasta"], "Cannot write one.fasta/new/a.fasta (Not a directory); choose a place"),
        (["--save-settings", "one.fasta/s.json"], "Cannot write one.fasta/s.json (Not a directory); choose a place"),
        (["--out", "a" * 300 + ".fasta"], "(File name too long); choose a place you may write to."),
        (["--alphafold3", "one.fasta"], "one.fasta is a file; name a folder for --alphafold3."),
        (["--alphafold3", "one.fasta/jobs"], "Cannot write one.fasta/jobs (Not a directory); choose a place"),
        (["--out", "new/deep/a.fasta", "--alphafold3", "one.fasta"], "one.fasta is a file"),
        (["--out", "~nobody_of_this_name/a.fasta"], "There is no home folder for ~nobody_of_this_name/a.fasta"),
    ],
)
def test_no_output_overwrites_an_input_or_another_and_places_are_tried_first(
    biollm, tmp_path, no_model, arguments, sentence
):
    (tmp_path / "one.fasta").write_text(">a\nMKTAYIAKQR\n")
    (tmp_path / "link.fasta").symlink_to("one.fasta")
    (tmp_path / "s.json").write_text("{}")
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "design_1.json").write_text("{}")
    (tmp_path / "saved.json").symlink_to("jobs/design_1.json")
    before = {path: path.is_file() and path.read_text() for path in sorted(tmp_path.rglob("*"))}
    status, out, err = biollm(*arguments)
    assert status == 2 and out == "" and sentence in err and err.count("\n") == 1, err
    assert {path: path.is_file() and path.read_text() for path in sorted(tmp_path.rglob("*"))} == before


def test_a_refusal_after_the_probe_leaves_no_folder_behind(biollm, tmp_path):
    status, _, _ = biollm("MK7", "--out", "new/a.fasta", "--save-settings", "other/s.json", "--alphafold3", "deep/jobs")
    assert status == 2 and not list(tmp_path.iterdir())


def test_a_place_that_may_not_be_written_is_told_before_generating(biollm, tmp_path, no_model):
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o500)
    # Root may write into a locked folder, and into /proc as little as anybody.
    place = "/proc" if os.access(tmp_path / "locked", os.W_OK) else "locked"
    for arguments in (["--out", f"{place}/a.fasta"], ["--alphafold3", f"{place}/jobs"]):
        status, _, err = biollm(*arguments)
        assert status == 2 and "; choose a place you may write to." in err


def test_a_tilde_is_the_home_folder_in_every_output(biollm, tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    names = ["a.fasta", "a.csv", "a.json"]
    outs = [part for name in names for part in ("--out", f"~/{name}")]
    status, _, err = biollm("-n", 1, "--max-length", 20, "--seed", 1, *outs, "--save-settings", "~/s.json",
                            "--alphafold3", "~/jobs")  # fmt: skip
    assert status == 0, err
    assert sorted(path.name for path in home.iterdir()) == sorted([*names, "s.json", "jobs"])
    assert (home / "jobs" / "design_1.json").is_file() and not (tmp_path / "~").exists()
    status, _, err = biollm("--settings", home / "s.json", "--save-settings", "~/s.json")
    assert status == 2 and "is what --settings reads" in err


SHORT = ("-n", 2, "--seed", 1, "--max-length", 30)


@pytest.mark.parametrize(
    ("problem", "status", "said"),
    [(InputError("No judging today."), 2, "biollm: No judging today."), (KeyboardInterrupt(), 130, "Stopped.")],
)
def test_judging_that_fails_loses_no_protein(biollm, monkeypatch, problem, status, said):
    _, whole, _ = biollm(*SHORT)
    fasta = whole.split("\n\n", 1)[1]

    def fails(*_, **__):
        raise problem

    monkeypatch.setattr("biollm_widgets.protein.generation.Generation.to_frame", fails)
    ended, out, err = biollm(*SHORT, "--out", "a.csv", "--save-settings", "s.json")
    assert ended == status and out == fasta and err.rstrip().endswith(said)
    assert Path("s.json").is_file() and not Path("a.csv").exists()
    ended, out, err = biollm(*SHORT, "--out", "a.csv", "--out", "a.fasta", "--alphafold3", "jobs")
    assert ended == status and out == "" and err.rstrip().endswith(said)
    assert Path("a.fasta").read_text() == fasta and len(list(Path("jobs").iterdir())) == 2


@pytest.mark.parametrize("option", ["--out", "--save-settings"])
def test_a_disk_that_fills_up_loses_no_protein(biollm, monkeypatch, option):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    for way in ("to_fasta", "to_json"):
        real = getattr(Generation, way)
        monkeypatch.setattr(Generation, way, lambda self, path=None, real=real: full() if path else real(self))
    status, out, err = biollm(*SHORT, option, "a.fasta")
    assert status == 2 and len(read_fasta(out, "protein")) == 2 and "Traceback" not in err
    assert "biollm: Cannot write a.fasta (No space left on device); choose a place you may write to." in err


@pytest.mark.parametrize(("taken", "said"), [(0, "Nothing was written into jobs"), (1, "Wrote 1 file into jobs"),
                                             (2, "Wrote 2 files into jobs")])  # fmt: skip
def test_the_jobs_of_alphafold_are_counted_as_they_were_written(biollm, monkeypatch, taken, said):
    monkeypatch.setattr(Generation, "to_alphafold3", lambda self, folder, msa_free: [{}] * taken)
    status, _, err = biollm(*SHORT, "--alphafold3", "jobs")
    assert status == 0 and said in err and err.count(" into jobs") == 1


@pytest.mark.parametrize(
    "data",
    [
        b"MKTAYIAKQR\n",
        gzip.compress(b">x\nMKTAYIAKQR\n", mtime=0),
        b"<|endoftext|>\nMKTAY\nIAKQR\n",
        b"\xef\xbb\xbfmktayiakqr",
    ],
)
def test_standard_input_may_be_letters_or_gzip(biollm, monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", as_stdin(data))
    status, out, err = biollm("-", "-n", 1, "--max-length", 20, "--seed", 1, "--json")
    assert status == 0, err
    assert json.loads(out)["designs"][0]["sequence"].startswith("MKTAYIAKQR")
    assert ("The standard input: 10 lower-case letters made capital" in err) == (b"mkt" in data)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "Standard input is empty"),
        (gzip.compress(b">x\nMKTAY\n", mtime=0)[:-9], "The standard input is a damaged gzip file"),
        (b"\x7fELF\x00\x01\x02\x00\xff", "The standard input is no readable text"),
        (b">a\nMK\n>b\nTX\n", "There are 2 records in the standard input (a, b); give one of them."),
        (
            b"<|endoftext|>\nMK\nTX\n",
            "of the standard input, position 4 (line 3), 'X' stands for any residue; write one",
        ),
    ],
)
def test_standard_input_that_is_no_prompt_is_one_sentence(biollm, monkeypatch, data, sentence):
    monkeypatch.setattr(sys, "stdin", as_stdin(data))
    status, out, err = biollm("-", "-n", 1)
    assert status == 2 and out == "" and sentence in err and err.count("\n") == 1


def test_short_dna_in_a_file_is_told_once(biollm, tmp_path):
    (tmp_path / "one.fasta").write_text(">a\nGATTACAGATTACA\n")
    status, _, err = biollm("--prompt-file", "one.fasta", *SHORT)
    assert status == 0 and err.count("if this is DNA, translate it first") == 1


STEPS_TOLD = """
import sys
from pathlib import Path
from biollm_widgets import cli
from biollm_widgets.protein.generation import decoding

steps, step = [], decoding._step
def told(*rest):
    steps.append(1)
    if len(steps) == 40:
        Path("begun").touch()
    return step(*rest)
decoding._step = told
cli.run(sys.argv[1:])
"""


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_made(tmp_path):
    command = ["generate", "-n", 200, "--max-length", 1024, "--seed", 1, "--out", "designs.fasta"]
    running = warm.Process("-c", STEPS_TOLD, *command, folder=tmp_path, BIOLLM_MODELS="embedded")
    deadline = time.monotonic() + 120
    while not (tmp_path / "begun").exists():
        assert running.poll() is None and time.monotonic() < deadline, running.said()
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert "Stand-in" in err and "cut off when you stopped" in out and "Traceback" not in err
    kept = read_fasta(tmp_path / "designs.fasta", "protein")
    assert len(kept) >= 190 and max(len(record.sequence) for record in kept) < 1600
