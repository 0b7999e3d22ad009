"""nbval's notebooks and cells, taught about exercises. Leans on nbval's insides: 0.11.* only.

A cell is named by its exercise. A check cell passes, is skipped or fails by the verdict that `check`
published in this run. A dead kernel is noticed, restarted, and the cells needed next are replayed.
"""

import os
import re
import time
from queue import Empty

import pytest
from nbval import kernel as nbval_kernel
from nbval import plugin as nbval

from coursekit.autograder.check import MIME
from coursekit.autograder.verdict import INPUTS
from coursekit.exercises import EXERCISES


class KernelDied(Exception):
    """The kernel's process is gone."""


class CellFailure(Exception):
    """A failure told in its own few lines, without frames."""


class WatchedKernel(nbval_kernel.RunningKernel):
    """nbval's kernel, asked twice a second whether it lives."""

    def get_message(self, stream, timeout=None):
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            try:
                return super().get_message(stream, timeout=max(0.0, min(0.5, deadline - time.monotonic())))
            except Empty:
                if not self.is_alive():
                    raise KernelDied("the kernel died") from None
                if time.monotonic() >= deadline:
                    raise


    def await_reply(self, msg_id, timeout=None):
        """Wait for a cell's reply, and remember whether it asked the kernel to exit, as quit() does."""
        while True:
            message = self.get_message(stream="shell", timeout=timeout)
            if message["parent_header"].get("msg_id") == msg_id:
                payload = message["content"].get("payload") or []
                self.asked_to_exit = any(p.get("source") == "ask_exit" for p in payload)
                return


class NotebookFile(nbval.IPyNbFile):
    """A notebook: what has run in its kernel, what must not run again, and how each cell failed."""

    def collect(self):
        self.done, self.culprits, self.errors = set(), set(), {}
        for cell in super().collect():
            yield NotebookCell.from_parent(self, name=cell.name, cell_num=cell.cell_num, cell=cell.cell,
                                           options=cell.options)
        for missing in self.missing():
            yield MissingCheck.from_parent(self, name=missing)

    def setup(self):
        super().setup()
        self.kernel.__class__ = WatchedKernel
        self.kernel.asked_to_exit = False

    @property
    def code(self):
        return [cell for cell in self.nb.cells if cell.cell_type == "code"]

    def exercise(self, number):
        """(Exercise or None, role) of a code cell: by metadata, or by what its check says."""
        cell = self.code[number]
        mark, found = _mark(cell), _CHECK.search(cell.source)
        merged = mark.get("role") == "stub" and dict(mark, role="check") not in map(_mark, self.code)
        if found and (merged or "exercise" not in mark):
            mark = {"exercise": found[1], "role": "check"}
        return EXERCISES.get(mark.get("exercise")), mark.get("role")

    def missing(self):
        """Ids of this notebook's exercises that have no check cell."""
        found = [self.exercise(number) for number in range(len(self.code))]
        names = {exercise.notebook for exercise, _ in found if exercise}
        checked = {exercise.id for exercise, role in found if exercise and role == "check"}
        return [e.id for e in EXERCISES.values() if e.notebook in names and e.id not in checked]

    def needed(self, number):
        """Code cells above that must have run before this one: no checks; for an exercise none of the
        chapter's own cells but its imports, so that grading needs no training."""
        exercise, _ = self.exercise(number)
        for earlier in range(number):
            role = self.exercise(earlier)[1]
            if role != "check" and not (exercise and role == "chapter"):
                yield earlier

    def prepare(self, number):
        """Have a living kernel in which every needed cell has run; replay what is missing."""
        while True:
            if not self.kernel.is_alive():
                self.setup()
                self.done.clear()
            todo = [n for n in self.needed(number) if n not in self.done | self.culprits]
            if not todo:
                return
            self.replay(todo[0])

    def replay(self, number):
        try:
            message_id = self.kernel.execute_cell_input(self.code[number].source, allow_stdin=False)
            self.kernel.await_reply(message_id, timeout=self.config.option.nbval_cell_timeout)
            if self.kernel.asked_to_exit:
                raise KernelDied("quit")
            self.done.add(number)
            while True:
                message = self.kernel.get_message("iopub", timeout=5)
                if message["parent_header"].get("msg_id") != message_id:
                    continue
                if message["msg_type"] == "error":
                    self.errors[number] = f"raises {_error_line(message['content'])}"
                if message["content"].get("execution_state") == "idle":
                    return
        except (KernelDied, Empty) as error:
            self.blame(number, error)

    def blame(self, number, error):
        """This cell killed or blocked the kernel: note it, and never replay it."""
        self.culprits.add(number)
        if isinstance(error, KernelDied):
            self.errors[number] = "killed the kernel (quit, os._exit, or out of memory?)"
        else:
            self.errors[number] = f"does not end: stopped after {self.config.option.nbval_cell_timeout:g} s"
        if self.kernel.is_alive():
            self.kernel.stop()


