"""A class with one cache: the instructor fetches once, learners who may write nothing there read from it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import Stored
from learner import DNABERT2, POWERLESS, PROTGPT2, ROOT, Learner

from tests.conftest import skip_or_fail

pytestmark = pytest.mark.network
OTHER = 65534  # nobody: a user that is not the one who runs the tests


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that all can get to; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="class-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(place) -> Path:
    return place / "class"


@pytest.fixture(scope="session")
def powerless() -> None:
    """A process whom the modes of files bind, and files of another user's: both take a root with setpriv."""
    if os.geteuid() or shutil.which("setpriv") is None:
        skip_or_fail("A learner without the right to write takes root and setpriv (util-linux) to make; run it there.")


def fill(learner: Learner, folder: Path, *names: str, umask: int = 0o077, **options: str):
    """`biollm fetch --shared` by an instructor, whose umask closes everything; then all of it is another user's."""
    before = os.umask(umask)
    try:
        done = learner.biollm("fetch", "--shared", str(folder), *names, HF_HOME=str(learner.home) + "-own", **options)
    finally:
        os.umask(before)
    if os.geteuid() == 0 and folder.is_dir():
        subprocess.run(["chown", "-Rh", f"{OTHER}:{OTHER}", str(folder)], check=True)
    return done


def state(folder: Path) -> dict[str, tuple]:
    """Everything that writing would change."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        about = path.lstat()
        found[str(path)] = (about.st_ino, about.st_mode, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    return found


READ = """
import json, os, sys
import biollm_widgets as bio
from transformers import AutoModelForCausalLM, AutoTokenizer
path = bio.locate("zhihan1996/DNABERT-2-117M")
model = bio.DNABert2Model.from_pretrained(path)
vectors = bio.embed(["ACGTAGCATCGG"], AutoTokenizer.from_pretrained(path), model, progress=False)
protein = bio.locate("ProtGPT2")
writer = AutoModelForCausalLM.from_pretrained(protein)
AutoTokenizer.from_pretrained(protein)
from biollm_widgets.dna import datasets_file
datasets_file.CHAPTER_URL = sys.argv[2] + "/files/data.csv"
data = bio.load_coding_dataset("chapter")
try:
    open(os.path.join(sys.argv[1], "hub", "mine"), "w")
    wrote = True
except OSError:
    wrote = False
