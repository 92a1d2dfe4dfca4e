"""The data set over a network that fails: no byte comes twice, no two contents are mixed, nothing half is taken."""

from __future__ import annotations

import errno
import hashlib
import io

import pytest
from chapter import chapter_like
from hub import Hub, Stored

from biollm_widgets.dna import datasets_chapter, datasets_download, datasets_file
from biollm_widgets.dna.datasets import load_coding_dataset
from biollm_widgets.errors import InputError
from biollm_widgets.models import cache as caches
from biollm_widgets.models import download as transfer
from biollm_widgets.models import places
from biollm_widgets.models.hub import HubError

pytestmark = pytest.mark.network
RIGHT = chapter_like()
CUT = 5 * 65536


@pytest.fixture
def web(monkeypatch, tmp_path):
    """A server with the data set; the cache is `tmp_path / "cache"`, and nothing waits between tries."""
    for name in ("HF_HUB_OFFLINE", "BIOLLM_MODELS", "HF_HOME", "BIOLLM_SHARED_CACHE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BIOLLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.01))
    monkeypatch.setattr(places, "_told", set())
    with Hub({}) as hub:
        hub.files["data.csv"] = Stored(RIGHT, large=False)
        monkeypatch.setattr(datasets_file, "CHAPTER_URL", f"{hub.url}/files/data.csv")
        yield hub


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cache" / "data.csv"


def fetch(timeout: float = 2.0):
    return datasets_chapter.carry_out(datasets_chapter.plan(timeout=timeout), timeout=timeout, progress=False)


def gets(web: Hub) -> list[tuple]:
    return [(seen.range, seen.sent) for seen in web.requests if seen.method == "GET"]


def test_a_connection_that_is_cut_goes_on_with_no_byte_fetched_twice(web, file):
    web.fail("/files/", "cut", times=None, at=CUT)
    web.faults[0].times = 2  # HEAD and the first GET
    found = fetch()
    assert file.read_bytes() == RIGHT and found.sha256 == hashlib.sha256(RIGHT).hexdigest()
    assert gets(web) == [(None, CUT), (f"bytes={CUT}-", len(RIGHT) - CUT)]
    assert file.with_name("data.csv.sha256").read_text() == f"{found.sha256}  data.csv\n"


def test_a_part_of_yesterday_is_gone_on_with(web, file):
    web.fail("/files/", "cut", at=CUT)
    with pytest.raises(InputError, match=rf"stopped after {CUT:,} of {len(RIGHT):,} bytes; try again, which goes on"):
        fetch()
    assert not file.exists() and datasets_file.begun(file) == CUT
    assert datasets_chapter.plan().missing == len(RIGHT) - CUT
    web.heal()
    web.requests.clear()
    found = fetch()
    assert (found.count.resumed, found.count.downloaded) == (CUT, len(RIGHT) - CUT)
    assert gets(web) == [(f"bytes={CUT}-", len(RIGHT) - CUT)]
    assert file.read_bytes() == RIGHT and datasets_file.begun(file) == 0


def test_a_part_of_another_content_is_never_joined_to_this_one(web, file):
    web.fail("/files/", "cut", at=CUT)
    with pytest.raises(InputError):
        fetch()
    web.heal()
    other = RIGHT.replace(b"ACGT", b"AGGT")
    web.files["data.csv"] = Stored(other, large=False)
    fetch()
    assert file.read_bytes() == other
    assert [path.name for path in file.parent.glob(".*.incomplete")] == []


def test_a_content_that_changes_between_two_requests_is_a_sentence(web, file):
    planned = datasets_chapter.plan()
    web.files["data.csv"] = Stored(RIGHT.replace(b"ACGT", b"AGGT"), large=False)
    with pytest.raises(InputError, match="has another file than a moment ago; try again"):
        datasets_chapter.carry_out(planned, progress=False)
    assert not file.exists()
    fetch()
    assert file.exists()


@pytest.mark.parametrize("kind", ["no range", "status 416"])
def test_a_server_that_cannot_begin_in_the_middle_begins_again(web, file, kind):
    web.fail("/files/", "cut", at=CUT)
    with pytest.raises(InputError):
        fetch()
    web.heal()
    if kind == "no range":
        web.fail("/files/", "no range")
    else:
        planned = datasets_chapter.plan()
        web.fail("/files/", "status", status=416, times=1)
        datasets_chapter.carry_out(planned, progress=False)
    assert fetch() is not None and file.read_bytes() == RIGHT


@pytest.mark.parametrize("status", [405, 501, 403])
def test_a_server_that_knows_no_head_is_asked_with_get(web, file, status):
    web.fail("/files/", "status", status=status, times=1)
    assert datasets_chapter.plan().size == len(RIGHT)


def test_a_server_that_tells_no_size_is_read_to_its_end(web, file, monkeypatch):
    monkeypatch.setattr(datasets_download, "_length", lambda answer: None)
    planned = datasets_chapter.plan()
    assert (planned.size, planned.missing) == (None, 0)
    datasets_chapter.carry_out(planned, progress=False)
    assert file.read_bytes() == RIGHT


def test_an_answer_without_end_is_stopped(web, file, monkeypatch):
    monkeypatch.setattr(datasets_download, "LARGEST", 100_000)
    with pytest.raises(InputError, match="sends more than 100 kB; that is not the data set"):
        datasets_chapter.plan()
    monkeypatch.setattr(datasets_download, "_length", lambda answer: None)
    with pytest.raises(InputError, match="sends more than 100 kB"):
        fetch()
    assert not file.exists()


def test_a_byte_that_changes_on_the_disk_is_found(web, file, capsys):
    fetch()
    file.write_bytes(RIGHT.replace(b"ACGT", b"AGGT", 1))  # still the rows, columns and labels of the chapter
    assert load_coding_dataset("chapter", progress=False).attrs["source"] == datasets_file.CHAPTER_URL
    said = capsys.readouterr().err
    assert "its SHA-256 is not the one written down at its download) and is downloaded anew." in said
    assert file.read_bytes() == RIGHT
    frame = load_coding_dataset("chapter", progress=False)
    assert frame.attrs == {"simulated": False, "source": str(file)}


def test_a_file_that_was_put_there_by_hand_is_taken_and_its_checksum_noted_by_fetch(web, file):
    file.parent.mkdir()
    file.write_bytes(RIGHT)
    found, _ = datasets_chapter.find()
    assert found is not None and not found.recorded
    datasets_chapter.record(found)
    found, _ = datasets_chapter.find()
    assert found is not None and found.recorded and web.requests == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_or_a_quota_that_is_full_in_the_middle(web, file, monkeypatch, capsys, number):
    """Fetching says so; a lesson has its data all the same, and leaves no part on the full disk."""

    class Full(io.FileIO):
        def write(self, content):
            raise OSError(number, "full")

    real = datasets_chapter.Path.open
    monkeypatch.setattr(
        datasets_chapter.Path,
        "open",
        lambda self, mode="r", *rest, **more: Full(self, "a+") if mode == "a+b" else real(self, mode, *rest, **more),
    )
    with pytest.raises(HubError, match=r"is not in the local cache and the disk \(or your quota\) is full in"):
        fetch()
    assert not file.exists()
    frame = load_coding_dataset("chapter", size=100, progress=False)
    assert len(frame) == 100 and not frame.attrs["simulated"]
    said = capsys.readouterr().err
    assert "The download is not kept for the next time: " in said and "BIOLLM_CACHE" in said
    assert [path.name for path in file.parent.glob(".*.incomplete")] == []


def test_too_small_a_disk_is_seen_before_the_first_byte_and_a_lesson_goes_on(web, file, monkeypatch, capsys):
    monkeypatch.setattr(caches, "free_bytes", lambda folder: 1_000)
    assert len(load_coding_dataset("chapter", progress=False)) == 65_321
    assert "it needs 849 kB where 1 kB are free" in capsys.readouterr().err
    assert not file.exists()


def test_the_folder_of_hf_home_is_the_one_the_hubs_client_takes(monkeypatch, tmp_path):
    """With a variable in it, as a kernel's settings may have it."""
    monkeypatch.delenv("BIOLLM_CACHE", raising=False)
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    monkeypatch.setenv("HF_HOME", "$SCRATCH/cache")
    assert datasets_file.cache_folder() == tmp_path / "cache" / "biollm_widgets"