class NotebookCell(nbval.IPyNbCell):
    """A code cell, named by its exercise; fails in a few lines."""

    def __init__(self, name, parent, cell_num, cell, options):
        self.exercise, self.role = parent.exercise(cell_num)
        if self.exercise:
            name = self.exercise.id if self.role == "check" else f"{self.exercise.id}[{self.role}]"
            options["check"] = False  # what the learner's cells print is the learner's affair
        else:
            name = cell.get("id") or name
        super().__init__(name, parent, cell_num, cell, options)

    def reportinfo(self):
        return self.path, None, f"{self.name} in {self.path.name}"

    def runtest(self):
        notebook, number, error = self.parent, self.cell_num, None
        notebook.prepare(number)
        try:
            super().runtest()
        except (KernelDied, nbval.NbCellError, RuntimeError) as raised:
            error = raised
        if error is None and notebook.kernel.asked_to_exit:
            error = KernelDied("quit")
        self.note(error)
        verdict = next((dict(o["data"][MIME]) for o in self.test_outputs or () if MIME in o.get("data", {})), None)
        if verdict or self.role == "check":
            self.settle(verdict)
        elif error and self.exercise:
            raise CellFailure(f"✗ {self.exercise.id}: your cell {notebook.errors[number]}")
        elif isinstance(error, KernelDied):
            raise CellFailure(f"✗ {self.name}: {notebook.errors[number]}")
        elif error:
            raise error

    def note(self, error):
        """Tell the notebook how this cell ended."""
        notebook, number = self.parent, self.cell_num
        notebook.timed_out = False  # nbval would expect every later cell to fail
        notebook.done.add(number)
        raised = [o for o in self.test_outputs or () if o.output_type == "error"]
        if isinstance(error, KernelDied) or (error and "Timeout" in str(error)):
            notebook.blame(number, error)
        elif raised:
            notebook.errors[number] = f"raises {_error_line(raised[0])}"
        elif error:
            notebook.errors[number] = f"fails: {error}"

    def settle(self, verdict):
        """Turn the verdict of a check cell into passed, skipped or failed."""
        notebook = self.parent
        if verdict is None:
            broken = [n for n in notebook.needed(self.cell_num) if n in notebook.errors]
            own = [n for n in broken if notebook.exercise(n)[0] is self.exercise]
            reason = (f"its cell {notebook.errors[own[0]]}" if own else
                      f"the notebook's first cell {notebook.errors[0]}" if 0 in broken else
                      f"its check {notebook.errors.get(self.cell_num, 'gives no verdict')}")
            if self.exercise:
                verdict = _wrong(self.exercise, reason)
                self.user_properties.append(("coursekit", verdict))
            raise CellFailure(f"✗ {self.name}: {reason}")
        self.user_properties.append(("coursekit", verdict))
        if verdict["status"] == "not attempted" and os.environ.get("COURSEKIT_GRADE") != "1":
            pytest.skip(f"{verdict['exercise']}: not attempted")
        if verdict["status"] != "correct":
            named = verdict["misconception"]  # a name says more than the inputs; without one they are needed
            raise CellFailure("\n".join(
                x for x in verdict["lines"] if not (named and x.strip().startswith(INPUTS))))

    def repr_failure(self, excinfo):
        if isinstance(excinfo.value, CellFailure):
            return str(excinfo.value)
        return re.sub(r"\bCell \d+", self.name, super().repr_failure(excinfo))


class MissingCheck(pytest.Item):
    """Stands for an exercise whose check cell was deleted: wrong, not absent."""

    def runtest(self):
        exercise = EXERCISES[self.name]
        reason = f'its check cell is missing; put it back: check("{exercise.id}", {exercise.function})'
        self.user_properties.append(("coursekit", _wrong(exercise, reason)))
        raise CellFailure(f"✗ {exercise.id}: {reason}")

    def reportinfo(self):
        return self.path, None, f"{self.name} in {self.path.name}"

    def repr_failure(self, excinfo):
        return str(excinfo.value)


_CHECK = re.compile(r"^check\(\s*[\"']([\w.]+)", re.M)


def _wrong(exercise, reason):
    return dict(exercise=exercise.id, status="wrong", passed=0, cases=0, points=0, possible=exercise.points,
                misconception=None, lines=[reason])


def _mark(cell):
    mark = cell.metadata.get("coursekit")
    return mark if isinstance(mark, dict) else {}


def _error_line(error):
    text = f"{error['ename']}: {error['evalue']}".strip(": ").splitlines()[0]
    return re.sub(r"\((?:\S*?, )?line (\d+)\)", r"(line \1)", text)
