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
import names
from coursekit.autograder import rules, shown
from coursekit.autograder.book import cells, chapters, role
from coursekit.autograder.verdict import Known, outcome
from coursekit.exercises import EXERCISES

FOLDER, PACKAGE = Path("_static/try"), Path(coursekit.__file__).parent
LIMITS = {"error": rules.MAX_ERROR, **rules.PAGE}  # as the page's scripts call them
RULES = ("autograder/diagnosis.py", "autograder/relations.py", "autograder/rules.py", "autograder/shown.py")


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


def of_exercise(exercise, stub, imports, earlier):
    """Everything that the page needs of an exercise. stub: its source; imports, earlier: see `at_hand`."""
    known = Known(exercise, exercise.cases(0))
    head = next(node for node in ast.parse(stub).body if isinstance(node, ast.FunctionDef))
    return {"id": exercise.id, "title": exercise.title, "function": exercise.function,
            "signature": f"{exercise.function}({ast.unparse(head.args)})", "points": exercise.points,
            "stub": stub, "hints": list(exercise.hints), "imports": imports, "earlier": earlier,
            "refuses": [name for name in exercise.refuses if f"coursekit.{name}" in imports.values()],
            "cases": [{"arguments": f"[{', '.join(map(argument, c.inputs.values()))}]"} for c in known.cases],
            "known": of_known(known)}


def at_hand(sources):
    """What a learner has in the notebook: ({name: where from} that the first cell of the chapter imports, all names
    that the cells make). sources: of the cells before the exercise."""
    imports, made = {}, set()
    for i, source in enumerate(sources):
        tree = ast.parse(re.sub(r"(?m)^\s*[%!].*", "", source))
        found = {}
        for node in tree.body:
            if isinstance(node, ast.Import):
                found |= {n.asname or n.name.split(".")[0]: n.name if n.asname else n.name.split(".")[0]
                          for n in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                made.add(node.name)
            else:
                made |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        imports |= found if not i else {}
        made |= set(found)
    return imports, sorted(made)


def of_chapter(path):
    """{id: data} of the exercises in a notebook, in its order."""
    found, before = {}, []
    for cell in cells(path):
        if role(cell) == "stub":
            exercise = EXERCISES[cell["metadata"]["coursekit"]["exercise"]]
            found[exercise.id] = of_exercise(exercise, cell["source"], *at_hand(before))
        if role(cell) in ("imports", "chapter"):
            before.append(cell["source"])
    return found


def parts(folder):
    """What a worker is made of: its script, and the Python files that it writes for MicroPython."""
    return {"worker": (folder / "worker.js").read_text(), "late": rules.LATE, "unjudged": rules.UNJUDGED,
            "files": {path.name: path.read_text() for path in sorted(folder.glob("small_*.py"))}
            | {"small_names.py": names.source()}
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