print(json.dumps([path.source, protein.source, list(vectors.shape), len(data), data.attrs, wrote]))
"""


@pytest.mark.slow
def test_a_learner_without_the_right_to_write_has_all_of_it_from_the_class(hub, learner, folder, powerless):
    done = fill(learner, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        f"Learners read from it, and write nothing there, with: export BIOLLM_SHARED_CACHE={folder}"
    )
    assert f"{DNABERT2}, {PROTGPT2} and coding-data: 14 MB needed together, " in done.stderr
    # Open to all, whatever the umask was; links that stay right when the folder moves.
    for path in [folder, *folder.rglob("*")]:
        if path.is_symlink():
            assert not path.readlink().is_absolute() and path.is_file()
            continue
        needed = 0o555 if path.is_dir() else 0o444
        assert stat.S_IMODE(path.stat().st_mode) & needed == needed, path
    before, asked = state(folder), len(hub.requests)

    to_class = {"BIOLLM_SHARED_CACHE": str(folder), "powerless": True}
    done = learner.run("-c", READ, str(folder), hub.url, **to_class)
    assert done.returncode == 0, done.stderr
    source, protein, shape, rows, attrs, wrote = json.loads(done.stdout)
    assert (source, protein, shape, rows, wrote) == ("shared", "shared", [1, 96], 65_321, False)
    assert attrs == {"simulated": False, "source": str(folder / "biollm_widgets" / "data.csv")}
    assert f"{DNABERT2}: 117 M parameters, 4.4 MB, from the class's cache at {folder}.\n" in done.stderr
    assert f"Data: the chapter's 65,321 sequences, from the class's cache at {folder}.\n" in done.stderr

    listed = learner.biollm("models", **to_class)
    assert listed.stdout.count("in the class's cache, ") == 3, listed.stdout
    assert f"The class's cache is {folder} (BIOLLM_SHARED_CACHE)" in listed.stdout
    fetched = learner.biollm("fetch", "--json", **to_class)
    assert fetched.returncode == 0, fetched.stderr
    report = json.loads(fetched.stdout)
    assert [(one["cache"], one["already_here"]) for one in [*report["models"], *report["data"]]] == [
        ("shared", True)
    ] * 3

    assert len(hub.requests) == asked, "the network was asked"
    assert not learner.home.exists() or not list(learner.home.rglob("*.safetensors"))
    assert state(folder) == before, "a reader changed the class's cache"

    # As the kernel's HF_HOME it serves as well, and stays as it is.
    as_home = {"HF_HOME": str(folder), "powerless": True}
    done = learner.run("-c", READ, str(folder), hub.url, **as_home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[:4] == ["cache", "cache", [1, 96], 65_321]
    assert len(hub.requests) == asked and state(folder) == before


def test_a_cache_on_a_read_only_disk_is_read(hub, learner, folder, may_mount):
    assert fill(learner, folder, "DNABERT-2").returncode == 0
    read_only = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    answer = learner.locate(BIOLLM_SHARED_CACHE=str(folder), before=read_only)
    assert answer["source"] == "shared" and answer["path"].startswith(str(folder))
    # What the class lacks comes into one's own.
    answer = learner.locate(PROTGPT2, BIOLLM_SHARED_CACHE=str(folder), before=read_only)
    assert answer["source"] == "hub" and answer["path"].startswith(str(learner.home))


def test_the_folder_says_what_it_is_and_the_same_command_mends_it(hub, learner, folder):
    assert fill(learner, folder, "DNABERT-2", umask=0o022).returncode == 0
    text = (folder / "README.txt").read_text()
    assert text.startswith("Models and data of a class, for biollm_widgets.\n")
    assert f"biollm fetch --shared {folder} DNABERT-2\n" in text
    assert f"{DNABERT2}, commit {hub.commit(DNABERT2)[:12]}, 4.5 MB, Apache-2.0\n" in text
    assert f"export BIOLLM_SHARED_CACHE={folder}\n" in text
    assert text.isascii() and max(map(len, text.splitlines())) < 120

    weights = next(folder.glob("hub/models--*/snapshots/*/pytorch_model.bin")).resolve()
    right = weights.read_bytes()
    weights.write_bytes(right[:1000] + b"?" + right[1001:])
    weights.chmod(0o600)
    done = fill(learner, folder, "coding-data", "DNABERT-2")
    assert done.returncode == 0, done.stderr
    assert "DNABERT-2: pytorch_model.bin in the cache is damaged; it is fetched again." in done.stderr
    assert weights.read_bytes() == right and weights.stat().st_mode & 0o444 == 0o444
    assert "biollm_widgets/data.csv, 849 kB\n" in (folder / "README.txt").read_text()


def put(learner: Learner, name: str, into: Path) -> None:
    """A copy in one's own cache."""
    done = learner.biollm("fetch", name, HF_HOME=str(into))
    assert done.returncode == 0, done.stderr


def test_the_class_goes_first_but_a_copy_of_the_same_commit_is_as_good(hub, learner, folder):
    put(learner, DNABERT2, learner.home)
    old = hub.commit(DNABERT2)
    hub.models[DNABERT2]["generation_config.json"] = Stored(b"{}", large=False)
    assert fill(learner, folder, DNABERT2, umask=0o022).returncode == 0
    to_class = {"BIOLLM_SHARED_CACHE": str(folder)}
    answer = learner.locate(**to_class)  # another commit: all of a class have the same
    assert answer["source"] == "shared" and hub.commit(DNABERT2) in answer["path"] and old not in answer["path"]
    assert learner.locate(weights=False, **to_class)["source"] == "shared"
    assert learner.locate()["source"] == "cache"
    shutil.rmtree(learner.home)
    put(learner, DNABERT2, learner.home)
    answer = learner.locate(**to_class)  # the same one: the nearer
    assert answer["source"] == "cache" and answer["path"].startswith(str(learner.home))


