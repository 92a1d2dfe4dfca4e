"""What leaves the package can be read back, by us and by the programs it is meant for."""

from __future__ import annotations

import io
import json
import math
import random
import re

import numpy as np
import pandas as pd
import pytest
from Bio import SeqIO

from biollm_widgets.errors import InputError
from biollm_widgets.protein.export import (
    Entry,
    parse_header,
    safe_name,
    settings_from_json,
    settings_to_json,
    to_alphafold3,
    to_alphafold_server,
    to_csv,
    to_fasta,
    write_alphafold3,
    write_alphafold_server,
    write_csv,
    write_fasta,
    write_settings,
)
from biollm_widgets.sequences import AMINO_ACIDS, read_fasta

SETTINGS = {
    "model": "nferruz/ProtGPT2",
    "prompt": "",
    "max_length": 100,
    "do_sample": True,
    "top_k": 950,
    "top_p": 1.0,
    "temperature": 0.1 + 0.2,
    "repetition_penalty": 1.2,
    "seed": 7,
    "eos_token_id": [0],
    "precision": None,
}
NASTY = [
    "",
    "two words",
    "a=b c=d",
    'say "no"',
    "line\nbreak\r\n",
    "tab\t",
    "\u2028",
    "ü",
    "true",
    "null",
    "NaN",
    "1.5",
    "007",
    "1" * 5000,
    "[1]",
    "{",
    ">x",
    "\\",
    "<|endoftext|>\nMKT",
]


@pytest.fixture
def designs(shared_data):
    records = read_fasta(shared_data / "proteins/protgpt2_model_card_10.fasta", "protein")
    return [
        Entry(r.name, r.sequence, {"residues": len(r), "finished": False, "perplexity": 8.3123456789}) for r in records
    ]


# --- FASTA


def test_fasta_is_read_back_by_us_and_by_biopython(designs):
    text = to_fasta(designs, SETTINGS)
    ours = read_fasta(text, "protein")
    theirs = list(SeqIO.parse(io.StringIO(text), "fasta"))
    assert len(ours) == len(theirs) == len(designs) == 10
    for design, record, biopython in zip(designs, ours, theirs, strict=True):
        assert record.name == biopython.id == design.name
        assert record.sequence == str(biopython.seq) == design.sequence
        assert record.repairs == ()
        name, found = parse_header(biopython.description)
        assert name == design.name
        assert found == {"residues": len(design.sequence), "finished": False, "perplexity": 8.31235, **SETTINGS}
        assert parse_header(f"{record.name} {record.description}") == (name, found)
    lines = text.splitlines()
    assert max(len(line) for line in lines if not line.startswith(">")) == 60
    assert lines[0].startswith(">protgpt2_modelcard_1 residues=274 finished=false perplexity=8.31235 model=nferruz/")


def test_any_text_in_a_header_stays_on_its_line_and_comes_back():
    facts = {f"fact_{i}": text for i, text in enumerate(NASTY)}
    settings = {"list": NASTY, "nested": {"a b": [1, None, 0.1]}, "integer": 10**30, "tiny": 5e-324, "minus": -0.0}
    text = to_fasta([Entry("x", "MKT", facts), Entry("y", "MKT", facts)], settings)
    assert len(text.splitlines()) == 4
    for record in read_fasta(text, "protein"):
        _, found = parse_header(f">{record.name} {record.description}")
        assert found == {**facts, **settings}
        assert [type(value) for value in found.values()] == [type(v) for v in {**facts, **settings}.values()]
        assert math.copysign(1, found["minus"]) == -1


def test_numbers_of_numpy_and_none_of_a_number_pass():
    facts = {"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": float("nan")}
    _, found = parse_header(to_fasta([Entry("x", "MKT", facts)]).splitlines()[0])
    assert (found["a"], found["b"], found["c"]) == (0.5, 3, True) and math.isnan(found["d"])
    assert type(found["b"]) is int and type(found["c"]) is bool


