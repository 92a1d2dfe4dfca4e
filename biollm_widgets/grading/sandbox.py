"""A Linux process in namespaces of its own: a file system with Python and nothing else, no network, no other process.

What `bwrap` does, done by a process to itself after a fork: a program that is executed anew would have to import torch
anew. The calls are those of namespaces(7), user_namespaces(7), mount_namespaces(7) and pivot_root(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import platform
import resource
import shutil
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, Optional

from biollm_widgets import recall as recalled
from biollm_widgets.grading.limits import NO_SANDBOX, TOO_LARGE, TOO_MANY, Limits
from biollm_widgets.grading.system_calls import refuse_uncounted_memory

LEARNER = 1000  # the user inside
NOBODY = 65534  # who that is outside, where root grades: a root inside could still write into /proc/sys
HOME, SOCKETS, RECALL = "/home/learner", "/run/kernel", "/run/recall"
TOLD = "connection.json"  # what is in the folder of the sockets besides them

_NEW_NS, _NEW_CGROUP, _NEW_UTS, _NEW_IPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEW_USER, _NEW_PID, _NEW_NET = 0x10000000, 0x20000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT = 1, 2, 4, 8, 32
_BIND, _REC, _PRIVATE = 0x1000, 0x4000, 0x40000
_DETACH = 2  # of umount2
_SET_DUMPABLE, _SET_PDEATHSIG, _SET_NO_NEW_PRIVS, _CAPBSET_DROP = 4, 1, 38, 24  # of prctl
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}  # system calls that the C library has no function for
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt/conda")
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "fonts", "alternatives", "ssl/certs")
# Not zero: mapped, it is memory that outlives what it is charged to.
_DEVICES = ("null", "full", "random", "urandom")
_VARIABLES = ("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")


class NoSandbox(Exception):
    """A sandbox cannot be made here; the text says which step failed."""


_has_own_mounts = False  # of a process in a container
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _did(step: str, result: int) -> None:
    if result < 0:
        raise NoSandbox(f"{step}: {os.strerror(ctypes.get_errno())}")


def _mount(what: Optional[str], where: str, kind: Optional[str], flags: int, options: str = "") -> None:
    given = [None if one is None else os.fsencode(one) for one in (what, where, kind)]
    _did(f"mounting {where}", _libc.mount(*given, ctypes.c_ulong(flags), os.fsencode(options)))  # type: ignore[union-attr]


def checkout() -> Optional[Path]:
    """The folder that the package is run from where it is written; None where it is installed."""
    parts = {"site-packages", "dist-packages"} & set(Path(__file__).parts)
    return None if parts else Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """The environment of a learner's kernel: nothing of the instructor's but language and time zone."""
    kept = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    return kept | {
        "HOME": HOME, "USER": "learner", "LOGNAME": "learner", "SHELL": "/bin/sh", "TMPDIR": "/tmp",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "BIOLLM_MODELS": "embedded", "HF_HUB_OFFLINE": "1", "NBGRADER_EXECUTION": "autograde",
        "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "MPLBACKEND": "agg",
    }  # fmt: skip


def recall_variables(asked: dict[str, Any], place: str) -> dict[str, str]:
    """Variables that say where what is computed again and again lies, and whether to fill it."""
    if not asked["keep"] and not asked["recall"]:
        return {}
    return {recalled.FOLDER: place} | ({recalled.KEEPS: "1"} if asked["keep"] else {})


def _of_python() -> list[str]:
    """Where this Python and its packages are, by the names that Python has for them."""
    # Of sys.path those that hold installed packages: the first is often the folder that somebody happens to be in.
    packages = [one for one in sys.path if {"site-packages", "dist-packages"} & set(Path(one).parts)]
    places = [sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(__file__).parents[1]), *packages]
    return [os.path.abspath(one) for one in places if one and one != "/" and Path(one).is_dir()]


def python_folders() -> list[str]:
    """The folders that this Python and its packages are in."""
    return sorted({os.path.realpath(one) for one in _of_python()})


def links() -> dict[str, str]:
    """What of Python has a name that leads over links, as in /home where that is a link: the name, and what it is of.

    Only what can be seen, and has not its name by being in a folder that is seen, or linked to itself.
    """
    shown = seen()
    made: dict[str, str] = {}
    for place in sorted({step for one in (*_of_python(), sys.executable) for step in _steps(one)[:-1]}):
        real = os.path.realpath(place)
        if within(real, shown) and not within(place, (*shown, *made)):
            made[place] = real
    return made


def _steps(place: str) -> list[str]:
    """A name, what it becomes when its first link is followed, and so on."""
    steps = [os.path.abspath(place)]
    while len(steps) < 40:
        parts = Path(steps[-1]).parts
        for count in range(2, len(parts) + 1):
            head = os.path.join(*parts[:count])
            if os.path.islink(head):
                to = os.path.join(os.path.dirname(head), os.readlink(head))
                steps.append(os.path.normpath(os.path.join(to, *parts[count:])))
                break
        else:
            break
    return steps


def within(place: str, folders: Iterable[str]) -> bool:
    """Whether a place is one of the folders, or lies in one."""
    return any(place == one or place.startswith(f"{one}/") for one in folders)


def to_hide(hidden: Iterable[str]) -> list[str]:
    """Of folders that are not to be seen those that would be, by the names that they are seen under."""
    shown = seen()
    return [place for place in dict.fromkeys(map(os.path.realpath, hidden)) if within(place, shown)]


# Making the sandbox.


def enter(
    limits: Limits, work: Path, sockets: Path, hidden: Iterable[str], kernel: Callable[[int, int], NoReturn],
    keep: str = "", recall: str = "",
) -> int:  # fmt: skip
    """Go into namespaces of one's own and run a kernel in them; for a process with one thread that was forked for it.

    Parameters
    ----------
    work : path
        A folder whose files are put beside the notebook. It is copied.
    sockets : path
        A folder outside that kernel and grader share; nothing can be written into it once the kernel listens.
    hidden : iterable of str
        Folders that are not to be seen even where they lie in one that is.
    kernel : callable
        `kernel(ready, go)` becomes the kernel: it writes a byte to `ready` when it listens, and reads one from `go`
        before it runs anything.
    keep, recall : str
        A folder that is seen as `RECALL`: `keep` may be written to, `recall` not.

    Returns
    -------
    The process id, seen from outside, of the first process inside: when it is killed, all are.

    Raises
    ------
    NoSandbox
        Namespaces are not to be had.
    """
    if _libc is None:
        raise NoSandbox("namespaces are Linux's")
    _die_first()  # here, where root can still make it for good
    _own_namespaces()
    told, tell = os.pipe()
    first = os.fork()
    if first:
        os.close(tell)
        said = os.read(told, 500).decode(errors="replace")  # empty when it runs
        os.close(told)
        if said:
            os.waitpid(first, 0)
            raise NoSandbox(said)
        return first
    try:
        os.close(told)
        _prctl(_SET_PDEATHSIG, signal.SIGKILL)
        _new_root(limits, work, sockets, hidden, keep, recall)
        _be_first(limits, kernel, tell)
    except NoSandbox as problem:
        os.write(tell, str(problem).encode())
    except BaseException as problem:
        with contextlib.suppress(OSError):
            os.write(tell, f"{type(problem).__name__}: {problem}".encode()[:400])
    os._exit(NO_SANDBOX)


def _prctl(*given: int) -> int:
    return _libc.prctl(*map(ctypes.c_ulong, given))  # type: ignore[union-attr]


def _own_namespaces() -> None:
    """New namespaces of every kind, in which this user is root, and `LEARNER` is this user or, for root, nobody."""
    uid, gid = os.geteuid(), os.getegid()
    kinds = _NEW_USER | _NEW_NS | _NEW_PID | _NEW_NET | _NEW_IPC | _NEW_UTS | _NEW_CGROUP
    if uid:
        _did("user namespaces", _libc.unshare(kinds))  # type: ignore[union-attr]
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{LEARNER} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{LEARNER} {gid} 1")
        return
    # Two users can be named from outside only.
    me = os.getpid()
    made, make = os.pipe()
    helper = os.fork()
    if helper == 0:
        try:
            os.close(make)
            if os.read(made, 1):
                for kind in ("uid", "gid"):
                    Path(f"/proc/{me}/{kind}_map").write_text(f"0 0 1\n{LEARNER} {NOBODY} 1\n")
                os._exit(0)
        except OSError:
            pass
        os._exit(1)
    os.close(made)
    try:
        _did("user namespaces", _libc.unshare(kinds))  # type: ignore[union-attr]
        os.write(make, b"!")
    finally:
        os.close(make)
        _, status = os.waitpid(helper, 0)
    if status:
        raise NoSandbox("naming users in the namespace")


def _new_root(limits: Limits, work: Path, sockets: Path, hidden: Iterable[str], keep: str, recall: str) -> None:
    """A file system in memory as root, with Python and the system's programs in it, read-only."""
    _mount(None, "/", None, _REC | _PRIVATE)
    root = "/tmp"  # some folder that is everywhere; from here on it is the new root, before it is moved to
    outside = {place: os.open(place, os.O_PATH) for place in (str(work), str(sockets), keep, recall) if place}
    shown, linked, hidden = seen(), links(), to_hide(hidden)  # before what lies in that folder cannot be seen
    held = {place: os.open(place, os.O_PATH) for place in shown}
    size = f"size={limits.disk},nr_inodes=200000"
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, f"{size},mode=755")
    for place in shown:
        target = root + place
        if os.path.islink(place):  # /bin is usr/bin on most systems
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if not os.path.lexists(target):
                os.symlink(os.readlink(place), target)
            continue
        _show(f"/proc/self/fd/{held[place]}", target)
    for place, real in linked.items():
        os.makedirs(os.path.dirname(root + place), exist_ok=True)
        os.symlink(real, root + place)
    for place in hidden:
        if os.path.isdir(root + place):
            _mount("tmpfs", root + place, "tmpfs", _RDONLY, "size=4k,mode=555")
    _system_files(root)
    for folder, mode in (("/tmp", 0o1777), ("/dev/shm", 0o1777), (HOME, 0o755), (SOCKETS, 0o755), ("/proc", 0o555)):
        os.makedirs(root + folder, exist_ok=True)
        os.chmod(root + folder, mode)
    _mount(f"/proc/self/fd/{outside[str(sockets)]}", root + SOCKETS, None, _BIND)
    if recall:
        _show(f"/proc/self/fd/{outside[recall]}", root + RECALL)
    elif keep:
        os.makedirs(root + RECALL)
        _mount(f"/proc/self/fd/{outside[keep]}", root + RECALL, None, _BIND)
    shutil.copytree(f"/proc/self/fd/{outside[str(work)]}", f"{root}{HOME}/lesson", symlinks=True, dirs_exist_ok=True)
    for folder, _, files in os.walk(root + HOME):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chown(path, LEARNER, LEARNER, follow_symlinks=False)
    try:
        _mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    except NoSandbox:
        raise NoSandbox("a /proc of its own (this is a container that hides parts of /proc)") from None
    for place in ("sys", "sysrq-trigger", "irq", "bus", "fs"):
        if os.path.exists(f"{root}/proc/{place}"):
            with contextlib.suppress(NoSandbox):
                _show(f"{root}/proc/{place}", f"{root}/proc/{place}")
    for descriptor in (*outside.values(), *held.values()):
        os.close(descriptor)
    os.chdir(root)
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise NoSandbox(f"pivot_root on {platform.machine()}")
    _did("moving to the new root", _libc.syscall(number, b".", b"."))  # type: ignore[union-attr]
    _did("leaving the old root", _libc.umount2(b".", _DETACH))  # type: ignore[union-attr]
    os.chdir(f"{HOME}/lesson")
    socket.sethostname("grading")
    _loopback()


