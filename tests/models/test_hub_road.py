"""The road to the hub against a real HTTP server: whatever happens on it, a learner ends with the model, with the
stand-in and one line that says why, or with one sentence that has the remedy; never with a traceback.

The endpoint, the cache and the proxy are read from the environment when the hub's client is imported, so each scenario
is a process of its own, with the environment a learner would have.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from hub import Proxy
from learner import CODE, DNABERT2, LOCATE, PROTGPT2

# Big enough to be cut in the middle of chunks of 64 KiB.
CUT = 40 * 65536

pytestmark = pytest.mark.network


def stands_in(answer: dict[str, Any], because: str) -> None:
    """The stand-in was taken, and its one line says why."""
    assert answer.get("source") == "embedded", answer
    assert answer["said"].startswith("Stand-in for ") and because in answer["said"], answer["said"]
    lines = [line for line in answer["stderr"].splitlines() if line.startswith("Stand-in")]
    assert lines == [answer["said"]]


LOAD = """
import os, sys, torch
import biollm_widgets as bio
from transformers import AutoModelForCausalLM, AutoTokenizer
path = bio.locate("zhihan1996/DNABERT-2-117M")
again = bio.locate("zhihan1996/DNABERT-2-117M")
model = bio.DNABert2Model.from_pretrained(path)
vectors = bio.embed(["ACGTAGCATCGG"], AutoTokenizer.from_pretrained(path), model, progress=False)
protein = bio.locate("nferruz/ProtGPT2")
writer = AutoModelForCausalLM.from_pretrained(protein)
ids = AutoTokenizer.from_pretrained(protein)("<|endoftext|>\\nMKTAYIAKQR", return_tensors="pt")["input_ids"]
if os.environ.get("HF_HUB_OFFLINE"):  # by its id, with nothing of ours: the cache is the hub client's own
    same = AutoModelForCausalLM.from_pretrained("nferruz/ProtGPT2")
    assert torch.equal(same.lm_head.weight, writer.lm_head.weight)
