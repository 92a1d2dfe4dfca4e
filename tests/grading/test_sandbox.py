"""What a learner's process can see, reach and use: its notebook and Python, and nothing of whoever grades."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from biollm_widgets.grading import sandbox
from biollm_widgets.grading.limits import Limits
from tests.conftest import skip_or_fail

from .kernels import ROOT, Warm, through, why_not

pytestmark = pytest.mark.slow

WAYS = ["namespaces", "bubblewrap"]
SHARED = """
import mmap, tempfile, time
file = tempfile.TemporaryFile(dir="/dev/shm")
file.truncate(600 * 2**20)
mapped = mmap.mmap(file.fileno(), 0)
for place in range(0, len(mapped), 4096):
    mapped[place] = 1
x = bytearray(600 * 2**20)
time.sleep(20)
"""  # each for itself is little enough
CHECKS = str(ROOT / "biollm_widgets" / "checks" / "dna")


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    os.environ["A_SECRET"] = "hunter2"
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        made = Warm(Path(folder))
        del os.environ["A_SECRET"]
        yield made
        made.close()


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    reason = why_not(request.param)
    if reason:
        skip_or_fail(f"Kernels cannot be kept apart by {request.param} here: {reason}.")
    return request.param


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course with a gradebook, somebody else's work, and the solutions; in a folder that Python is not in."""
    for name in ("gradebook.db", "solutions/dna/dna.ipynb", "submitted/bob/dna/dna.ipynb"):
        path = tmp_path / "course" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret")
    return tmp_path / "course"


def test_it_runs_python_with_what_lies_beside_the_notebook(warm: Warm, way: str) -> None:
    code = "import helpers, torch, pandas; print(helpers.answer, torch.ones(2).sum().item())"
    first, second = through(warm.kernel(way, Limits()), code, "open('made.txt', 'w').write('x')")
    assert first.text == "42 2.0\n" and not first.error
    assert second.text == "1"


def test_a_plot_shows_under_its_cell_for_whoever_grades_by_hand(warm: Warm, way: str) -> None:
    drawn, after = through(
        warm.kernel(way, Limits()), "import matplotlib.pyplot as plt; plt.plot([1, 2, 3])", "plt.get_fignums()"
    )
    assert drawn.kinds.count("display_data") == 1 and after.text == "[]"


