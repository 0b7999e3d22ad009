"""What a process may give up without any privilege: paths (Landlock) and system calls (seccomp). For itself and
all that it starts, for ever. Imported inside the sandbox too: needs the standard library only."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
import struct
import sys
from collections.abc import Iterable, Mapping
from typing import Any

LIBC: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None  # importable everywhere
# linux/landlock.h: LANDLOCK_ACCESS_FS_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV
EXECUTE, WRITE, READ, LIST, TRUNCATE, IOCTL = 1, 2, 4, 8, 1 << 14, 1 << 15
ALL = (1 << 16) - 1
ON_FILES = EXECUTE | WRITE | READ | TRUNCATE | IOCTL
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # landlock_create_ruleset, …: the same on every machine
# linux/audit.h: AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64; and the numbers of system calls there
CALLS = {"x86_64": (0xC000003E, {"mmap": 9, "shmget": 29, "memfd_create": 319, "memfd_secret": 447, "socket": 41,
                                 "ptrace": 101, "setpgid": 109, "setsid": 112, "io_uring_setup": 425,
                                 "add_key": 248, "request_key": 249, "keyctl": 250}),
         "aarch64": (0xC00000B7, {"mmap": 222, "shmget": 194, "memfd_create": 279, "memfd_secret": 447,
                                  "socket": 198, "ptrace": 117, "setpgid": 154, "setsid": 157,
                                  "io_uring_setup": 425, "add_key": 217, "request_key": 218, "keyctl": 219})}
HIDDEN_MEMORY = ("shmget", "memfd_create", "memfd_secret", "mmap")  # mmap: only of memory shared by processes
KEYRINGS = ("add_key", "request_key", "keyctl")  # one submission could leave a note there for the next
WAYS_OUT = ("socket", "io_uring_setup", "ptrace", "setpgid", "setsid")
PRETENDED = ("setpgid", "setsid")  # a process that stays in its group can be ended with it
# linux/bpf_common.h: BPF_LD | BPF_W | BPF_ABS, BPF_ALU | BPF_AND, BPF_JMP | BPF_JEQ, BPF_JMP | BPF_JGE, BPF_RET
LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
# linux/seccomp.h: SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with no error, and with EPERM
ALLOW, SUCCEED, DENY = 0x7FFF0000, 0x50000, 0x50000 | errno.EPERM
SHARED_ANONYMOUS = 0x21  # MAP_SHARED | MAP_ANONYMOUS
FOREIGN = 1 << 30  # __X32_SYSCALL_BIT: system calls of another kind of program


def landlock() -> int:
    """The version of Landlock that this kernel has; 0: none. From 6 on signals stay inside as well."""
    return max(0, LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)) if LIBC else 0


def keep_to(places: Mapping[str, int]) -> bool:
    """Only these paths may be used from now on, with all beneath them, and no signal leaves. False: no Landlock.

    places: {path: sum of EXECUTE, WRITE, READ, LIST, ...}; what is not there is left out.
    """
    version = landlock()
    if not version:
        return False
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    sizes = 8 if version < 4 else 16 if version < 6 else 24
    rules = struct.pack("=QQQ", files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)[:sizes]
    ruleset = _system(CREATE_RULESET, rules, ctypes.c_size_t(sizes), 0)
    for path, access in places.items():
        try:
            found = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        allowed = access & files & (-1 if stat.S_ISDIR(os.fstat(found).st_mode) else ON_FILES)
        if allowed:
            _system(ADD_RULE, ruleset, 1, struct.pack("=Qi", allowed, found), 0)
        os.close(found)
    _system(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return True


def forbid(names: Iterable[str]) -> bool:
    """These system calls fail with EPERM from now on; those of PRETENDED do nothing and succeed, so that honest
    code goes on. False: their numbers are not known for this machine."""
    architecture, numbers = CALLS.get(platform.machine(), (0, {}))
    if not numbers:
        return False
    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, DENY),
             (LOAD, 0, 0, 0), (AT_LEAST, 0, 1, FOREIGN), (RETURN, 0, 0, DENY)]
    for name in names:
        if name == "mmap":  # the third argument counts: flags
            steps += [(EQUAL, 0, 5, numbers[name]), (LOAD, 0, 0, 16 + 3 * 8), (AND, 0, 0, SHARED_ANONYMOUS),
                      (EQUAL, 0, 1, SHARED_ANONYMOUS), (RETURN, 0, 0, DENY), (LOAD, 0, 0, 0)]
        else:
            steps += [(EQUAL, 0, 1, numbers[name]), (RETURN, 0, 0, SUCCEED if name in PRETENDED else DENY)]
    steps.append((RETURN, 0, 0, ALLOW))
    program = b"".join(struct.pack("=HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(steps), ctypes.addressof(held))
    call("prctl", 22, 2, header, 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    return True


def call(name: str, *arguments: Any) -> int:
    """A function of the C library; its failure is an OSError."""
    result = getattr(LIBC, name)(*arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def _system(number: int, *arguments: Any) -> int:
    return call("syscall", number, *arguments)
