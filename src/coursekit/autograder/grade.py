"""`coursekit grade SUBMISSIONS --out GRADES`: a class, from files to grades and feedback."""

import contextlib
import json
import os
import secrets
import sys
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path

from coursekit.autograder import grading, package, report, sandbox, walls
from coursekit.autograder.book import chapters
from coursekit.autograder.learners import file_name, learners
from coursekit.autograder.tables import FORMATS, table
from coursekit.cli import complain


def add_command(commands):
    """Register `grade` with the parser of the command line."""
    parser = commands.add_parser("grade", help="grade the notebooks of a class, each in a sandbox")
    parser.add_argument("submissions", type=Path, help="folder with a folder or file for each learner")
    parser.add_argument("--out", type=Path, required=True, metavar="GRADES", help="folder for grades and feedback")
    parser.add_argument("-j", type=int, default=os.cpu_count(), metavar="N", help="submissions at a time")
    parser.add_argument("--chapters", nargs="+", metavar="NAME", help="what was set, such as 02_gae (default: all)")
    parser.add_argument("--book", type=Path, help="folder of the instructor's notebooks (default: the course's)")
    parser.add_argument("--seed", type=int, help="of the hidden cases (default: drawn once, kept in GRADES)")
    parser.add_argument("--format", choices=FORMATS, default="plain", help="columns of grades.csv")
    parser.add_argument("--regrade", action="store_true", help="grade again what is graded already")
    parser.add_argument("--sandbox", choices=("auto", *walls.KINDS), default="auto", help="the walls (auto)")
    parser.add_argument("--fresh", action="store_true", help="a new sandbox for each notebook, no fork server")
    parser.add_argument("--call-seconds", type=float, default=20, help="for one call or cell (20)")
    parser.add_argument("--seconds", type=float, default=300, help="for one notebook (300)")
    parser.add_argument("--cluster", metavar="ADDRESS", help="a Dask scheduler, such as tcp://scheduler:8786")
    parser.set_defaults(run=run)


def run(options):
    """Grade and report. Returns 0 even where learners failed; 2 if nothing could be graded, 130 if interrupted."""
    try:
        if not (options.j > 0 and options.seconds > 0 and options.call_seconds > 0):
            raise ValueError("-j, --seconds and --call-seconds must be positive")
        people, settings = learners(options.submissions), _settings(options)
        print(f"sandbox: {settings.isolation}", file=sys.stderr)
        with _grader(options, settings) as grader:
            records = grade_class(people, settings, options, *grader)
        write(options.out / "grades.csv", table(records, settings, options.format))
        write(options.out / "index.html", report.class_page(records))
    except KeyboardInterrupt:
        print("coursekit: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, sandbox.Fault) as error:
        return complain(str(error))
    counts = {s: sum(r["status"] == s for r in records) for s in grading.STATUSES}
    print(", ".join(f"{n} {status}" for status, n in counts.items() if n) + f"; see {options.out}/index.html")
    return 0


def grade_class(people, settings, options, grade, at_a_time, halt, check):
    """Short records of all learners, in their order. grade: from files to a record. halt ends those that are
    under way when the run is interrupted; they are not written. check must pass first, in a thread of theirs."""
    from tqdm import tqdm

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
            write(options.out / "feedback" / f"{file_name(person.id)}.html", report.learner_page(record))
            write(path, json.dumps(record, indent=1, ensure_ascii=False))
        record |= {"learner": person.id, "name": person.name}
        for verdict in record["exercises"].values():
            del verdict["lines"]  # a class of thousands fits in memory
        return record

    try:
        if check:
            pool.submit(check, settings).result()  # its sandbox then serves submissions
        with tqdm(total=len(people), unit="learner", disable=None) as bar:
            futures = [pool.submit(one, person) for person in people]
            for _ in as_completed(futures):
                bar.update()
        return [future.result() for future in futures]
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        halt()
        pool.shutdown()


def _settings(options):
    """The Settings of this run."""
    books = tuple(grading.chapter(path) for path in chapters(options.book, options.chapters).values())
    limits = sandbox.Limits(call=options.call_seconds, submission=options.seconds)
    kind, forks, isolation = sandbox.choose(options.sandbox, package.copy(package.refused(books[0]), True),
                                            options.fresh)
    seed = _seed(options.out / "seed", options.seed)
    return grading.Settings(books, seed, kind, forks, isolation, limits, grading.registry_version())


def _seed(path, asked):
    """The seed of the hidden cases: asked for, or the one of this folder, or drawn."""
    if asked is None and path.is_file():
        return int(path.read_text())
    seed = secrets.randbelow(1 << 31) + 1 if asked is None else asked
    write(path, f"{seed}\n")
    return seed


@contextlib.contextmanager
def _grader(options, settings):
    """(function from files and settings to a record, how many at a time, function that ends them)."""
    if options.cluster:
        from coursekit.autograder.cluster import connect
        with connect(options.cluster, settings) as grader:
            yield grader
        return
    try:
        sandbox.resume(settings)
        yield grading.grade_submission, options.j, lambda: sandbox.halt(settings), grading.check_instructor
    finally:
        sandbox.halt(settings)


def _old(path, key):
    """The record at path if it is that of this submission and these settings."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if record.get("hash") == key and record.get("status") != grading.FAULT else None


def write(path, text):
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with open(part, "w", encoding="utf-8", errors="backslashreplace") as file:  # names of files may be no text
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
