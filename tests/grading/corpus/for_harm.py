"""Submissions that want to harm: the machine, the course, other learners. They keep the points that they have earned.

Each is harmless where a sandbox fails: it is bounded, undoes what it did, or asks first whether it is in one (`GUARD`).
"""

from __future__ import annotations

from tests.grading.corpus.hand import GRADED, GUARD, REPAIRED, Entry, Hand, answers, cell, made

_IF = f"import os\nif {GUARD}:\n"

# Ends Python, or does not end itself.


def _three(hand: Hand) -> None:
    for task in ("decoder", "entropy", "identity"):
        hand.before(task, "import os\nos._exit(0)")
    hand.save()


ENDING = [
    cell(
        "crashes Python", "Reads memory that is not there.", f"{_IF}    import ctypes; ctypes.string_at(0)", "middle",
        state=REPAIRED,
    ),
    cell("raises SystemExit", "Raises SystemExit where notebooks do not end of it.", "raise SystemExit(1)", "middle"),
    cell("quits politely", "Calls quit(), as one leaves Python at a prompt.", "quit()", "middle", state=REPAIRED),
    cell(
        "sends itself the signal to end", "Sends its own process SIGTERM, then SIGKILL.",
        f"{_IF}    import signal\n    os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGKILL)",
        "middle", state=REPAIRED,
    ),
    made("three cells that end Python", "Ends Python in three cells, one after the other.", _three),
    cell(
        "forgets everything", "Deletes all names and then the builtins that printing takes.",
        "get_ipython().run_line_magic('reset', '-f')\nimport builtins\ndel builtins.print, builtins.input", "middle",
    ),
    cell("a loop over sleeps", "Sleeps ten hours.", "import time\ntime.sleep(36000)", "middle"),
    cell(
        "heeds no interrupt", "Ignores the signal by which a cell is stopped, and never ends.",
        f"{_IF}    import signal\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n    while True: pass", "middle",
        state=REPAIRED,
    ),
    cell(
        "a regular expression that never ends", "Keeps Python's lock for hours in a regular expression.",
        f"{_IF}    import re\n    re.match(r'(a|a)*$', 'a' * 60 + 'b')", "middle", state=REPAIRED,
    ),
    answers(
        "a function that sleeps and heeds no interrupt", "A function that is not to be stopped.",
        {"identity": "import os, time\ndef identity(a, b):\n"
                     f"    while {GUARD}:\n        try: time.sleep(36000)\n        except BaseException: pass"},
        lost=("identity",),
    ),
    answers(
        "a function that keeps Python's lock", "A function with a regular expression that takes hours.",
        {"identity": f"import os, re\ndef identity(a, b):\n    if {GUARD}: re.match(r'(a|a)*$', 'a' * 60 + 'b')"},
        lost=("identity",),
    ),
    answers(
        "a function that ends Python", "A function calls os._exit(0) when it is judged, in three tasks.",
        {"residues": "import os\ndef residues(text):\n    os._exit(0)", "identity": "identity = residues"},
        lost=("residues", "identity"),
    ),
    answers(
        "an error without an end", "Raises an error whose text takes for ever to be made.",
        {"identity": "class Slow(Exception):\n    def __str__(self):\n        while True: pass\n"
                     "def identity(a, b):\n    raise Slow"}, lost=("identity",),
    ),
    cell(
        "a timer", "Has a signal come every tenth of a second.",
        "import signal\nsignal.signal(signal.SIGALRM, lambda *given: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)",
    ),
    cell(
        "something to be done at the end", "Registers functions for when Python ends, one that never returns.",
        "import atexit, time\natexit.register(time.sleep, 36000)\natexit.register(print, 'still here')",
    ),
    cell(
        "threads and loops that go on", "Leaves threads that print, and tasks of asyncio, behind.",
        "import asyncio, threading, time\ndef talk():\n    while True:\n        print('.', end=''); time.sleep(0.01)\n"
        "for _ in range(5): threading.Thread(target=talk).start()\n"
        "async def ever():\n    while True: await asyncio.sleep(0.01)\n"
        "left = [asyncio.get_event_loop().create_task(ever()) for _ in range(20)]",
    ),
]  # fmt: skip

# Takes all there is.

