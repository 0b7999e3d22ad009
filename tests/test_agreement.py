"""One verdict, four ways: `check` in the notebook, `coursekit check`, `pytest --nbval` and `grade` agree.

    COURSEKIT_NOTEBOOKS=300 pytest tests/test_agreement.py -k four_ways      # so many made notebooks
"""

import json
import os
import random
import re
import subprocess
import sys

import pytest

from coursekit.autograder import package, sandbox, submission
from coursekit.autograder.book import answers, cells, chapter, chapters, role
from coursekit.autograder.check import MIME
from coursekit.autograder.notebook import Kernel, Notebook
from coursekit.autograder.reader import File, chapters_name
from coursekit.exercises import get
from page_answers import ANSWERS

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("COURSEKIT_NOTEBOOKS", "3"))
BOOK = {name: path for name, path in chapters().items() if "torch" not in chapter(path).imports}
GAE = answers(BOOK["02_gae"])
SPELLINGS = [  # what a notebook may hold around an answer
    lambda s: s,
    lambda s: "%%time\n" + s.lstrip("\n"),
    lambda s: "\n".join("    " + line for line in s.split("\n")),
    lambda s: f"np.arange?\n{s}",
    lambda s: f"files = !echo a b\n{s}\n!echo one \\\n  two",
    lambda s: f"here = %pwd\n{s}\nif here:\n    %pwd",
    lambda s: f"time = %timeit -n1 -r1 -q -o 1\n{s}",
    lambda s: f"import asyncio\nawait asyncio.sleep(0)\n{s}",
    lambda s: f"get_ipython().run_line_magic('pwd', '')\nIn, Out\n{s}",
    lambda s: f"def with_magic():\n    %time\n    return 1\n{s}\nwith_magic();",
    lambda s: f"from __future__ import annotations\n{s}",
    lambda s: f"print('before')\ninput = lambda *_: ''\n{s}\ndisplay(1)",
]


def code(source, **mark):
    return {"cell_type": "code", "metadata": {"coursekit": mark} if mark else {}, "source": source, "outputs": [],
            "execution_count": None}


def made(rng):
    """A notebook with some of a chapter's exercises answered, rightly or wrongly, in one of many forms."""
    path = rng.choice(list(BOOK.values()))
    found, own = [c for c in cells(path) if role(c) == "imports"], answers(path)
    for cell in (c for c in cells(path) if role(c) == "stub"):
        exercise = get(cell["metadata"]["coursekit"]["exercise"])
        check = f'check("{exercise.id}", {exercise.function})'
        shape = rng.randrange(7)
        source = rng.choice(SPELLINGS)(rng.choice([own[exercise.id], *ANSWERS.get(exercise.id, ())]))
        mark, at_stub = dict(exercise=exercise.id, role="check"), dict(exercise=exercise.id, role="stub")
        stub, answer = code(cell["source"], **at_stub), code(source, **at_stub)
        if shape == 0:  # not attempted
            found += [stub, code(check, **mark)]
        elif shape == 1:  # in a cell of its own, the stub before it
            found += [stub, code(source), code(check, **mark)]
        elif shape == 2:  # all metadata lost
            found += [code(source), code(check)]
        elif shape == 3:  # another name
            name = f"my_{exercise.function}"
            renamed = re.sub(rf"\b{exercise.function}\b", name, source)
            found += [code(renamed, **at_stub),
                      code(check.replace(f" {exercise.function})", f" {name})"), **mark)]
        elif shape == 4:  # after a cell that fails, and removed afterwards
            found += [code("1 / 0"), answer, code(check, **mark), code(f"del {exercise.function}")]
        elif shape == 5:  # twice, the answer last
            found += [code(f"def {exercise.function}(*a):\n    return None"), answer, code(check, **mark)]
        else:
            found += [answer, code(check, **mark)]
    for number, cell in enumerate(found):
        cell["id"] = f"cell-{number}"
    return path, {"cells": found, "metadata": {"coursekit": {"notebook": path.stem}}, "nbformat": 4,
                  "nbformat_minor": 5}


def in_the_notebook(path):
    """The points that `check` shows where every cell is run, from top to bottom."""
    points, kernel = {}, Kernel(path.parent)
    try:
        for cell in json.loads(path.read_text())["cells"]:
            asked, _ = kernel.run(cell["source"], 60)
            points |= {verdict["exercise"]: verdict["points"] for verdict in kernel.verdicts(asked)}
    finally:
        kernel.stop()
    return points


