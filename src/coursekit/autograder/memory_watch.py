"""How much memory the processes of a sandbox hold together, which no limit of a single process bounds."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

FIELDS = re.compile(rb"^(?:Uid|PPid|NSpgid|RssAnon|RssShmem|VmSwap|Threads):\s+(\d+)", re.M)
COPIES = 1 << 30  # bytes from which on it is worth asking what processes share
SHARE = re.compile(rb"^(?:Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+)", re.M)


class Process(NamedTuple):
    """The parent of a process, its user, its process group, its threads, and the bytes that it holds."""

    parent: int
    uid: int
    group: int
    threads: int
    bytes: int


class Watched(Protocol):
    """A sandbox: its process, if one runs, and what ends it for its memory."""

    process: Any

    def check(self, processes: Mapping[int, Process]) -> None: ...


def processes() -> dict[int, Process]:
    """{pid: Process} of the processes that can be seen."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent, uid, group, *kilobytes, threads = map(
                int, FIELDS.findall(Path(f"/proc/{pid}/status").read_bytes()))
        except (OSError, ValueError):  # it is gone
            continue
        found[int(pid)] = Process(parent, uid, group, threads, 1024 * sum(kilobytes))
    return found


def together(processes: Mapping[int, Process], pid: int) -> tuple[int, int]:
    """(bytes, threads) that a process, its group, and all that they started hold together."""
    members: set[int] = set()
    grown = {pid}
    while grown != members:
        members = grown
        grown = members | {k for k, p in processes.items() if p.parent in members or p.group == pid}
    seen = [k for k in members if k in processes]
    held = sum(processes[k].bytes for k in seen)
    if len(seen) > 3 and held > COPIES:  # what forks share was counted for each
        held = sum(_share(k, processes[k].bytes) for k in seen)
    return held, sum(processes[k].threads for k in seen)


def _share(pid: int, most: int) -> int:
    """Bytes of a process, what it shares with others divided among them; `most` where we may not know."""
    try:
        return 1024 * sum(map(int, SHARE.findall(Path(f"/proc/{pid}/smaps_rollup").read_bytes())))
    except OSError:
        return most


def crowded() -> bool:
    """Whether now so many want the processors that one alone has to wait a third of its time, or more."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
        return running > 1.5 * (os.cpu_count() or 1)
    return False


def users() -> set[int]:
    """Those who have a process."""
    return {process.uid for process in processes().values()}


def of_user(uid: int) -> int:
    """How many threads a user has."""
    return sum(process.threads for process in processes().values() if process.uid == uid)


def overfull(folder: str, most_bytes: int, most_files: int) -> bool:
    """Whether a folder holds more than so many bytes or files."""
    folders, size, number = [folder], 0, 0
    while folders and number <= most_files and size <= most_bytes:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                number += 1
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                if number > most_files:
                    break
    return number > most_files or size > most_bytes


def watch(sandboxes: Callable[[], Sequence[Watched]], stopped: threading.Event) -> None:
    """From now on until `stopped`, have every one of sandboxes() check itself, about five times a second."""
    threading.Thread(target=_watch, args=(sandboxes, stopped), daemon=True).start()


def _watch(sandboxes: Callable[[], Sequence[Watched]], stopped: threading.Event) -> None:
    pause = 0.2
    while not stopped.wait(pause):
        begin = time.thread_time()  # not the clock: a busy machine must not make it look less often
        alive = [sandbox for sandbox in sandboxes() if sandbox.process]
        seen = processes() if alive else {}
        for sandbox in alive:
            sandbox.check(seen)
        pause = max(0.2, 20 * (time.thread_time() - begin))  # at most a twentieth of a core