@pytest.mark.parametrize(
    ("entries", "settings", "words"),
    [
        ([Entry("a", "")], {}, "a has no residues"),
        ([Entry("a", "MK"), Entry("a", "MK")], {}, "Two sequences have the name a"),
        ([Entry("design 1", "MK")], {}, "write design_1"),
        ([Entry("", "MK")], {}, "cannot be a name"),
        ([Entry(">>", "MK")], {}, "cannot be a name"),
        ([Entry("a\nb", "MK")], {}, "write a_b"),
        ([Entry("a", "MK", {"seed": 1})], {"seed": 1}, "seed is both a fact about a and a setting"),
        ([Entry("a", "MK", {"a b": 1})], {}, "'a b' cannot be a key"),
        ([Entry("a", "MK", {"x": {1, 2}})], {}, "The value of x is set"),
        ([Entry("a", "MK", {"x": {1: 2}})], {}, "has a key that is no text"),
    ],
)
def test_what_cannot_be_a_fasta_record_is_refused_in_a_sentence(entries, settings, words):
    with pytest.raises(InputError, match=words) as problem:
        to_fasta(entries, settings)
    assert "\n" not in str(problem.value)


def test_designs_without_residues_can_be_skipped():
    text = to_fasta([Entry("a", ""), Entry("b", "MK")], empty="skip")
    assert text == ">b\nMK\n"
    assert to_fasta([], SETTINGS) == ""
    with pytest.raises(InputError, match="refuse or skip"):
        to_fasta([], empty="drop")


@pytest.mark.parametrize("header", ["x y", "x a=1 b", 'x a="open', "x a=1  b=2", "x 1a=2"])
def test_a_header_that_is_not_ours_is_refused(header):
    with pytest.raises(InputError, match="In the header of x"):
        parse_header(header)


def test_a_header_without_facts_is_a_name():
    assert parse_header(">x") == parse_header("x") == ("x", {})


def test_a_refused_fasta_leaves_no_file(tmp_path):
    with pytest.raises(InputError):
        write_fasta([Entry("a", "MK"), Entry("b", "")], SETTINGS, tmp_path / "x.fasta")
    assert list(tmp_path.iterdir()) == []
    path = write_fasta([Entry("a", "MK")], None, tmp_path / "x.fasta")
    assert path.read_bytes() == b">a\nMK\n"


# --- CSV


def test_csv_comes_back_number_for_number(tmp_path):
    frame = pd.DataFrame(
        {
            "name": ["a", "b,c", 'd"e', "ü"],
            "perplexity": [0.1 + 0.2, np.nan, 1e-300, 3.0],
            "finished": [True, False, True, False],
            "residues": [1, 2, 3, 4],
            "flags": ["", "x; y", "-starts with a dash", "two\nlines"],
        }
    )
    path = write_csv(frame, tmp_path / "x.csv")
    back = pd.read_csv(path, float_precision="round_trip", keep_default_na=False, na_values={"perplexity": [""]})
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)
    assert to_csv(frame).splitlines()[0] == "name,perplexity,finished,residues,flags"


def test_only_a_persons_text_is_kept_from_running_as_a_formula():
    frame = pd.DataFrame(
        {"name": ["=1+2", "+x", "-x", "@x", "\tx", "ok"], "charge": [-1.5] * 6, "flags": ["-a"] * 6, "n": [1] * 6}
    )
    rows = to_csv(frame).splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["'=1+2", "'+x", "'-x", "'@x", "'\tx", "ok"]
    assert all(row.endswith(",-1.5,-a,1") for row in rows)
    assert frame["name"].iloc[0] == "=1+2"  # the table itself is left alone
    assert to_csv(frame, text_columns=("flags",)).splitlines()[1] == "=1+2,-1.5,'-a,1"
    empty = pd.DataFrame({"name": pd.Series([None, "=a"], dtype="string")})
    assert to_csv(empty) == 'name\n""\n\'=a\n'


