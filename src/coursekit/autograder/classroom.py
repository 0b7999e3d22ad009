"""Grade the submissions of a class side by side, and keep their records and feedback in a folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from coursekit import progress
from coursekit.autograder import report, submission
from coursekit.autograder.learners import Learner, file_name
from coursekit.autograder.reader import File, UnreadableFile
from coursekit.autograder.submission import Record, Settings
from coursekit.saved import write_text


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


def grade_class(people: Sequence[Learner], settings: Settings, out: Path, backend: Backend,
                regrade: bool = False) -> list[Record]:
    """Records of all learners in their order, without the lines of their verdicts, which are in the files.

    A submission whose record is in `out` already is not graded again, unless `regrade` asks for it. When the run is
    interrupted, those that are under way are ended and not written.
    """
    stop, threads = threading.Event(), ThreadPoolExecutor(backend.at_a_time)

    def one(person: Learner) -> Record:
        files = person.files()
        key = settings.key(files)
        path = out / "learners" / f"{file_name(person.id)}.json"
        record = None if regrade else _kept(path, key)
        if record is None:
            record = replace(backend.grade(files), learner=person.id, name=person.name, hash=key)
            if stop.is_set():
                raise CancelledError
            write_text(out / "feedback" / f"{file_name(person.id)}.html", report.learner_page(record))
            write_text(path, json.dumps(record.payload(), indent=1, ensure_ascii=False))
        short = {i: replace(verdict, lines=()) for i, verdict in record.exercises.items()}  # a class fits in memory
        return replace(record, learner=person.id, name=person.name, exercises=short)

    try:
        if backend.check:
            threads.submit(backend.check).result()  # its sandbox then serves submissions
        with progress.bar(len(people), unit="learner") as shown:
            futures = [threads.submit(one, person) for person in people]
            for _ in as_completed(futures):
                shown.update()
        return [future.result() for future in futures]
    finally:
        stop.set()
        threads.shutdown(wait=False, cancel_futures=True)
        backend.halt()
        threads.shutdown()


def _kept(path: Path, key: str) -> Record | None:
    """The record at path if it is that of this submission and these settings."""
    try:
        record = Record.from_payload(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return record if record.hash == key and record.status != submission.FAULT else None
