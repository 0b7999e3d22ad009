"""How a submission is isolated: bubblewrap's command, a container's paths, and a sentence that describes either."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

import coursekit
from coursekit.autograder import confine

KINDS = ("bwrap", "container", "none")
HOW = ("allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, on Ubuntu "
       "kernel.apparmor_restrict_unprivileged_userns=0, for docker --security-opt seccomp=unconfined), "
       "or grade in a container without a network and pass --sandbox container")
LIBRARIES = str(Path(numpy.__file__).parents[1])


@dataclass(frozen=True)
class Limits:
    """Seconds for one call or cell and for a submission; bytes of memory for a process, and for all of a
    submission's together; bytes of a file and of /tmp; processes and threads; open files."""

    call: float = 20
    submission: float = 300
    memory: int = 3 << 30
    file: int = 10 << 20
    tmp: int = 64 << 20
    processes: int = 16
    files: int = 256


@dataclass(frozen=True)
class Isolation:
    """kind: one of KINDS. forks: whether each submission gets a fork of one sandbox, or a sandbox started afresh.
    description: a sentence for the record."""

    kind: str
    forks: bool
    description: str


def bwrap(folder: Path, limits: Limits, uid: int | None) -> list[str]:
    """The bubblewrap command: no network, own processes, only Python and the copy of the package to read."""
    command = ["bwrap", "--die-with-parent", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
               "--unshare-cgroup-try", "--cap-drop", "ALL"]
    if uid:  # root needs no user namespace; the worker then drops to uid, for which the process limit counts
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user", "--uid", "1000", "--gid", "1000"]
    # A shared mapping of /dev/zero would be memory that no limit sees.
    command += ["--proc", "/proc", "--dev", "/dev", "--dev-bind", "/dev/null", "/dev/zero"]
    for place in ("/tmp", "/dev/shm"):
        command += ["--perms", "1777", "--size", str(limits.tmp), "--tmpfs", place]
    for link in ("/lib", "/lib64", "/bin", "/sbin"):
        command += ["--symlink", os.readlink(link), link] if os.path.islink(link) else ["--ro-bind-try", link, link]
    readable, package = _readable(), Path(coursekit.__file__).parent
    for parent in dict.fromkeys(str(p) for place in readable for p in reversed(Path(place).parents[:-1])):
        command += ["--perms", "0755", "--dir", parent]  # root's bwrap would make them for root only
    for place in ["/etc/ld.so.cache", *readable]:
        command += ["--ro-bind-try", place, place]
    if any(package.is_relative_to(place) for place in readable):  # the copy lies over the whole of it
        command += ["--ro-bind", f"{folder}/coursekit", str(package)]
    command += ["--ro-bind", str(folder), "/coursekit", "--remount-ro", "/dev", "--remount-ro", "/"]
    return [*command, "--chdir", "/tmp", "--"]


def _readable() -> list[str]:
    """Folders of Python, its base and its packages, each once."""
    places = ["/usr", *dict.fromkeys(os.path.realpath(p) for p in (sys.base_prefix, sys.base_exec_prefix)),
              sys.prefix, LIBRARIES]
    kept: list[str] = []
    for place in dict.fromkeys(places):
        if place != "/" and not any(Path(place).is_relative_to(k) for k in kept):
            kept.append(place)
    return kept


def environment(home: str) -> dict[str, str]:
    """The variables that a sandbox gets, and no others."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    return threads | {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "MPLBACKEND": "agg",
                      "MPLCONFIGDIR": f"{home}/matplotlib"}


def within(kind: str, folder: Path, home: str | None) -> dict[str, Any]:
    """What the worker gives up by itself: {"places": {path: access}, "forbid": [system calls]}."""
    if kind == "none":
        return {"places": {}, "forbid": []}
    forbid = [*confine.HIDDEN_MEMORY, *confine.KEYRINGS]
    if kind == "bwrap":
        return {"places": {}, "forbid": forbid}
    see, package = confine.LIST | confine.READ | confine.EXECUTE, Path(coursekit.__file__).parent
    places = dict.fromkeys(map(os.path.realpath, ("/lib", "/lib64", "/bin", "/sbin")), see)
    for place in _readable():
        places[place] = confine.LIST
        places |= dict.fromkeys(_without(Path(place), package), see)
    places |= {str(folder): see, str(home): confine.ALL, "/etc/ld.so.cache": see, "/dev/null": see | confine.WRITE}
    return {"places": places | {f"/dev/{name}": see for name in ("random", "urandom")},
            "forbid": [*forbid, *confine.WAYS_OUT]}


def unreadable(folder: Path) -> Path | None:
    """The first folder on the way to Python that another user can't enter, or None."""
    for place in map(Path, (*_readable(), os.path.realpath(sys.executable), str(folder))):
        for parent in reversed(place.parents):
            if not parent.stat().st_mode & 1:
                return parent
    return None


def _without(place: Path, hidden: Path) -> list[str]:
    """Paths of all that is beneath place, less what is hidden."""
    if not hidden.is_relative_to(place):
        return [str(place)]
    return [path for inner in place.iterdir() if inner != hidden for path in _without(inner, hidden)]


def describe(kind: str, forks: bool = False) -> str:
    """The isolation in a sentence, for the record."""
    if kind == "bwrap":
        return ("bubblewrap: own user, pid, mount, ipc and net namespaces, limits, "
                + ("one fork each" if forks else "a fresh one each"))
    if kind == "none":
        return "NO SANDBOX, limits only: a submission can do what you can do"
    user = "as a user of its own" if os.getuid() == 0 else "as the grader's own user"
    if not confine.landlock():
        return f"the container around the grader, {user}, limits only: a submission can read the answers"
    reach = "files and signals" if confine.landlock() >= 6 else "files"
    return f"the container around the grader, {user}, Landlock for {reach}, no sockets, limits"


def holds_in_container() -> bool:
    """Whether a submission could neither read the answers nor end the grader."""
    return confine.landlock() >= (1 if os.getuid() == 0 else 6)


def in_container() -> bool:
    """Whether this process seems to live in a container."""
    return any(os.path.exists(p) for p in ("/.dockerenv", "/run/.containerenv")) or not {
        "container", "KUBERNETES_SERVICE_HOST"}.isdisjoint(os.environ)