def by_the_command(path):
    with Notebook(path, 60) as notebook:
        return {v["exercise"]: v["points"] for v in (notebook.verdict(*check) for check in notebook.checks())}


def by_nbval(paths):
    """{path: points} of one run of pytest."""
    folder = paths[0].parent
    (folder / "conftest.py").write_text(
        "import json\ndef pytest_runtest_logreport(report):\n    for key, found in report.user_properties:\n"
        "        if key == 'coursekit' and report.when == 'call':\n"
        f"            with open({str(folder / 'said')!r}, 'a') as file:\n"
        "                file.write(json.dumps([report.nodeid.split('::')[0], found]) + '\\n')\n")
    done = subprocess.run([sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider",
                           *(p.name for p in paths)], cwd=folder, capture_output=True, text=True)
    points = {path: {} for path in paths}
    for line in (folder / "said").read_text().splitlines():
        name, found = json.loads(line)
        points[folder / name][found["exercise"]] = found["points"]
    return points, done.stdout


@pytest.fixture(scope="module")
def graded():
    """A function that grades the text of a notebook, in forks of one sandbox for each chapter."""
    books = {name: chapter(path) for name, path in BOOK.items()}
    try:
        isolation = sandbox.choose("bwrap", package.copy(frozenset()))
    except sandbox.GraderError as error:
        pytest.skip(str(error))
    pools = {}

    def grade(text, name="02_gae", modules=(), **limits):
        settings = submission.Settings((books[name],), 7, isolation, sandbox.Limits(**limits), submission.version())
        pool = pools.setdefault(repr(limits), settings.pool())
        return submission.grade_submission([File("a.ipynb", text.encode(), None, modules)], settings, pool)
    yield grade
    for pool in pools.values():
        pool.close()


def test_four_ways_give_the_same_points(tmp_path, graded):
    notebooks = {}
    for number in range(COUNT):
        path, notebook = made(random.Random(number))
        (tmp_path / f"n{number}.ipynb").write_text(json.dumps(notebook))
        notebooks[tmp_path / f"n{number}.ipynb"] = path.stem
    nbval, said = by_nbval(list(notebooks))
    assert any(points for by_id in nbval.values() for points in by_id.values()), said
    wrong = []
    for path, name in notebooks.items():
        record = graded(path.read_text(), name)
        assert record.status == "graded", record
        by_grade = {i: v.points for i, v in record.exercises.items()}
        for i, verdict in record.exercises.items():  # wrong, and found by the hidden cases only
            if "right on every case that `check` shows" in verdict.lines[0]:
                by_grade[i] = get(i).points
        ways = dict(notebook=in_the_notebook(path), command=by_the_command(path), nbval=nbval[path], grade=by_grade)
        for i in by_grade:
            if len({ways[way].get(i, 0) for way in ways}) > 1:
                wrong.append((path.name, i, {way: ways[way].get(i) for way in ways}))
    assert wrong == []


def notebook_of(*sources):
    imports = next(c for c in cells(BOOK["02_gae"]) if role(c) == "imports")
    checks = [code(f'check("{i}", {get(i).function})') for i in GAE]
    return json.dumps({"cells": [imports, *map(code, sources), *checks], "metadata": {}, "nbformat": 4,
                       "nbformat_minor": 5})


def around(before="", after="", change=lambda source: source):
    """All answers; those to gae.weights with something before and after it in its cell."""
    return [f"{before}\n{change(s)}\n{after}" if i == "gae.weights" else s for i, s in GAE.items()]


