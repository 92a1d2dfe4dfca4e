"""`biollm fetch` as a person types it: all of a lesson at once, on disks and networks that are not as they should."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from learner import DNABERT2, PROTGPT2, Learner

pytestmark = pytest.mark.network
ALL = [DNABERT2, PROTGPT2, "coding-data"]


def test_without_a_name_all_that_the_lessons_need_is_fetched_and_then_is_there(hub, learner):
    done = learner.biollm("fetch", "--json")
    assert done.returncode == 0, done.stderr
    first, *lines = done.stderr.splitlines()
    assert re.fullmatch(
        rf"{DNABERT2}, {PROTGPT2} and coding-data: 14 MB needed together, [\d.]+ GB free in {learner.home}/hub and "
        rf"{learner.home}/biollm_widgets\.",
        first,
    )
    assert [line.partition(": ")[0] for line in lines] == ALL
    assert lines[2].startswith("coding-data: 849 kB needed, ")
    report = json.loads(done.stdout)
    assert [one["name"] for one in report["models"]] == ALL[:2] and report["errors"] == []
    (data,) = report["data"]
    assert (data["name"], data["rows"], data["checksum"], data["cache"]) == ("coding-data", 65_321, "recorded", "own")
    assert data["path"] == str(learner.home / "biollm_widgets" / "data.csv")

    asked = len(hub.requests)
    done = learner.biollm("fetch", "all", "coding-data", HF_HUB_OFFLINE="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ALL
    assert re.search(
        r"^coding-data was here already, whole and checked: 65,321 sequences, 849 kB, SHA-256 [0-9a-f]{12}… as it was "
        r"written down, in ",
        done.stdout,
        re.M,
    )
    assert len(hub.requests) == asked


WITHOUT = {
    "switched off": (
        {"HF_HUB_OFFLINE": "1"},
        "and the hub is switched off here (HF_HUB_OFFLINE); unset HF_HUB_OFFLINE and give the same command again.",
    ),
    "nothing answers": (
        {"HF_ENDPOINT": "http://127.0.0.1:9"},
        "and there is no connection; check the connection and give the same command again.",
    ),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_without_a_connection_it_is_one_sentence(hub, tmp_path, case):
    changes, words = WITHOUT[case]
    learner = Learner(tmp_path / "hf", "http://127.0.0.1:9")
    done = learner.biollm("fetch", **changes)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"biollm: {DNABERT2}, {PROTGPT2} and coding-data are not in the local cache {words}\n"
    assert not learner.home.exists() or not list(learner.home.rglob("*.*"))
    report = json.loads(learner.biollm("fetch", "--json", **changes).stdout)
    assert report == {"models": [], "data": [], "errors": [done.stderr.removeprefix("biollm: ").rstrip()]}


def test_one_that_is_wrong_does_not_keep_the_others(hub, learner):
    hub.fail("/files/", "status", status=404)
    done = learner.biollm("fetch", "coding-data", "no/model", DNABERT2)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("biollm: ")] == [
        f"biollm: coding-data is not in the local cache and {hub.url}/files/data.csv answers 404 (Not Found); check "
        "the connection and give the same command again.",
        "biollm: no/model is not in the local cache and the hub does not know it; check the name, or give a folder.",
    ]
    assert done.stdout.startswith(f"{DNABERT2} is here, whole and checked")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["../x"], "'../x' is no model's id or name; biollm models lists them."),
        (["", "a b"], "'' is no model's id or name; biollm models lists them."),
        (["."], ". is a folder; there is nothing to fetch."),
        (["ProGen"], "ProGen cannot be loaded here: its weights are for the authors' own code."),
        (["--shared", ""], "--shared names no folder (is a variable of the shell unset?); name a new or an empty one."),
    ],
)
def test_what_is_no_name_is_a_sentence_and_nothing_is_asked(hub, learner, arguments, sentence):
    done = learner.biollm("fetch", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"biollm: {sentence}"), done.stderr
    assert hub.requests == [] and not learner.home.exists()


def snapshot_of(learner: Learner, name: str = DNABERT2) -> Path:
    (found,) = (learner.blobs(name).parent / "snapshots").iterdir()
    return found


def without_tokenizer(learner: Learner) -> Path:
    """What transformers leaves for whoever loads only the model: config and weights."""
    assert learner.biollm("fetch", DNABERT2).returncode == 0
    snapshot = snapshot_of(learner)
    for file in snapshot.iterdir():
        if file.name not in ("config.json", "pytorch_model.bin"):
            file.resolve().unlink()
            file.unlink()
    return snapshot


def test_a_model_without_its_tokenizer_is_completed_and_not_called_whole(hub, learner):
    snapshot = without_tokenizer(learner)
    done = learner.biollm("fetch", DNABERT2, HF_HUB_OFFLINE="1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"biollm: {DNABERT2} is in the local cache without its tokenizer and the hub is")
    done = learner.biollm("fetch", DNABERT2)
    assert done.returncode == 0 and done.stdout.startswith(f"{DNABERT2} is here, whole and checked")
    assert f"{DNABERT2}: its tokenizer is not in the cache; it is fetched.\n" in done.stderr
    assert (snapshot / "tokenizer.json").is_file()
    assert len(hub.sent(DNABERT2, "pytorch_model.bin")) == 1
    done = learner.biollm("fetch", DNABERT2, HF_HUB_OFFLINE="1")
    assert done.returncode == 0 and done.stdout.startswith(f"{DNABERT2} was here already, whole and checked")


def test_locate_gets_the_tokenizer_that_the_cache_lacks(hub, learner):
    snapshot = without_tokenizer(learner)
    answer = learner.locate()
    assert (answer["source"], answer["path"]) == ("hub", str(snapshot))
    assert answer["said"].endswith("4.4 MB, from the local cache, and its tokenizer from the hub.")
    assert (snapshot / "tokenizer.json").is_file() and len(hub.sent(DNABERT2, "pytorch_model.bin")) == 1
    assert learner.locate()["source"] == "cache"


def test_a_model_of_which_the_hub_has_no_tokenizer_is_whole_without_one(hub, learner):
    snapshot = without_tokenizer(learner)
    for name in [name for name in hub.models[DNABERT2] if re.search("token|vocab", name)]:
        del hub.models[DNABERT2][name]
    answer = learner.locate()  # another commit by now, which is no reason to fetch it
    assert (answer["source"], answer["path"]) == ("cache", str(snapshot))
    assert answer["said"].endswith("4.4 MB, from the local cache, without a tokenizer: the hub has none of it.")
    assert len(hub.sent(DNABERT2, "pytorch_model.bin")) == 1


def test_the_class_without_a_tokenizer_is_told_and_ones_own_copy_taken(hub, learner):
    """A class's cache that somebody put together by hand."""
    snapshot = without_tokenizer(learner)
    folder = learner.home.with_name("class")
    learner.home.rename(folder)
    assert learner.biollm("fetch", DNABERT2).returncode == 0
    hub.models[DNABERT2].pop("LICENSE")
    to_class = {"BIOLLM_SHARED_CACHE": str(folder), "HF_HUB_OFFLINE": "1"}
    theirs = folder / snapshot.relative_to(learner.home)
    theirs.rename(theirs.with_name("0" * 40))  # another commit than one's own, which would go first
    (theirs.parents[1] / "refs" / "main").write_text("0" * 40)
    told = f"{DNABERT2} in the class's cache at {folder} is without its tokenizer, so it is passed over; whoever made"
    answer = learner.locate(**to_class)
    assert answer["source"] == "cache" and told in answer["stderr"]
    done = learner.biollm("fetch", DNABERT2, **to_class)
    assert done.returncode == 0 and told in done.stderr and f"in {learner.home}" in done.stdout