def seen() -> list[str]:
    """What of the outside can be seen: folders of the system and of Python; none that lies in another of them."""
    places = [place for place in (*_SYSTEM, *python_folders()) if os.path.lexists(place)]
    return [
        place
        for place in dict.fromkeys(places)
        if not any(place.startswith(f"{other}/") for other in places if not os.path.islink(other))
    ]


def _show(source: str, target: str) -> None:
    """Let a file or folder be seen, read-only."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(source, target, None, _BIND | _REC)
    # A mount of a user namespace may not lose what it was mounted with.
    kept = os.statvfs(target).f_flag & (_NOSUID | _NODEV | _NOEXEC | 1024 | 2048 | 4096)
    _mount(None, target, None, _REMOUNT | _BIND | _RDONLY | kept)


def _system_files(root: str) -> None:
    """/etc and /dev with what programs cannot do without."""
    for name in ETC:
        if os.path.exists(f"/etc/{name}"):
            _show(f"/etc/{name}", f"{root}/etc/{name}")
    os.makedirs(f"{root}/etc", exist_ok=True)
    texts = {
        "passwd": f"root:x:0:0::/:/bin/false\nlearner:x:{LEARNER}:{LEARNER}::{HOME}:/bin/sh\n",
        "group": f"root:x:0:\nlearner:x:{LEARNER}:\n",
        "hosts": "127.0.0.1 localhost grading\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    }
    for name, text in texts.items():
        Path(f"{root}/etc/{name}").write_text(text)
    os.makedirs(f"{root}/dev/pts", exist_ok=True)
    for name in _DEVICES:
        target = f"{root}/dev/{name}"
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o666))
        _mount(f"/dev/{name}", target, None, _BIND)
    for name, to in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(to, f"{root}/dev/{name}")
    with contextlib.suppress(NoSandbox):  # for programs that want a terminal, as in "!ls"
        _mount("devpts", f"{root}/dev/pts", "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
        os.symlink("pts/ptmx", f"{root}/dev/ptmx")


def _loopback() -> None:
    """127.0.0.1 of its own: some packages talk to themselves."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        fcntl.ioctl(end, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING


