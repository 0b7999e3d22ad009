"""Grading: `check` in a notebook, the pytest plugin behind `pytest --nbval`, `coursekit check`."""

from coursekit.autograder.check import check

__all__ = ["check"]
