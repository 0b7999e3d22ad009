"""pytest plugin: makes `pytest --nbval NOTEBOOK` the autograder. The cells themselves are in cells.py."""

import pytest

TIMEOUT = 300  # seconds for a cell, where --nbval-cell-timeout says nothing


def pytest_configure(config):
    option = config.option
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

    def __init__(self):
        self.verdicts = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path, parent):
        collectors = yield
        if file_path.suffix != ".ipynb":
            return collectors
        from coursekit.autograder.cells import NotebookFile, nbval
        return [NotebookFile.from_parent(parent, path=file_path) if isinstance(c, nbval.IPyNbFile) else c
                for c in collectors]

    def pytest_runtest_logreport(self, report):
        """One verdict for each exercise of a notebook: the last one given."""
        for key, result in report.user_properties:
            if key == "coursekit" and report.when == "call":
                self.verdicts[report.nodeid.split("::")[0], result["exercise"]] = result

    def pytest_terminal_summary(self, terminalreporter):
        results = list(self.verdicts.values())
        if not results:
            return
        from coursekit.autograder.verdict import tally
        terminalreporter.section("exercises", sep="-")
        for status in ("wrong", "not attempted"):
            if ids := [r["exercise"] for r in results if r["status"] == status]:
                terminalreporter.write_line(f"{status}: {', '.join(ids)}")
        terminalreporter.write_line(tally(results))
