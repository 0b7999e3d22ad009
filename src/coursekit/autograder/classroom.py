"""Grade the submissions of a class side by side, and keep their records and feedback in a folder."""

import json
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed

from coursekit import progress
from coursekit.autograder import report, submission
from coursekit.autograder.learners import file_name
from coursekit.saved import write_text


def grade_class(people, settings, options, grade, at_a_time, halt, check):
    """Short records of all learners, in their order. grade: from files to a record. halt ends those that are
    under way when the run is interrupted; they are not written. check must pass first, in a thread of theirs."""
    stop, pool = threading.Event(), ThreadPoolExecutor(at_a_time)

    def one(person):
        files = person.files()
        key = settings.key(files)
        path = options.out / "learners" / f"{file_name(person.id)}.json"
        record = None if options.regrade else _old(path, key)
        if record is None:
            record = {"learner": person.id, "name": person.name, "hash": key} | grade(files, settings)
            if stop.is_set():
                raise CancelledError
            write_text(options.out / "feedback" / f"{file_name(person.id)}.html", report.learner_page(record))
            write_text(path, json.dumps(record, indent=1, ensure_ascii=False))
        record |= {"learner": person.id, "name": person.name}
        for verdict in record["exercises"].values():
            del verdict["lines"]  # a class of thousands fits in memory
        return record

    try:
        if check:
            pool.submit(check, settings).result()  # its sandbox then serves submissions
        with progress.bar(len(people), unit="learner") as shown:
            futures = [pool.submit(one, person) for person in people]
            for _ in as_completed(futures):
                shown.update()
        return [future.result() for future in futures]
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        halt()
        pool.shutdown()


def _old(path, key):
    """The record at path if it is that of this submission and these settings."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if record.get("hash") == key and record.get("status") != submission.FAULT else None
