"""The exercises as data for the page's editor: what the page must know to judge an answer as `check` does.

Written at build, beside the scripts that load them: exercises/<chapter>.js and parts.js. The rules are Python files
that the page runs too (RULES); here is only what they need to know of each exercise.
"""

import ast
import json
import re
from pathlib import Path

import numpy as np

import coursekit
from coursekit.autograder import rules, shown
from coursekit.autograder.book import cells, chapters, role
from coursekit.autograder.verdict import Known, outcome
from coursekit.exercises import EXERCISES

FOLDER, PACKAGE = Path("_static/try"), Path(coursekit.__file__).parent
LIMITS = {"error": rules.MAX_ERROR, **rules.PAGE}  # as the page's scripts call them
RULES = ("autograder/diagnosis.py", "autograder/relations.py", "autograder/rules.py", "autograder/shown.py")
PRESENT = {"gae", "token_rewards", "token_steps"}  # see small_coursekit.py


def as_data(value, digits=12):
    """A value of shown.py in JSON: NaN and the infinities are words."""
    kind, shape, data = value
    if kind in ("t", "l"):
        return [kind, None, [as_data(v, digits) for v in data]]
    return [kind, list(shape), [short(x, digits) for x in data]] if kind in shown.NUMBERS else [kind, None, data]


def short(x, digits):
    if not np.isfinite(x):
        return str(x)
    x = float(f"{x:.{digits}g}")
    return int(x) if x == int(x) and abs(x) < 1e9 else x


def argument(value):
    """The text of an expression that makes the value in the page: floats in full, nan and inf by name."""
    if isinstance(value, np.ndarray):
        return f"array({value.dtype.kind!r}, {value.shape}, {value.ravel().tolist()})"
    return repr(value)


def of_known(known):
    """What small_judge.py asks for. Two mistakes together are written as a signature, a single one in full."""
    exercise, cases = known.exercise, range(len(known.cases))
    both = [[outcome(function, case) for case in known.cases] for _, _, function in exercise.pairs]
    return {"id": known.id, "points": known.points, "tolerance": known.tolerance, "labels": known.labels,
            "calls": known.calls, "mistakes": known.mistakes, "expected": [as_data(v, 17) for v in known.expected],
            "inputs": [[(name, as_data(v)) for name, v in case.items()] for case in known.inputs],
            "facts": list(known.facts.items()),
            "places": [(name, [[int(p) for p in row] for row in rows]) for name, rows in known.places.items()],
            "outcomes": [[as_data(known.outcome(i, k)) for k in cases] for i in range(len(known.mistakes))],
            "pairs": [(i, j) for i, j, _ in exercise.pairs],
            "signatures": [[signature(row[k]) for row in both] for k in cases]}


def signature(value):
    structure, number, _ = shown.signature(value)
    return [structure, short(number, 7)]


def of_exercise(exercise, stub, names):
    """Everything that the page needs of an exercise. stub: its source; names: see `library`."""
    known = Known(exercise, exercise.cases(0))
    head = next(node for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef))
    return {"id": exercise.id, "title": exercise.title, "function": exercise.function,
            "signature": f"{exercise.function}({ast.unparse(head.args)})", "points": exercise.points,
            "stub": stub, "hints": list(exercise.hints), "names": names,
            "refuses": [name for name in exercise.refuses if name.split(".")[-1] in names],
            "cases": [{"arguments": f"[{', '.join(map(argument, c.inputs.values()))}]"} for c in known.cases],
            "known": of_known(known)}


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
    return {"worker": (folder / "worker.js").read_text(), "late": rules.LATE,
            "files": {path.name: path.read_text() for path in sorted(folder.glob("small_*.py"))}
            | {f"coursekit/{name}": (PACKAGE / name).read_text() for name in RULES}}


def text(data):
    """JSON that is JavaScript as well, in the same characters on every machine."""
    return json.dumps(data, allow_nan=False, separators=(",", ":"))


def write(book, target):
    """Write the generated scripts. book: the folder of the chapters; target: where the others are served."""
    (target / "exercises").mkdir(parents=True, exist_ok=True)
    for name, path in chapters(book).items():
        (target / "exercises" / f"{name}.js").write_text(f"coursekitTry.add({text(of_chapter(path))});\n")
    (target / "parts.js").write_text(f"coursekitTry.parts = {text(parts(book / FOLDER) | LIMITS)};\n")


def name_checks(app, doctree):
    """Each check cell gets the exercise that it names as a class, for the page's script: exercise-gae.recursion.
    What it printed when the book was built ("not attempted") tells a reader nothing, and is left out."""
    for cell in doctree.findall(lambda node: "tag_check" in getattr(node, "attributes", {}).get("classes", ())):
        if found := re.search(rules.CHECK, cell.astext()):
            cell["classes"].append(f"exercise-{found[1]}")
        for output in [child for child in cell.children if "cell_output" in child.get("classes", ())]:
            cell.remove(output)


def write_pages(app, exception):
    if not exception and app.builder.format == "html":
        write(Path(app.srcdir) / "book", Path(app.outdir) / FOLDER)


def setup(app):
    app.connect("doctree-read", name_checks)
    app.connect("build-finished", write_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
