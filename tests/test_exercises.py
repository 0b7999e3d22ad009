"""The registry keeps its promises: right answers pass, wrong ones fail and are called by their name."""

import numpy as np
import pytest

from coursekit.autograder.check import WrongAnswer, check, grade
from coursekit.exercises import EXERCISES, get

ALL = list(EXERCISES.values())
MISTAKES = [(e, m) for e in ALL for m in e.misconceptions]


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_the_reference_passes_100_seeds(exercise):
    assert all(grade(exercise, exercise.reference, seed).status == "correct" for seed in range(100))


@pytest.mark.parametrize("exercise, mistake", MISTAKES, ids=lambda x: getattr(x, "id", None))
def test_a_misconception_fails_and_is_named(exercise, mistake):
    with pytest.raises(WrongAnswer) as told:
        check(exercise.id, mistake.function)
    lines = str(told.value).splitlines()
    assert lines[0].startswith(f"✗ {exercise.id}") and len(lines) <= 6
    assert lines[-1] == f"This is {mistake.name}. {mistake.look_at}"


@pytest.mark.parametrize("exercise, mistake", MISTAKES, ids=lambda x: getattr(x, "id", None))
def test_a_misconception_fails_on_fresh_seeds_too(exercise, mistake):
    assert all(grade(exercise, mistake.function, seed).status == "wrong" for seed in range(1, 21))


ALTERNATIVES = {
    "lists": lambda x: x.tolist() if isinstance(x, np.ndarray) else x,
    "float32": lambda x: x.astype(np.float32) if isinstance(x, np.ndarray) else x,
    "numpy scalars": lambda x: np.float64(x) if isinstance(x, float) else x,
}


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
@pytest.mark.parametrize("form", ALTERNATIVES)
def test_other_forms_of_a_right_answer_pass(exercise, form):
    def answer(*inputs):
        value = exercise.reference(*inputs)
        if isinstance(value, tuple):
            return [ALTERNATIVES[form](v) for v in value]
        return ALTERNATIVES[form](value)
    assert grade(exercise, answer).status == "correct"
    check(exercise.id, answer)


def test_a_torch_tensor_passes():
    torch = pytest.importorskip("torch")
    exercise = get("gae.recursion")
    answer = lambda *inputs: torch.as_tensor(exercise.reference(*inputs)).float()  # noqa: E731
    assert grade(exercise, answer).status == "correct"


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_an_answer_that_writes_into_its_inputs_is_judged_by_what_it_returns(exercise):
    def answer(*inputs):
        value = exercise.reference(*inputs)
        for x in inputs:
            if isinstance(x, np.ndarray):
                x[...] = 0
        return value
    assert grade(exercise, answer).status == "correct"


def test_the_exercises_a_chapter_needs_are_there():
    for notebook in {e.notebook for e in ALL}:
        exercises = [e for e in ALL if e.notebook == notebook]
        assert len(exercises) >= {"00": 4, "02b": 2}.get(notebook.split("_")[0], 5)
        assert all(len(e.misconceptions) >= 3 and len(e.hints) == 2 for e in exercises)


def test_an_unknown_id_lists_the_known_ones():
    with pytest.raises(ValueError, match="no exercise is called 'gae.recursoin'.*gae.recursion"):
        get("gae.recursoin")