TAKING = [
    cell(
        "a fork bomb", "Every process starts two, up to five hundred.",
        f"{_IF}    import time\n    for _ in range(9):\n        try: os.fork()\n        except OSError: break\n"
        "    time.sleep(20)", "middle", state=REPAIRED,
    ),
    cell(
        "a hundred gigabytes", "Asks for more memory than any machine has.",
        f"{_IF}    x = bytearray(100 * 2**30)", "middle",
    ),
    cell(
        "memory in many processes", "Takes memory in children, each less than what one may have.",
        f"{_IF}    import time\n    for _ in range(8):\n        if os.fork() == 0:\n"
        "            x = b'x' * (600 * 2**20)\n"
        "            time.sleep(20)\n    time.sleep(20)", "middle", state=REPAIRED,
    ),
    cell(
        "all of /tmp and /dev/shm", "Fills the folders that are in memory, three gigabytes at the most.",
        f"{_IF}    for folder in ('/tmp', '/dev/shm', os.path.expanduser('~')):\n        try:\n"
        "            with open(folder + '/big', 'wb') as file:\n"
        "                for _ in range(1000): file.write(bytes(2**20))\n            print('REACHED', folder)\n"
        "        except OSError as error: print(error)",
    ),
    cell(
        "files without number", "Makes three hundred thousand empty files.",
        f"{_IF}    try:\n        for number in range(300_000): os.close(os.open(f'f{{number}}', os.O_CREAT))\n"
        "        print('REACHED')\n    except OSError as error: print(error)", "last",
    ),
    cell(
        "a message of eighty megabytes", "Shows more at once than a message may hold.",
        "from IPython.display import HTML, display\ndisplay(HTML('x' * (80 * 2**20)))", "middle",
    ),
    cell(
        "an error of eighty megabytes", "Stops with an error whose text is longer than a message may be.",
        "raise ValueError('x' * (80 * 2**20))", "middle",
        state=REPAIRED,  # no reply comes, and nobody can tell that from a cell that goes on
    ),
    cell(
        "ten thousand pictures", "Shows ten thousand things, and changes one of them as often.",
        "from IPython.display import clear_output, display\nshown = display('x', display_id=True)\n"
        "for number in range(5000):\n    display(number); shown.update('y' * 500); clear_output(wait=True)", "middle",
    ),
    cell(
        "opens all descriptors", "Opens as many files as it may.",
        "kept = []\ntry:\n    while len(kept) < 5000: kept.append(open('/dev/null'))\nexcept OSError as error:\n"
        "    del kept; print('no more')", "middle",
    ),
]  # fmt: skip

# Reaches for what lies outside. `REACHED` is printed where it got there.

_OUTSIDE = """
import os, socket
for kind, place in ((socket.AF_INET, ("127.0.0.1", @PORT@)), (socket.AF_INET, ("1.1.1.1", 80)),
                    (socket.AF_INET6, ("::1", @PORT@)), (socket.AF_UNIX, "/var/run/docker.sock"),
                    (socket.AF_UNIX, "/tmp/.X11-unix/X0"), (socket.AF_UNIX, "/run/dbus/system_bus_socket")):
    try:
        with socket.socket(kind) as end:
            end.settimeout(1)
            end.connect(place)
            print("REACHED", place)
    except OSError as error:
        print(error)
try:
    print("REACHED", socket.getaddrinfo("example.org", 80))
except OSError as error:
    print(error)
with socket.socket() as end:
    end.bind(("0.0.0.0", 0)); end.listen()
"""
_PROCESSES = """
import os
for name in sorted(os.listdir("/proc")):
    if name.isdigit() and int(name) != os.getpid():
        for file in ("environ", "mem", "root@COURSE@/gradebook.db", "cwd/gradebook.db", "root@CANARY@"):
            try:
                os.listdir(f"/proc/{name}/{file}") if "CANARY" in file else open(f"/proc/{name}/{file}", "rb").read(1)
                print("REACHED", name, file)
            except OSError as error:
                print(error)
for place in ("@COURSE@", "@CANARY@", "/proc/self/root@COURSE@", "/proc/self/root@CANARY@", "/proc/1/root/etc/shadow"):
    if os.path.exists(place):
        print("REACHED", place)
"""
_TRACE = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if {GUARD}:
    for pid in (1, os.getppid()):
        if libc.ptrace(16, pid, 0, 0) == 0:
            print("REACHED", pid)
        try:
            os.kill(pid, 9)
        except OSError as error:
            print(error)
"""
_NESTED = f"""
import ctypes, glob, os, pathlib, biollm_widgets
libc = ctypes.CDLL(None, use_errno=True)
hidden = pathlib.Path(biollm_widgets.__file__).parent / "checks" / "protein"
if {GUARD} and os.fork() == 0:
    try:
        libc.unshare(0x10000000 | 0x00020000)  # a user namespace in the namespace, and mounts of its own
        for _ in range(3):
            libc.umount2(str(hidden).encode(), 2)
        for place in (b"/", str(hidden.parent).encode()):
            libc.mount(None, place, None, 32 | 4096, None)
        found = glob.glob(str(hidden / "*.py"))
        with open("/tmp/found", "w") as file:
            file.write(" ".join(found))
        with open(hidden.parent / "poisoned-by-a-test.txt", "w") as file:
            file.write("x")
        with open("/tmp/found", "a") as file:
            file.write("wrote")
    finally:
        os._exit(0)