def test_what_the_first_cell_shows_is_heard_however_late_the_subscription_comes(
    warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    import zmq
    from jupyter_client.asynchronous.client import AsyncKernelClient

    connect = AsyncKernelClient.connect_iopub

    def connect_late(client: AsyncKernelClient, *given: Any, **named: Any) -> Any:
        listening = connect(client, *given, **named)
        listening.setsockopt(zmq.UNSUBSCRIBE, b"")
        asyncio.get_running_loop().call_later(1.3, listening.setsockopt, zmq.SUBSCRIBE, b"")
        return listening

    monkeypatch.setattr(AsyncKernelClient, "connect_iopub", connect_late)
    (said,) = through(warm.kernel("namespaces", Limits()), "print('here')")
    assert said.text == "here\n"


def test_the_course_other_learners_and_the_solutions_are_not_there(warm: Warm, way: str, course: Path) -> None:
    code = f"""
import os
found = [os.path.join(place, name) for place, _, names in os.walk("/") for name in names
         if name.endswith((".db", ".ipynb")) and "site-packages" not in place and "/usr/" not in place]
print(found, *(os.path.exists(place) for place in {[str(course), str(ROOT / "solutions"), str(ROOT / ".git")]!r}))
try:
    open({str(course / "gradebook.db")!r})
except OSError as error:
    print(type(error).__name__)
"""
    (said,) = through(warm.kernel(way, Limits(), (str(course),)), code)
    assert said.text == "[] False False False\nFileNotFoundError\n", said.text


def test_a_folder_that_is_hidden_is_empty_even_inside_one_that_is_seen(warm: Warm, way: str) -> None:
    (said,) = through(warm.kernel(way, Limits(), (CHECKS,)), f"import os; print(os.listdir({CHECKS!r}))")
    assert said.text == "[]\n"


def test_python_that_is_reached_over_links_is_there_and_its_answers_are_not(way: str, tmp_path: Path) -> None:
    (tmp_path / "code").symlink_to(ROOT.parent)
    (tmp_path / "first").symlink_to(Path(sys.prefix).parent)
    (tmp_path / "python").symlink_to("first")
    here = tmp_path / "code" / ROOT.name
    python = tmp_path / "python" / Path(sys.prefix).name / Path(sys.executable).relative_to(sys.prefix)
    inside = """
import biollm_widgets, helpers, os, sys, torch
from xml.dom import minidom  # what nobody has imported before
print([one for one in sys.path if one.startswith("/") and not os.path.exists(one) and not one.endswith(".zip")])
print(os.path.exists(sys.executable), os.path.dirname(biollm_widgets.__file__))
checks = os.path.join(os.path.dirname(biollm_widgets.__file__), "checks")
print(os.listdir(os.path.join(checks, "dna")), os.listdir(os.path.realpath(os.path.join(checks, "dna"))))
print(os.listdir(os.path.dirname(os.path.dirname(checks))))
"""
    code = f"""
import sys, tempfile
from pathlib import Path
from biollm_widgets.grading.limits import Limits
from biollm_widgets.grading.setting import _answers
from tests.grading.kernels import Warm, through
with tempfile.TemporaryDirectory(prefix="t") as folder:
    warm = Warm(Path(folder))
    (said,) = through(warm.kernel({way!r}, Limits(), tuple(_answers())), {inside!r})
    warm.close()
print(said.text + said.error)
"""
    own = {**os.environ, "PYTHONPATH": str(here)}
    done = subprocess.run([str(python), "-c", code], cwd=tmp_path, env=own, capture_output=True, text=True, timeout=300)
    package = here / "biollm_widgets"
    assert done.stdout.strip() == f"[]\nTrue {package}\n[] []\n['biollm_widgets']", done.stdout + done.stderr


def test_a_folder_that_is_hidden_by_another_name_is_empty(warm: Warm, way: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ROOT)
    hidden = str(tmp_path / "link" / "biollm_widgets" / "checks" / "dna")
    (said,) = through(warm.kernel(way, Limits(), (hidden,)), f"import os; print(os.listdir({CHECKS!r}))")
    assert said.text == "[]\n"


def test_the_environment_says_nothing_of_whoever_grades(warm: Warm, way: str) -> None:
    code = "import os; print(dict(os.environ), open('/proc/self/environ').read(), os.getuid())"
    (said,) = through(warm.kernel(way, Limits()), code)
    assert "hunter2" not in said.text and "PYTEST" not in said.text and "SSH_" not in said.text
    assert "'HOME': '/home/learner'" in said.text and said.text.endswith("1000\n")


def test_there_is_no_network(warm: Warm, way: str) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        code = """
import socket
for place in (("1.1.1.1", 80), ("127.0.0.1", PORT), ("example.org", 80)):
    try:
        socket.create_connection(place, 2)
        print("reached", place)
    except OSError as error:
        print("no")
""".replace("PORT", str(port))
        (said,) = through(warm.kernel(way, Limits()), code)
    assert said.text == "no\nno\nno\n"


def test_nothing_outside_can_be_written(warm: Warm, way: str) -> None:
    import biollm_widgets

    canary = Path(biollm_widgets.__file__).parent / "poisoned.py"
    code = f"""
import os, site
for place in ({str(canary)!r}, "/usr/poisoned", os.path.join(os.path.dirname(os.__file__), "poisoned.py"),
              "/etc/poisoned", "/proc/sys/kernel/hostname", "/dev/poisoned", "/run/kernel/poisoned"):
    try:
        open(place, "w").write("x")
        print("wrote", place)
    except OSError:
        pass
"""
    (said,) = through(warm.kernel(way, Limits()), code)
    allowed = ["/etc/poisoned", "/dev/poisoned"] if way == "bubblewrap" else []  # its own, in memory
    assert [line for line in said.text.splitlines() if line.split()[1] not in allowed] == []
    assert not canary.exists() and not Path("/usr/poisoned").exists() and not Path("/etc/poisoned").exists()


def test_nothing_can_be_put_on_the_graders_disk(warm: Warm, way: str) -> None:
    code = """
import ctypes, os
libc = ctypes.CDLL(None)
def no_name():
    os.open("/run/kernel", os.O_TMPFILE | os.O_RDWR)
def again():
    if libc.mount(None, b"/run/kernel", None, 32 | 4096 | 2 | 4, None):
        raise OSError
for act in (lambda: open("/run/kernel/x", "w"), lambda: open("/run/kernel/connection.json", "a"), no_name, again,
            lambda: os.mkdir("/run/kernel/a"), lambda: os.symlink("x", "/run/kernel/b"),
            lambda: os.chmod("/run/kernel", 0)):
    try:
        act()
        print("did", act)
    except OSError:
        print("no")
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")], os.getuid())
"""
    said, after = through(warm.kernel(way, Limits()), code, "print('here')")
    assert said.text == "no\n" * 7 + f"{['0' * 16] * 5} 1000\n"
    assert after.text == "here\n"


@pytest.mark.parametrize("kind", ["file", "below", "link", "grown", "many", "honest"])
def test_only_sockets_may_be_where_sockets_are(kind: str) -> None:
    from biollm_widgets.grading.cold import WIRE
    from biollm_widgets.grading.warm import CONNECTION

    assert CONNECTION == sandbox.TOLD
    with tempfile.TemporaryDirectory(prefix="s") as place:
        folder = Path(place)
        (folder / CONNECTION).write_text("{}")
        names = [*(f"k-{number}" for number in range(1, 6)), WIRE, *(str(n) for n in range(60) if kind == "many")]
        for name in names:
            with socket.socket(socket.AF_UNIX) as end:
                end.bind(str(folder / name))
        if kind == "file":
            (folder / "big").touch()
        if kind == "below":
            (folder / "a").mkdir()
        if kind == "link":
            (folder / "a").symlink_to("nowhere")
        if kind == "grown":
            (folder / CONNECTION).write_bytes(bytes(2**20))
        assert sandbox._written_to(place) == (kind != "honest")
        assert sandbox._written_to(f"{place}/closed")  # what cannot be looked into


def test_other_processes_cannot_be_seen_or_ended(warm: Warm, way: str) -> None:
    code = """
import os, signal
print(sorted(int(name) for name in os.listdir("/proc") if name.isdigit())[:5])
for pid in (1, os.getppid()):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError as error:
        print(type(error).__name__)
try:
    open("/proc/1/mem", "rb").read(1)
except OSError as error:
    print("no")
"""
    first, second = through(warm.kernel(way, Limits()), code, "print('here')")
    assert first.text.startswith("[1, ") and first.text.endswith("no\n") and second.text == "here\n"
    assert warm.process.poll() is None


def test_a_cell_that_takes_too_long_is_stopped_and_the_next_one_runs(warm: Warm, way: str) -> None:
    slow, after = through(warm.kernel(way, Limits()), "while True: pass", "print('here')", seconds=1)
    assert slow.end == "stopped" and after.text == "here\n"


def test_a_cell_that_will_not_be_stopped_ends_its_kernel(warm: Warm, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import biollm_widgets.grading.kernel as module

    monkeypatch.setattr(module, "GRACE", 1)
    code = "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass"
    (said,) = through(warm.kernel(way, Limits()), code, seconds=1)
    assert "could not be stopped" in said.end


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os; os._exit(0)", "its Python ended"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed"),
        ("import os, time\nfor _ in range(60):\n    os.fork() or time.sleep(20)", "too many processes"),
        ("import os, time\nos.fork()\nx = bytearray(700 * 2**20)\ntime.sleep(20)", "more memory"),
        (SHARED, "more memory"),
    ],
)  # fmt: skip
def test_a_kernel_that_ends_or_takes_too_much_says_of_what(warm: Warm, way: str, code: str, why: str) -> None:
    (said,) = through(warm.kernel(way, Limits(memory=2**30, processes=20)), code)
    assert why in said.end, said.end


