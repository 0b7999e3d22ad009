"""The registry keeps its promises: right answers pass, wrong ones fail and are called by their name."""

import re
import sys
import textwrap
import warnings
from collections import Counter

import numpy as np
import pytest

from coursekit.autograder import shown
from coursekit.autograder.check import grade
from coursekit.autograder.verdict import Known, agree, call_text, inputs_of, outcome, plain
from coursekit.exercises import EXERCISES, get
from notebooks import BOOK

EXAMPLE = re.search(r"   ```python\n(.*?)   ```", (BOOK.parent / "CONTRIBUTING.md").read_text(), re.S)[1]
exec(textwrap.dedent(EXAMPLE), example := {})
ALL = [*EXERCISES.values(), example["DISCOUNTED"]]
MISTAKES = [(e, m) for e in ALL for m in e.mistakes]
COMPOSED = [e for e in ALL if e.slots]


def giving(exercise, function=None, form=lambda value: value, seed=0):
    """An answer that gives in turn what a function gives, the reference by default, and writes into its inputs.
    Such functions may call the library, which refuses while `check` runs."""
    outcomes = []
    for case in exercise.cases(seed):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcomes.append((function or exercise.reference)(*inputs_of(case)))
        except Exception as error:
            outcomes.append(error)
    turns = iter(outcomes)

    def answer(*inputs):
        for x in inputs:
            if isinstance(x, np.ndarray):
                x[...] = 0
        value = next(turns)
        if isinstance(value, Exception):
            raise value
        return [form(v) for v in value] if isinstance(value, tuple) else form(value)
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_the_reference_passes_100_seeds(exercise):
    assert all(grade(exercise, giving(exercise, seed=seed), seed).status == "correct" for seed in range(100))


