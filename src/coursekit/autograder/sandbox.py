"""Processes in which submissions run, isolated by bubblewrap's namespaces, or only limited inside a container."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from coursekit.autograder import cgroup, isolation, memory_watch, package, wire
from coursekit.autograder.isolation import Isolation, Limits

START = 120  # seconds that a sandbox may take to get ready
IDLE = 60  # seconds that a sandbox may wait for a submission
OURS = 8  # processes of a sandbox that are the grader's
PROGRAM = """
import sys
from importlib.machinery import PathFinder

class Copy:  # the grader's own library is installed here too, and it knows the answers
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "coursekit":
            found = PathFinder.find_spec(name, [{root!r}])
            if found is None or not found.has_location:
                raise ImportError("the copy of the package in {root} can't be read")
            return found

sys.meta_path.insert(0, Copy)
sys.path.insert(0, {root!r})
sys.path.append({libraries!r})
from coursekit.autograder.worker import main
main{descriptors}
"""
_slots = itertools.count()  # numbers the users that sandboxes run as


class GraderError(Exception):
    """The grader, not the learner, is to blame: never a zero."""


class Sandbox:
    """An isolated process that serves one submission after the other, each without the last one's traces.

    kind: one of isolation.KINDS. forks: fork a child for each submission, or start afresh. folder: the copy of the
    package. preload: modules to import before a submission comes. stopped: set when no submission may start any
    more. oom: it was ended for its memory. idle: since when it has waited. deadline: when its answer is so late
    that it is ended.
    """

    def __init__(self, kind: str, forks: bool, folder: Path, preload: Sequence[str] = (),
                 limits: Limits | None = None, stopped: threading.Event | None = None) -> None:
        self.kind = kind
        self.forks = forks and kind == "bwrap"
        self.folder = folder
        self.preload = preload
        self.limits = limits or Limits()
        self.stopped = stopped or threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self.uid: int | None = None
        self.home: str | None = None
        self.oom = False
        self._said, self._errors = b"", -1  # what it wrote on stderr, and where more is to be read
        self.idle: float | None = None
        self.deadline = math.inf
        self._looks = [0, 0]
        self.group: cgroup.Group | None = None
        self._job = wire.Channel(-1, -1)
        self._ending = threading.RLock()

    def open(self) -> wire.Channel:
        """A channel to a worker that has not met any submission. Raises GraderError."""
        with self._ending:
            self.idle = None
        if self.process is None or self.process.poll() is not None:
            self._start()
        if not self.forks:
            return self._job
        self._job, theirs = wire.Channel.pair()
        try:
            self._control.settimeout(START)
            socket.send_fds(self._control, [b"+"], [theirs.source, theirs.sink])
            if self._control.recv(1) != b"+":
                raise GraderError(f"a fork of the sandbox failed: {self.complaint()}")
        except OSError as error:
            self.kill()
            raise GraderError(f"the fork server is gone: {error}") from None
        finally:
            theirs.close()
        return self._job

    def close(self) -> None:
        """End the worker, with every process that it left."""
        if self.process is None:
            return
        if not self.forks:
            self.kill()
            return
        self._job.close()
        try:
            self._control.settimeout(10)
            self._control.send(b"x")
            if self._control.recv(1) != b".":
                self.kill()
        except OSError:
            self.kill()
        self.idle = time.monotonic()

    def kill(self) -> None:
        """End the sandbox itself: the kernel takes all of its pid namespace along."""
        with self._ending:
            process, self.process = self.process, None
            self.deadline = math.inf
            self._job.close()
            if process is None:
                return
            if self.forks:
                self._control.close()
            self._strike(process)
            process.wait()
            if process.stdin:
                process.stdin.close()
            os.close(self._errors)
            with contextlib.suppress(ChildProcessError):  # what is left, where we are process 1 of a container
                while True:
                    os.waitpid(-process.pid, 0)
            if self.group:
                self.oom |= self.group.ran_out()
                self.group.remove()
            if self.home:
                package.remove(self.home)

    def ran_out_of_memory(self) -> bool:
        """Whether it was ended, or some of its processes were, for what they held together."""
        return self.oom or self.group is not None and self.group.ran_out()

    def expect(self, deadline: float) -> None:
        """An answer is expected until then; after that the watch ends the sandbox."""
        self.deadline, self._looks = deadline, [0, 0]

    def was_crowded(self) -> bool:
        """Whether, since an answer is expected, more wanted the processors than there are, most of the time."""
        looks, crowded = self._looks
        return crowded > looks / 3

    def unlimited(self) -> str:
        """What nothing limits on this machine, for the record."""
        return "" if self.group and self.group.holds() else (
            "; not limited here, for want of a control group (version 2) that we may use: the memory that the "
            "kernel keeps for a submission, and its share of the processor")

    def check(self, processes: Mapping[int, memory_watch.Process]) -> None:
        """End it if its processes, of those given, hold or are more than a submission may, if it has not answered
        in time, or if it was forgotten. Called by a thread of its own: whatever keeps the grading thread waiting,
        this does not wait for it."""
        self._looks[0] += 1
        self._looks[1] += memory_watch.crowded()
        with self._ending:
            if self.idle and time.monotonic() - self.idle > IDLE:
                self.kill()
            if self.process is None:
                return
            held, number = memory_watch.together(processes, self.process.pid)
            self.oom |= held > self.limits.memory  # before its end is seen
            if (self.oom or number > self.limits.processes + OURS or time.monotonic() > self.deadline
                    or self.home and memory_watch.overfull(self.home, self.limits.tmp, self.limits.inodes)):
                self._strike(self.process)

    def complaint(self) -> str:
        """The last line that the sandbox wrote on stderr."""
        if self.process is None:
            return ""
        with contextlib.suppress(BlockingIOError):
            self._said = (self._said + os.read(self._errors, 1 << 16))[-1 << 16:]
        lines = self._said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it says nothing"

    def _strike(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if self.uid and self.kind != "bwrap":  # a uid that only this sandbox has
            subprocess.run(["/bin/sh", "-c", "kill -9 -1"], user=self.uid, group=self.uid, extra_groups=[],
                           stderr=subprocess.DEVNULL)

    def _start(self) -> None:
        self.kill()
        self._refuse_if_stopped()
        self.oom = False
        self.uid = _free_uid() if os.getuid() == 0 else None
        bwrapped = self.kind == "bwrap"
        self.home = None if bwrapped else tempfile.mkdtemp(prefix="coursekit-home-")
        if self.home and self.uid:
            os.chown(self.home, self.uid, self.uid)
        self._job, theirs = wire.Channel.pair()
        descriptors = [theirs.source, theirs.sink]
        if self.forks:
            self._control, server = socket.socketpair()
            descriptors.append(server.fileno())
        self._said = b""
        self._errors, errors = os.pipe()  # a file would be one that a submission may find and fill
        for end in (self._errors, errors):
            os.set_blocking(end, False)
        try:
            limits = self.limits
            self.group = cgroup.new(f"coursekit-{os.getpid()}-{next(_slots)}", limits.memory + 2 * limits.tmp,
                                    limits.processes + OURS)
            command = self._command(descriptors)
            self.process = subprocess.Popen(
                self.group.command(command) if self.group else command, cwd="/", pass_fds=descriptors,
                env=isolation.environment(self.home or "/tmp"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                stderr=errors, start_new_session=True)
        finally:
            os.close(errors)
            theirs.close()
            if self.forks:
                server.close()
        self._refuse_if_stopped()  # stopped between the question and the start
        settings = asdict(self.limits) | {
            "uid": self.uid, "preload": list(self.preload), "mounts": bwrapped and not self.forks,
            "guard": not bwrapped, "calls": self.kind != "none", "places": {}}
        if self.kind == "container" and self.home:
            settings["places"] = isolation.places(self.folder, self.home)
        if not bwrapped and not self.uid:  # the limit counts whatever this user has; `check` counts what is ours
            settings["processes"] += memory_watch.of_user(os.getuid())
        try:
            wire.send(self._job, settings, START)
            wire.receive(self._job, START)
        except (OSError, EOFError, wire.ProtocolError):
            reason = self.complaint()
            self.kill()
            raise GraderError(f"the sandbox does not start: {reason}") from None

    def _refuse_if_stopped(self) -> None:
        if self.stopped.is_set():
            self.kill()
            raise GraderError("the grader was stopped")

    def _command(self, descriptors: Sequence[int]) -> list[str]:
        if self.kind == "bwrap":
            root, front = "/coursekit", isolation.bwrap(self.folder, self.limits, self.uid)
        else:
            root, front = str(self.folder), []
        program = PROGRAM.format(root=root, libraries=isolation.LIBRARIES, descriptors=(*descriptors,))
        return [*front, sys.executable, "-I", "-c", program]


def _free_uid() -> int:
    """A user that is nobody's and has no process."""
    import pwd  # not on Windows, where grading isn't either

    taken = memory_watch.users() | {entry.pw_uid for entry in pwd.getpwall()}
    drawn = (60_000 + (os.getpid() * 16 + next(_slots)) % 5_000 for _ in range(5_000))
    return next(uid for uid in drawn if uid not in taken)


