"""`coursekit grade SUBMISSIONS --out GRADES`: a class, from files to grades and feedback."""

import functools
import os
import secrets
import sys
from collections import Counter
from pathlib import Path

from coursekit.autograder import classroom, isolation, package, report, sandbox, submission
from coursekit.autograder.book import chapter, chapters
from coursekit.autograder.grades_csv import FORMATS, csv_text
from coursekit.autograder.learners import Aside, submissions
from coursekit.commands.common import SEEDS, at_least, need, seconds, target_folder
from coursekit.saved import write_text

SHOWN = 5  # names of files set aside for one reason, in the terminal; the report has all


def add_command(commands):
    """Register `grade` with the parser of the command line."""
    parser = commands.add_parser("grade", help="grade the notebooks of a class, each in a sandbox",
                                 epilog="example: coursekit grade submissions --out grades --chapters 02_gae")
    parser.add_argument("submissions", type=Path, help="folder with a folder or file for each learner")
    parser.add_argument("--out", type=Path, required=True, metavar="GRADES", help="folder for grades and feedback")
    parser.add_argument("-j", type=at_least(1), default=os.cpu_count(), metavar="N", help="submissions at a time")
    parser.add_argument("--chapters", nargs="+", metavar="NAME", help="what was set, such as 02_gae (default: all)")
    parser.add_argument("--book", type=Path, help="folder of the instructor's notebooks (default: the course's)")
    parser.add_argument("--seed", type=at_least(1, SEEDS),
                        help="of the hidden cases (default: drawn once, kept in GRADES)")
    parser.add_argument("--format", choices=FORMATS, default="plain", help="columns of grades.csv")
    parser.add_argument("--regrade", action="store_true", help="grade again what is graded already")
    parser.add_argument("--sandbox", choices=("auto", *isolation.KINDS), default="auto",
                        help="how submissions are isolated (auto)")
    parser.add_argument("--fresh", action="store_true", help="a new sandbox for each notebook, no fork server")
    parser.add_argument("--call-seconds", type=seconds, default=20, help="for one call or cell (20)")
    parser.add_argument("--seconds", type=seconds, default=300, help="for one notebook (300)")
    parser.add_argument("--cluster", metavar="ADDRESS", help="a Dask scheduler, such as tcp://scheduler:8786")
    parser.set_defaults(run=run, extra="grade", interrupted="the same command goes on where this one stopped")


def run(options):
    """Grade and report. Returns 0 even where learners failed, 1 where an instructor must decide whose a file is."""
    try:
        return _grade(options)
    except sandbox.GraderError as error:
        raise ValueError(str(error)) from None


def _grade(options):
    found = submissions(options.submissions)
    if options.out.resolve().is_relative_to(options.submissions.resolve()):
        raise ValueError(f"--out {options.out} is among the submissions; name a folder beside them")
    target_folder("--out", options.out)
    if options.cluster:
        options.extra = "cluster"
        need("distributed")
    settings = _settings(options)
    print(f"sandbox: {settings.isolation.description}", file=sys.stderr)
    with _backend(options, settings) as backend:
        records = classroom.grade_class(found.learners, settings, options.out, backend, options.regrade)
    write_text(options.out / "grades.csv", csv_text(records, settings, options.format))
    write_text(options.out / "index.html", report.class_page(records, found.aside, found.notes))
    _print_account(records, found, options.out)
    return int(found.conflicts)


def _print_account(records, found, out):
    """How many learners got which status; what was decided about files; and how many files came where."""
    for note in found.notes:
        print(one_line(note))
    aside = [*found.aside, *(Aside(*a) for record in records for a in record.aside)]
    reasons = Counter(reason for _, reason in aside)
    for reason, count in reasons.most_common():
        names = [one_line(name) for name, why in aside if why == reason][:SHOWN]
        more = f" and {count - SHOWN} more" if count > SHOWN else ""
        print(f"set aside: {', '.join(names)}{more}: {one_line(reason)}")
    counts = {s: sum(r.status == s for r in records) for s in submission.STATUSES}
    graded = sum(record.files for record in records)
    print(", ".join(f"{n} {status}" for status, n in counts.items() if n) + f"; see {out}/index.html")
    print(f"{graded + len(aside)} files found: {graded} graded, {len(aside)} set aside")


def one_line(text):
    """A text of a learner's as a terminal can show it: no control characters, no change of direction."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _settings(options):
    """The Settings of this run."""
    books = tuple(chapter(path) for path in chapters(options.book, options.chapters).values())
    limits = sandbox.Limits(call=options.call_seconds, submission=options.seconds)
    found = _choose(options)(options.sandbox, books[0], options.fresh)
    seed = _seed(options.out / "seed", options.seed)
    return submission.Settings(books, seed, found, limits, package.version())


def _choose(options):
    """The function that finds out which isolation works: here, or on a machine of the cluster."""
    if options.cluster:
        from coursekit.autograder import cluster
        return functools.partial(cluster.choose, options.cluster)
    return submission.choose


def _seed(path, asked):
    """The seed of the hidden cases: asked for, or the one of this folder, or drawn."""
    if asked is None and path.is_file():
        kept = path.read_text(encoding="utf-8", errors="replace").strip()
        if not kept.isdecimal():
            raise ValueError(f"{path} must hold the seed of the hidden cases, a number; --seed N sets it anew")
        return int(kept)
    seed = secrets.randbelow(1 << 31) + 1 if asked is None else asked
    write_text(path, f"{seed}\n")
    return seed


def _backend(options, settings):
    """The Backend that grades this class, as a context."""
    if options.cluster:
        from coursekit.autograder.cluster import connect
        return connect(options.cluster, settings)
    return classroom.local(settings, options.j)
