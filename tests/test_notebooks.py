"""The committed notebooks keep the rules, and their exercises are the registry's."""

import importlib.util
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from coursekit.exercises import EXERCISES
from notebooks import BOOK, CHAPTERS, cells_of, mark

spec = importlib.util.spec_from_file_location("nb", BOOK.parent / "tools" / "nb.py")
nb = importlib.util.module_from_spec(spec)
spec.loader.exec_module(nb)

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
each_exercise = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=lambda e: e.id)


def read(path):
    return nbformat.read(path, as_version=4)


@each_chapter
def test_a_notebook_is_normalised_executed_and_silent(path):
    assert nb.problems(path) == []


@each_exercise
def test_an_exercise_is_four_cells_in_one_notebook_in_order(exercise):
    found = {path.stem: [mark(c)["role"] for c in cells_of(path.stem) if mark(c).get("exercise") == exercise.id]
             for path in CHAPTERS}
    assert {k: v for k, v in found.items() if v} == {
        exercise.notebook: ["task", "stub", "solution", "check"]}


@each_chapter
def test_a_notebook_holds_no_unknown_exercise(path):
    assert {mark(c)["exercise"] for c in cells_of(path.stem) if "exercise" in mark(c)} <= set(EXERCISES)


@each_chapter
def test_the_times_agree(path):
    text = "".join(c.source for c in read(path).cells if c.cell_type == "markdown")
    reading, exercises = re.search(r"\*\*Time\*\* (\d+) minutes, and (\d+) more for the exercises", text).groups()
    labels = [int(minutes) for minutes in re.findall(r"· about (\d+) minutes ·", text)]
    assert labels and 0 <= int(exercises) - sum(labels) < 5  # in steps of five
    index = (BOOK / "index.md").read_text()
    assert re.search(re.escape(f"]({path.name}) |") + rf".*\| {reading} \+ {exercises} \| {len(labels)} \|", index)


@each_exercise
def test_stub_solution_and_check_agree_with_the_registry(exercise):
    cells = {mark(c)["role"]: c for c in cells_of(exercise.notebook) if mark(c).get("exercise") == exercise.id}
    stub, solution = cells["stub"].source, cells["solution"].source
    names = list(exercise.cases(0)[0].inputs)
    assert stub.startswith(f"def {exercise.function}({', '.join(names)}):")
    assert stub.rstrip().endswith("raise NotImplementedError")
    assert re.sub(r",\s+", ", ", solution).startswith(f"def {exercise.function}_solution({', '.join(names)}):")
    assert not re.search(rf"\b{exercise.function}\b", solution), "a solution must not touch the learner's name"
    assert cells["check"].source == f'check("{exercise.id}", {exercise.function})'
    assert {"hide-cell", "solution"} <= set(cells["solution"].metadata.tags)
    assert cells["task"].source == nb.render_task(exercise)


@each_exercise
def test_a_stub_needs_only_the_imports(exercise):
    """The first cell and the solution, nothing else, must grade as correct."""
    cells = cells_of(exercise.notebook)
    space = {}
    exec(next(c.source for c in cells if c.cell_type == "code"), space)
    exec(next(c.source for c in cells if mark(c) == {"exercise": exercise.id, "role": "solution"}), space)
    space["check"](exercise.id, space[f"{exercise.function}_solution"])


@each_chapter
def test_cells_are_short_and_figures_have_words(path):
    for cell in read(path).cells:
        if cell.cell_type != "code":
            continue
        lines = cell.source.splitlines()
        assert len(lines) <= 15, f"{cell.id} has {len(lines)} lines"
        assert max(map(len, lines)) <= 88, f"{cell.id} is too wide for the page"
        if any("image/png" in o.get("data", {}) for o in cell.outputs):
            assert cell.metadata.mystnb.image.alt, f"{cell.id}: a figure without words for who can't see it"
            assert lines[-1] == "plt.show()"


def count(text):
    """How many words: not the bars of a table."""
    return sum(any(letter.isalnum() for letter in word) for word in text.split())


@each_chapter
def test_a_chapter_has_its_length_and_its_parts(path):
    text = "\n".join(c.source for c in read(path).cells if c.cell_type == "markdown" and not mark(c))
    words, headings = count(text.split("## References")[0]), re.findall(r"^## (.+)", text, re.M)
    assert {"Summary", "References"} <= set(headings)
    if not path.stem.startswith("00"):
        assert 1500 <= words <= 3000, words
        assert "Questions people ask" in headings
        assert any(h.startswith("Where it breaks") for h in headings)
    assert all(part in text for part in ("**After this", "**You need**", "**Time**"))
    assert any("slider" in c.source for c in read(path).cells)