def without_links(learner: Learner) -> Path:
    """As cp -rL copies a cache, and as a disk without links has it."""
    assert learner.biollm("fetch", DNABERT2).returncode == 0
    snapshot = snapshot_of(learner)
    for file in list(snapshot.iterdir()):
        file.resolve().rename(learner.home / "here")
        file.unlink()
        (learner.home / "here").rename(file)
    return snapshot


def test_plain_files_in_place_of_links_are_called_checked_only_where_the_hub_gave_their_hashes(hub, learner):
    snapshot = without_links(learner)
    tokenizer = snapshot / "tokenizer.json"
    right = tokenizer.read_bytes()
    tokenizer.write_bytes(right[: len(right) // 2])
    done = learner.biollm("fetch", DNABERT2, HF_HUB_OFFLINE="1")
    assert done.returncode == 0 and "checked:" in done.stdout and "whole" not in done.stdout
    assert done.stdout.startswith(f"{DNABERT2} is here already; its files could not be checked: 117 M parameters, ")
    assert done.stdout.endswith(
        ". They are plain files, where links of the cache would name their hashes, and the hub is switched off here "
        "(HF_HUB_OFFLINE); unset HF_HUB_OFFLINE and give the same command again to have them compared with the hub's.\n"
    )
    (model,) = json.loads(learner.biollm("fetch", DNABERT2, "--json", HF_HUB_OFFLINE="1").stdout)["models"]
    assert (model["already_here"], model["checked"]) == (True, False) and "plain files" in model["unchecked"]
    done = learner.biollm("fetch", DNABERT2)
    assert done.returncode == 0 and done.stdout.startswith(f"{DNABERT2} is here, whole and checked"), done.stderr
    assert tokenizer.read_bytes() == right and len(hub.sent(DNABERT2, "pytorch_model.bin")) == 1
    (snapshot / "notes.txt").write_text("nobody vouches for this one")
    done = learner.biollm("fetch", DNABERT2)
    assert done.returncode == 0 and done.stdout.startswith(f"{DNABERT2} was here already, whole and checked")


def test_plain_files_of_another_commit_are_not_fetched_anew_only_to_be_checked(hub, learner):
    snapshot = without_links(learner)
    hub.models[DNABERT2].pop("LICENSE")
    done = learner.biollm("fetch", DNABERT2)
    assert done.returncode == 0 and done.stdout.endswith(
        f"and the hub has another commit of it by now; for a checked one, remove {snapshot} and give the same command "
        "again.\n"
    )
    assert len(hub.sent(DNABERT2, "pytorch_model.bin")) == 1


def test_plain_files_of_the_class_are_for_whoever_made_it_to_check(hub, learner):
    snapshot = without_links(learner)
    folder = learner.home.with_name("class")
    learner.home.rename(folder)
    (folder / "README.txt").write_text("Models and data of a class, for biollm_widgets.\n")
    asked = len(hub.requests)
    done = learner.biollm("fetch", DNABERT2, BIOLLM_SHARED_CACHE=str(folder))
    assert done.returncode == 0 and f"; whoever made it checks it with biollm fetch --shared {folder}.\n" in done.stdout
    assert len(hub.requests) == asked and not learner.blobs().exists()
    done = learner.biollm("fetch", "--shared", str(folder), DNABERT2)
    assert done.returncode == 0 and f"{DNABERT2} was here already, whole and checked" in done.stdout
    assert not (folder / snapshot.relative_to(learner.home) / "tokenizer.json").is_symlink()


def test_all_sizes_are_summed_before_the_first_byte(hub, learner, may_mount):
    """Each fits alone; together they do not."""
    learner.home.mkdir()
    small = f"mount -t tmpfs -o size=74m tmpfs {learner.home}"
    done = learner.biollm("fetch", before=small)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        f"biollm: {DNABERT2}, {PROTGPT2} and coding-data are not in the local cache and they need 14 MB, and 64 MB to "
        f"spare, where 78 MB are free, in {learner.home}/hub and {learner.home}/biollm_widgets; make room, or set "
        "HF_HOME to a folder on a larger disk.\n"
    )
    assert [seen.method for seen in hub.requests if not seen.path.startswith("/api/")] == ["HEAD"]
    for name in ALL:
        assert learner.biollm("fetch", name, before=small).returncode == 0


def test_a_disk_that_fills_up_in_the_middle_keeps_what_came_and_says_so(hub, learner, may_mount):
    learner.home.mkdir()
    words = learner.words("fetch", "coding-data", PROTGPT2)
    words[1] = "import biollm_widgets.models.cache as c; c.free_bytes = lambda folder: 10**12\n" + words[1]
    done = learner.run(*words, before=f"mount -t tmpfs -o size=3m tmpfs {learner.home}")
    assert done.returncode == 2
    assert done.stdout.startswith("coding-data is here, whole and checked")
    assert done.stderr.splitlines()[-1] == (
        f"biollm: {PROTGPT2} is not in the local cache and the disk (or your quota) is full in {learner.home}/hub; "
        "make room, or set HF_HOME to a folder on a larger disk; what has arrived is kept."
    )
    done = learner.run(*words, before=f"mount -t tmpfs -o size=100k tmpfs {learner.home}")
    assert "biollm: coding-data is not in the local cache and the disk (or your quota) is full" in done.stderr


def test_a_read_only_hf_home_is_one_sentence_each(hub, learner, may_mount):
    learner.home.mkdir()
    read_only = f"mount --bind {learner.home} {learner.home} && mount -o remount,ro,bind {learner.home}"
    done = learner.biollm("fetch", "coding-data", DNABERT2, before=read_only)
    assert (done.returncode, done.stdout) == (2, "")
    told = [line for line in done.stderr.splitlines() if line.startswith("biollm: ")]
    assert told == [
        f"biollm: {name} is not in the local cache and the cache {folder} cannot be written (Read-only file system); "
        "set HF_HOME to a folder of your own."
        for name, folder in (("coding-data", learner.home / "biollm_widgets"), (DNABERT2, learner.home / "hub"))
    ]


def test_without_hf_home_on_a_cluster_the_small_home_is_named_before_the_first_byte(hub, learner, tmp_path):
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    surroundings = {**learner.environment(), "HOME": str(home), "SCRATCH": str(scratch)}
    del surroundings["HF_HOME"]

    def fetch(**changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *learner.words("fetch", "coding-data", DNABERT2)]
        return subprocess.run(command, env={**surroundings, **changes}, capture_output=True, text=True, timeout=120)

    done = fetch()
    assert done.returncode == 0, done.stderr
    warning = done.stderr.splitlines()[0]
    assert warning.startswith("HF_HOME is not set, so this goes into ~/.cache/")
    assert "a home folder has a small quota on most clusters" in warning
    assert "stop this, give export HF_HOME=$SCRATCH/cache and start again" in warning
    assert done.stderr.count("HF_HOME is not set") == 1
    assert "HF_HOME" not in fetch().stderr  # nothing to come, nothing to warn of
    done = fetch(HF_HOME=str(scratch / "cache"))
    assert done.returncode == 0 and "HF_HOME" not in done.stderr
    assert (scratch / "cache" / "biollm_widgets" / "data.csv").is_file()
    assert list((scratch / "cache" / "hub").glob("models--*"))


def started(learner: Learner, *names: str, **changes: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *learner.words("fetch", *names)],
        env=learner.environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=learner.home.parent,
    )


