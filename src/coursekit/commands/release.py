"""`coursekit release DIR`: the chapters as learners get them."""

from pathlib import Path

from coursekit.autograder.book import chapters
from coursekit.autograder.draft import try_notebooks, write_notebook
from coursekit.autograder.own_exercises import own_exercises, try_cases
from coursekit.autograder.release import bring_files, keep_what_differs, points_table, released
from coursekit.commands.common import add_exercises, know_exercises, target_folder
from coursekit.exercises import EXERCISES, OWN
from coursekit.exercises.own import BESIDE
from coursekit.saved import write_text


def add_command(commands):
    """Register `release` with the parser of the command line."""
    parser = commands.add_parser("release", help="write the chapters without their solutions",
                                 epilog="example: coursekit release class --chapters 02_gae --points",
                                 description="Write the chapters without solutions to DIR/book. The public book "
                                             "shows the solutions, so this keeps nothing secret.")
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--chapters", nargs="+", metavar="NAME", help="only these, such as 02_gae")
    parser.add_argument("--points", action="store_true", help="write DIR/points.csv as well")
    parser.add_argument("--force", action="store_true", help="replace notebooks in DIR that were edited")
    parser.add_argument("--book", type=Path, help="folder of the instructor's notebooks (default: the course's)")
    add_exercises(parser)
    parser.set_defaults(run=run, extra="grade", interrupted="the same command writes all of it again")


def run(options):
    """Write the notebooks and say what was written."""
    know_exercises(options)
    wanted = {name: folder / f"{name}.ipynb" for name, folder in OWN.folders.items()
              if not options.chapters or name in options.chapters}
    notes = try_cases(own_exercises(wanted))
    for name, path in wanted.items():
        if not path.exists() and options.exercises:
            write_notebook(path, own_exercises([name]))
            print(f"{path} was made of its exercises: edit it as you like")
    paths = chapters(options.book, options.chapters)
    for note in notes + try_notebooks(paths):
        print(note)
    target = options.folder / "book"
    if target.resolve() == next(iter(paths.values())).parent.resolve():
        raise ValueError(f"{target} is the book itself; release to another folder")
    target_folder("DIR", options.folder)
    texts = {target / f"{name}.ipynb": released(path) for name, path in paths.items()}
    if options.points:
        texts[options.folder / "points.csv"] = points_table(paths)
    texts |= {target / BESIDE / path.name: text for path, text in OWN.modules.items()
              if any(path.parent == OWN.folders.get(name) for name in paths)}
    if not options.force:
        keep_what_differs(texts)
    for text_path, text in texts.items():
        write_text(text_path, text)
    for name, path in paths.items():
        bring_files(texts[target / f"{name}.ipynb"], path, options.folder)
    count = sum(e.notebook in paths for e in EXERCISES.values())
    print(f"{len(paths)} chapters, {count} exercises without their solutions in {target}")
    return 0
