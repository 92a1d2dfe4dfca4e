"""The progress file: whoever is killed or in the way, what can be read is whole, and nobody's file is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from biollm_widgets.errors import InputError
from biollm_widgets.runs import progress_file
from biollm_widgets.runs.events import decode, encode
from biollm_widgets.runs.progress_file import ProgressReader, ProgressWriter, check_place


def log(step: int, **values: Any) -> dict[str, Any]:
    return {"event": "log", "time": 1.0 + step, "step": step, "epoch": step / 10, "values": {"loss": 0.5, **values}}


def step(number: int) -> dict[str, Any]:
    return {"event": "step", "time": 1.0, "step": number, "samples": 8 * number}


def steps(events: list[dict[str, Any]]) -> list[int]:
    return [event["step"] for event in events]


START = {"event": "start", "time": 1.0, "name": "coding", "settings": {}}
END = {"event": "end", "time": 9.0, "state": "finished", "step": 9, "words": ["Done."]}


def test_a_line_is_there_as_soon_as_it_is_heard_and_comes_once(tmp_path):
    path = tmp_path / "deep" / "er" / "run.jsonl"
    reader = ProgressReader(path)
    assert reader.read() == [] and not reader.started_over
    hear = ProgressWriter(path, resume=False)
    assert reader.read() == []
    hear(log(1))
    hear(log(2))
    assert reader.read() == [log(1), log(2)]
    assert reader.read() == []
    hear(log(3, grad_norm=float("inf")))
    assert reader.read() == [log(3, grad_norm=float("inf"))]
    assert (reader.broken, reader.behind, reader.started_over) == (0, False, False)
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask  # others of the group may follow


def test_a_half_line_waits_and_a_broken_one_is_counted_and_passed_over(tmp_path):
    path = tmp_path / "run.jsonl"
    whole = encode(log(1)).encode()
    path.write_bytes(whole + b"\n" + whole[:20])
    reader = ProgressReader(path)
    assert steps(reader.read()) == [1] and reader.read() == []
    with path.open("ab") as file:
        file.write(whole[20:])
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(
            b'\n{"event":"log","ti\n\xff\x00\n[3]\n{"event":"log"}\n{"event":"weather","time":1}\n\n' + whole + b"\n"
        )
    assert steps(reader.read()) == [1, 1]
    assert reader.broken == 4  # weather is a newer version's, an empty line is none
    with path.open("ab") as file:  # two halves that would be one event together, and one line with two
        file.write(whole[:20] + b"\n" + whole[20:] + b"\n" + whole + b"," + whole + b"\n" + whole + b"\n")
    assert reader.read()[-1:] == [log(1)]


def test_a_file_that_was_replaced_starts_over_and_says_so(tmp_path):
    path = tmp_path / "run.jsonl"
    reader = ProgressReader(path)
    hear = ProgressWriter(path, resume=False)
    for number in range(1, 4):
        hear(log(number))
    assert steps(reader.read()) == [1, 2, 3]
    again = ProgressWriter(path, resume=False)
    assert reader.read() == [] and reader.started_over
    again(log(1, note=1.0))
    assert steps(reader.read()) == [1] and not reader.started_over
    longer = ProgressWriter(path, resume=False)  # nobody looked while it was shorter
    for number in range(10, 30):
        longer(log(number))
    assert steps(reader.read()) == list(range(10, 30)) and reader.started_over
    path.unlink()
    assert reader.read() == [] and not reader.started_over
    path.write_text(encode(log(7)) + "\n")
    assert steps(reader.read()) == [7] and reader.started_over


def test_a_copy_that_grew_is_the_same_file_though_its_inode_is_another(tmp_path):
    """As rsync and folders mounted over SSH have it."""
    path = tmp_path / "run.jsonl"
    lines = [encode(log(number)) + "\n" for number in range(40)]
    path.write_text("".join(lines[:20]))
    reader = ProgressReader(path)
    reader.read()
    (tmp_path / "new").write_text("".join(lines))
    (tmp_path / "new").rename(path)
    assert steps(reader.read()) == list(range(20, 40)) and not reader.started_over


def test_a_huge_file_is_read_piece_by_piece_and_a_line_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(progress_file, "A_CALL", 1_000)
    path = tmp_path / "run.jsonl"
    path.write_text("".join(encode(log(number)) + "\n" for number in range(100)))
    reader, found, calls = ProgressReader(path), [], 0
    while True:
        found += reader.read()
        calls += 1
        if not reader.behind:
            break
    assert steps(found) == list(range(100)) and calls > 5 and reader.broken == 0
    with path.open("a") as file:
        file.write("x" * 5_000)
    for _ in range(10):
        assert reader.read() == []
    with path.open("a") as file:
        file.write("\n" + encode(log(7)) + "\n")
    found = [event for _ in range(10) for event in reader.read()]
    assert steps(found) == [7] and reader.broken == 1


def test_reading_takes_no_more_than_three_times_what_plain_json_takes(tmp_path):
    path = tmp_path / "run.jsonl"
    lines = [encode(log(n, loss=0.66 + n / 1e7, learning_rate=1e-5, grad_norm=1.234)) for n in range(20_000)]
    path.write_text("\n".join(lines) + "\n")

    def plain() -> None:
        for line in path.read_bytes().splitlines():
            json.loads(line)

    def ours() -> None:
        reader = ProgressReader(path)
        found = reader.read()
        while reader.behind:
            found += reader.read()
        assert len(found) == 20_000

    def seconds(work: Any) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    assert min(seconds(ours) for _ in range(3)) < 3 * min(seconds(plain) for _ in range(3))


def test_steps_come_once_a_second_and_the_last_one_before_the_end(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_file.time, "monotonic", lambda: now[0])
    hear = ProgressWriter(tmp_path / "run.jsonl", resume=False)
    hear(START)
    for number in range(1, 27):
        hear(step(number))
        if number == 5:
            hear({"event": "say", "time": 1.0, "words": "one"})
            hear({"event": "say", "time": 1.0, "words": "two"})
            hear(log(5))
        now[0] += 0.125
    for done in range(8):
        hear({"event": "phase", "time": 1.0, "phase": "evaluating", "step": 25, "done": done, "of": 8})
        now[0] += 0.25
    for phase in ("training", "saving", "training", "training"):
        hear({"event": "phase", "time": 1.0, "phase": phase, "step": 25})
    hear(END)
    events = ProgressReader(tmp_path / "run.jsonl").read()
    assert [e["step"] for e in events if e["event"] == "step"] == [1, 9, 17, 25, 26]
    assert [e["words"] for e in events if e["event"] == "say"] == ["one", "two"]
    assert [e["done"] for e in events if e["event"] == "phase"] == [0, 4, None, None, None]
    assert [e["phase"] for e in events if e["event"] == "phase"][2:] == ["training", "saving", "training"]
    assert events[-1]["event"] == "end" and events[-2]["event"] == "step"


def test_a_run_that_goes_on_writes_below_and_mends_a_half_line(tmp_path):
    path = tmp_path / "run.jsonl"
    ProgressWriter(path, resume=True)(log(1))  # there was none
    with path.open("a") as file:
        file.write(encode(log(2))[:30])
    hear = ProgressWriter(path, resume=True)
    hear(log(2))
    hear(log(3))
    reader = ProgressReader(path)
    assert steps(reader.read()) == [1, 2, 3] and reader.broken == 1
    assert path.read_bytes().count(b"\n") == 4


def test_what_a_run_had_found_before_is_written_where_the_file_has_no_past(tmp_path):
    past = {"event": "history", "time": 50.0, "events": [{**log(1), "time": 3.0}, {"event": "log", **log(2)}]}
    past["events"][1].pop("time")
    for name, before in (("new", []), ("old", [log(1)])):
        for event in before:
            ProgressWriter(tmp_path / name, resume=True)(event)
        hear = ProgressWriter(tmp_path / name, resume=True)
        hear(past)
        hear(log(3))
    assert steps(ProgressReader(tmp_path / "new").read()) == [1, 2, 3]
    assert [decode(line)["time"] for line in (tmp_path / "new").read_text().splitlines()] == [3.0, 50.0, 4.0]
    assert steps(ProgressReader(tmp_path / "old").read()) == [1, 3]


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_that_is_none_of_ours_is_refused_and_left_alone(resume, tmp_path):
    for text in ("sequence,label\nACGT,1\n", '{"event": 3}\n', '{"event":"log in","user":"x"}\n', "\n", "{"):
        path = tmp_path / "theirs"
        path.write_text(text)
        if text == "{":  # of a run that was killed in its first line, perhaps
            ProgressWriter(path, resume)(log(1))
            assert steps(ProgressReader(path).read()) == [1]
            continue
        with pytest.raises(InputError, match="theirs is there and is no progress file of a run; name another file"):
            ProgressWriter(path, resume)
        assert path.read_text() == text
    (tmp_path / "empty").touch()
    ProgressWriter(tmp_path / "empty", resume)(log(1))
    with pytest.raises(InputError, match="is a folder; name a file"):
        ProgressWriter(tmp_path, resume)
    with pytest.raises(InputError, match="is a device"):
        ProgressWriter("/dev/null", resume)
    with pytest.raises(InputError, match="empty is no folder"):
        ProgressWriter(tmp_path / "empty" / "run.jsonl", resume)
    assert Path("/dev/null").is_char_device()


def test_looking_whether_a_place_will_do_changes_nothing(tmp_path):
    assert check_place(tmp_path / "a" / "b.jsonl") == tmp_path / "a" / "b.jsonl"
    assert list(tmp_path.iterdir()) == []
    ProgressWriter(tmp_path / "run.jsonl", resume=False)(log(1))
    (tmp_path / "link").symlink_to("run.jsonl")
    assert check_place(tmp_path / "link") == tmp_path / "run.jsonl"
    assert steps(ProgressReader(tmp_path / "link").read()) == [1]
    ProgressWriter(tmp_path / "link", resume=False)
    assert (tmp_path / "link").is_symlink() and ProgressReader(tmp_path / "link").read() == []


MANY = """
import sys
from biollm_widgets.runs.progress_file import ProgressWriter
hear = ProgressWriter(sys.argv[1], resume=True)
for number in range(int(sys.argv[3])):
    hear({"event": "log", "time": 1.0, "step": number, "values": {"loss": 0.5, sys.argv[2] * 300: 1.0}})
