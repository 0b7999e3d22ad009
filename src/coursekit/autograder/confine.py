"""What a process may give up without any privilege: paths (Landlock) and system calls (seccomp). For itself and
all that it starts, for ever. Imported inside the sandbox too: needs the standard library only."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import shutil
import stat
import struct
import sys
from collections.abc import Mapping
from typing import Any

from coursekit.autograder.system_calls import ALLOWED, LIMITED, PRETENDED, numbers

LIBC: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None  # importable everywhere
# linux/landlock.h: LANDLOCK_ACCESS_FS_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV
EXECUTE, WRITE, READ, LIST, TRUNCATE, IOCTL = 1, 2, 4, 8, 1 << 14, 1 << 15
ALL = (1 << 16) - 1
ON_FILES = EXECUTE | WRITE | READ | TRUNCATE | IOCTL
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # landlock_create_ruleset, …: the same on every machine
# linux/audit.h: AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# linux/bpf_common.h: BPF_LD | BPF_W | BPF_ABS, BPF_ALU | BPF_AND, BPF_JMP | BPF_JEQ, BPF_JMP | BPF_JGE, BPF_RET
LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
# linux/seccomp.h: SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with no error, with EPERM and with ENOSYS
ALLOW, SUCCEED, DENY, UNKNOWN = 0x7FFF0000, 0x50000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
SHARED_ANONYMOUS = 0x21  # MAP_SHARED | MAP_ANONYMOUS: memory shared by processes, which none of them seems to hold
NAMESPACES = 0x7E020000  # CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET
LOCKS = (6, 7, 37, 38)  # F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW: a lock is memory of the kernel
NOTICES = (1024, 1026, 1031)  # F_SETLEASE, F_NOTIFY, F_SETPIPE_SZ
COPY, KIND, TERMINALS = 0x40049409, 0xFF00, 0x5400  # FICLONE; what an ioctl is for; those that every file answers
OPEN = 0o700  # S_IRWXU: a folder that the grader, perhaps the same user, can look into and remove
FOREIGN = 1 << 30  # __X32_SYSCALL_BIT: system calls of another kind of program
YOUNG = 424  # from this number on a call may be missing: libraries then do without


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


def keep_to_calls() -> bool:
    """Only the system calls of system_calls.py may be used from now on. The others fail, those of PRETENDED do
    nothing and succeed. False: their numbers are not known for this machine."""
    machine = platform.machine()
    if machine not in MACHINES:
        return False
    special = numbers(LIMITED, machine)
    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, MACHINES[machine]), (RETURN, 0, 0, DENY),
             (LOAD, 0, 0, 0), (AT_LEAST, 0, 1, FOREIGN), (RETURN, 0, 0, DENY)]
    steps += _when(special["mmap"], 3, [(AND, 0, 0, SHARED_ANONYMOUS), *_answers(DENY, SHARED_ANONYMOUS)], ALLOW)
    steps += _when(special["clone"], 0, [(AND, 0, 0, NAMESPACES), *_answers(ALLOW, 0)], DENY)
    steps += _when(special["fcntl"], 1, [*_answers(SUCCEED, *LOCKS), *_answers(DENY, *NOTICES)], ALLOW)
    harmless = [*_answers(ALLOW, COPY), (AND, 0, 0, KIND), *_answers(ALLOW, TERMINALS)]
    steps += _when(special["ioctl"], 1, harmless, DENY)  # others set flags of files
    for name, argument in (("prlimit64", 0), ("getpriority", 1)):  # of another process: perhaps of the grader
        steps += _when(special[name], argument, _answers(ALLOW, 0), DENY)
    for name, argument in (("mkdir", 1), ("mkdirat", 2)):
        if name in special:
            steps += _when(special[name], argument, [(AND, 0, 0, OPEN), *_answers(ALLOW, OPEN)], DENY)
    steps += _answers(ALLOW, *numbers(ALLOWED, machine).values())
    steps += _answers(SUCCEED, *numbers(PRETENDED, machine).values())
    steps += [(AT_LEAST, 0, 1, YOUNG), (RETURN, 0, 0, UNKNOWN), (RETURN, 0, 0, DENY)]
    program = b"".join(struct.pack("=HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(steps), ctypes.addressof(held))
    call("prctl", 22, 2, header, 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    shutil.copymode = shutil.copystat = _leave_as_it_is  # else an honest shutil.copy would fail after its copy
    return True


def _leave_as_it_is(src: Any, dst: Any, *, follow_symlinks: bool = True) -> None:
    """Instead of shutil.copymode and copystat: here a file keeps the mode and the times that it was made with."""


def _answers(answer: int, *values: int) -> list[tuple[int, int, int, int]]:
    """Steps that give this answer where the number that is loaded is one of the values."""
    return [step for value in values for step in ((EQUAL, 0, 1, value), (RETURN, 0, 0, answer))]


def _when(number: int, argument: int, steps: list[tuple[int, int, int, int]],
          otherwise: int) -> list[tuple[int, int, int, int]]:
    """For one system call: load the lower half of an argument, go through the steps, else give an answer."""
    inner = [(LOAD, 0, 0, 16 + 8 * argument), *steps, (RETURN, 0, 0, otherwise)]
    return [(EQUAL, 0, len(inner), number), *inner]


def call(name: str, *arguments: Any) -> int:
    """A function of the C library; its failure is an OSError."""
    result = getattr(LIBC, name)(*arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def _system(number: int, *arguments: Any) -> int:
    return call("syscall", number, *arguments)
