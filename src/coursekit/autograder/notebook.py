"""A learner's notebook, graded in a kernel of its own: one verdict for each exercise, whatever a cell does.

A check needs the cells above it, less the chapter's own and other checks. A cell that kills or blocks the kernel is
remembered: the kernel is started again, and the cells needed next run without it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager

from coursekit.autograder.check import MIME
from coursekit.autograder.package import offered
from coursekit.autograder.reader import definitions, parse, read_file
from coursekit.autograder.rules import CHECK
from coursekit.autograder.verdict import Verdict
from coursekit.exercises import EXERCISES
from coursekit.exercises.base import Exercise

START = 60  # seconds that a kernel may take to start


class KernelDiedError(Exception):
    """The kernel's process is gone, or was asked to go."""

    def __str__(self) -> str:
        return "killed the kernel (quit, os._exit, or out of memory?)"


class CellTimeoutError(Exception):
    """A cell took too long; its argument is the limit in seconds."""

    def __str__(self) -> str:
        return f"does not end: stopped after {self.args[0]:g} s"


class _ThisPython(KernelSpecManager):
    """The only kernel is the Python that runs this, whatever kernels are installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])


def sockets_in(folder: str | Path) -> dict[str, str]:
    """Options of a KernelManager: its sockets are files in a folder of its own, where the system has such sockets.

    A port of the network is chosen well before the kernel opens it: by then it may be another process's.
    """
    transport = "ipc" if os.name == "posix" else "tcp"
    return {"transport": transport, "connection_file": str(Path(folder, "kernel.json"))}


class Kernel:
    """A running kernel in which `check` publishes its verdict as data, as it does under pytest. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.sockets = tempfile.TemporaryDirectory()
        self.manager = KernelManager(kernel_spec_manager=_ThisPython(), **sockets_in(self.sockets.name))
        self.manager.start_kernel(cwd=str(folder), stderr=subprocess.DEVNULL,
                                  env=os.environ | {"PYTEST_CURRENT_TEST": "coursekit"})
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=START)
        except RuntimeError as error:
            self.stop()
            way_out = f"try: {sys.executable} -m ipykernel_launcher"
            raise OSError(f"the kernel does not start ({error}); {way_out}") from None

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.sockets.cleanup()

    def run(self, source: str, seconds: float) -> tuple[str, dict[str, Any]]:
        """(id of the request, its reply's content) of a cell. Raises KernelDiedError, CellTimeoutError."""
        deadline = time.monotonic() + seconds
        # stop_on_error: else a kernel drops the next cell too, if it is asked for soon after one that failed
        asked = self.client.execute(source, store_history=False, allow_stdin=False, stop_on_error=False)
        while True:
            try:
                reply = self.client.get_shell_msg(timeout=max(0, min(0.5, deadline - time.monotonic())))
            except Empty:
                if not self.manager.is_alive():
                    raise KernelDiedError from None
                if time.monotonic() >= deadline:
                    raise CellTimeoutError(seconds) from None
            else:
                if reply["parent_header"].get("msg_id") == asked:
                    return asked, reply["content"]

    def verdict(self, asked: str) -> dict[str, Any] | None:
        """What `check` published while the request ran, or None."""
        found = None
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=5)
            except Empty:
                return found
            if message["parent_header"].get("msg_id") == asked:
                found = message["content"].get("data", {}).get(MIME, found)
                if message["content"].get("execution_state") == "idle":
                    return found