def test_a_damaged_file_of_the_class_is_told_and_passed_over(hub, learner, folder):
    assert fill(learner, folder, DNABERT2, "coding-data", umask=0o022).returncode == 0
    to_class = {"BIOLLM_SHARED_CACHE": str(folder)}
    weights = next(folder.glob("hub/models--*/snapshots/*/pytorch_model.bin")).resolve()
    right = weights.read_bytes()
    weights.write_bytes(right[:-1000])
    told = (
        f"pytorch_model.bin of {DNABERT2} in the class's cache at {folder} is damaged, so it is passed over; whoever "
        f"made it mends it with biollm fetch --shared {folder}.\n"
    )
    answer = learner.locate(HF_HUB_OFFLINE="1", **to_class)
    assert answer["source"] == "embedded" and answer["stderr"].count(told) == 1
    answer = learner.locate(**to_class)  # no copy of one's own: the hub
    assert answer["source"] == "hub" and answer["stderr"].startswith(told)
    answer = learner.locate(**to_class)  # from then on one's own, of the same commit
    assert answer["source"] == "cache" and told not in answer["stderr"]

    # A byte in the middle shows only to those who read everything: fetch, which then gives a copy that counts.
    shutil.rmtree(learner.home)
    weights.write_bytes(right[:1000] + b"?" + right[1001:])
    assert learner.locate(**to_class)["source"] == "shared"
    done = learner.biollm("fetch", DNABERT2, **to_class)
    assert done.returncode == 0 and told in done.stderr and f"in {learner.home}" in done.stdout
    assert learner.locate(**to_class)["source"] == "cache"

    data = folder / "biollm_widgets" / "data.csv"
    data.write_bytes(data.read_bytes().replace(b"ACGT", b"AGGT", 1))
    done = learner.biollm("fetch", "coding-data", **to_class)
    assert done.returncode == 0, done.stderr
    assert (
        f"The copy {data} is no good (its SHA-256 is not the one written down at its download), so it is passed over; "
        f"whoever made the class's cache at {folder} mends it with biollm fetch --shared {folder}.\n"
    ) in done.stderr
    assert (learner.home / "biollm_widgets" / "data.csv").read_bytes() == hub.files["data.csv"].content


def test_a_damaged_copy_of_ones_own_is_mended_from_the_class(hub, learner, folder):
    """It may be the one that counts, and a byte in its middle shows to `fetch` alone."""
    put(learner, DNABERT2, learner.home)
    assert fill(learner, folder, DNABERT2, umask=0o022).returncode == 0
    blob = learner.blobs() / hub.models[DNABERT2]["pytorch_model.bin"].etag
    right = blob.read_bytes()
    blob.write_bytes(right[:1000] + b"?" + right[1001:])
    fetched = hub.sent(DNABERT2, "pytorch_model.bin")
    done = learner.biollm("fetch", DNABERT2, BIOLLM_SHARED_CACHE=str(folder))
    assert done.returncode == 0 and "4.4 MB of it copied from another cache on this computer" in done.stdout, (
        done.stdout
    )
    assert blob.read_bytes() == right and hub.sent(DNABERT2, "pytorch_model.bin") == fetched


@pytest.mark.parametrize("closed", ["a file", "a model", "the folder"])
def test_what_a_learner_may_not_read_is_told_and_passed_over(hub, learner, folder, powerless, closed):
    assert fill(learner, folder, DNABERT2).returncode == 0
    base = next(folder.glob("hub/models--*"))
    weights = next(base.glob("snapshots/*/pytorch_model.bin")).resolve()
    {"a file": weights, "a model": base, "the folder": folder}[closed].chmod(0o700)
    answer = learner.locate(BIOLLM_SHARED_CACHE=str(folder), HF_HUB_OFFLINE="1", powerless=True)
    assert answer["source"] == "embedded"
    told = answer["stderr"].splitlines()[0]
    if closed == "the folder":
        assert told == (
            f"BIOLLM_SHARED_CACHE names {folder}, which cannot be read (Permission denied); your own cache and the hub "
            "are used instead."
        )
    else:
        assert "cannot be read by you, so it is passed over; whoever made it mends it with" in told
    # The instructor's command opens it.
    assert fill(learner, folder, DNABERT2).returncode == 0
    answer = learner.locate(BIOLLM_SHARED_CACHE=str(folder), HF_HUB_OFFLINE="1", powerless=True)
    assert answer["source"] == "shared"


NAMED = {
    "nowhere": ("which is not there", lambda place: None),
    "a file": ("which is no folder", lambda place: (place / "x").write_text("x")),
    "no cache": ("which is no cache (it has neither hub nor", lambda place: (place / "x").mkdir()),
}


