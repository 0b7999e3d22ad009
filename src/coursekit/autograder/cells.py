"""nbval's notebooks, with a verdict for each exercise.

nbval runs the chapter's own cells in its kernel and compares their outputs. The exercises run in the kernel of
`coursekit.autograder.notebook`, without the chapter's training. Leans on nbval's insides: 0.11.* only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbval import plugin as nbval

from coursekit.autograder.notebook import Notebook
from coursekit.autograder.reader import UnreadableError
from coursekit.autograder.verdict import INPUTS
from coursekit.exercises.base import Exercise


class VerdictError(Exception):
    """A verdict that fails its item, shown in its own few lines, without frames."""


class NotebookFile(nbval.IPyNbFile):
    """A notebook: what nbval collects of the chapter, and an item for each exercise."""

    def collect(self) -> Iterator[pytest.Item]:
        chapter = list(super().collect())
        try:
            self.notebook = Notebook(self.path.resolve(), self.config.option.nbval_cell_timeout)
        except UnreadableError as error:
            raise self.CollectError(str(error)) from None
        checks = self.notebook.checks()
        for item in chapter:
            if not checks or self.notebook.roles[item.cell_num] in ("imports", "chapter"):
                yield ChapterCell.from_parent(self, name=item.cell.get("id") or item.name, cell_num=item.cell_num,
                                              cell=item.cell, options=item.options)
        for exercise, number in checks:
            yield ExerciseItem.from_parent(self, name=exercise.id, exercise=exercise, number=number)

    def teardown(self) -> None:
        self.notebook.stop()
        super().teardown()


class ChapterCell(nbval.IPyNbCell):
    """A cell of the chapter, called by its id and not by its number."""

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.name} in {self.path.name}"

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        return re.sub(r"\bCell \d+", self.name, super().repr_failure(excinfo))


class ExerciseItem(pytest.Item):
    """Passes, is skipped or fails by the verdict on one exercise."""

    def __init__(self, name: str, parent: NotebookFile, exercise: Exercise, number: int | None) -> None:
        super().__init__(name, parent)
        self.exercise, self.number, self.notebook = exercise, number, parent.notebook

    def runtest(self) -> None:
        verdict = self.notebook.verdict(self.exercise, self.number)
        self.user_properties.append(("coursekit", verdict))
        if verdict["status"] == "not attempted" and os.environ.get("COURSEKIT_GRADE") != "1":
            pytest.skip(f"{verdict['exercise']}: not attempted")
        if verdict["status"] != "correct":
            named = verdict["misconception"]  # a name says more than the inputs; without one they are needed
            raise VerdictError("\n".join(
                x for x in verdict["lines"] if not (named and x.strip().startswith(INPUTS))))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.name} in {self.path.name}"

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        if isinstance(excinfo.value, VerdictError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)