class Notebook:
    """What has run in the kernel, what must not run again, and how each cell failed.

    path: of the notebook. seconds: that a cell may take. Raises UnreadableError where there are no cells to read.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.cells, _ = parse(read_file(path))
        self.kernel: Kernel | None = None
        self.done: set[int] = set()
        self.culprits: set[int] = set()
        self.errors: dict[int, str | None] = {}
        own = (c.source for n, c in enumerate(self.cells) if self.exercise(n)[1] not in ("chapter", "check"))
        self.words = set(re.findall(r"\w+", "\n".join(own)))

    def __enter__(self) -> Notebook:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the kernel, if there is one."""
        if self.kernel:
            self.kernel.stop()
        self.kernel = None
        self.done.clear()

    def exercise(self, number: int) -> tuple[Exercise | None, str | None]:
        """(Exercise or None, role) of a cell: by its metadata, or by what its check says."""
        cell = self.cells[number]
        found = re.search(CHECK, cell.source)
        checked = any(c.role == "check" and c.exercise == cell.exercise for c in self.cells)
        if found and (cell.exercise is None or (cell.role == "stub" and not checked)):
            return EXERCISES.get(found[1]), "check"
        return EXERCISES.get(cell.exercise or ""), cell.role

    def checks(self) -> list[tuple[Exercise, int | None]]:
        """[(Exercise, number of its check cell)] from top to bottom; then those without one, with None."""
        found = [(*self.exercise(number), number) for number in range(len(self.cells))]
        checks: list[tuple[Exercise, int | None]] = [(exercise, number) for exercise, role, number in found
                                                     if exercise and role == "check"]
        names, checked = {e.notebook for e, _, _ in found if e}, {e.id for e, _ in checks}
        return checks + [(e, None) for e in EXERCISES.values() if e.notebook in names and e.id not in checked]

    def unknown(self) -> list[str]:
        """The exercises that the cells name and that nobody knows."""
        named = [i for cell in self.cells for i in (cell.exercise, *re.findall(CHECK, cell.source)) if i]
        return [i for i in dict.fromkeys(named) if i not in EXERCISES]

    def verdict(self, exercise: Exercise, number: int | None) -> dict[str, Any]:
        """The payload of the Verdict that the check cell with this number publishes."""
        if number is None:
            call = f'check("{exercise.id}", {exercise.function})'
            return Verdict.absent(exercise, f"its check cell is missing; put it back: {call}").payload()
        needed = [n for n in range(number) if self.exercise(n)[1] != "check"]
        found = self.after(needed, exercise, number)
        below = [n for n in range(number + 1, len(self.cells)) if self.exercise(n)[1] != "check"]
        if (not found or found["status"] != "correct") and any(
                definitions(exercise.function, self.cells[n].source) for n in below):
            with Notebook(self.path, self.seconds) as again:  # another kernel: other checks go on from this one
                found = max(found, again.after(needed + below, exercise, number), key=_rank)
        if found:
            return found
        broken = [n for n in needed if self.errors.get(n)]
        own = [n for n in broken if self.exercise(n)[0] is exercise]
        reason = (f"its cell {self.errors[own[0]]}" if own else
                  f"the notebook's first cell {self.errors[0]}" if 0 in broken else
                  f"its check {self.errors[number] or 'gives no verdict'}")
        return Verdict.absent(exercise, reason).payload()

    def after(self, needed: list[int], exercise: Exercise, number: int) -> dict[str, Any] | None:
        """What a check says after these cells."""
        while todo := [n for n in needed if n not in self.done | self.culprits]:
            self.run(todo[0])
        verdict = Verdict.believed(exercise, self.run(number))
        return verdict.payload() if verdict else None

    def source(self, number: int) -> str:
        """What runs of a cell: of the chapter's own only what it gives to the learner's."""
        cell = self.cells[number]
        if self.exercise(number)[1] != "chapter":
            return cell.source
        return offered(cell.source, self.words)

    def run(self, number: int) -> dict[str, Any] | None:
        """Run a cell and note how it ended. Returns the verdict that it published, or None."""
        verdict, source = None, self.source(number)
        if not source.strip():
            self.done.add(number)
            return None
        self.kernel = self.kernel or Kernel(self.path.parent)
        try:
            asked, reply = self.kernel.run(source, self.seconds)
            self.errors[number] = f"raises {_error_line(reply)}" if reply["status"] == "error" else None
            if self.exercise(number)[1] == "check":
                verdict = self.kernel.verdict(asked)
            if any(payload.get("source") == "ask_exit" for payload in reply.get("payload", [])):  # quit()
                raise KernelDiedError
            self.done.add(number)
        except (KernelDiedError, CellTimeoutError) as error:
            self.errors[number] = str(error)
            self.culprits.add(number)
            self.stop()
        return verdict


def _rank(verdict: dict[str, Any] | None) -> tuple[bool, bool, int]:
    return (False, False, -1) if verdict is None else (
        verdict["status"] == "correct", verdict["status"] == "wrong", verdict["passed"])


def _error_line(reply: dict[str, Any]) -> str:
    text = f"{reply['ename']}: {reply['evalue']}".strip(": ").splitlines()[0]
    return re.sub(r"\((?:\S*?, )?line (\d+)\)", r"(line \1)", text)
