"""The autograder as a learner meets it: real `pytest --nbval` processes on copies of the chapters."""

import re
import time

import nbformat
import numpy as np
import pytest

from coursekit.autograder.check import WrongAnswerError, call, check
from coursekit.autograder.check import grade as judged
from coursekit.exercises import EXERCISES, get
from notebooks import exercises_only, grade, mark, run, solution

pytestmark = pytest.mark.slow

GAE = [e.id for e in EXERCISES.values() if e.notebook == "02_gae"]
POINTS = sum(get(i).points for i in GAE)
LEAK = """
def gae_recursion(rewards, values, next_values, terminated, truncated, gamma, lam):
    out, following = [], 0.0
    for t in reversed(range(len(rewards))):
        future = 0.0 if terminated[t] else next_values[t]
        following = (rewards[t] + gamma * future - values[t]
                     + gamma * lam * following * (not terminated[t]))
        out.append(following)
    return out[::-1]
"""
DEATH = """
def lambda_return(rewards, next_values, terminated, truncated, gamma, lam):
    out, following = [], next_values[-1]
    for t in reversed(range(len(rewards))):
        future = 0.0 if terminated[t] or truncated[t] else next_values[t]
        following = future if terminated[t] or truncated[t] else following
        following = rewards[t] + gamma * ((1 - lam) * future + lam * following)
        out.append(following)
    return out[::-1]
"""
TD = {"td.error": """
def td_error(rewards, values, next_values, terminated, gamma):
    return rewards + gamma * next_values - values
""", "td.bootstrap": """
def bootstrap(next_values, terminated, truncated):
    return np.where(terminated | truncated, 0.0, next_values)
"""}


def name_of(exercise, source):
    """The name that our own judge has for an answer."""
    names = {"np": np}
    exec(source, names)
    return judged(get(exercise), names[get(exercise).function]).misconception


def statuses(output):
    """{item: PASSED, SKIPPED or FAILED} from pytest -v."""
    return dict(re.findall(r"::(\S+) (PASSED|SKIPPED|FAILED)", output))


def test_as_shipped_every_exercise_is_reported_not_attempted(tmp_path):
    code, output = grade(exercises_only("02_gae"), tmp_path)
    found = statuses(output)
    assert code == 0, output
    assert all(found[i] == "SKIPPED" for i in GAE)
    assert f"not attempted: {', '.join(GAE)}" in output
    assert f"exercises: 0 correct, 0 wrong, {len(GAE)} not attempted, 0/{POINTS} points" in output


def test_cleared_or_saved_unsolved_outputs_change_nothing(tmp_path):
    cleared = exercises_only("02_gae")
    for cell in cleared.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    saved = exercises_only("02_gae", {"gae.recursion": LEAK})
    for cell in saved.cells:  # the wrong answer was run and saved, as Jupyter does
        if mark(cell).get("role") == "check":
            cell.outputs = [nbformat.v4.new_output("display_data", {"text/plain": "✓ all fine"})]
    code, output = grade(cleared, tmp_path)
    assert code == 0 and f"{len(GAE)} not attempted" in output
    code, output = grade(saved, tmp_path)
    assert code == 1 and statuses(output)["gae.recursion"] == "FAILED"


def test_right_answers_pass_and_count_and_wrong_ones_are_named(tmp_path):
    answers = {i: solution("02_gae", i) for i in ("gae.weights", "gae.targets")}
    answers |= {"gae.recursion": LEAK, "gae.lambda_return": DEATH}
    code, output = grade(exercises_only("02_gae", answers), tmp_path)
    found = statuses(output)
    assert code == 1
    assert found["gae.weights"] == found["gae.targets"] == "PASSED"
    assert found["gae.recursion"] == found["gae.lambda_return"] == "FAILED"
    assert f"This is {name_of('gae.recursion', LEAK)}." in output
    assert f"This is {name_of('gae.lambda_return', DEATH)}." in output
    assert f"exercises: 2 correct, 2 wrong, {len(GAE) - 4} not attempted, 3/{POINTS} points" in output
    told = re.search(r"_ gae.recursion in 02_gae.ipynb _+\n(.*?)\n(_{5}|-{5})", output, re.S)[1]
    assert len(told.splitlines()) == 4, output


def test_the_mistakes_of_chapter_1_are_named(tmp_path):
    code, output = grade(exercises_only("01_td_vs_mc", TD), tmp_path, name="01_td_vs_mc")
    assert code == 1
    assert all(f"This is {name_of(i, source)}." in output for i, source in TD.items())


def test_without_the_plugin_nbval_still_fails_a_wrong_answer(tmp_path):
    code, output = grade(exercises_only("02_gae", {"gae.recursion": LEAK}), tmp_path,
                         "-p", "no:coursekit", "--nbval-current-env")
    assert code == 1 and f"This is {name_of('gae.recursion', LEAK)}" in output


