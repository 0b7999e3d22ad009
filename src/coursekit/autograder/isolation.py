"""How a submission is isolated: bubblewrap's command, a container's paths, and a sentence that describes either."""

from __future__ import annotations

import glob
import os
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

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
    submission's together; bytes of a file and of /tmp; files there; processes and threads; open files."""

    call: float = 20
    submission: float = 300
    memory: int = 3 << 30
    file: int = 10 << 20
    tmp: int = 64 << 20
    inodes: int = 10_000
    processes: int = 64
    files: int = 64


@dataclass(frozen=True)
class Isolation:
    """kind: one of KINDS. forks: whether each submission gets a fork of one sandbox, or a sandbox started afresh.
    description: a sentence for the record."""

    kind: str
    forks: bool
    description: str


def bwrap(folder: Path, limits: Limits, uid: int | None) -> list[str]:
    """The bubblewrap command: no network, own processes, only Python and the copy of the package to read.

    The worker may mount until it has its own folders; see worker.py. Process 1 is no submission's: it is the
    worker itself, or another user's.
    """
    command = ["bwrap", "--die-with-parent", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
               "--unshare-cgroup-try", "--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]
    if uid:  # root needs no user namespace; the worker then drops to uid, for which the process limit counts
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    else:
        command += ["--as-pid-1", "--unshare-user", "--uid", "1000", "--gid", "1000"]
    # A shared mapping of /dev/zero would be memory that no limit sees.
    command += ["--proc", "/proc", "--dev", "/dev", "--dev-bind", "/dev/null", "/dev/zero"]
    for place in ("/tmp", "/dev/shm"):
        command += ["--perms", "1777", "--size", str(limits.tmp), "--tmpfs", place]
    for link in ("/lib", "/lib64", "/bin", "/sbin"):
        command += ["--symlink", os.readlink(link), link] if os.path.islink(link) else ["--ro-bind-try", link, link]
    places = readable()
    for parent in dict.fromkeys(str(p) for place in places for p in reversed(Path(place).parents[:-1])):
        command += ["--perms", "0755", "--dir", parent]  # root's bwrap would make them for root only
    for place in places:
        command += ["--ro-bind-try", place, place]
    for package in packages():  # the copy lies over the whole of it
        command += ["--ro-bind", f"{folder}/coursekit", package]
    command += ["--ro-bind", str(folder), "/coursekit", "--remount-ro", "/dev", "--remount-ro", "/"]
    return [*command, "--chdir", "/tmp", "--"]


def readable() -> list[str]:
    """What a sandbox may read, each path once: programs, shared libraries, Python and its packages."""
    places = ["/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache",
              "/etc/alternatives"]
    for prefix in (sys.base_prefix, sys.base_exec_prefix, sys.prefix):
        places += [f"{p}/{part}" for p in (prefix, os.path.realpath(prefix))
                   for part in ("bin", "lib", "lib64", "pyvenv.cfg")]
    places += [LIBRARIES, *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))]
    kept: list[str] = []
    for place in sorted(set(filter(os.path.exists, places))):
        if not any(Path(place).is_relative_to(k) for k in kept):
            kept.append(place)
    return kept


def packages() -> list[str]:
    """Every coursekit among what a sandbox may read: each knows the answers."""
    inner = ("", "site-packages/", *(f"python3*/{name}-packages/" for name in ("site", "dist")))
    found = {path for place in readable() for part in inner
             for path in glob.glob(f"{glob.escape(place)}/{part}coursekit/")}
    own = Path(coursekit.__file__).parent
    found = {path.rstrip("/") for path in found}
    return sorted(found | {str(own)} if any(own.is_relative_to(place) for place in readable()) else found)


def open_to_all(paths: Iterable[Path]) -> Path | None:
    """The first of these paths that every submission could read, or None."""
    hidden = packages()
    for path in paths:
        inside = [place for place in readable() if path.resolve().is_relative_to(place)]
        if inside and not any(path.resolve().is_relative_to(h) for h in hidden):
            return path
    return None


def covered() -> str | None:
    """A path of Python that a sandbox would hide behind a private folder, or None."""
    return next((place for place in readable() for hidden in ("/tmp", "/dev", "/proc")
                 if Path(place).is_relative_to(hidden)), None)


def environment(home: str) -> dict[str, str]:
    """The variables that a sandbox gets, and no others."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    return threads | {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "MPLBACKEND": "agg",
                      "MPLCONFIGDIR": f"{home}/matplotlib", "USER": "learner", "LOGNAME": "learner"}


def places(folder: Path, home: str) -> dict[str, int]:
    """{path: access} that a container leaves to a submission."""
    see, hidden = confine.LIST | confine.READ | confine.EXECUTE, packages()
    found = dict.fromkeys(map(os.path.realpath, ("/lib", "/lib64", "/bin", "/sbin")), see)
    for place in readable():
        found[place] = confine.LIST if os.path.isdir(place) else see
        found |= dict.fromkeys(_without(place, hidden), see)
    found |= {str(folder): see, home: confine.ALL, "/dev/null": see | confine.WRITE}
    return found | {f"/dev/{name}": see for name in ("random", "urandom")}


def unreadable(folder: Path) -> Path | None:
    """The first folder on the way to Python that another user can't enter, or None."""
    for place in map(Path, (*readable(), os.path.realpath(sys.executable), str(folder))):
        for parent in reversed(place.parents):
            if not parent.stat().st_mode & 1:
                return parent
    return None


def _without(place: str, hidden: Iterable[str]) -> list[str]:
    """Paths of all that is beneath place, less what is hidden."""
    below = [h for h in hidden if Path(h).is_relative_to(place)]
    if not below:
        return [place]
    return [path for inner in map(str, Path(place).iterdir()) if inner not in below
            for path in _without(inner, below)]


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
    return confine.landlock() >= (1 if os.getuid() == 0 else 6) and confine.platform.machine() in confine.MACHINES


def in_container() -> bool:
    """Whether this process seems to live in a container."""
    return any(os.path.exists(p) for p in ("/.dockerenv", "/run/.containerenv")) or not {
        "container", "KUBERNETES_SERVICE_HOST"}.isdisjoint(os.environ)
