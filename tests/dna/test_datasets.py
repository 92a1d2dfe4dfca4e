"""The chapter's data set comes whole and checked or not at all; what stands in for it is named."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
from chapter import chapter_like

from biollm_widgets.dna import datasets_file
from biollm_widgets.dna.datasets import load_coding_dataset
from biollm_widgets.dna.datasets_chapter import load_chapter
from biollm_widgets.dna.datasets_file import CHAPTER_LABELS, CHAPTER_ROWS
from biollm_widgets.errors import InputError
from biollm_widgets.models import download as transfer


@pytest.fixture
def server():
    """A web server on this machine; `answers` maps a path to what is done with a request."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            self.server.asked.append(f"{self.command} {self.path}")
            answer = self.server.answers.get(self.path)
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answers, server.asked = {}, []
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()


def sends(content, announced=None, wait=0.0):
    def answer(request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(content) if announced is None else announced))
        request.end_headers()
        if request.command == "HEAD":
            return
        request.wfile.write(content)
        request.wfile.flush()
        time.sleep(wait)

    return answer


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "BIOLLM_MODELS", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("BIOLLM_SHARED_CACHE", raising=False)
    monkeypatch.setattr(transfer, "PAUSES", (0.01, 0.01))
    monkeypatch.setenv("BIOLLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def cached(folder):
    """What stands there under a name of its own: no part, no lock."""
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.exists() else []


@pytest.mark.network
def test_the_chapters_file_is_downloaded_once_checked_and_kept(server, cache, capsys, monkeypatch):
    server.answers["/data.csv"] = sends(chapter_like())
    monkeypatch.setattr(datasets_file, "CHAPTER_URL", f"{server.url}/data.csv")
    frame = load_coding_dataset(progress=False)
    assert frame.shape == (CHAPTER_ROWS, 2) and frame["Target"].value_counts().to_dict() == CHAPTER_LABELS
    assert frame["DNA_sequence"].iloc[-1] == "ACGTACGTAG"  # upper case
    assert frame.attrs["simulated"] is False
    assert cached(cache) == ["data.csv", "data.csv.sha256"]
    again = load_coding_dataset("chapter", size=1000, progress=False)
    assert server.asked == ["HEAD /data.csv", "GET /data.csv"]
    assert again.shape == (1000, 2) and again["Target"].mean() == pytest.approx(0.30186, abs=0.001)
    assert again.index.nunique() == 1000 and not again.index.is_monotonic_increasing
    assert again.attrs["source"] == str(cache / "data.csv")
    said = capsys.readouterr().err
    assert "the chapter's 65,321 sequences" in said and "SIMULATED" not in said


@pytest.mark.network
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "answers 404"),
        (sends(chapter_like(), announced=2_000_000), "stopped after [0-9,]+ of 2,000,000 bytes"),
        (sends(chapter_like(ones=CHAPTER_LABELS[1] - 1)), "has 65,320 rows instead of 65,321"),
        (sends(chapter_like(ones=CHAPTER_LABELS[0], zeros=CHAPTER_LABELS[1])), "label 0 is there 19,718 times"),
        (sends(chapter_like(header="sequence,label")), "first line has to be DNA_sequence,Target"),
        (sends(b"<html>You are behind a captive portal</html>"), "first line has to be"),
        (sends(b""), "first line has to be DNA_sequence,Target and is 'nothing'"),
        (sends(b"\x00\xff\xfe" * 100), "no CSV text"),
        (sends(chapter_like(sequence="MKVLAAGIQ")), "65,321 of its sequences are not DNA"),
        (sends(b"DNA_sequence", announced=9_999, wait=1.5), "sent nothing for 0.3 seconds"),
    ],
    ids=["404", "truncated", "rows", "labels", "columns", "html", "empty", "binary", "protein", "timeout"],
)
def test_what_is_not_the_data_set_is_refused_and_never_kept(server, cache, answer, words):
    if answer:
        server.answers["/data.csv"] = answer
    with pytest.raises(InputError, match=words):
        load_chapter(f"{server.url}/data.csv", timeout=0.3, progress=False)
    assert cached(cache) == []


@pytest.mark.network
def test_a_broken_copy_in_the_cache_is_downloaded_anew(server, cache, capsys):
    cache.mkdir()
    (cache / "data.csv").write_bytes(chapter_like()[:5000])
    server.answers["/data.csv"] = sends(chapter_like())
    assert len(load_chapter(f"{server.url}/data.csv", progress=False)) == CHAPTER_ROWS
    assert (cache / "data.csv").read_bytes() == chapter_like()
    assert "is no good" in capsys.readouterr().err


