"""One notebook in one sandbox: run its cells, call its functions, survive whatever they do."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from coursekit.autograder import wire
from coursekit.autograder.outcome import Outcome
from coursekit.autograder.package import needed_imports
from coursekit.autograder.reader import Cell, definitions
from coursekit.autograder.rules import LATE
from coursekit.autograder.sandbox import START, GraderError, Sandbox
from coursekit.autograder.verdict import inputs_of

if TYPE_CHECKING:
    from coursekit.autograder.book import Chapter
    from coursekit.exercises.base import Case, Exercise

STARTS = 50  # sandboxes that one notebook may use up
GRACE = 5  # seconds after a limit at which the watch ends what the session could not


class WorkerEndedError(Exception):
    """The worker was stopped at a time limit, or died; `late` tells which."""

    def __init__(self, late: bool, reason: str) -> None:
        super().__init__(reason)
        self.late, self.reason = late, reason


class Session:
    """Keeps the limits of time, and starts the sandbox again, without the culprit, when it had to be ended."""

    def __init__(self, sandbox: Sandbox, chapter: Chapter, cells: Sequence[Cell]) -> None:
        self.sandbox, self.limits = sandbox, sandbox.limits
        self.cells = [c for c in cells if chapter.is_own(c)]
        text = [c.source for c in self.cells]
        self.imports = chapter.imports if sandbox.forks else needed_imports(chapter.imports, text)
        self.deadline = time.monotonic() + self.limits.submission
        self.share = self.limits.submission / max(1, len(chapter.exercises))
        self.culprits: set[int] = set()  # cells that ended the worker, and are not run again
        self.errors: dict[int, str | None] = {}
        self.events: set[str] = set()
        self.channel: wire.Channel | None = None
        self.number, self.starts = 0, 0

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.sandbox.close()

    def ask(self, seconds: float = math.inf, check: bool = True, **request: Any) -> dict[str, Any]:
        """Send a request and return the reply within so many seconds, and unless `check` is off within the
        limits. Raises WorkerEndedError, after which the worker is gone."""
        assert self.channel is not None, "ready() comes first"
        self.number += 1
        left = min(seconds, self.limits.call, self.deadline - time.monotonic()) if check else seconds
        until = time.monotonic() + left
        try:
            self.sandbox.deadline = until + GRACE
            wire.send(self.channel, request | {"id": self.number}, max(0.01, left))
            while True:
                reply = wire.receive(self.channel, until - time.monotonic())
                if type(reply.get("id")) is int and reply["id"] == self.number:
                    return reply
        except TimeoutError:
            ended = WorkerEndedError(True, LATE.format(f"{left:.3g}"))
        except (OSError, EOFError):
            ended = WorkerEndedError(False, (
                f"its processes held more than {self.limits.memory / 2**30:g} GB of memory together"
                if self.sandbox.ran_out_of_memory() else "ended the process it ran in"))
        except wire.ProtocolError as error:
            ended = WorkerEndedError(False, f"wrote into the grader's channel ({error})")
        finally:
            self.sandbox.deadline = math.inf
        self.events.add("timeout" if ended.late else "crashed")
        self.stop()
        raise ended

    def stop(self) -> None:
        self.sandbox.close()
        self.channel = None

    def ready(self) -> None:
        """Have a worker in which every cell but the culprits has run.

        Raises GraderError; WorkerEndedError where no time is left.
        """
        while self.channel is None:
            self.starts += 1
            if time.monotonic() >= self.deadline:
                self.events.add("timeout")
                raise WorkerEndedError(True, f"the {self.limits.submission:g} s of this notebook are used up")
            if self.starts > STARTS:
                raise WorkerEndedError(False, f"ended {STARTS} processes: nothing more was tried")
            begin = time.monotonic()
            self.channel = self.sandbox.open()
            self.run_imports()
            if self.starts == 1:
                self.deadline += time.monotonic() - begin  # getting ready is our time, getting ready again theirs
            self.run_cells()

    def run_imports(self) -> None:
        """Run the book's first cell, which is ours: that it fails, or takes long, is no learner's fault."""
        before = set(self.events)
        try:
            error = self.ask(START, False, cell=self.imports, name="imports").get("error")
        except WorkerEndedError as ended:
            error, self.events = ended.reason, before
        if error:
            reason = f"{error}; {self.sandbox.complaint()}"
            raise GraderError(f"the chapter's first cell fails in the sandbox: {reason}")

    def run_cells(self) -> None:
        for number, cell in enumerate(self.cells):
            if number not in self.culprits:
                try:
                    error = self.ask(cell=cell.source, name=number).get("error")
                    self.errors[number] = None if error is None else f"raises {_message(error)}"
                except WorkerEndedError as ended:
                    self.culprits.add(number)
                    self.errors[number] = f"does not end ({ended.reason})" if ended.late else ended.reason
                    return

    def call(self, exercise: Exercise, cases: list[Case]) -> list[Outcome] | None:
        """One Outcome for each case; None where the function is not there. An exercise may use its share of the
        submission's time, so that a slow answer costs no other its points."""
        outcomes: list[Outcome] = []
        begin = None
        for case in cases:
            try:
                self.ready()
                begin = begin or time.monotonic()
                left = self.share - (time.monotonic() - begin)
                if left <= 0:
                    self.events.add("timeout")
                    raise WorkerEndedError(True, f"the {self.share:.3g} s of one exercise are used up")
                reply = self.ask(left, function=exercise.function, inputs=inputs_of(case))
            except WorkerEndedError as ended:  # the other cases would end as badly
                return outcomes + [Outcome(error=ended.reason, late=ended.late)] * (len(cases) - len(outcomes))
            if "missing" in reply:
                broken = self.broken(exercise)
                return [Outcome(error=broken)] * len(cases) if broken else None
            outcomes.append(_outcome(reply))
        return outcomes

    def broken(self, exercise: Exercise) -> str | None:
        """What happened in the cell that should define the function, or None where there is no such cell."""
        for number, cell in enumerate(self.cells):
            if self.errors.get(number) and definitions(exercise.function, cell.source):
                return f"its cell: {self.errors[number]}"
        return None


def _outcome(reply: dict[str, Any]) -> Outcome:
    """From a reply, in which nothing is believed, to an Outcome."""
    if "value" in reply:
        return Outcome(value=reply["value"])
    return Outcome(error=_message(reply.get("error")), not_attempted=reply.get("not_attempted") is True)


def _message(error: Any) -> str:
    return " ".join(error[:1000].split())[:200] if isinstance(error, str) else "an error that can't be shown"