# --- AlphaFold 3

# What google-deepmind/alphafold3, src/alphafold3/common/folding_input.py, accepts (`Input.from_json`).
TOP_KEYS = {"dialect", "version", "name", "modelSeeds", "sequences", "bondedAtomPairs", "userCCD"}
PROTEIN_KEYS = {"id", "sequence", "modifications", "unpairedMsa", "pairedMsa", "templates"}


def accepted_by_alphafold3(job):
    """The checks of AlphaFold 3's own reader, for version 1."""
    assert set(job) <= TOP_KEYS
    assert job["dialect"] == "alphafold3" and type(job["version"]) is int and job["version"] in (1, 2, 3)
    assert job["modelSeeds"] and all(type(s) is int and 0 <= s < 2**32 for s in job["modelSeeds"])
    assert job["name"].strip() and re.fullmatch(r"[A-Za-z0-9_.-]+", job["name"])
    ids = []
    for sequence in job["sequences"]:
        assert list(sequence) == ["protein"]
        protein = sequence["protein"]
        assert set(protein) <= PROTEIN_KEYS
        assert set(protein["sequence"]) <= set(AMINO_ACIDS)
        assert (protein.get("unpairedMsa") is None) == (protein.get("pairedMsa") is None)
        assert protein.get("templates") is None or isinstance(protein["templates"], list)
        ids += protein["id"] if isinstance(protein["id"], list) else [protein["id"]]
    assert all(re.fullmatch("[A-Z]+", chain) for chain in ids) and len(set(ids)) == len(ids)
    return True


def test_a_job_has_the_documented_fields_and_nothing_else():
    job = to_alphafold3(Entry("design_1", "MKT"), model_seeds=(1, 2))
    assert job == {
        "name": "design_1",
        "modelSeeds": [1, 2],
        "sequences": [{"protein": {"id": "A", "sequence": "MKT"}}],
        "dialect": "alphafold3",
        "version": 1,
    }


def test_a_job_without_msa_sets_both_msas_and_the_templates():
    protein = to_alphafold3(Entry("x", "MKT"), msa_free=True)["sequences"][0]["protein"]
    assert (protein["unpairedMsa"], protein["pairedMsa"], protein["templates"]) == ("", "", [])


def test_copies_are_chains_named_as_alphafold_names_them():
    protein = to_alphafold3(Entry("x", "MKT"), copies=3)["sequences"][0]["protein"]
    assert protein["id"] == ["A", "B", "C"]
    many = to_alphafold3(Entry("x", "MKT"), copies=800)
    ids = many["sequences"][0]["protein"]["id"]
    assert ids[24:30] == ["Y", "Z", "AA", "BA", "CA", "DA"]  # docs/input.md, "Sequence IDs"
    assert ids[26 + 26 * 26 : 26 + 26 * 26 + 2] == ["AAA", "BAA"]
    assert accepted_by_alphafold3(many)


def test_the_model_card_designs_make_one_accepted_file_each(designs, tmp_path):
    paths = write_alphafold3(designs, tmp_path / "jobs", model_seeds=range(3), msa_free=True)
    assert [path.name for path in paths] == [f"{design.name}.json" for design in designs]
    for path, design in zip(paths, designs, strict=True):
        job = json.loads(path.read_text())
        assert accepted_by_alphafold3(job)
        assert job["name"] == path.stem and job["modelSeeds"] == [0, 1, 2]
        assert job["sequences"][0]["protein"]["sequence"] == design.sequence


