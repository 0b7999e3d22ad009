"""Exercises of an instructor's own: the page's section as it is printed, from the first line to a graded class."""

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from coursekit.autograder import package, sandbox
from coursekit.cli import main
from coursekit.exercises import EXERCISES, OWN, get
from coursekit.exercises.base import Case, Exercise
from coursekit.exercises.own import Own
from environments import ROOT, blocks

PAGE = ROOT / "book" / "autograder.md"
(MODULE,) = (lines for language, lines in blocks(PAGE) if language == "python")
COMMANDS = next(lines for language, lines in blocks(PAGE) if not language and "mine/" in lines[0])


def run(line, folder, **environment):
    program, *words = ["sh", "-c", line] if "&&" in line else shlex.split(line)
    known = {"coursekit": [sys.executable, "-m", "coursekit.cli"], "pytest": [sys.executable, "-m", "pytest"]}
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COURSEKIT"))}
    done = subprocess.run([*known.get(program, [program]), *words], cwd=folder, env=clean | environment,
                          capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    (folder / "mine").mkdir()
    (folder / "mine" / "bandits.py").write_text("\n".join(MODULE) + "\n")
    return folder


def test_the_section_is_short():
    assert len(MODULE) + len(COMMANDS) <= 30


@pytest.mark.slow
def test_the_section_runs_as_it_is_printed(place):
    """Then a learner who has answered is graded beside the one whose notebook the section copies."""
    release, check, copy, grade = COMMANDS
    try:
        sandbox.choose("bwrap", package.copy(frozenset()))
    except sandbox.GraderError as error:
        pytest.skip(str(error))
    assert run(release, place)[0] == 0 and (place / "mine/bandits.ipynb").is_file()
    status, output = run(check, place)
    assert status == 0 and "bandit.greedy  0/2  not attempted" in output
    assert run(check, place, COURSEKIT_GRADE="1")[0] == 1
    assert run(copy, place)[0] == 0
    text = (place / "class/book/bandits.ipynb").read_text()
    assert "solution" not in text and "argmax" not in text
    answered = text.replace("raise NotImplementedError", "return max(range(len(values)), key=lambda i: values[i])")
    (place / "submissions" / "ada.ipynb").write_text(answered)
    status, output = run(grade, place)
    assert status == 0, output
    with open(place / "grades/bandits/grades.csv", newline="", encoding="utf-8-sig") as file:
        assert {row["learner"]: row["total"] for row in csv.DictReader(file)} == {"ada": "2", "bob": "0"}
    (place / "class/book/bandits.ipynb").write_text(answered)
    status, output = run("pytest --nbval class/book/bandits.ipynb -p no:cacheprovider", place)
    assert status == 0 and "1 correct" in output, output


@pytest.mark.slow
def test_the_registry_s_tests_know_it(place):
    command = re.search(r"COURSEKIT_EXERCISES=mine (pytest [^`]+)", PAGE.read_text())[1]
    status, output = run(command + " -p no:cacheprovider", ROOT, COURSEKIT_EXERCISES=str(place / "mine"))
    assert status == 0 and int(re.search(r"(\d+) passed", output)[1]) >= 10, output


@pytest.mark.parametrize("module, said", [
    ("\n".join(MODULE), "bandit.greedy td.error"),
    ("import nowhere_to_be_found", "td.error"), ("EXERCISES = [1]", "td.error")], ids=["whole", "import", "list"])
def test_an_installed_package_brings_its_exercises_and_a_broken_one_only_warns(module, said, tmp_path):
    (tmp_path / "ours.py").write_text(module + "\n")
    (tmp_path / "ours-1.0.dist-info").mkdir()
    (tmp_path / "ours-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n")
    (tmp_path / "ours-1.0.dist-info/entry_points.txt").write_text("[coursekit.exercises]\nours = ours\n")
    program = "from coursekit.exercises import EXERCISES as E; print(*({'bandit.greedy', 'td.error'} & {*E}))"
    status, output = run(f'{sys.executable} -c "{program}"', tmp_path, PYTHONPATH=str(tmp_path))
    assert status == 0 and sorted(output.splitlines()[0].split()) == said.split()
    assert ("the installed package ours (ours) are missing, mend or uninstall it" in output) == (said == "td.error")


def made(i, notebook="mine"):
    return Exercise(id=i, notebook=notebook, title="T", function="f", task="", points=1, difficulty="easy",
                    minutes=1, hints=("", ""), cases=lambda seed: [Case("c", {"x": 1})], reference=lambda x: x)


def test_an_id_that_is_taken_is_refused_and_nothing_is_added(tmp_path):
    own = Own(dict(EXERCISES))
    (tmp_path / "m.py").write_text("EXERCISES = []\n")
    module = type("M", (), {"EXERCISES": [made("x.new"), made("gae.weights")]})
    with pytest.raises(ValueError, match="m.py: an exercise is called 'gae.weights' already"):
        own.add(module, tmp_path / "m.py")
    assert "x.new" not in own.exercises and own.fingerprint() == ""


@pytest.mark.parametrize("second, message", [
    ("x.new", "an exercise is called 'x.new' already"),
    ("x.other", "x.new of the same notebook has the function f")])
def test_two_exercises_of_a_module_do_not_replace_each_other(second, message, tmp_path):
    own = Own(dict(EXERCISES))
    with pytest.raises(ValueError, match=message):
        own.add(type("M", (), {"EXERCISES": [made("x.new"), made(second)]}), tmp_path / "m.py")
    assert "x.new" not in own.exercises


@pytest.mark.parametrize("text, message", [
    (None, "no folder of exercises"), ("x = 1\n", "holds no module with a list EXERCISES"),
    ("EXERCISES = [1]\n", "EXERCISES must hold Exercise, got int"),
    ("EXERCISES = []\nimport nowhere_at_all\n", "m.py can't be imported: ModuleNotFoundError")])
def test_a_folder_that_can_t_be_added_is_named(text, message, tmp_path):
    folder = tmp_path / "mine"
    if text:
        folder.mkdir()
        (folder / "m.py").write_text(text)
    with pytest.raises(ValueError, match=message):
        Own(dict(EXERCISES)).add_folder(folder)


def test_grades_depend_on_the_module(tmp_path):
    path, prints = Path(tmp_path, "m.py"), set()
    for text in ("EXERCISES = []\n", "EXERCISES = []  # another\n"):
        path.write_text(text)
        own = Own(dict(EXERCISES))
        own.add_folder(tmp_path)
        prints.add(own.fingerprint())
    assert len(prints) == 2 and "" not in prints


TEXT = "\n".join(MODULE) + "\n"
CASE = 'Case("2 arms", dict(values=np.array([1.0, 2.0])))'


@pytest.fixture
def teach(tmp_path, monkeypatch, capsys):
    """A function: write mine/bandits.py, run a command with a fresh registry, say what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COURSEKIT_EXERCISES", raising=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "submissions").mkdir()

    def teach(line, text=None):
        if text is not None:
            (tmp_path / "mine" / "bandits.py").write_text(text)
        before = dict(EXERCISES)
        for name in ("exercises", "modules", "folders", "files"):
            monkeypatch.setattr(OWN, name, EXERCISES if name == "exercises" else {})
        try:
            status = main(shlex.split(line))
        finally:
            EXERCISES.clear()
            EXERCISES.update(before)
            os.environ.pop("COURSEKIT_EXERCISES", None)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out + err
    return teach


RELEASE = "release class --exercises mine --chapters bandits"
GRADE = "grade submissions --exercises mine --chapters bandits --out grades"


def changed(old, new):
    assert old in TEXT
    return TEXT.replace(old, new)


@pytest.mark.parametrize("text", [
    changed("def greedy(values):\n    return int(np.argmax(values))",
            "BEST = np.argmax\n\n\ndef greedy(values):\n    return int(BEST(values))"),
    changed("def greedy(values):\n    return int(np.argmax(values))",
            "def best(v):\n    return int(np.argmax(v))\n\n\ndef greedy(values):\n    return best(values)"),
    "import math\n" + changed("int(np.argmax(values))", "math.floor(np.argmax(values))"),
], ids=["constant", "helper", "import"])
def test_a_reference_that_needs_its_module_is_refused_and_no_notebook_is_made(text, teach, tmp_path):
    status, said = teach(RELEASE, text)
    assert status == 2 and said.count("\n") == 1, said
    assert "the hidden solution of bandit.greedy fails" in said and "is not defined" in said
    assert "import and define inside it whatever else it uses" in said
    assert not (tmp_path / "mine/bandits.ipynb").exists() and not (tmp_path / "class").exists()


def test_a_notebook_whose_solution_fails_is_refused(teach, tmp_path):
    assert teach(RELEASE, TEXT)[0] == 0
    path = tmp_path / "mine/bandits.ipynb"
    path.write_text(path.read_text().replace("np.argmax(values)", "np.argmin(values)"))
    for line in (RELEASE, GRADE):
        (tmp_path / "submissions/bob.ipynb").write_bytes((tmp_path / "class/book/bandits.ipynb").read_bytes())
        status, said = teach(line)
        assert status == 2 and "the hidden solution of bandit.greedy fails: ✗" in said
        assert "delete bandits.ipynb" in said


SECOND = "reference=greedy), Exercise(id='bandit.second'," + TEXT.split("bandit.greedy\",")[1].replace(
    "greedy_arm", "second_arm")


@pytest.mark.parametrize("text, note", [
    (changed("points=2", "points=5"), "it differs in bandit.greedy (task)"),
    (changed("Its name begins with arg.", "Look for arg."), "it differs in bandit.greedy (task)"),
    (changed("int(np.argmax(values))", "int(np.argsort(values)[-1])"), "it differs in bandit.greedy (solution)"),
    (TEXT.replace("reference=greedy)]\n", SECOND), "it lacks bandit.second"),
], ids=["points", "hint", "answer", "new"])
def test_a_notebook_that_is_older_than_its_module_is_named(text, note, teach):
    assert "is not as its module" not in teach(RELEASE, TEXT)[1]
    for line in (RELEASE, RELEASE + " --force"):
        status, said = teach(line, text)
        assert note in said and "Delete it to have it made anew, or edit both" in said, said


def test_a_notebook_with_an_exercise_that_is_gone_is_named(teach):
    assert teach(RELEASE, TEXT)[0] == 0
    status, said = teach(RELEASE, changed("bandit.greedy", "bandit.other"))
    assert status == 2 and "bandits.ipynb holds a solution of 'bandit.greedy', and no exercise is called so" in said


@pytest.mark.parametrize("old, new, message", [
    ('notebook="bandits"', 'notebook="02_gae"', "notebook '02_gae' is a chapter of the course; give yours a name"),
    ('notebook="bandits"', 'notebook="bandits.ipynb"', "notebook must be the name of a notebook without its"),
    ('hints=("Which function of numpy gives a place and not a value?", "Its name begins with arg.")',
     'hints="Look."', "hints must be two texts, as in hints=(\"first\", \"second\"); got 'Look.'"),
    ('"easy"', '"simple"', "difficulty must be one of easy, medium, hard; got 'simple'"),
    ("points=2", "points=0", "points must be a whole number from 1; got '0'"),
    ("minutes=3", "minutes='three'", "minutes must be a number above 0; got 'three'"),
    ("cases=lambda seed:", "cases=lambda:", "cases(0) raises TypeError"),
    ("(2, 3, 5, 8)", "()", "cases(0) gives an empty list; cases takes a seed and returns a list of Case"),
    ("Case(f\"{k} arms\", dict(values=", "(k, dict(values=", "cases(0) gives list [(2, {'values'"),
    ("np.argmax(values)", "np.argmax(valves)", "reference raises NameError: name 'valves' is not defined, on the"),
    ("int(np.argmax(values))", "{'arm': 1}", "reference returns dict {'arm': 1}, which can't be compared"),
    ("int(np.argmax(values))", "None", "reference returns None, which can't be compared")])
def test_an_exercise_that_can_t_be_set_is_named_in_one_line(old, new, message, teach, tmp_path):
    assert teach(RELEASE, TEXT)[0] == 0
    (tmp_path / "submissions/bob.ipynb").write_bytes((tmp_path / "class/book/bandits.ipynb").read_bytes())
    for line in (RELEASE, GRADE, "check --exercises mine mine/bandits.ipynb"):
        status, said = teach(line, changed(old, new))
        assert status == 2 and message in said and "bandit.greedy" in said and said.count("\n") == 1, (line, said)


@pytest.mark.parametrize("cases, note", [
    (f"cases=lambda seed: [{CASE}]", "the hidden cases are those that `check` shows"),
    ('cases=lambda seed: [Case("2", dict(values=np.random.default_rng().normal(size=2)))]',
     "cases gives others each time it is called")])
def test_cases_that_ignore_their_seed_are_named(cases, note, teach):
    start, end = TEXT.index("cases="), TEXT.index(",\n    reference")
    status, said = teach(RELEASE, TEXT[:start] + cases + TEXT[end:])
    assert status == 0 and f"bandits.py: bandit.greedy: {note}" in said


def test_a_notebook_away_from_its_exercises_names_their_folder(teach, tmp_path):
    assert teach(RELEASE, TEXT)[0] == 0
    (tmp_path / "class/book/bandits.ipynb").rename(tmp_path / "bandits.ipynb")
    status, said = teach("check bandits.ipynb")
    assert status == 2 and "no exercise is called bandit.greedy" in said
    assert "`exercises` beside it, or name that with --exercises" in said
    with pytest.raises(ValueError, match="moved away from its folder `exercises`"):
        get("bandit.greedy")