def drawn(notebook):
    """How many figures, diagrams and tables a chapter shows."""
    found = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found += len(re.findall(r"^\|[ :|-]+\|$|^!\[", cell.source, re.M))
        else:
            data = [output.get("data", {}) for output in cell.outputs]
            found += sum("image/png" in d or "<figure" in "".join(d.get("text/html", "")) for d in data)
    return found


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_is_seen_and_asks_before_it_shows(path):
    """A figure, diagram or table for every 300 words of its own text, and a question before a result."""
    notebook = read(path)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown" and not mark(c))
    assert drawn(notebook) >= count(text) / 300, (drawn(notebook), count(text))
    assert re.search(r"^(> )?\*\*Predict", text, re.M)


@pytest.mark.parametrize("source, folded", [
    ("ax.plot(x)\nplt.show()", True), ("runs = json.loads(text)", True), ("slider('λ', [], [], [])", True),
    ("for n in range(3):\n    print(n)", True), ("import numpy as np", True),
    ("def f(x):\n    return x\n\n\nprint(f(1))", False), ("play_out = 1\nimportant = 2", False),
    ("tokens, rewards = credit.play(world, policy, 20, rng)", False), ("play([dial], panels, texts)", True)])
def test_a_cell_that_draws_loads_or_prints_is_folded(source, folded):
    assert nb.folds(nbformat.v4.new_code_cell(source)) is folded


@each_chapter
def test_what_follows_an_exercise_begins_with_a_heading(path):
    """On the page it would else stand inside the exercise, whose heading it follows."""
    cells = read(path).cells
    for cell, following in zip(cells, cells[1:]):
        if mark(cell).get("role") == "check":
            assert following.source.startswith("#"), following.id


@each_chapter
def test_prose_reads_without_sphinx(path):
    """No sentence may need a role or a directive: the notebook reads the same in plain Jupyter."""
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\{[a-z:]+\}`|^:::|^```\{", cell.source, re.M), cell.id


def test_task_cells_come_from_the_registry_only():
    """`nb.py run` would overwrite anything else; normalising twice changes nothing."""
    for path in CHAPTERS:
        once = nb.normalise(read(path))
        assert nbformat.writes(nb.normalise(once)) == nbformat.writes(read(path))


def test_text_and_back_keeps_a_notebook(tmp_path):
    for path in CHAPTERS:
        copy = tmp_path / path.name
        copy.write_bytes(path.read_bytes())
        nb.take(nb.jupytext.writes(read(path), fmt=nb.FORMAT), copy)
        assert copy.read_text() == Path(path).read_text()


def test_an_editor_may_have_arguments_and_an_empty_task_is_filled(tmp_path, monkeypatch):
    path = tmp_path / "02_gae.ipynb"
    notebook = read(BOOK / "02_gae.ipynb")
    cell = next(c for c in notebook.cells if mark(c) == {"exercise": "gae.weights", "role": "task"})
    text, cell.source = cell.source, ""
    nbformat.write(notebook, path)
    monkeypatch.setenv("EDITOR", "touch -c")
    nb.edit(path)
    assert [c.source for c in read(path).cells if mark(c) == mark(cell)] == [text]
    assert len(read(path).cells) == len(notebook.cells)


def test_one_exercise_more_is_counted_where_the_minutes_stand(tmp_path, monkeypatch):
    path, before = tmp_path / "02_gae.ipynb", nb.exercise_minutes("02_gae")
    for name in (path.name, "index.md"):
        shutil.copy(BOOK / name, tmp_path)
    monkeypatch.setitem(EXERCISES, "gae.more", replace(EXERCISES["gae.weights"], id="gae.more", minutes=10))
    text = "".join(c.source for c in nb.normalise(read(path)).cells)
    assert f"minutes, and {before + 10} more for the exercises" in text
    nb.tell_index(path)
    count = sum(e.notebook == "02_gae" for e in EXERCISES.values())
    (row,) = (line for line in (tmp_path / "index.md").read_text().splitlines() if "](02_gae.ipynb) |" in line)
    assert row.endswith(f"+ {before + 10} | {count} |")
