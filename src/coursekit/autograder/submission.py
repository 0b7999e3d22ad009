"""Grade one submission: from the bytes of its files to a record of points. The same code here and on a cluster."""

import hashlib
import threading
import time
from dataclasses import dataclass

from coursekit.autograder import package, sandbox
from coursekit.autograder.book import answers, cells, role
from coursekit.autograder.outcome import Outcome
from coursekit.autograder.reader import Cell, Unreadable, definitions, parse
from coursekit.autograder.session import DEFINES, Session
from coursekit.autograder.verdict import judge
from coursekit.exercises import EXERCISES

PUBLIC = 0  # the seed of the cases that `check` shows
STATUSES = ("graded", "crashed", "timeout", "unreadable", "not graded (grader fault)")
FAULT = STATUSES[-1]
_mine = threading.local()


@dataclass(frozen=True)
class Chapter:
    """What the grader knows of a notebook of the course."""

    name: str
    imports: str
    book: tuple[str, ...]  # sources of its code cells
    answers: tuple[tuple[str, str], ...]  # (exercise id, source of the instructor's solution)

    @property
    def exercises(self):
        return [EXERCISES[i] for i, _ in self.answers]

    def is_own(self, cell):
        """Whether a cell is the learner's own work: not the book's, and no figure with its numbers changed."""
        return cell.source.strip() not in self.book and not (cell.role == "chapter"
                                                            and not DEFINES.search(cell.source))


def chapter(path):
    """The Chapter of one of our own notebooks."""
    found = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    imports = next(cell["source"] for cell in found if role(cell) == "imports")
    return Chapter(path.stem, imports, tuple(c["source"].strip() for c in found), tuple(answers(path).items()))


@dataclass(frozen=True)
class Settings:
    """What a grade depends on besides the submission; travels to other machines. seed: of the hidden cases."""

    chapters: tuple[Chapter, ...]
    seed: int
    kind: str
    forks: bool
    isolation: str
    limits: sandbox.Limits
    version: str

    def key(self, files):
        """A hash of everything that the grade of these files depends on."""
        parts = [self.seed, self.version, self.limits, self.chapters,
                 [(name, data if isinstance(data, str) else _hash(data)) for name, data in files]]
        return _hash(repr(parts).encode())


def _hash(data):
    return hashlib.sha256(data).hexdigest()


def grade_submission(files, settings):
    """The record of one submission, a plain dictionary; whatever happens, there is one.

    Args: files: list of (name, bytes of a file, or the reason in words why it can't be read), the newest last.
    """
    begin = time.monotonic()
    for _ in range(2):
        try:
            if settings.version != package.version():
                raise sandbox.Fault("this machine has another version of the course")
            record = _grade(files, settings)
            break
        except Exception as error:  # ours, since nothing of a learner's runs in this process: try once more
            close_sandboxes()
            told = str(error) if isinstance(error, sandbox.Fault) else f"{type(error).__name__}: {error}"
            record = fault(told, settings)
    return record | {"seconds": round(time.monotonic() - begin, 3), "isolation": settings.isolation}


def fault(told, settings):
    """The record of a submission that the grader could not grade."""
    return _blank(settings) | {"status": FAULT, "reason": told, "points": None, "seconds": 0.0,
                               "isolation": settings.isolation}


def _blank(settings):
    known = [e for chapter in settings.chapters for e in chapter.exercises]
    return {"status": "unreadable", "reason": None, "points": 0, "possible": sum(e.points for e in known),
            "exercises": {}, "flags": []}