def test_names_become_safe_and_stay_different(tmp_path):
    names = ["sp|P1|X Y", "sp P1 X/Y", "SP_P1_X_Y", "../../etc", "con", "ü é", "a" * 300, "a" * 301]
    entries = [Entry(name, "MKT") for name in names if safe_name(name)]
    assert len(entries) == len(names) - 1  # nothing is left of "ü é"
    paths = write_alphafold3(entries, tmp_path)
    assert all(path.parent == tmp_path and path.is_file() for path in paths)
    assert [path.stem for path in paths][:5] == ["sp_P1_X_Y", "sp_P1_X_Y_2", "SP_P1_X_Y_3", "etc", "design_con"]
    assert len({path.stem.casefold() for path in paths}) == len(paths)
    assert all(len(path.name) < 110 for path in paths)
    for path in paths:
        assert json.loads(path.read_text())["name"] == path.stem
    with pytest.raises(InputError, match="Nothing is left of the name 'ü é'"):
        to_alphafold3(Entry("ü é", "MKT"))


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        ("", "x has no residues"),
        ("MKXT", r"In x, position 3, 'X' \(any residue\) is none of the twenty.*put the residue you mean"),
        ("MKU", r"In x, position 3, 'U' \(selenocysteine\).*put C in its place"),
        ("MKtW", "In x, position 3, 't' is lower case"),
        ("MK*", r"In x, position 3, '\*' is none of the twenty"),
        ("M\nK", r"In x, position 2, '\\n'"),
    ],
)
def test_a_letter_that_alphafold_does_not_take_is_named_with_its_place(sequence, words, tmp_path):
    for write in (to_alphafold3, lambda entry: to_alphafold_server([entry])):
        with pytest.raises(InputError, match=words) as problem:
            write(Entry("x", sequence))
        assert "\n" not in str(problem.value)
    with pytest.raises(InputError):
        write_alphafold3([Entry("first", "MKT"), Entry("x", sequence)], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seeds", [(), (-1,), (2**32,), (1, 1), (1.5,), ("7",), (True,), "7"])
def test_seeds_outside_the_range_are_refused(seeds):
    with pytest.raises(InputError, match="seed"):
        to_alphafold3(Entry("x", "MKT"), model_seeds=seeds)


def test_seeds_at_the_ends_of_the_range_pass():
    job = to_alphafold3(Entry("x", "MKT"), model_seeds=(np.int64(0), 2**32 - 1))
    assert job["modelSeeds"] == [0, 2**32 - 1] and type(job["modelSeeds"][0]) is int
    assert to_alphafold3(Entry("x", "MKT"), model_seeds=5)["modelSeeds"] == [5]
    for copies in (0, -1, True, 1.0):
        with pytest.raises(InputError, match="copies"):
            to_alphafold3(Entry("x", "MKT"), copies=copies)
    for write in (lambda: write_alphafold3([], "x"), lambda: to_alphafold_server([])):
        with pytest.raises(InputError, match="no designs"):
            write()


def test_server_jobs_are_a_list_with_the_documented_fields(designs, tmp_path):
    jobs = json.loads(
        write_alphafold_server(designs, tmp_path / "jobs.json", model_seeds=(4273,), copies=2).read_text()
    )
    assert isinstance(jobs, list) and len(jobs) == 10
    assert jobs[0] == {
        "name": "protgpt2_modelcard_1",
        "modelSeeds": ["4273"],
        "sequences": [{"proteinChain": {"sequence": designs[0].sequence, "count": 2}}],
        "dialect": "alphafoldserver",
        "version": 1,
    }
    (job,) = to_alphafold_server([Entry("x", "MKT")], templates=False)
    assert job["modelSeeds"] == []
    assert job["sequences"][0]["proteinChain"] == {"sequence": "MKT", "count": 1, "useStructureTemplate": False}
    names = [job["name"] for job in to_alphafold_server([Entry("x", "MKT"), Entry("X", "MKT")])]
    assert names == ["x", "X_2"]
    with pytest.raises(InputError, match="5,001 residues"):
        to_alphafold_server([Entry("x", "M" * 1667)], copies=3)


# --- settings

KINDS = {
    "model": str,
    "prompt": str,
    "max_length": int,
    "do_sample": bool,
    "top_k": (int, type(None)),
    "top_p": float,
    "temperature": float,
    "repetition_penalty": float,
    "seed": int,
    "eos_token_id": list,
    "precision": (str, type(None)),
}


def test_settings_come_back_exactly(tmp_path):
    rng = random.Random(2)
    path = write_settings(SETTINGS, tmp_path / "settings.json", KINDS)
    assert settings_from_json(path, KINDS) == settings_from_json(path.read_text(), KINDS) == SETTINGS
    for _ in range(200):
        settings = {**SETTINGS, "temperature": rng.random() * 10 ** rng.randint(-300, 300), "seed": rng.getrandbits(63)}
        back = settings_from_json(settings_to_json(settings, KINDS), KINDS)
        assert back == settings and list(back) == list(settings)
        assert [type(v) for v in back.values()] == [type(v) for v in settings.values()]
    for text in NASTY:
        assert settings_from_json(settings_to_json({"prompt": text}))["prompt"] == text
    (tmp_path / "marked.json").write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert settings_from_json(tmp_path / "marked.json", KINDS) == SETTINGS


def test_a_whole_number_will_do_for_a_number():
    back = settings_from_json(settings_to_json({"temperature": 1}), KINDS)
    assert back == {"temperature": 1.0} and type(back["temperature"]) is float


def held(**changes):
    whole = {"format": "biollm_widgets settings", "version": 1, "settings": {"seed": 1}, **changes}
    return json.dumps({key: value for key, value in whole.items() if value != "gone"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (held(settings={"temprature": 1.0}), "'temprature' is no setting; did you mean temperature?"),
        (held(settings={"zzz": 1.0}), "'zzz' is no setting; there are model, prompt"),
        (held(settings={"seed": 1.5}), "seed is a whole number, not 1.5"),
        (held(settings={"seed": True}), "seed is a whole number, not true"),
        (held(settings={"temperature": "hot"}), 'temperature is a number, not "hot"'),
        (held(settings={"top_k": "x"}), 'top_k is a whole number or null, not "x"'),
        (held(settings={}), "seed is missing"),
        (held(settings=[1]), 'has no "settings"'),
        (held(settings="gone"), 'has no "settings"'),
        (held(format="gone"), "does not say"),
        (held(format="other"), "does not say"),
        (held(version=2), "version 2 of the format.*update"),
        (held(version="1"), "no version"),
        (held(version=True), "no version"),
        (held(extra=1), "'extra' stands outside of settings"),
        ('{"seed": 1,}', "is no JSON.*line 1"),
        ('{"format": "x", "format": "y"}', "format is there twice"),
        (held().replace('"seed": 1', '"seed": NaN'), "NaN is no number"),
        (held().replace('"seed": 1', '"seed": 1e999'), "1e999 is no number"),
        ("{" + '"a":[' + "[" * 100_000, "nested too deeply"),
        ("nowhere.json", "There is no file nowhere.json"),
    ],
)
def test_settings_are_read_strictly_with_advice(text, words):
    with pytest.raises(InputError, match=words) as problem:
        settings_from_json(text, KINDS, required=["seed"])
    assert "\n" not in str(problem.value)


def test_settings_that_json_cannot_hold_are_not_written(tmp_path):
    for value in (float("nan"), float("inf"), {1, 2}, b"x", object()):
        with pytest.raises(InputError, match="seed"):
            write_settings({"seed": value}, tmp_path / "x.json")
    with pytest.raises(InputError, match="no setting"):
        write_settings({"sead": 1}, tmp_path / "x.json", KINDS)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="Cannot read"):
        settings_from_json(tmp_path)
    (tmp_path / "x.bin").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="is no text"):
        settings_from_json(tmp_path / "x.bin")
    with pytest.raises(InputError, match="not from int"):
        settings_from_json(5)
    assert settings_from_json(settings_to_json({"x": np.float64(0.25), "y": (1, 2)})) == {"x": 0.25, "y": [1, 2]}