"""


def test_two_processes_that_write_one_file_do_not_write_into_each_others_lines(tmp_path):
    path = tmp_path / "run.jsonl"
    path.touch()
    both = [subprocess.Popen([sys.executable, "-c", MANY, path, name, "3000"]) for name in "ab"]
    reader, found = ProgressReader(path), []
    while any(one.poll() is None for one in both):
        found += reader.read()
    found += reader.read()
    assert [one.returncode for one in both] == [0, 0] and reader.broken == 0
    for name in "ab":
        assert steps([event for event in found if name * 300 in event["values"]]) == list(range(3000))


def test_a_writer_that_is_killed_leaves_a_readable_file_that_the_next_one_goes_on_in(tmp_path):
    path = tmp_path / "run.jsonl"
    path.touch()
    for kill in range(1, 4):
        writer = subprocess.Popen([sys.executable, "-c", MANY, path, "a", "100000000"])
        size, deadline = path.stat().st_size, time.monotonic() + 60
        while path.stat().st_size < size + 200_000 and time.monotonic() < deadline:
            assert writer.poll() is None
            time.sleep(0.001)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        reader, found = ProgressReader(path), []
        found = reader.read()
        while reader.behind:
            found += reader.read()
        assert reader.broken < kill and steps(found).count(0) == kill


def disk(folder: Path, mount: str, code: str) -> subprocess.CompletedProcess:
    """Python on a disk of its own at `folder`/disk."""
    (folder / "disk").mkdir()
    (folder / "code.py").write_text(code)
    line = f"{mount} && exec {sys.executable} {folder / 'code.py'} {folder / 'disk' / 'run.jsonl'}"
    return subprocess.run(["unshare", "-m", "sh", "-c", line], capture_output=True, text=True, timeout=60)


FULL = """
import sys
from pathlib import Path
from biollm_widgets.runs.progress_file import ProgressReader, ProgressWriter
path = Path(sys.argv[1])
hear = ProgressWriter(path, resume=False)
other = path.with_name("other")
def log(n): hear({"event": "log", "time": 1.0, "step": n, "values": {"loss": 0.5, "x" * 1000: 1.0}})
log(0)
other.write_bytes(b"x" * 950_000)
for n in range(1, 200): log(n)
other.unlink()
log(200)
reader = ProgressReader(path)
found = [event["step"] for event in reader.read()]
print(found[0], found[-1], found == sorted(found), reader.broken <= 1, 1 < len(found) < 150)
"""


def test_a_full_disk_is_said_once_and_the_training_goes_on_writing_when_there_is_room(may_mount, tmp_path):
    done = disk(tmp_path, f"mount -t tmpfs -o size=1m tmpfs {tmp_path / 'disk'}", FULL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "200", "True", "True", "True"]
    assert done.stderr.count("\n") == 1 and "run.jsonl (No space left on device); the training goes on" in done.stderr


def test_a_disk_that_may_not_be_written_to_is_refused_at_the_very_start(may_mount, tmp_path):
    code = "import sys\nfrom biollm_widgets.runs.progress_file import ProgressWriter as Writer, check_place\n"
    code += "for work in (check_place, lambda path: Writer(path, False), lambda path: Writer(path + '/a/b', True)):\n"
    code += "    try: work(sys.argv[1])\n    except ValueError as problem: print(problem)\n"
    place = tmp_path / "disk"
    done = disk(tmp_path, f"mount --bind {place} {place} && mount -o remount,ro,bind {place}", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("choose a place you may write to") == 3, done.stdout
    assert list(place.iterdir()) == []


def test_a_writer_whose_folder_goes_away_says_so_once(tmp_path, capsys):
    path = tmp_path / "a" / "run.jsonl"
    hear = ProgressWriter(path, resume=False)
    hear(log(1))
    path.unlink()
    path.parent.rmdir()
    hear(log(2))
    hear(log(3))
    said = capsys.readouterr().err
    assert said.count("Warning: progress cannot be written to") == 1 and "No such file" in said
    path.parent.mkdir()
    hear(log(4))
    assert steps(ProgressReader(path).read()) == [4]


def test_following_what_is_no_file_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        ProgressReader(tmp_path).read()
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for somebody who writes
    with pytest.raises(InputError, match="is a device"):
        ProgressReader(tmp_path / "pipe").read()
    assert ProgressReader(tmp_path / "nowhere" / "run.jsonl").read() == []
