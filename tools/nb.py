"""Notebooks as text: edit, run, normalise, check.

    python tools/nb.py edit  book/02_gae.ipynb       open it as MyST markdown in $EDITOR, then take it back
    python tools/nb.py text  book/02_gae.ipynb       print that markdown
    python tools/nb.py take  new.md book/new.ipynb   make or update a notebook from such a file
    python tools/nb.py run   book/*.ipynb            execute, with outputs, and normalise
    python tools/nb.py check book/*.ipynb            say what is not normalised; exit 1 if anything
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_markdown_cell
from traitlets.config import Config

from coursekit.autograder.draft import CELLS, render_task
from coursekit.autograder.notebook import sockets_in
from coursekit.exercises import EXERCISES

FORMAT = "md:myst"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def normalise(notebook):
    """Only what the author meant: stable ids, task cells from the registry, no traces of one machine."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "coursekit": {"notebook": notebook.metadata.get("coursekit", {}).get("notebook")}})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    section, count, run = "top", 0, 0
    minutes = exercise_minutes(notebook.metadata.coursekit["notebook"])
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and minutes:
            cell.source = re.sub(r"(\*\*Time\*\* \d+ minutes, and )\d+", rf"\g<1>{minutes}", cell.source)
        if cell.cell_type == "code" and not cell.metadata.get("coursekit", {}).get("exercise"):
            cell.metadata.coursekit = {"role": "chapter" if run else "imports"}
        mark = cell.metadata.get("coursekit", {})
        if mark.get("role") == "task":
            cell.source = render_task(EXERCISES[mark["exercise"]])
        if mark.get("role") in CELLS:
            cell.metadata.update(CELLS[mark["role"]])
        headings = re.findall(r"^#+ (.+)", cell.source, re.M) if cell.cell_type == "markdown" else []
        if headings:
            section, count = re.sub(r"[^a-z0-9]+", "-", headings[-1].lower()).strip("-")[:40], 0
        count += 1
        cell.id = (f"{mark['exercise'].replace('.', '-')}-{mark['role']}" if "exercise" in mark
                   else f"{section}-{count}")
        if cell.cell_type == "code":
            run += 1
            cell.execution_count = run
            cell.outputs = _joined(cell.outputs)
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = run
                if "metadata" in output:  # kept: that JupyterLab shall lay a light ground under a figure
                    output.metadata = nbformat.from_dict({k: v for k, v in output.metadata.items()
                                                          if k == "needs_background"})
        cell.metadata = nbformat.from_dict({k: v for k, v in sorted(cell.metadata.items())
                                            if k in ("coursekit", "jupyter", "mystnb", "tags")})
    return notebook


