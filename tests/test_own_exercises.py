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
from coursekit.exercises import EXERCISES
from coursekit.exercises.base import Case, Exercise
from coursekit.exercises.own import Own
from environments import ROOT, blocks

PAGE = ROOT / "book" / "autograder.md"
(MODULE,) = (lines for language, lines in blocks(PAGE) if language == "python")
COMMANDS = next(lines for language, lines in blocks(PAGE) if not language and "mine/" in lines[0])


def run(line, folder, **environment):
    program, *words = shlex.split(line)
    known = {"coursekit": [sys.executable, "-m", "coursekit.cli"], "pytest": [sys.executable, "-m", "pytest"]}
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COURSEKIT"))}
    done = subprocess.run([*known.get(program, [program]), *words], cwd=folder, env=clean | environment,
                          capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    (folder / "mine").mkdir()
    (folder / "submissions").mkdir()
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
