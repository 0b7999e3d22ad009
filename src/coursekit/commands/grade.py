"""`coursekit grade SUBMISSIONS --out GRADES`: a class, from files to grades and feedback."""

import contextlib
import os
import secrets
import sys
from pathlib import Path

from coursekit.autograder import classroom, package, report, sandbox, submission, walls
from coursekit.autograder.book import chapters
from coursekit.autograder.grades_csv import FORMATS, csv_text
from coursekit.autograder.learners import learners
from coursekit.commands.common import complain


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
            records = classroom.grade_class(people, settings, options, *grader)
        classroom.write(options.out / "grades.csv", csv_text(records, settings, options.format))
        classroom.write(options.out / "index.html", report.class_page(records))
    except KeyboardInterrupt:
        print("coursekit: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, sandbox.Fault) as error:
        return complain(str(error))
    counts = {s: sum(r["status"] == s for r in records) for s in submission.STATUSES}
    print(", ".join(f"{n} {status}" for status, n in counts.items() if n) + f"; see {options.out}/index.html")
    return 0


def _settings(options):
    """The Settings of this run."""
    books = tuple(submission.chapter(path) for path in chapters(options.book, options.chapters).values())
    limits = sandbox.Limits(call=options.call_seconds, submission=options.seconds)
    kind, forks, isolation = sandbox.choose(options.sandbox, package.copy(package.refused(books[0]), True),
                                            options.fresh)
    seed = _seed(options.out / "seed", options.seed)
    return submission.Settings(books, seed, kind, forks, isolation, limits, package.version())


def _seed(path, asked):
    """The seed of the hidden cases: asked for, or the one of this folder, or drawn."""
    if asked is None and path.is_file():
        return int(path.read_text())
    seed = secrets.randbelow(1 << 31) + 1 if asked is None else asked
    classroom.write(path, f"{seed}\n")
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
        yield submission.grade_submission, options.j, lambda: sandbox.halt(settings), submission.check_instructor
    finally:
        sandbox.halt(settings)