print(path.source, protein.source, vectors.shape, tuple(writer(ids).logits.shape), int(ids[0, 0]))
"""


@pytest.mark.slow
def test_the_first_download_gives_models_that_load_in_one_format_and_without_code(hub, learner):
    done = learner.run("-c", LOAD)
    assert done.returncode == 0, done.stderr
    source, protein_source, *shapes = done.stdout.split(maxsplit=2)
    assert (source, protein_source) == ("hub", "hub")
    assert shapes[0].startswith("(1, 96) (1, ") and shapes[0].endswith(", 50257) 0\n")
    said = done.stderr
    assert "zhihan1996/DNABERT-2-117M: 4.5 MB needed, " in said
    assert said.count("zhihan1996/DNABERT-2-117M: 117 M parameters, 4.4 MB, from the hub.\n") == 1
    assert said.count(" parameters, 6.7 MB, from the hub.\n") == 1
    # One weight format, no code, nothing for other libraries; not even asked about.
    assert hub.asked_for(lambda name: name.endswith((".py", ".h5", ".msgpack", ".onnx", "README.md"))) == []
    assert len(hub.sent(PROTGPT2, "model.safetensors")) == 1
    assert hub.sent(PROTGPT2, "pytorch_model.bin") == []
    names = {path.name for path in (learner.home / "hub").rglob("snapshots/*/*")}
    assert not names & {*CODE, "README.md"} and "LICENSE" in names

    # The server gone: the same lines of code load the same models from the cache.
    asked = len(hub.requests)
    done = learner.run("-c", LOAD, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cache cache (1, 96)")
    assert len(hub.requests) == asked


def test_a_tokenizer_alone_costs_no_weights(hub, learner):
    done = learner.biollm("tokenize", "--protein", "MKTAYIAKQRQISFVKSHF", "--tokenizer", "ProtGPT2")
    assert done.returncode == 0, done.stderr
    assert "nferruz/ProtGPT2: the tokenizer, from the hub." in done.stderr
    assert "19 residues became" in done.stdout
    assert hub.asked_for(lambda name: name.endswith((".bin", ".safetensors"))) == []
    # Half a model is none: it is not taken for the model later.
    hub.fail("/api/", "status", status=503)
    stands_in(learner.locate(PROTGPT2), "the hub answers with error 503")
    assert learner.locate(PROTGPT2, weights=False)["source"] == "cache"


REFUSALS = {
    "404": ({"status": 404, "error": "RepoNotFound"}, "the hub does not know it", "check the name"),
    "401": ({"status": 401, "error": "RepoNotFound"}, "the hub does not know it", "check the name"),
    "500": ({"status": 500}, "the hub answers with error 500", "try again later"),
    "429": ({"status": 429}, "the hub is asked too often", "try again in a while"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_hub_that_refuses_is_a_stand_in_or_a_sentence(hub, learner, case):
    fault, because, remedy = REFUSALS[case]
    hub.fail("/api/", "status", **fault)
    if case in ("404", "500"):  # the same code for each; the processes cost time
        stands_in(learner.locate(), because)
    done = learner.biollm("fetch", DNABERT2)
    assert done.returncode == 2
    assert because in done.stderr and remedy in done.stderr and done.stderr.startswith("biollm: ")
    assert done.stderr.count("\n") == 1


def test_a_model_behind_a_licence_says_how_to_get_in(hub, learner):
    # The list is public, the files are not: as on the real hub.
    hub.fail("/resolve/", "status", status=403, error="GatedRepo")
    done = learner.biollm("fetch", DNABERT2, HF_TOKEN="hf_learner")
    assert done.returncode == 2
    assert "wants you to accept its licence and log in first" in done.stderr
    assert f"accept it at {hub.url}/{DNABERT2} and set HF_TOKEN" in done.stderr
    assert {seen.token for seen in hub.requests} == {"Bearer hf_learner"}
    assert {seen.path.split("/")[1] for seen in hub.requests} == {"api", "zhihan1996"}  # and nothing else is asked
    hub.heal()
    assert learner.biollm("fetch", DNABERT2, HF_TOKEN="hf_learner").returncode == 0
    # The token is for the hub, not for the host that keeps the large files.
    (large,) = [seen for seen in hub.requests if seen.path.startswith("/lfs/")]
    assert large.token is None


def test_a_login_page_of_the_network_is_not_taken_for_the_hub(hub, learner, monkeypatch):
    page = {"ETag": '"x"'}
    monkeypatch.setattr(
        "hub._HubHandler.about", lambda self, name, tree: self.body(hub.requests[-1], None, _page(), page)
    )
    stands_in(learner.locate(), "does not answer as the hub does (a login page of this network?)")


def _page() -> Any:
    from hub import Stored

    return Stored(b"<html>Welcome to this hotel</html>", large=False)


@pytest.mark.slow
def test_a_hub_that_is_silent_is_given_up_after_seconds(hub, learner):
    hub.fail("/api/", "stall")
    began = time.monotonic()
    stands_in(learner.locate(), "the hub does not answer")
    assert time.monotonic() - began < 7


def test_offline_and_without_a_server_nothing_is_asked(hub, learner):
    stands_in(learner.locate(HF_HUB_OFFLINE="1"), "the hub is switched off here (HF_HUB_OFFLINE)")
    sentence = learner.locate(source="hub", HF_HUB_OFFLINE="1")["sentence"]
    assert (
        "is not in the local cache and the hub is switched off here (HF_HUB_OFFLINE); unset HF_HUB_OFFLINE" in sentence
    )
    assert hub.requests == []
    stands_in(learner.locate(HF_ENDPOINT="http://127.0.0.1:9"), "the hub does not answer")


def test_a_connection_cut_half_way_goes_on_with_no_byte_fetched_twice(hub, learner):
    hub.fail("/lfs/", "cut", times=1, at=CUT)
    answer = learner.locate(PROTGPT2)
    assert answer["source"] == "hub"
    size = len(hub.models[PROTGPT2]["model.safetensors"].content)
    assert hub.sent(PROTGPT2, "model.safetensors") == [CUT, size - CUT]
    ranges = [seen.range for seen in hub.requests if seen.path.startswith("/lfs/")]
    assert ranges == [None, f"bytes={CUT}-"]


def test_a_server_that_cannot_begin_in_the_middle_begins_again(hub, learner):
    hub.fail("/lfs/", "cut", times=1, at=CUT)
    hub.fail("/lfs/", "no range")
    assert learner.locate(PROTGPT2)["source"] == "hub"
    size = len(hub.models[PROTGPT2]["model.safetensors"].content)
    assert hub.sent(PROTGPT2, "model.safetensors") == [CUT, size]


@pytest.mark.slow
def test_a_download_that_stalls_ends_in_the_stand_in_and_the_next_goes_on_from_there(hub, learner):
    hub.fail("/lfs/", "stall", at=CUT)
    stands_in(
        learner.locate(PROTGPT2),
        "the download of model.safetensors broke off (the hub went silent, at 2.6 MB of 6.7 MB; that part is kept)",
    )
    fetched = sum(hub.sent(PROTGPT2, "model.safetensors"))
    assert fetched == CUT
    listed = learner.biollm("models")
    assert "stand-in" in listed.stdout and "(begun, 2.6 MB)" in listed.stdout
    hub.heal()
    done = learner.biollm("fetch", "ProtGPT2")
    assert done.returncode == 0, done.stderr
    assert "4.0 MB needed (4.7 MB are there already), " in done.stderr
    assert "2.6 MB of it from an earlier, broken download" in done.stdout
    assert sum(hub.sent(PROTGPT2, "model.safetensors")) == len(hub.models[PROTGPT2]["model.safetensors"].content)


@pytest.mark.slow
def test_ctrl_c_keeps_the_part(hub, learner):
    hub.fail("/lfs/", "stall", at=CUT)
    process = subprocess.Popen(
        [sys.executable, "-m", "biollm_widgets.cli", "fetch", PROTGPT2],
        env=learner.environment(HF_HUB_DOWNLOAD_TIMEOUT="60"),
        stderr=subprocess.PIPE,
        text=True,
        cwd=learner.home.parent,
    )
    deadline = time.monotonic() + 30
    while sum(hub.sent(PROTGPT2, "model.safetensors")) < CUT and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "What has arrived of nferruz/ProtGPT2 is kept" in said and "Traceback" not in said
    hub.heal()
    assert learner.biollm("fetch", PROTGPT2).returncode == 0
    assert sum(hub.sent(PROTGPT2, "model.safetensors")) == len(hub.models[PROTGPT2]["model.safetensors"].content)


def test_a_corrupt_answer_is_noticed_and_never_stored(hub, learner):
    hub.fail("/lfs/", "corrupt", times=1)
    assert learner.locate()["source"] == "hub"  # once: fetched again
    assert len(hub.sent(DNABERT2, "pytorch_model.bin")) == 2

    shutil.rmtree(learner.home)
    hub.fail("/lfs/", "corrupt")
    stands_in(learner.locate(), "what the hub sends as pytorch_model.bin is not what it says it is")
    assert {path.name for path in learner.blobs().iterdir()} == {
        file.etag for name, file in hub.models[DNABERT2].items() if name.endswith(".json") or name == "LICENSE"
    }


@pytest.mark.slow
def test_a_corrupt_file_in_the_cache_is_found_and_fetched_again(hub, learner):
    assert learner.biollm("fetch", DNABERT2).returncode == 0
    blob = learner.blobs() / hub.models[DNABERT2]["pytorch_model.bin"].etag
    right = blob.read_bytes()

    # A byte in the middle: found by `fetch`, which reads everything.
    blob.write_bytes(right[:100_000] + b"?" + right[100_001:])
    hub.fail("", "status", status=500)
    done = learner.biollm("fetch", DNABERT2)
    assert done.returncode == 2
    assert (
        f"{DNABERT2} is damaged in the local cache (pytorch_model.bin) and the hub answers with error 500"
        in done.stderr
    )
    hub.heal()
    done = learner.biollm("fetch", DNABERT2)
    assert done.returncode == 0
    assert "pytorch_model.bin in the cache is damaged; it is fetched again." in done.stderr
    assert blob.read_bytes() == right

    # Its end missing: found by `locate` at once.
    blob.write_bytes(right[:-1000])
    hub.fail("", "status", status=500)
    stands_in(learner.locate(), "pytorch_model.bin in the local cache is damaged, the hub answers with error 500")
    hub.heal()
    answer = learner.locate()
    assert answer["source"] == "hub" and "4.4 MB needed (169 kB are there already)" in answer["stderr"]
    assert blob.read_bytes() == right


def test_what_is_there_is_said_to_be_there_without_a_network(hub, learner):
    first = learner.biollm("fetch", "DNABERT-2", "ProtGPT2")
    assert first.returncode == 0, first.stderr
    assert f"{DNABERT2}: " in first.stderr and " needed, " in first.stderr and " free in " in first.stderr
    assert f"{DNABERT2} is here, whole and checked" in first.stdout
    hub.fail("", "status", status=500)  # the server as good as gone, and not even asked
    asked = len(hub.requests)
    done = learner.biollm("fetch", DNABERT2, PROTGPT2, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["errors"] == [] and [one["already_here"] for one in report["models"]] == [True, True]
    assert [one["weights"] for one in report["models"]] == [["pytorch_model.bin"], ["model.safetensors"]]
    assert len(hub.requests) == asked


def test_a_disk_that_is_too_small_is_refused_before_the_first_byte(hub, learner, may_mount):
    learner.home.mkdir()
    small = f"mount -t tmpfs -o size=4m tmpfs {learner.home}"
    done = learner.biollm("fetch", PROTGPT2, before=small)
    assert done.returncode == 2
    assert "it needs 8.7 MB where 4.2 MB are free, in " in done.stderr
    assert "make room, or set HF_HOME to a folder on a larger disk" in done.stderr
    assert hub.asked_for(lambda name: name in hub.models[PROTGPT2]) == []
    stands_in(learner.locate(PROTGPT2, before=small), "it needs 8.7 MB where 4.2 MB are free, in")


def test_a_disk_that_fills_up_in_the_middle_is_a_sentence(hub, learner, may_mount):
    """As a quota does, which the free space does not show."""
    learner.home.mkdir()
    code = "import biollm_widgets.models.cache as cache; cache.free_bytes = lambda folder: 10**12\n" + LOCATE
    done = learner.run(
        "-c", code, json.dumps([PROTGPT2, "hub", True]), before=f"mount -t tmpfs -o size=4m tmpfs {learner.home}"
    )
    sentence = json.loads(done.stdout)["sentence"]
    assert "the disk (or your quota) is full in" in sentence and "set HF_HOME" in sentence


def test_a_read_only_cache_is_a_sentence_and_one_that_holds_the_model_serves_it(hub, learner, may_mount):
    learner.home.mkdir()
    read_only = f"mount --bind {learner.home} {learner.home} && mount -o remount,ro,bind {learner.home}"
    stands_in(learner.locate(before=read_only), "cannot be written (Read-only file system)")
    done = learner.biollm("fetch", DNABERT2, before=read_only)
    assert done.returncode == 2
    assert "cannot be written (Read-only file system); set HF_HOME to a folder of your own." in done.stderr

    # A class that shares one cache, which the instructor has filled.
    assert learner.biollm("fetch", DNABERT2).returncode == 0
    asked = len(hub.requests)
    answer = learner.locate(before=read_only)
    assert answer["source"] == "cache"
    done = learner.biollm("fetch", DNABERT2, before=read_only)
    assert done.returncode == 0 and "was here already, whole and checked" in done.stdout
    assert len(hub.requests) == asked


def test_a_file_where_the_cache_should_be_is_a_sentence(hub, learner):
    learner.home.write_text("not a folder")
    stands_in(learner.locate(), "cannot be read (Not a directory)")


def test_everything_goes_through_the_proxy(hub, learner):
    hub.large_host = "large.test"  # like the hub itself, a name that only the proxy knows
    with Proxy(behind=hub.port) as proxy:
        through = {"HF_ENDPOINT": "http://hub.test", "HTTP_PROXY": proxy.url, "http_proxy": proxy.url}
        assert learner.locate(**through)["source"] == "hub"
        assert set(proxy.hosts) == {"hub.test", "large.test"}
        assert len(proxy.hosts) == len(hub.requests)
    shutil.rmtree(learner.home)
    answer = learner.locate(**through)  # the proxy is gone
    assert answer["source"] == "embedded"
    assert "the hub does not answer" in answer["said"] or "the proxy does not let the request through" in answer["said"]


def test_an_answer_that_was_compressed_on_the_way_is_read(hub, learner):
    hub.fail("/resolve/.*json", "gzip")
    hub.fail("/lfs/", "gzip")
    assert learner.locate()["source"] == "hub"


@pytest.mark.slow
def test_two_at_once_fetch_once(hub, learner):
    together = [
        subprocess.Popen(
            [sys.executable, "-m", "biollm_widgets.cli", "fetch", PROTGPT2],
            env=learner.environment(),
            stderr=subprocess.PIPE,
            text=True,
            cwd=learner.home.parent,
        )
        for _ in range(2)
    ]
    for process in together:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    size = len(hub.models[PROTGPT2]["model.safetensors"].content)
    assert hub.sent(PROTGPT2, "model.safetensors") == [size]


@pytest.mark.slow
def test_a_newer_commit_appears_only_when_it_is_whole(hub, learner, repositories):
    assert learner.biollm("fetch", DNABERT2).returncode == 0
    first = hub.commit(DNABERT2)
    from hub import Stored

    hub.models[DNABERT2]["generation_config.json"] = Stored(b"{}", large=False)
    shutil.rmtree(next((learner.home / "hub").glob("models--*")) / "refs")
    (next((learner.home / "hub").glob("models--*")) / "snapshots" / first / "pytorch_model.bin").unlink()
    hub.fail("/resolve/", "status", status=404, error="EntryNotFound")
    stands_in(learner.locate(), "the hub does not know it")
    assert not (learner.blobs().parent / "refs" / "main").exists()
    hub.heal()
    answer = learner.locate()
    assert answer["source"] == "hub" and answer["path"].endswith(hub.commit(DNABERT2))
    assert len(hub.sent(DNABERT2, "pytorch_model.bin")) == 1  # the content was there already