def test_where_memory_runs_out_it_dies_before_what_grades(warm: Warm, way: str) -> None:
    code = "import os; print(open('/proc/self/oom_score_adj').read(), os.fork() or os._exit(0))"
    (said,) = through(warm.kernel(way, Limits()), code)
    assert said.text.startswith("1000\n")


def test_there_is_no_memory_that_nobody_is_charged_for(warm: Warm, way: str) -> None:
    code = """
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
def zero():
    file = os.open("/dev/zero", os.O_RDWR)
    return mmap.mmap(file, 2**20)
def inside():
    if os.fork() == 0:
        fresh = libc.unshare(0x10020000) or libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None)
        os._exit(0 if fresh == 0 else 1)
    if os.wait()[1]:
        raise OSError
def sysv():
    if libc.shmget(0, 2**20, 0o1600) < 0:
        raise OSError
for take in (lambda: os.memfd_create("x"), lambda: mmap.mmap(-1, 2**20), zero, sysv, inside):
    try:
        take()
        print("got it")
    except OSError:
        print("no")
"""
    honest = """
import mmap, torch
from multiprocessing import Pool, RawArray, shared_memory
mapped = mmap.mmap(-1, 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
block = shared_memory.SharedMemory(create=True, size=2**20)
block.close(); block.unlink()
RawArray("d", 1000), torch.ones(1000).share_memory_()
with Pool(2) as pool:
    print(pool.map(abs, [-1, -2]))
data = torch.utils.data.DataLoader(list(range(8)), batch_size=4, num_workers=2)
print([batch.tolist() for batch in data])
"""
    taken, given = through(warm.kernel(way, Limits()), code, honest)
    assert taken.text == "no\n" * 5
    assert given.text == "[1, 2]\n[[0, 1, 2, 3], [4, 5, 6, 7]]\n", given.error


