"""Processes in which submissions run, isolated by bubblewrap's namespaces, or only limited inside a container."""

from __future__ import annotations

import contextlib
import itertools
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

from coursekit.autograder import isolation, memory_watch, wire
from coursekit.autograder.isolation import Isolation, Limits

START = 120  # seconds that a sandbox may take to get ready
IDLE = 60  # seconds that a sandbox may wait for a submission
_slots = itertools.count()  # numbers the users that sandboxes run as


class GraderError(Exception):
    """The grader, not the learner, is to blame: never a zero."""


class Sandbox:
    """An isolated process that serves one submission after the other, each without the last one's traces.

    kind: one of isolation.KINDS. forks: fork a child for each submission, or start afresh. folder: the copy of the
    package. preload: modules to import before a submission comes. stopped: set when no submission may start any
    more. oom: it was ended for its memory. idle: since when it has waited.
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
        self.idle: float | None = None
        self._job: socket.socket | None = None
        self._ending = threading.RLock()

    def open(self) -> socket.socket:
        """A socket to a worker that has not met any submission. Raises GraderError."""
        with self._ending:
            self.idle = None
        if self.process is None or self.process.poll() is not None:
            self._start()
        if not self.forks:
            self._job = self._control
            return self._job
        self._job, theirs = socket.socketpair()
        try:
            self._control.settimeout(START)
            with theirs:
                socket.send_fds(self._control, [b"+"], [theirs.fileno()])
            if self._control.recv(1) != b"+":
                raise GraderError(f"a fork of the sandbox failed: {self.complaint()}")
        except OSError as error:
            self.kill()
            raise GraderError(f"the fork server is gone: {error}") from None
        return self._job

    def close(self) -> None:
        """End the worker, with every process that it left."""
        if self._job is None:
            return
        if not self.forks:
            self.kill()
            return
        self._job.close()
        self._job = None
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
            if self._job is not None:
                self._job.close()
                self._job = None
            if process is None:
                return
            self._control.close()
            self._strike(process)
            process.wait()
            if process.stdin:
                process.stdin.close()
            self._errors.close()
            if self.home:
                shutil.rmtree(self.home, ignore_errors=True)

    def check(self, processes: Mapping[int, memory_watch.Process]) -> None:
        """End it if its processes, of those given, hold more than a submission may, or if it was forgotten."""
        with self._ending:
            if self.idle and time.monotonic() - self.idle > IDLE:
                self.kill()
            if self.process and memory_watch.together(processes, self.process.pid) > self.limits.memory:
                self.oom = True  # before its end is seen
                self._strike(self.process)

    def complaint(self) -> str:
        """The last line that the sandbox wrote on stderr."""
        if self.process is None:
            return ""
        self._errors.seek(0)
        lines = self._errors.read(100_000).decode("utf-8", "replace").strip().splitlines()
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
        self.uid = 60_000 + (os.getpid() * 16 + next(_slots)) % 5_000 if os.getuid() == 0 else None
        self._control, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()
        with theirs:
            command = self._command(theirs.fileno())
            self.process = subprocess.Popen(
                command, env=isolation.environment(self.home or "/tmp"), cwd="/", pass_fds=[theirs.fileno()],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._errors, start_new_session=True)
        self._refuse_if_stopped()  # stopped between the question and the start
        settings = asdict(self.limits) | {"uid": self.uid, "forks": self.forks, "preload": list(self.preload)}
        settings |= isolation.within(self.kind, self.folder, self.home) | {"guard": self.kind != "bwrap"}
        try:
            wire.send(self._control, settings)
            wire.receive(self._control, START)
        except (OSError, EOFError, wire.ProtocolError):
            reason = self.complaint()
            self.kill()
            raise GraderError(f"the sandbox does not start: {reason}") from None

    def _refuse_if_stopped(self) -> None:
        if self.stopped.is_set():
            self.kill()
            raise GraderError("the grader was stopped")

    def _command(self, descriptor: int) -> list[str]:
        if self.kind == "bwrap":
            root, front = "/coursekit", isolation.bwrap(self.folder, self.limits, self.uid)
        else:
            root, front = str(self.folder), []
            self.home = tempfile.mkdtemp(prefix="coursekit-home-")
            if self.uid:
                os.chown(self.home, self.uid, self.uid)
        program = (f"import sys; sys.path.insert(0, {root!r}); sys.path.append({isolation.LIBRARIES!r}); "
                   f"from coursekit.autograder.worker import main; main({descriptor})")
        return [*front, sys.executable, "-I", "-c", program]


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
    else:
        for forks in ([] if fresh else [True]) + [False]:
            sandbox = Sandbox("bwrap", forks, folder)
            try:
                sandbox.open()
                return Isolation("bwrap", forks, isolation.describe("bwrap", forks))
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