import time
time.sleep(1)
if os.path.exists("/tmp/found") and open("/tmp/found").read():
    print("REACHED", open("/tmp/found").read())
"""
_ROOT = f"""
import os, subprocess
if {GUARD}:
    for act in (os.setuid, os.setgid, os.seteuid):
        try:
            act(0); print("REACHED", act)
        except OSError as error:
            print(error)
    for command in (["su", "-c", "id"], ["sudo", "-n", "id"], ["mount", "-t", "tmpfs", "x", "/mnt"],
                    ["chroot", "/", "id"], ["unshare", "-r", "id", "-u"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=3, stdin=subprocess.DEVNULL)
            print(command[0], done.returncode)
            if command[0] != "unshare" and done.returncode == 0:
                print("REACHED", command)
        except (OSError, subprocess.TimeoutExpired) as error:
            print(error)
    for device in ("/dev/mem", "/dev/sda", "/dev/kmsg", "/dev/nvidia0", "/dev/fuse"):
        if os.path.exists(device):
            print("REACHED", device)
"""
_POISON = """
import os, pathlib, site, sysconfig, biollm_widgets, numpy
package = pathlib.Path(biollm_widgets.__file__).parent
places = [package, package / "checks", package / "grading", pathlib.Path(numpy.__file__).parent,
          *site.getsitepackages(), sysconfig.get_paths()["stdlib"], "/usr/lib", "/usr/local/bin", "/run/recall",
          "@HOME@", "@COURSE@", "@CANARY@", "@HOME@/.ipython/profile_default/startup", "@HOME@/.jupyter",
          "@HOME@/.cache", "@HOME@/.config"]
for place in places:
    try:
        (pathlib.Path(place) / "poisoned-by-a-test.txt").write_text("x")
        print("REACHED", place)
    except OSError as error:
        print(error)
"""
_LEAVE = f"""
import os, pathlib
if {GUARD}:
    for place in ("/tmp", "/dev/shm", "~/.ipython/profile_default/startup", "~/.jupyter", "~/.cache/huggingface",
                  "~/.cache/matplotlib", "~/.config/matplotlib", "~/.local/share/jupyter", "."):
        folder = pathlib.Path(place).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "left-by-a-test.py").write_text("print('poison')")
"""
_FIND = """
import os
for place, _, names in os.walk("/"):
    if place.startswith(("/proc", "/sys")) or "site-packages" in place:
        continue
    for name in names:
        if name in ("left-by-a-test.py", "poisoned-by-a-test.txt", "gradebook.db", "secret"):
            print("REACHED", place, name)
"""
_DAEMON = f"""
import os, time
if {GUARD} and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(64):
            try: os.close(descriptor)
            except OSError: pass
        for _ in range(60):
            for place in ("@COURSE@/gradebook.db", "@CANARY@/later", "@HOME@/poisoned-by-a-test.txt"):
                try: open(place, "ab").write(b"x")
                except OSError: pass
            time.sleep(1)
    os._exit(0)
"""
_DELETE = f"""
import os, shutil
os.system("rm -rf @CANARY@/*")
shutil.rmtree("@CANARY@", ignore_errors=True)
if {GUARD}:
    os.chdir("/")
    shutil.rmtree("@COURSE@", ignore_errors=True)
    for place in (os.path.expanduser("~"), "/tmp", "/dev/shm", "/run"):
        shutil.rmtree(place, ignore_errors=True)
