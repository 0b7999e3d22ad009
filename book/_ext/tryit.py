"""The exercises as data for the page's editor: the same cases, expected answers and misconceptions as in `check`.

Written at build, beside the scripts that load them: exercises/<chapter>.js and parts.js.
"""

import ast
import json
from pathlib import Path

import numpy as np

from coursekit.autograder.book import cells, chapters, role
from coursekit.autograder.verdict import INPUTS_WIDTH, inputs_of, shape_of, show
from coursekit.exercises import EXERCISES

FOLDER = Path("_static/try")
PRESENT = {"gae", "token_rewards", "token_steps"}  # see small_coursekit.py


def told(value):
    """A value as the worker tells it: see small_runner.py."""
    if isinstance(value, str):
        return ["s", value]
    if isinstance(value, tuple):
        return ["t", [told(v) for v in value]]
    array = np.asarray(value)
    numbers = [v if np.isfinite(v) else str(v) for v in array.astype(float).ravel().tolist()]
    return ["a", array.dtype.kind, list(array.shape), numbers]


def argument(value):
    """The text of an expression that makes the value in the page: floats in full, nan and inf by name."""
    if isinstance(value, np.ndarray):
        return f"array({value.dtype.kind!r}, {value.shape}, {value.ravel().tolist()})"
    return repr(value)


def of_case(exercise, case):
    """What the page must know of a case: the call, and how a verdict shows it."""
    expected = exercise.reference(*inputs_of(case))
    return {"label": case.label, "arguments": f"[{', '.join(map(argument, case.inputs.values()))}]",
            "inputs": ", ".join(f"{name}={show(value, INPUTS_WIDTH)}" for name, value in case.inputs.items()),
            "value": told(expected), "shown": [show(expected), show(expected, digits=8)],
            "shape": None if (shape := shape_of(expected)) is None else str(shape)}


def of_exercise(exercise, stub, names):
    """Everything that the page needs of an exercise. stub: its source; names: see `library`."""
    cases = exercise.cases(0)
    outputs = [{"name": m.name, "look_at": m.look_at, "values": [told(m.function(*inputs_of(c))) for c in cases]}
               for m in exercise.misconceptions]
    head = next(node for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef))
    return {"id": exercise.id, "title": exercise.title, "function": exercise.function,
            "signature": f"{exercise.function}({ast.unparse(head.args)})", "points": exercise.points,
            "tolerance": exercise.tolerance, "stub": stub, "hints": list(exercise.hints), "names": names,
            "cases": [of_case(exercise, case) for case in cases], "misconceptions": outputs}


def library(path):
    """The functions of coursekit that a chapter's first cell imports and the page has."""
    first = next(c["source"] for c in cells(path) if c["cell_type"] == "code")
    nodes = (node for node in ast.parse(first).body if isinstance(node, ast.ImportFrom))
    return sorted({name.name for node in nodes for name in node.names} & PRESENT)


def of_chapter(path):
    """{id: data} of the exercises in a notebook, in its order."""
    names = library(path)
    return {c["metadata"]["coursekit"]["exercise"]: of_exercise(
        EXERCISES[c["metadata"]["coursekit"]["exercise"]], c["source"], names)
        for c in cells(path) if role(c) == "stub"}


def parts(folder):
    """What a worker is made of: its script, and the Python files that it writes for MicroPython."""
    return {"worker": (folder / "worker.js").read_text(),
            "files": {path.name: path.read_text() for path in sorted(folder.glob("small_*.py"))}}


def text(data):
    """JSON that is JavaScript as well, in the same characters on every machine."""
    return json.dumps(data, allow_nan=False, separators=(",", ":"))


def write(book, target):
    """Write the generated scripts. book: the folder of the chapters; target: where the others are served."""
    (target / "exercises").mkdir(parents=True, exist_ok=True)
    for name, path in chapters(book).items():
        (target / "exercises" / f"{name}.js").write_text(f"coursekitTry.add({text(of_chapter(path))});\n")
    (target / "parts.js").write_text(f"coursekitTry.parts = {text(parts(book / FOLDER))};\n")


def write_pages(app, exception):
    if not exception and app.builder.format == "html":
        write(Path(app.srcdir) / "book", Path(app.outdir) / FOLDER)


def setup(app):
    app.connect("build-finished", write_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
