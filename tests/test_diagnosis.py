"""What a verdict says, on an exercise of this file's own; and that one exercise more leaves the others alone."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import tryit
from coursekit.autograder import verdict
from coursekit.autograder.check import grade
from coursekit.exercises import EXERCISES, Case, Choice, Exercise, Slot, get

TESTS = Path(__file__).parent
ONE = "with one number"


def cases(seed):
    rng = np.random.default_rng(seed)
    return [Case(f"{n} numbers", dict(x=rng.normal(0, 2, n).round(2), rate=rate), (ONE,) * (n == 1))
            for n, rate in ((4, 0.9), (3, 0.7), (5, 0.8), (1, 0.6), (4, 1.0), (1, 0.9), (6, 0.5), (2, 0.7),
                            (5, 0.6))]


WEIGHTS = Slot("weights", lambda g: g.rate ** np.arange(len(g.x)), (
    Choice("a sum whose exponents start at 1", "Is the first number discounted?",
           lambda g: g.rate ** np.arange(1, len(g.x) + 1)),
    Choice("a sum without its rate", "Is every argument used?", lambda g: np.ones(len(g.x)))))
EACH = Slot("each", lambda x: x, (
    Choice("a sum of squares", "In which units is the sum?", np.square),
    Choice("a sum of sizes", "May a term be negative?", np.abs)))
TOY = Exercise(
    id="toy.sum", notebook="none", title="A toy", function="total", task="", points=1, difficulty="easy", minutes=1,
    hints=("", ""), cases=cases, reference=lambda x, rate: np.polyval(x[::-1], rate),
    compose=lambda g, weights, each: (weights(g) * each(g.x)).sum(), slots=(WEIGHTS, EACH))
COUNT = len(cases(0))


def says(function):
    return grade(TOY, function).lines[-1]


def right(x, rate):
    return (rate ** np.arange(len(x)) * x).sum()


@pytest.mark.parametrize("slot, choice", [(s, c) for s in TOY.slots for c in s.wrong], ids=lambda x: x.name)
def test_a_wrong_choice_is_named_in_whatever_form(slot, choice):
    answer = TOY.composed({slot.name: choice.value})
    for form in (answer, lambda *a: float(answer(*a)), lambda *a: [answer(*a)]):
        assert says(form) == f"This is {choice.name}. {choice.hint}"


def test_two_at_once_are_named_with_both_names():
    assert says(lambda x, rate: (rate ** np.arange(1, len(x) + 1) * x**2).sum()) == (
        "These are two mistakes: a sum whose exponents start at 1; and a sum of squares. Is the first number "
        "discounted? In which units is the sum?")


def test_a_mistake_that_turns_its_sign_is_told_so():
    assert says(lambda x, rate: -x.sum()).startswith(
        "These are two mistakes: a sum without its rate; and all of it with its sign turned.")


@pytest.mark.parametrize("change, line", [
    (lambda y, x, rate: -y, "This is the right answer with its sign turned."),
    (lambda y, x, rate: y**2, "This is the right answer squared."),
    (lambda y, x, rate: 3 * y, "This is the right answer times 3.0."),
    (lambda y, x, rate: y / len(x), "This is the right answer times 1/the length of `x`."),
    (lambda y, x, rate: y - rate, "This is the right answer with `rate` taken away.")])
def test_a_relation_to_the_right_answer_needs_no_slot(change, line):
    assert says(lambda x, rate: change(right(x, rate), x, rate)).startswith(line)


def test_where_nothing_fits_it_tells_what_the_failing_cases_share():
    line = "It is wrong in 2 of 9 cases, those with one number."
    assert says(lambda x, rate: right(x, rate) + (len(x) == 1)) == line
    verdict = grade(TOY, lambda x, rate: right(x, rate) + np.cos(40 * x[0]) * (len(x) > 2))
    assert verdict.misconception is None and verdict.lines[-1] == "It is wrong in 6 of 9 cases."
    assert says(lambda x, rate: 2.5) == "It gives 2.5 in every case, whatever the arguments are."


def test_an_exception_in_one_case_switches_nothing_off():
    def answer(x, rate):
        return (rate ** np.arange(1, len(x) + 1) * x).sum() / (rate != 0.5 or 1 // 0)

    assert says(answer) == (
        "Where it raises no error, this is a sum whose exponents start at 1. Is the first number discounted?")
    assert says(lambda x, rate: right(x, rate) / (rate != 0.5 or 1 // 0)) == (
        "It raises ZeroDivisionError in 1 of 9 cases; of the other 8, 8 are right.")
    assert says(lambda x, rate: (right(x, rate) + (len(x) == 1)) / (rate != 0.5 or 1 // 0)) == (
        "It raises ZeroDivisionError in 1 of 9 cases; of the other 8, 6 are right.")
    assert says(lambda x, rate: right(x, rate) + x[1] - x[1]) == (
        "It raises IndexError in 2 of 9 cases, those with one number; of the other 7, 7 are right.")
    assert says(lambda x, rate: x[99]) == "It raises IndexError in every case."


def test_where_two_mistakes_fit_neither_is_named():
    twin = Choice("another name for the same numbers", "Which?", WEIGHTS.wrong[1].value)
    toy = Exercise(**{f: getattr(TOY, f) for f in TOY.__dataclass_fields__} | dict(
        slots=(WEIGHTS._replace(wrong=WEIGHTS.wrong + (twin,)), EACH)))
    assert grade(toy, lambda x, rate: x.sum()).misconception is None


def test_pairs_are_computed_when_no_single_mistake_fits_and_only_once(monkeypatch):
    monkeypatch.setattr(verdict, "KEPT", {})
    calls = []
    toy = Exercise(**{f: getattr(TOY, f) for f in TOY.__dataclass_fields__} | dict(
        compose=lambda g, weights, each: calls.append(0) or TOY.compose(g, weights, each)))
    grade(toy, lambda x, rate: x.sum())
    single = len(calls)
    assert 0 < single <= COUNT + 3
    for again in (False, True):
        grade(toy, lambda x, rate: (x**2).sum())
        assert again is (len(calls) == single)
        single = len(calls)


def test_the_verdict_of_other_cases_is_not_kept_for_these():
    for seed in (0, 1, 0):
        assert grade(TOY, right, seed).status == "correct"
        line = grade(TOY, lambda x, rate: x.sum(), seed).lines[-1]
        assert line == "This is a sum without its rate. Is every argument used?"


def test_one_exercise_more_is_at_hand_and_changes_no_other(monkeypatch):
    before = {i: tryit.text(tryit.of_exercise(get(i), "def f(a):\n    ...", {}, [])) for i in list(EXERCISES)[:4]}
    monkeypatch.setitem(EXERCISES, TOY.id, TOY)
    assert get(TOY.id) is TOY and grade(get(TOY.id), right).points == TOY.points
    stub = "def total(x, rate):\n    raise NotImplementedError"
    page = json.loads(tryit.text(tryit.of_exercise(TOY, stub, {}, [])))
    assert page["signature"] == "total(x, rate)" and len(page["known"]["pairs"]) == 4
    assert before == {i: tryit.text(tryit.of_exercise(get(i), "def f(a):\n    ...", {}, [])) for i in before}


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda p: p.name)
def test_no_test_spells_how_many_exercises_or_points_there_are(path):
    """It would go red with the next exercise. An f-string that computes the number is fine."""
    counts = {len([e for e in EXERCISES.values() if e.notebook == name]) for name in {e.notebook for e in
              EXERCISES.values()}} | {len(EXERCISES)}
    for line in path.read_text().splitlines():
        for number, _ in re.findall(r"\b(\d+) (exercises|not attempted)\b", line):
            assert int(number) not in counts or int(number) < 4, line
        assert not re.search(r"/\d+ points", line), line
