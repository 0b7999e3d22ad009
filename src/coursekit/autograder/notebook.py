"""A learner's notebook, graded in a kernel of its own: one verdict for each exercise, whatever a cell does.

A check needs the cells above it, less the chapter's own and other checks. A cell that kills or blocks the kernel is
remembered: the kernel is started again, and the cells needed next run without it.
"""

from __future__ import annotations

import ast
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

from coursekit.autograder.check import MIME, REPLAY
from coursekit.autograder.package import offered
from coursekit.autograder.reader import chapters_name, definitions, not_run, parse, read_file, unknown
from coursekit.autograder.verdict import Verdict
from coursekit.exercises import EXERCISES
from coursekit.exercises.base import Exercise

START = 60  # seconds that a kernel may take to start
CALL = re.compile(r"""(?m)^(?:\w+ *= *)?(?:\w+\.)*check\(\s*["']([\w.]+)["']""")  # as learners write it


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
                                  env=os.environ | {"PYTEST_CURRENT_TEST": REPLAY})
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

    def verdicts(self, asked: str) -> list[dict[str, Any]]:
        """What every `check` published while the request ran."""
        found: list[dict[str, Any]] = []
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=5)
            except Empty:
                return found
            if message["parent_header"].get("msg_id") == asked:
                if said := message["content"].get("data", {}).get(MIME):
                    found.append(said)
                if message["content"].get("execution_state") == "idle":
                    return found