@pytest.mark.slow
@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_the_reference_answers_the_cases_of_400_seeds(exercise):
    """A class is graded on a seed of its own: none may draw inputs that the reference divides by zero on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for case in (case for seed in range(400) for case in exercise.cases(seed)):
            exercise.reference(*inputs_of(case))


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_the_public_cases_by_heart_and_a_mistake_do_not_pass_the_hidden_ones(exercise):
    """Cases that a table answers, since `check` shows them, and a known mistake for the others: on every seed it
    fails. An edge that each seed draws alike is no edge of the hidden cases: see `varied`."""
    shown_cases = {call_text(exercise, case) for case in exercise.cases(0)}
    for seed in (1, 2, 3, 4):
        hidden = Known(exercise, exercise.cases(seed))
        new = [k for k, call in enumerate(hidden.calls) if call not in shown_cases]
        for number, mistake in enumerate(exercise.mistakes):
            assert not all(shown.agree(hidden.outcome(number, k), hidden.expected[k], exercise.tolerance)
                           for k in new), (seed, mistake.name)


@pytest.mark.parametrize("exercise", COMPOSED, ids=lambda e: e.id)
def test_the_right_choices_make_the_right_answer(exercise):
    """On 100 seeds: the composition and the reference are two programs for one thing."""
    composed = exercise.composed({})
    for case in (case for seed in range(100) for case in exercise.cases(seed)):
        assert agree(composed(*inputs_of(case)), exercise.reference(*inputs_of(case)), 1e-9), case.label


@pytest.mark.parametrize("exercise, mistake", MISTAKES, ids=lambda x: getattr(x, "id", None))
def test_a_mistake_fails_and_is_named(exercise, mistake):
    lines = grade(exercise, giving(exercise, mistake.function)).lines
    assert lines[0].startswith(f"✗ {exercise.id}") and len(lines) <= 6
    always = lines[-1].startswith("It gives ") and not exercise.slots  # that tells too little
    assert lines[-1] == f"This is {mistake.name}. {mistake.look_at}" or always


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_two_mistakes_of_different_names_differ_on_some_case(exercise):
    """On the cases that `check` shows: otherwise neither could be named."""
    known, seen = Known(exercise, exercise.cases(0)), {}
    for i, mistake in enumerate(exercise.mistakes):
        gives = tuple(shown.text(known.outcome(i, k), 8) for k in range(len(known.cases)))
        assert seen.setdefault(gives, mistake.name) == mistake.name


@pytest.mark.parametrize("exercise", COMPOSED, ids=lambda e: e.id)
def test_the_first_failing_case_tells_mistakes_apart(exercise):
    """What a learner sees first is a case in which no other mistake gives the same; a choice is no such case."""
    right = {shown.text(plain(exercise.reference(*inputs_of(case)))) for case in exercise.cases(0)}
    if len(right) < len(exercise.cases(0)):
        return
    known, names = Known(exercise, exercise.cases(0)), [m.name for m in exercise.mistakes]
    alike = []
    for i, name in enumerate(names):
        k = next(k for k, e in enumerate(known.expected) if not shown.agree(known.outcome(i, k), e, 1e-5))
        alike += [(name, names[j]) for j in range(len(names)) if names[j] != name and
                  shown.agree(known.outcome(i, k), known.outcome(j, k), 1e-5)]
    assert len({a for a, _ in alike}) <= len(names) / 5, alike


@pytest.mark.slow
@pytest.mark.parametrize("exercise", COMPOSED, ids=lambda e: e.id)
def test_two_mistakes_at_once_are_named(exercise):
    """At least half of all pairs by both names. Of the others, few by a third: one that gives the same numbers."""
    counts, names = Counter(), [m.name for m in exercise.mistakes]
    pairs = exercise.pairs[:: max(1, len(exercise.pairs) // 60)]
    for i, j, function in pairs:
        name = grade(exercise, giving(exercise, function)).misconception
        counts["both" if name and names[i] in name and names[j] in name else
               "third" if name in names and name not in (names[i], names[j]) else "other"] += 1
    assert counts["both"] >= len(pairs) / 2 and counts["third"] <= len(pairs) / 10, counts


ALTERNATIVES = {
    "lists": lambda x: x.tolist() if isinstance(x, np.ndarray) else x,
    "float32": lambda x: x.astype(np.float32) if isinstance(x, np.ndarray) else x,
    "numpy scalars": lambda x: np.float64(x) if isinstance(x, float) else x,
    "arrays of numbers and words": np.array,
    "arrays of one entry": lambda x: np.array([x]) if isinstance(x, float) else x,
    "generators": lambda x: iter(x.tolist()) if isinstance(x, np.ndarray) and x.ndim == 1 else x,
    "views": lambda x: np.array([x, x])[0] if isinstance(x, np.ndarray) else x,
}


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
@pytest.mark.parametrize("form", ALTERNATIVES)
def test_other_forms_of_a_right_answer_pass(exercise, form):
    assert grade(exercise, giving(exercise, form=ALTERNATIVES[form])).status == "correct"


def test_a_torch_tensor_passes():
    torch = pytest.importorskip("torch")
    exercise = get("gae.recursion")
    solution = exercise.composed({})
    answer = lambda *inputs: torch.as_tensor(solution(*inputs)).float()  # noqa: E731
    assert grade(exercise, answer).status == "correct"


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_an_answer_that_calls_the_answer_of_the_library_is_told_so(exercise):
    """The field `refuses` names every function of the library that the reference calls."""
    found = set()

    def note(frame, event, argument):
        if event == "call" and frame.f_back is not None:
            inner, outer = (f.f_globals.get("__name__", "") for f in (frame, frame.f_back))
            if outer.startswith("coursekit.exercises") and inner.startswith("coursekit.") and not inner.startswith(
                    ("coursekit.exercises", "coursekit.autograder")):
                found.add(f"{inner.removeprefix('coursekit.')}.{frame.f_code.co_name}")

    for case in exercise.cases(0):
        inputs = inputs_of(case)
        sys.setprofile(note)
        try:
            exercise.reference(*inputs)
        finally:
            sys.setprofile(None)
    allowed = {"ppo.update": {"advantages.gae", "tokens.token_rewards", "tokens.token_steps"}}  # its text says so
    answers = found - allowed.get(exercise.id, set())
    assert answers <= set(exercise.refuses)
    if answers:
        verdict = grade(exercise, exercise.reference)
        assert verdict.passed == 0 and "does not answer here, since it is the answer" in verdict.lines[2]


@pytest.mark.parametrize("exercise", COMPOSED, ids=lambda e: e.id)
def test_a_failing_call_can_be_pasted_and_run_again(exercise):
    known = Known(exercise, exercise.cases(0))
    for case, call, expected in zip(known.cases, known.calls, known.expected):
        given = eval(call, {"np": np, exercise.function: lambda **inputs: inputs})
        assert list(given) == list(case.inputs)
        for got, wanted in zip(given.values(), case.inputs.values()):
            assert type(got) is type(wanted) and np.asarray(got).dtype == np.asarray(wanted).dtype
            np.testing.assert_array_equal(got, wanted)
        assert len(call) < 700 and len(shown.text(expected)) <= shown.WIDTH, "make the case smaller"


def test_the_wrong_entries_of_a_tuple_are_marked():
    """In whatever structure they are returned."""
    for form in (tuple, np.array):
        wrong = grade(get("td.error_parts"), lambda x, truth, form=form: form([9.0, x.var(), 9.0]))
        assert "▸9.0, 0.8125, ▸9.0" in wrong.lines[2] and "▸0.75, 0.8125, ▸1.375" in wrong.lines[3]
    wrong = grade(get("td.error_parts"), lambda estimates, truth: (9.0, 9.0, 9.0))
    assert "▸" not in wrong.lines[2]
    wrong = grade(get("gae_at_work.valid"), lambda terminated, truncated, dead: terminated)
    assert "expected a tuple of 2" in wrong.lines[2]


def test_a_tuple_that_is_too_short_is_told_so():
    exercise = get("td.error_parts")
    short = grade(exercise, lambda x, truth: (x.mean() - truth, x.var()))
    assert short.misconception == "the first 2 of the 3 that are wanted"
    assert grade(exercise, lambda x, truth: ()).misconception is None


def test_names_and_questions_are_sentences():
    """A name completes "This is …"; what follows is one question."""
    for exercise in COMPOSED:
        for name, question in ((m.name, m.look_at) for m in exercise.mistakes):
            assert not name.endswith(".") and question.endswith("?"), (exercise.id, name, question)
            assert not name.split()[0].endswith("ing") or name.split()[0] in ("scaling", "shifting"), name


def test_the_exercises_a_chapter_needs_are_there():
    for notebook in {e.notebook for e in ALL}:
        exercises = [e for e in ALL if e.notebook == notebook]
        assert len(exercises) >= {"00": 4, "02b": 2}.get(notebook.split("_")[0], 5)
        assert all(len(e.mistakes) >= 3 and len(e.hints) == 2 for e in exercises)


def test_runs_to_be_diagnosed_are_of_seeds_that_the_chapter_does_not_show():
    """Three of each kind; who has learnt by heart how each of the public runs ends knows none of the others."""
    exercise = get("ppo.diagnosis")

    def end(case):
        return tuple(case.inputs[name][-1] for name in ("kl", "proxy", "explained_variance"))

    public = {end(case) for case in exercise.cases(0)}
    for seed in range(1, 26):
        cases = exercise.cases(seed)
        kinds = Counter(exercise.reference(*inputs_of(case)) for case in cases)
        assert len(kinds) == 5 and set(kinds.values()) == {3}
        assert not public & {end(case) for case in cases}


def test_an_unknown_id_lists_the_known_ones():
    with pytest.raises(ValueError, match="no exercise is called 'gae.recursoin'.*gae.recursion"):
        get("gae.recursoin")


def test_a_mistake_that_raises_is_an_outcome(monkeypatch):
    exercise = get("gae.recursion")
    mistake = exercise.composed({"bootstrap": lambda g: g.values[9]})
    assert outcome(mistake, exercise.cases(0)[0]) == ("e", None, "IndexError")
