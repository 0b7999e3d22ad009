"""Grade the submissions of a class side by side, and keep their records and feedback in a folder."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from coursekit import progress
from coursekit.autograder import report, submission
from coursekit.autograder.book import Chapter
from coursekit.autograder.choice import choose
from coursekit.autograder.learners import Learner, file_names
from coursekit.autograder.likeness import prints
from coursekit.autograder.marks import Marker
from coursekit.autograder.reader import File, UnreadableFile
from coursekit.autograder.submission import Record, Settings
from coursekit.exercises import EXERCISES
from coursekit.saved import write_text

LEAST = 600  # seconds for what is graded again
EARLIER, HAND_INS = "from an earlier run", ".hand_ins.json"


@dataclass(frozen=True)
class Backend:
    """What grades submissions.

    grade: from a submission's files to its Record. at_a_time: how many. halt: ends those that are under way.
    check: raises GraderError unless the instructor's own answers get full marks; None where that is done already.
    """

    grade: Callable[[Sequence[File | UnreadableFile]], Record]
    at_a_time: int
    halt: Callable[[], None]
    check: Callable[[], None] | None = None


@contextmanager
def local(settings: Settings, at_a_time: int) -> Iterator[Backend]:
    """A Backend of sandboxes on this machine."""
    with settings.pool() as pool:
        yield Backend(lambda files: submission.grade_submission(files, settings, pool), at_a_time, pool.close,
                      lambda: submission.check_instructor(settings, pool))


def grade_class(people: Sequence[Learner], settings: Settings, out: Path, backend: Backend, marker: Marker,
                regrade: bool = False) -> list[Record]:
    """Records of all learners in their order, without the lines of their verdicts, which are in the files.

    A submission whose record is in `out` already is not graded again, unless `regrade` asks for it. What was
    stopped at a limit while others took the processors is graded again at the end, alone: the better grade counts,
    and all of that may take as long as the rest, or ten minutes.
    When the run is interrupted, those that are under way are ended and not written.
    """
    stop, threads = threading.Event(), ThreadPoolExecutor(backend.at_a_time)
    names = file_names([person.id for person in people])

    def one(person: Learner, alone: bool = False) -> Record:
        path = out / "learners" / f"{names[person.id]}.json"
        try:
            record = graded(person, path, alone)
        except (OSError, CancelledError):  # a full disk, or the end of the run: not of this learner's making
            raise
        except Exception as error:  # whatever is odd about one learner's files stops nobody else's grades
            reason = f"{type(error).__name__}: {str(error)[:100]}"
            record = replace(Record.fault(reason, settings), learner=person.id, name=person.name)
        if stop.is_set():
            raise CancelledError
        mark = marker.mark(record)
        _write(out / "feedback" / f"{names[person.id]}.html", report.learner_page(record, mark, marker.course))
        _write(path, json.dumps(record.payload() | {"mark": mark.payload()}, indent=1, ensure_ascii=False))
        short = {i: replace(verdict, lines=()) for i, verdict in record.exercises.items()}  # a class fits in memory
        return replace(record, exercises=short)

    def graded(person: Learner, path: Path, alone: bool) -> Record:
        chosen = choose(person, settings.chapters)
        key = settings.key(chosen.files)
        record = None if regrade or alone else _kept(path, key)
        if record is None:
            record = backend.grade(chosen.files)
        if alone and (before := _kept(path, key)) and (before.points or 0) > (record.points or 0):
            record = before
        record.starved &= not alone
        code = [prints(chosen.cells[chapter.name], chapter) for chapter in settings.chapters
                if chapter.name in chosen.cells]
        return replace(record, learner=person.id, name=person.name, hash=key, files=chosen.graded,
                       time=None if person.form else chosen.time,  # a download has the time of packing
                       content=submission.content(chosen.files),
                       aside=[list(aside) for aside in chosen.aside], notes=person.notes + chosen.notes,
                       prints={i: mark for found in code for i, mark in found.items()})

    begin = time.monotonic()
    try:
        if backend.check:
            threads.submit(backend.check).result()  # its sandbox then serves submissions
        with progress.bar(len(people), unit="learner") as shown:
            futures = [threads.submit(one, person) for person in people]
            for _ in as_completed(futures):
                shown.update()
        records = [future.result() for future in futures]
        taken = time.monotonic() - begin
        for k, record in enumerate(records):
            if record.starved and time.monotonic() - begin < 2 * taken + LEAST:
                records[k] = threads.submit(one, people[k], True).result()
        return records
    finally:
        stop.set()
        threads.shutdown(wait=False, cancel_futures=True)
        backend.halt()
        threads.shutdown()


def _write(path: Path, text: str) -> None:
    """Write a text unless it stands there already."""
    data = text.encode("utf-8", "backslashreplace")  # names of files may be no text
    if not (path.is_file() and path.read_bytes() == data):
        write_text(path, text)


def earlier(out: Path, people: Sequence[Learner], chapters: Sequence[Chapter]) -> list[Record]:
    """Records that earlier runs left of learners who are not among these. Raises ValueError where what is there is
    another homework."""
    now, found = set(file_names([person.id for person in people]).values()), []
    ours = {exercise.notebook for chapter in chapters for exercise in chapter.exercises}
    for path in sorted((out / "learners").glob("*.json")):
        record = _record(path)
        there = {EXERCISES[i].notebook for i in record.exercises if i in EXERCISES} if record else set()
        if record is None or not there:
            continue
        if there != ours:
            raise ValueError(f"--out {out} holds the grades of another homework, {', '.join(sorted(there))}; name "
                             "another folder for this one, or move that one away with --force")
        if path.stem not in now:
            found.append(replace(record, files=0, aside=[], notes=[*record.notes, EARLIER], exercises={
                i: replace(verdict, lines=()) for i, verdict in record.exercises.items()}))
    return found


def hand_ins(out: Path) -> dict[str, str]:
    """{learner: content of the hand-in} of the last run that came to its end."""
    try:
        found = json.loads((out / HAND_INS).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def finish(out: Path, records: Sequence[Record]) -> None:
    """Write what `hand_ins` reads. The feedback of those who were in the last run and are not in this one goes."""
    now = file_names([record.learner for record in records]).values()
    for name in set(file_names(list(hand_ins(out))).values()) - {*now}:
        (out / "feedback" / f"{name}.html").unlink(missing_ok=True)
    _write(out / HAND_INS, json.dumps({r.learner: r.content for r in records}))


def _kept(path: Path, key: str) -> Record | None:
    """The record at path if it is that of this submission and these settings."""
    record = _record(path)
    return record if record and record.hash == key and record.status != submission.FAULT else None


def _record(path: Path) -> Record | None:
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
        payload.pop("mark", None)
        return Record.from_payload(payload)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
