"""pytest plugin: makes `pytest --nbval NOTEBOOK` the autograder. The cells themselves are in cells.py."""

from __future__ import annotations

import importlib.util
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from coursekit.distribution import install

TIMEOUT = 300  # seconds for a cell, where --nbval-cell-timeout says nothing


def pytest_addoption(parser: pytest.Parser) -> None:
    if not importlib.util.find_spec("nbval"):  # without it pytest would not know the option, nor say why
        parser.addoption("--nbval", action="store_true", help=f"needs nbval: {install('grade')}")


def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if getattr(option, "nbval", False) and not hasattr(option, "nbval_cell_timeout"):
        raise pytest.UsageError(f"--nbval needs nbval; install it with: {install('grade')}")
    if not (getattr(option, "nbval", False) or getattr(option, "nbval_lax", False)):
        return
    if option.nbval_cell_timeout == 2000:  # nbval's own default
        option.nbval_cell_timeout = TIMEOUT
    if not option.nbval_kernel_name:
        option.nbval_current_env = True
    if getattr(option, "dist", "no") in ("load", "worksteal"):
        option.dist = "loadfile"  # a notebook is one kernel: keep it on one worker
    config.pluginmanager.register(Grading(), "coursekit-grading")


class Grading:
    """Puts our notebooks in the place of nbval's; collects the verdicts of a session, from all workers."""

    def __init__(self) -> None:
        self.verdicts: dict[tuple[str, str], dict[str, Any]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> Generator[None, Any, Any]:
        collectors = yield
        if file_path.suffix != ".ipynb":
            return collectors
        from coursekit.autograder.cells import NotebookFile, nbval
        from coursekit.exercises import OWN
        OWN.add_beside(file_path.parent)
        return [NotebookFile.from_parent(parent, path=file_path) if isinstance(c, nbval.IPyNbFile) else c
                for c in collectors]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One verdict for each exercise of a notebook: the last one given."""
        for key, result in report.user_properties:
            if key == "coursekit" and report.when == "call":
                verdict: Any = result
                self.verdicts[report.nodeid.split("::")[0], verdict["exercise"]] = verdict

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        results = list(self.verdicts.values())
        if not results:
            return
        from coursekit.autograder.verdict import tally
        terminalreporter.section("exercises", sep="-")
        for status in ("wrong", "not attempted"):
            if ids := [r["exercise"] for r in results if r["status"] == status]:
                terminalreporter.write_line(f"{status}: {', '.join(ids)}")
        terminalreporter.write_line(tally(results))