@pytest.mark.parametrize("case", NAMED)
def test_a_variable_that_names_no_cache_is_a_sentence_and_no_hindrance(hub, learner, place, case):
    words, make = NAMED[case]
    make(place)
    answer = learner.locate(BIOLLM_SHARED_CACHE=str(place / "x"))
    assert answer["source"] == "hub"
    (told,) = [line for line in answer["stderr"].splitlines() if "BIOLLM_SHARED_CACHE" in line]
    assert told.startswith(f"BIOLLM_SHARED_CACHE names {place / 'x'}, {words}")


def test_a_folder_with_anything_else_in_it_is_never_opened_to_all(hub, learner, folder):
    """A whole HF_HOME, say, in which the instructor's token lies."""
    folder.mkdir(mode=0o700)
    (folder / "token").write_text("hf_secret")
    (folder / "token").chmod(0o600)
    done = fill(learner, folder)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        f"biollm: {folder} holds other things (token), and a class's cache is opened for all to read; name a new or an "
        f"empty folder, such as {folder / 'class'}.\n"
    )
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "token")] == [0o700, 0o600]
    assert hub.requests == [] and [path.name for path in folder.iterdir()] == ["token"]


def test_a_cache_of_ones_own_is_not_opened_to_all(hub, learner):
    """It may hold models behind a licence, or nobody's business."""
    put(learner, DNABERT2, learner.home)
    done = learner.biollm("fetch", "--shared", str(learner.home), DNABERT2)
    assert done.returncode == 2 and f"{learner.home} holds other things (hub), and a class's" in done.stderr


def test_a_folder_that_is_both_is_one_cache(hub, learner, folder):
    assert fill(learner, folder, DNABERT2, umask=0o022).returncode == 0
    both = {"HF_HOME": str(folder), "BIOLLM_SHARED_CACHE": str(folder), "HF_HUB_OFFLINE": "1"}
    answer = learner.locate(**both)
    assert answer["source"] == "cache" and "the local cache" in answer["stderr"]
    weights = next(folder.glob("hub/models--*/snapshots/*/pytorch_model.bin")).resolve()
    weights.write_bytes(weights.read_bytes()[:-1000])
    answer = learner.locate(**both)
    assert "pytorch_model.bin in the local cache is damaged" in answer["said"]
    assert "passed over" not in answer["stderr"]


def test_what_cannot_be_a_class_cache_is_one_sentence_and_nothing_is_made(hub, learner, place, powerless, may_mount):
    (place / "file").write_text("x")
    (place / "closed").mkdir(mode=0o755)
    os.chown(place / "closed", OTHER, OTHER)
    for named, words, options in (
        (place / "file", f"{place / 'file'} is no folder; name a new or an empty one", {}),
        (place / "closed" / "class", f"You may not write in {place / 'closed'}; name a folder of your own", {}),
        (place / "small" / "class", "coding-data and zhihan", {"before": f"mount -t tmpfs -o size=4m tmpfs {place}"}),
    ):
        names = ("coding-data", DNABERT2) if options else ()
        done = learner.biollm("fetch", "--shared", str(named), *names, powerless=not options, **options)
        assert done.returncode == 2 and done.stderr.count("biollm: ") == 1, done.stderr
        assert words in done.stderr, done.stderr
    assert "are not in the class's cache and they need 5.4 MB where 4.2 MB are free" in done.stderr
    assert "make room, or name a folder on a larger disk." in done.stderr
    assert sorted(path.name for path in place.rglob("*")) == ["closed", "file"]


def test_who_can_get_there_is_said(hub, learner, folder, powerless):
    way = folder.parent / "me"
    way.mkdir(mode=0o700)
    done = learner.biollm("fetch", "--shared", str(way / "class"), "coding-data", "--json")
    assert done.returncode == 0, done.stderr
    assert (
        f"Learners cannot get there yet, as {way} is closed to others; chmod o+x {way} lets all through, and shows "
        "nothing else in there."
    ) in done.stderr
    assert json.loads(done.stdout)["shared"]["readers"] == "nobody else"
    way.chmod(0o750)
    done = learner.biollm("fetch", "--shared", str(way / "class"), "coding-data", "--json")
    assert f"Only the group {way.group()} can get there, as {way} is closed to others" in done.stderr
    assert json.loads(done.stdout)["shared"]["readers"] == f"the group {way.group()}"
    way.chmod(0o711)  # as the remedy has it
    done = learner.biollm("fetch", "--shared", str(way / "class"), "coding-data", "--json")
    assert "get there" not in done.stderr and json.loads(done.stdout)["shared"]["readers"] == "everyone"


