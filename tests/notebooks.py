"""Copies of the chapters that hold the imports and the exercises, with answers typed into the stubs."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import nbformat

from coursekit.exercises import EXERCISES

BOOK = Path(__file__).parent.parent / "book"
CHAPTERS = sorted(BOOK.glob("*.ipynb"))


def mark(cell):
    return cell.metadata.get("coursekit", {})


@functools.cache
def cells_of(name):
    """The cells of the notebook `name`, read once: to look at, not to change."""
    return tuple(nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells)


def exercises_of(name):
    """The exercises of the notebook `name`."""
    return [e for e in EXERCISES.values() if e.notebook == name]


def exercises_only(name, answers=(), *, keep=None):
    """The notebook `name`: its first code cell and its exercises. answers: {id: source of the stub}.
    keep: a function of a cell; cells for which it is false are dropped."""
    notebook = nbformat.read(BOOK / f"{name}.ipynb", as_version=4)
    first = next(c for c in notebook.cells if c.cell_type == "code")
    notebook.cells = [c for c in notebook.cells if c is first or mark(c).get("exercise")]
    answers = dict(answers)
    for cell in notebook.cells:
        if mark(cell).get("role") == "stub" and mark(cell)["exercise"] in answers:
            cell.source = answers[mark(cell)["exercise"]]
    if keep:
        notebook.cells = [c for c in notebook.cells if keep(c)]
    return notebook


def solution(name, exercise):
    """The hidden solution of an exercise, under the learner's name."""
    cell = next(c for c in cells_of(name) if mark(c) == {"exercise": exercise, "role": "solution"})
    return cell.source.replace("_solution(", "(", 1)


def run(command, *, folder, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COURSEKIT"))}
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, env=clean | environment,
                          capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def grade(notebook, folder, *options, name="02_gae", **environment):
    """`pytest --nbval` in a process of its own: (exit status, output)."""
    path = Path(folder) / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return run(["pytest", "--nbval", path.name, "-v", "-p", "no:cacheprovider", *options], folder=folder,
               **environment)