# Living in it.


def be_the_learner(limits: Limits) -> None:
    """Give up every right, for good, and take the limits."""
    _no_more_rights()
    if os.getuid() != LEARNER:
        os.setgroups([])
        os.setresgid(LEARNER, LEARNER, LEARNER)
        os.setresuid(LEARNER, LEARNER, LEARNER)
    _no_rights()
    _prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _prctl(_SET_DUMPABLE, 1, 0, 0, 0)
    restrict(limits)


def _die_first() -> None:
    """Where memory runs out all the same, what a learner started is ended before what grades."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def restrict(limits: Limits) -> None:
    """Take the limits that a process can have without a sandbox."""
    _die_first()
    if _has_own_mounts:
        _no_more_rights()
        _no_rights()
    used = 0
    with contextlib.suppress(OSError, ValueError):
        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    wanted = {
        resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: limits.disk, resource.RLIMIT_NOFILE: 1024,
        resource.RLIMIT_CPU: int(limits.whole * 4) + 60, resource.RLIMIT_DATA: used + limits.memory,
    }  # fmt: skip
    if sys.platform == "linux" and os.getuid() != 0:
        wanted[resource.RLIMIT_NPROC] = 8 * limits.processes  # threads count
    for kind, most in wanted.items():
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))
    if sys.platform == "linux":
        refuse_uncounted_memory()


def _no_more_rights() -> None:
    """No capability can be had again once it is given up."""
    for right in range(64):
        if _prctl(_CAPBSET_DROP, right, 0, 0, 0) < 0:
            break


def _no_rights() -> None:
    """No capability in any set (capset(2), version 3)."""
    header = struct.pack("Ii", 0x20080522, 0)
    _libc.capset(header, struct.pack("6I", *[0] * 6))  # type: ignore[union-attr]


def _be_first(limits: Limits, kernel: Callable[[int, int], NoReturn], tell: int) -> NoReturn:
    """The first process: starts the kernel, reaps what is orphaned, and ends all of it when it takes too much."""
    ready, is_ready = os.pipe()
    may_go, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for descriptor in (ready, go, tell):
                os.close(descriptor)
            be_the_learner(limits)
            kernel(is_ready, may_go)
        finally:
            os._exit(1)
    os.close(is_ready)
    os.close(may_go)
    os.read(ready, 1)
    _close_sockets()
    be_untouchable()
    os.write(go, b"!")
    os.close(tell)
    for descriptor in range(64):
        with contextlib.suppress(OSError):
            os.close(descriptor)
    watch(pid, limits)


def _close_sockets() -> None:
    """Nothing more can be written into the folder of the sockets."""
    kept = os.statvfs(SOCKETS).f_flag & (2 | 4 | 8 | 1024 | 2048 | 4096)
    _mount(None, SOCKETS, None, _REMOUNT | _BIND | _RDONLY | kept)


def own_mounts() -> None:
    """For the first process in a container, before it has threads: get the right to close the folder of the sockets.

    Where that is not to be had, `watch` alone looks after it.
    """
    global _has_own_mounts
    if _libc is None:
        return
    tries = os.fork()  # half of it would be worse than nothing
    if tries == 0:
        failed = 1
        try:
            _have_own_mounts()
            _close_sockets()
            failed = 0
        finally:
            os._exit(failed)
    if os.waitpid(tries, 0)[1] == 0:
        with contextlib.suppress(NoSandbox):
            _have_own_mounts()
            _has_own_mounts = True


def _have_own_mounts() -> None:
    uid, gid = os.geteuid(), os.getegid()
    _did("user namespaces", _libc.unshare(_NEW_USER | _NEW_NS))  # type: ignore[union-attr]
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def be_untouchable() -> None:
    """No signal from inside ends the first process, and none of the others may look into it."""
    if _has_own_mounts:
        with contextlib.suppress(NoSandbox, OSError):
            _close_sockets()
    _no_rights()
    _prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def watch(kernel: int, limits: Limits) -> NoReturn:
    """Wait for the kernel to end, with an eye on what all processes use together."""
    base = _resident(kernel)
    while True:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == kernel:
                    code = os.waitstatus_to_exitcode(status)
                    os._exit(code if code >= 0 else 128 - code)  # as shells tell of a signal
                if pid == 0:
                    break
        if _written_to(SOCKETS):
            os._exit(TOO_LARGE)  # in a container it can be written to, and is the only place with no limit
        there = [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]
        if len(there) > limits.processes:
            os._exit(TOO_MANY)
        if sum(max(0, _resident(pid) - base) for pid in there) > limits.memory:
            os._exit(TOO_LARGE)
        time.sleep(0.1)


def _written_to(folder: str) -> bool:
    """Whether anything is in the folder of the sockets but sockets, few, and the file that tells of them."""
    try:
        with os.scandir(folder) as there:
            for number, one in enumerate(there):
                with contextlib.suppress(FileNotFoundError):  # it has just been taken away
                    facts = one.stat(follow_symlinks=False)
                    told = one.name == TOLD and stat.S_ISREG(facts.st_mode) and facts.st_size <= 2**16
                    if number > 50 or not (told or stat.S_ISSOCK(facts.st_mode)):
                        return True
    except OSError:  # it was closed
        return True
    return False


def _resident(pid: int) -> int:
    """Bytes in memory that are no file's on a disk: a process's own, and those that it shares with others."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind, so that it can be ended."""
    _prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def descendants(pid: int) -> list[int]:
    """The children of a process, theirs, and so on; none where there is no /proc."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    children = [int(one) for one in text.split()]
    return children + [one for child in children for one in descendants(child)]


def probe() -> str:
    """Why no sandbox can be made here; empty when one can. A process is forked and tries."""
    if _libc is None:
        return "namespaces are Linux's"
    import tempfile

    with tempfile.TemporaryDirectory(prefix="biollm-") as folder:
        work, sockets = Path(folder) / "work", Path(folder) / "sockets"
        work.mkdir()
        sockets.mkdir()
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            said = "?"
            try:
                first = enter(Limits(), work, sockets, (), _nothing)
                os.waitpid(first, 0)
                said = ""
            except NoSandbox as problem:
                said = str(problem)
            except BaseException as problem:
                said = f"{type(problem).__name__}: {problem}"
            finally:
                os.write(tell, said.encode()[:400] or b"\n")
                os._exit(0)
        os.close(tell)
        said = os.read(told, 500).decode(errors="replace").strip()
        os.close(told)
        os.waitpid(pid, 0)
    return said


def _nothing(ready: int, go: int) -> NoReturn:
    os.write(ready, b"!")
    os.read(go, 1)
    os._exit(0)