HONEST = {  # right answers, and what once cost them points
    "names overwritten later": [*GAE.values()],
    "a cell that runs on after its answer": around(after="import time\ntime.sleep(60)"),
    "a cell that ends its process after its answer": around(after="import os\nos._exit(0)"),
    "compared with the library first": around("f, one = np.zeros(1, bool), np.ones(1)\n"
                                              "gae(one, one, one, f, f, gamma=1, lam=1)"),
    "the user's name": around("import getpass\ngetpass.getuser()"),
    "a class that is pickled": around("import pickle\nclass A: pass\npickle.loads(pickle.dumps(A()))"),
    "a source that is read": around("import inspect\ndef one(): pass\ninspect.getsource(one)"),
    "types that are looked up": around("import typing\ndef one(x: 'int'): pass\ntyping.get_type_hints(one)"),
    "a file that only the learner has": around("open('mine.csv')"),
    "a package that only the learner has": around("import a_package_of_mine"),
    "twenty threads": around("import threading, time\nts = [threading.Thread(target=time.sleep, args=(0.2,)) "
                             "for _ in range(20)]\n[t.start() for t in ts]\n[t.join() for t in ts]"),
    "a pool of processes": around("import multiprocessing\nwith multiprocessing.get_context('fork').Pool(4) as p: "
                                  "p.map(abs, range(9))"),
    "a drive that only Colab has": around("from google.colab import drive\ndrive.mount('/content/drive')\n"
                                          "%cd /content/drive/MyDrive\n!pip install -q numpy"),
    "a table that only Kaggle has": around("rows = open('/kaggle/input/x.csv').read()\nprint(rows[:9])"),
    "a package that only Kaggle has, in every cell": [f"{line}\n{source}" for line, source in zip(
        ["import kaggle_only as pd", "df = pd.read('x')", *["print(df)"] * len(GAE)], GAE.values())],
    "a magic of another package": around("%%memit -r 1"),
    "a question to the user": around("n = int(input('n? '))\nprint(n + 1)"),
    "a window that nobody sees": around("%matplotlib widget\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\n"
                                        "plt.show()"),
    "one name in two meanings": [f"helper = {k}\n{s}".replace("):\n", f"):\n    assert helper == {k}\n", 1)
                                 for k, s in enumerate(GAE.values())],
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_learners_lose_nothing(name, graded):
    imports = next(c for c in cells(BOOK["02_gae"]) if role(c) == "imports")
    found = [imports]
    for i, source in zip(GAE, HONEST[name]):
        found += [code(source), code(f'check("{i}", {get(i).function})')]
        if name == "names overwritten later":
            found.append(code(f"{get(i).function} = {get(i).function}\ndel {get(i).function}"))
    if name == "names overwritten later":
        found.append(code("sum = 0\nfor np in range(3): pass"))
    record = graded(json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), call=2)
    assert record.points == record.possible, record


def cells_of(answers=GAE, imports=True):
    """Imports and, for each answer, a stub with it and its check: a list of cells, to be changed."""
    found = [c for c in cells(BOOK["02_gae"]) if role(c) == "imports"] * imports
    for i, source in answers.items():
        found += [code(source.strip("\n"), exercise=i, role="stub"),
                  code(f'check("{i}", {get(i).function})', exercise=i, role="check")]
    return found


def merged(found, *numbers):
    """All of these cells in the first of them."""
    found[numbers[0]]["source"] = "\n\n".join(found[n]["source"] for n in numbers)
    return [c for n, c in enumerate(found) if n not in numbers[1:]]


def in_the_cells_of_checks(found):
    found[-1]["source"] = "assert len(mixture_weights(0.5, 3)) == 3\n" + found[-1]["source"]
    for stub, check in zip(found[1::2], found[2::2]):
        check["source"] = f"{stub['source']}\n\n{check['source']}"
    return found[:1] + found[2::2]


def split_from_the_cell_of_a_check(found):
    for stub, check in zip(found[1::2], found[2::2]):
        stub["metadata"] = check["metadata"]  # both halves keep it
    return found


def in_a_cell_of_the_chapter(found):
    found[1]["metadata"] = {"coursekit": {"role": "chapter"}}
    found[3]["source"] = found[3]["source"].replace("def gae_recursion", "def mine")
    found.insert(4, code("gae_recursion = mine", role="chapter"))
    return found


def with_a_check_pasted_and_edited(found):
    found.insert(5, code(found[4]["source"], **found[2]["metadata"]["coursekit"]))
    return found


def with_a_check_in_another_spelling(found):
    for n, spelling in ((2, "verdict = {}"), (4, "import coursekit.autograder as ag\nag.{}")):
        found[n] = code(spelling.format(found[n]["source"]))
    return found


def with_another_end_of_line(found):
    """And without metadata: which cells are the book's is seen by their text."""
    chapter_cells = [c for c in cells(BOOK["02_gae"]) if role(c) == "chapter" and c["cell_type"] == "code"]
    return [code(c["source"].replace("\n", "\r\n")) for c in found[:1] + chapter_cells + found[1:]]