def exercise_minutes(name):
    """Minutes for the exercises of a chapter, in steps of five; 0 without any."""
    minutes = sum(e.minutes for e in EXERCISES.values() if e.notebook == name)
    return -(-minutes // 5) * 5


def tell_index(path):
    """Write the minutes and the number of a chapter's exercises into the table of the first page."""
    index, name = path.parent / "index.md", path.stem
    count = sum(e.notebook == name for e in EXERCISES.values())
    if count and index.exists():
        row = re.compile(rf"(\]\({re.escape(path.name)}\) \|.*\| \d+ \+ )\d+ \| \d+ \|")
        text = index.read_text(encoding="utf-8")
        index.write_text(row.sub(rf"\g<1>{exercise_minutes(name)} | {count} |", text), encoding="utf-8")


def with_tasks(notebook):
    """The notebook with a task cell for each exercise: an empty one, yet to be filled, is lost in the markdown."""
    marks = [cell.metadata.get("coursekit", {}) for cell in notebook.cells]
    there, cells = {mark.get("exercise") for mark in marks if mark.get("role") == "task"}, []
    for cell, mark in zip(notebook.cells, marks):
        if mark.get("role") == "stub" and mark["exercise"] not in there:
            cells.append(new_markdown_cell(metadata={"coursekit": {"exercise": mark["exercise"], "role": "task"}}))
        cells.append(cell)
    notebook.cells = cells
    return notebook


def _joined(outputs):
    """Neighbouring pieces of one stream as one: where the kernel cut them is chance."""
    joined = []
    for output in outputs:
        if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


DRAWS_OR_LOADS = re.compile(
    r"\bplt\.|\bfigures\.|(?<![.\w])(slider|play)\(|\bjson\.load|\.read_text\(|^(import|from) ", re.M)


def folds(cell):
    """Whether a cell's code is to be folded: it draws, loads, imports, or at least half of its lines print."""
    lines = [line for line in cell.source.splitlines() if line.strip()]
    printing = sum("print(" in line for line in lines)
    return bool(DRAWS_OR_LOADS.search(cell.source)) or 2 * printing >= len(lines)


def execute(path):
    """Run a notebook in its folder; returns it with outputs."""
    os.environ.pop("OMP_NUM_THREADS", None)  # as the book's build: training differs with it in the last digits
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as sockets:
        NotebookClient(notebook, timeout=600, record_timing=False, kernel_name="python3",
                       config=Config(KernelManager=sockets_in(sockets)),
                       resources={"metadata": {"path": str(path.parent)}}).execute()
    return notebook


def take(text, path):
    """Put MyST markdown into the notebook at path, keeping the outputs of unchanged cells."""
    new = with_tasks(jupytext.reads(text, fmt=FORMAT))
    if path.exists():
        new = jupytext.combine.combine_inputs_with_outputs(new, nbformat.read(path, 4), fmt={"extension": ".md"})
    new.metadata.coursekit = {"notebook": path.stem}
    nbformat.write(normalise(new), path)


def edit(path):
    with tempfile.NamedTemporaryFile("w+", suffix=".md") as file:
        file.write(jupytext.writes(nbformat.read(path, 4), fmt=FORMAT))
        file.flush()
        subprocess.run([*shlex.split(os.environ.get("EDITOR") or "vi"), file.name], check=True)
        take(Path(file.name).read_text(), path)


def problems(path):
    """What a committed notebook must not have, as a list of sentences."""
    notebook = nbformat.read(path, as_version=4)
    found = []
    for cell in (c for c in notebook.cells if c.cell_type == "code"):
        if cell.execution_count is None:
            found.append(f"{path.name}: code cell {cell.id} was never run; python tools/nb.py run {path}")
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                found.append(f"{path.name}: cell {cell.id} has an error or writes to stderr")
            if re.search(r" at 0x[0-9a-f]+", output.get("data", {}).get("text/plain", "")):
                found.append(f"{path.name}: cell {cell.id} shows an object's address; end it with another line")
        own = "exercise" not in cell.metadata.get("coursekit", {})
        if own and folds(cell) and "hide-input" not in cell.metadata.get("tags", []):
            found.append(f"{path.name}: cell {cell.id} draws, loads or prints and is not folded; tag it "
                         "hide-input, and give the computation that the text speaks of a cell of its own")
    if nbformat.writes(normalise(nbformat.read(path, 4))) != path.read_text().rstrip("\n"):
        found.append(f"{path.name} is not normalised; python tools/nb.py run {path}")
    return found


def main(command, *arguments):
    paths = [Path(a) for a in arguments]
    if command == "edit":
        edit(*paths)
    elif command == "text":
        print(jupytext.writes(nbformat.read(paths[0], 4), fmt=FORMAT))
    elif command == "take":
        take(paths[0].read_text(), paths[1])
    elif command == "run":
        for path in paths:
            print(f"running {path}", flush=True)
            nbformat.write(normalise(execute(path)), path)
            tell_index(path)
    elif command == "check":
        found = [problem for path in paths for problem in problems(path)]
        print("\n".join(found) or "all normalised")
        return int(bool(found))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 2 else print(__doc__))
