"""`coursekit check NOTEBOOK`: grade one notebook."""

import os
from pathlib import Path

from coursekit.commands.common import add_exercises, know_exercises, need, seconds


def add_command(commands):
    """Register `check` with the parser of the command line."""
    parser = commands.add_parser("check", help="grade the exercises of one notebook, as a table")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--timeout", type=seconds, default=300, help="seconds for a cell (default 300)")
    add_exercises(parser)
    parser.set_defaults(run=run, extra="check", interrupted="nothing was graded")


def run(options):
    """Print a line for every exercise of a notebook. Returns 1 if an answer is wrong, and with COURSEKIT_GRADE=1 in
    the environment also if one is missing. The chapter's own cells are not run, but its imports."""
    path = options.notebook
    if not path.is_file():
        raise ValueError(f"no notebook at {path}")
    if path.suffix != ".ipynb":
        raise ValueError(f"{path} is no notebook: its name must end in .ipynb")
    need("jupyter_client", "ipykernel")
    from coursekit.autograder.notebook import Notebook
    from coursekit.autograder.own_exercises import try_cases
    from coursekit.autograder.reader import UnreadableError
    from coursekit.autograder.rules import SIGNS
    from coursekit.autograder.verdict import tally
    from coursekit.exercises import OWN
    from coursekit.exercises.own import BESIDE

    know_exercises(options)
    OWN.add_beside(path.resolve().parent)
    try:
        with Notebook(path.resolve(), options.timeout) as notebook:
            checks, unknown = notebook.checks(), notebook.unknown()
            try_cases({e.id: e for e, _ in checks if e.id in OWN.files}.values())
            verdicts = [notebook.verdict(*check) for check in checks]
    except (UnreadableError, OSError) as error:
        raise ValueError(f"{path} can't be graded: {error}") from None
    results = list({verdict["exercise"]: verdict for verdict in verdicts}.values())  # the last one counts
    missing = (f"no exercise is called {', '.join(unknown)}. If the notebook was moved, put its folder "
               f"`{BESIDE}` beside it, or name that with --exercises") if unknown else ""
    if not results and unknown:
        raise ValueError(f"{path} can't be graded: {missing}")
    if not results:
        raise ValueError(f"{path} can't be graded: it holds no exercises of this course")
    width = max(len(r["exercise"]) for r in results)
    for r in results:
        print(f"{SIGNS[r['status']]} {r['exercise']:{width}}  {r['points']}/{r['possible']}  {r['status']}")
        if r["status"] == "wrong":
            lines = [line.strip().removeprefix(f"{SIGNS['wrong']} {r['exercise']}: ") for line in r["lines"]]
            print("\n".join(f"    {line}" for line in lines))
    print(tally(results))
    if missing:
        print(f"not graded: {missing}")
    failing = {"wrong", "not attempted"} if os.environ.get("COURSEKIT_GRADE") == "1" else {"wrong"}
    return int(any(r["status"] in failing for r in results))
