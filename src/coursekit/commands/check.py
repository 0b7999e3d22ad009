"""`coursekit check NOTEBOOK`: grade one notebook."""

import sys
from pathlib import Path

from coursekit.commands.common import complain


def add_command(commands):
    """Register `check` with the parser of the command line."""
    parser = commands.add_parser("check", help="grade the exercises of one notebook, as a table")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--timeout", type=float, default=300, help="seconds for a cell (default 300)")
    parser.set_defaults(run=lambda options: check_notebook(options.notebook, options.timeout))


def check_notebook(path, timeout):
    """Print a line for every exercise of a notebook. Returns 0 unless an answer is wrong (1) or the
    notebook can't be graded (2), 130 if interrupted. The chapter's own cells are not run, but its imports."""
    if not timeout > 0:
        return complain(f"--timeout must be a positive number of seconds, got {timeout:g}")
    if not path.is_file():
        return complain(f"no notebook at {path}")
    if path.suffix != ".ipynb":
        return complain(f"{path} is no notebook: its name must end in .ipynb")
    from coursekit.autograder.notebook import Notebook
    from coursekit.autograder.reader import Unreadable
    from coursekit.autograder.verdict import tally

    try:
        with Notebook(path.resolve(), timeout) as notebook:
            verdicts = [notebook.verdict(*check) for check in notebook.checks()]
    except (Unreadable, OSError) as error:
        return complain(f"{path} can't be graded: {error}")
    except KeyboardInterrupt:
        print("coursekit: interrupted, nothing was graded", file=sys.stderr)
        return 130
    results = list({verdict["exercise"]: verdict for verdict in verdicts}.values())  # the last one counts
    if not results:
        return complain(f"{path} can't be graded: it holds no exercises of this course")
    width = max(len(r["exercise"]) for r in results)
    signs = {"correct": "✓", "wrong": "✗", "not attempted": "○"}
    for r in results:
        print(f"{signs[r['status']]} {r['exercise']:{width}}  {r['points']}/{r['possible']}  {r['status']}")
        if r["status"] == "wrong":
            told = [line.strip() for line in r["lines"]]
            print("\n".join("    " + line.removeprefix(f"✗ {r['exercise']}: ") for line in told))
    print(tally(results))
    return int(any(r["status"] == "wrong" for r in results))
