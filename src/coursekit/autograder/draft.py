"""The four cells of an exercise, as a notebook holds them; a notebook made of nothing but exercises."""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coursekit.autograder.book import cells, chapter
from coursekit.autograder.own_exercises import own_exercises, try_solutions
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
    exercise's reference. Raises ValueError where that is no plain function, or fails in the notebook."""
    answers = {exercise.id: solution(exercise, exercise.function) for exercise in exercises}
    try_solutions(IMPORTS, answers, path, made=True)
    made = [_cell("markdown", f"# {path.stem.replace('_', ' ')}"), _cell("code", IMPORTS, role="imports")]
    for exercise in exercises:
        name, given = exercise.function, ", ".join(exercise.arguments)
        stub = f"def {name}({given}):\n    raise NotImplementedError"
        for kind, role, source in (("markdown", "task", render_task(exercise)), ("code", "stub", stub),
                                   ("code", "solution", solution(exercise, f"{name}_solution")),
                                   ("code", "check", f'check("{exercise.id}", {name})')):
            made.append(_cell(kind, source, exercise=exercise.id, role=role))
    for number, cell in enumerate(made):
        cell["id"] = f"cell-{number}"
    metadata = {"coursekit": {"notebook": path.stem},
                "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    write_text(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def differences(path: Path, exercises: Sequence[Exercise]) -> list[str]:
    """What a notebook lacks of the exercises of its module, and where the two differ: one line, or none."""
    there = {(mark.get("exercise"), mark.get("role")): cell["source"].strip() for cell in cells(path)
             if (mark := cell["metadata"].get("coursekit", {}))}
    lacking, differ = [], []
    for exercise in exercises:
        if (exercise.id, "solution") not in there:
            lacking.append(exercise.id)
            continue
        wanted = {"task": render_task(exercise)}
        with contextlib.suppress(ValueError):  # a solution of the instructor's own
            wanted["solution"] = solution(exercise, f"{exercise.function}_solution")
        differ += [f"{exercise.id} ({role})" for role, source in wanted.items()
                   if there.get((exercise.id, role)) != source.strip()]
    said = [f"{verb} {', '.join(ids)}" for verb, ids in (("lacks", lacking), ("differs in", differ)) if ids]
    return [f"{path} is not as its module: it {' and '.join(said)}. Delete it to have it made anew, or edit both"
            ] if said else []


def try_notebooks(paths: Mapping[str, Path]) -> list[str]:
    """Run the hidden solutions of own exercises in these notebooks, by their names. Returns warnings. Raises
    ValueError where a solution fails."""
    warnings = []
    for name, path in paths.items():
        if own := own_exercises([name]):
            found = chapter(path)
            try_solutions(found.imports, dict(found.answers), path, made=False, book=found.book)
            warnings += differences(path, own)
    return warnings


def _cell(kind: str, source: str, **mark: str) -> dict[str, Any]:
    metadata = {"coursekit": mark, **CELLS.get(mark.get("role", ""), {})} if mark else {}
    code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": metadata, "source": source, **code}


def solution(exercise: Exercise, name: str) -> str:
    """The source of the reference as a function of this name. Raises ValueError where it is no plain function."""
    way_out = "write the notebook yourself, or make `reference` a function of its own, begun with def"
    try:
        source = textwrap.dedent(inspect.getsource(exercise.reference))
    except (OSError, TypeError):
        source = ""
    if not re.match(r"def \w+\(", source):
        raise ValueError(f"the solution of {exercise.id} can't be read off its reference: {way_out}")
    return re.sub(r"^def \w+\(", f"def {name}(", source).rstrip()