class SandboxPool:
    """The sandboxes of one run. Those that have served wait for the next submission; `close` ends all of them, with
    what is under way in them, and refuses new ones."""

    def __init__(self, kind: str, forks: bool, limits: Limits) -> None:
        self.kind, self.forks, self.limits = kind, forks, limits
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._all: list[Sandbox] = []
        self._waiting: dict[tuple[Path, tuple[str, ...]], list[Sandbox]] = {}

    def __enter__(self) -> SandboxPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextlib.contextmanager
    def lend(self, folder: Path, preload: Sequence[str]) -> Iterator[Sandbox]:
        """A sandbox for one submission: one that waits with this copy of the package and these modules, or a new
        one. An exception meanwhile ends its process; it starts again when it is lent the next time.

        The kernel ends a sandbox with the thread that started it, so threads should live as long as the pool.
        """
        key = folder, tuple(preload)
        with self._lock:
            waiting = self._waiting.setdefault(key, [])
            sandbox = waiting.pop() if waiting else self._new(folder, preload)
        try:
            yield sandbox
        except BaseException:
            sandbox.kill()
            raise
        finally:
            with self._lock:
                waiting.append(sandbox)

    def _new(self, folder: Path, preload: Sequence[str]) -> Sandbox:
        sandbox = Sandbox(self.kind, self.forks, folder, preload, self.limits, self.stopped)
        if not self._all:
            memory_watch.watch(self._sandboxes, self.stopped)
        self._all.append(sandbox)
        return sandbox

    def _sandboxes(self) -> list[Sandbox]:
        with self._lock:
            return list(self._all)

    def close(self) -> None:
        self.stopped.set()
        for sandbox in self._sandboxes():
            sandbox.kill()


