"""`coursekit grade SUBMISSIONS --out GRADES`: a class, from files to grades and feedback."""

import contextlib
import functools
import itertools
import os
import secrets
import sys
from collections import defaultdict
from pathlib import Path

from coursekit.autograder import classroom, isolation, report, sandbox, submission
from coursekit.autograder.book import chapter, chapters
from coursekit.autograder.course import other_maxima, overlooked, read_course
from coursekit.autograder.draft import try_notebooks
from coursekit.autograder.gradebook import (
    Corrections,
    add_to_gradebook,
    carry_over,
    read_corrections,
    totals_written,
    write_grades,
)
from coursekit.autograder.grades_csv import FORMATS, canvas_text, grades_text, moodle_text, moodle_zip, no_numbers
from coursekit.autograder.learners import Aside, submissions
from coursekit.autograder.marks import Marker
from coursekit.autograder.outcome import readable
from coursekit.autograder.own_exercises import own_exercises, try_cases
from coursekit.commands.common import SEEDS, add_exercises, at_least, know_exercises, need, seconds, target_folder
from coursekit.saved import atomic, write_text

SHOWN, REASONS = 5, 20  # names of files set aside for a reason, and reasons, in the terminal; the report has all


def add_command(commands):
    """Register `grade` with the parser of the command line."""
    parser = commands.add_parser("grade", help="grade the notebooks of a class, each in a sandbox",
                                 epilog="example: coursekit grade submissions --out grades --chapters 02_gae")
    parser.add_argument("submissions", type=Path, help="folder with a folder or file for each learner")
    parser.add_argument("--out", type=Path, required=True, metavar="GRADES", help="folder for grades and feedback")
    parser.add_argument("-j", type=at_least(1), default=os.cpu_count(), metavar="N", help="submissions at a time")
    parser.add_argument("--chapters", nargs="+", metavar="NAME", help="what was set, such as 02_gae (default: all)")
    parser.add_argument("--book", type=Path, help="folder of the instructor's notebooks (default: the course's)")
    add_exercises(parser)
    parser.add_argument("--seed", type=at_least(1, SEEDS),
                        help="of the hidden cases (default: drawn once, kept in GRADES)")
    parser.add_argument("--format", choices=FORMATS, default="plain",
                        help="a table to import as well: canvas.csv; moodle.csv and a zip of feedback")
    parser.add_argument("--gradebook", type=Path, metavar="FILE",
                        help="a table of several homeworks, into which this one's column is written")
    parser.add_argument("--force", action="store_true",
                        help="move GRADES aside if it holds another homework, or edits that can't be kept")
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
    know_exercises(options)
    found = submissions(options.submissions)
    if options.out.resolve().is_relative_to(options.submissions.resolve()):
        raise ValueError(f"--out {options.out} is among the submissions; name a folder beside them")
    target_folder("--out", options.out)
    try:
        with _alone(options.out):
            return _grade(options, found)
    except sandbox.GraderError as error:
        raise ValueError(str(error)) from None


