"""Tables that the build reads off the library: formulas, exercises, and the details of PPO for language models."""

import ast
import json
import re
from html import escape
from pathlib import Path

import numpy as np
import yaml
from docutils import nodes
from mdit_py_plugins.anchors.index import slugify
from sphinx.util.docutils import SphinxDirective

from coursekit.exercises import EXERCISES

EQUATION = re.compile(r"^\$\$\n((?:(?!\$\$).)*?)\n\$\$ \((eq-[a-z-]+)\)", re.M | re.S)
LABEL = re.compile(r"\(book: (eq-[a-z-]+)\)")


def chapters(book):
    """{stem: (title, markdown of all text cells)} of the notebooks in `book`."""
    found = {}
    for path in sorted(Path(book).glob("*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        found[path.stem] = re.search(r"^# (.+)", text, re.M)[1], text
    return found


def functions(root):
    """(module, function, label of its formula) for every docstring that names one."""
    for path in sorted((root / "src/coursekit").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                for label in LABEL.findall(ast.get_docstring(node) or ""):
                    yield path.stem, node.name, label


def guards(root):
    """{function of the library: [tests that call it, as file::test]}."""
    calls = {}
    for path in sorted((root / "tests").glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                names = {n.id if isinstance(n, ast.Name) else n.attr for n in ast.walk(node)
                         if isinstance(n, ast.Name | ast.Attribute)}
                for name in names:
                    calls.setdefault(name, []).append(f"{path.stem}::{node.name}")
    return calls


def row(*cells):
    return "| " + " | ".join(str(cell).replace("\n", " ").replace("|", r"\|") for cell in cells) + " |"


def table(head, rows):
    return "\n".join([row(*head), row(*["---"] * len(head)), *rows])


def framed(directive, text, kind):
    """The nodes of a table, in a box that the style sheet knows by `kind`."""
    return [nodes.container("", *directive.parse_text_to_nodes(text), classes=[f"ck-{kind}"])]


class Formulas(SphinxDirective):
    """Formula → function → chapter → test, for every formula that a docstring names."""

    def run(self):
        root = Path(self.env.srcdir)
        for pattern in ("book/*.ipynb", "src/coursekit/*.py", "tests/test_*.py"):
            for path in root.glob(pattern):
                self.env.note_dependency(str(path))
        where = {label: (stem, title, tex) for stem, (title, text) in chapters(root / "book").items()
                 for tex, label in EQUATION.findall(text)}
        tests, rows = guards(root), []
        for module, name, label in functions(root):
            stem, title, tex = where[label]
            own = sorted(tests.get(name, []), key=lambda t: (module not in t, t))
            test = f"`{own[0]}`" + (f" and {len(own) - 1} more" if len(own) > 1 else "") if own else ""
            rows.append((stem, row(f"{{eq}}`{label}` ${' '.join(tex.split())}$",
                                   f"{{py:func}}`{name} <coursekit.{module}.{name}>`",
                                   f"[{title}]({stem}.ipynb)", test)))
        rows = [text for _, text in sorted(rows, key=lambda pair: pair[0])]
        return framed(self, table(("formula", "function", "chapter", "test"), rows), "formulas")


class Exercises(SphinxDirective):
    """Every exercise of the registry, with its points and a link to its place."""

    def run(self):
        book, rows = chapters(Path(self.env.srcdir) / "book"), []
        for path in Path(self.env.srcdir).glob("book/*.ipynb"):
            self.env.note_dependency(str(path))
        for stem in (stem for stem in book if any(e.notebook == stem for e in EXERCISES.values())):
            own = [e for e in EXERCISES.values() if e.notebook == stem]
            for heading, e in zip(re.findall(r"^### (Exercise .+)", book[stem][1], re.M), own):
                rows.append(row(f"[{heading}]({stem}.ipynb#{slugify(heading)})", f"`{e.id}`", e.points,
                                e.difficulty, e.minutes, len(e.mistakes)))
            points, minutes = sum(e.points for e in own), sum(e.minutes for e in own)
            rows.append(row(f"**{book[stem][0]}**", f"{len(own)} exercises", f"**{points}**", "", f"**{minutes}**",
                            sum(len(e.mistakes) for e in own)))
        shown = [e for e in EXERCISES.values() if e.notebook in book]
        total = (f"{len(shown)} exercises, {sum(e.points for e in shown)} points, "
                 f"{sum(len(e.mistakes) for e in shown)} mistakes known by name.\n\n")
        head = ("exercise", "id", "points", "difficulty", "minutes", "known mistakes")
        return [*self.parse_text_to_nodes(total), *framed(self, table(head, rows), "exercises")]


class Progress(SphinxDirective):
    """An empty box with the points of every exercise; a script counts in it what this reader has solved."""

    def run(self):
        book = chapters(Path(self.env.srcdir) / "book")
        points = json.dumps({e.id: e.points for e in EXERCISES.values() if e.notebook in book})
        box = f'<div id="progress" class="ck-progress" data-points="{escape(points)}" hidden></div>'
        return [nodes.raw("", box, format="html")]


class Moving(SphinxDirective):
    """A figure that moves, as a notebook has it: `02_gae 0` is the first of chapter 2."""

    required_arguments = 2

    def run(self):
        path = Path(self.env.srcdir) / "book" / f"{self.arguments[0]}.ipynb"
        self.env.note_dependency(str(path))
        found = ["".join(output["data"]["text/html"]) for cell in json.loads(path.read_text())["cells"]
                 for output in cell.get("outputs", []) if "text/html" in output.get("data", {})]
        return [nodes.raw("", found[int(self.arguments[1])], format="html")]


MEASURES = {"kl": "KL", "proxy": "proxy", "length": "length", "ended": "share that ends",
            "explained_variance": "explained variance", "clip_fraction": "clip fraction"}
TIMES = {"at the first update": slice(0, 1), "at the end": slice(-5, None)}


def symptom(runs, bug):
    """What a planted bug does, by the rule of chapter 5: a measure counts where all sick seeds lie outside the
    range of the healthy ones, and their mean is off by more than one and a half times that range. Every number is
    given as the lowest and the highest seed."""
    def of(name, key, part):
        return np.array([np.mean(run["curves"][key][part]) for run in runs if run["bug"] == name])

    if bug not in {run["bug"] for run in runs}:
        raise ValueError(f"no bug is called {bug!r} in bugs.json")
    found = []
    for key, name in MEASURES.items():
        for when, part in TIMES.items():
            sick, well = of(bug, key, part), of("none", key, part)
            off = abs(sick.mean() - well.mean()) / max(np.ptp(well), 0.02)
            if off > 1.5 and (min(sick) > max(well) or max(sick) < min(well)):
                found.append((off, f"{name} {spread(sick)} {when} (healthy {spread(well)})"))
    found = [text for _, text in sorted(found, reverse=True)[:2]] or ["no fingerprint at this size"]
    stopped = ["stopped at the first batch"] * any(run["caught"] for run in runs if run["bug"] == bug)
    gold = f"gold {spread(of(bug, 'gold', slice(-5, None)))}"
    name = bug.replace("<", r"\<")  # no markup
    return f"*{name}*: " + "; ".join([gold, *found, *stopped])


def spread(values):
    """The lowest and the highest value, or one number where they print alike."""
    low, high = (f"{round(value, 2) + 0.0:.2f}".replace("-", "−") for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


class Details(SphinxDirective):
    """A YAML list of details, each with `detail`, `source`, `tests`, and `bugs` (measured) or `symptom` (cited)."""

    has_content = True

    def run(self):
        path = Path(self.env.srcdir) / "experiments/results/bugs.json"
        self.env.note_dependency(str(path))
        runs, rows = json.loads(path.read_text())["runs"], []
        for entry in yaml.safe_load("\n".join(self.content)):
            seen = [symptom(runs, bug) for bug in entry.get("bugs", [])]
            seen += [entry["symptom"]] if "symptom" in entry else []
            tests = ", ".join(f"`{test}`" for test in entry["tests"])
            rows.append(row(entry["detail"], entry["source"], ". ".join(seen) + ".", tests))
        head = ("detail", "source", "symptom when wrong", "guarded by")
        return framed(self, table(head, rows), "details")


def setup(app):
    for name, directive in (("formulas", Formulas), ("exercises", Exercises), ("progress", Progress),
                            ("details", Details), ("moving", Moving)):
        app.add_directive(name, directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