def until(true) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_two_at_once_fetch_all_of_it_once_and_the_second_says_what_it_waits_for(hub, learner):
    hub.fail("/lfs/", "stall", times=1, at=65536)  # the first is in the middle of a model for a while
    first = started(learner, "all", HF_HUB_DOWNLOAD_TIMEOUT="6")
    until(lambda: any(seen.path.startswith("/lfs/") for seen in hub.requests))
    second = started(learner, "all", HF_HUB_DOWNLOAD_TIMEOUT="6")
    said = [process.communicate(timeout=90)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), said
    assert f"Another process is fetching pytorch_model.bin of {DNABERT2}; this one waits for it." in said[1]
    for name, file in ((DNABERT2, "pytorch_model.bin"), (PROTGPT2, "model.safetensors")):
        assert sum(hub.sent(name, file)) == len(hub.models[name][file].content)
    data = [seen.sent for seen in hub.requests if seen.path == "/files/data.csv" and seen.method == "GET"]
    assert data == [len(hub.files["data.csv"].content)]


@pytest.mark.slow
def test_two_people_of_a_group_fetch_into_one_cache(hub, learner, tmp_path):
    """The second may use what the first has made, also its locks (the hub client's older versions make them closed)."""
    if os.geteuid():
        from tests.conftest import skip_or_fail

        skip_or_fail("Two users in one group take root to make; run it there.")
    learner.home.mkdir()
    os.chown(learner.home, 0, 4711)
    learner.home.chmod(0o2775)
    before = os.umask(0o002)
    try:
        assert learner.biollm("fetch", "coding-data", DNABERT2).returncode == 0
        for path in learner.home.rglob("*"):
            os.chown(path, 65534, 4711, follow_symlinks=False)
        blob = learner.blobs() / hub.models[DNABERT2]["pytorch_model.bin"].etag
        blob.write_bytes(b"damaged")
        data = learner.home / "biollm_widgets" / "data.csv"
        data.write_bytes(b"damaged")
        second = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--regid", "4711", "--clear-groups")
        done = subprocess.run(
            [*second, sys.executable, *learner.words("fetch", "coding-data", DNABERT2)],
            env=learner.environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    assert data.read_bytes() == hub.files["data.csv"].content


@pytest.mark.slow
def test_ctrl_c_in_the_middle_of_the_data_keeps_the_part(hub, learner):
    hub.fail("/files/", "stall", at=65536 * 3)
    process = started(learner, "coding-data")
    # The first fault is met by HEAD, which has no body to stall in.
    until(lambda: any(seen.sent for seen in hub.requests))
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, ""), said
    assert "What has arrived of coding-data is kept; the same command goes on from there." in said
    assert "Traceback" not in said
    folder = learner.home / "biollm_widgets"
    assert [path.name for path in folder.iterdir() if path.name[0] != "."] == []
    assert re.search(r"^coding-data .* begun, 197 kB$", learner.biollm("models").stdout, re.M)
    hub.heal()
    done = learner.biollm("fetch", "coding-data")
    assert done.returncode == 0 and "197 kB of it from an earlier, broken download" in done.stdout
    assert "653 kB needed (197 kB are there already)" in done.stderr


