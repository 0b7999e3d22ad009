"""`coursekit release DIR`: the chapters as learners get them."""

from pathlib import Path

from coursekit.autograder.book import chapters
from coursekit.autograder.release import bring_files, points_table, released
from coursekit.commands.common import complain
from coursekit.exercises import EXERCISES


def add_command(commands):
    """Register `release` with the parser of the command line."""
    parser = commands.add_parser("release", help="write the chapters without their solutions",
                                 description="Write the chapters without solutions to DIR/book. The public book "
                                             "shows the solutions, so this keeps nothing secret.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--chapters", nargs="+", metavar="NAME", help="only these, such as 02_gae")
    parser.add_argument("--points", action="store_true", help="write DIR/points.csv as well")
    parser.add_argument("--book", type=Path, help="folder of the instructor's notebooks (default: the course's)")
    parser.set_defaults(run=run)


def run(options):
    """Write the notebooks and say what was written. Returns 0, or 2 if something stands in the way."""
    try:
        paths = chapters(options.book, options.chapters)
        target = options.folder / "book"
        if target.resolve() == next(iter(paths.values())).parent.resolve():
            raise ValueError(f"{target} is the book itself; release to another folder")
        target.mkdir(parents=True, exist_ok=True)
        for name, path in paths.items():
            text = released(path)
            (target / f"{name}.ipynb").write_text(text, encoding="utf-8")
            bring_files(text, path, options.folder)
        if options.points:
            (options.folder / "points.csv").write_text(points_table(paths), encoding="utf-8")
    except (ValueError, OSError) as error:
        return complain(str(error))
    count = sum(e.notebook in paths for e in EXERCISES.values())
    print(f"{len(paths)} chapters, {count} exercises without their solutions in {target}")
    return 0