class Notebook:
    """What has run in the kernel, what must not run again, and how each cell failed.

    path: of the notebook. seconds: that a cell may take. Raises UnreadableError where there are no cells to read.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.cells, _, self.texts = parse(read_file(path))
        self.kernel: Kernel | None = None
        self.done: set[int] = set()
        self.culprits: set[int] = set()
        self.errors: dict[int, str | None] = {}
        self.said: dict[int, list[dict[str, Any]]] = {}  # verdicts, by the number of their cell
        marked = {i for c in (*self.cells, *self.texts) for i in (c.exercise, *CALL.findall(c.source))}
        chapters = {EXERCISES[i].notebook for i in marked if i in EXERCISES}
        self.exercises = [e for e in EXERCISES.values() if e.notebook in chapters]
        self.roles = [self.role(number) for number in range(len(self.cells))]
        own = (c.source for c, role in zip(self.cells, self.roles) if role not in ("chapter", "check"))
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

    def role(self, number: int) -> str | None:
        """The role of a cell: "check" where it does nothing but check; else that of its metadata, or None where a
        learner has put something else into it."""
        cell = self.cells[number]
        if self.checked(number) and _only_calls(cell.source):
            return "check"
        own = cell.role == "check" or cell.role == "chapter" and (self.checked(number) or any(
            definitions(exercise.function, cell.source) for exercise in self.exercises))
        return None if own else cell.role

    def checked(self, number: int) -> list[str]:
        """The exercises that a cell checks: those that it names, or else the one of its metadata."""
        cell = self.cells[number]
        named = list(dict.fromkeys(CALL.findall(cell.source)))
        return named or [i for i in (cell.exercise,) if i and cell.role == "check" and "check(" in cell.source]

    def checks(self) -> list[tuple[Exercise, int | None]]:
        """[(Exercise, number of a cell that checks it)] from top to bottom; then those without one, with None. What
        the cell of an answer says of it counts only where no other cell does."""
        found = [(EXERCISES[i], number) for number in range(len(self.cells)) for i in self.checked(number)
                 if i in EXERCISES]
        apart = {e.id for e, number in found if self.cells[number].role != "stub"}
        checks: list[tuple[Exercise, int | None]] = [(e, number) for e, number in found
                                                     if self.cells[number].role != "stub" or e.id not in apart]
        checked = {e.id for e, _ in checks}
        return checks + [(e, None) for e in self.exercises if e.id not in checked]

    def unknown(self) -> list[str]:
        """The exercises that the cells name and that nobody knows."""
        return unknown(self.cells)

    def verdict(self, exercise: Exercise, number: int | None) -> dict[str, Any]:
        """The payload of the Verdict that the check cell with this number publishes."""
        if number is None:
            return Verdict.absent(exercise, self.missing(exercise)).payload()
        needed = [n for n in range(number) if self.roles[n] != "check"]
        found = self.after(needed, exercise, number)
        below = [n for n in range(number + 1, len(self.cells)) if self.roles[n] != "check"]
        if (not found or found["status"] != "correct") and (
                any(definitions(exercise.function, self.cells[n].source) for n in below)
                or "'check' is not defined" in (self.errors.get(number) or "")):
            with Notebook(self.path, self.seconds) as again:  # another kernel: other checks go on from this one
                found = max(found, again.after(needed + below, exercise, number), key=_rank)
        defined = any(definitions(exercise.function, cell.source) for cell in self.cells)
        unrun = not_run(exercise.function, self.texts)
        given = [c.source for c, role in zip(self.cells, self.roles) if role == "chapter"]
        if found and not (unrun and found["status"] == "not attempted"):
            return found | {"lines": [line + chapters_name(line, given) for line in found["lines"]]}
        if unrun and (found or not defined):
            return Verdict.absent(exercise, unrun).payload()
        broken = [n for n in needed if self.errors.get(n)]
        own = [n for n in broken if self.cells[n].exercise == exercise.id
               or definitions(exercise.function, self.cells[n].source)]
        reason = (f"its cell {self.errors[own[0]]}" if own else
                  f"the notebook's first cell {self.errors[0]}" if 0 in broken else
                  f"its check {self.errors.get(number) or 'gives no verdict'}")
        return Verdict.absent(exercise, reason + chapters_name(reason, given)).payload()

    def missing(self, exercise: Exercise) -> str:
        """The reason where no cell that runs checks an exercise."""
        kind = next((cell.kind for cell in self.texts if exercise.id in CALL.findall(cell.source)), None)
        return (f"its check is in a {kind} cell: change the type of that cell to Code" if kind else
                f'its check cell is missing; put it back: check("{exercise.id}", {exercise.function})')

    def after(self, needed: list[int], exercise: Exercise, number: int) -> dict[str, Any] | None:
        """What a check says after these cells."""
        while todo := [n for n in needed if n not in self.done | self.culprits]:
            self.run(todo[0])
        if number not in self.said:
            self.run(number)
        verdicts = [v for said in self.said[number] if (v := Verdict.believed(exercise, said))]
        return verdicts[-1].payload() if verdicts else None

    def source(self, number: int) -> str:
        """What runs of a cell: of the chapter's own only what it gives to the learner's."""
        cell = self.cells[number]
        return offered(cell.source, self.words) if self.roles[number] == "chapter" else cell.source

    def run(self, number: int) -> None:
        """Run a cell; note how it ended, and the verdicts that it published."""
        source = self.source(number)
        self.said[number] = []
        if not source.strip():
            self.done.add(number)
            return
        self.kernel = self.kernel or Kernel(self.path.parent)
        try:
            asked, reply = self.kernel.run(source, self.seconds)
            self.errors[number] = _error_line(reply) if reply["status"] == "error" else None
            if self.checked(number):
                self.said[number] = self.kernel.verdicts(asked)
            if any(payload.get("source") == "ask_exit" for payload in reply.get("payload", [])):  # quit()
                raise KernelDiedError
            self.done.add(number)
        except (KernelDiedError, CellTimeoutError) as error:
            self.errors[number] = str(error)
            self.culprits.add(number)
            self.stop()


def _only_calls(source: str) -> bool:
    """Whether a cell gives no name to anything."""
    try:
        return all(isinstance(statement, ast.Expr) for statement in ast.parse(source).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _rank(verdict: dict[str, Any] | None) -> tuple[bool, bool, int]:
    return (False, False, -1) if verdict is None else (
        verdict["status"] == "correct", verdict["status"] == "wrong", verdict["passed"])


def _error_line(reply: dict[str, Any]) -> str:
    if reply["ename"] == "StdinNotImplementedError":
        return "asks the user with input(), and nobody answers here: put the value into the code"
    text = f"{reply['ename']}: {reply['evalue']}".strip(": ").splitlines()[0]
    return "raises " + re.sub(r"\((?:\S*?, )?line (\d+)\)", r"(line \1)", text)