def test_grading_turns_not_attempted_into_failed(tmp_path):
    code, output = grade(exercises_only("02_gae", {"gae.weights": solution("02_gae", "gae.weights")}),
                         tmp_path, COURSEKIT_GRADE="1")
    found = statuses(output)
    assert code == 1 and found["gae.weights"] == "PASSED"
    assert all(found[i] == "FAILED" for i in GAE if i != "gae.weights")


ACCIDENTS = {
    "a loop in the function": ("def gae_recursion(*inputs):\n    while True: pass", "no answer within 20 s"),
    "a loop in the cell": ("while True: pass", "does not end: stopped after 8 s"),
    "a loop that swallows interrupts": ("while True:\n    try:\n        while True: pass\n"
                                        "    except BaseException: pass", "does not end: stopped after 8 s"),
    "sys.exit": ("import sys\ndef gae_recursion(*inputs):\n    sys.exit()", "SystemExit"),
    "sys.exit in the cell": ("import sys\nsys.exit()", "raises SystemExit"),
    "os._exit": ("import os\ndef gae_recursion(*inputs):\n    os._exit(0)", "killed the kernel"),
    "os._exit in the cell": ("import os\nos._exit(0)", "killed the kernel"),
    "a syntax error": ("def gae_recursion(*inputs)\n    return 1", "raises SyntaxError: expected ':' (line 1)"),
    "a question to the user": ("n = input('n? ')\ndef gae_recursion(*inputs):\n    return n",
                               "its cell asks the user with input(), and nobody answers here"),
    "a misspelled name": ("def gae_recursion(*inputs):\n    return reward", "NameError: name 'reward'"),
    "the stub's name gone": ("def recursion(*inputs):\n    return 1", "name 'gae_recursion' is not defined"),
}


@pytest.mark.parametrize("source, message", ACCIDENTS.values(), ids=ACCIDENTS)
def test_an_accident_costs_its_own_exercise_only(source, message, tmp_path):
    answers = {"gae.recursion": source, "gae.targets": solution("02_gae", "gae.targets"),
               "gae.weights": solution("02_gae", "gae.weights")}
    timeout = "60" if message.startswith("no answer") else "8"
    begin = time.monotonic()
    code, output = grade(exercises_only("02_gae", answers), tmp_path, "--nbval-cell-timeout", timeout)
    found = statuses(output)
    assert code == 1 and found["gae.recursion"] == "FAILED", output
    assert found["gae.weights"] == found["gae.targets"] == "PASSED", output
    assert found["gae.best_lambda"] == "SKIPPED"
    reason = [line for line in output.splitlines() if message in line]
    assert reason and len(reason[0]) < 160, output
    assert time.monotonic() - begin < 60


def test_a_deleted_check_is_wrong_not_absent(tmp_path):
    kept = exercises_only("02_gae", keep=lambda c: mark(c) != {"exercise": "gae.targets", "role": "check"})
    code, output = grade(kept, tmp_path)
    assert code == 1 and statuses(output)["gae.targets"] == "FAILED"
    assert 'put it back: check("gae.targets", targets)' in output


def test_stripped_metadata_still_grades(tmp_path):
    notebook = exercises_only("02_gae", {"gae.weights": solution("02_gae", "gae.weights"), "gae.recursion": LEAK})
    for cell in notebook.cells:
        cell.metadata.clear()
    code, output = grade(notebook, tmp_path)
    assert code == 1 and f"1 correct, 1 wrong, {len(GAE) - 2} not attempted" in output


def test_one_exercise_alone_is_graded_by_replay(tmp_path):
    code, output = grade(exercises_only("02_gae", {"gae.recursion": solution("02_gae", "gae.recursion")}),
                         tmp_path, "-k", "gae.recursion and not stub and not solution")
    assert code == 0 and statuses(output) == {"gae.recursion": "PASSED"}


def test_two_workers_keep_a_notebook_together(tmp_path):
    code, output = grade(exercises_only("02_gae", {"gae.weights": solution("02_gae", "gae.weights")}),
                         tmp_path, "-n", "2")
    assert code == 0, output
    assert f"exercises: 1 correct, 0 wrong, {len(GAE) - 1} not attempted, 1/{POINTS} points" in output


def test_the_command_gives_the_same_verdicts_as_a_table(tmp_path):
    answers = {"gae.weights": solution("02_gae", "gae.weights"), "gae.recursion": LEAK,
               "gae.targets": "def targets(advantages, values)\n    return 1"}
    nbformat.write(exercises_only("02_gae", answers), tmp_path / "02_gae.ipynb")
    code, output = run(["coursekit.cli", "check", "02_gae.ipynb"], folder=tmp_path)
    assert code == 1
    assert re.search(r"✓ gae.weights +1/1  correct", output), output
    assert re.search(rf"✗ gae.recursion +0/3  wrong\n.*This is {name_of('gae.recursion', LEAK)}", output, re.S)
    assert "its cell raises SyntaxError: expected ':' (line 1)" in output
    count = f"1 correct, 2 wrong, {len(GAE) - 3} not attempted, 1/{POINTS} points"
    assert output.rstrip().endswith(f"exercises: {count}")


