"""How much memory the processes of a sandbox hold together, which no limit of a single process bounds."""

import os
import re
import threading
import time
from pathlib import Path

FIELDS = re.compile(rb"^(?:PPid|NSpgid|RssAnon|RssShmem|VmSwap):\s+(\d+)", re.M)
_started = threading.Lock()


def processes():
    """{pid: (its parent, its process group, bytes that it holds)} of the processes that can be seen."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent, group, *kilobytes = map(int, FIELDS.findall(Path(f"/proc/{pid}/status").read_bytes()))
        except (OSError, ValueError):  # it is gone
            continue
        found[int(pid)] = parent, group, 1024 * sum(kilobytes)
    return found


def together(processes, pid):
    """Bytes that a process, its group, and all that they started hold together."""
    members, grown = set(), {pid}
    while grown != members:
        members = grown
        grown = members | {p for p, (parent, group, _) in processes.items() if parent in members or group == pid}
    return sum(processes[p][2] for p in members if p in processes)


def watch(sandboxes):
    """From now on, have every one of sandboxes() check itself, about five times a second."""
    if _started.acquire(blocking=False):
        threading.Thread(target=_watch, args=(sandboxes,), daemon=True).start()


def _watch(sandboxes):
    while True:
        begin = time.monotonic()
        alive = [sandbox for sandbox in sandboxes() if sandbox.process]
        seen = processes() if alive else {}
        for sandbox in alive:
            sandbox.check(seen)
        del alive  # it must not keep them
        time.sleep(max(0.2, 20 * (time.monotonic() - begin)))  # at most a twentieth of a core