def _grade(files, settings):
    record, events, notebooks = _blank(settings), [], {}
    for name, data in files:
        try:
            if isinstance(data, str):
                raise Unreadable(data)
            found, which = parse(data)
            if which is None:
                raise Unreadable("it holds no exercise of this course")
            if which in notebooks:
                record["flags"].append(f"several notebooks for {which}: {name} was graded")
            notebooks[which] = found
        except Unreadable as error:
            events.append("unreadable")
            record["flags"].append(f"{name}: {error}")
    for known in settings.chapters:
        if known.name in notebooks:
            verdicts, flags, ended = grade_notebook(notebooks[known.name], known, settings)
            events += ["graded", *ended]
        else:
            verdicts = [_absent(e) for e in known.exercises]
            flags = [f"no notebook for {known.name}"] if files else ["nothing handed in"]
        record["flags"] += flags
        record["exercises"] |= {v["exercise"]: v for v in verdicts}
    record["points"] = sum(v["points"] for v in record["exercises"].values())
    record["status"] = max(events, key=STATUSES.index) if events else "unreadable"
    if "graded" not in events:
        record["reason"] = "; ".join(record["flags"])
    return record


def grade_notebook(found, known, settings):
    """(payloads of the verdicts, flags, what ended a worker) for one notebook's cells; known: its Chapter."""
    verdicts, flags = [], []
    with Session(_sandbox(known, settings), known, found) as session:
        text = "\n".join(c.source for c in session.cells)
        for exercise in known.exercises:
            public, hidden = exercise.cases(PUBLIC), exercise.cases(settings.seed)
            outcomes = session.call(exercise, public + hidden)
            verdicts.append(_verdict(exercise, public, hidden, outcomes))
            if (times := definitions(exercise.function, text)) > 1:
                flags.append(f"{exercise.function} is defined {times} times: the last one counts")
        broken = [f"a cell {error}" for error in dict.fromkeys(session.errors.values()) if error]
        flags += broken[:5] + [f"and {len(broken) - 5} cells more"] * (len(broken) > 5)
    return verdicts, flags, sorted(session.events)


def _verdict(exercise, public, hidden, outcomes):
    """The payload of both verdicts in one; what it says never shows a hidden case."""
    if outcomes is None:
        return _absent(exercise)
    shown, unseen = (judge(exercise, cases, part) for cases, part in
                     ((public, outcomes[:len(public)]), (hidden, outcomes[len(public):])))
    if shown.status != "correct" or unseen.status == "correct":
        return shown.payload()
    lines = [f"✗ {exercise.id}: right on every case that `check` shows, wrong on others"]
    lines += list(unseen.lines[-1:]) if unseen.misconception else []
    return unseen.payload() | {"status": "wrong", "passed": shown.passed, "cases": shown.cases, "lines": lines}


def _absent(exercise):
    cases = exercise.cases(PUBLIC)
    return judge(exercise, cases, [Outcome(error="not there", not_attempted=True)] * len(cases)).payload()


def _sandbox(known, settings):
    """This thread's sandbox for a chapter: a thread keeps one for each chapter that it meets."""
    mine = _mine.__dict__.setdefault("sandboxes", {})
    if (known, settings) not in mine:
        modules = package.imported_modules(known.imports) if settings.forks else ["numpy"]
        folder = package.copy(package.refused(known), fonts=True)
        mine[known, settings] = sandbox.Sandbox(settings.kind, settings.forks, folder, modules, settings.limits,
                                                settings)
    return mine[known, settings]


def close_sandboxes():
    """End this thread's sandboxes."""
    while _mine.__dict__.get("sandboxes"):
        _mine.sandboxes.popitem()[1].kill()


def check_instructor(settings, close=False):
    """Grade the instructor's own answers. Raises Fault unless they get full marks: then no grade would be fair.
    close: leave no sandbox to this thread."""
    for known in settings.chapters:
        solved = [Cell(source, None, None) for _, source in known.answers]
        for verdict in grade_notebook(solved, known, settings)[0]:
            if verdict["status"] != "correct":
                told = " ".join(" ".join(verdict["lines"]).split())
                raise sandbox.Fault(f"the instructor's own answer to {verdict['exercise']} fails in the "
                                    f"sandbox, so no submission was graded. {told}")
    if close:
        close_sandboxes()
