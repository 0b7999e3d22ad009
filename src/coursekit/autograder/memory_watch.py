"""How much memory the processes of a sandbox hold together, which no limit of a single process bounds."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

FIELDS = re.compile(rb"^(?:PPid|NSpgid|RssAnon|RssShmem|VmSwap):\s+(\d+)", re.M)


class Process(NamedTuple):
    """The parent of a process, its process group, and the bytes that it holds."""

    parent: int
    group: int
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
            parent, group, *kilobytes = map(int, FIELDS.findall(Path(f"/proc/{pid}/status").read_bytes()))
        except (OSError, ValueError):  # it is gone
            continue
        found[int(pid)] = Process(parent, group, 1024 * sum(kilobytes))
    return found


def together(processes: Mapping[int, Process], pid: int) -> int:
    """Bytes that a process, its group, and all that they started hold together."""
    members: set[int] = set()
    grown = {pid}
    while grown != members:
        members = grown
        grown = members | {p for p, (parent, group, _) in processes.items() if parent in members or group == pid}
    return sum(processes[p][2] for p in members if p in processes)


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
