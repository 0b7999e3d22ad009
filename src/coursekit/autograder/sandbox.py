"""Walls around a submission: bubblewrap's namespaces, or only limits where a container is the wall."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy

import coursekit
from coursekit.autograder import wire

START = 120  # seconds that a sandbox may take to get ready
KINDS = ("bwrap", "container", "none")
HOW = ("allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, on Ubuntu "
       "kernel.apparmor_restrict_unprivileged_userns=0, for docker --security-opt seccomp=unconfined), "
       "or grade in a container without a network and pass --sandbox container")
_slots, _alive, _ended = itertools.count(), weakref.WeakSet(), threading.Event()


class Fault(Exception):
    """The grader, not the learner, is to blame: never a zero."""


@dataclass(frozen=True)
class Limits:
    """Seconds for one call or cell and for a submission; bytes of memory for a process, a file and /tmp;
    processes and threads."""

    call: float = 20
    submission: float = 300
    memory: int = 3 << 30
    file: int = 10 << 20
    tmp: int = 64 << 20
    processes: int = 16


class Sandbox:
    """A process behind a wall that serves one submission after the other, each without the last one's traces.

    kind: one of KINDS. forks: fork a child for each submission, or start afresh. folder: the copy of the
    package. preload: modules to import before a submission comes.
    """

    def __init__(self, kind, forks, folder, preload=(), limits=None):
        self.kind, self.forks, self.folder, self.preload = kind, forks and kind == "bwrap", folder, preload
        self.limits, self.process, self.job, self.home = limits or Limits(), None, None, None
        _alive.add(self)

    def open(self):
        """A socket to a worker that has not met any submission. Raises Fault."""
        if _ended.is_set():
            raise Fault("the grader was stopped")
        if self.process is None or self.process.poll() is not None:
            self._start()
        if not self.forks:
            self.job = self.control
            return self.job
        self.job, theirs = socket.socketpair()
        try:
            self.control.settimeout(START)
            with theirs:
                socket.send_fds(self.control, [b"+"], [theirs.fileno()])
            if self.control.recv(1) != b"+":
                raise Fault(f"a fork of the sandbox failed: {self.complaint()}")
        except OSError as error:
            self.kill()
            raise Fault(f"the fork server is gone: {error}") from None
        return self.job

    def close(self):
        """End the worker, with every process that it left."""
        if self.job is None:
            return
        if not self.forks:
            self.kill()
            return
        self.job.close()
        self.job = None
        try:
            self.control.settimeout(10)
            self.control.send(b"x")
            if self.control.recv(1) != b".":
                self.kill()
        except OSError:
            self.kill()

    def kill(self):
        """End the sandbox itself: the kernel takes all of its pid namespace along."""
        process, self.process = self.process, None
        if self.job is not None:
            self.job.close()
            self.job = None
        if process is None:
            return
        self.control.close()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if self.uid and self.kind != "bwrap":
            _end_all_of(self.uid)
        process.wait()
        self.errors.close()
        if self.home:
            shutil.rmtree(self.home, ignore_errors=True)

    def _start(self):
        self.kill()
        self.uid = 60_000 + (os.getpid() * 16 + next(_slots)) % 5_000 if os.getuid() == 0 else None
        self.control, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile()
        with theirs:
            self.process = subprocess.Popen(
                self._command(theirs.fileno()), env=_environment(self.home or "/tmp"), pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors, cwd="/",
                start_new_session=True)
        if _ended.is_set():  # halted between the question and the start
            self.kill()
            raise Fault("the grader was stopped")
        settings = asdict(self.limits) | {"uid": self.uid, "forks": self.forks, "preload": list(self.preload)}
        try:
            wire.send(self.control, settings)
            wire.receive(self.control, START)
        except (OSError, EOFError, wire.Late, wire.Garbled):
            told = self.complaint()
            self.kill()
            raise Fault(f"the sandbox does not start: {told}") from None

    def complaint(self):
        """The last line that the sandbox wrote on stderr."""
        if self.process is None:
            return ""
        self.errors.seek(0)
        lines = self.errors.read(100_000).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it says nothing"

    def _command(self, descriptor):
        if self.kind == "bwrap":
            root, front = "/coursekit", bwrap(self.folder, self.limits, self.uid)
        else:
            root, front = str(self.folder), []
            self.home = tempfile.mkdtemp(prefix="coursekit-home-")
            if self.uid:
                os.chown(self.home, self.uid, self.uid)
        libraries = str(Path(numpy.__file__).parents[1])
        program = (f"import sys; sys.path.insert(0, {root!r}); sys.path.append({libraries!r}); "
                   f"from coursekit.autograder.worker import main; main({descriptor})")
        return [*front, sys.executable, "-I", "-c", program]


def halt():
    """End every sandbox of this process, and refuse new ones until `end_all`."""
    _ended.set()
    for sandbox in list(_alive):
        sandbox.kill()


def end_all():
    """End every sandbox of this process; those that are asked for while this goes on are refused."""
    halt()
    _ended.clear()


def bwrap(folder, limits, uid):
    """The bubblewrap command: no network, own processes, only Python and the copy of the package to read."""
    command = ["bwrap", "--die-with-parent", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
               "--unshare-cgroup-try", "--cap-drop", "ALL"]
    if uid:  # root needs no user namespace; the worker then drops to uid, for which the process limit counts
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user", "--uid", "1000", "--gid", "1000"]
    command += ["--proc", "/proc", "--dev", "/dev"]
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


def _readable():
    """Folders of Python, its base and its packages, each once."""
    places = ["/usr", *dict.fromkeys(os.path.realpath(p) for p in (sys.base_prefix, sys.base_exec_prefix)),
              sys.prefix, str(Path(numpy.__file__).parents[1])]
    kept = []
    for place in dict.fromkeys(places):
        if place != "/" and not any(Path(place).is_relative_to(k) for k in kept):
            kept.append(place)
    return kept


def _environment(home):
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    return threads | {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "MPLBACKEND": "agg",
                      "MPLCONFIGDIR": f"{home}/matplotlib"}


def _end_all_of(uid):
    """Kill every process of a uid that only a sandbox has."""
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(uid, uid, uid)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def choose(asked, folder, fresh=False):
    """(kind, forks, sentence for the record) of the isolation that works here. Raises Fault with a way out."""
    if asked not in ("auto", *KINDS):
        raise Fault(f"--sandbox must be auto, {', '.join(KINDS)}, got {asked}")
    if asked in ("container", "none"):
        return asked, False, WORDS[asked]
    if not shutil.which("bwrap"):
        problem = "bubblewrap is not installed (apt install bubblewrap, dnf install bubblewrap)"
    else:
        for forks in ([] if fresh else [True]) + [False]:
            sandbox = Sandbox("bwrap", forks, folder)
            try:
                sandbox.open()
                return "bwrap", forks, WORDS["bwrap"] + (", one fork each" if forks else ", a fresh one each")
            except Fault as fault:
                problem = f"bubblewrap does not work here ({fault})"
            finally:
                sandbox.kill()
    if asked == "auto" and in_container():
        return "container", False, f"{WORDS['container']}, since {problem}"
    raise Fault(f"no sandbox: {problem}; {HOW}")


WORDS = {"bwrap": "bubblewrap: own user, pid, mount, ipc and net namespaces, limits",
         "container": "the container around the grader, limits only: one submission can reach the other's files",
         "none": "NO SANDBOX, limits only: a submission can do what you can do"}


def in_container():
    """Whether this process seems to live in a container."""
    return any(os.path.exists(p) for p in ("/.dockerenv", "/run/.containerenv")) or "container" in os.environ