def test_the_command_needs_no_pytest_and_no_unix(tmp_path):
    """As on a learner's Windows: no pytest, no nbval, no nbformat, and none of the modules and flags of Unix."""
    for name in ("pytest", "nbval", "nbformat", "resource"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name}', name='{name}')")
    less = "import os, signal\ndel os.O_NOFOLLOW, os.O_NONBLOCK, signal.SIGALRM"
    (tmp_path / "sitecustomize.py").write_text(less)
    notebook = exercises_only("02_gae", {"gae.recursion": LEAK, "gae.targets": "import os\nos._exit(0)"})
    nbformat.write(notebook, tmp_path / "02_gae.ipynb")
    code, output = run(["coursekit.cli", "check", "02_gae.ipynb"], folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert code == 1 and f"This is {name_of('gae.recursion', LEAK)}" in output, output
    assert "its cell killed the kernel" in output, output
    assert f"0 correct, 2 wrong, {len(GAE) - 2} not attempted" in output, output


@pytest.mark.parametrize("content, message", [
    (None, "no notebook at lost.ipynb"), ("", "can't be graded"), ("{", "can't be graded"),
    ('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "holds no exercises"),
])
def test_the_command_says_what_it_cannot_grade(content, message, tmp_path):
    if content is not None:
        (tmp_path / "lost.ipynb").write_text(content)
    code, output = run(["coursekit.cli", "check", "lost.ipynb"], folder=tmp_path)
    assert code == 2 and message in output
    assert "Traceback" not in output and len(output.strip().splitlines()) <= 2


def test_check_never_raises_on_an_answer_in_jupyter(monkeypatch, capsys):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    check("gae.weights", lambda lam, steps: 1 / 0)
    assert "✗ gae.weights: 0 of 6 cases" in (text := capsys.readouterr().out)
    assert "ZeroDivisionError: division by zero" in text


class Untellable(BaseException):
    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("error, text", [
    (Untellable(), "Untellable: (its text can't be shown)"), (GeneratorExit(), "GeneratorExit: "),
    (SystemExit(3), "SystemExit: 3"), (RecursionError("deep\nand deeper"), "RecursionError: deep")])
def test_whatever_an_answer_raises_is_told_in_a_line(error, text, monkeypatch, capsys):
    def answer(lam, steps):
        raise error
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    check("gae.weights", answer)
    assert f"got      {text}" in capsys.readouterr().out


def test_check_raises_under_pytest(capsys):
    with pytest.raises(WrongAnswerError, match="0 of 6 cases"):
        check("gae.weights", lambda lam, steps: None)


def not_ready(*inputs):
    raise NotImplementedError


def half_ready(lam, steps):
    if lam > 0.5:
        raise NotImplementedError
    return [1.0] * steps


def calls_not_ready(*inputs):
    return not_ready(*inputs)


class MoreThanNotImplementedError(NotImplementedError):
    pass


def raises_a_relative(*inputs):
    raise MoreThanNotImplementedError


@pytest.mark.parametrize("answer, attempted", [
    (not_ready, False), (half_ready, True), (calls_not_ready, True), (raises_a_relative, True)])
def test_not_attempted_means_the_stub_and_nothing_else(answer, attempted, capsys):
    try:
        check("gae.weights", answer)
    except WrongAnswerError:
        pass
    assert ("not attempted" in capsys.readouterr().out) is not attempted


class BrokenRepr:
    def __repr__(self):
        raise RuntimeError("no")


SELF = []
SELF += [SELF] * 4  # numpy would take 4^64 steps to look into it


class EqualToEverything:
    def __eq__(self, other):
        return True

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no")


def test_an_answer_that_returns_nothing_is_told_so(capsys):
    with pytest.raises(WrongAnswerError, match="nothing: does the function return its result"):
        check("gae.weights", lambda lam, steps: print("0.5"))


@pytest.mark.parametrize("value", [None, EqualToEverything(), "0.5", {}, [[1, 2], [3]], float("nan"),
                                   [True] * 4, 1 + 2j, [], lambda: 0, SELF, BrokenRepr(), (BrokenRepr(), SELF)])
def test_strange_answers_are_wrong_and_shown(value, capsys):
    with pytest.raises(WrongAnswerError, match="0 of 6 cases"):
        check("gae.weights", lambda lam, steps: value)
    assert "got" in capsys.readouterr().out


def test_a_function_that_sleeps_is_stopped():
    outcome = call(lambda *inputs: time.sleep(5), get("gae.weights").cases(0)[0], seconds=0.2)
    assert outcome.error == "no answer within 0.2 s: does the loop end?"
