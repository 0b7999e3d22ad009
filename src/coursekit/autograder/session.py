"""One notebook in one sandbox: run its cells, call its functions, survive whatever they do."""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from coursekit.autograder import wire
from coursekit.autograder.outcome import Outcome, readable
from coursekit.autograder.package import needed_imports, offered
from coursekit.autograder.reader import Cell, chapters_name, definitions
from coursekit.autograder.rules import CHECK, LATE
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


class Step(NamedTuple):
    """A cell to run. own: it is the learner's work, so its failure is worth a word. keep: as in kernel.Notebook."""

    source: str
    own: bool
    keep: str | None = None


class Session:
    """Keeps the limits of time, and starts the sandbox again, without the culprit, when it had to be ended.

    A function is called where `check` was given it, after the cell of that check, as in the notebook; `attempts`
    calls what has its name at the end as well. cases: of each exercise, by id.
    """

    def __init__(self, sandbox: Sandbox, chapter: Chapter, cells: Sequence[Cell],
                 cases: Mapping[str, list[Case]]) -> None:
        self.sandbox, self.limits, self.cases = sandbox, sandbox.limits, cases
        self.exercises = {exercise.id: exercise for exercise in chapter.exercises}
        self.steps = [_step(chapter, cell) for cell in cells]
        self.chapter_cells = [source for source in chapter.book if not any(
            definitions(exercise.function, source) for exercise in chapter.exercises)]
        self.text = "\n".join(step.source for step in self.steps if step.own)
        words = set(re.findall(r"\w+", self.text))
        self.imports = chapter.imports if sandbox.forks else needed_imports(
            chapter.imports, [self.text, *(step.source for step in self.steps if not step.own)])
        self.offered = "\n".join(filter(None, (
            offered(source, words) for source in chapter.book if source != chapter.imports.strip())))
        self.deadline = time.monotonic() + self.limits.submission
        self.share = self.limits.submission / max(1, len(chapter.exercises))
        self.culprits: Counter[int] = Counter()  # how often a cell ended the worker
        self.errors: dict[int, str | None] = {}
        self.events: set[str] = set()
        self.starved = False  # something was stopped while others took the processors
        self.checked: dict[str, list[Outcome]] = {}  # by exercise, what was called at its check
        self.hurried: set[str] = set()  # exercises whose share of the time was used up
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
            self.sandbox.expect(until + GRACE)
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
        self.starved |= ended.late and self.sandbox.was_crowded()
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
        if self.offered:
            with contextlib.suppress(WorkerEndedError):
                self.ask(cell=self.offered, name="offered")
            if self.channel is None:
                self.offered = ""
                return
        for number, step in enumerate(self.steps):
            times = self.culprits[number]
            if times > 1 or step.keep and times:
                continue
            keep = "definitions" if times else step.keep  # what it defines may be right all the same
            try:
                more: dict[str, Any] = {"keep": keep} if keep else {}
                reply = self.ask(cell=step.source, name=number, **more)
                if not times:
                    error = reply.get("error")
                    self.errors[number] = None if error is None else f"raises {_message(error)}"
            except WorkerEndedError as ended:
                self.culprits[number] += 1
                self.errors[number] = f"does not end ({ended.reason})" if ended.late else ended.reason
                return
            self.call_checked(reply.get("checked"))
            if self.channel is None:
                return

    def call_checked(self, ids: Any) -> None:
        """Call what the checks of a cell were given, once for each exercise."""
        for key in ids if isinstance(ids, list) else []:
            if isinstance(key, str) and key in self.cases and key not in self.checked and self.channel:
                outcomes = self._call(self.exercises[key], self.share, at_check=True)
                if outcomes is not None:
                    self.checked[key] = outcomes

    def attempts(self, exercise: Exercise) -> Iterator[list[Outcome] | None]:
        """What the calls of a function gave, one Outcome for each case: at its check, then at the end, each only if
        it is asked for; None where the function is not there.

        An exercise may use its share of the submission's time, so that a slow answer costs no other its points;
        what is left at the end is for those that were slow.
        """
        late: list[Outcome] = []
        try:
            self.ready()
        except WorkerEndedError as ended:
            late = [Outcome(error=ended.reason, late=ended.late)] * len(self.cases[exercise.id])
        found = self.checked.get(exercise.id)
        if found is not None:
            yield found
            broke = any(outcome.late for outcome in found) or "crashed" in self.events
            if broke and exercise.id not in self.hurried and definitions(exercise.function, self.text) < 2:
                return  # it would end no better
        if late:
            yield late
        else:
            yield self._call(exercise, self.share)
        if exercise.id in self.hurried and self.deadline - time.monotonic() > self.share:
            with contextlib.suppress(WorkerEndedError):
                self.ready()
                yield self._call(exercise, self.deadline - time.monotonic())

    def _call(self, exercise: Exercise, seconds: float, at_check: bool = False) -> list[Outcome] | None:
        cases, begin = self.cases[exercise.id], time.monotonic()
        outcomes: list[Outcome] = []
        where: dict[str, Any] = {"exercise": exercise.id} if at_check else {}
        for case in cases:
            try:
                left = seconds - (time.monotonic() - begin)
                if left <= 0:
                    self.events.add("timeout")
                    self.hurried.add(exercise.id)
                    raise WorkerEndedError(True, f"the {seconds:.3g} s of one exercise are used up")
                reply = self.ask(left, function=exercise.function, inputs=inputs_of(case), **where)
            except WorkerEndedError as ended:  # the other cases would end as badly
                if left < self.limits.call:
                    self.hurried.add(exercise.id)
                return outcomes + [Outcome(error=ended.reason, late=ended.late)] * (len(cases) - len(outcomes))
            if "missing" in reply:
                broken = self.broken(exercise)
                return [Outcome(error=broken)] * len(cases) if broken else None
            outcomes.append(self.outcome(reply))
        return outcomes

    def outcome(self, reply: dict[str, Any]) -> Outcome:
        """From a reply, in which nothing is believed, to an Outcome."""
        if "value" in reply:
            return Outcome(value=reply["value"])
        text = _message(reply.get("error"))
        return Outcome(error=text + chapters_name(text, self.chapter_cells),
                       not_attempted=reply.get("not_attempted") is True)

    def broken(self, exercise: Exercise) -> str | None:
        """What happened in the cell that should define the function, or None where there is no such cell."""
        for number, step in enumerate(self.steps):
            if step.own and self.errors.get(number) and definitions(exercise.function, step.source):
                reason = f"its cell: {self.errors[number]}"
                return reason + chapters_name(reason, self.chapter_cells)
        return None


def _step(chapter: Chapter, cell: Cell) -> Step:
    """What to run of a cell: all of the learner's own; of the chapter's, its checks, and the names that it gives to
    numbers."""
    if cell.source.strip() in chapter.book:
        return Step(cell.source if re.search(CHECK, cell.source) else "", False)
    return Step(cell.source, True) if chapter.is_own(cell) else Step(cell.source, False, "constants")


def _message(error: Any) -> str:
    return readable(error[:1000])[:200].strip() if isinstance(error, str) else "an error that can't be shown"