SHAPES = {
    "two exercises in one cell": lambda found: merged(found, 1, 2, 3, 4),
    "all in one cell": lambda found: merged(found, *range(len(found))),
    "all checks in one cell": lambda found: merged(found, *range(2, len(found), 2)),
    "checks before answers": lambda found: found[:1] + found[2::2] + found[1::2],
    "imports last": lambda found: found[1:] + found[:1],
    "backwards": lambda found: found[::-1],
} | {change.__name__.replace("_", " "): change for change in (
    in_the_cells_of_checks, split_from_the_cell_of_a_check, in_a_cell_of_the_chapter,
    with_a_check_pasted_and_edited, with_a_check_in_another_spelling, with_another_end_of_line)}


@pytest.mark.parametrize("name", SHAPES)
def test_whatever_shape_the_cells_have_right_answers_get_full_marks(name, tmp_path, graded):
    found = SHAPES[name](cells_of())
    if name == "all checks in one cell":
        found.append(found.pop(2))
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    points = {i: get(i).points for i in GAE}
    assert by_the_command(path) == points
    record = graded(path.read_text())
    assert {i: v.points for i, v in record.exercises.items()} == points, record


@pytest.mark.parametrize("kind", ["markdown", "raw"])
@pytest.mark.parametrize("metadata", ["kept", "lost"])
@pytest.mark.parametrize("stub", ["gone", "untouched"])
def test_an_answer_in_a_cell_that_does_not_run_is_named(kind, metadata, stub, tmp_path, graded):
    found = cells_of()
    found[3]["cell_type"] = kind
    if kind == "markdown":
        found[3]["source"] = f"My answer:\n```python\n{found[3]['source']}\n```"
    if stub == "untouched":
        empty = next(c for c in cells(BOOK["02_gae"]) if c["source"].startswith("def gae_recursion("))
        found.insert(4, code(empty["source"], exercise="gae.recursion", role="stub"))
    for cell in found:
        cell["metadata"] = cell["metadata"] if metadata == "kept" else {}
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    reason = (f"its answer is in a {kind} cell, and only code cells are run: change the type of that cell to Code")
    with Notebook(path, 60) as notebook:
        told = {v["exercise"]: v for v in (notebook.verdict(*check) for check in notebook.checks())}
    record = graded(path.read_text())
    assert told["gae.recursion"]["status"] == "wrong" and told["gae.recursion"]["lines"] == [reason]
    assert record.exercises["gae.recursion"].lines == (f"{reason}, and hand it in again",)
    assert record.flags == [f"gae.recursion: {reason}"]
    others = record.possible - get("gae.recursion").points
    assert record.points == others == sum(v["points"] for v in told.values())


def test_an_answer_in_an_output_is_named(tmp_path, graded):
    found = cells_of()
    found[3] |= {"source": "", "outputs": [{"output_type": "stream", "name": "stdout", "text": found[3]["source"]}]}
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    reason = "its answer is in the output of a cell, and only code is run: put it into the cell itself"
    with Notebook(path, 60) as notebook:
        told = {v["exercise"]: v for v in (notebook.verdict(*check) for check in notebook.checks())}
    assert told["gae.recursion"]["lines"] == [reason]
    assert graded(path.read_text()).flags == [f"gae.recursion: {reason}"]


def test_a_function_of_the_chapter_that_an_answer_needs_is_named(tmp_path, graded):
    """The notebook has it, a grader runs the chapter's imports and the learner's own cells."""
    function = "def helper_of_the_chapter(x):\n    return x"
    found = cells_of(GAE | {"gae.recursion": "def gae_recursion(*a):\n    return helper_of_the_chapter(a)"})
    found.insert(1, code(function, role="chapter"))
    path, book = tmp_path / "n.ipynb", chapter(BOOK["02_gae"])
    path.write_text(json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    with Notebook(path, 60) as notebook:
        told = {v["exercise"]: v for v in (notebook.verdict(*check) for check in notebook.checks())}
    way_out = "a cell of the chapter gives it, and these are not run while grading: copy it into your own cell"
    assert told["gae.recursion"]["lines"][2].endswith(f"{way_out}")
    other = "NameError: name 'gae_recursion' is not defined"
    assert not chapters_name(other, ["x = gae_recursion(1)", "print(gae_recursion == 1)"])
    given = next(name for name in re.findall(r"^def (\w+)", "\n".join(book.book), re.M)
                 if name not in {get(i).function for i in GAE} and not name.endswith("_solution"))
    source = f"def gae_recursion(*a):\n    return {given}(*a)"
    record = graded(notebook_of(*[source if i == "gae.recursion" else s for i, s in GAE.items()]))
    assert record.exercises["gae.recursion"].lines[2].endswith(f"'{given}' is not defined (your line 2); {way_out}")


def test_a_check_in_a_cell_that_does_not_run_is_named(tmp_path):
    found = cells_of({"gae.weights": GAE["gae.weights"]})
    found[2]["cell_type"] = "markdown"
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": found, "metadata": {}, "nbformat": 4,
                                                  "nbformat_minor": 5}))
    with Notebook(tmp_path / "n.ipynb", 60) as notebook:
        told = [notebook.verdict(*check)["lines"] for check in notebook.checks()]
    assert told[0] == ["its check is in a markdown cell: change the type of that cell to Code"]