@contextlib.contextmanager
def _alone(out):
    """While it lasts, no other run writes to this folder: two would mix their grades."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    out.mkdir(parents=True, exist_ok=True)
    with open(out / ".running", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another run is writing to --out {out}; wait for it, or name another") from None
        yield


def _grade(options, found):
    if options.cluster:
        options.extra = "cluster"
        need("distributed")
    paths = chapters(options.book, options.chapters)
    books = tuple(chapter(path) for path in paths.values())
    found.notes += try_cases(own_exercises(paths)) + try_notebooks(paths)
    places = [options.submissions, *(path.parent for path in paths.values())]
    course = read_course(places, paths, set_all=not options.chapters)
    before, corrections, said = _kept(options, found.learners, books)
    marker = Marker(course, books, corrections, found.learners)
    found.notes += overlooked(places) + other_maxima(course, found.maxima, marker.possible)
    last = classroom.hand_ins(options.out)
    settings = _settings(options, books)
    print(f"sandbox: {settings.isolation.description}", file=sys.stderr)
    seen = isolation.open_to_all([options.submissions, options.out, *paths.values()])
    if seen and settings.isolation.kind != "none" and not options.cluster:
        raise ValueError(f"every submission could read {seen}, since it lies among the programs and packages that "
                         "a sandbox shows; move it elsewhere, such as into your home")
    with _backend(options, settings) as backend:
        records = classroom.grade_class(found.learners, settings, options.out, backend, marker, options.regrade)
    again = [line for record in records for line in marker.hidden(record, last.get(record.learner))]
    records = sorted(records + before, key=lambda record: record.learner)
    found.notes += said + marker.notes() + again
    if before:
        found.notes.append("from an earlier run, not among these submissions: "
                           + ", ".join(f"{r.learner}" for r in before) + f" (in {options.out}/learners)")
    marks = [marker.mark(record) for record in records]
    found.notes += _write(options, course, records, marks)
    page = report.class_page(records, marks, books, found.aside, found.notes, course.title)
    write_text(options.out / "index.html", page)
    _print_account(records, found, options.out)
    classroom.finish(options.out, records)
    return int(found.conflicts)


def _kept(options, people, books):
    """What is kept of GRADES: (records of learners who are not among these, Corrections, what was carried over)."""
    ids = [exercise.id for book in books for exercise in book.exercises]
    try:
        before = classroom.earlier(options.out, people, books)
        corrections = read_corrections(options.out, ids)
        return before, corrections, carry_over(options.out, corrections, ids)
    except ValueError as error:
        if not options.force:
            raise
        moved = next(path for n in itertools.count(1)
                     if not (path := options.out.with_name(f"{options.out.name}.{n}")).exists())
        options.out.rename(moved)
        print(f"{error}\n--force: what was in {options.out} is now in {moved}", file=sys.stderr)
        return [], Corrections(), []


def _write(options, course, records, marks):
    """Write the tables. Returns what an instructor should know of them."""
    notes, previous = [], totals_written(options.out)
    write_grades(options.out, grades_text(records, marks))
    if options.format == "canvas":
        write_text(options.out / "canvas.csv", canvas_text(records, marks, course))
    if options.format == "moodle":
        write_text(options.out / "moodle.csv", moodle_text(records, marks))
        with atomic(options.out / "moodle_feedback.zip") as unfinished:
            unfinished.write_bytes(moodle_zip(records, options.out, course.title))
        if unknown := list(no_numbers(records)):
            notes.append(f"Moodle can't match ids that are no numbers: {', '.join(unknown[:SHOWN])}"
                         + f" and {len(unknown) - SHOWN} more" * (len(unknown) > SHOWN))
    if options.gradebook:
        totals = {r.learner: (r.name, mark.total) for r, mark in zip(records, marks)}
        notes += add_to_gradebook(options.gradebook, course.title, marks[0].possible, totals, previous)
    return notes


def _print_account(records, found, out):
    """How many learners got which status; what was decided about files; and how many files came where."""
    for note in found.notes:
        print(one_line(note))
    aside = [*found.aside, *(Aside(*a) for record in records for a in record.aside)]
    reasons = defaultdict(list)
    for name, reason in aside:
        reasons[reason].append(one_line(name))
    for reason, names in list(reasons.items())[:REASONS]:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        print(f"set aside: {', '.join(names[:SHOWN])}{more}: {one_line(reason)}")
    if len(reasons) > REASONS:
        print(f"set aside: more, for {len(reasons) - REASONS} other reasons, which {out}/index.html names")
    counts = {s: sum(r.status == s for r in records) for s in submission.STATUSES}
    used = sum(record.files for record in records)
    print(", ".join(f"{n} {status}" for status, n in counts.items() if n) + f"; see {out}/index.html")
    print(f"{used + len(aside)} files found: {used} used, {len(aside)} set aside")


def one_line(text):
    """A text of a learner's as a terminal can show it: no control characters, no change of direction, short."""
    text = text if len(text) <= 200 else f"{text[:99]}…{text[-100:]}"
    return readable(text)


def _settings(options, books):
    """The Settings of this run."""
    limits = sandbox.Limits(call=options.call_seconds, submission=options.seconds)
    found = _choose(options)(options.sandbox, books[0], options.fresh)
    seed = _seed(options.out / "seed", options.seed)
    return submission.Settings(books, seed, found, limits, submission.version())


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