def test_what_the_instructor_has_already_is_copied_and_needs_no_network(hub, learner, folder):
    own = Path(f"{learner.home}-own")
    put(learner, DNABERT2, own)
    put(learner, "coding-data", own)
    asked = len(hub.requests)
    done = fill(learner, folder, DNABERT2, "coding-data", "--json", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (model,), (data,) = report["models"], report["data"]
    assert (model["downloaded_bytes"], model["copied_bytes"], model["already_here"]) == (0, model["bytes"], False)
    assert (data["downloaded_bytes"], data["copied_bytes"]) == (0, data["bytes"])
    assert len(hub.requests) == asked
    answer = learner.locate(BIOLLM_SHARED_CACHE=str(folder), HF_HUB_OFFLINE="1")
    assert answer["source"] == "shared"
    # With a connection the hub says which is the newest; the contents are still copied.
    shutil.rmtree(folder)
    done = fill(learner, folder, DNABERT2)
    assert "copied from another cache on this computer" in done.stdout
    assert len(hub.sent(DNABERT2, "pytorch_model.bin")) == 1


def test_a_fetch_that_breaks_off_leaves_a_cache_that_is_whole_as_far_as_it_goes(hub, learner, folder):
    hub.fail("/lfs/", "status", status=404)
    done = fill(learner, folder, "coding-data", DNABERT2)
    assert done.returncode == 2
    assert f"{DNABERT2} is not in the class's cache and the hub does not know it" in done.stderr
    assert "coding-data is here, whole and checked" in done.stdout
    held = (folder / "README.txt").read_text().partition("It holds:\n")[2].partition("\n\n")[0]
    assert held.startswith("  biollm_widgets/data.csv") and DNABERT2 not in held
    to_class = {"BIOLLM_SHARED_CACHE": str(folder), "HF_HUB_OFFLINE": "1"}
    assert learner.locate(**to_class)["source"] == "embedded"
    hub.heal()
    assert fill(learner, folder, DNABERT2).returncode == 0
    assert learner.locate(**to_class)["source"] == "shared"


FULL = """
import errno
from pathlib import Path
write = Path.write_text
def full(self, *given, **named):
    if {when} and self.suffix == ".txt":
        raise OSError(errno.ENOSPC, "No space left on device")
    return write(self, *given, **named)
Path.write_text = full
"""


@pytest.mark.parametrize("when", ["after the models", "from the start"])
def test_a_full_disk_under_the_text_file_of_a_class_is_a_sentence_and_the_report_comes(hub, learner, folder, when):
    if when == "from the start":  # one model is there, the other would have to come
        assert fill(learner, folder, DNABERT2, umask=0o022).returncode == 0
    condition = "True" if when == "from the start" else "list(self.parent.glob('hub/models--*/refs/main'))"
    names = [DNABERT2, PROTGPT2] if when == "from the start" else [DNABERT2]
    words = learner.words("fetch", "--shared", str(folder), *names, "--json")
    words[1] = FULL.format(when=condition) + words[1]
    done = learner.run(*words)
    assert done.returncode == 2
    report = json.loads(done.stdout)
    assert [one["name"] for one in report["models"]] == [DNABERT2] and report["shared"]["folder"] == str(folder)
    assert report["errors"] == [
        f"README.txt could not be written into the class's cache and the disk (or your quota) is full in {folder}; "
        "make room, or name a folder on a larger disk; what has arrived is kept."
    ]
    assert not list(folder.glob(".*")), "a part of the text file was left"


def test_the_package_says_what_it_reads(learner):
    """The variable is known where a person looks for it."""
    done = learner.biollm("fetch", "--help")
    assert "BIOLLM_SHARED_CACHE" in done.stdout and "coding-data" in done.stdout and "--shared DIR" in done.stdout
    assert POWERLESS and ROOT.is_dir()
