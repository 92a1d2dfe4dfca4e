"""System calls that a learner's processes may not make, refused by the kernel: seccomp(2), with a filter of bpf(4)."""

from __future__ import annotations

import ctypes
import errno
import mmap
import platform
import struct
import sys

# As they are numbered by processor: seccomp, mmap, and those that give memory which no file system and no process is
# charged for: memfd_create, memfd_secret, shmget, and mount and fsopen, with which a namespace inside has more disk.
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_MMAP = {"x86_64": 9, "aarch64": 222}
_UNCOUNTED = {"x86_64": (319, 447, 29, 165, 430), "aarch64": (279, 447, 194, 40, 430)}
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # what a filter is told of the processor
_SET_NO_NEW_PRIVS = 38  # of prctl; without it only root may set a filter


def refuse_uncounted_memory() -> None:
    """Refuse system calls for memory that is nobody's: a file without a name, or what is shared and not in a file.

    Neither a limit nor `watch` sees such memory once it is not mapped. What is shared through /dev/shm counts as disk.
    """
    kind = platform.machine()
    if kind not in _SECCOMP or sys.maxsize < 2**32 or sys.platform != "linux":
        return
    load, equal, at_least, mask, give = 0x20, 0x15, 0x35, 0x54, 0x06  # of linux/bpf_common.h
    allow, refuse, no_memory = 0x7FFF0000, 0x00050000 | errno.ENOSYS, 0x00050000 | errno.ENOMEM
    program = [
        (load, 0, 0, 4),  # the processor
        (equal, 1, 0, _AUDIT[kind]),
        (give, 0, 0, refuse),
        (load, 0, 0, 0),  # the call's number
        (at_least, 0, 1, 0x40000000),  # the same calls again, with short addresses
        (give, 0, 0, refuse),
    ]
    for number in _UNCOUNTED[kind]:
        program += [(equal, 0, 1, number), (give, 0, 0, refuse)]
    shared, anonymous = mmap.MAP_SHARED, mmap.MAP_ANONYMOUS
    program += [
        (equal, 0, 4, _MMAP[kind]),
        (load, 0, 0, 40),  # its flags
        (mask, 0, 0, shared | anonymous),
        (equal, 0, 1, shared | anonymous),
        (give, 0, 0, no_memory),
        (give, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in program))
    given = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(*map(ctypes.c_ulong, (_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
    for flags in (4, 0):  # without what slows all of a process down on older systems, where that can be said
        if libc.syscall(_SECCOMP[kind], 1, flags, given) == 0:
            break
