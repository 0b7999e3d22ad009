"""`coursekit check NOTEBOOK`: grade one notebook."""

import contextlib
import io
import os
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
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # only the two plugins named below: a second less
    os.environ.pop("PYTEST_ADDOPTS", None)
    sys.modules.setdefault("rfc3987_syntax", None)  # checks web addresses, which nbformat never needs: .8 s
    import pytest

    checks, output = _OnlyChecks(path.resolve()), io.StringIO()
    arguments = ["--nbval", "--nbval-cell-timeout", str(timeout), "-p", "nbval.plugin", "-p",
                 "coursekit.autograder.plugin", "-p", "no:cacheprovider", "-c", os.devnull, "--noconftest",
                 "--rootdir", str(checks.path.parent), "-q", "--tb=no", str(checks.path.parent)]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        status = pytest.main(arguments, plugins=[checks])
    if status == pytest.ExitCode.INTERRUPTED and not checks.problem:
        print("coursekit: interrupted, nothing was graded", file=sys.stderr)
        return 130
    results = list(checks.verdicts.values())
    if not results:
        return complain(f"{path} can't be graded: {checks.problem or 'it holds no exercises of this course'}")
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
    """Collects one notebook, keeps only the items that carry a verdict, and takes the verdicts at the end."""

    def __init__(self, path):
        self.path, self.verdicts, self.problem = path, {}, None

    def pytest_ignore_collect(self, collection_path):
        """Whatever its name: pytest reads brackets and colons in an argument as something else."""
        return None if collection_path in (self.path, self.path.parent) else True

    def pytest_collection_modifyitems(self, items):
        from coursekit.exercises import EXERCISES
        items[:] = [item for item in items if item.name in EXERCISES]

    def pytest_collectreport(self, report):
        if report.failed:
            self.problem = str(report.longrepr).strip().splitlines()[-1]

    def pytest_runtest_logreport(self, report):
        if report.when == "setup" and report.failed:
            self.problem = str(report.longrepr).strip().splitlines()[-1]

    def pytest_sessionfinish(self, session):
        self.verdicts = session.config.pluginmanager.getplugin("coursekit-grading").verdicts