def test_an_exercise_that_the_course_does_not_have_is_named(graded):
    """As in a notebook of another edition."""
    found = cells_of()
    found[3]["source"] = found[3]["source"].replace("gae_recursion", "gae_backwards")
    found[4] = code('check("gae.backwards", gae_backwards)', exercise="gae.backwards", role="check")
    record = graded(json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    assert record.flags == ["a.ipynb: no exercise is called gae.backwards; is the notebook of another edition of "
                            "the course?"]


@pytest.mark.parametrize("source", ["%run answers.py", "%run -i answers", "from answers import *",
                                    "import os, answers\ngae_recursion = answers.gae_recursion",
                                    "exec(open('answers.py').read())"])
@pytest.mark.parametrize("where", ["beside the notebook", "written by a cell"])
def test_a_script_of_the_learner_s_is_found(source, where, graded):
    script = f"import numpy as np\n{GAE['gae.recursion']}"
    found = cells_of(GAE | {"gae.recursion": source})
    if where == "written by a cell":
        found[1:1] = [code("%%writefile answers.py\nimport numpy as np\n"),
                      code(f"%%writefile -a answers.py\n{GAE['gae.recursion']}")]
    record = graded(json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), modules=(
        (("answers", script),) if where == "beside the notebook" else ()))
    assert record.points == record.possible, record


def test_a_chapters_names_are_there_where_an_answer_uses_them(graded, monkeypatch):
    """`torch`, imported by a later cell of the chapter, and a constant of one: as in the notebook."""
    book = chapter(BOOK["02_gae"])
    given = [source for source in book.book if re.search(r"^\w+(, \w+)* = [\d.]+(, [\d.]+)*$", source, re.M)]
    assert given, "no cell of the chapter names a number"
    name = re.search(r"^(\w+)(?:, \w+)* = [\d.]", given[0], re.M)[1]
    text = notebook_of(*around(change=lambda s: s.replace("):\n", f"):\n    {name} + 0\n", 1)))
    assert graded(text).points == sum(get(i).points for i in GAE)


def test_what_a_notebook_says_of_its_points_is_not_believed(tmp_path):
    """A forged output claims 6000 of 18 points; a forged verdict is one on another exercise."""
    forged = {"exercise": "gae.weights", "status": "wrong", "passed": 9, "cases": 9, "points": 6000, "possible": 18,
              "misconception": None, "lines": ["\x1b[31mx"]}
    for status, exercise, points in (("wrong", "gae.weights", 0), ("correct", "gae.weights", 1),
                                     ("correct", "gae.recursion", 0), ("best", "gae.weights", 0)):
        claim = forged | {"status": status, "exercise": exercise}
        send = f"""from IPython.display import display
def check(*_):
    display({{"text/plain": "x", {MIME!r}: {claim!r}}}, raw=True)
check("gae.weights", None)"""
        path = tmp_path / "a.ipynb"
        path.write_text(json.dumps({"cells": [code(send, exercise="gae.weights", role="check")], "metadata": {},
                                    "nbformat": 4, "nbformat_minor": 5}))
        with Notebook(path, 60) as notebook:
            found = {v["exercise"]: v for v in (notebook.verdict(*check) for check in notebook.checks())}
        assert found["gae.weights"]["points"] == points and found["gae.weights"]["possible"] == 1
        assert sum(v["points"] for v in found.values()) == points
        assert not any("\x1b" in line for v in found.values() for line in v["lines"])