def choose(asked: str, folder: Path, fresh: bool = False) -> Isolation:
    """The isolation that works here. Raises GraderError with a way out."""
    if asked not in ("auto", *isolation.KINDS):
        raise GraderError(f"--sandbox must be auto, {', '.join(isolation.KINDS)}, got {asked}")
    if sys.platform != "linux":
        raise GraderError("grading needs Linux; run it in a Linux container, or pass --cluster with Linux workers")
    if asked in ("container", "none"):
        return _as_another(Isolation(asked, False, isolation.describe(asked)), folder)
    if not shutil.which("bwrap"):
        problem = "bubblewrap is not installed (apt install bubblewrap, dnf install bubblewrap)"
    elif hidden := isolation.covered():
        raise GraderError(f"Python needs {hidden}, which a sandbox hides behind a folder of its own: install "
                          "Python and the course elsewhere, such as in your home")
    else:
        for forks in ([] if fresh else [True]) + [False]:
            sandbox = Sandbox("bwrap", forks, folder)
            try:
                sandbox.open()
                return Isolation("bwrap", forks, isolation.describe("bwrap", forks) + sandbox.unlimited())
            except GraderError as error:
                problem = f"bubblewrap does not work here ({error})"
            finally:
                sandbox.kill()
    if asked == "auto" and isolation.in_container() and isolation.holds_in_container():
        return _as_another(Isolation("container", False, f"{isolation.describe('container')}; {problem}"), folder)
    raise GraderError(f"no sandbox: {problem}; {isolation.HOW}")


def _as_another(found: Isolation, folder: Path) -> Isolation:
    """found; GraderError where root's submissions, which are another user's, could not read Python."""
    if os.getuid() == 0 and (closed := isolation.unreadable(folder)):
        raise GraderError(f"submissions run as another user, who can't enter {closed}, where Python is: "
                          f"chmod o+x {closed}, or install Python elsewhere")
    return found