def test_memory_and_disk_have_an_end_that_python_can_tell_of(warm: Warm, way: str) -> None:
    memory, disk, shared, after = through(
        warm.kernel(way, Limits(memory=2**30, disk=64 * 2**20)),
        "x = bytearray(3 * 2**30)",
        "with open('big', 'wb') as file:\n    for _ in range(200): file.write(bytes(2**20))",
        "with open('/dev/shm/big', 'wb') as file:\n    for _ in range(200): file.write(bytes(2**20))",
        "import os; os.remove('big') if os.path.exists('big') else 0; print('here')",
    )
    assert memory.error.startswith("MemoryError")
    assert disk.error.startswith("OSError") and ("space" in disk.error or "large" in disk.error)
    assert shared.error.startswith("OSError")
    assert after.text == "here\n"


def test_when_it_is_closed_nothing_that_it_started_is_left(warm: Warm, way: str) -> None:
    def named(word: str) -> list[str]:
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.append(path.read_bytes().decode(errors="replace"))
            except OSError:
                continue
        return [line for line in lines if word in line]

    word = f"31{os.getpid()}7"
    code = f"import subprocess; subprocess.Popen(['sleep', '{word}'], start_new_session=True); print('started')"
    (said,) = through(warm.kernel(way, Limits()), code)
    assert said.text == "started\n"
    until = time.monotonic() + 5
    while named(word) and time.monotonic() < until:
        time.sleep(0.05)
    assert named(word) == []


def test_what_was_computed_before_can_be_read_and_not_written(warm: Warm, way: str, tmp_path: Path) -> None:
    place = Path(tempfile.mkdtemp(prefix="r"))
    try:
        (place / "known.txt").write_text("known")
        place.chmod(0o755)
        code = """
import os
folder = os.environ["BIOLLM_RECALL"]
print(open(folder + "/known.txt").read(), os.environ.get("BIOLLM_RECALL_KEEP"))
for act in (open, os.remove):
    try:
        act(folder + "/known.txt") if act is os.remove else act(folder + "/new.txt", "w")
        print("wrote")
    except OSError:
        pass
"""
        (said,) = through(warm.kernel(way, Limits(), recall=str(place)), code)
        assert said.text == "known None\n"
        assert (place / "known.txt").read_text() == "known" and len(list(place.iterdir())) == 1
    finally:
        shutil.rmtree(place)


def test_several_run_beside_each_other_and_do_not_share_a_file(warm: Warm, way: str) -> None:
    found: dict[int, Any] = {}

    def one(number: int) -> None:
        code = f"import time; open('/tmp/mine', 'w').write('{number}'); time.sleep(1); print(open('/tmp/mine').read())"
        (found[number],) = through(kernels[number], code)

    kernels = [warm.kernel(way, Limits()) for _ in range(3)]
    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(3):
        assert found[number].text == f"{number}\n"


def test_without_a_sandbox_it_runs_all_the_same_and_is_ended_whole(warm: Warm) -> None:
    import uuid

    word = str(uuid.uuid4().int)[:9]
    code = f"import subprocess, helpers; subprocess.Popen(['sleep', '{word}'], start_new_session=True); helpers.answer"
    (said,) = through(warm.kernel("none", Limits()), code)
    assert said.text == "42"
    time.sleep(0.5)
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if word.encode() in _bytes(path)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_system_without_namespaces_is_told_of_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from biollm_widgets.errors import InputError
    from biollm_widgets.grading import containers
    from biollm_widgets.grading.setting import choose_isolation

    monkeypatch.setattr(sandbox, "probe", lambda: "user namespaces: Operation not permitted")
    monkeypatch.setattr(containers, "why_not", lambda one: f"{containers.PROGRAMS[one]} is not installed")
    with pytest.raises(InputError, match=r"--isolation none.*|Operation not permitted") as caught:
        choose_isolation("auto")
    assert "Operation not permitted" in str(caught.value) and "--isolation none" in str(caught.value)
    assert choose_isolation("none") == "none"
