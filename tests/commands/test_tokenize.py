"""`biollm tokenize` as a person and as a script would use it, with bad input too."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import click
import pytest
from tokenizers import Tokenizer, models

from biollm_widgets import cli
from biollm_widgets.commands.tokenize import command
from biollm_widgets.models import locate as locating
from biollm_widgets.models.locate import ModelPath

EXAMPLE = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"
IDS = [1, 5, 194, 32, 757, 1239, 2092, 294, 24, 359, 88, 93, 32, 75, 77, 19, 2]


@pytest.fixture
def biollm(capsys):
    """Run the command as the shell does; gives exit status, stdout and stderr."""

    def run(*arguments: object):
        with pytest.raises(SystemExit) as end:
            cli.run(["tokenize", *map(str, arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


@pytest.fixture
def dnabert2(shared_data):
    return shared_data / "dnabert2_tokenizer"


def test_the_worked_example_as_a_table(biollm, dnabert2):
    status, out, _ = biollm(EXAMPLE, "--tokenizer", dnabert2)
    assert status == 0
    rows = [line.split() for line in out.splitlines()[1:18]]
    assert [int(row[1]) for row in rows] == IDS
    assert rows[5] == ["TCTATCTA", "1239", "13", "21"]
    assert rows[0] == ["[CLS]", "1", "0", "0", "special"]
    assert "59 bases became 15 tokens, 3.9 bases each, 0 unknown." in out
    widths = {line.index(row[1]) + len(row[1]) for line, row in zip(out.splitlines()[1:18], rows, strict=True)}
    assert len(widths) == 1  # numbers stand under each other


def test_merges_are_listed_and_are_in_the_json(biollm, dnabert2):
    _, out, _ = biollm(EXAMPLE, "--tokenizer", dnabert2, "--merges")
    assert "G+G (6), T+C (7), GG+A (24), TC+GGA (748)" in out
    _, out, _ = biollm(EXAMPLE, "--tokenizer", dnabert2, "--merges", "--json")
    (record,) = json.loads(out)["records"]
    assert [token["id"] for token in record["tokens"]] == record["ids"] == IDS
    assert [step["merged"] for step in record["tokens"][4]["merges"]] == ["GG", "TC", "GGA", "TCGGA"]


def test_a_fasta_file_of_several_records_to_a_json_file(biollm, tmp_path):
    fasta, out = tmp_path / "genes.fa.gz", tmp_path / "tokens.json"
    fasta.write_bytes(gzip.compress(b">a first\nacgt\nac\n>b\nGGGNG\n>a\nTTTT\n"))
    status, shown, told = biollm("--fasta", fasta, "--kmer", 3, "--json", "--out", out)
    assert (status, shown) == (0, "")
    assert "Wrote the tokens of 3 records" in told
    assert "a: 6 lower-case letters made capital (positions 1-6)" in told
    content = json.loads(out.read_text())
    assert [record["name"] for record in content["records"]] == ["a", "b", "a_2"]
    assert content["records"][0]["sequence"] == "ACGTAC"
    assert content["records"][0]["repairs"][0]["positions"] == [[1, 6]]
    assert content["records"][0]["description"] == "first"
    assert content["records"][1]["unknown"] == 2
    assert content["tokenizer"] == "3-mers"


def test_standard_input_is_read_and_the_records_have_titles(dnabert2):
    text = ">a\nACGT\n>b\nTTTT\n"
    done = subprocess.run(
        [sys.executable, "-m", "biollm_widgets.cli", "tokenize", "-", "--tokenizer", str(dnabert2)],
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    shown = done.stdout.decode()
    assert shown.index("> a") < shown.index("4 bases became") < shown.index("> b")


def test_proteins_are_given_in_lines_of_sixty(biollm, shared_data):
    residues = "MKTAYIAKQRQISFVKSHFSRQDILDLWIYHTQGYFPDWQNYYLEHLNFMLQDLHPGSSLPLILE"
    options = ["--protein", "--tokenizer", shared_data / "protgpt2_tokenizer", "--json"]
    _, out, _ = biollm(residues, *options)
    (record,) = json.loads(out)["records"]
    assert record["sequence"] == residues
    assert record["text"] == f"{residues[:60]}\n{residues[60:]}"
    assert [token["start"] for token in record["tokens"] if token["id"] == 199] == [60]
    _, out, _ = biollm(residues, *options, "--wrap", 0)
    assert 199 not in json.loads(out)["records"][0]["ids"]
    _, out, _ = biollm(residues + "*", *options[:-1])
    assert "\\n" in out
    assert "65 residues became" in out


def test_as_is_shows_what_an_uncleaned_text_does(biollm, dnabert2):
    _, out, err = biollm("acgU N", "--tokenizer", dnabert2, "--as-is")
    assert err == ""
    assert "unknown: lower case" in out
    assert "U is RNA" in out
    _, out, err = biollm("acgU", "--tokenizer", dnabert2)
    assert "0 unknown" in out
    assert "1 U read as T (position 4)" in err


def test_letters_one_by_one(biollm):
    _, out, _ = biollm("ACGN", "--char")
    assert "4 bases became 4 tokens, 1.0 base each, 1 unknown." in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give a sequence, or --fasta"),
        (["ACGT", "--fasta", "x.fa"], "one of them"),
        (["ACGX", "--char"], "position 4, 'X' is no base"),
        (["MKTLLV", "--char"], "--protein"),
        (["MK*L", "--char", "--protein"], "position 3, '*' is a stop"),
        (["--fasta", "nofile.fa", "--char"], "There is no file nofile.fa"),
        (["dir/genes.fa", "--char"], "--fasta dir/genes.fa"),
        (["ACGT", "--char", "--kmer", "3"], "Choose one"),
        (["ACGT", "--kmer", "0"], "1 to 12 bases"),
        (["ACGT", "--kmer", "3", "--protein"], "--kmer reads DNA"),
        (["ACGT", "--kmer", "3", "--merges"], "--merges needs a BPE"),
        (["ACGT", "--char", "--wrap", "-1"], "--wrap takes 0 or more"),
        (["ACGT", "--tokenizer", "./nowhere"], "There is no folder ./nowhere"),
        (["", "--char"], "no letters"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_two(biollm, arguments, words):
    status, out, err = biollm(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_files_that_are_no_tokenizer_are_named(biollm, tmp_path):
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    status, _, err = biollm("ACGT", "--tokenizer", tmp_path)
    assert status == 2
    assert "tokenizer.json is no tokenizer file" in err
    broken.unlink()
    (tmp_path / "config.json").write_text("{}")
    status, _, err = biollm("ACGT", "--tokenizer", tmp_path)
    assert status == 2
    assert "holds no tokenizer" in err


def test_nothing_is_written_when_a_record_is_refused(biollm, tmp_path):
    (tmp_path / "x.fa").write_text(">a\nACGT\n>b\nAC7T\n")
    status, _, err = biollm("--fasta", tmp_path / "x.fa", "--char", "--out", tmp_path / "out.txt")
    assert status == 2
    assert "In record b" in err
    assert [file.name for file in tmp_path.iterdir()] == ["x.fa"]


def test_merges_of_a_tokenizer_without_any_are_refused_before_a_word_is_written(biollm, tmp_path):
    words = Tokenizer(models.WordPiece({"[UNK]": 0, "ACGT": 1}, unk_token="[UNK]"))
    words.save(str(tmp_path / "tokenizer.json"))
    status, out, err = biollm("ACGT", "--tokenizer", tmp_path, "--merges", "--json")
    assert (status, out) == (2, "")
    assert "WordPiece, not BPE" in err


def test_a_chromosome_is_refused_before_the_memory_is_gone(biollm, tmp_path):
    (tmp_path / "x.fa").write_text(">short\nACGT\n>chr\n" + "ACGT" * 250_001 + "\n")
    status, out, err = biollm("--fasta", tmp_path / "x.fa", "--char")
    assert (status, out) == (2, "")
    assert "chr has 1,000,004 letters" in err


def test_neither_torch_nor_transformers_is_loaded(dnabert2):
    code = (
        "import sys; from biollm_widgets.commands.tokenize import command; "
        f"command.main(['ACGTACGT', '--tokenizer', {str(dnabert2)!r}, '--merges'], standalone_mode=False); "
        "sys.exit(bool({'torch', 'transformers', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_help_names_every_option():
    assert {option for parameter in command.params for option in parameter.opts} >= {
        "--fasta", "--tokenizer", "--kmer", "--char", "--protein", "--wrap", "--as-is", "--merges", "--json", "--out",
    }  # fmt: skip
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


@pytest.mark.parametrize(("options", "name"), [((), "zhihan1996/DNABERT-2-117M"), (("--protein",), "nferruz/ProtGPT2")])
def test_the_tokenizer_is_that_of_the_chapters_model_unless_named(biollm, shared_data, monkeypatch, options, name):
    asked = []

    def from_here(name, weights):
        assert not weights  # a tokenizer is enough: no gigabytes for it
        asked.append(name)
        folder = "protgpt2_tokenizer" if "Prot" in name else "dnabert2_tokenizer"
        return ModelPath(str(shared_data / folder), name, "folder", "here")

    monkeypatch.setattr(locating, "locate", from_here)
    status, out, _ = biollm("ACGTACGT", *options, "--json")
    assert (status, asked, json.loads(out)["tokenizer"]) == (0, [name], name)