"""
OUTSIDE = [
    cell("talks to whoever listens", "Connects to this machine, another one, and to sockets of the system.", _OUTSIDE),
    cell("looks into other processes", "Reads the memory, the folders, the environment of others.", _PROCESSES),
    cell("traces and kills its parents", "Attaches to the processes above it, and ends them.", _TRACE),
    cell("a namespace of its own", "Takes away in a namespace of its own what hides the checks.", _NESTED),
    cell("becomes root", "Calls for the rights of root, with Python's calls and the system's programs.", _ROOT),
    cell("writes where others read", "Puts files into the package, Python, the course, the grader's home.", _POISON),
    cell("leaves something for the next", "Leaves files in the caches and profiles of whoever comes next.", _LEAVE),
    cell("looks for what others left", "Searches all folders for what others have left, and for gradebooks.", _FIND),
    cell("a daemon that writes later", "Leaves a process behind that writes into the course for a minute.", _DAEMON),
    cell("deletes everything", "Deletes the course, the canary, its home and what is temporary.", _DELETE, "last"),
    cell(
        "bash deletes everything", "The same by a cell of bash.",
        "%%bash\nrm -rf @CANARY@/* @CANARY@ 2>&1\nls -la @COURSE@ 2>&1 && echo REACHED; true",
    ),
]  # fmt: skip

# Files that lie beside the notebook.


def _configuration(hand: Hand) -> None:
    """Configuration that IPython executes in the folder that it is started in, before anything is locked."""
    code = (
        "import os, pathlib\nfor place in ('/run/kernel', '/run/recall', '@COURSE@', '@CANARY@'):\n"
        "    try: (pathlib.Path(place) / 'early').write_text('x')\n    except OSError: pass\n"
        "pathlib.Path('/tmp/was-here').write_text('x')\n"
    )
    for name in ("ipython_config.py", "ipython_kernel_config.py", "jupyter_config.py"):
        hand.save(name, hand.text(code))
    hand.insert(
        1, "import os\nif os.path.exists('/run/kernel/early') or os.path.exists('/tmp/was-here'): print('REACHED')"
    )
    hand.save()


def _impostors(hand: Hand) -> None:
    """Modules beside the notebook with the names of those that the grader's part in the kernel imports."""
    for name in ("biollm_widgets", "inside", "numpy", "json", "random", "torch", "ipykernel", "sitecustomize"):
        hand.save(f"{name}.py", hand.text("open('@CANARY@/imported', 'w').write('x')\nraise SystemExit('impostor')\n"))
    hand.insert(1, "import importlib\nimport biollm_widgets.checks, random, json")
    hand.save()


def _links(hand: Hand) -> None:
    for name, to in (("passwd.csv", "/etc/passwd"), ("book.csv", hand.course / "gradebook.db"), ("all", hand.course)):
        (hand.folder / name).symlink_to(to)
    hand.insert(1, "for name in ('passwd.csv', 'book.csv', 'all/gradebook.db'):\n"
                   "    try: open(name).read(); print('REACHED', name)\n"
                   "    except OSError as error: print(error)")  # fmt: skip
    hand.save()


BESIDE = [
    made(
        "a configuration beside the notebook", "IPython finds a configuration where it starts.", _configuration, GRADED
    ),
    made("impostors beside the notebook", "Lays modules beside that are called like the grader's.", _impostors, GRADED),
    made(
        "links beside the notebook", "Lays links to the system's files and to the gradebook beside.", _links, REPAIRED
    ),
]

# Shows what would act in the browser of whoever reads it.

_PAGE = """
from IPython.display import HTML, SVG, IFrame, Javascript, Latex, Markdown, display
attack = "<script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)><iframe src='javascript:alert(1)'>"
for shown in (HTML(attack), Javascript("alert(1)"), Markdown(attack), IFrame("http://127.0.0.1:@PORT@/", 9, 9),
              Latex(r"\\href{javascript:alert(1)}{x}" + attack),
              SVG("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")):
    try: display(shown)
    except Exception as error: print(error)
display({"text/html": attack, "text/plain": attack, "application/javascript": "alert(1)", "image/svg+xml": attack,
         "application/vnd.jupyter.widget-view+json": {"model_id": attack}, "image/png": attack}, raw=True)
print("\\x1b[2J\\x1b]0;title\\x07\\x1b[31m", attack)
raise type("<script>alert(1)</script>", (Exception,), {})(attack)
"""


def _words(hand: Hand) -> None:
    attack = "Hello <script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) <style>*{}</style>"
    hand.insert(1, attack, "markdown")
    hand.cell("natural-like").source = f"My answer.\n\n{attack}"
    hand.save()


def _raw(hand: Hand) -> None:
    hand.insert(1, "<script>alert(1)</script>", "markdown")
    hand.notebook.cells[1]["cell_type"] = "raw"
    hand.notebook.cells[1]["metadata"]["format"] = "text/html"
    hand.save()


def _attachment(hand: Hand) -> None:
    hand.insert(1, "![x](attachment:x.svg) ![y](attachment:y.png)", "markdown")
    hand.notebook.cells[1]["attachments"] = {
        "x.svg": {"image/svg+xml": "<svg onload=alert(1)>"}, "y.png": {"image/png": "\"><script>alert(1)</script>"},
    }  # fmt: skip
    hand.save()


SHOWING = [
    cell("shows what acts", "Shows scripts, frames and pictures that act, by every kind of output.", _PAGE, "middle"),
    cell("magic that acts", "The same by magics of IPython.", "%%html\n<script>alert(1)</script>", "middle"),
    cell("javascript by magic", "Has the page run JavaScript.", "%%javascript\nalert(1)", "middle"),
    made("words that act", "Writes scripts into cells of words and into an answer for a person to mark.", _words),
    made("a raw cell that acts", "Puts HTML into a cell that pages show as it stands.", _raw),
    made("pictures that act", "Pastes a picture that holds a script.", _attachment),
]

FOR_HARM: list[Entry] = [*ENDING, *TAKING, *OUTSIDE, *BESIDE, *SHOWING]
