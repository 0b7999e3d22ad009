"""Notebooks as learners leave them: extra cells, copied cells, lost cells, odd names. The verdict stays right."""

import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from coursekit.autograder.book import chapters
from coursekit.autograder.notebook import Notebook
from coursekit.exercises import EXERCISES
from notebooks import exercises_only, grade, mark, run, solution

pytestmark = pytest.mark.slow

NAME = "02_gae"
IDS = [i for i, e in EXERCISES.items() if e.notebook == NAME]
POINTS = sum(EXERCISES[i].points for i in IDS)
SOLVED = {i: solution(NAME, i) for i in IDS}
FULL = f"exercises: {len(IDS)} correct, 0 wrong, 0 not attempted, {POINTS}/{POINTS} points"


def command(notebook, folder, name="02_gae.ipynb", **options):
    nbformat.write(notebook, folder / name)
    return run(["coursekit.cli", "check", name], folder=folder, **options)


def at(notebook, exercise, role):
    return next(i for i, c in enumerate(notebook.cells) if mark(c) == {"exercise": exercise, "role": role})


def before_the_imports(nb):
    nb.cells.insert(0, new_code_cell("print('pip install numpy')"))


def a_helper_below_the_imports(nb):
    nb.cells.insert(1, new_code_cell("def mean_of(x):\n    return x.mean()"))
    stub = nb.cells[at(nb, "gae.targets", "stub")]
    stub.source = stub.source.replace("advantages.mean()", "mean_of(advantages)")


def an_answer_that_uses_another(nb):
    stub = nb.cells[at(nb, "gae.best_lambda", "stub")]
    stub.source += "\nassert len(mixture_weights(0.5, 3)) == 3"


def the_first_task_deleted(nb):
    del nb.cells[at(nb, "gae.weights", "task")]


def a_check_copied(nb):
    i = at(nb, "gae.weights", "check")
    nb.cells.insert(i + 1, new_code_cell(nb.cells[i].source, metadata=nb.cells[i].metadata))


def the_check_in_the_stub_as_well(nb):
    nb.cells[at(nb, "gae.weights", "stub")].source += '\ncheck("gae.weights", mixture_weights)'


def stub_and_check_merged(nb):
    the_check_in_the_stub_as_well(nb)
    del nb.cells[at(nb, "gae.weights", "check")]


def an_answer_that_prints(nb):
    nb.cells[at(nb, "gae.weights", "stub")].source += "\nimport random\nprint(random.random())"


STATES = [before_the_imports, a_helper_below_the_imports, an_answer_that_uses_another, the_first_task_deleted,
          a_check_copied, the_check_in_the_stub_as_well, stub_and_check_merged, an_answer_that_prints]


@pytest.mark.parametrize("change", STATES, ids=lambda f: f.__name__)
def test_honest_changes_keep_full_marks(change, tmp_path):
    notebook = exercises_only(NAME, SOLVED)
    change(notebook)
    for code, output in (command(notebook, tmp_path), grade(notebook, tmp_path)):
        assert code == 0 and FULL in output, output


@pytest.mark.parametrize("name", chapters())
def test_every_cell_of_a_chapter_keeps_its_role(name):
    notebook = Notebook(chapters()[name], 60)
    assert notebook.roles == [cell.role for cell in notebook.cells]


def test_a_wrong_answer_is_not_hidden_by_a_copied_check(tmp_path):
    notebook = exercises_only(NAME, SOLVED | {"gae.weights": "def mixture_weights(lam, steps):\n    return [1.0]"})
    metadata = notebook.cells[at(notebook, "gae.weights", "check")].metadata
    copy = new_code_cell('check("gae.targets", targets)', metadata=metadata)  # pasted, then edited
    notebook.cells.insert(at(notebook, "gae.targets", "check") + 1, copy)
    code, output = grade(notebook, tmp_path)
    count = f"{len(IDS) - 1} correct, 1 wrong, 0 not attempted, {POINTS - 1}/{POINTS} points"
    assert code == 1 and count in output, output


@pytest.mark.parametrize("where", ["in the cell", "in the function"])
def test_quit_costs_nobody_else_their_points(where, tmp_path):
    source = SOLVED["gae.recursion"]
    in_function = source.replace("    return", "    quit()\n    return")
    source = source + "\nquit()" if where == "in the cell" else in_function
    code, output = grade(exercises_only(NAME, SOLVED | {"gae.recursion": source}), tmp_path)
    assert "wrong: gae.recursion" in output or f"{len(IDS)} correct" in output, output
    assert f"{len(IDS) - 1} correct, 1 wrong" in output or f"{len(IDS)} correct, 0 wrong" in output, output


def test_a_broken_first_cell_is_named_as_the_cause(tmp_path):
    notebook = exercises_only(NAME, SOLVED)
    next(c for c in notebook.cells if c.cell_type == "code").source = "import a_package_nobody_has"
    code, output = command(notebook, tmp_path)
    assert code == 1
    assert "the notebook's first cell raises ModuleNotFoundError: No module named 'a_package_nobody_has'" in output


@pytest.mark.parametrize("name", ["02_gae [final] (1).ipynb", "a::b.ipynb", "Übung 2.ipynb"])
def test_odd_names_are_graded(name, tmp_path):
    (tmp_path / "other.ipynb").write_text("{")  # a broken neighbour is none of our business
    code, output = command(exercises_only(NAME, SOLVED), tmp_path, name, PYTEST_ADDOPTS="-x -n 2")
    assert code == 0 and FULL in output, output


def test_a_console_without_check_marks_gets_a_verdict(tmp_path):
    code, output = command(exercises_only(NAME, SOLVED), tmp_path, PYTHONIOENCODING="ascii")
    assert code == 0 and FULL in output


def test_an_interrupted_check_gives_no_marks(tmp_path):
    answer = "import time\ndef lambda_return(*inputs):\n    open('begun', 'w').close()\n    time.sleep(60)"
    slow = SOLVED | {"gae.lambda_return": answer}
    nbformat.write(exercises_only(NAME, slow), tmp_path / "nb.ipynb")
    process = subprocess.Popen([sys.executable, "-m", "coursekit.cli", "check", "nb.ipynb"],
                               cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "points" not in output and "interrupted" in errors


def test_a_timeout_must_be_positive(tmp_path):
    code, output = run(["coursekit.cli", "check", "nb.ipynb", "--timeout", "0"], folder=tmp_path)
    assert code == 2 and "--timeout must be a positive number" in output