@pytest.mark.network
def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(server, cache, capsys):
    cache.write_text("a file where the folder should be")
    server.answers["/data.csv"] = sends(chapter_like())
    assert len(load_chapter(f"{server.url}/data.csv", progress=False)) == CHAPTER_ROWS
    assert "not kept for the next time" in capsys.readouterr().err


def test_without_a_connection_auto_simulates_and_says_so_and_chapter_refuses(monkeypatch, capsys, cache):
    monkeypatch.setattr(datasets_file, "CHAPTER_URL", "http://127.0.0.1:9/data.csv")  # the discard port: nobody listens
    frame = load_coding_dataset(size=200, progress=False)
    assert frame.attrs["simulated"] is True and len(frame) == 200
    said = capsys.readouterr().err
    assert "200 SIMULATED sequences" in said and "cannot be reached" in said
    with pytest.raises(InputError, match="cannot be reached"):
        load_coding_dataset("chapter", progress=False)
    assert cached(cache) == []


@pytest.mark.network
@pytest.mark.parametrize(("name", "value"), [("HF_HUB_OFFLINE", "1"), ("BIOLLM_MODELS", "embedded")])
def test_the_offline_switches_keep_auto_off_the_web(server, monkeypatch, capsys, name, value):
    monkeypatch.setattr(datasets_file, "CHAPTER_URL", f"{server.url}/data.csv")
    monkeypatch.setenv(name, value)
    assert load_coding_dataset(size=20).attrs["simulated"]
    assert server.asked == []
    assert "keeps off the web" in capsys.readouterr().err


def test_simulated_on_request_says_so(capsys):
    assert len(load_coding_dataset("simulated", size=30, seed=4)) == 30
    assert "30 SIMULATED sequences" in capsys.readouterr().err


def test_a_file_of_ones_own(shared_data, capsys):
    path = shared_data / "ecoli_coding_noncoding.csv"
    frame = load_coding_dataset(path)
    expected = pd.read_csv(path)
    assert frame.equals(expected)
    assert frame.attrs == {"source": str(path), "simulated": False}
    part = load_coding_dataset(path, size=1000, seed=3)
    assert part.equals(load_coding_dataset(path, size=1000, seed=3))
    assert (expected.loc[part.index, "DNA_sequence"] == part["DNA_sequence"]).all()
    assert "3,207 sequences" in capsys.readouterr().err


def test_an_index_column_is_left_out_and_explained(shared_data, tmp_path, capsys):
    data = pd.read_csv(shared_data / "ecoli_coding_noncoding.csv").iloc[:20]
    data.to_csv(tmp_path / "indexed.csv")
    assert load_coding_dataset(tmp_path / "indexed.csv").equals(data)
    assert "column 1 (''), which only counts the rows" in capsys.readouterr().err


def test_columns_are_found_by_name_in_any_order_and_by_place_without(tmp_path):
    (tmp_path / "a.csv").write_text("label,note,sequence\n1,x,ACGT\n0,y,TTTT\n")
    (tmp_path / "b.csv").write_text("seq,coding\nACGT,1\nTTTT,0\n")
    for name in "ab":
        frame = load_coding_dataset(tmp_path / f"{name}.csv")
        assert frame["DNA_sequence"].tolist() == ["ACGT", "TTTT"] and frame["Target"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,ACGTA\n0,TTTTA\n", "swapped"),
        ("a,b,c\nx,y,z\nx,y,z\n", "needs DNA_sequence and Target"),
        ("DNA_sequence,kind\nACGT,1\nACGA,0\n", "needs DNA_sequence and Target"),
        ("DNA_sequence,Target\nACGT,1\nACGA,2\n", "1 for coding and 0 for non-coding"),
        ("DNA_sequence,Target\nACGT,1\nACJA,0\n", "line 3 of .*, position 3, 'J' is no base"),
        ("DNA_sequence,Target\nACGT,1\nACGA,yes\n", "line 3 of .* is 'yes'"),
    ],
)
def test_a_file_with_something_wrong_is_refused_by_its_place(tmp_path, text, words):
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        load_coding_dataset(tmp_path / "data.csv")


@pytest.mark.parametrize("size", [0, 1, 21, 2.5])
def test_a_sample_larger_than_the_file_or_no_number_is_refused(shared_data, tmp_path, size):
    pd.read_csv(shared_data / "ecoli_coding_noncoding.csv").iloc[:20].to_csv(tmp_path / "d.csv", index=False)
    with pytest.raises(InputError, match="size is"):
        load_coding_dataset(tmp_path / "d.csv", size=size)
    assert len(load_coding_dataset(tmp_path / "d.csv", size=20)) == 20


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    assert datasets_file.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("BIOLLM_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert datasets_file.cache_folder() == tmp_path / "hf" / "biollm_widgets"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert datasets_file.cache_folder() == tmp_path / "xdg" / "biollm_widgets"
