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
import time
import weakref
from dataclasses import asdict, dataclass

from coursekit.autograder import memory_watch, walls, wire

START, IDLE = 120, 60  # seconds that a sandbox may take to get ready, and that it may wait for a submission
_slots, _alive, _stopped, _lock = itertools.count(), weakref.WeakSet(), set(), threading.Lock()


class Fault(Exception):
    """The grader, not the learner, is to blame: never a zero."""


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


class Sandbox:
    """A process behind a wall that serves one submission after the other, each without the last one's traces.

    kind: one of walls.KINDS. forks: fork a child for each submission, or start afresh. folder: the copy of the
    package. preload: modules to import before a submission comes. run: whatever tells whose it is. greedy: it
    was ended for its memory. idle: since when it has waited.
    """

    def __init__(self, kind, forks, folder, preload=(), limits=None, run=None):
        self.kind, self.forks, self.folder, self.preload = kind, forks and kind == "bwrap", folder, preload
        self.limits, self.process, self.job, self.home = limits or Limits(), None, None, None
        self.run, self.greedy, self.idle, self._ending = run, False, None, threading.RLock()
        with _lock:
            _alive.add(self)

    def open(self):
        """A socket to a worker that has not met any submission. Raises Fault."""
        with self._ending:
            self.idle = None
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
        self.idle = time.monotonic()

    def kill(self):
        """End the sandbox itself: the kernel takes all of its pid namespace along."""
        with self._ending:
            process, self.process = self.process, None
            if self.job is not None:
                self.job.close()
                self.job = None
            if process is None:
                return
            self.control.close()
            self._strike(process)
            process.wait()
            if process.stdin:
                process.stdin.close()
            self.errors.close()
            if self.home:
                shutil.rmtree(self.home, ignore_errors=True)

    def check(self, processes):
        """End it if all its processes hold more than a submission may, or if it was forgotten.

        processes: those of memory_watch.processes().
        """
        with self._ending:
            if self.idle and time.monotonic() - self.idle > IDLE:
                self.kill()
            if self.process and memory_watch.together(processes, self.process.pid) > self.limits.memory:
                self.greedy = True  # before its end is seen
                self._strike(self.process)

    def _strike(self, process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if self.uid and self.kind != "bwrap":  # a uid that only this sandbox has
            subprocess.run(["/bin/sh", "-c", "kill -9 -1"], user=self.uid, group=self.uid, extra_groups=[],
                           stderr=subprocess.DEVNULL)

    def _start(self):
        self.kill()
        self._refuse_if_stopped()
        self.greedy = False
        memory_watch.watch(sandboxes)
        self.uid = 60_000 + (os.getpid() * 16 + next(_slots)) % 5_000 if os.getuid() == 0 else None
        self.control, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile()
        with theirs:
            self.process = subprocess.Popen(
                self._command(theirs.fileno()), env=walls.environment(self.home or "/tmp"), cwd="/",
                pass_fds=[theirs.fileno()], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                stderr=self.errors, start_new_session=True)
        self._refuse_if_stopped()  # halted between the question and the start
        settings = asdict(self.limits) | {"uid": self.uid, "forks": self.forks, "preload": list(self.preload)}
        settings |= walls.within(self.kind, self.folder, self.home) | {"guard": self.kind != "bwrap"}
        try:
            wire.send(self.control, settings)
            wire.receive(self.control, START)
        except (OSError, EOFError, wire.Late, wire.Garbled):
            told = self.complaint()
            self.kill()
            raise Fault(f"the sandbox does not start: {told}") from None

    def _refuse_if_stopped(self):
        if self.run in _stopped:
            self.kill()
            raise Fault("the grader was stopped")

    def complaint(self):
        """The last line that the sandbox wrote on stderr."""
        if self.process is None:
            return ""
        self.errors.seek(0)
        lines = self.errors.read(100_000).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it says nothing"

    def _command(self, descriptor):
        if self.kind == "bwrap":
            root, front = "/coursekit", walls.bwrap(self.folder, self.limits, self.uid)
        else:
            root, front = str(self.folder), []
            self.home = tempfile.mkdtemp(prefix="coursekit-home-")
            if self.uid:
                os.chown(self.home, self.uid, self.uid)
        program = (f"import sys; sys.path.insert(0, {root!r}); sys.path.append({walls.LIBRARIES!r}); "
                   f"from coursekit.autograder.worker import main; main({descriptor})")
        return [*front, sys.executable, "-I", "-c", program]


def sandboxes():
    """Those of this process."""
    with _lock:
        return list(_alive)


def halt(run=None):
    """End every sandbox of this run in this process, and refuse new ones until `resume`."""
    _stopped.add(run)
    for sandbox in sandboxes():
        if sandbox.run == run:
            sandbox.kill()


def resume(run=None):
    """Allow this run sandboxes again."""
    _stopped.discard(run)


def choose(asked, folder, fresh=False):
    """(kind, forks, sentence for the record) of the isolation that works here. Raises Fault with a way out."""
    if asked not in ("auto", *walls.KINDS):
        raise Fault(f"--sandbox must be auto, {', '.join(walls.KINDS)}, got {asked}")
    if asked in ("container", "none"):
        return asked, False, _as_another(walls.words(asked), folder)
    if not shutil.which("bwrap"):
        problem = "bubblewrap is not installed (apt install bubblewrap, dnf install bubblewrap)"
    else:
        for forks in ([] if fresh else [True]) + [False]:
            sandbox = Sandbox("bwrap", forks, folder)
            try:
                sandbox.open()
                return "bwrap", forks, walls.words("bwrap", forks)
            except Fault as fault:
                problem = f"bubblewrap does not work here ({fault})"
            finally:
                sandbox.kill()
    if asked == "auto" and walls.in_container() and walls.holds_in_container():
        return "container", False, _as_another(f"{walls.words('container')}; {problem}", folder)
    raise Fault(f"no sandbox: {problem}; {walls.HOW}")


def _as_another(told, folder):
    """told; Fault where root's submissions, which are another user's, could not read Python."""
    if os.getuid() == 0 and (closed := walls.unreadable(folder)):
        raise Fault(f"submissions run as another user, who can't enter {closed}, where Python is: "
                    f"chmod o+x {closed}, or install Python elsewhere")
    return told
