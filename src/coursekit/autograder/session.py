"""One notebook in one sandbox: run its cells, call its functions, survive whatever they do."""

import math
import re
import time

from coursekit.autograder import sandbox, wire
from coursekit.autograder.outcome import Outcome
from coursekit.autograder.package import needed_imports
from coursekit.autograder.reader import definitions
from coursekit.autograder.verdict import inputs_of

STARTS = 50  # sandboxes that one notebook may use up
DEFINES = re.compile(r"^(async def|def|class|import|from)\b", re.M)


class Ended(Exception):
    """The worker was stopped at a time limit, or died; `late` tells which."""

    def __init__(self, late, reason):
        super().__init__(reason)
        self.late, self.reason = late, reason


class Session:
    """Keeps the limits of time, and starts the sandbox again, without the culprit, when it had to be ended."""

    def __init__(self, box, chapter, cells):
        self.sandbox, self.limits = box, box.limits
        self.cells = [c for c in cells if chapter.is_own(c)]
        text = [c.source for c in self.cells]
        self.imports = chapter.imports if box.forks else needed_imports(chapter.imports, text)
        self.deadline = time.monotonic() + self.limits.submission
        self.share = self.limits.submission / max(1, len(chapter.exercises))
        self.culprits, self.errors, self.events = set(), {}, set()
        self.sock, self.number, self.starts = None, 0, 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.sandbox.close()

    def ask(self, seconds=math.inf, check=True, **request):
        """Send a request and return the reply within so many seconds, and unless `check` is off within the
        limits. Raises Ended, after which the worker is gone."""
        self.number += 1
        left = min(seconds, self.limits.call, self.deadline - time.monotonic()) if check else seconds
        until = time.monotonic() + left
        try:
            self.sock.settimeout(max(0.01, left))  # a worker that does not listen must not hold us either
            wire.send(self.sock, request | {"id": self.number})
            while True:
                reply = wire.receive(self.sock, until - time.monotonic())
                if type(reply.get("id")) is int and reply["id"] == self.number:
                    return reply
        except (wire.Late, TimeoutError):
            ended = Ended(True, f"no answer within {left:.3g} s: does the loop end?")
        except (OSError, EOFError):
            greedy = f"its processes held more than {self.limits.memory / 2**30:g} GB of memory together"
            ended = Ended(False, greedy if self.sandbox.greedy else "ended the process it ran in")
        except wire.Garbled as error:
            ended = Ended(False, f"wrote into the grader's channel ({error})")
        self.events.add("timeout" if ended.late else "crashed")
        self.stop()
        raise ended

    def stop(self):
        self.sandbox.close()
        self.sock = None

    def ready(self):
        """Have a worker in which every cell but the culprits has run. Raises Fault; Ended: no time is left."""
        while self.sock is None:
            self.starts += 1
            if time.monotonic() >= self.deadline:
                self.events.add("timeout")
                raise Ended(True, f"the {self.limits.submission:g} s of this notebook are used up")
            if self.starts > STARTS:
                raise Ended(False, f"ended {STARTS} processes: nothing more was tried")
            begin = time.monotonic()
            self.sock = self.sandbox.open()
            self.run_imports()
            if self.starts == 1:
                self.deadline += time.monotonic() - begin  # getting ready is our time, getting ready again theirs
            self.run_cells()

    def run_imports(self):
        """Run the book's first cell, which is ours: that it fails, or takes long, is no learner's fault."""
        before = set(self.events)
        try:
            error = self.ask(sandbox.START, False, cell=self.imports, name="imports").get("error")
        except Ended as ended:
            error, self.events = ended.reason, before
        if error:
            told = f"{error}; {self.sandbox.complaint()}"
            raise sandbox.Fault(f"the chapter's first cell fails in the sandbox: {told}")

    def run_cells(self):
        for number, cell in enumerate(self.cells):
            if number not in self.culprits:
                try:
                    error = self.ask(cell=cell.source, name=number).get("error")
                    self.errors[number] = None if error is None else f"raises {_told(error)}"
                except Ended as ended:
                    self.culprits.add(number)
                    self.errors[number] = f"does not end ({ended.reason})" if ended.late else ended.reason
                    return

    def call(self, exercise, cases):
        """One Outcome for each case; None where the function is not there. An exercise may use its share of the
        submission's time, so that a slow answer costs no other its points."""
        outcomes, begin = [], None
        for case in cases:
            try:
                self.ready()
                begin = begin or time.monotonic()
                left = self.share - (time.monotonic() - begin)
                if left <= 0:
                    self.events.add("timeout")
                    raise Ended(True, f"the {self.share:.3g} s of one exercise are used up")
                reply = self.ask(left, function=exercise.function, inputs=inputs_of(case))
            except Ended as ended:  # the other cases would end as badly
                return outcomes + [Outcome(error=ended.reason, late=ended.late)] * (len(cases) - len(outcomes))
            if "missing" in reply:
                broken = self.broken(exercise)
                return broken and [Outcome(error=broken)] * len(cases)
            outcomes.append(_outcome(reply))
        return outcomes

    def broken(self, exercise):
        """What happened in the cell that should define the function, or None where there is no such cell."""
        for number, cell in enumerate(self.cells):
            if self.errors.get(number) and definitions(exercise.function, cell.source):
                return f"its cell: {self.errors[number]}"
        return None


def _outcome(reply):
    """From a reply, in which nothing is believed, to an Outcome."""
    if "value" in reply:
        return Outcome(value=reply["value"])
    return Outcome(error=_told(reply.get("error")), not_attempted=reply.get("not_attempted") is True)


def _told(error):
    return " ".join(error[:1000].split())[:200] if isinstance(error, str) else "an error that can't be told"
