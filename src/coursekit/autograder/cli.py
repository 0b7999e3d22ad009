"""The command line: `coursekit check NOTEBOOK`."""

import argparse
import contextlib
import io
import os
import sys
from pathlib import Path


def main(argv=None):
    parser = argparse.ArgumentParser(prog="coursekit", description="Grade the exercises of the course.")
    commands = parser.add_subparsers(dest="command", required=True)
    checker = commands.add_parser("check", help="grade the exercises of one notebook, as a table")
    checker.add_argument("notebook", type=Path)
    checker.add_argument("--timeout", type=float, default=60, help="seconds for a cell (default 60)")
    options = parser.parse_args(argv)
    return check_notebook(options.notebook, options.timeout)


def check_notebook(path, timeout):
    """Print a line for every exercise of a notebook. Returns 0 unless an answer is wrong (1) or the
    notebook can't be graded (2). Only the first cell and the exercises are run."""
    if not path.is_file():
        return _complain(f"no notebook at {path}")
    if path.suffix != ".ipynb":
        return _complain(f"{path} is no notebook: its name must end in .ipynb")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # only the two plugins named below: a second less
    sys.modules.setdefault("rfc3987_syntax", None)  # a checker of web addresses that nbformat never needs: .8 s
    import pytest

    checks, output = _OnlyChecks(), io.StringIO()
    arguments = ["--nbval", "--nbval-cell-timeout", str(timeout), "-p", "nbval.plugin", "-p",
                 "coursekit.autograder.plugin", "-p", "no:cacheprovider", "-c", os.devnull,
                 "--rootdir", str(path.parent), "-q", "--tb=no", str(path)]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        pytest.main(arguments, plugins=[checks])
    if not checks.results:
        broken = checks.problem or "it holds no exercises of this course"
        return _complain(f"{path} can't be graded: {broken}")
    results = checks.results
    width = max(len(r["exercise"]) for r in results)
    signs = {"correct": "✓", "wrong": "✗", "not attempted": "○"}
    for r in results:
        print(f"{signs[r['status']]} {r['exercise']:{width}}  {r['points']}/{r['possible']}  {r['status']}")
        if r["status"] == "wrong":
            told = [line.strip() for line in r["lines"]]
            print("\n".join("    " + line.removeprefix(f"✗ {r['exercise']}: ") for line in told))
    from coursekit.autograder.plugin import tally
    print(tally(results))
    return int(any(r["status"] == "wrong" for r in results))


class _OnlyChecks:
    """Keeps only the items that carry a verdict, and their results."""

    def __init__(self):
        self.results, self.problem = [], None

    def pytest_collection_modifyitems(self, config, items):
        from coursekit.exercises import EXERCISES
        items[:] = [item for item in items if item.name in EXERCISES]

    def pytest_collectreport(self, report):
        if report.failed:
            self.problem = str(report.longrepr).strip().splitlines()[-1]

    def pytest_runtest_logreport(self, report):
        self.results += [r for key, r in report.user_properties if key == "coursekit" and report.when == "call"]


def _complain(message):
    print(f"coursekit: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
