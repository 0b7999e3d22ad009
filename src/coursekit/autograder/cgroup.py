"""Control groups of Linux (version 2): limits that count what the kernel keeps for a submission, too.

Everything else counts what a process has mapped. Where no group can be made, as in most containers and for an
ordinary user without a delegated one, `grade` says so.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NEEDED = ("memory", "pids", "cpu")
START = 'echo $$ 2>/dev/null > "$0"; exec "$@"'  # a shell that enters the group before it becomes the command


class Group:
    """A group of its own for one sandbox."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def command(self, command: list[str]) -> list[str]:
        """The command that runs another one in the group."""
        return ["/bin/sh", "-c", START, str(self.path / "cgroup.procs"), *command]

    def holds(self) -> bool:
        """Whether a process has entered it."""
        with contextlib.suppress(OSError):
            return bool((self.path / "cgroup.procs").read_text())
        return False

    def ran_out(self) -> bool:
        """Whether a process was ended for the group's memory."""
        with contextlib.suppress(OSError):
            events = dict(line.split() for line in (self.path / "memory.events").read_text().splitlines())
            return events.get("oom_kill", "0") != "0"
        return False

    def remove(self) -> None:
        """End all that is in it, and the group."""
        for _ in range(100):
            with contextlib.suppress(OSError):
                (self.path / "cgroup.kill").write_text("1")
            with contextlib.suppress(OSError):
                self.path.rmdir()
                return
            time.sleep(0.02)


def new(name: str, memory: int, processes: int, root: Path = ROOT) -> Group | None:
    """A group with these limits, below our own or at the top; None where we may not make one."""
    for parent in _parents(root):
        path = parent / name
        with contextlib.suppress(OSError):
            if not set(NEEDED) <= set((parent / "cgroup.controllers").read_text().split()):
                continue
            (parent / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in NEEDED))
            path.mkdir()
            group = Group(path)
            try:
                for file, value in (("memory.max", memory), ("memory.swap.max", 0), ("memory.oom.group", 1),
                                    ("pids.max", processes), ("cpu.weight", 100)):
                    if file != "memory.swap.max" or (path / file).exists():  # a kernel without swap has none
                        (path / file).write_text(str(value))
                return group
            except OSError:
                group.remove()
    return None


def _parents(root: Path) -> list[Path]:
    """Where a group may be made: our own, which must hold no process for that, its parent, and the top."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        own = next(line[4:] for line in lines if line.startswith("0::/"))
        return list(dict.fromkeys((root / own, (root / own).parent if own else root, root)))
    return [root]
