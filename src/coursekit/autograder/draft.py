"""The four cells of an exercise, as a notebook holds them; a notebook made of nothing but exercises."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coursekit.exercises import EXERCISES
from coursekit.exercises.base import Exercise
from coursekit.saved import write_text

CELLS: dict[str, dict[str, Any]] = {  # what the cell of each role carries besides its mark
    "stub": {"tags": ["exercise"]},
    "solution": {"tags": ["hide-cell", "solution"], "jupyter": {"source_hidden": True},
                 "mystnb": {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"}},
    "check": {"tags": ["check", "nbval-ignore-output"]},
}
IMPORTS = "import numpy as np\n\nfrom coursekit.autograder import check"


def render_task(exercise: Exercise) -> str:
    """The task cell of an exercise, from the registry: there is no other source."""
    chapter = [e for e in EXERCISES.values() if e.notebook == exercise.notebook]
    first = exercise.notebook.split("_")[0]  # 02b_…: 2b.1
    number = f"{first.removeprefix('0')}." if first[:1].isdigit() else ""
    number += str([e.id for e in chapter].index(exercise.id) + 1)
    points = f"{exercise.points} point" + "s" * (exercise.points != 1)
    hints = "\n\n".join(f"<details><summary>Hint {i}</summary>\n\n{hint}\n\n</details>"
                        for i, hint in enumerate(exercise.hints, 1))
    return (f"### Exercise {number}: {exercise.title}\n\n"
            f"*{points} · {exercise.difficulty} · about {exercise.minutes} minutes · `{exercise.id}`*\n\n"
            f"{exercise.task}\n\n{hints}")


def write_notebook(path: Path, exercises: Sequence[Exercise]) -> None:
    """Write a notebook with the four cells of each exercise, to be edited. The hidden solution is the source of the
    exercise's reference. Raises ValueError where that is no plain function."""
    cells = [_cell("markdown", f"# {path.stem.replace('_', ' ')}"), _cell("code", IMPORTS, role="imports")]
    for exercise in exercises:
        name, given = exercise.function, ", ".join(exercise.arguments)
        stub = f"def {name}({given}):\n    raise NotImplementedError"
        for kind, role, source in (("markdown", "task", render_task(exercise)), ("code", "stub", stub),
                                   ("code", "solution", _solution(exercise)),
                                   ("code", "check", f'check("{exercise.id}", {name})')):
            cells.append(_cell(kind, source, exercise=exercise.id, role=role))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    metadata = {"coursekit": {"notebook": path.stem},
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    write_text(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def _cell(kind: str, source: str, **mark: str) -> dict[str, Any]:
    metadata = {"coursekit": mark, **CELLS.get(mark.get("role", ""), {})} if mark else {}
    code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": metadata, "source": source, **code}


def _solution(exercise: Exercise) -> str:
    way_out = "write the notebook yourself, or make `reference` a function of its own, begun with def"
    try:
        source = textwrap.dedent(inspect.getsource(exercise.reference))
    except (OSError, TypeError):
        source = ""
    if not re.match(r"def \w+\(", source):
        raise ValueError(f"the solution of {exercise.id} can't be read off its reference: {way_out}")
    return re.sub(r"^def \w+\(", f"def {exercise.function}_solution(", source).rstrip()
