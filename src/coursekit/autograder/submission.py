"""Grade one submission: from its files to a Record. The same code here and on a cluster."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import pkgutil
import random
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from coursekit.autograder import package, sandbox
from coursekit.autograder.book import Chapter
from coursekit.autograder.isolation import LIBRARIES, Isolation
from coursekit.autograder.outcome import REFUSAL
from coursekit.autograder.reader import (
    Cell,
    File,
    UnreadableError,
    UnreadableFile,
    definitions,
    not_run,
    parse,
    unknown,
)
from coursekit.autograder.rules import SIGNS
from coursekit.autograder.sandbox import START, GraderError, Limits, SandboxPool
from coursekit.autograder.session import Session
from coursekit.autograder.verdict import Verdict, judge
from coursekit.exercises import EXERCISES, OWN

if TYPE_CHECKING:
    from coursekit.autograder.outcome import Outcome
    from coursekit.exercises.base import Case, Exercise

PUBLIC = 0  # the seed of the cases that `check` shows
STATUSES = ("graded", "crashed", "timeout", "unreadable", "not graded (grader fault)")  # later ones prevail
FAULT = STATUSES[-1]


def choose(asked: str, chapter: Chapter, fresh: bool) -> Isolation:
    """The isolation that works here, tried with what a submission for this chapter may read."""
    return sandbox.choose(asked, package.copy(package.refused(chapter), True), fresh)


@dataclass(frozen=True)
class Settings:
    """What a grade depends on besides the submission; travels to other machines. seed: of the hidden cases."""

    chapters: tuple[Chapter, ...]
    seed: int
    isolation: Isolation
    limits: Limits
    version: str

    def key(self, files: Sequence[File | UnreadableFile]) -> str:
        """A hash of everything that the grade of these files depends on."""
        handed_in = [(f.name, _hash(f.data), f.chapters, f.modules) if isinstance(f, File) else (f.name, f.reason)
                     for f in files]
        return _hash(repr([self.seed, self.version, self.limits, self.chapters, handed_in]).encode())

    def pool(self) -> SandboxPool:
        """Sandboxes for these settings, none yet; to be closed."""
        return SandboxPool(self.isolation.kind, self.isolation.forks, self.limits)


def content(files: Sequence[File | UnreadableFile]) -> str:
    """A hash of what was handed in, whatever the settings and the names of its files are."""
    return _hash(repr([(_hash(f.data), f.modules) if isinstance(f, File) else f.reason for f in files]).encode())


@dataclass(kw_only=True)
class Record:
    """The grade of one submission, as a file GRADES/learners/ID.json keeps it.

    status: one of STATUSES, how the grading went; whether an answer is right is the status of its Verdict.
    reason: why nothing could be graded. points: None where the grader failed. exercises: by id, as are shares (of
    the cases that an answer passes) and prints (of its code, see likeness.py). flags: what an instructor should
    know of the grading; notes: of how the files were found. files: how many were graded; time: when the newest of
    them was changed; aside: (name, reason) of the others. starved: something was stopped while the
    machine had too much to do. hash: the key of the submission and the settings; content: of the files alone.
    """

    learner: str = ""
    name: str = ""
    hash: str = ""
    content: str = ""
    status: str = "unreadable"
    reason: str | None = None
    points: int | None = 0
    possible: int
    exercises: dict[str, Verdict] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    prints: dict[str, str] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    time: float | None = None
    aside: list[list[str]] = field(default_factory=list)
    seconds: float = 0.0
    starved: bool = False
    isolation: str

    @classmethod
    def blank(cls, settings: Settings) -> Record:
        """Nothing readable yet, no points."""
        possible = sum(e.points for chapter in settings.chapters for e in chapter.exercises)
        return cls(possible=possible, isolation=settings.isolation.description)

    @classmethod
    def fault(cls, reason: str, settings: Settings) -> Record:
        """Of a submission that the grader could not grade."""
        blank = cls.blank(settings)
        blank.status, blank.reason, blank.points = FAULT, reason, None
        return blank

    def payload(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self) | {"exercises": {i: verdict.payload() for i, verdict in self.exercises.items()}}

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Record:
        """The Record that `payload` gave. Raises TypeError, KeyError or AttributeError for anything else."""
        exercises = {i: Verdict.from_payload(verdict) for i, verdict in payload["exercises"].items()}
        return cls(**payload | {"exercises": exercises})


class NotebookGrade(NamedTuple):
    """Of one notebook. flags: what an instructor should know. events: what ended a worker. shares: by exercise, of
    the cases that the answer passes: of those that `check` shows, or where these are right, of the hidden ones."""

    verdicts: list[Verdict]
    flags: list[str]
    events: list[str]
    shares: dict[str, float]
    starved: bool = False


def grade_submission(files: Sequence[File | UnreadableFile], settings: Settings, pool: SandboxPool) -> Record:
    """The Record of one submission; whatever happens, there is one.

    Args: files: what a learner handed in, the newest last. pool: of these settings.
    """
    begin = time.monotonic()
    for _ in range(2):
        try:
            _check_version(settings)
            record = _grade(files, settings, pool)
            break
        except Exception as error:  # ours, since nothing of a learner's runs in this process: try once more
            reason = str(error) if isinstance(error, GraderError) else f"{type(error).__name__}: {error}"
            record = Record.fault(reason, settings)
    record.seconds = round(time.monotonic() - begin, 3)
    return record


def _grade(files: Sequence[File | UnreadableFile], settings: Settings, pool: SandboxPool) -> Record:
    record = Record.blank(settings)
    events: list[str] = []
    notebooks: dict[str, list[Cell]] = {}
    texts: dict[str, list[Cell]] = {}
    for file in files:
        try:
            if isinstance(file, UnreadableFile):
                raise UnreadableError(file.reason)
            found = parse(file.data)
            if not found.chapters:
                raise UnreadableError("it holds no exercise of this course")
            names = found.chapters if file.chapters is None else file.chapters
            notebooks |= dict.fromkeys(names, [*_modules(file.modules), *found.cells])
            texts |= dict.fromkeys(names, found.texts)
            if strange := unknown(found.cells):
                record.flags.append(f"{file.name}: no exercise is called {', '.join(strange[:5])}; is the notebook "
                                    "of another edition of the course?")
        except UnreadableError as error:
            events.append("unreadable")
            record.flags.append(f"{file.name}: {error}")
    for chapter in settings.chapters:
        if chapter.name in notebooks:
            grade = grade_notebook(notebooks[chapter.name], chapter, settings.seed, pool)
            _name_unrun(grade, texts[chapter.name])
            events += ["graded", *grade.events]
        else:
            missing = f"no notebook for {chapter.name}" if files else "nothing handed in"
            grade = NotebookGrade([Verdict.absent(e) for e in chapter.exercises], [missing], [], {})
        record.flags += grade.flags
        record.exercises |= {verdict.exercise: verdict for verdict in grade.verdicts}
        record.shares |= grade.shares
        record.starved |= grade.starved
    record.points = sum(verdict.points for verdict in record.exercises.values())
    record.status = max(events, key=STATUSES.index) if events else "unreadable"
    if "graded" not in events:
        record.reason = "; ".join(record.flags)
    return record


def _name_unrun(grade: NotebookGrade, texts: Sequence[Cell]) -> None:
    """Where an answer is in a cell that does not run, say so to the learner and the instructor."""
    for k, verdict in enumerate(grade.verdicts):
        exercise = EXERCISES[verdict.exercise]
        if verdict.status == "not attempted" and (reason := not_run(exercise.function, texts)):
            grade.verdicts[k] = Verdict.absent(exercise, f"{reason}, and hand it in again")
            grade.flags.append(f"{exercise.id}: {reason}")


IMPORTER = """\
import contextlib, importlib.abc, importlib.util, sys
class _Beside(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name in self.texts else None
    def get_source(self, name):
        return self.texts[name]
_Beside.texts = {texts!r}
sys.meta_path.insert(0, _Beside())
def _write(texts):
    for name, text in texts.items():
        with contextlib.suppress(OSError), open(name + ".py", "w", encoding="utf-8") as file:
            file.write(text)
_write(_Beside.texts)
del _Beside, _write
"""


def _modules(modules: Sequence[tuple[str, str]]) -> list[Cell]:
    """A cell after which modules that were handed in beside a notebook can be imported, read and run, as they can
    beside it."""
    return [Cell(IMPORTER.format(texts=dict(modules)), None, None)] if modules else []


@contextlib.contextmanager
def _opened(pool: SandboxPool, chapter: Chapter, cells: Sequence[Cell], refuses: Collection[str],
            cases: Mapping[str, list[Case]]) -> Iterator[Session]:
    """A session in a sandbox whose library refuses these names."""
    modules = package.imported_modules(chapter.imports) if pool.forks else ["numpy"]
    with (pool.lend(package.copy(frozenset(refuses), fonts=True), modules) as sandbox,
          Session(sandbox, chapter, cells, cases) as session):
        yield session


def grade_notebook(cells: Sequence[Cell], chapter: Chapter, seed: int, pool: SandboxPool) -> NotebookGrade:
    """Grade the cells of one notebook on the public cases and on hidden ones, which are its own: they come of this
    seed and of the cells."""
    verdicts: list[Verdict] = []
    flags: list[str] = []
    shares: dict[str, float] = {}
    public = {e.id: e.cases(PUBLIC) for e in chapter.exercises}
    hidden = {e.id: hidden_cases(e, seed, cells) for e in chapter.exercises}
    cases = {i: public[i] + hidden[i] for i in public}
    opened = functools.partial(_opened, pool, chapter, cells)
    with opened(package.refused(chapter), cases) as session:
        for exercise in chapter.exercises:
            found: list[tuple[Verdict, float]] = []
            for outcomes in attempts(session, exercise, opened):
                found.append(_verdict(exercise, public[exercise.id], hidden[exercise.id], outcomes))
                if found[-1][0].status == "correct":
                    break
            verdict, shares[exercise.id] = max(found, key=_rank)
            verdicts.append(verdict)
            if (times := definitions(exercise.function, session.text)) > 1:
                flags.append(f"{exercise.function} is defined {times} times: the better one of what its check was "
                             "given and the last counts")
        broken = [f"a cell {error}" for error in dict.fromkeys(
            error for number, error in session.errors.items() if session.steps[number].own) if error]
        flags += broken[:5] + [f"and {len(broken) - 5} cells more"] * (len(broken) > 5)
    return NotebookGrade(verdicts, flags, sorted(session.events), shares, session.starved)


def hidden_cases(exercise: Exercise, seed: int, cells: Sequence[Cell]) -> list[Case]:
    """Cases that nobody has seen, in an order that nobody knows: whoever hands in again what an answer gave away
    gets others."""
    sources = "\0".join(cell.source for cell in cells)
    drawn = int(_hash(f"{seed} {exercise.id} {sources}".encode("utf-8", "replace"))[:8], 16) >> 1
    return random.Random(drawn).sample(found := exercise.cases(1 + drawn), len(found))


def _rank(found: tuple[Verdict, float]) -> tuple[bool, bool, float]:
    verdict, share = found
    return verdict.status == "correct", verdict.status == "wrong", share


def attempts(session: Session, exercise: Exercise,
             again: Callable[..., AbstractContextManager[Session]]) -> Iterator[list[Outcome] | None]:
    """The outcomes of an exercise. A library function that is the answer of another exercise of the chapter may be
    used in this one: where it refused, the exercise is tried `again`, in a session in which only its own answers
    refuse."""
    refused: set[str] = set()
    for outcomes in session.attempts(exercise):
        yield outcomes
        said = " ".join(o.error for o in outcomes or () if o.error)
        refused |= set(re.findall(REFUSAL.format(r"([\w.]+)"), said))
    if not refused <= set(exercise.refuses):
        with again(exercise.refuses, {exercise.id: session.cases[exercise.id]}) as alone:
            yield from alone.attempts(exercise)


def _verdict(exercise: Exercise, public: list[Case], hidden: list[Case],
             outcomes: list[Outcome] | None) -> tuple[Verdict, float]:
    """Both verdicts in one, and the share of cases; what it says never shows a hidden case."""
    if outcomes is None:
        return Verdict.absent(exercise), 0.0
    shown = judge(exercise, public, outcomes[:len(public)])
    if shown.status != "correct":
        return shown, shown.passed / shown.cases
    unseen = judge(exercise, hidden, outcomes[len(public):], keep=False)
    if unseen.status == "correct":
        return shown, 1.0
    lines = (f"{SIGNS['wrong']} {exercise.id}: right on every case that `check` shows, wrong on others",
             *(unseen.lines[-1:] if unseen.misconception else ()))
    verdict = replace(unseen, status="wrong", passed=shown.passed, cases=shown.cases, lines=lines)
    return verdict, unseen.passed / unseen.cases


def version() -> str:
    """A hash of everything that grades depend on: the library, and an instructor's own exercises."""
    return package.version() + OWN.fingerprint()


def _check_version(settings: Settings) -> None:
    if settings.version != version():
        raise GraderError("this machine has another version of the course, or of the exercises that "
                          "COURSEKIT_EXERCISES names")


REACH = """\
import importlib.util, os
lost = []
for name in {names!r}:
    try: found = importlib.util.find_spec(name)
    except (ImportError, ValueError): found = None
    if found is None or found.has_location and not os.path.exists(found.origin): lost.append(name)
if lost: raise LookupError(' '.join(lost[:3]))
"""


def check_reach(settings: Settings, pool: SandboxPool) -> None:
    """Raises GraderError where a package that is installed here is hidden from a submission: an answer that needs
    it would be wrong in silence."""
    names = sorted(module.name for module in pkgutil.iter_modules([LIBRARIES]) if module.name != "coursekit")
    chapter = settings.chapters[0]
    with _opened(pool, chapter, [], package.refused(chapter), {}) as session:
        session.ready()
        lost = session.ask(START, False, cell=REACH.format(names=names), name="reach").get("error")
    if lost:
        raise GraderError(f"a submission could not import what is installed here ({lost}): a sandbox hides "
                          f"{LIBRARIES}, or a part of it. Install Python and the course elsewhere, such as in your "
                          "home")


def check_instructor(settings: Settings, pool: SandboxPool) -> None:
    """Grade the instructor's own answers. Raises GraderError unless they get full marks: then no grade would be
    fair."""
    _check_version(settings)
    check_reach(settings, pool)
    for chapter in settings.chapters:
        solved = [Cell(source, None, None) for _, source in chapter.answers]
        for verdict in grade_notebook(solved, chapter, settings.seed, pool).verdicts:
            if verdict.status != "correct":
                lines = " ".join(" ".join(verdict.lines).split())
                raise GraderError(f"the instructor's own answer to {verdict.exercise} fails in the sandbox, so no "
                                  f"submission was graded. {lines}")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