@pytest.mark.slow
def test_ctrl_c_while_a_class_cache_is_filled_leaves_one_that_the_same_command_fills(hub, learner, tmp_path):
    folder = tmp_path / "class"
    hub.fail("/lfs/", "stall", at=65536 * 3)
    process = started(learner, "--shared", str(folder), DNABERT2, HF_HUB_DOWNLOAD_TIMEOUT="60")
    until(lambda: any(seen.sent for seen in hub.requests if seen.path.startswith("/lfs/")))
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in said, said
    assert "nothing whole yet; the same command goes on" in (folder / "README.txt").read_text()
    answer = learner.locate(BIOLLM_SHARED_CACHE=str(folder), HF_HUB_OFFLINE="1")
    assert answer["source"] == "embedded" and "passed over" not in answer["stderr"]
    hub.heal()
    done = learner.biollm("fetch", "--shared", str(folder), DNABERT2)
    assert done.returncode == 0 and "197 kB of it from an earlier, broken download" in done.stdout
    assert learner.locate(BIOLLM_SHARED_CACHE=str(folder), HF_HUB_OFFLINE="1")["source"] == "shared"


def test_a_folder_called_like_a_word_of_ours_is_no_hindrance(hub, learner):
    for name in ("all", "coding-data"):
        (learner.home.parent / name).mkdir()
    done = learner.biollm("fetch", "Coding_Data")
    assert done.returncode == 0 and Path(learner.home / "biollm_widgets" / "data.csv").is_file(), done.stderr
